//! CloudTrail's `responseElements`: what the record of a change says of its answer (KMS developer guide, the log entries
//! of each operation).
//!
//! They are made from the answer's own bytes, whether they are this gateway's or a real KMS's, so that both are recorded
//! alike.
//!
//! Architecture invariant: only members that are named here are recorded, and none of them is a token or a plaintext.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserializer as _;
use serde::de::{Error, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

use crate::aws::{KeyArn, Operation};
use crate::clock::Timestamp;

/// What is recorded of the answer to one change.
#[derive(Clone, Debug)]
pub struct ResponseElements {
    members: &'static [&'static str],
    /// The key that was changed, where its ARN is recorded.
    key: Option<KeyArn>,
}

impl ResponseElements {
    /// For a call of `operation` that is about `key`.
    #[must_use]
    pub fn of(operation: Operation, key: Option<&KeyArn>) -> Self {
        Self { members: members(operation), key: key.filter(|_| names_key(operation)).cloned() }
    }

    /// The JSON object that the record of a success with this body has; `None` where it has `null`, which is also said
    /// of an answer that could be read in two ways.
    #[must_use]
    pub fn of_answer(&self, body: &[u8]) -> Option<String> {
        let mut recorded = Map::new();
        if let Some(key) = &self.key {
            recorded.insert("keyId".to_owned(), key.as_str().into());
        }
        if !self.members.is_empty() && !matches!(body, [] | b"null") {
            let mut deserializer = serde_json::Deserializer::from_slice(body);
            let found = deserializer.deserialize_map(Members(self.members)).ok()?;
            recorded.extend(found.into_iter().filter_map(|(name, value)| in_camel(name, value)));
        }
        (!recorded.is_empty()).then(|| Value::Object(recorded).to_string())
    }
}

/// The members of an answer that are recorded.
const fn members(operation: Operation) -> &'static [&'static str] {
    match operation {
        Operation::CreateKey => &["KeyMetadata"],
        Operation::ReplicateKey => &["ReplicaKeyMetadata", "ReplicaPolicy", "ReplicaTags"],
        // And not its token.
        Operation::CreateGrant => &["GrantId"],
        Operation::ScheduleKeyDeletion => &["KeyId", "KeyState", "DeletionDate", "PendingWindowInDays"],
        Operation::CancelKeyDeletion | Operation::RotateKeyOnDemand => &["KeyId"],
        Operation::ImportKeyMaterial | Operation::DeleteImportedKeyMaterial => &["KeyId", "KeyMaterialId"],
        Operation::CreateCustomKeyStore => &["CustomKeyStoreId"],
        _ => &[],
    }
}

/// Whether the ARN of the key is recorded although the answer has not to say it. CloudTrail does so since December 2022,
/// for these; its documentation has `null` for `PutKeyPolicy`, `TagResource`, `UntagResource` and `UpdateKeyDescription`.
const fn names_key(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::CreateAlias
            | Operation::UpdateAlias
            | Operation::DeleteAlias
            | Operation::EnableKey
            | Operation::DisableKey
            | Operation::EnableKeyRotation
            | Operation::DisableKeyRotation
            | Operation::CreateGrant
            | Operation::RetireGrant
            | Operation::RevokeGrant
            | Operation::UpdatePrimaryRegion
            | Operation::ImportKeyMaterial
            | Operation::DeleteImportedKeyMaterial
    )
}

/// The name as records have it: `aWSAccountId`, as CloudTrail has it too.
fn camel(name: &str) -> String {
    let mut name = name.to_owned();
    if let Some(first) = name.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    name
}

/// A member as records have it. One that is `null` is absent there.
fn in_camel(name: &str, value: Value) -> Option<(String, Value)> {
    let value = match value {
        Value::Null => return None,
        Value::Number(number) if name.ends_with("Date") || name == "ValidTo" => spelled(&number).into(),
        value => recorded(value),
    };
    Some((camel(name), value))
}

fn recorded(value: Value) -> Value {
    match value {
        Value::Object(members) => members.into_iter().filter_map(|(name, value)| in_camel(&name, value)).collect(),
        Value::Array(values) => values.into_iter().map(recorded).collect(),
        value => value,
    }
}

/// A moment as CloudTrail writes it: `Nov 18, 2020, 1:29:18 AM`.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a conversion saturates, and what is out of the calendar is bounded"
)]
fn spelled(seconds: &serde_json::Number) -> String {
    let seconds = seconds.as_f64().unwrap_or_default().floor() as i64;
    let at = Timestamp::from_unix_seconds(seconds).clamp(Timestamp::EARLIEST, Timestamp::LATEST);
    at.spelled().to_string()
}

/// Reads the members of these names.
struct Members(&'static [&'static str]);

impl<'b> Visitor<'b> for Members {
    type Value = BTreeMap<&'static str, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'b>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            let Some(member) = self.0.iter().find(|member| **member == name) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if found.insert(*member, map.next_value()?).is_some() {
                return Err(A::Error::custom("twice"));
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const KEY: &str = "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

    fn elements_of(operation: Operation, body: &str) -> Value {
        let elements = ResponseElements::of(operation, Some(&KEY.parse().unwrap()));
        elements.of_answer(body.as_bytes()).map_or(Value::Null, |text| serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn a_replica_is_recorded_as_in_the_documentation() {
        // The names, the date and the shape of the developer guide's log entry of `ReplicateKey`.
        let body = json!({
            "ReplicaKeyMetadata": {
                "AWSAccountId": "111122223333",
                "Arn": KEY,
                "CreationDate": 1_605_662_958.25,
                "Enabled": false,
                "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
                "MultiRegionConfiguration": {
                    "MultiRegionKeyType": "REPLICA",
                    "ReplicaKeys": [{"Arn": KEY, "Region": "us-west-2"}],
                },
            },
            "ReplicaPolicy": "{\"Version\":\"2012-10-17\"}",
            "ReplicaTags": [{"TagKey": "Date", "TagValue": "ValidTo"}],
        });
        let expected = json!({
            "replicaKeyMetadata": {
                "aWSAccountId": "111122223333",
                "arn": KEY,
                "creationDate": "Nov 18, 2020, 1:29:18 AM",
                "enabled": false,
                "encryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
                "multiRegionConfiguration": {
                    "multiRegionKeyType": "REPLICA",
                    "replicaKeys": [{"arn": KEY, "region": "us-west-2"}],
                },
            },
            "replicaPolicy": "{\"Version\":\"2012-10-17\"}",
            "replicaTags": [{"tagKey": "Date", "tagValue": "ValidTo"}],
        });
        assert_eq!(elements_of(Operation::ReplicateKey, &body.to_string()), expected);
    }

    #[test]
    fn a_key_that_is_changed_is_named_where_cloudtrail_names_it() {
        let key = json!({"keyId": KEY});
        for body in ["", "null", "{}"] {
            assert_eq!(elements_of(Operation::DisableKey, body), key);
            assert_eq!(elements_of(Operation::DeleteAlias, body), key);
            assert_eq!(elements_of(Operation::TagResource, body), Value::Null);
            assert_eq!(elements_of(Operation::PutKeyPolicy, body), Value::Null);
        }
        let id = KEY.rsplit('/').next().unwrap();
        assert_eq!(elements_of(Operation::RotateKeyOnDemand, &json!({"KeyId": id}).to_string()), json!({"keyId": id}));
        let deletion = json!({"KeyId": KEY, "KeyState": "PendingDeletion", "DeletionDate": 1.618_252_71e9});
        let expected = json!({"keyId": KEY, "keyState": "PendingDeletion", "deletionDate": "Apr 12, 2021, 6:38:30 PM"});
        assert_eq!(elements_of(Operation::ScheduleKeyDeletion, &deletion.to_string()), expected);
    }

    #[test]
    fn of_a_grant_its_id_is_recorded_and_never_its_token() {
        let body = json!({"GrantToken": "AQpA", "GrantId": "0c23"}).to_string();
        assert_eq!(elements_of(Operation::CreateGrant, &body), json!({"grantId": "0c23", "keyId": KEY}));
    }

    #[test]
    fn a_member_that_is_null_is_absent() {
        let body = json!({"KeyMetadata": {"Arn": KEY, "KeyUsage": null, "DeletionDate": null}}).to_string();
        assert_eq!(elements_of(Operation::CreateKey, &body), json!({"keyMetadata": {"arn": KEY}}));
        assert_eq!(elements_of(Operation::CreateKey, r#"{"KeyMetadata":null}"#), Value::Null);
    }

    #[test]
    fn what_only_reads_has_none_whatever_it_answers() {
        let body = json!({"KeyId": KEY, "KeyMetadata": {}, "Plaintext": "c2VjcmV0", "GrantId": "0c23", "Policy": "{}"});
        for operation in Operation::ALL.iter().filter(|operation| !operation.mutating()) {
            assert_eq!(elements_of(*operation, &body.to_string()), Value::Null, "{operation:?}");
        }
    }

    #[test]
    fn an_answer_that_could_be_read_in_two_ways_is_not_recorded() {
        let twice = r#"{"KeyMetadata":{"Arn":"a"},"KeyMetadata":{"Arn":"b"}}"#;
        for body in [twice, "[]", "{", "7"] {
            assert_eq!(elements_of(Operation::CreateKey, body), Value::Null, "{body}");
        }
    }
}
