//! Binds each line to the line before, and signs where the chain has come to.
//!
//! Architecture invariant: a line is bound when it is taken for writing, once and in the order of writing; what is bound
//! is written, however often that has to be tried.

use std::fmt::{self, Write};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use tokio::time::Instant;

use super::line_end::{LineHash, append, append_signature, signed_text};
use super::own_event::{CHECKPOINT, Origin, REPAIRED};
use super::reading::LONGEST_LINE;
use super::record::CLOSED;
use super::signing_key::SigningKey;
use crate::clock::Clock;

/// So much can be quoted, in bytes: no record is half as long, and in base64 it is within the longest line.
pub(super) const MOST_REPAIRED: usize = LONGEST_LINE / 4;

/// How often it is looked at least.
const LOOKED_AFTER: Duration = Duration::from_secs(1);

/// Which embedded store there is, and at which revision.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct StoreRevision {
    /// Its id.
    pub id: String,
    /// Its revision, which grows with every change.
    pub revision: u64,
}

/// Why there is a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// The program has started.
    Start,
    /// The last one was long enough ago.
    Interval,
    /// A file begins, which goes on from another.
    Continuation,
    /// The file ends here, and another begins.
    Rotation,
    /// Somebody renamed or removed the file, which ends here.
    Moved,
    /// The program ends.
    Stop,
}

impl Reason {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Interval => "interval",
            Self::Continuation => "continuation",
            Self::Rotation => "rotation",
            Self::Moved => "moved",
            Self::Stop => "stop",
        }
    }
}

/// A line that others are bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) sequence: u64,
    pub(super) hash: LineHash,
}

impl Link {
    /// What stands before the first line.
    pub(super) const NONE: Self = Self { sequence: 0, hash: LineHash::ZERO };
}

/// What is needed to go on with a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ChainEnd {
    /// The UUID of the chain.
    pub(super) id: String,
    /// Its last line.
    pub(super) last: Link,
    /// Its last checkpoint.
    pub(super) checkpoint: Option<Link>,
    /// The store as that checkpoint saw it.
    pub(super) store: Option<StoreRevision>,
    /// Whether the last line says that another file was begun.
    pub(super) is_continued: bool,
}

/// How lines are bound and signed.
pub struct ChainSettings {
    /// Signs checkpoints.
    pub key: SigningKey,
    /// The longest time between two of them.
    pub interval: Duration,
    /// Where the gateway is, as checkpoints say.
    pub origin: Origin,
    /// What tells when a checkpoint was made.
    pub clock: Clock,
    /// What tells the embedded store's revision, where there is one.
    pub store: Option<Box<dyn Fn() -> StoreRevision + Send + Sync>>,
}

/// The lines of one trail.
pub(super) struct Chain {
    settings: ChainSettings,
    end: ChainEnd,
    checkpointed_at: Instant,
}

impl Chain {
    /// Goes on from `end`.
    pub(super) fn new(settings: ChainSettings, end: ChainEnd) -> Self {
        Self { settings, end, checkpointed_at: Instant::now() }
    }

    /// Closes and binds the line that is open from `start` to the end of `out`, without a line feed.
    pub(super) fn bind(&mut self, out: &mut Vec<u8>, start: usize) {
        self.end_with(out, start, |_, _| ());
    }

    fn end_with(&mut self, out: &mut Vec<u8>, start: usize, sign: impl FnOnce(&SigningKey, &mut Vec<u8>)) {
        let Link { sequence, hash: previous } = self.end.last;
        let sequence = sequence + 1;
        append(out, sequence, previous);
        sign(&self.settings.key, out);
        out.extend_from_slice(CLOSED);
        self.end.last = Link { sequence, hash: LineHash::of(out.get(start..).unwrap_or_default()) };
    }

    /// The line, with its line feed, that stands for `torn`, what a crash has left of one (at most [`MOST_REPAIRED`] bytes),
    /// and for zeros behind it, `size` bytes in all.
    pub(super) fn repaired(&mut self, torn: &[u8], size: u64) -> Vec<u8> {
        let quoted = STANDARD.encode(torn);
        let mut line = Vec::new();
        self.settings.origin.event(&mut line, REPAIRED, self.settings.clock.now());
        line.extend_from_slice(format!(r#""repaired":{{"bytes":{size},"text":"{quoted}"}}"#).as_bytes());
        self.bind(&mut line, 0);
        line.push(b'\n');
        line
    }

    /// Of the line that comes next.
    pub(super) const fn next_sequence(&self) -> u64 {
        self.end.last.sequence + 1
    }

    /// Whether the last checkpoint will be too long ago when it is next looked.
    pub(super) fn is_due(&self) -> bool {
        let interval = self.settings.interval;
        self.checkpointed_at.elapsed() >= interval.saturating_sub(LOOKED_AFTER.min(interval / 10))
    }

    /// Appends a checkpoint and its line feed.
    pub(super) fn checkpoint(&mut self, out: &mut Vec<u8>, reason: Reason) {
        let start = out.len();
        let ChainSettings { origin, clock, key, store, .. } = &self.settings;
        origin.event(out, CHECKPOINT, clock.now());
        let mut text = format!(r#""checkpoint":{{"reason":"{}","chain":"{}""#, reason.as_str(), self.end.id);
        let _ = match &self.end.checkpoint {
            None => write!(text, r#","previous":null"#),
            Some(link) => {
                write!(text, r#","previous":{{"sequence":{},"hash":"{}"}}"#, link.sequence, link.hash)
            }
        };
        if let Some(store) = store {
            let StoreRevision { id, revision } = store();
            let _ = write!(text, r#","store":{{"id":"{id}","revision":{revision}}}"#);
        }
        let _ = write!(text, r#","publicKey":"{}"}}"#, key.public_key());
        out.extend_from_slice(text.as_bytes());
        self.end_with(out, start, |key, out| {
            let signature = key.sign(&signed_text(out.get(start..).unwrap_or_default()));
            append_signature(out, &signature);
        });
        out.push(b'\n');
        self.end.checkpoint = Some(self.end.last);
        self.checkpointed_at = Instant::now();
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain").field("end", &self.end).finish_non_exhaustive()
    }
}
