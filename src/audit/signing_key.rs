//! The key that signs checkpoints (Ed25519, RFC 8032).
//!
//! It is in a file of its own, or derived from the root key of the embedded store, or made for one run. Whoever has it
//! can write any trail; whoever has only its public half can check one.

use std::fmt;
use std::io;
use std::path::Path;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use zeroize::Zeroizing;

use crate::faults::Fault;
use crate::private_file;
use crate::secret::Secret;

/// Base64 in PEM is broken after so many characters (RFC 7468 section 2).
const PEM_COLUMNS: usize = 64;
const SIGNATURE_BYTES: usize = 64;
const HINT: &str = "name a file that `openssl genpkey -algorithm ed25519` wrote, or one that does not exist yet";

/// Signs checkpoints.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    public: String,
}

/// A key cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key that signs checkpoints cannot be made")]
pub struct NotMade;

impl SigningKey {
    /// A new key.
    ///
    /// # Errors
    ///
    /// [`NotMade`] without random bytes.
    pub fn generate() -> Result<Self, NotMade> {
        Ed25519KeyPair::generate().map(Self::new).map_err(|_| NotMade)
    }

    /// The key of this seed.
    ///
    /// # Errors
    ///
    /// [`NotMade`], which no seed comes to.
    pub fn from_seed(seed: &Secret<[u8; 32]>) -> Result<Self, NotMade> {
        Ed25519KeyPair::from_seed_unchecked(seed.expose()).map(Self::new).map_err(|_| NotMade)
    }

    /// The key in `file` (PKCS #8 in PEM, mode 0600), which is made if there is none.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or written, is open to others, or holds something else.
    pub fn read_or_create(file: &Path) -> Result<Self, Fault> {
        if let Some(key) = Self::read_if_exists(file)? {
            return Ok(key);
        }
        let unwritable = |error: io::Error| {
            Fault::of_file(file, format!("cannot be written: {error}"), "name a file that kmsgate can write")
        };
        let key = Self::generate().map_err(|error| unwritable(io::Error::other(error)))?;
        let der = key.pair.to_pkcs8v1().map_err(|_| unwritable(io::Error::other(NotMade)))?;
        private_file::write_new(file, pem("PRIVATE KEY", der.as_ref()).as_bytes()).map_err(unwritable)?;
        Ok(key)
    }

    /// The key in `file`; `None` if there is none.
    ///
    /// # Errors
    ///
    /// As [`Self::read_or_create`].
    pub fn read_if_exists(file: &Path) -> Result<Option<Self>, Fault> {
        let Some(text) = private_file::read_if_exists(file)? else { return Ok(None) };
        let der = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes()).ok();
        let pair = der.and_then(|der| Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der()).ok());
        let pair = pair.ok_or_else(|| Fault::of_file(file, "holds no Ed25519 key", HINT))?;
        Ok(Some(Self::new(pair)))
    }

    fn new(pair: Ed25519KeyPair) -> Self {
        let public = STANDARD.encode(pair.public_key());
        Self { pair, public }
    }

    /// The 32 bytes of the public key, in base64.
    #[must_use]
    pub fn public_key(&self) -> &str {
        &self.public
    }

    /// The public key as `openssl pkey -pubout` writes it.
    #[must_use]
    pub fn public_key_pem(&self) -> String {
        // SubjectPublicKeyInfo (RFC 8410 section 4): the algorithm, and the key as a bit string.
        const INFO: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
        pem("PUBLIC KEY", &[&INFO, self.pair.public_key().as_ref()].concat()).to_string()
    }

    pub(super) fn sign(&self, text: &[u8]) -> [u8; SIGNATURE_BYTES] {
        let mut bytes = [0; SIGNATURE_BYTES];
        bytes.copy_from_slice(self.pair.sign(text).as_ref());
        bytes
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("public", &self.public).finish_non_exhaustive()
    }
}

fn pem(label: &str, der: &[u8]) -> Zeroizing<String> {
    let text = Zeroizing::new(STANDARD.encode(der));
    let mut pem = Zeroizing::new(format!("-----BEGIN {label}-----\n"));
    for line in text.as_bytes().chunks(PEM_COLUMNS) {
        pem.extend(line.iter().copied().map(char::from));
        pem.push('\n');
    }
    pem.extend(["-----END ", label, "-----\n"]);
    pem
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// RFC 8410 section 10.3: a private key and, in section 10.1, its public half.
    const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
    const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";

    fn private_file(text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("audit.key");
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        (directory, file)
    }

    #[test]
    fn a_key_is_read_as_openssl_writes_it_and_its_public_half_written_so() {
        let (_directory, file) = private_file(PRIVATE);
        let key = SigningKey::read_or_create(&file).unwrap();
        assert_eq!(key.public_key_pem(), PUBLIC);
        assert_eq!(key.public_key(), "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=");
        assert_eq!(fs::read_to_string(&file).unwrap(), PRIVATE);
    }

    #[test]
    fn a_key_that_is_not_there_is_made_for_its_owner_alone_and_found_again() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("audit.key");
        let made = SigningKey::read_or_create(&file).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(SigningKey::read_or_create(&file).unwrap().public_key(), made.public_key());
    }

    #[test]
    fn what_is_no_key_is_a_fault_and_never_replaced() {
        for text in ["", "nonsense", PUBLIC] {
            let (_directory, file) = private_file(text);
            assert!(SigningKey::read_or_create(&file).is_err(), "{text}");
            assert_eq!(fs::read_to_string(&file).unwrap(), text);
        }
    }

    /// RFC 8032 section 7.1, test 2.
    #[test]
    fn signatures_are_those_of_the_rfc() {
        let mut seed = Secret::new([0; 32]);
        hex::decode_to_slice("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", seed.expose_mut())
            .unwrap();
        let signature = SigningKey::from_seed(&seed).unwrap().sign(&[0x72]);
        let expected = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
                        085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";
        assert_eq!(hex::encode(signature), expected);
    }
}
