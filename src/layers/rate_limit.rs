//! Charges a request to its quotas. Behind authorization: what a policy refuses uses up nobody's quota.

use std::future::{Future, Ready, ready};
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arc_swap::ArcSwap;
use futures_util::future::Either;
use tower::{Layer, Service};

use super::{Authorized, Inner};
use crate::error::Error;
use crate::kms::Answer;
use crate::limits::{Charge, Limits, Throttled};

/// A request that may be carried out now.
#[derive(Debug)]
pub struct Admitted {
    pub(super) authorized: Authorized,
    _made_here: (),
}

/// Makes [`Admitted`].
#[derive(Debug, Clone)]
pub struct RateLimitLayer(pub Arc<ArcSwap<Limits>>);

impl<S> Layer<S> for RateLimitLayer {
    type Service = RateLimit<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RateLimit { limits: Arc::clone(&self.0), inner }
    }
}

/// The service of [`RateLimitLayer`].
#[derive(Debug, Clone)]
pub struct RateLimit<S> {
    limits: Arc<ArcSwap<Limits>>,
    inner: S,
}

/// Refused at once, admitted at once, or waiting for its turn.
type Admitting<F> =
    Either<Either<Ready<Result<Answer, Error>>, F>, Pin<Box<dyn Future<Output = Result<Answer, Error>> + Send>>>;

impl<S> Service<Authorized> for RateLimit<S>
where
    S: Inner<Admitted> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Answer;
    type Error = Error;
    type Future = Admitting<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, authorized: Authorized) -> Self::Future {
        let charge = charge(&authorized);
        match self.limits.load().check(charge) {
            Ok(()) => Either::Left(Either::Right(self.inner.call(Admitted { authorized, _made_here: () }))),
            Err(throttled) if throttled.max_wait.is_zero() => {
                Either::Left(Either::Left(ready(Err(refuse(&authorized, throttled)))))
            }
            Err(_) => {
                let clone = self.inner.clone();
                let mut inner = mem::replace(&mut self.inner, clone);
                let limits = self.limits.load_full();
                Either::Right(Box::pin(async move {
                    match limits.admit(charge).await {
                        Ok(()) => inner.call(Admitted { authorized, _made_here: () }).await,
                        Err(throttled) => Err(refuse(&authorized, throttled)),
                    }
                }))
            }
        }
    }
}

fn charge(authorized: &Authorized) -> Charge {
    Charge {
        principal: authorized.access_key.principal.quota,
        key: authorized.keys.main.as_ref().map(|found| found.key.quota),
        class: authorized.input.operation().class(),
    }
}

fn refuse(authorized: &Authorized, throttled: Throttled) -> Error {
    authorized.context.draft.limiter(throttled.limiter);
    Error::Throttled(throttled.limiter)
}
