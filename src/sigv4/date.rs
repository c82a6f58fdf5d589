//! The date a request was signed at: which header says it, and how far from now it may be.

use std::time::Duration;

use http::header::{DATE, HeaderMap, HeaderName};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::Error;
use crate::clock::Timestamp;

/// How far a signature's date may be from now, both ways, inclusive: what KMS's own texts say.
pub(super) const WINDOW: Duration = Duration::from_mins(5);

pub(super) const AMZ_DATE: HeaderName = HeaderName::from_static("x-amz-date");

/// A day in a credential scope: `YYYYMMDD`, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScopeDate {
    midnight: Timestamp,
}

impl ScopeDate {
    /// The day of `time`.
    #[must_use]
    pub const fn of(time: Timestamp) -> Self {
        const DAY: i64 = 24 * 60 * 60;
        Self { midnight: Timestamp::from_unix_seconds(time.unix_seconds().div_euclid(DAY) * DAY) }
    }

    pub(super) const fn midnight(self) -> Timestamp {
        self.midnight
    }
}

/// The name of the header that dates the request: `X-Amz-Date`, or `Date` where there is none.
pub(super) fn header(headers: &HeaderMap) -> Option<HeaderName> {
    [AMZ_DATE, DATE].into_iter().find(|name| headers.contains_key(name))
}

/// Reads the header's value: ISO 8601 basic, or for `Date` also RFC 9110's form.
pub(super) fn read(name: &HeaderName, headers: &HeaderMap) -> Result<Timestamp, Error> {
    let value = headers.get(name).map(http::HeaderValue::as_bytes).unwrap_or_default();
    let text = std::str::from_utf8(value).map_err(|_| Error::MalformedDate(String::new()))?;
    Timestamp::parse_basic(text)
        .or_else(|| (*name == DATE).then(|| http_date(text)).flatten())
        .ok_or_else(|| Error::MalformedDate(text.chars().take(64).collect()))
}

fn http_date(text: &str) -> Option<Timestamp> {
    OffsetDateTime::parse(text, &Rfc2822).ok().map(|date| Timestamp::from_unix_seconds(date.unix_timestamp()))
}

/// Refuses a date that is more than [`WINDOW`] from now. Whole seconds, as the texts show them.
pub(super) fn current(signed: Timestamp, now: Timestamp) -> Result<(), Error> {
    let now = Timestamp::from_unix_seconds(now.unix_seconds());
    if signed < now.minus(WINDOW) {
        Err(Error::Expired { signed, now })
    } else if signed > now.plus(WINDOW) {
        Err(Error::NotYetCurrent { signed, now })
    } else {
        Ok(())
    }
}
