//! The wire of KMS: what a request asks, how it is answered and how it is refused, by us and by a real KMS.
//!
//! Pure: bytes in, values out. Nothing here knows a connection, a clock, a policy or a key's state.

mod answer;
mod concealed;
mod error_class;
mod exception;
mod input;
mod model;
mod parse;
mod pattern;
mod response_elements;
mod texts;
mod upstream_answer;
mod validation;
mod writer;

pub use answer::{Answer, Forwarded};
pub use error_class::ErrorClass;
pub use exception::{Exception, ExceptionKind};
pub use input::{Input, Recipient, Tag};
pub use model::ENCRYPTION_CONTEXT_BYTES;
pub use response_elements::ResponseElements;
pub use upstream_answer::{NotKms, UpstreamAnswer, UpstreamFailure, UpstreamSuccess};
pub use writer::{JsonObject, push_json_string, push_json_text};

pub use crate::aws::Member;
