//! Seeds: keys with given ids, aliases and tags, which a gateway makes at its start where they are not there yet.
//!
//! What is there is left alone, so that the same file is read at every start: what clients have described, tagged,
//! switched off or rotated since stays so, and a key that was deleted since is made again. All that is missing is made
//! in one commit. What contradicts the file stops the start.
//!
//! `danger_material` gives the key material itself, for tests that must open the same ciphertexts everywhere. Such a
//! key protects nothing from whoever has read the file.

mod file;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::additions::{self, Added, Addition, NotAdded};
use super::directory::Alias;
use super::key::{KeyState, KeyView, MultiRegion, Origin};
use super::key_spec::{KeySpec, KeyUsage};
use super::material::{KeyMaterial, SECRET_BYTES};
use super::materials::{Materials, Version};
use super::records::Records;
use super::{AttachedPolicy, LocalBackend};
use crate::aws::{AliasName, KeyArn, Tags};
use crate::clock::Timestamp;
use crate::faults::Faults;
use crate::grants::Grants;
use crate::kms::Exception;
use crate::limits::Subject;
use crate::secret::Secret;

/// The keys of one file.
#[derive(Debug)]
pub struct Seeds {
    file: PathBuf,
    keys: Vec<Seed>,
}

/// One `[[keys]]` table.
#[derive(Debug)]
struct Seed {
    arn: KeyArn,
    description: Box<str>,
    enabled: bool,
    spec: KeySpec,
    usage: KeyUsage,
    origin: Origin,
    tags: Tags,
    policy: Arc<AttachedPolicy>,
    aliases: Vec<AliasName>,
    danger_material: Option<Secret<[u8; SECRET_BYTES]>>,
}

/// Why a store was not seeded. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// The file contradicts the store.
    #[error(transparent)]
    Faults(#[from] Faults),
    /// The store cannot be written.
    #[error("the seeds are not stored: {}", .0.detail().unwrap_or_default())]
    Store(Exception),
}

impl Seeds {
    /// The file that they were read from.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// How many keys there are in it.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether it has no key.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

impl LocalBackend {
    /// Makes the keys and aliases of `seeds` that are not there yet, in one commit. Blocks until they are stored.
    ///
    /// # Errors
    ///
    /// [`SeedError`]: what is there contradicts the seeds, or the store cannot be written.
    pub fn seed(&self, seeds: &Arc<Seeds>) -> Result<Added, SeedError> {
        let wanted = Arc::clone(seeds);
        let additions = move |records: &Records, now: Timestamp| {
            let keys = wanted.keys.iter().enumerate();
            keys.map(|(index, seed)| seed.addition(index, records, now)).collect()
        };
        let added = self.add(additions).map_err(|not_added| match not_added {
            NotAdded::Store(exception) => SeedError::Store(exception),
            NotAdded::Contradictions(found) => additions::faults(&seeds.file, found).into(),
        })?;
        let Added { keys, left_alone, aliases } = added;
        tracing::info!(file = %seeds.file.display(), keys, left_alone, aliases, "seeded");
        for seed in seeds.keys.iter().filter(|seed| seed.danger_material.is_some()) {
            let key = seed.arn.as_str();
            tracing::warn!(key, "danger_material: whoever has read the seeds has this key, which is for tests alone");
        }
        Ok(added)
    }
}

impl Seed {
    fn addition(&self, index: usize, records: &Records, now: Timestamp) -> Addition {
        let arn = self.arn.clone();
        let given = self.danger_material.as_ref().map(|secret| KeyMaterial::seeded(arn.id(), secret.expose()));
        let materials = given.map(|material| Materials::new(Version::first(records.sealer(&arn, material))));
        let primary = || Arc::new(MultiRegion { primary: arn.region().clone(), replicas: Vec::new() });
        let alias = Alias { target: arn.id(), created: now, updated: now };
        let key = KeyView {
            created: now,
            description: self.description.clone(),
            state: match (self.origin, self.enabled) {
                (Origin::External, _) => KeyState::PendingImport,
                (Origin::AwsKms, true) => KeyState::Enabled,
                (Origin::AwsKms, false) => KeyState::Disabled,
            },
            spec: self.spec,
            usage: self.usage,
            origin: self.origin,
            multi_region: arn.id().multi_region().then(primary),
            rotation: None,
            tags: self.tags.clone(),
            policy: Arc::clone(&self.policy),
            aliases: Box::default(),
            grants: Grants::default(),
            quota: Subject::of(arn.as_str()),
            materials: materials.unwrap_or_default(),
            arn,
        };
        let aliases = self.aliases.iter().map(|name| (name.clone(), alias)).collect();
        Addition { place: format!("keys[{index}]"), key, aliases }
    }
}

#[cfg(test)]
mod tests;
