//! What judges a request: one immutable [`Snapshot`] of configuration, policies and credentials.
//!
//! A request takes it once, at the start, and keeps it to the end; a reload makes a whole new one. Limiter state,
//! keys and connections live outside it.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::aws::{AccountId, Regions};
use crate::config::Config;
use crate::credentials::{Credentials, SecretAccessKey};
use crate::policy::{Compiled, KeyFacts};
use crate::secret::Secret;
use crate::sigv4::{AcceptedHosts, InvalidHost};

/// As long as IAM's own. That everybody knows it does no harm: nothing that it signs is accepted.
const STRANGER: &str = "0000000000000000000000000000000000000000";

/// The configuration that judges a request.
#[derive(Debug)]
pub struct Snapshot {
    /// How many there were before it in this process; records name it.
    pub generation: u64,
    /// The regions whose KMS this is.
    pub regions: Regions,
    /// The account that the keys belong to.
    pub account: AccountId,
    /// The names that the gateway answers to.
    pub accepted_hosts: AcceptedHosts,
    /// Whether an unknown access key is answered, and takes as long, as a wrong signature.
    pub uniform_errors: bool,
    /// Who may call, with their policies.
    pub credentials: Arc<Credentials>,
    /// Whether key policies and grants may name principals that are not among them.
    pub accept_unknown_principals: bool,
    /// What nobody may go beyond, if there is such a policy.
    pub guardrail: Option<Arc<Compiled>>,
    /// What the policies in force ask about keys.
    pub key_facts: KeyFacts,
    /// What signatures of unknown access keys are computed with, where the answer must not tell them apart.
    pub stranger: SecretAccessKey,
}

impl Snapshot {
    /// The snapshot of `config` for a gateway that listens on `bound`.
    ///
    /// # Errors
    ///
    /// [`InvalidHost`] for a name of `accepted_hosts` that no client could send.
    pub fn new(config: &Config, bound: SocketAddr, generation: u64) -> Result<Self, InvalidHost> {
        let regions = config.regions.clone();
        let hosts = config.listen.accepted_hosts(bound, &regions);
        Ok(Self {
            generation,
            regions,
            account: config.account,
            accepted_hosts: AcceptedHosts::new(hosts.iter().map(String::as_str))?,
            uniform_errors: config.auth.uniform_errors,
            credentials: Arc::clone(&config.credentials),
            accept_unknown_principals: config.policies.accept_unknown_principals,
            guardrail: config.guardrail.clone(),
            key_facts: key_facts(&config.credentials, config.guardrail.as_ref()),
            stranger: SecretAccessKey::new(Secret::new(STRANGER.to_owned())),
        })
    }
}

/// What all policies together ask about keys.
pub(crate) fn key_facts(credentials: &Credentials, guardrail: Option<&Arc<Compiled>>) -> KeyFacts {
    let of_principals = credentials
        .principals()
        .flat_map(|principal| principal.policies.iter().chain(&principal.boundary).chain(&principal.session_policy));
    let all = of_principals.chain(guardrail);
    all.fold(KeyFacts::default(), |facts, policy| facts | policy.key_facts())
}
