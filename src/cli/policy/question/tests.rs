//! What a record says was asked. The records are shaped as `tests/clients` finds them in audit files.

use serde_json::{Value, json};

use super::*;
use crate::aws::Tags;
use crate::policy::{RequestContext, Values, condition_key};

const ALICE: &str = "arn:aws:iam::111122223333:user/alice";
const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const OTHER: &str = "arn:aws:kms:us-east-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab";
const REPLICA: &str = "arn:aws:kms:eu-west-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab";
const ALIAS: &str = "arn:aws:kms:us-east-1:111122223333:alias/orders";

fn record(operation: &str, resources: &[&str], parameters: &Value) -> Record {
    let resources: Vec<Value> = resources.iter().map(|arn| json!({"ARN": arn})).collect();
    serde_json::from_value(json!({
        "userIdentity": {"arn": "arn:aws:iam::111122223333:user/alice"},
        "eventTime": "2026-11-23T18:22:41Z",
        "eventName": operation,
        "eventType": "AwsApiCall",
        "awsRegion": "us-east-1",
        "sourceIPAddress": "203.0.113.9",
        "userAgent": "Boto3",
        "requestParameters": parameters,
        "resources": resources,
    }))
    .unwrap()
}

fn pairs(record: &Record) -> Option<Vec<(&'static str, &str)>> {
    let needed = needed(record, operation(record).unwrap())?;
    Some(needed.into_iter().map(|one| (one.action, one.resource)).collect())
}

#[test]
fn each_permission_is_asked_for_on_its_resource() {
    let tags = json!({"tags": [{"tagKey": "a", "tagValue": "b"}]});
    for (operation, resources, parameters, expected) in [
        ("Decrypt", &[KEY][..], Value::Null, &[("kms:Decrypt", KEY)][..]),
        ("ReEncrypt", &[KEY, OTHER], json!({}), &[("kms:ReEncryptFrom", KEY), ("kms:ReEncryptTo", OTHER)]),
        ("ReEncrypt", &[KEY, KEY], json!({}), &[("kms:ReEncryptFrom", KEY), ("kms:ReEncryptTo", KEY)]),
        ("ListKeys", &[], Value::Null, &[("kms:ListKeys", "*")]),
        ("ListRetirableGrants", &[], json!({"retiringPrincipal": ALICE}), &[("kms:ListRetirableGrants", ALICE)]),
        ("ListAliases", &[KEY], json!({"keyId": KEY}), &[("kms:ListAliases", "*")]),
        ("CreateKey", &[KEY], Value::Null, &[("kms:CreateKey", "*")]),
        ("CreateKey", &[KEY], tags.clone(), &[("kms:CreateKey", "*"), ("kms:TagResource", "*")]),
        (
            "ReplicateKey",
            &[OTHER],
            tags,
            &[("kms:ReplicateKey", OTHER), ("kms:CreateKey", "*"), ("kms:TagResource", "*")],
        ),
        ("CreateAlias", &[ALIAS, KEY], json!({}), &[("kms:CreateAlias", ALIAS), ("kms:CreateAlias", KEY)]),
        (
            "UpdateAlias",
            &[ALIAS, KEY, OTHER],
            json!({}),
            &[("kms:UpdateAlias", ALIAS), ("kms:UpdateAlias", KEY), ("kms:UpdateAlias", OTHER)],
        ),
        (
            "UpdatePrimaryRegion",
            &[REPLICA, OTHER],
            json!({}),
            &[("kms:UpdatePrimaryRegion", OTHER), ("kms:UpdatePrimaryRegion", REPLICA)],
        ),
        ("UpdatePrimaryRegion", &[OTHER], json!({}), &[("kms:UpdatePrimaryRegion", OTHER)]),
    ] {
        assert_eq!(pairs(&record(operation, resources, &parameters)).as_deref(), Some(expected), "{operation}");
    }
    assert_eq!(pairs(&record("Decrypt", &[], &Value::Null)), None);
    assert_eq!(pairs(&record("CreateAlias", &[KEY], &Value::Null)), None);
}

/// The facts of one of a record's questions, by their names.
#[track_caller]
fn assert_facts(record: &Record, place: usize, expected: &[(&str, Values<'_>)]) {
    let arn = "arn:aws:iam::111122223333:user/alice".parse().unwrap();
    let principal = Principal::new(arn, "AIDAEXAMPLE12345", Tags::default(), Vec::new());
    let operation = operation(record).unwrap();
    let question = needed(record, operation).unwrap()[place].question(record, operation, &principal);
    for (name, values) in expected {
        assert_eq!(question.facts.values(&condition_key(name).unwrap()), *values, "{name}");
    }
}

#[test]
fn the_facts_of_a_data_key_call_are_those_of_its_record() {
    let parameters = json!({"keyId": "alias/orders", "encryptionContext": {"Department": "HR", "t": "1"}});
    let record = record("GenerateDataKeyWithoutPlaintext", &[KEY], &parameters);
    assert_facts(
        &record,
        0,
        &[
            ("kms:EncryptionContext:department", Values::one("HR")),
            ("kms:EncryptionContextKeys", Values::many(["Department", "t"])),
            ("kms:EncryptionAlgorithm", Values::one("SYMMETRIC_DEFAULT")),
            ("kms:RequestAlias", Values::one("alias/orders")),
            ("aws:SourceIp", Values::one("203.0.113.9")),
            ("aws:SecureTransport", Values::one("false")),
            ("aws:UserAgent", Values::one("Boto3")),
            ("aws:CurrentTime", Values::one("2026-11-23T18:22:41Z")),
            ("aws:Referer", Values::Unknown),
            ("kms:KeySpec", Values::Unknown),
            ("aws:TagKeys", Values::Absent),
        ],
    );
}

#[test]
fn each_half_of_a_re_encryption_has_its_own_context() {
    let parameters = json!({
        "sourceEncryptionContext": {"a": "1"}, "destinationEncryptionContext": {"b": "2"}, "destinationKeyId": ALIAS,
    });
    let record = record("ReEncrypt", &[KEY, OTHER], &parameters);
    let same = ("kms:ReEncryptOnSameKey", Values::one("false"));
    let (a, b) = ("kms:EncryptionContext:a", "kms:EncryptionContext:b");
    assert_facts(
        &record,
        0,
        &[(a, Values::one("1")), (b, Values::Absent), same.clone(), ("kms:RequestAlias", Values::Absent)],
    );
    let alias = ("kms:RequestAlias", Values::one("alias/orders"));
    assert_facts(&record, 1, &[(a, Values::Absent), (b, Values::one("2")), same, alias]);
}

#[test]
fn what_an_operation_defaults_to_is_a_fact() {
    let tags = json!([{"tagKey": "Team", "tagValue": "blue"}]);
    for (operation, resources, parameters, name, value) in [
        ("ScheduleKeyDeletion", &[KEY][..], Value::Null, "kms:ScheduleKeyDeletionPendingWindowInDays", "30"),
        (
            "ScheduleKeyDeletion",
            &[KEY],
            json!({"pendingWindowInDays": 7}),
            "kms:ScheduleKeyDeletionPendingWindowInDays",
            "7",
        ),
        ("EnableKeyRotation", &[KEY], Value::Null, "kms:RotationPeriodInDays", "365"),
        ("CreateKey", &[], Value::Null, "kms:KeySpec", "SYMMETRIC_DEFAULT"),
        ("CreateKey", &[], json!({"multiRegion": true}), "kms:MultiRegionKeyType", "PRIMARY"),
        (
            "CreateKey",
            &[],
            json!({"bypassPolicyLockoutSafetyCheck": true}),
            "kms:BypassPolicyLockoutSafetyCheck",
            "true",
        ),
        ("PutKeyPolicy", &[KEY], Value::Null, "kms:BypassPolicyLockoutSafetyCheck", "false"),
        ("TagResource", &[KEY], json!({"tags": tags}), "aws:RequestTag/team", "blue"),
        ("TagResource", &[KEY], json!({"tags": tags}), "aws:TagKeys", "Team"),
        ("UntagResource", &[KEY], json!({"tagKeys": ["Team"]}), "aws:TagKeys", "Team"),
        ("GenerateDataKeyPair", &[KEY], json!({"keyPairSpec": "RSA_2048"}), "kms:DataKeyPairSpec", "RSA_2048"),
        ("CreateGrant", &[KEY], json!({"operations": ["Decrypt"]}), "kms:GrantOperations", "Decrypt"),
        (
            "CreateGrant",
            &[KEY],
            json!({"constraints": {"encryptionContextSubset": {"a": "1"}}}),
            "kms:EncryptionContext:a",
            "1",
        ),
    ] {
        assert_facts(&record(operation, resources, &parameters), 0, &[(name, Values::one(value))]);
    }
}

#[test]
fn what_was_too_long_to_be_recorded_is_not_known() {
    let record = record("Decrypt", &[KEY], &json!({"omitted": true, "originalSize": 200_000}));
    assert_eq!(context(&record, "kms:Decrypt"), None);
    for name in ["kms:EncryptionContextKeys", "kms:EncryptionContext:a", "kms:RequestAlias"] {
        assert_facts(&record, 0, &[(name, Values::Unknown)]);
    }
    assert_facts(&record, 0, &[("aws:SourceIp", Values::one("203.0.113.9"))]);
}
