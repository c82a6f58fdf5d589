//! A transport key: what seals the keys that are carried from one store to another in a file of keys.
//!
//! Architecture invariant: as with the root key, nothing is encrypted or authenticated with the transport key itself,
//! but with keys derived from it, which are another pair for each file.

use std::io;
use std::path::Path;

use aws_lc_rs::hmac;

use super::kdf::{self, Label};
use super::key_file::{KEY_BYTES, KeyFile};
use super::root_key::WrappingKey;
use super::store_id::StoreId;
use crate::faults::Fault;
use crate::private_file;
use crate::random;
use crate::secret::Secret;

const FILE: KeyFile = KeyFile {
    prefix: "kmsgate-transport-key-v1:",
    comment: "\
# A transport key of kmsgate. Whoever has it and a file of keys that was exported with it has every key in that file.
# Carry it by another way than the file, and delete it once the keys are where they should be.
",
};

/// 256 bits under which keys are carried from one store to another.
#[derive(Debug)]
pub struct TransportKey(Secret<[u8; KEY_BYTES]>);

/// What seals one file of keys.
pub(super) struct FileKeys {
    /// Wraps the key material.
    pub(super) wrapping: WrappingKey,
    /// Authenticates the whole file.
    pub(super) file: hmac::Key,
}

impl TransportKey {
    /// Makes a transport key and writes it to `file`, which must not exist, with mode 0600.
    ///
    /// # Errors
    ///
    /// The fault of the file: it exists already, or it cannot be written.
    pub fn create(file: &Path) -> Result<(), Fault> {
        let mut key = Secret::new([0; KEY_BYTES]);
        let written = random::fill(key.expose_mut())
            .map_err(io::Error::other)
            .and_then(|()| private_file::write_new(file, FILE.to_text(&key).as_bytes()));
        written.map_err(|error| not_written(file, &error))
    }

    /// Reads a transport key that [`Self::create`] wrote.
    ///
    /// # Errors
    ///
    /// The fault of the file: it cannot be read, more than its owner can use it, or it holds something else.
    pub fn read(file: &Path) -> Result<Self, Fault> {
        let hint = "name the file that `kmsgate keys transport-key` made";
        let text = private_file::read(file)?;
        FILE.parse(&text).map(Self).ok_or_else(|| Fault::of_file(file, "does not hold a transport key", hint))
    }

    #[cfg(test)]
    pub(super) fn from_text(text: &str) -> Option<Self> {
        FILE.parse(text).map(Self)
    }

    /// The keys of the file with this id.
    pub(super) fn keys(&self, file: &StoreId) -> FileKeys {
        let derive = |label| {
            let mut key = Secret::new([0; 32]);
            kdf::derive(self.0.expose(), label, file.as_bytes(), key.expose_mut());
            key
        };
        FileKeys {
            wrapping: WrappingKey::new(derive(Label::TransportWrapping)),
            file: hmac::Key::new(hmac::HMAC_SHA256, derive(Label::TransportFile).expose()),
        }
    }
}

/// Why a file that must be new was not written.
#[must_use]
pub fn not_written(file: &Path, error: &io::Error) -> Fault {
    if error.kind() == io::ErrorKind::AlreadyExists {
        return Fault::of_file(file, "exists already and is not overwritten", "name another file");
    }
    let hint = "name a file in a directory that kmsgate can write to";
    Fault::of_file(file, format!("cannot be written: {error}"), hint)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_transport_key_is_private_new_each_time_and_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let (one, other) = (directory.path().join("one"), directory.path().join("other"));
        let made = [&one, &other].map(|file| {
            TransportKey::create(file).unwrap();
            assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
            TransportKey::read(file).unwrap()
        });
        assert_ne!(made[0].0.expose(), made[1].0.expose());
        assert!(TransportKey::create(&one).unwrap_err().to_string().contains("is not overwritten"));
        assert_eq!(TransportKey::read(&one).unwrap().0.expose(), made[0].0.expose());
    }

    #[test]
    fn another_kind_of_key_an_open_file_and_a_missing_one_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let refused = |text: &str, says: &str| {
            let file = directory.path().join("key");
            private_file::write_new(&file, text.as_bytes()).unwrap();
            let fault = TransportKey::read(&file).unwrap_err().to_string();
            assert!(fault.contains(says) && fault.contains("hint: "), "{fault}");
            fs::remove_file(&file).unwrap();
        };
        for text in [
            "",
            "kmsgate-root-key-v1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
            "kmsgate-transport-key-v1:AAAA\n",
        ] {
            refused(text, "does not hold a transport key");
        }
        let open = directory.path().join("open");
        TransportKey::create(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(TransportKey::read(&open).unwrap_err().to_string().contains("chmod 600"));
        assert!(TransportKey::read(&directory.path().join("none")).unwrap_err().to_string().contains("cannot be read"));
    }
}
