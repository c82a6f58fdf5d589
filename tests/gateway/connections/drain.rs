//! The end of a gateway: every request that it has taken is answered, and the program says so by its exit code.

use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use serde_json::json;

use super::random;
use crate::harness::{Connection, Gateway, Site, eventually, now};

/// Waits until the gateway says that it drains.
fn draining(gateway: &Gateway) {
    eventually("readiness to fail", || {
        let (status, text) = gateway.probe("/readyz");
        (status == 503).then(|| assert!(text.contains("draining"), "{text}"))
    });
    assert_eq!(gateway.probe("/livez").0, 200);
}

#[test]
fn a_drain_answers_what_was_taken_and_sends_clients_elsewhere() {
    let mut gateway = Site::new().set("server.drain_timeout_ms", 20_000).start();
    assert_eq!(gateway.probe("/readyz"), (200, "ok\n".to_owned()));
    let request = random(&gateway, 8);
    let mut taken = gateway.connect();
    taken.begin(&request);
    let mut idle = gateway.connect();
    assert_eq!(idle.exchange(&request).header("connection"), None);
    gateway.signal("TERM");
    draining(&gateway);
    eventually("new connections to be refused", || TcpStream::connect(gateway.address).is_err().then_some(()));
    taken.send(&request.body);
    // A client that was just about to send on an idle connection is served once more.
    for answer in [taken.answer(), idle.exchange(&request)] {
        answer.granted();
        assert_eq!(answer.header("connection"), Some("close"));
    }
    taken.closed();
    idle.closed();
    assert_eq!(gateway.ended().code(), Some(0), "{}", gateway.log());
    assert_eq!(gateway.records().len(), 3);
}

#[test]
fn a_drain_under_load_cuts_no_request() {
    const CLIENTS: usize = 8;
    let mut gateway = Site::new().set("server.drain_timeout_ms", 20_000).start();
    let request = random(&gateway, 8);
    let answered: usize = thread::scope(|scope| {
        let client = || {
            let mut connection = gateway.connect();
            let mut answered = 0;
            // Fails if there is no whole answer.
            loop {
                let answer = connection.exchange(&request);
                answer.granted();
                answered += 1;
                if answer.header("connection") == Some("close") {
                    connection.closed();
                    return answered;
                }
            }
        };
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        eventually("some load", || (gateway.records().len() > 200).then_some(()));
        gateway.signal("TERM");
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    });
    assert_eq!(gateway.ended().code(), Some(0), "{}", gateway.log());
    assert_eq!(gateway.records().len(), answered, "each answer has its record");
}

/// The kernel accepts connections before the program does, and clients send at once.
#[test]
fn a_connection_that_was_made_before_the_signal_is_served() {
    // More than a listener's usual queue, and no more than the gateway's.
    const MADE: usize = 300;
    let mut gateway = Site::new().set("server.drain_timeout_ms", 20_000).start();
    let request = random(&gateway, 8);
    gateway.connect().exchange(&request).granted();
    gateway.signal("STOP");
    let mut made: Vec<_> = (0..MADE).map(|_| gateway.connect()).collect();
    for connection in &mut made {
        connection.send(&request.bytes());
    }
    gateway.signal("TERM");
    gateway.signal("CONT");
    for mut connection in made {
        connection.answer().granted();
    }
    assert_eq!(gateway.ended().code(), Some(0), "{}", gateway.log());
}

#[test]
fn idle_connections_are_closed_at_the_end_of_a_drain() {
    let mut gateway = Site::new().set("server.drain_timeout_ms", 300).start();
    let mut fresh = gateway.connect();
    // Each of many is told of the drain and of its end, however these races go.
    let mut used: Vec<_> = (0..40).map(|_| gateway.connect()).collect();
    for connection in &mut used {
        connection.exchange(&random(&gateway, 8)).granted();
    }
    gateway.signal("INT");
    fresh.closed();
    used.iter_mut().for_each(Connection::closed);
    assert_eq!(gateway.ended().code(), Some(0), "{}", gateway.log());
    assert!(!gateway.log().contains("did not end in time"), "{}", gateway.log());
}

#[test]
fn a_second_signal_ends_the_drain() {
    let mut gateway = Site::new().set("server.drain_timeout_ms", 600_000).start();
    let mut idle = gateway.connect();
    idle.exchange(&random(&gateway, 8)).granted();
    gateway.signal("TERM");
    draining(&gateway);
    let began = now();
    gateway.signal("TERM");
    idle.closed();
    assert_eq!(gateway.ended().code(), Some(0), "{}", gateway.log());
    assert!(began.elapsed() < Duration::from_secs(15));
}

#[test]
fn a_change_that_was_answered_before_the_end_is_there_afterwards() {
    let mut gateway = Site::new().start();
    let made: Vec<_> = (0..3).map(|_| gateway.create_key()).collect();
    gateway.signal("TERM");
    assert_eq!(gateway.ended().code(), Some(0), "{}", gateway.log());
    let gateway = gateway.kill().start();
    for arn in made {
        gateway.call(&gateway.site.admin, "DescribeKey", &json!({"KeyId": arn})).granted();
    }
}

#[test]
fn a_request_that_is_cut_at_the_end_is_recorded() {
    let mut gateway = Site::new().start();
    let request = random(&gateway, 8);
    let mut cut = gateway.connect();
    // Its body does not come.
    cut.begin(&request);
    gateway.signal("TERM");
    draining(&gateway);
    gateway.signal("TERM");
    cut.closed();
    assert_eq!(gateway.ended().code(), Some(0), "{}", gateway.log());
    let records = gateway.records();
    assert_eq!(records.len(), 1, "{records:?}");
    assert_eq!(records[0]["eventName"], "GenerateRandom");
    // Nobody is blamed for what the gateway's end did.
    assert_eq!(records[0]["errorCode"], "ClientDisconnected");
    assert_eq!(records[0]["errorMessage"], "the connection ended before the request was answered");
}

#[test]
fn a_daemon_outlives_a_hang_up() {
    let mut gateway = Site::new().start();
    gateway.signal("HUP");
    eventually("a word about it", || gateway.log().contains("SIGHUP").then_some(()));
    gateway.connect().exchange(&random(&gateway, 8)).granted();
    gateway.signal("TERM");
    assert_eq!(gateway.ended().code(), Some(0), "{}", gateway.log());
}
