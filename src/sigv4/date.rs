//! The date a request was signed at: which header says it, and how far from now it may be.

use std::borrow::Cow;
use std::time::Duration;

use http::header::{DATE, HeaderMap, HeaderName};
use time::PrimitiveDateTime;
use time::format_description::StaticFormatDescription;
use time::macros::format_description;

use super::Error;
use super::error::quoted;
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

/// Reads the header's value, and the same date in ISO 8601 basic format: the string to sign has it so.
///
/// `X-Amz-Date` is in that format; `Date` may be, or in that of RFC 9110.
pub(super) fn read<'h>(name: &HeaderName, headers: &'h HeaderMap) -> Result<(Timestamp, Cow<'h, str>), Error> {
    let value = headers.get(name).map(http::HeaderValue::as_bytes).unwrap_or_default();
    let text = std::str::from_utf8(value).map_err(|_| Error::MalformedDate(String::new()))?;
    if let Some(date) = Timestamp::parse_basic(text) {
        return Ok((date, Cow::Borrowed(text)));
    }
    let http_date = if *name == DATE { http_date(text) } else { None };
    http_date.map(|date| (date, Cow::Owned(date.basic().to_string()))).ok_or_else(|| Error::MalformedDate(quoted(text)))
}

/// Reads `Sun, 06 Nov 1994 08:49:37 GMT`, of the three forms of RFC 9110 the one that may be sent; botocore writes the
/// zone as `-0000`. Written again it must be the same text, so that no leniency of a parser is ours.
#[must_use]
pub fn http_date(text: &str) -> Option<Timestamp> {
    const FORMAT: StaticFormatDescription =
        format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second]");
    let moment = text.strip_suffix(" GMT").or_else(|| text.strip_suffix(" -0000"))?;
    let date = PrimitiveDateTime::parse(moment, FORMAT).ok()?;
    let same = date.format(FORMAT).ok()? == moment;
    same.then(|| Timestamp::from_unix_seconds(date.assume_utc().unix_timestamp()))
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
