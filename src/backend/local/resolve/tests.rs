//! Every form of a key's name, and KMS's words for each that names none (reference: "KeyId forms").

use serde_json::{Value, json};

use super::super::testing::{CALLER, Local, NO_KEY, region};
use super::*;

const GENERATE: Operation = Operation::GenerateDataKeyWithoutPlaintext;
const FOREIGN_CALLER: &str = "arn:aws:iam::444455556666:user/stranger";

fn data_key(key_id: &str) -> Value {
    json!({"KeyId": key_id, "KeySpec": "AES_256"})
}

fn with_key() -> (Local, KeyArn) {
    let local = Local::new();
    let key = local.create_key();
    local.create_alias("alias/orders", &key);
    (local, key)
}

fn found(local: &Local, operation: Operation, body: &Value) -> Keys {
    let input = Input::parse(operation, body.to_string().as_bytes()).unwrap();
    local.backend.resolve(&input, &CALLER.parse().unwrap(), &region()).unwrap()
}

#[test]
fn all_four_forms_find_the_key_and_the_answer_names_it_by_its_arn() {
    let (local, key) = with_key();
    let alias = NamedBy::Alias("alias/orders".into());
    for (key_id, by) in [
        (key.id().as_str(), NamedBy::Key),
        (key.as_str(), NamedBy::Key),
        ("alias/orders", alias.clone()),
        ("arn:aws:kms:us-east-1:111122223333:alias/orders", alias),
    ] {
        let keys = found(&local, GENERATE, &data_key(key_id));
        assert_eq!(keys.main.as_ref().unwrap().by, by, "{key_id}");
        assert_eq!(local.ok(GENERATE, &data_key(key_id))["KeyId"], key.as_str(), "{key_id}");
        let metadata = &local.ok(Operation::DescribeKey, &json!({"KeyId": key_id}))["KeyMetadata"];
        assert_eq!(metadata["Arn"], key.as_str(), "{key_id}");
    }
}

#[test]
fn what_names_no_key_is_refused_in_the_words_of_kms() {
    let (local, _) = with_key();
    let own = "arn:aws:kms:us-east-1:111122223333";
    let multi_region = "mrk-1234abcd12ab34cd56ef1234567890ab";
    for (key_id, message) in [
        (NO_KEY.to_owned(), format!("Key '{own}:key/{NO_KEY}' does not exist")),
        (format!("{own}:key/{NO_KEY}"), format!("Key '{own}:key/{NO_KEY}' does not exist")),
        (multi_region.to_owned(), format!("Key '{own}:key/{multi_region}' does not exist")),
        ("fake-key-id".to_owned(), "Invalid keyId 'fake-key-id'".to_owned()),
        ("mrk-fake-key-id".to_owned(), "Invalid keyId 'mrk-fake-key-id'".to_owned()),
        (NO_KEY.replace('-', ""), format!("Invalid keyId '{}'", NO_KEY.replace('-', ""))),
        (format!("{own}:key/foo"), "Invalid keyId foo".to_owned()),
        (format!("arn:aws:kms:us-west-2:111122223333:key/{NO_KEY}"), "Invalid arn us-west-2".to_owned()),
        ("alias/does-not-exist".to_owned(), format!("Alias {own}:alias/does-not-exist is not found.")),
        (format!("{own}:alias/does-not-exist"), format!("Alias {own}:alias/does-not-exist is not found.")),
        // Names are case-sensitive.
        ("alias/Orders".to_owned(), format!("Alias {own}:alias/Orders is not found.")),
    ] {
        let expected = format!("NotFoundException: {message}");
        assert_eq!(local.refusal(GENERATE, &data_key(&key_id)), expected);
        assert_eq!(local.refusal(Operation::DescribeKey, &json!({"KeyId": key_id})), expected);
    }
}

#[test]
fn whether_another_account_has_a_key_is_not_told() {
    let (local, _) = with_key();
    for key_id in [
        format!("arn:aws:kms:us-east-1:444455556666:key/{NO_KEY}"),
        "arn:aws:kms:us-east-1:444455556666:alias/x".into(),
    ] {
        assert_eq!(
            local.refusal(GENERATE, &data_key(&key_id)),
            format!(
                "AccessDeniedException: User: {CALLER} is not authorized to perform: \
                 kms:GenerateDataKeyWithoutPlaintext on this resource because the resource does not exist in this \
                 Region, no resource-based policies allow access, or a resource-based policy explicitly denies access"
            )
        );
    }
}

#[test]
fn a_caller_of_another_account_is_not_told_by_a_grant_id_whether_a_key_is_here() {
    let (local, key) = with_key();
    let refusal = |key_id: &str, grant_id: &str| {
        let body = json!({"KeyId": key_id, "GrantId": grant_id});
        local.call_as(FOREIGN_CALLER, Operation::RetireGrant, &body).unwrap_err().to_string()
    };
    let absent = key.as_str().replace(key.id().as_str(), NO_KEY);
    for grant_id in ["0".repeat(64), "none".to_owned()] {
        assert_eq!(refusal(key.as_str(), &grant_id), refusal(&absent, &grant_id));
    }
    let own = local.code(Operation::RetireGrant, &json!({"KeyId": key.as_str(), "GrantId": "none"}));
    assert_eq!(own, "InvalidGrantIdException");
}

#[test]
fn a_caller_of_another_account_has_ids_and_aliases_of_its_own_and_is_told_of_no_others() {
    let (local, key) = with_key();
    let refusal = |key_id: &str| local.call_as(FOREIGN_CALLER, GENERATE, &data_key(key_id)).unwrap_err().to_string();
    let theirs = format!("arn:aws:kms:us-east-1:444455556666:key/{}", key.id().as_str());
    assert_eq!(refusal(key.id().as_str()), format!("NotFoundException: Key '{theirs}' does not exist"));
    assert_eq!(
        refusal("alias/orders"),
        "NotFoundException: Alias arn:aws:kms:us-east-1:444455556666:alias/orders is not found."
    );
    // One that is there is judged; of one that is not it is told what it would be told of one that it may not use.
    assert!(local.call_as(FOREIGN_CALLER, GENERATE, &data_key(key.as_str())).is_ok());
    let absent = key.as_str().replace(key.id().as_str(), NO_KEY);
    assert!(refusal(&absent).starts_with("AccessDeniedException: "));
    assert!(refusal("arn:aws:kms:us-east-1:111122223333:alias/none").starts_with("AccessDeniedException: "));
    let disable = local.call_as(FOREIGN_CALLER, Operation::DisableKey, &json!({"KeyId": key.as_str()})).unwrap_err();
    assert!(disable.to_string().starts_with("AccessDeniedException: "));
}

#[test]
fn an_alias_is_taken_only_where_kms_takes_one() {
    let (local, _) = with_key();
    for operation in [
        Operation::EnableKey,
        Operation::DisableKey,
        Operation::ScheduleKeyDeletion,
        Operation::CancelKeyDeletion,
        Operation::ListAliases,
    ] {
        for key_id in ["alias/orders", "alias/none", "arn:aws:kms:us-east-1:111122223333:alias/orders"] {
            assert_eq!(
                local.refusal(operation, &json!({"KeyId": key_id})),
                "InvalidArnException: Key Aliases are not supported for this operation.",
                "{operation:?} {key_id}"
            );
        }
    }
}

#[test]
fn a_ciphertext_names_its_key_where_the_request_names_none() {
    let (local, key) = with_key();
    let blob = local.encrypt(&key, "aGVsbG8=", &json!({}));
    let keys = found(&local, Operation::Decrypt, &json!({"CiphertextBlob": blob}));
    let main = keys.main.as_ref().unwrap();
    assert_eq!((main.key.arn(), &main.by), (&key, &NamedBy::Ciphertext));
    let body = json!({"CiphertextBlob": blob, "DestinationKeyId": "alias/orders"});
    let keys = found(&local, Operation::ReEncrypt, &body);
    let by: Vec<_> = keys.iter().map(|found| &found.by).collect();
    assert_eq!(by, [&NamedBy::Ciphertext, &NamedBy::Alias("alias/orders".into())], "the source comes first");
    let named = json!({"CiphertextBlob": blob, "KeyId": key.as_str()});
    assert_eq!(found(&local, Operation::Decrypt, &named).main.unwrap().by, NamedBy::Key);
}

#[test]
fn what_is_not_served_says_so_and_everything_that_is_served_is_answered() {
    let (local, key) = with_key();
    // What any of them requires: a request that breaks a bound is refused for that first.
    let body = json!({"KeyId": key.as_str(), "TargetKeyId": key.as_str(), "AliasName": "alias/orders", "Description": "",
        "Policy": "{}", "Tags": [], "TagKeys": [], "ReplicaRegion": "eu-west-1", "PrimaryRegion": "eu-west-1",
        "WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048", "ImportToken": "AA==",
        "EncryptedKeyMaterial": "AA==", "Message": "AA==", "SigningAlgorithm": "ECDSA_SHA_256", "Signature": "AA==",
        "MacAlgorithm": "HMAC_SHA_256", "Mac": "AA==", "KeyAgreementAlgorithm": "ECDH", "PublicKey": "AA==",
        "EncapsulationAlgorithm": "ML_KEM", "SharedSecretCiphertextBlob": "AA==", "CustomKeyStoreId": "cks-1",
        "CustomKeyStoreName": "store"});
    for operation in Operation::ALL.iter().copied().filter(|operation| !LocalBackend::serves(*operation)) {
        let refusal = local.refusal(operation, &body);
        assert!(refusal.starts_with("UnsupportedOperationException: "), "{operation:?}: {refusal}");
        assert!(refusal.contains(operation.name()), "{refusal}");
    }
    for operation in Operation::ALL.iter().copied().filter(|operation| LocalBackend::serves(*operation)) {
        let refusal = local.refusal(operation, &json!({}));
        assert!(!refusal.starts_with("UnsupportedOperationException"), "{operation:?}: {refusal}");
    }
}

#[test]
fn what_keys_of_other_usages_are_for_is_not_served_once_the_request_is_sound() {
    let local = Local::new();
    let message = |more: Value| {
        let mut body = json!({"Message": "AA=="});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    for (spec, usage, operation, sound) in [
        ("ECC_NIST_P256", "SIGN_VERIFY", Operation::GetPublicKey, json!({})),
        ("ECC_NIST_P256", "SIGN_VERIFY", Operation::Sign, message(json!({"SigningAlgorithm": "ECDSA_SHA_256"}))),
        (
            "RSA_2048",
            "SIGN_VERIFY",
            Operation::Verify,
            message(json!({"SigningAlgorithm": "RSASSA_PSS_SHA_256", "Signature": "AA=="})),
        ),
        (
            "HMAC_256",
            "GENERATE_VERIFY_MAC",
            Operation::GenerateMac,
            message(json!({"MacAlgorithm": "HMAC_SHA_256", "DryRun": true})),
        ),
        (
            "HMAC_256",
            "GENERATE_VERIFY_MAC",
            Operation::VerifyMac,
            message(json!({"MacAlgorithm": "HMAC_SHA_256", "Mac": "AA=="})),
        ),
        (
            "ECC_NIST_P384",
            "KEY_AGREEMENT",
            Operation::DeriveSharedSecret,
            json!({"KeyAgreementAlgorithm": "ECDH", "PublicKey": "AA=="}),
        ),
    ] {
        let made = local.ok(Operation::CreateKey, &json!({"KeySpec": spec, "KeyUsage": usage}));
        let name = operation.name();
        let expected =
            format!("UnsupportedOperationException: {name} is not served by this version of kmsgate's local backend.");
        let mut body = sound.clone();
        body["KeyId"] = made["KeyMetadata"]["KeyId"].clone();
        assert_eq!(local.refusal(operation, &body), expected);
        assert_eq!(local.code(operation, &sound), "ValidationException", "{name} of no key");
        body["KeyId"] = json!("k".repeat(2049));
        assert_eq!(local.code(operation, &body), "ValidationException", "{name}");
    }
}

#[test]
fn a_view_that_was_taken_does_not_change_with_its_key() {
    let (local, key) = with_key();
    let input = Input::parse(GENERATE, data_key(key.as_str()).to_string().as_bytes()).unwrap();
    let keys = local.backend.resolve(&input, &CALLER.parse().unwrap(), &region()).unwrap();
    local.disable(&key);
    assert!(local.backend.answer(&input, &keys, &region()).is_ok(), "what was judged is what is used");
    assert_eq!(local.code(GENERATE, &data_key(key.as_str())), "DisabledException");
}
