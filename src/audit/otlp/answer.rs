//! What a collector's answer says of the records that it was sent (OTLP specification, "OTLP/HTTP Response").
//!
//! Records are acknowledged by a 2xx alone that rejects none of them, and that a collector can have given: with no body,
//! or with one that is an `ExportLogsServiceResponse` by its `Content-Type`. A page of a proxy's or a portal's with the
//! status 200 acknowledges nothing.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::failure::Failure;
use super::protobuf::{Fields, Malformed, Value};
use crate::audit::console::plain;
use crate::clock::Timestamp;

/// What is shown of a text that a collector sent.
const SHOWN_BYTES: usize = 200;
/// The longest that a collector may have itself left alone: it may be wrong about the time, or about the unit.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

pub(super) const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

/// An answer whose head was read, and of its body as much as the bound on it allows.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// There was more of the body.
    pub(super) cut: bool,
}

/// What is read of an `ExportLogsServiceResponse`.
#[derive(Debug, Default, PartialEq, Eq)]
struct PartialSuccess {
    rejected: i64,
    message: String,
}

impl Answer {
    /// Whether all of `records` were acknowledged.
    pub(super) fn judge(&self, records: usize) -> Result<(), Failure> {
        if !self.status.is_success() {
            return Err(Failure::Refused { status: self.status, text: self.error_message().into() });
        }
        if self.cut {
            return Err(Failure::unreadable(format!("it has more than {} bytes", self.body.len())));
        }
        let PartialSuccess { rejected, message } = self.partial_success()?;
        let text = shown(message.as_bytes());
        if rejected != 0 {
            return Err(Failure::Rejected { rejected, records, text: text.into() });
        }
        if !text.is_empty() {
            tracing::debug!(message = text, "the collector says of records that it took");
        }
        Ok(())
    }

    /// How long not to try again, counted from `now`, if the answer is one that may say so.
    pub(super) fn pause(&self, now: Timestamp) -> Option<Duration> {
        let retryable = matches!(self.status.as_u16(), 429 | 502..=504);
        let value = self.headers.get(RETRY_AFTER).filter(|_| retryable)?.to_str().ok()?.trim();
        let pause = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
            // So many digits that they are no number any more are many seconds.
            Duration::from_secs(value.parse().unwrap_or(u64::MAX))
        } else {
            let at = OffsetDateTime::parse(value, &Rfc2822).ok()?;
            Timestamp::from_unix_seconds(at.unix_timestamp()).since(now)
        };
        Some(pause.min(LONGEST_PAUSE))
    }

    fn partial_success(&self) -> Result<PartialSuccess, Failure> {
        if self.body.is_empty() {
            return Ok(PartialSuccess::default());
        }
        match self.content_type() {
            PROTOBUF => of_protobuf(&self.body).map_err(|error| Failure::unreadable(error.to_string())),
            JSON => of_json(&self.body).map_err(|error| Failure::unreadable(error.to_string())),
            other => Err(Failure::unreadable(format!("it is `{}`: {}", shown(other.as_bytes()), shown(&self.body)))),
        }
    }

    /// Of a `google.rpc.Status` its message; of anything else its beginning.
    fn error_message(&self) -> String {
        let status = (self.content_type() == PROTOBUF).then(|| text_of(&self.body, STATUS_MESSAGE));
        match status {
            Some(Ok(message)) => shown(message.unwrap_or_default()),
            _ => shown(&self.body),
        }
    }

    fn content_type(&self) -> &str {
        let value = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        value.split(';').next().unwrap_or_default().trim()
    }
}

const STATUS_MESSAGE: u64 = 2;
const RESPONSE_PARTIAL_SUCCESS: u64 = 1;
const PARTIAL_SUCCESS_REJECTED: u64 = 1;
const PARTIAL_SUCCESS_MESSAGE: u64 = 2;

fn of_protobuf(body: &[u8]) -> Result<PartialSuccess, Malformed> {
    let mut read = PartialSuccess::default();
    for field in Fields::of(body) {
        let (RESPONSE_PARTIAL_SUCCESS, Value::Bytes(partial)) = field? else { continue };
        for field in Fields::of(partial) {
            match field? {
                (PARTIAL_SUCCESS_REJECTED, Value::Number(rejected)) => read.rejected = rejected.cast_signed(),
                (PARTIAL_SUCCESS_MESSAGE, Value::Bytes(text)) => read.message = shown(text),
                _ => {}
            }
        }
    }
    Ok(read)
}

/// Protobuf's JSON has a number of 64 bits as a text, and takes a number too.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Number(i64),
    Text(String),
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct JsonResponse {
    partial_success: Option<JsonPartialSuccess>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct JsonPartialSuccess {
    rejected_log_records: Option<Number>,
    error_message: Option<String>,
}

fn of_json(body: &[u8]) -> serde_json::Result<PartialSuccess> {
    let response: JsonResponse = serde_json::from_slice(body)?;
    let partial = response.partial_success.unwrap_or_default();
    let rejected = match partial.rejected_log_records {
        None => 0,
        Some(Number::Number(rejected)) => rejected,
        Some(Number::Text(text)) => text.parse().map_err(serde::de::Error::custom)?,
    };
    Ok(PartialSuccess { rejected, message: partial.error_message.unwrap_or_default() })
}

/// The text in `field` of a message.
fn text_of(message: &[u8], field: u64) -> Result<Option<&[u8]>, Malformed> {
    let mut found = None;
    for read in Fields::of(message) {
        match read? {
            (number, Value::Bytes(text)) if number == field => found = Some(text),
            _ => {}
        }
    }
    Ok(found)
}

/// The beginning of `bytes`, as a log can take it.
fn shown(bytes: &[u8]) -> String {
    let kept = bytes.get(..SHOWN_BYTES).unwrap_or(bytes);
    let text: String = kept.utf8_chunks().map(|chunk| chunk.valid()).collect();
    plain(&text, SHOWN_BYTES)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use http::HeaderValue;

    use super::*;

    fn answer(status: u16, content_type: &'static str, body: &'static [u8]) -> Answer {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]);
        Answer { status: StatusCode::from_u16(status).unwrap(), headers, body: Bytes::from_static(body), cut: false }
    }

    fn said(status: u16, content_type: &'static str, body: &'static [u8]) -> String {
        answer(status, content_type, body).judge(5).map_or_else(|failure| failure.to_string(), |()| "taken".to_owned())
    }

    #[test]
    fn records_are_taken_by_a_success_that_rejects_none() {
        for (status, content_type, body) in [
            (200, PROTOBUF, &b""[..]),
            (200, "application/x-protobuf; charset=utf-8", b"\x0a\x00"),
            // A warning alone, and a field that is not known here.
            (200, PROTOBUF, b"\x0a\x06\x12\x04slow\x50\x01"),
            (202, "text/plain", b""),
            (204, "", b""),
            (200, JSON, b"{}"),
            (200, JSON, br#"{"partialSuccess":{}}"#),
            (200, JSON, br#"{"partialSuccess":{"rejectedLogRecords":"0","errorMessage":"slow"},"new":1}"#),
            (200, JSON, br#"{"partialSuccess":null}"#),
        ] {
            assert_eq!(said(status, content_type, body), "taken");
        }
    }

    #[test]
    fn a_success_that_rejects_records_says_how_many_and_why() {
        for (content_type, body) in [
            (PROTOBUF, &b"\x0a\x0b\x08\x03\x12\x07too old"[..]),
            (JSON, br#"{"partialSuccess":{"rejectedLogRecords":"3","errorMessage":"too old"}}"#),
            (JSON, br#"{"partialSuccess":{"rejectedLogRecords":3,"errorMessage":"too\u0000 old"}}"#),
        ] {
            assert_eq!(said(200, content_type, body), "the collector rejected 3 of 5 records: too old");
        }
    }

    #[test]
    fn a_success_that_no_collector_gives_acknowledges_nothing() {
        for (content_type, body) in [
            ("text/html", &b"<html>please sign in"[..]),
            ("", b"OK"),
            (PROTOBUF, b"{}"),
            (PROTOBUF, b"\x0a\x01\x08"),
            (JSON, b"OK"),
            (JSON, br#"{"partialSuccess":{"rejectedLogRecords":"many"}}"#),
        ] {
            let said = said(200, content_type, body);
            assert!(said.starts_with("the collector's answer cannot be read: "), "{said}");
        }
        let cut = Answer { cut: true, ..answer(200, PROTOBUF, b"") };
        assert!(matches!(cut.judge(1), Err(Failure::Unreadable(_))));
    }

    #[test]
    fn a_refusal_is_told_with_its_status_and_the_beginning_of_what_it_says() {
        for (status, content_type, body, expected) in [
            (503, "text/plain", &b"over\x1b[31mloaded\r\n"[..], "503 Service Unavailable: over[31mloaded"),
            (400, PROTOBUF, b"\x08\x03\x12\x08bad data", "400 Bad Request: bad data"),
            (401, JSON, br#"{"message":"no token"}"#, "401 Unauthorized: {\"message\":\"no token\"}"),
            (413, "", b"", "413 Payload Too Large"),
            (302, "text/plain", b"elsewhere", "302 Found: elsewhere"),
            (500, PROTOBUF, b"no protobuf", "500 Internal Server Error: no protobuf"),
            (500, "text/plain", b"\xff\xfeodd", "500 Internal Server Error: odd"),
        ] {
            assert_eq!(said(status, content_type, body), format!("the collector answered {expected}"));
        }
        let long = Answer { body: Bytes::from(vec![b'x'; 5000]), ..answer(500, "", b"") };
        let said = long.judge(1).unwrap_err().to_string();
        assert_eq!(said.matches('x').count(), SHOWN_BYTES);
    }

    #[test]
    fn what_the_official_messages_encode_is_read() {
        // Made by `tests/vectors/otlp_logs.py`.
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../../../tests/vectors/otlp_logs.json")).unwrap();
        for case in vectors["answers"].as_array().unwrap() {
            let body = BASE64_STANDARD.decode(case["body"].as_str().unwrap()).unwrap();
            let read = of_protobuf(&body).unwrap();
            assert_eq!(
                (Some(read.rejected), Some(&*read.message)),
                (case["rejected"].as_i64(), case["message"].as_str())
            );
        }
    }

    #[test]
    fn a_collector_is_left_alone_for_as_long_as_it_asks_but_not_for_ever() {
        let now = Timestamp::parse_basic("20261123T182241Z").unwrap();
        let pause = |status, value: &'static str| {
            let mut answer = answer(status, "", b"");
            answer.headers.insert(RETRY_AFTER, HeaderValue::from_static(value));
            answer.pause(now)
        };
        for status in [429, 502, 503, 504] {
            assert_eq!(pause(status, "30"), Some(Duration::from_secs(30)));
        }
        assert_eq!(pause(503, "Mon, 23 Nov 2026 18:23:11 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(pause(503, "Mon, 23 Nov 2026 18:00:00 GMT"), Some(Duration::ZERO));
        for far in ["301", "99999999999999999999999", "Tue, 23 Nov 2027 18:23:11 GMT"] {
            assert_eq!(pause(503, far), Some(LONGEST_PAUSE));
        }
        for odd in ["", "soon", "-1", "1.5", "2026-11-23T18:23:11Z"] {
            assert_eq!(pause(503, odd), None, "{odd}");
        }
        // Whoever is refused for good has nothing to wait for.
        assert_eq!(pause(400, "30"), None);
        assert_eq!(pause(200, "30"), None);
    }
}
