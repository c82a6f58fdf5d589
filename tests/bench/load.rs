//! The load: keep-alive connections that send the pre-signed requests and check every answer.
//!
//! Closed loop (the next request follows the answer) shows what a server can do; open loop (each request has a
//! time at which it is due, and its latency counts from then) shows how long a caller waits.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::Outcome;
use crate::connection::{Answer, Connection};
use crate::measure::now;
use crate::requests::Request;

/// How many connections carry the load.
pub(crate) const CONNECTIONS: usize = 32;
/// What a round may take beyond its length before it counts as hung. Who cannot keep up with an open loop goes on behind
/// its end: a debug build on a busy machine for many times its length.
const PATIENCE: Duration = Duration::from_mins(1);

/// When a request is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// As soon as the connection has its last answer.
    Closed,
    /// This many a second over all connections, each at its own due time.
    Open(u32),
}

/// What an answer must be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expected {
    /// 200 with this body, whatever was asked.
    Constant(&'static [u8]),
    /// 200 with a body that is this, or only contains it; 400 with `InvalidSignatureException` if the request is forged.
    Checked {
        /// What of the body is known.
        body: &'static [u8],
        /// Whether that is all of it.
        whole: bool,
    },
}

/// What the answers were.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// How many were read.
    pub(crate) answers: u64,
    /// How many belonged to forged requests.
    pub(crate) forged: u64,
    /// How many were not what they had to be.
    pub(crate) wrong: u64,
    /// The first wrong one.
    pub(crate) first_wrong: Option<String>,
}

/// What came of a load.
#[derive(Debug, Default)]
pub(crate) struct Load {
    /// The answers.
    pub(crate) tally: Tally,
    /// From the first request to the last answer.
    pub(crate) took: Duration,
    /// Of each answer to an honest request, in nanoseconds, ascending.
    pub(crate) latencies: Vec<u32>,
}

/// Connections that are open and idle.
pub(crate) struct Fleet {
    address: SocketAddr,
    connections: Vec<Connection>,
    expected: Expected,
}

impl Fleet {
    /// Opens `count` connections.
    pub(crate) async fn open(address: SocketAddr, count: usize, expected: Expected) -> Outcome<Self> {
        let mut connections = Vec::with_capacity(count);
        for _ in 0..count {
            connections.push(Connection::open(address).await?);
        }
        Ok(Self { address, connections, expected })
    }

    /// Sends one `request` on each connection, so that each holds what a server keeps for one that was used.
    pub(crate) async fn touch(&mut self, request: &Request) -> Outcome<()> {
        for connection in &mut self.connections {
            let answer = connection.exchange(&request.bytes).await?;
            if let Some(wrong) = self.expected.mismatch(&answer, request.forged) {
                return Err(wrong.into());
            }
        }
        Ok(())
    }

    /// Drives all connections for `length`.
    ///
    /// # Errors
    /// When a connection breaks or the server hangs. Wrong answers are counted instead.
    pub(crate) async fn drive(&mut self, requests: &Arc<[Request]>, pace: Pace, length: Duration) -> Outcome<Load> {
        let count = self.connections.len();
        let start = now();
        let mut tasks = JoinSet::new();
        for (index, connection) in self.connections.drain(..).enumerate() {
            let driver = Driver {
                connection,
                forger: Forger { address: self.address, connection: None },
                expected: self.expected,
                requests: Arc::clone(requests),
                next: index * requests.len() / count.max(1),
                schedule: Schedule::new(pace, start, index, count),
                until: start + length,
                load: Load::default(),
            };
            tasks.spawn(driver.run());
        }
        let mut courtesy = JoinSet::new();
        if crate::CLIENT_SHARES_ITS_CORE && matches!(pace, Pace::Open(_)) {
            courtesy.spawn(give_way());
        }
        let mut total = Load::default();
        let all = async {
            while let Some(driver) = tasks.join_next().await {
                let (connection, load) = driver??;
                self.connections.push(connection);
                total.tally.add(load.tally);
                total.latencies.extend(load.latencies);
            }
            Outcome::Ok(())
        };
        tokio::time::timeout(length + PATIENCE, all).await.map_err(|_late| "the server hangs under load")??;
        total.took = now() - start;
        total.latencies.sort_unstable();
        Ok(total)
    }
}

/// Sends the forged requests of one driver, each five from an address of their own.
///
/// The gateway holds back the answers to a peer whose signatures keep failing, so one that forges on an honest
/// client's connection would measure its own punishment. The first five failures of an address are answered at once.
struct Forger {
    address: SocketAddr,
    connection: Option<(Connection, u32)>,
}

/// How many failures of one address the gateway answers at once.
const FREE_FAILURES: u32 = 5;

impl Forger {
    async fn exchange(&mut self, request: &[u8]) -> Outcome<Answer<'_>> {
        static ADDRESSES: AtomicU32 = AtomicU32::new(0);
        if self.connection.as_ref().is_none_or(|(_, left)| *left == 0) {
            let [_, a, b, c] = ADDRESSES.fetch_add(1, Ordering::Relaxed).to_be_bytes();
            let source = Ipv4Addr::new(127, a | 1, b, c);
            self.connection = Some((Connection::open_from(source, self.address).await?, FREE_FAILURES));
        }
        let (connection, left) = self.connection.as_mut().ok_or("no connection to forge on")?;
        *left -= 1;
        connection.exchange(request).await
    }
}

/// One connection at work.
struct Driver {
    connection: Connection,
    forger: Forger,
    expected: Expected,
    requests: Arc<[Request]>,
    next: usize,
    schedule: Schedule,
    until: Instant,
    load: Load,
}

impl Driver {
    async fn run(mut self) -> Outcome<(Connection, Load)> {
        self.load.latencies.reserve(16 * 1024);
        let mut free = now();
        loop {
            let due = self.schedule.next(free).await;
            if due >= self.until {
                return Ok((self.connection, self.load));
            }
            let request = self.requests.get(self.next).ok_or("no requests to send")?;
            self.next = (self.next + 1) % self.requests.len();
            let answer = if request.forged {
                self.forger.exchange(&request.bytes).await?
            } else {
                self.connection.exchange(&request.bytes).await?
            };
            free = now();
            let tally = &mut self.load.tally;
            tally.answers += 1;
            tally.forged += u64::from(request.forged);
            if !request.forged {
                self.load.latencies.push(u32::try_from((free - due).as_nanos()).unwrap_or(u32::MAX));
            }
            if let Some(wrong) = self.expected.mismatch(&answer, request.forged) {
                tally.wrong += 1;
                tally.first_wrong.get_or_insert(wrong);
            }
        }
    }
}

/// The times at which one connection's requests are due.
enum Schedule {
    Closed,
    Open { due: Instant, every: Duration },
}

impl Schedule {
    /// Connection `index` of `count`: the schedules of all together are evenly spread.
    fn new(pace: Pace, start: Instant, index: usize, count: usize) -> Self {
        match pace {
            Pace::Closed => Self::Closed,
            Pace::Open(per_second) => {
                let step = Duration::from_secs(1) / per_second.max(1);
                let of = |count| u32::try_from(count).unwrap_or(u32::MAX);
                Self::Open { due: start + step * of(index), every: step * of(count) }
            }
        }
    }

    /// Waits for the next due time and returns it. It waits busily: a timer's millisecond is too coarse.
    async fn next(&mut self, free: Instant) -> Instant {
        match self {
            Self::Closed => free,
            Self::Open { due, every } => {
                let this = *due;
                *due += *every;
                while now() < this {
                    tokio::task::yield_now().await;
                }
                this
            }
        }
    }
}

/// Lets the server that shares the client's core go first, each time all connections have looked at the clock. It would
/// have to wait otherwise until the busily waiting client has used up its turn, which is milliseconds.
async fn give_way() {
    loop {
        std::thread::yield_now();
        tokio::task::yield_now().await;
    }
}

impl Tally {
    /// Adds the answers of another load.
    pub(crate) fn add(&mut self, other: Self) {
        self.answers += other.answers;
        self.forged += other.forged;
        self.wrong += other.wrong;
        self.first_wrong = self.first_wrong.take().or(other.first_wrong);
    }
}

impl Load {
    /// The latency in microseconds that `percent` of the requests stayed within.
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        let index = self.latencies.len().saturating_sub(1) * percent / 100;
        self.latencies.get(index).map_or(f64::NAN, |nanos| f64::from(*nanos) / 1e3)
    }
}

impl Expected {
    /// What is wrong with `answer`, with its first bytes, or `None`.
    pub(crate) fn mismatch(self, answer: &Answer<'_>, forged: bool) -> Option<String> {
        let (status, part, whole) = match self {
            Self::Checked { .. } if forged => (400, b"InvalidSignatureException".as_slice(), false),
            Self::Checked { body, whole } => (200, body, whole),
            Self::Constant(body) => (200, body, true),
        };
        let right = answer.status == status && if whole { answer.body == part } else { contains(answer.body, part) };
        (!right).then(|| {
            let body = answer.body.get(..answer.body.len().min(300)).unwrap_or_default().escape_ascii();
            let part = part.escape_ascii();
            format!("expected {status} with `{part}` (forged: {forged}), got {} with `{body}`", answer.status)
        })
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
