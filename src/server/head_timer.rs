//! Bounds how long a connection may wait for a request: before its first byte, and in the middle of its head.
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
    /// For the first byte of its first request.
    pub(super) first: Duration,
    /// For the first byte of a later one.
    pub(super) idle: Duration,
    /// For the rest of its head.
    pub(super) head: Duration,
}

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    /// For the first byte of its first request.
    First,
    /// For the first byte of a later one.
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
        let timer = Box::pin(sleep(limits.first));
        Self { io, phase, limits, waiting: Waiting::First, until: None, answers: 0, timer }
    }

    /// Waits no longer than the limit of what is waited for.
    fn poll_limit(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let until = *self.until.get_or_insert_with(|| {
            Instant::now()
                + match self.waiting {
                    Waiting::First => self.limits.first,
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
                if this.waiting != Waiting::Head && buf.filled().len() > before {
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const LIMITS: ReadLimits =
        ReadLimits { first: Duration::from_secs(10), idle: Duration::from_mins(2), head: Duration::from_secs(5) };

    /// How long a connection is waited for that has sent this, once that is dealt with.
    async fn given_up_after(sent: &[u8], deal_with_it: impl FnOnce(&ReadPhase)) -> Duration {
        let (mut client, server) = duplex(64);
        let phase = Arc::new(ReadPhase::default());
        let mut io = HeadTimer::new(server, Arc::clone(&phase), LIMITS);
        client.write_all(sent).await.unwrap();
        io.read_exact(&mut vec![0; sent.len()]).await.unwrap();
        deal_with_it(&phase);
        let began = Instant::now();
        assert_eq!(io.read_u8().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_says_nothing_at_all_is_given_up_sooner_than_one_that_has_been_used() {
        assert_eq!(given_up_after(b"", |_| ()).await, LIMITS.first);
        assert_eq!(given_up_after(b"POST /", |_| ()).await, LIMITS.head);
        let answered = |phase: &ReadPhase| {
            phase.head_is_read();
            phase.answer_is_made();
        };
        assert_eq!(given_up_after(b"POST / HTTP/1.1\r\n\r\n", answered).await, LIMITS.idle);
    }
}
