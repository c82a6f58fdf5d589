//! Amazon Resource Names, split but not interpreted.

/// The six parts of an ARN: `arn:partition:service:region:account:resource`.
///
/// Region and account may be empty (as in IAM's and S3's ARNs); the resource may hold further colons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arn<'a> {
    /// `aws`, `aws-cn`, `aws-us-gov`, ...
    pub partition: &'a str,
    /// `kms`, `iam`, `sts`, ...
    pub service: &'a str,
    /// The region, or empty.
    pub region: &'a str,
    /// The account id, or empty.
    pub account: &'a str,
    /// All that follows the fifth colon.
    pub resource: &'a str,
}

impl<'a> Arn<'a> {
    /// Splits `text` at its first five colons.
    ///
    /// # Errors
    ///
    /// [`InvalidArn`] if the text does not begin with `arn:`, has fewer parts, or names no partition,
    /// service or resource.
    pub fn parse(text: &'a str) -> Result<Self, InvalidArn> {
        let [scheme, partition, service, region, account, resource] = Self::split(text).ok_or(InvalidArn)?;
        let arn = Self { partition, service, region, account, resource };
        let named = !arn.partition.is_empty() && !arn.service.is_empty() && !arn.resource.is_empty();
        if scheme == "arn" && named { Ok(arn) } else { Err(InvalidArn) }
    }

    /// The six parts of any text that has five colons; what they say is not looked at.
    #[must_use]
    pub fn split(text: &'a str) -> Option<[&'a str; 6]> {
        let mut rest = text;
        // Parts are so short that looking at byte after byte finds their ends sooner than `str::split`.
        let mut next = || {
            let (part, behind) = rest.split_at(rest.bytes().position(|byte| byte == b':')?);
            rest = behind.get(1..)?;
            Some(part)
        };
        let [scheme, partition, service, region, account] = [next()?, next()?, next()?, next()?, next()?];
        Some([scheme, partition, service, region, account, rest])
    }
}

/// The text is no ARN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an ARN has the form arn:partition:service:region:account:resource")]
pub struct InvalidArn;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resource_keeps_its_colons() {
        let arn = Arn::parse("arn:aws:kms:us-east-1:111122223333:alias/a:b").unwrap();
        assert_eq!((arn.service, arn.region, arn.resource), ("kms", "us-east-1", "alias/a:b"));
    }

    #[test]
    fn what_lacks_a_part_is_refused() {
        for text in [
            "",
            "arn",
            "arn:aws:kms:us-east-1:111122223333",
            "arn:aws:kms:us-east-1:111122223333:",
            "ARN:aws:iam::1:root",
            "arn::iam::1:root",
        ] {
            assert_eq!(Arn::parse(text), Err(InvalidArn), "{text}");
        }
    }
}
