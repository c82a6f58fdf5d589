//! `kmsgate audit`: the trail, read by whoever has its files; no gateway has to run.

mod progress;
mod public_key;
mod report;
mod schema;
mod tail;
mod verify;

use std::fmt::Display;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use super::BAD_CONFIG;
use crate::audit::reading::Input;

/// Verify, follow and count up the audit trail.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Verify(verify::Arguments),
    Tail(tail::Arguments),
    Report(report::Arguments),
    PublicKey(public_key::Arguments),
    Schema(schema::Arguments),
}

pub(super) fn run(command: &Command) -> ExitCode {
    match command {
        Command::Verify(arguments) => verify::run(arguments),
        Command::Tail(arguments) => tail::run(arguments),
        Command::Report(arguments) => report::run(arguments),
        Command::PublicKey(arguments) => public_key::run(arguments),
        Command::Schema(arguments) => schema::run(arguments),
    }
}

/// Says why a command cannot be carried out.
fn refuse(what: impl Display, hint: impl Display) -> ExitCode {
    eprintln!("kmsgate: {what}\n    hint: {hint}");
    ExitCode::from(BAD_CONFIG)
}

fn unreadable(input: &Input, error: &std::io::Error) -> ExitCode {
    refuse(format_args!("{input} cannot be read: {error}"), "name audit files, or `-` for standard input")
}

fn inputs(files: &[PathBuf]) -> Vec<Input> {
    files.iter().map(|file| Input::new(file)).collect()
}
