//! What the schema has, and what it does not have.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;
use crate::aws::Member;
use crate::policy::Kind;

/// What no record may have, by its name in records.
const NEVER: [Member; 15] = [
    Member::AttestationDocument,
    Member::CiphertextBlob,
    Member::EncryptedKeyMaterial,
    Member::GrantToken,
    Member::GrantTokens,
    Member::ImportToken,
    Member::KeyStorePassword,
    Member::Mac,
    Member::Message,
    Member::Plaintext,
    Member::PublicKey,
    Member::SharedSecretCiphertextBlob,
    Member::Signature,
    Member::AccessKeyId,
    Member::RawSecretAccessKey,
];

fn schema() -> Value {
    serde_json::from_str(RECORD_SCHEMA).unwrap()
}

/// Every name that an object in `schema` may have, however deep.
fn names(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(members) => {
            let named = members.get("properties").and_then(Value::as_object);
            found.extend(named.into_iter().flat_map(|named| named.keys().cloned()));
            members.values().for_each(|inner| names(inner, found));
        }
        Value::Array(items) => items.iter().for_each(|inner| names(inner, found)),
        _ => {}
    }
}

#[test]
fn it_is_a_schema_of_its_draft() {
    assert!(jsonschema::draft202012::meta::is_valid(&schema()));
}

#[test]
fn every_member_of_a_request_is_recorded_or_never() {
    let mut recorded = BTreeSet::new();
    names(&schema()["$defs"]["requestParameters"], &mut recorded);
    for member in Member::ALL.iter().filter(|member| **member != Member::XksProxyAuthenticationCredential) {
        assert_ne!(recorded.contains(member.camel()), NEVER.contains(member), "{member:?}");
    }
}

#[test]
fn every_kind_of_policy_may_have_decided() {
    let schema = schema();
    let reason = &schema["$defs"]["gateway"]["properties"]["reasons"]["items"]["properties"];
    let layers: BTreeSet<_> =
        reason["layer"]["enum"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
    let kinds = [Kind::Guardrail, Kind::Key, Kind::Boundary, Kind::Session, Kind::Identity].map(Kind::label);
    assert_eq!(layers, kinds.into_iter().chain(["grant"]).collect());
}

/// Each member of an object that a record may have.
fn undescribed(schema: &Value, path: &str, found: &mut Vec<String>) {
    match schema {
        Value::Object(members) => {
            // What only narrows a member that stands elsewhere need not say again what it is.
            let closed = members.get("additionalProperties") == Some(&Value::Bool(false));
            for (name, member) in members.get("properties").and_then(Value::as_object).into_iter().flatten() {
                if closed && member.get("description").is_none() {
                    found.push(format!("{path}/{name}"));
                }
            }
            members.iter().for_each(|(name, inner)| undescribed(inner, &format!("{path}/{name}"), found));
        }
        Value::Array(items) => items.iter().for_each(|inner| undescribed(inner, path, found)),
        _ => {}
    }
}

#[test]
fn every_member_is_described() {
    let mut found = Vec::new();
    undescribed(&schema(), "", &mut found);
    assert_eq!(found, [""; 0]);
}

const KEY: &str = "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const UUID: &str = "9b6bd6d2-529d-4890-a949-593b13800ad7";

fn is_valid(record: &Value) -> bool {
    jsonschema::draft202012::new(&schema()).unwrap().is_valid(record)
}

/// A request with all that a record may say of one.
fn request() -> Value {
    json!({
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "IAMUser", "principalId": "AIDACKCEVSQ6C2EXAMPLE", "arn": "arn:aws:iam::111122223333:user/Alice",
            "accountId": "111122223333", "accessKeyId": "AKIAIOSFODNN7EXAMPLE", "userName": "Alice"
        },
        "eventTime": "2026-11-23T18:22:41Z",
        "eventSource": "kms.amazonaws.com",
        "eventName": "ScheduleKeyDeletion",
        "awsRegion": "us-west-2",
        "sourceIPAddress": "192.0.2.10",
        "userAgent": "aws-sdk-rust/1.3.10",
        "requestParameters": {"keyId": "alias/orders", "encryptionContext": {"any": "pair"}},
        "responseElements": {"keyId": KEY, "deletionDate": "Nov 18, 2020, 1:29:18 AM"},
        "requestID": UUID,
        "eventID": UUID,
        "readOnly": false,
        "resources": [{"accountId": "111122223333", "type": "AWS::KMS::Key", "ARN": KEY}],
        "eventType": "AwsApiCall",
        "managementEvent": true,
        "recipientAccountId": "111122223333",
        "eventCategory": "Management",
        "tlsDetails": {"tlsVersion": "TLSv1.3", "cipherSuite": "TLS_AES_256_GCM_SHA384"},
        "additionalEventData": {
            "keyMaterialId": "ab".repeat(32),
            "gateway": {
                "reasons": [{"decision": "Allow", "action": "kms:ScheduleKeyDeletion", "layer": "identity"}],
                "generation": 1, "latencyMicros": 84, "sequence": 17, "previousHash": "cd".repeat(32)
            }
        }
    })
}

/// An event of the gateway's own, as the manual has them.
fn event(name: &str, gateway: &Value) -> Value {
    let mut event = request();
    for absent in ["requestID", "tlsDetails"] {
        event.as_object_mut().unwrap().remove(absent);
    }
    for (name, value) in [
        ("eventName", json!(name)),
        ("eventSource", json!("kmsgate")),
        ("eventType", json!("AwsServiceEvent")),
        ("userIdentity", json!({"accountId": "111122223333", "invokedBy": "kmsgate"})),
        ("sourceIPAddress", json!("kmsgate")),
        ("userAgent", json!("kmsgate")),
        ("requestParameters", Value::Null),
        ("responseElements", Value::Null),
        ("resources", json!([])),
        ("additionalEventData", json!({"gateway": gateway})),
    ] {
        event[name] = value;
    }
    event
}

fn checkpoint() -> Value {
    event(
        "AuditCheckpoint",
        &json!({
            "checkpoint": {
                "reason": "interval", "chain": UUID, "previous": {"sequence": 9, "hash": "ab".repeat(32)},
                "store": {"id": "01".repeat(16), "revision": 3}, "publicKey": "A".repeat(43) + "="
            },
            "sequence": 18, "previousHash": "cd".repeat(32), "signature": "A".repeat(86) + "=="
        }),
    )
}

fn repaired() -> Value {
    let text = json!({"bytes": 3, "text": "eyJh"});
    event("AuditLineRepaired", &json!({"repaired": text, "sequence": 18, "previousHash": "cd".repeat(32)}))
}

fn refusals() -> Value {
    let time = "2026-11-23T18:22:41Z";
    let refusals = json!({"from": time, "to": time, "count": 3, "byErrorCode": {"InvalidSignatureException": 3}});
    event("UnauthenticatedRefusals", &json!({"refusals": refusals}))
}

#[test]
fn each_kind_of_record_is_valid() {
    for record in [request(), checkpoint(), repaired(), refusals()] {
        assert!(is_valid(&record), "{record:#}");
    }
}

/// The record with the member at `pointer`, which is made if there is none, set to `value`; `None` takes it away.
fn with(mut record: Value, pointer: &str, value: Option<Value>) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = record.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value {
        Some(value) => drop(parent.insert(name.to_owned(), value)),
        None => drop(parent.remove(name).unwrap()),
    }
    record
}

#[test]
fn a_member_that_is_not_known_is_found_wherever_it_stands() {
    for parent in [
        "",
        "/userIdentity",
        "/tlsDetails",
        "/requestParameters",
        "/responseElements",
        "/additionalEventData",
        "/additionalEventData/gateway",
        "/additionalEventData/gateway/reasons/0",
        "/resources/0",
    ] {
        assert!(!is_valid(&with(request(), &format!("{parent}/unknown"), Some(json!("x")))), "{parent}");
    }
    for parent in ["", "/previous", "/store"] {
        let pointer = format!("/additionalEventData/gateway/checkpoint{parent}/unknown");
        assert!(!is_valid(&with(checkpoint(), &pointer, Some(json!(1)))), "{pointer}");
    }
    // What a client names its pairs is its own.
    assert!(is_valid(&with(request(), "/requestParameters/encryptionContext/unknown", Some(json!("x")))));
}

#[test]
fn what_no_record_may_have_is_found() {
    for member in NEVER {
        let pointer = format!("/requestParameters/{}", member.camel());
        assert!(!is_valid(&with(request(), &pointer, Some(json!("c2VjcmV0")))), "{pointer}");
    }
    for name in ["grantToken", "plaintext", "ciphertextBlob", "importToken"] {
        assert!(!is_valid(&with(request(), &format!("/responseElements/{name}"), Some(json!("c2VjcmV0")))), "{name}");
    }
}

#[test]
fn each_member_is_held_to_its_form() {
    for (pointer, value) in [
        ("/eventVersion", json!("1.12")),
        ("/eventTime", json!("2026-11-23T18:22:41.5Z")),
        ("/eventTime", json!("2026-13-23T18:22:41Z")),
        ("/eventName", json!("decrypt")),
        ("/eventID", json!("9B6BD6D2-529d-4890-a949-593b13800ad7")),
        ("/requestID", json!("a b")),
        ("/sourceIPAddress", json!("localhost")),
        ("/userAgent", json!("x".repeat(1025))),
        ("/readOnly", json!("false")),
        ("/recipientAccountId", json!("11112222333")),
        ("/resources/0/ARN", json!("alias/orders")),
        ("/resources/0/type", json!("AWS::KMS::Alias")),
        ("/userIdentity/type", json!("Root")),
        ("/userIdentity/arn", json!("arn:aws:iam::111122223333:role/Alice")),
        ("/userIdentity/accessKeyId", json!("short")),
        ("/responseElements/deletionDate", json!("2020-11-18T01:29:18Z")),
        ("/additionalEventData/keyMaterialId", json!("AB".repeat(32))),
        ("/additionalEventData/gateway/previousHash", json!("cd".repeat(31))),
        ("/additionalEventData/gateway/sequence", json!(0)),
        ("/additionalEventData/gateway/reasons/0/layer", json!("somebody")),
        ("/tlsDetails/tlsVersion", json!("TLSv1.1")),
    ] {
        assert!(!is_valid(&with(request(), pointer, Some(value.clone()))), "{pointer} {value}");
    }
}

#[test]
fn what_belongs_together_stands_together() {
    let gateway = |name: &str| format!("/additionalEventData/gateway/{name}");
    for absent in ["/requestID", "/userIdentity", "/additionalEventData"] {
        assert!(!is_valid(&with(request(), absent, None)), "{absent}");
    }
    for absent in ["sequence", "previousHash", "generation", "latencyMicros"] {
        assert!(!is_valid(&with(request(), &gateway(absent), None)), "{absent}");
    }
    let unchained = with(with(request(), &gateway("sequence"), None), &gateway("previousHash"), None);
    assert!(is_valid(&unchained), "the chain can be off");

    // A refusal has no elements, and neither has what only reads.
    let refused = with(request(), "/errorCode", Some(json!("AccessDenied")));
    assert!(!is_valid(&refused));
    let refused = with(refused, "/responseElements", Some(Value::Null));
    assert!(is_valid(&refused));
    assert!(is_valid(&with(refused, "/errorMessage", Some(json!("no")))));
    assert!(!is_valid(&with(request(), "/errorMessage", Some(json!("no")))));
    assert!(!is_valid(&with(request(), "/readOnly", Some(json!(true)))));

    for absent in ["checkpoint", "sequence", "previousHash", "signature"] {
        assert!(!is_valid(&with(checkpoint(), &gateway(absent), None)), "{absent}");
    }
    for (record, other) in [(request(), checkpoint()), (repaired(), checkpoint()), (checkpoint(), repaired())] {
        for name in ["signature", "checkpoint", "repaired"] {
            if let Some(value) = other.pointer(&gateway(name)).filter(|_| record.pointer(&gateway(name)).is_none()) {
                assert!(!is_valid(&with(record.clone(), &gateway(name), Some(value.clone()))), "{name} {record:#}");
            }
        }
    }
    assert!(!is_valid(&with(repaired(), &gateway("repaired"), None)));
    assert!(!is_valid(&with(refusals(), &gateway("refusals"), None)));
    assert!(!is_valid(&with(request(), "/eventSource", Some(json!("kmsgate")))));
    assert!(!is_valid(&with(checkpoint(), "/eventSource", Some(json!("kms.amazonaws.com")))));
    assert!(!is_valid(&with(checkpoint(), "/eventType", Some(json!("AwsApiCall")))));
    assert!(!is_valid(&with(checkpoint(), "/requestID", Some(json!(UUID)))));
}
