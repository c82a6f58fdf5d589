//! The four ways in which a request names a key.

use super::{AccountId, Arn, KeyArn, KeyId, Region};

/// A key as a request names it. Which key it is, and whether there is one, is for the backend to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyRef<'a> {
    /// `1234abcd-12ab-34cd-56ef-1234567890ab`, in the caller's account.
    Id(KeyId),
    /// `arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab`.
    Arn {
        /// The key's account.
        account: AccountId,
        /// The key's id.
        id: KeyId,
        /// All of it, which is spelt in no other way.
        text: &'a str,
    },
    /// `alias/quickstart`, in the caller's account. The text begins with `alias/`; the rest is as sent.
    Alias(&'a str),
    /// `arn:aws:kms:us-east-1:111122223333:alias/quickstart`.
    AliasArn {
        /// The alias's account.
        account: AccountId,
        /// The alias's name with its prefix.
        name: &'a str,
    },
}

impl<'a> KeyRef<'a> {
    /// Reads `text` as a reference to a key in `region`.
    ///
    /// # Errors
    ///
    /// [`InvalidKeyRef`], whose text is KMS's for its `NotFoundException`. What KMS says of an ARN that is not
    /// one of KMS's, or whose account is malformed, is not recorded anywhere: the form is that for a foreign region.
    pub fn parse(text: &'a str, region: &Region) -> Result<Self, InvalidKeyRef> {
        if text.starts_with("alias/") {
            return Ok(Self::Alias(text));
        }
        if !text.starts_with("arn:") {
            return text.parse().map(Self::Id).map_err(|_| InvalidKeyRef::KeyId(text.into()));
        }
        let foreign = |what: &str| InvalidKeyRef::Arn(what.into());
        let arn = Arn::parse(text).map_err(|_| foreign(text))?;
        if arn.service != "kms" {
            return Err(foreign(text));
        }
        if arn.region != region.as_str() {
            return Err(foreign(arn.region));
        }
        if arn.partition != region.partition().as_str() {
            return Err(foreign(arn.partition));
        }
        let account = arn.account.parse().map_err(|_| foreign(text))?;
        if arn.resource.starts_with("alias/") {
            return Ok(Self::AliasArn { account, name: arn.resource });
        }
        let id = arn.resource.strip_prefix("key/").unwrap_or(arn.resource);
        match id.parse() {
            Ok(key) if id.len() < arn.resource.len() => Ok(Self::Arn { account, id: key, text }),
            _ => Err(InvalidKeyRef::KeyIdInArn(id.into())),
        }
    }

    /// The key's ARN, if that was sent, for a key of `region`.
    #[must_use]
    pub fn key_arn(&self, region: &Region) -> Option<KeyArn> {
        match self {
            Self::Arn { account, text, .. } => Some(KeyArn::written(text, region, *account)),
            Self::Id(_) | Self::Alias(_) | Self::AliasArn { .. } => None,
        }
    }

    /// The alias's name, if an alias was sent.
    #[must_use]
    pub const fn alias_name(&self) -> Option<&'a str> {
        match self {
            Self::Alias(name) | Self::AliasArn { name, .. } => Some(name),
            Self::Id(_) | Self::Arn { .. } => None,
        }
    }

    /// The account that the reference names, if it names one.
    #[must_use]
    pub const fn account(&self) -> Option<AccountId> {
        match self {
            Self::Arn { account, .. } | Self::AliasArn { account, .. } => Some(*account),
            Self::Id(_) | Self::Alias(_) => None,
        }
    }
}

/// The text names no key; its message is KMS's own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeyRef {
    /// Neither an id, an alias nor an ARN.
    #[error("Invalid keyId '{0}'")]
    KeyId(Box<str>),
    /// An ARN of this region whose last part is no key id.
    #[error("Invalid keyId {0}")]
    KeyIdInArn(Box<str>),
    /// An ARN of another region (then KMS names that region alone), another service or none.
    #[error("Invalid arn {0}")]
    Arn(Box<str>),
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";

    fn parse(text: &str) -> Result<KeyRef<'_>, String> {
        KeyRef::parse(text, &"us-east-1".parse().unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn all_four_forms_are_read() {
        let (id, account) = (ID.parse().unwrap(), "444455556666".parse().unwrap());
        assert_eq!(parse(ID), Ok(KeyRef::Id(id)));
        let text = format!("arn:aws:kms:us-east-1:444455556666:key/{ID}");
        assert_eq!(parse(&text), Ok(KeyRef::Arn { account, id, text: &text }));
        let region = "us-east-1".parse().unwrap();
        assert_eq!(parse(&text).unwrap().key_arn(&region), Some(KeyArn::new(&region, account, id)));
        assert_eq!(parse(ID).unwrap().key_arn(&region), None);
        assert_eq!(parse("alias/x").unwrap().alias_name(), Some("alias/x"));
        let alias = parse("arn:aws:kms:us-east-1:444455556666:alias/x").unwrap();
        assert_eq!((alias.alias_name(), alias.account()), (Some("alias/x"), Some(account)));
    }

    #[test]
    fn each_failure_has_the_text_of_kms() {
        for (text, message) in [
            ("foo", "Invalid keyId 'foo'"),
            ("mrk-fake-key-id", "Invalid keyId 'mrk-fake-key-id'"),
            ("1234abcd12ab34cd56ef1234567890ab", "Invalid keyId '1234abcd12ab34cd56ef1234567890ab'"),
            ("Alias/x", "Invalid keyId 'Alias/x'"),
            ("arn:aws:kms:us-east-1:111122223333:key/foo", "Invalid keyId foo"),
            ("arn:aws:kms:us-east-1:111122223333:key/", "Invalid keyId "),
            ("arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab", "Invalid arn us-west-2"),
            ("arn:aws:kms:us-west-2:111122223333:alias/x", "Invalid arn us-west-2"),
            ("arn:aws-cn:kms:us-east-1:111122223333:alias/x", "Invalid arn aws-cn"),
            ("arn:aws:s3:us-east-1:111122223333:alias/x", "Invalid arn arn:aws:s3:us-east-1:111122223333:alias/x"),
            ("arn:aws:kms", "Invalid arn arn:aws:kms"),
            ("arn:aws:kms:us-east-1:1:alias/x", "Invalid arn arn:aws:kms:us-east-1:1:alias/x"),
        ] {
            assert_eq!(parse(text), Err(message.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_key_id_in_an_arn_needs_its_prefix() {
        let text = format!("arn:aws:kms:us-east-1:111122223333:{ID}");
        assert_eq!(parse(&text), Err(format!("Invalid keyId {ID}")));
    }
}
