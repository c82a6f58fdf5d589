//! The canonical request and the string to sign (AWS General Reference, "Create a signed AWS API request",
//! steps 1 to 3), built in one buffer from the bytes received.

use aws_lc_rs::digest;
use http::header::HeaderMap;

use super::signed_headers::SignedHeaders;

/// A canonical request of KMS is about 300 bytes; the string to sign follows it in the same buffer.
const USUAL_BYTES: usize = 640;

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

/// The canonical request.
pub(super) fn request(
    line: RequestLine<'_>,
    signed: SignedHeaders<'_>,
    headers: &HeaderMap,
    payload_sha256: &[u8; 64],
) -> Vec<u8> {
    let mut out = Vec::with_capacity(USUAL_BYTES);
    for part in [line.method, line.path, line.query] {
        out.extend_from_slice(part.as_bytes());
        out.push(b'\n');
    }
    for name in signed.names() {
        out.extend_from_slice(name.as_bytes());
        for (index, value) in headers.get_all(name).iter().enumerate() {
            out.push(if index == 0 { b':' } else { b',' });
            push_value(&mut out, value.as_bytes());
        }
        out.push(b'\n');
    }
    out.push(b'\n');
    out.extend_from_slice(signed.as_str().as_bytes());
    out.push(b'\n');
    out.extend_from_slice(payload_sha256);
    out
}

/// A header's value without outer blanks, each inner run of them one space.
fn push_value(out: &mut Vec<u8>, value: &[u8]) {
    let mut blank = false;
    for byte in value.trim_ascii() {
        if byte.is_ascii_whitespace() {
            blank = true;
        } else {
            if blank {
                out.push(b' ');
            }
            blank = false;
            out.push(*byte);
        }
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
    let mut text = [0; 64];
    // The digest has 32 bytes, so the text always fits.
    let _ = hex::encode_to_slice(digest::digest(&digest::SHA256, bytes), &mut text);
    text
}
