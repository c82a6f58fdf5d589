//! What a request says of its signer, and whether it is true.

use http::header::{HOST, HeaderMap, HeaderName};

use super::authorization::Authorization;
use super::canonical::{self, RequestLine};
use super::signed_headers::SignedHeaders;
use super::{AcceptedHosts, Error, ScopeDate, SigningKey, date};
use crate::aws::Region;
use crate::clock::Timestamp;

const AMZ_CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const AMZ_SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
const TERMINATOR: &str = "aws4_request";

/// What a signature must have been made for.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The region of the scope.
    pub region: &'a Region,
    /// The service of the scope: `kms`.
    pub service: &'static str,
    /// The hosts that the gateway answers to.
    pub hosts: &'a AcceptedHosts,
}

/// A signer that a request names; its signature has not been looked at.
#[derive(Debug)]
pub struct Claim<'h> {
    access_key_id: &'h str,
    /// `YYYYMMDD/region/service/aws4_request`, as sent and found right.
    scope: &'h str,
    signed_at: Timestamp,
    signed_headers: SignedHeaders<'h>,
    signature: &'h str,
    session_token: Option<&'h str>,
}

/// The proof that a request's signature was verified over the bytes received.
#[derive(Debug)]
pub struct Verified(());

impl<'h> Claim<'h> {
    /// Checks everything but the signature itself, in the order in which AWS does.
    ///
    /// # Errors
    ///
    /// The first condition that is not met.
    pub fn read(headers: &'h HeaderMap, expected: &Expected<'_>, now: Timestamp) -> Result<Self, Error> {
        let date_header = date::header(headers);
        let authorization = Authorization::read(headers, date_header.is_some())?;
        // `Authorization::read` has refused a request without a date.
        let date_header = date_header.unwrap_or(date::AMZ_DATE);
        let signed_headers = SignedHeaders::read(authorization.signed_headers, headers, &date_header)?;
        let signed_at = date::read(&date_header, headers)?;
        date::current(signed_at, now)?;
        let (access_key_id, scope) = scope(authorization.credential, expected, signed_at)?;
        let host = headers.get(HOST).map(http::HeaderValue::as_bytes).unwrap_or_default();
        if !expected.hosts.accept(host) {
            return Err(Error::Mismatch("the host is none that the gateway answers to; see accepted_hosts".into()));
        }
        let session_token = match headers.get(AMZ_SECURITY_TOKEN) {
            // A token that is not text can be none that was ever issued.
            Some(value) => Some(std::str::from_utf8(value.as_bytes()).map_err(|_| Error::UnrecognizedClient)?),
            None => None,
        };
        let signature = authorization.signature;
        Ok(Self { access_key_id, scope, signed_at, signed_headers, signature, session_token })
    }

    /// The access key id that the request names.
    #[must_use]
    pub const fn access_key_id(&self) -> &'h str {
        self.access_key_id
    }

    /// The session token sent with it.
    #[must_use]
    pub const fn session_token(&self) -> Option<&'h str> {
        self.session_token
    }

    /// The day that the signing key must be for.
    #[must_use]
    pub const fn scope_date(&self) -> ScopeDate {
        ScopeDate::of(self.signed_at)
    }

    /// Verifies the signature over `headers` and `body` with the signer's key.
    ///
    /// # Errors
    ///
    /// [`Error::Mismatch`].
    pub fn verify(self, key: &SigningKey, headers: &HeaderMap, body: &[u8]) -> Result<Verified, Error> {
        let payload = canonical::hex_sha256(body);
        if headers.get(AMZ_CONTENT_SHA256).is_some_and(|sent| sent.as_bytes() != payload) {
            return Err(Error::Mismatch("x-amz-content-sha256 is not the SHA-256 of the body".into()));
        }
        let lower_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if self.signature.len() != 64 || !self.signature.bytes().all(lower_hex) {
            return Err(Error::Mismatch("the signature is not 64 lower-case hexadecimal digits".into()));
        }
        let request = canonical::request(RequestLine::KMS, self.signed_headers, headers, &payload);
        let amz_date = self.signed_at.basic().to_string();
        let string_to_sign = canonical::string_to_sign(&amz_date, self.scope, &request);
        if key.signed(&string_to_sign, self.signature) {
            Ok(Verified(()))
        } else {
            Err(Error::Mismatch("another key, or another request, was signed".into()))
        }
    }
}

/// Splits the credential and checks its scope.
fn scope<'h>(credential: &'h str, expected: &Expected<'_>, signed_at: Timestamp) -> Result<(&'h str, &'h str), Error> {
    let cut = |text: &str| text.chars().take(128).collect::<String>();
    let mut elements = credential.split('/');
    let mut next = || elements.next().unwrap_or_default();
    let (access_key_id, date, region, service, terminator) = (next(), next(), next(), next(), next());
    if credential.split('/').count() != 5 {
        return Err(Error::CredentialElements(cut(credential)));
    }
    if region != expected.region.as_str() {
        return Err(Error::ScopeRegion(cut(region)));
    }
    if service != expected.service {
        return Err(Error::ScopeService(expected.service));
    }
    if terminator != TERMINATOR {
        return Err(Error::ScopeTerminator(cut(terminator)));
    }
    let iso = signed_at.basic().to_string();
    if iso.get(..8) != Some(date) {
        return Err(Error::ScopeDate { scope: cut(date), signed: signed_at });
    }
    // The rest of the text behind the access key id and its slash.
    let scope = credential.split_once('/').map_or("", |(_, scope)| scope);
    Ok((access_key_id, scope))
}
