//! `kmsgate policy`: what policies come to, asked of the very code that judges requests.

mod case;
mod check;
mod facts;
mod json;
mod test;
#[cfg(test)]
mod tests;
mod verdict;

use std::process::ExitCode;

use clap::Subcommand;

/// Test policies and look into them, without a gateway.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Test(test::Arguments),
    Check(check::Arguments),
}

pub(super) fn run(command: &Command) -> ExitCode {
    match command {
        Command::Test(arguments) => test::run(arguments),
        Command::Check(arguments) => check::run(arguments),
    }
}
