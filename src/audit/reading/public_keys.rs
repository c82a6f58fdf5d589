//! The keys that checkpoints may be signed with, as the operator gives them.

use std::fs;
use std::path::Path;

use aws_lc_rs::signature::{ED25519, ParsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject as _;

/// What stands in front of the 32 bytes of an Ed25519 key in its `SubjectPublicKeyInfo` (RFC 8410, section 4).
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// No file of keys is larger, in bytes; a file that is was named by mistake.
const LARGEST_FILE: u64 = 1024 * 1024;

/// Public keys of Ed25519.
#[derive(Debug, Default)]
pub struct PublicKeys(Vec<ParsedPublicKey>);

/// Why a text names no public key.
#[derive(Debug, thiserror::Error)]
pub enum NoKey {
    /// There is no such file, and the text is no key itself.
    #[error("it is not the 32 bytes of a key in base64, and as a file it cannot be read: {0}")]
    Unreadable(std::io::Error),
    /// There is a file, which holds none.
    #[error(
        "it holds no Ed25519 public key: neither PEM, as `openssl pkey -pubout` writes it, nor lines of 32 bytes in base64"
    )]
    NotInFile,
}

impl PublicKeys {
    /// Adds the key that `text` is, the 32 bytes in base64, or those in the file that it names: PEM, or such base64 on
    /// lines of their own.
    ///
    /// # Errors
    ///
    /// [`NoKey`]
    pub fn add(&mut self, text: &str) -> Result<(), NoKey> {
        if let Some(bytes) = decode(text) {
            return self.push(bytes);
        }
        let path = Path::new(text);
        let found = match fs::metadata(path).map_err(NoKey::Unreadable)?.len() {
            ..=LARGEST_FILE => in_file(&fs::read(path).map_err(NoKey::Unreadable)?),
            _ => None,
        };
        found.ok_or(NoKey::NotInFile)?.into_iter().try_for_each(|bytes| self.push(bytes))
    }

    fn push(&mut self, bytes: [u8; 32]) -> Result<(), NoKey> {
        self.0.push(ParsedPublicKey::new(&ED25519, bytes).map_err(|_| NoKey::NotInFile)?);
        Ok(())
    }

    /// The one whose 32 bytes are `text` in base64.
    pub(super) fn named(&self, text: &str) -> Option<&ParsedPublicKey> {
        let bytes = decode(text)?;
        self.0.iter().find(|key| key.as_ref() == bytes)
    }
}

fn decode(text: &str) -> Option<[u8; 32]> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

/// The keys in a file, at least one.
fn in_file(content: &[u8]) -> Option<Vec<[u8; 32]>> {
    let pem = |key: SubjectPublicKeyInfoDer<'_>| key.strip_prefix(SPKI.as_slice())?.try_into().ok();
    let mut keys = Vec::new();
    for key in SubjectPublicKeyInfoDer::pem_slice_iter(content) {
        keys.push(pem(key.ok()?)?);
    }
    if keys.is_empty() {
        let lines = std::str::from_utf8(content).ok()?.lines().map(str::trim).filter(|line| !line.is_empty());
        keys = lines.map(decode).collect::<Option<_>>()?;
    }
    (!keys.is_empty()).then_some(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 8410, section 10.1, and the key in it.
    const PEM: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----
";
    const BASE64: &str = "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=";
    /// Test 1 of RFC 8032, section 7.1.
    const OTHER: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

    fn in_a_file(content: &str) -> Result<PublicKeys, NoKey> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        fs::write(&path, content).unwrap();
        let mut keys = PublicKeys::default();
        keys.add(path.to_str().unwrap()).map(|()| keys)
    }

    #[test]
    fn a_key_is_given_as_base64_or_in_a_file_as_pem_or_base64() {
        let mut keys = PublicKeys::default();
        keys.add(BASE64).unwrap();
        assert!(keys.named(BASE64).is_some() && keys.named(OTHER).is_none());
        for content in [PEM, BASE64, &format!("\n{BASE64}\r\n"), &format!("a comment\n{PEM}{PEM}")] {
            assert!(in_a_file(content).unwrap().named(BASE64).is_some(), "{content}");
        }
        let both = in_a_file(&format!("{BASE64}\n{OTHER}\n")).unwrap();
        assert!(both.named(BASE64).is_some() && both.named(OTHER).is_some());
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let rsa = PEM.replace("MCowBQYDK2Vw", "MCowBQYDK2Vx");
        for content in
            ["", "x", BASE64.trim_start_matches('G'), &rsa, &PEM.replace("PUBLIC", "PRIVATE"), &format!("{BASE64}\nx")]
        {
            assert!(matches!(in_a_file(content), Err(NoKey::NotInFile)), "{content}");
        }
        assert!(matches!(PublicKeys::default().add("/nowhere/key"), Err(NoKey::Unreadable(_))));
    }
}
