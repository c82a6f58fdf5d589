//! Finds the keys that a request is about, once: policy, backend and audit use the same [`Keys`] to the end.
//!
//! The local backend has them at hand. An upstream may have to be asked, and its caller is charged for that: names that
//! nobody has must not be a way to use up what all share.

use std::future::ready;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use arc_swap::ArcSwap;
use futures_util::future::Either;
use tower::{Layer, Service};

use super::parse::Payload;
use super::{AtOnceOrLater, Inner, Parsed};
use crate::aws::{AliasArn, Member, Resource};
use crate::backend::aws::{AwsBackend, Question, Unresolved};
use crate::backend::local::{LocalBackend, Tokens};
use crate::backend::{Backend, Keys};
use crate::credentials::AccessKey;
use crate::error::Error;
use crate::kms::{Answer, Exception, Input};
use crate::limits::{BodyReservation, Limits};
use crate::stage::RequestContext;

/// A request whose keys are known.
#[derive(Debug)]
pub struct Resolved {
    pub(super) context: RequestContext,
    pub(super) access_key: Arc<AccessKey>,
    pub(super) input: Input,
    pub(super) payload: Payload,
    pub(super) keys: Keys,
    /// What its grant tokens stand for, or why they cannot be used.
    pub(super) tokens: Result<Tokens, Exception>,
    pub(super) held: BodyReservation,
    _made_here: (),
}

impl Resolved {
    /// The request with its keys, which the record names from here on.
    fn new(parsed: Parsed, keys: Keys, tokens: Result<Tokens, Exception>) -> Self {
        let Parsed { context, access_key, input, payload, held, .. } = parsed;
        if input.operation().permissions().iter().any(|permission| permission.resource == Resource::Alias) {
            let name = input.string(Member::AliasName).unwrap_or_default();
            context.draft.resource(AliasArn::new(context.region(), keys.account, name).as_str());
        }
        for found in keys.iter() {
            context.draft.resource(found.key.arn());
        }
        Self { context, access_key, input, payload, keys, tokens, held, _made_here: () }
    }
}

/// Makes [`Resolved`].
#[derive(Debug, Clone)]
pub struct ResolveLayer {
    /// Where the keys are.
    pub backend: Backend,
    /// What look-ups are charged to.
    pub limits: Arc<ArcSwap<Limits>>,
}

impl<S> Layer<S> for ResolveLayer {
    type Service = Resolve<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Resolve { shared: self.clone(), inner }
    }
}

/// The service of [`ResolveLayer`].
#[derive(Debug, Clone)]
pub struct Resolve<S> {
    shared: ResolveLayer,
    inner: S,
}

impl<S> Service<Parsed> for Resolve<S>
where
    S: Inner<Resolved> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Answer;
    type Error = Error;
    type Future = AtOnceOrLater<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, parsed: Parsed) -> Self::Future {
        let resolved = match &self.shared.backend {
            Backend::Local(local) => from_store(local, parsed),
            Backend::Aws(aws) => {
                let known = aws.resolve_at_once(&parsed.question(&self.shared.limits));
                let Some(known) = known else {
                    let clone = self.inner.clone();
                    let mut inner = mem::replace(&mut self.inner, clone);
                    let (aws, limits) = (aws.clone(), Arc::clone(&self.shared.limits));
                    return Either::Right(Box::pin(async move {
                        let found = aws.resolve(&parsed.question(&limits)).await;
                        let resolved = from_upstream(&aws, parsed, found)?;
                        inner.call(resolved).await
                    }));
                };
                from_upstream(aws, parsed, known)
            }
        };
        Either::Left(match resolved {
            Ok(resolved) => Either::Right(self.inner.call(resolved)),
            Err(error) => Either::Left(ready(Err(error))),
        })
    }
}

pub(super) fn from_store(local: &LocalBackend, parsed: Parsed) -> Result<Resolved, Error> {
    let Parsed { context, access_key, input, .. } = &parsed;
    let keys = local.resolve(input, &access_key.principal.arn, context.region())?;
    let tokens = local.open_grant_tokens(input);
    Ok(Resolved::new(parsed, keys, tokens))
}

/// The request with its keys as an upstream named them, now or lately.
fn from_upstream(aws: &AwsBackend, parsed: Parsed, found: Result<Keys, Unresolved>) -> Result<Resolved, Error> {
    if let Err(Unresolved::Throttled(throttled)) = &found {
        parsed.context.draft.limiter(throttled.limiter);
    }
    let keys = found.map_err(|unresolved| Error::unresolved(unresolved, parsed.input.operation()))?;
    let tokens = aws.open_grant_tokens(&parsed.input);
    Ok(Resolved::new(parsed, keys, tokens))
}

impl Parsed {
    fn question<'q>(&'q self, limits: &'q ArcSwap<Limits>) -> Question<'q> {
        let Self { context, access_key, input, .. } = self;
        let principal = &access_key.principal;
        Question {
            input,
            caller: &principal.arn,
            charged: principal.quota,
            region: context.region(),
            facts: context.snapshot.key_facts,
            limits,
        }
    }
}

#[cfg(test)]
mod tests;
