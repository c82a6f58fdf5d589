//! Imported key material: `GetParametersForImport`, `ImportKeyMaterial` and `DeleteImportedKeyMaterial`, for symmetric
//! keys of the origin `EXTERNAL`.
//!
//! A key's first import is its current material for good. Other material can be imported to take its place by
//! `RotateKeyOnDemand`; until then it waits, and is not the key's yet. What was deleted or has expired can be imported
//! again, known by its id.

use std::sync::Arc;
use std::time::Duration;

use super::changes::{Edit, Planned};
use super::directory::Directory;
use super::import_token::{ImportToken, InvalidToken};
use super::import_wrapping::{self, NotUnwrapped, WrappingAlgorithm, wrapping_key_spec};
use super::key::{KeyState, KeyView, Origin};
use super::material::KeyMaterial;
use super::materials::{DOES_NOT_EXPIRE, EXPIRES, Import, Materials, Version};
use super::records::Records;
use super::{Keys, current, main_key, states};
use crate::aws::{KeyMaterialId, Member};
use crate::clock::Timestamp;
use crate::kms::{Answer, Exception, ExceptionKind, Input, JsonObject};

/// `ExpirationModel` when it is not sent.
pub const DEFAULT_EXPIRATION_MODEL: &str = EXPIRES;
/// How far ahead the end of imported material may be (API reference, `ImportKeyMaterial`).
const LONGEST_VALIDITY: Duration = Duration::from_hours(365 * 24);

/// Answers `GetParametersForImport`. Slow: an RSA key is made.
pub(super) fn parameters(records: &Records, input: &Input, keys: &Keys, now: Timestamp) -> Result<Answer, Exception> {
    let key = main_key(keys)?;
    takes_imports(key)?;
    states::permits(input.operation(), key)?;
    let unserved =
        |member, name| Exception::unsupported(format!("{member} {name} is not served by kmsgate's local backend."));
    let name = input.string(Member::WrappingAlgorithm).unwrap_or_default();
    let wrapping_algorithm = WrappingAlgorithm::of(name).ok_or_else(|| unserved("WrappingAlgorithm", name))?;
    let name = input.string(Member::WrappingKeySpec).unwrap_or_default();
    let spec = wrapping_key_spec(name).ok_or_else(|| unserved("WrappingKeySpec", name))?;
    symmetric(key)?;
    let pair = spec.generate()?;
    let token = ImportToken { wrapping_algorithm, issued: now, private_key: pair.private };
    let body = JsonObject::with_capacity(8192)
        .blob("ImportToken", &records.seal_import_token(&token, &key.arn)?)
        .text("KeyId", key.arn.as_str())
        .timestamp("ParametersValidTo", token.expires())
        .blob("PublicKey", &pair.public);
    Ok(Answer::new(body.finish()))
}

/// Plans `ImportKeyMaterial`, of which `imported` is what [`unwrapped`] came to.
pub(super) fn import(
    records: &Records,
    directory: &Directory,
    input: &Input,
    keys: &Keys,
    imported: Option<Result<KeyMaterial, Exception>>,
    now: Timestamp,
) -> Planned {
    let expires = expiry(input, now)?;
    let named = named(input)?;
    let asked_new = asked_new(input)?;
    let key = current(directory, keys)?;
    takes_imports(key)?;
    states::permits(input.operation(), key)?;
    symmetric(key)?;
    let material = imported.ok_or_else(|| Exception::kms_internal().with_detail("nothing was unwrapped"))??;
    let id = material.id();
    if named.is_some_and(|named| named != id) || !known_to_primary(directory, key, id) {
        return Err(Exception::incorrect_key_material());
    }
    let kept = key.materials.version(id).and_then(|version| version.import.as_deref());
    let description = input.string(Member::KeyMaterialDescription).map(Box::from);
    let description = description.or_else(|| kept.map(|import| import.description.clone())).unwrap_or_default();
    let version = Version {
        import: Some(Arc::new(Import { description, expires })),
        ..Version::first(records.sealer(&key.arn, material))
    };
    let materials = with_import(key, asked_new, version)?;
    Ok((vec![Edit::key(with_materials(key, materials))], answered(key, Some(id))))
}

/// Plans `DeleteImportedKeyMaterial`: of the current material, unless another is named. What is not there any more is
/// deleted already.
pub(super) fn delete(directory: &Directory, input: &Input, keys: &Keys) -> Planned {
    let named = named(input)?;
    let key = current(directory, keys)?;
    takes_imports(key)?;
    states::permits(input.operation(), key)?;
    symmetric(key)?;
    let version = match named {
        Some(id) => Some(key.materials.version(id).ok_or_else(|| no_such_material(key, id))?),
        None => key.materials.current.as_ref(),
    };
    let Some(id) = version.map(|version| version.id) else { return Ok((Vec::new(), answered(key, None))) };
    let materials = match &key.materials.pending {
        // It was never the key's own, and leaves no trace.
        Some(pending) if pending.id == id => Materials { pending: None, ..key.materials.clone() },
        _ => key.materials.map(|version| match version {
            version if version.id == id => Version { sealer: None, ..version.clone() },
            other => other.clone(),
        }),
    };
    Ok((vec![Edit::key(with_materials(key, materials))], answered(key, Some(id))))
}

/// The key without the material that has expired by `now`.
pub(super) fn without_expired(key: &Arc<KeyView>, now: Timestamp) -> Arc<KeyView> {
    match key.materials.expires() {
        Some(date) if date <= now => Arc::new(with_materials(key, key.materials.without_expired(now))),
        _ => Arc::clone(key),
    }
}

/// The key with these in the place of its materials: it waits for its imports while one that it has used is missing,
/// and can be used again once all are there.
fn with_materials(key: &KeyView, materials: Materials) -> KeyView {
    let state = match key.state {
        KeyState::Enabled | KeyState::Disabled if !materials.complete() => KeyState::PendingImport,
        KeyState::PendingImport if materials.complete() => KeyState::Enabled,
        other => other,
    };
    KeyView { state, materials, ..key.clone() }
}

/// The key's materials with one that was imported. Without an `ImportType` the first is new, and all others are there.
fn with_import(key: &KeyView, asked_new: Option<bool>, version: Version) -> Result<Materials, Exception> {
    let Materials { current, pending, .. } = &key.materials;
    let known = key.materials.version(version.id).is_some();
    let waits = pending.as_deref().is_some_and(|pending| pending.id == version.id);
    let replaced = || {
        key.materials.map(|old| match old {
            old if old.id == version.id => Version { rotated: old.rotated, ..version.clone() },
            other => other.clone(),
        })
    };
    if !asked_new.unwrap_or(current.is_none()) {
        return if known { Ok(replaced()) } else { Err(Exception::incorrect_key_material()) };
    }
    match pending.as_deref() {
        _ if waits => Ok(replaced()),
        _ if known => Err(Exception::incorrect_key_material()),
        _ if current.is_none() => Ok(Materials::new(version)),
        // KMS wants it imported into all relatives before it is rotated.
        _ if key.multi_region.is_some() => Err(Exception::unsupported(
            "New key material for multi-Region keys is not served by this version of kmsgate's local backend.",
        )),
        Some(pending) => {
            let (new, pending) = (version.id.to_string(), pending.id.to_string());
            Err(Exception::material_already_pending_rotation(&new, key.id().as_str(), &pending))
        }
        None => Ok(Materials { pending: Some(Arc::new(version)), ..key.materials.clone() }),
    }
}

/// Unwraps what was sent under the key of its token. Slow: milliseconds, for which no other change has to wait, so it
/// is done before the change is planned.
pub(super) fn unwrapped(
    records: &Records,
    input: &Input,
    keys: &Keys,
    now: Timestamp,
) -> Result<KeyMaterial, Exception> {
    let key = main_key(keys)?;
    let token = input.blob(Member::ImportToken).unwrap_or_default();
    let token = records.open_import_token(token, &key.arn, now)?;
    let wrapped = input.blob(Member::EncryptedKeyMaterial).unwrap_or_default();
    let secret = import_wrapping::unwrap(token.wrapping_algorithm, token.private_key.expose(), wrapped)?;
    Ok(KeyMaterial::imported(&key.arn, secret.expose()))
}

/// Replicas take the material of their primary key alone, so that what one of them encrypted the others decrypt.
fn known_to_primary(directory: &Directory, key: &KeyView, id: KeyMaterialId) -> bool {
    let Some(relatives) = key.multi_region.as_ref().filter(|_| key.is_replica()) else { return true };
    let primary = directory.region(&relatives.primary).ok().and_then(|regional| regional.key(key.id()));
    primary.is_some_and(|primary| primary.materials.version(id).is_some())
}

/// When the material ends; `None` if never. Only the first of the texts is recorded from KMS.
fn expiry(input: &Input, now: Timestamp) -> Result<Option<Timestamp>, Exception> {
    let valid_to = input.timestamp(Member::ValidTo);
    if input.string(Member::ExpirationModel).unwrap_or(DEFAULT_EXPIRATION_MODEL) == DOES_NOT_EXPIRE {
        return match valid_to {
            None => Ok(None),
            Some(_) => Err(Exception::validation(
                "A validTo date must not be set if the ExpirationModel is KEY_MATERIAL_DOES_NOT_EXPIRE",
            )),
        };
    }
    let date = valid_to.ok_or_else(Exception::valid_to_required)?;
    if date <= now || date > now.plus(LONGEST_VALIDITY) {
        return Err(Exception::validation("The validTo date must be in the future and at most 365 days from now"));
    }
    Ok(Some(date))
}

/// Whether the material is said to be new, if anything is said of that.
fn asked_new(input: &Input) -> Result<Option<bool>, Exception> {
    let new = input.string(Member::ImportType).map(|name| name == "NEW_KEY_MATERIAL");
    if new == Some(true) && input.string(Member::KeyMaterialId).is_some() {
        // KMS's text is not recorded.
        return Err(Exception::validation("KeyMaterialId cannot be set if the ImportType is NEW_KEY_MATERIAL"));
    }
    Ok(new)
}

/// The material that is meant, whose form the model has checked.
fn named(input: &Input) -> Result<Option<KeyMaterialId>, Exception> {
    let id = input.string(Member::KeyMaterialId).map(str::parse).transpose();
    id.map_err(|_| Exception::validation("KeyMaterialId is not 64 hexadecimal digits"))
}

/// Refuses keys whose material is made here.
fn takes_imports(key: &KeyView) -> Result<(), Exception> {
    match key.origin {
        Origin::External => Ok(()),
        Origin::AwsKms => Err(Exception::key_origin(key.arn.as_str(), key.origin.name())),
    }
}

fn symmetric(key: &KeyView) -> Result<(), Exception> {
    if key.spec.symmetric() {
        return Ok(());
    }
    Err(Exception::unsupported("Imports into asymmetric and HMAC keys are not served by kmsgate's local backend."))
}

/// Which error KMS has for it, and its text, is not recorded.
fn no_such_material(key: &KeyView, id: KeyMaterialId) -> Exception {
    Exception::new(ExceptionKind::NotFound, format!("Key material '{id}' of {} does not exist", key.arn))
}

fn answered(key: &KeyView, id: Option<KeyMaterialId>) -> Answer {
    let body = JsonObject::with_capacity(256).text("KeyId", key.arn.as_str());
    Answer::new(body.optional_text("KeyMaterialId", id.map(|id| id.to_string()).as_deref()).finish())
}

impl From<NotUnwrapped> for Exception {
    fn from(_: NotUnwrapped) -> Self {
        Self::invalid_ciphertext()
    }
}

impl From<InvalidToken> for Exception {
    fn from(error: InvalidToken) -> Self {
        match error {
            InvalidToken::NotOurs => Self::invalid_import_token(),
            InvalidToken::Expired => Self::expired_import_token(),
        }
    }
}

#[cfg(test)]
mod tests;
