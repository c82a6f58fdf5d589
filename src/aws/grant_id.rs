//! The ids of grants.

use std::fmt;
use std::str::FromStr;

use crate::hexadecimal;

/// The id of a grant: 64 small hexadecimal digits. AWS takes 1 to 128 characters, and makes these.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GrantId([u8; 32]);

impl GrantId {
    /// No id comes before it.
    pub const LOWEST: Self = Self([0; 32]);

    /// From the 32 bytes that the digits stand for; those of a new grant are random.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 64 digits, without an allocation.
    #[must_use]
    pub fn hex(&self) -> GrantIdHex {
        GrantIdHex(hexadecimal::digits(&self.0))
    }
}

impl FromStr for GrantId {
    type Err = InvalidGrantId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let small = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let mut bytes = [0; 32];
        match hex::decode_to_slice(text, &mut bytes) {
            Ok(()) if small => Ok(Self(bytes)),
            _ => Err(InvalidGrantId),
        }
    }
}

impl fmt::Display for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.hex().as_str())
    }
}

impl fmt::Debug for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.hex().as_str())
    }
}

/// A [`GrantId`] written out.
#[derive(Clone, Copy, Debug)]
pub struct GrantIdHex([[u8; 2]; 32]);

impl GrantIdHex {
    /// The 64 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.0.as_flattened()).unwrap_or_default()
    }
}

/// The text is no grant id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a grant id has exactly 64 small hexadecimal digits")]
pub struct InvalidGrantId;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_64_small_digits() {
        let text = "f020fe75197b93991dc8491d6f19dd3cebb24ee62277a05914386724f3d48758";
        let id: GrantId = text.parse().unwrap();
        assert_eq!(id.to_string(), text);
        for other in [&text.to_uppercase(), text.trim_start_matches('f'), &format!("{text}0"), "", "grant"] {
            assert_eq!(other.parse::<GrantId>(), Err(InvalidGrantId), "{other}");
        }
    }
}
