//! A key's description, and who may change it when.

use serde_json::{Value, json};

use super::super::testing::{Local, NO_KEY};
use crate::aws::{KeyArn, Operation};

const UPDATE: Operation = Operation::UpdateKeyDescription;

fn description(local: &Local, key: &KeyArn) -> Value {
    local.ok(Operation::DescribeKey, &json!({"KeyId": key.as_str()}))["KeyMetadata"]["Description"].clone()
}

#[test]
fn a_description_is_changed_with_an_empty_answer_and_stays_changed() {
    let local = Local::new();
    let key = local.create_key();
    let longest = "ä".repeat(8192);
    for text in ["orders", longest.as_str(), "", "a \"quoted\" line\n"] {
        assert_eq!(local.ok(UPDATE, &json!({"KeyId": key.id().as_str(), "Description": text})), Value::Null);
        assert_eq!(description(&local, &key), text);
    }
    let local = local.reopened();
    assert_eq!(description(&local, &key), "a \"quoted\" line\n");
}

#[test]
fn a_description_that_is_there_already_costs_no_commit() {
    let local = Local::new();
    let key = local.create_key();
    local.ok(UPDATE, &json!({"KeyId": key.as_str(), "Description": "orders"}));
    local.ok(UPDATE, &json!({"KeyId": key.as_str(), "Description": "orders"}));
    // The key, and one description.
    assert_eq!(local.revision(), 2);
}

#[test]
fn what_cannot_be_described_is_refused() {
    let local = Local::new();
    let key = local.create_key();
    let too_long = json!({"KeyId": key.as_str(), "Description": "a".repeat(8193)});
    assert_eq!(local.code(UPDATE, &too_long), "ValidationException");
    assert_eq!(local.code(UPDATE, &json!({"KeyId": key.as_str()})), "ValidationException");
    assert_eq!(local.code(UPDATE, &json!({"KeyId": NO_KEY, "Description": ""})), "NotFoundException");
    local.schedule_deletion(&key);
    assert_eq!(
        local.refusal(UPDATE, &json!({"KeyId": key.as_str(), "Description": "gone"})),
        format!("KMSInvalidStateException: {} is pending deletion.", key.as_str())
    );
}
