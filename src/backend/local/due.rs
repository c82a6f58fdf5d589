//! What happens to keys by itself, on its due date: deletion, automatic rotation, the end of imported material.

use std::sync::Arc;

use super::changes::Edit;
use super::directory::Directory;
use super::import;
use super::key::{KeyView, Rotation};
use super::manage::DAY;
use super::materials::RotationType;
use super::multi_region;
use super::records::Records;
use super::rotation;
use crate::clock::Timestamp;
use crate::kms::Exception;

/// What happened, by CloudTrail's name of the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A key's waiting period ended.
    DeleteKey,
    /// A key has new material.
    RotateKey,
    /// Imported material came to its end.
    DeleteExpiredKeyMaterial,
}

impl Event {
    /// CloudTrail's `eventName`.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::DeleteKey => "DeleteKey",
            Self::RotateKey => "RotateKey",
            Self::DeleteExpiredKeyMaterial => "DeleteExpiredKeyMaterial",
        }
    }
}

/// Plans what is due of a key that [`Directory::due`] named: one thing at a time, deletion before all others.
pub(super) fn plan(
    records: &Records,
    directory: &Directory,
    key: &Arc<KeyView>,
    now: Timestamp,
) -> Result<(Vec<Edit>, Event), Exception> {
    if key.state.deletion_date().is_some_and(|date| date <= now) {
        return Ok((multi_region::remove(directory, key, now), Event::DeleteKey));
    }
    if key.materials.expires().is_some_and(|date| date <= now) {
        let rest = import::without_expired(key, now);
        return Ok((vec![Edit::key(KeyView::clone(&rest))], Event::DeleteExpiredKeyMaterial));
    }
    let next = key.rotation.map(|rotation| after(rotation, now));
    let rotated = (now, RotationType::Automatic);
    Ok((rotation::give_new_material(records, directory, key, next, rotated)?, Event::RotateKey))
}

/// The dates of one who keeps them stay a period apart. Where one went by, because the key was disabled or nothing
/// ran, it is made up for once, and periods are counted from then on (API reference, `GetKeyRotationStatus`).
fn after(kept: Rotation, now: Timestamp) -> Rotation {
    let missed = now.since(kept.next) >= DAY;
    Rotation::every(kept.period_days, if missed { now } else { kept.next })
}

#[cfg(test)]
mod tests;
