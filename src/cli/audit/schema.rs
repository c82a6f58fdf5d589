//! `kmsgate audit schema`: what a line of an audit file may be.

use std::process::ExitCode;

use clap::Args;

use crate::audit::RECORD_SCHEMA;

/// Print the JSON Schema (draft 2020-12) of the lines of an audit file.
///
/// Every line that this version writes is valid by it, and each member has a description: for parsers, for rules that
/// raise alerts, and to see after an update what has changed.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  kmsgate audit schema > record.schema.json

Exit codes: 0.")]
pub(in crate::cli) struct Arguments {}

pub(in crate::cli) fn run(_: &Arguments) -> ExitCode {
    print!("{RECORD_SCHEMA}");
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests;
