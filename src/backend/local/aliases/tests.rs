//! The rules of alias names, their quota, and their list (reference: "Aliases").

use serde_json::{Value, json};

use super::super::testing::{Local, NO_KEY, members};
use crate::aws::{KeyArn, Operation};

const CREATE: Operation = Operation::CreateAlias;

fn with_key() -> (Local, KeyArn) {
    let local = Local::new();
    let key = local.create_key();
    (local, key)
}

fn alias(name: &str, target: &str) -> Value {
    json!({"AliasName": name, "TargetKeyId": target})
}

fn listed(local: &Local, body: &Value) -> Vec<String> {
    let answer = local.ok(Operation::ListAliases, body);
    answer["Aliases"].as_array().unwrap().iter().map(|alias| alias["AliasName"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn an_alias_is_made_with_an_empty_answer_and_points_to_its_key() {
    let (local, key) = with_key();
    for (name, target) in [("alias/by-id", key.id().as_str()), ("alias/by_ARN/x", key.as_str())] {
        assert_eq!(local.ok(CREATE, &alias(name, target)), Value::Null);
        let metadata = &local.ok(Operation::DescribeKey, &json!({"KeyId": name}))["KeyMetadata"];
        assert_eq!(metadata["Arn"], key.as_str());
    }
}

#[test]
fn a_name_that_is_none_is_refused() {
    let (local, key) = with_key();
    for name in ["orders", "Alias/orders", "aliasorders", "/alias/orders"] {
        assert_eq!(
            local.refusal(CREATE, &alias(name, key.as_str())),
            "ValidationException: Alias must start with the prefix \"alias/\". Please see \
             https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html",
            "{name}"
        );
    }
    // The texts for these are not recorded from KMS.
    let long = format!("alias/{}", "a".repeat(251));
    for name in ["alias/", "alias/my:alias", "alias/a b", "alias/ä", "", long.as_str()] {
        assert_eq!(local.code(CREATE, &alias(name, key.as_str())), "ValidationException", "{name}");
    }
    assert_eq!(local.code(CREATE, &alias("alias/aws/s3", key.as_str())), "InvalidAliasNameException");
    assert!(listed(&local, &json!({})).is_empty());
    local.ok(CREATE, &alias(&format!("alias/{}", "a".repeat(250)), key.as_str()));
}

#[test]
fn a_name_is_given_once_and_its_case_matters() {
    let (local, key) = with_key();
    let other = local.create_key();
    local.create_alias("alias/orders", &key);
    for target in [&key, &other] {
        assert_eq!(
            local.refusal(CREATE, &alias("alias/orders", target.as_str())),
            "AlreadyExistsException: An alias with the name arn:aws:kms:us-east-1:111122223333:alias/orders already \
             exists"
        );
    }
    local.create_alias("alias/Orders", &other);
    let metadata = &local.ok(Operation::DescribeKey, &json!({"KeyId": "alias/orders"}))["KeyMetadata"];
    assert_eq!(metadata["Arn"], key.as_str());
}

#[test]
fn a_target_is_a_key_of_this_account_and_region_and_not_about_to_be_deleted() {
    let (local, key) = with_key();
    local.create_alias("alias/orders", &key);
    for target in ["alias/orders", "arn:aws:kms:us-east-1:111122223333:alias/orders"] {
        // The text is an emulator's.
        assert_eq!(local.code(CREATE, &alias("alias/new", target)), "ValidationException");
    }
    assert_eq!(
        local.refusal(CREATE, &alias("alias/new", NO_KEY)),
        format!("NotFoundException: Key 'arn:aws:kms:us-east-1:111122223333:key/{NO_KEY}' does not exist")
    );
    let elsewhere = key.as_str().replace("us-east-1", "us-west-2");
    assert_eq!(local.refusal(CREATE, &alias("alias/new", &elsewhere)), "NotFoundException: Invalid arn us-west-2");
    let theirs = key.as_str().replace("111122223333", "444455556666");
    assert_eq!(local.code(CREATE, &alias("alias/new", &theirs)), "AccessDeniedException");
    local.disable(&key);
    local.create_alias("alias/disabled", &key);
    local.schedule_deletion(&key);
    assert_eq!(
        local.refusal(CREATE, &alias("alias/new", key.as_str())),
        format!("KMSInvalidStateException: {} is pending deletion.", key.as_str())
    );
}

#[test]
fn a_key_has_at_most_50_aliases() {
    let (local, key) = with_key();
    for number in 0..50 {
        local.create_alias(&format!("alias/{number}"), &key);
    }
    // The text is not recorded from KMS.
    assert_eq!(local.code(CREATE, &alias("alias/50", key.as_str())), "LimitExceededException");
    let local = local.reopened();
    assert_eq!(local.code(CREATE, &alias("alias/50", key.as_str())), "LimitExceededException");
    let other = local.create_key();
    local.create_alias("alias/50", &other);
}

#[test]
fn the_list_has_every_alias_with_its_key_and_its_dates() {
    let (local, key) = with_key();
    let other = local.create_key();
    local.create_alias("alias/b", &key);
    local.create_alias("alias/a", &other);
    local.create_alias("alias/c", &key);
    let answer = local.ok(Operation::ListAliases, &json!({}));
    assert_eq!(members(&answer), ["Aliases", "Truncated"]);
    assert_eq!(answer["Truncated"], false);
    let first = &answer["Aliases"][0];
    assert_eq!(members(first), ["AliasArn", "AliasName", "CreationDate", "LastUpdatedDate", "TargetKeyId"]);
    assert_eq!(first["AliasArn"], "arn:aws:kms:us-east-1:111122223333:alias/a");
    assert_eq!(first["TargetKeyId"], other.id().as_str());
    assert_eq!(first["CreationDate"].as_f64(), Some(1_795_458_161.0));
    assert_eq!(first["LastUpdatedDate"], first["CreationDate"]);
    assert_eq!(listed(&local, &json!({})), ["alias/a", "alias/b", "alias/c"]);
    for key_id in [key.as_str(), key.id().as_str()] {
        assert_eq!(listed(&local, &json!({"KeyId": key_id})), ["alias/b", "alias/c"]);
    }
    assert_eq!(local.code(Operation::ListAliases, &json!({"KeyId": NO_KEY})), "NotFoundException");
}
