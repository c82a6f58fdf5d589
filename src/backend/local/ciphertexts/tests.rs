//! Whatever is wrong with a ciphertext is one error without a text; whose it is decides the few others.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::testing::{Local, NO_KEY, members};
use crate::aws::{KeyArn, Operation};

const HELLO: &str = "aGVsbG8=";
const INVALID: &str = "InvalidCiphertextException";
const INCORRECT: &str =
    "IncorrectKeyException: The key ID in the request does not identify a CMK that can perform this operation.";
const GONE: &str = "AccessDeniedException: The ciphertext refers to a customer master key that does not exist, does not \
     exist in this region, or you are not allowed to access.";
const DRY: &str = "DryRunOperationException: The request would have succeeded, but the DryRun option is set.";

/// A ciphertext of "hello" under `key`, for the order 7.
struct Sealed {
    local: Local,
    key: KeyArn,
    blob: String,
}

fn context() -> Value {
    json!({"order": "7", "shop": "x"})
}

fn sealed() -> Sealed {
    let local = Local::new();
    let key = local.create_key();
    let blob = local.encrypt(&key, HELLO, &context());
    Sealed { local, key, blob }
}

fn decrypt(blob: &str, context: &Value) -> Value {
    json!({"CiphertextBlob": blob, "EncryptionContext": context})
}

fn with(mut body: Value, member: &str, value: impl Into<Value>) -> Value {
    body[member] = value.into();
    body
}

fn re_encrypt(blob: &str, destination: &KeyArn) -> Value {
    json!({"CiphertextBlob": blob, "SourceEncryptionContext": context(), "DestinationKeyId": destination.as_str()})
}

/// Both operations that open a ciphertext, with and without the key's name.
fn openings(sealed: &Sealed, blob: &str) -> [(Operation, Value); 4] {
    let Sealed { key, .. } = sealed;
    let (plain, through) = (decrypt(blob, &context()), re_encrypt(blob, key));
    [
        (Operation::Decrypt, plain.clone()),
        (Operation::Decrypt, with(plain, "KeyId", key.as_str())),
        (Operation::ReEncrypt, through.clone()),
        (Operation::ReEncrypt, with(through, "SourceKeyId", key.as_str())),
    ]
}

#[test]
fn a_ciphertext_opens_with_its_context_in_any_order() {
    let Sealed { local, key, blob } = sealed();
    let body = format!(r#"{{"CiphertextBlob":"{blob}","EncryptionContext":{{"shop":"x","order":"7"}}}}"#);
    let answer = local.ok(Operation::Decrypt, &serde_json::from_str(&body).unwrap());
    assert_eq!(members(&answer), ["EncryptionAlgorithm", "KeyId", "KeyMaterialId", "Plaintext"]);
    assert_eq!((&answer["Plaintext"], &answer["KeyId"]), (&json!(HELLO), &json!(key.as_str())));
    let bare = local.encrypt(&key, HELLO, &json!({}));
    local.ok(Operation::Decrypt, &json!({"CiphertextBlob": bare}));
}

#[test]
fn another_context_opens_nothing() {
    let sealed = sealed();
    for other in [
        json!({}),
        json!({"order": "7"}),
        json!({"order": "7", "shop": "X"}),
        json!({"order": "7", "Shop": "x"}),
        json!({"order": "7", "shop": "x", "more": ""}),
        json!({"order": "7x", "shop": ""}),
    ] {
        assert_eq!(sealed.local.refusal(Operation::Decrypt, &decrypt(&sealed.blob, &other)), INVALID, "{other}");
    }
    let split = sealed.local.encrypt(&sealed.key, HELLO, &json!({"a": "bc"}));
    assert_eq!(sealed.local.refusal(Operation::Decrypt, &decrypt(&split, &json!({"ab": "c"}))), INVALID);
}

#[test]
fn one_flipped_bit_anywhere_is_an_invalid_ciphertext() {
    let sealed = sealed();
    let bytes = STANDARD.decode(&sealed.blob).unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        for (operation, body) in openings(&sealed, &STANDARD.encode(&flipped)) {
            assert_eq!(sealed.local.refusal(operation, &body), INVALID, "bit {bit}, {operation:?}");
        }
    }
}

#[test]
fn what_is_cut_lengthened_or_made_by_hand_is_an_invalid_ciphertext() {
    let sealed = sealed();
    let bytes = STANDARD.decode(&sealed.blob).unwrap();
    let (tail, head) = (bytes[1..].to_vec(), bytes[..bytes.len() - 1].to_vec());
    let appended = [bytes.as_slice(), b"\0"].concat();
    // What a stranger can know: the layout and the key's name.
    let mut forged = bytes.clone();
    forged.truncate(8 + sealed.key.as_str().len());
    forged.extend_from_slice(&[0; 32 + 16 + 16 + 12 + 32 + 5 + 16]);
    for blob in [tail, head, appended, forged, b"garbage".to_vec(), vec![1; 6144]] {
        for (operation, body) in openings(&sealed, &STANDARD.encode(&blob)) {
            assert_eq!(sealed.local.refusal(operation, &body), INVALID, "{blob:?}");
        }
    }
}

#[test]
fn a_ciphertext_of_another_store_is_an_invalid_ciphertext() {
    let (mine, theirs) = (sealed(), sealed());
    for (operation, body) in openings(&mine, &theirs.blob) {
        assert_eq!(mine.local.refusal(operation, &body), INVALID);
    }
}

#[test]
fn a_ciphertext_of_a_key_that_was_deleted_is_not_told_from_one_that_may_not_be_used() {
    let Sealed { local, key, blob } = sealed();
    local.schedule_deletion(&key);
    local.pass(30);
    let other = local.create_key();
    assert_eq!(local.refusal(Operation::Decrypt, &decrypt(&blob, &context())), GONE);
    assert_eq!(local.refusal(Operation::ReEncrypt, &re_encrypt(&blob, &other)), GONE);
    // Whoever names a key is told that the ciphertext is not of that one.
    let named = with(decrypt(&blob, &context()), "KeyId", other.as_str());
    assert_eq!(local.refusal(Operation::Decrypt, &named), INCORRECT);
    // A forger is told nothing of the sort.
    let mut bytes = STANDARD.decode(&blob).unwrap();
    let tag_at = 40 + key.as_str().len();
    bytes[tag_at] ^= 1;
    assert_eq!(local.refusal(Operation::Decrypt, &decrypt(&STANDARD.encode(bytes), &context())), INVALID);
}

#[test]
fn naming_another_key_is_incorrect_whatever_state_it_is_in() {
    let Sealed { local, blob, .. } = sealed();
    let other = local.create_key();
    let named = with(decrypt(&blob, &context()), "KeyId", other.as_str());
    let source = with(re_encrypt(&blob, &other), "SourceKeyId", other.as_str());
    assert_eq!(local.refusal(Operation::Decrypt, &named), INCORRECT);
    assert_eq!(local.refusal(Operation::ReEncrypt, &source), INCORRECT);
    local.disable(&other);
    assert_eq!(local.refusal(Operation::Decrypt, &named), INCORRECT);
    let nowhere = with(decrypt(&blob, &context()), "KeyId", NO_KEY);
    assert_eq!(local.code(Operation::Decrypt, &nowhere), "NotFoundException");
}

#[test]
fn the_keys_state_is_seen_before_the_ciphertext_is_opened() {
    let Sealed { local, key, blob } = sealed();
    local.disable(&key);
    let expected = format!("DisabledException: {} is disabled.", key.as_str());
    assert_eq!(local.refusal(Operation::Decrypt, &decrypt(&blob, &json!({}))), expected);
    let garbage = with(decrypt("Z2FyYmFnZQ==", &json!({})), "KeyId", key.as_str());
    assert_eq!(local.refusal(Operation::Decrypt, &garbage), expected);
    local.schedule_deletion(&key);
    let expected = format!("KMSInvalidStateException: {} is pending deletion.", key.as_str());
    assert_eq!(local.refusal(Operation::Decrypt, &decrypt(&blob, &context())), expected);
}

#[test]
fn a_dry_run_says_first_what_is_wrong_with_the_ciphertext() {
    let sealed = sealed();
    for (operation, body) in openings(&sealed, &sealed.blob) {
        assert_eq!(sealed.local.refusal(operation, &with(body, "DryRun", true)), DRY);
    }
    for (operation, body) in openings(&sealed, "Z2FyYmFnZQ==") {
        assert_eq!(sealed.local.refusal(operation, &with(body, "DryRun", true)), INVALID);
    }
    let other = with(decrypt(&sealed.blob, &json!({})), "DryRun", true);
    assert_eq!(sealed.local.refusal(Operation::Decrypt, &other), INVALID);
}

#[test]
fn a_dry_run_can_ask_of_the_key_alone() {
    let Sealed { local, key, .. } = sealed();
    let modifiers = json!(["IGNORE_CIPHERTEXT"]);
    let of_key = json!({"KeyId": key.as_str(), "DryRun": true, "DryRunModifiers": modifiers});
    let of_both = json!({"SourceKeyId": key.as_str(), "DestinationKeyId": key.as_str(), "DryRun": true,
        "DryRunModifiers": modifiers});
    assert_eq!(local.refusal(Operation::Decrypt, &of_key), DRY);
    assert_eq!(local.refusal(Operation::ReEncrypt, &of_both), DRY);
    // With a ciphertext, too, whatever it is.
    assert_eq!(local.refusal(Operation::Decrypt, &with(of_key.clone(), "CiphertextBlob", "Z2FyYmFnZQ==")), DRY);
    // Without a dry run the modifier changes nothing.
    let wet = with(with(of_key.clone(), "CiphertextBlob", "Z2FyYmFnZQ=="), "DryRun", false);
    assert_eq!(local.refusal(Operation::Decrypt, &wet), INVALID);
    local.disable(&key);
    assert_eq!(local.code(Operation::Decrypt, &of_key), "DisabledException");
    assert_eq!(local.code(Operation::ReEncrypt, &of_both), "DisabledException");
}

#[test]
fn without_a_ciphertext_there_is_nothing_to_decrypt() {
    let local = Local::new();
    assert_eq!(
        local.refusal(Operation::Decrypt, &json!({})),
        "ValidationException: 1 validation error detected: Value null at 'ciphertextBlob' failed to satisfy \
         constraint: Member must not be null"
    );
    assert_eq!(
        local.refusal(Operation::Decrypt, &json!({"CiphertextBlob": ""})),
        "ValidationException: 1 validation error detected: Value at 'ciphertextBlob' failed to satisfy constraint: \
         Member must have length greater than or equal to 1"
    );
}

#[test]
fn what_is_re_encrypted_opens_under_its_new_key_and_context_alone() {
    let Sealed { local, key, blob } = sealed();
    let other = local.create_key();
    let new = json!({"order": "8"});
    let answer =
        local.ok(Operation::ReEncrypt, &with(re_encrypt(&blob, &other), "DestinationEncryptionContext", new.clone()));
    assert_eq!(
        members(&answer),
        [
            "CiphertextBlob",
            "DestinationEncryptionAlgorithm",
            "DestinationKeyMaterialId",
            "KeyId",
            "SourceEncryptionAlgorithm",
            "SourceKeyId",
            "SourceKeyMaterialId"
        ]
    );
    assert_eq!((&answer["SourceKeyId"], &answer["KeyId"]), (&json!(key.as_str()), &json!(other.as_str())));
    let moved = answer["CiphertextBlob"].as_str().unwrap();
    let opened = local.ok(Operation::Decrypt, &decrypt(moved, &new));
    assert_eq!((&opened["Plaintext"], &opened["KeyId"]), (&json!(HELLO), &json!(other.as_str())));
    assert_eq!(opened["KeyMaterialId"], answer["DestinationKeyMaterialId"]);
    assert_eq!(local.refusal(Operation::Decrypt, &decrypt(moved, &context())), INVALID);
    // A new context under the same key.
    local.ok(Operation::ReEncrypt, &re_encrypt(&blob, &key));
}

#[test]
fn re_encrypt_needs_both_keys_to_be_usable() {
    let Sealed { local, key, blob } = sealed();
    let other = local.create_key();
    local.disable(&other);
    let destination = format!("DisabledException: {} is disabled.", other.as_str());
    assert_eq!(local.refusal(Operation::ReEncrypt, &re_encrypt(&blob, &other)), destination);
    local.disable(&key);
    let source = format!("DisabledException: {} is disabled.", key.as_str());
    assert_eq!(local.refusal(Operation::ReEncrypt, &re_encrypt(&blob, &other)), source);
}

#[test]
fn algorithms_of_other_keys_open_nothing() {
    let Sealed { local, key, blob } = sealed();
    let other = "InvalidKeyUsageException: Algorithm RSAES_OAEP_SHA_1 is incompatible with key spec SYMMETRIC_DEFAULT.";
    let body = with(decrypt(&blob, &context()), "EncryptionAlgorithm", "RSAES_OAEP_SHA_1");
    assert_eq!(local.refusal(Operation::Decrypt, &body), other);
    for member in ["SourceEncryptionAlgorithm", "DestinationEncryptionAlgorithm"] {
        let body = with(re_encrypt(&blob, &key), member, "RSAES_OAEP_SHA_1");
        assert_eq!(local.refusal(Operation::ReEncrypt, &body), other);
    }
}

#[test]
fn ciphertexts_outlive_the_process() {
    let Sealed { local, blob, .. } = sealed();
    let local = local.reopened();
    assert_eq!(local.ok(Operation::Decrypt, &decrypt(&blob, &context()))["Plaintext"], HELLO);
}

#[test]
fn a_key_of_another_kind_is_not_the_one_that_a_ciphertext_is_under() {
    let Sealed { local, key, blob, .. } = sealed();
    for (spec, usage) in [
        ("HMAC_256", "GENERATE_VERIFY_MAC"),
        ("ECC_NIST_P256", "SIGN_VERIFY"),
        ("ECC_NIST_P384", "KEY_AGREEMENT"),
        ("RSA_2048", "ENCRYPT_DECRYPT"),
    ] {
        let made = local.ok(Operation::CreateKey, &json!({"KeySpec": spec, "KeyUsage": usage}));
        let other: KeyArn = made["KeyMetadata"]["Arn"].as_str().unwrap().parse().unwrap();
        // Recorded from KMS, of HMAC keys.
        let named = with(decrypt(&blob, &context()), "KeyId", other.as_str());
        assert_eq!(local.refusal(Operation::Decrypt, &named), INCORRECT, "{spec}");
        let from = with(re_encrypt(&blob, &key), "SourceKeyId", other.as_str());
        assert_eq!(local.refusal(Operation::ReEncrypt, &from), INCORRECT, "{spec}");
        // The code is recorded from KMS, of keys that sign.
        let to = local.code(Operation::ReEncrypt, &re_encrypt(&blob, &other));
        assert_eq!(to, "InvalidKeyUsageException", "{spec}");
    }
}
