//! Key tags: how a store knows a ciphertext of a key that it no longer has from one that it never had.
//!
//! A blob names its key. Where that key is not there, KMS tells the owner of a deleted key something else
//! (`AccessDeniedException`) than it tells a forger (`InvalidCiphertextException`). The tag decides which, before any
//! key is known: a MAC over the key's name, the same in all blobs of one key and material, worked out once for each.
//! It protects nothing; what a blob holds is protected by its commitment and its tag of AES-GCM.
//!
//! A key can come from another store (`kmsgate keys import`) or from a file of seeds, and the ciphertexts made there
//! carry the other store's tag. So the tag is not asked whether a ciphertext is opened, only what is said when it is
//! not. With a foreign tag, and no key named in the request:
//!
//! - The key is not here, or none of its versions is the one that the blob names: `InvalidCiphertextException`.
//! - The key and the version are here, but the caller may not use the key: the same, to the byte. The layer that
//!   authorizes judges such a key before all else that could be refused for another reason
//!   ([`Found::hidden`](crate::backend::Found::hidden)); a bad grant token, or `ReEncrypt`'s other permission, would tell.
//! - The caller may use it: it is opened as any other. Was it made by hand, its commitment is wrong, and that is
//!   `InvalidCiphertextException` once more. The key's state comes first as always, to someone who may know it.
//!
//! What is left to a forger is time: a policy is evaluated in the second case, which takes microseconds. To get there
//! the blob must name a version's id, 256 bits that only ciphertexts and descriptions of the key itself tell.
//!
//! Where the request names a key, nothing is found by the blob: a blob of another key is `IncorrectKeyException` with
//! this store's tag and `InvalidCiphertextException` without, so that nobody learns what other keys are here.

use aws_lc_rs::hmac;

use super::blob::Blob;
use crate::aws::{KeyArn, KeyMaterialId};
use crate::secret::same;

/// Length of a key tag: half an HMAC-SHA-256.
pub(super) const KEY_TAG_BYTES: usize = 16;

/// Makes and checks the key tags of one store.
#[derive(Clone, Debug)]
pub(super) struct KeyTagger(hmac::Key);

impl KeyTagger {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// The tag of this key and material. The material id has a fixed length, so the two cannot run into each other.
    pub(super) fn tag(&self, key_arn: &KeyArn, material_id: KeyMaterialId) -> [u8; KEY_TAG_BYTES] {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(key_arn.as_str().as_bytes());
        context.update(material_id.as_bytes());
        let mac = context.sign();
        let mut tag = [0; KEY_TAG_BYTES];
        tag.iter_mut().zip(mac.as_ref()).for_each(|(to, from)| *to = *from);
        tag
    }

    /// Whether the blob's names of key and material were written by this store.
    pub(super) fn made(&self, blob: &Blob<'_>) -> bool {
        same(&self.tag(blob.key_arn(), blob.material_id()), blob.key_tag)
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden::golden;
    use super::*;

    #[test]
    fn a_store_knows_its_own_blobs_and_no_others() {
        let golden = golden();
        let (tagger, other) = (golden.tagger(), KeyTagger::new(&[7; 32]));
        let bytes = hex::decode(&golden.blobs[0].bytes).unwrap();
        let blob = Blob::parse(&bytes).unwrap();
        assert!(tagger.made(&blob) && !other.made(&blob));
    }
}
