//! Connections: accepted on one socket, served each by one worker, drained at the end.
//!
//! A worker is a thread with a `current_thread` runtime: a request is never handed from one core to another.
//! The accepting thread gives each connection to the worker that has the fewest. `SO_REUSEPORT` is not used:
//! with it two gateways could share a port without a word.

mod connection;
mod head_timer;
mod lingering;
mod tls;
mod worker;

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;

pub use connection::ConnectionLimits;
pub use lingering::Lingering;
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

/// More than a kernel keeps of connections that nobody has accepted yet.
const KERNEL_QUEUE: usize = 4096;

/// Accepts connections on `listener` until the phase leaves [`Phase::Serving`].
pub async fn accept(listener: TcpListener, workers: Arc<Workers>, mut phase: watch::Receiver<Phase>) {
    loop {
        let accepted = tokio::select! {
            biased;
            _ = phase.wait_for(|phase| *phase != Phase::Serving) => break,
            accepted = listener.accept() => accepted,
        };
        match accepted.and_then(|(stream, peer)| Ok((stream.into_std()?, peer))) {
            Ok((stream, peer)) => hand_over(&workers, stream, peer),
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
            hand_over(&workers, stream, peer);
        }
    }
}

fn hand_over(workers: &Workers, stream: TcpStream, peer: SocketAddr) {
    // A small answer must not wait for the acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    workers.hand_over(stream, canonical(peer));
}

/// An IPv4 peer on a dual-stack socket counts as what it is, for policies and penalties alike.
fn canonical(peer: SocketAddr) -> SocketAddr {
    SocketAddr::new(peer.ip().to_canonical(), peer.port())
}
