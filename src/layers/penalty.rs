//! Holds back the answers to a peer whose requests keep failing authentication.
//!
//! Outside of what counts requests in flight: whoever waits here holds no place that a request which verifies could
//! need. Only failed answers are held back, so nobody is locked out by a neighbour behind the same address.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep};
use tower::{Layer, Service};

use super::{Identified, Inner};
use crate::error::{BodyFault, Error};
use crate::kms::Answer;
use crate::limits::PeerPenalty;

/// A request whose answer is held back if its signature fails once too often.
#[derive(Debug)]
pub struct Forbearing<B> {
    pub(super) identified: Identified<B>,
    _made_here: (),
}

/// Makes [`Forbearing`].
#[derive(Debug, Clone)]
pub struct PenaltyLayer(pub Arc<PeerPenalty>);

impl<S> Layer<S> for PenaltyLayer {
    type Service = Penalty<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Penalty { penalty: Arc::clone(&self.0), inner }
    }
}

/// The service of [`PenaltyLayer`].
#[derive(Debug, Clone)]
pub struct Penalty<S> {
    penalty: Arc<PeerPenalty>,
    inner: S,
}

impl<B, S> Service<Identified<B>> for Penalty<S>
where
    S: Inner<Forbearing<B>>,
{
    type Response = Answer;
    type Error = Error;
    type Future = HoldingBack<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, identified: Identified<B>) -> Self::Future {
        let (peer, penalty) = (identified.peer.ip(), Arc::clone(&self.penalty));
        let inner = Some(self.inner.call(Forbearing { identified, _made_here: () }));
        HoldingBack { inner, peer, penalty, held_back: None }
    }
}

/// Whether a peer is slowed for it: a signature that is not accepted, or a body that was announced and did not come,
/// which holds what others need.
const fn is_failure(error: &Error) -> bool {
    matches!(error, Error::Signature(_) | Error::Body(BodyFault::TooSlow | BodyFault::Broken(_)))
}

pin_project! {
    /// The answer, after the delay that it earns.
    pub struct HoldingBack<F> {
        #[pin]
        inner: Option<F>,
        peer: IpAddr,
        penalty: Arc<PeerPenalty>,
        held_back: Option<(Pin<Box<Sleep>>, Option<Error>)>,
    }
}

impl<F: Future<Output = Result<Answer, Error>>> Future for HoldingBack<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        if let Some(inner) = this.inner.as_mut().as_pin_mut() {
            match ready!(inner.poll(cx)) {
                Err(error) if is_failure(&error) => {
                    let delay = this.penalty.failed(*this.peer);
                    if delay.is_zero() {
                        return Poll::Ready(Err(error));
                    }
                    // Gives back the place in flight before the wait.
                    this.inner.set(None);
                    *this.held_back = Some((Box::pin(sleep(delay)), Some(error)));
                }
                done => return Poll::Ready(done),
            }
        }
        match this.held_back {
            Some((sleep, error)) => {
                ready!(sleep.as_mut().poll(cx));
                Poll::Ready(Err(error.take().unwrap_or(Error::DeadlinePassed)))
            }
            None => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;
    use http::Request;
    use tokio::time::Instant;
    use tower::{ServiceBuilder, service_fn};

    use super::super::testing::World;
    use super::super::{Held, InFlightLayer};
    use super::*;
    use crate::clock::Clock;
    use crate::kms::Exception;
    use crate::sigv4;

    /// Requests that end as a test says, each with a place in flight as behind the gateway.
    struct Peering {
        world: World,
        penalty: PenaltyLayer,
    }

    fn peering() -> Peering {
        let world = World::new();
        let penalty = PenaltyLayer(Arc::new(PeerPenalty::new(Clock::Manual(world.clock.clone()))));
        Peering { world, penalty }
    }

    impl Peering {
        fn ending(&self, end: fn() -> Result<Answer, Error>) -> impl Future<Output = Result<Answer, Error>> + use<> {
            let inner = service_fn(move |_: Held<()>| async move { end() });
            let mut service = ServiceBuilder::new().layer(self.penalty.clone()).layer(InFlightLayer).service(inner);
            service.call(self.world.identified(Request::new(())))
        }

        async fn takes(&self, end: fn() -> Result<Answer, Error>) -> Duration {
            let start = Instant::now();
            let _ = self.ending(end).await;
            start.elapsed()
        }
    }

    fn forged() -> Result<Answer, Error> {
        Err(sigv4::Error::Mismatch("forged".into()).into())
    }

    #[tokio::test(start_paused = true)]
    async fn the_sixth_failure_is_held_back_and_holds_no_place() {
        let peering = peering();
        for _ in 0..5 {
            assert_eq!(peering.takes(forged).await, Duration::ZERO);
        }
        let start = Instant::now();
        let mut sixth = Box::pin(peering.ending(forged));
        assert_eq!(peering.world.in_flight.requests(), 1);
        assert!((&mut sixth).now_or_never().is_none(), "it is held back");
        assert_eq!(peering.world.in_flight.requests(), 0, "and waits without a place");
        let error = sixth.await.unwrap_err();
        assert!(matches!(error, Error::Signature(_)), "{error}");
        assert_eq!(start.elapsed().as_millis(), 50);
    }

    #[tokio::test(start_paused = true)]
    async fn what_verifies_is_never_delayed_whatever_its_neighbours_did() {
        let peering = peering();
        for _ in 0..20 {
            let _ = peering.takes(forged).await;
        }
        assert!(peering.takes(forged).await >= Duration::from_secs(1));
        assert_eq!(peering.takes(|| Ok(Answer::empty())).await, Duration::ZERO);
        assert_eq!(peering.takes(|| Err(Exception::access_denied("no").into())).await, Duration::ZERO);
        assert_eq!(peering.takes(|| Err(Error::Throttled("key"))).await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_of_those_who_are_known_count_as_no_failures() {
        let peering = peering();
        for _ in 0..20 {
            let _ = peering.takes(|| Err(Exception::access_denied("no").into())).await;
        }
        assert_eq!(peering.takes(forged).await, Duration::ZERO);
    }
}
