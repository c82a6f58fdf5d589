//! The root key: what opens a local store. It stands in a file of its own, never in the store.
//!
//! Architecture invariant: the root key itself encrypts and authenticates nothing. Each use has a key derived from
//! it, with a type of its own.

use std::fmt;
use std::io;
use std::path::Path;

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use super::kdf::{self, Label};
use super::key_file::{KEY_BYTES, KeyFile};
use super::key_tag::KeyTagger;
use super::store_id::StoreId;
use crate::faults::Fault;
use crate::grants::TokenKey;
use crate::private_file;
use crate::random;
use crate::secret::Secret;

const FILE: KeyFile = KeyFile {
    prefix: "kmsgate-root-key-v1:",
    comment: "\
# The root key of a local store of kmsgate. Whoever has it and the store has every key in the store.
# If this file is lost, so are all those keys and all that was ever encrypted with them: keep a copy,
# apart from the store's own backups. Nothing here may be changed.
",
};
const RESTORE: &str = "restore the file from its copy; no other root key opens the store";

/// 256 bits under which all keys of a store are wrapped.
#[derive(Debug)]
pub(super) struct RootKey(Secret<[u8; KEY_BYTES]>);

impl RootKey {
    /// Makes a root key and writes it to `file`, which must not exist, with mode 0600.
    ///
    /// # Errors
    ///
    /// [`RootKeyError::Exists`] and [`RootKeyError::NotWritten`]. A file that exists is never touched.
    pub(super) fn create(file: &Path) -> Result<Self, RootKeyError> {
        let mut key = Self(Secret::new([0; KEY_BYTES]));
        let written = random::fill(key.0.expose_mut())
            .map_err(io::Error::other)
            .and_then(|()| private_file::write_new(file, key.to_text().as_bytes()));
        match written {
            Ok(()) => Ok(key),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let hint = "use the root key that is there, or name another file";
                Err(RootKeyError::Exists(Fault::of_file(file, "exists already and is not overwritten", hint)))
            }
            Err(error) => {
                let hint = "name a file in a directory that kmsgate can write to";
                Err(RootKeyError::NotWritten(Fault::of_file(file, format!("cannot be written: {error}"), hint)))
            }
        }
    }

    /// Reads a root key that [`Self::create`] wrote.
    ///
    /// # Errors
    ///
    /// [`RootKeyError::Missing`], [`RootKeyError::Unreadable`] and [`RootKeyError::Malformed`].
    pub(super) fn read(file: &Path) -> Result<Self, RootKeyError> {
        let missing = || RootKeyError::Missing(Fault::of_file(file, "does not exist", RESTORE));
        let text = private_file::read_if_exists(file).map_err(RootKeyError::Unreadable)?.ok_or_else(missing)?;
        let malformed = || RootKeyError::Malformed(Fault::of_file(file, "does not hold a root key", RESTORE));
        Self::from_text(&text).ok_or_else(malformed)
    }

    fn to_text(&self) -> Zeroizing<String> {
        FILE.to_text(&self.0)
    }

    pub(super) fn from_text(text: &str) -> Option<Self> {
        FILE.parse(text).map(Self)
    }

    /// The key that wraps key material.
    #[must_use]
    pub(super) fn wrapping_key(&self) -> WrappingKey {
        WrappingKey(self.derive(Label::Wrapping, &[]))
    }

    /// What marks the blobs of the store with this id as its own.
    pub(super) fn key_tagger(&self, store: &StoreId) -> KeyTagger {
        KeyTagger::new(self.derive(Label::KeyTag, store.as_bytes()).expose())
    }

    /// The key that seals the import tokens of the store with this id.
    pub(super) fn import_token_key(&self, store: &StoreId) -> ImportTokenKey {
        ImportTokenKey(self.derive(Label::ImportToken, store.as_bytes()))
    }

    /// The key that authenticates the grant tokens of the store with this id.
    pub(super) fn grant_token_key(&self, store: &StoreId) -> TokenKey {
        TokenKey::new(self.derive(Label::GrantToken, store.as_bytes()).expose())
    }

    /// The seed of the key that signs audit checkpoints. It is of no store: a trail can be checked without one.
    pub(super) fn audit_seed(&self) -> Secret<[u8; 32]> {
        self.derive(Label::AuditSigning, &[])
    }

    /// The keys that authenticate the store with this id.
    pub(super) fn store_keys(&self, store: &StoreId) -> StoreKeys {
        let mac_key = |label| hmac::Key::new(hmac::HMAC_SHA256, self.derive(label, store.as_bytes()).expose());
        StoreKeys {
            header: mac_key(Label::StoreHeader),
            set: mac_key(Label::StoreSet),
            check: *self.derive(Label::RootKeyCheck, store.as_bytes()).expose(),
        }
    }

    fn derive(&self, label: Label, context: &[u8]) -> Secret<[u8; 32]> {
        let mut key = Secret::new([0; 32]);
        kdf::derive(self.0.expose(), label, context, key.expose_mut());
        key
    }
}

/// Wraps key material, and nothing else.
#[derive(Debug)]
pub(super) struct WrappingKey(Secret<[u8; 32]>);

impl WrappingKey {
    /// From a key that was derived for nothing else.
    pub(super) const fn new(key: Secret<[u8; 32]>) -> Self {
        Self(key)
    }

    pub(super) const fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }
}

/// Seals import tokens, and nothing else.
#[derive(Debug)]
pub(super) struct ImportTokenKey(Secret<[u8; 32]>);

impl ImportTokenKey {
    pub(super) const fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }
}

/// What authenticates a store.
pub(super) struct StoreKeys {
    /// For its header.
    pub(super) header: hmac::Key,
    /// For its rows.
    pub(super) set: hmac::Key,
    /// What the header holds so that another root key is told from an edited store. Not a secret.
    pub(super) check: [u8; 32],
}

/// Why there is no root key. Never quotes the file.
#[derive(Debug)]
pub enum RootKeyError {
    /// The file is not there.
    Missing(Fault),
    /// The file is open to others than its owner, or cannot be read at all.
    Unreadable(Fault),
    /// The file is not what [`RootKey::create`] wrote.
    Malformed(Fault),
    /// There is a file already where one was to be made.
    Exists(Fault),
    /// The file could not be made.
    NotWritten(Fault),
}

impl RootKeyError {
    /// The fault to show to the operator.
    #[must_use]
    pub const fn fault(&self) -> &Fault {
        match self {
            Self::Missing(fault)
            | Self::Unreadable(fault)
            | Self::Malformed(fault)
            | Self::Exists(fault)
            | Self::NotWritten(fault) => fault,
        }
    }
}

impl fmt::Display for RootKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fault().fmt(f)
    }
}

impl std::error::Error for RootKeyError {}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::super::golden::golden;
    use super::*;

    #[test]
    fn a_root_key_is_read_as_it_was_created_and_is_private() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("root-key");
        let created = RootKey::create(&file).unwrap();
        assert_eq!(RootKey::read(&file).unwrap().0.expose(), created.0.expose());
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_ne!(created.0.expose(), RootKey::create(&directory.path().join("other")).unwrap().0.expose());
    }

    #[test]
    fn the_text_of_a_root_key_is_the_one_written_by_hand() {
        let golden = golden();
        assert_eq!(golden.root_key().to_text().lines().last(), Some(golden.root_key_line.as_str()));
        assert_eq!(golden.root_key().to_text().lines().filter(|line| !line.starts_with('#')).count(), 1);
    }

    #[test]
    fn a_file_that_exists_is_not_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("root-key");
        fs::write(&file, "mine").unwrap();
        assert!(matches!(RootKey::create(&file), Err(RootKeyError::Exists(_))));
        assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    }

    #[test]
    fn a_missing_file_and_one_open_to_others_are_told_apart() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("root-key");
        let missing = RootKey::read(&file).unwrap_err();
        assert!(
            matches!(missing, RootKeyError::Missing(_)) && missing.to_string().contains("hint: restore"),
            "{missing}"
        );
        RootKey::create(&file).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        let open = RootKey::read(&file).unwrap_err();
        assert!(matches!(open, RootKeyError::Unreadable(_)) && open.to_string().contains("chmod 600"), "{open}");
    }

    #[test]
    fn a_file_that_cannot_be_written_is_a_fault() {
        let fault = RootKey::create(Path::new("/nonexistent/root-key")).unwrap_err();
        assert!(matches!(fault, RootKeyError::NotWritten(_)), "{fault}");
    }

    #[test]
    fn what_is_no_root_key_is_refused_and_not_quoted() {
        let directory = tempfile::tempdir().unwrap();
        let line = golden().root_key_line;
        let key = line.strip_prefix(FILE.prefix).unwrap();
        for (number, text) in [
            String::new(),
            "# nothing\n".to_owned(),
            key.to_owned(),
            format!("kmsgate-root-key-v2:{key}"),
            format!("{line}\n{line}"),
            line.replace('=', ""),
            line.replace("AAEC", "AAE"),
            line.replace("AAEC", "AAECAAEC"),
            line.replace("AAEC", "AA-C"),
            format!("{line} # the key"),
        ]
        .iter()
        .enumerate()
        {
            let file = directory.path().join(number.to_string());
            private_file::write_new(&file, text.as_bytes()).unwrap();
            let error = RootKey::read(&file).unwrap_err();
            assert!(matches!(error, RootKeyError::Malformed(_)), "{text}: {error}");
            assert!(!error.to_string().contains("ECAw"), "{error}");
        }
    }

    #[test]
    fn a_root_key_does_not_print() {
        assert_eq!(format!("{:?}", golden().root_key()), "RootKey([secret])");
    }
}
