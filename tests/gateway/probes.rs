//! The probe listener: what it answers, and that nobody can take it for good.

use crate::harness::{Connection, Gateway, Site};

/// More than the listener serves at once.
const CROWD: usize = 65;
const PROBE: &[u8] = b"GET /livez HTTP/1.1\r\nHost: probe\r\n\r\n";

fn crowd(gateway: &Gateway) -> Vec<Connection> {
    (0..CROWD).map(|_| Connection::open(gateway.admin_address)).collect()
}

#[test]
fn a_connection_is_for_one_probe() {
    let gateway = Site::new().start();
    let mut connection = Connection::open(gateway.admin_address);
    connection.send(&PROBE.repeat(3));
    assert_eq!(connection.answer().status, 200);
    connection.closed();
}

#[test]
fn a_crowd_that_says_nothing_keeps_no_probe_waiting() {
    let gateway = Site::new().start();
    let silent = crowd(&gateway);
    assert_eq!(gateway.probe("/livez").0, 200);
    drop(silent);
}

#[test]
fn a_crowd_that_reads_nothing_keeps_no_probe_waiting() {
    let gateway = Site::new().start();
    let mut deaf = crowd(&gateway);
    for connection in &mut deaf {
        connection.send(&PROBE.repeat(100));
    }
    assert_eq!(gateway.probe("/livez").0, 200);
    drop(deaf);
}
