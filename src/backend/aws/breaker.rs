//! Stops calling an upstream that does not answer, and finds out when it does again.
//!
//! One for each upstream, shared by all workers. What counts is whether a call was answered at all: an error that KMS
//! answers with is an answer. While the upstream is well, a call costs a load when it begins and one when it ends.
//!
//! ```text
//! closed --(5 failures in a row, within 30 s)--> open --(the pause is over)--> one call is let through
//!    ^                                            ^                                  |        |
//!    |                                            '--(it failed: pause doubled)------'        |
//!    '--------------------------------------------------(it succeeded)------------------------'
//! ```
//!
//! A call that nobody waits for any longer was not answered either, if it had been waited for long enough: an upstream
//! that is silent for longer than its clients' patience is as good as away.
//!
//! Metrics, label `upstream` (`ACCOUNT/REGION`): the gauge `kmsgate_upstream_circuit_open`, 1 from when it opens until it
//! closes, else 0; and of `kmsgate_upstream_failures_total` the `kind` `abandoned`, requests that were sent and for whose
//! answers nobody waited.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::{Counter, Gauge, counter, gauge};
use tokio::time::Instant;

use crate::random;

/// One or two fail for reasons of their own, and a client's own retries are three.
const FAILURES: u32 = 5;
/// Failures that took longer to come together are not of one outage.
const WINDOW: Duration = Duration::from_secs(30);
/// The first pause. Short, as most outages are.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest: so late, and no later, may it be noticed that an upstream is back.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Whoever waited so long before going away has waited for an upstream that does not answer. Less tells of the client.
const PATIENCE: Duration = Duration::from_secs(1);
/// Jitter adds up to one part in this many, so that many gateways do not probe at the same moment.
const JITTER: u32 = 4;

/// Whether an upstream may be called.
pub(crate) struct Breaker {
    upstream: Box<str>,
    /// Whether the state is [`State::Closed`] without a failure: then nobody locks it.
    untroubled: AtomicBool,
    state: Mutex<State>,
    open: Gauge,
    abandoned: Counter,
}

/// The right to make one call. Whoever is done with it says how it went; dropped, it says nothing, unless the request was
/// sent and its answer waited for.
#[derive(Debug)]
#[must_use = "a call's outcome is what the breaker goes by"]
pub(crate) struct Pass<'a> {
    breaker: &'a Breaker,
    is_probe: bool,
    /// When its request was handed over, and its outcome is still to come.
    awaited: Option<Instant>,
}

/// The upstream is not called at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the last calls went unanswered, so none is made for the time being")]
pub(crate) struct Open;

#[derive(Clone, Copy, Debug)]
enum State {
    /// Calls are made. So many failed in a row, the first of them then.
    Closed { failures: u32, since: Option<Instant> },
    /// None is made before then.
    Open { until: Instant, pause: Duration },
    /// One is being made.
    Probing { until: Instant, pause: Duration },
}

impl State {
    const UNTROUBLED: Self = Self::Closed { failures: 0, since: None };
}

impl Breaker {
    /// Closed. `upstream` is its name in metrics and in the log, `ACCOUNT/REGION`.
    pub(crate) fn new(upstream: &str) -> Self {
        let open = gauge!("kmsgate_upstream_circuit_open", "upstream" => upstream.to_owned());
        open.set(0);
        let labels = [("upstream", upstream.to_owned()), ("kind", "abandoned".to_owned())];
        let abandoned = counter!("kmsgate_upstream_failures_total", &labels);
        Self {
            upstream: upstream.into(),
            untroubled: AtomicBool::new(true),
            state: Mutex::new(State::UNTROUBLED),
            open,
            abandoned,
        }
    }

    /// Lets a call through, or not.
    ///
    /// # Errors
    ///
    /// [`Open`] while the upstream is given its pause, and while another call finds out how it is.
    pub(crate) fn admit(&self, now: Instant) -> Result<Pass<'_>, Open> {
        if self.untroubled.load(Ordering::Acquire) {
            return Ok(Pass::new(self, false));
        }
        let mut state = self.state();
        match *state {
            State::Closed { .. } => Ok(Pass::new(self, false)),
            State::Open { until, pause } if until <= now => {
                *state = State::Probing { until, pause };
                Ok(Pass::new(self, true))
            }
            State::Open { .. } | State::Probing { .. } => Err(Open),
        }
    }

    fn succeeded(&self, is_probe: bool) {
        if self.untroubled.load(Ordering::Acquire) {
            return;
        }
        let mut state = self.state();
        match *state {
            State::Closed { .. } => self.become_untroubled(&mut state),
            State::Probing { .. } if is_probe => {
                self.become_untroubled(&mut state);
                drop(state);
                self.open.set(0);
                tracing::info!(upstream = &*self.upstream, "the upstream answers again");
            }
            // It began before the outage did, or before that was known: it says nothing of now.
            State::Open { .. } | State::Probing { .. } => {}
        }
    }

    fn failed(&self, is_probe: bool, now: Instant) {
        let mut state = self.state();
        match *state {
            State::Closed { failures, since } => self.count(&mut state, failures, since, now),
            State::Probing { pause, .. } if is_probe => {
                let pause = (pause * 2).min(LONGEST_PAUSE);
                *state = State::Open { until: now + jittered(pause), pause };
            }
            State::Open { .. } | State::Probing { .. } => {}
        }
    }

    fn count(&self, state: &mut State, failures: u32, since: Option<Instant>, now: Instant) {
        let (failures, since) = match since {
            Some(since) if now.saturating_duration_since(since) <= WINDOW => (failures + 1, since),
            _ => (1, now),
        };
        self.untroubled.store(false, Ordering::Release);
        if failures < FAILURES {
            *state = State::Closed { failures, since: Some(since) };
            return;
        }
        *state = State::Open { until: now + jittered(FIRST_PAUSE), pause: FIRST_PAUSE };
        self.open.set(1);
        tracing::warn!(
            upstream = &*self.upstream,
            failures,
            "the upstream does not answer; it is not called for a while"
        );
    }

    /// The probe's owner went away: the next call is the probe.
    fn give_back(&self) {
        let mut state = self.state();
        if let State::Probing { until, pause } = *state {
            *state = State::Open { until, pause };
        }
    }

    fn become_untroubled(&self, state: &mut State) {
        *state = State::UNTROUBLED;
        self.untroubled.store(true, Ordering::Release);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a> Pass<'a> {
    const fn new(breaker: &'a Breaker, is_probe: bool) -> Self {
        Self { breaker, is_probe, awaited: None }
    }

    /// The request is the upstream's from now on.
    pub(crate) fn handed_over(&mut self, now: Instant) {
        self.awaited = Some(now);
    }

    /// The call was answered, with whatever.
    pub(crate) fn succeeded(mut self) {
        let is_probe = self.settle();
        self.breaker.succeeded(is_probe);
    }

    /// The call was not answered.
    pub(crate) fn failed(mut self, now: Instant) {
        let is_probe = self.settle();
        self.breaker.failed(is_probe, now);
    }

    /// The answer tells nothing of how the upstream is.
    pub(crate) fn says_nothing(mut self) {
        self.awaited = None;
    }

    /// Its outcome is known; whether it was the probe.
    fn settle(&mut self) -> bool {
        self.awaited = None;
        std::mem::take(&mut self.is_probe)
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if let Some(since) = self.awaited.take() {
            self.breaker.abandoned.increment(1);
            if since.elapsed() >= PATIENCE {
                let is_probe = self.settle();
                self.breaker.failed(is_probe, Instant::now());
            }
        }
        if self.is_probe {
            self.breaker.give_back();
        }
    }
}

impl std::fmt::Debug for Breaker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Breaker").field("upstream", &self.upstream).finish_non_exhaustive()
    }
}

/// `pause` and up to a quarter of it.
fn jittered(pause: Duration) -> Duration {
    // Without random bytes the pause is as good, if not as well spread.
    let random = u32::from(u16::from_be_bytes(random::bytes().unwrap_or_default()));
    pause + pause / JITTER * random / u32::from(u16::MAX)
}

#[cfg(test)]
mod tests;
