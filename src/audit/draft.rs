//! The facts of one request on their way to its record, shared by all who work on it.
//!
//! Each fact is set once, by the layer that learns it; setting it again changes nothing. The record is written
//! exactly once: by [`Draft::finish`], or when the last owner ends, whatever ended it. Instead of a record, a refusal of
//! one whom nobody authenticated may be one more in a sum.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::HeaderValue;

use super::record::HUNG_UP;
use super::refusals::Refusal;
use super::writer::{Place, Ticket};
use super::{Recorder, identity, json};
use crate::aws::{GrantId, KeyMaterialId, ServedRegion};
use crate::clock::Timestamp;

/// How many resources a record names at most, and how many reasons: `ReEncrypt` has two keys, and two others if its
/// answer names others.
const RESOURCES: usize = 4;

/// What a connection's TLS handshake agreed on, in the names that CloudTrail uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsDetails {
    /// `TLSv1.3`
    pub version: &'static str,
    /// `TLS_AES_256_GCM_SHA384`
    pub cipher_suite: &'static str,
    /// `X25519MLKEM768`
    pub key_exchange: Option<&'static str>,
}

/// What is known of a request when its head has been read.
#[derive(Clone, Debug)]
pub struct Arrived<'a> {
    /// The `x-amzn-RequestId` of its answer.
    pub request_id: &'a str,
    /// When its head had been read.
    pub at: Timestamp,
    /// The other end of its connection.
    pub peer: IpAddr,
    /// What its connection's TLS agreed on.
    pub tls: Option<Arc<TlsDetails>>,
    /// Its `Host` header.
    pub host: Option<HeaderValue>,
    /// Its `User-Agent` header.
    pub user_agent: Option<HeaderValue>,
    /// Which configuration judges it.
    pub generation: u64,
}

/// Why a permission was or was not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reason {
    /// `Allow`, `ExplicitDeny` or `ImplicitDeny`.
    pub decision: &'static str,
    /// The permission: `kms:Decrypt`.
    pub action: &'static str,
    /// The kind of policy that decided, or that would have had to allow: `guardrail`, `key`, `boundary`, `session`,
    /// `identity`; or `grant`.
    pub layer: &'static str,
    /// The policy that decided; a key has only one.
    pub policy: Option<Arc<str>>,
    /// Its statement: the `Sid`, or the number from 0.
    pub statement: Option<Arc<str>>,
    /// The statement of the key's policy that handed the question to the identity policies.
    pub key_statement: Option<Arc<str>>,
    /// The grant that allows.
    pub grant: Option<GrantId>,
    /// It is not allowed, and was let through all the same.
    pub danger_report_only: bool,
}

/// The value of a member of `additionalEventData`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Additional {
    /// A text.
    Text(Box<str>),
    /// Key material, which is written out only in the record.
    KeyMaterial(KeyMaterialId),
}

impl From<&str> for Additional {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<KeyMaterialId> for Additional {
    fn from(id: KeyMaterialId) -> Self {
        Self::KeyMaterial(id)
    }
}

/// The record of one request in the making. A clone is one more owner of the same record.
#[derive(Clone)]
pub struct Draft(Arc<Facts>);

/// All that a record may say.
pub(super) struct Facts {
    pub(super) recorder: Arc<Recorder>,
    /// Room for the record, held until it is queued.
    _place: Place,
    finished: AtomicBool,
    irrevocable: AtomicBool,
    pub(super) request_id: [u8; 36],
    pub(super) at: Timestamp,
    pub(super) peer: IpAddr,
    pub(super) tls: Option<Arc<TlsDetails>>,
    pub(super) host: Option<HeaderValue>,
    pub(super) user_agent: Option<HeaderValue>,
    pub(super) generation: u64,
    learnt: Mutex<Learnt>,
}

/// What is learnt of a request after its head has been read.
#[derive(Default)]
pub(super) struct Learnt {
    pub(super) operation: Option<(&'static str, bool)>,
    /// Until it is learnt, the gateway's own is recorded.
    pub(super) region: Option<ServedRegion>,
    pub(super) caller: Option<Caller>,
    pub(super) request_parameters: Option<String>,
    pub(super) response_elements: Option<String>,
    pub(super) resources: [Option<Arc<str>>; RESOURCES],
    /// Members of `additionalEventData`.
    pub(super) additional: [Option<(&'static str, Additional)>; RESOURCES],
    pub(super) reasons: [Option<Reason>; RESOURCES],
    pub(super) upstream: Option<UpstreamId>,
    pub(super) limiter: Option<&'static str>,
    pub(super) detail: Option<String>,
    pub(super) outcome: Option<Outcome>,
}

/// Who asks, as the member `userIdentity` has it.
pub(super) enum Caller {
    /// A principal whose signature was verified.
    Authenticated(Arc<str>),
    /// Nobody knows: what the request says of it is a claim.
    Unproven(Arc<str>),
}

/// What an upstream knows the request by.
pub(super) struct UpstreamId {
    pub(super) id: HeaderValue,
    /// Whether the client was told this id in place of the gateway's own.
    pub(super) told: bool,
}

/// How a request ended.
pub(super) enum Outcome {
    Succeeded,
    Failed { code: Cow<'static, str>, message: Option<String> },
}

impl Draft {
    pub(super) fn new(recorder: Arc<Recorder>, place: Place, arrived: Arrived<'_>) -> Self {
        let mut request_id = [b' '; 36];
        for (place, byte) in request_id.iter_mut().zip(arrived.request_id.bytes()) {
            *place = byte;
        }
        Self(Arc::new(Facts {
            recorder,
            _place: place,
            finished: AtomicBool::new(false),
            irrevocable: AtomicBool::new(false),
            request_id,
            at: arrived.at,
            peer: arrived.peer.to_canonical(),
            tls: arrived.tls,
            host: arrived.host,
            user_agent: arrived.user_agent,
            generation: arrived.generation,
            learnt: Mutex::default(),
        }))
    }

    /// The operation that the request names, and whether it only reads, as CloudTrail counts it.
    pub fn operation(&self, name: &'static str, read_only: bool) {
        self.0.learnt().operation.get_or_insert((name, read_only));
    }

    /// The region that the request is for, by its credential's scope.
    pub fn region(&self, region: ServedRegion) {
        self.0.learnt().region.get_or_insert(region);
    }

    /// Who asks, by a signature that was verified: what [`user_identity`](super::user_identity) made.
    pub fn authenticated(&self, identity: Arc<str>) {
        self.0.learnt().caller.get_or_insert(Caller::Authenticated(identity));
    }

    /// Who asks was not authenticated; `claimed` is the access key id that the request names.
    pub fn unproven(&self, claimed: Option<&str>) {
        self.0.learnt().caller.get_or_insert_with(|| Caller::Unproven(identity::unknown_identity(claimed)));
    }

    /// The request's parameters: a JSON object without plaintext, blobs or tokens.
    pub fn request_parameters(&self, json: String) {
        self.0.learnt().request_parameters.get_or_insert(json);
    }

    /// What the answer of an operation that changes something says: a JSON object without tokens.
    pub fn response_elements(&self, json: String) {
        self.0.learnt().response_elements.get_or_insert(json);
    }

    /// A key or an alias that the request is about, by its ARN, in the order of CloudTrail's `resources`.
    pub fn resource(&self, arn: impl Into<Arc<str>>) {
        fill_next(&mut self.0.learnt().resources, arn.into());
    }

    /// A member of `additionalEventData`, such as `keyMaterialId` or `grantId`.
    pub fn additional(&self, name: &'static str, value: impl Into<Additional>) {
        fill_next(&mut self.0.learnt().additional, (name, value.into()));
    }

    /// Why the request was or was not allowed; once more for each further permission that it needs.
    pub fn reason(&self, reason: Reason) {
        fill_next(&mut self.0.learnt().reasons, reason);
    }

    /// The `x-amzn-RequestId` of an upstream's answer: what CloudTrail there knows the request by.
    pub fn upstream_request_id(&self, id: HeaderValue) {
        self.0.learnt().upstream.get_or_insert(UpstreamId { id, told: false });
    }

    /// That answer is the client's, with its id.
    pub fn answered_by_upstream(&self) {
        if let Some(upstream) = &mut self.0.learnt().upstream {
            upstream.told = true;
        }
    }

    /// The limiter that refused the request.
    pub fn limiter(&self, name: &'static str) {
        self.0.learnt().limiter.get_or_insert(name);
    }

    /// What the operator should know and the client must not.
    pub fn detail(&self, detail: impl Into<String>) {
        self.0.learnt().detail.get_or_insert(detail.into());
    }

    /// The request was carried out.
    pub fn succeeded(&self) {
        self.0.learnt().outcome.get_or_insert(Outcome::Succeeded);
    }

    /// The request was refused or failed with this code and the message that the client is told.
    pub fn failed(&self, code: impl Into<Cow<'static, str>>, message: Option<&str>) {
        self.0.learnt().outcome.get_or_insert_with(|| {
            let message = message.map(|message| json::capped(message).to_owned());
            Outcome::Failed { code: code.into(), message }
        });
    }

    /// From here on the request is carried out, whatever becomes of its client or its time.
    pub fn irrevocable(&self) {
        self.0.irrevocable.store(true, Ordering::Release);
    }

    /// Whether the request is carried out whatever happens, so that only its outcome can be told.
    #[must_use]
    pub fn is_irrevocable(&self) -> bool {
        self.0.irrevocable.load(Ordering::Acquire)
    }

    /// Whether it was said how the request ended.
    #[must_use]
    pub fn has_outcome(&self) -> bool {
        self.0.learnt().outcome.is_some()
    }

    /// Queues the record as it is now; the answer may leave once the ticket resolves. `None` if there is nothing to
    /// wait for: it was done before, or the request is counted and not recorded. What later owners still learn is not
    /// recorded.
    #[must_use]
    pub fn finish(&self) -> Option<Ticket> {
        self.0.finish()
    }
}

impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Draft")
    }
}

impl Facts {
    pub(super) fn learnt(&self) -> MutexGuard<'_, Learnt> {
        self.learnt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn finish(&self) -> Option<Ticket> {
        let first = !self.finished.swap(true, Ordering::AcqRel);
        if first { self.recorder.record(self) } else { None }
    }
}

impl Learnt {
    /// `userIdentity`, as it is written.
    pub(super) fn user_identity(&self) -> &str {
        match &self.caller {
            Some(Caller::Authenticated(identity) | Caller::Unproven(identity)) => identity,
            None => identity::UNKNOWN,
        }
    }

    /// That the request was refused or given up before anybody was authenticated, if so it was.
    pub(super) fn refusal(&self, peer: IpAddr, at: Timestamp) -> Option<Refusal> {
        if let Some(Caller::Authenticated(_)) = self.caller {
            return None;
        }
        let code = match &self.outcome {
            Some(Outcome::Succeeded) => return None,
            Some(Outcome::Failed { code, .. }) => code.clone(),
            None => HUNG_UP.into(),
        };
        Some(Refusal { code, peer, at })
    }
}

impl Drop for Facts {
    fn drop(&mut self) {
        // Nobody waits for this ticket: dropping it writes the record.
        drop(self.finish());
    }
}

/// Sets the first of `slots` that is free, if any is.
fn fill_next<T>(slots: &mut [Option<T>], value: T) {
    if let Some(slot) = slots.iter_mut().find(|slot| slot.is_none()) {
        *slot = Some(value);
    }
}
