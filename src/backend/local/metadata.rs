//! `KeyMetadata`: what there is to say of a key.

use std::borrow::Cow;

use super::key::{KeyState, KeyView, MultiRegion};
use crate::aws::{KeyArn, Region};
use crate::clock::Timestamp;
use crate::kms::JsonObject;

/// One member: its name and its value.
type Fact<'k> = (&'static str, Value<'k>);

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
        ("AWSAccountId", Value::Text(key.arn.account().to_string().into())),
        ("Arn", Value::Text(key.arn.as_str().into())),
        ("CreationDate", Value::Time(key.created)),
        ("CustomerMasterKeySpec", text(key.spec.name())),
        ("Description", Value::Text(key.description.as_ref().into())),
        ("Enabled", Value::Boolean(key.state == KeyState::Enabled)),
        ("KeyId", Value::Text(key.id().to_string().into())),
        ("KeyManager", text("CUSTOMER")),
        ("KeySpec", text(key.spec.name())),
        ("KeyState", text(key.state.name())),
        ("KeyUsage", text(key.usage.name())),
        ("MultiRegion", Value::Boolean(key.multi_region.is_some())),
        ("Origin", text(key.origin.name())),
    ];
    if let Some(algorithms) = key.spec.algorithms(key.usage) {
        facts.push((key.usage.algorithms_member(), Value::Texts(algorithms)));
    }
    if let Some(version) = &key.materials.current {
        facts.push(("CurrentKeyMaterialId", Value::Text(version.id.to_string().into())));
        if let Some(import) = version.import.as_ref().filter(|_| version.sealer.is_some()) {
            facts.push(("ExpirationModel", text(import.expiration_model())));
            facts.extend(import.expires.map(|date| ("ValidTo", Value::Time(date))));
        }
    }
    if let Some(keys) = key.multi_region.as_deref() {
        facts.push(("MultiRegionConfiguration", Value::MultiRegion(keys)));
    }
    match key.state {
        KeyState::PendingDeletion(date) => facts.push(("DeletionDate", Value::Time(date))),
        KeyState::PendingReplicaDeletion { days } => {
            facts.push(("PendingDeletionWindowInDays", Value::Integer(days.into())));
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
    for (name, value) in &mut facts {
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

fn answer(key: &KeyView, facts: Vec<Fact<'_>>) -> JsonObject {
    facts.into_iter().fold(JsonObject::with_capacity(1024), |object, (name, value)| match value {
        Value::Text(text) => object.text(name, &text),
        Value::Texts(texts) => object.texts(name, texts.iter().copied()),
        Value::Boolean(value) => object.boolean(name, value),
        Value::Integer(value) => object.integer(name, value),
        Value::Time(at) => object.timestamp(name, at),
        Value::MultiRegion(keys) => object.object(name, multi_region(key, keys)),
    })
}

fn multi_region(key: &KeyView, keys: &MultiRegion) -> JsonObject {
    let in_region = |at: &Region| {
        let sibling = KeyArn::new(at, key.arn.account(), key.id());
        JsonObject::with_capacity(160).text("Arn", sibling.as_str()).text("Region", at.as_str())
    };
    JsonObject::with_capacity(512)
        .text("MultiRegionKeyType", if key.is_replica() { "REPLICA" } else { "PRIMARY" })
        .object("PrimaryKey", in_region(&keys.primary))
        .objects("ReplicaKeys", keys.replicas.iter().map(in_region))
}
