//! The quotas that a request is charged to: its principal's, its key's, its class's, the gateway's.
//!
//! They are asked from the narrowest to the widest, so that what one principal may not have uses up nothing
//! that all share. What a wider quota refuses is given back to the narrower ones. (Between the two another
//! request of the same principal can be refused that would have fitted; never the other way round.)

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, QuantaClock};

use super::bucket::{Bucket, Direct, Keyed, Subject};
use crate::aws::Class;

/// The shortest sleep that a timer keeps; a waiting request sleeps at least so long.
const SHORTEST_SLEEP: Duration = Duration::from_millis(1);

/// Requests in a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The lasting rate.
    pub per_second: NonZeroU32,
    /// How many may come at once after a pause.
    pub burst: NonZeroU32,
    /// How long a request may wait for its turn before it is refused; zero refuses at once.
    pub max_wait: Duration,
}

/// All quotas; what is absent is unlimited and costs nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quotas {
    /// Of each principal.
    pub principal: Option<Quota>,
    /// Of each key.
    pub key: Option<Quota>,
    /// Of each class of operations, of all principals together.
    pub classes: Vec<(Class, Quota)>,
    /// Of the whole gateway.
    pub gateway: Option<Quota>,
}

/// What a request is charged to.
#[derive(Clone, Copy, Debug)]
pub struct Charge {
    /// Who asks.
    pub principal: Subject,
    /// The keys that are asked for; `ReEncrypt` has two. One that stands twice is charged once.
    pub keys: [Option<Subject>; 2],
    /// What kind of operation is asked for.
    pub class: Class,
}

/// A quota is used up for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the quota of the {limiter} is used up for {wait:?}")]
pub struct Throttled {
    /// Whose: `principal`, `key`, a class's name, or `gateway`.
    pub limiter: &'static str,
    /// After what time it might have room.
    pub wait: Duration,
    /// How long that quota lets a request wait.
    pub max_wait: Duration,
}

/// What is left of all quotas; shared by all workers.
pub struct Limits<C: Clock = QuantaClock> {
    clock: C,
    principal: Option<Bucket<Keyed, C>>,
    key: Option<Bucket<Keyed, C>>,
    classes: [Option<Bucket<Direct, C>>; Class::ALL.len()],
    gateway: Option<Bucket<Direct, C>>,
}

impl Limits {
    /// Limits of which nothing is used yet.
    #[must_use]
    pub fn new(quotas: &Quotas) -> Self {
        Self::with_clock(quotas, QuantaClock::default())
    }
}

impl<C: Clock + Clone> Limits<C> {
    /// As [`Limits::new`], on another clock.
    #[must_use]
    pub fn with_clock(quotas: &Quotas, clock: C) -> Self {
        let unlimited = Self { clock, principal: None, key: None, classes: [const { None }; _], gateway: None };
        unlimited.reconfigured(quotas)
    }

    /// Limits for other quotas. A quota whose rate and burst are the same goes on with what it has counted.
    #[must_use]
    pub fn reconfigured(&self, quotas: &Quotas) -> Self {
        let class = |class: Class| quotas.classes.iter().find(|(of, _)| *of == class).map(|(_, quota)| *quota);
        let mut classes = [const { None }; _];
        for ((new, old), of) in classes.iter_mut().zip(&self.classes).zip(Class::ALL) {
            *new = carry(old.as_ref(), class(of), &self.clock);
        }
        Self {
            principal: carry(self.principal.as_ref(), quotas.principal, &self.clock),
            key: carry(self.key.as_ref(), quotas.key, &self.clock),
            gateway: carry(self.gateway.as_ref(), quotas.gateway, &self.clock),
            classes,
            clock: self.clock.clone(),
        }
    }

    /// Charges one request to all its quotas, or to none.
    ///
    /// # Errors
    ///
    /// [`Throttled`], by the narrowest quota that is used up.
    pub fn check(&self, charge: Charge) -> Result<(), Throttled> {
        self.charge_principal(charge)
    }

    /// Charges the quota of one key alone: one that is known only once its request was charged to all others.
    ///
    /// # Errors
    ///
    /// [`Throttled`].
    pub fn check_key(&self, key: Subject) -> Result<(), Throttled> {
        self.charge_key(Some(key), || Ok(()))
    }

    /// As [`Limits::check`], but waits for its turn as long as the quota that is used up allows.
    ///
    /// # Errors
    ///
    /// [`Throttled`], when its turn would come too late.
    pub async fn admit(&self, charge: Charge) -> Result<(), Throttled> {
        let mut waited = Duration::ZERO;
        loop {
            let Err(throttled) = self.check(charge) else { return Ok(()) };
            let sleep = throttled.wait.max(SHORTEST_SLEEP);
            waited += sleep;
            if waited > throttled.max_wait {
                return Err(throttled);
            }
            tokio::time::sleep(sleep).await;
        }
    }

    fn charge_principal(&self, charge: Charge) -> Result<(), Throttled> {
        let Some(bucket) = &self.principal else { return self.charge_keys(charge) };
        bucket.take(charge.principal).map_err(|wait| throttled("principal", bucket.quota, wait))?;
        self.charge_keys(charge).inspect_err(|_| bucket.give_back(charge.principal))
    }

    fn charge_keys(&self, charge: Charge) -> Result<(), Throttled> {
        let [first, second] = charge.keys;
        let second = second.filter(|second| Some(*second) != first);
        self.charge_key(first, || self.charge_key(second, || self.charge_class(charge.class)))
    }

    fn charge_key(&self, key: Option<Subject>, wider: impl FnOnce() -> Result<(), Throttled>) -> Result<(), Throttled> {
        let (Some(bucket), Some(key)) = (&self.key, key) else { return wider() };
        bucket.take(key).map_err(|wait| throttled("key", bucket.quota, wait))?;
        wider().inspect_err(|_| bucket.give_back(key))
    }

    fn charge_class(&self, class: Class) -> Result<(), Throttled> {
        let Some(Some(bucket)) = self.classes.get(class as usize) else { return self.charge_gateway() };
        bucket.take().map_err(|wait| throttled(class.name(), bucket.quota, wait))?;
        self.charge_gateway().inspect_err(|_| bucket.give_back())
    }

    fn charge_gateway(&self) -> Result<(), Throttled> {
        let Some(bucket) = &self.gateway else { return Ok(()) };
        bucket.take().map_err(|wait| throttled("gateway", bucket.quota, wait))
    }
}

const fn throttled(limiter: &'static str, quota: Quota, wait: Duration) -> Throttled {
    Throttled { limiter, wait, max_wait: quota.max_wait }
}

/// The bucket for `quota`, which goes on with `old` where it can.
fn carry<S, C>(old: Option<&Bucket<S, C>>, quota: Option<Quota>, clock: &C) -> Option<Bucket<S, C>>
where
    S: governor::state::StateStore + Default,
    C: Clock + Clone,
{
    let quota = quota?;
    Some(old.map_or_else(|| Bucket::new(quota, clock), |old| old.reconfigured(quota)))
}

impl<C: Clock> fmt::Debug for Limits<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limits")
            .field("principal", &self.principal.as_ref().map(|bucket| bucket.quota))
            .field("key", &self.key.as_ref().map(|bucket| bucket.quota))
            .field("gateway", &self.gateway.as_ref().map(|bucket| bucket.quota))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
