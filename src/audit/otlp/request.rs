//! Lines as OTLP log records: what one request holds (`opentelemetry/proto/collector/logs/v1/logs_service.proto`).
//!
//! A record's body is its line as it was written, so that whoever has the records from a collector can check the chain.
//! What stands beside it is for searching, and is read from the line: by OpenTelemetry's semantic conventions where
//! they have a name (AWS SDK, client, user agent, error). A line that is not read has its body alone.

use std::borrow::Cow;

use serde::Deserialize;

use super::protobuf::{bytes, fixed_64, message, number};
use crate::audit::own_event::{REFUSALS, REPAIRED};
use crate::clock::Timestamp;

/// `service.name`, and the name of the scope.
const NAME: &str = "kmsgate";
/// `eventType` of what is not about a request.
const SERVICE_EVENT: &str = "AwsServiceEvent";
/// Events of the gateway's own that somebody should look at, though no request was refused in them.
const WARNINGS: [&str; 2] = [REPAIRED, REFUSALS];

/// The fields that are written, by the message that they are of.
mod field {
    pub(super) const REQUEST_RESOURCE_LOGS: u64 = 1;
    pub(super) const RESOURCE_LOGS_RESOURCE: u64 = 1;
    pub(super) const RESOURCE_LOGS_SCOPE_LOGS: u64 = 2;
    pub(super) const RESOURCE_ATTRIBUTES: u64 = 1;
    pub(super) const SCOPE_LOGS_SCOPE: u64 = 1;
    pub(super) const SCOPE_LOGS_LOG_RECORDS: u64 = 2;
    pub(super) const SCOPE_NAME: u64 = 1;
    pub(super) const SCOPE_VERSION: u64 = 2;
    pub(super) const RECORD_TIME: u64 = 1;
    pub(super) const RECORD_SEVERITY_NUMBER: u64 = 2;
    pub(super) const RECORD_SEVERITY_TEXT: u64 = 3;
    pub(super) const RECORD_BODY: u64 = 5;
    pub(super) const RECORD_ATTRIBUTES: u64 = 6;
    pub(super) const RECORD_OBSERVED_TIME: u64 = 11;
    pub(super) const RECORD_EVENT_NAME: u64 = 12;
    pub(super) const KEY_VALUE_KEY: u64 = 1;
    pub(super) const KEY_VALUE_VALUE: u64 = 2;
    pub(super) const VALUE_STRING: u64 = 1;
    pub(super) const VALUE_INT: u64 = 3;
    pub(super) const VALUE_BYTES: u64 = 7;
}

/// OTLP's severities: the number and its text.
const INFO: (u64, &str) = (9, "INFO");
const WARN: (u64, &str) = (13, "WARN");

/// What is read of a line.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    #[serde(borrow)]
    event_time: Cow<'a, str>,
    #[serde(borrow)]
    event_source: Cow<'a, str>,
    #[serde(borrow)]
    event_name: Cow<'a, str>,
    #[serde(borrow)]
    event_type: Cow<'a, str>,
    #[serde(borrow, default)]
    aws_region: Cow<'a, str>,
    #[serde(borrow, default, rename = "sourceIPAddress")]
    source_ip_address: Cow<'a, str>,
    #[serde(borrow, default)]
    user_agent: Cow<'a, str>,
    #[serde(borrow, default)]
    error_code: Cow<'a, str>,
    #[serde(borrow, default, rename = "requestID")]
    request_id: Cow<'a, str>,
    #[serde(default)]
    additional_event_data: Additional,
}

#[derive(Default, Deserialize)]
struct Additional {
    #[serde(default)]
    gateway: Gateway,
}

#[derive(Default, Deserialize)]
struct Gateway {
    sequence: Option<u64>,
}

/// Writes requests that all come from one instance of the gateway.
pub(super) struct Requests {
    /// The whole field.
    resource: Vec<u8>,
    /// The whole field.
    scope: Vec<u8>,
}

impl Requests {
    pub(super) fn of(instance: &str, version: &str) -> Self {
        let (mut resource, mut scope) = (Vec::new(), Vec::new());
        message(&mut resource, field::RESOURCE_LOGS_RESOURCE, |out| {
            for (name, value) in
                [("service.name", NAME), ("service.instance.id", instance), ("service.version", version)]
            {
                text_attribute(out, field::RESOURCE_ATTRIBUTES, name, value);
            }
        });
        message(&mut scope, field::SCOPE_LOGS_SCOPE, |out| {
            bytes(out, field::SCOPE_NAME, NAME.as_bytes());
            bytes(out, field::SCOPE_VERSION, version.as_bytes());
        });
        Self { resource, scope }
    }

    /// The `ExportLogsServiceRequest` with a record for each line of `batch`, which is sent at `now`.
    pub(super) fn request(&self, batch: &[u8], now: Timestamp) -> Vec<u8> {
        // What stands beside the lines has as much at the most, and usually a quarter.
        let mut out = Vec::with_capacity(batch.len() * 5 / 4 + self.resource.len());
        message(&mut out, field::REQUEST_RESOURCE_LOGS, |out| {
            out.extend_from_slice(&self.resource);
            message(out, field::RESOURCE_LOGS_SCOPE_LOGS, |out| {
                out.extend_from_slice(&self.scope);
                for line in batch.split_inclusive(|byte| *byte == b'\n') {
                    let line = line.strip_suffix(b"\n").unwrap_or(line);
                    message(out, field::SCOPE_LOGS_LOG_RECORDS, |out| record(out, line, now));
                }
            });
        });
        out
    }
}

/// In the order of the fields' numbers, as protobuf's own libraries write them.
fn record(out: &mut Vec<u8>, text: &[u8], now: Timestamp) {
    let Ok(line) = serde_json::from_slice::<Line<'_>>(text) else {
        body(out, text);
        return fixed_64(out, field::RECORD_OBSERVED_TIME, nanoseconds(now));
    };
    if let Some(at) = time(&line.event_time) {
        fixed_64(out, field::RECORD_TIME, nanoseconds(at));
    }
    let warned = !line.error_code.is_empty() || WARNINGS.contains(&&*line.event_name);
    let (severity, severity_text) = if warned { WARN } else { INFO };
    number(out, field::RECORD_SEVERITY_NUMBER, severity);
    bytes(out, field::RECORD_SEVERITY_TEXT, severity_text.as_bytes());
    body(out, text);
    line.attributes(out);
    fixed_64(out, field::RECORD_OBSERVED_TIME, nanoseconds(now));
    // `kms.Decrypt`, `kmsgate.AuditCheckpoint`.
    let source = line.event_source.split('.').next().unwrap_or_default();
    bytes(out, field::RECORD_EVENT_NAME, format!("{source}.{}", line.event_name).as_bytes());
}

impl Line<'_> {
    fn attributes(&self, out: &mut Vec<u8>) {
        let of_a_request = self.event_type != SERVICE_EVENT;
        let only_of_a_request = |text| if of_a_request { text } else { "" };
        let attributes: [(&str, &str); 8] = [
            ("rpc.system", only_of_a_request("aws-api")),
            ("rpc.service", only_of_a_request("KMS")),
            ("rpc.method", only_of_a_request(&self.event_name)),
            ("cloud.region", &self.aws_region),
            ("aws.request_id", &self.request_id),
            ("client.address", only_of_a_request(&self.source_ip_address)),
            ("user_agent.original", only_of_a_request(&self.user_agent)),
            ("error.type", &self.error_code),
        ];
        for (name, value) in attributes.into_iter().filter(|(_, value)| !value.is_empty()) {
            text_attribute(out, field::RECORD_ATTRIBUTES, name, value);
        }
        if let Some(sequence) = self.additional_event_data.gateway.sequence {
            attribute(out, field::RECORD_ATTRIBUTES, "kmsgate.sequence", |out| {
                number(out, field::VALUE_INT, sequence);
            });
        }
    }
}

/// The line itself: a text, unless it is none.
fn body(out: &mut Vec<u8>, line: &[u8]) {
    let kind = if std::str::from_utf8(line).is_ok() { field::VALUE_STRING } else { field::VALUE_BYTES };
    message(out, field::RECORD_BODY, |out| bytes(out, kind, line));
}

fn text_attribute(out: &mut Vec<u8>, field: u64, name: &str, value: &str) {
    attribute(out, field, name, |out| bytes(out, field::VALUE_STRING, value.as_bytes()));
}

fn attribute(out: &mut Vec<u8>, field: u64, name: &str, value: impl FnOnce(&mut Vec<u8>)) {
    message(out, field, |out| {
        bytes(out, field::KEY_VALUE_KEY, name.as_bytes());
        message(out, field::KEY_VALUE_VALUE, value);
    });
}

/// `eventTime`, which is `2026-11-23T18:22:41Z`.
fn time(text: &str) -> Option<Timestamp> {
    Timestamp::parse_basic(&text.replace(['-', ':'], ""))
}

/// Since 1970; 0, which says that it is not known, for what was before.
fn nanoseconds(at: Timestamp) -> u64 {
    u64::try_from(at.unix_micros()).unwrap_or_default().saturating_mul(1000)
}

#[cfg(test)]
pub(super) mod tests;
