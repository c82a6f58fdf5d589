//! Reads the body once. Policy, backend and audit all read this one parse.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::{Authenticated, Step};
use crate::backend::Backend;
use crate::credentials::AccessKey;
use crate::error::Error;
use crate::kms::Input;
use crate::limits::BodyReservation;
use crate::sigv4::PayloadHash;
use crate::stage::RequestContext;

/// A request whose parameters are known and within their constraints.
#[derive(Debug)]
pub struct Parsed {
    pub(super) context: RequestContext,
    pub(super) access_key: Arc<AccessKey>,
    pub(super) input: Input,
    pub(super) payload: Payload,
    pub(super) held: BodyReservation,
    _made_here: (),
}

/// The bytes that a request's facts were read from, for a backend that sends them on.
pub(super) struct Payload {
    pub(super) body: Bytes,
    pub(super) hash: PayloadHash,
}

/// Without the body, which may hold plaintext.
impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payload").field("bytes", &self.body.len()).finish_non_exhaustive()
    }
}

/// The step that makes [`Parsed`].
#[derive(Debug, Clone, Copy)]
pub struct Parse(
    /// Who holds requests to their constraints.
    pub Constraints,
);

/// Who holds a request's members to their bounds, patterns and enums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Constraints {
    /// The gateway, which answers the request itself.
    Here,
    /// The upstream, which may be newer and know more.
    Upstream,
}

impl Constraints {
    /// Who holds what `backend` is asked to them.
    #[must_use]
    pub const fn held_by(backend: &Backend) -> Self {
        match backend {
            Backend::Local(_) => Self::Here,
            Backend::Aws(_) => Self::Upstream,
        }
    }
}

impl Step<Authenticated> for Parse {
    type Out = Parsed;

    fn step(&self, authenticated: Authenticated) -> Result<Parsed, Error> {
        let hash = authenticated.payload();
        let Authenticated { context, access_key, operation, body, held, .. } = authenticated;
        let input = match self.0 {
            Constraints::Here => Input::parse(operation, &body)?,
            Constraints::Upstream => Input::parse_to_forward(operation, &body)?,
        };
        let mut parameters = String::with_capacity(body.len());
        input.request_parameters(&mut parameters);
        context.draft.request_parameters(parameters);
        let payload = Payload { body, hash };
        Ok(Parsed { context, access_key, input, payload, held, _made_here: () })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{ORDERS, World};
    use super::*;

    fn refusal(operation: &str, body: &str) -> Error {
        let world = World::new();
        Parse(Constraints::Here).step(world.authenticated(world.signed(ORDERS, operation, body, &[]))).unwrap_err()
    }

    #[test]
    fn what_breaks_a_constraint_is_refused_in_the_words_of_kms() {
        let error = refusal("GenerateRandom", r#"{"NumberOfBytes":0}"#);
        // Recorded from KMS.
        assert_eq!(
            error.exception().message(),
            Some(
                "1 validation error detected: Value '0' at 'numberOfBytes' failed to satisfy constraint: Member must \
                 have value greater than or equal to 1"
            )
        );
        assert_eq!(error.exception().kind().name(), "ValidationException");
    }

    #[test]
    fn what_is_no_json_or_says_a_thing_twice_is_refused() {
        for body in ["", "null", "{", r#"{"NumberOfBytes":16,"NumberOfBytes":32}"#] {
            assert_eq!(refusal("GenerateRandom", body).exception().kind().name(), "SerializationException", "{body}");
        }
    }

    #[test]
    fn the_record_has_the_parameters_without_what_is_secret() {
        let world = World::new();
        let body = json!({"KeyId": "alias/orders", "Plaintext": "c2VjcmV0", "EncryptionContext": {"order": "7"},
            "GrantTokens": ["dG9rZW4"]});
        drop(world.parsed(world.request("Encrypt", &body)));
        let record = world.record();
        let parameters = json!({"keyId": "alias/orders", "encryptionContext": {"order": "7"},
            "encryptionAlgorithm": "SYMMETRIC_DEFAULT"});
        assert_eq!(record["requestParameters"], parameters);
        assert!(!record.to_string().contains("c2VjcmV0") && !record.to_string().contains("dG9rZW4"), "{record}");
    }
}
