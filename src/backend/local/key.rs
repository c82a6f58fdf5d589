//! One KMS key as it is at one moment: what requests are judged by and answered from.
//!
//! A change of a key makes a new view; whoever took the old one keeps it to the end of its request.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::attached_policy::AttachedPolicy;
use super::key_spec::{KeySpec, KeyUsage};
use super::material::KeyMaterial;
use super::materials::Materials;
use super::message::Sealer;
use crate::aws::{AliasName, KeyArn, KeyId, KeyMaterialId, Region, Tags};
use crate::clock::Timestamp;
use crate::grants::Grants;
use crate::kms::Exception;
use crate::limits::Subject;

/// What symmetric keys encrypt by.
pub const ENCRYPTION_ALGORITHM: &str = "SYMMETRIC_DEFAULT";

/// Whether a key may be used, and if not, why.
///
/// KMS has three more states, which no key is ever in here: `Creating` and `Updating`, because a change is made at
/// once, and `Unavailable`, because there are no custom key stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// It may be used.
    Enabled,
    /// Somebody switched it off.
    Disabled,
    /// Its material is yet to be imported, or was deleted, or has expired.
    PendingImport,
    /// It will be deleted at that time.
    PendingDeletion(Timestamp),
    /// It is a primary key to be deleted once its replicas are, and then that many days later.
    PendingReplicaDeletion {
        /// The waiting period.
        days: u32,
    },
}

impl KeyState {
    /// As `KeyMetadata` has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enabled => "Enabled",
            Self::Disabled => "Disabled",
            Self::PendingImport => "PendingImport",
            Self::PendingDeletion(_) => "PendingDeletion",
            Self::PendingReplicaDeletion { .. } => "PendingReplicaDeletion",
        }
    }

    /// When the key will be deleted, if that is known.
    #[must_use]
    pub const fn deletion_date(self) -> Option<Timestamp> {
        match self {
            Self::PendingDeletion(date) => Some(date),
            _ => None,
        }
    }
}

/// Where a key's material comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Made here.
    AwsKms,
    /// Imported.
    External,
}

impl Origin {
    /// As `KeyMetadata` has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AwsKms => "AWS_KMS",
            Self::External => "EXTERNAL",
        }
    }

    /// The origin of that name, of those that are served.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::AwsKms, Self::External].into_iter().find(|origin| origin.name() == name)
    }
}

/// When a key is given new material by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// From one rotation to the next.
    pub period_days: u32,
    /// The next one.
    pub next: Timestamp,
}

impl Rotation {
    /// Every so many days, counted from `now`.
    #[must_use]
    pub fn every(period_days: u32, now: Timestamp) -> Self {
        Self { period_days, next: now.plus(Duration::from_hours(24) * period_days) }
    }
}

/// The keys, in several regions, of one id and one material.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MultiRegion {
    /// Where the primary key is.
    pub primary: Region,
    /// Where its replicas are, sorted.
    pub replicas: Vec<Region>,
}

/// A KMS key at one moment.
#[derive(Clone)]
pub struct KeyView {
    /// Its ARN, which holds its region and id.
    pub arn: KeyArn,
    /// When it was made.
    pub created: Timestamp,
    /// Free text; may be empty.
    pub description: Box<str>,
    /// Whether it may be used.
    pub state: KeyState,
    /// What kind of key it is.
    pub spec: KeySpec,
    /// What it is for.
    pub usage: KeyUsage,
    /// Where its material comes from.
    pub origin: Origin,
    /// Its relatives, of a multi-Region key.
    pub multi_region: Option<Arc<MultiRegion>>,
    /// Its automatic rotation, if that is on.
    pub rotation: Option<Rotation>,
    /// Its tags, in the order given.
    pub tags: Tags,
    /// Who may use it and change it.
    pub policy: Arc<AttachedPolicy>,
    /// The aliases that point to it, sorted.
    pub aliases: Box<[AliasName]>,
    /// What it lets whom do beside all policies.
    pub grants: Grants,
    /// Whose quota requests for it use up.
    pub quota: Subject,
    /// What encrypts under it, and what did.
    pub(super) materials: Materials,
}

impl KeyView {
    /// The key's id.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.arn.id()
    }

    /// What encrypts under this key now.
    ///
    /// # Errors
    ///
    /// A key that its state and usage let encrypt has material, so this is never seen.
    pub(super) fn sealer(&self) -> Result<&Sealer, Exception> {
        let current = self.materials.current.as_ref().and_then(|version| version.sealer.as_deref());
        current.ok_or_else(|| Exception::kms_internal().with_detail("the key has no key material"))
    }

    /// The material of that id, if it is this key's and is there.
    pub(super) fn material(&self, id: KeyMaterialId) -> Option<&KeyMaterial> {
        Some(self.materials.version(id)?.sealer.as_ref()?.material())
    }

    /// Whether what was encrypted under the key of that ARN was encrypted under this one: multi-Region keys of one id
    /// share their material.
    pub(super) fn same_material_as(&self, arn: &KeyArn) -> bool {
        self.arn == *arn || (self.id().multi_region() && self.id() == arn.id() && self.arn.account() == arn.account())
    }

    /// Whether it is a replica of a multi-Region key.
    #[must_use]
    pub fn is_replica(&self) -> bool {
        self.multi_region.as_ref().is_some_and(|keys| keys.primary != *self.arn.region())
    }

    /// Whether it is the primary of a multi-Region key that has replicas.
    #[must_use]
    pub fn has_replicas(&self) -> bool {
        self.multi_region.as_ref().is_some_and(|keys| keys.primary == *self.arn.region() && !keys.replicas.is_empty())
    }

    /// When something happens to the key by itself: it is deleted, rotated, or its imported material expires.
    pub(super) fn due(&self) -> Option<Timestamp> {
        let rotates = self.state == KeyState::Enabled && !self.is_replica();
        let rotation = self.rotation.filter(|_| rotates).map(|rotation| rotation.next);
        [self.state.deletion_date(), rotation, self.materials.expires()].into_iter().flatten().min()
    }
}

impl fmt::Debug for KeyView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyView").field("arn", &self.arn).field("state", &self.state).finish_non_exhaustive()
    }
}
