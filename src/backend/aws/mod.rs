//! The backend that forwards: the keys live in AWS KMS, or in another KMS that speaks its protocol.
//!
//! It holds the only credentials that AWS knows. Two layers use it: `resolve` has it find keys, and `forward` has it send
//! what was allowed, signed anew and otherwise as it came. It judges nobody: whether an answer is let out is for `forward`
//! to say. Nothing of a client's head is sent.
//!
//! [`Upstreams`] is what all workers share: for each upstream its credentials, its clock, its quota, its look-ups and how
//! well it is. [`AwsBackend`] is the same with the connections of one worker.

mod background;
mod breaker;
mod call;
mod credentials;
mod describe;
mod fault;
mod key;
mod look_ups;
mod replicas;
mod resolve;
mod settings;
mod skew;
mod start;
#[cfg(test)]
pub(crate) mod testing;
mod transport;
mod upstream;

use std::fmt;
use std::sync::Arc;

use background::Background;
use replicas::ReplicaCount;
use transport::Transport;
use upstream::Upstream;

pub use call::{Answered, Call};
pub use fault::Fault;
pub use key::{KeyView, Metadata};
pub use look_ups::NotKnown;
pub use replicas::Replicas;
pub use resolve::{Question, Unresolved};
pub use settings::{
    ConnectionSettings, EndpointSettings, LookUpSettings, Role, Settings, ShareSettings, Timeouts, UpstreamSettings,
};
pub use start::{Running, StartError, endpoints};

use super::local::Tokens;
use crate::aws::{AccountId, Member, Region};
use crate::kms::{Exception, Input};

/// What all workers share.
pub struct Upstreams {
    all: Box<[Upstream]>,
    timeouts: Timeouts,
    connections: ConnectionSettings,
    forward_foreign_grants: bool,
    background: Background,
    _replicas: ReplicaCount,
    /// Of the thread that brings changes to their end.
    transports: Arc<[Transport]>,
}

/// The backend, as one worker uses it. A clone is cheap, and shares the connections.
#[derive(Clone)]
pub struct AwsBackend(Arc<OfWorker>);

struct OfWorker {
    shared: Arc<Upstreams>,
    /// One for each upstream.
    transports: Arc<[Transport]>,
}

impl AwsBackend {
    /// The backend for one more worker, with connections of its own.
    #[must_use]
    pub fn new(shared: &Arc<Upstreams>) -> Self {
        let transports = start::transports(&shared.all, shared.timeouts, shared.connections);
        Self(Arc::new(OfWorker { transports, shared: Arc::clone(shared) }))
    }

    /// Makes connections before anybody asks. Runs on the worker's own runtime.
    pub async fn warm(&self) {
        let warm = self.shared().connections.warm;
        futures_util::future::join_all(self.0.transports.iter().map(|transport| transport.warm(warm))).await;
    }

    /// The backend as it is for what no worker waits for.
    #[must_use]
    pub fn off_worker(&self) -> Self {
        let shared = Arc::clone(self.shared());
        Self(Arc::new(OfWorker { transports: Arc::clone(&shared.transports), shared }))
    }

    /// Carries out `work` to its end, also when what this returns is dropped.
    pub fn detached<W>(&self, work: W) -> impl Future<Output = Option<W::Output>> + Send + use<W>
    where
        W: Future<Output: Send> + Send + 'static,
    {
        self.shared().background.carry_out(work)
    }

    /// Something was changed by way of the gateway: what was looked up before is forgotten.
    pub fn changed(&self) {
        for upstream in &self.shared().all {
            upstream.look_ups.forget_all();
        }
    }

    /// Whether grants to principals that are not the gateway's own may be made.
    #[must_use]
    pub fn forwards_foreign_grants(&self) -> bool {
        self.shared().forward_foreign_grants
    }

    /// What the grant tokens of a request stand for. The gateway has made none, and what AWS made reaches past it.
    ///
    /// # Errors
    ///
    /// `InvalidGrantTokenException`, unless such tokens are to be forwarded.
    pub fn open_grant_tokens(&self, input: &Input) -> Result<Tokens, Exception> {
        let any = !input.strings(Member::GrantTokens).is_empty() || input.string(Member::GrantToken).is_some();
        if any && !self.shared().forward_foreign_grants {
            return Err(Exception::invalid_grant_token());
        }
        Ok(Tokens::default())
    }

    fn shared(&self) -> &Arc<Upstreams> {
        &self.0.shared
    }

    /// The place of the upstream for keys of that account in that region.
    fn upstream(&self, region: &Region, account: AccountId) -> Option<usize> {
        self.shared().all.iter().position(|upstream| upstream.account == account && upstream.region == *region)
    }
}

impl Upstreams {
    /// Why requests would fail for want of credentials; for readiness.
    ///
    /// Nothing as long as those of the gateway's own account and region are good: what another account does with its role
    /// must not take the gateway from all others. The log and metrics tell of that.
    #[must_use]
    pub fn unready(&self) -> Vec<String> {
        if self.all.first().is_none_or(|own| own.credentials.unready().is_none()) {
            return Vec::new();
        }
        let each = self.all.iter().filter_map(|upstream| {
            let reason = upstream.credentials.unready()?;
            Some(format!("upstream {}: {reason}", upstream.name))
        });
        each.collect()
    }
}

impl fmt::Debug for AwsBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsBackend").field("upstreams", &self.0.transports.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Upstreams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstreams").field("upstreams", &self.all.len()).finish_non_exhaustive()
    }
}
