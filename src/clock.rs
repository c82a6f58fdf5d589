//! Time, in UTC, as one value type and one source that tests can set.
//!
//! Everything that needs the time takes a [`Timestamp`] or holds a [`Clock`]; nothing else asks the
//! operating system.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::{Date, Month, OffsetDateTime, Time};

const MICROS_PER_SECOND: i64 = 1_000_000;

/// A moment in UTC, to the microsecond.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    micros: i64,
}

impl Timestamp {
    /// 0000-01-01T00:00:00Z, the first moment that is written with a year of four digits.
    pub const EARLIEST: Self = Self::from_unix_seconds(-62_167_219_200);
    /// 9999-12-31T23:59:59Z, the last such second.
    pub const LATEST: Self = Self::from_unix_seconds(253_402_300_799);

    /// From microseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn from_unix_micros(micros: i64) -> Self {
        Self { micros }
    }

    /// From whole seconds since 1970-01-01T00:00:00Z; saturates.
    #[must_use]
    pub const fn from_unix_seconds(seconds: i64) -> Self {
        Self { micros: seconds.saturating_mul(MICROS_PER_SECOND) }
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn unix_micros(self) -> i64 {
        self.micros
    }

    /// Whole seconds since 1970-01-01T00:00:00Z, rounded down.
    #[must_use]
    pub const fn unix_seconds(self) -> i64 {
        self.micros.div_euclid(MICROS_PER_SECOND)
    }

    /// This moment and `duration`; saturates.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self { micros: self.micros.saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)) }
    }

    /// This moment less `duration`; saturates.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self { micros: self.micros.saturating_sub(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)) }
    }

    /// How long after `earlier` this is; zero if it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.micros.saturating_sub(earlier.micros)).unwrap_or(0))
    }

    /// Reads ISO 8601 basic format, exactly `YYYYMMDDTHHMMSSZ`, as `X-Amz-Date` has it; `None` for any other
    /// text and for a date or time of day that does not exist.
    #[must_use]
    pub fn parse_basic(text: &str) -> Option<Self> {
        let bytes: &[u8; 16] = text.as_bytes().try_into().ok()?;
        let number = |from: usize, to: usize| {
            bytes
                .get(from..to)?
                .iter()
                .try_fold(0_u32, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + u32::from(byte - b'0')))
        };
        if bytes.get(8) != Some(&b'T') || bytes.get(15) != Some(&b'Z') {
            return None;
        }
        let small = |from, to| u8::try_from(number(from, to)?).ok();
        let date = Date::from_calendar_date(
            i32::try_from(number(0, 4)?).ok()?,
            Month::try_from(small(4, 6)?).ok()?,
            small(6, 8)?,
        );
        let time = Time::from_hms(small(9, 11)?, small(11, 13)?, small(13, 15)?);
        Some(Self::from_unix_seconds(date.ok()?.with_time(time.ok()?).assume_utc().unix_timestamp()))
    }

    /// Reads exactly `YYYY-MM-DDTHH:MM:SSZ`, as CloudTrail writes it; `None` as for [`Self::parse_basic`].
    #[must_use]
    pub fn parse_iso8601(text: &str) -> Option<Self> {
        let (date, time) = text.split_once('T')?;
        let ([year, month, day], [hour, minute, second]) = (parts(date, '-')?, parts(time, ':')?);
        let lengths = [year, month, day, hour, minute, second].map(str::len);
        (lengths == [4, 2, 2, 2, 2, 3])
            .then(|| Self::parse_basic(&format!("{year}{month}{day}T{hour}{minute}{second}")))?
    }

    /// The end, in UTC, of the day that is written exactly as `YYYY-MM-DD`.
    #[must_use]
    pub fn end_of_day(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
        let lengths = (year.len(), month.len(), day.len()) == (4, 2, 2) && parts.next().is_none();
        let last_second = lengths.then(|| Self::parse_basic(&format!("{year}{month}{day}T235959Z")))??;
        // The last day of all ends with the last second that can be written.
        Some(last_second.plus(Duration::from_secs(1)).min(Self::LATEST))
    }

    /// `2026-11-23T18:22:41Z`, as CloudTrail writes it.
    #[must_use]
    pub const fn iso8601(self) -> Iso8601 {
        Iso8601(self)
    }

    /// `20261123T182241Z`, as SigV4 writes it.
    #[must_use]
    pub const fn basic(self) -> Basic {
        Basic(self)
    }

    /// `Nov 23, 2026, 6:22:41 PM`, as CloudTrail writes the timestamps among a request's parameters.
    #[must_use]
    pub const fn spelled(self) -> Spelled {
        Spelled(self)
    }

    fn calendar(self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(self.unix_seconds()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

/// The three parts of `text`, if it has three.
fn parts(text: &str, separator: char) -> Option<[&str; 3]> {
    let mut parts = text.split(separator);
    let three = [parts.next()?, parts.next()?, parts.next()?];
    parts.next().is_none().then_some(three)
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // By name: `Iso8601`'s own `Debug` prints the timestamp, and the two would call each other for ever.
        fmt::Display::fmt(&self.iso8601(), f)
    }
}

/// Displays a [`Timestamp`] as `2026-11-23T18:22:41Z`.
#[derive(Clone, Copy, Debug)]
pub struct Iso8601(Timestamp);

impl fmt::Display for Iso8601 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = self.0.calendar();
        let (year, month, day) = t.to_calendar_date();
        let (hour, minute, second) = t.to_hms();
        write!(f, "{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z", u8::from(month))
    }
}

/// Displays a [`Timestamp`] as `20261123T182241Z`.
#[derive(Clone, Copy, Debug)]
pub struct Basic(Timestamp);

impl fmt::Display for Basic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = self.0.calendar();
        let (year, month, day) = t.to_calendar_date();
        let (hour, minute, second) = t.to_hms();
        write!(f, "{year:04}{:02}{day:02}T{hour:02}{minute:02}{second:02}Z", u8::from(month))
    }
}

impl Basic {
    /// The same text as ASCII digits, for who writes it on every request: a formatter takes ten times as long. Of a
    /// year it is the last four digits.
    #[must_use]
    pub fn ascii(self) -> [u8; 16] {
        let t = self.0.calendar();
        let (year, month, day) = t.to_calendar_date();
        let (hour, minute, second) = t.to_hms();
        let year = year.rem_euclid(10_000);
        let part_of_year = |part: i32| two_digits(u8::try_from(part).unwrap_or_default());
        let ([y0, y1], [y2, y3]) = (part_of_year(year / 100), part_of_year(year % 100));
        let [m0, m1] = two_digits(u8::from(month));
        let [d0, d1] = two_digits(day);
        let ([h0, h1], [n0, n1], [s0, s1]) = (two_digits(hour), two_digits(minute), two_digits(second));
        [y0, y1, y2, y3, m0, m1, d0, d1, b'T', h0, h1, n0, n1, s0, s1, b'Z']
    }
}

const fn two_digits(number: u8) -> [u8; 2] {
    [b'0' + number / 10 % 10, b'0' + number % 10]
}

/// Displays a [`Timestamp`] as `Nov 23, 2026, 6:22:41 PM`.
#[derive(Clone, Copy, Debug)]
pub struct Spelled(Timestamp);

impl fmt::Display for Spelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = self.0.calendar();
        let (year, month, day) = t.to_calendar_date();
        let (hour, minute, second) = t.to_hms();
        let (half, hour) = (if hour < 12 { "AM" } else { "PM" }, (hour + 11) % 12 + 1);
        write!(f, "{month:.3} {day}, {year}, {hour}:{minute:02}:{second:02} {half}")
    }
}

/// Where the time comes from.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The operating system's clock.
    System,
    /// A clock that only moves when a test moves it.
    Manual(ManualClock),
}

impl Clock {
    /// The present moment.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the operating system")]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => {
                let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Timestamp::from_unix_micros(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
            }
            Self::Manual(clock) => Timestamp::from_unix_micros(clock.0.load(Ordering::SeqCst)),
        }
    }
}

/// A clock for tests: stands still until it is set.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(now.unix_micros())))
    }

    /// Moves the clock to `now`.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.unix_micros(), Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_basic_format_is_read_and_written_alike() {
        let t = Timestamp::parse_basic("20150830T123600Z").unwrap();
        assert_eq!(t.unix_seconds(), 1_440_938_160);
        assert_eq!(t.basic().to_string(), "20150830T123600Z");
        assert_eq!(t.iso8601().to_string(), "2015-08-30T12:36:00Z");
    }

    #[test]
    fn the_basic_format_is_the_same_with_and_without_a_formatter() {
        let days = (-719_528_i64..2_932_897)
            .step_by(97)
            .map(|day| Timestamp::from_unix_seconds(day * 86_400 + day.rem_euclid(86_400)));
        for t in days.chain([Timestamp::EARLIEST, Timestamp::LATEST]) {
            assert_eq!(std::str::from_utf8(&t.basic().ascii()).unwrap(), t.basic().to_string());
        }
    }

    #[test]
    fn a_moment_is_printed_as_it_is_displayed() {
        assert_eq!(format!("{:?}", Timestamp::from_unix_seconds(1_440_938_160)), "2015-08-30T12:36:00Z");
    }

    #[test]
    fn a_moment_is_spelled_as_cloudtrail_spells_it() {
        let spelled = |text| Timestamp::parse_basic(text).unwrap().spelled().to_string();
        // The first is a sample of the documentation (developer guide, `ImportKeyMaterial`).
        assert_eq!(spelled("20250521T054745Z"), "May 21, 2025, 5:47:45 AM");
        assert_eq!(spelled("20261001T000000Z"), "Oct 1, 2026, 12:00:00 AM");
        assert_eq!(spelled("20260930T120905Z"), "Sep 30, 2026, 12:09:05 PM");
        assert_eq!(spelled("20261231T235959Z"), "Dec 31, 2026, 11:59:59 PM");
        assert_eq!(Timestamp::EARLIEST.iso8601().to_string(), "0000-01-01T00:00:00Z");
        assert_eq!(Timestamp::LATEST.iso8601().to_string(), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn what_is_not_exactly_the_basic_format_is_refused() {
        for text in [
            "",
            "20150830T123600",
            "20150830t123600Z",
            "20150830T123600z",
            "20150830T123600+",
            "2015-08-30T12:36",
            "20150230T123600Z",
            "20150830T243600Z",
            "20150830T126000Z",
            "20150830T123660Z",
            "20151330T123600Z",
            "20150830T123600.0Z",
            " 20150830T123600Z",
            "+2150830T123600Z",
            "２０１５0830T12",
        ] {
            assert_eq!(Timestamp::parse_basic(text), None, "{text}");
        }
    }

    #[test]
    fn the_time_of_a_record_is_read_as_it_is_written_and_no_other_text_is() {
        let t = Timestamp::parse_iso8601("2015-08-30T12:36:00Z").unwrap();
        assert_eq!(t.unix_seconds(), 1_440_938_160);
        for text in [
            "",
            "T",
            "2015-08-30",
            "2015-08-30T12:36:00",
            "2015-08-30 12:36:00Z",
            "2015-08-30T12:36:00.0Z",
            "20150830T123600Z",
            "2015-083-0T12:36:00Z",
            "2015-02-30T12:36:00Z",
            "2015-08-30T24:36:00Z",
            "2015-08-30T12:36:00z",
            "2015-08-30T12-36-00Z",
            "2015:08:30T12:36:00Z",
        ] {
            assert_eq!(Timestamp::parse_iso8601(text), None, "{text}");
        }
    }

    #[test]
    fn a_day_ends_when_the_next_begins() {
        assert_eq!(Timestamp::end_of_day("9999-12-31"), Some(Timestamp::LATEST));
        let end = Timestamp::end_of_day("2026-12-31").unwrap();
        assert_eq!(end.iso8601().to_string(), "2027-01-01T00:00:00Z");
        for text in
            ["", "2026-12", "2026-12-31-", "26-12-31", "2026-02-30", "2026-1-01", "20261231", "2026-12-31T00:00Z"]
        {
            assert_eq!(Timestamp::end_of_day(text), None, "{text}");
        }
    }

    #[test]
    fn a_duration_backwards_is_zero() {
        let (early, late) = (Timestamp::from_unix_seconds(1), Timestamp::from_unix_seconds(3));
        assert_eq!(late.since(early), Duration::from_secs(2));
        assert_eq!(early.since(late), Duration::ZERO);
    }
}
