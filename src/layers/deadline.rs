//! Bounds the whole call. A timer is made only for a call that has to wait, which most do not.
//!
//! A change that was handed to the store is carried out, and is answered when it was: its time is the disk's. To tell
//! its caller that the time was up, and the record too, would leave nobody knowing what happened.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep};
use tower::{Layer, Service};

use super::{Guarded, Inner};
use crate::audit::Draft;
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
        let draft = guarded.audited.context.draft.clone();
        let inner = self.inner.call(Timed { guarded, _made_here: () });
        WithinDeadline { inner: Lazily::new(inner, self.limit), draft }
    }
}

pin_project! {
    /// The answer, or [`Error::DeadlinePassed`].
    pub struct WithinDeadline<F> {
        #[pin]
        inner: Lazily<F>,
        draft: Draft,
    }
}

impl<F: Future<Output = Result<Answer, Error>>> Future for WithinDeadline<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        match this.inner.poll(cx) {
            Poll::Ready(Some(done)) => Poll::Ready(done),
            Poll::Ready(None) if !this.draft.is_irrevocable() => Poll::Ready(Err(Error::DeadlinePassed)),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
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

#[cfg(test)]
mod tests {
    use std::future::pending;

    use futures_util::FutureExt;
    use http::Request;
    use serde_json::json;
    use tokio::time::Instant;
    use tower::service_fn;

    use super::super::testing::World;
    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    #[tokio::test(start_paused = true)]
    async fn a_call_that_takes_too_long_ends_at_its_limit() {
        let world = World::new();
        let mut service = DeadlineLayer(LIMIT).layer(service_fn(|_: Timed<()>| pending()));
        let start = Instant::now();
        let error = service.call(world.guarded(Request::new(()))).await.unwrap_err();
        assert!(matches!(error, Error::DeadlinePassed));
        assert_eq!(start.elapsed(), LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_ends_in_time_is_not_touched() {
        let world = World::new();
        let inner = service_fn(|_: Timed<()>| async {
            sleep(Duration::from_millis(19_999)).await;
            Ok(Answer::empty())
        });
        assert!(DeadlineLayer(LIMIT).layer(inner).call(world.guarded(Request::new(()))).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_that_was_handed_to_the_store_is_answered_when_it_is_made() {
        let world = World::new();
        let inner = service_fn(|timed: Timed<()>| async move {
            timed.guarded.audited.context.draft.irrevocable();
            sleep(LIMIT * 3).await;
            Ok(Answer::empty())
        });
        let start = Instant::now();
        assert!(DeadlineLayer(LIMIT).layer(inner).call(world.guarded(Request::new(()))).await.is_ok());
        assert_eq!(start.elapsed(), LIMIT * 3);
    }

    #[test]
    fn a_call_that_need_not_wait_makes_no_timer() {
        // Outside of a runtime a timer could not be made.
        let world = World::new();
        let mut service = DeadlineLayer(LIMIT).layer(service_fn(|_: Timed<()>| async { Ok(Answer::empty()) }));
        assert!(service.call(world.guarded(Request::new(()))).now_or_never().unwrap().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_took_too_long_is_recorded() {
        let world = World::new();
        let request = world.request("ListKeys", &json!({}));
        world.recorded(request, service_fn(|_| pending())).await.unwrap_err();
        assert_eq!(world.record()["errorCode"], "DependencyTimeoutException");
    }
}
