//! Opens the one record of a request, and lets its answer go only once the record is written.
//!
//! Architecture invariant: no answer to a request that was read leaves before its record is in the kernel, but for
//! refusals of the unauthenticated that are counted instead.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use arc_swap::ArcSwap;
use futures_util::future::{Either, Ready, err};
use http::header::{HOST, USER_AGENT};
use http::request::Parts;
use http::{Method, Uri, Version};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::{Held, Inner};
use crate::audit::{Arrived, Draft, Recorder, Ticket, Unwritable};
use crate::aws::ServedRegion;
use crate::clock::Clock;
use crate::error::Error;
use crate::kms::{Answer, ExceptionKind};
use crate::stage::RequestContext;
use crate::state::Snapshot;

/// A request that will be recorded, whatever becomes of it.
#[derive(Debug)]
pub struct Audited<B> {
    pub(super) context: RequestContext,
    pub(super) line: RequestLine,
    pub(super) body: B,
    _made_here: (),
}

/// What a request begins with: `POST / HTTP/1.1`.
#[derive(Debug)]
pub(super) struct RequestLine {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) version: Version,
}

/// Makes [`Audited`].
#[derive(Debug, Clone)]
pub struct AuditLayer {
    /// The configuration in force.
    pub state: Arc<ArcSwap<Snapshot>>,
    /// What says when a request came.
    pub clock: Clock,
    /// Opens and keeps the records.
    pub recorder: Arc<Recorder>,
}

impl<S> Layer<S> for AuditLayer {
    type Service = Audit<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Audit { shared: self.clone(), inner }
    }
}

/// The service of [`AuditLayer`].
#[derive(Debug, Clone)]
pub struct Audit<S> {
    shared: AuditLayer,
    inner: S,
}

impl<B, S> Service<Held<B>> for Audit<S>
where
    S: Inner<Audited<B>>,
{
    type Response = Answer;
    type Error = Error;
    type Future = Either<Ready<Result<Answer, Error>>, Recording<S::Future>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, held: Held<B>) -> Self::Future {
        match self.shared.open(held) {
            Ok(audited) => {
                let draft = audited.context.draft.clone();
                Either::Right(Recording { inner: self.inner.call(audited), draft, ended: None })
            }
            Err(unwritable) => Either::Left(err(unwritable.into())),
        }
    }
}

impl AuditLayer {
    fn open<B>(&self, held: Held<B>) -> Result<Audited<B>, Unwritable> {
        let super::Identified { id, peer, request, .. } = held.forbearing.identified;
        let (Parts { method, uri, version, headers, .. }, body) = request.into_parts();
        let snapshot = self.state.load_full();
        let received_at = self.clock.now();
        let draft = self.recorder.open(Arrived {
            request_id: id.as_str(),
            at: received_at,
            peer: peer.ip(),
            tls: peer.tls.clone(),
            // A record has it among what it says of TLS.
            host: peer.tls.as_ref().and_then(|_| headers.get(HOST).cloned()),
            user_agent: headers.get(USER_AGENT).cloned(),
            generation: snapshot.generation,
        })?;
        let context = RequestContext { received_at, peer, snapshot, served: ServedRegion::default(), draft, headers };
        let line = RequestLine { method, uri, version };
        Ok(Audited { context, line, body, _made_here: () })
    }
}

pin_project! {
    /// The answer to be, and then its record's way to the kernel.
    pub struct Recording<F> {
        #[pin]
        inner: F,
        draft: Draft,
        ended: Option<(Result<Answer, Error>, Option<Ticket>)>,
    }
}

impl<F: Future<Output = Result<Answer, Error>>> Future for Recording<F> {
    type Output = Result<Answer, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if this.ended.is_none() {
            let result = ready!(this.inner.poll(cx));
            note(this.draft, result.as_ref());
            *this.ended = Some((result, this.draft.finish()));
        }
        if let Some((_, Some(ticket))) = this.ended
            && let Err(unwritable) = ready!(Pin::new(ticket).poll(cx))
        {
            return Poll::Ready(Err(unwritable.into()));
        }
        // Polled again after its end, which no caller does, it would say that it was polled so.
        let ended = this.ended.take().map(|(result, _)| result);
        Poll::Ready(ended.unwrap_or_else(|| Err(Error::Panicked("an answer was asked for twice".into()))))
    }
}

/// Writes into the draft how the request ended, unless that was written: what changes something is noted where it is
/// done, and once more when its answer comes by here.
pub(super) fn note(draft: &Draft, result: Result<&Answer, &Error>) {
    if draft.has_outcome() {
        return;
    }
    match result {
        Ok(answer) => {
            if let Some(id) = &answer.source_key_material_id {
                draft.additional("sourceKeyMaterialId", *id);
            }
            if let Some(id) = &answer.key_material_id {
                let name =
                    if answer.source_key_material_id.is_some() { "destinationKeyMaterialId" } else { "keyMaterialId" };
                draft.additional(name, *id);
            }
            if let Some(id) = &answer.grant_id {
                draft.additional("grantId", &**id);
            }
            if let Some(arn) = &answer.created {
                draft.resource(Arc::clone(arn));
            }
            if answer.forwarded.as_ref().is_some_and(|forwarded| forwarded.request_id.is_some()) {
                draft.answered_by_upstream();
            }
            match answer.forwarded.as_ref().and_then(|forwarded| forwarded.failure.as_ref()) {
                None => draft.succeeded(),
                Some((name, message)) => draft.failed(error_code(name), message.as_deref()),
            }
        }
        Err(error) => {
            let exception = error.exception();
            if let Some(detail) = error.detail() {
                draft.detail(detail);
            }
            draft.failed(exception.kind().error_code(), exception.recorded_message());
        }
    }
}

/// CloudTrail's code for an error of that name.
fn error_code(name: &str) -> Cow<'static, str> {
    ExceptionKind::from_name(name).map_or_else(|| name.to_owned().into(), |kind| kind.error_code().into())
}

#[cfg(test)]
mod tests;
