//! One connection, and one request on it at a time.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::future::poll_fn;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::AbortHandle;

use super::counts::Counts;
use super::failure::{Failure, FailureKind, io_kind};

/// An open connection. Whoever has it has it alone; dropped, it is closed, with whatever was on its way.
#[derive(Debug)]
pub(super) struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    task: AbortHandle,
}

/// What became of a request that was given to a connection.
pub(super) enum Sent {
    /// Its answer's head is there.
    Answered(Box<Response<Incoming>>),
    /// The connection had ended: not a byte of the request was written, and here it is again.
    Returned(Box<Request<Full<Bytes>>>, Failure),
    /// The connection broke with the request on it, or brought what is no answer.
    Failed(Failure),
}

impl Connection {
    /// Runs `connection` as a task of its own, so that its end is noticed also while nobody uses it.
    pub(super) fn spawn<Io>(
        sender: http1::SendRequest<Full<Bytes>>,
        connection: http1::Connection<TokioIo<Io>, Full<Bytes>>,
        counts: &Arc<Counts>,
    ) -> Self
    where
        Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let open = Counts::opened(counts);
        let task = tokio::spawn(async move {
            let _open = open;
            // A request that was on it has been told; for another, the next connection is as good.
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to an upstream ended");
            }
        });
        Self { sender, task: task.abort_handle() }
    }

    /// Waits until its task has run, and asks for the first request. The caller bounds the time.
    pub(super) async fn ready(&mut self) -> hyper::Result<()> {
        self.sender.ready().await
    }

    /// Another request may be sent: the last answer was read to its end, and the server keeps the connection.
    ///
    /// hyper asks for the next request in the same step in which it hands out an answer's last byte, so this is known
    /// by the time the answer is whole. What it does not ask for by then has ended, is about to, or is out of step.
    pub(super) fn is_ready(&self) -> bool {
        self.sender.is_ready()
    }

    /// Sends `request` and waits for the head of its answer. The caller bounds the time.
    ///
    /// That nothing was written is told by hyper, which returns a request in three cases alone (read in hyper 1.12):
    /// its queue is closed or not ready (`client/dispatch.rs`, `Sender::try_send`); the queue is dropped with the
    /// request in it (there, `Envelope::drop`); the connection fails, and the request is taken back out of the queue
    /// (`proto/h1/dispatch.rs`, `Client::recv_msg`). A request is encoded only once `Client::poll_msg` has taken it out
    /// of that queue, and from then on no error returns it. So what is returned has never reached the connection's
    /// buffer, let alone the socket. The converse does not hold: what failed before its first write is not returned.
    pub(super) fn send(&mut self, request: Request<Full<Bytes>>) -> impl Future<Output = Sent> + use<> {
        // Given away at once, it is no part of the future, nor of any around it.
        let sent = self.sender.try_send_request(request);
        async { sent.await.map_or_else(Sent::by, Sent::with) }
    }
}

impl Sent {
    fn with(answer: Response<Incoming>) -> Self {
        if answer.status().is_informational() {
            // It was not asked for, and what comes after it would not be HTTP.
            return Self::Failed(Failure::new(FailureKind::Unreadable, "the answer switches protocols"));
        }
        Self::Answered(Box::new(answer))
    }

    fn by(mut error: TrySendError<Request<Full<Bytes>>>) -> Self {
        let Some(request) = error.take_message() else { return Self::Failed(failed(&error.into_error())) };
        let failure = Failure::of(FailureKind::NotSent, "the connection had ended", &error.into_error());
        Self::Returned(Box::new(request), failure)
    }
}

impl Drop for Connection {
    /// Without a farewell, which the other side could keep waiting.
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The whole of an answer's body, of `most` bytes at most; trailers are left out.
///
/// Where its head does not say how long it is, it ends with the connection. Over TLS a connection that is cut is told
/// from one that was closed, because rustls insists on the other side's `close_notify`.
pub(super) async fn collect(mut body: Incoming, most: usize) -> Result<Bytes, Failure> {
    let too_large = || Failure::new(FailureKind::Unreadable, format_args!("the answer has over {most} bytes"));
    // What its head announces; nothing of it is read then.
    if body.size_hint().lower() > most as u64 {
        return Err(too_large());
    }
    let mut read = Read::default();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let Ok(data) = frame.map_err(|error| failed(&error))?.into_data() else { continue };
        if data.len() > most - read.len() {
            return Err(too_large());
        }
        read.add(data);
    }
    Ok(read.into_bytes())
}

/// What has been read of a body. Almost all come in one piece, which is not copied.
#[derive(Default)]
struct Read {
    first: Bytes,
    all: BytesMut,
}

impl Read {
    fn len(&self) -> usize {
        if self.all.is_empty() { self.first.len() } else { self.all.len() }
    }

    fn add(&mut self, data: Bytes) {
        if self.first.is_empty() {
            self.first = data;
            return;
        }
        if self.all.is_empty() {
            self.all.extend_from_slice(&self.first);
        }
        self.all.extend_from_slice(&data);
    }

    fn into_bytes(self) -> Bytes {
        if self.all.is_empty() { self.first } else { self.all.freeze() }
    }
}

/// The request was on the connection, and may have been written.
fn failed(error: &hyper::Error) -> Failure {
    use std::io::ErrorKind::{InvalidData, InvalidInput};
    // What hyper cannot parse of a head, and what it or rustls cannot make out of the rest.
    let unreadable = error.is_parse() || matches!(io_kind(error), Some(InvalidData | InvalidInput));
    let kind = if unreadable { FailureKind::Unreadable } else { FailureKind::Broken };
    Failure::of(kind, "no whole answer came", error)
}
