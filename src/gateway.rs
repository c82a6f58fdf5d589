//! The way of a request, as one expression: read it from top to bottom in the order a request meets it.
//!
//! Each layer makes the stage that the next one takes, so a stack with a layer missing or moved does not
//! compile (`tests/structure/stack.rs` shows it for every one).

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::Response;
use http_body::Body;
use tower::{Service, ServiceBuilder};

use crate::audit::Recorder;
use crate::backend::Backend;
use crate::clock::Clock;
use crate::layers::{
    AnswerBody, AuditLayer, AuthenticateLayer, Authorize, BackendService, CatchPanicLayer, Constraints, DeadlineLayer,
    InFlightLayer, Parse, PenaltyLayer, RateLimitLayer, Receive, RenderLayer, RequestIdLayer, ResolveLayer, StepLayer,
};
use crate::limits::{Limits, PeerPenalty};
use crate::random::Exhausted;
use crate::stage::Arrival;
use crate::state::Snapshot;

/// What the layers of all workers share.
#[derive(Debug, Clone)]
pub struct Shared {
    /// The configuration in force.
    pub state: Arc<ArcSwap<Snapshot>>,
    /// The time.
    pub clock: Clock,
    /// Opens and keeps audit records.
    pub recorder: Arc<Recorder>,
    /// The quotas.
    pub limits: Arc<ArcSwap<Limits>>,
    /// What slows peers whose signatures fail.
    pub penalty: Arc<PeerPenalty>,
    /// The longest a whole call may take.
    pub request_timeout: Duration,
    /// The longest a body may take to arrive.
    pub body_read_timeout: Duration,
}

/// Builds the stack of one worker, which has its backend's connections to itself.
#[must_use]
pub fn gateway<B>(
    shared: &Shared,
    backend: Backend,
) -> impl Service<Arrival<B>, Response = Response<AnswerBody>, Error = Exhausted, Future: Send> + Clone + Send + use<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: std::fmt::Display,
{
    let Shared { state, clock, recorder, limits, penalty, request_timeout, body_read_timeout } = shared.clone();
    let constraints = Constraints::held_by(&backend);
    ServiceBuilder::new()
        // Outermost, so that whatever is answered or logged can be found by it.
        .layer(RequestIdLayer)
        // Every layer below may refuse, and what it says is readable by an SDK.
        .layer(RenderLayer)
        // Outside of what counts requests: a forger who is made to wait holds nobody's place.
        .layer(PenaltyLayer(penalty))
        // Before anything is spent: what is shed here is counted, not recorded.
        .layer(InFlightLayer)
        // From here on a request is recorded once, and judged by one snapshot.
        .layer(AuditLayer { state, clock, recorder })
        // Inside the audit: a panic is recorded too.
        .layer(CatchPanicLayer)
        // Inside the audit: a call that takes too long is recorded too.
        .layer(DeadlineLayer(request_timeout))
        // The head alone: is it a request to KMS, and to which operation?
        .layer(StepLayer(Receive))
        // Who calls: before anything of the body is believed.
        .layer(AuthenticateLayer { read_timeout: body_read_timeout })
        // The body's facts, once, for all that follows.
        .layer(StepLayer(Parse(constraints)))
        // The key judged is the key used: found once, held to the end.
        .layer(ResolveLayer { backend: backend.clone(), limits: Arc::clone(&limits) })
        // Nothing is allowed but by a policy.
        .layer(StepLayer(Authorize))
        // After authorization: what a policy refuses uses up nobody's quota.
        .layer(RateLimitLayer(Arc::clone(&limits)))
        // Answers from the store, or forwards and judges what comes back by the key that was used.
        .service(BackendService::new(backend, limits))
}
