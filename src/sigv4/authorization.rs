//! The `Authorization` header: `AWS4-HMAC-SHA256 Credential=..., SignedHeaders=..., Signature=...`.

use aws_lc_rs::digest;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::header::{AUTHORIZATION, HeaderMap};
use memchr::memchr2_iter;

use super::Error;
use super::error::quoted;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// The header's parts, as sent; none is empty.
pub(super) struct Authorization<'h> {
    pub(super) credential: &'h str,
    pub(super) signed_headers: &'h str,
    pub(super) signature: &'h str,
}

impl<'h> Authorization<'h> {
    /// Reads the one `Authorization` header. `dated` tells whether any header dates the request, which AWS
    /// complains of together with missing parameters.
    ///
    /// AWS lets the last of repeated parameters win, passes over those it does not know, and reads the first of
    /// two headers; all are refused here, because a service behind the gateway might choose otherwise.
    pub(super) fn read(headers: &'h HeaderMap, dated: bool) -> Result<Self, Error> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let value = values.next().ok_or(Error::MissingAuthenticationToken)?.as_bytes().trim_ascii();
        let not_key_value = || Error::NotKeyValue(sha256(value));
        if values.next().is_some() {
            return Err(not_key_value());
        }
        if !value.starts_with(b"AWS4-") {
            return Err(Error::MissingAuthenticationToken);
        }
        let text = std::str::from_utf8(value).map_err(|_| not_key_value())?;
        let mut parts = super::split(text, memchr2_iter(b' ', b',', text.as_bytes()));
        let algorithm = parts.next().unwrap_or_default();
        if algorithm != ALGORITHM {
            return Err(Error::UnsupportedAlgorithm(quoted(algorithm)));
        }

        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for pair in parts.filter(|pair| !pair.is_empty()) {
            let (slot, value) = if let Some(value) = pair.strip_prefix("Credential=") {
                (&mut credential, value)
            } else if let Some(value) = pair.strip_prefix("SignedHeaders=") {
                (&mut signed_headers, value)
            } else if let Some(value) = pair.strip_prefix("Signature=") {
                (&mut signature, value)
            } else {
                return Err(not_key_value());
            };
            if slot.replace(value).is_some() {
                return Err(not_key_value());
            }
        }
        let some = |part: Option<&'h str>| part.filter(|value| !value.is_empty());
        match (some(credential), some(signature), some(signed_headers), dated) {
            (Some(credential), Some(signature), Some(signed_headers), true) => {
                Ok(Self { credential, signed_headers, signature })
            }
            (credential, signature, signed_headers, dated) => {
                let present = [credential.is_some(), signature.is_some(), signed_headers.is_some(), dated];
                Err(Error::Incomplete { sentences: sentences(present), header_sha256: sha256(value) })
            }
        }
    }
}

/// AWS's sentences for what is not there, in AWS's order.
fn sentences(present: [bool; 4]) -> String {
    let parts = [
        "Authorization header requires 'Credential' parameter. ",
        "Authorization header requires 'Signature' parameter. ",
        "Authorization header requires 'SignedHeaders' parameter. ",
        "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ",
    ];
    parts.into_iter().zip(present).filter(|(_, present)| !present).map(|(sentence, _)| sentence).collect()
}

fn sha256(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(digest::digest(&digest::SHA256, bytes))
}
