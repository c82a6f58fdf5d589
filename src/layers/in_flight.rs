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

#[cfg(test)]
mod tests {
    use std::future::pending;

    use futures_util::FutureExt;
    use http::Request;
    use tower::service_fn;

    use super::super::testing::{Setup, World};
    use super::*;
    use crate::limits::InFlightCaps;

    /// A world with room for one request.
    fn narrow() -> World {
        let caps = InFlightCaps { requests: 1, requests_per_peer: 1, body_bytes: 1, body_bytes_per_peer: 1 };
        Setup { caps, ..Setup::default() }.world()
    }

    #[tokio::test]
    async fn what_is_more_than_the_cap_is_shed_unheard() {
        let world = narrow();
        let mut service = InFlightLayer.layer(service_fn(|_: Held<()>| pending()));
        let first = service.call(world.forbearing(Request::new(())));
        assert_eq!(world.in_flight.requests(), 1);
        let error = service.call(world.forbearing(Request::new(()))).await.unwrap_err();
        assert_eq!(error.exception().kind().name(), "ServiceUnavailableException");
        assert_eq!(world.in_flight.shed(), 1);
        assert!(world.records().is_empty(), "what is shed is counted, and not recorded");
        drop(first);
    }

    #[tokio::test]
    async fn a_place_is_given_back_when_the_request_has_ended() {
        let world = narrow();
        let mut service = InFlightLayer.layer(service_fn(|_: Held<()>| async { Ok(Answer::empty()) }));
        for _ in 0..3 {
            service.call(world.forbearing(Request::new(()))).await.unwrap();
            assert_eq!(world.in_flight.requests(), 0);
        }
    }

    #[tokio::test]
    async fn a_place_is_given_back_when_the_client_has_gone() {
        let world = narrow();
        let mut service = InFlightLayer.layer(service_fn(|_: Held<()>| pending()));
        for _ in 0..3 {
            let mut waiting = service.call(world.forbearing(Request::new(())));
            assert!((&mut waiting).now_or_never().is_none());
            assert_eq!(world.in_flight.requests(), 1);
            drop(waiting);
            assert_eq!(world.in_flight.requests(), 0);
        }
        assert_eq!(world.in_flight.shed(), 0);
    }
}
