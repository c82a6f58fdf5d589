//! Regions and the partitions they belong to.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// An AWS region, by form: `us-east-1`, `us-gov-west-1`. Whether AWS has it is not asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Region(Arc<str>);

impl Region {
    /// The region's name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The partition that a region of this name belongs to.
    #[must_use]
    pub fn partition(&self) -> Partition {
        let of_region = |(prefix, _): &&(&str, Partition)| self.0.starts_with(prefix);
        PARTITIONS.iter().find(of_region).map_or(Partition::AWS, |(_, partition)| *partition)
    }
}

impl FromStr for Region {
    type Err = InvalidRegion;

    /// KMS's own pattern for a region: `^([a-z]+-){2,3}\d+$`, at most 32 characters.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('-').rev();
        let number = parts.next().unwrap_or_default();
        let mut words = 0;
        let lower = parts.all(|word| {
            words += 1;
            !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase())
        });
        let numbered = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        if lower && numbered && (2..=3).contains(&words) && text.len() <= 32 {
            Ok(Self(text.into()))
        } else {
            Err(InvalidRegion)
        }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A group of regions with ARNs of their own: `aws`, `aws-cn`, `aws-us-gov`, ...
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    name: &'static str,
    dns_suffix: &'static str,
}

/// The partitions beside `aws`, by what the names of their regions begin with (botocore's `partitions.json`).
const PARTITIONS: [(&str, Partition); 6] = [
    ("cn-", Partition { name: "aws-cn", dns_suffix: "amazonaws.com.cn" }),
    ("us-gov-", Partition { name: "aws-us-gov", dns_suffix: "amazonaws.com" }),
    ("us-isob-", Partition { name: "aws-iso-b", dns_suffix: "sc2s.sgov.gov" }),
    ("us-isof-", Partition { name: "aws-iso-f", dns_suffix: "csp.hci.ic.gov" }),
    ("eu-isoe-", Partition { name: "aws-iso-e", dns_suffix: "cloud.adc-e.uk" }),
    ("us-iso-", Partition { name: "aws-iso", dns_suffix: "c2s.ic.gov" }),
];

impl Partition {
    const AWS: Self = Self { name: "aws", dns_suffix: "amazonaws.com" };

    /// The second part of the partition's ARNs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.name
    }

    /// What the names of its services' hosts end with.
    #[must_use]
    pub const fn dns_suffix(self) -> &'static str {
        self.dns_suffix
    }
}

/// The text is no region's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a region is written like `us-east-1`")]
pub struct InvalidRegion;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_knows_its_partition() {
        for (region, partition) in [
            ("eu-central-1", ["aws", "amazonaws.com"]),
            ("cn-north-1", ["aws-cn", "amazonaws.com.cn"]),
            ("us-gov-west-1", ["aws-us-gov", "amazonaws.com"]),
            ("us-isob-east-1", ["aws-iso-b", "sc2s.sgov.gov"]),
        ] {
            let found = region.parse::<Region>().unwrap().partition();
            assert_eq!([found.as_str(), found.dns_suffix()], partition);
        }
    }

    #[test]
    fn what_is_not_written_like_a_region_is_refused() {
        for text in ["", "us-east", "useast1", "US-EAST-1", "us-east-1a", "us--1", "-east-1", "a-b-c-d-1", "us-east-1 "]
        {
            assert_eq!(text.parse::<Region>(), Err(InvalidRegion), "{text}");
        }
    }
}
