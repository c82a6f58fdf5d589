//! Bounds the reading of a request's head, from its first byte.
//!
//! hyper has one timer for an idle connection and for a head that comes slowly; the two need different
//! limits. This wraps the connection's bytes: the first byte after an answer starts the clock, the head's end
//! stops it, and a read that would wait beyond it fails.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// Whether the bytes that come belong to a head. Shared by the bytes' reader and the service.
#[derive(Debug, Default)]
pub(super) struct ReadPhase {
    /// A head has been read and its request is being answered: what comes is its body.
    in_request: AtomicBool,
}

impl ReadPhase {
    /// The service has been called.
    pub(super) fn head_is_read(&self) {
        self.in_request.store(true, Ordering::Relaxed);
    }

    /// The next bytes that come begin another head.
    pub(super) fn answer_is_made(&self) {
        self.in_request.store(false, Ordering::Relaxed);
    }
}

/// A connection whose heads must come within a time.
#[derive(Debug)]
pub(super) struct HeadTimer<Io> {
    io: Io,
    phase: Arc<ReadPhase>,
    limit: Duration,
    /// Runs while a part of a head has come and the rest has not.
    timer: Option<Pin<Box<Sleep>>>,
    head_begun: bool,
}

impl<Io> HeadTimer<Io> {
    pub(super) const fn new(io: Io, phase: Arc<ReadPhase>, limit: Duration) -> Self {
        Self { io, phase, limit, timer: None, head_begun: false }
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for HeadTimer<Io> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.phase.in_request.load(Ordering::Relaxed) {
            this.head_begun = false;
            this.timer = None;
        }
        let before = buf.filled().len();
        match Pin::new(&mut this.io).poll_read(cx, buf) {
            Poll::Ready(done) => {
                if buf.filled().len() > before && !this.phase.in_request.load(Ordering::Relaxed) {
                    this.head_begun = true;
                }
                Poll::Ready(done)
            }
            Poll::Pending if this.head_begun => {
                let limit = this.limit;
                let timer = this.timer.get_or_insert_with(|| Box::pin(sleep(limit)));
                match timer.as_mut().poll(cx) {
                    Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
                    Poll::Pending => Poll::Pending,
                }
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for HeadTimer<Io> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
