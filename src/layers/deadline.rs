//! Bounds the whole call. A timer is made only for a call that has to wait, which most do not.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep};
use tower::{Layer, Service};

use super::{Guarded, Inner};
use crate::error::Error;
use crate::kms::Answer;

/// A request whose time is bounded.
#[derive(Debug)]
pub struct Timed<B> {
    pub(super) guarded: Guarded<B>,
    _made_here: (),
}

/// Makes [`Timed`]; refuses what takes longer than the duration.
#[derive(Debug, Clone, Copy)]
pub struct DeadlineLayer(pub Duration);

impl<S> Layer<S> for DeadlineLayer {
    type Service = Deadline<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Deadline { limit: self.0, inner }
    }
}

/// The service of [`DeadlineLayer`].
#[derive(Debug, Clone)]
pub struct Deadline<S> {
    limit: Duration,
    inner: S,
}

impl<B, S> Service<Guarded<B>> for Deadline<S>
where
    S: Inner<Timed<B>>,
{
    type Response = Answer;
    type Error = Error;
    type Future = WithinDeadline<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, guarded: Guarded<B>) -> Self::Future {
        let inner = self.inner.call(Timed { guarded, _made_here: () });
        WithinDeadline { inner: Lazily::new(inner, self.limit) }
    }
}

pin_project! {
    /// The answer, or [`Error::DeadlinePassed`].
    pub struct WithinDeadline<F> {
        #[pin]
        inner: Lazily<F>,
    }
}

impl<F: Future<Output = Result<Answer, Error>>> Future for WithinDeadline<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().inner.poll(cx).map(|done| done.unwrap_or(Err(Error::DeadlinePassed)))
    }
}

pin_project! {
    /// A future that yields `None` once it has waited for longer than a limit.
    ///
    /// The timer starts when the future first has to wait, so one that is ready at once costs none.
    pub struct Lazily<F> {
        #[pin]
        inner: F,
        limit: Duration,
        timer: Option<Pin<Box<Sleep>>>,
    }
}

impl<F> Lazily<F> {
    /// Bounds the waiting of `inner`.
    pub const fn new(inner: F, limit: Duration) -> Self {
        Self { inner, limit, timer: None }
    }
}

impl<F: Future> Future for Lazily<F> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(done) = this.inner.poll(cx) {
            return Poll::Ready(Some(done));
        }
        let limit = *this.limit;
        let timer = this.timer.get_or_insert_with(|| Box::pin(sleep(limit)));
        timer.as_mut().poll(cx).map(|()| None)
    }
}
