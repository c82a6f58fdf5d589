//! The operations that a grant can allow (API reference, `CreateGrant`, `Operations`).

use std::fmt;

macro_rules! operations {
    ($($name:ident $bit:literal),+ $(,)?) => {
        /// One operation that a grant can allow. `ReEncrypt` is two of them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum GrantOperation {
            $(#[doc = concat!("`", stringify!($name), "`")] $name = $bit,)+
        }

        impl GrantOperation {
            /// Every operation, in the order of the model.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// As `Operations` has it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)+
                }
            }
        }
    };
}

// The numbers stand in grant tokens: a change orphans those that are out.
operations! {
    Decrypt 0,
    Encrypt 1,
    GenerateDataKey 2,
    GenerateDataKeyWithoutPlaintext 3,
    ReEncryptFrom 4,
    ReEncryptTo 5,
    Sign 6,
    Verify 7,
    GetPublicKey 8,
    CreateGrant 9,
    RetireGrant 10,
    DescribeKey 11,
    GenerateDataKeyPair 12,
    GenerateDataKeyPairWithoutPlaintext 13,
    GenerateMac 14,
    VerifyMac 15,
    DeriveSharedSecret 16,
    Encapsulate 17,
    Decapsulate 18,
}

impl GrantOperation {
    /// The operation of that name, as `Operations` has it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|operation| operation.name() == name)
    }

    /// The one that the IAM action `kms:NAME` asks for; `None` for one that no grant allows.
    #[must_use]
    pub fn from_action(action: &str) -> Option<Self> {
        Self::from_name(action.strip_prefix("kms:")?)
    }

    /// Whether a grant's constraint has no say in it: it is about the key or the grant, and has no encryption context.
    #[must_use]
    pub const fn unconstrained(self) -> bool {
        GrantOperations::UNCONSTRAINED.contains(self)
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// A set of operations.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GrantOperations(u32);

impl GrantOperations {
    /// No operation.
    pub const NONE: Self = Self(0);
    /// Those that a grant's constraint has no say in.
    pub const UNCONSTRAINED: Self = Self(GrantOperation::DescribeKey.bit() | GrantOperation::RetireGrant.bit());
    const ALL: Self = Self((1 << GrantOperation::ALL.len()) - 1);

    /// The set that these bits stand for; `None` if one of them stands for nothing.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Option<Self> {
        if bits & !Self::ALL.0 == 0 { Some(Self(bits)) } else { None }
    }

    /// A bit for each operation.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether the operation is in the set.
    #[must_use]
    pub const fn contains(self, operation: GrantOperation) -> bool {
        self.0 & operation.bit() != 0
    }

    /// Whether all of `self` are in `other`.
    #[must_use]
    pub const fn within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Those that are in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those of `self` that are not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each of them, in the order of the model.
    pub fn iter(self) -> impl Iterator<Item = GrantOperation> {
        GrantOperation::ALL.iter().copied().filter(move |operation| self.contains(*operation))
    }
}

impl FromIterator<GrantOperation> for GrantOperations {
    fn from_iter<I: IntoIterator<Item = GrantOperation>>(operations: I) -> Self {
        Self(operations.into_iter().fold(0, |bits, operation| bits | operation.bit()))
    }
}

impl fmt::Debug for GrantOperations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_operations_are_those_of_the_model() {
        let ours: BTreeSet<_> = GrantOperation::ALL.iter().map(|operation| operation.name()).collect();
        assert_eq!(ours, aws_sdk_kms::types::GrantOperation::values().iter().copied().collect());
        for operation in GrantOperation::ALL {
            assert_eq!(GrantOperation::from_action(&format!("kms:{}", operation.name())), Some(*operation));
        }
        for action in ["Decrypt", "kms:decrypt", "kms:ReEncrypt", "kms:RevokeGrant", "s3:Decrypt"] {
            assert_eq!(GrantOperation::from_action(action), None, "{action}");
        }
    }

    #[test]
    fn a_set_holds_what_was_put_into_it_and_nothing_else() {
        for operation in GrantOperation::ALL {
            let set: GrantOperations = [*operation].into_iter().collect();
            assert_eq!(set.iter().collect::<Vec<_>>(), [*operation]);
            assert_eq!(GrantOperations::from_bits(set.bits()), Some(set));
            assert!(set.within(GrantOperations::ALL) && !GrantOperations::ALL.within(set));
        }
        assert_eq!(GrantOperations::from_bits(1 << 19), None);
        assert_eq!(GrantOperations::ALL.iter().count(), 19);
        let unconstrained: Vec<_> = GrantOperations::UNCONSTRAINED.iter().collect();
        assert_eq!(unconstrained, [GrantOperation::RetireGrant, GrantOperation::DescribeKey]);
    }
}
