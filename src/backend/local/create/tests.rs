//! Keys of every kind that can be made.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::directory::Directory;
use super::super::testing::{Local, members, region};
use super::{KeyArn, KeyView, MOST_KEYS, within_quota};
use crate::aws::{KeyId, Operation};

fn created(local: &Local, body: &Value) -> Value {
    local.ok(Operation::CreateKey, body)["KeyMetadata"].clone()
}

/// Each usage of each spec, from the developer guide's "Key spec reference".
#[test]
fn a_key_of_each_spec_and_usage_says_what_it_can_do() {
    let local = Local::new();
    let rsa = ["RSA_2048", "RSA_3072", "RSA_4096"];
    let nist = [("ECC_NIST_P256", 256), ("ECC_NIST_P384", 384), ("ECC_NIST_P521", 512)];
    let mut rows: Vec<(String, &str, &str, Vec<String>)> = Vec::new();
    for spec in rsa {
        let algorithms = ["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"].map(str::to_owned).to_vec();
        rows.push((spec.to_owned(), "ENCRYPT_DECRYPT", "EncryptionAlgorithms", algorithms));
        let of = |scheme: &str| [256, 384, 512].map(|bits| format!("RSASSA_{scheme}_SHA_{bits}"));
        let algorithms = [of("PKCS1_V1_5"), of("PSS")].concat();
        rows.push((spec.to_owned(), "SIGN_VERIFY", "SigningAlgorithms", algorithms));
    }
    for (spec, bits) in nist {
        rows.push((spec.to_owned(), "SIGN_VERIFY", "SigningAlgorithms", vec![format!("ECDSA_SHA_{bits}")]));
        rows.push((spec.to_owned(), "KEY_AGREEMENT", "KeyAgreementAlgorithms", vec!["ECDH".to_owned()]));
    }
    for bits in [224, 256, 384, 512] {
        let algorithms = vec![format!("HMAC_SHA_{bits}")];
        rows.push((format!("HMAC_{bits}"), "GENERATE_VERIFY_MAC", "MacAlgorithms", algorithms));
    }
    for level in [44, 65, 87] {
        let algorithms = vec!["ML_DSA_SHAKE_256".to_owned()];
        rows.push((format!("ML_DSA_{level}"), "SIGN_VERIFY", "SigningAlgorithms", algorithms));
    }
    for (spec, usage, member, algorithms) in rows {
        let metadata = created(&local, &json!({"KeySpec": spec, "KeyUsage": usage}));
        assert_eq!(metadata[member], json!(algorithms), "{spec} {usage}");
        assert_eq!((&metadata["KeySpec"], &metadata["CustomerMasterKeySpec"]), (&json!(spec), &json!(spec)));
        assert_eq!((&metadata["KeyUsage"], &metadata["KeyState"]), (&json!(usage), &json!("Enabled")));
        assert!(metadata.get("CurrentKeyMaterialId").is_none(), "that is of symmetric keys");
    }
    let before: Vec<_> = local.entries().keys.keys().copied().collect();
    let local = local.reopened();
    assert_eq!(local.entries().keys.keys().copied().collect::<Vec<_>>(), before);
}

#[test]
fn a_key_whose_material_is_to_be_imported_waits_for_it() {
    let local = Local::new();
    let metadata = created(&local, &json!({"Origin": "EXTERNAL"}));
    assert_eq!((&metadata["KeyState"], &metadata["Enabled"]), (&json!("PendingImport"), &json!(false)));
    assert_eq!(metadata["Origin"], "EXTERNAL");
    assert!(metadata.get("CurrentKeyMaterialId").is_none() && metadata.get("ExpirationModel").is_none());
    let body = json!({"KeyId": metadata["KeyId"], "Plaintext": "YQ=="});
    let refusal = local.refusal(Operation::Encrypt, &body);
    assert_eq!(refusal, format!("KMSInvalidStateException: {} is pending import.", metadata["Arn"].as_str().unwrap()));
}

#[test]
fn a_multi_region_key_is_a_primary_without_replicas() {
    let local = Local::new();
    let metadata = created(&local, &json!({"MultiRegion": true}));
    let id = metadata["KeyId"].as_str().unwrap();
    assert!(id.starts_with("mrk-") && id.len() == 36, "{id}");
    assert_eq!(metadata["MultiRegion"], true);
    assert_eq!(
        metadata["MultiRegionConfiguration"],
        json!({"MultiRegionKeyType": "PRIMARY", "ReplicaKeys": [],
               "PrimaryKey": {"Arn": metadata["Arn"], "Region": "us-east-1"}})
    );
    let local = local.reopened();
    assert_eq!(local.ok(Operation::DescribeKey, &json!({"KeyId": id}))["KeyMetadata"], metadata);
}

#[test]
fn the_members_are_in_order() {
    let local = Local::new();
    let metadata =
        created(&local, &json!({"MultiRegion": true, "KeySpec": "HMAC_224", "KeyUsage": "GENERATE_VERIFY_MAC"}));
    assert!(members(&metadata).is_sorted());
}

#[test]
fn there_is_no_custom_key_store() {
    let local = Local::new();
    let of = "CustomKeyStoreNotFoundException: Custom key store cks-1234567890abcdef0 does not exist.";
    let store = "cks-1234567890abcdef0";
    for (operation, body) in [
        (Operation::CreateKey, json!({"Origin": "AWS_CLOUDHSM", "CustomKeyStoreId": store})),
        (Operation::CreateKey, json!({"Origin": "EXTERNAL_KEY_STORE", "CustomKeyStoreId": store, "XksKeyId": "a"})),
        (Operation::GenerateRandom, json!({"NumberOfBytes": 8, "CustomKeyStoreId": store})),
    ] {
        assert_eq!(local.refusal(operation, &body), of, "{body}");
    }
    assert!(local.entries().keys.is_empty(), "no key was made");
}

/// AWS's quota of KMS keys, of each region by itself.
#[test]
fn a_region_has_at_most_100_000_keys() {
    let local = Local::in_regions(&["us-east-1", "eu-west-1"]);
    local.create_key();
    let key = local.entries().keys.values().next().map(Arc::clone).unwrap();
    let id = |number: usize| format!("{number:08x}-0000-4000-8000-000000000000").parse::<KeyId>().unwrap();
    let other = "eu-west-1".parse().unwrap();
    let mut directory = Directory::loading(&[region(), other]);
    for number in 1..MOST_KEYS {
        directory.put(KeyView { arn: KeyArn::new(&region(), key.arn.account(), id(number)), ..KeyView::clone(&key) });
    }
    assert!(within_quota(&directory, &region()).is_ok(), "one more is the last");
    directory.put(KeyView::clone(&key));
    assert_eq!(directory.len(), 100_000);
    let refusal = within_quota(&directory, &region()).unwrap_err();
    assert_eq!(refusal.kind().name(), "LimitExceededException");
    assert!(within_quota(&directory, &"eu-west-1".parse().unwrap()).is_ok(), "regions count for themselves");
}
