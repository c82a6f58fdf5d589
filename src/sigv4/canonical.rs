//! The canonical request and the string to sign (AWS General Reference, "Create a signed AWS API request",
//! steps 1 to 3), built from the bytes received.

use aws_lc_rs::digest;
use http::header::HeaderMap;
use memchr::memchr2;

use super::Error;
use super::error::quoted;
use super::signed_headers::SignedHeaders;
use crate::hexadecimal;

/// Room for a canonical request of KMS, which SDKs make 400 to 700 bytes long.
const USUAL_BYTES: usize = 768;

/// The parts of a request that are not headers, in canonical form.
///
/// KMS is called by `POST /` without a query; the gateway refuses all else before it gets here.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestLine<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) query: &'a str,
}

impl RequestLine<'static> {
    pub(super) const KMS: Self = Self { method: "POST", path: "/", query: "" };
}

/// The canonical request but for its last line, the SHA-256 of the body, which comes with the body.
///
/// A name that is listed twice would be copied twice: the list has to be known to be in order.
pub(super) fn head(line: RequestLine<'_>, signed: SignedHeaders<'_>, headers: &HeaderMap) -> Result<Vec<u8>, Error> {
    let mut out = Vec::with_capacity(USUAL_BYTES);
    for part in [line.method, line.path, line.query] {
        out.extend_from_slice(part.as_bytes());
        out.push(b'\n');
    }
    for name in signed.names() {
        out.extend_from_slice(name.as_bytes());
        let mut separator = b':';
        // To look at the few names that were sent costs half of hashing this one. An attacker's long list gains
        // nothing: its names are sorted, and the first that was not sent ends it.
        for (_, value) in headers.iter().filter(|(sent, _)| sent.as_str() == name) {
            out.push(separator);
            push_value(&mut out, value.as_bytes());
            separator = b',';
        }
        if separator == b':' {
            return Err(Error::SignedHeaderAbsent(quoted(name)));
        }
        out.push(b'\n');
    }
    out.push(b'\n');
    out.extend_from_slice(signed.as_str().as_bytes());
    out.push(b'\n');
    Ok(out)
}

/// A header's value without outer blanks, each inner run of them one space. Blanks are space and tab: a
/// `HeaderValue` holds no other white space, and what is not ASCII is no blank.
pub(super) fn push_value(out: &mut Vec<u8>, value: &[u8]) {
    let value = value.trim_ascii();
    // Nearly every value that is signed has no blank.
    if memchr2(b' ', b'\t', value).is_none() {
        return out.extend_from_slice(value);
    }
    for (index, word) in value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(word);
    }
}

/// The string to sign of a canonical request.
pub(super) fn string_to_sign(amz_date: &str, scope: &str, canonical_request: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(192);
    for part in ["AWS4-HMAC-SHA256", amz_date, scope] {
        out.extend_from_slice(part.as_bytes());
        out.push(b'\n');
    }
    out.extend_from_slice(&hex_sha256(canonical_request));
    out
}

/// SHA-256 in lower-case hexadecimal.
pub(super) fn hex_sha256(bytes: &[u8]) -> [u8; 64] {
    hex(&sha256(bytes))
}

pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    hash
}

pub(super) fn hex(hash: &[u8; 32]) -> [u8; 64] {
    let mut text = [0; 64];
    text.copy_from_slice(hexadecimal::digits(hash).as_flattened());
    text
}
