//! One record for every request that was read, and for all that happens to keys by itself: a line of JSON in
//! CloudTrail's shape.
//!
//! The outermost layers open a [`Draft`], inner ones fill in what they learn, and the record is written when the
//! last owner of the draft ends, whatever the way; only the refusals of those whom nobody authenticated are summed up
//! beyond a rate. [`Writer`] says how lines reach the file, [`line_end`] how each is bound to the one before it, and
//! [`reading`] reads them again.
//!
//! Architecture invariant: facts come in as plain values, and none of them is a plaintext, a secret, a
//! signature or a token; audit knows no stage, no layer and no state.

mod chain;
mod console;
mod draft;
mod identity;
mod json;
pub mod line_end;
mod log_file;
mod open;
pub mod otlp;
mod own_event;
pub mod reading;
mod record;
mod recorder;
mod refusals;
mod service_event;
mod signing_key;
mod writer;

pub use chain::{ChainSettings, StoreRevision};
pub use console::{line as console_line, steers_terminal};
pub use draft::{Additional, Arrived, Draft, Reason, TlsDetails};
pub use identity::user_identity;
pub use log_file::Rotation;
pub use open::{MainSink, Trail, second_file};
pub use own_event::Origin;
pub use recorder::Recorder;
pub use refusals::UNAUTHENTICATED_PER_SECOND;
pub use service_event::service_event;
pub use signing_key::{NotMade, SigningKey};
pub use writer::{Durability, Place, SecondSink, Ticket, Unwritable, Writer};

/// The JSON Schema of a record: what every line of an audit file is.
pub const RECORD_SCHEMA: &str = include_str!("record.schema.json");
