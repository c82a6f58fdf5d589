//! Charges a request to its quotas. Behind authorization: what a policy refuses uses up nobody's quota.

use std::future::ready;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use arc_swap::ArcSwap;
use futures_util::future::Either;
use tower::{Layer, Service};

use super::{AtOnceOrLater, Authorized, Inner};
use crate::backend::Keys;
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

impl<S> Service<Authorized> for RateLimit<S>
where
    S: Inner<Admitted> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Answer;
    type Error = Error;
    type Future = AtOnceOrLater<S::Future>;

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
    let Keys { main, source, .. } = &authorized.keys;
    Charge {
        principal: authorized.access_key.principal.quota,
        keys: [main, source].map(|found| found.as_ref().map(|found| found.key.quota())),
        class: authorized.input.operation().class(),
    }
}

fn refuse(authorized: &Authorized, throttled: Throttled) -> Error {
    authorized.context.draft.limiter(throttled.limiter);
    Error::Throttled(throttled.limiter)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use serde_json::json;
    use tower::service_fn;

    use super::super::testing::{ALIAS, World, through};
    use super::*;
    use crate::limits::{Quota, Quotas};

    fn quota(per_second: u32, burst: u32, max_wait: Duration) -> Quota {
        let positive = |number| NonZeroU32::new(number).unwrap();
        Quota { per_second: positive(per_second), burst: positive(burst), max_wait }
    }

    fn layer(quotas: &Quotas) -> RateLimitLayer {
        RateLimitLayer(Arc::new(ArcSwap::from_pointee(Limits::new(quotas))))
    }

    fn authorized(world: &World) -> Authorized {
        world.authorized(world.request("DescribeKey", &json!({"KeyId": ALIAS})))
    }

    /// What the first refusal says, once the burst is used up.
    fn refused_by(layer: &RateLimitLayer, world: &World) -> Error {
        // Tokens come back while this runs, so how many pass is not told exactly.
        let admit = |_| through::<_, _, Admitted>(layer, authorized(world)).err();
        (0..50).find_map(admit).expect("a refusal")
    }

    #[test]
    fn each_quota_refuses_by_its_name_and_kms_never_tells_which() {
        let one = quota(1, 1, Duration::ZERO);
        let class = |class| vec![(class, one)];
        for (quotas, name) in [
            (Quotas { principal: Some(one), ..Quotas::default() }, "principal"),
            (Quotas { key: Some(one), ..Quotas::default() }, "key"),
            (Quotas { classes: class(crate::aws::Class::Read), ..Quotas::default() }, "read"),
            (Quotas { gateway: Some(one), ..Quotas::default() }, "gateway"),
        ] {
            let world = World::new();
            world.key();
            let error = refused_by(&layer(&quotas), &world);
            assert!(matches!(error, Error::Throttled(limiter) if limiter == name), "{error}");
            // Recorded from KMS.
            let text = "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.";
            assert_eq!(error.exception().message(), Some(text));
            let records = world.records();
            assert_eq!(records.last().unwrap()["additionalEventData"]["gateway"]["limiter"], name);
        }
    }

    #[tokio::test]
    async fn a_short_wait_lets_a_burst_pass_one_after_another() {
        let world = World::new();
        world.key();
        let layer = layer(&Quotas { gateway: Some(quota(100, 1, Duration::from_secs(1))), ..Quotas::default() });
        let mut service = layer.layer(service_fn(|_: Admitted| async { Ok(Answer::empty()) }));
        let calls: Vec<_> = (0..4).map(|_| service.call(authorized(&world))).collect();
        for outcome in futures_util::future::join_all(calls).await {
            assert!(outcome.is_ok(), "{outcome:?}");
        }
    }

    #[tokio::test]
    async fn who_would_wait_too_long_is_refused() {
        let world = World::new();
        world.key();
        let layer = layer(&Quotas { gateway: Some(quota(1, 1, Duration::from_millis(20))), ..Quotas::default() });
        let mut service = layer.layer(service_fn(|_: Admitted| async { Ok(Answer::empty()) }));
        let mut refused = None;
        for _ in 0..50 {
            if let Err(error) = service.call(authorized(&world)).await {
                refused = Some(error);
                break;
            }
        }
        assert!(matches!(refused, Some(Error::Throttled("gateway"))), "{refused:?}");
    }

    #[test]
    fn what_all_together_may_not_have_is_given_back_to_the_one_who_asked() {
        let world = World::new();
        world.key();
        let quotas = Quotas {
            principal: Some(quota(1, 100, Duration::ZERO)),
            gateway: Some(quota(1, 1, Duration::ZERO)),
            ..Quotas::default()
        };
        let layer = layer(&quotas);
        let tries = (0..300).map(|_| through::<_, _, Admitted>(&layer, authorized(&world)));
        let refusals: Vec<_> = tries.filter_map(Result::err).collect();
        assert!(refusals.len() >= 100, "{}", refusals.len());
        assert!(refusals.iter().all(|error| matches!(error, Error::Throttled("gateway"))), "{refusals:?}");
    }
}
