//! `kmsgate audit report`: who used which key how often, and what was refused and why.

mod csv;
mod json;
mod table;

use std::io::{self, BufWriter, Write, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::progress::Bar;
use super::{inputs, unreadable};
use crate::audit::reading::{By, Input, Progress, Row, Tally};
use crate::cli::output::counted;
use crate::clock::Timestamp;

/// Count up an audit trail: who used which key how often, when first and last, and why what was refused.
///
/// Each row is one principal, key and operation, or what --by names; a request about two keys, as ReEncrypt is, counts
/// for each of them. `refused` is all that ended with an error; a reason is the error's code, with the kind of policy and
/// the policy, or the limit, that decided. Refusals without authentication that the gateway has counted up by itself are
/// told apart. Beyond 20,000 rows, or 16 MiB of names, the rest is one row `(others)`. Nothing is verified: `kmsgate audit
/// verify` does that. Files may be compressed by gzip; `-` is standard input.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  kmsgate audit report audit*.jsonl*
  kmsgate audit report audit*.jsonl* --by principal --since 2026-11-01 --until 2026-12-01 --format csv >november.csv
  kmsgate audit report audit.jsonl --by key --format json | jq -r '.rows[] | select(.refused > 0).key'

Exit codes: 0 the files were read, 64 an argument is at fault or a file cannot be read.")]
pub(in crate::cli) struct Arguments {
    /// The files of the trail
    #[arg(required = true, value_name = "FILES")]
    files: Vec<PathBuf>,
    /// What requests are told apart by; several are separated by commas
    #[arg(long, value_enum, value_delimiter = ',', default_value = "principal,key,operation")]
    by: Vec<Part>,
    /// Count only from this time on: 2026-11-23, which is its first moment in UTC, or 2026-11-23T18:22:41Z
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Timestamp>,
    /// Count only up to this time, which does not count itself
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Timestamp>,
    /// How it is printed
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// What requests are told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Who asked
    Principal,
    /// About which key
    Key,
    /// What was asked
    Operation,
}

/// How a report is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Table,
    /// One object
    Json,
    /// One line a row, for spreadsheets
    Csv,
}

fn moment(text: &str) -> Result<Timestamp, &'static str> {
    let whole = if text.contains('T') { text.to_owned() } else { format!("{text}T00:00:00Z") };
    Timestamp::parse_iso8601(&whole).ok_or("a time is written 2026-11-23 or 2026-11-23T18:22:41Z")
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let asked = |part| arguments.by.contains(&part);
    let by = By { principal: asked(Part::Principal), key: asked(Part::Key), operation: asked(Part::Operation) };
    let mut tally = Tally::new(by, arguments.since, arguments.until);
    let (inputs, progress) = (inputs(&arguments.files), Progress::default());
    let bar = Bar::show(&inputs, &progress);
    for input in &inputs {
        if let Err(error) = count(input, &progress, &mut tally) {
            drop(bar);
            return unreadable(input, &error);
        }
    }
    drop(bar);
    let rows = tally.take_rows();
    // Who closed standard output before its end wants no more.
    let _ = print(arguments.format, &tally, &rows);
    if tally.faulty > 0 {
        eprintln!("note: {} not counted: no audit records", counted(tally.faulty, "line"));
    }
    ExitCode::SUCCESS
}

fn count(input: &Input, progress: &Progress, tally: &mut Tally) -> io::Result<()> {
    let mut lines = input.open(progress)?.lines;
    while let Some(line) = lines.next_line()? {
        tally.line(&line);
    }
    Ok(())
}

fn print(format: Format, tally: &Tally, rows: &[Row]) -> io::Result<()> {
    let mut out = BufWriter::new(stdout().lock());
    match format {
        Format::Table => table::write(&mut out, tally, rows)?,
        Format::Json => json::write(&mut out, tally, rows)?,
        Format::Csv => csv::write(&mut out, rows)?,
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_its_first_moment() {
        assert_eq!(moment("2026-11-23"), moment("2026-11-23T00:00:00Z"));
        assert_eq!(moment("2026-11-23T18:22:41Z").unwrap().iso8601().to_string(), "2026-11-23T18:22:41Z");
        for text in ["", "today", "2026-11", "2026-11-31", "2026-11-23T", "2026-11-23 18:22:41"] {
            assert!(moment(text).is_err(), "{text}");
        }
    }
}
