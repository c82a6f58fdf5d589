//! What is kept of an upstream's answer: its body, what of its head may reach the client, and what it is judged by.
//!
//! Nothing is decided here; no header is let out but these two, and none as it came that a client could not make sense
//! of.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response};

use crate::kms::{Answer, ErrorClass, Forwarded, UpstreamAnswer};
use crate::layers::render::{AMZN_ERROR_TYPE, AMZN_REQUEST_ID};

/// Four times that of a UUID.
pub(super) const LONGEST_REQUEST_ID: usize = 144;

/// What is kept of an upstream's answer once it was read.
pub(super) struct Read {
    /// As it would be let out.
    pub(super) answer: Answer,
    /// The key that it names, as it names it.
    pub(super) key: Option<Box<str>>,
    /// The key that it says something was taken from.
    pub(super) source_key: Option<Box<str>>,
    /// What kind of error it is, if it is one.
    pub(super) error: Option<ErrorClass>,
}

impl Read {
    /// Takes what the layers need of an answer, whose body stays as it is.
    pub(super) fn of(answer: &UpstreamAnswer<'_>, response: &Response<Bytes>) -> Self {
        let header = |name: HeaderName| response.headers().get(name);
        let owned = |text: &Cow<'_, str>| Box::<str>::from(&**text);
        let mut forwarded = Forwarded {
            status: response.status(),
            request_id: header(AMZN_REQUEST_ID).filter(|id| is_request_id(id)).cloned(),
            error_type: None,
            failure: None,
        };
        let mut kept = Answer::new(response.body().clone());
        let (mut key, mut source_key, mut error) = (None, None, None);
        match answer {
            UpstreamAnswer::Success(success) => {
                let material = |id: &Option<Cow<'_, str>>| id.as_ref().and_then(|id| id.parse().ok());
                (key, source_key) = (success.key.as_ref().map(owned), success.source_key.as_ref().map(owned));
                kept.key_material_id =
                    material(&success.destination_key_material_id).or_else(|| material(&success.key_material_id));
                kept.source_key_material_id = material(&success.source_key_material_id);
            }
            UpstreamAnswer::Failure(failure) => {
                forwarded.error_type = header(AMZN_ERROR_TYPE).map(|sent| same_error(sent, &failure.name));
                forwarded.failure = Some((owned(&failure.name), failure.message.as_ref().map(owned)));
                error = Some(failure.class());
            }
        }
        kept.forwarded = Some(Box::new(forwarded));
        Self { answer: kept, key, source_key, error }
    }
}

/// Whether records can be found by it: KMS's are UUIDs.
fn is_request_id(id: &HeaderValue) -> bool {
    (1..=LONGEST_REQUEST_ID).contains(&id.len())
        && id.as_bytes().iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
}

/// The header that names an error, as it was sent if it names the one that was judged. Some SDKs go by it, and others by
/// the body.
fn same_error(sent: &HeaderValue, judged: &str) -> HeaderValue {
    let name = sent.as_bytes().split(|byte| *byte == b':').next().unwrap_or_default();
    let name = name.rsplit(|byte| *byte == b'#').next().unwrap_or_default();
    if name == judged.as_bytes() {
        return sent.clone();
    }
    // What is judged is a name of letters and digits.
    HeaderValue::from_str(judged).unwrap_or_else(|_| HeaderValue::from_static("KMSInternalException"))
}
