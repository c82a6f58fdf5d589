//! When credentials are loaded again. `fraction` is a random number from 0 to 1 that keeps replicas from asking all at
//! once.

use std::time::Duration;

/// How long before their end credentials are replaced: AWS's services give out new ones by then, and there is time for
/// many attempts.
const AHEAD: Duration = Duration::from_mins(5);
/// How much earlier it may be.
const SPREAD: Duration = Duration::from_mins(1);
/// What has less left than this is replaced at half of it.
const SHORT: Duration = Duration::from_mins(10);
/// The least time between two loads that succeed: a source may give the same credentials until they end.
const LEAST: Duration = Duration::from_secs(1);
/// Credentials without an end may have been changed where they stand; the SDKs look as often.
const WITHOUT_END: Duration = Duration::from_mins(15);

/// The longest wait after a failure; the first is [`FIRST_RETRY`], and each is twice the one before.
const LONGEST_RETRY: Duration = Duration::from_mins(1);
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// How long to wait after a load that found credentials with this much left, `None` if they do not end.
pub(super) fn after_success(left: Option<Duration>, fraction: f64) -> Duration {
    match left {
        None => WITHOUT_END.saturating_sub(SPREAD.mul_f64(fraction)),
        Some(left) if left < SHORT => (left / 2).max(LEAST),
        Some(left) => left.saturating_sub(AHEAD).saturating_sub(SPREAD.mul_f64(fraction)),
    }
}

/// How long to wait after so many failures in a row, at least one; between half and all of the step.
pub(super) fn after_failure(failures: u32, fraction: f64) -> Duration {
    let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    let step = FIRST_RETRY.saturating_mul(doubled).min(LONGEST_RETRY);
    (step / 2).saturating_add((step / 2).mul_f64(fraction))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn minutes(count: u64) -> Duration {
        Duration::from_mins(count)
    }

    #[test]
    fn credentials_are_replaced_five_to_six_minutes_before_their_end() {
        for left in [10, 15, 60, 12 * 60] {
            assert_eq!(after_success(Some(minutes(left)), 0.0), minutes(left - 5));
            assert_eq!(after_success(Some(minutes(left)), 1.0), minutes(left - 6));
        }
    }

    #[test]
    fn what_has_less_than_ten_minutes_left_is_replaced_at_half_of_it() {
        for fraction in [0.0, 0.5, 1.0] {
            assert_eq!(after_success(Some(minutes(8)), fraction), minutes(4));
            assert_eq!(after_success(Some(Duration::from_secs(3)), fraction), Duration::from_millis(1500));
            assert_eq!(after_success(Some(Duration::from_millis(5)), fraction), Duration::from_secs(1));
        }
    }

    #[test]
    fn what_does_not_end_is_looked_at_every_quarter_of_an_hour() {
        assert_eq!(after_success(None, 0.0), minutes(15));
        assert_eq!(after_success(None, 1.0), minutes(14));
    }

    #[test]
    fn failures_are_waited_after_twice_as_long_each_up_to_a_minute() {
        let seconds = [1, 2, 4, 8, 16, 32, 60, 60];
        for (failures, seconds) in (1..).zip(seconds) {
            assert_eq!(after_failure(failures, 1.0), Duration::from_secs(seconds));
            assert_eq!(after_failure(failures, 0.0), Duration::from_secs(seconds) / 2);
        }
        for failures in [32, 33, 34, u32::MAX] {
            assert_eq!(after_failure(failures, 1.0), minutes(1));
        }
    }
}
