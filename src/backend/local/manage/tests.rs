//! What a new key is, and how its state changes (reference: "Operation x state").

use serde_json::{Value, json};

use super::super::testing::{Local, NO_KEY, members};
use crate::aws::{KeyArn, Operation};

fn of(key: &KeyArn) -> Value {
    json!({"KeyId": key.as_str()})
}

fn described(local: &Local, key: &KeyArn) -> Value {
    local.ok(Operation::DescribeKey, &of(key))["KeyMetadata"].clone()
}

fn state(local: &Local, key: &KeyArn) -> String {
    described(local, key)["KeyState"].as_str().unwrap().to_owned()
}

#[test]
fn a_new_key_has_the_metadata_that_kms_was_recorded_to_give() {
    let local = Local::new();
    let metadata = local.ok(Operation::CreateKey, &json!({"Description": "orders"}))["KeyMetadata"].clone();
    assert_eq!(
        members(&metadata),
        [
            "AWSAccountId",
            "Arn",
            "CreationDate",
            "CurrentKeyMaterialId",
            "CustomerMasterKeySpec",
            "Description",
            "Enabled",
            "EncryptionAlgorithms",
            "KeyId",
            "KeyManager",
            "KeySpec",
            "KeyState",
            "KeyUsage",
            "MultiRegion",
            "Origin"
        ]
    );
    let expected = json!({
        "AWSAccountId": "111122223333", "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT", "Description": "orders",
        "Enabled": true, "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"], "KeyManager": "CUSTOMER",
        "KeySpec": "SYMMETRIC_DEFAULT", "KeyState": "Enabled", "KeyUsage": "ENCRYPT_DECRYPT", "MultiRegion": false,
        "Origin": "AWS_KMS",
    });
    for (member, value) in expected.as_object().unwrap() {
        assert_eq!(&metadata[member], value, "{member}");
    }
    // 2026-11-23T18:22:41Z, where the clock stands.
    assert_eq!(metadata["CreationDate"].as_f64(), Some(1_795_458_161.0));
    let id = metadata["KeyId"].as_str().unwrap();
    assert_eq!(metadata["Arn"], format!("arn:aws:kms:us-east-1:111122223333:key/{id}"));
    assert_eq!(metadata["CurrentKeyMaterialId"].as_str().unwrap().len(), 64);
    assert_eq!(local.ok(Operation::DescribeKey, &json!({"KeyId": id}))["KeyMetadata"], metadata);
    assert_eq!(local.ok(Operation::CreateKey, &json!({}))["KeyMetadata"]["Description"], "");
}

/// Each row: the state a key is in, what is asked, and the state after it or why not.
#[test]
fn the_state_of_a_key_changes_as_that_of_kms_does() {
    use Operation::{CancelKeyDeletion, DisableKey, EnableKey, ScheduleKeyDeletion};
    let pending = Err("is pending deletion.");
    let not_pending = Err("is not pending deletion.");
    for (from, operation, to) in [
        ("Enabled", EnableKey, Ok("Enabled")),
        ("Enabled", DisableKey, Ok("Disabled")),
        ("Enabled", ScheduleKeyDeletion, Ok("PendingDeletion")),
        ("Enabled", CancelKeyDeletion, not_pending),
        ("Disabled", EnableKey, Ok("Enabled")),
        ("Disabled", DisableKey, Ok("Disabled")),
        ("Disabled", ScheduleKeyDeletion, Ok("PendingDeletion")),
        ("Disabled", CancelKeyDeletion, not_pending),
        ("PendingDeletion", EnableKey, pending),
        ("PendingDeletion", DisableKey, pending),
        ("PendingDeletion", ScheduleKeyDeletion, pending),
        ("PendingDeletion", CancelKeyDeletion, Ok("Disabled")),
    ] {
        let local = Local::new();
        let key = local.create_key();
        match from {
            "Disabled" => local.disable(&key),
            "PendingDeletion" => local.schedule_deletion(&key),
            _ => {}
        }
        assert_eq!(state(&local, &key), from);
        let outcome = local.call(operation, &of(&key)).map_err(|exception| exception.to_string());
        match to {
            Ok(to) => assert_eq!((outcome.is_ok(), state(&local, &key).as_str()), (true, to), "{from} {operation:?}"),
            Err(text) => {
                let expected = format!("KMSInvalidStateException: {} {text}", key.as_str());
                assert_eq!(outcome, Err(expected), "{from} {operation:?}");
                assert_eq!(state(&local, &key), from, "a refusal changes nothing");
            }
        }
    }
}

#[test]
fn switching_answers_with_no_body() {
    let local = Local::new();
    let key = local.create_key();
    assert_eq!(local.ok(Operation::DisableKey, &of(&key)), Value::Null);
    assert_eq!(described(&local, &key)["Enabled"], false);
    assert_eq!(local.ok(Operation::EnableKey, &of(&key)), Value::Null);
    assert_eq!(described(&local, &key)["Enabled"], true);
}

#[test]
fn deletion_is_set_for_as_many_days_as_were_asked_for() {
    for (asked, days) in [(json!(null), 30), (json!(7), 7), (json!(30), 30)] {
        let local = Local::new();
        let key = local.create_key();
        let answer = local
            .ok(Operation::ScheduleKeyDeletion, &json!({"KeyId": key.id().as_str(), "PendingWindowInDays": asked}));
        assert_eq!(members(&answer), ["DeletionDate", "KeyId", "KeyState", "PendingWindowInDays"]);
        assert_eq!((&answer["KeyId"], &answer["KeyState"]), (&json!(key.as_str()), &json!("PendingDeletion")));
        assert_eq!(answer["PendingWindowInDays"], days);
        let date = 1_795_458_161.0 + 86_400.0 * f64::from(days);
        assert_eq!(answer["DeletionDate"].as_f64(), Some(date));
        let metadata = described(&local, &key);
        assert_eq!((&metadata["DeletionDate"], &metadata["Enabled"]), (&answer["DeletionDate"], &json!(false)));
    }
}

#[test]
fn the_waiting_period_has_7_to_30_days() {
    let local = Local::new();
    let key = local.create_key();
    // The texts are not recorded from KMS.
    for days in [0, 1, 6, 31, 365, 366] {
        let body = json!({"KeyId": key.as_str(), "PendingWindowInDays": days});
        assert_eq!(local.code(Operation::ScheduleKeyDeletion, &body), "ValidationException", "{days}");
    }
    assert_eq!(state(&local, &key), "Enabled");
}

#[test]
fn a_cancelled_deletion_leaves_the_key_disabled_without_a_date() {
    let local = Local::new();
    let key = local.create_key();
    local.schedule_deletion(&key);
    assert_eq!(local.ok(Operation::CancelKeyDeletion, &of(&key)), of(&key));
    let metadata = described(&local, &key);
    assert_eq!((&metadata["KeyState"], &metadata["Enabled"]), (&json!("Disabled"), &json!(false)));
    assert!(metadata.get("DeletionDate").is_none());
}

#[test]
fn a_key_that_is_not_there_changes_no_state() {
    let local = Local::new();
    for operation in
        [Operation::EnableKey, Operation::DisableKey, Operation::ScheduleKeyDeletion, Operation::CancelKeyDeletion]
    {
        assert_eq!(
            local.refusal(operation, &json!({"KeyId": NO_KEY})),
            format!("NotFoundException: Key 'arn:aws:kms:us-east-1:111122223333:key/{NO_KEY}' does not exist")
        );
    }
}

fn tag(key: &str) -> Value {
    json!({"TagKey": key, "TagValue": "v"})
}

#[test]
fn tags_are_held_to_the_rules_of_kms_in_its_words() {
    let local = Local::new();
    let refusal = |tags: Vec<Value>| local.refusal(Operation::CreateKey, &json!({"Tags": tags}));
    assert_eq!(refusal(vec![tag("a"), tag("b"), tag("a")]), "TagException: Duplicate tag keys");
    assert_eq!(refusal((0..51).map(|n| tag(&n.to_string())).collect()), "TagException: Too many tags");
    for name in ["aws:x", "AWS:x", "aWs:"] {
        assert_eq!(refusal(vec![tag(name)]), "TagException: Tags beginning with aws: are reserved");
    }
    let long = "a".repeat(129);
    assert_eq!(
        refusal(vec![tag(&long)]),
        format!(
            "ValidationException: 1 validation error detected: Value '{long}' at 'tags.1.member.tagKey' failed to \
             satisfy constraint: Member must have length less than or equal to 128"
        )
    );
    let long = "a".repeat(257);
    assert_eq!(
        refusal(vec![json!({"TagKey": "k", "TagValue": long})]),
        format!(
            "ValidationException: 1 validation error detected: Value '{long}' at 'tags.1.member.tagValue' failed to \
             satisfy constraint: Member must have length less than or equal to 256"
        )
    );
    assert!(local.entries().keys.is_empty(), "no key was made");
}

#[test]
fn tags_that_fit_are_kept_over_a_restart() {
    let local = Local::new();
    let tags: Vec<Value> = (0..50).map(|n| tag(&format!("äws:{n}"))).collect();
    local.ok(Operation::CreateKey, &json!({"Tags": tags}));
    let values = |local: &Local| {
        let key = local.entries().keys.values().next().unwrap().clone();
        key.tags.values("äws:7").map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(values(&local), ["v"]);
    assert_eq!(values(&local.reopened()), ["v"]);
}

#[test]
fn what_contradicts_itself_is_refused_in_the_words_of_kms() {
    let local = Local::new();
    for spec in ["HMAC_256", "RSA_2048", "ECC_NIST_P256"] {
        assert_eq!(
            local.refusal(Operation::CreateKey, &json!({"KeySpec": spec})),
            "ValidationException: You must specify a KeyUsage value for all KMS keys except for symmetric encryption \
             keys."
        );
    }
    for (spec, usage) in
        [("ECC_NIST_P256", "ENCRYPT_DECRYPT"), ("RSA_2048", "KEY_AGREEMENT"), ("SYMMETRIC_DEFAULT", "SIGN_VERIFY")]
    {
        assert_eq!(
            local.refusal(Operation::CreateKey, &json!({"KeySpec": spec, "KeyUsage": usage})),
            format!("ValidationException: KeyUsage {usage} is not compatible with KeySpec {spec}")
        );
    }
}

#[test]
fn what_is_not_served_yet_says_so() {
    let local = Local::new();
    for body in [
        json!({"KeySpec": "SM2", "KeyUsage": "SIGN_VERIFY"}),
        json!({"KeySpec": "ML_KEM_768", "KeyUsage": "ENCAPSULATE_DECAPSULATE"}),
        json!({"Origin": "AWS_CLOUDHSM"}),
        json!({"Origin": "EXTERNAL_KEY_STORE"}),
        json!({"XksKeyId": "bb8562717f809024"}),
    ] {
        let refusal = local.refusal(Operation::CreateKey, &body);
        assert!(refusal.starts_with("UnsupportedOperationException: "), "{body}: {refusal}");
        assert!(refusal.contains("not served"), "{refusal}");
    }
    assert!(local.entries().keys.is_empty(), "no key was made");
}

#[test]
fn the_default_key_policy_may_be_sent_in_any_form() {
    let local = Local::new();
    let policy = r#"{"Id": "key-default-1", "Version": "2012-10-17", "Statement": [{"Resource": "*", "Action": "kms:*",
        "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Effect": "Allow",
        "Sid": "Enable IAM User Permissions"}]}"#;
    local.ok(
        Operation::CreateKey,
        &json!({"Policy": policy, "Origin": "AWS_KMS", "KeySpec": "SYMMETRIC_DEFAULT",
        "KeyUsage": "ENCRYPT_DECRYPT", "MultiRegion": false}),
    );
    let other = policy.replace("111122223333", "444455556666");
    assert_eq!(local.code(Operation::CreateKey, &json!({"Policy": other})), "MalformedPolicyDocumentException");
}
