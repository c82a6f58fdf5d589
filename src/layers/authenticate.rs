//! Finds out who is calling: the head's claim first, then the body under its cap, then the signature.
//!
//! Whatever the head alone can refuse (date, scope, signed headers, unknown key) is refused before a byte of
//! the body is asked for, so an `Expect: 100-continue` is answered by the refusal and a flood costs little.

use std::future::Future;
use std::mem;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::poll_fn;
use http::header::CONTENT_LENGTH;
use http_body::Body;
use tower::{Layer, Service};

use super::{Inner, Lazily, Received};
use crate::aws::Operation;
use crate::credentials::AccessKey;
use crate::error::{BodyFault, Error};
use crate::kms::Answer;
use crate::limits::{BodyReservation, PeerPenalty};
use crate::sigv4::{self, Claim, Expected};
use crate::stage::RequestContext;

/// A request whose signature was verified over the bytes received.
#[derive(Debug)]
pub struct Authenticated {
    pub(super) context: RequestContext,
    pub(super) access_key: Arc<AccessKey>,
    pub(super) operation: Operation,
    pub(super) body: Bytes,
    _held: BodyReservation,
    _verified: sigv4::Verified,
}

/// Makes [`Authenticated`].
#[derive(Debug, Clone)]
pub struct AuthenticateLayer {
    /// How long all of a body may take to arrive.
    pub read_timeout: Duration,
    /// What slows a peer whose requests fail.
    pub penalty: Arc<PeerPenalty>,
}

impl<S> Layer<S> for AuthenticateLayer {
    type Service = Authenticate<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Authenticate { shared: self.clone(), inner }
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
    B: Body<Data = Bytes> + Send + 'static,
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

    fn call(&mut self, received: Received<B>) -> Self::Future {
        let clone = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, clone);
        let shared = self.shared.clone();
        Box::pin(async move {
            let peer = received.context.peer.ip();
            match shared.authenticate(received).await {
                Ok(authenticated) => inner.call(authenticated).await,
                Err(error) => {
                    if let Error::Signature(_) = error {
                        shared.slow(peer).await;
                    }
                    Err(error)
                }
            }
        })
    }
}

impl AuthenticateLayer {
    async fn authenticate<B>(&self, received: Received<B>) -> Result<Authenticated, Error>
    where
        B: Body<Data = Bytes>,
        B::Error: std::fmt::Display,
    {
        let Received { context, operation, head, body, .. } = received;
        let snapshot = &context.snapshot;
        let expected = Expected { region: &snapshot.region, service: "kms", hosts: &snapshot.accepted_hosts };
        let claim = Claim::read(&head.headers, &expected, context.received_at)?;
        let known = snapshot.credentials.get(claim.access_key_id()).filter(|_| claim.session_token().is_none());
        if let Some(access_key) = known {
            context.draft.user_identity(Arc::clone(&access_key.user_identity));
        } else if !snapshot.uniform_errors {
            return Err(sigv4::Error::UnrecognizedClient.into());
        }

        let cap = operation.body_cap();
        let announced = content_length(&head.headers);
        if announced.is_some_and(|bytes| bytes > cap) {
            return Err(BodyFault::TooLarge(cap).into());
        }
        let held = context.peer.account.reserve(announced.unwrap_or(cap))?;
        let body = Lazily::new(pin!(collect(body, cap)), self.read_timeout).await;
        let body = body.ok_or(BodyFault::TooSlow)??;

        let Some(access_key) = known else {
            // The same work as for a known key, so that time does not tell the two apart.
            let key = sigv4::SigningKey::derive(DUMMY_SECRET, claim.scope_date(), &snapshot.region, "kms");
            claim.verify(&key, &head.headers, &body)?;
            return Err(sigv4::Error::SignatureMismatch.into());
        };
        let key = access_key.signing_key(claim.scope_date(), &snapshot.region);
        let verified = claim.verify(&key, &head.headers, &body)?;
        let access_key = Arc::clone(access_key);
        Ok(Authenticated { context, access_key, operation, body, _held: held, _verified: verified })
    }

    /// Delays the answer to a peer whose signatures keep failing. One that verifies never comes here.
    async fn slow(&self, peer: std::net::IpAddr) {
        let delay = self.penalty.failed(peer);
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
    }
}

/// What an unknown key's signature is computed with; no request signed by it is ever accepted.
const DUMMY_SECRET: &str = "0000000000000000000000000000000000000000";

fn content_length(headers: &http::HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// All bytes of `body`, without a copy when it comes in one piece.
async fn collect<B>(body: B, cap: usize) -> Result<Bytes, BodyFault>
where
    B: Body<Data = Bytes>,
    B::Error: std::fmt::Display,
{
    let mut body = pin!(body);
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        // Trailers carry nothing that KMS reads; they are not signed and not looked at.
        let Ok(data) = frame.map_err(|error| BodyFault::Broken(error.to_string()))?.into_data() else { continue };
        if first.len() + rest.len() + data.len() > cap {
            return Err(BodyFault::TooLarge(cap));
        }
        if first.is_empty() {
            first = data;
        } else {
            rest.extend_from_slice(&data);
        }
        if body.is_end_stream() {
            break;
        }
    }
    if rest.is_empty() {
        return Ok(first);
    }
    let mut whole = BytesMut::with_capacity(first.len() + rest.len());
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&rest);
    Ok(whole.freeze())
}
