//! What is forwarded: read as strictly as anything in its form, and left to KMS in its bounds.

use super::*;

fn to_forward(operation: Operation, body: &Value) -> Input {
    Input::parse_to_forward(operation, body.to_string().as_bytes()).unwrap()
}

#[test]
fn every_bound_but_of_keys_aliases_and_grant_tokens_is_left_to_kms() {
    for (operation, body) in [
        (OP, json!({"KeyId": "k", "NumberOfBytes": 1_000_000})),
        (OP, json!({"KeyId": "k", "NumberOfBytes": -1})),
        (OP, json!({"KeyId": "k", "EncryptionContext": {"a": "b".repeat(9000)}})),
        (Operation::Encrypt, json!({"KeyId": "k", "Plaintext": ""})),
        (Operation::Decrypt, json!({"CiphertextBlob": blob(6145)})),
        (Operation::CreateKey, json!({"Tags": [{}]})),
        (Operation::CreateCustomKeyStore, json!({"CustomKeyStoreName": "s", "KeyStorePassword": "short"})),
    ] {
        assert_eq!(parse(operation, &body).unwrap_err().kind(), ExceptionKind::Validation, "{operation:?}");
        to_forward(operation, &body);
    }
    let read = to_forward(OP, &json!({"KeyId": "k", "NumberOfBytes": 1_000_000}));
    assert_eq!(read.integer(Member::NumberOfBytes), Some(1_000_000));
}

#[test]
fn a_request_that_names_its_key_badly_or_not_at_all_or_has_too_many_tokens_is_refused_for_all_that_is_wrong_with_it() {
    for (operation, body) in [
        (OP, json!({"KeyId": "k", "GrantTokens": vec!["t"; 11], "NumberOfBytes": -1})),
        (OP, json!({"KeyId": "k".repeat(2049), "NumberOfBytes": 1_000_000})),
        (OP, json!({"KeyId": "", "NumberOfBytes": -1})),
        (OP, json!({"KeyId": "é"})),
        (OP, json!({"KeySpec": "AES_512"})),
        (Operation::ReEncrypt, json!({"CiphertextBlob": blob(1), "SourceKeyId": "", "DestinationKeyId": "k"})),
        (Operation::CreateAlias, json!({"AliasName": "alias/a b", "TargetKeyId": "k"})),
        (Operation::UpdatePrimaryRegion, json!({"KeyId": "k", "PrimaryRegion": "nowhere"})),
    ] {
        let forwarded = Input::parse_to_forward(operation, body.to_string().as_bytes()).unwrap_err();
        assert_eq!(forwarded, parse(operation, &body).unwrap_err(), "{operation:?}");
    }
}

#[test]
fn a_choice_that_is_not_known_here_is_there_as_it_was_sent() {
    let read = to_forward(OP, &json!({"KeyId": "k", "KeySpec": "AES_512"}));
    assert_eq!(read.string(Member::KeySpec), Some("AES_512"));
    assert_eq!(recorded(&read), r#"={"keyId":"k","keySpec":"AES_512"}"#);
    let body = json!({"KeyId": "k", "GranteePrincipal": "p", "Operations": ["Decrypt", "Transmute"]});
    assert_eq!(to_forward(Operation::CreateGrant, &body).strings(Member::Operations), ["Decrypt", "Transmute"]);
    let body = json!({"KeyId": "k", "Recipient": {"KeyEncryptionAlgorithm": "NEWER"}, "NumberOfBytes": 1});
    let read = to_forward(Operation::GenerateDataKey, &body);
    assert_eq!(read.recipient().unwrap().key_encryption_algorithm, Some("NEWER"));
}

#[test]
fn what_is_required_may_be_missing_and_is_asked_for_in_vain() {
    let read = to_forward(Operation::Encrypt, &json!({"KeyId": "k"}));
    assert_eq!(read.blob(Member::Plaintext), None);
    assert!(!to_forward(Operation::Decrypt, &json!({"DryRunModifiers": ["IGNORE_CIPHERTEXT"]})).ignores_ciphertext());
}

#[test]
fn what_could_be_read_in_two_ways_is_refused_as_ever() {
    for (operation, body) in [
        (OP, ""),
        (OP, "[]"),
        (OP, "null"),
        (OP, r#"{"KeyId":"k"} x"#),
        (OP, r#"{"KeyId":1}"#),
        (OP, r#"{"KeyId":["k"]}"#),
        (OP, r#"{"KeySpec":1}"#),
        (OP, r#"{"NumberOfBytes":"32"}"#),
        (OP, r#"{"KeyId":"a","KeyId":"b"}"#),
        (OP, r#"{"KeyId":"a","K\u0065yId":"b"}"#),
        (OP, r#"{"X":{"y":1,"y":2}}"#),
        (OP, r#"{"EncryptionContext":{"a":"1","a":"2"}}"#),
        (OP, r#"{"EncryptionContext":{"a":1}}"#),
        (Operation::Decrypt, r#"{"CiphertextBlob":"AB=="}"#),
        (Operation::CreateCustomKeyStore, r#"{"KeyStorePassword":12345678}"#),
        (Operation::Encapsulate, r#"{"KeyId":"a","KeyId":"b"}"#),
    ] {
        let told = Input::parse_to_forward(operation, body.as_bytes()).expect_err("it has no one meaning");
        assert_eq!(told.kind(), ExceptionKind::Serialization, "{body}");
        assert_eq!(Some(told), Input::parse(operation, body.as_bytes()).err(), "{body}");
    }
}

#[test]
fn a_null_where_a_value_stands_is_refused_for_it_would_be_read_as_an_empty_one() {
    for body in [json!({"GrantTokens": [null]}), json!({"EncryptionContext": {"app": null}})] {
        let told = Input::parse_to_forward(OP, body.to_string().as_bytes()).unwrap_err();
        assert_eq!(told.kind(), ExceptionKind::Validation, "{body}");
    }
}

#[test]
fn a_name_that_differs_from_a_known_one_in_case_alone_is_refused_at_any_depth() {
    for (operation, body) in [
        (OP, r#"{"KeyId":"a","keyId":"b"}"#),
        (OP, r#"{"KEYID":"b"}"#),
        (OP, r#"{"KeyId":"a","\u212aeyId":"b"}"#),
        (Operation::TagResource, r#"{"KeyId":"a","Tag\u017f":[]}"#),
        (Operation::TagResource, r#"{"KeyId":"a","Tags":[{"TagKey":"a","TagValue":"b","tagKey":"c"}]}"#),
    ] {
        let told = Input::parse_to_forward(operation, body.as_bytes()).expect_err("some would read another request");
        assert_eq!(told.kind(), ExceptionKind::Serialization, "{body}");
        assert!(Input::read(operation, body.as_bytes(), Readers::Here, |_, _, _| {}).is_ok(), "{body}");
    }
}

#[test]
fn a_list_longer_than_any_of_kms_is_not_read_to_its_end() {
    let body = |count| json!({"KeyId": "k", "Tags": vec![json!({}); count]}).to_string();
    assert!(Input::parse_to_forward(Operation::TagResource, body(1000).as_bytes()).is_ok());
    let refusal = Input::parse_to_forward(Operation::TagResource, body(1001).as_bytes()).unwrap_err();
    assert_eq!(refusal.kind(), ExceptionKind::Serialization);
}

#[test]
fn names_that_fold_to_a_known_one_are_refused_whatever_letters_they_have() {
    // The kelvin sign is a K of another case to some readers.
    for name in ["keyid", "KEYID", "\u{212a}eyId"] {
        let body = json!({"KeyId": "k", name: "other"}).to_string();
        let refusal = Input::parse_to_forward(OP, body.as_bytes()).unwrap_err();
        assert_eq!(refusal.kind(), ExceptionKind::Serialization, "{name}");
    }
    for name in ["keyids", "keyi", "\u{212a}eyI"] {
        assert!(Input::parse_to_forward(OP, json!({"KeyId": "k", name: 1}).to_string().as_bytes()).is_ok(), "{name}");
    }
}
