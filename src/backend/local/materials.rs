//! The versions of one key's material: the current one encrypts, and older ones still decrypt.

use std::sync::Arc;

use super::message::Sealer;
use crate::aws::KeyMaterialId;
use crate::clock::Timestamp;

/// How a version took the place of the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RotationType {
    /// On its due date.
    Automatic,
    /// By `RotateKeyOnDemand`.
    OnDemand,
}

impl RotationType {
    /// As `ListKeyRotations` has it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Automatic => "AUTOMATIC",
            Self::OnDemand => "ON_DEMAND",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        [Self::Automatic, Self::OnDemand].into_iter().find(|kind| kind.name() == name)
    }
}

/// The `ExpirationModel` of material that ends.
pub(super) const EXPIRES: &str = "KEY_MATERIAL_EXPIRES";
/// The `ExpirationModel` of material that does not.
pub(super) const DOES_NOT_EXPIRE: &str = "KEY_MATERIAL_DOES_NOT_EXPIRE";

/// What is known of material that was imported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Import {
    /// What the importer wrote of it.
    pub(super) description: Box<str>,
    /// When it is deleted by itself; `None` if never.
    pub(super) expires: Option<Timestamp>,
}

impl Import {
    /// As `ExpirationModel` has it.
    pub(super) const fn expiration_model(&self) -> &'static str {
        if self.expires.is_some() { EXPIRES } else { DOES_NOT_EXPIRE }
    }
}

/// One version.
#[derive(Clone)]
pub(super) struct Version {
    /// Its id, which every ciphertext made with it names.
    pub(super) id: KeyMaterialId,
    /// The material; `None` while imported material is not there, because it was deleted or has expired.
    pub(super) sealer: Option<Arc<Sealer>>,
    /// When and how it came in the place of another; `None` for a key's first.
    pub(super) rotated: Option<(Timestamp, RotationType)>,
    /// Of imported material.
    pub(super) import: Option<Arc<Import>>,
}

impl Version {
    /// A key's first version, made here.
    pub(super) fn first(sealer: Arc<Sealer>) -> Self {
        Self { id: sealer.material().id(), sealer: Some(sealer), rotated: None, import: None }
    }

    /// When it is deleted by itself, if it is there and that is so.
    pub(super) fn expires(&self) -> Option<Timestamp> {
        self.import.as_ref().filter(|_| self.sealer.is_some())?.expires
    }
}

/// All versions of one key. Asymmetric and HMAC keys have none.
#[derive(Clone, Default)]
pub(super) struct Materials {
    /// What encrypts. Of a key pending import, the version that did, if there ever was one.
    pub(super) current: Option<Version>,
    /// What encrypted once, oldest first.
    pub(super) older: Option<Arc<Vec<Version>>>,
    /// Imported, to be the current one after `RotateKeyOnDemand`.
    pub(super) pending: Option<Arc<Version>>,
}

impl Materials {
    /// Of a new key.
    pub(super) fn new(first: Version) -> Self {
        Self { current: Some(first), older: None, pending: None }
    }

    /// Those that encrypt or did, oldest first.
    pub(super) fn used(&self) -> impl Iterator<Item = &Version> {
        self.older.iter().flat_map(|older| older.iter()).chain(&self.current)
    }

    /// All of them, oldest first.
    pub(super) fn all(&self) -> impl Iterator<Item = &Version> {
        self.used().chain(self.pending.as_deref())
    }

    /// The version of that id.
    pub(super) fn version(&self, id: KeyMaterialId) -> Option<&Version> {
        self.current.iter().find(|version| version.id == id).or_else(|| self.all().find(|version| version.id == id))
    }

    /// Whether there is material, and none of it is missing.
    pub(super) fn complete(&self) -> bool {
        self.current.is_some() && self.used().all(|version| version.sealer.is_some())
    }

    /// These, with `next` in the place of the current one, which only decrypts from then on.
    pub(super) fn rotated(&self, next: Version) -> Self {
        Self { older: Some(Arc::new(self.used().cloned().collect())), current: Some(next), pending: None }
    }

    /// These, each as `change` has it.
    pub(super) fn map(&self, change: impl Fn(&Version) -> Version) -> Self {
        Self {
            older: self.older.as_ref().map(|older| Arc::new(older.iter().map(&change).collect())),
            current: self.current.as_ref().map(&change),
            pending: self.pending.as_deref().map(&change).map(Arc::new),
        }
    }

    /// These, without the secrets of the versions that expired by `now`. One that was only pending is gone.
    pub(super) fn without_expired(&self, now: Timestamp) -> Self {
        let expired = |version: &Version| version.expires().is_some_and(|date| date <= now);
        let rest = self.map(|version| match version {
            version if expired(version) => Version { sealer: None, ..version.clone() },
            other => other.clone(),
        });
        Self { pending: self.pending.clone().filter(|pending| !expired(pending)), ..rest }
    }

    /// When the first version expires, of those that do.
    pub(super) fn expires(&self) -> Option<Timestamp> {
        self.all().filter_map(Version::expires).min()
    }
}
