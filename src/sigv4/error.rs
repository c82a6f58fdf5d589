//! Why a request is not accepted as signed, in AWS's words.
//!
//! Every mismatch has one text for the client. The operator is told which condition failed.

use std::borrow::Cow;

use crate::clock::Timestamp;
use crate::kms::{Exception, ExceptionKind};

/// A request whose signature is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No `Authorization` header, or one of another scheme.
    #[error("no SigV4 Authorization header")]
    MissingAuthenticationToken,
    /// An algorithm other than `AWS4-HMAC-SHA256`.
    #[error("unsupported signing algorithm")]
    UnsupportedAlgorithm(String),
    /// The header is no list of `key=value`; holds the header's SHA-256 in base64.
    #[error("the Authorization header is malformed")]
    NotKeyValue(String),
    /// Parameters are missing; holds AWS's sentences and the header's SHA-256 in base64.
    #[error("the Authorization header is incomplete")]
    Incomplete {
        /// One sentence for each missing part.
        sentences: String,
        /// SHA-256 of the header's value, in base64: the value itself holds a signature.
        header_sha256: String,
    },
    /// The credential is not five elements.
    #[error("the credential has not five elements")]
    CredentialElements(String),
    /// `host` is not signed.
    #[error("host is not signed")]
    HostNotSigned,
    /// A header is named as signed and was not sent.
    #[error("`{0}` is named as signed but was not sent")]
    SignedHeaderAbsent(String),
    /// The date is no ISO 8601 basic date.
    #[error("the request's date is malformed")]
    MalformedDate(String),
    /// The date is more than five minutes ago.
    #[error("the signature has expired")]
    Expired {
        /// The request's date.
        signed: Timestamp,
        /// The gateway's.
        now: Timestamp,
    },
    /// The date is more than five minutes ahead.
    #[error("the signature is not yet current")]
    NotYetCurrent {
        /// The request's date.
        signed: Timestamp,
        /// The gateway's.
        now: Timestamp,
    },
    /// The scope is another than the gateway's and the day's; holds AWS's sentences.
    #[error("the credential is scoped to something else: {0}")]
    Scope(String),
    /// The access key, or the session token with it, is not known.
    #[error("the access key or session token is not known")]
    UnrecognizedClient,
    /// The session token has expired.
    #[error("the session token has expired")]
    ExpiredToken,
    /// The signature is another, or a condition of it is not met; says which, for the operator alone.
    #[error("the signature does not match: {0}")]
    Mismatch(Cow<'static, str>),
}

/// The text of every mismatch, whatever its reason.
const MISMATCH: &str = "The request signature we calculated does not match the signature you provided. Check your \
     AWS Secret Access Key and signing method. Consult the service documentation for details.";

impl From<&Error> for Exception {
    fn from(error: &Error) -> Self {
        use ExceptionKind::{ExpiredToken, IncompleteSignature, InvalidSignature, MissingAuthenticationToken};
        let incomplete = |text: String| Self::new(IncompleteSignature, text);
        let invalid = |text: String| Self::new(InvalidSignature, text);
        match error {
            Error::MissingAuthenticationToken => {
                Self::fixed(MissingAuthenticationToken, "Missing Authentication Token")
            }
            Error::UnsupportedAlgorithm(name) => incomplete(format!("Unsupported AWS 'algorithm': '{name}'.")),
            Error::NotKeyValue(sha256) => incomplete(format!(
                "Invalid key=value pair (missing equal-sign) in Authorization header (hashed with SHA-256 and encoded with Base64): '{sha256}'."
            )),
            Error::Incomplete { sentences, header_sha256 } => incomplete(format!(
                "{sentences}(Hashed with SHA-256 and encoded with Base64) Authorization={header_sha256}"
            )),
            Error::CredentialElements(credential) => incomplete(format!(
                "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '{credential}'"
            )),
            Error::HostNotSigned => Self::fixed(
                InvalidSignature,
                "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.",
            ),
            Error::SignedHeaderAbsent(name) => {
                invalid(format!("'{name}' is named as a SignedHeader, but it does not exist in the HTTP request."))
            }
            Error::MalformedDate(text) => incomplete(format!(
                "Date must be in ISO-8601 'basic format'. Got '{text}'. See http://en.wikipedia.org/wiki/ISO_8601"
            )),
            Error::Expired { signed, now } => invalid(format!(
                "Signature expired: {} is now earlier than {} ({} - 5 min.)",
                signed.basic(),
                now.minus(super::date::WINDOW).basic(),
                now.basic()
            )),
            Error::NotYetCurrent { signed, now } => invalid(format!(
                "Signature not yet current: {} is still later than {} ({} + 5 min.)",
                signed.basic(),
                now.plus(super::date::WINDOW).basic(),
                now.basic()
            )),
            Error::Scope(sentences) => invalid(sentences.clone()),
            Error::UnrecognizedClient => {
                Self::fixed(ExceptionKind::UnrecognizedClient, "The security token included in the request is invalid.")
            }
            Error::ExpiredToken => Self::fixed(ExpiredToken, "The security token included in the request is expired"),
            Error::Mismatch(_) => Self::fixed(InvalidSignature, MISMATCH),
        }
    }
}

/// What of the client's text an answer repeats: a bounded part, and nothing from a `=` on, behind which a
/// misplaced signature could stand.
pub(super) fn quoted(text: &str) -> String {
    text.chars().take_while(|char| *char != '=').take(128).collect()
}
