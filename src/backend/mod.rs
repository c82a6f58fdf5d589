//! What answers the requests that are allowed.

pub mod aws;
pub mod local;
