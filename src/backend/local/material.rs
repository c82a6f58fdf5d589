//! Key material: the secret of one version of a key, and its wrapped form, which the store holds.
//!
//! ```text
//! offset  bytes
//! 0       1      version, 1
//! 1       1      algorithm, 1: AES-256-GCM under the root key's wrapping key
//! 2       12     IV, random: of 2^32 wrapped under one root key, two share one with probability 2^-32
//! 14      32     ciphertext
//! 46      16     tag
//! ```
//!
//! The additional data is, each with its length in 4 bytes before it: `kmsgate/v1/key-material`, version and
//! algorithm, store id, key ARN, key material id, origin, and the microseconds of its creation in 8 bytes. Material
//! that was moved to another key, or given another origin or date, does not open.

use aws_lc_rs::digest;
use aws_sdk_kms::types::OriginType;

use super::gcm::{self, IV_BYTES, TAG_BYTES};
use super::kdf::{self, Label};
use super::root_key::WrappingKey;
use super::store_id::StoreId;
use crate::aws::{KeyArn, KeyId, KeyMaterialId};
use crate::clock::Timestamp;
use crate::random::{self, Exhausted};
use crate::secret::Secret;

const VERSION: u8 = 1;
const ALGORITHM: u8 = 1;
const PREFIX_BYTES: usize = 2 + IV_BYTES;
pub(super) const SECRET_BYTES: usize = 32;
/// Length of wrapped key material.
pub(super) const WRAPPED_BYTES: usize = PREFIX_BYTES + SECRET_BYTES + TAG_BYTES;

const WRAP_TAG: &[u8] = b"kmsgate/v1/key-material";
const ID_TAG: &[u8] = b"kmsgate/v1/key-material-id";

/// 256 bits from which the keys of messages are derived.
#[derive(Debug)]
pub(super) struct KeyMaterial {
    id: KeyMaterialId,
    secret: Secret<[u8; SECRET_BYTES]>,
}

/// What wrapped key material is bound to, beside its id.
#[derive(Clone, Copy, Debug)]
pub(super) struct Binding<'a> {
    /// The store it is in.
    pub store: &'a StoreId,
    /// The key it belongs to.
    pub key_arn: &'a KeyArn,
    /// Where it came from.
    pub origin: &'a OriginType,
    /// When it was made.
    pub created: Timestamp,
}

impl KeyMaterial {
    /// New material with a new id. The id is the hash of other random bytes: it says nothing about the secret.
    ///
    /// # Errors
    ///
    /// [`Exhausted`] if there are no random bytes.
    pub(super) fn generate() -> Result<Self, Exhausted> {
        let mut hash = digest::Context::new(&digest::SHA256);
        hash.update(ID_TAG);
        hash.update(&random::bytes::<32>()?);
        let mut id = [0; 32];
        id.copy_from_slice(hash.finish().as_ref());
        let mut material = Self { id: KeyMaterialId::from_bytes(id), secret: Secret::new([0; SECRET_BYTES]) };
        random::fill(material.secret.expose_mut())?;
        Ok(material)
    }

    /// Material that was imported into that key. The same secret has the same id whenever it is imported into the key
    /// again, in every region and in every store, so that it is known again when it was deleted. The id is derived from
    /// the secret alone (label `kmsgate/v1/imported-material-id`, context the account's digits and the key's id): like
    /// a ciphertext it lets a guess be tried, and says nothing of 256 random bits.
    pub(super) fn imported(key: &KeyArn, secret: &[u8; SECRET_BYTES]) -> Self {
        let mut id = [0; 32];
        let context = format!("{}{}", key.account(), key.id());
        kdf::derive(secret, Label::ImportedMaterialId, context.as_bytes(), &mut id);
        Self::from_parts(KeyMaterialId::from_bytes(id), secret)
    }

    /// Material that a file of seeds gives to the key `id`. Its id follows from both, so that it is the same wherever
    /// the file is read, and says nothing about the secret.
    pub(super) fn seeded(id: KeyId, secret: &[u8; SECRET_BYTES]) -> Self {
        let mut material = [0; 32];
        kdf::derive(secret, Label::SeededMaterialId, id.as_str().as_bytes(), &mut material);
        Self::from_parts(KeyMaterialId::from_bytes(material), secret)
    }

    /// The secret is taken by reference, for the caller to wipe: each move of an array may leave a copy behind.
    pub(super) fn from_parts(id: KeyMaterialId, secret: &[u8; SECRET_BYTES]) -> Self {
        Self { id, secret: Secret::new(*secret) }
    }

    /// Its id, which every blob made with it names.
    #[must_use]
    pub(super) const fn id(&self) -> KeyMaterialId {
        self.id
    }

    pub(super) const fn secret(&self) -> &[u8; SECRET_BYTES] {
        self.secret.expose()
    }

    /// The form in which the store keeps it.
    ///
    /// # Errors
    ///
    /// [`Exhausted`] if there are no random bytes.
    pub(super) fn wrap(&self, key: &WrappingKey, binding: &Binding<'_>) -> Result<[u8; WRAPPED_BYTES], Exhausted> {
        Ok(self.wrap_with(&random::bytes()?, key, binding))
    }

    fn wrap_with(&self, iv: &[u8; IV_BYTES], key: &WrappingKey, binding: &Binding<'_>) -> [u8; WRAPPED_BYTES] {
        let mut wrapped = [0; WRAPPED_BYTES];
        let (prefix, room) = wrapped.split_at_mut(PREFIX_BYTES);
        let (versions, iv_place) = prefix.split_at_mut(2);
        let (secret, _) = room.split_at_mut(SECRET_BYTES);
        versions.copy_from_slice(&[VERSION, ALGORITHM]);
        iv_place.copy_from_slice(iv);
        secret.copy_from_slice(self.secret());
        gcm::seal(key.expose(), iv, &binding.additional_data(self.id), room);
        wrapped
    }

    /// Opens wrapped material.
    ///
    /// # Errors
    ///
    /// [`InvalidWrapping`] if it was wrapped with another root key, id or binding, or is changed in any bit.
    pub(super) fn unwrap(
        wrapped: &[u8],
        id: KeyMaterialId,
        key: &WrappingKey,
        binding: &Binding<'_>,
    ) -> Result<Self, InvalidWrapping> {
        let wrapped: &[u8; WRAPPED_BYTES] = wrapped.try_into().map_err(|_| InvalidWrapping)?;
        let (versions, rest) = wrapped.split_first_chunk::<2>().ok_or(InvalidWrapping)?;
        let (iv, sealed) = rest.split_first_chunk().ok_or(InvalidWrapping)?;
        if *versions != [VERSION, ALGORITHM] {
            return Err(InvalidWrapping);
        }
        let mut text = Secret::new([0; SECRET_BYTES + TAG_BYTES]);
        text.expose_mut().copy_from_slice(sealed);
        let opened = gcm::open(key.expose(), iv, &binding.additional_data(id), text.expose_mut());
        let secret: &mut [u8; SECRET_BYTES] = opened.ok_or(InvalidWrapping)?.try_into().map_err(|_| InvalidWrapping)?;
        Ok(Self::from_parts(id, secret))
    }
}

impl Binding<'_> {
    fn additional_data(&self, id: KeyMaterialId) -> Vec<u8> {
        let fields: [&[u8]; 7] = [
            WRAP_TAG,
            &[VERSION, ALGORITHM],
            self.store.as_bytes(),
            self.key_arn.as_str().as_bytes(),
            id.as_bytes(),
            self.origin.as_str().as_bytes(),
            &self.created.unix_micros().to_be_bytes(),
        ];
        let mut aad = Vec::with_capacity(256);
        for field in fields {
            // No field reaches 4 GiB: the longest is a key ARN.
            aad.extend_from_slice(&u32::try_from(field.len()).unwrap_or(u32::MAX).to_be_bytes());
            aad.extend_from_slice(field);
        }
        aad
    }
}

/// Wrapped key material does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the wrapped key material is not of this key, store and root key, or was edited")]
pub(super) struct InvalidWrapping;

#[cfg(test)]
mod tests {
    use super::super::golden::golden;
    use super::super::root_key::RootKey;
    use super::*;

    const CREATED: Timestamp = Timestamp::from_unix_micros(1_440_938_160_123_456);

    #[test]
    fn wrapped_material_is_that_of_an_independent_implementation() {
        let golden = golden();
        let (key, key_arn, store) = (golden.root_key().wrapping_key(), golden.key_arn(), golden.store_id());
        let origin = OriginType::from(golden.wrap.origin.as_str());
        let created = Timestamp::from_unix_micros(golden.wrap.created_micros);
        let binding = Binding { store: &store, key_arn: &key_arn, origin: &origin, created };
        let wrapped = golden.material().wrap_with(&golden.iv(), &key, &binding);
        assert_eq!(hex::encode(wrapped), golden.wrap.wrapped);
        let material = KeyMaterial::unwrap(&wrapped, golden.material_id(), &key, &binding).unwrap();
        assert_eq!(material.secret(), &golden.secret());
    }

    #[test]
    fn material_opens_under_its_own_binding_only() {
        let golden = golden();
        let (key, key_arn, store) = (golden.root_key().wrapping_key(), golden.key_arn(), golden.store_id());
        let binding = Binding { store: &store, key_arn: &key_arn, origin: &OriginType::AwsKms, created: CREATED };
        let material = KeyMaterial::generate().unwrap();
        let wrapped = material.wrap(&key, &binding).unwrap();
        let opens = |id, key, binding| KeyMaterial::unwrap(&wrapped, id, key, &binding).is_ok();
        assert!(opens(material.id(), &key, binding));

        let other_arn = golden.key_arn.replace("1234abcd", "1234abce").parse().unwrap();
        let other_store = StoreId::from_bytes([0; 16]);
        let other_key = RootKey::from_text("kmsgate-root-key-v1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
        let other_key = other_key.unwrap().wrapping_key();
        assert!(!opens(golden.material_id(), &key, binding));
        assert!(!opens(material.id(), &other_key, binding));
        assert!(!opens(material.id(), &key, Binding { store: &other_store, ..binding }));
        assert!(!opens(material.id(), &key, Binding { key_arn: &other_arn, ..binding }));
        assert!(!opens(material.id(), &key, Binding { origin: &OriginType::External, ..binding }));
        assert!(!opens(material.id(), &key, Binding { created: Timestamp::from_unix_micros(1), ..binding }));
    }

    #[test]
    fn wrapped_material_changed_in_any_bit_or_length_does_not_open() {
        let golden = golden();
        let (key, key_arn, store) = (golden.root_key().wrapping_key(), golden.key_arn(), golden.store_id());
        let binding = Binding { store: &store, key_arn: &key_arn, origin: &OriginType::AwsKms, created: CREATED };
        let wrapped = golden.material().wrap(&key, &binding).unwrap();
        let opens = |bytes: &[u8]| KeyMaterial::unwrap(bytes, golden.material_id(), &key, &binding).is_ok();
        assert!(opens(&wrapped));
        for bit in 0..wrapped.len() * 8 {
            let mut flipped = wrapped;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(!opens(&flipped), "bit {bit}");
        }
        for length in 0..wrapped.len() {
            assert!(!opens(&wrapped[..length]), "{length} bytes");
        }
        assert!(!opens(&[&wrapped[..], &[0]].concat()));
    }

    #[test]
    fn the_id_of_imported_material_is_that_of_an_independent_implementation() {
        let golden = golden();
        let material = KeyMaterial::imported(&golden.key_arn(), &golden.secret());
        assert_eq!(material.id().to_string(), golden.imported_material_id);
        assert_eq!(material.secret(), &golden.secret());
    }

    #[test]
    fn imported_material_has_an_id_of_its_own_under_each_key_but_not_in_each_region() {
        let id = |arn: &str| KeyMaterial::imported(&arn.parse().unwrap(), &[7; SECRET_BYTES]).id();
        let arn = "arn:aws:kms:us-east-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab";
        assert_eq!(id(arn), id(&arn.replace("us-east-1", "eu-west-1")));
        assert_ne!(id(arn), id(&arn.replace("1111", "2222")));
        assert_ne!(id(arn), id(&arn.replace("1234abcd", "1234abce")));
    }

    #[test]
    fn the_id_of_material_that_is_given_follows_from_it_and_its_key() {
        let golden = golden();
        let seeded = KeyMaterial::seeded(golden.key_arn().id(), &golden.secret());
        assert_eq!(seeded.id().to_string(), golden.seeded_material_id);
        assert_eq!(seeded.secret(), &golden.secret());
        let other = "1234abcd-12ab-34cd-56ef-1234567890ac".parse().unwrap();
        assert_ne!(KeyMaterial::seeded(other, &golden.secret()).id(), seeded.id());
    }

    #[test]
    fn material_is_new_each_time_and_does_not_print() {
        let (one, other) = (KeyMaterial::generate().unwrap(), KeyMaterial::generate().unwrap());
        assert_ne!(one.id(), other.id());
        assert_ne!(one.secret(), other.secret());
        assert!(format!("{one:?}").contains("[secret]"));
    }
}
