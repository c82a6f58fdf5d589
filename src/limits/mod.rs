//! What bounds how much is asked of the gateway: quotas of requests, what is in flight, and the patience with
//! peers whose signatures fail; and how much it asks of an upstream: the shares of the upstream's quotas.
//!
//! All of this is state that outlives a reload of the configuration; [`Limits::reconfigured`] keeps what has
//! not changed.

mod bucket;
mod in_flight;
mod penalty;
mod quotas;
mod share;

pub use bucket::Subject;
pub use in_flight::{AwaitedBody, BodyReservation, InFlight, InFlightCaps, Overloaded, PeerAccount, RequestPlace};
pub use penalty::PeerPenalty;
pub use quotas::{Charge, Limits, Quota, Quotas, Throttled};
pub use share::{Refused, UpstreamShares};
