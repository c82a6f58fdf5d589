use serde_json::{Value, json};

use super::super::testing::{ACCOUNT, CALLER, Local, NO_KEY, members, region};
use super::*;
use crate::aws::{EncryptionContext, KeyArn};

const CLERK: &str = "arn:aws:iam::111122223333:user/clerk";
const BILLS: &str = "arn:aws:iam::111122223333:role/team/bills";

fn with_key() -> (Local, KeyArn) {
    let local = Local::new();
    let key = local.create_key();
    (local, key)
}

/// A request for a grant of `Decrypt` to the clerk, with more members or others.
fn request(key: &KeyArn, more: Value) -> Value {
    let mut body = json!({"KeyId": key.as_str(), "GranteePrincipal": CLERK, "Operations": ["Decrypt"]});
    let Value::Object(more) = more else { panic!("no object") };
    body.as_object_mut().unwrap().extend(more);
    body
}

fn create(local: &Local, key: &KeyArn, more: Value) -> Value {
    local.ok(Operation::CreateGrant, &request(key, more))
}

fn listed(local: &Local, key: &KeyArn) -> Vec<Value> {
    local.ok(Operation::ListGrants, &json!({"KeyId": key.as_str()}))["Grants"].as_array().unwrap().clone()
}

fn tokens(local: &Local, tokens: &[&str]) -> Result<Tokens, Exception> {
    let body = json!({"KeyId": NO_KEY, "GrantTokens": tokens});
    local.backend.open_grant_tokens(&Input::parse(Operation::DescribeKey, body.to_string().as_bytes()).unwrap())
}

/// The grant that lets the clerk decrypt without a context, with these tokens.
fn allowed(local: &Local, key: &KeyArn, of_tokens: &[&str]) -> Option<GrantId> {
    let key = Arc::clone(local.entries().key(key.id()).unwrap());
    let (clerk, tokens) = (principal(CLERK).unwrap(), tokens(local, of_tokens).unwrap());
    let (operation, context) = (GrantOperation::Decrypt, EncryptionContext::EMPTY);
    let found = key.grants.allowing(&clerk, operation, context, local.backend.clock.now(), tokens.ids());
    found.map(|(grant, _)| grant.id)
}

#[test]
fn a_grant_is_answered_listed_and_outlives_a_restart() {
    let (local, key) = with_key();
    let made = create(
        &local,
        &key,
        json!({
            "RetiringPrincipal": BILLS, "Name": "orders", "Operations": ["DescribeKey", "Decrypt", "Decrypt"],
            "Constraints": {"EncryptionContextSubset": {"tenant": "blue", "\"": "ü"}},
        }),
    );
    assert_eq!(members(&made), ["GrantId", "GrantToken"]);
    let expected = json!([{
        "KeyId": key.as_str(), "GrantId": made["GrantId"], "Name": "orders", "CreationDate": 1_795_458_161.0,
        "GranteePrincipal": CLERK, "RetiringPrincipal": BILLS,
        "IssuingAccount": "arn:aws:iam::111122223333:root", "Operations": ["Decrypt", "DescribeKey"],
        "Constraints": {"EncryptionContextSubset": {"tenant": "blue", "\"": "ü"}},
    }]);
    let expected = expected.as_array().unwrap().clone();
    assert_eq!(listed(&local, &key), expected);
    let local = local.reopened();
    assert_eq!(listed(&local, &key), expected);
    let body = json!({"RetiringPrincipal": BILLS});
    assert_eq!(local.ok(Operation::ListRetirableGrants, &body)["Grants"], json!(expected));
    local.ok(Operation::RevokeGrant, &json!({"KeyId": key.as_str(), "GrantId": made["GrantId"]}));
    assert_eq!(local.ok(Operation::ListRetirableGrants, &body)["Grants"], json!([]));
    assert_eq!(listed(&local.reopened(), &key), [Value::Null; 0]);
}

#[test]
fn a_grant_of_little_shows_little() {
    let (local, key) = with_key();
    create(&local, &key, json!({"Constraints": {}}));
    let listed = listed(&local, &key);
    let expected = ["CreationDate", "GrantId", "GranteePrincipal", "IssuingAccount", "KeyId", "Name", "Operations"];
    assert_eq!(members(&listed[0]), expected);
    assert_eq!(listed[0]["Name"], "");
}

#[test]
fn the_same_name_and_the_same_request_are_the_same_grant_with_another_token() {
    let (local, key) = with_key();
    let named = json!({"Name": "orders"});
    let one = create(&local, &key, named.clone());
    local.clock.set(local.backend.clock.now().plus(Duration::from_hours(24)));
    let local = local.reopened();
    let two = create(&local, &key, named.clone());
    assert_eq!(one["GrantId"], two["GrantId"]);
    assert_ne!(one["GrantToken"], two["GrantToken"]);
    for token in [&one["GrantToken"], &two["GrantToken"]] {
        assert_eq!(tokens(&local, &[token.as_str().unwrap()]).unwrap().ids()[0].to_string(), one["GrantId"]);
    }
    for other in [json!({}), json!({}), json!({"Name": "orders", "Operations": ["Encrypt"]}), json!({"Name": "Orders"})]
    {
        create(&local, &key, other);
    }
    assert_eq!(listed(&local, &key).len(), 5);
    let other = local.create_key();
    assert_ne!(create(&local, &other, named)["GrantId"], one["GrantId"]);
}

#[test]
fn operations_are_those_of_the_kind_of_key() {
    let local = Local::new();
    let key = |spec, usage| {
        let made = local.ok(Operation::CreateKey, &json!({"KeySpec": spec, "KeyUsage": usage}));
        made["KeyMetadata"]["Arn"].as_str().unwrap().parse::<KeyArn>().unwrap()
    };
    let data = [
        "GenerateDataKey",
        "GenerateDataKeyWithoutPlaintext",
        "GenerateDataKeyPair",
        "GenerateDataKeyPairWithoutPlaintext",
    ];
    let ciphertexts = ["Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo"];
    let kinds: [(KeyArn, Vec<&str>); 5] = [
        (key("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"), [data, ciphertexts].concat()),
        (key("RSA_2048", "ENCRYPT_DECRYPT"), [&ciphertexts[..], &["GetPublicKey"]].concat()),
        (key("ECC_NIST_P256", "SIGN_VERIFY"), vec!["Sign", "Verify", "GetPublicKey"]),
        (key("HMAC_256", "GENERATE_VERIFY_MAC"), vec!["GenerateMac", "VerifyMac"]),
        (key("ECC_NIST_P256", "KEY_AGREEMENT"), vec!["DeriveSharedSecret", "GetPublicKey"]),
    ];
    for (key, own) in &kinds {
        for operation in aws_sdk_kms::types::GrantOperation::values() {
            let body = request(key, json!({"Operations": ["DescribeKey", operation]}));
            let answer = local.call(Operation::CreateGrant, &body);
            let suits = own.contains(operation) || ["DescribeKey", "RetireGrant", "CreateGrant"].contains(operation);
            assert_eq!(answer.is_ok(), suits, "{operation} of {own:?}: {answer:?}");
        }
    }
}

#[test]
fn what_contradicts_itself_or_the_key_is_refused() {
    let (local, key) = with_key();
    let refusal = |more| local.refusal(Operation::CreateGrant, &request(&key, more));
    // Recorded from KMS.
    let only = "ValidationException: Grants must not contain only the CreateGrant operation.";
    assert_eq!(refusal(json!({"Operations": ["CreateGrant", "CreateGrant"]})), only);
    let code = |more| refusal(more).split(':').next().unwrap().to_owned();
    let pairs = |count: usize| {
        let pairs = (0..count).map(|number| (number.to_string(), json!("v"))).collect::<serde_json::Map<_, _>>();
        json!({"Constraints": {"EncryptionContextEquals": pairs}})
    };
    let value = |length| json!({"Constraints": {"EncryptionContextSubset": {"k": "ü".repeat(length)}}});
    for more in [
        json!({"Operations": []}),
        json!({"Operations": ["Sign"]}),
        json!({"Operations": ["RevokeGrant"]}),
        json!({"Constraints": {"EncryptionContextEquals": {}, "EncryptionContextSubset": {}}}),
        pairs(9),
        value(385),
        json!({"Constraints": {"EncryptionContextSubset": {"k".repeat(4800): "v"}}}),
        json!({"Name": "a b"}),
        json!({"GranteePrincipal": "*"}),
    ] {
        assert_eq!(code(more.clone()), "ValidationException", "{more}");
    }
    for more in [pairs(8), value(384)] {
        create(&local, &key, more);
    }
    let hmac = json!({"KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"});
    let hmac = local.ok(Operation::CreateKey, &hmac)["KeyMetadata"]["Arn"].as_str().unwrap().parse().unwrap();
    let body = request(&hmac, json!({"Operations": ["GenerateMac"], "Constraints": {"EncryptionContextSubset": {}}}));
    assert_eq!(local.code(Operation::CreateGrant, &body), "ValidationException");
}

#[test]
fn what_only_a_grant_to_a_service_has_is_not_left_out_of_the_grant() {
    let (local, key) = with_key();
    for more in [
        json!({"GranteeServicePrincipal": "orders.amazonaws.com"}),
        json!({"RetiringServicePrincipal": "orders.amazonaws.com"}),
        json!({"Constraints": {"SourceArn": "arn:aws:sns:us-east-1:111122223333:topic"}}),
    ] {
        let refusal = local.refusal(Operation::CreateGrant, &request(&key, more));
        assert!(refusal.starts_with("UnsupportedOperationException: Grants to AWS services"), "{refusal}");
    }
    assert_eq!(listed(&local, &key), [Value::Null; 0]);
}

#[test]
fn a_principal_has_to_be_one_that_can_be_granted_something_and_is_there() {
    let (local, key) = with_key();
    let made = |more| local.call(Operation::CreateGrant, &request(&key, more)).map_err(|refused| refused.kind().name());
    for arn in [
        CLERK,
        BILLS,
        CALLER,
        "arn:aws:iam::111122223333:root",
        "arn:aws:iam::444455556666:root",
        "arn:aws:sts::111122223333:assumed-role/bills/anybody",
    ] {
        assert!(made(json!({"GranteePrincipal": arn})).is_ok(), "{arn}");
        assert!(made(json!({"RetiringPrincipal": arn})).is_ok(), "{arn}");
    }
    for arn in [
        "arn:aws:iam::111122223333:user/nobody",
        "arn:aws:iam::222233334444:root",
        "arn:aws:iam::111122223333:group/clerks",
        "arn:aws:sts::111122223333:assumed-role/nobody/one",
        "arn:aws:sts::111122223333:assumed-role/bills",
        "111122223333",
        "ec2.amazonaws.com",
        key.as_str(),
    ] {
        assert_eq!(made(json!({"GranteePrincipal": arn})), Err("InvalidArnException"), "{arn}");
        assert_eq!(made(json!({"RetiringPrincipal": arn})), Err("InvalidArnException"), "{arn}");
    }
    let asked = |arn| {
        let body = request(&key, json!({"GranteePrincipal": arn}));
        let trusting = Requester { accept_unknown_principals: true, ..Requester::of_test(CALLER, &[]) };
        local.call_for(trusting, &region(), Operation::CreateGrant, &body).is_ok()
    };
    assert!(asked("arn:aws:iam::222233334444:user/nobody"));
    assert!(!asked("arn:aws:iam::111122223333:group/clerks"));
}

#[test]
fn a_key_that_cannot_be_used_gets_no_grant_and_keeps_those_it_has() {
    let (local, key) = with_key();
    let grants = [create(&local, &key, json!({})), create(&local, &key, json!({})), create(&local, &key, json!({}))];
    let refused = || local.refusal(Operation::CreateGrant, &request(&key, json!({})));
    local.disable(&key);
    assert_eq!(refused(), format!("DisabledException: {key} is disabled."));
    local.schedule_deletion(&key);
    assert_eq!(refused(), format!("KMSInvalidStateException: {key} is pending deletion."));
    assert_eq!(listed(&local, &key).len(), 3);
    local.ok(Operation::RevokeGrant, &json!({"KeyId": key.as_str(), "GrantId": grants[0]["GrantId"]}));
    local.ok(Operation::RetireGrant, &json!({"KeyId": key.as_str(), "GrantId": grants[1]["GrantId"]}));
    local.ok(Operation::RetireGrant, &json!({"GrantToken": grants[2]["GrantToken"]}));
    assert_eq!(listed(&local, &key).len(), 0);
}

#[test]
fn a_key_takes_its_grants_with_it() {
    let (local, key) = with_key();
    create(&local, &key, json!({"RetiringPrincipal": BILLS}));
    local.schedule_deletion(&key);
    local.pass(31);
    let retirable = |local: &Local| local.ok(Operation::ListRetirableGrants, &json!({"RetiringPrincipal": BILLS}));
    assert_eq!(retirable(&local)["Grants"], json!([]));
    // A grant whose key is not there would be refused.
    assert_eq!(retirable(&local.reopened())["Grants"], json!([]));
}

#[test]
fn a_replica_has_no_grants_of_its_primary() {
    let local = Local::in_regions(&["us-east-1", "eu-west-1"]);
    let primary = local.ok(Operation::CreateKey, &json!({"MultiRegion": true}));
    let primary: KeyArn = primary["KeyMetadata"]["Arn"].as_str().unwrap().parse().unwrap();
    let made = create(&local, &primary, json!({"RetiringPrincipal": BILLS}));
    local.ok(Operation::ReplicateKey, &json!({"KeyId": primary.as_str(), "ReplicaRegion": "eu-west-1"}));
    let body = json!({"KeyId": primary.id().as_str()});
    assert_eq!(local.call_in("eu-west-1", Operation::ListGrants, &body).unwrap()["Grants"], json!([]));
    assert_eq!(listed(&local, &primary).len(), 1);
    let retirable = local.call_in("eu-west-1", Operation::ListRetirableGrants, &json!({"RetiringPrincipal": BILLS}));
    assert_eq!(retirable.unwrap()["Grants"], json!([]));
    let token = json!({"GrantToken": made["GrantToken"]});
    let elsewhere = local.call_in("eu-west-1", Operation::RetireGrant, &token).unwrap_err();
    assert_eq!(elsewhere.kind().name(), "InvalidGrantTokenException");
}

#[test]
fn what_is_no_grant_of_the_key_is_neither_retired_nor_revoked() {
    let (local, key) = with_key();
    let other = local.create_key();
    let of_other = create(&local, &other, json!({}))["GrantId"].clone();
    for (id, revoked) in [
        (of_other, "NotFoundException"),
        (json!("0".repeat(64)), "NotFoundException"),
        (json!("F".repeat(64)), "InvalidGrantIdException"),
        (json!("grant"), "InvalidGrantIdException"),
    ] {
        let body = json!({"KeyId": key.as_str(), "GrantId": id});
        assert_eq!(local.code(Operation::RevokeGrant, &body), revoked);
        assert_eq!(local.code(Operation::RetireGrant, &body), "InvalidGrantIdException");
    }
    local.create_alias("alias/a", &key);
    let alias = "InvalidArnException: Key Aliases are not supported for this operation.";
    let body = json!({"KeyId": "alias/a", "GrantId": "0".repeat(64)});
    for operation in [Operation::RevokeGrant, Operation::RetireGrant, Operation::ListGrants] {
        assert_eq!(local.refusal(operation, &body), alias);
    }
    assert_eq!(local.refusal(Operation::CreateGrant, &request(&key, json!({"KeyId": "alias/a"}))), alias);
}

#[test]
fn a_grant_is_retired_by_its_token_or_by_its_key_and_id() {
    let (local, key) = with_key();
    let made = create(&local, &key, json!({}));
    let (token, id) = (&made["GrantToken"], &made["GrantId"]);
    for body in [
        json!({}),
        json!({"KeyId": key.as_str()}),
        json!({"GrantId": id}),
        json!({"GrantToken": token, "GrantId": id}),
        json!({"GrantToken": token, "KeyId": key.as_str(), "GrantId": id}),
    ] {
        assert_eq!(local.code(Operation::RetireGrant, &body), "ValidationException", "{body}");
    }
    let dry = json!({"GrantToken": token, "DryRun": true});
    assert_eq!(local.code(Operation::RetireGrant, &dry), "DryRunOperationException");
    local.ok(Operation::RetireGrant, &json!({"GrantToken": token}));
    for token in [token.clone(), json!("AQpAM2RhZ"), json!("t")] {
        assert_eq!(local.code(Operation::RetireGrant, &json!({"GrantToken": token})), "InvalidGrantTokenException");
    }
    assert_eq!(listed(&local, &key).len(), 0);
}

#[test]
fn a_dry_run_makes_and_takes_away_nothing() {
    let (local, key) = with_key();
    let id = create(&local, &key, json!({}))["GrantId"].clone();
    let would = "DryRunOperationException: The request would have succeeded, but the DryRun option is set.";
    assert_eq!(local.refusal(Operation::CreateGrant, &request(&key, json!({"DryRun": true}))), would);
    for operation in [Operation::RevokeGrant, Operation::RetireGrant] {
        let body = json!({"KeyId": key.as_str(), "GrantId": id, "DryRun": true});
        assert_eq!(local.refusal(operation, &body), would);
    }
    assert_eq!(listed(&local, &key).len(), 1);
}

#[test]
fn a_token_of_another_store_or_of_nobody_is_refused() {
    let (local, key) = with_key();
    let token = create(&local, &key, json!({}))["GrantToken"].as_str().unwrap().to_owned();
    let (foreign, its_key) = with_key();
    let of_foreign = create(&foreign, &its_key, json!({}))["GrantToken"].as_str().unwrap().to_owned();
    assert_eq!(tokens(&local, &[]).unwrap().ids(), []);
    assert_eq!(tokens(&local, &[&token, &token]).unwrap().ids().len(), 2);
    for bad in [&of_foreign, "no token!", token.trim_start_matches("AQ"), &token.to_lowercase()] {
        let refused = tokens(&local, &[&token, bad]).unwrap_err();
        assert_eq!(refused.kind().name(), "InvalidGrantTokenException");
    }
}

#[test]
fn a_new_grant_is_seen_at_once_and_with_a_delay_by_its_token_alone() {
    let (local, key) = with_key();
    create(&local, &key, json!({}));
    assert!(allowed(&local, &key, &[]).is_some());
    let (mut local, key) = with_key();
    local.backend = local.backend.with_grant_propagation_delay(Duration::from_mins(1));
    let made = create(&local, &key, json!({}));
    let token = made["GrantToken"].as_str().unwrap().to_owned();
    assert_eq!(allowed(&local, &key, &[]), None);
    assert_eq!(allowed(&local, &key, &[&token]).unwrap().to_string(), made["GrantId"]);
    assert_eq!(listed(&local, &key).len(), 1, "lists are not delayed");
    local.clock.set(local.backend.clock.now().plus(Duration::from_mins(1)));
    assert!(allowed(&local, &key, &[]).is_some());
    local.ok(Operation::RevokeGrant, &json!({"KeyId": key.as_str(), "GrantId": made["GrantId"]}));
    assert_eq!(allowed(&local, &key, &[&token]), None, "its end is never delayed");
}

#[test]
fn who_makes_grants_by_leave_of_a_grant_passes_on_no_more_than_that() {
    let (local, key) = with_key();
    let of_parent = json!({
        "Operations": ["CreateGrant", "Decrypt"], "Constraints": {"EncryptionContextSubset": {"tenant": "blue"}},
    });
    let parent = create(&local, &key, of_parent)["GrantId"].as_str().unwrap().to_owned();
    let through = Some(parent.parse().unwrap());
    let asked = |more| {
        let requester = Requester { through, ..Requester::of_test(CLERK, &[BILLS]) };
        local.call_for(requester, &region(), Operation::CreateGrant, &request(&key, more)).map_err(|e| e.kind().name())
    };
    let constraint = json!({"EncryptionContextEquals": {"Tenant": "blue", "a": "b"}});
    assert!(asked(json!({"GranteePrincipal": BILLS, "Constraints": constraint})).is_ok());
    for more in [
        json!({}),
        json!({"Constraints": constraint, "Operations": ["Encrypt"]}),
        json!({"Constraints": {"EncryptionContextSubset": {"tenant": "red"}}}),
    ] {
        assert_eq!(asked(more), Err("AccessDeniedException"));
    }
    local.ok(Operation::RevokeGrant, &json!({"KeyId": key.as_str(), "GrantId": parent}));
    assert_eq!(asked(json!({"Constraints": constraint})), Err("AccessDeniedException"), "it is gone");
}

#[test]
fn the_grant_to_be_retired_is_known_before_it_is_allowed() {
    let (local, key) = with_key();
    let made = create(&local, &key, json!({"RetiringPrincipal": CLERK}));
    let of = |body: Value| {
        let input = Input::parse(Operation::RetireGrant, body.to_string().as_bytes()).unwrap();
        local.backend.resolve(&input, &CLERK.parse().unwrap(), &region()).map(|keys| keys.grant.unwrap())
    };
    for body in [json!({"GrantToken": made["GrantToken"]}), json!({"KeyId": key.as_str(), "GrantId": made["GrantId"]})]
    {
        let grant = of(body).unwrap();
        assert!(grant.may_retire(&principal(CLERK).unwrap()).is_some());
        assert_eq!(grant.issuing_account.as_str(), ACCOUNT);
    }
    let absent = of(json!({"KeyId": key.as_str(), "GrantId": "0".repeat(64)})).unwrap_err();
    assert_eq!(absent.kind().name(), "InvalidGrantIdException");
}

#[test]
fn a_key_has_no_more_grants_than_its_quota() {
    let (local, key) = with_key();
    let first = create(&local, &key, json!({"Name": "orders"}));
    let view = Arc::clone(local.entries().key(key.id()).unwrap());
    let mut full = KeyView::clone(&view);
    let one = Grant::clone(full.grants.following(None).next().unwrap());
    while full.grants.len() < 50_000 {
        full.grants.insert(
            Arc::new(Grant {
                id: GrantId::from_bytes(crate::random::bytes().unwrap()),
                name: "".into(),
                ..one.clone()
            }),
            None,
        );
    }
    local.commit(full);
    assert_eq!(local.code(Operation::CreateGrant, &request(&key, json!({}))), "LimitExceededException");
    let again = create(&local, &key, json!({"Name": "orders"}));
    assert_eq!(again["GrantId"], first["GrantId"], "one that is there is not one more");
    local.ok(Operation::RevokeGrant, &json!({"KeyId": key.as_str(), "GrantId": first["GrantId"]}));
    create(&local, &key, json!({}));
}
