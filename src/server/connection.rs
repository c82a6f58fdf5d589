//! One connection: TLS if the listener has it, then HTTP/1.1 until it ends.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::coop::unconstrained;
use tower::Service;

use super::head_timer::{HeadTimer, ReadLimits, ReadPhase};
use super::lingering::Lingering;
use super::worker::Worker;
use super::write_timer::WriteTimer;
use super::{Phase, tls};
use crate::layers::AnswerBody;
use crate::random::Exhausted;
use crate::stage::{Arrival, Peer};

/// A stack that can serve connections.
pub trait Gateway:
    Service<Arrival<Lingering>, Response = Response<AnswerBody>, Error = Exhausted, Future: Send> + Clone + Send + 'static
{
}

impl<S> Gateway for S where
    S: Service<Arrival<Lingering>, Response = Response<AnswerBody>, Error = Exhausted, Future: Send>
        + Clone
        + Send
        + 'static
{
}

/// How long a connection may take over what.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionLimits {
    /// The TLS handshake.
    pub tls_handshake: Duration,
    /// The first byte of its first request.
    pub first_byte: Duration,
    /// A request's head, from its first byte.
    pub head_read: Duration,
    /// Between an answer and the next request's first byte.
    pub idle: Duration,
    /// For its client to take more of what it is sent.
    pub write: Duration,
    /// Bytes of a request's head.
    pub head_bytes: usize,
}

pub(super) async fn serve<S: Gateway>(stream: TcpStream, peer: SocketAddr, worker: Worker<S>) {
    let stream = WriteTimer::new(stream, worker.limits.write);
    let Some(acceptor) = worker.tls.clone() else {
        let peer = worker.peer(peer, None);
        return http(stream, peer, worker).await;
    };
    match tokio::time::timeout(worker.limits.tls_handshake, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => {
            let details = tls::details(stream.get_ref().1);
            let peer = worker.peer(peer, Some(details));
            http(stream, peer, worker).await;
        }
        Ok(Err(error)) => tracing::debug!(%peer, %error, "TLS handshake failed"),
        Err(_) => tracing::debug!(%peer, "TLS handshake took too long"),
    }
}

async fn http<S, Io>(io: Io, peer: Peer, worker: Worker<S>)
where
    S: Gateway,
    Io: AsyncRead + AsyncWrite + Unpin + Send,
{
    let address = peer.address;
    let reading = Arc::new(ReadPhase::default());
    let ConnectionLimits { first_byte, idle, head_read, .. } = worker.limits;
    let limits = ReadLimits { first: first_byte, idle, head: head_read };
    let io = HeadTimer::new(io, Arc::clone(&reading), limits);
    let phase = worker.phase.clone();
    let shared = Arc::new(Shared { reading, phase: worker.phase });
    let service = PerConnection { gateway: RefCell::new(worker.gateway), peer: Arc::new(peer), shared };
    let connection = http1::Builder::new()
        // `HeadTimer` bounds the wait for a request and for the rest of its head.
        .header_read_timeout(None)
        // The buffer's size bounds what is read of a head that has not ended, and may be passed by a part of a read; the
        // other bounds the head itself.
        .max_buf_size(worker.limits.head_bytes)
        .max_header_size(worker.limits.head_bytes)
        // An answer of 250 bytes is cheaper copied behind its head than sent as a second vector.
        .writev(false)
        .half_close(false)
        .serve_connection(TokioIo::new(io), service);
    let mut connection = pin!(connection);
    let ended = if let Some(ended) = until_closing(connection.as_mut(), phase).await {
        ended
    } else {
        connection.as_mut().graceful_shutdown();
        connection.await
    };
    if let Err(error) = ended {
        tracing::debug!(peer = %address, %error, "connection ended");
    }
}

/// What `connection` ends with, or `None` once the server closes its connections.
async fn until_closing<F: Future>(mut connection: Pin<&mut F>, phase: watch::Receiver<Phase>) -> Option<F::Output> {
    // Without tokio's budget of polls: if that were used up, it would wait without being registered to be woken.
    let mut closing = pin!(unconstrained(closing(phase.clone())));
    let mut waits = false;
    poll_fn(|cx| {
        if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
            return Poll::Ready(Some(ended));
        }
        // Once it waits, it wakes this task when the phase changes. To poll it before would cost every request some
        // locks; a task's waker is always the same. From the first change on it is polled every time: a change is seen
        // here before those who wait are woken for it, and who is not polled after that does not wait for the next.
        if waits && !phase.has_changed().unwrap_or(true) {
            return Poll::Pending;
        }
        waits = true;
        closing.as_mut().poll(cx).map(|()| None)
    })
    .await
}

async fn closing(mut phase: watch::Receiver<Phase>) {
    // Dropped at once: what it holds must not be held across an await.
    let _ = phase.wait_for(|phase| *phase >= Phase::Closing).await.is_ok();
}

/// The stack as one connection uses it: without a clone a request.
struct PerConnection<S> {
    gateway: RefCell<S>,
    peer: Arc<Peer>,
    shared: Arc<Shared>,
}

/// What the requests of a connection share.
struct Shared {
    reading: Arc<ReadPhase>,
    phase: watch::Receiver<Phase>,
}

impl<S: Gateway> hyper::service::Service<Request<Incoming>> for PerConnection<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = Answering<S::Future>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        self.shared.reading.head_is_read();
        let request = Lingering::over(request, &self.shared.reading);
        let inner = self.gateway.borrow_mut().call(Arrival { peer: Arc::clone(&self.peer), request });
        Answering { inner, shared: Arc::clone(&self.shared) }
    }
}

pin_project! {
    /// The answer to be; a draining server's asks the client to take its next request elsewhere.
    struct Answering<F> {
        #[pin]
        inner: F,
        shared: Arc<Shared>,
    }
}

impl<F: Future<Output = Result<Response<AnswerBody>, Exhausted>>> Future for Answering<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut answer = ready!(this.inner.poll(cx));
        this.shared.reading.answer_is_made();
        if let (Ok(response), true) = (&mut answer, *this.shared.phase.borrow() != Phase::Serving) {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Poll::Ready(answer)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::time::timeout;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_connection_that_waits_is_closed_at_the_end_of_a_drain_however_often_it_is_woken_at_its_begin() {
        for _ in 0..2_000 {
            let (phase, watched) = watch::channel(Phase::Serving);
            let polls = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&polls);
            let connection = poll_fn(move |_| {
                counted.fetch_add(1, Ordering::SeqCst);
                Poll::<()>::Pending
            });
            let task = tokio::spawn(async move { until_closing(pin!(connection), watched).await });
            for (polled, next) in [(1, Phase::Draining), (2, Phase::Closing)] {
                // Time enough for it to be polled, and to be woken twice for one change.
                for _ in 0..1_000 {
                    tokio::task::yield_now().await;
                    if polls.load(Ordering::SeqCst) > polled {
                        break;
                    }
                }
                phase.send_replace(next);
            }
            let ended = timeout(Duration::from_secs(10), task).await;
            assert_eq!(ended.expect("it was not woken").unwrap(), None);
        }
    }
}
