//! Answers as KMS gives them, and everything else that can come back from an address.

use serde_json::{Value, json};

use super::*;

const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const OTHER: &str = "arn:aws:kms:us-east-1:111122223333:key/0987dcba-09fe-87dc-65ba-ab0987654321";
const MATERIAL: &str = "0a1b2c3d0a1b2c3d0a1b2c3d0a1b2c3d0a1b2c3d0a1b2c3d0a1b2c3d0a1b2c3d";
const OP: Operation = Operation::GenerateDataKey;

fn read(operation: Operation, status: u16, body: &str) -> Result<UpstreamAnswer<'_>, NotKms> {
    UpstreamAnswer::read(operation, StatusCode::from_u16(status).unwrap(), None, body.as_bytes())
}

fn success(operation: Operation, body: &str) -> UpstreamSuccess<'_> {
    match read(operation, 200, body) {
        Ok(UpstreamAnswer::Success(success)) => success,
        other => panic!("{operation:?} {body}: {other:?}"),
    }
}

fn failure<'b>(status: u16, error_type: Option<&'b str>, body: &'b str) -> UpstreamFailure<'b> {
    match UpstreamAnswer::read(OP, StatusCode::from_u16(status).unwrap(), error_type, body.as_bytes()) {
        Ok(UpstreamAnswer::Failure(failure)) => failure,
        other => panic!("{body}: {other:?}"),
    }
}

/// An answer with every member that is looked for.
fn whole() -> Value {
    json!({"CiphertextBlob": "AQID", "KeyId": KEY, "SourceKeyId": OTHER, "Plaintext": "AQID",
        "KeyMetadata": {"AWSAccountId": "111122223333", "Arn": KEY, "KeyId": "1234abcd-12ab-34cd-56ef-1234567890ab",
            "MultiRegionConfiguration": {"PrimaryKey": {"Arn": OTHER, "Region": "us-east-1"}}},
        "ReplicaKeyMetadata": {"Arn": OTHER}})
}

#[test]
fn a_recorded_answer_is_read_without_a_copy() {
    let body =
        json!({"CiphertextBlob": "AQID", "KeyId": KEY, "KeyMaterialId": MATERIAL, "Plaintext": "AQID"}).to_string();
    let success = success(OP, &body);
    assert!(matches!(success.key, Some(Cow::Borrowed(KEY))));
    assert!(matches!(success.key_material_id, Some(Cow::Borrowed(MATERIAL))));
    assert_eq!(success.source_key, None);
}

#[test]
fn both_keys_and_both_materials_of_a_re_encryption_are_read() {
    let body = json!({"CiphertextBlob": "AQID", "KeyId": KEY, "SourceKeyId": OTHER, "SourceKeyMaterialId": MATERIAL,
        "DestinationKeyMaterialId": "b", "SourceEncryptionAlgorithm": "SYMMETRIC_DEFAULT"})
    .to_string();
    let success = success(Operation::ReEncrypt, &body);
    assert_eq!((success.key.as_deref(), success.source_key.as_deref()), (Some(KEY), Some(OTHER)));
    assert_eq!(success.source_key_material_id.as_deref(), Some(MATERIAL));
    assert_eq!(success.destination_key_material_id.as_deref(), Some("b"));
}

#[test]
fn each_operation_names_its_key_where_the_model_has_it() {
    let body = whole().to_string();
    for operation in Operation::ALL {
        let key = success(*operation, &body).key;
        let expected = if *operation == Operation::ReplicateKey { OTHER } else { KEY };
        assert_eq!(key.as_deref(), Some(expected), "{operation:?}");
    }
}

#[test]
fn an_answer_that_must_name_its_key_and_does_not_is_none() {
    for operation in Operation::ALL {
        for without in
            [json!({}), json!({"KeyId": null, "KeyMetadata": {"KeyId": KEY}, "ReplicaKeyMetadata": {"Arn": null}})]
        {
            let answer = read(*operation, 200, &without.to_string()).map(|_| ());
            let expected =
                if operation.output().names_key() { Err(NotKms("it does not name its key")) } else { Ok(()) };
            assert_eq!(answer, expected, "{operation:?}");
        }
    }
    let body = json!({"KeyId": KEY}).to_string();
    assert!(read(Operation::ReEncrypt, 200, &body).is_err(), "a source is named too");
}

#[test]
fn an_empty_answer_is_that_of_an_operation_without_an_output() {
    for operation in Operation::ALL {
        let empty = operation.output() == Output::Nothing;
        assert_eq!(read(*operation, 200, "").is_ok(), empty, "{operation:?}");
        assert!(read(*operation, 200, " ").is_err(), "{operation:?}");
    }
}

#[test]
fn escapes_change_nothing() {
    let body = format!(r#"{{"K\u0065yId":"{}"}}"#, KEY.replace('/', "\\/"));
    assert_eq!(success(OP, &body).key.as_deref(), Some(KEY));
    let twice = format!(r#"{{"KeyId":"{OTHER}","K\u0065yId":"{KEY}"}}"#);
    assert!(read(OP, 200, &twice).is_err());
}

#[test]
fn members_that_are_not_judged_may_be_anything() {
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    for more in ["null", "1e400", r#"{"KeyId":"x","KeyId":"y","__type":"z"}"#, r#"["KeyId",{"Arn":1}]"#, &deep] {
        let body = format!(r#"{{"X":{more},"KeyId":"{KEY}","keyId":{more},"X":1}}"#);
        assert_eq!(success(OP, &body).key.as_deref(), Some(KEY), "{more:.40}");
        let body = format!(r#"{{"KeyMetadata":{{"X":{more},"Arn":"{KEY}","arn":{more}}},"Y":{more}}}"#);
        assert_eq!(success(Operation::DescribeKey, &body).key.as_deref(), Some(KEY), "{more:.40}");
    }
}

#[test]
fn what_is_no_answer_of_kms_is_told_from_what_is_one() {
    let key = format!(r#"{{"KeyId":"{KEY}"}}"#);
    for (operation, status, body) in [
        (OP, 200, "<html><body>Bad Gateway</body></html>".to_owned()),
        (OP, 200, "service unavailable".to_owned()),
        (OP, 200, "null".to_owned()),
        (OP, 200, format!("[{key}]")),
        (OP, 200, format!("\"{KEY}\"")),
        (OP, 200, key.strip_suffix('}').unwrap().to_owned()),
        (OP, 200, key.chars().take(20).collect()),
        (OP, 200, format!("{key}{key}")),
        (OP, 200, format!("{key}x")),
        (OP, 200, format!("\u{feff}{key}")),
        (OP, 200, format!(r#"{{"KeyId":"{KEY}","KeyId":"{KEY}"}}"#)),
        (OP, 200, format!(r#"{{"KeyId":null,"KeyId":"{KEY}"}}"#)),
        (OP, 200, format!(r#"{{"KeyId":"{KEY}","KeyMaterialId":"a","KeyMaterialId":"b"}}"#)),
        (OP, 200, format!(r#"{{"KeyId":["{KEY}"]}}"#)),
        (OP, 200, r#"{"KeyId":1}"#.to_owned()),
        (OP, 200, format!(r#"{{"KeyId":"{KEY}","__type":"AccessDeniedException"}}"#)),
        (OP, 200, format!(r#"{{"KeyId":"{KEY}","__type":null}}"#)),
        (Operation::EnableKey, 200, r#"{"__type":"KMSInternalException"}"#.to_owned()),
        (Operation::DescribeKey, 200, key.clone()),
        (Operation::DescribeKey, 200, format!(r#"{{"KeyMetadata":["{KEY}"]}}"#)),
        (Operation::DescribeKey, 200, format!(r#"{{"KeyMetadata":null,"KeyId":"{KEY}"}}"#)),
        (Operation::DescribeKey, 200, format!(r#"{{"KeyMetadata":{{"Arn":"{KEY}","Arn":"{OTHER}"}}}}"#)),
        (Operation::DescribeKey, 200, format!(r#"{{"KeyMetadata":{{"Arn":"{KEY}"}},"KeyMetadata":{{}}}}"#)),
        (Operation::DescribeKey, 200, format!(r#"{{"ReplicaKeyMetadata":{{"Arn":"{KEY}"}}}}"#)),
        (OP, 100, key.clone()),
        (OP, 101, key.clone()),
        (OP, 201, key.clone()),
        (OP, 204, String::new()),
        (OP, 206, key.clone()),
        (OP, 301, key.clone()),
        (OP, 307, r#"{"__type":"ThrottlingException"}"#.to_owned()),
        (OP, 600, r#"{"__type":"ThrottlingException"}"#.to_owned()),
        (OP, 400, key.clone()),
        (OP, 400, String::new()),
        (OP, 403, "<AccessDeniedException/>".to_owned()),
        (OP, 503, "<html>".to_owned()),
        (OP, 400, "{".to_owned()),
        (OP, 400, r#"["ThrottlingException"]"#.to_owned()),
        (OP, 400, r#"{"__type":null}"#.to_owned()),
        (OP, 400, r#"{"__type":""}"#.to_owned()),
        (OP, 400, r#"{"__type":"com.amazonaws.kms#"}"#.to_owned()),
        (OP, 400, r#"{"__type":"a b"}"#.to_owned()),
        (OP, 400, r#"{"__type":"a\nb"}"#.to_owned()),
        (OP, 400, format!(r#"{{"__type":"{}"}}"#, "a".repeat(129))),
        (OP, 400, r#"{"__type":{"name":"ThrottlingException"}}"#.to_owned()),
        (OP, 400, r#"{"__type":"ThrottlingException","__type":"AccessDeniedException"}"#.to_owned()),
    ] {
        let Err(fault) = read(operation, status, &body) else { panic!("{status} {body:.80} is read") };
        let reason = fault.to_string();
        assert!(reason.starts_with("no answer of KMS: ") && reason.len() < 120, "{reason}");
        assert!(!reason.contains("arn") && !reason.contains("html"), "{reason}");
    }
    let broken = UpstreamAnswer::read(OP, StatusCode::OK, None, b"{\"KeyId\":\"\xff\"}");
    assert_eq!(broken.map(|_| ()), Err(NotKms("its body is no UTF-8")));
}

#[test]
fn an_error_is_known_by_its_bare_name_however_it_is_written() {
    for name in [
        "NotFoundException",
        "com.amazonaws.kms#NotFoundException",
        "NotFoundException:http://internal.amazon.com/coral/com.amazonaws.kms/",
        "com.amazonaws.kms#NotFoundException:http://internal.amazon.com/coral#x",
    ] {
        let body = json!({"__type": name, "message": "no"}).to_string();
        let told = failure(400, None, &body);
        assert_eq!((&*told.name, told.message.as_deref()), ("NotFoundException", Some("no")), "{name}");
        assert_eq!(told.class(), ErrorClass::Key);
        for body in ["", "{}", r#"{"message":"no"}"#] {
            assert_eq!(failure(400, Some(name), body).name, "NotFoundException", "{name} {body}");
        }
    }
    let body = r#"{"__type":"ThrottlingException"}"#;
    assert_eq!(failure(400, Some("AccessDeniedException"), body).name, "ThrottlingException", "the body comes first");
}

#[test]
fn an_errors_text_is_read_by_either_name_and_not_printed() {
    for (body, text) in [
        (r#"{"__type":"AccessDeniedException","Message":"no"}"#, Some("no")),
        (r#"{"__type":"NotFoundException","message":"a\"b"}"#, Some("a\"b")),
        (r#"{"__type":"InvalidCiphertextException"}"#, None),
        (r#"{"__type":"InvalidCiphertextException","message":null}"#, None),
        (r#"{"message":"first","Message":"second","__type":"X","More":[1]}"#, Some("first")),
    ] {
        let told = failure(400, None, body);
        assert_eq!(told.message.as_deref(), text, "{body}");
        assert!(text.is_none_or(|text| !format!("{told:?}").contains(text)), "{told:?}");
    }
}

#[test]
fn a_fault_is_known_by_its_status_where_its_name_says_nothing() {
    let body = r#"{"__type":"BrandNewException"}"#;
    assert_eq!(failure(500, None, body).class(), ErrorClass::ServerFault);
    assert_eq!(failure(400, None, body).class(), ErrorClass::Other);
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(at in 0..Operation::ALL.len(), status in 100_u16..1000, body: Vec<u8>) {
        let _ = UpstreamAnswer::read(Operation::ALL[at], StatusCode::from_u16(status).unwrap(), None, &body);
    }

    #[test]
    fn an_answer_that_is_read_names_the_key_that_any_client_reads(
        at in 0..Operation::ALL.len(),
        body in r#"\{("(KeyId|SourceKeyId|KeyMetadata|X)":("[a-z\\/u0]{0,6}"|null|1|\{"Arn":"[a-z]{0,3}"\}),?){0,4}\}?"#,
    ) {
        let operation = Operation::ALL[at];
        let answer = UpstreamAnswer::read(operation, StatusCode::OK, None, body.as_bytes());
        if let (Ok(UpstreamAnswer::Success(success)), false) = (answer, body.is_empty()) {
            let value: Value = serde_json::from_str(&body).unwrap();
            let key = match operation.output() {
                Output::Metadata(name) => &value[name]["Arn"],
                _ => &value["KeyId"],
            };
            proptest::prop_assert_eq!(success.key.as_deref(), key.as_str());
        }
    }
}
