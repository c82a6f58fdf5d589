//! Refuses what is more than the gateway may hold at once, before anything is spent on it.
//!
//! What is shed is answered with `ServiceUnavailableException`, which every SDK retries; it is counted and not
//! recorded, so that a flood cannot fill the audit trail.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::future::{Either, Ready, err};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::{Forbearing, Inner};
use crate::error::Error;
use crate::kms::Answer;
use crate::limits::RequestPlace;

/// A request with a place among those in flight.
#[derive(Debug)]
pub struct Held<B> {
    pub(super) forbearing: Forbearing<B>,
    _made_here: (),
}

/// Makes [`Held`].
#[derive(Debug, Clone, Copy, Default)]
pub struct InFlightLayer;

impl<S> Layer<S> for InFlightLayer {
    type Service = InFlight<S>;

    fn layer(&self, inner: S) -> Self::Service {
        InFlight { inner }
    }
}

/// The service of [`InFlightLayer`].
#[derive(Debug, Clone)]
pub struct InFlight<S> {
    inner: S,
}

impl<B, S> Service<Forbearing<B>> for InFlight<S>
where
    S: Inner<Held<B>>,
{
    type Response = Answer;
    type Error = Error;
    type Future = Either<Ready<Result<Answer, Error>>, Holding<S::Future>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, forbearing: Forbearing<B>) -> Self::Future {
        match forbearing.identified.peer.account.admit() {
            Ok(place) => {
                let inner = self.inner.call(Held { forbearing, _made_here: () });
                Either::Right(Holding { inner, _place: place })
            }
            Err(overloaded) => Either::Left(err(overloaded.into())),
        }
    }
}

pin_project! {
    /// The answer to a request that keeps its place until then.
    pub struct Holding<F> {
        #[pin]
        inner: F,
        _place: RequestPlace,
    }
}

impl<F: Future> Future for Holding<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().inner.poll(cx)
    }
}
