//! `CreateKey`, planned.

use std::sync::Arc;

use super::changes::{Edit, Planned};
use super::directory::Directory;
use super::key::{KeyState, KeyView, MultiRegion, Origin};
use super::key_spec::{KeySpec, KeyUsage};
use super::material::KeyMaterial;
use super::materials::{Materials, Version};
use super::operations::Change;
use super::records::Records;
use super::{Site, key_policy, metadata, tags};
use crate::aws::{KeyArn, Member, Region, Tags};
use crate::clock::Timestamp;
use crate::grants::Grants;
use crate::kms::{Answer, Exception, Input, JsonObject};
use crate::limits::Subject;
use crate::random::{self, Exhausted};

/// AWS's quota of keys for each account and region.
const MOST_KEYS: usize = 100_000;

/// What is asked of a new key.
pub(super) struct NewKey {
    pub(super) spec: KeySpec,
    pub(super) usage: KeyUsage,
    pub(super) origin: Origin,
    pub(super) multi_region: bool,
    pub(super) description: Box<str>,
    pub(super) tags: Tags,
}

impl NewKey {
    /// What `CreateKey` makes when it is asked for nothing.
    pub(super) fn usual(description: &str) -> Self {
        Self {
            spec: KeySpec::SymmetricDefault,
            usage: KeyUsage::EncryptDecrypt,
            origin: Origin::AwsKms,
            multi_region: false,
            description: description.into(),
            tags: Tags::default(),
        }
    }
}

/// Plans the key that `CreateKey` asks for.
pub(super) fn create(change: &Change<'_>) -> Planned {
    let Change { site, records, directory, region, input, now, .. } = change;
    let asked = asked(input)?;
    within_quota(directory, region)?;
    let key = new_key(site, region, records, asked, *now)?;
    let policy = key_policy::of_new_key(change, &key.arn)?;
    let key = KeyView { policy, ..key };
    let answer = JsonObject::with_capacity(1024).object("KeyMetadata", metadata::answered(&key)).finish();
    let answer = Answer { created: Some((&key.arn).into()), ..Answer::new(answer) };
    Ok((vec![Edit::key(key)], answer))
}

/// Whether one key more may be in `region`.
pub(super) fn within_quota(directory: &Directory, region: &Region) -> Result<(), Exception> {
    if directory.region(region)?.keys.len() >= MOST_KEYS {
        // KMS's text is not recorded.
        return Err(Exception::limit_exceeded(format!("{MOST_KEYS} keys are there, which is the quota.")));
    }
    Ok(())
}

/// A new key, with material of its own if it is one to make data keys with.
pub(super) fn new_key(
    site: &Site,
    region: &Region,
    records: &Records,
    asked: NewKey,
    now: Timestamp,
) -> Result<KeyView, Exhausted> {
    let uuid = random::uuid()?;
    let id = if asked.multi_region { format!("mrk-{}", uuid.replace('-', "")) } else { uuid };
    let arn = KeyArn::new(region, site.account, id.parse().map_err(|_| Exhausted)?);
    // No operation uses the material of asymmetric and HMAC keys yet, so they have none.
    let materials = match asked.origin {
        Origin::AwsKms if asked.spec.symmetric() => {
            Materials::new(Version::first(records.sealer(&arn, KeyMaterial::generate()?)))
        }
        _ => Materials::default(),
    };
    let state = match asked.origin {
        Origin::AwsKms => KeyState::Enabled,
        Origin::External => KeyState::PendingImport,
    };
    let multi_region = MultiRegion { primary: region.clone(), replicas: Vec::new() };
    Ok(KeyView {
        created: now,
        description: asked.description,
        state,
        spec: asked.spec,
        usage: asked.usage,
        origin: asked.origin,
        multi_region: asked.multi_region.then(|| Arc::new(multi_region)),
        rotation: None,
        tags: asked.tags,
        policy: Arc::clone(&site.default_policy),
        aliases: Box::default(),
        grants: Grants::default(),
        quota: Subject::of(arn.as_str()),
        materials,
        arn,
    })
}

/// Refuses every custom key store that is named: there are none.
pub(super) fn key_store(input: &Input) -> Result<(), Exception> {
    match input.string(Member::CustomKeyStoreId) {
        None => Ok(()),
        Some(id) => Err(Exception::not_found_key_store(id)),
    }
}

/// Refuses what contradicts itself in KMS's words, and what is not served in ours.
fn asked(input: &Input) -> Result<NewKey, Exception> {
    let (spec, old_spec) = (input.string(Member::KeySpec), input.string(Member::CustomerMasterKeySpec));
    if spec.is_some() && old_spec.is_some() {
        // KMS's text is not recorded.
        return Err(Exception::validation("KeySpec and CustomerMasterKeySpec may not be sent together."));
    }
    let spec = spec.or(old_spec).unwrap_or(KeySpec::SymmetricDefault.name());
    let unserved = |what| Exception::unsupported(format!("{what} are not served by kmsgate's local backend."));
    let spec = KeySpec::from_name(spec).ok_or_else(|| unserved(format!("Keys of the spec {spec}")))?;
    let usage = match input.string(Member::KeyUsage) {
        None if spec.symmetric() => KeyUsage::EncryptDecrypt,
        None => return Err(Exception::usage_required()),
        Some(name) => KeyUsage::from_name(name)
            .filter(|usage| spec.algorithms(*usage).is_some())
            .ok_or_else(|| Exception::usage_and_spec(name, spec.name()))?,
    };
    key_store(input)?;
    if input.string(Member::XksKeyId).is_some() {
        return Err(unserved("Keys of external key stores".to_owned()));
    }
    let origin = input.string(Member::Origin).unwrap_or(Origin::AwsKms.name());
    let origin = Origin::from_name(origin).ok_or_else(|| unserved(format!("Keys of the origin {origin}")))?;
    Ok(NewKey {
        spec,
        usage,
        origin,
        multi_region: input.boolean(Member::MultiRegion).unwrap_or_default(),
        description: input.string(Member::Description).unwrap_or_default().into(),
        tags: tags::of_new_key(input)?,
    })
}

#[cfg(test)]
mod tests;
