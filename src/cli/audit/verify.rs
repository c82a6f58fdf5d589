//! `kmsgate audit verify`: whether a trail is as the gateway wrote it.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::progress::Bar;
use super::{inputs, refuse, unreadable};
use crate::audit::reading::{Chain, Expected, Finding, Note, Progress, PublicKeys, Verified, verify};
use crate::cli::FAILED;
use crate::cli::output::{counted, grouped, plain, say};

/// So many chains are told to a person; a program gets all.
const CHAINS_SHOWN: usize = 10;

/// Check that nobody has changed the audit trail: every line is as it was written, in its place, and none is missing.
///
/// That is shown for all lines from the first given up to the newest checkpoint among them, by the signatures of the
/// checkpoints and the hashes between them. Lines behind it are checked for damage and not signed yet. An end that was
/// cut off leaves no trace in what remains: keep checkpoints, or their hashes, at another place, and name them with
/// --expect-checkpoint. Files may be compressed by gzip and given in any order; `-` is standard input.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  kmsgate audit verify audit*.jsonl* --public-key audit-key.pub
  kmsgate audit verify audit*.jsonl* --public-key audit-key.pub --expect-checkpoint kept-checkpoints.jsonl
  kubectl logs kmsgate-0 | kmsgate audit verify - --public-key audit-key.pub --json | jq .ok

Exit codes: 0 nothing is wrong, 1 there are faults, 64 an argument is at fault or a file cannot be opened.")]
pub(in crate::cli) struct Arguments {
    /// The files of the trail
    #[arg(required = true, value_name = "FILES")]
    files: Vec<PathBuf>,
    /// A key that checkpoints are signed with: a file with it in PEM or base64, or its 32 bytes in base64
    #[arg(long = "public-key", required = true, value_name = "FILE-OR-BASE64")]
    public_keys: Vec<String>,
    /// A checkpoint that has to be there: the SHA-256 of its line, or a file with lines of checkpoints
    #[arg(long = "expect-checkpoint", value_name = "HASH-OR-FILE")]
    expected: Vec<String>,
    /// Note where checkpoints are further apart than so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    interval: u32,
    /// Print one object of JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let mut keys = PublicKeys::default();
    for key in &arguments.public_keys {
        if let Err(error) = keys.add(key) {
            let hint = "the gateway's own is the `publicKey` of its checkpoints; compare it with the one you have kept";
            return refuse(format_args!("--public-key {}: {error}", plain(key)), hint);
        }
    }
    let mut expected = Expected::default();
    for checkpoint in &arguments.expected {
        if let Err(error) = expected.add(checkpoint) {
            let hint = "`verify` prints the hash of the newest checkpoint; keep it, or the line itself";
            return refuse(format_args!("--expect-checkpoint {}: {error}", plain(checkpoint)), hint);
        }
    }
    let (inputs, progress) = (inputs(&arguments.files), Progress::default());
    let bar = Bar::show(&inputs, &progress);
    let interval = Duration::from_secs(arguments.interval.into());
    let verified = verify(&inputs, &keys, expected, interval, &progress);
    drop(bar);
    match verified {
        Err((input, error)) => unreadable(&input, &error),
        Ok(verified) => {
            say(&if arguments.json { format!("{}\n", object(&verified)) } else { page(&verified) });
            if verified.findings.no_fault() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) }
        }
    }
}

/// All of it, for a program.
fn object(verified: &Verified) -> Value {
    let findings = &verified.findings;
    json!({
        "ok": findings.no_fault(),
        "files": findings.files(),
        "lines": verified.lines,
        "bytes": verified.bytes,
        "chains": verified.chains.iter().map(chain_json).collect::<Vec<_>>(),
        "faults": findings.faults().map(|fault| finding_json(&fault)).collect::<Vec<_>>(),
        "moreFaults": findings.more_faults(),
        "notes": findings.notes().iter().map(note_json).collect::<Vec<_>>(),
    })
}

fn chain_json(chain: &Chain) -> Value {
    let newest = chain.newest.map(|newest| {
        let time = newest.time.map(|time| time.iso8601().to_string());
        json!({"sequence": newest.sequence, "time": time, "hash": newest.hash.to_string()})
    });
    json!({
        "id": chain.id,
        "first": chain.first,
        "last": chain.last,
        "checkpoints": chain.checkpoints,
        "newestCheckpoint": newest,
        "unsignedLines": chain.unsigned,
    })
}

fn finding_json(finding: &Finding) -> Value {
    let Finding { file, line, offset, sequence, what } = finding;
    json!({"file": file, "line": line, "offset": offset, "sequence": sequence, "what": what})
}

fn note_json(note: &Note) -> Value {
    json!({"kind": note.kind, "count": note.count, "first": finding_json(&note.first)})
}

/// A page for a person.
fn page(verified: &Verified) -> String {
    let findings = &verified.findings;
    let mut page = String::new();
    // A `String` takes all that is written to it.
    for fault in findings.faults() {
        let _ = writeln!(page, "fault: {}", plain(&fault.to_string()));
    }
    if findings.more_faults() > 0 {
        let _ = writeln!(page, "and {}", counted(findings.more_faults(), "more fault"));
    }
    for Note { first, count, .. } in findings.notes() {
        let more = if *count > 1 { format!(" (and {} more like it)", grouped(count - 1)) } else { String::new() };
        let _ = writeln!(page, "note: {}{more}", plain(&first.to_string()));
    }
    if !page.is_empty() {
        page.push('\n');
    }
    let result = if findings.no_fault() { "ok" } else { "NOT as it was written" };
    let files = counted(findings.files() as u64, "file");
    let _ =
        writeln!(page, "{result}: {}, {} bytes, in {files}", counted(verified.lines, "line"), grouped(verified.bytes));
    for chain in verified.chains.iter().rev().take(CHAINS_SHOWN).rev() {
        page += &chain_text(chain);
    }
    if let Some(more) = verified.chains.len().checked_sub(CHAINS_SHOWN).filter(|more| *more > 0) {
        let _ = writeln!(page, "and {} before: --json has them all", counted(more as u64, "chain"));
    }
    page
}

fn chain_text(chain: &Chain) -> String {
    let Chain { id, first, last, checkpoints, newest, unsigned } = chain;
    let before = if *first > 1 { "; what came before was not given" } else { "" };
    let mut text = format!(
        "
  chain              {}
  lines              {first} to {last}{before}
  checkpoints        {}
",
        plain(id.as_deref().unwrap_or("not known")),
        grouped(*checkpoints),
    );
    if let Some(newest) = newest {
        let time = newest.time.map_or_else(|| "at no time".to_owned(), |time| time.iso8601().to_string());
        let _ = write!(
            text,
            "  newest checkpoint  line {}, {time}\n  its hash           {}\n",
            newest.sequence, newest.hash
        );
    }
    let _ = writeln!(text, "  not signed yet     {}", counted(*unsigned, "line"));
    text
}
