//! `kmsgate audit public-key`: what the checkpoints of a gateway are verified with.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::refuse;
use crate::app::signing_key;

/// Print the public key that verifies the checkpoints of a gateway's audit trail.
///
/// As PEM, for `kmsgate audit verify --public-key FILE` or openssl. Keep it where nobody on the gateway's machine can
/// change it. The key that signs is that of `audit.signing_key_file`, which is made if it is not there, or is derived from
/// the root key of the local backend.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  kmsgate audit public-key --config /etc/kmsgate/kmsgate.toml > audit.pub

Exit codes: 0 it is printed, 64 there is none or it cannot be read.")]
pub(in crate::cli) struct Arguments {
    /// The gateway's configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

pub(in crate::cli) fn run(arguments: &Arguments) -> ExitCode {
    let config = match super::super::load(&arguments.config) {
        Ok(config) => config,
        Err(code) => return code,
    };
    let Some(chain) = &config.audit.chain else {
        return refuse("audit.chain is false, so nothing is signed", "set audit.chain to true");
    };
    match signing_key(chain.signing_key_file.as_deref(), &config.backend) {
        Ok(Some(key)) => {
            print!("{}", key.public_key_pem());
            ExitCode::SUCCESS
        }
        Ok(None) => refuse("each run of the gateway makes a key for itself", "set audit.signing_key_file to keep one"),
        Err(error) => refuse(error, "start the gateway once, which makes the root key, or correct the file"),
    }
}
