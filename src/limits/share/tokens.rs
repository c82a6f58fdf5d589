//! The budget itself: so many tokens a second, taken without a lock.
//!
//! It is kept as one number (GCRA): the time at which a source that sends evenly would send the next request. It
//! moves one interval ahead with each token, and a token is there as long as it is not further ahead than the burst.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// What flows in this time may be taken at once, and one more. It is longer than the lateness of timers, so that no
/// budget is lost while requests wait, and short beside the second over which KMS counts. In
/// nanoseconds: 20 ms.
const BURST: u64 = 20_000_000;
/// One token in a quarter of an hour: what counts as none.
const LEAST_PER_SECOND: f64 = 0.001;
/// One token a nanosecond: what counts as no limit.
const MOST_PER_SECOND: f64 = 1e9;
/// The interval of [`LEAST_PER_SECOND`].
const LONGEST_INTERVAL: u64 = 1_000_000_000_000;

/// A token bucket, shared by all workers.
#[derive(Debug)]
pub(super) struct Tokens {
    /// Times are counted from here, in nanoseconds.
    origin: Instant,
    /// Between two tokens, in nanoseconds.
    interval: AtomicU64,
    /// When the next request would come if all came evenly.
    arrival: AtomicU64,
}

impl Tokens {
    /// A full bucket.
    pub(super) fn new(per_second: f64, now: Instant) -> Self {
        Self { origin: now, interval: AtomicU64::new(interval(per_second)), arrival: AtomicU64::new(0) }
    }

    /// Takes `cost` tokens if at least one is there. The others may be owed: so what costs more than the whole burst is
    /// served too, and what follows it waits the longer.
    pub(super) fn take(&self, cost: u32, now: Instant) -> bool {
        let now = self.nanos(now);
        let spent = |arrival: u64| (arrival <= now.saturating_add(BURST)).then(|| self.later(arrival, now, cost));
        self.arrival.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spent).is_ok()
    }

    /// Takes `cost` tokens, there or not.
    pub(super) fn charge(&self, cost: u32, now: Instant) {
        let now = self.nanos(now);
        self.move_arrival(|arrival| self.later(arrival, now, cost));
    }

    /// Returns `cost` tokens that were taken.
    pub(super) fn give_back(&self, cost: u32) {
        self.move_arrival(|arrival| arrival.saturating_sub(self.span(u64::from(cost))));
    }

    /// When the first token after `ahead` others is there, as things stand; a time past is told as such as far as the
    /// burst goes.
    pub(super) fn due_after(&self, ahead: u64, now: Instant) -> Instant {
        let arrival = self.arrival.load(Ordering::Relaxed).max(self.nanos(now));
        let due = arrival.saturating_add(self.span(ahead)).saturating_sub(BURST);
        self.origin + Duration::from_nanos(due)
    }

    /// Changes the rate. What was taken ahead of its time at a slower rate is owed no longer than at the new one.
    pub(super) fn set_rate(&self, per_second: f64, now: Instant) {
        let now = self.nanos(now);
        let new = interval(per_second);
        let old = self.interval.swap(new, Ordering::Relaxed);
        if new < old {
            self.move_arrival(|arrival| match arrival.checked_sub(now) {
                Some(ahead) => now.saturating_add(scaled(ahead, new, old)),
                None => arrival,
            });
        }
    }

    fn later(&self, arrival: u64, now: u64, cost: u32) -> u64 {
        arrival.max(now).saturating_add(self.span(u64::from(cost)))
    }

    fn span(&self, tokens: u64) -> u64 {
        self.interval.load(Ordering::Relaxed).saturating_mul(tokens)
    }

    fn nanos(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.origin).as_nanos()).unwrap_or(u64::MAX)
    }

    fn move_arrival(&self, moved: impl Fn(u64) -> u64) {
        let always = |arrival| Some(moved(arrival));
        // It cannot fail: there is always a new value.
        let _ = self.arrival.fetch_update(Ordering::Relaxed, Ordering::Relaxed, always);
    }
}

/// Nanoseconds between two tokens. What is no number is the slowest rate.
fn interval(per_second: f64) -> u64 {
    let seconds = 1.0 / per_second.clamp(LEAST_PER_SECOND, MOST_PER_SECOND);
    let nanos = Duration::try_from_secs_f64(seconds).ok().and_then(|interval| u64::try_from(interval.as_nanos()).ok());
    nanos.map_or(LONGEST_INTERVAL, |nanos| nanos.max(1))
}

/// `span` times `new / old`; `old` is at least 1, as every interval is.
fn scaled(span: u64, new: u64, old: u64) -> u64 {
    let scaled = u128::from(span) * u128::from(new) / u128::from(old.max(1));
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn taken(tokens: &Tokens, now: Instant) -> usize {
        (0..100_000).take_while(|_| tokens.take(1, now)).count()
    }

    #[test]
    fn after_a_pause_one_may_be_taken_and_what_flows_in_the_burst() {
        let start = Instant::now();
        for (rate, burst) in [(1.0, 1), (49.0, 1), (50.0, 2), (1_000.0, 21), (100_000.0, 2_001)] {
            let tokens = Tokens::new(rate, start);
            assert_eq!(taken(&tokens, start), burst, "at the start, {rate}");
            assert_eq!(taken(&tokens, start + 9 * SECOND), burst, "however long the pause, {rate}");
        }
    }

    #[test]
    fn whoever_comes_late_by_less_than_the_burst_loses_nothing() {
        let start = Instant::now();
        for (rate, in_ten_seconds) in [(7.0, 70), (1_000.0, 10_000), (30_000.0, 300_000)] {
            let tokens = Tokens::new(rate, start);
            let late = (0..=10_000 / 19).map(|look| start + Duration::from_millis(look * 19));
            let total: usize = late.map(|now| taken(&tokens, now)).sum();
            assert!(total.abs_diff(in_ten_seconds) <= in_ten_seconds / 200 + 1, "{rate}: {total}");
        }
    }

    #[test]
    fn what_costs_more_than_is_there_is_served_and_owed() {
        let start = Instant::now();
        let tokens = Tokens::new(10.0, start);
        assert!(tokens.take(2, start));
        assert!(!tokens.take(1, start + Duration::from_millis(179)));
        assert!(tokens.take(1, start + Duration::from_millis(180)), "two intervals less the burst");
    }

    #[test]
    fn what_is_given_back_can_be_taken_again_and_no_more() {
        let start = Instant::now();
        let tokens = Tokens::new(1.0, start);
        for _ in 0..5 {
            assert!(tokens.take(1, start));
            tokens.give_back(1);
        }
        assert_eq!(taken(&tokens, start), 1);
    }

    #[test]
    fn a_token_is_due_when_it_can_be_taken_and_not_before() {
        let start = Instant::now();
        let tokens = Tokens::new(5.0, start);
        assert!(tokens.take(1, start));
        let due = tokens.due_after(0, start);
        assert_eq!(due, start + Duration::from_millis(180));
        assert_eq!(tokens.due_after(3, start), due + 3 * Duration::from_millis(200));
        assert!(!tokens.take(1, due - Duration::from_nanos(1)));
        assert!(tokens.take(1, due));
    }

    #[test]
    fn a_faster_rate_is_felt_at_once() {
        let start = Instant::now();
        let tokens = Tokens::new(0.01, start);
        assert!(tokens.take(1, start));
        tokens.set_rate(10.0, start);
        assert_eq!(tokens.due_after(0, start), start + Duration::from_millis(80));
    }

    #[test]
    fn rates_that_make_no_sense_neither_panic_nor_stop_the_clock() {
        let start = Instant::now();
        for (rate, least) in [(f64::NAN, 1), (-1.0, 1), (0.0, 1), (f64::INFINITY, 100_000), (f64::MAX, 100_000)] {
            let tokens = Tokens::new(rate, start);
            assert_eq!(taken(&tokens, start), least, "{rate}");
            tokens.charge(u32::MAX, start);
            tokens.set_rate(rate, start + SECOND);
            tokens.due_after(u64::from(u32::MAX), start + SECOND);
        }
    }
}
