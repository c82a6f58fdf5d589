//! The command line: one file a command, and the exit code that each ends with.

mod audit;
mod check;
mod credentials;
mod keys;
mod log;
mod lossy;
mod operations;
mod output;
mod page;
mod policy;
mod quickstart;
mod serve;

use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use log::Log;

use crate::config::Config;

/// The configuration is at fault (`EX_USAGE` of sysexits.h): nothing was started.
const BAD_CONFIG: u8 = 64;
/// Something else failed.
const FAILED: u8 = 1;

/// A gateway between programs and AWS KMS, speaking KMS's own protocol.
///
/// Programs reach it with one setting, the endpoint's URL. Each request is authenticated by its SigV4
/// signature, judged by IAM policies, held to its limits and recorded before it is answered.
#[derive(Debug, Parser)]
#[command(name = "kmsgate", version, max_term_width = 100, arg_required_else_help = true)]
#[command(after_help = "Examples:
  kmsgate quickstart                          a working KMS on this machine, ready to be called
  kmsgate check --config kmsgate.toml         everything that is wrong with a configuration, at once
  kmsgate serve --config kmsgate.toml         the real thing
  kmsgate keys export --help                  how keys go from one local store to another
  kmsgate audit verify --help                 whether anybody changed what was recorded

Exit codes: 0 stopped after draining, 1 could not start or failed, 64 the configuration is at fault.")]
struct Cli {
    #[arg(
        long,
        global = true,
        value_name = "FILTER",
        default_value = "info",
        help = "What to log to standard error: error, warn, info, debug, or per module (kmsgate::server=debug,info)",
        long_help = "What to log to standard error: error, warn, info, debug or trace, or a list with levels for \
                     modules, as in kmsgate::server=debug,info. Lines are for people on a terminal and JSON \
                     elsewhere. Audit records do not pass through the log."
    )]
    log: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Quickstart(quickstart::Arguments),
    Serve(serve::Arguments),
    Check(check::Arguments),
    Operations(operations::Arguments),
    #[command(subcommand)]
    Audit(audit::Command),
    #[command(subcommand)]
    Credentials(credentials::Command),
    #[command(subcommand)]
    Keys(keys::Command),
    #[command(subcommand)]
    Policy(policy::Command),
}

/// Runs what the command line asks for.
#[must_use]
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too, and are no failure.
            let code = if error.use_stderr() { ExitCode::from(BAD_CONFIG) } else { ExitCode::SUCCESS };
            let _ = error.print();
            return code;
        }
    };
    let filter = match log::filter(&cli.log) {
        Ok(filter) => filter,
        Err(error) => {
            eprintln!("kmsgate: --log: {error}");
            return ExitCode::from(BAD_CONFIG);
        }
    };
    let log = match Log::start(filter) {
        Ok(log) => log,
        Err(error) => {
            eprintln!("kmsgate: the log cannot be started: {error}");
            return ExitCode::from(FAILED);
        }
    };
    match cli.command {
        Command::Quickstart(arguments) => quickstart::run(&arguments, &log),
        Command::Serve(arguments) => serve::run(&arguments, &log),
        Command::Check(arguments) => check::run(&arguments),
        Command::Operations(arguments) => operations::run(&arguments),
        Command::Audit(command) => audit::run(&command),
        Command::Credentials(command) => credentials::run(&command),
        Command::Keys(command) => keys::run(&command),
        Command::Policy(command) => policy::run(&command),
    }
}

/// The configuration in `file`, or the exit code once its faults are told.
fn load(file: &Path) -> Result<Config, ExitCode> {
    Config::load(file).map_err(|faults| {
        eprintln!("{faults}");
        ExitCode::from(BAD_CONFIG)
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_commands_are_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_a_help_with_an_example() {
        fn visit(command: &clap::Command) {
            if command.get_name() == "help" {
                return;
            }
            assert!(command.get_about().is_some(), "{}", command.get_name());
            if command.has_subcommands() {
                command.get_subcommands().for_each(visit);
            } else {
                let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
                assert!(after.contains("Example"), "{}", command.get_name());
                for argument in command.get_arguments().filter(|argument| argument.get_id() != "help") {
                    assert!(argument.get_help().is_some(), "{} {}", command.get_name(), argument.get_id());
                }
            }
        }
        visit(&Cli::command());
    }
}
