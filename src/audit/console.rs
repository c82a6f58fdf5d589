//! A record as one line for a person at a terminal.
//!
//! It is made from the finished record, so it can say nothing that the record does not say. Whatever a client
//! sent is stripped of control characters: a terminal would act on them.

use std::fmt::Write as _;

use serde_json::Value;

/// The longest part of a line, in characters; ARNs of principals may have 2,048.
const PART_CAP: usize = 120;

/// `18:22:41  GenerateDataKey  alias/orders  user/app  allowed  84 µs`; `None` if the line is no record. What nobody asked
/// for has no duration.
#[must_use]
pub fn line(record: &[u8]) -> Option<String> {
    let record: Value = serde_json::from_slice(record).ok()?;
    let text = |pointer: &str| record.pointer(pointer).and_then(Value::as_str);
    let time = text("/eventTime")?.get(11..19)?;
    let operation = text("/eventName")?;
    let parameters = ["/keyId", "/destinationKeyId", "/aliasName"].map(|name| format!("/requestParameters{name}"));
    let key = parameters.iter().find_map(|pointer| text(pointer)).or_else(|| text("/resources/0/ARN"));
    let principal = ["/userIdentity/arn", "/userIdentity/type", "/userIdentity/invokedBy"];
    let principal = principal.into_iter().find_map(text).map(resource);
    let mut line = format!("{time}  {}", plain(operation, PART_CAP));
    for part in [key.map_or("-", resource), principal.unwrap_or("-"), &outcome(&record)] {
        let _ = write!(line, "  {}", plain(part, PART_CAP));
    }
    if let Some(micros) = record.pointer("/additionalEventData/gateway/latencyMicros").and_then(Value::as_u64) {
        let _ = write!(line, "  {micros} µs");
    }
    Some(line)
}

/// How a request ended, or what there is to say of what nobody asked for.
fn outcome(record: &Value) -> String {
    let gateway = |pointer: &str| record.pointer(&format!("/additionalEventData/gateway/{pointer}"));
    if let Some(Value::String(code)) = record.get("errorCode") {
        return format!("refused {code}");
    }
    if record.get("eventType").and_then(Value::as_str) != Some("AwsServiceEvent") {
        return "allowed".to_owned();
    }
    if let Some(Value::String(reason)) = gateway("checkpoint/reason") {
        return reason.clone();
    }
    let count = |pointer| gateway(pointer).and_then(Value::as_u64);
    match (count("refusals/count"), count("repaired/bytes")) {
        (Some(count), _) => format!("{count} more refused"),
        (None, Some(bytes)) => format!("{bytes} bytes"),
        (None, None) => "done".to_owned(),
    }
}

/// The last part of an ARN, which is what tells it from others here; any other text as it is.
fn resource(text: &str) -> &str {
    crate::aws::Arn::parse(text).map_or(text, |arn| arn.resource)
}

/// The first `cap` characters of `text` that a terminal only shows.
pub(super) fn plain(text: &str, cap: usize) -> String {
    text.chars().filter(|letter| !steers_terminal(*letter)).take(cap).collect()
}

/// Whether a terminal acts on it, or reorders or hides the text around it.
#[must_use]
pub fn steers_terminal(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_when_what_on_which_key_by_whom_and_with_what_outcome() {
        let record = br#"{"eventTime":"2026-11-23T18:22:41Z","eventName":"Decrypt","requestParameters":null,
            "resources":[{"ARN":"arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"}],
            "userIdentity":{"arn":"arn:aws:iam::111122223333:user/app"},
            "additionalEventData":{"gateway":{"latencyMicros":84}}}"#;
        let expected = "18:22:41  Decrypt  key/1234abcd-12ab-34cd-56ef-1234567890ab  user/app  allowed  84 µs";
        assert_eq!(line(record).unwrap(), expected);
    }

    #[test]
    fn a_refusal_names_its_code_and_the_key_as_the_caller_named_it() {
        let record = br#"{"eventTime":"2026-11-23T18:22:41Z","eventName":"Encrypt","errorCode":"AccessDenied",
            "requestParameters":{"keyId":"alias/orders"},"userIdentity":{"type":"Unknown"},
            "additionalEventData":{"gateway":{"latencyMicros":7}}}"#;
        assert_eq!(line(record).unwrap(), "18:22:41  Encrypt  alias/orders  Unknown  refused AccessDenied  7 µs");
    }

    #[test]
    fn what_a_client_sent_cannot_steer_the_terminal() {
        let record = br#"{"eventTime":"2026-11-23T18:22:41Z","eventName":"Encrypt",
            "requestParameters":{"keyId":"\u001b[2J\u009b1m\u202eabc\n"},
            "additionalEventData":{"gateway":{"latencyMicros":7}}}"#;
        assert_eq!(line(record).unwrap(), "18:22:41  Encrypt  [2J1mabc  -  allowed  7 µs");
    }

    #[test]
    fn what_nobody_asked_for_says_what_it_is() {
        let told = |name: &str, gateway: &str| {
            let record = format!(
                r#"{{"eventTime":"2026-11-23T18:22:41Z","eventName":"{name}","eventType":"AwsServiceEvent",
                "userIdentity":{{"invokedBy":"AWS Internal"}},"additionalEventData":{{"gateway":{gateway}}}}}"#
            );
            line(record.as_bytes()).unwrap()
        };
        for (name, gateway, said) in [
            ("AuditCheckpoint", r#"{"checkpoint":{"reason":"interval"}}"#, "interval"),
            ("UnauthenticatedRefusals", r#"{"refusals":{"count":12}}"#, "12 more refused"),
            ("AuditLineRepaired", r#"{"repaired":{"bytes":3}}"#, "3 bytes"),
            ("DeleteKey", "{}", "done"),
        ] {
            assert_eq!(told(name, gateway), format!("18:22:41  {name}  -  AWS Internal  {said}"));
        }
    }

    #[test]
    fn what_is_no_record_is_no_line() {
        assert_eq!(line(b"{}"), None);
        assert_eq!(line(b"not JSON"), None);
    }
}
