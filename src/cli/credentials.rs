//! `kmsgate credentials`: access keys.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{BAD_CONFIG, FAILED};
use crate::credentials::PrincipalArn;
use crate::credentials::new_key::{AddError, NewAccessKey, add_to_file};

/// Make and manage access keys.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    New(New),
}

/// Make an access key for a principal.
///
/// Without --file the key's TOML is printed, to be put under its principal in the credentials file. With --file
/// it is added there: the file is replaced whole, with mode 0600. A principal has at most two access keys, so
/// that one can be rotated while the other is in use; a third is refused.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  kmsgate credentials new --principal arn:aws:iam::111122223333:user/orders
  kmsgate credentials new --principal arn:aws:iam::111122223333:user/orders --policy orders --file credentials.toml")]
pub(super) struct New {
    /// The ARN of a root, user, role or role session
    #[arg(long, value_name = "ARN")]
    principal: PrincipalArn,
    /// The credentials file to add the key to; it is made if it is not there
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// A document of the policies directory, by name, that a principal which the file does not have yet gets
    #[arg(long = "policy", value_name = "NAME", requires = "file", value_parser = policy_name)]
    policies: Vec<String>,
}

/// What can be the name of a document, and stand in quotes as it is.
fn policy_name(name: &str) -> Result<String, &'static str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let plain = !name.is_empty() && name.bytes().all(is_plain);
    plain.then(|| name.to_owned()).ok_or("a policy's name is letters, digits, `-`, `_` and `.`")
}

pub(super) fn run(command: &Command) -> ExitCode {
    let Command::New(new) = command;
    let key = match NewAccessKey::generate() {
        Ok(key) => key,
        Err(error) => {
            eprintln!("kmsgate: {error}");
            return ExitCode::from(FAILED);
        }
    };
    let Some(file) = &new.file else {
        eprintln!("Put this under the [[principals]] table of {}:\n", new.principal);
        print!("{}", key.to_toml().as_str());
        return ExitCode::SUCCESS;
    };
    let policies: Vec<&str> = new.policies.iter().map(String::as_str).collect();
    match add_to_file(file, &new.principal, &policies, &key) {
        Ok(()) => {
            println!("access key id      {}", key.id);
            println!("secret access key  {}", key.secret.expose());
            eprintln!("Added to {}. A gateway that runs takes it up when it is started again.", file.display());
            ExitCode::SUCCESS
        }
        Err(AddError::Faults(faults)) => {
            eprintln!("{faults}");
            ExitCode::from(BAD_CONFIG)
        }
        Err(error) => {
            eprintln!("kmsgate: {}: {error}", file.display());
            ExitCode::from(FAILED)
        }
    }
}
