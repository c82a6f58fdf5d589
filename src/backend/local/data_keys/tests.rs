//! The data-key calls: their answers' members, their sizes, and the order of their checks (reference 3.7).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::testing::{Local, NO_KEY, members};
use crate::aws::{KeyArn, Operation};

const WITHOUT_PLAINTEXT: Operation = Operation::GenerateDataKeyWithoutPlaintext;
const BOTH: [Operation; 2] = [WITHOUT_PLAINTEXT, Operation::GenerateDataKey];
const SIZES: &str = "ValidationException: Please specify either number of bytes or key spec.";
const DRY: &str = "DryRunOperationException: The request would have succeeded, but the DryRun option is set.";

fn with_key() -> (Local, KeyArn) {
    let local = Local::new();
    let key = local.create_key();
    (local, key)
}

/// A request with `more` beside the key's id.
fn of(key: &KeyArn, more: Value) -> Value {
    let mut body = more;
    body["KeyId"] = json!(key.as_str());
    body
}

fn decrypted(local: &Local, answer: &Value, context: &Value) -> Vec<u8> {
    let body = json!({"CiphertextBlob": answer["CiphertextBlob"], "EncryptionContext": context});
    bytes(&local.ok(Operation::Decrypt, &body)["Plaintext"])
}

fn bytes(base64: &Value) -> Vec<u8> {
    STANDARD.decode(base64.as_str().unwrap()).unwrap()
}

#[test]
fn answers_have_the_members_that_kms_was_recorded_to_have() {
    let (local, key) = with_key();
    let answer = local.ok(WITHOUT_PLAINTEXT, &of(&key, json!({"KeySpec": "AES_256"})));
    assert_eq!(members(&answer), ["CiphertextBlob", "KeyId", "KeyMaterialId"]);
    let material = &local.ok(Operation::DescribeKey, &of(&key, json!({})))["KeyMetadata"]["CurrentKeyMaterialId"];
    assert_eq!(&answer["KeyMaterialId"], material);
    let answer = local.ok(Operation::GenerateDataKey, &of(&key, json!({"KeySpec": "AES_256"})));
    assert_eq!(members(&answer), ["CiphertextBlob", "KeyId", "KeyMaterialId", "Plaintext"]);
    assert_eq!(answer["KeyId"], key.as_str());
    let answer = local.ok(Operation::Encrypt, &of(&key, json!({"Plaintext": "aGVsbG8="})));
    assert_eq!(members(&answer), ["CiphertextBlob", "EncryptionAlgorithm", "KeyId"]);
    assert_eq!(answer["EncryptionAlgorithm"], "SYMMETRIC_DEFAULT");
    let answer = local.ok(Operation::GenerateRandom, &json!({"NumberOfBytes": 24}));
    assert_eq!((members(&answer).as_slice(), bytes(&answer["Plaintext"]).len()), (["Plaintext"].as_slice(), 24));
}

#[test]
fn a_data_key_is_as_long_as_was_asked_and_decrypt_gives_it_back() {
    let (local, key) = with_key();
    for (size, length) in [
        (json!({"KeySpec": "AES_256"}), 32),
        (json!({"KeySpec": "AES_128"}), 16),
        (json!({"NumberOfBytes": 1}), 1),
        (json!({"NumberOfBytes": 3}), 3),
        (json!({"NumberOfBytes": 1024}), 1024),
    ] {
        let context = json!({"order": "7", "£": "€"});
        let mut body = of(&key, size);
        body["EncryptionContext"] = context.clone();
        let sealed = local.ok(WITHOUT_PLAINTEXT, &body);
        assert_eq!(decrypted(&local, &sealed, &context).len(), length, "{body}");
        let told = local.ok(Operation::GenerateDataKey, &body);
        assert_eq!(bytes(&told["Plaintext"]).len(), length, "{body}");
        assert_eq!(decrypted(&local, &told, &context), bytes(&told["Plaintext"]), "{body}");
    }
}

#[test]
fn no_two_data_keys_and_no_two_ciphertexts_are_the_same() {
    let (local, key) = with_key();
    let body = of(&key, json!({"KeySpec": "AES_256"}));
    let answers = [local.ok(Operation::GenerateDataKey, &body), local.ok(Operation::GenerateDataKey, &body)];
    assert_ne!(answers[0]["Plaintext"], answers[1]["Plaintext"]);
    let encrypt = || local.encrypt(&key, "aGVsbG8=", &json!({}));
    assert_ne!(encrypt(), encrypt());
}

#[test]
fn size_and_key_spec_exclude_each_other_after_the_key_is_found_and_before_its_state_is_seen() {
    let (local, key) = with_key();
    for operation in BOTH {
        for sizes in [json!({}), json!({"KeySpec": "AES_256", "NumberOfBytes": 32})] {
            assert_eq!(local.refusal(operation, &of(&key, sizes.clone())), SIZES);
            let mut nowhere = sizes;
            nowhere["KeyId"] = json!(NO_KEY);
            assert_eq!(local.code(operation, &nowhere), "NotFoundException");
        }
    }
    local.disable(&key);
    for operation in BOTH {
        assert_eq!(local.refusal(operation, &of(&key, json!({}))), SIZES);
    }
}

#[test]
fn bounds_of_the_size_come_before_the_key() {
    let local = Local::new();
    for (bytes, bound) in [(0, "greater than or equal to 1"), (1025, "less than or equal to 1024")] {
        let expected = format!(
            "ValidationException: 1 validation error detected: Value '{bytes}' at 'numberOfBytes' failed to satisfy \
             constraint: Member must have value {bound}"
        );
        for operation in BOTH {
            assert_eq!(local.refusal(operation, &json!({"KeyId": NO_KEY, "NumberOfBytes": bytes})), expected);
        }
        assert_eq!(local.refusal(Operation::GenerateRandom, &json!({"NumberOfBytes": bytes})), expected);
    }
    assert_eq!(local.refusal(Operation::GenerateRandom, &json!({})), "ValidationException: NumberOfBytes is required.");
}

#[test]
fn a_key_that_may_not_be_used_says_why() {
    let (local, key) = with_key();
    let calls = || {
        let size = json!({"KeySpec": "AES_256"});
        let plaintext = json!({"Plaintext": "aGVsbG8="});
        [(BOTH[0], size.clone()), (BOTH[1], size), (Operation::Encrypt, plaintext)]
    };
    local.disable(&key);
    for (operation, more) in calls() {
        let expected = format!("DisabledException: {} is disabled.", key.as_str());
        assert_eq!(local.refusal(operation, &of(&key, more)), expected, "{operation:?}");
    }
    local.schedule_deletion(&key);
    for (operation, more) in calls() {
        let expected = format!("KMSInvalidStateException: {} is pending deletion.", key.as_str());
        assert_eq!(local.refusal(operation, &of(&key, more)), expected, "{operation:?}");
    }
}

#[test]
fn a_dry_run_fails_last() {
    let (local, key) = with_key();
    let dry = |more: Value| {
        let mut body = of(&key, more);
        body["DryRun"] = json!(true);
        body
    };
    for operation in BOTH {
        assert_eq!(local.refusal(operation, &dry(json!({"KeySpec": "AES_256"}))), DRY);
        assert_eq!(local.refusal(operation, &dry(json!({}))), SIZES);
    }
    assert_eq!(local.refusal(Operation::Encrypt, &dry(json!({"Plaintext": "aGVsbG8="}))), DRY);
    assert_eq!(local.code(WITHOUT_PLAINTEXT, &json!({"KeyId": NO_KEY, "DryRun": true})), "NotFoundException");
    local.disable(&key);
    for operation in BOTH {
        assert_eq!(local.code(operation, &dry(json!({"KeySpec": "AES_256"}))), "DisabledException");
    }
}

#[test]
fn an_algorithm_of_other_keys_is_refused_after_the_keys_state() {
    let (local, key) = with_key();
    let body = of(&key, json!({"Plaintext": "aGVsbG8=", "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"}));
    assert_eq!(
        local.refusal(Operation::Encrypt, &body),
        "InvalidKeyUsageException: Algorithm RSAES_OAEP_SHA_256 is incompatible with key spec SYMMETRIC_DEFAULT."
    );
    local.disable(&key);
    assert_eq!(local.code(Operation::Encrypt, &body), "DisabledException");
    let told = of(&key, json!({"Plaintext": "aGVsbG8=", "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}));
    local.ok(Operation::EnableKey, &of(&key, json!({})));
    local.ok(Operation::Encrypt, &told);
}

#[test]
fn a_plaintext_has_1_to_4096_bytes() {
    let (local, key) = with_key();
    let encrypt = |length: usize| of(&key, json!({"Plaintext": STANDARD.encode(vec![7; length])}));
    for (length, bound) in [(0, "greater than or equal to 1"), (4097, "less than or equal to 4096")] {
        assert_eq!(
            local.refusal(Operation::Encrypt, &encrypt(length)),
            format!(
                "ValidationException: 1 validation error detected: Value at 'plaintext' failed to satisfy constraint: \
                 Member must have length {bound}"
            )
        );
    }
    for length in [1, 4096] {
        let answer = local.ok(Operation::Encrypt, &encrypt(length));
        // The model's bound for what Decrypt takes.
        assert!(bytes(&answer["CiphertextBlob"]).len() <= 6144);
        assert_eq!(decrypted(&local, &answer, &json!({})), vec![7; length]);
    }
}

#[test]
fn nothing_is_encrypted_for_an_enclave_that_nobody_verified() {
    let (local, key) = with_key();
    let recipient = json!({"KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256", "AttestationDocument": "aGVsbG8="});
    let body = of(&key, json!({"KeySpec": "AES_256", "Recipient": recipient}));
    assert_eq!(local.code(Operation::GenerateDataKey, &body), "UnsupportedOperationException");
    let body = json!({"NumberOfBytes": 16, "Recipient": recipient});
    assert_eq!(local.code(Operation::GenerateRandom, &body), "UnsupportedOperationException");
    let blob = local.encrypt(&key, "aGVsbG8=", &json!({}));
    let body = json!({"CiphertextBlob": blob, "Recipient": recipient});
    assert_eq!(local.code(Operation::Decrypt, &body), "UnsupportedOperationException");
}

fn key_of(local: &Local, spec: &str, usage: &str) -> KeyArn {
    let metadata = local.ok(Operation::CreateKey, &json!({"KeySpec": spec, "KeyUsage": usage}))["KeyMetadata"].clone();
    metadata["Arn"].as_str().unwrap().parse().unwrap()
}

/// A spec of each usage that symmetric keys do not have.
const OTHER_USAGES: [(&str, &str); 4] = [
    ("RSA_2048", "SIGN_VERIFY"),
    ("ECC_NIST_P256", "SIGN_VERIFY"),
    ("HMAC_256", "GENERATE_VERIFY_MAC"),
    ("ECC_NIST_P384", "KEY_AGREEMENT"),
];

#[test]
fn a_key_of_another_usage_says_so_before_its_state_and_after_the_sizes() {
    let local = Local::new();
    for (spec, usage) in OTHER_USAGES {
        let key = key_of(&local, spec, usage);
        let rows = || {
            let generate = BOTH.map(|operation| (operation, of(&key, json!({"KeySpec": "AES_256", "DryRun": true}))));
            generate.into_iter().chain([(Operation::Encrypt, of(&key, json!({"Plaintext": "aGVsbG8="})))])
        };
        // Recorded from KMS for a part of these: the form is the same for all.
        let refused = || {
            for (operation, body) in rows() {
                let name = operation.name();
                let expected =
                    format!("InvalidKeyUsageException: {key} key usage is {usage} which is not valid for {name}.");
                assert_eq!(local.refusal(operation, &body), expected, "{spec}");
            }
        };
        refused();
        local.disable(&key);
        refused();
        for operation in BOTH {
            assert_eq!(local.refusal(operation, &of(&key, json!({}))), SIZES, "{spec}");
        }
    }
}

#[test]
fn an_rsa_key_that_encrypts_makes_no_data_keys() {
    let local = Local::new();
    let key = key_of(&local, "RSA_2048", "ENCRYPT_DECRYPT");
    let data_key = of(&key, json!({"KeySpec": "AES_256", "DryRun": true}));
    // Recorded from KMS.
    let asymmetric = "InvalidKeyUsageException: You cannot generate a data key with an asymmetric CMK";
    for operation in BOTH {
        assert_eq!(local.refusal(operation, &data_key), asymmetric);
    }
    let encrypt = |more: Value| {
        let mut body = of(&key, json!({"Plaintext": "aGVsbG8="}));
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        local.refusal(Operation::Encrypt, &body)
    };
    // The form is recorded from KMS, of HMAC keys.
    let default = "InvalidKeyUsageException: Algorithm SYMMETRIC_DEFAULT is incompatible with key spec RSA_2048.";
    assert_eq!(encrypt(json!({})), default);
    let own = encrypt(json!({"EncryptionAlgorithm": "RSAES_OAEP_SHA_256"}));
    assert!(own.starts_with("UnsupportedOperationException: ") && own.contains("not served"), "{own}");
    local.disable(&key);
    for operation in BOTH {
        let disabled = format!("DisabledException: {key} is disabled.");
        assert_eq!(local.refusal(operation, &data_key), disabled, "the state comes before the spec");
    }
}
