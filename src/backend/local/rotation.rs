//! Rotation: new material in the place of a key's current one, on its due date or on demand. Older material still
//! decrypts what was encrypted with it.
//!
//! Only symmetric keys rotate, and of themselves only those whose material is made here. The refusal of a key of
//! another kind comes before that of its state, as the developer guide's table of key states has it.

use std::time::Duration;

use super::changes::{Edit, Planned};
use super::directory::Directory;
use super::key::{KeyState, KeyView, Origin, Rotation};
use super::material::KeyMaterial;
use super::materials::{RotationType, Version};
use super::pages::{self, Page};
use super::records::Records;
use super::{Keys, current, main_key, states};
use crate::aws::{KeyMaterialId, Member};
use crate::clock::Timestamp;
use crate::kms::{Answer, Exception, ExceptionKind, Input, JsonObject};

/// `RotationPeriodInDays` when it is not sent.
pub const DEFAULT_ROTATION_PERIOD_DAYS: u32 = 365;
/// AWS's quota of rotations on demand in a key's life.
const MOST_ON_DEMAND: usize = 25;
/// How long before an automatic rotation none is begun on demand (API reference, `RotateKeyOnDemand`).
const RESERVED: Duration = Duration::from_mins(20);
/// Entries of a page, and the most a caller may ask for (API reference, `ListKeyRotations`).
const USUAL_PAGE: usize = 100;
const LARGEST_PAGE: usize = 1000;

/// Plans `EnableKeyRotation`. The first rotation is a period from now, also where only the period changes.
pub(super) fn enable(directory: &Directory, input: &Input, keys: &Keys, now: Timestamp) -> Planned {
    let days = input.integer(Member::RotationPeriodInDays).and_then(|days| u32::try_from(days).ok());
    let rotation = Rotation::every(days.unwrap_or(DEFAULT_ROTATION_PERIOD_DAYS), now);
    set(directory, input, keys, Some(rotation))
}

/// Plans `DisableKeyRotation`.
pub(super) fn disable(directory: &Directory, input: &Input, keys: &Keys) -> Planned {
    set(directory, input, keys, None)
}

fn set(directory: &Directory, input: &Input, keys: &Keys, rotation: Option<Rotation>) -> Planned {
    let key = current(directory, keys)?;
    rotates_by_itself(key)?;
    states::permits(input.operation(), key)?;
    primary(key)?;
    let with_rotation = |key: &KeyView| Edit::key(KeyView { rotation, ..key.clone() });
    let edits = directory.sharing_material(key).map(with_rotation).collect();
    Ok((edits, Answer::empty()))
}

/// Answers `GetKeyRotationStatus`. A rotation on demand is done at once, so none is ever under way.
///
/// Which form of the key's id KMS answers is not recorded; it is the ARN, as that of `RotateKeyOnDemand` was.
pub(super) fn status(input: &Input, keys: &Keys) -> Result<Answer, Exception> {
    let key = main_key(keys)?;
    rotates_by_itself(key)?;
    states::permits(input.operation(), key)?;
    let body = JsonObject::with_capacity(256).text("KeyId", key.arn.as_str());
    // What is to be deleted is not rotated, and says so; whoever cancels the deletion has the rotation back.
    let going = matches!(key.state, KeyState::PendingDeletion(_) | KeyState::PendingReplicaDeletion { .. });
    let body = match key.rotation.filter(|_| !going) {
        None => body.boolean("KeyRotationEnabled", false),
        Some(rotation) => body
            .boolean("KeyRotationEnabled", true)
            .timestamp("NextRotationDate", rotation.next)
            .integer("RotationPeriodInDays", rotation.period_days.into()),
    };
    Ok(Answer::new(body.finish()))
}

/// Plans `RotateKeyOnDemand`.
pub(super) fn on_demand(
    records: &Records,
    directory: &Directory,
    input: &Input,
    keys: &Keys,
    now: Timestamp,
) -> Planned {
    let key = current(directory, keys)?;
    symmetric(key)?;
    states::permits(input.operation(), key)?;
    primary(key)?;
    let arn = key.arn.as_str();
    let on_demand = |version: &&Version| matches!(version.rotated, Some((_, RotationType::OnDemand)));
    if key.materials.used().filter(on_demand).count() >= MOST_ON_DEMAND {
        return Err(Exception::on_demand_rotations_limit(arn));
    }
    if key.rotation.is_some_and(|rotation| rotation.next.since(now) <= RESERVED) {
        // KMS's text is not recorded.
        return Err(Exception::bare(ExceptionKind::Conflict));
    }
    let rotated = (now, RotationType::OnDemand);
    let edits = match key.origin {
        Origin::AwsKms => give_new_material(records, directory, key, key.rotation, rotated)?,
        Origin::External => vec![take_pending(key, rotated)?],
    };
    let body = JsonObject::with_capacity(128).text("KeyId", arn).finish();
    Ok((edits, Answer::new(body)))
}

/// Plans new material, made here, for a key and for all that share its material, and their next rotation. This is the
/// one way in which a key that is there is given material of ours.
pub(super) fn give_new_material(
    records: &Records,
    directory: &Directory,
    key: &KeyView,
    rotation: Option<Rotation>,
    rotated: (Timestamp, RotationType),
) -> Result<Vec<Edit>, Exception> {
    let material = KeyMaterial::generate()?;
    let give = |key: &KeyView| {
        let material = KeyMaterial::from_parts(material.id(), material.secret());
        let version = Version { rotated: Some(rotated), ..Version::first(records.sealer(&key.arn, material)) };
        Edit::key(KeyView { materials: key.materials.rotated(version), rotation, ..key.clone() })
    };
    Ok(directory.sharing_material(key).map(give).collect())
}

/// Imported material, in the place of the current one.
fn take_pending(key: &KeyView, rotated: (Timestamp, RotationType)) -> Result<Edit, Exception> {
    let pending = key.materials.pending.as_deref();
    let pending = pending.ok_or_else(|| Exception::no_material_pending_rotation(key.arn.as_str()))?;
    let version = Version { rotated: Some(rotated), ..pending.clone() };
    Ok(Edit::key(KeyView { materials: key.materials.rotated(version), ..key.clone() }))
}

/// Answers `ListKeyRotations`, the oldest first. In which order KMS has them, and in which form the key's id, is not
/// recorded.
pub(super) fn list(input: &Input, keys: &Keys) -> Result<Answer, Exception> {
    let page = Page::of(input, USUAL_PAGE, LARGEST_PAGE)?;
    let after = page.after(|text| text.parse::<KeyMaterialId>().ok())?;
    let key = main_key(keys)?;
    symmetric(key)?;
    states::permits(input.operation(), key)?;
    let every = input.string(Member::IncludeKeyMaterial) == Some("ALL_KEY_MATERIAL");
    let mut listed = key.materials.all().filter(|version| every || version.rotated.is_some());
    if let Some(after) = after {
        let marked = listed.find(|version| version.id == after);
        marked.ok_or_else(|| Exception::bare(ExceptionKind::InvalidMarker))?;
    }
    let (versions, more) = page.cut(listed);
    let next = more.then(|| versions.last().map(|version| version.id.to_string())).flatten();
    let entries = versions.iter().map(|version| entry(key, version));
    let body = JsonObject::with_capacity(64 + 384 * versions.len()).objects("Rotations", entries);
    Ok(Answer::new(pages::finish(body, next.as_deref())))
}

fn entry(key: &KeyView, version: &Version) -> JsonObject {
    let is = |other: Option<&Version>| other.is_some_and(|other| other.id == version.id);
    let state = match &key.materials {
        materials if is(materials.current.as_ref()) => "CURRENT",
        materials if is(materials.pending.as_deref()) => "PENDING_ROTATION",
        _ => "NON_CURRENT",
    };
    let mut entry = JsonObject::with_capacity(384)
        .text("KeyId", key.arn.as_str())
        .text("KeyMaterialId", version.id.hex().as_str())
        .text("KeyMaterialState", state);
    if let Some(import) = &version.import {
        let described = Some(import.description.as_ref()).filter(|text| !text.is_empty());
        entry = entry
            .optional_text("KeyMaterialDescription", described)
            .text("ImportState", if version.sealer.is_some() { "IMPORTED" } else { "PENDING_IMPORT" });
        // As `KeyMetadata`, it says of material alone that is there when it ends.
        if version.sealer.is_some() {
            entry = entry.text("ExpirationModel", import.expiration_model());
        }
        if let Some(date) = version.expires() {
            entry = entry.timestamp("ValidTo", date);
        }
    }
    match version.rotated {
        Some((at, kind)) => entry.timestamp("RotationDate", at).text("RotationType", kind.name()),
        None => entry,
    }
}

/// Refuses keys of a kind that has one material for ever.
fn symmetric(key: &KeyView) -> Result<(), Exception> {
    if key.spec.symmetric() { Ok(()) } else { Err(Exception::unsuitable_key()) }
}

/// Refuses keys that are not rotated by themselves.
fn rotates_by_itself(key: &KeyView) -> Result<(), Exception> {
    symmetric(key)?;
    match key.origin {
        Origin::AwsKms => Ok(()),
        Origin::External => Err(Exception::key_origin(key.arn.as_str(), key.origin.name())),
    }
}

/// Refuses replicas: they follow their primary key.
fn primary(key: &KeyView) -> Result<(), Exception> {
    if key.is_replica() { Err(Exception::not_multi_region_primary(key.arn.as_str())) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
