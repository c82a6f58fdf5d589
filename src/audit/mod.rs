//! One record for every request that was read, and for all that happens to keys by itself: a line of JSON in
//! CloudTrail's shape.
//!
//! The outermost layers open a [`Draft`], inner ones fill in what they learn, and the record is written when the
//! last owner of the draft ends, whatever the way. [`Writer`] says how lines reach the file.
//!
//! Architecture invariant: facts come in as plain values, and none of them is a plaintext, a secret, a
//! signature or a token; audit knows no stage, no layer and no state.

mod console;
mod draft;
mod identity;
mod json;
mod record;
mod recorder;
mod service_event;
mod sink;
mod writer;

pub use console::line as console_line;
pub use draft::{Additional, Arrived, Draft, Reason, TlsDetails};
pub use identity::{unknown_identity, user_identity};
pub use recorder::Recorder;
pub use service_event::service_event;
pub use writer::{Place, Ticket, Unwritable, Writer};
