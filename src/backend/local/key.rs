//! One KMS key as it is at one moment: what requests are judged by and answered from.
//!
//! A change of a key makes a new view; whoever took the old one keeps it to the end of its request.

use std::fmt;
use std::sync::Arc;

use super::material::KeyMaterial;
use super::message::Sealer;
use crate::aws::{AliasName, KeyArn, KeyId, KeyMaterialId, Tags};
use crate::clock::Timestamp;
use crate::limits::Subject;

/// A key's specification. Others than the symmetric one are not served yet.
pub const KEY_SPEC: &str = "SYMMETRIC_DEFAULT";
/// What such keys encrypt by; KMS has one name for both.
pub const ENCRYPTION_ALGORITHM: &str = "SYMMETRIC_DEFAULT";
/// What the keys are for.
pub const KEY_USAGE: &str = "ENCRYPT_DECRYPT";
/// Where their material comes from.
pub const KEY_ORIGIN: &str = "AWS_KMS";

/// Whether a key may be used, and if not, why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// It may be used.
    Enabled,
    /// Somebody switched it off.
    Disabled,
    /// It will be deleted at that time.
    PendingDeletion(Timestamp),
}

impl KeyState {
    /// As `KeyMetadata` has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enabled => "Enabled",
            Self::Disabled => "Disabled",
            Self::PendingDeletion(_) => "PendingDeletion",
        }
    }

    /// When the key will be deleted, if it will.
    #[must_use]
    pub const fn deletion_date(self) -> Option<Timestamp> {
        match self {
            Self::PendingDeletion(date) => Some(date),
            Self::Enabled | Self::Disabled => None,
        }
    }
}

/// A KMS key at one moment.
#[derive(Clone)]
pub struct KeyView {
    /// Its ARN, which holds its id.
    pub arn: KeyArn,
    /// When it was made.
    pub created: Timestamp,
    /// Free text; may be empty.
    pub description: Box<str>,
    /// Whether it may be used.
    pub state: KeyState,
    /// Its tags, in the order given.
    pub tags: Tags,
    /// The aliases that point to it, sorted.
    pub aliases: Vec<AliasName>,
    /// Whose quota requests for it use up.
    pub quota: Subject,
    /// What encrypts under it.
    pub(super) sealer: Arc<Sealer>,
}

impl KeyView {
    /// The key's id.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.arn.id()
    }

    /// The material of that id, if it is this key's.
    pub(super) fn material(&self, id: KeyMaterialId) -> Option<&KeyMaterial> {
        Some(self.sealer.material()).filter(|material| material.id() == id)
    }
}

impl fmt::Debug for KeyView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyView").field("arn", &self.arn).field("state", &self.state).finish_non_exhaustive()
    }
}
