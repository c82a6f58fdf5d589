//! Typed values of conditions: numbers, dates, booleans, bytes and addresses, read from text.
//!
//! The same readers serve the policy (where what they refuse is a fault) and the request (where it matches nothing).

use std::cmp::Ordering;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ipnet::IpNet;
use time::{Date, Month, Time};

/// An integer or a decimal number.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    /// Compared exactly.
    Integer(i128),
    /// Anything with a point or an exponent.
    Real(f64),
}

impl Number {
    pub(super) fn parse(text: &str) -> Option<Self> {
        // Not all that Rust reads as a number is one here: `inf`, `NaN`.
        if !text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b)) {
            return None;
        }
        text.parse().map(Self::Integer).ok().or_else(|| {
            let real: f64 = text.parse().ok()?;
            real.is_finite().then_some(Self::Real(real))
        })
    }

    /// The order of two numbers.
    pub(super) fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => Some(a.cmp(&b)),
            (a, b) => a.real().partial_cmp(&b.real()),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "against a decimal number an integer is compared as one")]
    fn real(self) -> f64 {
        match self {
            Self::Integer(value) => value as f64,
            Self::Real(value) => value,
        }
    }
}

/// Microseconds since 1970-01-01T00:00:00Z of a date in the W3C profile of ISO 8601 (from the month to fractions
/// of a second; a time of day needs its zone) or in epoch seconds.
pub(super) fn date(text: &str) -> Option<i64> {
    if text.strip_prefix('-').unwrap_or(text).bytes().all(|b| b.is_ascii_digit()) {
        return text.parse::<i64>().ok()?.checked_mul(1_000_000);
    }
    let (day, time) = text.split_once('T').map_or((text, None), |(day, time)| (day, Some(time)));
    let mut parts = day.split('-');
    let year = digits(parts.next()?, 4)?;
    let month = Month::try_from(u8::try_from(digits(parts.next()?, 2)?).ok()?).ok()?;
    let day = parts.next().map_or(Some(1), |day| digits(day, 2))?;
    if parts.next().is_some() {
        return None;
    }
    let date = Date::from_calendar_date(i32::try_from(year).ok()?, month, u8::try_from(day).ok()?).ok()?;
    let midnight = date.with_time(Time::MIDNIGHT).assume_utc().unix_timestamp().checked_mul(1_000_000)?;
    midnight.checked_add(time.map_or(Some(0), time_of_day)?)
}

/// Microseconds from midnight UTC of `hh:mm[:ss[.fraction]]` and its zone, `Z` or `+hh:mm`.
fn time_of_day(text: &str) -> Option<i64> {
    let (clock, east) = if let Some(clock) = text.strip_suffix('Z') {
        (clock, 0)
    } else {
        let (clock, zone) = text.split_at_checked(text.rfind(['+', '-'])?)?;
        let (hours, minutes) = zone.get(1..)?.split_once(':')?;
        let east = Time::from_hms(small(hours)?, small(minutes)?, 0).ok()?;
        let minutes = i64::from(east.hour()) * 60 + i64::from(east.minute());
        (clock, if zone.starts_with('-') { -minutes } else { minutes })
    };
    let mut parts = clock.split(':');
    let (hour, minute) = (small(parts.next()?)?, small(parts.next()?)?);
    let (second, micros) = match parts.next().map(|s| s.split_once('.').map_or((s, None), |(s, f)| (s, Some(f)))) {
        None => (0, 0),
        Some((second, fraction)) => (small(second)?, fraction.map_or(Some(0), micros)?),
    };
    let time = Time::from_hms_micro(hour, minute, second, micros).ok()?;
    let since_midnight = time.duration_since(Time::MIDNIGHT).whole_microseconds();
    parts.next().is_none().then_some(i64::try_from(since_midnight).ok()? - east * 60_000_000)
}

/// The first six digits of a fraction of a second; finer ones do not count.
fn micros(fraction: &str) -> Option<u32> {
    if fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(fraction.bytes().chain(std::iter::repeat(b'0')).take(6).fold(0, |sum, b| sum * 10 + u32::from(b - b'0')))
}

fn small(text: &str) -> Option<u8> {
    u8::try_from(digits(text, 2)?).ok()
}

fn digits(text: &str, length: usize) -> Option<u32> {
    (text.len() == length && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

/// `true` or `false`, in any case.
pub(super) fn boolean(text: &str) -> Option<bool> {
    let is = |name: &str| text.eq_ignore_ascii_case(name);
    if is("true") { Some(true) } else { is("false").then_some(false) }
}

/// Bytes, from base64.
pub(super) fn bytes(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// A range of addresses; a bare address is the range of itself.
pub(super) fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

/// An address of a request. An IPv4 address written as an IPv6 one is the IPv4 address.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    text.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_in_every_documented_form() {
        // Seconds as `date -u -d TEXT +%s` gives them.
        for (text, seconds) in [
            ("1585699200", 1_585_699_200),
            ("-1", -1),
            ("2020-04", 1_585_699_200),
            ("2020-04-01", 1_585_699_200),
            ("2020-04-01T00:00Z", 1_585_699_200),
            ("2020-04-01T00:00:00Z", 1_585_699_200),
            ("2020-04-01T02:00:00+02:00", 1_585_699_200),
            ("2020-03-31T18:30-05:30", 1_585_699_200),
            ("2015-08-30T12:36:00Z", 1_440_938_160),
            ("1969-12-31T23:59:59Z", -1),
        ] {
            assert_eq!(date(text), Some(seconds * 1_000_000), "{text}");
        }
        assert_eq!(date("2020-04-01T00:00:00.123Z"), Some(1_585_699_200_123_000));
        assert_eq!(date("2020-04-01T00:00:00.1234567Z"), Some(1_585_699_200_123_456));
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "-",
            "today",
            "2020-4-1",
            "2020-13-01",
            "2020-02-30",
            "20200401T000000Z",
            "2020-04-01T00:00",
            "2020-04-01T24:00Z",
            "2020-04-01T00:00:00.Z",
            "2020-04-01T00Z",
            "2020-04-01 00:00Z",
            "2020-04-01-01",
            "2020-04-01T00:00:00+25:00",
            "2020-04-01T00:00:00+0200",
            "2020-04-01T00:00:00:00Z",
            "99999999999999999999",
            "+2020-04-01",
            "2020-04-01T",
        ] {
            assert_eq!(date(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_compare_by_value() {
        let compare = |a, b| Number::parse(a).unwrap().compare(Number::parse(b).unwrap()).unwrap();
        assert_eq!(compare("10", "9"), Ordering::Greater);
        assert_eq!(compare("1.50", "1.5"), Ordering::Equal);
        assert_eq!(compare("-3", "2.5"), Ordering::Less);
        assert_eq!(compare("1", "1.0"), Ordering::Equal);
        assert_eq!(compare("9007199254740993", "9007199254740992"), Ordering::Greater);
        for text in ["", "abc", "NaN", "inf", "-", "1,5", "0x10", " 1", "1e999"] {
            assert!(Number::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn addresses_and_networks_are_read() {
        assert!(network("203.0.113.0/24").unwrap().contains(&address("203.0.113.9").unwrap()));
        assert!(network("203.0.113.9").unwrap().contains(&address("::ffff:203.0.113.9").unwrap()));
        assert!(!network("203.0.113.9").unwrap().contains(&address("203.0.113.8").unwrap()));
        assert!(network("2001:db8::/32").unwrap().contains(&address("2001:DB8:1::1").unwrap()));
        for text in ["", "203.0.113", "203.0.113.0/33", "::/129", "*", "localhost"] {
            assert_eq!(network(text), None, "{text}");
        }
    }
}
