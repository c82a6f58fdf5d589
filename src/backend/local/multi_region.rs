//! Multi-Region keys: `ReplicateKey`, `UpdatePrimaryRegion`, and the end of one of several.
//!
//! A primary key and its replicas are keys of their own, each with its ARN, description, state, tags and aliases. They
//! share id, spec, usage and origin for good, and at any time the material that is made here and its automatic rotation
//! (developer guide, "Shared properties of multi-Region keys"): what rotates the primary key gives all of them the new
//! material ([`rotation`](super::rotation)). Imported material is imported into each of them.
//!
//! Architecture invariant: all keys of one id name the same primary and the same replicas, which are there.

use std::iter;
use std::sync::Arc;

use super::changes::{Edit, Planned};
use super::directory::Directory;
use super::key::{KeyState, KeyView, MultiRegion, Origin};
use super::material::KeyMaterial;
use super::materials::{Materials, Version};
use super::operations::Change;
use super::records::Records;
use super::{Keys, Site, create, current, key_policy, manage, metadata, states, tags};
use crate::aws::{KeyArn, Member, Region};
use crate::clock::Timestamp;
use crate::grants::Grants;
use crate::kms::{Answer, Exception, ExceptionKind, Input, JsonObject};
use crate::limits::Subject;

impl MultiRegion {
    /// Where these keys are, the primary first.
    fn regions(&self) -> impl Iterator<Item = &Region> {
        iter::once(&self.primary).chain(&self.replicas)
    }

    /// With a replica more.
    fn with(&self, region: &Region) -> Self {
        let mut replicas: Vec<Region> = self.replicas.iter().chain([region]).cloned().collect();
        replicas.sort_unstable();
        Self { primary: self.primary.clone(), replicas }
    }

    /// Without the replica of that region.
    fn without(&self, region: &Region) -> Self {
        let replicas = self.replicas.iter().filter(|replica| *replica != region).cloned().collect();
        Self { primary: self.primary.clone(), replicas }
    }
}

/// Plans `ReplicateKey`.
pub(super) fn replicate(change: &Change<'_>) -> Planned {
    let Change { site, records, directory, input, keys, now, .. } = *change;
    let key = current(directory, keys)?;
    states::permits(input.operation(), key)?;
    let relatives = primary(key)?;
    let region = replica_region(site, input)?;
    let tags = tags::of_new_key(input)?;
    let arn = KeyArn::new(region, key.arn.account(), key.id());
    let policy = key_policy::of_new_key(change, &arn)?;
    if directory.key(&arn).is_some() {
        // KMS's text is not recorded.
        return Err(Exception::new(ExceptionKind::AlreadyExists, format!("{} already exists.", arn.as_str())));
    }
    create::within_quota(directory, region)?;
    let names = Arc::new(relatives.with(region));
    let replica = KeyView {
        created: now,
        description: input.string(Member::Description).unwrap_or_default().into(),
        state: match key.origin {
            Origin::AwsKms => KeyState::Enabled,
            Origin::External => KeyState::PendingImport,
        },
        tags,
        policy,
        aliases: Box::default(),
        grants: Grants::default(),
        quota: Subject::of(arn.as_str()),
        materials: materials_of_replica(records, key, &arn),
        multi_region: Some(Arc::clone(&names)),
        arn,
        ..KeyView::clone(key)
    };
    let answer = answer(input, &replica);
    let mut edits = related(directory, key, &names);
    edits.push(Edit::key(replica));
    Ok((edits, answer))
}

/// The versions of a key's material, each to seal under the ARN of its replica: blobs name it. Imported material is not
/// given on, but which it is to be is known, is shown and is held to when it is imported (developer guide, "Importing
/// key material into multi-Region keys"; not recorded from KMS).
fn materials_of_replica(records: &Records, key: &KeyView, arn: &KeyArn) -> Materials {
    key.materials.map(|version| {
        let shared = version.sealer.as_ref().filter(|_| key.origin == Origin::AwsKms);
        let sealer = shared.map(|sealer| {
            let material = sealer.material();
            records.sealer(arn, KeyMaterial::from_parts(material.id(), material.secret()))
        });
        Version { sealer, import: version.import.as_ref().map(|_| Arc::default()), ..version.clone() }
    })
}

/// Plans `UpdatePrimaryRegion`: the keys exchange their roles, and nothing else of them changes.
pub(super) fn update_primary_region(directory: &Directory, input: &Input, keys: &Keys) -> Planned {
    let key = current(directory, keys)?;
    states::permits(input.operation(), key)?;
    let relatives = primary(key)?;
    // One that came since was not judged.
    let Some(replica) = replica(directory, key, input).filter(|_| keys.source.is_some()) else {
        // Neither which error nor which text KMS has is recorded; these are ours.
        let (arn, name) = (key.arn.as_str(), input.string(Member::PrimaryRegion).unwrap_or_default());
        return Err(Exception::unsupported(format!("{arn} has no replica in {name} that could be the primary key.")));
    };
    // A primary key must not be on its way out while it has replicas. What KMS holds the replica to is not recorded.
    states::permits(input.operation(), replica)?;
    let region = replica.arn.region();
    let names = MultiRegion { primary: region.clone(), ..relatives.with(&relatives.primary).without(region) };
    Ok((related(directory, key, &Arc::new(names)), Answer::empty()))
}

/// The replica of `key` that `UpdatePrimaryRegion` is to make the primary key, if there is one in that region.
pub(super) fn replica<'d>(directory: &'d Directory, key: &KeyView, input: &Input) -> Option<&'d Arc<KeyView>> {
    let name = input.string(Member::PrimaryRegion)?;
    let region = key.multi_region.as_ref()?.replicas.iter().find(|region| region.as_str() == name)?;
    directory.region(region).ok()?.key(key.id())
}

/// Removes a key on its date. Its relatives have a replica less, and a primary key that waited for its last replica to
/// be gone begins its own waiting period.
pub(super) fn remove(directory: &Directory, key: &KeyView, now: Timestamp) -> Vec<Edit> {
    let mut edits = vec![Edit::RemoveKey(key.arn.clone())];
    let Some(all) = &key.multi_region else { return edits };
    let left = Arc::new(all.without(key.arn.region()));
    let others = family(directory, key).filter(|other| other.arn != key.arn);
    edits.extend(others.map(|other| {
        let state = match other.state {
            KeyState::PendingReplicaDeletion { days } if left.replicas.is_empty() => {
                KeyState::PendingDeletion(now.plus(manage::DAY * days))
            }
            state => state,
        };
        Edit::key(KeyView { state, multi_region: Some(Arc::clone(&left)), ..KeyView::clone(other) })
    }));
    edits
}

/// The keys of one id, `key` among them.
fn family<'d>(directory: &'d Directory, key: &'d KeyView) -> impl Iterator<Item = &'d Arc<KeyView>> {
    let regions = key.multi_region.iter().flat_map(|keys| keys.regions());
    regions.filter_map(|region| directory.region(region).ok()?.key(key.id()))
}

/// Puts the keys of one id, which from now on name each other as `names` has it.
fn related(directory: &Directory, key: &KeyView, names: &Arc<MultiRegion>) -> Vec<Edit> {
    let with_names = |key: &Arc<KeyView>| {
        let multi_region = Some(Arc::clone(names));
        Edit::key(KeyView { multi_region, ..KeyView::clone(key) })
    };
    family(directory, key).map(with_names).collect()
}

/// The relatives of a primary key.
fn primary(key: &KeyView) -> Result<&Arc<MultiRegion>, Exception> {
    let relatives = key.multi_region.as_ref().filter(|_| !key.is_replica());
    relatives.ok_or_else(|| Exception::not_multi_region_primary(key.arn.as_str()))
}

/// The region that a replica is asked for in. AWS has others than this gateway: the refusal and its text are ours.
fn replica_region<'s>(site: &'s Site, input: &Input) -> Result<&'s Region, Exception> {
    let name = input.string(Member::ReplicaRegion).unwrap_or_default();
    site.regions.iter().find(|region| region.as_str() == name).ok_or_else(|| {
        let served: Vec<&str> = site.regions.iter().map(Region::as_str).collect();
        Exception::unsupported(format!(
            "The region {name} is not served by this kmsgate, which serves {}; see replica_regions.",
            served.join(", ")
        ))
    })
}

fn answer(input: &Input, replica: &KeyView) -> Answer {
    let tags = input.tags(Member::Tags);
    let tags = tags.map(|tag| JsonObject::with_capacity(64).text("TagKey", tag.key).text("TagValue", tag.value));
    let body = JsonObject::with_capacity(2048)
        .object("ReplicaKeyMetadata", metadata::answered_of_new_replica(replica))
        .text("ReplicaPolicy", replica.policy.text())
        .objects("ReplicaTags", tags);
    Answer::new(body.finish())
}

#[cfg(test)]
mod tests;
