//! What answers the requests that are allowed.

pub mod aws;
pub mod local;

mod keys;

use keys::foreign;
pub use keys::{Found, Key, Keys, NamedBy};
