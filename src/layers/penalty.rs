//! Holds back the answers to a peer whose requests keep failing authentication.
//!
//! Outside of what counts requests in flight: whoever waits here holds no place that a request which verifies could
//! need. Only failed answers are held back, so nobody is locked out by a neighbour behind the same address.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep};
use tower::{Layer, Service};

use super::{Identified, Inner};
use crate::error::Error;
use crate::kms::Answer;
use crate::limits::PeerPenalty;
use crate::stage::Peer;

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
        let (peer, penalty) = (Arc::clone(&identified.peer), Arc::clone(&self.penalty));
        let inner = Some(self.inner.call(Forbearing { identified, _made_here: () }));
        HoldingBack { inner, peer, penalty, held_back: None }
    }
}

pin_project! {
    /// The answer, after the delay that it earns.
    pub struct HoldingBack<F> {
        #[pin]
        inner: Option<F>,
        peer: Arc<Peer>,
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
                Err(error @ Error::Signature(_)) => {
                    let delay = this.penalty.failed(this.peer.ip());
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
