//! Connections: accepted on one socket, served each by one worker, drained at the end.
//!
//! A worker is a thread with a `current_thread` runtime: a request is never handed from one core to another.
//! The accepting thread gives each connection to the worker that has the fewest. `SO_REUSEPORT` is not used:
//! with it two gateways could share a port without a word.
//!
//! A connection costs memory and a file descriptor before it has said who it is, so there is a cap on all of them and
//! one on those of one peer; what is over is closed as soon as it is accepted.

mod connection;
mod descriptors;
mod head_timer;
mod lingering;
mod places;
mod tls;
mod worker;
mod write_timer;

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::Instant;

use places::Full;

pub use connection::ConnectionLimits;
pub use descriptors::raise_limit;
pub use lingering::Lingering;
pub use places::ConnectionCaps;
pub use worker::{Worker, Workers};

/// Where a running server is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Connections are accepted and kept.
    Serving,
    /// No new connections; what is open is answered with `Connection: close`.
    Draining,
    /// Idle connections are closed, the last answers are on their way.
    Closing,
    /// What is still open is dropped, and each request on it is recorded as unanswered.
    Cut,
}

/// How long an accept that failed for want of file descriptors waits before the next.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How often at most it is said that connections are refused: in a flood there is one every few microseconds.
const WARN_EVERY: Duration = Duration::from_secs(1);

/// More than a kernel keeps of connections that nobody has accepted yet.
const KERNEL_QUEUE: usize = 4096;

/// Accepts connections on `listener` until the phase leaves [`Phase::Serving`].
pub async fn accept(listener: TcpListener, workers: Arc<Workers>, mut phase: watch::Receiver<Phase>) {
    let mut door = Door { workers, warned: None };
    loop {
        let accepted = tokio::select! {
            biased;
            _ = phase.wait_for(|phase| *phase != Phase::Serving) => break,
            accepted = listener.accept() => accepted,
        };
        match accepted.and_then(|(stream, peer)| Ok((stream.into_std()?, peer))) {
            Ok((stream, peer)) => door.let_in(stream, peer),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    // Who is connected already may have sent a request, which would be cut when the listener is closed.
    let Ok(listener) = listener.into_std() else { return };
    for (stream, peer) in std::iter::from_fn(|| listener.accept().ok()).take(KERNEL_QUEUE) {
        if stream.set_nonblocking(true).is_ok() {
            door.let_in(stream, peer);
        }
    }
}

/// Lets connections in to the workers, or closes them.
struct Door {
    workers: Arc<Workers>,
    /// When it was last said that some are refused.
    warned: Option<Instant>,
}

impl Door {
    fn let_in(&mut self, stream: TcpStream, peer: SocketAddr) {
        // A small answer must not wait for the acknowledgement of the one before.
        let _ = stream.set_nodelay(true);
        let peer = canonical(peer);
        if let Err(full) = self.workers.hand_over(stream, peer) {
            self.warn(peer, full);
        }
    }

    fn warn(&mut self, peer: SocketAddr, full: Full) {
        let now = Instant::now();
        if self.warned.is_none_or(|warned| now.duration_since(warned) >= WARN_EVERY) {
            self.warned = Some(now);
            tracing::warn!(peer = %peer.ip(), refused = self.workers.refused(), "connections are refused: {full}");
        }
    }
}

/// An IPv4 peer on a dual-stack socket counts as what it is, for policies and penalties alike.
fn canonical(peer: SocketAddr) -> SocketAddr {
    SocketAddr::new(peer.ip().to_canonical(), peer.port())
}
