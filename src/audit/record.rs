//! The text of a record: CloudTrail's members in CloudTrail's order, rendered into a buffer that is used again.
//!
//! What CloudTrail has no member for stands under one name, `additionalEventData.gateway`, so that what reads
//! CloudTrail reads this (reference: CloudTrail user guide, "Record contents"; KMS developer guide, "Logging
//! AWS KMS API calls"). It is the last member, and stays open: what chains the records to each other stands at the end
//! of a line, where it is written, and found again, without reading the rest.

use std::fmt::Write as _;
use std::net::IpAddr;

use super::draft::{Additional, Facts, Learnt, Outcome, Reason, UpstreamId};
use super::json;
use crate::aws::{AccountId, Arn, Regions};
use crate::clock::Timestamp;

/// The longest `requestParameters` or `responseElements`, in bytes; CloudTrail's own bound.
const OBJECT_CAP: usize = 100 * 1024;
/// A buffer that grew beyond this is given back.
const KEPT_BYTES: usize = 64 * 1024;
/// `eventName` of a request that names no operation.
const NO_OPERATION: &str = "UnknownOperation";
/// `errorCode` of a request whose connection ended before there was an answer: by its client, or at the gateway's end.
pub(super) const HUNG_UP: &str = "ClientDisconnected";
const HUNG_UP_MESSAGE: &str = "the connection ended before the request was answered";

/// What ends a record: its `gateway`, its `additionalEventData` and itself.
pub(super) const CLOSED: &[u8] = b"}}}";

/// The parts of a record that are the same for all records of a process.
pub(super) struct Site {
    /// The values of `awsRegion`.
    regions: Regions,
    /// From `eventType` up to `eventCategory`.
    account: String,
}

impl Site {
    pub(super) fn new(regions: &Regions, account: AccountId) -> Self {
        Self {
            regions: regions.clone(),
            account: format!(
                r#""eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"{account}","eventCategory":"Management""#
            ),
        }
    }
}

/// A line in the making, and what stands from `eventTime` to `eventName` in records of the second it was last made in.
#[derive(Default)]
pub(super) struct Scratch {
    line: Vec<u8>,
    second: i64,
    second_text: String,
}

impl Scratch {
    /// The record of `facts`, open behind the last member of `additionalEventData.gateway`: [`CLOSED`] ends it.
    pub(super) fn render(&mut self, facts: &Facts, site: &Site, now: Timestamp, event_id: &[u8; 36]) -> &[u8] {
        self.line.clear();
        self.line.shrink_to(KEPT_BYTES);
        self.tell_time(facts.at);
        let (out, learnt) = (&mut self.line, facts.learnt());
        let (operation, read_only) = learnt.operation.unwrap_or((NO_OPERATION, true));
        out.extend_from_slice(br#"{"eventVersion":"1.11","userIdentity":"#);
        json::fragment(out, learnt.user_identity());
        out.extend_from_slice(self.second_text.as_bytes());
        out.extend_from_slice(operation.as_bytes());
        out.extend_from_slice(br#"","awsRegion":""#);
        out.extend_from_slice(site.regions.get(learnt.region.unwrap_or_default()).as_str().as_bytes());
        out.extend_from_slice(br#"","sourceIPAddress":""#);
        address(out, facts.peer);
        out.push(b'"');
        if let Some(user_agent) = &facts.user_agent {
            out.extend_from_slice(br#","userAgent":"#);
            json::lossy_string(out, user_agent.as_bytes());
        }
        outcome(out, learnt.outcome.as_ref());
        let refused = !matches!(learnt.outcome, Some(Outcome::Succeeded));
        out.extend_from_slice(br#","requestParameters":"#);
        object(out, learnt.request_parameters.as_ref());
        out.extend_from_slice(br#","responseElements":"#);
        object(out, learnt.response_elements.as_ref().filter(|_| !refused));
        out.extend_from_slice(br#","requestID":"#);
        request_id(out, facts, &learnt);
        out.extend_from_slice(br#","eventID":""#);
        out.extend_from_slice(event_id);
        out.extend_from_slice(if read_only { br#"","readOnly":true,"# } else { br#"","readOnly":false,"# });
        resources(out, &learnt);
        out.extend_from_slice(site.account.as_bytes());
        tls(out, facts);
        additional(out, facts, &learnt, now);
        out
    }

    /// Most records fall into the second of the one before.
    fn tell_time(&mut self, at: Timestamp) {
        if self.second != at.unix_seconds() || self.second_text.is_empty() {
            self.second = at.unix_seconds();
            self.second_text.clear();
            let time = at.iso8601();
            let _ =
                write!(self.second_text, r#","eventTime":"{time}","eventSource":"kms.amazonaws.com","eventName":""#);
        }
    }
}

/// The id that the client was told: an upstream's, if its answer was let out.
fn request_id(out: &mut Vec<u8>, facts: &Facts, learnt: &Learnt) {
    if let Some(UpstreamId { id, told: true }) = &learnt.upstream {
        return json::lossy_string(out, id.as_bytes());
    }
    out.push(b'"');
    out.extend_from_slice(&facts.request_id);
    out.push(b'"');
}

fn address(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(v4) => {
            for (index, octet) in v4.octets().into_iter().enumerate() {
                if index > 0 {
                    out.push(b'.');
                }
                json::number(out, octet.into());
            }
        }
        IpAddr::V6(v6) => {
            let _ = std::io::Write::write_fmt(out, format_args!("{v6}"));
        }
    }
}

fn outcome(out: &mut Vec<u8>, outcome: Option<&Outcome>) {
    let (code, message) = match outcome {
        Some(Outcome::Succeeded) => return,
        Some(Outcome::Failed { code, message }) => (&**code, message.as_deref()),
        None => (HUNG_UP, Some(HUNG_UP_MESSAGE)),
    };
    out.extend_from_slice(br#","errorCode":"#);
    json::capped_string(out, code);
    if let Some(message) = message {
        out.extend_from_slice(br#","errorMessage":"#);
        json::capped_string(out, message);
    }
}

fn object(out: &mut Vec<u8>, text: Option<&String>) {
    match text {
        None => out.extend_from_slice(b"null"),
        Some(text) if text.is_empty() => out.extend_from_slice(b"null"),
        Some(text) if text.len() <= OBJECT_CAP => json::fragment(out, text),
        Some(text) => {
            // A part of an object is no object; CloudTrail, too, then says only how long it was.
            out.extend_from_slice(br#"{"omitted":true,"originalSize":"#);
            json::number(out, u64::try_from(text.len()).unwrap_or(u64::MAX));
            out.push(b'}');
        }
    }
}

fn additional(out: &mut Vec<u8>, facts: &Facts, learnt: &Learnt, now: Timestamp) {
    out.extend_from_slice(br#","additionalEventData":{"#);
    for (name, value) in learnt.additional.iter().flatten() {
        match value {
            Additional::Text(text) => member(out, name, text),
            Additional::KeyMaterial(id) => member(out, name, id.hex().as_str()),
        }
    }
    out.extend_from_slice(br#""gateway":{"#);
    if let [Some(_), ..] = learnt.reasons {
        out.extend_from_slice(br#""reasons":["#);
        for reason in learnt.reasons.iter().flatten() {
            out.push(b'{');
            let Reason { decision, action, layer, policy, statement, key_statement, grant, danger_report_only } =
                reason;
            member(out, "decision", decision);
            member(out, "action", action);
            member(out, "layer", layer);
            for (name, value) in [("policy", policy), ("statement", statement), ("keyStatement", key_statement)] {
                if let Some(value) = value {
                    member(out, name, value);
                }
            }
            if let Some(grant) = grant {
                member(out, "grantId", grant.hex().as_str());
            }
            if *danger_report_only {
                out.extend_from_slice(br#""reportOnly":true,"#);
            }
            out.pop();
            out.extend_from_slice(b"},");
        }
        out.pop();
        out.extend_from_slice(b"],");
    }
    match &learnt.upstream {
        None => {}
        Some(UpstreamId { told: true, .. }) => {
            out.extend_from_slice(br#""requestId":""#);
            out.extend_from_slice(&facts.request_id);
            out.extend_from_slice(b"\",");
        }
        Some(UpstreamId { id, told: false }) => {
            out.extend_from_slice(br#""upstreamRequestId":"#);
            json::lossy_string(out, id.as_bytes());
            out.push(b',');
        }
    }
    if let Some(limiter) = learnt.limiter {
        member(out, "limiter", limiter);
    }
    if let Some(detail) = &learnt.detail {
        member(out, "detail", detail);
    }
    out.extend_from_slice(br#""generation":"#);
    json::number(out, facts.generation);
    out.extend_from_slice(br#","latencyMicros":"#);
    json::number(out, u64::try_from(now.since(facts.at).as_micros()).unwrap_or(u64::MAX));
}

/// A member and the comma behind it. Names are constants, in which nothing has to be escaped.
fn member(out: &mut Vec<u8>, name: &'static str, value: &str) {
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    json::capped_string(out, value);
    out.push(b',');
}

fn resources(out: &mut Vec<u8>, learnt: &Learnt) {
    out.extend_from_slice(br#""resources":["#);
    for (index, arn) in learnt.resources.iter().flatten().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        let parts = Arn::parse(arn).ok();
        out.extend_from_slice(br#"{"accountId":"#);
        json::string(out, parts.map_or("", |parts| parts.account));
        let alias = parts.is_some_and(|parts| parts.resource.starts_with("alias/"));
        out.extend_from_slice(if alias {
            br#","type":"AWS::KMS::Alias","ARN":"#
        } else {
            br#","type":"AWS::KMS::Key","ARN":"#
        });
        json::string(out, arn);
        out.push(b'}');
    }
    out.extend_from_slice(b"],");
}

fn tls(out: &mut Vec<u8>, facts: &Facts) {
    let Some(tls) = &facts.tls else { return };
    out.extend_from_slice(br#","tlsDetails":{"tlsVersion":"#);
    json::string(out, tls.version);
    out.extend_from_slice(br#","cipherSuite":"#);
    json::string(out, tls.cipher_suite);
    if let Some(host) = &facts.host {
        out.extend_from_slice(br#","clientProvidedHostHeader":"#);
        json::lossy_string(out, host.as_bytes());
    }
    if let Some(key_exchange) = tls.key_exchange {
        out.extend_from_slice(br#","keyExchange":"#);
        json::string(out, key_exchange);
    }
    out.push(b'}');
}

#[cfg(test)]
pub(super) mod tests;
