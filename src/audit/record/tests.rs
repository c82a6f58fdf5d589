//! Records as they come out of the writer, against the shapes of reference/audit-and-limits.md, section 1.6.

use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, LazyLock, Mutex};
use std::thread;
use std::time::Duration;

use http::HeaderValue;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::audit::{Arrived, Draft, RECORD_SCHEMA, Reason, Recorder, TlsDetails, Writer, user_identity};
use crate::clock::{Clock, ManualClock};

const KEY: &str = "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const REQUEST_ID: &str = "52fb127b-0fe5-42bb-8e5e-f560febde6b0";

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Fixture {
    lines: Lines,
    clock: ManualClock,
    recorder: Arc<Recorder>,
}

impl Fixture {
    fn new() -> Self {
        let clock = ManualClock::new(Timestamp::parse_basic("20261123T182241Z").unwrap());
        let lines = Lines::default();
        let (own, account) = ("us-west-2".parse().unwrap(), "111122223333".parse().unwrap());
        let mut regions = Regions::new(own);
        regions.add("eu-west-1".parse().unwrap()).unwrap();
        let writer = Arc::new(Writer::inline(lines.clone()));
        let recorder = Arc::new(Recorder::new(writer, Clock::Manual(clock.clone()), &regions, account));
        Self { lines, clock, recorder }
    }

    fn arrived(&self) -> Arrived<'static> {
        Arrived {
            request_id: REQUEST_ID,
            at: Clock::Manual(self.clock.clone()).now(),
            peer: Ipv4Addr::new(192, 0, 2, 10).into(),
            tls: Some(Arc::new(TlsDetails {
                version: "TLSv1.3",
                cipher_suite: "TLS_AES_256_GCM_SHA384",
                key_exchange: Some("X25519MLKEM768"),
            })),
            host: Some(HeaderValue::from_static("kms.us-west-2.amazonaws.com")),
            user_agent: Some(HeaderValue::from_static("aws-sdk-rust/1.3.10 os/linux lang/rust/1.91.0")),
            generation: 3,
        }
    }

    fn open(&self) -> Draft {
        self.recorder.open(self.arrived()).unwrap()
    }

    /// Each of them as the schema has it.
    fn records(&self) -> Vec<Value> {
        let records = self.whatever_they_say();
        records.iter().for_each(assert_valid);
        records
    }

    fn whatever_they_say(&self) -> Vec<Value> {
        let text = String::from_utf8(self.lines.0.lock().unwrap().clone()).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'));
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The one record there is.
    fn record(&self) -> Value {
        let records = self.records();
        assert_eq!(records.len(), 1);
        records.into_iter().next().unwrap()
    }
}

pub(in crate::audit) fn assert_valid(record: &Value) {
    static SCHEMA: LazyLock<jsonschema::Validator> =
        LazyLock::new(|| jsonschema::draft202012::new(&serde_json::from_str(RECORD_SCHEMA).unwrap()).unwrap());
    let faults: Vec<_> =
        SCHEMA.iter_errors(record).map(|fault| format!("{}: {fault}", fault.instance_path())).collect();
    assert!(faults.is_empty(), "{faults:#?}\n{record:#}");
}

/// A data-key request of the reference's role session, up to its outcome.
fn data_key_request(draft: &Draft) {
    let session = "arn:aws:sts::111122223333:assumed-role/orders/orders-7c9f";
    let created = Timestamp::parse_basic("20261123T170001Z");
    draft.operation("GenerateDataKeyWithoutPlaintext", true);
    draft.authenticated(user_identity(session, "AROAEXAMPLEID", "ASIAEXAMPLEKEYID0001", created));
    let parameters = r#"{"keyId":"alias/orders","keySpec":"AES_256","encryptionContext":{"Project":"Alpha"}}"#;
    draft.request_parameters(parameters.to_owned());
    draft.resource(KEY);
}

#[test]
fn a_data_key_request_is_recorded_in_the_shape_of_cloudtrail() {
    let fixture = Fixture::new();
    let draft = fixture.open();
    data_key_request(&draft);
    draft.reason(Reason {
        decision: "Allow",
        action: "kms:GenerateDataKeyWithoutPlaintext",
        layer: "identity",
        policy: Some("orders".into()),
        statement: Some("DataKeys".into()),
        key_statement: Some("Delegate".into()),
        ..Reason::default()
    });
    draft.additional("keyMaterialId", "0b7fd7ddbac6eef27907413567cad8c810e2883dc8a7534067a82ee1142fc1e6");
    draft.succeeded();
    fixture.clock.set(draft_time().plus(Duration::from_micros(84)));
    drop(draft);

    let mut record = fixture.record();
    let event_id = record.as_object_mut().unwrap().remove("eventID").unwrap();
    assert_eq!(event_id.as_str().unwrap().len(), 36);
    let expected = json!({
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "AssumedRole",
            "principalId": "AROAEXAMPLEID:orders-7c9f",
            "arn": "arn:aws:sts::111122223333:assumed-role/orders/orders-7c9f",
            "accountId": "111122223333",
            "accessKeyId": "ASIAEXAMPLEKEYID0001",
            "sessionContext": {
                "sessionIssuer": {
                    "type": "Role", "principalId": "AROAEXAMPLEID", "arn": "arn:aws:iam::111122223333:role/orders",
                    "accountId": "111122223333", "userName": "orders"
                },
                "attributes": {"creationDate": "2026-11-23T17:00:01Z", "mfaAuthenticated": "false"}
            }
        },
        "eventTime": "2026-11-23T18:22:41Z",
        "eventSource": "kms.amazonaws.com",
        "eventName": "GenerateDataKeyWithoutPlaintext",
        "awsRegion": "us-west-2",
        "sourceIPAddress": "192.0.2.10",
        "userAgent": "aws-sdk-rust/1.3.10 os/linux lang/rust/1.91.0",
        "requestParameters": {
            "keyId": "alias/orders", "keySpec": "AES_256", "encryptionContext": {"Project": "Alpha"}
        },
        "responseElements": null,
        "additionalEventData": {
            "keyMaterialId": "0b7fd7ddbac6eef27907413567cad8c810e2883dc8a7534067a82ee1142fc1e6",
            "gateway": {
                "reasons": [{"decision": "Allow", "action": "kms:GenerateDataKeyWithoutPlaintext", "layer": "identity",
                    "policy": "orders", "statement": "DataKeys", "keyStatement": "Delegate"}],
                "generation": 3,
                "latencyMicros": 84
            }
        },
        "requestID": REQUEST_ID,
        "readOnly": true,
        "resources": [{"accountId": "111122223333", "type": "AWS::KMS::Key", "ARN": KEY}],
        "eventType": "AwsApiCall",
        "managementEvent": true,
        "recipientAccountId": "111122223333",
        "eventCategory": "Management",
        "tlsDetails": {
            "tlsVersion": "TLSv1.3",
            "cipherSuite": "TLS_AES_256_GCM_SHA384",
            "clientProvidedHostHeader": "kms.us-west-2.amazonaws.com",
            "keyExchange": "X25519MLKEM768"
        }
    });
    assert_eq!(record, expected);
}

fn draft_time() -> Timestamp {
    Timestamp::parse_basic("20261123T182241Z").unwrap()
}

#[test]
fn the_members_stand_in_the_order_of_cloudtrail_but_for_what_the_chain_follows() {
    let fixture = Fixture::new();
    let draft = fixture.open();
    data_key_request(&draft);
    draft.failed("AccessDenied", Some("no"));
    drop(draft);
    let text = String::from_utf8(fixture.lines.0.lock().unwrap().clone()).unwrap();
    let order = [
        "eventVersion",
        "userIdentity",
        "eventTime",
        "eventSource",
        "eventName",
        "awsRegion",
        "sourceIPAddress",
        "userAgent",
        "errorCode",
        "errorMessage",
        "requestParameters",
        "responseElements",
        "requestID",
        "eventID",
        "readOnly",
        "resources",
        "eventType",
        "managementEvent",
        "recipientAccountId",
        "eventCategory",
        "tlsDetails",
        "additionalEventData",
        "gateway",
    ];
    let places: Vec<usize> = order.iter().map(|name| text.find(&format!("\"{name}\":")).expect(name)).collect();
    assert!(places.is_sorted(), "{text}");
}

#[test]
fn a_refusal_has_its_code_and_message_and_the_operator_detail_apart_from_the_message() {
    let fixture = Fixture::new();
    let draft = fixture.open();
    data_key_request(&draft);
    draft.reason(Reason { decision: "ImplicitDeny", action: "kms:Decrypt", layer: "identity", ..Reason::default() });
    draft.response_elements(r#"{"never":"shown"}"#.to_owned());
    draft.detail("no statement matched");
    draft.failed("AccessDenied", Some("User: … is not authorized"));
    drop(draft);
    let record = fixture.record();
    assert_eq!(record["errorCode"], "AccessDenied");
    assert_eq!(record["errorMessage"], "User: … is not authorized");
    assert_eq!(record["responseElements"], Value::Null);
    let gateway = &record["additionalEventData"]["gateway"];
    assert_eq!(gateway["reasons"], json!([{"decision": "ImplicitDeny", "action": "kms:Decrypt", "layer": "identity"}]));
    assert_eq!(gateway["detail"], "no statement matched");
}

#[test]
fn a_throttled_request_names_the_limiter() {
    let fixture = Fixture::new();
    let draft = fixture.open();
    draft.limiter("principal");
    draft.failed("ThrottlingException", Some("Rate exceeded"));
    drop(draft);
    let record = fixture.record();
    assert_eq!(record["errorCode"], "ThrottlingException");
    assert_eq!(record["additionalEventData"]["gateway"]["limiter"], "principal");
}

#[test]
fn whoever_is_not_authenticated_is_recorded_as_unknown() {
    let fixture = Fixture::new();
    let draft = fixture.open();
    draft.failed("MissingAuthenticationTokenException", None);
    drop(draft);
    let draft = fixture.open();
    draft.operation("Decrypt", true);
    draft.unproven(Some("AKIAIOSFODNN7EXAMPLE"));
    draft.failed("UnrecognizedClientException", Some("The security token included in the request is invalid."));
    drop(draft);
    let [nobody, claimed] = &fixture.records()[..] else { panic!("two records") };
    assert_eq!(nobody["userIdentity"], json!({"type": "Unknown"}));
    assert_eq!(nobody["eventName"], "UnknownOperation");
    assert_eq!(nobody["resources"], json!([]));
    assert_eq!(nobody["requestParameters"], Value::Null);
    assert!(nobody.get("errorMessage").is_none());
    assert_eq!(claimed["userIdentity"], json!({"type": "Unknown", "accessKeyId": "AKIAIOSFODNN7EXAMPLE"}));
}

#[test]
fn a_client_that_hangs_up_is_recorded_when_the_last_owner_ends() {
    let fixture = Fixture::new();
    let draft = fixture.open();
    let other = draft.clone();
    drop(draft);
    assert!(fixture.records().is_empty(), "somebody still works on it");
    thread::spawn(move || drop(other)).join().unwrap();
    assert_eq!(fixture.record()["errorCode"], "ClientDisconnected");
}

#[test]
fn an_operation_that_outlives_its_client_is_recorded_with_its_outcome() {
    let fixture = Fixture::new();
    let draft = fixture.open();
    draft.operation("CreateKey", false);
    let detached = draft.clone();
    drop(draft);
    detached.response_elements(format!(r#"{{"keyMetadata":{{"arn":"{KEY}"}}}}"#));
    detached.succeeded();
    drop(detached);
    let record = fixture.record();
    assert!(record.get("errorCode").is_none());
    assert_eq!(record["readOnly"], false);
    assert_eq!(record["responseElements"]["keyMetadata"]["arn"], KEY);
}

#[tokio::test]
async fn a_record_that_is_finished_is_written_before_its_ticket_resolves_and_never_again() {
    let fixture = Fixture::new();
    let draft = fixture.open();
    draft.succeeded();
    let ticket = draft.finish().unwrap();
    assert!(fixture.records().is_empty());
    assert_eq!(ticket.await, Ok(()));
    assert_eq!(fixture.records().len(), 1);
    assert!(draft.clone().finish().is_none());
    draft.failed("KMSInternalException", None);
    drop(draft);
    assert_eq!(fixture.records().len(), 1);
}

#[test]
fn a_fact_is_set_once() {
    let fixture = Fixture::new();
    let draft = fixture.open();
    draft.operation("Encrypt", true);
    draft.operation("CreateKey", false);
    draft.failed("NotFoundException", Some("first"));
    draft.succeeded();
    drop(draft);
    let record = fixture.record();
    assert_eq!((&record["eventName"], &record["errorMessage"]), (&json!("Encrypt"), &json!("first")));
}

#[test]
fn both_keys_and_both_reasons_of_a_re_encryption_are_recorded() {
    let fixture = Fixture::new();
    let draft = fixture.open();
    let alias = "arn:aws:kms:us-west-2:444455556666:alias/orders";
    draft.resource(KEY);
    draft.resource(alias);
    for policy in ["from", "to"] {
        draft.reason(Reason {
            decision: "Allow",
            action: "kms:ReEncryptTo",
            layer: "identity",
            policy: Some(policy.into()),
            statement: Some("0".into()),
            ..Reason::default()
        });
    }
    draft.additional("sourceKeyMaterialId", &*"aa".repeat(32));
    draft.additional("destinationKeyMaterialId", &*"bb".repeat(32));
    drop(draft);
    let record = fixture.record();
    assert_eq!(record["resources"][0]["ARN"], KEY);
    let other = json!({"accountId": "444455556666", "type": "AWS::KMS::Alias", "ARN": alias});
    assert_eq!(record["resources"][1], other);
    assert_eq!(record["additionalEventData"]["sourceKeyMaterialId"], "aa".repeat(32));
    assert_eq!(record["additionalEventData"]["destinationKeyMaterialId"], "bb".repeat(32));
    assert_eq!(record["additionalEventData"]["gateway"]["reasons"][1]["policy"], "to");
}

#[test]
fn what_is_too_long_is_cut_or_left_out() {
    let fixture = Fixture::new();
    let mut arrived = fixture.arrived();
    arrived.user_agent = Some(HeaderValue::from_str(&"u".repeat(5000)).unwrap());
    let draft = fixture.recorder.open(arrived).unwrap();
    draft.request_parameters(format!(r#"{{"policy":"{}"}}"#, "p".repeat(OBJECT_CAP)));
    draft.failed("ValidationException", Some(&"m".repeat(5000)));
    drop(draft);
    let record = fixture.record();
    assert_eq!(record["userAgent"].as_str().unwrap().len(), 1024);
    assert_eq!(record["errorMessage"].as_str().unwrap().len(), 1024);
    assert_eq!(record["requestParameters"], json!({"omitted": true, "originalSize": OBJECT_CAP + 13}));
}

#[test]
fn addresses_are_written_as_they_are_read() {
    let cases = [
        ("::ffff:192.0.2.10", "192.0.2.10"),
        ("2001:db8::1", "2001:db8::1"),
        ("255.255.255.255", "255.255.255.255"),
        ("0.0.0.0", "0.0.0.0"),
    ];
    for (peer, expected) in cases {
        let fixture = Fixture::new();
        let mut arrived = fixture.arrived();
        arrived.peer = peer.parse().unwrap();
        drop(fixture.recorder.open(arrived).unwrap());
        assert_eq!(fixture.record()["sourceIPAddress"], expected);
    }
}

#[test]
fn the_console_gets_a_readable_line_of_each_record() {
    let (log, console) = (Lines::default(), Lines::default());
    let recorder = Recorder::new(
        Arc::new(Writer::inline(log)),
        Clock::System,
        &Regions::new("us-west-2".parse().unwrap()),
        "111122223333".parse().unwrap(),
    );
    let recorder = Arc::new(recorder.with_console(Writer::of_texts(console.clone())));
    let draft = recorder.open(Fixture::new().arrived()).unwrap();
    data_key_request(&draft);
    draft.succeeded();
    drop(draft);
    let text = String::from_utf8(console.0.lock().unwrap().clone()).unwrap();
    assert!(text.starts_with("18:22:41  GenerateDataKeyWithoutPlaintext  alias/orders  assumed-role/orders"), "{text}");
    assert!(text.contains("allowed") && text.ends_with("µs\n"), "{text}");
}

proptest! {
    #[test]
    fn whatever_the_facts_are_the_record_is_one_line_of_json(
        texts in prop::collection::vec(any::<String>(), 6),
        agent in prop::collection::vec(prop_oneof![Just(9_u8), 32..=126_u8, 128..=255_u8], 0..60),
        peer in any::<std::net::IpAddr>(),
        present in any::<[bool; 6]>(),
    ) {
        let fixture = Fixture::new();
        let mut arrived = fixture.arrived();
        let [message, arn, policy, detail, context, code] = &texts[..] else { panic!("six texts") };
        arrived.user_agent = present[0].then(|| HeaderValue::from_bytes(&agent).unwrap());
        arrived.tls = arrived.tls.filter(|_| present[1]);
        arrived.peer = peer;
        let draft = fixture.recorder.open(arrived).unwrap();
        if present[2] {
            draft.authenticated(user_identity(arn, policy, detail, None));
            draft.resource(arn.as_str());
            draft.resource(policy.as_str());
        }
        if present[3] {
            let statement = present[0].then(|| arn.as_str().into());
            draft.reason(Reason { decision: "Allow", policy: Some(policy.as_str().into()), statement, ..Reason::default() });
            draft.additional("grantId", context.as_str());
            draft.detail(detail.as_str());
        }
        if present[4] {
            draft.request_parameters(serde_json::to_string_pretty(&json!({"encryptionContext": {context: arn}})).unwrap());
        }
        if present[5] {
            draft.failed(code.clone(), Some(message));
        }
        drop(draft);
        // Facts that no request has make a record that its schema does not have.
        let [record] = &fixture.whatever_they_say()[..] else { panic!("one record") };
        if present[5] {
            prop_assert!(message.starts_with(record["errorMessage"].as_str().unwrap()));
        }
        if present[4] {
            prop_assert_eq!(&record["requestParameters"]["encryptionContext"][context], arn);
        }
    }
}
