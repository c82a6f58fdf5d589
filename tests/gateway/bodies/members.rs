//! Members of another type than the model's, and the four ways to name a key.

use serde_json::{Value, json};

use super::refuses;
use crate::harness::{ACCOUNT, REGION, Refusal, Site};

#[test]
fn a_member_of_another_type_is_refused_in_awss_words() {
    let gateway = Site::new().start();
    let says = |operation: &str, member: &str, value: Value, text: &str| {
        let refusal = refuses(&gateway, operation, json!({member: value}).to_string().as_bytes());
        assert_eq!(refusal, Refusal::new(400, "SerializationException", text), "{member}");
    };
    let data_key = "GenerateDataKeyWithoutPlaintext";
    let list = "Start of list found where not expected";
    let structure = "Start of structure or map found where not expected.";
    says(data_key, "KeyId", json!([]), list);
    says(data_key, "KeyId", json!({}), structure);
    says(data_key, "KeyId", json!(7), "NUMBER_VALUE can not be converted to a String");
    says(data_key, "KeyId", json!(true), "TRUE_VALUE can not be converted to a String");
    says(data_key, "KeyId", json!(false), "FALSE_VALUE can not be converted to a String");
    says(data_key, "KeySpec", json!(256), "NUMBER_VALUE can not be converted to a String");
    says(data_key, "NumberOfBytes", json!("8"), "STRING_VALUE can not be converted to an Integer");
    says(data_key, "NumberOfBytes", json!(true), "TRUE_VALUE can not be converted to an Integer");
    says(data_key, "NumberOfBytes", json!([8]), list);
    says(data_key, "NumberOfBytes", json!({"n": 8}), structure);
    says(data_key, "GrantTokens", json!("token"), "Expected list or null");
    says(data_key, "GrantTokens", json!(7), "Expected list or null");
    says(data_key, "GrantTokens", json!({"0": "token"}), structure);
    says(data_key, "GrantTokens", json!([7]), "NUMBER_VALUE can not be converted to a String");
    says(data_key, "EncryptionContext", json!("a=b"), "Expected map or null");
    says(data_key, "EncryptionContext", json!(["a"]), list);
    says(data_key, "EncryptionContext", json!({"a": 1}), "NUMBER_VALUE can not be converted to a String");
    says(data_key, "EncryptionContext", json!({"a": {"b": "c"}}), structure);
    says("GenerateDataKey", "Recipient", json!("enclave"), "Expected null");
    says("GenerateDataKey", "Recipient", json!([]), list);
    says("CreateKey", "Tags", json!("team"), "Expected list or null");
    says("CreateKey", "Tags", json!(["team"]), "Expected null");
}

/// What KMS says of these was not recorded: neither of a boolean nor of a blob that is no string, and of a blob that is
/// not base64 it says nothing.
#[test]
fn a_member_of_another_type_is_refused_also_where_awss_words_are_not_known() {
    let gateway = Site::new().start();
    for (operation, body) in [
        ("GenerateDataKeyWithoutPlaintext", json!({"DryRun": "true"})),
        ("GenerateDataKeyWithoutPlaintext", json!({"DryRun": 1})),
        ("Encrypt", json!({"Plaintext": 7})),
        ("Encrypt", json!({"Plaintext": [1, 2, 3]})),
        ("CreateKey", json!({"MultiRegion": "false"})),
    ] {
        let refusal = refuses(&gateway, operation, body.to_string().as_bytes());
        assert_eq!(refusal.kind(), (400, "SerializationException"), "{body}");
    }
    for text in ["A", "AA", "AAA", "AAAAA", "AA==AA==", "A*==", "AB==", "AA ==", "AA=", "\u{e9}AAA", "-_8="] {
        let refusal = refuses(&gateway, "Decrypt", json!({"CiphertextBlob": text}).to_string().as_bytes());
        assert_eq!(refusal, Refusal::bare(400, "SerializationException"), "{text}");
    }
}

#[test]
fn a_key_is_found_by_each_of_its_four_names() {
    let gateway = Site::new().start();
    let key = gateway.create_key();
    let admin = &gateway.site.admin;
    gateway.call(admin, "CreateAlias", &json!({"AliasName": "alias/orders", "TargetKeyId": key})).granted();
    let id = key.rsplit('/').next().unwrap();
    let alias_arn = format!("arn:aws:kms:{REGION}:{ACCOUNT}:alias/orders");
    for name in [id, &key, "alias/orders", &alias_arn] {
        let body = json!({"KeyId": name, "KeySpec": "AES_256"});
        let answer = gateway.call(admin, "GenerateDataKeyWithoutPlaintext", &body);
        let members = answer.granted();
        assert_eq!(members["KeyId"], key, "always the key's ARN");
        let mut names: Vec<_> = members.as_object().unwrap().keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["CiphertextBlob", "KeyId", "KeyMaterialId"]);
        let record = gateway.record(&answer);
        assert_eq!(record["requestParameters"]["keyId"], name, "as the caller sent it");
        assert_eq!(record["resources"], json!([{"accountId": ACCOUNT, "type": "AWS::KMS::Key", "ARN": key}]));
        assert_eq!(record["responseElements"], Value::Null);
        assert_eq!(record["readOnly"], true);
    }
    for operation in ["EnableKey", "DisableKey", "ScheduleKeyDeletion", "CancelKeyDeletion"] {
        for name in ["alias/orders", &alias_arn] {
            let refusal = gateway.call(admin, operation, &json!({"KeyId": name})).refused();
            let text = "Key Aliases are not supported for this operation.";
            assert_eq!(refusal, Refusal::new(400, "InvalidArnException", text), "{operation}");
        }
    }
}

#[test]
fn a_key_that_is_not_there_is_not_found_in_awss_words() {
    let gateway = Site::new().start();
    let id = "1234abcd-12ab-34cd-56ef-1234567890ab";
    let arn = |region: &str, rest: &str| format!("arn:aws:kms:{region}:{ACCOUNT}:{rest}");
    let absent = format!("Key '{}' does not exist", arn(REGION, &format!("key/{id}")));
    let mrk = "mrk-1234abcd12ab34cd56ef1234567890ab";
    for (name, text) in [
        (id.to_owned(), absent.clone()),
        (arn(REGION, &format!("key/{id}")), absent),
        (mrk.to_owned(), format!("Key '{}' does not exist", arn(REGION, &format!("key/{mrk}")))),
        ("fake-key-id".into(), "Invalid keyId 'fake-key-id'".into()),
        ("1234abcd12ab34cd56ef1234567890ab".into(), "Invalid keyId '1234abcd12ab34cd56ef1234567890ab'".into()),
        ("mrk-fake-key-id".into(), "Invalid keyId 'mrk-fake-key-id'".into()),
        (arn("us-west-2", &format!("key/{id}")), "Invalid arn us-west-2".into()),
        (arn("us-west-2", "alias/x"), "Invalid arn us-west-2".into()),
        ("alias/does-not-exist".into(), format!("Alias {} is not found.", arn(REGION, "alias/does-not-exist"))),
        (arn(REGION, "alias/x"), format!("Alias {} is not found.", arn(REGION, "alias/x"))),
    ] {
        for operation in ["GenerateDataKeyWithoutPlaintext", "DescribeKey"] {
            let body = json!({"KeyId": name, "KeySpec": "AES_256"});
            let answer = gateway.call(&gateway.site.admin, operation, &body);
            assert_eq!(answer.refused(), Refusal::new(400, "NotFoundException", text.as_str()));
            let record = gateway.record(&answer);
            assert_eq!(record["errorMessage"], text);
            assert_eq!(record["requestParameters"]["keyId"], name);
        }
    }
}
