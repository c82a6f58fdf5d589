//! Connections: slow ones and idle ones, many requests on one, clients that hang up, and more than the gateway may hold.

mod crowds;
mod drain;

use std::io::ErrorKind;
use std::net::TcpListener;
use std::thread::sleep;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::harness::{Connection, Gateway, Request, Site, eventually, now, run};

fn random(gateway: &Gateway, bytes: usize) -> Request {
    gateway.site.admin.request(&gateway.host(), "GenerateRandom", &json!({"NumberOfBytes": bytes}))
}

/// A request whose body has no announced length: as many bytes are set aside for it as it may have.
fn unannounced(gateway: &Gateway) -> Request {
    random(gateway, 8).chunked(64)
}

#[test]
fn a_head_that_comes_slowly_is_not_waited_for() {
    let gateway = Site::new().set("server.head_read_timeout_ms", 300).start();
    let mut after_a_request = gateway.connect();
    after_a_request.exchange(&random(&gateway, 8)).granted();
    for mut connection in [gateway.connect(), after_a_request] {
        let recorded = gateway.records().len();
        let began = now();
        // Each byte comes in time; all of them would take ten seconds.
        for byte in random(&gateway, 8).head().chunks(1) {
            if connection.try_send(byte).is_err() {
                break;
            }
            sleep(Duration::from_millis(20));
        }
        connection.closed();
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        assert_eq!(gateway.records().len(), recorded, "it was no request yet");
    }
}

#[test]
fn an_idle_connection_stays_longer_than_a_head_may_take() {
    let gateway = Site::new().set("server.head_read_timeout_ms", 200).start();
    let mut connection = gateway.connect();
    for _ in 0..3 {
        sleep(Duration::from_millis(600));
        connection.exchange(&random(&gateway, 8)).granted();
    }
}

#[test]
fn an_idle_connection_is_closed_after_its_time() {
    let gateway = Site::new().set("server.idle_timeout_ms", 300).start();
    gateway.connect().closed();
    let mut connection = gateway.connect();
    connection.exchange(&random(&gateway, 8)).granted();
    connection.closed();
    // Time spent on a request is not idle.
    let mut connection = gateway.connect();
    let request = random(&gateway, 8);
    connection.begin(&request);
    sleep(Duration::from_millis(900));
    connection.send(&request.body);
    connection.answer().granted();
}

#[test]
fn a_connection_serves_one_request_after_the_other_until_it_is_told_to_close() {
    let gateway = Site::new().start();
    let mut connection = gateway.connect();
    let mut ids = Vec::new();
    for _ in 0..100 {
        let answer = connection.exchange(&random(&gateway, 8));
        answer.granted();
        assert_eq!(answer.header("connection"), None);
        ids.push(answer.request_id().to_owned());
    }
    connection.exchange(&random(&gateway, 8).add("connection", "close")).granted();
    connection.closed();
    let records = gateway.records();
    assert_eq!(records.len(), 101);
    for (id, record) in ids.iter().zip(&records) {
        assert_eq!(record["requestID"], *id, "recorded in the order answered");
    }
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let gateway = Site::new().start();
    let mut connection = gateway.connect();
    let lengths: Vec<usize> = (1..=50).collect();
    let requests = lengths.iter().map(|length| match length % 7 {
        0 => random(&gateway, *length).forged().bytes(),
        _ => random(&gateway, *length).bytes(),
    });
    connection.send(&requests.collect::<Vec<_>>().concat());
    for length in lengths {
        let answer = connection.answer();
        gateway.record(&answer);
        if length % 7 == 0 {
            assert_eq!(answer.refused().code, "InvalidSignatureException");
        } else {
            let plaintext = answer.granted()["Plaintext"].as_str().unwrap().to_owned();
            assert_eq!(BASE64_STANDARD.decode(plaintext).unwrap().len(), length);
        }
    }
}

#[test]
fn a_client_that_hangs_up_before_its_answer_is_recorded_once() {
    let gateway = Site::new().set("limits.principal", "{ per_second = 1, burst = 1, max_wait_ms = 1000 }").start();
    gateway.connect().exchange(&random(&gateway, 8)).granted();
    // The next one waits for its turn, and its client does not; how long the gateway takes to get there is not known.
    for (index, pause) in [50, 100, 200, 400, 800].into_iter().enumerate() {
        let mut connection = gateway.connect();
        connection.send(&random(&gateway, 8).bytes());
        sleep(Duration::from_millis(pause));
        drop(connection);
        let records = gateway.records_when(index + 2, |_| true);
        let record = &records[index + 1];
        assert_eq!(record["errorCode"], "ClientDisconnected");
        if record["userIdentity"]["arn"].is_string() {
            assert_eq!(record["userIdentity"]["arn"], gateway.site.admin.arn);
            assert_eq!(record["requestParameters"], json!({"numberOfBytes": 8}));
            return;
        }
    }
    panic!("no request came as far as its quota: {:?}", gateway.records());
}

#[test]
fn a_client_that_hangs_up_within_its_body_is_recorded_once() {
    let gateway = Site::new().start();
    for (index, sent) in [0, 5].into_iter().enumerate() {
        let request = random(&gateway, 8);
        let mut connection = gateway.connect();
        connection.begin(&request);
        connection.send(&request.body[..sent]);
        drop(connection);
        let records = gateway.records_when(index + 1, |_| true);
        let record = &records[index];
        assert!(record["errorCode"].is_string(), "{record}");
        assert_eq!(record["eventName"], "GenerateRandom");
        // Nobody knows who it was: the signature could not be verified.
        assert_eq!(record["userIdentity"]["arn"], Value::Null);
    }
    gateway.connect().exchange(&random(&gateway, 8)).granted();
}

/// A client that is gone before its request was authenticated has asked for nothing; from then on it has.
#[test]
fn a_change_that_was_begun_is_carried_out_without_its_client_and_recorded_with_its_outcome() {
    const CHANGES: usize = 150;
    let gateway = Site::new().start();
    let unanswered: Vec<String> = (0..CHANGES)
        .filter_map(|index| {
            let description = format!("key {index}");
            let body = json!({"Description": description});
            let mut connection = gateway.connect();
            connection.send(&gateway.site.admin.request(&gateway.host(), "CreateKey", &body).bytes());
            sleep(Duration::from_micros(100 * (index as u64 % 15)));
            // Bytes that came and were not read say that it was answered.
            let mut byte = [0];
            let socket = connection.sender();
            socket.set_nonblocking(true).unwrap();
            socket.peek(&mut byte).is_err().then_some(description)
        })
        .collect();
    let records = gateway.records_when(CHANGES, |record| record["eventName"] == "CreateKey");
    let mut made = Vec::new();
    let mut made_alone = 0;
    for record in &records {
        if record["errorCode"] == "ClientDisconnected" {
            assert_eq!((&record["responseElements"], &record["resources"]), (&Value::Null, &json!([])));
            continue;
        }
        assert_eq!(record["errorCode"], Value::Null, "{record}");
        let metadata = &record["responseElements"]["keyMetadata"];
        assert_eq!(record["resources"][0]["ARN"], metadata["arn"]);
        made_alone += usize::from(unanswered.iter().any(|description| metadata["description"] == *description));
        made.push(metadata["arn"].as_str().unwrap().to_owned());
    }
    assert!(made_alone > 0, "no client was quick enough to prove anything");
    let listed = gateway.call(&gateway.site.admin, "ListKeys", &json!({"Limit": 1000})).granted();
    let mut listed: Vec<_> =
        listed["Keys"].as_array().unwrap().iter().map(|key| key["KeyArn"].as_str().unwrap().to_owned()).collect();
    listed.sort_unstable();
    made.sort_unstable();
    assert_eq!(listed, made);
}

#[test]
fn a_port_that_is_taken_is_named_and_ends_the_start() {
    let gateway = Site::new().start();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let others = other.local_addr().unwrap();
    for (key, taken) in [("listen.address", gateway.address), ("listen.address", others), ("admin.address", others)] {
        let site = Site::new().set(key, format!("'{taken}'"));
        let config = site.write();
        let run = run(&["serve", "--config", config.to_str().unwrap()], &site.path(""));
        assert_eq!(run.code, Some(1), "{run:?}");
        assert!(run.err.contains(&format!("cannot listen on {taken}")), "{run:?}");
        assert!(run.err.contains("another kmsgate"), "{run:?}");
    }
    gateway.connect().exchange(&random(&gateway, 8)).granted();
}

fn overloaded() -> (u16, &'static str) {
    (503, "ServiceUnavailableException")
}

#[test]
fn more_requests_than_may_be_in_flight_are_refused_and_not_recorded() {
    let gateway = Site::new().set("server.max_in_flight", 1).start();
    let request = random(&gateway, 8);
    let mut held = gateway.connect();
    held.begin(&request);
    let mut connection = gateway.connect();
    for _ in 0..3 {
        assert_eq!(connection.exchange(&request).refused().kind(), overloaded());
    }
    held.send(&request.body);
    held.answer().granted();
    connection.exchange(&random(&gateway, 8)).granted();
    // One that hangs up gives its place back too.
    held.begin(&request);
    drop(held);
    gateway.records_when(3, |_| true);
    let mut next = gateway.connect();
    next.begin(&request);
    assert_eq!(gateway.records().len(), 3, "what was shed is counted, not recorded");
}

#[test]
fn a_peer_with_as_much_in_flight_as_it_may_have_does_not_shut_out_others() {
    let gateway = Site::new().set("server.max_in_flight", 4).set("server.max_in_flight_per_peer", 1).start();
    let request = random(&gateway, 8);
    Connection::from_peer(2, gateway.address).exchange(&request).granted();
    let mut held = Connection::from_peer(2, gateway.address);
    held.begin(&request);
    assert_eq!(Connection::from_peer(2, gateway.address).exchange(&request).refused().kind(), overloaded());
    Connection::from_peer(3, gateway.address).exchange(&request).granted();
}

#[test]
fn a_peer_that_sends_heads_and_no_bodies_takes_half_of_its_places() {
    let gateway = Site::new().set("server.max_in_flight", 16).set("server.max_in_flight_per_peer", 4).start();
    let request = random(&gateway, 8);
    let mut held: Vec<_> = (0..2).map(|_| Connection::from_peer(2, gateway.address)).collect();
    for connection in &mut held {
        connection.begin(&request);
    }
    let mut third = Connection::from_peer(2, gateway.address);
    third.send(&request.head());
    assert_eq!(third.answer().refused().kind(), overloaded());
    // What comes whole finds a place, and so does the head of another.
    Connection::from_peer(2, gateway.address).exchange(&request).granted();
    Connection::from_peer(3, gateway.address).begin(&request);
}

#[test]
fn more_bytes_of_bodies_than_may_be_held_are_refused() {
    let gateway = Site::new()
        .set("server.max_body_bytes_held", 2 * 1024 * 1024)
        .set("server.max_body_bytes_held_per_peer", 1024 * 1024)
        .start();
    // 120 KiB of a body that is longer: eight are what one peer may have, and twelve what all may have in large ones.
    let piece = [format!("{:x}\r\n", 120 * 1024).as_bytes(), &b" ".repeat(120 * 1024)].concat();
    let hold = |peer| {
        let mut connection = Connection::from_peer(peer, gateway.address);
        connection.begin(&unannounced(&gateway));
        connection.send(&piece);
        connection
    };
    let large = "{".to_owned() + &" ".repeat(100 * 1024);
    let refused = |peer| {
        eventually("a refusal for want of room", || {
            let request = gateway.site.admin.raw(&gateway.host(), "GenerateRandom", large.as_bytes());
            let answer = Connection::from_peer(peer, gateway.address).exchange(&request);
            (answer.status == 503).then_some(answer)
        })
    };
    let first: Vec<_> = (0..8).map(|_| hold(2)).collect();
    let answer = refused(2);
    assert_eq!(answer.refused().kind(), overloaded());
    let second: Vec<_> = (0..4).map(|_| hold(3)).collect();
    assert_eq!(refused(4).refused().kind(), overloaded());
    // A small one finds room, and a large one when the others have gone.
    Connection::from_peer(4, gateway.address).exchange(&random(&gateway, 8)).granted();
    drop((first, second));
    eventually("room again", || {
        let request = gateway.site.admin.raw(&gateway.host(), "GenerateRandom", large.as_bytes());
        let answer = Connection::from_peer(4, gateway.address).exchange(&request);
        (answer.status == 400).then_some(())
    });
}

#[test]
fn a_call_that_takes_too_long_is_ended() {
    let gateway = Site::new()
        .set("server.request_timeout_ms", 400)
        .set("server.body_read_timeout_ms", 400)
        .set("limits.principal", "{ per_second = 1, burst = 1, max_wait_ms = 1000 }")
        .start();
    let mut connection = gateway.connect();
    connection.exchange(&random(&gateway, 8)).granted();
    let answer = connection.exchange(&random(&gateway, 8));
    // The gateway's own text: KMS has no such deadline.
    assert_eq!(answer.refused().kind(), (500, "DependencyTimeoutException"));
    assert_eq!(gateway.record(&answer)["errorCode"], "DependencyTimeoutException");
}

#[test]
fn a_client_that_reads_nothing_holds_nobody_up_and_is_let_go() {
    let gateway = Site::new().set("server.workers", 1).start();
    let mut deaf = gateway.connect();
    let key = gateway.create_key();
    let sealed = json!({"KeyId": key, "NumberOfBytes": 1024});
    let request = gateway.site.admin.request(&gateway.host(), "GenerateDataKey", &sealed).bytes();
    // Until neither the gateway nor the kernel takes any more.
    let _ = deaf.sender().set_nonblocking(true);
    while deaf.try_send(&request).is_ok() {}
    gateway.connect().exchange(&random(&gateway, 8)).granted();
    assert!(matches!(gateway.probe("/readyz"), (200, _)));
    let let_go = |error: std::io::Error| (error.kind() != ErrorKind::WouldBlock).then_some(());
    eventually("the end of the connection", || deaf.try_send(&request).err().and_then(let_go));
}
