//! Verifies SigV4 signatures of requests to one AWS service (AWS General Reference, "Signature Version 4").
//!
//! [`Claim::read`] checks all that the head alone can show, in AWS's order; [`Claim::verify`] then checks the
//! signature over the bytes received and is the only maker of [`Verified`]. Pure: no clock, no look-ups, no
//! configuration. The signature that would have been right never leaves [`Claim::verify`].
//!
//! Architecture invariant: nothing but a verified signature makes a [`Verified`].

mod authorization;
mod canonical;
mod claim;
mod date;
mod error;
mod hosts;
mod key;
mod signed_headers;

pub use claim::{Claim, Expected, Verified, claimed_access_key_id};
pub use date::ScopeDate;
pub use error::Error;
pub use hosts::{AcceptedHosts, InvalidHost};
pub use key::SigningKey;

#[cfg(test)]
mod tests;
