//! What can be wrong with a store, each with what to do about it.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{ErrorCode, ffi};

use super::header::FORMAT;
use crate::faults::Fault;
use crate::random::Exhausted;

/// Why a store cannot be created, opened or changed. None quotes what the store holds.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no file of that name.
    #[error("does not exist")]
    Missing,
    /// Something of that name is there already.
    #[error("exists already, or its -wal, -journal or -revision file does, and is not overwritten")]
    Exists,
    /// Changes that were answered are not in it.
    #[error("is {found}, but {answered} was answered from: changes are lost")]
    SetBack {
        /// What the file is.
        found: String,
        /// What its mark says.
        answered: String,
        /// The mark's file.
        mark: PathBuf,
    },
    /// There is a store, and no root key to open it with. For the caller, which knows both files.
    #[error("cannot be opened: it exists, but its root key's file does not")]
    RootKeyMissing,
    /// The root key is not the one that the store was created with.
    #[error("was created with another root key")]
    OtherRootKey,
    /// The rows are not those that were committed last.
    #[error("was edited: its rows and its header do not belong together")]
    Edited,
    /// The database is cut short or broken.
    #[error("is damaged: {0}")]
    Damaged(String),
    /// The file is something else.
    #[error("is not a store of kmsgate")]
    Foreign,
    /// The store is of a kmsgate to come.
    #[error("has format {0}, and this kmsgate reads format {FORMAT}")]
    Newer(i64),
    /// Another process, or another part of this one, has it open.
    #[error("is in use by another process")]
    InUse,
    /// No room, or a limit on the file's size.
    #[error("cannot grow: the disk is full")]
    Full,
    /// The file system refused.
    #[error("cannot be read or written: {0}")]
    File(#[from] io::Error),
    /// The database refused for another reason.
    #[error("cannot be read or written: {0}")]
    Database(rusqlite::Error),
    /// No random bytes for a new store.
    #[error("cannot be created: {0}")]
    Exhausted(#[from] Exhausted),
}

impl StoreError {
    /// What the operator can do.
    #[must_use]
    pub fn hint(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::SetBack { mark, .. } => {
                return format!(
                    "restore the store with its -wal file; to go on without what is lost (from an older backup, say), \
                     remove {} first",
                    mark.display()
                )
                .into();
            }
            Self::Missing => "create it, or correct the path",
            Self::Exists => "open the store that is there, or name another file",
            Self::RootKeyMissing => "restore the root key's file from its copy; no other root key opens the store",
            Self::OtherRootKey => {
                "name the root key that it was created with; if it is that one, the store's header was edited: restore \
                 the store from its backup"
            }
            Self::Edited | Self::Damaged(_) => "restore it from its backup, with its -wal file if there is one",
            Self::Foreign => "name the file that was meant",
            Self::Newer(_) => "run the newer kmsgate that wrote it",
            Self::InUse => "end the other kmsgate, or give each its own store",
            Self::Full => "make room; nothing was changed, and the next change is tried afresh",
            Self::File(_) | Self::Database(_) => "see that the file and its directory can be written by kmsgate's user",
            Self::Exhausted(_) => "try again",
        })
    }

    /// The fault of the store in `file`, to be shown to the operator.
    #[must_use]
    pub fn fault(&self, file: &Path) -> Fault {
        Fault::of_file(file, self.to_string(), self.hint())
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::Error as E;
        match &error {
            E::SqliteFailure(failure, _) => match failure.code {
                ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::InUse,
                ErrorCode::NotADatabase => Self::Foreign,
                ErrorCode::DiskFull => Self::Full,
                ErrorCode::DatabaseCorrupt => Self::Damaged(error.to_string()),
                _ if failure.extended_code == ffi::SQLITE_IOERR_SHORT_READ => {
                    Self::Damaged("the file ends too early".to_owned())
                }
                _ => Self::Database(error),
            },
            // A value is not what was once written there.
            E::QueryReturnedNoRows
            | E::QueryReturnedMoreThanOneRow
            | E::InvalidColumnType(..)
            | E::Utf8Error(..)
            | E::FromSqlConversionFailure(..) => Self::Damaged(error.to_string()),
            _ => Self::Database(error),
        }
    }
}
