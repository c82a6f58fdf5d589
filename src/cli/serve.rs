//! `kmsgate serve`: the gateway as a configuration describes it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::log::Log;
use super::{BAD_CONFIG, FAILED};
use crate::admin;
use crate::app::{self, Served};
use crate::backend::aws::Running;
use crate::backend::local::{LocalBackend, SeedError};
use crate::clock::Clock;
use crate::config::{Backend, Config};

/// Run the gateway until SIGTERM, then drain it.
///
/// On the first start of the local backend the root key and the store are made. A store without its root key is
/// never replaced: the program stops and says so. Keys of the file of seeds (`backend.seeds_file`) that are not there
/// are made before any request is taken, and a file that contradicts the store stops the start. SIGTERM or SIGINT
/// drains: readiness fails, requests under way are answered, changes under way are stored and recorded. A second signal
/// ends the drain at once. SIGHUP, without a terminal, does nothing: the configuration is read at the start alone.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  kmsgate serve --config /etc/kmsgate/kmsgate.toml

Exit codes: 0 stopped after draining, 1 could not start or failed, 64 the configuration is at fault.")]
pub(super) struct Arguments {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

pub(super) fn run(arguments: &Arguments, log: &Log) -> ExitCode {
    let config = match super::load(&arguments.config) {
        Ok(config) => config,
        Err(code) => return code,
    };
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    if config.listen.danger_plaintext_listener && config.listen.tls.is_none() {
        tracing::warn!(address = %config.listen.address, "danger_plaintext_listener: clients are served without TLS");
    }
    // Counters that are made before this count nothing.
    admin::begin_metrics();
    let backend = match backend(&config, log) {
        Ok(backend) => backend,
        Err(code) => return code,
    };
    let ready = |listening: app::Listening| {
        tracing::info!(gateway = %listening.gateway, admin = %listening.admin, "ready");
    };
    match app::run(&config, backend, None, ready) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(log, &error),
    }
}

fn backend(config: &Config, log: &Log) -> Result<Served, ExitCode> {
    match &config.backend {
        Backend::Local { data_dir, root_key_file } => {
            let (regions, account) = (config.regions.all(), config.account);
            let local = LocalBackend::open(data_dir, root_key_file, regions, account, &Clock::System);
            let local = local.map_err(|error| failed(log, &error))?;
            let local = local.with_grant_propagation_delay(config.grants.propagation_delay);
            if let Some(seeds) = &config.seeds {
                local.seed(seeds).map_err(|error| not_seeded(log, &error))?;
            }
            Ok(Served::Local(Arc::new(local)))
        }
        Backend::Aws(settings) => {
            let running = Running::start(settings, config.grants.forward_foreign, &Clock::System);
            running.map(Served::Aws).map_err(|error| failed(log, &error))
        }
    }
}

/// A file of seeds that contradicts the store is at fault like one that contradicts itself.
fn not_seeded(log: &Log, error: &SeedError) -> ExitCode {
    match error {
        SeedError::Faults(faults) => {
            log.say(faults);
            ExitCode::from(BAD_CONFIG)
        }
        SeedError::Store(_) => failed(log, error),
    }
}

pub(super) fn failed(log: &Log, error: &dyn std::error::Error) -> ExitCode {
    log.say(format_args!("kmsgate: {error}"));
    ExitCode::from(FAILED)
}
