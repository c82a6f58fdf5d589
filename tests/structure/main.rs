//! How the source is put together: what must not compile, and which module may import which.
//!
//! The cases are taken from the source itself, so that a new layer or module is tested without being named here,
//! or is missed loudly.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "all of this is tests, in which a panic is a failed test"
)]

mod compiler;
mod imports;
mod proofs;
mod source;
mod stack;
