//! What is taken for one peer.

use std::net::{IpAddr, Ipv6Addr};

/// An IPv4 address or an IPv6 network of 64 bits: whoever has an IPv6 address has the 2^64 beside it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network(IpAddr);

impl Network {
    /// The network that `peer` is in; an IPv4 address that is written as IPv6 is that address.
    #[must_use]
    pub fn of(peer: IpAddr) -> Self {
        match peer.to_canonical() {
            IpAddr::V6(address) => Self(IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64))),
            v4 @ IpAddr::V4(_) => Self(v4),
        }
    }
}
