//! One middleware a file, in the order a request meets them (`gateway.rs`).
//!
//! A layer that only turns one stage into the next, without waiting, is a [`Step`]: a plain method that
//! either earns the next stage or refuses. [`StepLayer`] is tower's plumbing around it, written once. A layer
//! that waits, or that works on the answer too, has a `Service` of its own.
//!
//! Where the keys are shows in three layers alone: `parse`, which leaves constraints to an upstream; `resolve`, which may
//! have to ask it; and `backend`, which answers by the embedded store, or by `forward`.

mod audit;
mod authenticate;
mod authorize;
mod backend;
mod catch_panic;
mod deadline;
mod forward;
mod in_flight;
mod off_worker;
mod parse;
mod penalty;
mod rate_limit;
mod receive;
mod render;
mod request_id;
mod resolve;
#[cfg(test)]
mod testing;

use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::future::Either;
use tower::{Layer, Service};

use audit::RequestLine;
pub use audit::{AuditLayer, Audited};
pub use authenticate::{AuthenticateLayer, Authenticated};
pub use authorize::{Authorize, Authorized};
pub use backend::BackendService;
pub use catch_panic::{CatchPanicLayer, Guarded};
pub use deadline::{DeadlineLayer, Lazily, Timed};
pub use in_flight::{Held, InFlightLayer};
pub use parse::{Constraints, Parse, Parsed};
pub use penalty::{Forbearing, PenaltyLayer};
pub use rate_limit::{Admitted, RateLimitLayer};
pub use receive::{Receive, Received};
pub use render::{AnswerBody, RenderLayer};
pub use request_id::{Identified, RequestIdLayer};
pub use resolve::{Resolve, ResolveLayer, Resolved};

use crate::error::Error;
use crate::kms::Answer;

/// A service of the stack's inside: takes a stage, answers or refuses.
pub trait Inner<Stage>: Service<Stage, Response = Answer, Error = Error> {}

impl<Stage, S: Service<Stage, Response = Answer, Error = Error>> Inner<Stage> for S {}

/// Refused at once, or passed on.
type AtOnce<F> = Either<Ready<Result<Answer, Error>>, F>;

/// [`AtOnce`], or after a wait. Only a request that waits pays for a box.
type AtOnceOrLater<F> = Either<AtOnce<F>, Pin<Box<dyn Future<Output = Result<Answer, Error>> + Send>>>;

/// One step of the way: earns the next stage or refuses, without waiting.
pub trait Step<In> {
    /// The stage it earns.
    type Out;

    /// Takes the stage before.
    ///
    /// # Errors
    ///
    /// Why the request goes no further.
    fn step(&self, stage: In) -> Result<Self::Out, Error>;
}

/// Puts a [`Step`] before a service.
#[derive(Debug, Clone, Copy)]
pub struct StepLayer<T>(pub T);

impl<T: Clone, S> Layer<S> for StepLayer<T> {
    type Service = Stepped<T, S>;

    fn layer(&self, inner: S) -> Self::Service {
        Stepped { step: self.0.clone(), inner }
    }
}

/// A service behind a [`Step`].
#[derive(Debug, Clone)]
pub struct Stepped<T, S> {
    step: T,
    inner: S,
}

impl<In, T, S> Service<In> for Stepped<T, S>
where
    T: Step<In>,
    S: Inner<T::Out>,
{
    type Response = Answer;
    type Error = Error;
    type Future = AtOnce<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, stage: In) -> Self::Future {
        match self.step.step(stage) {
            Ok(next) => Either::Right(self.inner.call(next)),
            Err(error) => Either::Left(ready(Err(error))),
        }
    }
}
