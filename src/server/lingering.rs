//! A request's body, of which the rest is read and thrown away if nobody wants it.
//!
//! A request can be refused before its body has come: for its head, or for its length. If the connection were closed
//! then, the kernel would reset it for the bytes that are still coming, and its client, which is busy sending them,
//! would see a broken pipe in place of the refusal. So the rest is taken, within bounds, and the connection goes on.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::poll_fn;
use http::Request;
use http::header::EXPECT;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::head_timer::ReadPhase;

/// As long as a head may take: whoever sends on for longer has not read the answer.
const LINGER_TIME: Duration = Duration::from_secs(5);
/// Eight of the largest bodies that any operation takes.
const LINGER_BYTES: usize = 8 * 1024 * 1024;

/// A body that is read to its end, whoever drops it.
#[derive(Debug)]
pub struct Lingering {
    /// `None` when there is nothing left to read.
    body: Option<Incoming>,
    /// Its client sends it, as far as is known: it does not wait for a `100 Continue` that was never sent.
    coming: bool,
    phase: Arc<ReadPhase>,
}

impl Lingering {
    /// Takes over the body of `request`.
    pub(super) fn over(request: Request<Incoming>, phase: &Arc<ReadPhase>) -> Request<Self> {
        let coming = !request.headers().contains_key(EXPECT);
        request.map(|body| Self { body: Some(body), coming, phase: Arc::clone(phase) })
    }
}

impl Body for Lingering {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(cx);
        // hyper has sent `100 Continue` where its client waits for it.
        this.coming = true;
        if let Poll::Ready(None | Some(Err(_))) = polled {
            this.body = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        let rest = self.body.take().filter(|body| self.coming && !body.is_end_stream());
        let (Some(rest), Ok(runtime)) = (rest, Handle::try_current()) else { return };
        let phase = Arc::clone(&self.phase);
        runtime.spawn(async move {
            // If it takes too long, hyper closes the connection.
            let _ = timeout(LINGER_TIME, discard(rest)).await;
            phase.body_is_gone();
        });
    }
}

async fn discard(mut body: Incoming) {
    let mut left = LINGER_BYTES;
    while let Some(Ok(frame)) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let Some(rest) = left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) else { return };
        left = rest;
    }
}
