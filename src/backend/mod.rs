//! What answers the requests that are allowed: [`local`] with keys of its own, or [`aws`] by a KMS elsewhere.
//!
//! The layers use both in the same order: keys are found ([`Keys`]), judged, and then used. Neither backend decides who
//! may do what; that was done before it is asked. What they have in common is what a key is judged by ([`Key`]); how they
//! answer is not alike, so there is no trait of it.

pub mod aws;
pub mod local;

mod keys;

use std::sync::Arc;

use keys::foreign;
pub use keys::{Found, Key, Keys, NamedBy};

/// What answers the requests that are allowed, as one worker uses it.
#[derive(Clone, Debug)]
pub enum Backend {
    /// The gateway itself, with keys in an embedded store.
    Local(Arc<local::LocalBackend>),
    /// A KMS elsewhere.
    Aws(aws::AwsBackend),
}
