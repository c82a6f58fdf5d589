//! An audit file, read line by line: what was asked and decided, from the records of requests.
//!
//! A file may be larger than memory and may be written to while it is read, so a last line without an end is no fault.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::fault::Failure;
use crate::config::Config;
use crate::faults::Fault;

/// No record comes near this many bytes: its largest members have 100 KiB each.
const LONGEST_LINE: u64 = 4 * 1024 * 1024;

/// What is read of a record.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Record {
    pub(super) user_identity: Identity,
    pub(super) event_time: String,
    pub(super) event_name: String,
    pub(super) event_type: String,
    pub(super) aws_region: String,
    #[serde(rename = "sourceIPAddress")]
    pub(super) source_ip_address: String,
    pub(super) user_agent: Option<String>,
    pub(super) error_code: Option<String>,
    pub(super) error_message: Option<String>,
    pub(super) request_parameters: Option<Map<String, Value>>,
    #[serde(default)]
    pub(super) additional_event_data: Additional,
    #[serde(rename = "requestID")]
    pub(super) request_id: Option<String>,
    #[serde(default)]
    pub(super) resources: Vec<Resource>,
    pub(super) tls_details: Option<IgnoredAny>,
}

/// Who asked.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Identity {
    pub(super) arn: Option<String>,
    session_context: Option<SessionContext>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SessionContext {
    session_issuer: Issuer,
}

#[derive(Debug, Deserialize)]
struct Issuer {
    arn: String,
}

/// What the gateway adds.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Additional {
    #[serde(default)]
    pub(super) gateway: OfGateway,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct OfGateway {
    /// What was decided, one for each permission that was asked for.
    #[serde(default)]
    pub(super) reasons: Vec<Decided>,
}

/// What was decided about one permission.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Decided {
    pub(super) decision: String,
    /// The permission; records of earlier versions do not name it.
    pub(super) action: Option<String>,
    /// The kind of policy that decided, or that would have had to allow.
    pub(super) layer: Option<String>,
    pub(super) policy: Option<String>,
    pub(super) statement: Option<String>,
    pub(super) grant_id: Option<String>,
    /// It was not allowed, and let through all the same.
    #[serde(default)]
    pub(super) report_only: bool,
}

/// A key or an alias.
#[derive(Debug, Deserialize)]
pub(super) struct Resource {
    #[serde(rename = "ARN")]
    pub(super) arn: String,
}

impl Record {
    /// Whether the principal of `arn` asked: a role's ARN means each of its sessions.
    pub(super) fn is_by(&self, arn: &str) -> bool {
        let issuer = self.user_identity.session_context.as_ref().map(|context| context.session_issuer.arn.as_str());
        self.user_identity.arn.as_deref() == Some(arn) || issuer == Some(arn)
    }

    /// The value of a parameter; `null` if it was not sent.
    pub(super) fn parameter(&self, name: &str) -> &Value {
        self.request_parameters.as_ref().and_then(|parameters| parameters.get(name)).unwrap_or(&Value::Null)
    }

    /// Whether the parameters were too long to be recorded.
    pub(super) fn parameters_are_omitted(&self) -> bool {
        *self.parameter("omitted") == Value::Bool(true)
    }

    /// Whether the policies let it through: all that was asked for was allowed, or it was carried out all the same.
    pub(super) fn was_let_through(&self) -> bool {
        let reasons = &self.additional_event_data.gateway.reasons;
        let allowed = reasons.iter().all(|reason| reason.decision == "Allow" || reason.report_only);
        !reasons.is_empty() && (allowed || self.error_code.is_none())
    }

    /// Whether a permission was there by a grant.
    pub(super) fn was_granted(&self) -> bool {
        self.additional_event_data.gateway.reasons.iter().any(|reason| reason.grant_id.is_some())
    }

    /// Whether a policy was asked and did not allow.
    pub(super) fn was_refused(&self) -> bool {
        !self.additional_event_data.gateway.reasons.is_empty() && !self.was_let_through()
    }
}

/// One line of the file.
#[derive(Debug)]
pub(super) enum Line<'l> {
    /// A line with its end.
    Whole(&'l [u8]),
    /// The last one, which has no end: it may still be written.
    Last(&'l [u8]),
    /// Longer than any record.
    TooLong,
}

/// The lines of an audit file, in memory one at a time.
#[derive(Debug)]
pub(super) struct Lines<R> {
    input: R,
    line: Vec<u8>,
    /// The number of the line that was read last, from 1.
    pub(super) number: u64,
}

impl Lines<BufReader<File>> {
    /// Opens `file`.
    ///
    /// # Errors
    ///
    /// A fault that says that it cannot be read.
    pub(super) fn open(file: &Path) -> Result<Self, Failure> {
        let opened = File::open(file).and_then(|opened| {
            if opened.metadata()?.is_dir() { Err(io::Error::from(io::ErrorKind::IsADirectory)) } else { Ok(opened) }
        });
        Ok(Self::new(BufReader::new(opened.map_err(|error| unreadable(file, &error))?)))
    }
}

impl<R: BufRead> Lines<R> {
    pub(super) const fn new(input: R) -> Self {
        Self { input, line: Vec::new(), number: 0 }
    }

    /// The next line, or `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        self.line.clear();
        let read = (&mut self.input).take(LONGEST_LINE).read_until(b'\n', &mut self.line)?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        if self.line.last() == Some(&b'\n') {
            return Ok(Some(Line::Whole(&self.line)));
        }
        if u64::try_from(read).is_ok_and(|read| read < LONGEST_LINE) {
            return Ok(Some(Line::Last(&self.line)));
        }
        self.input.skip_until(b'\n')?;
        Ok(Some(Line::TooLong))
    }
}

pub(super) fn unreadable(file: &Path, error: &io::Error) -> Failure {
    Fault::of_file(file, format!("cannot be read: {error}"), "name the audit file with --audit").into()
}

/// The audit file: the one that was named, or the configuration's.
pub(super) fn audit_file<'c>(named: Option<&'c Path>, config: &'c Config) -> Result<&'c Path, Failure> {
    named.or(config.audit.file.as_deref()).ok_or_else(|| {
        Failure::asked(
            "the configuration has no audit file, records go to standard output",
            "name the file that they were kept in with --audit",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_end_and_one_without_measure_are_told_apart() {
        let long = vec![b'x'; usize::try_from(LONGEST_LINE).unwrap() + 7];
        let text = [b"a\n\n".as_slice(), &long, b"\nb\nc"].concat();
        let mut lines = Lines::new(text.as_slice());
        let mut found = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            let (name, text) = match line {
                Line::Whole(line) => ("whole", line.to_owned()),
                Line::Last(line) => ("last", line.to_owned()),
                Line::TooLong => ("too long", Vec::new()),
            };
            found.push((lines.number, name, String::from_utf8(text).unwrap()));
        }
        let expected =
            [(1, "whole", "a\n"), (2, "whole", "\n"), (3, "too long", ""), (4, "whole", "b\n"), (5, "last", "c")];
        assert_eq!(found, expected.map(|(number, name, text)| (number, name, text.to_owned())));
    }
}
