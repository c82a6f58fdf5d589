//! Settings become upstreams, and a thread that keeps them going.

use std::io;
use std::sync::Arc;

use aws_sdk_kms::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};
use futures_util::FutureExt;
use http::Uri;
use tokio::runtime::Handle;

use super::background::{Background, Thread};
use super::breaker::Breaker;
use super::credentials::CredentialSource;
use super::look_ups::LookUps;
use super::replicas::{ReplicaCount, SystemResolver};
use super::skew::Skew;
use super::transport::{Endpoint, ProxySettings, Transport};
use super::upstream::{Unusable, Upstream};
use super::{
    ConnectionSettings, EndpointSettings, Role, Settings, ShareSettings, Timeouts, UpstreamSettings, Upstreams,
};
use crate::aws::{AccountId, Region, UpstreamQuota};
use crate::clock::Clock;
use crate::limits::UpstreamShares;

/// The upstreams, and the thread that goes on for them; it has ended when this is dropped.
#[derive(Debug)]
pub struct Running {
    upstreams: Arc<Upstreams>,
    _thread: Thread,
}

/// Credentials, and the account of the first upstream that is called with them. They are of one account alone, so where
/// they do not say of which, they are not of any other.
#[derive(Clone)]
struct Source {
    credentials: Arc<CredentialSource>,
    of: AccountId,
}

/// Why the upstreams cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A thread or a runtime.
    #[error("the operating system refused: {0}")]
    System(#[from] io::Error),
    /// The SDK knows no endpoint with these properties.
    #[error("there is no endpoint for KMS in {region}: {reason}")]
    Endpoint {
        /// The region.
        region: Region,
        /// What the SDK says.
        reason: String,
    },
    /// An endpoint that cannot be called, or not by the proxy that the environment names for it.
    #[error("the upstream {upstream} cannot be called: {reason}")]
    Unusable {
        /// `ACCOUNT/REGION`.
        upstream: Box<str>,
        /// What is wrong.
        reason: String,
    },
}

impl Running {
    /// Starts what `settings` say. Waits for no upstream: whether there are credentials is for readiness to say.
    ///
    /// # Errors
    ///
    /// [`StartError`].
    pub fn start(settings: &Settings, forward_foreign_grants: bool, clock: &Clock) -> Result<Self, StartError> {
        let load = |handle: &Handle, region: &Region, role: Option<&Role>| {
            CredentialSource::start(handle, region, role, clock.clone())
        };
        Self::start_with(settings, forward_foreign_grants, clock, &ProxySettings::from_env(), load)
    }

    /// As [`Self::start`], with what the environment would say. `load` starts to load the credentials of a role, or
    /// those without one, on the thread of the upstreams.
    pub(super) fn start_with(
        settings: &Settings,
        forward_foreign_grants: bool,
        clock: &Clock,
        proxies: &ProxySettings,
        load: impl Fn(&Handle, &Region, Option<&Role>) -> Arc<CredentialSource>,
    ) -> Result<Self, StartError> {
        // In this order, so that after a failure the thread is not waited for before it is told to end.
        let (thread, background) = Background::start()?;
        let mut sources: Vec<(Option<&Role>, Source)> = Vec::new();
        let mut upstreams = Vec::with_capacity(settings.upstreams.len());
        for one in &settings.upstreams {
            let role = one.role.as_ref();
            let known = sources.iter().find(|(of, _)| *of == role).map(|(_, source)| source.clone());
            if let Some(known) = &known {
                known.credentials.share();
            }
            let source = known.unwrap_or_else(|| {
                let credentials = load(background.handle(), &one.region, role);
                let source = Source { credentials, of: one.account };
                sources.push((role, source.clone()));
                source
            });
            upstreams.push(upstream(one, settings, source, proxies, clock)?);
        }
        let budgets: Vec<_> = upstreams.iter().map(|upstream| Arc::clone(&upstream.shares)).collect();
        let counted = move |replicas| budgets.iter().for_each(|shares| shares.set_replicas(replicas));
        let replicas = settings.share.replicas.clone();
        let counting = ReplicaCount::follow(replicas, SystemResolver, background.handle(), counted);
        let (timeouts, connections) = (settings.timeouts, settings.connections);
        let transports = transports(&upstreams, timeouts, connections);
        let shared = Upstreams {
            all: upstreams.into(),
            timeouts,
            connections,
            forward_foreign_grants,
            background,
            _replicas: counting,
            transports,
        };
        Ok(Self { upstreams: Arc::new(shared), _thread: thread })
    }

    /// The upstreams.
    #[must_use]
    pub const fn upstreams(&self) -> &Arc<Upstreams> {
        &self.upstreams
    }
}

/// One worker's connections.
pub(super) fn transports(
    upstreams: &[Upstream],
    timeouts: Timeouts,
    connections: ConnectionSettings,
) -> Arc<[Transport]> {
    let transport = |upstream: &Upstream| {
        let Upstream { endpoint, proxy, name, .. } = upstream;
        Transport::new(endpoint.clone(), proxy.clone(), timeouts, connections, name)
    };
    upstreams.iter().map(transport).collect()
}

fn upstream(
    one: &UpstreamSettings,
    settings: &Settings,
    source: Source,
    proxies: &ProxySettings,
    clock: &Clock,
) -> Result<Upstream, StartError> {
    let UpstreamSettings { region, account, .. } = one;
    let name = name(one);
    let (_, endpoint) = endpoint(one)?;
    let proxy = proxies.of(&endpoint);
    let proxy = proxy.map_err(|error| StartError::Unusable { upstream: name.clone(), reason: error.to_string() })?;
    Ok(Upstream {
        region: region.clone(),
        account: *account,
        proxy,
        endpoint,
        credentials: source.credentials,
        credentials_of: source.of,
        breaker: Breaker::new(&name),
        shares: Arc::new(UpstreamShares::new(&name, &budgets(&settings.share, region))),
        skew: Skew::new(&name),
        look_ups: LookUps::new(settings.look_ups),
        clock: clock.clone(),
        unusable: Unusable::new(&name),
        name,
    })
}

/// Each upstream's name, and where it is.
///
/// # Errors
///
/// [`StartError`], of an upstream that cannot be called.
pub fn endpoints(settings: &Settings) -> Result<Vec<(Box<str>, Uri)>, StartError> {
    settings.upstreams.iter().map(|one| Ok((name(one), endpoint(one)?.0))).collect()
}

/// `ACCOUNT/REGION`.
fn name(one: &UpstreamSettings) -> Box<str> {
    format!("{}/{}", one.account, one.region).into()
}

fn endpoint(one: &UpstreamSettings) -> Result<(Uri, Endpoint), StartError> {
    let (url, ca_file) = match &one.endpoint {
        EndpointSettings::Aws { fips, dual_stack } => (of_aws(&one.region, *fips, *dual_stack)?, None),
        EndpointSettings::Url { url, ca_file } => (url.clone(), ca_file.as_deref()),
    };
    let made = Endpoint::new(&url, ca_file);
    let unusable = |reason: String| StartError::Unusable { upstream: name(one), reason };
    let endpoint = made.map_err(|error| unusable(format!("{url}: {error}")))?;
    Ok((url, endpoint))
}

/// Where AWS has KMS, by the rules of its SDKs.
fn of_aws(region: &Region, fips: bool, dual_stack: bool) -> Result<Uri, StartError> {
    let failed = |reason: String| StartError::Endpoint { region: region.clone(), reason };
    let asked = Params::builder().region(region.as_str()).use_fips(fips).use_dual_stack(dual_stack).build();
    let asked = asked.map_err(|error| failed(error.to_string()))?;
    let resolved = DefaultResolver::new().resolve_endpoint(&asked).now_or_never();
    let resolved = resolved.ok_or_else(|| failed("the SDK's rules cannot be waited for".into()))?;
    let endpoint = resolved.map_err(|error| failed(error.to_string()))?;
    endpoint.url().parse().map_err(|error: http::uri::InvalidUri| failed(error.to_string()))
}

/// What may be used of each quota, in requests a second, by all replicas together.
fn budgets(share: &ShareSettings, region: &Region) -> Vec<(&'static str, f64)> {
    let ShareSettings { percent, per_second, .. } = share;
    let budget = |quota: &UpstreamQuota| {
        let own = per_second.iter().find(|(of, _)| of == quota).map(|(_, rate)| *rate);
        let rate = own.unwrap_or_else(|| quota.default_per_second(region));
        (quota.name(), f64::from(rate) * f64::from(*percent) / 100.0)
    };
    UpstreamQuota::ALL.iter().map(budget).collect()
}

#[cfg(test)]
mod tests;
