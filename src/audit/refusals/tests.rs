use std::io;
use std::net::Ipv4Addr;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use governor::clock::FakeRelativeClock;
use http::HeaderValue;
use serde_json::{Value, json};

use super::*;
use crate::audit::{Arrived, Draft, Durability, MainSink, Recorder, TlsDetails, Trail, Writer, user_identity};
use crate::aws::Regions;
use crate::clock::{self, ManualClock};

const FORGED: &str = "SignatureDoesNotMatch";

fn time(text: &str) -> Timestamp {
    Timestamp::parse_basic(text).unwrap()
}

fn refusal(code: &'static str) -> Refusal {
    Refusal { code: code.into(), peer: Ipv4Addr::new(192, 0, 2, 10).into(), at: time("20261123T182241Z") }
}

fn refusals(per_second: u32) -> (FakeRelativeClock, Refusals<FakeRelativeClock>) {
    let clock = FakeRelativeClock::default();
    (clock.clone(), Refusals::with_clock(NonZeroU32::new(per_second).unwrap(), clock))
}

/// How many of `all` refusals have a record of their own, if each is written at once.
fn recorded<C: Clock>(refusals: &Refusals<C>, all: usize) -> usize {
    (0..all).filter(|_| !refusals.is_summed(refusal(FORGED), u64::MAX)).count()
}

fn member(sum: &Sum) -> Value {
    let mut text = b"{".to_vec();
    sum.render(&mut text);
    text.push(b'}');
    serde_json::from_slice::<Value>(&text).unwrap()["refusals"].take()
}

#[test]
fn within_the_rate_each_refusal_has_a_record_and_beyond_it_is_counted() {
    let (clock, refusals) = refusals(10);
    assert_eq!(recorded(&refusals, 1_000), 100);
    assert_eq!(refusals.hand_over(|sum| sum.count), Some(900));
    for second in 0..5 {
        clock.advance(Duration::from_secs(1));
        assert_eq!(recorded(&refusals, 1_000), 10, "{second}");
        assert_eq!(refusals.hand_over(|sum| sum.count), Some(990), "{second}");
    }
    clock.advance(Duration::from_mins(1));
    assert_eq!(recorded(&refusals, 101), 100, "a pause is made up for up to the burst");
}

#[test]
fn what_was_counted_is_handed_over_once() {
    let (_, refusals) = refusals(1);
    assert!(!refusals.has_sum() && refusals.hand_over(|_| ()).is_none());
    recorded(&refusals, 11);
    assert!(refusals.has_sum());
    assert_eq!(refusals.hand_over(|sum| sum.count), Some(1));
    assert!(!refusals.has_sum() && refusals.hand_over(|_| ()).is_none());
}

#[test]
fn a_sum_says_when_how_many_why_and_from_where() {
    let (_, refusals) = refusals(1);
    recorded(&refusals, 10);
    for (code, peer, at) in [
        (FORGED, "192.0.2.7", "20261123T182242Z"),
        ("UnrecognizedClientException", "2001:db8::1", "20261123T182241Z"),
        (FORGED, "192.0.2.7", "20261123T182243Z"),
    ] {
        let refusal = Refusal { code: code.into(), peer: peer.parse().unwrap(), at: time(at) };
        assert!(refusals.is_summed(refusal, u64::MAX));
    }
    let expected = json!({
        "from": "2026-11-23T18:22:41Z",
        "to": "2026-11-23T18:22:43Z",
        "count": 3,
        "byErrorCode": {"SignatureDoesNotMatch": 2, "UnrecognizedClientException": 1},
        "topSources": [{"address": "192.0.2.7", "count": 2}, {"address": "2001:db8::/64", "count": 1}],
    });
    assert_eq!(refusals.hand_over(member), Some(expected));
}

#[test]
fn however_many_codes_there_are_few_are_told_apart_and_all_are_counted() {
    let (_, refusals) = refusals(1);
    recorded(&refusals, 10);
    for number in 0..100 {
        let code = format!("Code{number}").into();
        assert!(refusals.is_summed(Refusal { code, ..refusal("") }, u64::MAX));
    }
    let sum = refusals.hand_over(member).unwrap();
    let by_code = sum["byErrorCode"].as_object().unwrap();
    assert_eq!((by_code.len(), &by_code["Other"]), (33, &json!(68)));
    assert_eq!(by_code.values().map(|count| count.as_u64().unwrap()).sum::<u64>(), 100);
}

#[test]
fn no_more_records_than_the_reserve_has_wait_to_be_written_whatever_the_rate() {
    let (_, refusals) = refusals(10_000);
    let queued = |numbers: std::ops::RangeInclusive<u64>, written| {
        for number in numbers {
            assert!(!refusals.is_summed(refusal(FORGED), written));
            refusals.queued(number);
        }
    };
    queued(1..=256, 0);
    assert!(refusals.is_summed(refusal(FORGED), 0));
    // Of those that wait, three are written meanwhile.
    queued(257..=259, 3);
    assert!(refusals.is_summed(refusal(FORGED), 3));
    queued(260..=515, 259);
    assert!(refusals.is_summed(refusal(FORGED), 259));
}

/// A sink that takes nothing until it is opened.
struct Gate {
    opened: Receiver<()>,
    taken: Arc<Mutex<Vec<u8>>>,
}

impl io::Write for Gate {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // It is opened when the sender is gone.
        let _ = self.opened.recv();
        self.taken.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Fixture {
    recorder: Arc<Recorder>,
    taken: Arc<Mutex<Vec<u8>>>,
    gate: Option<Sender<()>>,
}

impl Fixture {
    /// A recorder with a closed gate before its sink.
    fn gated(per_second: u32) -> Self {
        let ((gate, opened), taken) = (mpsc::channel(), Arc::default());
        let writer = Arc::new(
            Writer::open(Trail {
                main: MainSink::Stream(Box::new(Gate { opened, taken: Arc::clone(&taken) })),
                durability: Durability::Written,
                chain: None,
                seconds: Vec::new(),
                clock: clock::Clock::System,
            })
            .unwrap(),
        );
        let clock = clock::Clock::Manual(ManualClock::new(time("20261123T182241Z")));
        let (regions, account) = (Regions::new("us-west-2".parse().unwrap()), "111122223333".parse().unwrap());
        let recorder = Recorder::new(writer, clock, &regions, account);
        let recorder = recorder.with_unauthenticated_per_second(NonZeroU32::new(per_second).unwrap());
        Self { recorder: Arc::new(recorder), taken, gate: Some(gate) }
    }

    fn open() -> Self {
        let mut fixture = Self::gated(1);
        fixture.gate = None;
        fixture
    }

    /// The draft of a request with all that a client can put into it before it is authenticated.
    fn draft(&self) -> Draft {
        let longest = || Some(HeaderValue::from_bytes(&[0xff; 2_000]).unwrap());
        let tls = TlsDetails {
            version: "TLSv1.3",
            cipher_suite: "TLS_AES_256_GCM_SHA384",
            key_exchange: Some("X25519MLKEM768"),
        };
        let draft = self.recorder.open(Arrived {
            request_id: "52fb127b-0fe5-42bb-8e5e-f560febde6b0",
            at: time("20261123T182241Z"),
            peer: "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff".parse().unwrap(),
            tls: Some(Arc::new(tls)),
            host: longest(),
            user_agent: longest(),
            generation: 1,
        });
        let draft = draft.unwrap();
        draft.operation("GenerateDataKeyPairWithoutPlaintext", true);
        draft
    }

    fn forged(&self) {
        let (draft, quotes) = (self.draft(), "\"".repeat(2_000));
        draft.unproven(Some(&quotes));
        draft.detail(quotes.as_str());
        draft.failed(FORGED, Some(&quotes));
    }

    fn denied(&self) {
        let draft = self.draft();
        draft.authenticated(user_identity("arn:aws:iam::111122223333:user/app", "AIDAEXAMPLE", "AKIAEXAMPLE", None));
        draft.failed("AccessDenied", None);
    }

    /// Every record, when all are written.
    fn records(mut self) -> Vec<Value> {
        self.gate = None;
        self.recorder.writer().drain(Duration::from_secs(20)).unwrap();
        let text = self.taken.lock().unwrap();
        let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
    }
}

fn count(records: &[Value], code: &str) -> usize {
    records.iter().filter(|record| record["errorCode"] == code).count()
}

fn summed(records: &[Value]) -> u64 {
    let counts = records.iter().filter(|record| record["eventName"] == "UnauthenticatedRefusals");
    counts.map(|record| record["additionalEventData"]["gateway"]["refusals"]["count"].as_u64().unwrap()).sum()
}

#[test]
fn a_sum_is_recorded_in_the_shape_of_a_service_event_and_ends_within_what_the_gateway_adds() {
    let fixture = Fixture::open();
    fixture.recorder.sum_up();
    for _ in 0..30 {
        fixture.forged();
    }
    assert!(fixture.recorder.has_sum());
    fixture.recorder.sum_up();
    let taken = Arc::clone(&fixture.taken);
    let mut records = fixture.records();
    let mut record = records.pop().unwrap();
    assert_eq!(count(&records, FORGED), records.len(), "what was counted before was nothing, and is no record");
    let last = 30 - records.len();
    let event_id = record.as_object_mut().unwrap().remove("eventID").unwrap();
    assert_eq!(event_id.as_str().unwrap().len(), 36);
    let expected = json!({
        "eventVersion": "1.11",
        "userIdentity": {"accountId": "111122223333", "invokedBy": "kmsgate"},
        "eventTime": "2026-11-23T18:22:41Z",
        "eventSource": "kmsgate",
        "eventName": "UnauthenticatedRefusals",
        "awsRegion": "us-west-2",
        "sourceIPAddress": "kmsgate",
        "userAgent": "kmsgate",
        "requestParameters": null,
        "responseElements": null,
        "readOnly": true,
        "resources": [],
        "eventType": "AwsServiceEvent",
        "managementEvent": true,
        "recipientAccountId": "111122223333",
        "eventCategory": "Management",
        "additionalEventData": {
            "gateway": {
                "refusals": {
                    "from": "2026-11-23T18:22:41Z",
                    "to": "2026-11-23T18:22:41Z",
                    "count": last,
                    "byErrorCode": {FORGED: last},
                    "topSources": [{"address": "2001:db8:aaaa:bbbb::/64", "count": last}],
                },
            },
        },
    });
    assert_eq!(record, expected);
    assert!(taken.lock().unwrap().ends_with(b"}]}}}}\n"), "the chain follows `refusals` in `gateway`");
}

#[test]
fn what_an_authenticated_request_comes_to_is_never_counted() {
    let fixture = Fixture::open();
    for _ in 0..500 {
        fixture.denied();
        fixture.forged();
    }
    // The client has gone after it was authenticated, and before anything was known.
    let draft = fixture.draft();
    draft.authenticated("{}".into());
    drop(draft);
    drop(fixture.draft());
    fixture.recorder.sum_up();
    let records = fixture.records();
    assert_eq!(count(&records, "AccessDenied"), 500);
    assert_eq!(count(&records, "ClientDisconnected"), 1);
    assert!(summed(&records) > 0);
    assert_eq!(count(&records, FORGED) as u64 + summed(&records), 501);
}

#[test]
fn while_nothing_is_written_a_flood_leaves_the_places_of_those_who_are_authenticated() {
    let fixture = Fixture::gated(10_000);
    // Twice what the writer lets wait, if each were recorded.
    for number in 0..20_000 {
        fixture.forged();
        if number % 100 == 0 {
            fixture.denied();
        }
    }
    let place = fixture.recorder.writer().reserve();
    assert!(place.is_ok(), "{place:?}");
    fixture.recorder.sum_up();
    let records = fixture.records();
    assert_eq!(count(&records, "AccessDenied"), 200);
    assert_eq!((count(&records, FORGED), summed(&records)), (256, 20_000 - 256));
}

#[test]
fn the_longest_record_of_the_unauthenticated_is_within_what_the_reserve_reckons_with() {
    let fixture = Fixture::open();
    fixture.forged();
    let taken = Arc::clone(&fixture.taken);
    fixture.records();
    let length = taken.lock().unwrap().len();
    assert!((10 * 1024..=16 * 1024).contains(&length), "{length}");
}

#[test]
fn whoever_sums_up_while_others_count_loses_nothing() {
    const EACH: usize = 2_000;
    let fixture = Fixture::open();
    thread::scope(|scope| {
        let counting = [(); 3].map(|()| scope.spawn(|| (0..EACH).for_each(|_| fixture.forged())));
        while counting.iter().any(|thread| !thread.is_finished()) {
            fixture.recorder.sum_up();
        }
    });
    fixture.recorder.sum_up();
    let records = fixture.records();
    assert_eq!(count(&records, FORGED) as u64 + summed(&records), 3 * EACH as u64);
}
