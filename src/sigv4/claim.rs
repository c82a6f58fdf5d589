//! What a request says of its signer, and whether it is true.

use std::borrow::Cow;
use std::fmt;

use http::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use memchr::memchr_iter;

use super::authorization::Authorization;
use super::canonical::{self, RequestLine};
use super::error::quoted;
use super::signed_headers::SignedHeaders;
use super::{AcceptedHosts, Error, PayloadHash, ScopeDate, SigningKey, date};
use crate::aws::{AccessKeyId, Regions, ServedRegion};
use crate::clock::Timestamp;

const AMZ_CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const AMZ_SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
const TERMINATOR: &str = "aws4_request";

/// What a signature must have been made for.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The regions that the scope's must be one of.
    pub regions: &'a Regions,
    /// The service of the scope: `kms`.
    pub service: &'static str,
    /// The hosts that the gateway answers to.
    pub hosts: &'a AcceptedHosts,
}

/// A signer that a request names; its signature has not been looked at.
pub struct Claim<'h> {
    access_key_id: &'h str,
    /// `YYYYMMDD/region/service/aws4_request`, as sent and found right.
    scope: &'h str,
    region: ServedRegion,
    signed_at: Timestamp,
    /// The same in ISO 8601 basic format.
    amz_date: Cow<'h, str>,
    /// The canonical request but for the body's hash.
    canonical_head: Vec<u8>,
    content_sha256: Option<&'h HeaderValue>,
    session_token: Option<&'h str>,
    signature: &'h str,
}

/// Without the signature and the token.
impl fmt::Debug for Claim<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { access_key_id, scope, amz_date, .. } = self;
        write!(f, "Claim({access_key_id}/{scope} at {amz_date})")
    }
}

/// The access key id that a request names which makes no [`Claim`], if it names what can be one. For the record alone.
#[must_use]
pub fn claimed_access_key_id(headers: &HeaderMap) -> Option<&str> {
    let authorization = Authorization::read(headers, true).ok()?;
    let id = authorization.credential.split('/').next()?;
    // Somebody may have put a secret in its place.
    id.parse::<AccessKeyId>().is_ok().then_some(id)
}

/// The proof that a request's signature was verified over the bytes received.
#[derive(Debug)]
pub struct Verified {
    payload: PayloadHash,
    _verified: (),
}

impl Verified {
    /// The hash of the body that was verified: who signs the same bytes again need not hash them again.
    #[must_use]
    pub const fn payload(&self) -> &PayloadHash {
        &self.payload
    }
}

impl<'h> Claim<'h> {
    /// Checks everything but the key and the signature, in the order in which AWS does; last what AWS has no
    /// text for, and whoever breaks it is told of a mismatch.
    ///
    /// # Errors
    ///
    /// The first condition that is not met.
    pub fn read(headers: &'h HeaderMap, expected: &Expected<'_>, now: Timestamp) -> Result<Self, Error> {
        let date_header = date::header(headers);
        let authorization = Authorization::read(headers, date_header.is_some())?;
        // `Authorization::read` has refused a request without a date.
        let date_header = date_header.unwrap_or(date::AMZ_DATE);
        let signed_headers = SignedHeaders::read(authorization.signed_headers)?;
        let (signed_at, amz_date) = date::read(&date_header, headers)?;
        date::current(signed_at, now)?;
        let (access_key_id, scope, region) = scope(authorization.credential, expected, &amz_date)?;
        signed_headers.in_order()?;
        let canonical_head = canonical::head(RequestLine::KMS, signed_headers, headers)?;
        signed_headers.cover(headers, &date_header)?;
        let host = headers.get(HOST).map(HeaderValue::as_bytes).unwrap_or_default();
        if !expected.hosts.accept(host) {
            return Err(Error::Mismatch("the host is none that the gateway answers to; see accepted_hosts".into()));
        }
        let session_token = match headers.get(AMZ_SECURITY_TOKEN) {
            // A token that is not text can be none that was ever issued.
            Some(value) => Some(std::str::from_utf8(value.as_bytes()).map_err(|_| Error::UnrecognizedClient)?),
            None => None,
        };
        Ok(Self {
            access_key_id,
            scope,
            region,
            signed_at,
            amz_date,
            canonical_head,
            content_sha256: headers.get(AMZ_CONTENT_SHA256),
            session_token,
            signature: authorization.signature,
        })
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

    /// The region that the request is for, which the signing key must be for too.
    #[must_use]
    pub const fn region(&self) -> ServedRegion {
        self.region
    }

    /// Verifies the signature over the headers that were read and `body`, with the signer's key.
    ///
    /// # Errors
    ///
    /// [`Error::Mismatch`].
    pub fn verify(self, key: &SigningKey, body: &[u8]) -> Result<Verified, Error> {
        let payload = PayloadHash::of(body);
        if self.content_sha256.is_some_and(|sent| sent.as_bytes() != payload.hex()) {
            return Err(Error::Mismatch("x-amz-content-sha256 is not the SHA-256 of the body".into()));
        }
        let lower_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        // Without an early way out, so that many digits are looked at at once.
        if self.signature.len() != 64 || !self.signature.bytes().fold(true, |all, byte| all & lower_hex(byte)) {
            return Err(Error::Mismatch("the signature is not 64 lower-case hexadecimal digits".into()));
        }
        let mut canonical_request = self.canonical_head;
        canonical_request.extend_from_slice(&payload.hex());
        let string_to_sign = canonical::string_to_sign(&self.amz_date, self.scope, &canonical_request);
        if key.signed(&string_to_sign, self.signature) {
            Ok(Verified { payload, _verified: () })
        } else {
            Err(Error::Mismatch("another key, or another request, was signed".into()))
        }
    }
}

/// Splits the credential into the access key id and its scope, and checks the scope; `amz_date` is the
/// request's date. AWS tells of all that is wrong with a scope at once.
fn scope<'h>(
    credential: &'h str,
    expected: &Expected<'_>,
    amz_date: &str,
) -> Result<(&'h str, &'h str, ServedRegion), Error> {
    let mut parts = super::split(credential, memchr_iter(b'/', credential.as_bytes()));
    let mut next = || parts.next();
    let (Some(id), Some(day), Some(region), Some(service), Some(terminator), None) =
        (next(), next(), next(), next(), next(), next())
    else {
        return Err(Error::CredentialElements(quoted(credential)));
    };
    let today = amz_date.get(..8).unwrap_or_default();
    let served = expected.regions.find(region);
    let right = [served.is_some(), service == expected.service, terminator == TERMINATOR, day == today];
    if let (Some(served), [true, true, true, true]) = (served, right) {
        // The rest of the text behind the access key id and its slash.
        let scope = credential.get(id.len() + 1..).unwrap_or_default();
        return Ok((id, scope, served));
    }
    let sentences = [
        format!("Credential should be scoped to a valid region, not '{}'. ", quoted(region)),
        format!("Credential should be scoped to correct service: '{}'. ", expected.service),
        format!("Credential should be scoped with a valid terminator: '{TERMINATOR}', not '{}'. ", quoted(terminator)),
        format!(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{}' != '{today}', from '{amz_date}'.",
            quoted(day)
        ),
    ];
    Err(Error::Scope(sentences.into_iter().zip(right).filter(|(_, right)| !right).map(|(text, _)| text).collect()))
}
