//! Every bound of every member of the data-key calls, on both sides: the values that the service's model allows are
//! taken, the next ones refused.
//!
//! Written by hand from the model's documentation. What a value within its bounds leads to is the next check of KMS:
//! the key is looked up, the ciphertext opened.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::table::Then::{Granted, Refused, Says};
use super::table::{
    AT_LEAST_1, Table, at_most, base64_of, blob, broken, dry_run, invalid, not_a_key, not_in_enum, null,
};
use crate::harness::Refusal;

/// The operations that name a key, and by which member; whether they must.
const KEY_MEMBERS: &[(&str, &str, &str, bool)] = &[
    ("GenerateDataKeyWithoutPlaintext", "KeyId", "keyId", true),
    ("GenerateDataKey", "KeyId", "keyId", true),
    ("GenerateDataKeyPair", "KeyId", "keyId", true),
    ("GenerateDataKeyPairWithoutPlaintext", "KeyId", "keyId", true),
    ("Encrypt", "KeyId", "keyId", true),
    ("Decrypt", "KeyId", "keyId", false),
    ("ReEncrypt", "SourceKeyId", "sourceKeyId", false),
    ("ReEncrypt", "DestinationKeyId", "destinationKeyId", true),
    ("DescribeKey", "KeyId", "keyId", true),
    ("EnableKey", "KeyId", "keyId", true),
    ("DisableKey", "KeyId", "keyId", true),
    ("ScheduleKeyDeletion", "KeyId", "keyId", true),
    ("CancelKeyDeletion", "KeyId", "keyId", true),
    ("ListAliases", "KeyId", "keyId", false),
    ("CreateAlias", "TargetKeyId", "targetKeyId", true),
];

#[test]
fn a_key_is_named_by_1_to_2048_characters() {
    let mut table = Table::new();
    for &(operation, member, path, required) in KEY_MEMBERS {
        if required {
            table.without(operation, member, null(path));
            table.with(operation, member, Value::Null, null(path));
        }
        // Real KMS is said to complain of a pattern too; that is not verified.
        let text = format!("Value '' at '{path}' failed to satisfy constraint: Member must {AT_LEAST_1}");
        table.with(operation, member, "".into(), Says("ValidationException", text));
        table.with(operation, member, "k".into(), not_a_key("k"));
        let [longest, longer] = [2048, 2049].map(|length| "k".repeat(length));
        table.with(operation, member, longest.clone().into(), not_a_key(&longest));
        let then = broken(&longer, path, &at_most(2048));
        table.with(operation, member, longer.into(), then);
    }
}

#[test]
fn a_data_key_has_1_to_1024_bytes_or_a_spec() {
    let mut table = Table::new();
    for operation in ["GenerateDataKeyWithoutPlaintext", "GenerateDataKey"] {
        let neither = "Please specify either number of bytes or key spec.";
        let neither = || Refused(Refusal::new(400, "ValidationException", neither));
        table.without(operation, "KeySpec", neither());
        table.with(operation, "NumberOfBytes", 32.into(), neither());
        table.with(operation, "KeySpec", "AES_128".into(), Granted);
        table.with(operation, "KeySpec", "AES-256".into(), not_in_enum("AES-256", "keySpec"));
        table.with(operation, "KeySpec", "aes_256".into(), not_in_enum("aes_256", "keySpec"));
        table.with(operation, "KeySpec", "".into(), not_in_enum("", "keySpec"));
    }
    for operation in ["GenerateDataKeyWithoutPlaintext", "GenerateDataKey", "GenerateRandom"] {
        for (number, constraint) in [
            (-1, Some("have value greater than or equal to 1")),
            (0, Some("have value greater than or equal to 1")),
            (1, None),
            (1024, None),
            (1025, Some("have value less than or equal to 1024")),
            (i32::MAX, Some("have value less than or equal to 1024")),
        ] {
            let mut body = table.valid(operation);
            body.as_object_mut().unwrap().remove("KeySpec");
            body["NumberOfBytes"] = number.into();
            let refused = |constraint: &str| broken(&number.to_string(), "numberOfBytes", constraint);
            let answer = table.body(operation, &body, constraint.map_or(Granted, refused));
            if let Some(plaintext) = answer["Plaintext"].as_str() {
                assert_eq!(BASE64_STANDARD.decode(plaintext).unwrap().len(), usize::try_from(number).unwrap());
            }
        }
    }
    let text = "NumberOfBytes is required.";
    table.without("GenerateRandom", "NumberOfBytes", Refused(Refusal::new(400, "ValidationException", text)));
}

#[test]
fn a_key_pair_is_of_one_of_the_models_specifications() {
    let mut table = Table::new();
    for operation in ["GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext"] {
        for spec in ["RSA_2048", "ECC_NIST_P521", "ECC_SECG_P256K1", "ECC_NIST_EDWARDS25519"] {
            table.with(operation, "KeyPairSpec", spec.into(), Granted);
        }
        table.with(operation, "KeyPairSpec", "SM2".into(), invalid("UnsupportedOperationException"));
        for spec in ["RSA_1024", "rsa_2048", "SYMMETRIC_DEFAULT", ""] {
            table.with(operation, "KeyPairSpec", spec.into(), not_in_enum(spec, "keyPairSpec"));
        }
        table.with(operation, "KeyPairSpec", Value::Null, null("keyPairSpec"));
        table.without(operation, "KeyPairSpec", null("keyPairSpec"));
    }
}

#[test]
fn up_to_ten_grant_tokens_of_1_to_8192_characters_are_taken() {
    let mut table = Table::new();
    let grant = json!({"KeyId": table.key, "GranteePrincipal": "arn:aws:iam::111122223333:root",
        "Operations": ["DescribeKey"]});
    let made = table.gateway.call(&table.gateway.site.admin, "CreateGrant", &grant).granted();
    let data_keys = ["GenerateDataKeyWithoutPlaintext", "GenerateDataKey"];
    let pairs = ["GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext"];
    let others = ["Encrypt", "Decrypt", "ReEncrypt", "DescribeKey"];
    for operation in data_keys.into_iter().chain(pairs).chain(others) {
        let tokens = |count: usize, length: usize| json!(vec!["t".repeat(length); count]);
        table.with(operation, "GrantTokens", json!([]), Granted);
        table.with(operation, "GrantTokens", json!(vec![&made["GrantToken"]; 10]), Granted);
        // As many and as long as may be, and none that was made here.
        table.with(operation, "GrantTokens", tokens(10, 1), invalid("InvalidGrantTokenException"));
        table.with(operation, "GrantTokens", tokens(10, 8192), invalid("InvalidGrantTokenException"));
        let printed = ["t"; 11].join(", ");
        table.with(
            operation,
            "GrantTokens",
            tokens(11, 1),
            broken(&format!("[{printed}]"), "grantTokens", &at_most(10)),
        );
        // How KMS words the bound of an element is not verified.
        table.with(operation, "GrantTokens", tokens(1, 8193), Says("ValidationException", "'grantTokens".into()));
        table.with(operation, "GrantTokens", json!(["t", ""]), Says("ValidationException", "'grantTokens".into()));
        table.with(operation, "GrantTokens", json!(["t", null]), Says("ValidationException", "'grantTokens".into()));
        // Nor is the text for what cannot be a token.
        table.with(operation, "GrantTokens", json!(["not a token"]), invalid("InvalidGrantTokenException"));
    }
}

#[test]
fn an_encryption_context_has_any_pairs_within_8192_bytes() {
    let mut table = Table::new();
    for (operation, member) in [
        ("GenerateDataKeyWithoutPlaintext", "EncryptionContext"),
        ("GenerateDataKey", "EncryptionContext"),
        ("GenerateDataKeyPair", "EncryptionContext"),
        ("GenerateDataKeyPairWithoutPlaintext", "EncryptionContext"),
        ("Encrypt", "EncryptionContext"),
        ("ReEncrypt", "DestinationEncryptionContext"),
    ] {
        table.with(operation, member, json!({}), Granted);
        table.with(operation, member, json!({"": ""}), Granted);
        table.with(operation, member, json!({"a": "", "\u{a3}": "\u{1f511}", "\u{0}": "\n"}), Granted);
        // AWS documents no figure; this is the one that is often quoted.
        table.with(operation, member, json!({"k": "v".repeat(8191)}), Granted);
        table.with(operation, member, json!({"k": "v".repeat(8192)}), invalid("ValidationException"));
        table.with(operation, member, json!({"k": null}), Says("ValidationException", "must not be null".into()));
    }
    let unopened = || Refused(Refusal::bare(400, "InvalidCiphertextException"));
    table.with("Decrypt", "EncryptionContext", json!({"k": "v".repeat(8191)}), unopened());
    table.with("Decrypt", "EncryptionContext", json!({"k": "v".repeat(8192)}), invalid("ValidationException"));
    table.with("ReEncrypt", "SourceEncryptionContext", json!({"k": "v".repeat(8191)}), unopened());
    table.with("ReEncrypt", "SourceEncryptionContext", json!({"k": "v".repeat(8192)}), invalid("ValidationException"));
}

#[test]
fn a_plaintext_has_1_to_4096_bytes_and_a_ciphertext_1_to_6144() {
    let mut table = Table::new();
    table.without("Encrypt", "Plaintext", null("plaintext"));
    table.with("Encrypt", "Plaintext", "".into(), blob("plaintext", AT_LEAST_1));
    table.with("Encrypt", "Plaintext", base64_of(1), Granted);
    table.with("Encrypt", "Plaintext", base64_of(4096), Granted);
    table.with("Encrypt", "Plaintext", base64_of(4097), blob("plaintext", &at_most(4096)));
    for operation in ["Decrypt", "ReEncrypt"] {
        let unopened = || Refused(Refusal::bare(400, "InvalidCiphertextException"));
        table.without(operation, "CiphertextBlob", null("ciphertextBlob"));
        table.with(operation, "CiphertextBlob", "".into(), blob("ciphertextBlob", AT_LEAST_1));
        table.with(operation, "CiphertextBlob", base64_of(1), unopened());
        table.with(operation, "CiphertextBlob", base64_of(6144), unopened());
        table.with(operation, "CiphertextBlob", base64_of(6145), blob("ciphertextBlob", &at_most(6144)));
    }
}

#[test]
fn an_algorithm_is_one_of_kmss_and_fits_the_key() {
    let mut table = Table::new();
    for (operation, member, path) in [
        ("Encrypt", "EncryptionAlgorithm", "encryptionAlgorithm"),
        ("Decrypt", "EncryptionAlgorithm", "encryptionAlgorithm"),
        ("ReEncrypt", "SourceEncryptionAlgorithm", "sourceEncryptionAlgorithm"),
        ("ReEncrypt", "DestinationEncryptionAlgorithm", "destinationEncryptionAlgorithm"),
    ] {
        table.with(operation, member, "SYMMETRIC_DEFAULT".into(), Granted);
        table.with(operation, member, "AES_GCM".into(), not_in_enum("AES_GCM", path));
        for algorithm in ["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256", "SM2PKE"] {
            let text = format!("Algorithm {algorithm} is incompatible with key spec SYMMETRIC_DEFAULT.");
            table.with(
                operation,
                member,
                algorithm.into(),
                Refused(Refusal::new(400, "InvalidKeyUsageException", text)),
            );
        }
    }
}

#[test]
fn a_dry_run_checks_everything_and_does_nothing() {
    let mut table = Table::new();
    let pairs = ["GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext"];
    let others = ["GenerateDataKeyWithoutPlaintext", "GenerateDataKey", "Encrypt", "Decrypt", "ReEncrypt"];
    for operation in others.into_iter().chain(pairs) {
        table.with(operation, "DryRun", false.into(), Granted);
        table.with(operation, "DryRun", true.into(), dry_run());
    }
    for (operation, key, path) in [("Decrypt", "KeyId", "keyId"), ("ReEncrypt", "SourceKeyId", "sourceKeyId")] {
        table.with(operation, "DryRunModifiers", json!([]), Granted);
        table.with(
            operation,
            "DryRunModifiers",
            json!(["OTHER"]),
            Says("ValidationException", "enum value set".into()),
        );
        let mut body = table.valid(operation);
        body["DryRun"] = true.into();
        body["DryRunModifiers"] = json!(["IGNORE_CIPHERTEXT"]);
        body["CiphertextBlob"] = Value::Null;
        table.body(operation, &body, null(path));
        body[key] = table.key.clone().into();
        table.body(operation, &body, dry_run());
    }
}

#[test]
fn the_rest_of_the_data_key_calls_members_keep_their_bounds() {
    let mut table = Table::new();
    table.with("GenerateRandom", "CustomKeyStoreId", "".into(), broken("", "customKeyStoreId", AT_LEAST_1));
    let [longest, longer] = [64, 65].map(|length| "s".repeat(length));
    let not_served = || invalid("UnsupportedOperationException");
    table.with("GenerateRandom", "CustomKeyStoreId", longest.into(), invalid("CustomKeyStoreNotFoundException"));
    let then = broken(&longer, "customKeyStoreId", &at_most(64));
    table.with("GenerateRandom", "CustomKeyStoreId", longer.into(), then);
    for operation in ["GenerateDataKey", "GenerateDataKeyPair", "Decrypt", "GenerateRandom"] {
        let recipient = |algorithm: &str, document: Value| json!({"KeyEncryptionAlgorithm": algorithm, "AttestationDocument": document});
        let sha_256 = "RSAES_OAEP_SHA_256";
        table.with(operation, "Recipient", recipient(sha_256, base64_of(1)), not_served());
        let says = |text: &str| Says("ValidationException", text.to_owned());
        table.with(operation, "Recipient", recipient(sha_256, "".into()), says("ttestationDocument' failed"));
        table.with(operation, "Recipient", recipient("SHA_1", base64_of(1)), says("enum value set"));
    }
    // Of all faults one exception tells, each as one item, in whatever order.
    let body = json!({"NumberOfBytes": 0, "KeySpec": "x", "GrantTokens": vec!["t"; 11]});
    let request = table.gateway.site.admin.request(&table.gateway.host(), "GenerateDataKeyWithoutPlaintext", &body);
    let refusal = table.connection.exchange(&request).refused();
    let items = refusal.text().strip_prefix("4 validation errors detected: ").unwrap();
    let mut starts: Vec<_> = items.split("; ").map(|item| item.split(" failed to satisfy").next().unwrap()).collect();
    starts.sort_unstable();
    let tokens = format!("Value '[{}]' at 'grantTokens'", ["t"; 11].join(", "));
    let expected = ["Value '0' at 'numberOfBytes'", &tokens, "Value 'x' at 'keySpec'", "Value null at 'keyId'"];
    assert_eq!(starts, expected);
}
