//! The audit trail as it is read: checked against its chain and its signatures, followed while it is written, and
//! counted up.
//!
//! Files may be larger than memory, compressed, cut off, written to at this moment or made by an attacker. They are read
//! once from front to back, one line in memory at a time; what is kept beside it has a bound, and no content is an error
//! of the program's.

mod chain;
mod checkpoint;
mod expected;
mod findings;
mod follow;
mod head;
mod input;
mod last_lines;
mod lines;
mod links;
mod order;
mod public_keys;
mod record;
mod tally;
mod times;
mod verify;

pub use chain::{Chain, Signed};
pub use expected::{Expected, NoCheckpoint};
pub use findings::{Finding, Findings, Note};
pub use follow::{Follower, Told};
pub use input::{Input, Opened, Progress};
pub use last_lines::last_lines;
pub use lines::{LONGEST_LINE, Line, Lines};
pub use public_keys::{NoKey, PublicKeys};
pub use record::{Record, Refusals, Refused, Text};
pub use tally::{By, Counts, OTHERS, Reason, Row, Tally};
pub use verify::{Verified, verify};
