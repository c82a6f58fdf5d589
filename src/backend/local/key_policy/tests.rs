//! The one policy that a key has, and which other ones are refused for what.

use serde_json::{Value, json};

use super::super::testing::{Local, NO_KEY};
use crate::aws::{KeyArn, Operation};

const GET: Operation = Operation::GetKeyPolicy;
const PUT: Operation = Operation::PutKeyPolicy;
const LIST: Operation = Operation::ListKeyPolicies;

const UNSERVED: &str = "UnsupportedOperationException: Key policies other than the default one are not served by this \
                        version of kmsgate's local backend.";

fn with_key() -> (Local, KeyArn) {
    let local = Local::new();
    let key = local.create_key();
    (local, key)
}

/// The developer guide's default key policy.
fn default() -> Value {
    json!({
        "Id": "key-default-1", "Version": "2012-10-17",
        "Statement": [{"Sid": "Enable IAM User Permissions", "Effect": "Allow", "Action": "kms:*", "Resource": "*",
            "Principal": {"AWS": "arn:aws:iam::111122223333:root"}}],
    })
}

fn put(key: &KeyArn, policy: &str) -> Value {
    json!({"KeyId": key.as_str(), "Policy": policy})
}

#[test]
fn a_key_has_the_default_policy() {
    let (local, key) = with_key();
    for body in [json!({"KeyId": key.id().as_str()}), json!({"KeyId": key.as_str(), "PolicyName": "default"})] {
        let answer = local.ok(GET, &body);
        assert_eq!(answer["PolicyName"], "default");
        let policy: Value = serde_json::from_str(answer["Policy"].as_str().unwrap()).unwrap();
        assert_eq!(policy, default());
    }
    local.schedule_deletion(&key);
    local.ok(GET, &json!({"KeyId": key.as_str()}));
}

#[test]
fn the_default_policy_can_be_put_in_whatever_words_and_in_every_state() {
    let (local, key) = with_key();
    let read = local.ok(GET, &json!({"KeyId": key.as_str()}))["Policy"].clone();
    for policy in [read.as_str().unwrap(), &default().to_string()] {
        assert_eq!(local.ok(PUT, &put(&key, policy)), Value::Null);
    }
    let named = json!({"KeyId": key.as_str(), "PolicyName": "default", "Policy": read,
        "BypassPolicyLockoutSafetyCheck": true});
    assert_eq!(local.ok(PUT, &named), Value::Null);
    local.schedule_deletion(&key);
    local.ok(PUT, &named);
}

#[test]
fn any_other_policy_is_refused_and_not_stored() {
    let (local, key) = with_key();
    let before = local.ok(GET, &json!({"KeyId": key.as_str()}));
    let mut other = default();
    other["Statement"][0]["Principal"]["AWS"] = json!("arn:aws:iam::111122223333:user/orders");
    let mut more = default();
    more["Statement"].as_array_mut().unwrap().push(default()["Statement"][0].clone());
    for policy in [other, more, json!({"Statement": []})] {
        assert_eq!(local.refusal(PUT, &put(&key, &policy.to_string())), UNSERVED);
        assert_eq!(local.refusal(Operation::CreateKey, &json!({"Policy": policy.to_string()})), UNSERVED);
    }
    assert_eq!(local.ok(GET, &json!({"KeyId": key.as_str()})), before);
}

#[test]
fn what_is_no_policy_of_kms_is_refused_for_what_it_is() {
    let (local, key) = with_key();
    let code = |policy: &str| local.code(PUT, &put(&key, policy));
    for malformed in
        ["{", "policy", "[]", "\"Statement\"", "{} {}", "{\"Version\":\"2012-10-17\"}", "{\"Statement\":[],}"]
    {
        assert_eq!(code(malformed), "MalformedPolicyDocumentException", "{malformed}");
        let body = json!({"Policy": malformed});
        assert_eq!(local.code(Operation::CreateKey, &body), "MalformedPolicyDocumentException", "{malformed}");
    }
    assert_eq!(code(&"{".repeat(32_769)), "MalformedPolicyDocumentException");
    // 32,768 bytes, and one more, of which every character of the second policy's has two.
    let padded = |length: usize| format!("{:<length$}", default().to_string());
    assert_eq!(code(&padded(32_769)), "LimitExceededException");
    local.ok(PUT, &put(&key, &padded(32_768)));
    assert_eq!(code(&format!("{{\"Statement\":[],\"Id\":\"{}\"}}", "ä".repeat(16_400))), "LimitExceededException");
    let long = json!({"Policy": padded(32_769)});
    assert_eq!(local.code(Operation::CreateKey, &long), "LimitExceededException");
}

#[test]
fn no_policy_has_another_name() {
    let (local, key) = with_key();
    // Recorded from KMS.
    assert_eq!(
        local.refusal(PUT, &json!({"KeyId": key.as_str(), "Policy": "{}", "PolicyName": "invalid-name"})),
        "ValidationException: 1 validation error detected: Value 'invalid-name' at 'policyName' failed to satisfy \
         constraint: Member must satisfy regular expression pattern: [\\w]+"
    );
    for name in ["other", "Default"] {
        let body = json!({"KeyId": key.as_str(), "Policy": default().to_string(), "PolicyName": name});
        for operation in [GET, PUT] {
            assert_eq!(local.code(operation, &body), "NotFoundException", "{operation:?} {name}");
        }
    }
}

#[test]
fn the_list_has_one_name_and_one_page() {
    let (local, key) = with_key();
    // Recorded from KMS.
    let only = json!({"PolicyNames": ["default"], "Truncated": false});
    for limit in [json!(null), json!(1), json!(1000)] {
        assert_eq!(local.ok(LIST, &json!({"KeyId": key.as_str(), "Limit": limit})), only);
    }
    for limit in [0, 1001] {
        assert_eq!(local.code(LIST, &json!({"KeyId": key.as_str(), "Limit": limit})), "ValidationException");
    }
    assert_eq!(local.code(LIST, &json!({"KeyId": key.as_str(), "Marker": "ZGVmYXVsdA"})), "InvalidMarkerException");
}

#[test]
fn a_key_that_is_not_there_has_no_policy() {
    let local = Local::new();
    for (operation, body) in [
        (GET, json!({"KeyId": NO_KEY})),
        (LIST, json!({"KeyId": NO_KEY})),
        (PUT, json!({"KeyId": NO_KEY, "Policy": "{"})),
    ] {
        assert_eq!(local.code(operation, &body), "NotFoundException", "{operation:?}");
    }
}
