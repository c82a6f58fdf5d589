//! What travels with every request: the context that its stages share.
//!
//! The stages themselves stand each in the file of the layer that makes it (`layers/`): `Arrival ->
//! Identified -> Forbearing -> Held -> Audited -> Guarded -> Timed -> Received -> Authenticated -> Parsed ->
//! Resolved -> Authorized -> Admitted`. Every one has a field private to its file, so nobody else can make it, and
//! each layer takes the stage before it by value: a layer left out or moved leaves types that do not meet.
//!
//! Architecture invariant: no stage can be made but by its layer.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::HeaderMap;

use crate::audit::{Draft, TlsDetails};
use crate::aws::{Region, ServedRegion};
use crate::clock::Timestamp;
use crate::limits::PeerAccount;
use crate::random::{self, Exhausted};
use crate::state::Snapshot;

/// The other end of a connection.
#[derive(Debug)]
pub struct Peer {
    /// Its address as the socket has it; no header is asked.
    pub address: SocketAddr,
    /// What TLS agreed on, where the connection has it.
    pub tls: Option<Arc<TlsDetails>>,
    /// What its address has in flight.
    pub account: Arc<PeerAccount>,
}

impl Peer {
    /// The peer's IP address.
    #[must_use]
    pub fn ip(&self) -> IpAddr {
        self.address.ip()
    }
}

/// A request as the server hands it over.
pub struct Arrival<B> {
    /// Who sent it.
    pub peer: Arc<Peer>,
    /// Its head, and its body yet to be read.
    pub request: http::Request<B>,
}

/// Without the head, which holds the signature.
impl<B> fmt::Debug for Arrival<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrival").field("peer", &self.peer).finish_non_exhaustive()
    }
}

/// The id of one request: a version 4 UUID, the `x-amzn-RequestId` of its answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RequestId([u8; 36]);

impl RequestId {
    /// A fresh id.
    ///
    /// # Errors
    ///
    /// [`Exhausted`] when there are no random bytes.
    pub fn random() -> Result<Self, Exhausted> {
        random::uuid_bytes().map(Self)
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The id as bytes of ASCII text.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What all layers from the audit inwards share: one snapshot, one time, one record.
pub struct RequestContext {
    /// When the request's head had been read.
    pub received_at: Timestamp,
    /// Who sent it.
    pub peer: Arc<Peer>,
    /// The one configuration that judges it.
    pub snapshot: Arc<Snapshot>,
    /// Which of the gateway's regions it is for: the one of its credential's scope, once that is verified.
    pub served: ServedRegion,
    /// The record that is written when its last owner ends.
    pub draft: Draft,
    /// Its headers: what was signed, and what policies may ask for.
    pub headers: HeaderMap,
}

impl RequestContext {
    /// The region that the request is for.
    #[must_use]
    pub fn region(&self) -> &Region {
        self.snapshot.regions.get(self.served)
    }
}

/// Without the headers, which hold the signature.
impl fmt::Debug for RequestContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { received_at, peer, .. } = self;
        f.debug_struct("RequestContext").field("received_at", received_at).field("peer", peer).finish_non_exhaustive()
    }
}
