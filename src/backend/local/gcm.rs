//! AES-256-GCM in place, for keys that the local backend derived.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

/// Length of the authentication tag; it is never cut short.
pub(super) const TAG_BYTES: usize = 16;
/// Length of the initialization vector.
pub(super) const IV_BYTES: usize = 12;

/// Encrypts all of `room` but its last [`TAG_BYTES`], which become the tag. The caller sees to it that `key` never
/// meets the same `iv` twice, and that `room` holds a tag.
#[expect(clippy::expect_used, reason = "AES-GCM fails to seal only what is longer than 64 GiB")]
pub(super) fn seal(key: &[u8; 32], iv: &[u8; IV_BYTES], aad: &[u8], room: &mut [u8]) {
    let (text, tag) = room.split_at_mut(room.len() - TAG_BYTES);
    let nonce = Nonce::assume_unique_for_key(*iv);
    cipher(key).seal_in_place_scatter(nonce, Aad::from(aad), text, &[], tag).expect("text is short");
}

/// Decrypts ciphertext and tag in place and returns the plaintext, or `None` if they are not authentic under
/// this key, IV and additional data.
pub(super) fn open<'a>(key: &[u8; 32], iv: &[u8; IV_BYTES], aad: &[u8], sealed: &'a mut [u8]) -> Option<&'a mut [u8]> {
    cipher(key).open_in_place(Nonce::assume_unique_for_key(*iv), Aad::from(aad), sealed).ok()
}

#[expect(clippy::expect_used, reason = "AES-256 fails to take a key only if its length is not 32 bytes")]
fn cipher(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("32 bytes"))
}
