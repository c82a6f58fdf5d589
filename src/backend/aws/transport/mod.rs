//! Carries requests to one upstream and brings back its answers: HTTP/1.1 over TCP, with TLS unless the upstream is on
//! this machine, and through a proxy where the environment names one.
//!
//! Every worker has a [`Transport`] of its own for each upstream, with connections of its own, so that no request is
//! handed from one core to another. The backend signs what is sent and judges what comes back; this module knows nothing
//! of KMS, and sends nothing a second time that may have been sent once: [`Failure`] says how far a request had come, and
//! whoever sent it decides.
//!
//! A request's way: a turn (there are no more connections than turns), an idle connection or else a new one, the
//! request, the answer's head, the answer's body. Each of them has a bound:
//!
//! | what is waited for | how long |
//! |---|---|
//! | a turn | the connect time-out |
//! | a new connection: name, TCP, proxy, TLS | the connect time-out |
//! | the answer's head, from when the request was handed to the connection | the first-byte time-out |
//! | all of it together, the answer's rest included | the call's deadline, which a second attempt shares |
//!
//! Metrics, all with the label `upstream`, which is `ACCOUNT/REGION`:
//!
//! | name | kind | meaning |
//! |---|---|---|
//! | `kmsgate_upstream_connections_opened_total` | counter | connections made, TLS and a proxy's part included |
//! | `kmsgate_upstream_connections` | gauge | connections open now, of all workers |
//! | `kmsgate_upstream_failures_total` | counter | requests that were not answered, by `kind`: `all_in_use`, `not_sent`, `connect_timeout`, `broken`, `first_byte_timeout`, `call_timeout`, `unreadable` (and `abandoned`, which the breaker counts); connections that could not be made before anybody asked count too |

mod connect;
mod connection;
mod counts;
mod endpoint;
mod failure;
mod pool;
mod proxy;
mod timer;

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryFutureExt;
use futures_util::future::join_all;
use http::{Request, Response};
use http_body_util::Full;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::settings::{ConnectionSettings, Timeouts};
use connect::Connector;
use connection::{Connection, Sent, collect};
use counts::Counts;
use pool::Pool;
use timer::Timer;

pub(crate) use endpoint::Endpoint;
pub(crate) use failure::{Failure, FailureKind};
pub(crate) use proxy::Proxy;
pub(crate) use proxy::ProxySettings;

/// One worker's connections to one upstream. Its connections are tasks of the runtime that it is used on.
pub(crate) struct Transport {
    connector: Connector,
    idle: Pool,
    /// One for each connection that is in use or being made.
    ///
    /// So many bound all connections, the idle ones too: a request makes one only when none is idle, and those that are
    /// made in advance leave the idle ones their room.
    turns: Semaphore,
    timeouts: Timeouts,
    connections: ConnectionSettings,
    counts: Arc<Counts>,
}

/// What one exchange may take.
#[derive(Debug)]
pub(crate) struct Bounds {
    /// When it ends at the latest.
    pub(crate) deadline: Instant,
    /// How long the answer's body may be.
    pub(crate) answer_bytes: usize,
}

impl Transport {
    /// Makes no connection yet. `upstream` is its name in metrics, `ACCOUNT/REGION`.
    pub(crate) fn new(
        endpoint: Endpoint,
        proxy: Option<Proxy>,
        timeouts: Timeouts,
        connections: ConnectionSettings,
        upstream: &str,
    ) -> Self {
        let counts = Arc::new(Counts::new(upstream));
        Self {
            connector: Connector::new(endpoint, proxy, timeouts.connect, Arc::clone(&counts)),
            idle: Pool::new(connections.most_idle, connections.idle_timeout),
            turns: Semaphore::new(connections.most.min(Semaphore::MAX_PERMITS)),
            timeouts,
            connections,
            counts,
        }
    }

    /// Sends `request` and reads the whole of its answer, within `bounds`.
    ///
    /// The request must be HTTP/1.1 with the target `/`, and have the endpoint's `Host` header; `Content-Length` is added.
    /// It is sent once. Only a connection that had ended before a byte was written is replaced by another.
    ///
    /// Dropped, it closes the connection, as the answer could otherwise be taken for another request's. `handed_over` is
    /// told when the request is given to a connection: from then on the upstream is what is waited for.
    ///
    /// # Errors
    ///
    /// [`Failure`], at the deadline at the latest.
    pub(crate) fn send<'t>(
        &'t self,
        request: Request<Full<Bytes>>,
        bounds: &'t Bounds,
        handed_over: impl FnMut(Instant) + Send + 't,
    ) -> impl Future<Output = Result<Response<Bytes>, Failure>> + Send + 't {
        // Not an `async fn`, whose future would have a place of its own for the request; in a box, because each step that it
        // passes through has one.
        let exchange = self.exchange(Box::new(request), bounds, handed_over);
        exchange.inspect_err(|failure| self.counts.failed(failure.kind()))
    }

    /// Makes connections until `connections` are idle, all at once, before anybody asks; no more than are kept.
    ///
    /// Those that cannot be made are counted, and made when they are needed.
    pub(crate) async fn warm(&self, connections: usize) {
        let idle = self.idle.len();
        let missing = connections.min(self.connections.most_idle).saturating_sub(idle);
        // With those that are idle now there must not be more than there are turns.
        let room = self.turns.available_permits().saturating_sub(idle);
        join_all((0..missing.min(room)).map(|_| self.warm_one())).await;
    }

    async fn warm_one(&self) {
        let Ok(_turn) = self.turns.try_acquire() else { return };
        let until = Instant::now() + self.timeouts.connect;
        match self.connect(pin!(Timer::default()), until).await {
            Ok(connection) => self.idle.put(connection, Instant::now()),
            Err(failure) => {
                self.counts.failed(failure.kind());
                tracing::debug!(%failure, "a connection could not be made in advance");
            }
        }
    }

    async fn exchange(
        &self,
        mut request: Box<Request<Full<Bytes>>>,
        bounds: &Bounds,
        mut handed_over: impl FnMut(Instant),
    ) -> Result<Response<Bytes>, Failure> {
        let mut timer = pin!(Timer::default());
        let _turn = self.turn(timer.as_mut(), bounds.deadline).await?;
        loop {
            let now = Instant::now();
            let pooled = self.idle.take(now);
            let is_new = pooled.is_none();
            let (mut connection, now) = match pooled {
                Some(connection) => (connection, now),
                None => (self.connect(timer.as_mut(), bounds.deadline).await?, Instant::now()),
            };
            handed_over(now);
            let until = bounds.deadline.min(now + self.timeouts.first_byte);
            let Ok(sent) = timer.as_mut().bound(until, Box::pin(connection.send(*request))).await else {
                if !is_new {
                    // It may have died in silence, and those beside it with it: none of them is tried after it.
                    self.idle.clear();
                }
                return Err(late(until < bounds.deadline));
            };
            match sent {
                Sent::Answered(answer) => return self.read(answer, connection, timer, bounds).await,
                Sent::Failed(failure) => return Err(failure),
                Sent::Returned(_, failure) if is_new => return Err(failure),
                // Each time round there is one idle connection less.
                Sent::Returned(returned, _) => request = returned,
            }
        }
    }

    /// The rest of an answer; then the connection is the next request's.
    async fn read(
        &self,
        answer: Box<Response<hyper::body::Incoming>>,
        connection: Connection,
        timer: Pin<&mut Timer>,
        bounds: &Bounds,
    ) -> Result<Response<Bytes>, Failure> {
        let (head, body) = answer.into_parts();
        let whole = timer.bound(bounds.deadline, collect(body, bounds.answer_bytes)).await;
        let body = whole.unwrap_or_else(|_| Err(late(false)))?;
        self.idle.put(connection, Instant::now());
        Ok(Response::from_parts(head, body))
    }

    async fn turn(&self, timer: Pin<&mut Timer>, deadline: Instant) -> Result<SemaphorePermit<'_>, Failure> {
        if let Ok(turn) = self.turns.try_acquire() {
            return Ok(turn);
        }
        match timer.bound(self.connected_by(deadline), self.turns.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(Failure::new(
                FailureKind::AllInUse,
                format_args!("all {} connections to {} stayed in use", self.connections.most, self.connector),
            )),
        }
    }

    async fn connect(&self, timer: Pin<&mut Timer>, deadline: Instant) -> Result<Connection, Failure> {
        let made = timer.bound(self.connected_by(deadline), self.connector.connect()).await;
        made.unwrap_or_else(|_| {
            let detail = format_args!("no connection to {} was made in time", self.connector);
            Err(Failure::new(FailureKind::ConnectTimeout, detail))
        })
    }

    fn connected_by(&self, deadline: Instant) -> Instant {
        deadline.min(Instant::now() + self.timeouts.connect)
    }
}

fn late(for_the_first_byte: bool) -> Failure {
    if for_the_first_byte {
        Failure::new(FailureKind::FirstByteTimeout, "no answer began in time")
    } else {
        Failure::new(FailureKind::CallTimeout, "no whole answer came before the call's deadline")
    }
}

#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;
