//! `kmsgate keys import`: the keys of a file of keys, put into a store that no gateway has open.

use std::path::Path;

use super::LocalBackend;
use super::additions::{self, Added, Addition, NotAdded};
use super::directory::Directory;
use super::key::KeyView;
use super::keys_export::{TransportError, every_key};
use super::loader::Loader;
use super::open::{Closed, OpenError};
use super::site::Site;
use super::store::StoreError;
use super::transport::{self, InvalidFile};
use super::transport_key::TransportKey;
use crate::aws::{AccountId, AliasName, Region};
use crate::clock::{Clock, Timestamp};
use crate::faults::{Fault, Faults};
use crate::grants::Grants;

/// What was imported.
#[derive(Debug)]
pub struct Imported {
    /// What was added, and what was there.
    pub added: Added,
    /// The account that the keys belong to.
    pub account: AccountId,
    /// The regions of the file's keys.
    pub regions: Vec<Region>,
}

/// A file of keys to be imported.
#[derive(Debug)]
pub struct ImportFile<'f> {
    /// Its name, for faults.
    pub name: &'f Path,
    /// What is in it.
    pub contents: &'f [u8],
    /// The key that it was exported with.
    pub transport: &'f TransportKey,
}

impl LocalBackend {
    /// Adds the keys of `file` to the store in `data_dir`, in one commit; store and root key are made where there is
    /// neither. `served` are the regions and the account of the gateway that the store is for; if they are not known,
    /// those of the keys that it has, or of the file's if it has none.
    ///
    /// # Errors
    ///
    /// [`TransportError`], and then nothing was added: the file is not what was exported with this transport key, a
    /// key of it contradicts one that is there, or the store cannot be opened or written.
    pub fn import(
        data_dir: &Path,
        root_key_file: &Path,
        served: Option<(&[Region], AccountId)>,
        file: &ImportFile<'_>,
        clock: &Clock,
    ) -> Result<Imported, TransportError> {
        let fault = |message: String, hint| Faults::from(Fault::of_file(file.name, message, hint));
        let invalid = |invalid: InvalidFile| fault(invalid.to_string(), invalid.hint());
        let (id, rows) = transport::open(file.contents, file.transport).map_err(invalid)?;
        let hint = "name the file that `kmsgate keys export` made";
        let from = Site::of_rows(&rows).ok_or_else(|| fault("has no keys".to_owned(), hint))?;
        let site = match served {
            Some((regions, account)) => Site::new(account, regions),
            None => site_in(data_dir, root_key_file)?.unwrap_or_else(|| from.clone()),
        };
        let backend = Self::open(data_dir, root_key_file, &site.regions, site.account, clock)?;
        let mut loader = Loader::new(backend.records.of_file(id, file.transport.keys(&id).wrapping), &from);
        for row in &rows {
            loader.take(row);
        }
        let (_, carried) = loader.finish().map_err(|unreadable| fault(unreadable.to_string(), hint))?;
        let additions = every_key(&from, &carried).map(|key| addition(key, &carried)).collect();
        let added = backend.add(move |_, _: Timestamp| additions).map_err(|not_added| match not_added {
            NotAdded::Store(exception) => TransportError::Store(exception),
            NotAdded::Contradictions(found) => additions::faults(file.name, found).into(),
        })?;
        Ok(Imported { added, account: from.account, regions: from.regions.to_vec() })
    }
}

/// Whose keys are in a store, if there is one and it has any.
fn site_in(data_dir: &Path, root_key_file: &Path) -> Result<Option<Site>, OpenError> {
    match Closed::at(data_dir, root_key_file).and_then(|store| store.site()) {
        Err(OpenError::Store { source: StoreError::Missing, .. }) => Ok(None),
        site => site,
    }
}

fn addition(key: &KeyView, carried: &Directory) -> Addition {
    let regional = carried.region(key.arn.region()).ok();
    let dated = |name: &AliasName| Some((name.clone(), regional?.aliases.get(name)?.alias()));
    let aliases = key.aliases.iter().filter_map(dated).collect();
    Addition {
        place: String::new(),
        key: KeyView { aliases: Box::default(), grants: Grants::default(), ..key.clone() },
        aliases,
    }
}

#[cfg(test)]
mod tests;
