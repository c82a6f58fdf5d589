//! The wire of KMS: what a request asks, how it is answered and how it is refused.
//!
//! Pure: bytes in, values out. Nothing here knows a connection, a clock, a policy or a key's state.

mod answer;
mod exception;
mod input;
mod model;
mod parse;
mod pattern;
mod texts;
mod validation;
mod writer;

pub use answer::Answer;
pub use exception::{Exception, ExceptionKind};
pub use input::{Input, Recipient, Tag};
pub use model::ENCRYPTION_CONTEXT_BYTES;
pub use writer::{JsonObject, push_json_string, push_json_text};

pub use crate::aws::Member;
