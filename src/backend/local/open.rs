//! Opens the local backend: root key, store, keys; makes the first two where there is neither.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::LocalBackend;
use super::changes::Changes;
use super::directory::Directory;
use super::loader::{Loader, UnreadableRow};
use super::records::Records;
use super::root_key::{RootKey, RootKeyError};
use super::site::{Owner, Site};
use super::store::{Row, Store, StoreError};
use super::store_id::StoreId;
use crate::aws::{AccountId, Region};
use crate::clock::Clock;
use crate::faults::Fault;
use crate::private_file;
use crate::secret::Secret;

/// The store's file in the data directory.
const STORE_FILE: &str = "keys.sqlite";

/// Why a local backend cannot be opened. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The root key's file.
    #[error(transparent)]
    RootKey(#[from] RootKeyError),
    /// The store.
    #[error("{}", source.fault(path))]
    Store {
        /// Its file.
        path: PathBuf,
        /// What is wrong with it.
        source: StoreError,
    },
    /// What a row of the store says.
    #[error("{}", Fault::of_file(path, source.to_string(), "run the kmsgate that wrote it, for that region and account"))]
    Row {
        /// The store's file.
        path: PathBuf,
        /// The row, and what is wrong with it.
        source: UnreadableRow,
    },
    /// The thread that makes changes.
    #[error("the operating system gives no thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// The root key; `None` if there is neither one nor a store that would need it.
fn root_key(file: &Path, store: &Path) -> Result<Option<RootKey>, OpenError> {
    match RootKey::read(file) {
        Err(RootKeyError::Missing(_)) if store.exists() => {
            Err(OpenError::Store { path: store.to_path_buf(), source: StoreError::RootKeyMissing })
        }
        Err(RootKeyError::Missing(_)) => Ok(None),
        read => Ok(Some(read?)),
    }
}

impl LocalBackend {
    /// Reads the root key as [`Self::open`] would, and changes nothing.
    ///
    /// # Errors
    ///
    /// [`OpenError`], if `open` would refuse the root key's file.
    pub fn check(data_dir: &Path, root_key_file: &Path) -> Result<(), OpenError> {
        root_key(root_key_file, &data_dir.join(STORE_FILE)).map(drop)
    }

    /// The seed of the key that signs audit checkpoints, from the root key in `root_key_file`.
    ///
    /// # Errors
    ///
    /// [`OpenError`] if that cannot be read.
    pub fn audit_seed(root_key_file: &Path) -> Result<Secret<[u8; 32]>, OpenError> {
        Ok(RootKey::read(root_key_file)?.audit_seed())
    }

    /// Opens the store in `data_dir`, which holds the keys of `account` in `regions`, with the root key in
    /// `root_key_file`. Where there is no store one is made, with a root key if there is none of that either. A store
    /// without its root key is refused: a new root key would not open it.
    ///
    /// # Errors
    ///
    /// [`OpenError`].
    pub fn open(
        data_dir: &Path,
        root_key_file: &Path,
        regions: &[Region],
        account: AccountId,
        clock: &Clock,
    ) -> Result<Self, OpenError> {
        let path = data_dir.join(STORE_FILE);
        let failed = |source| OpenError::Store { path: path.clone(), source };
        // The root key may be kept in the directory too, and comes first.
        private_file::create_directory(data_dir).map_err(|error| failed(error.into()))?;
        let root_key = match root_key(root_key_file, &path)? {
            Some(key) => key,
            None => RootKey::create(root_key_file)?,
        };
        let site = Site::new(account, regions);
        let load = || {
            let begin = |id| Loader::new(Records::new(&root_key, id), &site);
            Store::load(&path, &root_key, begin, |loader, row| loader.take(&row))
        };
        let (store, loaded) = match load() {
            Err(StoreError::Missing) => {
                // If there should be one, every ciphertext made with it looks forged from now on.
                tracing::warn!(path = %path.display(), "there is no key store here: a new one is made");
                drop(Store::create(&path, &root_key).map_err(&failed)?);
                load()
            }
            opened => opened,
        }
        .map_err(&failed)?;
        let (records, directory) = loaded.finish().map_err(|source| OpenError::Row { path: path.clone(), source })?;
        let records = Arc::new(records);
        let (keys, revision) = (directory.len(), store.revision());
        tracing::info!(path = %path.display(), keys, %revision, "key store opened");
        let directory = Arc::new(ArcSwap::from_pointee(directory));
        let changes = Changes::start(store, Arc::clone(&records), Arc::clone(&directory), clock.clone())?;
        Ok(Self { site, directory, changes, records, clock: clock.clone() })
    }
}

/// A store that no gateway has open.
pub(super) struct Closed {
    pub(super) path: PathBuf,
    root_key: RootKey,
}

impl Closed {
    /// The one in `data_dir`, which must be there.
    pub(super) fn at(data_dir: &Path, root_key_file: &Path) -> Result<Self, OpenError> {
        let path = data_dir.join(STORE_FILE);
        match root_key(root_key_file, &path)? {
            Some(root_key) => Ok(Self { path, root_key }),
            None => Err(OpenError::Store { path, source: StoreError::Missing }),
        }
    }

    /// Whose keys it has; `None` if there are none.
    pub(super) fn site(&self) -> Result<Option<Site>, OpenError> {
        Ok(self.load(|_| Owner::default(), |owner, row| owner.take(&row))?.site())
    }

    /// Its keys, which are those of `site`.
    pub(super) fn read(&self, site: &Site) -> Result<(Records, Directory), OpenError> {
        let begin = |id| Loader::new(Records::new(&self.root_key, id), site);
        let loaded = self.load(begin, |loader, row| loader.take(&row))?;
        loaded.finish().map_err(|source| OpenError::Row { path: self.path.clone(), source })
    }

    fn load<T>(&self, begin: impl FnOnce(StoreId) -> T, take: impl FnMut(&mut T, Row)) -> Result<T, OpenError> {
        let loaded = Store::load(&self.path, &self.root_key, begin, take);
        let (_, loaded) = loaded.map_err(|source| OpenError::Store { path: self.path.clone(), source })?;
        Ok(loaded)
    }
}

#[cfg(test)]
mod tests;
