//! Every text of AWS's front end, and both sides of every bound.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::*;
use crate::kms::ExceptionKind;

mod forward;
mod management;
mod secrets;

const OP: Operation = Operation::GenerateDataKeyWithoutPlaintext;

fn parse(operation: Operation, body: &Value) -> Result<Input, Exception> {
    Input::parse(operation, body.to_string().as_bytes())
}

fn refusal(operation: Operation, body: impl AsRef<[u8]>) -> (ExceptionKind, Option<String>) {
    let exception = Input::parse(operation, body.as_ref()).expect_err("this body is refused");
    (exception.kind(), exception.message().map(str::to_owned))
}

fn faults(operation: Operation, body: &Value) -> String {
    let (kind, message) = refusal(operation, body.to_string());
    assert_eq!(kind, ExceptionKind::Validation, "{message:?}");
    message.unwrap()
}

fn one(item: &str) -> String {
    format!("1 validation error detected: {item}")
}

fn blob(bytes: usize) -> String {
    STANDARD.encode(vec![0x5a; bytes])
}

fn recorded(input: &Input) -> String {
    let mut out = "=".to_owned();
    input.request_parameters(&mut out);
    out
}

#[test]
fn the_documented_sample_is_read() {
    let input = Input::parse(OP, br#"{"KeyId":"alias/ExampleAlias","KeySpec":"AES_256"}"#).unwrap();
    assert_eq!(input.operation(), OP);
    assert_eq!(input.string(Member::KeyId), Some("alias/ExampleAlias"));
    assert_eq!(input.string(Member::KeySpec), Some("AES_256"));
    assert_eq!((input.integer(Member::NumberOfBytes), input.boolean(Member::DryRun)), (None, None));
    assert!(input.context(Member::EncryptionContext).is_empty());
    assert!(input.strings(Member::GrantTokens).is_empty());
    assert!(!input.dry_run());
}

#[test]
fn every_type_of_member_is_read() {
    let input = parse(
        Operation::Decrypt,
        &json!({
            "CiphertextBlob": "AQID", "EncryptionContext": {"b": "2", "a": "1"}, "GrantTokens": ["x", "y"],
            "DryRun": true, "DryRunModifiers": ["IGNORE_CIPHERTEXT"], "KeyId": "k",
            "Recipient": {"KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256", "AttestationDocument": "/w=="},
        }),
    )
    .unwrap();
    assert_eq!(input.blob(Member::CiphertextBlob), Some(&[1, 2, 3][..]));
    let pairs: Vec<_> = input.context(Member::EncryptionContext).iter().collect();
    assert_eq!(pairs, [("a", "1"), ("b", "2")]);
    assert_eq!(input.strings(Member::GrantTokens), ["x", "y"]);
    assert_eq!(input.strings(Member::DryRunModifiers), ["IGNORE_CIPHERTEXT"]);
    assert!(input.dry_run());
    let recipient = input.recipient().unwrap();
    assert_eq!(recipient.key_encryption_algorithm, Some("RSAES_OAEP_SHA_256"));
    assert_eq!(recipient.attestation_document, Some(&[0xff][..]));

    let tags = json!({"Tags": [{"TagKey": "a", "TagValue": ""}, {"TagKey": "b", "TagValue": "2", "More": 1}]});
    let input = parse(Operation::CreateKey, &tags).unwrap();
    let tags: Vec<_> = input.tags(Member::Tags).map(|tag| (tag.key, tag.value)).collect();
    assert_eq!(tags, [("a", ""), ("b", "2")]);
}

#[test]
fn null_is_absent() {
    let body = json!({"KeyId": "k", "KeySpec": null, "EncryptionContext": null, "GrantTokens": null, "DryRun": null});
    let input = parse(OP, &body).unwrap();
    assert_eq!(input.string(Member::KeySpec), None);
    assert!(parse(Operation::Decrypt, &json!({"CiphertextBlob": "AAAA", "Recipient": null})).is_ok());
}

#[test]
fn what_is_not_one_json_object_has_no_message() {
    let deep = format!(r#"{{"KeyId":"k","X":{}1{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    let deep_objects = format!(r#"{{"X":{}1{}}}"#, r#"{"a":"#.repeat(10_000), "}".repeat(10_000));
    let deep_known = format!(r#"{{"KeyId":{}"#, "[".repeat(10_000));
    for body in [
        "",
        " ",
        "null",
        "\"text\"",
        "12",
        "true",
        "{",
        "{\"KeyId\":\"k\",}",
        "{\"KeyId\" \"k\"}",
        "{\"KeyId\":\"k\"} x",
        "{\"KeyId\":\"k\"}{}",
        "{KeyId:\"k\"}",
        "{'KeyId':'k'}",
        "{\"KeyId\":\"k\\ud800\"}",
        "{\"KeyId\":\"k\n\"}",
        "{\"KeyId\":nul}",
        "{\"NumberOfBytes\":01}",
        "{\"NumberOfBytes\":1e999}",
        "\u{feff}{\"KeyId\":\"k\"}",
        "KeyId=k",
        &deep,
        &deep_objects,
    ] {
        assert_eq!(refusal(OP, body), (ExceptionKind::Serialization, None), "{body:.60}");
    }
    assert_eq!(refusal(OP, deep_known).0, ExceptionKind::Serialization);
    assert_eq!(refusal(OP, b"{\"KeyId\":\"k\xff\"}"), (ExceptionKind::Serialization, None));
    assert_eq!(refusal(OP, b"{\"\xc0\x80\":1}"), (ExceptionKind::Serialization, None));
}

#[test]
fn values_of_another_type_are_refused_in_the_front_ends_words() {
    const LIST: &str = "Start of list found where not expected";
    const STRUCTURE: &str = "Start of structure or map found where not expected.";
    for (operation, body, message) in [
        (OP, "[]", LIST),
        (OP, r#"{"KeyId":[]}"#, LIST),
        (OP, r#"{"KeyId":{}}"#, STRUCTURE),
        (OP, r#"{"KeyId":1}"#, "NUMBER_VALUE can not be converted to a String"),
        (OP, r#"{"KeyId":-1.5}"#, "NUMBER_VALUE can not be converted to a String"),
        (OP, r#"{"KeyId":true}"#, "TRUE_VALUE can not be converted to a String"),
        (OP, r#"{"KeyId":false}"#, "FALSE_VALUE can not be converted to a String"),
        (OP, r#"{"KeySpec":1}"#, "NUMBER_VALUE can not be converted to a String"),
        (OP, r#"{"NumberOfBytes":"32"}"#, "STRING_VALUE can not be converted to an Integer"),
        (OP, r#"{"NumberOfBytes":true}"#, "TRUE_VALUE can not be converted to an Integer"),
        (OP, r#"{"NumberOfBytes":[]}"#, LIST),
        (OP, r#"{"NumberOfBytes":{}}"#, STRUCTURE),
        (OP, r#"{"DryRun":"true"}"#, "STRING_VALUE can not be converted to a Boolean"),
        (OP, r#"{"DryRun":1}"#, "NUMBER_VALUE can not be converted to a Boolean"),
        (OP, r#"{"GrantTokens":"x"}"#, "Expected list or null"),
        (OP, r#"{"GrantTokens":{}}"#, STRUCTURE),
        (OP, r#"{"GrantTokens":[1]}"#, "NUMBER_VALUE can not be converted to a String"),
        (OP, r#"{"GrantTokens":[[]]}"#, LIST),
        (OP, r#"{"EncryptionContext":"x"}"#, "Expected map or null"),
        (OP, r#"{"EncryptionContext":7}"#, "Expected map or null"),
        (OP, r#"{"EncryptionContext":[]}"#, LIST),
        (OP, r#"{"EncryptionContext":{"a":1}}"#, "NUMBER_VALUE can not be converted to a String"),
        (OP, r#"{"EncryptionContext":{"a":{}}}"#, STRUCTURE),
        (Operation::Decrypt, r#"{"Recipient":"x"}"#, "Expected null"),
        (Operation::Decrypt, r#"{"Recipient":[]}"#, LIST),
        (Operation::Decrypt, r#"{"CiphertextBlob":[]}"#, LIST),
        (Operation::Decrypt, r#"{"CiphertextBlob":5}"#, "NUMBER_VALUE can not be converted to a Blob"),
        (Operation::CreateKey, r#"{"Tags":[1]}"#, "Expected null"),
        (Operation::CreateKey, r#"{"Tags":[{"TagKey":1}]}"#, "NUMBER_VALUE can not be converted to a String"),
    ] {
        assert_eq!(refusal(operation, body), (ExceptionKind::Serialization, Some(message.to_owned())), "{body}");
    }
}

#[test]
fn the_first_fault_in_the_body_is_the_one_told() {
    let (_, message) = refusal(OP, r#"{"KeyId":1,"NumberOfBytes":"x",}"#);
    assert_eq!(message.unwrap(), "NUMBER_VALUE can not be converted to a String");
}

#[test]
fn a_name_given_twice_is_refused_wherever_it_stands() {
    for body in [
        r#"{"KeyId":"a","KeyId":"a"}"#,
        r#"{"KeyId":"a","KeyId":null}"#,
        r#"{"KeyId":null,"KeyId":"b"}"#,
        r#"{"KeyId":"a","K\u0065yId":"b"}"#,
        r#"{"KeyId":"a","X":1,"X":2}"#,
        r#"{"KeyId":"a","X":{"y":[{"z":1,"z":1}]}}"#,
        r#"{"KeyId":"a","EncryptionContext":{"a":"1","b":"2","a":"1"}}"#,
        r#"{"KeyId":"a","EncryptionContext":{"a":"1","\u0061":"2"}}"#,
    ] {
        let (kind, message) = refusal(OP, body);
        assert_eq!(kind, ExceptionKind::Serialization, "{body}");
        assert_eq!(message.unwrap(), "Duplicate member found where not expected", "{body}");
    }
    let nested = r#"{"CiphertextBlob":"AAAA","Recipient":{"AttestationDocument":"AAAA","AttestationDocument":"AAAA"}}"#;
    assert_eq!(refusal(Operation::Decrypt, nested).0, ExceptionKind::Serialization);
}

#[test]
fn members_that_the_model_does_not_know_are_ignored() {
    let body = r#"{"keyid":1,"KEYID":[{}],"Recipient":{"x":1},"KeyId":"k","Zz":[1,-2,3.5,"a",null,true,{"b":{}}]}"#;
    let input = Input::parse(OP, body.as_bytes()).unwrap();
    assert_eq!(input.string(Member::KeyId), Some("k"));
    assert!(input.recipient().is_none());
}

#[test]
fn nesting_is_followed_as_deep_as_the_reader_allows_and_no_deeper() {
    let nested = |depth: usize| format!(r#"{{"KeyId":"k","X":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
    assert!(Input::parse(OP, nested(126).as_bytes()).is_ok());
    assert_eq!(refusal(OP, nested(127)), (ExceptionKind::Serialization, None));
}

#[test]
fn a_blob_is_strict_base64_and_its_text_is_never_repeated() {
    for text in
        ["A", "AA", "AAA", "AA=", "AAAA=", "AAAAA", "AB==", "AAB=", "AA-_", "AA A", "AAAA\n", "====", "A===", "*"]
    {
        let body = json!({"CiphertextBlob": text});
        let exception = parse(Operation::Decrypt, &body).unwrap_err();
        // Recorded from KMS: no message.
        assert_eq!((exception.kind(), exception.message()), (ExceptionKind::Serialization, None), "{text}");
        assert!(exception.detail().unwrap().starts_with("`CiphertextBlob` is not base64"), "{text}");
    }
    for (text, bytes) in [("AA==", &[0][..]), ("AAE=", &[0, 1][..]), ("+/+/", &[0xfb, 0xff, 0xbf][..])] {
        let input = parse(Operation::Decrypt, &json!({"CiphertextBlob": text})).unwrap();
        assert_eq!(input.blob(Member::CiphertextBlob), Some(bytes));
    }
    let escaped = Input::parse(Operation::Decrypt, br#"{"CiphertextBlob":"\u002b\/+\/"}"#).unwrap();
    assert_eq!(escaped.blob(Member::CiphertextBlob), Some(&[0xfb, 0xff, 0xbf][..]));
}

#[test]
fn an_integer_is_cut_and_then_bounded() {
    for (text, value) in [("1", 1), ("1024", 1024), ("32.7", 32), ("1e2", 100), ("1024.9", 1024), ("3.2E1", 32)] {
        let body = format!(r#"{{"KeyId":"k","NumberOfBytes":{text}}}"#);
        assert_eq!(Input::parse(OP, body.as_bytes()).unwrap().integer(Member::NumberOfBytes), Some(value), "{text}");
    }
    let low = "Member must have value greater than or equal to 1";
    let high = "Member must have value less than or equal to 1024";
    for (text, shown, constraint) in [
        ("0", "0", low),
        ("-0", "0", low),
        ("0.99", "0", low),
        ("-1", "-1", low),
        ("-32.7", "-32", low),
        ("1025", "1025", high),
        ("4294967297", "4294967297", high),
        ("99999999999999999999", "9223372036854775807", high),
        ("1e300", "9223372036854775807", high),
        ("-99999999999999999999", "-9223372036854775808", low),
    ] {
        let (_, message) = refusal(OP, format!(r#"{{"KeyId":"k","NumberOfBytes":{text}}}"#));
        let item = format!("Value '{shown}' at 'numberOfBytes' failed to satisfy constraint: {constraint}");
        assert_eq!(message, Some(one(&item)), "{text}");
    }
}

#[test]
fn texts_are_those_recorded_from_kms() {
    for (operation, body, item) in [
        (
            Operation::GenerateRandom,
            json!({"NumberOfBytes": 0}),
            "Value '0' at 'numberOfBytes' failed to satisfy constraint: Member must have value greater than or equal to 1",
        ),
        (
            Operation::Encrypt,
            json!({"KeyId": "k", "Plaintext": ""}),
            "Value at 'plaintext' failed to satisfy constraint: Member must have length greater than or equal to 1",
        ),
        (
            Operation::Encrypt,
            json!({"KeyId": "k", "Plaintext": blob(4097)}),
            "Value at 'plaintext' failed to satisfy constraint: Member must have length less than or equal to 4096",
        ),
        (
            Operation::Decrypt,
            json!({"CiphertextBlob": ""}),
            "Value at 'ciphertextBlob' failed to satisfy constraint: Member must have length greater than or equal to 1",
        ),
        (
            Operation::Decrypt,
            json!({}),
            "Value null at 'ciphertextBlob' failed to satisfy constraint: Member must not be null",
        ),
        (
            Operation::CreateAlias,
            json!({"AliasName": "alias/a b", "TargetKeyId": "k"}),
            "Value 'alias/a b' at 'aliasName' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$",
        ),
    ] {
        assert_eq!(faults(operation, &body), one(item));
    }
    let long = "k".repeat(129);
    assert_eq!(
        faults(Operation::CreateKey, &json!({"Tags": [{"TagKey": long, "TagValue": "v"}]})),
        one(&format!(
            "Value '{long}' at 'tags.1.member.tagKey' failed to satisfy constraint: Member must have length less than or equal to 128"
        ))
    );
}

#[test]
fn an_unknown_enum_value_is_answered_with_the_set() {
    let message = faults(OP, &json!({"KeyId": "k", "KeySpec": "AES-256"}));
    let (head, set) = message.split_once("Member must satisfy enum value set: [").unwrap();
    assert_eq!(head, one("Value 'AES-256' at 'keySpec' failed to satisfy constraint: "));
    let mut values: Vec<_> = set.trim_end_matches(']').split(", ").collect();
    values.sort_unstable();
    assert_eq!(values, ["AES_128", "AES_256"]);
}

#[test]
fn all_faults_are_told_at_once_and_at_most_ten() {
    let message = faults(OP, &json!({"KeySpec": "x", "NumberOfBytes": 0}));
    assert!(message.starts_with(
        "3 validation errors detected: Value null at 'keyId' failed to satisfy constraint: Member must not be null; \
         Value 'x' at 'keySpec' failed to satisfy constraint: Member must satisfy enum value set: ["
    ));
    assert!(message.ends_with(
        "]; Value '0' at 'numberOfBytes' failed to satisfy constraint: Member must have value greater than or equal to 1"
    ));
    let tags: Vec<_> = (0..9).map(|_| json!({})).collect();
    let message = faults(Operation::CreateKey, &json!({"Tags": tags}));
    assert!(message.starts_with("10 validation errors detected: Value null at 'tags.1.member.tagKey' failed"));
    assert!(message.contains("'tags.5.member.tagValue'") && !message.contains("'tags.6.member"));
    assert_eq!(message.matches("; ").count(), 9);
}

#[test]
fn a_null_in_a_list_or_map_is_a_fault() {
    for (body, path) in [
        (json!({"KeyId": "k", "GrantTokens": ["x", null]}), "grantTokens.2.member"),
        (json!({"KeyId": "k", "EncryptionContext": {"app": null}}), "encryptionContext.app.member"),
    ] {
        let item = format!("Value null at '{path}' failed to satisfy constraint: Member must not be null");
        assert!(faults(OP, &body).contains(&item), "{path}");
    }
    let message = faults(Operation::CreateKey, &json!({"Tags": [null]}));
    assert!(message.contains("Value null at 'tags.1.member' failed to satisfy constraint: Member must not be null"));
}

type Make<'a> = &'a dyn Fn(usize) -> Value;
type Bounds<'a> = (Operation, (&'a str, Value), Make<'a>, usize, usize, bool);

/// One member of one operation at its bounds: the two that are accepted, and the two beyond with their texts.
#[test]
fn every_length_has_both_sides_of_its_bounds() {
    let text = |length: usize| json!("a".repeat(length));
    let bytes = |length: usize| json!(blob(length));
    let tokens = |length: usize| json!(vec!["t"; length]);
    let key = |member: &'static str, body: Value| (member, body);
    let cases: [Bounds<'_>; 18] = [
        (OP, key("KeyId", json!({})), &text, 1, 2048, true),
        (OP, key("GrantTokens", json!({"KeyId": "k"})), &tokens, 0, 10, false),
        (Operation::Encrypt, key("Plaintext", json!({"KeyId": "k"})), &bytes, 1, 4096, false),
        (Operation::Decrypt, key("CiphertextBlob", json!({})), &bytes, 1, 6144, false),
        (Operation::Decrypt, key("KeyId", json!({"CiphertextBlob": "AAAA"})), &text, 1, 2048, true),
        (Operation::ReEncrypt, key("CiphertextBlob", json!({"DestinationKeyId": "k"})), &bytes, 1, 6144, false),
        (Operation::ReEncrypt, key("DestinationKeyId", json!({"CiphertextBlob": "AAAA"})), &text, 1, 2048, true),
        (
            Operation::ReEncrypt,
            key("SourceKeyId", json!({"CiphertextBlob": "AAAA", "DestinationKeyId": "k"})),
            &text,
            1,
            2048,
            true,
        ),
        (Operation::GenerateRandom, key("CustomKeyStoreId", json!({})), &text, 1, 64, true),
        (Operation::CreateKey, key("Policy", json!({})), &text, 1, 131_072, true),
        (Operation::CreateKey, key("Description", json!({})), &text, 0, 8192, true),
        (Operation::CreateKey, key("CustomKeyStoreId", json!({})), &text, 1, 64, true),
        (Operation::CreateKey, key("XksKeyId", json!({})), &text, 1, 128, true),
        (Operation::CreateAlias, key("AliasName", json!({"TargetKeyId": "k"})), &text, 1, 256, true),
        (Operation::CreateAlias, key("TargetKeyId", json!({"AliasName": "alias/x"})), &text, 1, 2048, true),
        (Operation::ListKeys, key("Marker", json!({})), &text, 1, 1024, true),
        (Operation::ListAliases, key("KeyId", json!({})), &text, 1, 2048, true),
        (Operation::DescribeKey, key("KeyId", json!({})), &text, 1, 2048, true),
    ];
    for (operation, (member, body), make, min, max, shown) in cases {
        let with = |length: usize| {
            let mut body = body.clone();
            body[member] = make(length);
            body
        };
        assert!(parse(operation, &with(min)).is_ok(), "{operation:?} {member} {min}");
        assert!(parse(operation, &with(max)).is_ok(), "{operation:?} {member} {max}");
        let camel = Member::ALL.iter().find(|known| known.name() == member).unwrap().camel();
        let beyond = with(max + 1);
        let message = faults(operation, &beyond);
        let value = if shown { format!("Value '{}' at", beyond[member].as_str().unwrap()) } else { "at".to_owned() };
        let end = format!(
            "{value} '{camel}' failed to satisfy constraint: Member must have length less than or equal to {max}"
        );
        assert!(
            message.starts_with("1 validation error detected: Value") && message.ends_with(&end),
            "{operation:?} {member}"
        );
        if min > 0 {
            let message = faults(operation, &with(min - 1));
            assert!(message.contains(&format!("Member must have length greater than or equal to {min}")), "{message}");
        }
    }
}

#[test]
fn every_number_has_both_sides_of_its_bounds() {
    for (operation, member, max) in [
        (Operation::GenerateRandom, "NumberOfBytes", 1024),
        (Operation::ListKeys, "Limit", 1000),
        (Operation::ListAliases, "Limit", 1000),
    ] {
        assert!(parse(operation, &json!({member: 1})).is_ok());
        assert!(parse(operation, &json!({member: max})).is_ok());
        assert!(faults(operation, &json!({member: 0})).ends_with("greater than or equal to 1"));
        assert!(faults(operation, &json!({member: max + 1})).ends_with(&format!("less than or equal to {max}")));
    }
    let window = |days: i64| json!({"KeyId": "k", "PendingWindowInDays": days});
    assert!(parse(Operation::ScheduleKeyDeletion, &window(365)).is_ok());
    assert!(faults(Operation::ScheduleKeyDeletion, &window(366)).contains("'pendingWindowInDays'"));
    assert!(faults(Operation::ScheduleKeyDeletion, &window(0)).contains("'pendingWindowInDays'"));
}

#[test]
fn lengths_are_counted_in_characters() {
    assert!(parse(Operation::CreateKey, &json!({"Description": "é".repeat(8192)})).is_ok());
    assert!(parse(Operation::CreateKey, &json!({"Description": "é".repeat(8193)})).is_err());
}

#[test]
fn an_empty_key_id_breaks_two_bounds_and_one_that_is_not_ascii_breaks_one() {
    let pattern = "failed to satisfy constraint: Member must satisfy regular expression pattern: ^\\p{ASCII}+$";
    assert_eq!(
        faults(OP, &json!({"KeyId": ""})),
        format!(
            "2 validation errors detected: Value '' at 'keyId' failed to satisfy constraint: Member must have length \
             greater than or equal to 1; Value '' at 'keyId' {pattern}"
        )
    );
    assert_eq!(faults(OP, &json!({"KeyId": "alias/é"})), one(&format!("Value 'alias/é' at 'keyId' {pattern}")));
}

#[test]
fn a_grant_token_is_bounded_and_answered_with_the_whole_list() {
    let token = |length: usize| json!({"KeyId": "k", "GrantTokens": ["x", "t".repeat(length)]});
    assert!(parse(OP, &token(1)).is_ok() && parse(OP, &token(8192)).is_ok());
    let constraint = "Member must satisfy constraint: [Member must have length less than or equal to 8192, Member must have length greater than or equal to 1]";
    assert_eq!(
        faults(OP, &token(0)),
        one(&format!("Value '[x, ]' at 'grantTokens' failed to satisfy constraint: {constraint}"))
    );
    assert!(faults(OP, &token(8193)).ends_with(constraint));
}

#[test]
fn an_encryption_context_has_at_most_8192_bytes() {
    let context = |bytes: usize| json!({"KeyId": "k", "EncryptionContext": {"é": "x", "k": "v".repeat(bytes - 4)}});
    assert!(parse(OP, &context(8192)).is_ok());
    assert_eq!(
        faults(OP, &context(8193)),
        one(
            "Value at 'encryptionContext' failed to satisfy constraint: Member must have length less than or equal to 8192"
        )
    );
}

#[test]
fn the_ciphertext_may_be_left_out_only_of_a_dry_run_that_says_so() {
    let body = |dry: bool, modifiers: Value, key: Value| json!({"DryRun": dry, "DryRunModifiers": modifiers, "KeyId": key, "SourceKeyId": key, "DestinationKeyId": "d"});
    for (operation, key) in [(Operation::Decrypt, "keyId"), (Operation::ReEncrypt, "sourceKeyId")] {
        assert!(parse(operation, &body(true, json!(["IGNORE_CIPHERTEXT"]), json!("k"))).is_ok());
        for refused in [body(false, json!(["IGNORE_CIPHERTEXT"]), json!("k")), body(true, json!([]), json!("k"))] {
            assert!(faults(operation, &refused).contains("Value null at 'ciphertextBlob'"));
        }
        let keyless = faults(operation, &body(true, json!(["IGNORE_CIPHERTEXT"]), json!(null)));
        assert!(keyless.contains(&format!("Value null at '{key}'")));
        let unknown = faults(operation, &body(true, json!(["NO"]), json!("k")));
        assert!(unknown.contains(
            "Value '[NO]' at 'dryRunModifiers' failed to satisfy constraint: Member must satisfy constraint: [Member must satisfy enum value set: [IGNORE_CIPHERTEXT]]"
        ));
    }
}

#[test]
fn records_name_members_as_cloudtrail_does_and_hide_what_is_secret() {
    for (operation, body, expected) in [
        (
            OP,
            json!({"KeyId": "alias/orders", "KeySpec": "AES_256", "EncryptionContext": {"Project": "Al\"pha"}, "GrantTokens": ["token"]}),
            r#"={"keyId":"alias/orders","encryptionContext":{"Project":"Al\"pha"},"keySpec":"AES_256"}"#,
        ),
        (
            Operation::Encrypt,
            json!({"KeyId": "k", "Plaintext": "c2VjcmV0"}),
            r#"={"keyId":"k","encryptionAlgorithm":"SYMMETRIC_DEFAULT"}"#,
        ),
        (
            Operation::Decrypt,
            json!({"CiphertextBlob": "AQID", "Unknown": 1}),
            r#"={"encryptionAlgorithm":"SYMMETRIC_DEFAULT"}"#,
        ),
        (
            Operation::ReEncrypt,
            json!({"CiphertextBlob": "AQID", "DestinationKeyId": "d", "SourceEncryptionContext": {"a": "b"}}),
            r#"={"sourceEncryptionContext":{"a":"b"},"destinationKeyId":"d","sourceEncryptionAlgorithm":"SYMMETRIC_DEFAULT","destinationEncryptionAlgorithm":"SYMMETRIC_DEFAULT"}"#,
        ),
        (Operation::GenerateRandom, json!({"NumberOfBytes": 32}), r#"={"numberOfBytes":32}"#),
        (Operation::GenerateRandom, json!({}), "=null"),
        (Operation::ListKeys, json!({}), "=null"),
        (
            Operation::CreateKey,
            json!({"Description": "d", "MultiRegion": false, "Tags": [{"TagKey": "a", "TagValue": "b"}]}),
            r#"={"description":"d","tags":[{"tagKey":"a","tagValue":"b"}],"multiRegion":false}"#,
        ),
        (
            Operation::GenerateDataKey,
            json!({"KeyId": "k", "NumberOfBytes": 5, "DryRun": true,
                   "Recipient": {"KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256", "AttestationDocument": "AQID"}}),
            r#"={"keyId":"k","numberOfBytes":5,"recipient":{"keyEncryptionAlgorithm":"RSAES_OAEP_SHA_256"},"dryRun":true}"#,
        ),
    ] {
        assert_eq!(recorded(&parse(operation, &body).unwrap()), expected);
    }
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(at in 0..Operation::ALL.len(), body: Vec<u8>) {
        let _ = Input::parse(Operation::ALL[at], &body);
        let _ = Input::parse_to_forward(Operation::ALL[at], &body);
    }

    #[test]
    fn any_json_like_text_is_read_or_refused(
        at in 0..Operation::ALL.len(),
        body in r#"\{("(KeyId|Tags|Recipient|EncryptionContext|CiphertextBlob|X)":([\[\]{}",:0-9a-z\\.-]{0,9}|null|\{\}|"[A-Za-z+/=]{0,8}"),?){0,5}\}?"#,
    ) {
        let read = Input::parse(Operation::ALL[at], body.as_bytes());
        let to_forward = Input::parse_to_forward(Operation::ALL[at], body.as_bytes());
        match (read, to_forward) {
            (Ok(read), Ok(to_forward)) => proptest::prop_assert_eq!(recorded(&read), recorded(&to_forward)),
            (Err(refusal), Ok(_)) => proptest::prop_assert_eq!(refusal.kind(), ExceptionKind::Validation),
            (Err(read), Err(to_forward)) => proptest::prop_assert_eq!(read.kind(), to_forward.kind()),
            (Ok(_), Err(refusal)) => proptest::prop_assert!(false, "only forwarding refuses: {refusal}"),
        }
    }

    #[test]
    fn what_was_sent_is_what_is_read(
        key in "[ -~]{1,40}",
        pairs in proptest::collection::btree_map(".{0,5}", ".{0,5}", 0..5),
        plaintext in proptest::collection::vec(proptest::num::u8::ANY, 1..99),
    ) {
        let body = json!({"KeyId": key, "EncryptionContext": pairs, "Plaintext": STANDARD.encode(&plaintext)});
        let input = parse(Operation::Encrypt, &body).unwrap();
        proptest::prop_assert_eq!(input.string(Member::KeyId), Some(key.as_str()));
        proptest::prop_assert_eq!(input.blob(Member::Plaintext), Some(plaintext.as_slice()));
        let read: std::collections::BTreeMap<_, _> = input
            .context(Member::EncryptionContext).iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        proptest::prop_assert_eq!(read, pairs);
        let mut record = String::new();
        input.request_parameters(&mut record);
        let record: Value = serde_json::from_str(&record).unwrap();
        proptest::prop_assert_eq!(record["keyId"].as_str(), Some(key.as_str()));
    }
}

#[test]
fn grant_tokens_are_quoted_to_their_sender_and_never_to_the_record() {
    let tokens: Vec<String> = (0..11).map(|number| format!("token{number}")).collect();
    let body = serde_json::json!({"KeyId": "k", "NumberOfBytes": 0, "GrantTokens": tokens}).to_string();
    let exception = Input::parse(Operation::GenerateDataKey, body.as_bytes()).unwrap_err();
    assert!(exception.message().unwrap().contains("token10"));
    assert_eq!(
        exception.recorded_message().unwrap(),
        "2 validation errors detected: Value '0' at 'numberOfBytes' failed to satisfy constraint: Member must have \
         value greater than or equal to 1; Value at 'grantTokens' failed to satisfy constraint: Member must have length \
         less than or equal to 10"
    );
}

#[test]
fn a_token_in_the_place_of_a_grant_id_is_not_recorded() {
    let body = serde_json::json!({"KeyId": "k", "GrantId": "t".repeat(129)}).to_string();
    for operation in [Operation::RetireGrant, Operation::RevokeGrant, Operation::ListGrants] {
        let exception = Input::parse(operation, body.as_bytes()).unwrap_err();
        assert!(exception.message().unwrap().contains("ttt"));
        assert_eq!(
            exception.recorded_message().unwrap(),
            "1 validation error detected: Value at 'grantId' failed to satisfy constraint: Member must have length less \
             than or equal to 128"
        );
    }
}

#[test]
fn what_is_no_json_is_not_quoted_to_the_operator() {
    for body in ["\"my plaintext\"", "{\"Plaintext\": my plaintext}", "my plaintext"] {
        let detail = Input::parse(Operation::Encrypt, body.as_bytes()).unwrap_err().detail().unwrap().to_owned();
        assert!(detail.contains("line 1") && !detail.contains("plaintext"), "{detail}");
    }
}
