//! Turns a panic into `KMSInternalException`, so that it costs one request and not a connection or a record.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::{Audited, Inner};
use crate::error::Error;
use crate::kms::Answer;

/// A request whose panics are caught.
#[derive(Debug)]
pub struct Guarded<B> {
    pub(super) audited: Audited<B>,
    _made_here: (),
}

/// Makes [`Guarded`].
#[derive(Debug, Clone, Copy, Default)]
pub struct CatchPanicLayer;

impl<S> Layer<S> for CatchPanicLayer {
    type Service = CatchPanic<S>;

    fn layer(&self, inner: S) -> Self::Service {
        CatchPanic { inner }
    }
}

/// The service of [`CatchPanicLayer`].
#[derive(Debug, Clone)]
pub struct CatchPanic<S> {
    inner: S,
}

impl<B, S> Service<Audited<B>> for CatchPanic<S>
where
    S: Inner<Guarded<B>>,
{
    type Response = Answer;
    type Error = Error;
    type Future = Catching<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, audited: Audited<B>) -> Self::Future {
        // The steps run inside `call`, so it is caught as the future is. What a panic leaves half done is the
        // request itself, and that is dropped: nothing outside it is seen in a broken state.
        match catch_unwind(AssertUnwindSafe(|| self.inner.call(Guarded { audited, _made_here: () }))) {
            Ok(inner) => Catching { inner: Some(inner), error: None },
            Err(panic) => Catching { inner: None, error: Some(panicked(panic.as_ref())) },
        }
    }
}

pin_project! {
    /// The answer, or [`Error::Panicked`].
    pub struct Catching<F> {
        #[pin]
        inner: Option<F>,
        error: Option<Error>,
    }
}

impl<F: Future<Output = Result<Answer, Error>>> Future for Catching<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        match this.inner.as_pin_mut() {
            Some(inner) => catch_unwind(AssertUnwindSafe(|| inner.poll(cx)))
                .unwrap_or_else(|panic| Poll::Ready(Err(panicked(panic.as_ref())))),
            None => Poll::Ready(Err(this.error.take().unwrap_or_else(|| panicked(&"polled after its end")))),
        }
    }
}

fn panicked(panic: &(dyn Any + Send)) -> Error {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let text = text.unwrap_or("a panic without a text").to_owned();
    tracing::error!(panic = text, "a request panicked; this is a fault of the gateway, please report it");
    Error::Panicked(text)
}

#[cfg(test)]
mod tests {
    use std::future::{pending, poll_fn};

    use serde_json::json;
    use tower::service_fn;

    use super::super::Received;
    use super::super::testing::World;
    use super::*;
    use crate::aws::Operation;

    /// Ends a request by `inner`, which panics; what the client is told, and the record.
    async fn panicking<S: Inner<Received<http_body_util::Full<bytes::Bytes>>>>(
        inner: S,
    ) -> (String, serde_json::Value) {
        let world = World::new();
        let error = world.recorded(world.request("ListKeys", &json!({})), inner).await.unwrap_err();
        let body = String::from_utf8(error.exception().body().to_vec()).unwrap();
        (body, world.record())
    }

    fn told(body: &str, record: &serde_json::Value) {
        assert!(body.contains(r#""__type":"KMSInternalException""#), "{body}");
        assert!(!body.contains("boom"), "the client is told no inner text: {body}");
        assert_eq!(record["errorCode"], "KMSInternalException");
        assert_eq!(record["eventName"], "ListKeys");
        let detail = record["additionalEventData"]["gateway"]["detail"].as_str().unwrap();
        assert!(detail.contains("boom"), "{detail}");
    }

    #[tokio::test]
    async fn a_panic_before_the_first_wait_is_an_answer_and_a_record() {
        let inner = service_fn(|received: Received<_>| {
            assert!(received.operation != Operation::ListKeys, "boom");
            pending()
        });
        let (body, record) = panicking(inner).await;
        told(&body, &record);
    }

    #[tokio::test]
    async fn a_panic_while_waiting_is_an_answer_and_a_record() {
        let inner = service_fn(|_| {
            let mut polls = 0;
            poll_fn(move |cx| {
                polls += 1;
                assert!(polls < 3, "boom");
                cx.waker().wake_by_ref();
                Poll::Pending
            })
        });
        let (body, record) = panicking(inner).await;
        told(&body, &record);
    }

    #[tokio::test]
    async fn what_does_not_panic_goes_through() {
        let world = World::new();
        let inner = service_fn(|_| async { Ok(Answer::empty()) });
        assert!(world.recorded(world.request("ListKeys", &json!({})), inner).await.is_ok());
    }
}
