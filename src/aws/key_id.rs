//! Key ids, key ARNs and key material ids.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::digest_id::digest_id;
use super::{AccountId, Arn, Region};

const KEY_ID_LENGTH: usize = 36;
const MULTI_REGION_PREFIX: &[u8] = b"mrk-";

/// The id of a KMS key: a UUID, or `mrk-` and 32 small hexadecimal digits for a multi-Region key.
///
/// The case of a UUID's digits is kept as given: keys are compared byte for byte.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; KEY_ID_LENGTH]);

impl KeyId {
    /// The 36 characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Whether this is the id of a multi-Region key.
    #[must_use]
    pub fn multi_region(&self) -> bool {
        self.0.starts_with(MULTI_REGION_PREFIX)
    }
}

impl FromStr for KeyId {
    type Err = InvalidKeyId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes: [u8; KEY_ID_LENGTH] = text.as_bytes().try_into().map_err(|_| InvalidKeyId)?;
        let fits = match bytes.strip_prefix(MULTI_REGION_PREFIX) {
            Some(digits) => digits.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')),
            None => bytes.iter().enumerate().all(|(at, byte)| match at {
                8 | 13 | 18 | 23 => *byte == b'-',
                _ => byte.is_ascii_hexdigit(),
            }),
        };
        if fits { Ok(Self(bytes)) } else { Err(InvalidKeyId) }
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is no key id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key id is a UUID, or `mrk-` and 32 small hexadecimal digits")]
pub struct InvalidKeyId;

/// The ARN of a KMS key: `arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyArn {
    text: Arc<str>,
    region: Region,
    account: AccountId,
}

impl KeyArn {
    /// The ARN of the key `id` in that region and account.
    #[must_use]
    pub fn new(region: &Region, account: AccountId, id: KeyId) -> Self {
        let text = format!("arn:{}:kms:{region}:{account}:key/{id}", region.partition().as_str());
        Self { text: text.into(), region: region.clone(), account }
    }

    /// The same, where its text is at hand: what [`KeyRef`](super::KeyRef) has read as such an ARN.
    pub(super) fn written(text: &str, region: &Region, account: AccountId) -> Self {
        Self { text: text.into(), region: region.clone(), account }
    }

    /// The ARN as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The key's region.
    #[must_use]
    pub const fn region(&self) -> &Region {
        &self.region
    }

    /// The account that owns the key.
    #[must_use]
    pub const fn account(&self) -> AccountId {
        self.account
    }

    /// The key's id.
    #[must_use]
    pub fn id(&self) -> KeyId {
        // Every text here ends with an id: it was made of one, or read as one.
        KeyId(self.text.as_bytes().last_chunk().copied().unwrap_or([b'-'; KEY_ID_LENGTH]))
    }
}

/// The text, shared with the ARN.
impl From<&KeyArn> for Arc<str> {
    fn from(arn: &KeyArn) -> Self {
        Self::clone(&arn.text)
    }
}

impl FromStr for KeyArn {
    type Err = InvalidKeyArn;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let arn = Arn::parse(text).map_err(|_| InvalidKeyArn)?;
        let id = arn.resource.strip_prefix("key/").ok_or(InvalidKeyArn)?;
        let region: Region = arn.region.parse().map_err(|_| InvalidKeyArn)?;
        if arn.service != "kms" || arn.partition != region.partition().as_str() {
            return Err(InvalidKeyArn);
        }
        id.parse::<KeyId>().map_err(|_| InvalidKeyArn)?;
        let account = arn.account.parse().map_err(|_| InvalidKeyArn)?;
        Ok(Self { text: text.into(), region, account })
    }
}

impl fmt::Display for KeyArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The text is no key ARN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key ARN has the form arn:partition:kms:region:account:key/id")]
pub struct InvalidKeyArn;

digest_id! {
    /// The id of one version of a key's material: 64 small hexadecimal digits.
    KeyMaterialId, KeyMaterialHex, InvalidKeyMaterialId, "key material id"
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";
    const MATERIAL: &str = "0b7fd7ddbac6eef27907413567cad8c810e2883dc8a7534067a82ee1142fc1e6";

    #[test]
    fn both_forms_of_key_ids_are_read() {
        let id: KeyId = ID.parse().unwrap();
        assert_eq!((id.as_str(), id.multi_region()), (ID, false));
        let id: KeyId = "mrk-1234abcd12ab34cd56ef1234567890ab".parse().unwrap();
        assert!(id.multi_region());
        assert!("1234ABCD-12AB-34CD-56EF-1234567890AB".parse::<KeyId>().is_ok());
    }

    #[test]
    fn what_is_no_key_id_is_refused() {
        for text in [
            "",
            "foo",
            "1234abcd12ab34cd56ef1234567890ab",
            "1234abcd-12ab-34cd-56ef-1234567890a",
            "1234abcd-12ab-34cd-56ef-1234567890abc",
            "1234abcd-12ab-34cd-56ef-1234567890ag",
            "1234abcd012ab-34cd-56ef-1234567890ab",
            "mrk-1234ABCD12ab34cd56ef1234567890ab",
            "mrk-fake-key-id",
            "MRK-1234abcd12ab34cd56ef1234567890ab",
        ] {
            assert_eq!(text.parse::<KeyId>(), Err(InvalidKeyId), "{text}");
        }
    }

    #[test]
    fn a_key_arn_is_made_and_read_alike() {
        let text = format!("arn:aws-cn:kms:cn-north-1:111122223333:key/{ID}");
        let region: Region = "cn-north-1".parse().unwrap();
        let made = KeyArn::new(&region, "111122223333".parse().unwrap(), ID.parse().unwrap());
        assert_eq!(made.as_str(), text);
        assert_eq!(text.parse::<KeyArn>(), Ok(made));
    }

    #[test]
    fn what_is_no_key_arn_is_refused() {
        for text in [
            ID.to_owned(),
            format!("arn:aws:kms:cn-north-1:111122223333:key/{ID}"),
            format!("arn:aws:s3:us-east-1:111122223333:key/{ID}"),
            format!("arn:aws:kms:us-east-1:1:key/{ID}"),
            format!("arn:aws:kms::111122223333:key/{ID}"),
            format!("arn:aws:kms:us-east-1:111122223333:key/{ID}/"),
            "arn:aws:kms:us-east-1:111122223333:alias/x".to_owned(),
        ] {
            assert_eq!(text.parse::<KeyArn>(), Err(InvalidKeyArn), "{text}");
        }
    }

    #[test]
    fn a_key_material_id_is_64_small_digits() {
        let id: KeyMaterialId = MATERIAL.parse().unwrap();
        assert_eq!(id.to_string(), MATERIAL);
        assert_eq!(id.as_bytes()[..3], [0x0b, 0x7f, 0xd7]);
        assert!(MATERIAL.to_uppercase().parse::<KeyMaterialId>().is_err());
        assert!(MATERIAL.trim_start_matches('0').parse::<KeyMaterialId>().is_err());
    }
}
