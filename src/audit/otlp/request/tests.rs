//! Against requests that OpenTelemetry's own messages encoded (`tests/vectors/otlp_logs.py`).

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::audit::otlp::protobuf::{Fields, Value as Field};

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../../tests/vectors/otlp_logs.json")).unwrap()
}

fn bytes_of(text: &Value) -> Vec<u8> {
    BASE64_STANDARD.decode(text.as_str().unwrap()).unwrap()
}

#[test]
fn a_request_is_what_the_official_messages_encode() {
    let vectors = vectors();
    let text = |name: &str| vectors[name].as_str().unwrap();
    let requests = Requests::of(text("instance"), text("version"));
    let now = Timestamp::from_unix_micros(vectors["nowMicros"].as_i64().unwrap());
    let lines: Vec<Vec<u8>> = vectors["lines"].as_array().unwrap().iter().map(bytes_of).collect();
    for case in vectors["requests"].as_array().unwrap() {
        let count = usize::try_from(case["lines"].as_u64().unwrap()).unwrap();
        let batch: Vec<u8> = lines[..count].iter().flat_map(|line| [&line[..], b"\n"].concat()).collect();
        let (made, expected) = (requests.request(&batch, now), bytes_of(&case["request"]));
        assert!(made == expected, "{}\n{}", made.escape_ascii(), expected.escape_ascii());
    }
}

/// What the fields of these numbers hold, one in the other.
fn within<'a>(message: &'a [u8], path: &[u64]) -> Vec<&'a [u8]> {
    let [number, rest @ ..] = path else { return vec![message] };
    let fields = Fields::of(message).map(Result::unwrap).filter(|(of, _)| of == number);
    let nested = fields.map(|(_, value)| if let Field::Bytes(nested) = value { nested } else { panic!("{value:?}") });
    nested.flat_map(|nested| within(nested, rest)).collect()
}

/// The bodies of a request's records.
pub(in crate::audit::otlp) fn bodies(request: &[u8]) -> Vec<&[u8]> {
    let body = [field::RESOURCE_LOGS_SCOPE_LOGS, field::SCOPE_LOGS_LOG_RECORDS, field::RECORD_BODY];
    let text = [&[field::REQUEST_RESOURCE_LOGS], &body[..], &[field::VALUE_STRING]].concat();
    within(request, &text)
}

proptest! {
    #[test]
    fn whatever_the_lines_are_they_are_the_bodies(lines in prop::collection::vec("[^\n]{0,300}", 1..20)) {
        let batch = lines.join("\n") + "\n";
        let request = Requests::of("", "").request(batch.as_bytes(), Timestamp::from_unix_seconds(0));
        let lines: Vec<&[u8]> = lines.iter().map(String::as_bytes).collect();
        prop_assert_eq!(bodies(&request), lines);
    }
}
