//! The gateway's part of an upstream's request quotas, shared fairly between principals.
//!
//! KMS counts requests for a whole account and region, so one noisy program starves all others. The gateway keeps a
//! budget below each quota ([`FairShare`]), divides it by the number of its replicas, and lowers it when the upstream
//! throttles all the same ([`Adaptive`]). What a principal does not use is lent to the others.
//!
//! Fairness holds between as many principals as the budget serves in the 100 ms that a request may wait: with a budget
//! of 1,000 a second, 100 that all ask for more than their part. Beyond, places in the queue go to those who ask
//! oftener; a quota of each principal's own bounds that.
//!
//! Metrics, all with the labels `upstream` and `quota`:
//!
//! | Name | Kind | What it counts |
//! |---|---|---|
//! | `kmsgate_share_budget_per_second` | gauge | the budget of this replica as of the last request: what it recovers is counted by those that come |
//! | `kmsgate_share_admitted_total` | counter | requests that were admitted, at once or after waiting |
//! | `kmsgate_share_waited_total` | counter | requests that had to wait, whatever became of them |
//! | `kmsgate_share_refused_total` | counter | requests that were refused, at once or after waiting |
//! | `kmsgate_share_upstream_throttled_total` | counter | answers by which the upstream throttled |
//!
//! A request whose client hangs up while it waits is counted as having waited alone.

mod adaptive;
mod fair;
mod meters;
mod ring;
mod tokens;

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use self::adaptive::Adaptive;
pub use self::fair::Refused;
use self::fair::{Admission, FairShare};
use self::meters::Meters;
use super::Subject;

/// How often requests count what a lowered budget has recovered: steps of half a hundredth, and a cost that does not
/// show.
const RECOVERY_STEP: Duration = Duration::from_millis(100);

/// The budgets of one upstream; shared by all workers.
#[derive(Debug)]
pub struct UpstreamShares {
    classes: Box<[Class]>,
}

/// The budget of one of the upstream's quotas.
#[derive(Debug)]
struct Class {
    /// Requests in a second, of all replicas together.
    configured: f64,
    share: FairShare,
    adaptive: Mutex<Adaptive>,
    /// Whether less than the budget is used, for those who only ask.
    lowered: AtomicBool,
    meters: Meters,
}

impl UpstreamShares {
    /// The budgets of `upstream`, a short name for metrics: for each quota its name and how many requests a second all
    /// replicas may make together. A quota's class is its index here. `f64::INFINITY` is no limit.
    ///
    /// Until [`UpstreamShares::set_replicas`] is told otherwise this is the only replica.
    #[must_use]
    pub fn new(upstream: &str, budgets: &[(&'static str, f64)]) -> Self {
        let now = Instant::now();
        Self { classes: budgets.iter().map(|&(quota, budget)| Class::new(upstream, quota, budget, now)).collect() }
    }

    /// Asks for leave to make `cost` requests of `class` for `principal`, and waits for it if it comes within
    /// 100 ms. A `cost` outside of 1 to 16 counts as the nearest of these.
    ///
    /// # Errors
    ///
    /// [`Refused`] when it does not; also for a class that has no budget here, since nothing then holds it to a quota.
    pub async fn admit(&self, class: usize, principal: Subject, cost: u32) -> Result<(), Refused> {
        let Some(class) = self.classes.get(class) else { return Err(Refused { wait: Duration::ZERO }) };
        class.recover_if_lowered();
        let outcome = match class.share.try_admit(principal, cost) {
            Admission::Admitted => Ok(()),
            Admission::Refused(refused) => Err(refused),
            Admission::Wait(ticket) => {
                class.meters.waited.increment(1);
                ticket.await
            }
        };
        class.meters.count(outcome.is_ok());
        outcome
    }

    /// Tells that the upstream has answered a request of `class` with its own `ThrottlingException`. What the gateway
    /// refuses itself must not be told here.
    pub fn throttled(&self, class: usize) {
        let Some(class) = self.classes.get(class) else { return };
        class.meters.upstream_throttled.increment(1);
        class.adapt(|adaptive| adaptive.throttled(Instant::now()));
    }

    /// Divides all budgets by the number of replicas that share them.
    pub fn set_replicas(&self, replicas: NonZeroU32) {
        for class in &self.classes {
            let budget = class.configured / f64::from(replicas.get());
            class.adapt(|adaptive| adaptive.set_budget(budget));
        }
    }
}

impl Class {
    fn new(upstream: &str, quota: &'static str, budget: f64, now: Instant) -> Self {
        let meters = Meters::new(upstream, quota);
        meters.budget.set(budget);
        Self {
            configured: budget,
            share: FairShare::new(budget),
            adaptive: Mutex::new(Adaptive::new(budget, now)),
            lowered: AtomicBool::new(false),
            meters,
        }
    }

    fn recover_if_lowered(&self) {
        if !self.lowered.load(Ordering::Relaxed) {
            return;
        }
        let now = Instant::now();
        let adaptive = self.lock();
        if adaptive.age(now) >= RECOVERY_STEP {
            self.apply(adaptive, |adaptive| adaptive.recover(now));
        }
    }

    fn adapt(&self, change: impl FnOnce(&mut Adaptive)) {
        self.apply(self.lock(), change);
    }

    /// Makes a change, and holds the share to what follows from it before another change is made.
    fn apply(&self, mut adaptive: MutexGuard<'_, Adaptive>, change: impl FnOnce(&mut Adaptive)) {
        change(&mut adaptive);
        let per_second = adaptive.per_second();
        self.lowered.store(adaptive.is_lowered(), Ordering::Relaxed);
        self.share.set_rate(per_second);
        self.meters.budget.set(per_second);
    }

    fn lock(&self) -> MutexGuard<'_, Adaptive> {
        self.adaptive.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
