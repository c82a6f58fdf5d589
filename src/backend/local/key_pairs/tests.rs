//! The calls for key pairs: their answers' members, that the ciphertext is the private key's, and the order of their
//! checks (reference 3.7). What a pair is, `key_pair.rs` tests.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::LocalBackend;
use super::super::testing::{Local, NO_KEY, members};
use crate::aws::{KeyArn, Operation};
use crate::kms::Input;

const BOTH: [Operation; 2] = [Operation::GenerateDataKeyPair, Operation::GenerateDataKeyPairWithoutPlaintext];
const DRY: &str = "DryRunOperationException: The request would have succeeded, but the DryRun option is set.";

fn with_key() -> (Local, KeyArn) {
    let local = Local::new();
    let key = local.create_key();
    (local, key)
}

/// A request with `more` beside the key's id.
fn of(key: &KeyArn, spec: &str, more: Value) -> Value {
    let mut body = more;
    body["KeyId"] = json!(key.as_str());
    body["KeyPairSpec"] = json!(spec);
    body
}

fn bytes(base64: &Value) -> Vec<u8> {
    STANDARD.decode(base64.as_str().unwrap()).unwrap()
}

#[test]
fn answers_have_the_members_of_the_model() {
    let (local, key) = with_key();
    let described = local.ok(Operation::DescribeKey, &json!({"KeyId": key.as_str()}));
    let always = ["KeyId", "KeyMaterialId", "KeyPairSpec", "PrivateKeyCiphertextBlob", "PublicKey"];
    for operation in BOTH {
        let answer = local.ok(operation, &of(&key, "ECC_NIST_P384", json!({})));
        let told = members(&answer).into_iter().filter(|member| *member != "PrivateKeyPlaintext");
        assert_eq!(told.collect::<Vec<_>>(), always, "{operation:?}");
        assert_eq!(answer.get("PrivateKeyPlaintext").is_some(), operation == Operation::GenerateDataKeyPair);
        assert_eq!((&answer["KeyId"], &answer["KeyPairSpec"]), (&json!(key.as_str()), &json!("ECC_NIST_P384")));
        assert_eq!(answer["KeyMaterialId"], described["KeyMetadata"]["CurrentKeyMaterialId"]);
    }
}

#[test]
fn the_ciphertext_opens_to_the_private_key_under_its_own_context_only() {
    let (local, key) = with_key();
    let context = json!({"order": "7", "£": "€"});
    for spec in ["RSA_4096", "ECC_SECG_P256K1"] {
        let body = of(&key, spec, json!({"EncryptionContext": context}));
        let answer = local.ok(Operation::GenerateDataKeyPair, &body);
        let blob = &answer["PrivateKeyCiphertextBlob"];
        // The model's bound for what Decrypt takes.
        assert!(bytes(blob).len() <= 6144);
        let decrypt = |context: &Value| json!({"CiphertextBlob": blob, "EncryptionContext": context});
        assert_eq!(local.ok(Operation::Decrypt, &decrypt(&context))["Plaintext"], answer["PrivateKeyPlaintext"]);
        for other in [json!({}), json!({"order": "8", "£": "€"})] {
            assert_eq!(local.refusal(Operation::Decrypt, &decrypt(&other)), "InvalidCiphertextException");
        }
    }
}

#[test]
fn a_private_key_that_was_not_told_belongs_to_the_public_one() {
    let (local, key) = with_key();
    let answer = local.ok(Operation::GenerateDataKeyPairWithoutPlaintext, &of(&key, "ECC_NIST_P256", json!({})));
    let opened = local.ok(Operation::Decrypt, &json!({"CiphertextBlob": answer["PrivateKeyCiphertextBlob"]}));
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &bytes(&opened["Plaintext"])).unwrap();
    let point = aws_lc_rs::signature::KeyPair::public_key(&pair).as_ref();
    assert!(bytes(&answer["PublicKey"]).ends_with(point));
}

#[test]
fn a_pair_is_made_of_the_models_specifications_alone() {
    let (local, key) = with_key();
    for operation in BOTH {
        let text = local.refusal(operation, &of(&key, "RSA_1024", json!({})));
        let expected = "ValidationException: 1 validation error detected: Value 'RSA_1024' at 'keyPairSpec' failed to \
                        satisfy constraint: Member must satisfy enum value set: [";
        assert!(text.starts_with(expected) && text.contains("ECC_NIST_EDWARDS25519"), "{text}");
        assert_eq!(
            local.refusal(operation, &json!({})),
            "ValidationException: 2 validation errors detected: Value null at 'keyId' failed to satisfy constraint: \
             Member must not be null; Value null at 'keyPairSpec' failed to satisfy constraint: Member must not be null"
        );
    }
}

#[test]
fn a_specification_that_is_not_served_is_refused_once_the_key_is_found() {
    let (local, key) = with_key();
    for (operation, spec) in BOTH.into_iter().flat_map(|operation| [(operation, "SM2"), (operation, "ML_KEM_768")]) {
        let expected =
            format!("UnsupportedOperationException: KeyPairSpec {spec} is not served by kmsgate's local backend.");
        assert_eq!(local.refusal(operation, &of(&key, spec, json!({}))), expected);
        assert_eq!(local.refusal(operation, &of(&key, spec, json!({"DryRun": true}))), expected);
        let nowhere = json!({"KeyId": NO_KEY, "KeyPairSpec": spec});
        assert_eq!(local.code(operation, &nowhere), "NotFoundException");
    }
}

#[test]
fn a_key_that_may_not_be_used_says_why() {
    let (local, key) = with_key();
    local.disable(&key);
    for operation in BOTH {
        let expected = format!("DisabledException: {} is disabled.", key.as_str());
        assert_eq!(local.refusal(operation, &of(&key, "RSA_4096", json!({}))), expected);
        assert_eq!(local.refusal(operation, &of(&key, "RSA_4096", json!({"DryRun": true}))), expected);
    }
    local.schedule_deletion(&key);
    for operation in BOTH {
        let expected = format!("KMSInvalidStateException: {} is pending deletion.", key.as_str());
        assert_eq!(local.refusal(operation, &of(&key, "RSA_4096", json!({}))), expected);
    }
}

#[test]
fn a_dry_run_fails_last() {
    let (local, key) = with_key();
    for operation in BOTH {
        for spec in ["RSA_4096", "ECC_NIST_P256"] {
            assert_eq!(local.refusal(operation, &of(&key, spec, json!({"DryRun": true}))), DRY);
        }
        let nowhere = json!({"KeyId": NO_KEY, "KeyPairSpec": "RSA_4096", "DryRun": true});
        assert_eq!(local.code(operation, &nowhere), "NotFoundException");
    }
}

#[test]
fn nothing_is_encrypted_for_an_enclave_that_nobody_verified() {
    let (local, key) = with_key();
    let recipient = json!({"KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256", "AttestationDocument": "aGVsbG8="});
    let body = of(&key, "ECC_NIST_P256", json!({"Recipient": recipient}));
    assert_eq!(local.code(BOTH[0], &body), "UnsupportedOperationException");
    // The other operation has no such member, and KMS takes no notice of members that it does not know.
    local.ok(BOTH[1], &body);
}

#[test]
fn what_finds_large_primes_is_slow_and_nothing_else_is() {
    let slow = |operation: Operation, body: Value| {
        LocalBackend::is_slow(&Input::parse(operation, body.to_string().as_bytes()).unwrap())
    };
    for operation in BOTH {
        for spec in aws_sdk_kms::types::DataKeyPairSpec::values() {
            let body = json!({"KeyId": NO_KEY, "KeyPairSpec": spec});
            assert_eq!(slow(operation, body), spec.starts_with("RSA_"), "{spec}");
        }
        assert!(!slow(operation, json!({"KeyId": NO_KEY, "KeyPairSpec": "RSA_4096", "DryRun": true})));
    }
    assert!(!slow(Operation::GenerateDataKey, json!({"KeyId": NO_KEY, "KeySpec": "AES_256"})));
}
