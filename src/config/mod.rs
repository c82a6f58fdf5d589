//! The configuration: one TOML file, read into values of the right types with every fault named at once.
//!
//! Paths in it begin at its own directory. After [`Config::load`] nothing reads a file of the operator's or
//! the environment again: whoever needs a setting is given it. `config/local.toml` shows every key with its
//! default and its reason; the defaults themselves are the constants of this module's files.

mod audit;
mod backend;
mod limits;
mod listen;
mod otlp;
mod policies;
mod quota;
mod read;
mod server;
mod upstreams;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::aws::{AccountId, Regions};
use crate::backend::local::Seeds;
use crate::credentials::Credentials;
use crate::faults::{Collector, Fault, Faults, read_toml};
use crate::limits::Quotas;
use crate::policy::{Compiled, Document};

pub(crate) use policies::{policy_fault, read_bounded};
pub(crate) use read::regions;

pub use audit::{Audit, ChainSetting, Content, SinkName};
pub use backend::Backend;
pub use otlp::Otlp;
pub use policies::PolicySettings;

pub use listen::{DEFAULT_ADMIN_ADDRESS, DEFAULT_LISTEN_ADDRESS, Listen, Tls};
pub use server::Server;

/// Everything the program is told, checked.
#[derive(Debug)]
pub struct Config {
    /// The file it was read from, to be read again on a reload.
    pub file: PathBuf,
    /// The regions whose KMS this is.
    pub regions: Regions,
    /// The account that the keys belong to, or those of them that a request names without one.
    pub account: AccountId,
    /// Where clients come in.
    pub listen: Listen,
    /// Where probes and metrics are answered.
    pub admin: SocketAddr,
    /// What answers.
    pub backend: Backend,
    /// The keys that the local backend is to have, if a file says so.
    pub seeds: Option<Arc<Seeds>>,
    /// How callers are authenticated.
    pub auth: Auth,
    /// Where policies are, and whom they may name.
    pub policies: PolicySettings,
    /// What nobody may go beyond, if there is such a document.
    pub guardrail: Option<Arc<Compiled>>,
    /// How grants take effect.
    pub grants: Grants,
    /// Who may call, with their policies.
    pub credentials: Arc<Credentials>,
    /// What is legal and probably not meant.
    pub warnings: Vec<Fault>,
    /// The audit trail.
    pub audit: Audit,
    /// Quotas.
    pub limits: Quotas,
    /// Bounds of the server.
    pub server: Server,
}

/// How grants take effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grants {
    /// How long a new grant has effect only for requests with its token. Zero, unless programs are to be tested for
    /// what they do at AWS, where a grant takes up to five minutes to spread.
    pub propagation_delay: Duration,
    /// Whether grants to principals that are not the gateway's own, and tokens that AWS made, go past it to AWS.
    pub forward_foreign: bool,
}

/// How callers are authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    /// The principals and their access keys.
    pub credentials_file: PathBuf,
    /// Whether an unknown access key is answered, and takes as long, as a wrong signature.
    pub uniform_errors: bool,
}

impl Config {
    /// Reads a configuration file and all that it names.
    ///
    /// # Errors
    ///
    /// Every fault of the file and of those it names, with their places.
    pub fn load(file: &Path) -> Result<Self, Faults> {
        Self::load_with(file, None)
    }

    /// As [`Self::load`], with a policy in the place of the one of its name.
    ///
    /// # Errors
    ///
    /// As [`Self::load`].
    pub fn load_with(file: &Path, policy: Option<Document>) -> Result<Self, Faults> {
        let faults = Collector::default();
        let config = match std::fs::read_to_string(file) {
            Ok(text) => read_toml(file, &text, &faults, |root| read::config(file, root, policy, &faults)),
            Err(error) => {
                faults.push(Fault::of_file(file, format!("cannot be read: {error}"), "name the file with --config"));
                None
            }
        };
        faults.finish(file, config)
    }
}

#[cfg(test)]
mod tests;
