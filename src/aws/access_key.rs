//! Access key ids. The secret that belongs to one is a [`crate::secret::Secret`] and lives elsewhere.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

/// An access key id: 16 to 128 letters, digits and underscores (IAM's `accessKeyIdType`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccessKeyId(Box<str>);

impl AccessKeyId {
    /// The id as it stands in a credential scope.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AccessKeyId {
    type Err = InvalidAccessKeyId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = (16..=128).contains(&text.len());
        if fits && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            Ok(Self(text.into()))
        } else {
            Err(InvalidAccessKeyId)
        }
    }
}

impl Borrow<str> for AccessKeyId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccessKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is no access key id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an access key id has 16 to 128 letters, digits or underscores")]
pub struct InvalidAccessKeyId;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_aws_are_read_and_others_refused() {
        assert!("AKIAIOSFODNN7EXAMPLE".parse::<AccessKeyId>().is_ok());
        for text in ["", "AKIDEXAMPLE", "AKIAIOSFODNN7EXAMPL/", "AKIAIOSFODNN7 EXAMPLE", &"A".repeat(129)] {
            assert_eq!(text.parse::<AccessKeyId>(), Err(InvalidAccessKeyId), "{text}");
        }
    }
}
