//! Caps what the gateway holds at once: requests, and bytes of their bodies, in all and for each peer.
//!
//! A connection takes its peer's account once, before its first request; a request then only counts in it, with
//! no lock and no look-up.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::network::Network;

/// A body of this many bytes is one of the many: a data-key call with an encryption context.
const SMALL_BODY: usize = 8 * 1024;

/// How much may be in flight at once.
#[derive(Debug, Clone, Copy)]
pub struct InFlightCaps {
    /// Requests of all peers together.
    pub requests: usize,
    /// Requests of one peer's network.
    pub requests_per_peer: usize,
    /// Bytes of bodies of all peers together.
    pub body_bytes: usize,
    /// Bytes of bodies of one peer's network.
    pub body_bytes_per_peer: usize,
}

/// More is in flight than may be; names what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too much is in flight: {0}")]
pub struct Overloaded(pub &'static str);

/// What is in flight now, shared by all workers.
#[derive(Debug)]
pub struct InFlight {
    caps: InFlightCaps,
    total: Usage,
    peers: Mutex<HashMap<Network, Weak<PeerAccount>>>,
    /// Requests that were refused.
    refused: AtomicU64,
}

#[derive(Debug, Default)]
struct Usage {
    requests: AtomicUsize,
    /// Those whose bodies have not come yet.
    awaited: AtomicUsize,
    body_bytes: AtomicUsize,
}

/// What one peer's network has in flight; shared by its connections and gone with the last of them.
#[derive(Debug)]
pub struct PeerAccount {
    all: Arc<InFlight>,
    usage: Usage,
    network: Network,
}

impl InFlight {
    /// Nothing is in flight yet.
    #[must_use]
    pub fn new(caps: InFlightCaps) -> Self {
        Self { caps, total: Usage::default(), peers: Mutex::default(), refused: AtomicU64::new(0) }
    }

    /// Requests in flight now.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.total.requests.load(Ordering::Relaxed)
    }

    /// Requests refused because too much was in flight, since the start.
    #[must_use]
    pub fn shed(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// The account of a connection from `address`.
    #[must_use]
    pub fn account(self: &Arc<Self>, address: IpAddr) -> Arc<PeerAccount> {
        let network = Network::of(address);
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = peers.get(&network).and_then(Weak::upgrade) {
            return account;
        }
        let account = Arc::new(PeerAccount { all: Arc::clone(self), usage: Usage::default(), network });
        peers.insert(network, Arc::downgrade(&account));
        account
    }
}

impl PeerAccount {
    /// Takes a place for one request, until it is dropped.
    ///
    /// # Errors
    ///
    /// [`Overloaded`] when the peer or all peers together have as many requests in flight as they may.
    pub fn admit(self: &Arc<Self>) -> Result<RequestPlace, Overloaded> {
        // Counted first and judged afterwards: the place gives back what it took when it is dropped.
        let place = RequestPlace { account: Arc::clone(self) };
        let in_all = self.all.total.requests.fetch_add(1, Ordering::Relaxed) < self.all.caps.requests;
        let of_peer = self.usage.requests.fetch_add(1, Ordering::Relaxed) < self.all.caps.requests_per_peer;
        if in_all && of_peer {
            return Ok(place);
        }
        Err(self.all.refuse("requests"))
    }

    /// A reservation for the body of a request, of which nothing has come yet.
    #[must_use]
    pub fn reservation(self: &Arc<Self>) -> BodyReservation {
        BodyReservation { account: Arc::clone(self), bytes: 0 }
    }

    /// Takes a place among the requests whose bodies have not come yet, until it is dropped.
    ///
    /// At most half of the requests that the peer and all may have in flight may be such: who sends heads and no bodies
    /// leaves room for those whose requests come whole.
    ///
    /// # Errors
    ///
    /// [`Overloaded`] when there are as many as there may be.
    pub fn await_body(self: &Arc<Self>) -> Result<AwaitedBody, Overloaded> {
        let awaited = AwaitedBody { account: Arc::clone(self) };
        let InFlightCaps { requests, requests_per_peer, .. } = self.all.caps;
        let in_all = self.all.total.awaited.fetch_add(1, Ordering::Relaxed) < requests.div_ceil(2);
        let of_peer = self.usage.awaited.fetch_add(1, Ordering::Relaxed) < requests_per_peer.div_ceil(2);
        if in_all && of_peer {
            return Ok(awaited);
        }
        Err(self.all.refuse("requests without a body"))
    }
}

impl InFlight {
    fn refuse(&self, what: &'static str) -> Overloaded {
        let refused = self.refused.fetch_add(1, Ordering::Relaxed) + 1;
        // Few lines, however many are refused.
        if refused.is_power_of_two() {
            tracing::warn!(refused, "requests are refused: too much is in flight ({what})");
        }
        Overloaded(what)
    }
}

/// One request whose body has not come yet.
#[derive(Debug)]
pub struct AwaitedBody {
    account: Arc<PeerAccount>,
}

impl Drop for AwaitedBody {
    fn drop(&mut self) {
        self.account.all.total.awaited.fetch_sub(1, Ordering::Relaxed);
        self.account.usage.awaited.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for PeerAccount {
    fn drop(&mut self) {
        let mut peers = self.all.peers.lock().unwrap_or_else(PoisonError::into_inner);
        // A new account of the same network may stand there already; it stays.
        if peers.get(&self.network).is_some_and(|account| account.strong_count() == 0) {
            peers.remove(&self.network);
        }
    }
}

/// One request's place; gives it back when dropped.
#[derive(Debug)]
pub struct RequestPlace {
    account: Arc<PeerAccount>,
}

impl Drop for RequestPlace {
    fn drop(&mut self) {
        self.account.all.total.requests.fetch_sub(1, Ordering::Relaxed);
        self.account.usage.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Bytes of a body; gives them back when dropped.
#[derive(Debug)]
pub struct BodyReservation {
    account: Arc<PeerAccount>,
    bytes: usize,
}

impl BodyReservation {
    /// Takes `more` bytes, which have come.
    ///
    /// What a request announces is charged to nobody: it may announce what it never sends. A body of more than
    /// 8 KiB may not take the last quarter of what all may hold, so that large ones leave room for the
    /// data-key calls.
    ///
    /// # Errors
    ///
    /// [`Overloaded`] when that many are not left.
    pub fn grow(&mut self, more: usize) -> Result<(), Overloaded> {
        self.bytes += more;
        let InFlightCaps { body_bytes, body_bytes_per_peer, .. } = self.account.all.caps;
        let in_all = if self.bytes > SMALL_BODY { body_bytes - body_bytes / 4 } else { body_bytes };
        let fits = |usage: &Usage, cap| usage.body_bytes.fetch_add(more, Ordering::Relaxed) + more <= cap;
        let (in_all, of_peer) = (fits(&self.account.all.total, in_all), fits(&self.account.usage, body_bytes_per_peer));
        if in_all && of_peer { Ok(()) } else { Err(self.account.all.refuse("body bytes")) }
    }
}

impl Drop for BodyReservation {
    fn drop(&mut self) {
        self.account.all.total.body_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.account.usage.body_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPS: InFlightCaps =
        InFlightCaps { requests: 3, requests_per_peer: 2, body_bytes: 100, body_bytes_per_peer: 60 };

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([127, 0, 0, last])
    }

    #[test]
    fn a_peer_over_its_cap_is_refused_while_others_are_not() {
        let all = Arc::new(InFlight::new(CAPS));
        let (one, two, three) = (all.account(ip(1)), all.account(ip(2)), all.account(ip(3)));
        let places = (one.admit().unwrap(), all.account(ip(1)).admit().unwrap());
        assert!(one.admit().is_err());
        let other = two.admit().unwrap();
        assert!(three.admit().is_err(), "three are in flight in all");
        drop(places);
        assert!(one.admit().is_ok());
        drop(other);
        assert_eq!((all.requests(), all.shed()), (0, 2));
    }

    #[test]
    fn an_ipv6_network_is_one_peer() {
        let all = Arc::new(InFlight::new(CAPS));
        let account = |text: &str| all.account(text.parse().unwrap());
        let places = ["2001:db8:0:1::1", "2001:db8:0:1:ffff::2"].map(|address| account(address).admit().unwrap());
        assert!(account("2001:db8:0:1::3").admit().is_err());
        assert!(account("2001:db8:0:2::1").admit().is_ok());
        drop(places);
    }

    #[test]
    fn a_peer_leaves_nothing_behind() {
        let all = Arc::new(InFlight::new(CAPS));
        for last in 0..=255 {
            drop(all.account(ip(last)).admit().unwrap());
        }
        assert!(all.peers.lock().unwrap().is_empty());
    }

    fn hold(account: &Arc<PeerAccount>, bytes: usize) -> Result<BodyReservation, Overloaded> {
        let mut held = account.reservation();
        held.grow(bytes).map(|()| held)
    }

    #[test]
    fn body_bytes_are_counted_as_they_come_and_given_back_with_the_reservation() {
        let all = Arc::new(InFlight::new(CAPS));
        let (one, two) = (all.account(ip(1)), all.account(ip(2)));
        let mut first = hold(&one, 40).unwrap();
        first.grow(20).unwrap();
        assert!(hold(&one, 1).is_err(), "over the peer's cap");
        assert!(hold(&two, 41).is_err(), "over the cap of all");
        assert!(hold(&two, 40).is_ok());
        drop(first);
        assert!(hold(&one, 60).is_ok());
        assert_eq!(all.total.body_bytes.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn large_bodies_leave_a_quarter_to_small_ones() {
        let caps = InFlightCaps { body_bytes: 8 * SMALL_BODY, body_bytes_per_peer: 8 * SMALL_BODY, ..CAPS };
        let all = Arc::new(InFlight::new(caps));
        let one = all.account(ip(1));
        let large = hold(&one, 6 * SMALL_BODY).unwrap();
        assert!(hold(&one, SMALL_BODY + 1).is_err());
        let small = (hold(&one, SMALL_BODY).unwrap(), hold(&one, SMALL_BODY).unwrap());
        assert!(hold(&one, 1).is_err());
        drop((large, small));
    }

    #[test]
    fn requests_without_their_bodies_take_half_of_the_places_at_most() {
        let all = Arc::new(InFlight::new(InFlightCaps { requests: 6, requests_per_peer: 4, ..CAPS }));
        let (one, two) = (all.account(ip(1)), all.account(ip(2)));
        let awaited = (one.await_body().unwrap(), one.await_body().unwrap());
        assert!(one.await_body().is_err(), "half of what a peer may have");
        let other = two.await_body().unwrap();
        assert!(two.await_body().is_err(), "half of what all may have");
        drop(awaited);
        assert!(two.await_body().is_ok());
        drop(other);
    }
}
