//! The ciphertext blob of the local backend: its layout, and reading it without any secret.
//!
//! ```text
//! offset    bytes
//! 0         4      magic "KGW1"; blobs of AWS begin with 01 or 0a
//! 4         1      version, 1
//! 5         1      algorithm, 1: KBKDF-HMAC-SHA-256, then AES-256-GCM
//! 6         2      length a of the key ARN, most significant byte first
//! 8         a      key ARN, UTF-8
//! 8 + a     32     key material id
//! 40 + a    16     key tag: by which the store knows its own blobs ([`key_tag`](super::key_tag))
//! 56 + a    16     N, random: the message's key is derived from it
//! 72 + a    12     IV, random
//! 84 + a    32     commitment to the key material (below)
//! 116 + a   n      ciphertext, as long as the plaintext
//! 116+a+n   16     tag
//! ```
//!
//! One derivation of 64 bytes (L = 512, label `kmsgate/v1/message`, context N | key material id) gives the AES key,
//! its first half, and the commitment, its second. AES-GCM alone does not commit to a key: without the commitment
//! one ciphertext could be made to open under two. The first 116 + a bytes, the header, are additional data.
//!
//! How long a plaintext may be is the request model's to bound: a blob that was made is always one that is read.

use std::sync::Arc;

use super::gcm::{IV_BYTES, TAG_BYTES};
use super::key_tag::{KEY_TAG_BYTES, KeyTagger};
use crate::aws::{KeyArn, KeyMaterialId};

const MAGIC: [u8; 4] = *b"KGW1";
const VERSION: u8 = 1;
const ALGORITHM: u8 = 1;
/// Of a header, without the key ARN.
const FIXED_BYTES: usize = 116;

/// Length of N.
pub(super) const N_BYTES: usize = 16;
/// Length of the commitment.
pub(super) const COMMITMENT_BYTES: usize = 32;

/// A blob of the right form. Nothing in it is authentic until [`open`](super::message::open) has opened it.
#[derive(Debug)]
pub(super) struct Blob<'a> {
    key_arn: KeyArn,
    material_id: KeyMaterialId,
    pub(super) key_tag: &'a [u8; KEY_TAG_BYTES],
    pub(super) n: &'a [u8; N_BYTES],
    pub(super) iv: &'a [u8; IV_BYTES],
    pub(super) commitment: &'a [u8; COMMITMENT_BYTES],
    /// All that stands before the ciphertext.
    pub(super) header: &'a [u8],
    /// Ciphertext and tag.
    pub(super) sealed: &'a [u8],
}

impl<'a> Blob<'a> {
    /// Reads a blob.
    ///
    /// # Errors
    ///
    /// [`InvalidBlob`] if the bytes do not have the form of one.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, InvalidBlob> {
        Self::read(bytes).ok_or(InvalidBlob)
    }

    fn read(bytes: &'a [u8]) -> Option<Self> {
        let (magic, rest) = bytes.split_first_chunk()?;
        let ([version, algorithm], rest) = rest.split_first_chunk()?;
        if (*magic, *version, *algorithm) != (MAGIC, VERSION, ALGORITHM) {
            return None;
        }
        let (arn_length, rest) = rest.split_first_chunk()?;
        let (arn, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*arn_length)))?;
        let (material_id, rest) = rest.split_first_chunk()?;
        let (key_tag, rest) = rest.split_first_chunk()?;
        let (n, rest) = rest.split_first_chunk()?;
        let (iv, rest) = rest.split_first_chunk()?;
        let (commitment, sealed) = rest.split_first_chunk()?;
        Some(Self {
            key_arn: std::str::from_utf8(arn).ok()?.parse().ok()?,
            material_id: KeyMaterialId::from_bytes(*material_id),
            key_tag,
            n,
            iv,
            commitment,
            header: bytes.get(..FIXED_BYTES + arn.len())?,
            sealed: (sealed.len() >= TAG_BYTES).then_some(sealed)?,
        })
    }

    /// The key that the blob says it was made with.
    #[must_use]
    pub(super) const fn key_arn(&self) -> &KeyArn {
        &self.key_arn
    }

    /// The version of that key's material.
    #[must_use]
    pub(super) const fn material_id(&self) -> KeyMaterialId {
        self.material_id
    }
}

/// What all blobs of one key and material begin with: magic to key tag. The parts that all keys share, and the
/// material id, are not kept: there may be a hundred thousand keys.
pub(super) struct Prefix {
    key_arn: Arc<str>,
    key_tag: [u8; KEY_TAG_BYTES],
}

impl Prefix {
    pub(super) fn new(key_arn: &KeyArn, material_id: KeyMaterialId, tagger: &KeyTagger) -> Self {
        Self { key_arn: key_arn.into(), key_tag: tagger.tag(key_arn, material_id) }
    }

    pub(super) fn length(&self) -> usize {
        FIXED_BYTES - N_BYTES - IV_BYTES - COMMITMENT_BYTES + self.key_arn.len()
    }

    pub(super) fn write(&self, material_id: KeyMaterialId, blob: &mut Vec<u8>) {
        // A key ARN is shorter than 200 bytes: a region and an account have bounds of their own.
        let arn_length = u16::try_from(self.key_arn.len()).unwrap_or(u16::MAX);
        blob.extend_from_slice(&MAGIC);
        blob.extend_from_slice(&[VERSION, ALGORITHM]);
        blob.extend_from_slice(&arn_length.to_be_bytes());
        blob.extend_from_slice(self.key_arn.as_bytes());
        blob.extend_from_slice(material_id.as_bytes());
        blob.extend_from_slice(&self.key_tag);
    }
}

/// A blob does not open, for whatever reason: a reason would tell a forger how far it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the ciphertext is not one of this key and encryption context")]
pub(super) struct InvalidBlob;

#[cfg(test)]
mod tests {
    use super::super::golden::golden;
    use super::*;

    #[test]
    fn a_blob_names_its_key_and_material_without_a_secret() {
        let golden = golden();
        for vector in &golden.blobs {
            let bytes = hex::decode(&vector.bytes).unwrap();
            let blob = Blob::parse(&bytes).unwrap();
            assert_eq!((blob.key_arn(), blob.material_id()), (&golden.key_arn(), golden.material_id()));
            assert_eq!((blob.n, blob.iv), (&golden.n(), &golden.iv()));
            assert_eq!(hex::encode(blob.commitment), vector.commitment);
            assert_eq!([blob.header, blob.sealed].concat(), bytes);
        }
    }

    #[test]
    fn another_magic_version_or_algorithm_is_no_blob() {
        let bytes = hex::decode(&golden().blobs[0].bytes).unwrap();
        for at in 0..6 {
            let mut other = bytes.clone();
            other[at] ^= 3;
            assert_eq!(Blob::parse(&other).unwrap_err(), InvalidBlob, "byte {at}");
        }
    }

    #[test]
    fn a_key_arn_of_another_form_or_length_is_no_blob() {
        let golden = golden();
        let bytes = hex::decode(&golden.blobs[0].bytes).unwrap();
        let with_arn = |length: u16, arn: &[u8]| {
            [&bytes[..6], &length.to_be_bytes(), arn, &bytes[8 + golden.key_arn.len()..]].concat()
        };
        let arn = golden.key_arn.as_bytes();
        let length = u16::try_from(arn.len()).unwrap();
        assert_eq!(with_arn(length, arn), bytes);
        let alias = b"arn:aws:kms:eu-central-1:111122223333:alias/a";
        for (length, arn) in [
            (length - 1, arn),
            (length + 1, arn),
            (0, &[][..]),
            (u16::MAX, arn),
            (45, &alias[..]),
            (3, b"\xff\xff\xff"),
        ] {
            assert_eq!(Blob::parse(&with_arn(length, arn)).unwrap_err(), InvalidBlob);
        }
    }

    #[test]
    fn what_is_shorter_than_a_header_and_a_tag_is_no_blob() {
        let golden = golden();
        let bytes = hex::decode(&golden.blobs[0].bytes).unwrap();
        let least = FIXED_BYTES + golden.key_arn.len() + TAG_BYTES;
        for length in 0..least {
            assert_eq!(Blob::parse(&bytes[..length]).unwrap_err(), InvalidBlob, "{length} bytes");
        }
        assert!(Blob::parse(&bytes[..least]).is_ok());
    }
}
