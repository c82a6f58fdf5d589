//! How many connections may be open at once, in all and of one peer.
//!
//! A connection has its place from when it is accepted, before TLS and before a byte is read, until it is closed: a
//! silent one costs a file descriptor, and one with half a head its buffer of 64 KiB.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::network::Network;

/// How many connections may be open at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionCaps {
    /// Of all peers together.
    pub all: usize,
    /// Of one peer's network.
    pub per_peer: usize,
}

/// No place is left; says whose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Full {
    #[error("as many connections are open as server.max_connections allows")]
    Everybody,
    #[error("a peer has as many connections open as server.max_connections_per_peer allows")]
    Peer,
}

/// The connections that are open.
#[derive(Debug)]
pub(super) struct Places {
    caps: ConnectionCaps,
    taken: Mutex<Taken>,
    refused: AtomicU64,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    /// Of each network that has any.
    of_peer: HashMap<Network, usize>,
}

/// The place of one connection; gives it back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    network: Network,
}

impl Places {
    pub(super) fn new(caps: ConnectionCaps) -> Self {
        Self { caps, taken: Mutex::default(), refused: AtomicU64::new(0) }
    }

    /// A place for a connection from `peer`.
    pub(super) fn take(self: &Arc<Self>, peer: IpAddr) -> Result<Place, Full> {
        let network = Network::of(peer);
        self.taken().add(network, self.caps).inspect_err(|_| {
            self.refused.fetch_add(1, Ordering::Relaxed);
        })?;
        Ok(Place { places: Arc::clone(self), network })
    }

    /// How many connections were refused.
    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn add(&mut self, network: Network, caps: ConnectionCaps) -> Result<(), Full> {
        let of_peer = self.of_peer.get(&network).copied().unwrap_or_default();
        if of_peer >= caps.per_peer {
            return Err(Full::Peer);
        }
        if self.all >= caps.all {
            return Err(Full::Everybody);
        }
        self.all += 1;
        self.of_peer.insert(network, of_peer + 1);
        Ok(())
    }

    fn remove(&mut self, network: Network) {
        self.all -= 1;
        match self.of_peer.get_mut(&network) {
            Some(of_peer) if *of_peer > 1 => *of_peer -= 1,
            _ => drop(self.of_peer.remove(&network)),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken().remove(self.network);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Arc<Places> {
        Arc::new(Places::new(ConnectionCaps { all: 3, per_peer: 2 }))
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_peer_at_its_cap_is_refused_while_others_are_not() {
        let places = places();
        let held = [(); 2].map(|()| places.take(ip("192.0.2.1")).unwrap());
        assert_eq!(places.take(ip("192.0.2.1")).unwrap_err(), Full::Peer);
        let other = places.take(ip("192.0.2.2")).unwrap();
        assert_eq!(places.take(ip("192.0.2.3")).unwrap_err(), Full::Everybody);
        assert_eq!(places.refused(), 2);
        drop(held);
        drop(places.take(ip("192.0.2.1")).unwrap());
        drop(other);
    }

    #[test]
    fn an_ipv6_network_is_one_peer() {
        let places = places();
        let _held = ["2001:db8:0:1::1", "2001:db8:0:1:f::2"].map(|address| places.take(ip(address)).unwrap());
        assert_eq!(places.take(ip("2001:db8:0:1::3")).unwrap_err(), Full::Peer);
        assert!(places.take(ip("2001:db8:0:2::1")).is_ok());
    }

    #[test]
    fn a_peer_that_has_gone_leaves_nothing_behind() {
        let places = places();
        for host in 0..=255 {
            drop(places.take(IpAddr::from([192, 0, 2, host])).unwrap());
        }
        let taken = places.taken();
        assert_eq!((taken.all, taken.of_peer.len()), (0, 0));
    }
}
