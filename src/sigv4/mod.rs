//! Verifies SigV4 signatures of requests to one AWS service (AWS General Reference, "Signature Version 4"), and signs
//! the gateway's own.
//!
//! [`Claim::read`] checks all that the head alone can show, in AWS's order; [`Claim::verify`] then checks the
//! signature over the bytes received and is the only maker of [`Verified`]. [`sign()`] makes the head of a request that
//! the gateway sends on. Pure: no clock, no look-ups, no configuration. The signature that would have been right never
//! leaves [`Claim::verify`].
//!
//! Architecture invariant: nothing but a verified signature makes a [`Verified`].

mod authorization;
mod canonical;
mod claim;
mod date;
mod error;
mod hosts;
mod key;
mod payload_hash;
mod sign;
mod signed_headers;

pub use claim::{Claim, Expected, Verified, claimed_access_key_id};
pub use date::{ScopeDate, http_date};
pub use error::Error;
pub use hosts::{AcceptedHosts, InvalidHost};
pub use key::SigningKey;
pub use payload_hash::PayloadHash;
pub use sign::{SigningCredentials, Target, sign};

/// The parts of `text` between ASCII characters, whose places are given in order. As `str::split`, which would look
/// for them by itself, several times more slowly.
fn split(text: &str, mut separators: impl Iterator<Item = usize>) -> impl Iterator<Item = &str> {
    let mut next = Some(0);
    std::iter::from_fn(move || {
        let start = next?;
        let end = separators.next();
        next = end.map(|end| end + 1);
        text.get(start..end.unwrap_or(text.len()))
    })
}

#[cfg(test)]
mod tests;
