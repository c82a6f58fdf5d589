//! Slows the answers to a peer whose requests keep failing authentication.
//!
//! The first failures are free: clocks drift and keys are rotated. Then each further one doubles the delay of
//! its own answer, up to a cap, and time forgives. Only failed answers are delayed: a request that verifies
//! never asks here, so nobody can lock out a workload that shares an address with them.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::{Clock, Timestamp};
use crate::network::Network;

/// Failures that cost no delay.
const FREE: u32 = 5;
/// The delay of the first failure that is not free.
const FIRST_DELAY: Duration = Duration::from_millis(50);
/// The longest delay: shorter than any client's time-out, and what a connection under attack is held for.
const LONGEST_DELAY: Duration = Duration::from_secs(2);
/// How long it takes until one failure is forgiven.
const FORGIVENESS: Duration = Duration::from_secs(10);
/// Beyond this many failures the delay is the longest anyhow, and forgiveness should not take forever.
const MOST_FAILURES: u32 = 30;
/// How many peers each of the two generations of the table holds, at some 40 bytes each.
const PEERS: usize = 4096;

/// The failures of each peer's network.
pub struct PeerPenalty {
    clock: Clock,
    peers: usize,
    table: Mutex<Table>,
}

/// Two generations: when the new one is full, the old one is dropped and the new one is the old. Who fails
/// again moves to the new one, so a flood of addresses drives out only those that have paused.
#[derive(Default)]
struct Table {
    new: HashMap<Network, Entry>,
    old: HashMap<Network, Entry>,
}

#[derive(Clone, Copy)]
struct Entry {
    failures: u32,
    since: Timestamp,
}

impl PeerPenalty {
    /// Nobody has failed yet.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, peers: PEERS, table: Mutex::default() }
    }

    /// Counts a failure of `peer` and says for how long to hold back its answer.
    #[must_use]
    pub fn failed(&self, peer: IpAddr) -> Duration {
        let (now, network) = (self.clock.now(), Network::of(peer));
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let before = table.new.get(&network).or_else(|| table.old.get(&network)).copied();
        let entry = before.map_or(Entry { failures: 1, since: now }, |entry| entry.failed_again(now));
        if table.new.len() >= self.peers && !table.new.contains_key(&network) {
            table.old = std::mem::take(&mut table.new);
        }
        table.new.insert(network, entry);
        delay(entry.failures)
    }

    /// How many peers are remembered.
    #[must_use]
    pub fn remembered(&self) -> usize {
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.new.len() + table.old.len()
    }
}

impl fmt::Debug for PeerPenalty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerPenalty").field("remembered", &self.remembered()).finish_non_exhaustive()
    }
}

impl Entry {
    fn failed_again(self, now: Timestamp) -> Self {
        let forgiven = now.since(self.since).as_micros() / FORGIVENESS.as_micros();
        let forgiven = u32::try_from(forgiven).unwrap_or(u32::MAX);
        let failures = self.failures.saturating_sub(forgiven).saturating_add(1).min(MOST_FAILURES);
        // What has passed of the next stretch counts on.
        let since = if forgiven >= self.failures { now } else { self.since.plus(FORGIVENESS * forgiven) };
        Self { failures, since: since.min(now) }
    }
}

fn delay(failures: u32) -> Duration {
    match failures.checked_sub(FREE + 1) {
        None => Duration::ZERO,
        Some(doublings) => FIRST_DELAY.saturating_mul(2_u32.saturating_pow(doublings)).min(LONGEST_DELAY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    const START: Timestamp = Timestamp::from_unix_seconds(1_000_000);

    fn penalty() -> (ManualClock, PeerPenalty) {
        let clock = ManualClock::new(START);
        (clock.clone(), PeerPenalty::new(Clock::Manual(clock)))
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_first_failures_are_free_and_then_the_delay_doubles_up_to_its_cap() {
        let (_, penalty) = penalty();
        let millis: Vec<_> = (0..13).map(|_| penalty.failed(ip("192.0.2.1")).as_millis()).collect();
        assert_eq!(millis, [0, 0, 0, 0, 0, 50, 100, 200, 400, 800, 1600, 2000, 2000]);
        assert_eq!(penalty.failed(ip("192.0.2.2")), Duration::ZERO);
    }

    #[test]
    fn an_ipv6_network_is_one_peer_and_a_mapped_ipv4_address_is_that_address() {
        let (_, penalty) = penalty();
        for host in 0..6 {
            let _ = penalty.failed(ip(&format!("2001:db8:0:1:{host}::1")));
        }
        assert!(penalty.failed(ip("2001:db8:0:1::ffff")) > Duration::ZERO);
        assert_eq!(penalty.failed(ip("2001:db8:0:2::1")), Duration::ZERO);
        for _ in 0..6 {
            let _ = penalty.failed(ip("::ffff:192.0.2.1"));
        }
        assert!(penalty.failed(ip("192.0.2.1")) > Duration::ZERO);
    }

    #[test]
    fn time_forgives() {
        let (clock, penalty) = penalty();
        for _ in 0..1000 {
            let _ = penalty.failed(ip("192.0.2.1"));
        }
        assert_eq!(penalty.failed(ip("192.0.2.1")), LONGEST_DELAY);
        clock.set(START.plus(FORGIVENESS * MOST_FAILURES));
        assert_eq!(penalty.failed(ip("192.0.2.1")), Duration::ZERO);
    }

    #[test]
    fn one_who_fails_no_more_often_than_is_forgiven_is_never_delayed() {
        let (clock, penalty) = penalty();
        for failure in 0..100 {
            clock.set(START.plus(FORGIVENESS * failure));
            assert_eq!(penalty.failed(ip("192.0.2.1")), Duration::ZERO);
        }
    }

    #[test]
    fn a_clock_that_is_set_back_neither_forgives_nor_fails() {
        let (clock, penalty) = penalty();
        for _ in 0..6 {
            let _ = penalty.failed(ip("192.0.2.1"));
        }
        clock.set(START.minus(Duration::from_hours(1)));
        assert!(penalty.failed(ip("192.0.2.1")) > Duration::ZERO);
        // From now on time is counted on the new clock.
        clock.set(START.minus(Duration::from_hours(1)).plus(FORGIVENESS * MOST_FAILURES));
        assert_eq!(penalty.failed(ip("192.0.2.1")), Duration::ZERO);
    }

    #[test]
    fn the_table_is_bounded_and_a_flood_of_addresses_hides_nobody_who_goes_on() {
        let (_, mut penalty) = penalty();
        penalty.peers = 10;
        let attacker = ip("192.0.2.1");
        let mut last = Duration::ZERO;
        for host in 0..1000_u32 {
            let _ = penalty.failed(IpAddr::V4((0x0a00_0000 + host).into()));
            last = penalty.failed(attacker);
            assert!(penalty.remembered() <= 20);
        }
        assert_eq!(last, LONGEST_DELAY);
    }
}
