//! The id of a local store: what ties wrapped key material and authenticated rows to the one store they are of.

use std::fmt;

use crate::random::{self, Exhausted};

/// 16 random bytes, drawn when the store is created. Not a secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct StoreId([u8; 16]);

impl StoreId {
    /// A new id.
    ///
    /// # Errors
    ///
    /// [`Exhausted`] if there are no random bytes.
    pub(super) fn generate() -> Result<Self, Exhausted> {
        random::bytes().map(Self)
    }

    /// From the bytes that a store holds.
    #[must_use]
    pub(super) const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub(super) const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
