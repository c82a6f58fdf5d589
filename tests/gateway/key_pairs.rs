//! RSA key pairs take long: what becomes of them, and of others, when time is up, when clients go and when the program
//! ends.

use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Connection, Gateway, Refusal, Request, Site};

fn pair(gateway: &Gateway, key: &str) -> Request {
    let body = json!({"KeyId": key, "KeyPairSpec": "RSA_3072"});
    gateway.site.admin.request(&gateway.host(), "GenerateDataKeyPairWithoutPlaintext", &body)
}

#[test]
fn the_deadline_holds_for_key_pairs_and_each_is_recorded_once() {
    const CALLS: usize = 8;
    let site = Site::new().set("server.body_read_timeout_ms", 100).set("server.request_timeout_ms", 100);
    let mut gateway = site.start();
    let key = gateway.create_key();
    let mut connections: Vec<Connection> = (0..CALLS).map(|_| gateway.connect()).collect();
    for connection in &mut connections {
        connection.send(&pair(&gateway, &key).bytes());
    }
    let text = "the call took longer than the gateway allows";
    let mut late = 0;
    for connection in &mut connections {
        let answer = connection.answer();
        let record = gateway.record(&answer);
        if answer.status == 200 {
            assert_eq!(record["errorCode"], Value::Null);
        } else if answer.status == 400 {
            assert_eq!(answer.refused().code, "ThrottlingException");
            assert_eq!(record["errorCode"], "ThrottlingException");
        } else {
            assert_eq!(answer.refused(), Refusal::new(500, "DependencyTimeoutException", text));
            assert_eq!(record["errorCode"], "DependencyTimeoutException");
            late += 1;
        }
    }
    assert!(late > 0, "a tenth of a second is enough for eight RSA keys of 3,072 bits");
    gateway.signal("TERM");
    assert_eq!(gateway.ended().code(), Some(0), "{}", gateway.log());
    assert_eq!(gateway.records().len(), 1 + CALLS);
}

#[test]
fn a_key_pair_whose_client_has_gone_is_recorded_with_its_outcome() {
    let gateway = Site::new().start();
    let key = gateway.create_key();
    // How long the gateway takes to begin is not known.
    for (index, pause) in [50, 100, 200, 400].into_iter().enumerate() {
        let mut connection = gateway.connect();
        connection.send(&pair(&gateway, &key).bytes());
        sleep(Duration::from_millis(pause));
        drop(connection);
        let record = &gateway.records_when(index + 2, |_| true)[index + 1];
        assert_eq!(record["eventName"], "GenerateDataKeyPairWithoutPlaintext");
        if record["errorCode"].is_null() {
            assert!(record["additionalEventData"]["keyMaterialId"].is_string(), "{record}");
            return;
        }
        assert_eq!(record["errorCode"], "ClientDisconnected");
    }
    panic!("no key pair was begun: {:?}", gateway.records());
}

#[test]
fn a_key_pair_that_is_being_made_is_answered_before_the_end() {
    let mut gateway = Site::new().set("server.drain_timeout_ms", 20_000).start();
    let key = gateway.create_key();
    let mut connection = gateway.connect();
    connection.send(&pair(&gateway, &key).bytes());
    gateway.signal("TERM");
    let answer = connection.answer();
    assert_eq!(answer.granted()["KeyPairSpec"], "RSA_3072");
    assert_eq!(answer.header("connection"), Some("close"));
    connection.closed();
    assert_eq!(gateway.ended().code(), Some(0), "{}", gateway.log());
    assert_eq!(gateway.records().len(), 2);
}
