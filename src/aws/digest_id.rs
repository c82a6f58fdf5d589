//! Ids of 32 bytes that are written as 64 small hexadecimal digits.

/// Makes the type of such an id, the type of its digits, and the error of a text that is none.
macro_rules! digest_id {
    ($(#[$about:meta])* $id:ident, $digits:ident, $invalid:ident, $what:literal) => {
        $(#[$about])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $id([u8; 32]);

        impl $id {
            /// From the 32 bytes that the digits stand for.
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
            pub fn hex(&self) -> $digits {
                $digits($crate::hexadecimal::digits(&self.0))
            }
        }

        impl std::str::FromStr for $id {
            type Err = $invalid;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let small = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
                let mut bytes = [0; 32];
                match hex::decode_to_slice(text, &mut bytes) {
                    Ok(()) if small => Ok(Self(bytes)),
                    _ => Err($invalid),
                }
            }
        }

        impl std::fmt::Display for $id {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.hex().as_str())
            }
        }

        impl std::fmt::Debug for $id {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.hex().as_str())
            }
        }

        #[doc = concat!("A [`", stringify!($id), "`] written out.")]
        #[derive(Clone, Copy, Debug)]
        pub struct $digits([[u8; 2]; 32]);

        impl $digits {
            /// The 64 digits.
            #[must_use]
            pub fn as_str(&self) -> &str {
                std::str::from_utf8(self.0.as_flattened()).unwrap_or_default()
            }
        }

        #[doc = concat!("The text is no ", $what, ".")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
        #[error("a {} has exactly 64 small hexadecimal digits", $what)]
        pub struct $invalid;
    };
}

pub(super) use digest_id;
