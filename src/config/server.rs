//! `[server]`: workers, time-outs and caps. Every wait has a bound and every buffer a cap.

use std::num::NonZeroUsize;
use std::time::Duration;

use crate::faults::Section;

/// A head is one packet or two; five seconds are for the slowest link and short for who sends a byte a second.
const HEAD_READ_TIMEOUT: Duration = Duration::from_secs(5);
/// The largest body is 1 MiB.
const BODY_READ_TIMEOUT: Duration = Duration::from_secs(10);
/// Longer than the 60 s after which SDKs drop idle connections, so that the client closes first.
const IDLE_TIMEOUT: Duration = Duration::from_mins(2);
/// The body's time and as much again for the rest.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// Half of Kubernetes' 30 s of grace: what follows (the last answers, changes and records) may take almost the rest.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(15);
/// At 20 µs each, under a tenth of a second of work for one core.
const MAX_IN_FLIGHT: usize = 4096;
/// Sixteen of the largest bodies, or 128 of the largest data-key calls.
const MAX_BODY_BYTES_HELD: usize = 16 * 1024 * 1024;
/// Each may hold some 80 KB while a part of a head is all that has come: 800 MB if all did it at once.
const MAX_CONNECTIONS: usize = 10_000;

/// The largest body of any operation: a cap below it would refuse what the operation allows.
const LARGEST_BODY: u64 = 1024 * 1024;
const MOST_WORKERS: u64 = 1024;
const MOST_IN_FLIGHT: u64 = 1_000_000;
const MOST_CONNECTIONS: u64 = 1_000_000;
const MOST_BYTES: u64 = 16 * 1024 * 1024 * 1024;
const TEN_MINUTES_MS: u64 = 600_000;
const ONE_HOUR_MS: u64 = 3_600_000;

/// Bounds of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Threads that serve connections; by default one for each core.
    pub workers: NonZeroUsize,
    /// A request's head, counted from its first byte.
    pub head_read_timeout: Duration,
    /// A request's body.
    pub body_read_timeout: Duration,
    /// A connection between two requests.
    pub idle_timeout: Duration,
    /// A whole call, from its head to its answer.
    pub request_timeout: Duration,
    /// From the signal until idle connections are closed.
    pub drain_timeout: Duration,
    /// Connections at once.
    pub max_connections: usize,
    /// Connections at once of one peer's network.
    pub max_connections_per_peer: usize,
    /// Requests at once.
    pub max_in_flight: usize,
    /// Requests at once of one peer's network.
    pub max_in_flight_per_peer: usize,
    /// Bytes of bodies at once.
    pub max_body_bytes_held: usize,
    /// Bytes of bodies at once of one peer's network.
    pub max_body_bytes_held_per_peer: usize,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            workers: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            head_read_timeout: HEAD_READ_TIMEOUT,
            body_read_timeout: BODY_READ_TIMEOUT,
            idle_timeout: IDLE_TIMEOUT,
            request_timeout: REQUEST_TIMEOUT,
            drain_timeout: DRAIN_TIMEOUT,
            max_connections: MAX_CONNECTIONS,
            max_connections_per_peer: quarter(MAX_CONNECTIONS),
            max_in_flight: MAX_IN_FLIGHT,
            max_in_flight_per_peer: quarter(MAX_IN_FLIGHT),
            max_body_bytes_held: MAX_BODY_BYTES_HELD,
            max_body_bytes_held_per_peer: quarter(MAX_BODY_BYTES_HELD),
        }
    }
}

pub(super) fn server(section: &Section<'_>) -> Server {
    let default = Server::default();
    let count = |key, range: std::ops::RangeInclusive<u64>, default: usize| {
        let given = section.get(key).and_then(|value| value.number(range));
        given.and_then(|number| usize::try_from(number).ok()).unwrap_or(default)
    };
    let millis = |key, longest: u64, default: Duration| {
        let given = section.get(key).and_then(|value| value.number(1..=longest));
        given.map_or(default, Duration::from_millis)
    };
    let max_connections = count("max_connections", 1..=MOST_CONNECTIONS, default.max_connections);
    let max_in_flight = count("max_in_flight", 1..=MOST_IN_FLIGHT, default.max_in_flight);
    let max_body_bytes_held = count("max_body_bytes_held", LARGEST_BODY..=MOST_BYTES, default.max_body_bytes_held);
    // A body of the largest size must fit.
    let bytes_per_peer = quarter(max_body_bytes_held).max(usize::try_from(LARGEST_BODY).unwrap_or(usize::MAX));
    let server = Server {
        workers: NonZeroUsize::new(count("workers", 1..=MOST_WORKERS, default.workers.get()))
            .unwrap_or(default.workers),
        head_read_timeout: millis("head_read_timeout_ms", TEN_MINUTES_MS, default.head_read_timeout),
        body_read_timeout: millis("body_read_timeout_ms", TEN_MINUTES_MS, default.body_read_timeout),
        idle_timeout: millis("idle_timeout_ms", ONE_HOUR_MS, default.idle_timeout),
        request_timeout: millis("request_timeout_ms", TEN_MINUTES_MS, default.request_timeout),
        drain_timeout: millis("drain_timeout_ms", TEN_MINUTES_MS, default.drain_timeout),
        max_connections,
        max_connections_per_peer: count("max_connections_per_peer", 1..=MOST_CONNECTIONS, quarter(max_connections)),
        max_in_flight,
        max_in_flight_per_peer: count("max_in_flight_per_peer", 1..=MOST_IN_FLIGHT, quarter(max_in_flight)),
        max_body_bytes_held,
        max_body_bytes_held_per_peer: count("max_body_bytes_held_per_peer", LARGEST_BODY..=MOST_BYTES, bytes_per_peer),
    };
    section.end();
    consistent(section, &server);
    server
}

/// What one peer may have of all: others are left with three times as much.
const fn quarter(all: usize) -> usize {
    all.div_ceil(4)
}

/// Settings that make no sense together.
fn consistent(section: &Section<'_>, server: &Server) {
    if server.request_timeout < server.body_read_timeout {
        section.fault(
            "request_timeout_ms",
            "is shorter than body_read_timeout_ms, so that one would never be reached",
            Some("raise request_timeout_ms or lower body_read_timeout_ms"),
        );
    }
    for (key, peer, all) in [
        ("max_connections_per_peer", server.max_connections_per_peer, server.max_connections),
        ("max_in_flight_per_peer", server.max_in_flight_per_peer, server.max_in_flight),
        ("max_body_bytes_held_per_peer", server.max_body_bytes_held_per_peer, server.max_body_bytes_held),
    ] {
        if peer > all {
            section.fault(key, format!("is {peer}, more than the {all} of all peers"), Some("lower it"));
        }
    }
}
