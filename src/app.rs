//! The running program: a configuration becomes listeners, workers and a gateway, which run until they are told to
//! stop and have drained.
//!
//! Draining: readiness fails and no connection is accepted any more; answers carry `Connection: close`; idle
//! connections stay until the deadline, in case their client is just sending; then all are closed after the answer
//! they are on, and what is left is cut. Changes under way are stored and recorded, and the audit file is complete,
//! before the program ends.

mod ending;
mod served;
mod sums;
mod trail;

use std::io::{self, IsTerminal};
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use self::ending::Ending;
pub use self::served::Served;
use self::served::Watched;
pub(crate) use self::trail::signing_key;
use crate::admin::{self, Readiness};
use crate::audit::{Recorder, Unwritable, Writer};
use crate::clock::Clock;
use crate::config::Config;
use crate::gateway::{Shared, gateway};
use crate::limits::{InFlight, InFlightCaps, Limits, PeerPenalty};
use crate::random::Exhausted;
use crate::server::{self, ConnectionCaps, ConnectionLimits, Phase, Worker, Workers};
use crate::sigv4::InvalidHost;
use crate::state::Snapshot;

/// A TLS handshake is two round trips; what takes longer holds a connection for nothing.
const TLS_HANDSHAKE: Duration = Duration::from_secs(10);
/// Who connects has something to ask: only a connection that has been used may wait for as long as it is kept.
const FIRST_BYTE: Duration = Duration::from_secs(10);
/// A client that takes nothing for as long as this has gone, or means no good: an answer is a few KiB.
const WRITE: Duration = Duration::from_secs(10);
/// How many connections the kernel keeps until they are accepted: a restart of all clients comes within a millisecond,
/// and the 128 of the libraries would make most of them wait a second for the kernel's next try.
const BACKLOG: u32 = 1024;
/// File descriptors that no client may take: probes need up to 64, the rest is for listeners, store, audit log and
/// upstream.
const OTHER_DESCRIPTORS: u64 = 256;
/// A head of KMS is under 2 KiB; a session token of AWS's adds up to 8.
const HEAD_BYTES: usize = 64 * 1024;
/// How long the last answers may take once every connection has been told to close.
const LAST_ANSWERS: Duration = Duration::from_secs(5);
/// How long the last changes and records may take to reach the disk: with the 15 s of a drain and the last answers it
/// is just less than Kubernetes' 30 s of grace.
const LAST_RECORDS: Duration = Duration::from_secs(9);
/// How often a drain looks whether it is done.
const DRAIN_STEP: Duration = Duration::from_millis(20);

/// Where a gateway that has started can be reached.
#[derive(Clone, Copy, Debug)]
pub struct Listening {
    /// By clients.
    pub gateway: SocketAddr,
    /// By probes.
    pub admin: SocketAddr,
}

/// Why a gateway did not start, or could not end well.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}{}", hint(source))]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// The audit trail cannot be written.
    #[error("cannot write audit records to {sink}: {source}")]
    Audit {
        /// The file, in backticks, or what else there is.
        sink: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The key that signs audit checkpoints.
    #[error("{0}")]
    SigningKey(Box<dyn std::error::Error + Send + Sync>),
    /// Records are left that could not be written.
    #[error(transparent)]
    Unwritable(#[from] Unwritable),
    /// What writes the last records; names it.
    #[error("{0} did not end in time, so records of the last requests may be missing")]
    Unended(&'static str),
    /// A name of `accepted_hosts`.
    #[error(transparent)]
    Host(#[from] InvalidHost),
    /// No random bytes.
    #[error(transparent)]
    Random(#[from] Exhausted),
    /// A thread, a runtime or a signal handler.
    #[error("the operating system refused: {0}")]
    System(#[from] io::Error),
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "; another program, perhaps another kmsgate, listens there: stop it or choose another port"
        }
        io::ErrorKind::PermissionDenied => "; ports below 1024 need the capability CAP_NET_BIND_SERVICE",
        io::ErrorKind::AddrNotAvailable => "; no interface of this machine has that address",
        _ => "",
    }
}

/// Runs a gateway until SIGTERM or SIGINT (and on a terminal SIGHUP), then drains it. `console` gets a readable line for
/// each request; `ready` is called once connections are accepted. A second signal ends the drain at once.
///
/// # Errors
///
/// [`RunError`]: nothing was started, or records are left that could not be written.
pub fn run(
    config: &Config,
    backend: Served,
    console: Option<Writer>,
    ready: impl FnOnce(Listening),
) -> Result<(), RunError> {
    run_recorded(config, backend, |config, backend, clock| recorder(config, backend, clock, console), ready)
}

/// As [`run`], and nothing is recorded: for the benchmark of what recording costs. No command and no configuration leads
/// here. `together`: answers wait until others that are ready have theirs too, as they do for their records.
///
/// # Errors
///
/// As [`run`].
pub fn run_unrecorded(config: &Config, backend: Served, together: bool) -> Result<(), RunError> {
    let nothing = |config: &Config, _: &Served, clock: &Clock| {
        let writer = Arc::new(Writer::inline(io::sink()));
        Ok(Recorder::new(writer, clock.clone(), &config.regions, config.account).discarding(together))
    };
    run_recorded(config, backend, nothing, |_| ())
}

fn run_recorded(
    config: &Config,
    backend: Served,
    recorder: impl FnOnce(&Config, &Served, &Clock) -> Result<Recorder, RunError>,
    ready: impl FnOnce(Listening),
) -> Result<(), RunError> {
    // The first random byte of a process costs the most: it is drawn before anybody waits for it.
    crate::random::bytes::<1>()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(async {
        let app = App::start(config, backend, recorder)?;
        ready(app.listening);
        app.run_until_drained().await
    });
    // A probe that still waits for a disk is not waited for.
    runtime.shutdown_background();
    ended
}

/// A gateway that has started.
struct App {
    listening: Listening,
    listener: TcpListener,
    admin: TcpListener,
    workers: Arc<Workers>,
    threads: Vec<JoinHandle<()>>,
    phase: watch::Sender<Phase>,
    signals: Signals,
    backend: Served,
    audit: Arc<Recorder>,
    drain_timeout: Duration,
}

impl App {
    fn start(
        config: &Config,
        backend: Served,
        recorder: impl FnOnce(&Config, &Served, &Clock) -> Result<Recorder, RunError>,
    ) -> Result<Self, RunError> {
        let signals = Signals::new()?;
        let (listener, admin) = (listen(config.listen.address)?, listen(config.admin)?);
        let listening = Listening { gateway: listener.local_addr()?, admin: admin.local_addr()? };
        let clock = Clock::System;
        let recorder = Arc::new(recorder(config, &backend, &clock)?);
        backend.record_in(recorder.writer());
        let shared = Shared {
            state: Arc::new(ArcSwap::from_pointee(Snapshot::new(config, listening.gateway, 0)?)),
            clock: clock.clone(),
            recorder: Arc::clone(&recorder),
            limits: Arc::new(ArcSwap::from_pointee(Limits::new(&config.limits))),
            penalty: Arc::new(PeerPenalty::new(clock)),
            request_timeout: config.server.request_timeout,
            body_read_timeout: config.server.body_read_timeout,
        };
        let (phase, watched) = watch::channel(Phase::Serving);
        let source = backend.source();
        let limits = connection_limits(config);
        let in_flight = Arc::new(InFlight::new(in_flight_caps(config)));
        let tls = config.listen.tls.as_ref().map(|tls| TlsAcceptor::from(Arc::clone(&tls.server)));
        let worker = move || Worker {
            gateway: gateway(&shared, source.for_worker()),
            limits,
            in_flight: Arc::clone(&in_flight),
            tls: tls.clone(),
            phase: watched.clone(),
        };
        let (workers, threads) = Workers::start(config.server.workers.get(), connection_caps(config), worker)?;
        Ok(Self {
            listening,
            listener,
            admin,
            workers: Arc::new(workers),
            threads,
            phase,
            signals,
            backend,
            audit: recorder,
            drain_timeout: config.server.drain_timeout,
        })
    }

    async fn run_until_drained(mut self) -> Result<(), RunError> {
        let mut watched = self.phase.subscribe();
        let ended = async move {
            // The probes answer until the connections are closed.
            let _ = watched.wait_for(|phase| *phase >= Phase::Closing).await;
        };
        let (audit, backend) = (Arc::clone(self.audit.writer()), self.backend.watched());
        let health = Health { phase: self.phase.subscribe(), audit, backend };
        let probes = tokio::spawn(admin::serve(self.admin, Arc::new(health), ended));
        let accepting = tokio::spawn(server::accept(self.listener, Arc::clone(&self.workers), self.phase.subscribe()));
        tokio::spawn(sums::sum_up(Arc::clone(&self.audit)));
        self.signals.next().await;
        tracing::info!("draining");
        self.phase.send_replace(Phase::Draining);
        let _ = accepting.await;
        tokio::select! {
            () = idle(&self.workers, self.drain_timeout) => {}
            () = self.signals.next() => tracing::warn!("a second signal: the drain ends now"),
        }
        self.phase.send_replace(Phase::Closing);
        idle(&self.workers, LAST_ANSWERS).await;
        let left = self.workers.connections();
        if left > 0 {
            tracing::warn!(connections = left, "connections that did not end in time are cut");
        }
        self.phase.send_replace(Phase::Cut);
        drop(self.workers);
        let _ = probes.await;
        Ending { workers: self.threads, backend: self.backend, audit: self.audit }.end(LAST_RECORDS).await?;
        tracing::info!("stopped");
        Ok(())
    }
}

fn recorder(config: &Config, backend: &Served, clock: &Clock, console: Option<Writer>) -> Result<Recorder, RunError> {
    let writer = Arc::new(trail::open(config, backend, clock)?);
    let recorder = Recorder::new(writer, clock.clone(), &config.regions, config.account)
        .with_unauthenticated_per_second(config.audit.unauthenticated_per_second);
    Ok(match console {
        Some(console) => recorder.with_console(console),
        None => recorder,
    })
}

/// Waits until no connection is left, at most `within`.
async fn idle(workers: &Workers, within: Duration) {
    let empty = async {
        while workers.connections() > 0 {
            tokio::time::sleep(DRAIN_STEP).await;
        }
    };
    let _ = tokio::time::timeout(within, empty).await;
}

fn listen(address: SocketAddr) -> Result<TcpListener, RunError> {
    let bound = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // Connections of a program that has just ended must not keep this one from its address.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    bound().map_err(|source| RunError::Listen { address, source })
}

fn connection_limits(config: &Config) -> ConnectionLimits {
    ConnectionLimits {
        tls_handshake: TLS_HANDSHAKE,
        first_byte: FIRST_BYTE.min(config.server.idle_timeout),
        head_read: config.server.head_read_timeout,
        idle: config.server.idle_timeout,
        write: WRITE,
        head_bytes: HEAD_BYTES,
    }
}

/// What is configured, or what there are file descriptors for: without one left not even a probe could be answered.
fn connection_caps(config: &Config) -> ConnectionCaps {
    let (all, per_peer) = (config.server.max_connections, config.server.max_connections_per_peer);
    let limit = server::raise_limit().unwrap_or(u64::MAX);
    let room = usize::try_from(limit.saturating_sub(OTHER_DESCRIPTORS).max(limit / 2)).unwrap_or(usize::MAX);
    if room < all {
        tracing::warn!(
            file_descriptors = limit,
            connections = room,
            "fewer connections are let in than server.max_connections: raise the limit (ulimit -n) or lower the setting"
        );
    }
    // What one peer may have shrinks with what all may have.
    let per_peer = if room < all { (per_peer * room).div_ceil(all) } else { per_peer };
    ConnectionCaps { all: all.min(room), per_peer }
}

fn in_flight_caps(config: &Config) -> InFlightCaps {
    InFlightCaps {
        requests: config.server.max_in_flight,
        requests_per_peer: config.server.max_in_flight_per_peer,
        body_bytes: config.server.max_body_bytes_held,
        body_bytes_per_peer: config.server.max_body_bytes_held_per_peer,
    }
}

/// SIGTERM, from supervisors, and SIGINT, from a terminal. SIGHUP says that the terminal is gone, if there was one; to a
/// daemon it says by custom that its configuration is to be read again, which would be no reason to end.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    on_terminal: bool,
}

impl Signals {
    fn new() -> io::Result<Self> {
        // A file that may not grow any more (RLIMIT_FSIZE) is that write's error, and not the end of the program: once it
        // is asked for, the signal does nothing else.
        drop(signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?);
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            on_terminal: io::stdin().is_terminal(),
        })
    }

    /// Waits for one that ends the program.
    async fn next(&mut self) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => if self.on_terminal { return },
            }
            tracing::warn!("SIGHUP: the configuration is read at the start alone; restart to take up a change");
        }
    }
}

/// Why the gateway is not ready, from those who know.
struct Health {
    phase: watch::Receiver<Phase>,
    audit: Arc<Writer>,
    /// Not its owner: a probe must not keep the key store open.
    backend: Watched,
}

impl Readiness for Health {
    fn unready(&self) -> Vec<String> {
        let draining = (*self.phase.borrow() != Phase::Serving).then(|| "draining".to_owned());
        let audit = self.audit.health().err().map(|unwritable| unwritable.to_string());
        draining.into_iter().chain(audit).chain(self.backend.unready()).collect()
    }
}
