//! The one policy that a key has, and which are refused for what.

use serde_json::{Value, json};

use super::super::testing::{Local, NO_KEY};
use crate::aws::{KeyArn, Operation};

const GET: Operation = Operation::GetKeyPolicy;
const PUT: Operation = Operation::PutKeyPolicy;
const LIST: Operation = Operation::ListKeyPolicies;

const MALFORMED: &str = "MalformedPolicyDocumentException";

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

/// The default policy with another principal.
fn of(principal: &str) -> Value {
    let mut policy = default();
    policy["Statement"][0]["Principal"]["AWS"] = json!(principal);
    policy
}

#[test]
fn a_policy_is_kept_as_it_was_put_and_found_again() {
    let (local, key) = with_key();
    let policies = [of("arn:aws:iam::111122223333:user/orders").to_string(), format!("{:#}", of("*"))];
    for policy in &policies {
        assert_eq!(local.ok(PUT, &put(&key, policy)), Value::Null);
        assert_eq!(local.ok(GET, &json!({"KeyId": key.as_str()}))["Policy"], policy.as_str());
    }
    let made = local.ok(Operation::CreateKey, &json!({"Policy": policies[0]}));
    let made = made["KeyMetadata"]["Arn"].as_str().unwrap();
    let local = local.reopened();
    assert_eq!(local.ok(GET, &json!({"KeyId": key.as_str()}))["Policy"], policies[1].as_str());
    assert_eq!(local.ok(GET, &json!({"KeyId": made}))["Policy"], policies[0].as_str());
}

#[test]
fn a_policy_may_name_only_principals_that_there_are() {
    let (local, key) = with_key();
    for unknown in [
        "arn:aws:iam::111122223333:user/nobody",
        "arn:aws:iam::111122223333:role/orders",
        "arn:aws:iam::555566667777:root",
        "555566667777",
        "AIDACKCEVSQ6C3EXAMPLE",
    ] {
        let mut policy = default();
        policy["Statement"].as_array_mut().unwrap().push(of(unknown)["Statement"][0].clone());
        policy["Statement"][1].as_object_mut().unwrap().remove("Sid");
        // Known from KMS, as is the text of the next test.
        let refused = format!("{MALFORMED}: Policy contains a statement with one or more invalid principals.");
        assert_eq!(local.refusal(PUT, &put(&key, &policy.to_string())), refused, "{unknown}");
        assert_eq!(local.refusal(Operation::CreateKey, &json!({"Policy": policy.to_string()})), refused, "{unknown}");
    }
    for known in ["111122223333", "arn:aws:iam::111122223333:user/orders", "AIDACKCEVSQ6C2EXAMPLE"] {
        local.ok(PUT, &put(&key, &of(known).to_string()));
    }
}

#[test]
fn who_would_lose_control_of_a_key_is_stopped_unless_it_says_so() {
    let (local, key) = with_key();
    let before = local.ok(GET, &json!({"KeyId": key.as_str()}));
    let mut only_use = default();
    only_use["Statement"][0]["Action"] = json!(["kms:Decrypt", "kms:Encrypt"]);
    let mut deny = default();
    deny["Statement"] = json!([default()["Statement"][0], {"Effect": "Deny", "Principal": "*", "Resource": "*",
        "Action": "kms:PutKeyPolicy"}]);
    let mut conditional = default();
    conditional["Statement"][0]["Condition"] = json!({"StringEquals": {"kms:CallerAccount": "444455556666"}});
    for policy in [only_use, deny, conditional] {
        let text = policy.to_string();
        let refused =
            format!("{MALFORMED}: The new key policy will not allow you to update the key policy in the future.");
        assert_eq!(local.refusal(PUT, &put(&key, &text)), refused, "{text}");
        assert_eq!(local.refusal(Operation::CreateKey, &json!({"Policy": text})), refused, "{text}");
        assert_eq!(local.ok(GET, &json!({"KeyId": key.as_str()})), before);
        let bypass = json!({"Policy": text, "BypassPolicyLockoutSafetyCheck": true});
        local.ok(Operation::CreateKey, &bypass);
    }
}

#[test]
fn an_encryption_context_under_for_all_values_is_refused_in_kmss_words() {
    let (local, key) = with_key();
    let mut policy = default();
    policy["Statement"][0]["Condition"] = json!({"ForAllValues:StringEquals": {"kms:EncryptionContext:team": "a"}});
    // Known from KMS.
    assert_eq!(
        local.refusal(PUT, &put(&key, &policy.to_string())),
        "MalformedPolicyDocumentException: OverlyPermissiveCondition:EncryptionContext: Using the ForAllValues set \
         operator with a single-valued condition key matches requests without the specified encryption context or with \
         an unspecified encryption context. To fix, remove ForAllValues."
    );
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
    assert_eq!(code(&"{".repeat(32_769)), MALFORMED);
    // 32,768 bytes, and one more, of which every character of the second policy's has two.
    let padded = |length: usize| format!("{:<length$}", default().to_string());
    assert_eq!(code(&padded(32_769)), "LimitExceededException");
    local.ok(PUT, &put(&key, &padded(32_768)));
    let with_id = default().to_string().replace("key-default-1", &"ä".repeat(16_400));
    assert_eq!(code(&with_id), "LimitExceededException");
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
