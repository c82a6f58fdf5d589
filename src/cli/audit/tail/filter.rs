//! Which records are shown.

use std::convert::Infallible;
use std::str::FromStr;

use clap::Args;

use crate::audit::reading::{Record, Text};
use crate::aws::Arn;
use crate::policy::Pattern;

/// Conditions that have to be true all of them.
#[derive(Debug, Args)]
pub(super) struct Filter {
    /// Only requests of these principals: a pattern for the ARN, or for its last part, as user/app-*
    #[arg(long, value_name = "PATTERN")]
    principal: Option<Glob>,
    /// Only requests about these keys: a pattern for an ARN, its last part, a key's id, or what the caller wrote
    #[arg(long, value_name = "PATTERN")]
    key: Option<Glob>,
    /// Only these operations
    #[arg(long, value_name = "PATTERN")]
    operation: Option<Glob>,
    /// Only what was allowed, what was refused, or what was refused with this error code
    #[arg(long, value_name = "allowed|refused|CODE")]
    outcome: Option<Outcome>,
    /// Only requests with this in their encryption context; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    context: Vec<(String, String)>,
}

#[derive(Clone, Debug)]
struct Glob(Box<Pattern>);

#[derive(Clone, Debug)]
enum Outcome {
    Allowed,
    Refused,
    With(String),
}

impl Filter {
    /// Whether the line is shown; what is no record is, unless something is asked of records.
    pub(super) fn passes(&self, line: &[u8], checkpoints: bool) -> bool {
        let Some(record) = Record::parse(line) else { return self.is_empty() };
        if record.is_checkpoint() && !checkpoints {
            return false;
        }
        let Self { principal, key, operation, outcome, context } = self;
        let named = |pattern: &Glob| record.names().iter().any(|name| pattern.matches(name));
        principal.as_ref().is_none_or(|pattern| pattern.matches(record.principal()))
            && operation.as_ref().is_none_or(|pattern| pattern.0.matches(record.event_name.as_str()))
            && outcome.as_ref().is_none_or(|outcome| outcome.is_of(&record))
            && key.as_ref().is_none_or(named)
            && context.iter().all(|(name, value)| record.has_context(name, value))
    }

    const fn is_empty(&self) -> bool {
        let Self { principal, key, operation, outcome, context } = self;
        principal.is_none() && key.is_none() && operation.is_none() && outcome.is_none() && context.is_empty()
    }
}

impl Glob {
    /// Whether it is the whole of `text`, the last part of an ARN, or what follows the slash in that.
    fn matches(&self, text: &str) -> bool {
        let part = Arn::parse(text).map_or(text, |arn| arn.resource);
        let id = part.strip_prefix("key/").unwrap_or(part);
        [text, part, id].into_iter().any(|text| self.0.matches(text))
    }
}

impl FromStr for Glob {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(Box::new(Pattern::parse(text))))
    }
}

impl Outcome {
    fn is_of(&self, record: &Record<'_>) -> bool {
        let code = record.error_code.as_ref().map(Text::as_str);
        match self {
            Self::Allowed => code.is_none() && !record.is_of_gateway(),
            Self::Refused => code.is_some() || record.refusals().is_some(),
            Self::With(asked) => {
                code == Some(asked)
                    || record.refusals().is_some_and(|refusals| refusals.by_error_code.contains_key(asked))
            }
        }
    }
}

impl FromStr for Outcome {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "allowed" => Self::Allowed,
            "refused" => Self::Refused,
            code => Self::With(code.to_owned()),
        })
    }
}

fn pair(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("a part of a context is written NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        filter: Filter,
    }

    fn passes(arguments: &[&str], line: &str) -> bool {
        let command = Command::try_parse_from([&["tail"], arguments].concat()).unwrap();
        command.filter.passes(line.as_bytes(), false)
    }

    fn refused() -> String {
        json!({
            "userIdentity": {"arn": "arn:aws:iam::111122223333:user/app-1"},
            "eventTime": "2026-11-23T18:22:41Z", "eventSource": "kms.amazonaws.com", "eventName": "Decrypt",
            "errorCode": "AccessDenied",
            "requestParameters": {"keyId": "alias/orders", "encryptionContext": {"tenant": "blue", "a": "b=c"}},
            "resources": [{"ARN": "arn:aws:kms:us-east-1:111122223333:key/1234abcd"}],
        })
        .to_string()
    }

    #[test]
    fn a_record_passes_what_is_true_of_it() {
        for arguments in [
            &[][..],
            &["--principal", "arn:aws:iam::*:user/app-?"],
            &["--principal", "user/app-*"],
            &["--key", "alias/orders"],
            &["--key", "1234*"],
            &["--key", "key/1234abcd"],
            &["--key", "arn:aws:kms:*:key/1234abcd"],
            &["--operation", "De*"],
            &["--outcome", "refused"],
            &["--outcome", "AccessDenied"],
            &["--context", "tenant=blue", "--context", "a=b=c"],
            &["--principal", "*", "--operation", "Decrypt", "--outcome", "refused", "--key", "alias/*"],
        ] {
            assert!(passes(arguments, &refused()), "{arguments:?}");
        }
    }

    #[test]
    fn one_condition_that_is_not_true_is_enough() {
        for arguments in [
            ["--principal", "app-1"],
            ["--principal", "user/app"],
            ["--key", "orders"],
            ["--operation", "decrypt"],
            ["--outcome", "allowed"],
            ["--outcome", "Access"],
            ["--context", "tenant=red"],
            ["--context", "other=blue"],
        ] {
            assert!(!passes(&arguments, &refused()), "{arguments:?}");
        }
    }

    #[test]
    fn what_is_no_record_is_shown_if_nothing_is_asked_of_records() {
        assert!(passes(&[], "no record"));
        assert!(!passes(&["--operation", "*"], "no record"));
    }

    #[test]
    fn checkpoints_are_not_shown_unless_asked_for() {
        let line = r#"{"userIdentity":{},"eventTime":"t","eventSource":"kmsgate","eventName":"AuditCheckpoint"}"#;
        let Command { filter } = Command::try_parse_from(["tail"]).unwrap();
        assert!(!filter.passes(line.as_bytes(), false) && filter.passes(line.as_bytes(), true));
        assert!(filter.passes(line.replace("kmsgate", "kms.amazonaws.com").as_bytes(), false));
    }

    #[test]
    fn refusals_that_were_counted_up_are_refusals() {
        let line = r#"{"userIdentity":{},"eventTime":"t","eventSource":"kmsgate","eventName":"UnauthenticatedRefusals",
            "additionalEventData":{"gateway":{"refusals":{"from":"a","to":"b","count":3,"byErrorCode":{"X":3}}}}}"#;
        assert!(passes(&["--outcome", "refused"], line) && passes(&["--outcome", "X"], line));
        assert!(!passes(&["--outcome", "allowed"], line) && !passes(&["--outcome", "Y"], line));
    }

    #[test]
    fn a_context_has_a_name_and_a_value() {
        assert!(Command::try_parse_from(["tail", "--context", "tenant"]).is_err());
    }
}
