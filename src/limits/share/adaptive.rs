//! What is learnt from an upstream that throttles: less is sent at once, and more again bit by bit.
//!
//! The account's quota is used by others too, and may be smaller than what is configured. So the budget falls by a
//! factor when the upstream throttles and recovers by a constant (AIMD), which shares the quota with whatever else
//! does the same. Pure: times are given.

use std::time::Duration;

use tokio::time::Instant;

/// What remains of the rate after the upstream has throttled.
const CUT: f64 = 0.7;
/// The throttles of this time are one: what was sent before the cut is answered after it.
const CUT_ONCE_IN: Duration = Duration::from_millis(500);
/// The part of the budget that comes back in a second: a cut is undone in 6 s.
const RECOVERY_PER_SECOND: f64 = 0.05;
/// The part of the budget below which it never falls, so that the recovery is noticed.
const FLOOR: f64 = 0.05;

/// A budget, and how much of it is used for now.
#[derive(Debug)]
pub(super) struct Adaptive {
    /// Requests in a second, when the upstream does not throttle.
    budget: f64,
    /// The part of it that is used, from [`FLOOR`] to 1.
    fraction: f64,
    /// Up to when the recovery is counted.
    counted: Instant,
    cut: Option<Instant>,
}

impl Adaptive {
    /// The whole of `budget`, in requests a second.
    pub(super) const fn new(budget: f64, now: Instant) -> Self {
        Self { budget, fraction: 1.0, counted: now, cut: None }
    }

    /// The upstream has throttled.
    pub(super) fn throttled(&mut self, now: Instant) {
        self.recover(now);
        if self.cut.is_some_and(|cut| now.saturating_duration_since(cut) < CUT_ONCE_IN) {
            return;
        }
        self.cut = Some(now);
        self.fraction = (self.fraction * CUT).max(FLOOR);
    }

    /// Counts what has come back by `now`.
    pub(super) fn recover(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.counted);
        self.counted = self.counted.max(now);
        self.fraction = (self.fraction + RECOVERY_PER_SECOND * passed.as_secs_f64()).min(1.0);
    }

    /// Another budget, of which the same part is used.
    pub(super) const fn set_budget(&mut self, budget: f64) {
        self.budget = budget;
    }

    /// Requests in a second, as of the last call with a time.
    pub(super) const fn per_second(&self) -> f64 {
        self.budget * self.fraction
    }

    /// Whether less than the budget is used.
    pub(super) const fn is_lowered(&self) -> bool {
        self.fraction < 1.0
    }

    /// How long ago the recovery was counted.
    pub(super) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.counted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn milliseconds(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    fn close(rate: f64, expected: f64) -> bool {
        (rate - expected).abs() < 1e-6
    }

    #[test]
    fn a_throttle_takes_three_tenths_at_once() {
        let start = Instant::now();
        let mut adaptive = Adaptive::new(1_000.0, start);
        assert!(!adaptive.is_lowered());
        adaptive.throttled(start);
        assert!(close(adaptive.per_second(), 700.0));
        assert!(adaptive.is_lowered());
    }

    #[test]
    fn the_throttles_of_half_a_second_are_one() {
        let start = Instant::now();
        let mut adaptive = Adaptive::new(1_000.0, start);
        for after in [0, 1, 100, 499] {
            adaptive.throttled(start + milliseconds(after));
        }
        assert!(close(adaptive.per_second(), 700.0 + 0.499 * 50.0), "{}", adaptive.per_second());
        adaptive.throttled(start + milliseconds(500));
        assert!(close(adaptive.per_second(), (700.0 + 25.0) * 0.7), "{}", adaptive.per_second());
    }

    #[test]
    fn a_twentieth_of_the_budget_comes_back_each_second_and_no_more_than_the_budget() {
        let start = Instant::now();
        let mut adaptive = Adaptive::new(1_000.0, start);
        adaptive.throttled(start);
        for (second, expected) in [(1, 750.0), (3, 850.0), (6, 1_000.0), (60, 1_000.0)] {
            adaptive.recover(start + milliseconds(second * 1_000));
            assert!(close(adaptive.per_second(), expected), "after {second} s: {}", adaptive.per_second());
        }
        assert!(!adaptive.is_lowered());
    }

    #[test]
    fn it_does_not_matter_how_often_the_recovery_is_counted() {
        let start = Instant::now();
        let mut adaptive = Adaptive::new(1_000.0, start);
        adaptive.throttled(start);
        (1..=1_000).for_each(|after| adaptive.recover(start + milliseconds(after)));
        assert!(close(adaptive.per_second(), 750.0), "{}", adaptive.per_second());
    }

    #[test]
    fn an_upstream_that_never_stops_throttling_leaves_a_twentieth() {
        let start = Instant::now();
        let mut adaptive = Adaptive::new(1_000.0, start);
        for after in 0..600 {
            adaptive.throttled(start + milliseconds(after * 100));
            assert!(adaptive.per_second() >= 50.0);
        }
        assert!(adaptive.per_second() < 100.0, "{}", adaptive.per_second());
    }

    #[test]
    fn another_budget_keeps_the_part_that_is_used() {
        let start = Instant::now();
        let mut adaptive = Adaptive::new(1_000.0, start);
        adaptive.throttled(start);
        adaptive.set_budget(500.0);
        assert!(close(adaptive.per_second(), 350.0));
    }

    #[test]
    fn a_time_that_is_told_late_changes_nothing() {
        let start = Instant::now();
        let mut adaptive = Adaptive::new(1_000.0, start + milliseconds(2_000));
        adaptive.throttled(start + milliseconds(2_000));
        adaptive.recover(start);
        adaptive.throttled(start + milliseconds(1_900));
        adaptive.recover(start + milliseconds(2_000));
        assert!(close(adaptive.per_second(), 700.0), "{}", adaptive.per_second());
    }
}
