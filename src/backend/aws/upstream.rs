//! One upstream, as all workers share it: its credentials, its clock, its quota, and how well it is.
//!
//! Metric: the counter `kmsgate_upstream_unusable_answers_total`, labels `upstream` (`ACCOUNT/REGION`) and `kind`: answers
//! that were none of a KMS's (`not_kms`), or about the gateway's own credentials (`rejected`).

use std::sync::Arc;

use bytes::Bytes;
use http::header::HeaderMap;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Uri, Version};
use http_body_util::Full;
use metrics::{Counter, counter};

use super::Fault;
use super::breaker::Breaker;
use super::call::Call;
use super::credentials::{CredentialSource, Credentials};
use super::look_ups::LookUps;
use super::skew::Skew;
use super::transport::{Endpoint, Proxy};
use crate::aws::{AccountId, Region};
use crate::clock::{Clock, Timestamp};
use crate::kms::{ErrorClass, UpstreamAnswer};
use crate::limits::UpstreamShares;
use crate::sigv4::Target;

/// An upstream.
pub(super) struct Upstream {
    pub(super) region: Region,
    pub(super) account: AccountId,
    /// `ACCOUNT/REGION`, in metrics and in the log.
    pub(super) name: Box<str>,
    pub(super) endpoint: Endpoint,
    pub(super) proxy: Option<Proxy>,
    pub(super) credentials: Arc<CredentialSource>,
    /// Whose they are taken for where they do not say so themselves.
    pub(super) credentials_of: AccountId,
    pub(super) breaker: Breaker,
    pub(super) shares: Arc<UpstreamShares>,
    pub(super) skew: Skew,
    pub(super) look_ups: LookUps,
    pub(super) clock: Clock,
    pub(super) unusable: Unusable,
}

/// How many answers could not be passed on.
pub(super) struct Unusable {
    /// None of a KMS.
    pub(super) not_kms: Counter,
    /// About the gateway's own credentials.
    pub(super) rejected: Counter,
}

impl Unusable {
    pub(super) fn new(upstream: &str) -> Self {
        let kind = |kind: &'static str| counter!("kmsgate_upstream_unusable_answers_total", "upstream" => upstream.to_owned(), "kind" => kind);
        Self { not_kms: kind("not_kms"), rejected: kind("rejected") }
    }
}

/// What a request was signed with.
pub(super) struct Signed {
    credentials: Arc<Credentials>,
    at: Timestamp,
}

/// What an answer says of the gateway itself.
pub(super) enum Learnt {
    /// Nothing: it is the client's.
    Nothing,
    /// That its clock was wrong, and is not any more.
    TheTime,
    /// That its credentials are not accepted.
    NotUs(Arc<str>),
}

impl Upstream {
    /// Waits for the principal's turn among all who share the upstream's quota.
    pub(super) async fn admit(&self, call: &Call) -> Result<(), Fault> {
        self.shares.admit(call.quota as usize, call.charged, 1).await.map_err(|_| Fault::ShareUsedUp)
    }

    /// Whether its credentials are of an account other than its own: then what names no key would be done to that
    /// account.
    pub(super) fn has_credentials_of_another(&self) -> bool {
        self.credentials.account().unwrap_or(self.credentials_of) != self.account
    }

    /// The request, signed by the upstream's time.
    pub(super) fn sign(&self, call: &Call) -> Result<(Request<Full<Bytes>>, Signed), Fault> {
        let at = self.skew.now(&self.clock);
        let credentials = self.credentials.current(at).map_err(|none| Fault::NoCredentials(none.to_string().into()))?;
        let target = HeaderValue::from_static(call.operation.target());
        let to = Target { host: self.endpoint.host_header(), region: &self.region, x_amz_target: &target };
        let mut request = Request::new(Full::new(call.body.clone()));
        *request.headers_mut() = credentials.sign(&to, &call.payload, at);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::from(PathAndQuery::from_static("/"));
        *request.version_mut() = Version::HTTP_11;
        Ok((request, Signed { credentials, at }))
    }

    /// What an answer says beside what it says to the client.
    pub(super) fn learn(
        &self,
        call: &Call,
        signed: &Signed,
        answer: &UpstreamAnswer<'_>,
        headers: &HeaderMap,
    ) -> Learnt {
        let UpstreamAnswer::Failure(failure) = answer else {
            self.credentials.accepted();
            self.skew.accepted(headers, &self.clock);
            return Learnt::Nothing;
        };
        match failure.class() {
            ErrorClass::Throttling => {
                self.shares.throttled(call.quota as usize);
                Learnt::Nothing
            }
            ErrorClass::Authentication => {
                if self.skew.refused(headers, signed.at, &self.clock) {
                    return Learnt::TheTime;
                }
                let said: Arc<str> = failure.name.as_ref().into();
                self.credentials.rejected(&signed.credentials, &said);
                // They may have been exchanged since they were read.
                self.credentials.refresh_now();
                Learnt::NotUs(said)
            }
            _ => Learnt::Nothing,
        }
    }
}
