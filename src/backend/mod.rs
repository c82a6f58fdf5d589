//! What answers the requests that are allowed.

pub mod local;
