//! What a signature covers a body by.

use std::fmt;

use super::canonical;

/// The SHA-256 of a request's body.
#[derive(Clone, Copy)]
pub struct PayloadHash([u8; 32]);

impl PayloadHash {
    /// Hashes `body`.
    #[must_use]
    pub fn of(body: &[u8]) -> Self {
        Self(canonical::sha256(body))
    }

    /// In lower-case hexadecimal, as the canonical request ends with it. It is written out at each use and not kept,
    /// because it costs a few nanoseconds and travels with the request at half the size.
    pub(super) fn hex(&self) -> [u8; 64] {
        canonical::hex(&self.0)
    }
}

/// Without the hash: a plaintext that few others are possible for can be found by it.
impl fmt::Debug for PayloadHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PayloadHash")
    }
}
