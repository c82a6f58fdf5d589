//! What an operation answers, and what the audit record says of it.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, StatusCode};

use crate::aws::KeyMaterialId;

/// An answer to be let out: what the call came to, or an upstream's error in its own words.
#[derive(Clone, Default)]
pub struct Answer {
    /// The body: JSON, or nothing for operations without an output.
    pub body: Bytes,
    /// The key material used, for the record's `additionalEventData`. For `ReEncrypt` the destination's.
    pub key_material_id: Option<KeyMaterialId>,
    /// The key material that `ReEncrypt`'s source was under.
    pub source_key_material_id: Option<KeyMaterialId>,
    /// The grant that the call took away, for the record's `additionalEventData`.
    pub grant_id: Option<Box<str>>,
    /// The ARN of the key that the call made, for the record's `resources`.
    pub created: Option<Arc<str>>,
    /// What an upstream said beside the body, if the answer is one's.
    pub forwarded: Option<Box<Forwarded>>,
}

/// The head of an upstream's answer, as much of it as reaches the client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forwarded {
    /// Its status.
    pub status: StatusCode,
    /// Its `x-amzn-RequestId`: the client's too, so that AWS's support finds the call.
    pub request_id: Option<HeaderValue>,
    /// Its `x-amzn-ErrorType`.
    pub error_type: Option<HeaderValue>,
    /// The name and the message of the error that it is, for the record.
    pub failure: Option<(Box<str>, Option<Box<str>>)>,
}

impl Answer {
    /// An answer with this body.
    #[must_use]
    pub const fn new(body: Bytes) -> Self {
        Self {
            body,
            key_material_id: None,
            source_key_material_id: None,
            grant_id: None,
            created: None,
            forwarded: None,
        }
    }

    /// The answer of an operation without an output: 200 and no body.
    #[must_use]
    pub const fn empty() -> Self {
        Self::new(Bytes::new())
    }

    /// Names the key material used.
    #[must_use]
    pub const fn with_key_material(mut self, id: KeyMaterialId) -> Self {
        self.key_material_id = Some(id);
        self
    }
}

/// Says how long the body is: it may be plaintext.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (bytes, created) = (self.body.len(), &self.created);
        f.debug_struct("Answer").field("bytes", &bytes).field("created", created).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_prints_no_plaintext() {
        let answer = Answer::new(Bytes::from_static(b"{\"Plaintext\":\"c2VjcmV0\"}"));
        assert_eq!(format!("{answer:?}"), "Answer { bytes: 24, created: None, .. }");
    }
}
