//! `kmsgate policy test`: cases of who may do what under which policies, judged and compared with what was expected.
//!
//! The file is read in blocks of whole lines. Those of a block are shared out among the cores, and their answers written
//! in the file's order, so that a file of any length takes little memory.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;

use clap::Args;
use memchr::{memchr_iter, memrchr};

use super::verdict::{Tally, judge};
use crate::cli::{BAD_CONFIG, FAILED};

/// How much of the file is read before it is judged.
const BLOCK: usize = 4 * 1024 * 1024;
/// The longest line, in bytes. A policy has a few thousand.
const LONGEST: usize = 64 * 1024 * 1024;

/// Judge cases by their policies and compare the decisions with those expected.
///
/// Each line of FILE is a case: {"id", "policies": {"identity": [document], "key": document, "guardrail": [document],
/// "boundary": [document], "session": document}, "request": {"principal": ARN, "action", "resource": ARN, "context":
/// {condition key: string or list of strings}}, "expect": "allow" or "deny"}. What is left out of `policies` is not
/// attached; without `key` identity policies alone decide. `id`, `context` and `expect` may be left out too. The context
/// has by itself what the principal and the resource imply: aws:PrincipalArn, aws:PrincipalAccount, aws:PrincipalType,
/// aws:username, kms:CallerAccount and aws:ResourceAccount; a case's own values take precedence.
///
/// For each case a line of JSON says the decision, the statements it rests on and whether it was expected. A case with
/// faults has them listed under `error`, and the others are judged all the same.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  kmsgate policy test cases.jsonl
  generate-cases | kmsgate policy test - | jq 'select(.ok | not)'

Exit codes: 0 all is as expected, 1 a case is not as expected or has faults, 64 FILE cannot be read.")]
pub(in crate::cli) struct Arguments {
    /// The cases, one a line; `-` for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let result = open(&arguments.file).map_err(Stopped::Reading).and_then(|cases| {
        let mut answers = BufWriter::new(io::stdout().lock());
        let tally = judge_all(cases, &mut answers)?;
        answers.flush().map_err(Stopped::Writing)?;
        Ok(tally)
    });
    match result {
        Ok(tally) => {
            eprintln!("{tally}");
            if tally.is_good() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) }
        }
        Err(Stopped::Reading(error)) => {
            eprintln!("kmsgate: {}: cannot be read: {error}", arguments.file.display());
            ExitCode::from(BAD_CONFIG)
        }
        Err(Stopped::Writing(error)) => {
            eprintln!("kmsgate: standard output: {error}");
            ExitCode::from(FAILED)
        }
    }
}

/// What ends a run early.
#[derive(Debug)]
pub(super) enum Stopped {
    Reading(io::Error),
    Writing(io::Error),
}

fn open(file: &Path) -> io::Result<Box<dyn Read>> {
    Ok(if file == Path::new("-") { Box::new(io::stdin().lock()) } else { Box::new(File::open(file)?) })
}

/// Judges every case, in order.
pub(super) fn judge_all(mut cases: impl Read, answers: &mut impl Write) -> Result<Tally, Stopped> {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let (mut tally, mut line, mut block) = (Tally::default(), 1, Vec::new());
    loop {
        let more = cases.by_ref().take(BLOCK as u64).read_to_end(&mut block).map_err(Stopped::Reading)?;
        // What follows the last end of a line is the beginning of the next one.
        let whole = if more < BLOCK { block.len() } else { memrchr(b'\n', &block).map_or(0, |end| end + 1) };
        let (lines, rest) = block.split_at_checked(whole).unwrap_or((&block, &[]));
        if rest.len() > LONGEST {
            let message = format!("a line has more than {LONGEST} bytes");
            return Err(Stopped::Reading(io::Error::new(io::ErrorKind::InvalidData, message)));
        }
        for (answer, part) in judge_block(lines, &mut line, workers) {
            answers.write_all(&answer).map_err(Stopped::Writing)?;
            tally += part;
        }
        if more < BLOCK {
            return Ok(tally);
        }
        block.drain(..whole);
    }
}

/// Judges whole lines, the first of which is number `line`, each share of them on a core of its own.
fn judge_block(lines: &[u8], line: &mut usize, workers: usize) -> Vec<(Vec<u8>, Tally)> {
    thread::scope(|scope| {
        let judging: Vec<_> = shares(lines, workers)
            .map(|share| {
                let first = *line;
                *line += memchr_iter(b'\n', share).count();
                scope.spawn(move || judge_share(share, first))
            })
            .collect();
        judging.into_iter().map(|judged| judged.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    })
}

/// `lines` cut into about equal parts of whole lines.
fn shares(lines: &[u8], count: usize) -> impl Iterator<Item = &[u8]> {
    let size = lines.len().div_ceil(count.max(1));
    let mut rest = lines;
    std::iter::from_fn(move || {
        let behind = rest.get(size..).unwrap_or_default();
        let end = memchr::memchr(b'\n', behind).map_or(rest.len(), |end| size + end + 1);
        let (share, others) = rest.split_at_checked(end)?;
        rest = others;
        (!share.is_empty()).then_some(share)
    })
}

/// The answers to some lines, the first of which is number `first`.
fn judge_share(lines: &[u8], first: usize) -> (Vec<u8>, Tally) {
    let (mut answers, mut tally) = (Vec::with_capacity(lines.len() / 4), Tally::default());
    for (number, line) in lines.split(|byte| *byte == b'\n').enumerate() {
        if !line.trim_ascii().is_empty() {
            tally += judge(first + number, line, &mut answers);
        }
    }
    (answers, tally)
}
