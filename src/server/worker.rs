//! Worker threads, and which of them gets the next connection.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::Phase;
use super::connection::{ConnectionLimits, Gateway, serve};
use super::places::{ConnectionCaps, Full, Place, Places};
use crate::audit::TlsDetails;
use crate::limits::InFlight;
use crate::stage::Peer;

/// What every worker needs.
#[derive(Clone)]
pub struct Worker<S> {
    /// The stack; each connection gets a clone.
    pub gateway: S,
    /// How long a connection may take over what.
    pub limits: ConnectionLimits,
    /// What all connections have in flight.
    pub in_flight: Arc<InFlight>,
    /// Makes TLS of a connection, where the listener has it.
    pub tls: Option<TlsAcceptor>,
    /// The server's life.
    pub phase: watch::Receiver<Phase>,
}

impl<S> Worker<S> {
    pub(super) fn peer(&self, address: SocketAddr, tls: Option<TlsDetails>) -> Peer {
        Peer { address, tls: tls.map(Arc::new), account: self.in_flight.account(address.ip()) }
    }
}

/// The running workers.
#[derive(Debug)]
pub struct Workers {
    threads: Vec<Thread>,
    places: Arc<Places>,
}

#[derive(Debug)]
struct Thread {
    connections: Arc<AtomicUsize>,
    incoming: mpsc::UnboundedSender<Accepted>,
}

/// A connection that has a place and, as yet, no worker.
#[derive(Debug)]
struct Accepted {
    stream: std::net::TcpStream,
    peer: SocketAddr,
    place: Place,
}

impl Workers {
    /// Starts `count` threads, which hold no more connections than `caps`. Each calls `worker` on its own runtime, so
    /// that what it makes is its own. Once this is dropped they end with their last connection, at the latest in
    /// [`Phase::Cut`].
    ///
    /// # Errors
    ///
    /// When the operating system gives no thread or no runtime.
    pub fn start<S: Gateway>(
        count: usize,
        caps: ConnectionCaps,
        worker: impl Fn() -> Worker<S> + Clone + Send + 'static,
    ) -> io::Result<(Self, Vec<JoinHandle<()>>)> {
        let mut threads = Vec::with_capacity(count);
        let mut handles = Vec::with_capacity(count);
        for index in 0..count {
            let (sender, receiver) = mpsc::unbounded_channel();
            let connections = Arc::new(AtomicUsize::new(0));
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let (worker, counter) = (worker.clone(), Arc::clone(&connections));
            let body = move || to_its_end(runtime, async move { run(worker(), counter, receiver).await });
            handles.push(std::thread::Builder::new().name(format!("worker-{index}")).spawn(body)?);
            threads.push(Thread { connections, incoming: sender });
        }
        Ok((Self { threads, places: Arc::new(Places::new(caps)) }, handles))
    }

    /// Connections open now.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.threads.iter().map(|thread| thread.connections.load(Ordering::Relaxed)).sum()
    }

    /// Connections closed as soon as they were accepted, because too many were open, since the start.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.places.refused()
    }

    /// Gives a connection, which must not block, to the worker that has the fewest; that one binds it to its runtime.
    /// Closes it if there is no place for it.
    pub(super) fn hand_over(&self, stream: std::net::TcpStream, peer: SocketAddr) -> Result<(), Full> {
        let place = self.places.take(peer.ip())?;
        let fewest = self.threads.iter().min_by_key(|thread| thread.connections.load(Ordering::Relaxed));
        let Some(thread) = fewest else { return Ok(()) };
        thread.connections.fetch_add(1, Ordering::Relaxed);
        if thread.incoming.send(Accepted { stream, peer, place }).is_err() {
            thread.connections.fetch_sub(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// One open connection in its worker's count.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Carries out `work` and ends the runtime. A name that is being looked up by then is not waited for: it would take from
/// changes under way, and from the last records, what time they have.
fn to_its_end(runtime: Runtime, work: impl Future<Output = ()>) {
    runtime.block_on(work);
    runtime.shutdown_background();
}

async fn run<S: Gateway>(
    worker: Worker<S>,
    counter: Arc<AtomicUsize>,
    mut incoming: mpsc::UnboundedReceiver<Accepted>,
) {
    let mut phase = worker.phase.clone();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            next = incoming.recv() => match next {
                Some(Accepted { stream, peer, place }) => {
                    let open = Counted(Arc::clone(&counter));
                    let worker = worker.clone();
                    connections.spawn(async move {
                        let _held = (open, place);
                        if let Ok(stream) = TcpStream::from_std(stream) {
                            serve(stream, peer, worker).await;
                        }
                    });
                }
                None => break,
            },
            Some(_) = connections.join_next() => {}
        }
    }
    let ended = async { while connections.join_next().await.is_some() {} };
    tokio::select! {
        () = ended => {}
        _ = phase.wait_for(|phase| *phase == Phase::Cut) => {}
    }
    // Whatever a request held is dropped here and now, on this thread: its record is written by that.
    connections.shutdown().await;
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use tokio::sync::oneshot;

    use super::*;

    #[test]
    fn a_worker_s_end_does_not_wait_for_a_name_that_is_being_looked_up() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (answer, unanswered) = channel::<()>();
        let (start, started) = oneshot::channel();
        let (end, ended) = channel();
        std::thread::spawn(move || {
            to_its_end(runtime, async {
                tokio::task::spawn_blocking(move || {
                    start.send(()).unwrap();
                    let _ = unanswered.recv();
                });
                started.await.unwrap();
            });
            end.send(()).unwrap();
        });
        assert_eq!(ended.recv_timeout(Duration::from_mins(1)), Ok(()));
        drop(answer);
    }
}
