//! `kmsgate policy explain`: why a request that was recorded was decided as it was, and what today's policies say to it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use memchr::memmem;
use serde_json::{Value, json};

use super::fault::Failure;
use super::judge::{Bench, OfKey, Verdict};
use super::question::{needed, operation};
use super::records::{self, Decided, Record, audit_file, unreadable};
use super::report::notes;
use super::simulate::{QUICKSTART_CONFIG, configured, tell};
use crate::audit::reading::Line;
use crate::cli::FAILED;
use crate::cli::output::{plain, say};
use crate::config::Config;
use crate::faults::Fault;

/// Show how a recorded request was decided, and judge it again by today's policies.
///
/// The request is found in the audit file by its id, which is in its answer (x-amzn-RequestId) and in the error of every
/// SDK. Who asked for what, and under which facts, is taken from the record; the principal's policies and the guardrail
/// are those of the configuration as it is now. What the record does not hold, such as the tags of the key, is not
/// known until --fact tells it. The key's policy is taken to be the default one unless --key-policy is given, and
/// grants are not looked at.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  kmsgate policy explain 2aba531c-4096-41ab-8e6a-07fcec0eec54 --config kmsgate.toml

Exit codes: 0 today's policies allow it, 1 they deny it, 64 a file or an argument is at fault, or no policy was asked.")]
pub(in crate::cli) struct Arguments {
    /// The request's id
    #[arg(value_name = "REQUEST-ID")]
    request_id: String,
    /// The gateway's configuration; without it that of a quickstart here
    #[arg(long, value_name = "FILE", default_value = QUICKSTART_CONFIG)]
    config: PathBuf,
    /// The audit file [default: the configuration's]
    #[arg(long, value_name = "FILE")]
    audit: Option<PathBuf>,
    /// The key's policy [default: the one that KMS gives to keys made without]
    #[arg(long, value_name = "FILE")]
    key_policy: Option<PathBuf>,
    /// A condition key with its value, in the place of the record's; without `=` the request did not have it
    #[arg(long, value_name = "KEY=VALUE", num_args = 1..)]
    fact: Vec<String>,
    /// Print one object of JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let config = match Config::load(&arguments.config) {
        Ok(config) => config,
        Err(faults) => return Failure::from(faults).tell(),
    };
    let found = audit_file(arguments.audit.as_deref(), &config).and_then(|file| find(file, &arguments.request_id));
    let record = match found {
        Ok(record) => record,
        Err(failure) => return failure.tell(),
    };
    let today = today(arguments, &config, &record);
    let verdicts = today.as_ref().map_or(&[][..], Vec::as_slice);
    if arguments.json {
        let today: Vec<Value> = verdicts.iter().map(Verdict::json).collect();
        say(&format!("{}\n", json!({"recorded": recorded_json(&record), "today": today})));
    } else {
        say(&page(&record, verdicts));
    }
    match &today {
        Ok(verdicts) if verdicts.iter().all(Verdict::is_allowed) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(FAILED),
        Err(failure) => failure.tell(),
    }
}

/// The record of the request. Only lines that name it are read as records.
fn find(file: &Path, request_id: &str) -> Result<Record, Failure> {
    let mut lines = records::open(file)?;
    let wanted = memmem::Finder::new(request_id);
    let mut cut = false;
    loop {
        let line = match lines.next_line().map_err(|error| unreadable(file, &error))? {
            None => break,
            Some(Line::TooLong) => continue,
            Some(line) => line,
        };
        let (Line::Whole(text) | Line::Last(text)) = line else { continue };
        if request_id.is_empty() || wanted.find(text).is_none() {
            continue;
        }
        match serde_json::from_slice::<Record>(text) {
            Ok(record) if record.request_id.as_deref() == Some(request_id) => return Ok(record),
            // It is in another record's parameters.
            Ok(_) => {}
            Err(_) if matches!(line, Line::Last(_)) => cut = true,
            Err(error) => {
                let line = usize::try_from(lines.number).ok();
                let (message, hint) = (format!("is no audit record: {error}"), "mend or take out that line".to_owned());
                let (file, path) = (file.to_path_buf(), String::new());
                return Err(Fault { file, line, path, message, hint: Some(hint) }.into());
            }
        }
    }
    let hint = match request_id.len() {
        _ if cut => "its record, the last one, is cut off or not written to its end yet",
        36 => "records of an earlier file, one that was rotated, are found with --audit",
        _ => "an id has 36 characters, as in the answer's x-amzn-RequestId",
    };
    let message = format_args!("{} has no record of the request `{}`", file.display(), plain(request_id));
    Err(Failure::asked(message, hint))
}

/// The same questions, judged by today's policies: up to the first that is denied, as a gateway asks them.
fn today(arguments: &Arguments, config: &Config, record: &Record) -> Result<Vec<Verdict>, Failure> {
    let gateway = &record.additional_event_data.gateway;
    let unasked = |what: &str| {
        let what = format_args!("today's policies were not asked: {what}");
        Failure::asked(what, "what was recorded is printed above")
    };
    if gateway.reasons.is_empty() {
        return Err(unasked("the request ended before any policy was asked"));
    }
    let operation = operation(record).ok_or_else(|| unasked("the operation is not known"))?;
    let needed = needed(record, operation).ok_or_else(|| unasked("the record does not say for which resource"))?;
    let arn = record.user_identity.arn.as_deref().ok_or_else(|| unasked("the record does not say who asked"))?;
    let principal = configured(&config.credentials, arn)?;
    let key_policy = OfKey::read(arguments.key_policy.as_deref())?;
    let bench = Bench {
        guardrail: config.guardrail.as_ref(),
        account: Some(config.account),
        principal: &principal,
        key_policy: &key_policy,
    };
    let mut verdicts = Vec::new();
    for one in &needed {
        let mut question = one.question(record, operation, &principal);
        tell(&mut question.facts, &arguments.fact)?;
        let verdict = bench.judge(question)?;
        let allowed = verdict.is_allowed();
        verdicts.push(verdict);
        if !allowed {
            break;
        }
    }
    Ok(verdicts)
}

/// What was decided then: each permission with its resource and what its decision rested on.
struct Then<'r> {
    action: Option<&'r str>,
    resource: Option<&'r str>,
    decided: &'r Decided,
}

fn then(record: &Record) -> Vec<Then<'_>> {
    let needed = operation(record).and_then(|operation| needed(record, operation)).unwrap_or_default();
    let reasons = record.additional_event_data.gateway.reasons.iter().enumerate();
    let then = reasons.map(|(place, decided)| {
        let (of, named) = (needed.get(place), decided.action.as_deref());
        let of = of.filter(|one| named.is_none_or(|named| named == one.action));
        Then { action: named.or(of.map(|one| one.action)), resource: of.map(|one| one.resource), decided }
    });
    then.collect()
}

impl Then<'_> {
    fn json(&self) -> Value {
        let Self { action, resource, decided } = self;
        let Decided { decision, layer, policy, statement, grant_id, report_only, .. } = decided;
        json!({"action": action, "resource": resource, "decision": decision, "layer": layer, "policy": policy,
            "statement": statement, "grantId": grant_id, "reportOnly": report_only})
    }

    /// `Allow by orders, statement UseTheKey: kms:Decrypt on arn:...`
    fn text(&self) -> String {
        let (action, resource) = (self.action.unwrap_or("a permission"), self.resource.unwrap_or("a resource"));
        let Decided { decision, layer, policy, statement, grant_id, report_only, .. } = self.decided;
        let layer = layer.as_deref().map(|layer| format!(" in layer {layer}")).unwrap_or_default();
        let by = match (grant_id, policy, statement) {
            (Some(grant), ..) => format!(" by the grant {grant}"),
            (None, Some(policy), Some(statement)) => format!(" by {policy}, statement {statement}"),
            (None, None, Some(statement)) => format!(" by statement {statement}"),
            (None, _, None) => String::new(),
        };
        let reported = if *report_only { ", and only reported" } else { "" };
        format!("{decision}{layer}{by}{reported}: {action} on {resource}")
    }
}

fn recorded_json(record: &Record) -> Value {
    json!({
        "requestID": record.request_id,
        "eventTime": record.event_time,
        "principal": record.user_identity.arn,
        "operation": record.event_name,
        "sourceIPAddress": record.source_ip_address,
        "errorCode": record.error_code,
        "errorMessage": record.error_message,
        "decisions": then(record).iter().map(Then::json).collect::<Vec<_>>(),
    })
}

fn page(record: &Record, verdicts: &[Verdict]) -> String {
    let mut out = String::new();
    let Record { event_time, event_name, source_ip_address, error_code, error_message, .. } = record;
    let principal = record.user_identity.arn.as_deref().unwrap_or("nobody who was authenticated");
    let mut line = |name: &str, value: &str| {
        // A `String` takes all that is written to it.
        let _ = writeln!(out, "{name:11} {}", plain(value));
    };
    line("request", record.request_id.as_deref().unwrap_or_default());
    line("time", event_time);
    line("principal", principal);
    line("operation", event_name);
    line("from", source_ip_address);
    for then in then(record) {
        line("decided", &then.text());
    }
    match (error_code, error_message) {
        (Some(code), message) => line("answer", &format!("{code}: {}", message.as_deref().unwrap_or("no message"))),
        (None, _) => line("answer", "success"),
    }
    for verdict in verdicts {
        let _ = write!(out, "\nToday {}", verdict.text());
    }
    out + &notes(verdicts)
}

#[cfg(test)]
mod tests;
