//! What answers the requests that are allowed.

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
