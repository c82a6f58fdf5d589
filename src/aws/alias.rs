//! Alias names and alias ARNs.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::{AccountId, Region};

const PREFIX: &str = "alias/";
const RESERVED_PREFIX: &str = "alias/aws/";
const LONGEST: usize = 256;

/// The name of an alias with its prefix: `alias/quickstart`.
///
/// At most 256 characters; after the prefix at least one letter, digit, `:`, `/`, `_` or `-` (the model's
/// pattern). Case matters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AliasName(Arc<str>);

impl AliasName {
    /// The name, `alias/` included.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the name belongs to AWS's own keys (`alias/aws/...`).
    #[must_use]
    pub fn reserved(&self) -> bool {
        self.0.starts_with(RESERVED_PREFIX)
    }
}

impl FromStr for AliasName {
    type Err = InvalidAliasName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = text.strip_prefix(PREFIX).ok_or(InvalidAliasName)?;
        let named = rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":/_-".contains(&byte));
        if named && !rest.is_empty() && text.len() <= LONGEST { Ok(Self(text.into())) } else { Err(InvalidAliasName) }
    }
}

impl Borrow<str> for AliasName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AliasName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is no alias name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an alias name is `alias/` and up to 250 letters, digits, `:`, `/`, `_` or `-`")]
pub struct InvalidAliasName;

/// The ARN of an alias: `arn:aws:kms:us-east-1:111122223333:alias/quickstart`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AliasArn(Box<str>);

impl AliasArn {
    /// The ARN of the alias `name` (with its prefix) in that region and account. Any text will do for a name,
    /// so that AWS's `Alias <arn> is not found.` can be written.
    #[must_use]
    pub fn new(region: &Region, account: AccountId, name: &str) -> Self {
        Self(format!("arn:{}:kms:{region}:{account}:{name}", region.partition().as_str()).into())
    }

    /// The ARN as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AliasArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_name_is_256_characters() {
        assert!(format!("alias/{}", "a".repeat(250)).parse::<AliasName>().is_ok());
        assert!(format!("alias/{}", "a".repeat(251)).parse::<AliasName>().is_err());
    }

    #[test]
    fn names_of_aws_are_reserved() {
        assert!("alias/aws/ebs".parse::<AliasName>().unwrap().reserved());
        assert!(!"alias/awsome".parse::<AliasName>().unwrap().reserved());
    }

    #[test]
    fn what_is_no_alias_name_is_refused() {
        for text in ["", "alias", "alias/", "Alias/x", "x", "alias/a b", "alias/ä", "alias/a.b"] {
            assert_eq!(text.parse::<AliasName>(), Err(InvalidAliasName), "{text}");
        }
    }

    #[test]
    fn an_alias_arn_is_in_its_regions_partition() {
        let region = "us-gov-west-1".parse().unwrap();
        let arn = AliasArn::new(&region, "111122223333".parse().unwrap(), "alias/x");
        assert_eq!(arn.as_str(), "arn:aws-us-gov:kms:us-gov-west-1:111122223333:alias/x");
    }
}
