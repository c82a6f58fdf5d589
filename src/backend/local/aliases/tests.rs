//! The rules of alias names, their quota, and their list (reference: "Aliases").

use serde_json::{Value, json};

use super::super::testing::{CALLER, Local, NO_KEY, members, region, wait};
use crate::aws::{KeyArn, Operation};
use crate::kms::{Exception, Input};

const CREATE: Operation = Operation::CreateAlias;
const UPDATE: Operation = Operation::UpdateAlias;
const DELETE: Operation = Operation::DeleteAlias;

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

fn target(local: &Local, name: &str) -> Value {
    local.ok(Operation::DescribeKey, &json!({"KeyId": name}))["KeyMetadata"]["Arn"].clone()
}

fn key_of(local: &Local, spec: &str, usage: &str) -> KeyArn {
    let metadata = local.ok(Operation::CreateKey, &json!({"KeySpec": spec, "KeyUsage": usage}))["KeyMetadata"].clone();
    metadata["Arn"].as_str().unwrap().parse().unwrap()
}

#[test]
fn an_alias_is_pointed_to_another_key_and_keeps_its_date() {
    let (local, key) = with_key();
    let other = local.create_key();
    local.create_alias("alias/orders", &key);
    local.pass(1);
    assert_eq!(local.ok(UPDATE, &alias("alias/orders", other.id().as_str())), Value::Null);
    let local = local.reopened();
    assert_eq!(target(&local, "alias/orders"), other.as_str());
    assert_eq!(listed(&local, &json!({"KeyId": key.as_str()})), [""; 0]);
    let entry = local.ok(Operation::ListAliases, &json!({"KeyId": other.as_str()}))["Aliases"][0].clone();
    assert_eq!(entry["CreationDate"].as_f64(), Some(1_795_458_161.0));
    assert_eq!(entry["LastUpdatedDate"].as_f64(), Some(1_795_458_161.0 + 86_400.0));
}

#[test]
fn an_alias_may_be_pointed_away_from_a_key_that_is_going_and_not_to_one() {
    let (local, key) = with_key();
    let other = local.create_key();
    local.create_alias("alias/orders", &key);
    local.schedule_deletion(&key);
    assert_eq!(
        local.refusal(UPDATE, &alias("alias/orders", key.as_str())),
        format!("KMSInvalidStateException: {} is pending deletion.", key.as_str())
    );
    local.disable(&other);
    local.ok(UPDATE, &alias("alias/orders", other.as_str()));
    local.pass(31);
    assert_eq!(target(&local, "alias/orders"), other.as_str(), "it did not go with its old key");
}

#[test]
fn an_alias_stays_with_keys_of_one_usage_and_one_type() {
    let (local, symmetric) = with_key();
    let signing = key_of(&local, "ECC_NIST_P256", "SIGN_VERIFY");
    let rsa = key_of(&local, "RSA_2048", "ENCRYPT_DECRYPT");
    local.create_alias("alias/x", &signing);
    // Recorded from KMS.
    assert_eq!(
        local.refusal(UPDATE, &alias("alias/x", symmetric.as_str())),
        "ValidationException: Alias alias/x cannot be changed from a CMK with key usage SIGN_VERIFY to a CMK with key \
         usage ENCRYPT_DECRYPT. The key usage of the current CMK and the new CMK must be the same."
    );
    let signing_too = key_of(&local, "RSA_4096", "SIGN_VERIFY");
    local.ok(UPDATE, &alias("alias/x", signing_too.as_str()));
    local.create_alias("alias/y", &symmetric);
    // The text is not recorded from KMS.
    assert_eq!(local.code(UPDATE, &alias("alias/y", rsa.as_str())), "ValidationException");
    local.schedule_deletion(&rsa);
    assert_eq!(local.code(UPDATE, &alias("alias/y", rsa.as_str())), "ValidationException", "its kind, then its state");
    assert_eq!(target(&local, "alias/y"), symmetric.as_str());
}

#[test]
fn an_alias_that_is_not_there_is_neither_changed_nor_deleted() {
    let (local, key) = with_key();
    local.create_alias("alias/orders", &key);
    // Names of AWS's own are those of keys that are not here.
    for name in ["alias/none", "alias/Orders", "alias/aws/s3"] {
        let expected = format!("NotFoundException: Alias arn:aws:kms:us-east-1:111122223333:{name} is not found.");
        assert_eq!(local.refusal(UPDATE, &alias(name, key.as_str())), expected);
        assert_eq!(local.refusal(DELETE, &json!({"AliasName": name})), expected);
    }
    for name in
        ["orders", "arn:aws:kms:us-east-1:111122223333:alias/orders", "arn:aws:kms:us-west-2:111122223333:alias/orders"]
    {
        for (operation, body) in [(UPDATE, alias(name, key.as_str())), (DELETE, json!({"AliasName": name}))] {
            assert_eq!(
                local.refusal(operation, &body),
                "ValidationException: Alias must start with the prefix \"alias/\". Please see \
                 https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html",
                "{operation:?} {name}"
            );
        }
    }
    assert_eq!(local.code(DELETE, &json!({"AliasName": "alias/or:ders"})), "ValidationException");
    let stranger =
        local.call_as("arn:aws:iam::444455556666:user/stranger", DELETE, &json!({"AliasName": "alias/orders"}));
    assert_eq!(
        stranger.unwrap_err().to_string(),
        "NotFoundException: Alias arn:aws:kms:us-east-1:444455556666:alias/orders is not found."
    );
    assert_eq!(target(&local, "alias/orders"), key.as_str());
}

#[test]
fn an_alias_is_pointed_only_to_what_a_new_one_may_point_to() {
    let (local, key) = with_key();
    local.create_alias("alias/orders", &key);
    let elsewhere = key.as_str().replace("us-east-1", "us-west-2");
    let theirs = key.as_str().replace("111122223333", "444455556666");
    for (target, code) in [
        ("alias/orders", "ValidationException"),
        (NO_KEY, "NotFoundException"),
        (elsewhere.as_str(), "NotFoundException"),
        (theirs.as_str(), "AccessDeniedException"),
    ] {
        assert_eq!(local.code(UPDATE, &alias("alias/orders", target)), code, "{target}");
    }
}

#[test]
fn an_alias_is_not_pointed_to_a_key_that_has_50() {
    let (local, key) = with_key();
    let other = local.create_key();
    for number in 0..50 {
        local.create_alias(&format!("alias/{number}"), &key);
    }
    local.create_alias("alias/50", &other);
    // The text is not recorded from KMS.
    assert_eq!(local.code(UPDATE, &alias("alias/50", key.as_str())), "LimitExceededException");
    assert_eq!(target(&local, "alias/50"), other.as_str());
    local.ok(UPDATE, &alias("alias/49", key.as_str()));
    local.ok(UPDATE, &alias("alias/49", other.as_str()));
    local.ok(UPDATE, &alias("alias/50", key.as_str()));
}

#[test]
fn an_alias_is_deleted_without_its_key_and_its_name_is_free_again() {
    let (local, key) = with_key();
    let other = local.create_key();
    local.create_alias("alias/a", &key);
    local.create_alias("alias/b", &key);
    local.schedule_deletion(&key);
    assert_eq!(local.ok(DELETE, &json!({"AliasName": "alias/a"})), Value::Null, "in every state");
    let local = local.reopened();
    assert_eq!(listed(&local, &json!({})), ["alias/b"]);
    assert_eq!(local.code(Operation::DescribeKey, &json!({"KeyId": "alias/a"})), "NotFoundException");
    local.ok(Operation::DescribeKey, &json!({"KeyId": key.as_str()}));
    local.create_alias("alias/a", &other);
    assert_eq!(target(&local, "alias/a"), other.as_str());
}

/// What becomes of a request that was resolved, and so judged, before `meanwhile` happened.
fn late(local: &Local, operation: Operation, body: &Value, meanwhile: impl FnOnce()) -> Result<(), Exception> {
    let input = Input::parse(operation, body.to_string().as_bytes()).unwrap();
    let keys = local.backend.resolve(&input, &CALLER.parse().unwrap(), &region()).unwrap();
    meanwhile();
    wait(local.backend.change(input, keys, region(), super::super::Requester::of_test(CALLER, &[]), Box::new(|_| ())))
        .map(drop)
}

#[test]
fn an_alias_that_points_elsewhere_by_now_is_left_alone_because_nobody_judged_that() {
    let (local, key) = with_key();
    let (other, third) = (local.create_key(), local.create_key());
    for (operation, body) in
        [(UPDATE, alias("alias/orders", third.as_str())), (DELETE, json!({"AliasName": "alias/orders"}))]
    {
        local.create_alias("alias/orders", &key);
        let moved = || drop(local.ok(UPDATE, &alias("alias/orders", other.as_str())));
        let refusal = late(&local, operation, &body, moved).unwrap_err().to_string();
        assert!(refusal.starts_with("ConflictException: "), "{refusal}");
        assert_eq!(target(&local, "alias/orders"), other.as_str());
        let deleted = || drop(local.ok(DELETE, &json!({"AliasName": "alias/orders"})));
        let refusal = late(&local, operation, &body, deleted).unwrap_err().to_string();
        assert!(refusal.starts_with("NotFoundException: Alias "), "{refusal}");
    }
}
