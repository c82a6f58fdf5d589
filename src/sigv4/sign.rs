//! Signs a request to KMS that the gateway sends on.
//!
//! The whole head is made here, of an allow-list: nothing of what a client sent is copied into it, so no header of a
//! client's can be taken for one of the gateway's. It is `POST /` without a query; `Content-Length` is the
//! connection's to add, and is not signed.

use std::fmt;

use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};

use super::canonical::{hex_sha256, push_value};
use super::date::AMZ_DATE;
use super::{PayloadHash, SigningKey};
use crate::aws::Region;
use crate::clock::Timestamp;

const AMZ_SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
const AMZ_TARGET: HeaderName = HeaderName::from_static("x-amz-target");
const AMZ_JSON: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.1");

const SIGNED_HEADERS: &str = "content-type;host;x-amz-date;x-amz-target";
const SIGNED_HEADERS_WITH_TOKEN: &str = "content-type;host;x-amz-date;x-amz-security-token;x-amz-target";

/// All headers that a request may have.
const HEADERS: usize = 6;
/// Room for all of a canonical request but the session token, which can be longer than the rest together.
const USUAL_BYTES: usize = 448;
/// Room for an `Authorization` header: 20 bytes of key id, 52 of scope, 71 of names, 64 of signature, and the words.
const AUTHORIZATION_BYTES: usize = 288;

/// What a request is sent to.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The host, with the port as it is sent.
    pub host: &'a HeaderValue,
    /// The region of the scope.
    pub region: &'a Region,
    /// `TrentService.` and the operation's name.
    pub x_amz_target: &'a HeaderValue,
}

/// What a request is signed with.
#[derive(Clone, Copy)]
pub struct SigningCredentials<'a> {
    /// The access key id: visible ASCII without a comma, a slash or a `=`.
    pub access_key_id: &'a str,
    /// Its secret, derived for the day on which is signed, the target's region, and `kms`.
    pub key: &'a SigningKey,
    /// The token that belongs to a key that is temporary.
    pub session_token: Option<&'a HeaderValue>,
}

/// Without the token.
impl fmt::Debug for SigningCredentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningCredentials").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

/// The head of a request with this body, signed at `at`, by the clock of the one it is sent to.
#[must_use]
pub fn sign(to: &Target<'_>, by: SigningCredentials<'_>, payload: &PayloadHash, at: Timestamp) -> HeaderMap {
    let amz_date = at.basic().ascii();
    let signed_headers = if by.session_token.is_some() { SIGNED_HEADERS_WITH_TOKEN } else { SIGNED_HEADERS };
    let request = canonical_request(to, by.session_token, signed_headers, &amz_date, payload);
    let scope = scope(&amz_date, to.region);
    let string_to_sign = [b"AWS4-HMAC-SHA256\n", &amz_date[..], b"\n", &scope, b"\n", &hex_sha256(&request)].concat();
    let signature = by.key.sign(&string_to_sign);

    let mut headers = HeaderMap::with_capacity(HEADERS);
    headers.insert(CONTENT_TYPE, AMZ_JSON);
    headers.insert(HOST, to.host.clone());
    headers.insert(AMZ_DATE, value(&amz_date));
    if let Some(token) = by.session_token {
        headers.insert(AMZ_SECURITY_TOKEN, sensitive(token.clone()));
    }
    headers.insert(AMZ_TARGET, to.x_amz_target.clone());
    headers.insert(AUTHORIZATION, authorization(by.access_key_id, &scope, signed_headers, &signature));
    headers
}

fn canonical_request(
    to: &Target<'_>,
    session_token: Option<&HeaderValue>,
    signed_headers: &str,
    amz_date: &[u8; 16],
    payload: &PayloadHash,
) -> Vec<u8> {
    let token_bytes = session_token.map_or(0, HeaderValue::len);
    let mut out = Vec::with_capacity(USUAL_BYTES + token_bytes);
    out.extend_from_slice(b"POST\n/\n\ncontent-type:application/x-amz-json-1.1\nhost:");
    push_value(&mut out, to.host.as_bytes());
    out.extend_from_slice(b"\nx-amz-date:");
    out.extend_from_slice(amz_date);
    if let Some(token) = session_token {
        out.extend_from_slice(b"\nx-amz-security-token:");
        push_value(&mut out, token.as_bytes());
    }
    out.extend_from_slice(b"\nx-amz-target:");
    push_value(&mut out, to.x_amz_target.as_bytes());
    out.extend_from_slice(b"\n\n");
    out.extend_from_slice(signed_headers.as_bytes());
    out.push(b'\n');
    out.extend_from_slice(&payload.hex());
    out
}

/// `YYYYMMDD/region/kms/aws4_request`.
fn scope(amz_date: &[u8; 16], region: &Region) -> Vec<u8> {
    let (day, _time) = amz_date.split_at(8);
    [day, b"/", region.as_str().as_bytes(), b"/kms/aws4_request"].concat()
}

fn authorization(access_key_id: &str, scope: &[u8], signed_headers: &str, signature: &str) -> HeaderValue {
    let mut out = Vec::with_capacity(AUTHORIZATION_BYTES);
    for part in [
        b"AWS4-HMAC-SHA256 Credential=",
        access_key_id.as_bytes(),
        b"/",
        scope,
        b", SignedHeaders=",
        signed_headers.as_bytes(),
        b", Signature=",
        signature.as_bytes(),
    ] {
        out.extend_from_slice(part);
    }
    sensitive(value(&out))
}

/// What is written here is visible ASCII. An access key id that is not makes an empty value, which AWS refuses.
fn value(bytes: &[u8]) -> HeaderValue {
    HeaderValue::from_bytes(bytes).unwrap_or(const { HeaderValue::from_static("") })
}

/// Not printed, and not put into the table of a compressing protocol.
fn sensitive(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}
