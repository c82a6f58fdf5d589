//! One server's figures, round by round, and how they stand to another's.

use crate::measure::Spread;
use crate::syscalls::Counts;

/// One server's figures of one round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round {
    /// Requests a second, closed loop.
    pub(crate) rate: f64,
    /// Processor time of the server for one request, in microseconds, closed loop.
    pub(crate) processor: f64,
    /// The same of the client.
    pub(crate) client: f64,
    /// The part of its core that the server used, closed loop.
    pub(crate) busy: f64,
    /// Latency in microseconds, closed loop: median and 99th percentile.
    pub(crate) closed: [f64; 2],
    /// The same, open loop.
    pub(crate) open: [f64; 2],
}

/// A server's resident memory in KiB.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    /// After start and one request.
    pub(crate) idle: u64,
    /// With many open connections that have had one answer each.
    pub(crate) connected: u64,
    /// After all rounds.
    pub(crate) loaded: u64,
}

/// One server.
#[derive(Debug)]
pub(crate) struct Figures {
    /// Its name in the tables.
    pub(crate) name: &'static str,
    /// In the order of time.
    pub(crate) rounds: Vec<Round>,
    /// Its system calls.
    pub(crate) calls: Counts,
    /// Its memory.
    pub(crate) memory: Memory,
}

impl Figures {
    /// Of a server that has just started.
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, rounds: Vec::new(), calls: Counts::default(), memory: Memory::default() }
    }

    /// All rounds' figures.
    pub(crate) fn spread(&self, figure: impl Fn(&Round) -> f64) -> Spread {
        Spread::of(self.rounds.iter().map(figure))
    }

    /// Each round's figure by the same round's figure of `other`.
    pub(crate) fn ratio(&self, other: &Self, figure: impl Fn(&Round) -> f64) -> Spread {
        Spread::of(self.rounds.iter().zip(&other.rounds).map(|(own, its)| figure(own) / figure(its)))
    }
}
