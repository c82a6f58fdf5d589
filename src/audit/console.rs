//! A record as one line for a person at a terminal.
//!
//! It is made from the finished record, so it can say nothing that the record does not say. Whatever a client
//! sent is stripped of control characters: a terminal would act on them.

use std::fmt::Write as _;

use serde_json::Value;

/// The longest part of a line, in characters; ARNs of principals may have 2,048.
const PART_CAP: usize = 120;

/// `18:22:41  GenerateDataKey  alias/orders  user/app  allowed  84 µs`; `None` if the line is no record.
#[must_use]
pub fn line(record: &[u8]) -> Option<String> {
    let record: Value = serde_json::from_slice(record).ok()?;
    let text = |pointer: &str| record.pointer(pointer).and_then(Value::as_str);
    let time = text("/eventTime")?.get(11..19)?;
    let operation = text("/eventName")?;
    let parameters = ["/keyId", "/destinationKeyId", "/aliasName"].map(|name| format!("/requestParameters{name}"));
    let key = parameters.iter().find_map(|pointer| text(pointer)).or_else(|| text("/resources/0/ARN"));
    let principal = text("/userIdentity/arn").map(resource).or_else(|| text("/userIdentity/type"));
    let micros = record.pointer("/additionalEventData/gateway/latencyMicros").and_then(Value::as_u64)?;
    let outcome = text("/errorCode").map_or_else(|| "allowed".to_owned(), |code| format!("refused {code}"));
    let mut line = format!("{time}  {}", plain(operation));
    for part in [key.map_or("-", resource), principal.unwrap_or("-"), &outcome] {
        let _ = write!(line, "  {}", plain(part));
    }
    let _ = write!(line, "  {micros} µs");
    Some(line)
}

/// The last part of an ARN, which is what tells it from others here; any other text as it is.
fn resource(text: &str) -> &str {
    crate::aws::Arn::parse(text).map_or(text, |arn| arn.resource)
}

fn plain(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control() && !is_directional(*letter)).take(PART_CAP).collect()
}

/// Characters that reorder or hide the text around them.
const fn is_directional(letter: char) -> bool {
    matches!(letter, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
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
    fn what_is_no_record_is_no_line() {
        assert_eq!(line(b"{}"), None);
        assert_eq!(line(b"not JSON"), None);
    }
}
