//! An audit file, read line by line: what was asked and decided, from the records of requests.
//!
//! A file may be larger than memory and may be written to while it is read, so a last line without an end is no fault.

use std::io::{self, BufRead};
use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::fault::Failure;
use crate::audit::reading::{Input, Lines, Progress};
use crate::config::Config;
use crate::faults::Fault;

/// The lines of an audit file.
type RecordLines = Lines<Box<dyn BufRead>>;

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

/// Opens the audit file `file`, plain or compressed.
///
/// # Errors
///
/// A fault that says that it cannot be read.
pub(super) fn open(file: &Path) -> Result<RecordLines, Failure> {
    let opened = Input::new(file).open(&Progress::default()).map_err(|error| unreadable(file, &error))?;
    Ok(opened.lines)
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
