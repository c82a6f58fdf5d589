//! `kmsgate policy suggest`: the narrowest policies that allow what an audit file says was done.

mod caveats;
mod document;
mod usage;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::fault::Failure;
use super::records::{self, unreadable};
use crate::cli::output::{plain, say};
use crate::faults::nearest;
use caveats::caveats;
use document::{Document, LONGEST_AT_AWS};
use usage::Observed;

/// Write, for each principal of an audit file, the narrowest policy that allows its recorded calls.
///
/// A statement names one key, or one alias, and the actions that were used on it; operations without a key stand on `*`.
/// The encryption context may have only the keys that were seen, and has to be there, or not to be there, if it always
/// or never was; with --values the values are held to those seen as well. Calls that were refused are not covered, and
/// neither are lines that are no records: a note says how many there were. Where the policy allows more than was recorded,
/// as with kms:CreateGrant, whose grants no condition holds to those that were made, a note says that too. What was not
/// recorded is not allowed, so let the file cover every kind of work that the principal does.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  kmsgate policy suggest --audit audit.jsonl --principal arn:aws:iam::111122223333:user/orders >orders.json
  kmsgate policy suggest --audit audit.jsonl --values --json | jq '.principals[].principal'

Exit codes: 0 there are policies, 64 the file or an argument is at fault, or nothing was allowed.")]
pub(in crate::cli) struct Arguments {
    /// The audit file
    #[arg(long, value_name = "FILE")]
    audit: PathBuf,
    /// Only this principal; a role's ARN means all of its sessions
    #[arg(long, value_name = "ARN")]
    principal: Option<String>,
    /// Allow only the values of the encryption context that were seen
    #[arg(long)]
    values: bool,
    /// Print one object of JSON
    #[arg(long)]
    json: bool,
}

/// What is suggested for one principal.
#[derive(Debug, Serialize)]
struct Suggestion<'s> {
    principal: &'s str,
    allowed: u64,
    refused: u64,
    /// What the policy allows beyond what was recorded.
    notes: Vec<String>,
    /// Nothing, if every call was refused.
    policy: Option<Document<'s>>,
}

/// The object that `--json` prints.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Suggestions<'s> {
    principals: &'s [Suggestion<'s>],
    faulty_lines: u64,
    uncovered: u64,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    match suggest(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.tell(),
    }
}

fn suggest(arguments: &Arguments) -> Result<(), Failure> {
    let mut lines = records::open(&arguments.audit)?;
    let observed = Observed::read(&mut lines, arguments.principal.as_deref(), arguments.values)
        .map_err(|error| unreadable(&arguments.audit, &error))?;
    let suggestions: Vec<Suggestion<'_>> = observed
        .principals
        .iter()
        .map(|(principal, calls)| Suggestion {
            principal,
            allowed: calls.allowed,
            refused: calls.refused,
            notes: caveats(calls, arguments.values),
            policy: Document::new(calls),
        })
        .collect();
    if suggestions.iter().all(|suggestion| suggestion.policy.is_none()) {
        return Err(nothing(arguments, &observed));
    }
    let Observed { faulty: faulty_lines, unclear: uncovered, .. } = observed;
    if arguments.json {
        let all = Suggestions { principals: &suggestions, faulty_lines, uncovered };
        // Texts and numbers can always be written.
        say(&format!("{}\n", serde_json::to_string(&all).unwrap_or_default()));
    } else {
        say(&page(&suggestions, arguments.principal.is_some()));
    }
    note(&suggestions, faulty_lines, uncovered);
    Ok(())
}

/// The documents; with a heading for each, unless there is only the one that was asked for.
fn page(suggestions: &[Suggestion<'_>], bare: bool) -> String {
    let documents = suggestions.iter().filter_map(|suggestion| {
        let text = serde_json::to_string_pretty(suggestion.policy.as_ref()?).unwrap_or_default();
        Some(if bare { format!("{text}\n") } else { format!("{}\n{text}\n", plain(suggestion.principal)) })
    });
    documents.collect::<Vec<_>>().join("\n")
}

/// Says on standard error what the policies do not tell by themselves.
fn note(suggestions: &[Suggestion<'_>], faulty: u64, unclear: u64) {
    for suggestion in suggestions {
        let principal = plain(suggestion.principal);
        if suggestion.refused > 0 {
            let calls = counted(suggestion.refused, "refused call");
            eprintln!("note: {principal}: {calls} not covered");
        }
        for caveat in &suggestion.notes {
            eprintln!("note: {principal}: {}", plain(caveat));
        }
        let Some(policy) = &suggestion.policy else { continue };
        if policy.tags_new_keys() {
            eprintln!(
                "note: {principal}: kms:TagResource on `*`, which new keys with tags ask for, allows to tag every key"
            );
        }
        let length = serde_json::to_string(policy).map_or(0, |text| text.len());
        if length > LONGEST_AT_AWS {
            eprintln!("note: {principal}: {length} characters are more than a managed policy of IAM may have");
        }
    }
    if faulty > 0 {
        eprintln!("note: {} skipped, which are no audit records", counted(faulty, "line"));
    }
    if unclear > 0 {
        eprintln!(
            "note: {} not covered, whose records do not say for which resource",
            counted(unclear, "allowed call")
        );
    }
}

fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("{count} {what} was") } else { format!("{count} {what}s were") }
}

/// Nothing was allowed to whom it was asked about.
fn nothing(arguments: &Arguments, observed: &Observed) -> Failure {
    let file = arguments.audit.display();
    let Observed { principals, others, faulty, .. } = observed;
    let skipped = if *faulty > 0 { format!(" ({} skipped)", counted(*faulty, "faulty line")) } else { String::new() };
    match &arguments.principal {
        None => Failure::asked(format_args!("{file} has no call that was allowed{skipped}"), "name an audit file"),
        Some(asked) if principals.is_empty() => {
            let hint = match nearest(asked, others.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "leave --principal out to see all there are".to_owned(),
            };
            Failure::asked(format_args!("{file} has no call of `{}`{skipped}", plain(asked)), hint)
        }
        Some(asked) => {
            let message = format_args!("{file} has no call of `{}` that was allowed{skipped}", plain(asked));
            Failure::asked(message, "see what was refused with `kmsgate policy explain`")
        }
    }
}

#[cfg(test)]
mod tests;
