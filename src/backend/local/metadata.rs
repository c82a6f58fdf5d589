//! `KeyMetadata`: what there is to say of a key, in the form of an answer and in that of a CloudTrail record.

use std::borrow::Cow;

use super::key::{KeyState, KeyView, MultiRegion};
use crate::aws::{KeyArn, Region};
use crate::clock::Timestamp;
use crate::kms::JsonObject;

/// One member: its name in answers, its name in records, its value.
type Fact<'k> = (&'static str, &'static str, Value<'k>);

enum Value<'k> {
    Text(Cow<'k, str>),
    Texts(&'static [&'static str]),
    Boolean(bool),
    Integer(i64),
    Time(Timestamp),
    MultiRegion(&'k MultiRegion),
}

/// The members that KMS was recorded to have for such a key, in their order.
fn facts(key: &KeyView) -> Vec<Fact<'_>> {
    let text = |value: &'static str| Value::Text(value.into());
    let mut facts = vec![
        ("AWSAccountId", "aWSAccountId", Value::Text(key.arn.account().to_string().into())),
        ("Arn", "arn", Value::Text(key.arn.as_str().into())),
        ("CreationDate", "creationDate", Value::Time(key.created)),
        ("CustomerMasterKeySpec", "customerMasterKeySpec", text(key.spec.name())),
        ("Description", "description", Value::Text(key.description.as_ref().into())),
        ("Enabled", "enabled", Value::Boolean(key.state == KeyState::Enabled)),
        ("KeyId", "keyId", Value::Text(key.id().to_string().into())),
        ("KeyManager", "keyManager", text("CUSTOMER")),
        ("KeySpec", "keySpec", text(key.spec.name())),
        ("KeyState", "keyState", text(key.state.name())),
        ("KeyUsage", "keyUsage", text(key.usage.name())),
        ("MultiRegion", "multiRegion", Value::Boolean(key.multi_region.is_some())),
        ("Origin", "origin", text(key.origin.name())),
    ];
    if let Some(algorithms) = key.spec.algorithms(key.usage) {
        let (answered, recorded) = key.usage.algorithms_members();
        facts.push((answered, recorded, Value::Texts(algorithms)));
    }
    if let Some(version) = &key.materials.current {
        facts.push(("CurrentKeyMaterialId", "currentKeyMaterialId", Value::Text(version.id.to_string().into())));
        if let Some(import) = version.import.as_ref().filter(|_| version.sealer.is_some()) {
            facts.push(("ExpirationModel", "expirationModel", text(import.expiration_model())));
            facts.extend(import.expires.map(|date| ("ValidTo", "validTo", Value::Time(date))));
        }
    }
    if let Some(keys) = key.multi_region.as_deref() {
        facts.push(("MultiRegionConfiguration", "multiRegionConfiguration", Value::MultiRegion(keys)));
    }
    match key.state {
        KeyState::PendingDeletion(date) => facts.push(("DeletionDate", "deletionDate", Value::Time(date))),
        KeyState::PendingReplicaDeletion { days } => {
            let (answered, recorded) = ("PendingDeletionWindowInDays", "pendingDeletionWindowInDays");
            facts.push((answered, recorded, Value::Integer(days.into())));
        }
        KeyState::Enabled | KeyState::Disabled | KeyState::PendingImport => {}
    }
    facts.sort_unstable_by_key(|(name, ..)| *name);
    facts
}

/// Those of a replica in the answer to `ReplicateKey`, as recorded from KMS, which makes it behind the answer. Here it is
/// made before, so whoever looks at it next sees the state that it is in from then on.
fn facts_of_new_replica(key: &KeyView) -> Vec<Fact<'_>> {
    let mut facts = facts(key);
    facts.retain(|(name, ..)| *name != "CurrentKeyMaterialId");
    for (name, _, value) in &mut facts {
        match *name {
            "Enabled" => *value = Value::Boolean(false),
            "KeyState" => *value = Value::Text("Creating".into()),
            _ => {}
        }
    }
    facts
}

/// As `DescribeKey` answers it.
pub(super) fn answered(key: &KeyView) -> JsonObject {
    answer(key, facts(key))
}

/// As `ReplicateKey` answers it.
pub(super) fn answered_of_new_replica(key: &KeyView) -> JsonObject {
    answer(key, facts_of_new_replica(key))
}

/// As CloudTrail records it.
pub(super) fn recorded(key: &KeyView) -> JsonObject {
    record(key, facts(key))
}

/// As CloudTrail records it of `ReplicateKey`.
pub(super) fn recorded_of_new_replica(key: &KeyView) -> JsonObject {
    record(key, facts_of_new_replica(key))
}

fn answer(key: &KeyView, facts: Vec<Fact<'_>>) -> JsonObject {
    facts.into_iter().fold(JsonObject::with_capacity(1024), |object, (name, _, value)| match value {
        Value::Text(text) => object.text(name, &text),
        Value::Texts(texts) => object.texts(name, texts.iter().copied()),
        Value::Boolean(value) => object.boolean(name, value),
        Value::Integer(value) => object.integer(name, value),
        Value::Time(at) => object.timestamp(name, at),
        Value::MultiRegion(keys) => object.object(name, multi_region(key, keys, &ANSWERED)),
    })
}

fn record(key: &KeyView, facts: Vec<Fact<'_>>) -> JsonObject {
    facts.into_iter().fold(JsonObject::with_capacity(1024), |object, (_, name, value)| match value {
        Value::Text(text) => object.text(name, &text),
        Value::Texts(texts) => object.texts(name, texts.iter().copied()),
        Value::Boolean(value) => object.boolean(name, value),
        Value::Integer(value) => object.integer(name, value),
        Value::Time(at) => object.text(name, &at.iso8601().to_string()),
        Value::MultiRegion(keys) => object.object(name, multi_region(key, keys, &RECORDED)),
    })
}

/// The names of the members of `MultiRegionConfiguration`: type, primary, replicas, and of each key ARN and region.
const ANSWERED: [&str; 5] = ["MultiRegionKeyType", "PrimaryKey", "ReplicaKeys", "Arn", "Region"];
const RECORDED: [&str; 5] = ["multiRegionKeyType", "primaryKey", "replicaKeys", "arn", "region"];

fn multi_region(key: &KeyView, keys: &MultiRegion, names: &[&'static str; 5]) -> JsonObject {
    let [kind, primary, replicas, arn, region] = *names;
    let in_region = |at: &Region| {
        let sibling = KeyArn::new(at, key.arn.account(), key.id());
        JsonObject::with_capacity(160).text(arn, sibling.as_str()).text(region, at.as_str())
    };
    JsonObject::with_capacity(512)
        .text(kind, if key.is_replica() { "REPLICA" } else { "PRIMARY" })
        .object(primary, in_region(&keys.primary))
        .objects(replicas, keys.replicas.iter().map(in_region))
}
