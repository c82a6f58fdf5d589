//! Three-valued logic: what cannot be found out is neither true nor false until the statement's effect decides.
//!
//! Architecture invariant: unknown never allows. A Deny whose conditions may hold denies, an Allow whose
//! conditions may fail does not allow.

use std::ops::Not;

/// Whether something holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Truth {
    Yes,
    No,
    /// It could not be found out.
    Unknown,
}

impl Truth {
    /// Whether all hold: one `No` outweighs any number of `Unknown`.
    pub(super) fn all(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut sum = Self::Yes;
        for part in parts {
            match part {
                Self::No => return Self::No,
                Self::Unknown => sum = Self::Unknown,
                Self::Yes => {}
            }
        }
        sum
    }

    /// Whether one holds: one `Yes` outweighs any number of `Unknown`.
    pub(super) fn any(parts: impl IntoIterator<Item = Self>) -> Self {
        !Self::all(parts.into_iter().map(Self::not))
    }
}

impl Not for Truth {
    type Output = Self;

    fn not(self) -> Self {
        match self {
            Self::Yes => Self::No,
            Self::No => Self::Yes,
            Self::Unknown => Self::Unknown,
        }
    }
}

impl From<bool> for Truth {
    fn from(value: bool) -> Self {
        if value { Self::Yes } else { Self::No }
    }
}

#[cfg(test)]
mod tests {
    use super::Truth::{self, No, Unknown, Yes};

    #[test]
    fn what_decides_outweighs_what_is_unknown() {
        assert_eq!(Truth::all([Yes, Unknown, No]), No);
        assert_eq!(Truth::all([Yes, Unknown]), Unknown);
        assert_eq!(Truth::all([]), Yes);
        assert_eq!(Truth::any([No, Unknown, Yes]), Yes);
        assert_eq!(Truth::any([No, Unknown]), Unknown);
        assert_eq!(Truth::any([]), No);
    }
}
