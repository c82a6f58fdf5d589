//! What answers a request that was admitted.

pub mod local;
