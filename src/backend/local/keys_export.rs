//! `kmsgate keys export`: the keys of a store that no gateway has open, in a file of keys.

use std::collections::BTreeSet;
use std::path::Path;

use super::LocalBackend;
use super::directory::Directory;
use super::key::KeyView;
use super::open::{Closed, OpenError};
use super::records::Records;
use super::site::Site;
use super::store_id::StoreId;
use super::transport;
use super::transport_key::TransportKey;
use crate::aws::{AccountId, KeyId, Region};
use crate::faults::{Fault, Faults};
use crate::kms::Exception;
use crate::random::Exhausted;

/// Why keys were not exported or imported. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// What the caller named: files, keys.
    #[error(transparent)]
    Faults(#[from] Faults),
    /// The store or its root key.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store cannot be written.
    #[error("the keys are not stored: {}", .0.detail().unwrap_or_default())]
    Store(Exception),
    /// No random bytes.
    #[error(transparent)]
    Random(#[from] Exhausted),
}

/// A file of keys, and what is in it.
#[derive(Debug)]
pub struct Exported {
    /// The file. It holds no plaintext key material.
    pub file: Vec<u8>,
    /// The account that the keys belong to.
    pub account: AccountId,
    /// The regions of the store.
    pub regions: Vec<Region>,
    /// How many keys are in it.
    pub keys: usize,
    /// How many aliases are in it.
    pub aliases: usize,
    /// How many keys of the store are not in it, because they were not asked for.
    pub left_out: usize,
    /// How many of its keys have no key material in the store, and so none in the file.
    pub without_material: usize,
}

impl LocalBackend {
    /// Seals the keys of the store in `data_dir` under `transport`: those named in `wanted` by id, ARN or alias, or
    /// all if none is. Of a multi-Region key all relatives come along.
    ///
    /// # Errors
    ///
    /// [`TransportError`]: the store cannot be opened (one that a gateway has open among them), or there is no key of
    /// a name that was asked for.
    pub fn export(
        data_dir: &Path,
        root_key_file: &Path,
        transport: &TransportKey,
        wanted: &[String],
    ) -> Result<Exported, TransportError> {
        let store = Closed::at(data_dir, root_key_file)?;
        let nothing = || Fault::of_file(&store.path, "has no keys to export", "name the data directory of a gateway");
        let site = store.site()?.ok_or_else(|| Faults::from(nothing()))?;
        let (records, directory) = store.read(&site)?;
        let chosen = Chosen::of(&site, &directory, wanted)
            .map_err(|missing| Faults::from(Fault::of_file(&store.path, missing.0, "see ListKeys and ListAliases")))?;
        let file = StoreId::generate()?;
        let keys = transport.keys(&file);
        let records = records.of_file(file, transport.keys(&file).wrapping);
        let mut exported = Exported {
            file: Vec::new(),
            account: site.account,
            regions: site.regions.to_vec(),
            keys: 0,
            aliases: 0,
            left_out: 0,
            without_material: 0,
        };
        let mut rows = Vec::new();
        for key in every_key(&site, &directory) {
            if !chosen.has(key) {
                exported.left_out += 1;
                continue;
            }
            exported.keys += 1;
            exported.without_material += usize::from(key.materials.used().all(|version| version.sealer.is_none()));
            rows.push(records.key(key).map_err(TransportError::Store)?);
            let Ok(regional) = directory.region(key.arn.region()) else { continue };
            for name in &key.aliases {
                let Some(alias) = regional.aliases.get(name) else { continue };
                exported.aliases += 1;
                rows.push(Records::alias(key.arn.region(), name, alias.alias()).map_err(TransportError::Store)?);
            }
        }
        exported.file = transport::seal(&file, &keys, &rows);
        Ok(exported)
    }
}

/// All keys, by region and id.
pub(super) fn every_key<'d>(site: &'d Site, directory: &'d Directory) -> impl Iterator<Item = &'d KeyView> {
    let regions = site.regions.iter().filter_map(|region| directory.region(region).ok());
    regions.flat_map(|regional| regional.keys.values().map(AsRef::as_ref))
}

/// The keys that were asked for; `None` for all.
struct Chosen(Option<BTreeSet<KeyId>>);

/// Names that no key has.
struct NoSuchKey(String);

impl Chosen {
    fn of(site: &Site, directory: &Directory, wanted: &[String]) -> Result<Self, NoSuchKey> {
        if wanted.is_empty() {
            return Ok(Self(None));
        }
        let named = |key: &KeyView, name: &str| {
            let own = [key.id().as_str(), key.arn.as_str()].contains(&name);
            own || key.aliases.iter().any(|alias| alias.as_str() == name)
        };
        let mut ids = BTreeSet::new();
        let mut missing = Vec::new();
        for name in wanted {
            let found: Vec<_> = every_key(site, directory).filter(|key| named(key, name)).map(KeyView::id).collect();
            if found.is_empty() {
                missing.push(format!("`{name}`"));
            }
            ids.extend(found);
        }
        if missing.is_empty() {
            Ok(Self(Some(ids)))
        } else {
            Err(NoSuchKey(format!("has no key {}", missing.join(", "))))
        }
    }

    fn has(&self, key: &KeyView) -> bool {
        self.0.as_ref().is_none_or(|ids| ids.contains(&key.id()))
    }
}
