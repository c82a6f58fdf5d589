//! Each decision with AWS's words for the client and its reasons in the record.

use http::header::USER_AGENT;
use serde_json::{Value, json};

use super::super::testing::{ALIAS, FOREIGN, FOREIGN_ARN, ORDERS_ARN, World, statement};
use super::*;
use crate::aws::KeyArn;
use crate::backend::local::Requester;
use crate::clock::Timestamp;
use crate::kms::ExceptionKind;

const GENERATE: &str = "GenerateDataKeyWithoutPlaintext";

fn body() -> Value {
    json!({"KeyId": ALIAS, "KeySpec": "AES_256"})
}

/// What the policy makes of a request, and why, by the record.
struct Judged {
    outcome: Result<(), Exception>,
    /// For each permission the decision, the policy and the statement.
    reasons: Value,
    /// All that the record says.
    recorded: Value,
}

fn judge(world: &World, operation: &str, body: &Value) -> Judged {
    judged(world, Authorize.step(world.resolved(world.request(operation, body))))
}

fn judged(world: &World, outcome: Result<Authorized, Error>) -> Judged {
    let outcome = outcome.map(drop).map_err(|error| error.exception().into_owned());
    let recorded = world.record()["additionalEventData"]["gateway"]["reasons"].clone();
    let mut reasons = recorded.clone();
    for reason in reasons.as_array_mut().into_iter().flatten() {
        reason.as_object_mut().unwrap().retain(|name, _| ["decision", "policy", "statement"].contains(&name.as_str()));
    }
    Judged { outcome, reasons, recorded }
}

impl Judged {
    fn denied(&self) -> &str {
        let exception = self.outcome.as_ref().unwrap_err();
        assert_eq!(exception.kind(), ExceptionKind::AccessDenied);
        exception.message().unwrap()
    }
}

fn allowed_by(sid: &str) -> Value {
    json!({"decision": "Allow", "policy": "the-policy", "statement": sid})
}

#[test]
fn what_a_statement_allows_is_allowed_and_the_record_names_it() {
    let world = World::with_policy(statement("kms:GenerateDataKeyWithoutPlaintext", "*"));
    world.key();
    let judged = judge(&world, GENERATE, &body());
    assert_eq!(judged.outcome, Ok(()));
    assert_eq!(judged.reasons, json!([allowed_by("Allowed")]));
}

#[test]
fn a_statement_without_an_id_is_named_by_its_place() {
    let world = World::with_policy(json!([
        statement("kms:Decrypt", "*"),
        {"Effect": "Allow", "Action": "kms:Generate*", "Resource": "*"},
    ]));
    world.key();
    assert_eq!(judge(&world, GENERATE, &body()).reasons, json!([allowed_by("1")]));
}

#[test]
fn what_no_statement_allows_is_refused_in_awss_words() {
    let world = World::with_policy(statement("kms:Decrypt", "*"));
    let key = world.key();
    let judged = judge(&world, GENERATE, &body());
    // reference/authorization.md, section 9: the caller, the permission and the key's ARN, whatever named it.
    assert_eq!(
        judged.denied(),
        format!(
            "User: {ORDERS_ARN} is not authorized to perform: kms:GenerateDataKeyWithoutPlaintext on resource: {key} \
             because no identity-based policy allows the kms:GenerateDataKeyWithoutPlaintext action",
            key = key.as_str()
        )
    );
    assert_eq!(judged.reasons, json!([{"decision": "ImplicitDeny"}]));
}

#[test]
fn an_explicit_deny_wins_over_every_allow() {
    let deny = json!({"Sid": "NotThis", "Effect": "Deny", "Action": "kms:*", "Resource": "*",
        "Condition": {"StringEquals": {"kms:RequestAlias": ALIAS}}});
    let world = World::with_policy(json!([statement("kms:*", "*"), deny]));
    let key = world.key();
    let judged = judge(&world, GENERATE, &body());
    assert_eq!(
        judged.denied(),
        format!(
            "User: {ORDERS_ARN} is not authorized to perform: kms:GenerateDataKeyWithoutPlaintext on resource: {key} \
             with an explicit deny in an identity-based policy",
            key = key.as_str()
        )
    );
    let reason = json!([{"decision": "ExplicitDeny", "policy": "the-policy", "statement": "NotThis"}]);
    assert_eq!(judged.reasons, reason);
}

#[test]
fn an_operation_without_a_key_is_judged_on_everything() {
    let world = World::with_policy(statement("kms:Decrypt", "*"));
    let judged = judge(&world, "ListKeys", &json!({}));
    assert_eq!(
        judged.denied(),
        format!(
            "User: {ORDERS_ARN} is not authorized to perform: kms:ListKeys on resource: * because no identity-based \
             policy allows the kms:ListKeys action"
        )
    );
}

/// A ciphertext under the key of `alias`.
fn ciphertext(world: &World, alias: &str) -> String {
    let body = json!({"KeyId": alias, "KeySpec": "AES_256"});
    let backend = world.backend();
    let input = Input::parse(crate::aws::Operation::GenerateDataKeyWithoutPlaintext, body.to_string().as_bytes());
    let input = input.unwrap();
    let region = "us-east-1".parse().unwrap();
    let keys = backend.resolve(&input, &ORDERS_ARN.parse().unwrap(), &region).unwrap();
    let answer: Value = serde_json::from_slice(&backend.answer(&input, &keys, &region).unwrap().body).unwrap();
    answer["CiphertextBlob"].as_str().unwrap().to_owned()
}

#[test]
fn who_may_not_open_a_ciphertext_is_not_told_its_key() {
    let world = World::with_policy(statement("kms:Encrypt", "*"));
    world.key();
    let judged = judge(&world, "Decrypt", &json!({"CiphertextBlob": ciphertext(&world, ALIAS)}));
    assert_eq!(
        judged.denied(),
        format!(
            "User: {ORDERS_ARN} is not authorized to perform: kms:Decrypt on the resource associated with this \
             ciphertext because no identity-based policy allows the kms:Decrypt action"
        )
    );
}

/// A world with two keys, in which `from` and `to` may be re-encrypted from and to; the ciphertext is under the first.
fn re_encrypting(policy: impl FnOnce(&KeyArn, &KeyArn) -> Value) -> (Judged, KeyArn, KeyArn) {
    let other = World::new();
    let (from, to) = (other.key(), other.key_named("alias/other"));
    // Policies are made before keys are: a second world with the first one's backend.
    let world = World::with_policy(policy(&from, &to));
    let body = json!({"CiphertextBlob": ciphertext(&other, ALIAS), "DestinationKeyId": "alias/other"});
    let parsed = world.parsed(world.request("ReEncrypt", &body));
    let resolved = super::super::resolve::from_store(&other.backend(), parsed).unwrap();
    (judged(&world, Authorize.step(resolved)), from, to)
}

#[test]
fn re_encrypt_needs_both_its_permissions_each_on_its_own_key() {
    let both = |from: &KeyArn, to: &KeyArn| {
        json!([
            {"Sid": "From", "Effect": "Allow", "Action": "kms:ReEncryptFrom", "Resource": from.as_str()},
            {"Sid": "To", "Effect": "Allow", "Action": "kms:ReEncryptTo", "Resource": to.as_str()},
        ])
    };
    let (judged, ..) = re_encrypting(both);
    assert_eq!(judged.outcome, Ok(()));
    assert_eq!(judged.reasons, json!([allowed_by("From"), allowed_by("To")]));
}

#[test]
fn re_encrypt_with_one_permission_is_refused_by_the_name_of_the_other() {
    let (judged, ..) = re_encrypting(|from, _| statement("kms:ReEncrypt*", from.as_str()));
    let to = judged.denied();
    assert!(to.contains("is not authorized to perform: kms:ReEncryptTo on resource: arn:aws:kms:"), "{to}");
    assert_eq!(judged.reasons, json!([allowed_by("Allowed"), {"decision": "ImplicitDeny"}]));
    let (judged, from, _) = re_encrypting(|_, to| statement("kms:ReEncrypt*", to.as_str()));
    let text = judged.denied();
    assert!(text.contains("kms:ReEncryptFrom on the resource associated with this ciphertext"), "{text}");
    assert!(!text.contains(from.as_str()), "{text}");
}

#[test]
fn create_alias_needs_its_permission_on_the_alias_and_on_the_key() {
    let alias = "arn:aws:kms:us-east-1:111122223333:alias/new";
    for (resource, refused) in [(alias, "key"), ("arn:aws:kms:*:*:key/*", "alias")] {
        let world = World::with_policy(statement("kms:CreateAlias", resource));
        let key = world.key();
        let judged = judge(&world, "CreateAlias", &json!({"AliasName": "alias/new", "TargetKeyId": key.id().as_str()}));
        let on = if refused == "key" { key.as_str() } else { alias };
        assert!(judged.denied().contains(&format!("on resource: {on} because")), "{}", judged.denied());
    }
}

/// What is judged of a request on an alias and two keys, under a policy that allows `action` on `resources` of them: the
/// alias's, the one it points to, and the one it is to point to.
fn judged_on(action: &str, body: &Value, resources: [bool; 3]) -> (Judged, [String; 3]) {
    let other = World::new();
    let keys = [other.key().as_str().to_owned(), other.key_named("alias/other").as_str().to_owned()];
    let [from, to] = keys;
    let arns = ["arn:aws:kms:us-east-1:111122223333:alias/orders".to_owned(), from, to];
    let allowed: Vec<_> = arns.iter().zip(resources).filter(|(_, allowed)| *allowed).map(|(arn, _)| arn).collect();
    let statement =
        json!({"Sid": "Allowed", "Effect": "Allow", "Action": format!("kms:{action}"), "Resource": allowed});
    // Policies are made before keys are: a second world with the first one's backend.
    let world = World::with_policy(statement);
    let mut body = body.clone();
    if body.get("TargetKeyId").is_some() {
        body["TargetKeyId"] = json!(arns[2]);
    }
    let resolved =
        super::super::resolve::from_store(&other.backend(), world.parsed(world.request(action, &body))).unwrap();
    (judged(&world, Authorize.step(resolved)), arns)
}

#[test]
fn update_alias_needs_its_permission_on_the_alias_and_on_both_keys() {
    let body = json!({"AliasName": ALIAS, "TargetKeyId": ""});
    let (judged, _) = judged_on("UpdateAlias", &body, [true; 3]);
    assert_eq!(judged.outcome, Ok(()));
    assert_eq!(judged.reasons, json!([allowed_by("Allowed"), allowed_by("Allowed"), allowed_by("Allowed")]));
    for missing in 0..3 {
        let mut resources = [true; 3];
        resources[missing] = false;
        let (judged, arns) = judged_on("UpdateAlias", &body, resources);
        assert!(judged.denied().contains(&format!("on resource: {} because", arns[missing])), "{}", judged.denied());
    }
}

#[test]
fn delete_alias_needs_its_permission_on_the_alias_and_on_its_key() {
    let body = json!({"AliasName": ALIAS});
    let (judged, _) = judged_on("DeleteAlias", &body, [true, true, false]);
    assert_eq!(judged.outcome, Ok(()));
    for missing in 0..2 {
        let mut resources = [true; 3];
        resources[missing] = false;
        let (judged, arns) = judged_on("DeleteAlias", &body, resources);
        assert!(judged.denied().contains(&format!("on resource: {} because", arns[missing])), "{}", judged.denied());
    }
}

#[test]
fn conditions_on_tags_see_those_that_are_set_taken_away_and_there() {
    let set = json!([{"TagKey": "Team", "TagValue": "blue"}, {"TagKey": "cost", "TagValue": "7"}]);
    let (set, taken) = (("TagResource", json!({"Tags": set})), ("UntagResource", json!({"TagKeys": ["Team", "cost"]})));
    let rows = [
        (&set, json!({"StringEquals": {"aws:RequestTag/Team": "blue"}}), true),
        (&set, json!({"StringEquals": {"aws:RequestTag/team": "blue"}}), true),
        (&set, json!({"StringEquals": {"aws:RequestTag/Team": "red"}}), false),
        (&set, json!({"ForAllValues:StringEquals": {"aws:TagKeys": ["Team", "cost"]}}), true),
        (&set, json!({"ForAllValues:StringEquals": {"aws:TagKeys": ["Team"]}}), false),
        (&taken, json!({"Null": {"aws:RequestTag/Team": "true"}}), true),
        (&taken, json!({"ForAllValues:StringEquals": {"aws:TagKeys": ["cost", "Team", "stage"]}}), true),
        (&taken, json!({"ForAnyValue:StringEquals": {"aws:TagKeys": "Team"}}), true),
        (&taken, json!({"ForAllValues:StringEquals": {"aws:TagKeys": ["Team"]}}), false),
        // The key has no tags yet, whatever the request would give it.
        (&set, json!({"Null": {"aws:ResourceTag/Team": "true"}}), true),
        (&set, json!({"StringEquals": {"aws:ResourceTag/Team": "blue"}}), false),
    ];
    for ((operation, body), condition, allowed) in rows {
        // Tagging a key that is there asks for nothing but that: no permission on `*`, as for a new one.
        let policy = json!({"Sid": "Allowed", "Effect": "Allow", "Action": format!("kms:{operation}"),
            "Resource": "arn:aws:kms:*:*:key/*", "Condition": condition});
        let world = World::with_policy(policy);
        let mut body = body.clone();
        body["KeyId"] = json!(world.key().as_str());
        let judged = judge(&world, operation, &body);
        assert_eq!(judged.outcome.is_ok(), allowed, "{operation} {condition}");
    }
}

#[test]
fn a_condition_on_a_keys_tag_sees_it_when_the_key_has_it() {
    let policy = json!({"Effect": "Allow", "Action": "kms:UntagResource", "Resource": "*",
        "Condition": {"StringEquals": {"aws:ResourceTag/team": "blue"}}});
    let world = World::with_policy(policy);
    let region = "us-east-1".parse().unwrap();
    let change = |operation, body: Value| {
        let input = Input::parse(operation, body.to_string().as_bytes()).unwrap();
        let keys = world.backend().resolve(&input, &ORDERS_ARN.parse().unwrap(), &region).unwrap();
        let change = world.backend().change(
            input,
            keys,
            region.clone(),
            crate::backend::local::Requester::of_test(ORDERS_ARN, &[]),
            Box::new(|_| ()),
        );
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(change).unwrap()
    };
    let key = world.key();
    let body = json!({"KeyId": key.as_str(), "TagKeys": ["team"]});
    let resolved = || world.resolved(world.request("UntagResource", &body));
    assert_eq!(Authorize.step(resolved()).unwrap_err().exception().kind(), ExceptionKind::AccessDenied);
    change(Operation::TagResource, json!({"KeyId": key.as_str(), "Tags": [{"TagKey": "Team", "TagValue": "blue"}]}));
    assert!(Authorize.step(resolved()).is_ok());
}

#[test]
fn a_principal_of_another_account_needs_the_keys_policy_whatever_its_own_policies_say() {
    let world = World::new();
    let key = world.key();
    let request = |operation: &str, body: Value| world.parsed(world.signed(FOREIGN, operation, &body.to_string(), &[]));
    // It has no key of that id, and another account's it is not told of.
    let resolve = |parsed| super::super::resolve::from_store(&world.backend(), parsed);
    let own = resolve(request("DescribeKey", json!({"KeyId": key.id().as_str()}))).unwrap_err();
    let text = own.exception().message().unwrap().to_owned();
    assert_eq!(text, format!("Key 'arn:aws:kms:us-east-1:444455556666:key/{}' does not exist", key.id().as_str()));
    // reference/authorization.md, section 9: of a key that is there, one that is not, and an operation that is never open
    // to other accounts, it is told the same.
    let absent = key.as_str().replace(key.id().as_str(), "1234abcd-12ab-34cd-56ef-1234567890ab");
    for (operation, key_id) in [("DescribeKey", key.as_str()), ("DescribeKey", &absent), ("DisableKey", key.as_str())] {
        let outcome = resolve(request(operation, json!({"KeyId": key_id})));
        let error = outcome.and_then(|resolved| Authorize.step(resolved)).unwrap_err();
        let expected = format!(
            "User: {FOREIGN_ARN} is not authorized to perform: kms:{operation} on this resource because the resource \
             does not exist in this Region, no resource-based policies allow access, or a resource-based policy \
             explicitly denies access"
        );
        assert_eq!(error.exception().message(), Some(expected.as_str()));
        assert_eq!(error.exception().kind(), ExceptionKind::AccessDenied);
    }

    // A ciphertext finds its key, and then no resource-based policy opens it.
    let body = json!({"CiphertextBlob": ciphertext(&world, ALIAS)});
    let resolved = resolve(request("Decrypt", body)).unwrap();
    let error = Authorize.step(resolved).unwrap_err();
    assert_eq!(
        error.exception().message(),
        Some(
            format!(
                "User: {FOREIGN_ARN} is not authorized to perform: kms:Decrypt on the resource associated with this \
                 ciphertext because the resource does not exist in this Region, no resource-based policies allow access, \
                 or a resource-based policy explicitly denies access"
            )
            .as_str()
        )
    );
    let resolved = resolve(request("ListKeys", json!({}))).unwrap();
    assert_eq!(Authorize.step(resolved).unwrap_err().exception().kind(), ExceptionKind::AccessDenied);
}

/// A policy that delegates to the account as the default one does, and more.
fn key_policy(statements: &[Value]) -> String {
    let root = json!({"Sid": "Delegate", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
        "Action": "kms:*", "Resource": "*"});
    let statements = [&[root], statements].concat();
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

/// Gives the key a policy, whomever it locks out.
fn put_key_policy(world: &World, key: &KeyArn, policy: &str) {
    let body = json!({"KeyId": key.as_str(), "Policy": policy, "BypassPolicyLockoutSafetyCheck": true});
    changed(world, Operation::PutKeyPolicy, &body);
}

#[test]
fn a_key_policy_opens_the_key_to_another_account_whose_own_policies_allow_it_too() {
    let world = World::new();
    let key = world.key();
    let allow = json!({"Effect": "Allow", "Principal": {"AWS": FOREIGN_ARN}, "Action": "kms:DescribeKey",
        "Resource": "*"});
    put_key_policy(&world, &key, &key_policy(&[allow]));
    let ask = |operation: &str| {
        let body = json!({"KeyId": key.as_str(), "KeySpec": "AES_256"});
        let request = world.signed(FOREIGN, operation, &body.to_string(), &[]);
        Authorize.step(world.resolved(request))
    };
    assert!(ask("DescribeKey").is_ok());
    assert_eq!(ask("GenerateDataKey").unwrap_err().exception().kind(), ExceptionKind::AccessDenied);
}

#[test]
fn a_key_policy_that_does_not_delegate_leaves_identity_policies_without_effect() {
    let decrypt_only = json!({"Version": "2012-10-17", "Statement": {"Sid": "Direct", "Effect": "Allow",
        "Principal": {"AWS": ORDERS_ARN}, "Action": "kms:GenerateDataKey", "Resource": "*"}});
    let with_policy = || {
        let world = World::new();
        let key = world.key();
        put_key_policy(&world, &key, &decrypt_only.to_string());
        (world, key)
    };
    let (world, key) = with_policy();
    let judged = judge(&world, GENERATE, &body());
    assert_eq!(
        judged.denied(),
        format!(
            "User: {ORDERS_ARN} is not authorized to perform: kms:GenerateDataKeyWithoutPlaintext on resource: {key} \
             because no resource-based policy allows the kms:GenerateDataKeyWithoutPlaintext action",
            key = key.as_str()
        )
    );
    assert_eq!(judged.recorded[0]["layer"], "key");
    let judged = judge(&with_policy().0, "GenerateDataKey", &body());
    assert_eq!(judged.outcome, Ok(()));
    let direct = json!({"decision": "Allow", "action": "kms:GenerateDataKey", "layer": "key", "statement": "Direct"});
    assert_eq!(judged.recorded, json!([direct]));
}

#[test]
fn a_key_policy_that_denies_beats_identity_policies() {
    let deny = json!({"Sid": "Never", "Effect": "Deny", "Principal": "*", "Action": "kms:Generate*", "Resource": "*"});
    let with_policy = || {
        let world = World::new();
        put_key_policy(&world, &world.key(), &key_policy(slice::from_ref(&deny)));
        world
    };
    let judged = judge(&with_policy(), GENERATE, &body());
    assert!(judged.denied().ends_with("with an explicit deny in a resource-based policy"), "{}", judged.denied());
    assert_eq!(judge(&with_policy(), "DescribeKey", &json!({"KeyId": ALIAS})).outcome, Ok(()));
}

#[test]
fn the_record_says_for_each_permission_which_statements_gave_it() {
    let world = World::with_policy(statement("kms:GenerateDataKeyWithoutPlaintext", "*"));
    world.key();
    assert_eq!(
        judge(&world, GENERATE, &body()).recorded,
        json!([{"decision": "Allow", "action": "kms:GenerateDataKeyWithoutPlaintext", "layer": "identity",
            "policy": "the-policy", "statement": "Allowed", "keyStatement": "Enable IAM User Permissions"}])
    );
}

/// Grants the stranger of another account what it asks for, and answers with the grant's id and token.
fn granted(world: &World, key: &KeyArn, operations: &[&str], more: &Value) -> [String; 2] {
    let mut body = json!({"KeyId": key.as_str(), "GranteePrincipal": FOREIGN_ARN, "Operations": operations});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let answer = changed(world, Operation::CreateGrant, &body);
    ["GrantId", "GrantToken"].map(|member| answer[member].as_str().unwrap().to_owned())
}

/// What becomes of the stranger's request.
fn stranger(world: &World, operation: &str, body: &Value) -> Judged {
    let parsed = world.parsed(world.signed(FOREIGN, operation, &body.to_string(), &[]));
    let resolved = super::super::resolve::from_store(&world.backend(), parsed);
    judged(world, resolved.and_then(|resolved| Authorize.step(resolved)))
}

#[test]
fn the_grants_that_a_principal_of_another_account_may_retire_are_listed_by_leave_of_its_own() {
    let world = World::new();
    let list = |arn: &str| stranger(&world, "ListRetirableGrants", &json!({"RetiringPrincipal": arn}));
    let own = list(FOREIGN_ARN);
    assert!(own.outcome.is_ok());
    assert_eq!(own.reasons[0]["decision"], "Allow");
}

#[test]
fn what_cannot_be_a_grant_token_is_refused() {
    for token in ["no token", "AQpAM2RhZ"] {
        let world = World::new();
        world.key();
        let body = json!({"KeyId": ALIAS, "KeySpec": "AES_256", "GrantTokens": [token]});
        assert_eq!(judge(&world, GENERATE, &body).outcome.unwrap_err().kind(), ExceptionKind::InvalidGrantToken);
    }
}

#[test]
fn a_grant_lets_in_whom_no_policy_does_within_its_operations_and_its_constraint() {
    let constraint = json!({"Constraints": {"EncryptionContextSubset": {"Team": "orders"}}});
    let operations = ["GenerateDataKeyWithoutPlaintext", "DescribeKey"];
    let rows = [
        (GENERATE, json!({"team": "orders", "more": "x"}), true),
        (GENERATE, json!({"team": "Orders"}), false),
        (GENERATE, json!({}), false),
        ("GenerateDataKey", json!({"team": "orders"}), false),
        ("DescribeKey", json!({}), true),
    ];
    for (operation, context, allowed) in rows {
        let world = World::new();
        let key = world.key();
        let [id, _] = granted(&world, &key, &operations, &constraint);
        let mut body = json!({"KeyId": key.as_str()});
        if operation != "DescribeKey" {
            body["KeySpec"] = json!("AES_256");
            body["EncryptionContext"] = context.clone();
        }
        let judged = stranger(&world, operation, &body);
        assert_eq!(judged.outcome.is_ok(), allowed, "{operation} {context}");
        if allowed {
            let reason = json!([{"decision": "Allow", "action": format!("kms:{operation}"), "layer": "grant",
                "grantId": id}]);
            assert_eq!(judged.recorded, reason);
        }
    }
}

#[test]
fn a_key_policy_that_denies_beats_a_grant() {
    let world = World::new();
    let key = world.key();
    granted(&world, &key, &["GenerateDataKeyWithoutPlaintext"], &json!({}));
    let deny = json!({"Effect": "Deny", "Principal": "*", "Action": "kms:Generate*", "Resource": "*"});
    put_key_policy(&world, &key, &key_policy(&[deny]));
    let judged = stranger(&world, GENERATE, &json!({"KeyId": key.as_str(), "KeySpec": "AES_256"}));
    assert!(judged.outcome.is_err());
    assert_eq!(judged.recorded[0]["decision"], "ExplicitDeny");
}

#[test]
fn a_token_of_a_grant_that_is_gone_or_of_another_key_adds_nothing() {
    let world = World::new();
    let (key, other) = (world.key(), world.key_named("alias/other"));
    let [id, token] = granted(&world, &key, &["GenerateDataKeyWithoutPlaintext"], &json!({}));
    let body = |key: &KeyArn| json!({"KeyId": key.as_str(), "KeySpec": "AES_256", "GrantTokens": [token]});
    let ask = |key: &KeyArn| {
        let parsed = world.parsed(world.signed(FOREIGN, GENERATE, &body(key).to_string(), &[]));
        let resolved = super::super::resolve::from_store(&world.backend(), parsed).unwrap();
        Authorize.step(resolved).map(drop).map_err(|error| error.exception().kind())
    };
    assert_eq!(ask(&key), Ok(()));
    assert_eq!(ask(&other), Err(ExceptionKind::AccessDenied));
    changed(&world, Operation::RevokeGrant, &json!({"KeyId": key.as_str(), "GrantId": id}));
    assert_eq!(ask(&key), Err(ExceptionKind::AccessDenied));
}

#[test]
fn a_grant_is_retired_by_whom_it_names_and_by_identity_policies_of_its_account_and_by_no_key_policy() {
    let retire = |caller: &str, policy: Value, more: Value, key_statement: Option<Value>| {
        let world = World::with_policy(policy);
        let key = world.key();
        let [id, _] = granted(&world, &key, &["Encrypt", "RetireGrant"], &more);
        put_key_policy(&world, &key, &key_policy(key_statement.as_slice()));
        let body = json!({"KeyId": key.as_str(), "GrantId": id});
        let judged = match caller {
            FOREIGN_ARN => stranger(&world, "RetireGrant", &body),
            _ => judge(&world, "RetireGrant", &body),
        };
        judged.outcome.map_err(|exception| exception.message().unwrap().to_owned())
    };
    let (nothing, any) = (statement("kms:Sign", "*"), json!({}));
    // reference/kms-keys-and-grants.md, 8.8, and trap 24 of reference/authorization.md.
    assert_eq!(retire(FOREIGN_ARN, nothing.clone(), any.clone(), None), Ok(()), "the grantee, given RetireGrant");
    assert_eq!(retire(ORDERS_ARN, nothing.clone(), json!({"RetiringPrincipal": ORDERS_ARN}), None), Ok(()));
    assert_eq!(retire(ORDERS_ARN, statement("kms:RetireGrant", "*"), any.clone(), None), Ok(()));
    let allow = json!({"Effect": "Allow", "Principal": {"AWS": ORDERS_ARN}, "Action": "kms:RetireGrant",
        "Resource": "*"});
    let refused = retire(ORDERS_ARN, nothing, any, Some(allow)).unwrap_err();
    assert!(refused.ends_with("because no identity-based policy allows the kms:RetireGrant action"), "{refused}");
    let deny = json!({"Effect": "Deny", "Action": "kms:RetireGrant", "Resource": "*"});
    let refused = retire(ORDERS_ARN, deny, json!({"RetiringPrincipal": ORDERS_ARN}), None).unwrap_err();
    assert!(refused.ends_with("with an explicit deny in an identity-based policy"), "{refused}");
}

#[test]
fn a_policy_can_say_which_grants_are_made() {
    let grant = json!({"GranteePrincipal": FOREIGN_ARN, "Operations": ["Decrypt", "DescribeKey"],
        "Constraints": {"EncryptionContextEquals": {"team": "orders"}}});
    let mut retired = grant.clone();
    retired["RetiringPrincipal"] = json!(ORDERS_ARN);
    let mut free = grant.clone();
    free.as_object_mut().unwrap().remove("Constraints");
    let bodies = [grant, retired, free];
    for (condition, expected) in [
        (json!({"StringEquals": {"kms:GranteePrincipal": FOREIGN_ARN}}), [true, true, true]),
        (json!({"StringEquals": {"kms:GranteePrincipal": ORDERS_ARN}}), [false, false, false]),
        (json!({"StringEquals": {"kms:RetiringPrincipal": ORDERS_ARN}}), [false, true, false]),
        (json!({"StringEquals": {"kms:GrantConstraintType": "EncryptionContextEquals"}}), [true, true, false]),
        (json!({"StringEquals": {"kms:EncryptionContext:Team": "orders"}}), [true, true, false]),
        (json!({"ForAnyValue:StringEquals": {"kms:EncryptionContextKeys": "team"}}), [true, true, false]),
        (json!({"ForAllValues:StringEquals": {"kms:GrantOperations": ["Decrypt", "DescribeKey"]}}), [true, true, true]),
        (json!({"ForAllValues:StringEquals": {"kms:GrantOperations": ["Decrypt"]}}), [false, false, false]),
        (json!({"Bool": {"kms:GrantIsForAWSResource": "true"}}), [false, false, false]),
        (json!({"Bool": {"kms:GrantIsForAWSResource": "false"}}), [true, true, true]),
    ] {
        let judged = bodies.each_ref().map(|body| {
            let world = World::with_policy(json!({"Effect": "Allow", "Action": "kms:CreateGrant", "Resource": "*",
                "Condition": condition}));
            let mut body = body.clone();
            body["KeyId"] = json!(world.key().as_str());
            judge(&world, "CreateGrant", &body).outcome.is_ok()
        });
        assert_eq!(judged, expected, "{condition}");
    }
}

#[test]
fn what_is_only_reported_is_the_use_of_keys_until_the_day_that_was_named() {
    let world = |until: &str, statements: Value| {
        let report_only = Timestamp::end_of_day(until);
        World::report_only(statements, report_only)
    };
    // The clock shows 2026-11-23.
    let nothing = || statement("kms:Sign", "*");
    let reported = world("2026-11-23", nothing());
    reported.key();
    let judged = judge(&reported, GENERATE, &body());
    assert_eq!(judged.outcome, Ok(()));
    assert_eq!(
        judged.recorded,
        json!([{"decision": "ImplicitDeny", "action": "kms:GenerateDataKeyWithoutPlaintext", "layer": "identity",
            "reportOnly": true}])
    );
    let deny = json!([nothing(), {"Effect": "Deny", "Action": "kms:Generate*", "Resource": "*"}]);
    for (until, statements, operation) in [
        ("2026-11-22", nothing(), GENERATE),
        ("2026-11-23", deny, GENERATE),
        ("2026-11-23", nothing(), "DisableKey"),
        ("2026-11-23", nothing(), "ListGrants"),
        ("2026-11-23", nothing(), "CreateGrant"),
    ] {
        let world = world(until, statements);
        let key = world.key();
        let body = match operation {
            GENERATE => body(),
            "CreateGrant" => {
                json!({"KeyId": key.as_str(), "GranteePrincipal": ORDERS_ARN, "Operations": ["Decrypt"]})
            }
            _ => json!({"KeyId": key.as_str()}),
        };
        let judged = judge(&world, operation, &body);
        assert!(judged.outcome.is_err(), "{until} {operation}");
        assert_eq!(judged.recorded[0].get("reportOnly"), None);
    }
}

#[test]
fn conditions_see_the_request_as_it_is() {
    // Each of these is true of the request below.
    let conditions = [
        json!({"StringEquals": {"kms:EncryptionContext:order": "7"}}),
        json!({"ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["order", "shop"]}}),
        json!({"StringEquals": {"kms:RequestAlias": ALIAS}}),
        json!({"ForAnyValue:StringEquals": {"kms:ResourceAliases": ALIAS}}),
        json!({"StringEquals": {"kms:KeySpec": "SYMMETRIC_DEFAULT", "kms:KeyUsage": "ENCRYPT_DECRYPT"}}),
        json!({"StringEquals": {"kms:CallerAccount": "111122223333", "aws:ResourceAccount": "111122223333"}}),
        json!({"StringEquals": {"aws:username": "orders", "aws:userid": "AIDACKCEVSQ6C2EXAMPLE"}}),
        json!({"ArnEquals": {"aws:PrincipalArn": ORDERS_ARN}}),
        json!({"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}),
        json!({"Bool": {"aws:SecureTransport": "false", "aws:PrincipalIsAWSService": "false"}}),
        json!({"DateEquals": {"aws:CurrentTime": "2026-11-23T18:22:41Z"}}),
        json!({"StringEquals": {"aws:RequestedRegion": "us-east-1"}}),
        json!({"StringEquals": {"kms:EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}}),
        json!({"Null": {"aws:UserAgent": "true", "aws:referer": "true", "aws:SourceVpc": "true"}}),
    ];
    let body = json!({"KeyId": ALIAS, "KeySpec": "AES_256", "EncryptionContext": {"order": "7"}});
    for condition in conditions {
        let policy = json!({"Effect": "Allow", "Action": "kms:*", "Resource": "*", "Condition": condition});
        let world = World::with_policy(policy);
        world.key();
        assert_eq!(judge(&world, GENERATE, &body).outcome, Ok(()), "{condition}");
    }
}

#[test]
fn a_policy_can_say_which_key_pairs_are_made() {
    let condition =
        json!({"StringEquals": {"kms:DataKeyPairSpec": "RSA_4096", "kms:EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}});
    let policy = json!({"Effect": "Allow", "Action": "kms:*", "Resource": "*", "Condition": condition});
    for operation in ["GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext"] {
        for (spec, allowed) in [("RSA_4096", true), ("RSA_2048", false), ("ECC_NIST_P256", false)] {
            let world = World::with_policy(policy.clone());
            world.key();
            let body = json!({"KeyId": ALIAS, "KeyPairSpec": spec});
            assert_eq!(judge(&world, operation, &body).outcome.is_ok(), allowed, "{operation} {spec}");
        }
    }
    let world = World::with_policy(policy);
    world.key();
    let body = json!({"KeyId": ALIAS, "KeySpec": "AES_256"});
    assert!(judge(&world, GENERATE, &body).outcome.is_err(), "the condition key is absent there");
}

/// Whether a policy with this condition allows each of these requests, which name a key that is there.
fn allowed_if(condition: &Value, operation: &str, bodies: &[Value]) -> Vec<bool> {
    let policy = json!({"Effect": "Allow", "Action": "kms:*", "Resource": "*", "Condition": condition});
    let allowed = |body: &Value| {
        let world = World::with_policy(policy.clone());
        let mut body = body.clone();
        body["KeyId"] = json!(world.key().as_str());
        judge(&world, operation, &body).outcome.is_ok()
    };
    bodies.iter().map(allowed).collect()
}

#[test]
fn a_policy_can_say_how_often_keys_are_rotated() {
    let bodies = [json!({"RotationPeriodInDays": 180}), json!({"RotationPeriodInDays": 181}), json!({})];
    let at_most = |days| json!({"NumericLessThanEquals": {"kms:RotationPeriodInDays": days}});
    assert_eq!(allowed_if(&at_most(180), "EnableKeyRotation", &bodies), [true, false, false]);
    assert_eq!(allowed_if(&at_most(365), "EnableKeyRotation", &bodies), [true; 3], "365 days unless it is said");
    assert_eq!(allowed_if(&at_most(365), "DisableKeyRotation", &[json!({})]), [false], "the key is absent there");
}

#[test]
fn a_policy_can_say_how_material_is_imported() {
    let wrapped = |algorithm, spec| json!({"WrappingAlgorithm": algorithm, "WrappingKeySpec": spec});
    let bodies = [wrapped("RSAES_OAEP_SHA_256", "RSA_4096"), wrapped("RSAES_OAEP_SHA_1", "RSA_4096")];
    let condition =
        json!({"StringEquals": {"kms:WrappingAlgorithm": "RSAES_OAEP_SHA_256", "kms:WrappingKeySpec": "RSA_4096"}});
    assert_eq!(allowed_if(&condition, "GetParametersForImport", &bodies), [true, false]);
    assert_eq!(allowed_if(&condition, "GetParametersForImport", &[wrapped("RSAES_OAEP_SHA_256", "RSA_2048")]), [false]);

    let import = |more: Value| {
        let mut body = json!({"ImportToken": "AA==", "EncryptedKeyMaterial": "AA=="});
        more.as_object().unwrap().iter().for_each(|(name, value)| body[name] = value.clone());
        body
    };
    // 2026-12-01T00:00:00Z and a second later.
    let bodies = [
        import(json!({"ValidTo": 1_796_083_200})),
        import(json!({"ValidTo": 1_796_083_201, "ExpirationModel": "KEY_MATERIAL_EXPIRES"})),
        import(json!({"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"})),
    ];
    let ends = json!({"StringEquals": {"kms:ExpirationModel": "KEY_MATERIAL_EXPIRES"}});
    assert_eq!(allowed_if(&ends, "ImportKeyMaterial", &bodies), [true, true, false]);
    let in_time = json!({"DateLessThanEquals": {"kms:ValidTo": "2026-12-01T00:00:00Z"}});
    assert_eq!(allowed_if(&in_time, "ImportKeyMaterial", &bodies), [true, false, false]);
    let nothing = [json!({})];
    for condition in [ends, in_time] {
        assert_eq!(allowed_if(&condition, "DeleteImportedKeyMaterial", &nothing), [false], "they are absent there");
    }
}

/// A multi-Region key in us-east-1, made past the policies.
fn multi_region_key(world: &World) -> KeyArn {
    let answer = changed(world, crate::aws::Operation::CreateKey, &json!({"MultiRegion": true}));
    answer["KeyMetadata"]["Arn"].as_str().unwrap().parse().unwrap()
}

/// A change that nobody judges.
fn changed(world: &World, operation: crate::aws::Operation, body: &Value) -> Value {
    let (backend, region) = (world.backend(), "us-east-1".parse().unwrap());
    let input = Input::parse(operation, body.to_string().as_bytes()).unwrap();
    let keys = backend.resolve(&input, &ORDERS_ARN.parse().unwrap(), &region).unwrap();
    let requester = Requester { accept_unknown_principals: true, ..Requester::of_test(ORDERS_ARN, &[]) };
    let answer = backend.change(input, keys, region, requester, Box::new(|_| ()));
    let answer = tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(answer).unwrap();
    serde_json::from_slice(&answer.body).unwrap_or_default()
}

fn when(sid: &str, action: &str, condition: &Value) -> Value {
    json!({"Sid": sid, "Effect": "Allow", "Action": action, "Resource": "*", "Condition": condition})
}

#[test]
fn a_replica_needs_leave_to_replicate_the_one_key_and_to_make_and_tag_one_where_it_is_to_be() {
    let equals = |key: &str, value: &str| json!({"StringEquals": {key: value}});
    let replicate = when(
        "Replicate",
        "kms:ReplicateKey",
        &json!({
            "StringEquals": {"aws:RequestedRegion": "us-east-1", "kms:ReplicaRegion": "eu-west-1",
                             "kms:MultiRegionKeyType": "PRIMARY"},
            "Bool": {"kms:MultiRegion": "true"},
        }),
    );
    let create = when(
        "Create",
        "kms:CreateKey",
        &json!({
            "StringEquals": {"aws:RequestedRegion": "eu-west-1", "kms:MultiRegionKeyType": "REPLICA",
                             "kms:KeySpec": "SYMMETRIC_DEFAULT", "kms:KeyUsage": "ENCRYPT_DECRYPT",
                             "kms:KeyOrigin": "AWS_KMS"},
            "Bool": {"kms:MultiRegion": "true", "kms:BypassPolicyLockoutSafetyCheck": "false"},
        }),
    );
    let tag = when("Tag", "kms:TagResource", &equals("aws:RequestedRegion", "eu-west-1"));
    let tags = json!([{"TagKey": "team", "TagValue": "orders"}]);
    let all = [replicate.clone(), create.clone(), tag.clone()];
    let judge = |policy: &[Value], more: Value| {
        let world = World::with_policy(json!(policy));
        let mut body = json!({"KeyId": multi_region_key(&world).id().as_str(), "ReplicaRegion": "eu-west-1"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        judge(&world, "ReplicateKey", &body)
    };
    let judged = judge(&all, json!({"Tags": tags}));
    assert_eq!(judged.outcome, Ok(()));
    assert_eq!(judged.reasons, json!([allowed_by("Replicate"), allowed_by("Create"), allowed_by("Tag")]));
    assert_eq!(judge(&all[..2], json!({})).outcome, Ok(()));
    for (policy, more, action) in [
        (&all[..2], json!({"Tags": tags}), "kms:TagResource"),
        (&all[..1], json!({}), "kms:CreateKey"),
        (&all[1..], json!({}), "kms:ReplicateKey"),
        (&all[..], json!({"ReplicaRegion": "ap-south-1"}), "kms:ReplicateKey"),
        (&all[..], json!({"BypassPolicyLockoutSafetyCheck": true}), "kms:CreateKey"),
    ] {
        let judged = judge(policy, more);
        assert!(judged.denied().contains(&format!("not authorized to perform: {action} ")), "{}", judged.denied());
    }
}

#[test]
fn a_policy_can_ask_for_the_primary_region_to_be_and_for_the_type_of_the_key() {
    let body = |key: &KeyArn| json!({"KeyId": key.id().as_str(), "PrimaryRegion": "eu-west-1"});
    for (region, allowed) in [("eu-west-1", true), ("us-east-1", false)] {
        let condition = json!({"StringEquals": {"kms:PrimaryRegion": region}});
        let world = World::with_policy(when("Promote", "kms:UpdatePrimaryRegion", &condition));
        let key = multi_region_key(&world);
        assert_eq!(judge(&world, "UpdatePrimaryRegion", &body(&key)).outcome.is_ok(), allowed, "{region}");
    }
    // The replica is judged too, as what it is and where it is.
    let promote = |resource: &str| {
        json!({"Sid": "Promote", "Effect": "Allow", "Action": ["kms:UpdatePrimaryRegion", "kms:DescribeKey"],
               "Resource": format!("arn:aws:kms:{resource}:111122223333:key/*")})
    };
    for (resource, allowed) in [("*", true), ("us-east-1", false), ("eu-west-1", false)] {
        let world = World::with_policy(promote(resource));
        let key = multi_region_key(&world);
        changed(
            &world,
            crate::aws::Operation::ReplicateKey,
            &json!({"KeyId": key.as_str(), "ReplicaRegion": "eu-west-1"}),
        );
        let judged = judge(&world, "UpdatePrimaryRegion", &body(&key));
        assert_eq!(judged.outcome.is_ok(), allowed, "{resource}");
        if resource == "us-east-1" {
            let replica = key.as_str().replace("us-east-1", "eu-west-1");
            assert!(judged.denied().contains(&format!("on resource: {replica} because")), "{}", judged.denied());
        }
    }
    // A single-Region key has no type, and one to be has that which it is to have.
    let condition = json!({"Null": {"kms:MultiRegionKeyType": "true"}});
    let world = World::with_policy(when("Single", "kms:*", &condition));
    world.key();
    assert_eq!(judge(&world, "DescribeKey", &json!({"KeyId": ALIAS})).outcome, Ok(()));
    for (body, allowed) in
        [(json!({}), true), (json!({"MultiRegion": false}), true), (json!({"MultiRegion": true}), false)]
    {
        let world = World::with_policy(when("Single", "kms:*", &condition));
        assert_eq!(judge(&world, "CreateKey", &body).outcome.is_ok(), allowed, "{body}");
    }
}

#[test]
fn what_is_asked_in_another_region_is_judged_by_it() {
    let condition = json!({"StringEquals": {"aws:RequestedRegion": "eu-west-1"}});
    let policy = when("There", "kms:*", &condition);
    for (region, allowed) in [("eu-west-1", true), ("us-east-1", false)] {
        let world = World::with_policy(policy.clone());
        let resolved = world.resolved(world.request_in(region, "ListKeys", &json!({})));
        assert_eq!(judged(&world, Authorize.step(resolved)).outcome.is_ok(), allowed, "{region}");
    }
}

/// The ciphertext as a store that is not this one would have tagged it. It opens no more, for the tag is bound.
fn foreign(ciphertext: &str, key: &KeyArn) -> Vec<u8> {
    use base64::Engine as _;
    let mut bytes = base64::engine::general_purpose::STANDARD.decode(ciphertext).unwrap();
    // src/backend/local/blob.rs: the tag stands behind the ARN and the material id.
    bytes[40 + key.as_str().len()] ^= 1;
    bytes
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// How a request about a ciphertext ends, whichever layer refuses it.
fn ended(world: &World, operation: &str, body: &Value) -> Result<(), Exception> {
    let parsed = world.parsed(world.request(operation, body));
    let resolved = super::super::resolve::from_store(&world.backend(), parsed);
    resolved.and_then(|resolved| Authorize.step(resolved)).map(drop).map_err(|error| error.exception().into_owned())
}

#[test]
fn who_may_not_use_the_key_of_a_foreign_ciphertext_is_answered_as_if_it_were_not_here() {
    let requests = [
        ("Decrypt", json!({})),
        // Neither of these may be found out about first.
        ("Decrypt", json!({"GrantTokens": ["no token"]})),
        ("ReEncrypt", json!({"DestinationKeyId": "alias/other"})),
        ("ReEncrypt", json!({"DestinationKeyId": "alias/other", "GrantTokens": ["no token"]})),
    ];
    for (operation, mut body) in requests {
        let world = World::with_policy(statement("kms:Encrypt", "*"));
        let (key, _) = (world.key(), world.key_named("alias/other"));
        let here = foreign(&ciphertext(&world, ALIAS), &key);
        // The last digit of the key's id.
        let mut gone = here.clone();
        let digit = &mut gone[7 + key.as_str().len()];
        *digit = if *digit == b'0' { b'1' } else { b'0' };
        let refusals = [here, gone].map(|blob| {
            body["CiphertextBlob"] = base64(&blob).into();
            ended(&world, operation, &body)
        });
        assert_eq!(refusals, [const { Err(Exception::invalid_ciphertext()) }; 2], "{operation} {body}");
    }
}

#[test]
fn who_may_use_the_key_of_a_foreign_ciphertext_comes_to_it_and_to_the_checks_behind() {
    let policy = json!({"Effect": "Allow", "Action": ["kms:Decrypt", "kms:ReEncryptFrom"], "Resource": "*"});
    let with = |operation: &str, more: Value| {
        let world = World::with_policy(policy.clone());
        let (key, _) = (world.key(), world.key_named("alias/other"));
        let mut body = more;
        body["CiphertextBlob"] = base64(&foreign(&ciphertext(&world, ALIAS), &key)).into();
        (ended(&world, operation, &body), key)
    };
    assert_eq!(with("Decrypt", json!({})).0, Ok(()));
    let (refused, _) = with("Decrypt", json!({"GrantTokens": ["no token"]}));
    assert_eq!(refused.unwrap_err().kind(), ExceptionKind::InvalidGrantToken);
    let (refused, _) = with("ReEncrypt", json!({"DestinationKeyId": "alias/other"}));
    assert!(refused.unwrap_err().message().unwrap().contains("kms:ReEncryptTo on resource: arn:aws:kms:"));
}

#[test]
fn who_may_not_retire_grants_of_a_foreign_key_is_not_told_whether_it_is_there() {
    let world = World::new();
    let key = world.key();
    let [grant, _] = granted(&world, &key, &["Encrypt"], &json!({}));
    let absent = key.as_str().replace(key.id().as_str(), "1234abcd-12ab-34cd-56ef-1234567890ab");
    let no_grant = "0".repeat(64);
    let resolve = |parsed| super::super::resolve::from_store(&world.backend(), parsed);
    let retire = |key: &str, grant: &str| {
        let body = json!({"KeyId": key, "GrantId": grant});
        let parsed = world.parsed(world.signed(FOREIGN, "RetireGrant", &body.to_string(), &[]));
        let outcome = resolve(parsed).and_then(|resolved| Authorize.step(resolved));
        outcome.map(drop).map_err(|error| error.exception().into_owned())
    };
    let refused = retire(&absent, &no_grant);
    assert_eq!(refused.as_ref().unwrap_err().kind(), ExceptionKind::AccessDenied);
    for grant in [&*grant, &*no_grant, "nonsense"] {
        assert_eq!(retire(key.as_str(), grant), refused, "{grant}");
    }
}

#[test]
fn what_depends_on_a_header_that_is_too_long_denies_and_does_not_allow() {
    let allow = |operator: &str, value: &str| json!({"Effect": "Allow", "Action": "kms:*", "Resource": "*", "Condition": {operator: {"aws:UserAgent": value}}});
    let deny = json!({"Effect": "Deny", "Action": "kms:*", "Resource": "*",
        "Condition": {"StringEquals": {"aws:UserAgent": "curl"}}});
    let denying = json!([statement("kms:*", "*"), deny]);
    for (policy, length, allowed) in [
        (json!([allow("StringLike", "*x")]), 2048, true),
        (json!([allow("StringLike", "*x")]), 2049, false),
        (json!([allow("StringNotEquals", "curl")]), 2049, false),
        (denying.clone(), 2048, true),
        (denying, 2049, false),
    ] {
        let world = World::with_policy(policy);
        world.key();
        let mut request = world.request(GENERATE, &body());
        request.headers_mut().insert(USER_AGENT, "x".repeat(length).parse().unwrap());
        assert_eq!(judged(&world, Authorize.step(world.resolved(request))).outcome.is_ok(), allowed, "{length}");
    }
}
