//! What the forwarding backend is told, checked. [`config`](crate::config) makes it; defaults and reasons stand there.

use std::path::PathBuf;
use std::time::Duration;

use http::Uri;

use super::Replicas;
use crate::aws::{AccountId, Region, UpstreamQuota};

/// The whole of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The KMSs that requests are forwarded to, the gateway's own account and region first. No two are of one account and
    /// region.
    pub upstreams: Vec<UpstreamSettings>,
    /// How long what may take.
    pub timeouts: Timeouts,
    /// How many connections are kept, and for how long.
    pub connections: ConnectionSettings,
    /// How what is asked of KMS about keys is kept.
    pub look_ups: LookUpSettings,
    /// How much of the upstreams' quotas may be used.
    pub share: ShareSettings,
}

/// One KMS: that of an account in a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamSettings {
    /// The region that requests are signed for.
    pub region: Region,
    /// Whose keys it has.
    pub account: AccountId,
    /// Where it is.
    pub endpoint: EndpointSettings,
    /// The role that is assumed for it; without one the credentials of the default chain are used as they are.
    pub role: Option<Role>,
}

/// Where an upstream is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointSettings {
    /// Where AWS has it, by the rules of its SDKs.
    Aws {
        /// The endpoint whose cryptography is validated (FIPS 140).
        fips: bool,
        /// The endpoint that answers over IPv6 too.
        dual_stack: bool,
    },
    /// At this address: a VPC endpoint, or another KMS. `https`, or `http` to the machine itself.
    Url {
        /// Scheme and authority; the path is `/`.
        url: Uri,
        /// A PEM file of the certificate authorities that its certificate may be of, in place of the system's.
        ca_file: Option<PathBuf>,
    },
}

/// A role to be assumed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// `arn:aws:iam::111122223333:role/NAME`.
    pub arn: Box<str>,
    /// The session's name, which CloudTrail shows.
    pub session_name: Box<str>,
    /// What a role of another account's may ask for.
    pub external_id: Option<Box<str>>,
}

/// How long an upstream may take over what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// TCP and TLS, together with a proxy's part of it.
    pub connect: Duration,
    /// From the request's last byte to the answer's first.
    pub first_byte: Duration,
    /// The whole call, a second attempt included.
    pub call: Duration,
}

/// The connections that each worker keeps to each upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionSettings {
    /// How long one may be unused and still be taken: less than the server's own limit.
    pub idle_timeout: Duration,
    /// How many are made at the start, before anybody asks.
    pub warm: usize,
    /// How many unused ones are kept.
    pub most_idle: usize,
    /// How many there may be.
    pub most: usize,
}

/// What is kept of what KMS was asked about keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookUpSettings {
    /// How long a key's facts are believed.
    pub lifetime: Duration,
    /// How long it is believed that there is no such key.
    pub absent_lifetime: Duration,
    /// How many answers are kept for each upstream.
    pub entries: u64,
}

/// How much of an upstream's request quotas may be used, by all replicas of the gateway together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareSettings {
    /// Percent of each quota.
    pub percent: u8,
    /// Quotas of the account that are not AWS's defaults, in requests a second.
    pub per_second: Vec<(UpstreamQuota, u32)>,
    /// Who shares it.
    pub replicas: Replicas,
}
