//! How far an upstream's clock is from ours, measured by the `Date` of its answers.
//!
//! AWS takes a signature for five minutes around its own time. When our clock is off by more, every call would fail
//! until somebody sets it, so what is signed is dated by the upstream's clock instead. A client hears nothing of it: its
//! own clock was judged before, and an SDK that is told of a skew shifts its clock.
//!
//! Metric: gauge `kmsgate_clock_skew_seconds{upstream}`, the upstream's clock minus ours as it was last taken over.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use http::header::{DATE, HeaderMap};
use metrics::{Gauge, gauge};

use crate::clock::{Clock, Timestamp};
use crate::sigv4::http_date;

/// A refused signature is blamed on the clocks from this difference on. Below it is within what a call may take on its
/// way, and far below the five minutes that AWS allows.
const REFUSED_SECONDS: i64 = 60;
/// A drift that is seen in passing is taken over from this difference on, long before a signature is refused for it.
const DRIFT_SECONDS: i64 = 30;
/// A difference beyond this is not believed: a wrong `Date` must not make us sign for another day.
const BELIEVED_SECONDS: i64 = 24 * 60 * 60;

/// One upstream's clock, as far as it is known. Shared by all workers.
#[derive(Debug)]
pub(crate) struct Skew {
    upstream: Box<str>,
    /// The upstream's clock minus ours.
    seconds: AtomicI64,
    /// The second at which an answer in passing was last looked at.
    looked_at: AtomicI64,
    /// The last `Date` was not believed, and that was said.
    disbelieved: AtomicBool,
    gauge: Gauge,
}

impl Skew {
    /// A clock that is ours until an answer says otherwise. `upstream` names it in the log and in the metric, whose
    /// recorder has to be there already.
    #[must_use]
    pub(crate) fn new(upstream: &str) -> Self {
        let gauge = gauge!("kmsgate_clock_skew_seconds", "upstream" => upstream.to_owned());
        gauge.set(0.0);
        Self {
            upstream: upstream.into(),
            seconds: AtomicI64::new(0),
            looked_at: AtomicI64::new(i64::MIN),
            disbelieved: AtomicBool::new(false),
            gauge,
        }
    }

    /// The upstream's time, to date a signature by and to judge by whether credentials have ended.
    #[must_use]
    pub(crate) fn now(&self, clock: &Clock) -> Timestamp {
        shifted(clock.now(), self.seconds.load(Ordering::Relaxed))
    }

    /// Learns from the headers of an answer that refused the signature (`InvalidSignatureException`), and says whether
    /// the call is worth signing again: it is if `signed_at`, by which it was dated, is more than a minute from the
    /// answer's date. One that is refused again is not: it was dated by the upstream's own time.
    #[must_use]
    pub(crate) fn refused(&self, answer: &HeaderMap, signed_at: Timestamp, clock: &Clock) -> bool {
        let Some(date) = date(answer) else { return false };
        let now = clock.now();
        let (apart, believed) = (seconds_between(signed_at, date), self.believed(date, now));
        if apart.abs() <= REFUSED_SECONDS || !believed {
            return false;
        }
        self.correct(date, now, REFUSED_SECONDS);
        true
    }

    /// Learns from the headers of an answer to a signature that was taken, at most once a second: it costs nothing on
    /// the others.
    pub(crate) fn accepted(&self, answer: &HeaderMap, clock: &Clock) {
        let now = clock.now();
        if self.looked_at.load(Ordering::Relaxed) == now.unix_seconds() {
            return;
        }
        self.looked_at.store(now.unix_seconds(), Ordering::Relaxed);
        if let Some(date) = date(answer).filter(|date| self.believed(*date, now)) {
            self.correct(date, now, DRIFT_SECONDS);
        }
    }

    fn believed(&self, date: Timestamp, now: Timestamp) -> bool {
        let apart = seconds_between(now, date);
        let believed = apart.abs() <= BELIEVED_SECONDS;
        // Said once, however many answers have such a date.
        if !believed && !self.disbelieved.swap(true, Ordering::Relaxed) {
            tracing::warn!(upstream = %self.upstream, apart, "an answer is dated more than a day from now and not believed: check the clock");
        }
        if believed {
            self.disbelieved.store(false, Ordering::Relaxed);
        }
        believed
    }

    /// Takes over the difference if what is known is further from it than `bound`.
    fn correct(&self, date: Timestamp, now: Timestamp, bound: i64) {
        let (known, measured) = (self.seconds.load(Ordering::Relaxed), seconds_between(now, date));
        if measured.saturating_sub(known).abs() <= bound {
            return;
        }
        // Of several workers that learn the same at once, one says so.
        if self.seconds.compare_exchange(known, measured, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            tracing::warn!(upstream = %self.upstream, seconds = measured, before = known, "our clock is not the upstream's: signatures are dated by the upstream's");
            // At most a day.
            self.gauge.set(f64::from(i32::try_from(measured).unwrap_or_default()));
        }
    }
}

fn date(answer: &HeaderMap) -> Option<Timestamp> {
    http_date(answer.get(DATE)?.to_str().ok()?)
}

fn seconds_between(earlier: Timestamp, later: Timestamp) -> i64 {
    later.unix_seconds().saturating_sub(earlier.unix_seconds())
}

fn shifted(moment: Timestamp, seconds: i64) -> Timestamp {
    let by = std::time::Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 { moment.minus(by) } else { moment.plus(by) }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;
    use crate::clock::ManualClock;

    /// Mon, 23 Nov 2026 18:22:41 GMT.
    const NOW: i64 = 1_795_458_161;

    fn at(seconds: i64) -> Clock {
        Clock::Manual(ManualClock::new(Timestamp::from_unix_seconds(seconds)))
    }

    fn answer(date: &str) -> HeaderMap {
        HeaderMap::from_iter([(DATE, HeaderValue::from_str(date).unwrap())])
    }

    fn now(skew: &Skew, clock: &Clock) -> i64 {
        skew.now(clock).unix_seconds()
    }

    #[test]
    fn a_refusal_by_a_clock_that_is_apart_corrects_ours_and_is_worth_another_signature() {
        for (date, seconds) in [("Mon, 23 Nov 2026 18:32:41 GMT", 600), ("Mon, 23 Nov 2026 18:12:41 GMT", -600)] {
            let (skew, clock) = (Skew::new("test"), at(NOW));
            assert!(skew.refused(&answer(date), skew.now(&clock), &clock));
            assert_eq!(now(&skew, &clock), NOW + seconds);
            // Signed by the upstream's clock it is refused for another reason.
            assert!(!skew.refused(&answer(date), skew.now(&clock), &clock));
            assert_eq!(now(&skew, &at(NOW + 60)), NOW + 60 + seconds);
        }
    }

    #[test]
    fn a_refusal_within_a_minute_is_not_blamed_on_the_clocks() {
        let (skew, clock) = (Skew::new("test"), at(NOW));
        for date in ["Mon, 23 Nov 2026 18:23:41 GMT", "Mon, 23 Nov 2026 18:21:41 GMT", "yesterday", ""] {
            assert!(!skew.refused(&answer(date), skew.now(&clock), &clock), "{date}");
        }
        assert!(!skew.refused(&HeaderMap::new(), skew.now(&clock), &clock));
        assert_eq!(now(&skew, &clock), NOW);
    }

    #[test]
    fn a_call_that_was_signed_before_another_s_correction_is_worth_it_too() {
        let (skew, clock) = (Skew::new("test"), at(NOW));
        let signed_at = skew.now(&clock);
        let date = answer("Mon, 23 Nov 2026 18:32:41 GMT");
        assert!(skew.refused(&date, signed_at, &clock));
        assert!(skew.refused(&date, signed_at, &clock));
        assert_eq!(now(&skew, &clock), NOW + 600);
    }

    #[test]
    fn a_drift_is_taken_over_in_passing_beyond_half_a_minute() {
        let (skew, clock) = (Skew::new("test"), at(NOW));
        skew.accepted(&answer("Mon, 23 Nov 2026 18:23:11 GMT"), &clock);
        assert_eq!(now(&skew, &clock), NOW);
        // Not in the same second again.
        skew.accepted(&answer("Mon, 23 Nov 2026 18:23:13 GMT"), &clock);
        assert_eq!(now(&skew, &clock), NOW);
        let clock = at(NOW + 1);
        skew.accepted(&answer("Mon, 23 Nov 2026 18:23:13 GMT"), &clock);
        assert_eq!(now(&skew, &clock), NOW + 32);
        // And back, when the clock was set.
        let clock = at(NOW + 40);
        skew.accepted(&answer("Mon, 23 Nov 2026 18:23:21 GMT"), &clock);
        assert_eq!(now(&skew, &clock), NOW + 40);
    }

    #[test]
    fn a_date_that_is_more_than_a_day_off_is_not_believed() {
        let (skew, clock) = (Skew::new("test"), at(NOW));
        for date in ["Tue, 24 Nov 2026 18:22:42 GMT", "Sun, 22 Nov 2026 18:22:40 GMT", "Thu, 01 Jan 1970 00:00:00 GMT"]
        {
            assert!(!skew.refused(&answer(date), skew.now(&clock), &clock), "{date}");
            let unseen = Skew::new("test");
            unseen.accepted(&answer(date), &clock);
            assert_eq!([now(&skew, &clock), now(&unseen, &clock)], [NOW, NOW], "{date}");
        }
        assert!(skew.refused(&answer("Tue, 24 Nov 2026 18:22:41 GMT"), skew.now(&clock), &clock));
        assert_eq!(now(&skew, &clock), NOW + 24 * 60 * 60);
    }

    #[test]
    fn the_metric_shows_what_was_taken_over() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        let skew = metrics::with_local_recorder(&recorder, || Skew::new("kms.us-east-1"));
        assert!(handle.render().contains("kmsgate_clock_skew_seconds{upstream=\"kms.us-east-1\"} 0\n"));
        let clock = at(NOW);
        assert!(skew.refused(&answer("Mon, 23 Nov 2026 18:12:41 GMT"), skew.now(&clock), &clock));
        assert!(handle.render().contains("kmsgate_clock_skew_seconds{upstream=\"kms.us-east-1\"} -600\n"));
    }
}
