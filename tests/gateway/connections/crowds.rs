//! More connections than may be open: what is over is closed at once, and nobody else is any the worse for it.

use std::net::TcpStream;

use super::random;
use crate::harness::{Connection, Gateway, Site, eventually, now};

/// Whether a connection from this peer is let in.
fn let_in(gateway: &Gateway, peer: u8) -> Option<Connection> {
    let mut connection = Connection::from_peer(peer, gateway.address);
    connection.try_exchange(&random(gateway, 8)).map(|answer| {
        answer.granted();
        connection
    })
}

#[test]
fn a_peer_with_as_many_connections_as_it_may_have_does_not_shut_out_others() {
    let began = now();
    let gateway = Site::new().set("server.max_connections", 3).set("server.max_connections_per_peer", 2).start();
    let mut held = [(); 2].map(|()| let_in(&gateway, 2).unwrap());
    for _ in 0..20 {
        Connection::from_peer(2, gateway.address).closed();
    }
    let _other = let_in(&gateway, 3).unwrap();
    Connection::from_peer(4, gateway.address).closed();
    for connection in &mut held {
        connection.exchange(&random(&gateway, 8)).granted();
    }
    // A place is given back by whoever leaves.
    drop(held);
    let _another = eventually("a place", || let_in(&gateway, 4));
    let log = gateway.log();
    let warnings = log.matches("connections are refused").count();
    assert!(log.contains("server.max_connections_per_peer"), "{log}");
    assert!(u64::try_from(warnings).unwrap() <= 1 + began.elapsed().as_secs(), "{log}");
}

#[test]
fn the_limit_of_file_descriptors_is_raised_as_far_as_it_may() {
    let gateway = Gateway::serve_limited(Site::new(), "ulimit -Sn 64");
    let silent: Vec<_> = (0..100).map(|_| gateway.connect()).collect();
    gateway.connect().exchange(&random(&gateway, 8)).granted();
    drop(silent);
}

#[test]
fn the_last_file_descriptors_are_not_for_clients() {
    let gateway = Gateway::serve_limited(Site::new(), "ulimit -n 100");
    assert!(gateway.log().contains("fewer connections are let in"), "{}", gateway.log());
    // The kernel makes each connection, whatever becomes of it.
    let silent: Vec<_> = (0..110).map(|_| TcpStream::connect(gateway.address).unwrap()).collect();
    Connection::from_peer(2, gateway.address).closed();
    assert_eq!(gateway.probe("/livez").0, 200);
    assert_eq!(gateway.probe("/readyz").0, 200);
    drop(silent);
    eventually("a place", || let_in(&gateway, 1));
}
