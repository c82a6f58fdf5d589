//! Where most of many refusals came from, in bounded room: the Space-Saving algorithm (Metwally, Agrawal and El Abbadi,
//! "Efficient Computation of Frequent and Top-k Elements in Data Streams", 2005).
//!
//! When the table is full, a new network takes the place of the one with the lowest count and goes on counting from
//! there. What it took over may be others', so it is left out of what is told: a count says how many came from there at
//! least. It is exact for as long as there are no more networks than places.

use std::cmp::Reverse;
use std::net::IpAddr;

use crate::network::Network;

/// How many networks are counted: one that makes more than a sixty-fourth of all is always among them.
const COUNTED: usize = 64;
/// How many are told: what a person blocks by hand.
const TOLD: usize = 8;

/// Networks and how many refusals came from each.
#[derive(Default)]
pub(super) struct Sources(Vec<Source>);

struct Source {
    network: Network,
    count: u64,
    /// How many of these are of networks that it took the place of.
    taken_over: u64,
}

impl Sources {
    /// Counts one more from `peer`.
    pub(super) fn add(&mut self, peer: IpAddr) {
        let network = Network::of(peer);
        if let Some(known) = self.0.iter_mut().find(|source| source.network == network) {
            known.count += 1;
        } else if self.0.len() < COUNTED {
            self.0.push(Source { network, count: 1, taken_over: 0 });
        } else if let Some(least) = self.0.iter_mut().min_by_key(|source| source.count) {
            *least = Source { network, count: least.count + 1, taken_over: least.count };
        }
    }

    /// Those that most came from, and how many at least, most first.
    pub(super) fn top(&self) -> Vec<(Network, u64)> {
        let mut all: Vec<_> = self.0.iter().map(|source| (source.network, source.count - source.taken_over)).collect();
        all.sort_by_key(|(_, count)| Reverse(*count));
        all.truncate(TOLD);
        all
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn address(number: u32) -> IpAddr {
        IpAddr::V4((0x0a00_0000 + number).into())
    }

    fn told(sources: &Sources) -> Vec<(String, u64)> {
        sources.top().into_iter().map(|(network, count)| (network.to_string(), count)).collect()
    }

    #[test]
    fn the_networks_that_most_came_from_are_told_with_their_counts() {
        let mut sources = Sources::default();
        for host in 0..12 {
            for _ in 0..=host {
                sources.add(address(host));
            }
        }
        for host in 0..20 {
            sources.add(format!("2001:db8:0:1::{host:x}").parse().unwrap());
        }
        let expected = [
            ("2001:db8:0:1::/64", 20),
            ("10.0.0.11", 12),
            ("10.0.0.10", 11),
            ("10.0.0.9", 10),
            ("10.0.0.8", 9),
            ("10.0.0.7", 8),
            ("10.0.0.6", 7),
            ("10.0.0.5", 6),
        ];
        assert_eq!(told(&sources), expected.map(|(network, count)| (network.to_owned(), count)));
    }

    #[test]
    fn one_who_sends_much_is_told_though_ever_new_ones_come() {
        let mut sources = Sources::default();
        for number in 1..=30_000 {
            sources.add(address(number));
            if number % 10 == 0 {
                sources.add(address(0));
            }
        }
        assert_eq!(sources.0.len(), COUNTED);
        let [(network, count), ..] = &told(&sources)[..] else { panic!("nobody is told") };
        assert_eq!(network, "10.0.0.0");
        // It came 3,000 times, of 33,000; what it may have taken over is a sixty-fourth of all at most.
        assert!((3_000 - 33_000 / 64..=3_000).contains(count), "{count}");
    }

    proptest! {
        #[test]
        fn nothing_is_told_that_did_not_come(hosts in prop::collection::vec(0_u32..200, 0..2_000)) {
            let (mut sources, mut truth) = (Sources::default(), HashMap::<String, u64>::new());
            for host in hosts {
                sources.add(address(host));
                *truth.entry(address(host).to_string()).or_default() += 1;
            }
            for (network, count) in told(&sources) {
                prop_assert!((1..=truth[&network]).contains(&count));
            }
        }
    }
}
