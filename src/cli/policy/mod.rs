//! `kmsgate policy`: what policies come to, asked of the very code that judges requests.

mod case;
mod check;
mod explain;
mod facts;
mod fault;
mod json;
mod judge;
mod question;
mod records;
mod report;
mod request;
mod simulate;
mod suggest;
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
    Simulate(simulate::Arguments),
    Explain(explain::Arguments),
    Suggest(suggest::Arguments),
}

pub(super) fn run(command: &Command) -> ExitCode {
    match command {
        Command::Test(arguments) => test::run(arguments),
        Command::Check(arguments) => check::run(arguments),
        Command::Simulate(arguments) => simulate::run(arguments),
        Command::Explain(arguments) => explain::run(arguments),
        Command::Suggest(arguments) => suggest::run(arguments),
    }
}
