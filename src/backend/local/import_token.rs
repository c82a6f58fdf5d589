//! Import tokens: what `GetParametersForImport` leaves with the client, so that nothing has to be kept for
//! `ImportKeyMaterial`. A token survives a restart, and can be used until it expires.
//!
//! ```text
//! offset  bytes
//! 0       1      version, 1
//! 1       1      algorithm, 1: AES-256-GCM under the store's token key
//! 2       1      wrapping algorithm, 1 to 4, as they stand in WrappingAlgorithm
//! 3       8      when it was issued, in microseconds since 1970; it expires 24 hours later
//! 11      12     IV, random: of 2^32 tokens of one store, two share one with probability 2^-32
//! 23      n      ciphertext of the wrapping private key, PKCS#8 in DER
//! 23 + n  16     tag
//! ```
//!
//! The additional data is, each with its length in 4 bytes before it: `kmsgate/v1/import-token`, the 11 bytes before
//! the IV, store id and key ARN. A token of another key or store does not open.

use std::time::Duration;

use super::gcm::{self, IV_BYTES, TAG_BYTES};
use super::import_wrapping::WrappingAlgorithm;
use super::root_key::ImportTokenKey;
use super::store_id::StoreId;
use crate::aws::KeyArn;
use crate::clock::Timestamp;
use crate::random::{self, Exhausted};
use crate::secret::Secret;

/// How long a token and the public key that comes with it are good for (API reference, `GetParametersForImport`).
pub(super) const VALIDITY: Duration = Duration::from_hours(24);

const VERSION: u8 = 1;
const ALGORITHM: u8 = 1;
const FACTS_BYTES: usize = 11;
const PREFIX_BYTES: usize = FACTS_BYTES + IV_BYTES;
const TOKEN_TAG: &[u8] = b"kmsgate/v1/import-token";

/// What a token is bound to without holding it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Binding<'a> {
    /// The store that the key is in.
    pub(super) store: &'a StoreId,
    /// The key whose material is imported.
    pub(super) key_arn: &'a KeyArn,
}

/// What a token holds.
#[derive(Debug)]
pub(super) struct ImportToken {
    /// How the client wraps its material.
    pub(super) wrapping_algorithm: WrappingAlgorithm,
    /// When it was made.
    pub(super) issued: Timestamp,
    /// What unwraps the material: PKCS#8 in DER.
    pub(super) private_key: Secret<Vec<u8>>,
}

impl ImportToken {
    /// From when on it is refused: `ParametersValidTo`.
    #[must_use]
    pub(super) fn expires(&self) -> Timestamp {
        self.issued.plus(VALIDITY)
    }

    /// The form that clients are given, of at most 6,144 bytes for every private key of up to 4,096 bits.
    ///
    /// # Errors
    ///
    /// [`Exhausted`] if there are no random bytes.
    pub(super) fn seal(&self, key: &ImportTokenKey, binding: &Binding<'_>) -> Result<Vec<u8>, Exhausted> {
        Ok(self.seal_with(&random::bytes()?, key, binding))
    }

    fn seal_with(&self, iv: &[u8; IV_BYTES], key: &ImportTokenKey, binding: &Binding<'_>) -> Vec<u8> {
        let facts = self.facts();
        let private_key = self.private_key.expose();
        let mut token = Vec::with_capacity(PREFIX_BYTES + private_key.len() + TAG_BYTES);
        token.extend_from_slice(&facts);
        token.extend_from_slice(iv);
        token.extend_from_slice(private_key);
        token.extend_from_slice(&[0; TAG_BYTES]);
        let (_, room) = token.split_at_mut(PREFIX_BYTES);
        gcm::seal(key.expose(), iv, &binding.additional_data(&facts), room);
        token
    }

    /// Opens a token that [`Self::seal`] made.
    ///
    /// # Errors
    ///
    /// [`InvalidToken`]. That it has expired is told only of a token that is authentic.
    pub(super) fn open(
        token: &[u8],
        key: &ImportTokenKey,
        binding: &Binding<'_>,
        now: Timestamp,
    ) -> Result<Self, InvalidToken> {
        let opened = Self::read(token, key, binding).ok_or(InvalidToken::NotOurs)?;
        if now < opened.expires() { Ok(opened) } else { Err(InvalidToken::Expired) }
    }

    fn read(token: &[u8], key: &ImportTokenKey, binding: &Binding<'_>) -> Option<Self> {
        let (facts, rest) = token.split_first_chunk::<FACTS_BYTES>()?;
        let (iv, sealed) = rest.split_first_chunk()?;
        let mut private_key = Secret::new(sealed.to_vec());
        let length = gcm::open(key.expose(), iv, &binding.additional_data(facts), private_key.expose_mut())?.len();
        private_key.expose_mut().truncate(length);
        let ([version, algorithm, wrapping], issued) = facts.split_first_chunk()?;
        if [*version, *algorithm] != [VERSION, ALGORITHM] {
            return None;
        }
        Some(Self {
            wrapping_algorithm: WrappingAlgorithm::ALL.into_iter().find(|one| number(*one) == *wrapping)?,
            issued: Timestamp::from_unix_micros(i64::from_be_bytes(*issued.first_chunk()?)),
            private_key,
        })
    }

    /// What stands before the IV.
    fn facts(&self) -> [u8; FACTS_BYTES] {
        let mut facts = [VERSION, ALGORITHM, number(self.wrapping_algorithm), 0, 0, 0, 0, 0, 0, 0, 0];
        let issued = self.issued.unix_micros().to_be_bytes();
        facts.iter_mut().skip(3).zip(issued).for_each(|(to, from)| *to = from);
        facts
    }
}

impl Binding<'_> {
    fn additional_data(&self, facts: &[u8; FACTS_BYTES]) -> Vec<u8> {
        let fields: [&[u8]; 4] = [TOKEN_TAG, facts, self.store.as_bytes(), self.key_arn.as_str().as_bytes()];
        let mut aad = Vec::with_capacity(256);
        for field in fields {
            // No field reaches 4 GiB: the longest is a key ARN.
            aad.extend_from_slice(&u32::try_from(field.len()).unwrap_or(u32::MAX).to_be_bytes());
            aad.extend_from_slice(field);
        }
        aad
    }
}

/// As tokens have it: a change orphans those that are out.
const fn number(algorithm: WrappingAlgorithm) -> u8 {
    match algorithm {
        WrappingAlgorithm::OaepSha1 => 1,
        WrappingAlgorithm::OaepSha256 => 2,
        WrappingAlgorithm::AesKeyWrapSha1 => 3,
        WrappingAlgorithm::AesKeyWrapSha256 => 4,
    }
}

/// Why a token does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidToken {
    /// `InvalidImportTokenException`: it was made for another key, by another store, or by nobody.
    #[error("the import token was not made for this key")]
    NotOurs,
    /// `ExpiredImportTokenException`.
    #[error("the import token has expired")]
    Expired,
}

#[cfg(test)]
mod tests;
