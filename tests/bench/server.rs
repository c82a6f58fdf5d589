//! One running server and everything that is measured of it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::Outcome;
use crate::children::Guard;
use crate::load::{CONNECTIONS, Expected, Fleet, Load, Pace};
use crate::measure::{self, approximate};
use crate::requests::Request;
use crate::rounds::{Figures, Round};
use crate::syscalls::{self, Way};

/// How many idle connections the memory is measured with.
pub(crate) const IDLE_CONNECTIONS: usize = 1000;
/// The rate of the open loop, far below what any server here can do.
pub(crate) const OPEN_RATE: u32 = 4000;
/// How long each half of a round takes.
const ROUND: Duration = Duration::from_secs(1);
/// What is driven before the first round.
const WARM_UP: Duration = Duration::from_millis(300);
/// A server's time to become idle again.
const SETTLE: Duration = Duration::from_millis(300);

/// A server that accepts connections.
pub(crate) struct Server {
    process: Guard,
    address: SocketAddr,
    expected: Expected,
    /// What was measured so far.
    pub(crate) figures: Figures,
}

impl Server {
    /// Waits until `process` accepts connections on `address`.
    pub(crate) fn new(
        name: &'static str,
        mut process: Guard,
        address: SocketAddr,
        expected: Expected,
    ) -> Outcome<Self> {
        drop(process.accepted(address)?);
        Ok(Self { process, address, expected, figures: Figures::new(name) })
    }

    /// Memory after one answer, then with many connections that have had one each.
    pub(crate) async fn memory(&mut self, request: &Request) -> Outcome<()> {
        Fleet::open(self.address, 1, self.expected).await?.touch(request).await?;
        tokio::time::sleep(SETTLE).await;
        self.figures.memory.idle = measure::resident_kib(self.process.pid())?;
        let mut fleet = Fleet::open(self.address, IDLE_CONNECTIONS, self.expected).await?;
        fleet.touch(request).await?;
        tokio::time::sleep(SETTLE).await;
        self.figures.memory.connected = measure::resident_kib(self.process.pid())?;
        Ok(())
    }

    /// A load whose speed is not looked at.
    pub(crate) async fn warm_up(&self, requests: &Arc<[Request]>) -> Outcome<Load> {
        self.fleet().await?.drive(requests, Pace::Closed, WARM_UP).await
    }

    /// One round: closed loop, then open loop.
    pub(crate) async fn round(&mut self, requests: &Arc<[Request]>) -> Outcome<[Load; 2]> {
        let mut fleet = self.fleet().await?;
        let before = self.processors()?;
        let closed = fleet.drive(requests, Pace::Closed, ROUND).await?;
        let after = self.processors()?;
        let [nanos, client] = [after[0] - before[0], after[1] - before[1]];
        let open = fleet.drive(requests, Pace::Open(OPEN_RATE), ROUND).await?;
        let (seconds, answers) = (closed.took.as_secs_f64(), approximate(closed.tally.answers.max(1)));
        self.figures.rounds.push(Round {
            rate: answers / seconds,
            processor: nanos / 1e3 / answers,
            client: client / 1e3 / answers,
            busy: nanos / 1e9 / seconds,
            closed: [closed.percentile(50), closed.percentile(99)],
            open: [open.percentile(50), open.percentile(99)],
        });
        Ok([closed, open])
    }

    /// After all rounds: the memory that is left in use, and the system calls of a load whose speed is not looked at.
    pub(crate) async fn calls(&mut self, requests: &Arc<[Request]>, way: Way, scratch: &Path) -> Outcome<Load> {
        self.figures.memory.loaded = measure::resident_kib(self.process.pid())?;
        let mut fleet = self.fleet().await?;
        let counter = way.begin(self.process.pid(), scratch).await?;
        let load = fleet.drive(requests, Pace::Closed, syscalls::LENGTH).await?;
        self.figures.calls = counter.end()?;
        self.figures.calls.requests = load.tally.answers;
        Ok(load)
    }

    /// Nanoseconds that the server and this client have had.
    fn processors(&self) -> Outcome<[f64; 2]> {
        let of = |pid| measure::processor_nanos(pid).map(approximate);
        Ok([of(self.process.pid())?, of(std::process::id())?])
    }

    async fn fleet(&self) -> Outcome<Fleet> {
        Fleet::open(self.address, CONNECTIONS, self.expected).await
    }
}
