//! Grant tokens: what `CreateGrant` gives its caller, so that the grant can be used before everybody knows of it.
//!
//! A token carries the whole grant under a MAC, so whoever has the key can judge by it without the store that has the
//! grant. It is never wider than its grant. On the wire it is in base64; before that, all numbers with the most
//! significant byte first:
//!
//! ```text
//! offset  bytes
//! 0       1      version, 1
//! 1       1      algorithm, 1: HMAC-SHA-256 under the store's grant token key
//! 2       16     nonce, random: no two tokens of a grant are alike
//! 18      8      when the token was issued, in microseconds since 1970
//! 26      8      when the grant was made, in microseconds since 1970
//! 34      32     grant id
//! 66      4      operations, a bit for each: see `GrantOperation`
//! 70      1      constraint: 0 none, 1 EncryptionContextEquals, 2 EncryptionContextSubset
//! 71      1      how many pairs it has, at most 8
//! 72      n      key ARN, name, grantee, retiring principal (empty if there is none), issuing account, then of each pair
//!                key and value: each with its length in 2 bytes before it
//! 72 + n  32     HMAC-SHA-256 of all that stands before it
//! ```
//!
//! Bound: a key ARN has at most 128 bytes, a name and two principals 256 each, an account 12, the pairs together
//! [`MOST_CONSTRAINT_BYTES`], which with 21 lengths, the head and the MAC is less than 6,144 bytes, and these are 8,192
//! characters.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::constraint::Constraint;
use super::grant::Grant;
use super::operation::GrantOperations;
use crate::aws::{EncryptionContext, GrantId};
use crate::clock::Timestamp;
use crate::random::{self, Exhausted};

/// How long a token is taken for the grant where the store does not know: AWS's bound of eventual consistency, "less than
/// five minutes" (developer guide, "Eventual consistency").
pub const WINDOW: Duration = Duration::from_mins(5);

/// The most bytes that the keys and values of a constraint may have together, so that every grant fits into a token.
pub const MOST_CONSTRAINT_BYTES: usize = 4800;

const VERSION: u8 = 1;
const ALGORITHM: u8 = 1;
const NONCE_BYTES: usize = 16;
const MAC_BYTES: usize = 32;
const MOST_PAIRS: usize = 8;

/// What a store's grant tokens are made and known by.
#[derive(Clone)]
pub struct TokenKey(hmac::Key);

impl TokenKey {
    /// From a key that was derived for nothing else.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantToken {
    /// The grant as it was made.
    pub grant: Arc<Grant>,
    /// When the token was made.
    pub issued: Timestamp,
}

impl GrantToken {
    /// The form that clients are given: 1 to 8,192 characters of base64, another one each time.
    ///
    /// # Errors
    ///
    /// [`Exhausted`] if there are no random bytes.
    pub fn seal(&self, key: &TokenKey) -> Result<String, Exhausted> {
        Ok(self.seal_with(&random::bytes()?, key))
    }

    fn seal_with(&self, nonce: &[u8; NONCE_BYTES], key: &TokenKey) -> String {
        let grant = &*self.grant;
        let (kind, pairs) = match &grant.constraint {
            None => (0, EncryptionContext::EMPTY),
            Some(Constraint::EncryptionContextEquals(pairs)) => (1, pairs),
            Some(Constraint::EncryptionContextSubset(pairs)) => (2, pairs),
        };
        let mut token = Vec::with_capacity(512);
        token.extend_from_slice(&[VERSION, ALGORITHM]);
        token.extend_from_slice(nonce);
        token.extend_from_slice(&self.issued.unix_micros().to_be_bytes());
        token.extend_from_slice(&grant.created.unix_micros().to_be_bytes());
        token.extend_from_slice(grant.id.as_bytes());
        token.extend_from_slice(&grant.operations.bits().to_be_bytes());
        // No constraint has as many.
        token.extend_from_slice(&[kind, u8::try_from(pairs.len()).unwrap_or(u8::MAX)]);
        let retiring = grant.retiring.as_deref().unwrap_or_default();
        let texts = [grant.key.as_str(), &grant.name, &grant.grantee, retiring, grant.issuing_account.as_str()];
        for text in texts.into_iter().chain(pairs.iter().flat_map(|(key, value)| [key, value])) {
            // No text reaches 64 KiB: the bounds above.
            token.extend_from_slice(&u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
            token.extend_from_slice(text.as_bytes());
        }
        let mac = hmac::sign(&key.0, &token);
        token.extend_from_slice(mac.as_ref());
        STANDARD.encode(token)
    }

    /// Reads a token that [`Self::seal`] made. Nothing of it is looked at before its MAC is known to be right.
    ///
    /// # Errors
    ///
    /// [`InvalidGrantToken`], whatever is wrong.
    pub fn open(token: &str, key: &TokenKey) -> Result<Self, InvalidGrantToken> {
        let token = STANDARD.decode(token).map_err(|_| InvalidGrantToken)?;
        let (said, mac) = token.split_last_chunk::<MAC_BYTES>().ok_or(InvalidGrantToken)?;
        hmac::verify(&key.0, said, mac).map_err(|_| InvalidGrantToken)?;
        Self::read(&mut Reader(said)).ok_or(InvalidGrantToken)
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        if reader.bytes::<2>()? != [VERSION, ALGORITHM] {
            return None;
        }
        reader.bytes::<NONCE_BYTES>()?;
        let issued = reader.moment()?;
        let created = reader.moment()?;
        let id = GrantId::from_bytes(reader.bytes()?);
        let operations = GrantOperations::from_bits(u32::from_be_bytes(reader.bytes()?))?;
        let [kind, pairs] = reader.bytes()?;
        let key = reader.text()?.parse().ok()?;
        let (name, grantee, retiring) = (reader.text()?.into(), reader.text()?.into(), reader.text()?);
        let issuing_account = reader.text()?.parse().ok()?;
        let pairs = reader.pairs(pairs.into())?;
        let constraint = match kind {
            0 if pairs.is_empty() => None,
            1 => Some(Constraint::EncryptionContextEquals(pairs)),
            2 => Some(Constraint::EncryptionContextSubset(pairs)),
            _ => return None,
        };
        let retiring = (!retiring.is_empty()).then(|| retiring.into());
        let grant = Grant { id, key, name, created, grantee, retiring, issuing_account, operations, constraint };
        reader.0.is_empty().then(|| Self { grant: Arc::new(grant), issued })
    }
}

/// What is left to be read.
struct Reader<'t>(&'t [u8]);

impl<'t> Reader<'t> {
    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }

    fn moment(&mut self) -> Option<Timestamp> {
        self.bytes().map(|bytes| Timestamp::from_unix_micros(i64::from_be_bytes(bytes)))
    }

    fn text(&mut self) -> Option<&'t str> {
        let length = u16::from_be_bytes(self.bytes()?);
        let (text, rest) = self.0.split_at_checked(length.into())?;
        self.0 = rest;
        std::str::from_utf8(text).ok()
    }

    fn pairs(&mut self, count: usize) -> Option<EncryptionContext> {
        if count > MOST_PAIRS {
            return None;
        }
        let mut pair = || Some((self.text()?.to_owned(), self.text()?.to_owned()));
        EncryptionContext::from_pairs((0..count).map(|_| pair()).collect::<Option<_>>()?).ok()
    }
}

/// What the store says of a grant that a token names.
#[derive(Clone, Copy, Debug)]
pub enum StoreKnowledge<'s> {
    /// It has the grant.
    Has(&'s Arc<Grant>),
    /// It had the grant, or would have it.
    Gone,
    /// It may not have heard of it yet.
    Unknown,
}

/// The grant that a token stands for at `now`: the store's where it has it, none where it is gone, and the token's own
/// only where the store cannot know, and no longer than [`WINDOW`]. A token from the future is none.
#[must_use]
pub fn honoured<'g>(token: &'g GrantToken, knowledge: StoreKnowledge<'g>, now: Timestamp) -> Option<&'g Arc<Grant>> {
    match knowledge {
        StoreKnowledge::Has(grant) => Some(grant),
        StoreKnowledge::Gone => None,
        StoreKnowledge::Unknown => {
            let fresh = token.issued <= now && now < token.issued.plus(WINDOW);
            fresh.then_some(&token.grant)
        }
    }
}

/// It was not made with this key, or not by this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the grant token was not made here")]
pub struct InvalidGrantToken;

#[cfg(test)]
mod tests;
