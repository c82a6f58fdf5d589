//! Sealing a plaintext under key material, and opening what was sealed. The layout is in [`blob`](super::blob).
//!
//! The additional data of AES-GCM is `header | "kmsgate/v1/encryption-context" | canonical encryption context`. The
//! header says its own length, so that no other header and context give the same bytes.

use super::blob::{Blob, COMMITMENT_BYTES, InvalidBlob, N_BYTES, Prefix};
use super::gcm::{self, IV_BYTES, TAG_BYTES};
use super::kdf::{self, Label};
use super::key_tag::KeyTagger;
use super::material::KeyMaterial;
use crate::aws::{EncryptionContext, KeyArn};
use crate::random::{self, Exhausted};
use crate::secret::{Secret, same};

const CONTEXT_TAG: &[u8] = b"kmsgate/v1/encryption-context";

/// Opens a blob. That the blob's key is the one `material` belongs to is for the caller to look up, and for the
/// tag to confirm.
///
/// # Errors
///
/// [`InvalidBlob`] if any bit of the blob, the material or the context is another than when it was sealed.
pub(super) fn open(
    blob: &Blob<'_>,
    material: &KeyMaterial,
    context: &EncryptionContext,
) -> Result<Secret<Vec<u8>>, InvalidBlob> {
    if blob.material_id() != material.id() {
        return Err(InvalidBlob);
    }
    let keys = MessageKeys::derive(material, blob.n);
    if !same(keys.commitment(), blob.commitment) {
        return Err(InvalidBlob);
    }
    let aad = additional_data(blob.header, context);
    let mut text = Secret::new(blob.sealed.to_vec());
    let length = gcm::open(keys.aes(), blob.iv, &aad, text.expose_mut()).ok_or(InvalidBlob)?.len();
    text.expose_mut().truncate(length);
    Ok(text)
}

/// Seals under one key and its material.
pub(super) struct Sealer {
    prefix: Prefix,
    material: KeyMaterial,
}

impl Sealer {
    /// Seals under `material`, which is that of the key.
    #[must_use]
    pub(super) fn new(key_arn: &KeyArn, material: KeyMaterial, tagger: &KeyTagger) -> Self {
        Self { prefix: Prefix::new(key_arn, material.id(), tagger), material }
    }

    /// What it seals under.
    #[must_use]
    pub(super) const fn material(&self) -> &KeyMaterial {
        &self.material
    }

    /// Seals `plaintext`.
    ///
    /// # Errors
    ///
    /// [`Exhausted`] if there are no random bytes.
    pub(super) fn seal(&self, context: &EncryptionContext, plaintext: &[u8]) -> Result<Vec<u8>, Exhausted> {
        let copy = |room: &mut [u8]| {
            room.copy_from_slice(plaintext);
            Ok(())
        };
        self.seal_with(&Fresh::draw()?, context, plaintext.len(), copy)
    }

    /// Seals `length` random bytes that are never anywhere else: they are drawn into the place where they are then
    /// encrypted.
    ///
    /// # Errors
    ///
    /// [`Exhausted`] if there are no random bytes.
    pub(super) fn seal_random(&self, context: &EncryptionContext, length: usize) -> Result<Vec<u8>, Exhausted> {
        self.seal_with(&Fresh::draw()?, context, length, random::fill)
    }

    /// Seals the `length` bytes that `write` puts into their place. The one allocation has the blob's exact size.
    fn seal_with(
        &self,
        Fresh { n, iv }: &Fresh,
        context: &EncryptionContext,
        length: usize,
        write: impl FnOnce(&mut [u8]) -> Result<(), Exhausted>,
    ) -> Result<Vec<u8>, Exhausted> {
        let keys = MessageKeys::derive(&self.material, n);
        let own: [&[u8]; 3] = [n, iv, keys.commitment()];
        let header_length = own.iter().fold(self.prefix.length(), |length, part| length + part.len());
        let size = header_length + length + TAG_BYTES;
        let mut blob = Vec::with_capacity(size);
        self.prefix.write(self.material.id(), &mut blob);
        for part in own {
            blob.extend_from_slice(part);
        }
        let aad = additional_data(&blob, context);
        blob.resize(size, 0);
        let (_, room) = blob.split_at_mut(header_length);
        let (text, _) = room.split_at_mut(length);
        write(text)?;
        gcm::seal(keys.aes(), iv, &aad, room);
        Ok(blob)
    }
}

/// What no two messages share.
struct Fresh {
    n: [u8; N_BYTES],
    iv: [u8; IV_BYTES],
}

impl Fresh {
    fn draw() -> Result<Self, Exhausted> {
        Ok(Self { n: random::bytes()?, iv: random::bytes()? })
    }
}

/// Both keys of one message: AES key and commitment.
struct MessageKeys(Secret<[[u8; 32]; 2]>);

impl MessageKeys {
    fn derive(material: &KeyMaterial, n: &[u8; N_BYTES]) -> Self {
        let mut context = [0; N_BYTES + 32];
        let (left, right) = context.split_at_mut(N_BYTES);
        left.copy_from_slice(n);
        right.copy_from_slice(material.id().as_bytes());
        let mut keys = Self(Secret::new([[0; 32]; 2]));
        kdf::derive(material.secret(), Label::Message, &context, keys.0.expose_mut().as_flattened_mut());
        keys
    }

    const fn aes(&self) -> &[u8; 32] {
        &self.0.expose()[0]
    }

    const fn commitment(&self) -> &[u8; COMMITMENT_BYTES] {
        &self.0.expose()[1]
    }
}

fn additional_data(header: &[u8], context: &EncryptionContext) -> Vec<u8> {
    let mut aad = Vec::with_capacity(header.len() + CONTEXT_TAG.len() + context.canonical_length());
    aad.extend_from_slice(header);
    aad.extend_from_slice(CONTEXT_TAG);
    context.write_canonical(&mut aad);
    aad
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::golden::{Golden, golden};
    use super::*;
    use crate::aws::KeyMaterialId;

    /// KMS's bounds of a plaintext and of a ciphertext blob.
    const MAX_PLAINTEXT: usize = 4096;
    const MAX_BLOB: usize = 6144;

    fn context(pairs: &[(&str, &str)]) -> EncryptionContext {
        EncryptionContext::from_pairs(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()).unwrap()
    }

    fn open_bytes(bytes: &[u8], material: &KeyMaterial, context: &EncryptionContext) -> Result<Vec<u8>, InvalidBlob> {
        open(&Blob::parse(bytes)?, material, context).map(|text| text.expose().clone())
    }

    fn prefix(sealer: &Sealer) -> Vec<u8> {
        let mut blob = Vec::new();
        sealer.prefix.write(sealer.material.id(), &mut blob);
        assert_eq!(blob.len(), sealer.prefix.length());
        blob
    }

    fn sealed(golden: &Golden, pairs: &[(&str, &str)]) -> Vec<u8> {
        golden.sealer().seal(&context(pairs), b"any plaintext").unwrap()
    }

    #[test]
    fn blobs_are_those_of_an_independent_implementation() {
        let golden = golden();
        let (material, sealer) = (golden.material(), golden.sealer());
        for vector in &golden.blobs {
            let (context, plaintext) = (vector.context(), hex::decode(&vector.plaintext).unwrap());
            let fresh = Fresh { n: golden.n(), iv: golden.iv() };
            let copy = |room: &mut [u8]| {
                room.copy_from_slice(&plaintext);
                Ok(())
            };
            let keys = MessageKeys::derive(&material, &fresh.n);
            assert_eq!(hex::encode(keys.commitment()), vector.commitment);
            let blob = sealer.seal_with(&fresh, &context, plaintext.len(), copy).unwrap();
            let header = Blob::parse(&blob).unwrap().header;
            assert_eq!(hex::encode(additional_data(header, &context)), vector.additional_data);
            assert_eq!(hex::encode(&blob), vector.bytes);
            assert_eq!(open_bytes(&blob, &material, &context).unwrap(), plaintext);
        }
    }

    #[test]
    fn a_blob_opens_under_its_own_context_only() {
        let golden = golden();
        let blob = sealed(&golden, &[("a", "bc")]);
        let opens = |pairs| open_bytes(&blob, &golden.material(), &context(pairs));
        assert_eq!(opens(&[("a", "bc")]).unwrap(), b"any plaintext");
        for other in [&[][..], &[("ab", "c")], &[("a", "b")], &[("A", "bc")], &[("a", "bc"), ("d", "")]] {
            assert_eq!(opens(other), Err(InvalidBlob), "{other:?}");
        }
        assert!(open_bytes(&sealed(&golden, &[]), &golden.material(), &context(&[("", "")])).is_err());
    }

    #[test]
    fn a_blob_with_any_bit_flipped_does_not_open() {
        let golden = golden();
        let (material, pairs) = (golden.material(), context(&[("a", "b")]));
        let blob = sealed(&golden, &[("a", "b")]);
        for bit in 0..blob.len() * 8 {
            let mut flipped = blob.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open_bytes(&flipped, &material, &pairs), Err(InvalidBlob), "bit {bit}");
        }
    }

    #[test]
    fn a_blob_cut_short_or_made_longer_does_not_open() {
        let golden = golden();
        let (material, none) = (golden.material(), EncryptionContext::EMPTY);
        let blob = sealed(&golden, &[]);
        for length in 0..blob.len() {
            assert_eq!(open_bytes(&blob[..length], &material, none), Err(InvalidBlob), "{length} bytes");
        }
        for byte in [0, blob[blob.len() - 1], 0xff] {
            assert_eq!(open_bytes(&[&blob[..], &[byte]].concat(), &material, none), Err(InvalidBlob));
        }
    }

    #[test]
    fn a_blob_does_not_open_under_other_material() {
        let golden = golden();
        let blob = sealed(&golden, &[]);
        let none = EncryptionContext::EMPTY;
        let other_secret = KeyMaterial::from_parts(golden.material_id(), &[0; 32]);
        let other_id = KeyMaterial::from_parts(KeyMaterialId::from_bytes([0; 32]), &golden.secret());
        for other in [other_secret, other_id, KeyMaterial::generate().unwrap()] {
            assert_eq!(open_bytes(&blob, &other, none), Err(InvalidBlob));
        }
    }

    #[test]
    fn a_blob_made_by_hand_does_not_open() {
        let golden = golden();
        let (material, sealer) = (golden.material(), golden.sealer());
        let mut blob = prefix(&sealer);
        blob.extend_from_slice(&[0; N_BYTES + IV_BYTES + COMMITMENT_BYTES + 48]);
        assert!(Blob::parse(&blob).is_ok());
        assert_eq!(open_bytes(&blob, &material, EncryptionContext::EMPTY), Err(InvalidBlob));
    }

    #[test]
    fn a_tag_right_under_the_key_does_not_do_without_the_commitment() {
        let golden = golden();
        let material = golden.material();
        let (n, iv, sealer) = (golden.n(), golden.iv(), golden.sealer());
        let keys = MessageKeys::derive(&material, &n);
        let mut blob = [prefix(&sealer).as_slice(), &n, &iv, &[0; COMMITMENT_BYTES]].concat();
        let aad = additional_data(&blob, EncryptionContext::EMPTY);
        let mut room = [0; 48];
        gcm::seal(keys.aes(), &iv, &aad, &mut room);
        blob.extend_from_slice(&room);
        assert_eq!(open_bytes(&blob, &material, EncryptionContext::EMPTY), Err(InvalidBlob));
    }

    #[test]
    fn two_seals_of_one_plaintext_share_neither_n_nor_iv_nor_ciphertext() {
        let golden = golden();
        let (one, other) = (sealed(&golden, &[]), sealed(&golden, &[]));
        let (one, other) = (Blob::parse(&one).unwrap(), Blob::parse(&other).unwrap());
        assert!(one.n != other.n && one.iv != other.iv && one.commitment != other.commitment);
        assert_ne!(one.sealed, other.sealed);
    }

    #[test]
    fn random_plaintexts_have_the_length_asked_for_and_differ() {
        let golden = golden();
        let (material, sealer, none) = (golden.material(), golden.sealer(), EncryptionContext::EMPTY);
        for length in [1, 16, 32, 1024] {
            let text = || {
                let blob = sealer.seal_random(none, length).unwrap();
                open_bytes(&blob, &material, none).unwrap()
            };
            let (one, other) = (text(), text());
            assert_eq!((one.len(), other.len()), (length, length));
            assert!(length < 16 || one != other);
        }
    }

    #[test]
    fn the_largest_plaintext_of_the_longest_key_arn_fits() {
        let region = format!("us-{}-1", "a".repeat(27)).parse().unwrap();
        let key_arn = KeyArn::new(&region, "111122223333".parse().unwrap(), golden().key_arn().id());
        let blob = Sealer::new(&key_arn, golden().material(), &golden().tagger())
            .seal(EncryptionContext::EMPTY, &[0; MAX_PLAINTEXT])
            .unwrap();
        assert!(blob.len() <= MAX_BLOB, "{} bytes", blob.len());
        assert_eq!(blob.len(), blob.capacity());
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens(
            pairs in proptest::collection::btree_map(".{0,20}", ".{0,20}", 0..5),
            plaintext in proptest::collection::vec(any::<u8>(), 1..=MAX_PLAINTEXT),
        ) {
            let golden = golden();
            let sealer = Sealer::new(&golden.key_arn(), KeyMaterial::generate().unwrap(), &golden.tagger());
            let context = EncryptionContext::from_pairs(pairs.into_iter().collect()).unwrap();
            let blob = sealer.seal(&context, &plaintext).unwrap();
            prop_assert_eq!(open_bytes(&blob, sealer.material(), &context).unwrap(), plaintext);
        }

        #[test]
        fn arbitrary_bytes_are_no_blob(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(Blob::parse(&bytes).is_err());
        }
    }
}
