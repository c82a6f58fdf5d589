//! Bounds how long a connection may wait for a request: idle before its first byte, and in the middle of its head.
//!
//! hyper has one timer for both, and sets it anew for every request. The two need different limits, and a timer costs
//! more than all else that a waiting connection costs: this wraps the connection's bytes and keeps one timer for its
//! whole life, which is moved only when it fires too early or a head comes in pieces. A read that would wait beyond a
//! limit fails.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// How far a connection's requests have come. Shared by the bytes' reader and the service.
#[derive(Debug, Default)]
pub(super) struct ReadPhase {
    /// A head has been read and its request is being answered: what comes is its body.
    in_request: AtomicBool,
    /// How many requests have been answered, and how often the rest of a body has been thrown away since.
    answers: AtomicUsize,
}

impl ReadPhase {
    /// The service has been called.
    pub(super) fn head_is_read(&self) {
        self.in_request.store(true, Ordering::Relaxed);
    }

    /// The next bytes that come begin another head.
    pub(super) fn answer_is_made(&self) {
        self.answers.fetch_add(1, Ordering::Relaxed);
        self.in_request.store(false, Ordering::Relaxed);
    }

    /// What came since the answer was the rest of a body that nobody wanted: no head has begun yet.
    pub(super) fn body_is_gone(&self) {
        self.answers.fetch_add(1, Ordering::Relaxed);
    }
}

/// How long a connection may wait for what.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReadLimits {
    /// For a request's first byte.
    pub(super) idle: Duration,
    /// For the rest of its head.
    pub(super) head: Duration,
}

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    /// For a request's first byte.
    Idle,
    /// For the rest of a head.
    Head,
}

/// A connection whose requests must come within a time.
#[derive(Debug)]
pub(super) struct HeadTimer<Io> {
    io: Io,
    phase: Arc<ReadPhase>,
    limits: ReadLimits,
    waiting: Waiting,
    /// When the wait ends; unknown until a read finds nothing.
    until: Option<Instant>,
    /// How many answers there were when the wait began.
    answers: usize,
    timer: Pin<Box<Sleep>>,
}

impl<Io> HeadTimer<Io> {
    pub(super) fn new(io: Io, phase: Arc<ReadPhase>, limits: ReadLimits) -> Self {
        let timer = Box::pin(sleep(limits.idle));
        Self { io, phase, limits, waiting: Waiting::Idle, until: None, answers: 0, timer }
    }

    /// Waits no longer than the limit of what is waited for.
    fn poll_limit(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let until = *self.until.get_or_insert_with(|| {
            Instant::now()
                + match self.waiting {
                    Waiting::Idle => self.limits.idle,
                    Waiting::Head => self.limits.head,
                }
        });
        // A timer that would fire too late is moved now; one that fires too early is moved then.
        if self.timer.deadline() > until {
            self.timer.as_mut().reset(until);
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            if self.timer.deadline() >= until {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.timer.as_mut().reset(until);
        }
        Poll::Pending
    }

    fn wait_for(&mut self, what: Waiting) {
        (self.waiting, self.until) = (what, None);
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for HeadTimer<Io> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let answers = this.phase.answers.load(Ordering::Relaxed);
        if this.answers != answers {
            this.answers = answers;
            this.wait_for(Waiting::Idle);
        }
        let before = buf.filled().len();
        match Pin::new(&mut this.io).poll_read(cx, buf) {
            // A body has a limit of its own, where it is read.
            Poll::Pending if this.phase.in_request.load(Ordering::Relaxed) => Poll::Pending,
            Poll::Pending => this.poll_limit(cx),
            Poll::Ready(done) => {
                if this.waiting == Waiting::Idle && buf.filled().len() > before {
                    this.wait_for(Waiting::Head);
                }
                Poll::Ready(done)
            }
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
