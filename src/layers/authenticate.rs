//! Finds out who is calling: the head's claim first, then the body under its cap, then the signature.
//!
//! Whatever the head alone can refuse (date, scope, signed headers, unknown key) is refused before a byte of
//! the body is asked for, so an `Expect: 100-continue` is answered by the refusal and a flood costs little.

use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::poll_fn;
use http_body::Body;
use tower::{Layer, Service};

use super::{Inner, Lazily, Received};
use crate::aws::{Operation, ServedRegion};
use crate::credentials::AccessKey;
use crate::error::{BodyFault, Error};
use crate::kms::Answer;
use crate::limits::{AwaitedBody, BodyReservation};
use crate::sigv4::{self, Claim, Expected, PayloadHash};
use crate::stage::{Peer, RequestContext};

/// A request whose signature was verified over the bytes received.
pub struct Authenticated {
    pub(super) context: RequestContext,
    pub(super) access_key: Arc<AccessKey>,
    pub(super) operation: Operation,
    pub(super) body: Bytes,
    /// Given back when the request ends: what was read of the body lives as long.
    pub(super) held: BodyReservation,
    /// That its signature was verified, and the hash of the body that it was verified by.
    verified: sigv4::Verified,
}

impl Authenticated {
    /// The hash of the body.
    pub(super) const fn payload(&self) -> PayloadHash {
        *self.verified.payload()
    }
}

/// Without the body, which may hold plaintext.
impl fmt::Debug for Authenticated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { context, access_key, operation, .. } = self;
        f.debug_struct("Authenticated")
            .field("context", context)
            .field("access_key", access_key)
            .field("operation", operation)
            .finish_non_exhaustive()
    }
}

/// Makes [`Authenticated`].
#[derive(Debug, Clone, Copy)]
pub struct AuthenticateLayer {
    /// How long all of a body may take to arrive.
    pub read_timeout: Duration,
}

impl<S> Layer<S> for AuthenticateLayer {
    type Service = Authenticate<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Authenticate { shared: *self, inner }
    }
}

/// The service of [`AuthenticateLayer`].
#[derive(Debug, Clone)]
pub struct Authenticate<S> {
    shared: AuthenticateLayer,
    inner: S,
}

impl<B, S> Service<Received<B>> for Authenticate<S>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: std::fmt::Display,
    S: Inner<Authenticated> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Answer;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut received: Received<B>) -> Self::Future {
        let clone = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, clone);
        let shared = self.shared;
        // The stage stays where it is until its caller is known: a future holds what is moved within it twice, and one
        // of more than 1,032 bytes costs glibc's allocator several times as much.
        Box::pin(async move {
            let Signed { access_key, region, body, held, verified } = shared.authenticate(&mut received).await?;
            let Received { mut context, operation, .. } = received;
            context.served = region;
            inner.call(Authenticated { context, access_key, operation, body, held, verified }).await
        })
    }
}

/// What a verified request is: whose, for which region, and over which bytes.
struct Signed {
    access_key: Arc<AccessKey>,
    region: ServedRegion,
    body: Bytes,
    held: BodyReservation,
    verified: sigv4::Verified,
}

impl AuthenticateLayer {
    async fn authenticate<B>(&self, received: &mut Received<B>) -> Result<Signed, Error>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: std::fmt::Display,
    {
        let Received { context, operation, body, .. } = received;
        let snapshot = &context.snapshot;
        let expected = Expected { regions: &snapshot.regions, service: "kms", hosts: &snapshot.accepted_hosts };
        let claim = Claim::read(&context.headers, &expected, context.received_at).inspect_err(|_| {
            // Whose clock is off, say: the record names the key as a claim.
            context.draft.unproven(sigv4::claimed_access_key_id(&context.headers));
        })?;
        let region = claim.region();
        context.draft.region(region);
        // Static keys have no session token, so one that comes with a token is not one of them.
        let known = snapshot.credentials.get(claim.access_key_id()).filter(|_| claim.session_token().is_none());
        // Until the signature is verified the access key is a claim.
        let claimed = claim.access_key_id();
        let unproven = |error: Error| {
            context.draft.unproven(Some(claimed));
            error
        };
        if known.is_none() && !snapshot.uniform_errors {
            return Err(unproven(sigv4::Error::UnrecognizedClient.into()));
        }
        let (body, held) = self.body(*operation, &context.peer, body).await.map_err(unproven)?;
        // For a key that is not known the same work is done with one that nobody has: time tells no more than words.
        let secret = known.map_or(&snapshot.stranger, |access_key| &access_key.secret);
        let key = secret.signing_key(claim.scope_date(), snapshot.regions.get(region));
        let verified = claim.verify(&key, &body).map_err(|error| unproven(error.into()))?;
        let Some(access_key) = known else {
            return Err(unproven(sigv4::Error::Mismatch("the access key is not known".into()).into()));
        };
        context.draft.authenticated(Arc::clone(&access_key.user_identity));
        Ok(Signed { access_key: Arc::clone(access_key), region, body, held, verified })
    }

    /// All of the body, within its operation's cap and its time.
    async fn body<B>(&self, operation: Operation, peer: &Peer, body: &mut B) -> Result<(Bytes, BodyReservation), Error>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: std::fmt::Display,
    {
        let cap = operation.body_cap();
        // What hyper read of `Content-Length`; nothing where the body comes in chunks.
        let announced = body.size_hint().exact().map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        if announced.is_some_and(|bytes| bytes > cap) {
            return Err(BodyFault::TooLarge(cap).into());
        }
        let mut held = peer.account.reservation();
        let body = {
            let collecting = pin!(collect(body, announced, cap, &mut held));
            Lazily::new(Awaiting { peer, place: None, inner: collecting }, self.read_timeout).await
        };
        Ok((body.ok_or(BodyFault::TooSlow)??, held))
    }
}

/// Waits for a body in a place among those whose bodies have not come yet; one that is there needs none.
struct Awaiting<'r, F> {
    peer: &'r Peer,
    place: Option<AwaitedBody>,
    inner: Pin<&'r mut F>,
}

impl<F: Future<Output = Result<Bytes, Error>>> Future for Awaiting<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let polled = this.inner.as_mut().poll(cx);
        if polled.is_pending() && this.place.is_none() {
            this.place = Some(this.peer.account.await_body()?);
        }
        polled
    }
}

/// All bytes of `body`, without a copy when it comes in one piece; else in one buffer, of the announced length if there
/// is one.
async fn collect<B>(
    body: &mut B,
    announced: Option<usize>,
    cap: usize,
    held: &mut BodyReservation,
) -> Result<Bytes, Error>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let mut first = Bytes::new();
    let mut whole = BytesMut::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await {
        // Trailers carry nothing that KMS reads; they are not signed and not looked at.
        let Ok(data) = frame.map_err(|error| BodyFault::Broken(error.to_string()))?.into_data() else { continue };
        if first.len() + whole.len() + data.len() > cap {
            return Err(BodyFault::TooLarge(cap).into());
        }
        held.grow(data.len())?;
        if first.is_empty() && whole.is_empty() {
            first = data;
        } else {
            whole.reserve(announced.unwrap_or_default().saturating_sub(whole.len()).max(first.len() + data.len()));
            whole.extend_from_slice(&std::mem::take(&mut first));
            whole.extend_from_slice(&data);
        }
        if body.is_end_stream() {
            break;
        }
    }
    Ok(if whole.is_empty() { first } else { whole.freeze() })
}

#[cfg(test)]
mod tests;
