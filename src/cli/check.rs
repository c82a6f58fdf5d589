//! `kmsgate check`: what is wrong with a configuration, all of it at once.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::BAD_CONFIG;
use crate::aws::Region;
use crate::backend::aws;
use crate::backend::local::LocalBackend;
use crate::config::{Audit, Backend, Config, SinkName};

/// Report every fault of a configuration at once, each with its file, place and a hint.
///
/// Reads the configuration and all that it names (credentials, policies, certificates, seeds, the root key), opens no
/// port and no store, and changes nothing. What is legal and probably not meant, such as a misspelt action in a policy,
/// is a warning and no fault.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  kmsgate check --config /etc/kmsgate/kmsgate.toml && systemctl restart kmsgate

Exit codes: 0 nothing is wrong, 64 there are faults.")]
pub(super) struct Arguments {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let config = match super::load(&arguments.config) {
        Ok(config) => config,
        Err(code) => return code,
    };
    for warning in &config.warnings {
        eprintln!("warning: {warning}");
    }
    match backend(&config) {
        Ok(backend) => println!("{}", summary(&config, &backend)),
        Err(fault) => {
            eprintln!("{fault}\n1 fault found");
            return ExitCode::from(BAD_CONFIG);
        }
    }
    ExitCode::SUCCESS
}

/// What the backend comes to.
fn backend(config: &Config) -> Result<String, Box<dyn Error>> {
    match &config.backend {
        Backend::Local { data_dir, root_key_file } => {
            LocalBackend::check(data_dir, root_key_file)?;
            let seeds = match &config.seeds {
                Some(seeds) => format!(", seeds in {} ({})", seeds.file().display(), seeds.len()),
                None => String::new(),
            };
            Ok(format!("  local backend in {}{seeds}", data_dir.display()))
        }
        Backend::Aws(settings) => {
            let upstreams = aws::endpoints(settings)?;
            let line = |(name, url)| format!("  forwards {name} to {url}");
            Ok(upstreams.into_iter().map(line).collect::<Vec<_>>().join("\n"))
        }
    }
}

/// What the configuration comes to, for whoever wants to see that the right file was read.
fn summary(config: &Config, backend: &str) -> String {
    let audit = match (config.audit.required, &config.audit) {
        (SinkName::File, Audit { file: Some(file), .. }) => file.display().to_string(),
        (SinkName::Otlp, Audit { otlp: Some(otlp), .. }) => otlp.settings.endpoint.to_string(),
        _ => "standard output".to_owned(),
    };
    let regions: Vec<&str> = config.regions.all().iter().map(Region::as_str).collect();
    let tls = if config.listen.tls.is_some() { "TLS" } else { "no TLS" };
    [
        format!("ok: {}", config.file.display()),
        format!("  account {} in {}", config.account, regions.join(", ")),
        format!("  listens on {} ({tls}), probes on {}", config.listen.address, config.admin),
        format!("  {} access keys in {}", config.credentials.len(), config.auth.credentials_file.display()),
        backend.to_owned(),
        format!("  audit records to {audit}"),
    ]
    .join("\n")
}
