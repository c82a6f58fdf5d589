//! Signing keys: what a secret becomes for one day, region and service.

use std::time::{Duration, UNIX_EPOCH};

use super::ScopeDate;
use crate::aws::Region;
use crate::secret::Secret;

/// `HMAC(HMAC(HMAC(HMAC("AWS4" + secret, date), region), service), "aws4_request")`.
#[derive(Debug)]
pub struct SigningKey(Secret<[u8; 32]>);

impl SigningKey {
    /// Derives the key; costs five hashes, so callers keep it for the day.
    #[must_use]
    pub fn derive(secret: &str, date: ScopeDate, region: &Region, service: &str) -> Self {
        let seconds = u64::try_from(date.midnight().unix_seconds()).unwrap_or(0);
        let time = UNIX_EPOCH + Duration::from_secs(seconds);
        let derived = aws_sigv4::sign::v4::generate_signing_key(secret, time, region.as_str(), service);
        let mut key = Secret::new([0; 32]);
        for (to, from) in key.expose_mut().iter_mut().zip(derived.as_ref()) {
            *to = *from;
        }
        Self(key)
    }

    /// Whether `signature` is the signature of `string_to_sign`, in constant time.
    pub(super) fn signed(&self, string_to_sign: &[u8], signature: &str) -> bool {
        crate::secret::same(self.sign(string_to_sign).as_bytes(), signature.as_bytes())
    }

    /// The signature of `string_to_sign`, in lower-case hexadecimal.
    pub(super) fn sign(&self, string_to_sign: &[u8]) -> String {
        aws_sigv4::sign::v4::calculate_signature(self.0.expose(), string_to_sign)
    }
}
