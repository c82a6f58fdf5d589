//! Checkpoints that were kept elsewhere, and so must be in the trail.
//!
//! The end of a trail can be cut off, and one who has stolen the signing key can make it anew: only who knows of a
//! checkpoint from another place notices.

use std::io;
use std::path::Path;

use super::findings::Findings;
use super::input::{Input, Progress};
use super::lines::Line;
use crate::audit::line_end::{LineEnd, LineHash};

/// The checkpoints.
#[derive(Debug, Default)]
pub struct Expected(Vec<Kept>);

#[derive(Debug)]
struct Kept {
    hash: LineHash,
    /// Not known of a bare hash.
    sequence: Option<u64>,
    found: bool,
}

/// Why a text names no checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum NoCheckpoint {
    /// There is no such file, and the text is no hash.
    #[error("it is not a SHA-256 of 64 lower-case hexadecimal digits, and as a file it cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// A line that the trail's lines do not look like.
    #[error("its line {0} is no line of an audit trail")]
    NoLine(u64),
    /// Lines, but none with a signature.
    #[error("it holds no checkpoint")]
    None,
}

impl Expected {
    /// Adds the checkpoint whose hash `text` is, or those in the file that it names. Other lines of a trail in the
    /// file are passed over.
    ///
    /// # Errors
    ///
    /// [`NoCheckpoint`]
    pub fn add(&mut self, text: &str) -> Result<(), NoCheckpoint> {
        if let Some(hash) = LineHash::parse(text.as_bytes()) {
            self.0.push(Kept { hash, sequence: None, found: false });
            return Ok(());
        }
        let mut lines = Input::new(Path::new(text)).open(&Progress::default())?.lines;
        let before = self.0.len();
        loop {
            let number = lines.number + 1;
            let Some(line) = lines.next_line()? else { break };
            let end = match line {
                Line::Whole(line) | Line::Last(line) => LineEnd::parse(line).map(|end| (end, LineHash::of(line))),
                Line::TooLong => None,
            };
            let (end, hash) = end.ok_or(NoCheckpoint::NoLine(number))?;
            if end.signature.is_some() {
                self.0.push(Kept { hash, sequence: Some(end.sequence), found: false });
            }
        }
        if self.0.len() > before { Ok(()) } else { Err(NoCheckpoint::None) }
    }

    /// Ready to look for.
    pub(super) fn sort(&mut self) {
        self.0.sort_unstable_by_key(|kept| kept.hash);
    }

    /// A checkpoint is there.
    pub(super) fn found(&mut self, hash: LineHash) {
        let from = self.0.partition_point(|kept| kept.hash < hash);
        for kept in self.0.iter_mut().skip(from).take_while(|kept| kept.hash == hash) {
            kept.found = true;
        }
    }

    /// Tells which are not there, `first` and `last` being the ends of what was given.
    pub(super) fn tell(&mut self, ends: Option<(u64, u64)>, findings: &mut Findings) {
        self.0.retain(|kept| !kept.found);
        self.0.sort_unstable_by_key(|kept| kept.sequence);
        for Kept { hash, sequence, .. } in &self.0 {
            let why = match (sequence, ends) {
                (Some(sequence), Some((first, _))) if *sequence < first => "the lines that were given begin behind it",
                (Some(sequence), Some((_, last))) if *sequence > last => "the end of the trail was cut off",
                (Some(_), Some(_)) => "the chain was made anew, and another line has its place",
                _ => "the trail was cut off or made anew",
            };
            let number = sequence.map(|sequence| format!(" with sequence {sequence}")).unwrap_or_default();
            findings.fault(None, format!("the expected checkpoint {hash}{number} is not there: {why}"));
        }
    }
}
