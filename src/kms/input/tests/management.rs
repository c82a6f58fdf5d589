//! The operations on keys, policies, tags, rotation, imported material and signatures: what each takes, at both sides
//! of every bound, and what of it is recorded.

use super::*;

/// For each operation a request with every member of its model, as the model orders them.
fn whole() -> Vec<(Operation, Value)> {
    use Operation as Op;
    let hex = "0a".repeat(32);
    let message = json!({"KeyId": "k", "Message": "AQID", "GrantTokens": ["t"], "DryRun": true});
    let with = |base: &Value, more: Value| {
        let mut body = base.clone();
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let page = json!({"KeyId": "k", "Limit": 7, "Marker": "m"});
    vec![
        (Op::UpdateKeyDescription, json!({"KeyId": "k", "Description": ""})),
        (Op::UpdateAlias, json!({"AliasName": "alias/a", "TargetKeyId": "k"})),
        (Op::DeleteAlias, json!({"AliasName": "alias/a"})),
        (Op::TagResource, json!({"KeyId": "k", "Tags": [{"TagKey": "a", "TagValue": "b"}]})),
        (Op::UntagResource, json!({"KeyId": "k", "TagKeys": ["a", "b"]})),
        (Op::ListResourceTags, page.clone()),
        (Op::GetKeyPolicy, json!({"KeyId": "k", "PolicyName": "default"})),
        (
            Op::PutKeyPolicy,
            json!({"KeyId": "k", "PolicyName": "default", "Policy": "{}", "BypassPolicyLockoutSafetyCheck": true}),
        ),
        (Op::ListKeyPolicies, page.clone()),
        (Op::EnableKeyRotation, json!({"KeyId": "k", "RotationPeriodInDays": 365})),
        (Op::DisableKeyRotation, json!({"KeyId": "k"})),
        (Op::GetKeyRotationStatus, json!({"KeyId": "k"})),
        (Op::RotateKeyOnDemand, json!({"KeyId": "k"})),
        (Op::ListKeyRotations, with(&page, json!({"IncludeKeyMaterial": "ALL_KEY_MATERIAL"}))),
        (
            Op::GetParametersForImport,
            json!({"KeyId": "k", "WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"}),
        ),
        (
            Op::ImportKeyMaterial,
            json!({"KeyId": "k", "ImportToken": "AQID", "EncryptedKeyMaterial": "BAUG", "ValidTo": 1_747_806_465,
                "ExpirationModel": "KEY_MATERIAL_EXPIRES", "ImportType": "NEW_KEY_MATERIAL",
                "KeyMaterialDescription": "first", "KeyMaterialId": hex}),
        ),
        (Op::DeleteImportedKeyMaterial, json!({"KeyId": "k", "KeyMaterialId": hex})),
        (
            Op::ReplicateKey,
            json!({"KeyId": "k", "ReplicaRegion": "eu-west-1", "Policy": "{}", "Description": "d",
                "BypassPolicyLockoutSafetyCheck": false, "Tags": [{"TagKey": "a", "TagValue": "b"}]}),
        ),
        (Op::UpdatePrimaryRegion, json!({"KeyId": "k", "PrimaryRegion": "eu-west-1"})),
        (Op::GetPublicKey, json!({"KeyId": "k", "GrantTokens": ["t"]})),
        (Op::Sign, with(&message, json!({"MessageType": "RAW", "SigningAlgorithm": "ECDSA_SHA_256"}))),
        (
            Op::Verify,
            with(&message, json!({"MessageType": "DIGEST", "SigningAlgorithm": "ECDSA_SHA_256", "Signature": "AQID"})),
        ),
        (Op::GenerateMac, with(&message, json!({"MacAlgorithm": "HMAC_SHA_256"}))),
        (Op::VerifyMac, with(&message, json!({"MacAlgorithm": "HMAC_SHA_256", "Mac": "AQID"}))),
        (
            Op::DeriveSharedSecret,
            json!({"KeyId": "k", "KeyAgreementAlgorithm": "ECDH", "PublicKey": "AQID", "GrantTokens": ["t"],
                "DryRun": false,
                "Recipient": {"KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256", "AttestationDocument": "AQID"}}),
        ),
        (Op::GetKeyLastUsage, json!({"KeyId": "k"})),
        (
            Op::Encapsulate,
            json!({"KeyId": "k", "EncapsulationAlgorithm": "ML_KEM", "GrantTokens": ["t"], "DryRun": true}),
        ),
        (
            Op::Decapsulate,
            json!({"KeyId": "k", "SharedSecretCiphertextBlob": "AQID", "EncapsulationAlgorithm": "ML_KEM",
                "GrantTokens": ["t"], "DryRun": true}),
        ),
    ]
}

fn whole_of(operation: Operation) -> Value {
    whole().into_iter().find(|(own, _)| *own == operation).map(|(_, body)| body).unwrap()
}

#[test]
fn every_member_of_the_model_is_known_and_no_other() {
    for (operation, body) in whole() {
        assert!(parse(operation, &body).is_ok(), "{operation:?}");
        let mut known: Vec<_> = model::fields(operation).iter().map(|field| field.member.name()).collect();
        let mut sent: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
        known.sort_unstable();
        sent.sort_unstable();
        assert_eq!(known, sent, "{operation:?}");
    }
}

#[test]
fn what_is_required_is_missed_by_name() {
    use Operation as Op;
    let required: &[(Operation, &[&str])] = &[
        (Op::UpdateKeyDescription, &["keyId", "description"]),
        (Op::UpdateAlias, &["aliasName", "targetKeyId"]),
        (Op::DeleteAlias, &["aliasName"]),
        (Op::TagResource, &["keyId", "tags"]),
        (Op::UntagResource, &["keyId", "tagKeys"]),
        (Op::ListResourceTags, &["keyId"]),
        (Op::GetKeyPolicy, &["keyId"]),
        (Op::PutKeyPolicy, &["keyId", "policy"]),
        (Op::ListKeyPolicies, &["keyId"]),
        (Op::EnableKeyRotation, &["keyId"]),
        (Op::DisableKeyRotation, &["keyId"]),
        (Op::GetKeyRotationStatus, &["keyId"]),
        (Op::RotateKeyOnDemand, &["keyId"]),
        (Op::ListKeyRotations, &["keyId"]),
        (Op::GetParametersForImport, &["keyId", "wrappingAlgorithm", "wrappingKeySpec"]),
        (Op::ImportKeyMaterial, &["keyId", "importToken", "encryptedKeyMaterial"]),
        (Op::DeleteImportedKeyMaterial, &["keyId"]),
        (Op::ReplicateKey, &["keyId", "replicaRegion"]),
        (Op::UpdatePrimaryRegion, &["keyId", "primaryRegion"]),
        (Op::GetPublicKey, &["keyId"]),
        (Op::Sign, &["keyId", "message", "signingAlgorithm"]),
        (Op::Verify, &["keyId", "message", "signature", "signingAlgorithm"]),
        (Op::GenerateMac, &["message", "keyId", "macAlgorithm"]),
        (Op::VerifyMac, &["message", "keyId", "macAlgorithm", "mac"]),
        (Op::DeriveSharedSecret, &["keyId", "keyAgreementAlgorithm", "publicKey"]),
        (Op::GetKeyLastUsage, &["keyId"]),
        (Op::Encapsulate, &["keyId", "encapsulationAlgorithm"]),
        (Op::Decapsulate, &["keyId", "sharedSecretCiphertextBlob", "encapsulationAlgorithm"]),
    ];
    assert_eq!(required.len(), whole().len());
    for (operation, members) in required {
        let items: Vec<_> = members
            .iter()
            .map(|member| format!("Value null at '{member}' failed to satisfy constraint: Member must not be null"))
            .collect();
        let head = match items.len() {
            1 => "1 validation error detected".to_owned(),
            count => format!("{count} validation errors detected"),
        };
        assert_eq!(faults(*operation, &json!({})), format!("{head}: {}", items.join("; ")), "{operation:?}");
    }
}

/// One text, list or blob of one operation at its bounds. `make` makes a value of a length.
#[test]
fn every_length_has_both_sides_of_its_bounds() {
    use Operation as Op;
    let text: Make<'_> = &|length| json!("a".repeat(length));
    let bytes: Make<'_> = &|length| json!(blob(length));
    let tokens: Make<'_> = &|length| json!(vec!["t"; length]);
    let mut cases: Vec<(Operation, &str, Make<'_>, usize, usize)> = vec![
        (Op::UpdateKeyDescription, "Description", text, 0, 8192),
        (Op::UpdateAlias, "AliasName", text, 1, 256),
        (Op::UpdateAlias, "TargetKeyId", text, 1, 2048),
        (Op::DeleteAlias, "AliasName", text, 1, 256),
        (Op::GetKeyPolicy, "PolicyName", text, 1, 128),
        (Op::PutKeyPolicy, "PolicyName", text, 1, 128),
        (Op::PutKeyPolicy, "Policy", text, 1, 131_072),
        (Op::ListResourceTags, "Marker", text, 1, 1024),
        (Op::ListKeyPolicies, "Marker", text, 1, 1024),
        (Op::ListKeyRotations, "Marker", text, 1, 1024),
        (Op::ReplicateKey, "Policy", text, 1, 131_072),
        (Op::ReplicateKey, "Description", text, 0, 8192),
        (Op::ImportKeyMaterial, "ImportToken", bytes, 1, 6144),
        (Op::ImportKeyMaterial, "EncryptedKeyMaterial", bytes, 1, 6144),
        (Op::ImportKeyMaterial, "KeyMaterialId", text, 64, 64),
        (Op::DeleteImportedKeyMaterial, "KeyMaterialId", text, 64, 64),
        (Op::Sign, "Message", bytes, 1, 4096),
        (Op::Verify, "Message", bytes, 1, 4096),
        (Op::Verify, "Signature", bytes, 1, 6144),
        (Op::GenerateMac, "Message", bytes, 1, 4096),
        (Op::VerifyMac, "Message", bytes, 1, 4096),
        (Op::VerifyMac, "Mac", bytes, 1, 6144),
        (Op::DeriveSharedSecret, "PublicKey", bytes, 1, 8192),
        (Op::Decapsulate, "SharedSecretCiphertextBlob", bytes, 1, 6144),
    ];
    for (operation, body) in whole() {
        if body.get("KeyId").is_some() {
            cases.push((operation, "KeyId", text, 1, 2048));
        }
        if body.get("GrantTokens").is_some() {
            cases.push((operation, "GrantTokens", tokens, 0, 10));
        }
    }
    for (operation, member, make, min, max) in cases {
        let with = |length: usize| {
            let mut body = whole_of(operation);
            body[member] = make(length);
            body
        };
        assert!(parse(operation, &with(min)).is_ok(), "{operation:?} {member} {min}");
        assert!(parse(operation, &with(max)).is_ok(), "{operation:?} {member} {max}");
        let camel = Member::ALL.iter().find(|known| known.name() == member).unwrap().camel();
        let beyond = faults(operation, &with(max + 1));
        assert!(
            beyond.starts_with("1 validation error detected: Value")
                && beyond.ends_with(&format!(
                    "at '{camel}' failed to satisfy constraint: Member must have length less than or equal to {max}"
                )),
            "{operation:?} {member}: {beyond:.200}"
        );
        if min > 0 {
            let short = faults(operation, &with(min - 1));
            assert!(short.contains(&format!("Member must have length greater than or equal to {min}")), "{short:.200}");
        }
    }
}

#[test]
fn every_number_has_both_sides_of_its_bounds() {
    for (operation, member, min, max) in [
        (Operation::ListResourceTags, "Limit", 1, 1000),
        (Operation::ListKeyPolicies, "Limit", 1, 1000),
        (Operation::ListKeyRotations, "Limit", 1, 1000),
        (Operation::EnableKeyRotation, "RotationPeriodInDays", 90, 2560),
    ] {
        let body = |value: i64| json!({"KeyId": "k", member: value});
        assert!(parse(operation, &body(min)).is_ok() && parse(operation, &body(max)).is_ok(), "{operation:?}");
        let low = format!("Member must have value greater than or equal to {min}");
        let high = format!("Member must have value less than or equal to {max}");
        assert!(faults(operation, &body(min - 1)).ends_with(&low), "{operation:?}");
        assert!(faults(operation, &body(max + 1)).ends_with(&high), "{operation:?}");
    }
}

#[test]
fn every_choice_takes_the_models_values_and_no_other() {
    use Operation as Op;
    let signing = [
        "RSASSA_PSS_SHA_256",
        "RSASSA_PSS_SHA_384",
        "RSASSA_PSS_SHA_512",
        "RSASSA_PKCS1_V1_5_SHA_256",
        "RSASSA_PKCS1_V1_5_SHA_384",
        "RSASSA_PKCS1_V1_5_SHA_512",
        "ECDSA_SHA_256",
        "ECDSA_SHA_384",
        "ECDSA_SHA_512",
        "SM2DSA",
        "ML_DSA_SHAKE_256",
        "ED25519_SHA_512",
        "ED25519_PH_SHA_512",
    ];
    let mac = ["HMAC_SHA_224", "HMAC_SHA_256", "HMAC_SHA_384", "HMAC_SHA_512"];
    let wrapping = [
        "RSAES_PKCS1_V1_5",
        "RSAES_OAEP_SHA_1",
        "RSAES_OAEP_SHA_256",
        "RSA_AES_KEY_WRAP_SHA_1",
        "RSA_AES_KEY_WRAP_SHA_256",
        "SM2PKE",
    ];
    let cases: [(Operation, &str, &[&str]); 12] = [
        (Op::ListKeyRotations, "IncludeKeyMaterial", &["ALL_KEY_MATERIAL", "ROTATIONS_ONLY"]),
        (Op::GetParametersForImport, "WrappingAlgorithm", &wrapping),
        (Op::GetParametersForImport, "WrappingKeySpec", &["RSA_2048", "RSA_3072", "RSA_4096", "SM2"]),
        (Op::ImportKeyMaterial, "ExpirationModel", &["KEY_MATERIAL_EXPIRES", "KEY_MATERIAL_DOES_NOT_EXPIRE"]),
        (Op::ImportKeyMaterial, "ImportType", &["NEW_KEY_MATERIAL", "EXISTING_KEY_MATERIAL"]),
        (Op::Sign, "MessageType", &["RAW", "DIGEST", "EXTERNAL_MU"]),
        (Op::Sign, "SigningAlgorithm", &signing),
        (Op::Verify, "MessageType", &["RAW", "DIGEST", "EXTERNAL_MU"]),
        (Op::Verify, "SigningAlgorithm", &signing),
        (Op::GenerateMac, "MacAlgorithm", &mac),
        (Op::VerifyMac, "MacAlgorithm", &mac),
        (Op::DeriveSharedSecret, "KeyAgreementAlgorithm", &["ECDH"]),
    ];
    for (operation, member, values) in cases {
        let with = |value: &str| {
            let mut body = whole_of(operation);
            body[member] = json!(value);
            body
        };
        for value in values {
            assert!(parse(operation, &with(value)).is_ok(), "{operation:?} {value}");
        }
        let message = faults(operation, &with("NONE"));
        let (head, set) = message.split_once("Member must satisfy enum value set: [").unwrap();
        assert!(head.starts_with("1 validation error detected: Value 'NONE' at '"), "{message}");
        assert_eq!(set.trim_end_matches(']').split(", ").count(), values.len(), "{message}");
    }
}

#[test]
fn what_does_not_match_its_pattern_is_answered_with_the_pattern() {
    use Operation as Op;
    for (operation, member, value, constraint) in [
        // The text is recorded from KMS.
        (Op::PutKeyPolicy, "PolicyName", "invalid-name", r"[\w]+"),
        (Op::GetKeyPolicy, "PolicyName", "invalid-name", r"[\w]+"),
        (Op::PutKeyPolicy, "Policy", "{\u{100}}", r"[\u0009\u000A\u000D\u0020-\u00FF]+"),
        (Op::ReplicateKey, "Policy", "{\u{100}}", r"[\u0009\u000A\u000D\u0020-\u00FF]+"),
        (Op::ReplicateKey, "ReplicaRegion", "mars", r"^([a-z]+-){2,3}\d+$"),
        (Op::UpdatePrimaryRegion, "PrimaryRegion", "us-east-1a", r"^([a-z]+-){2,3}\d+$"),
        (Op::ImportKeyMaterial, "KeyMaterialDescription", "a,b", r"^[a-zA-Z0-9:/_\s.-]+$"),
        (Op::ImportKeyMaterial, "KeyMaterialDescription", "", r"^[a-zA-Z0-9:/_\s.-]+$"),
        (Op::UpdateAlias, "AliasName", "alias/a b", "^[a-zA-Z0-9:/_-]+$"),
        (Op::DeleteAlias, "AliasName", "alias/a b", "^[a-zA-Z0-9:/_-]+$"),
        (Op::ListResourceTags, "Marker", "\u{100}", r"[\u0020-\u00FF]*"),
        (Op::GetPublicKey, "KeyId", "é", r"^\p{ASCII}+$"),
    ] {
        let mut body = whole_of(operation);
        body[member] = json!(value);
        let camel = Member::ALL.iter().find(|known| known.name() == member).unwrap().camel();
        let item = format!(
            "Value '{value}' at '{camel}' failed to satisfy constraint: Member must satisfy regular expression pattern: {constraint}"
        );
        assert_eq!(faults(operation, &body), one(&item), "{operation:?}");
    }
    let mut body = whole_of(Op::ImportKeyMaterial);
    body["KeyMaterialId"] = json!("A".repeat(64));
    assert!(
        faults(Op::ImportKeyMaterial, &body).ends_with("Member must satisfy regular expression pattern: ^[a-f0-9]+$")
    );
}

#[test]
fn a_description_of_material_has_at_most_256_characters() {
    let body = |length: usize| {
        let mut body = whole_of(Operation::ImportKeyMaterial);
        body["KeyMaterialDescription"] = json!("d".repeat(length));
        body
    };
    assert!(parse(Operation::ImportKeyMaterial, &body(1)).is_ok());
    assert!(parse(Operation::ImportKeyMaterial, &body(256)).is_ok());
    let beyond = faults(Operation::ImportKeyMaterial, &body(257));
    assert!(beyond.ends_with("Member must have length less than or equal to 256"), "{beyond}");
}

#[test]
fn a_region_has_at_most_32_characters() {
    for (operation, member) in
        [(Operation::ReplicateKey, "ReplicaRegion"), (Operation::UpdatePrimaryRegion, "PrimaryRegion")]
    {
        let body = |length: usize| json!({"KeyId": "k", member: format!("us-{}-1", "e".repeat(length - 5))});
        assert!(parse(operation, &body(32)).is_ok());
        assert!(faults(operation, &body(33)).ends_with("Member must have length less than or equal to 32"));
    }
}

#[test]
fn a_tag_is_bounded_where_it_is_sent_and_where_it_is_removed() {
    // The texts are recorded from KMS, for `CreateKey`.
    for operation in [Operation::TagResource, Operation::ReplicateKey] {
        let body = |key: usize, value: usize| {
            let mut body = whole_of(operation);
            body["Tags"] = json!([{"TagKey": "k".repeat(key), "TagValue": "v".repeat(value)}]);
            body
        };
        assert!(parse(operation, &body(1, 0)).is_ok() && parse(operation, &body(128, 256)).is_ok());
        let item = |value: String, path: &str, bound: &str| {
            one(&format!(
                "Value '{value}' at 'tags.1.member.{path}' failed to satisfy constraint: Member must have length {bound}"
            ))
        };
        assert_eq!(faults(operation, &body(0, 0)), item(String::new(), "tagKey", "greater than or equal to 1"));
        assert_eq!(faults(operation, &body(129, 0)), item("k".repeat(129), "tagKey", "less than or equal to 128"));
        assert_eq!(faults(operation, &body(1, 257)), item("v".repeat(257), "tagValue", "less than or equal to 256"));
    }
    let keys = |keys: Value| json!({"KeyId": "k", "TagKeys": keys});
    assert!(parse(Operation::UntagResource, &keys(json!([]))).is_ok());
    let input = parse(Operation::UntagResource, &keys(json!(["a", "b".repeat(128)]))).unwrap();
    assert_eq!(input.strings(Member::TagKeys), ["a".to_owned(), "b".repeat(128)]);
    for (sent, shown) in
        [(json!(["a", ""]), "[a, ]".to_owned()), (json!(["b".repeat(129)]), format!("[{}]", "b".repeat(129)))]
    {
        let item = format!(
            "Value '{shown}' at 'tagKeys' failed to satisfy constraint: Member must satisfy constraint: [Member must have length less than or equal to 128, Member must have length greater than or equal to 1]"
        );
        assert_eq!(faults(Operation::UntagResource, &keys(sent)), one(&item));
    }
}

#[test]
fn a_timestamp_is_a_number_of_seconds_and_perhaps_a_fraction() {
    let body = |value: &str| {
        format!(r#"{{"KeyId":"k","ImportToken":"AQID","EncryptedKeyMaterial":"AQID","ValidTo":{value}}}"#)
    };
    let read =
        |value| Input::parse(Operation::ImportKeyMaterial, body(value).as_bytes()).unwrap().timestamp(Member::ValidTo);
    for (value, micros) in [
        ("1747806465", 1_747_806_465_000_000),
        ("0", 0),
        ("-1", -1_000_000),
        ("1747806465.123", 1_747_806_465_123_000),
        ("1747806465.1234", 1_747_806_465_123_000),
        ("1747806465.9999", 1_747_806_466_000_000),
        ("1.747806465E9", 1_747_806_465_000_000),
        ("-0.5", -500_000),
        ("253402300799", 253_402_300_799_000_000),
        ("253402300800", 253_402_300_799_000_000),
        ("1e300", 253_402_300_799_000_000),
        ("18446744073709551615", 253_402_300_799_000_000),
        ("-62167219200", -62_167_219_200_000_000),
        ("-62167219201", -62_167_219_200_000_000),
        ("-1e300", -62_167_219_200_000_000),
    ] {
        assert_eq!(read(value), Some(Timestamp::from_unix_micros(micros)), "{value}");
    }
    assert_eq!(read("null"), None);
    for (value, message) in [
        (r#""2026-11-25T00:00:00Z""#, "STRING_VALUE can not be converted to milliseconds since epoch"),
        (r#""1747806465""#, "STRING_VALUE can not be converted to milliseconds since epoch"),
        ("true", "TRUE_VALUE can not be converted to milliseconds since epoch"),
        ("[]", "Start of list found where not expected"),
        ("{}", "Start of structure or map found where not expected."),
    ] {
        let refused = refusal(Operation::ImportKeyMaterial, body(value));
        assert_eq!(refused, (ExceptionKind::Serialization, Some(message.to_owned())), "{value}");
    }
}

#[test]
fn values_of_another_type_are_refused() {
    use Operation as Op;
    for (operation, member, value, message) in [
        (Op::TagResource, "Tags", json!("x"), "Expected list or null"),
        (Op::TagResource, "Tags", json!({}), "Start of structure or map found where not expected."),
        (Op::UntagResource, "TagKeys", json!("x"), "Expected list or null"),
        (Op::UntagResource, "TagKeys", json!([1]), "NUMBER_VALUE can not be converted to a String"),
        (
            Op::EnableKeyRotation,
            "RotationPeriodInDays",
            json!("365"),
            "STRING_VALUE can not be converted to an Integer",
        ),
        (Op::PutKeyPolicy, "Policy", json!({}), "Start of structure or map found where not expected."),
        (
            Op::PutKeyPolicy,
            "BypassPolicyLockoutSafetyCheck",
            json!("true"),
            "STRING_VALUE can not be converted to a Boolean",
        ),
        (Op::Sign, "SigningAlgorithm", json!(1), "NUMBER_VALUE can not be converted to a String"),
        (Op::Sign, "Message", json!([]), "Start of list found where not expected"),
    ] {
        let mut body = whole_of(operation);
        body[member] = value;
        let refused = refusal(operation, body.to_string());
        assert_eq!(refused, (ExceptionKind::Serialization, Some(message.to_owned())), "{operation:?} {member}");
    }
    for (operation, member) in [
        (Op::ImportKeyMaterial, "EncryptedKeyMaterial"),
        (Op::ImportKeyMaterial, "ImportToken"),
        (Op::Sign, "Message"),
        (Op::Verify, "Signature"),
        (Op::VerifyMac, "Mac"),
        (Op::DeriveSharedSecret, "PublicKey"),
    ] {
        let mut body = whole_of(operation);
        body[member] = json!("no base64!");
        assert_eq!(
            refusal(operation, body.to_string()),
            (ExceptionKind::Serialization, None),
            "{operation:?} {member}"
        );
    }
}

#[test]
fn nothing_of_a_blob_is_in_a_refusal_or_a_record() {
    for (operation, mut body) in whole() {
        let record = recorded(&parse(operation, &body).unwrap());
        for blob in ["AQID", "BAUG"] {
            assert!(!record.contains(blob), "{record}");
        }
        body["KeyId"] = json!("");
        body["AliasName"] = json!("");
        let message = faults(operation, &body);
        assert!(!message.contains("AQID") && !message.contains("BAUG"), "{message}");
    }
}

#[test]
fn records_have_what_cloudtrail_has() {
    use Operation as Op;
    for (operation, expected) in [
        (Op::UpdateKeyDescription, json!({"keyId": "k", "description": ""})),
        (Op::UpdateAlias, json!({"aliasName": "alias/a", "targetKeyId": "k"})),
        (Op::DeleteAlias, json!({"aliasName": "alias/a"})),
        (Op::TagResource, json!({"keyId": "k", "tags": [{"tagKey": "a", "tagValue": "b"}]})),
        (Op::UntagResource, json!({"keyId": "k", "tagKeys": ["a", "b"]})),
        (Op::ListResourceTags, json!({"keyId": "k", "limit": 7, "marker": "m"})),
        (Op::GetKeyPolicy, json!({"keyId": "k", "policyName": "default"})),
        (
            Op::PutKeyPolicy,
            json!({"keyId": "k", "policyName": "default", "policy": "{}", "bypassPolicyLockoutSafetyCheck": true}),
        ),
        (Op::EnableKeyRotation, json!({"keyId": "k", "rotationPeriodInDays": 365})),
        (Op::RotateKeyOnDemand, json!({"keyId": "k"})),
        (
            Op::GetParametersForImport,
            json!({"keyId": "k", "wrappingAlgorithm": "RSAES_OAEP_SHA_256", "wrappingKeySpec": "RSA_2048"}),
        ),
        (
            Op::ImportKeyMaterial,
            json!({"keyId": "k", "validTo": "May 21, 2025, 5:47:45 AM", "expirationModel": "KEY_MATERIAL_EXPIRES",
                "importType": "NEW_KEY_MATERIAL", "keyMaterialDescription": "first", "keyMaterialId": "0a".repeat(32)}),
        ),
        (
            Op::ReplicateKey,
            json!({"keyId": "k", "replicaRegion": "eu-west-1", "policy": "{}", "description": "d",
                "bypassPolicyLockoutSafetyCheck": false, "tags": [{"tagKey": "a", "tagValue": "b"}]}),
        ),
        (Op::UpdatePrimaryRegion, json!({"keyId": "k", "primaryRegion": "eu-west-1"})),
        (Op::GetPublicKey, json!({"keyId": "k"})),
        (Op::Sign, json!({"keyId": "k", "messageType": "RAW", "signingAlgorithm": "ECDSA_SHA_256", "dryRun": true})),
        (
            Op::Verify,
            json!({"keyId": "k", "messageType": "DIGEST", "signingAlgorithm": "ECDSA_SHA_256", "dryRun": true}),
        ),
        (Op::GenerateMac, json!({"keyId": "k", "macAlgorithm": "HMAC_SHA_256", "dryRun": true})),
        (Op::VerifyMac, json!({"keyId": "k", "macAlgorithm": "HMAC_SHA_256", "dryRun": true})),
        (
            Op::DeriveSharedSecret,
            json!({"keyId": "k", "keyAgreementAlgorithm": "ECDH", "dryRun": false,
                "recipient": {"keyEncryptionAlgorithm": "RSAES_OAEP_SHA_256"}}),
        ),
    ] {
        let record = recorded(&parse(operation, &whole_of(operation)).unwrap());
        let record: Value = serde_json::from_str(record.strip_prefix('=').unwrap()).unwrap();
        assert_eq!(record, expected, "{operation:?}");
    }
}

#[test]
fn what_is_newer_than_the_rest_of_its_operation_is_read_and_recorded() {
    let keys = json!({"Limit": 7, "ResourceOwners": ["SELF", "OTHER_ACCOUNTS_VIA_RAM"]});
    let read = parse(Operation::ListKeys, &keys).unwrap();
    assert_eq!(recorded(&read), r#"={"limit":7,"resourceOwners":["SELF","OTHER_ACCOUNTS_VIA_RAM"]}"#);
    assert!(faults(Operation::ListKeys, &json!({"ResourceOwners": ["NOBODY"]})).contains("'resourceOwners'"));

    let mut grant = json!({"KeyId": "k", "GranteePrincipal": "p", "Operations": ["Decrypt"],
        "GranteeServicePrincipal": "a.amazonaws.com", "RetiringServicePrincipal": "b.amazonaws.com",
        "Constraints": {"SourceArn": "arn:aws:s3:::bucket"}});
    assert!(faults(Operation::CreateGrant, &grant).contains("'constraints.sourceArn'"));
    grant["Constraints"]["SourceArn"] = json!("arn:aws:sns:us-east-1:111122223333:topic");
    let read = parse(Operation::CreateGrant, &grant).unwrap();
    assert!(recorded(&read).contains(r#""constraints":{"sourceArn":"arn:aws:sns:us-east-1:111122223333:topic"}"#));
    assert!(recorded(&read).contains(r#""granteeServicePrincipal":"a.amazonaws.com""#));
    grant["RetiringServicePrincipal"] = json!("b.com");
    assert!(faults(Operation::CreateGrant, &grant).contains("'retiringServicePrincipal'"));
}
