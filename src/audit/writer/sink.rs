//! What records are written to, and what of them it has not taken yet.

use std::io::{self, Write};
use std::mem;
use std::ops::Range;
use std::time::Duration;

use memchr::memchr_iter;
use tokio::time::Instant;

use super::Writer;
use crate::audit::chain::{Chain, Reason};
use crate::audit::log_file::{LogFile, Rotation, compress_apart};
use crate::audit::record::CLOSED;
use crate::clock::Clock;

/// A buffer that grew beyond this is given back once it is empty.
const KEPT_BYTES: usize = 1024 * 1024;
/// A file that could not be renamed is left alone for so long.
const ROTATED_AGAIN_AFTER: Duration = Duration::from_mins(1);

/// What is written to.
pub(in crate::audit) enum Target {
    /// A regular file.
    File { file: LogFile, rotation: Option<Rotation>, clock: Clock },
    /// What can block.
    Stream(Box<dyn Write + Send>),
}

/// How lines are ended.
pub(in crate::audit) enum Lines {
    /// They are texts and come as they are to be.
    Whole,
    /// They are records, which come open.
    Closed,
    /// They are records, and each is bound to the one before.
    Chained(Box<Chain>),
}

impl Lines {
    /// Of the line that comes next, if lines are counted.
    fn next_sequence(&self) -> Option<u64> {
        match self {
            Self::Chained(chain) => Some(chain.next_sequence()),
            Self::Whole | Self::Closed => None,
        }
    }
}

/// A sink beside the one that must succeed.
#[derive(Debug)]
pub struct SecondSink {
    /// Nobody waits for it.
    pub writer: Writer,
    /// It gets nothing else.
    pub only_checkpoints: bool,
}

pub(in crate::audit) struct Sink {
    target: Target,
    lines: Lines,
    /// Whether a batch has to be on the disk.
    synced: bool,
    /// Lines as they were queued.
    raw: Vec<u8>,
    /// Lines as they are written.
    batch: Vec<u8>,
    offset: usize,
    /// The number of the last line, and what all lines of the batch hold of the backlog.
    last: u64,
    charged: usize,
    /// Where checkpoints stand in the batch.
    checkpoints: Vec<Range<usize>>,
    /// Whether the last of them is the one that was wanted.
    ended: bool,
    /// The program ends: nothing is reserved any more.
    closed: bool,
    /// When the file last could not be renamed.
    unrotated: Option<Instant>,
    seconds: Vec<SecondSink>,
}

impl Sink {
    pub(in crate::audit) fn new(target: Target, lines: Lines, synced: bool, seconds: Vec<SecondSink>) -> Self {
        Self {
            target,
            lines,
            synced,
            raw: Vec::new(),
            batch: Vec::new(),
            offset: 0,
            last: 0,
            charged: 0,
            checkpoints: Vec::new(),
            ended: false,
            closed: false,
            unrotated: None,
            seconds,
        }
    }

    pub(super) fn of_stream(out: impl Write + Send + 'static, lines: Lines) -> Self {
        Self::new(Target::Stream(Box::new(out)), lines, false, Vec::new())
    }

    /// Takes over what is queued, up to line `last`. Leaves an empty buffer.
    pub(super) fn take(&mut self, queued: &mut Vec<u8>, charged: &mut usize, last: u64) {
        mem::swap(&mut self.raw, queued);
        self.charged += mem::take(charged);
        self.last = last;
    }

    /// Ends the lines that were taken over, and puts them behind what an earlier write left. `wanted` is a checkpoint
    /// behind them.
    pub(super) fn end_lines(&mut self, wanted: Option<Reason>) {
        let Self { raw, batch, lines, .. } = self;
        if let Lines::Whole = lines {
            if batch.is_empty() {
                mem::swap(batch, raw);
            } else {
                batch.append(raw);
            }
            return;
        }
        let mut from = 0;
        for end in memchr_iter(b'\n', raw) {
            let start = batch.len();
            batch.extend_from_slice(raw.get(from..end).unwrap_or_default());
            from = end + 1;
            match lines {
                Lines::Chained(chain) => chain.bind(batch, start),
                _ => batch.extend_from_slice(CLOSED),
            }
            batch.push(b'\n');
        }
        raw.clear();
        raw.shrink_to(KEPT_BYTES);
        if let Lines::Chained(chain) = lines {
            // While nothing can be written the chain has come no further.
            let due = self.offset == 0 && self.checkpoints.is_empty() && chain.is_due();
            let wanted = wanted.filter(|_| !mem::replace(&mut self.ended, wanted.is_some()));
            if let Some(reason) = wanted.or(due.then_some(Reason::Interval)) {
                self.checkpoint(reason);
            }
        }
    }

    /// Puts a checkpoint behind what is to be written.
    pub(in crate::audit) fn checkpoint(&mut self, reason: Reason) {
        if let Lines::Chained(chain) = &mut self.lines {
            let start = self.batch.len();
            chain.checkpoint(&mut self.batch, reason);
            self.checkpoints.push(start..self.batch.len());
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    pub(super) const fn is_synced(&self) -> bool {
        self.synced
    }

    pub(super) const fn last(&self) -> u64 {
        self.last
    }

    /// Writes the batch from where the last attempt stopped, which may be in the middle of a line; what its lines held
    /// of the backlog. Says so each time that some of it was taken.
    pub(super) fn write(&mut self, taken: impl Fn()) -> io::Result<usize> {
        self.write_rest(&taken)?;
        if let Target::File { file, clock, .. } = &mut self.target {
            // What was written to a file that nobody will find was not recorded.
            if file.is_removed()? {
                let lines = u64::try_from(memchr_iter(b'\n', &self.batch).count()).unwrap_or_default();
                let first = self.lines.next_sequence().map(|next| next - lines);
                file.begin_anew(first, clock)?;
                tracing::warn!("the audit file was removed; another is begun in its place");
                self.offset = 0;
                self.checkpoint(Reason::Continuation);
                self.write_rest(&taken)?;
            }
        }
        if self.synced
            && let Target::File { file, .. } = &self.target
        {
            file.sync()?;
        }
        for second in &self.seconds {
            if !second.only_checkpoints {
                second.writer.offer(&self.batch);
                continue;
            }
            for checkpoint in &self.checkpoints {
                second.writer.offer(self.batch.get(checkpoint.clone()).unwrap_or_default());
            }
        }
        self.offset = 0;
        self.ended = false;
        self.checkpoints.clear();
        self.batch.clear();
        self.batch.shrink_to(KEPT_BYTES);
        Ok(mem::take(&mut self.charged))
    }

    fn write_rest(&mut self, taken: &impl Fn()) -> io::Result<()> {
        let out: &mut dyn Write = match &mut self.target {
            Target::File { file, .. } => file,
            Target::Stream(out) => out,
        };
        while let Some(rest) = self.batch.get(self.offset..).filter(|rest| !rest.is_empty()) {
            match out.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(length) => {
                    self.offset += length;
                    taken();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        out.flush()
    }

    /// How many bytes can be written for sure; all that one likes where nothing is promised.
    pub(super) const fn room(&self) -> u64 {
        match &self.target {
            Target::File { file, .. } => file.room(),
            Target::Stream(_) => u64::MAX,
        }
    }

    /// Sees to it that there is room for what is in flight, which holds so many bytes.
    pub(super) fn reserve(&mut self, held: u64) -> io::Result<()> {
        match &mut self.target {
            Target::File { file, .. } if !self.closed => file.reserve(held),
            _ => Ok(()),
        }
    }

    /// Whether it is time for another file, by the size of this.
    pub(super) fn is_full(&self) -> bool {
        match &self.target {
            Target::File { file, rotation: Some(rotation), .. } => {
                let tried = self.unrotated.is_some_and(|at| at.elapsed() < ROTATED_AGAIN_AFTER);
                file.is_full(rotation) && !tried
            }
            _ => false,
        }
    }

    /// Goes on in another file where this is full, old, or not where it was. Nothing is left to write.
    pub(super) fn tend(&mut self) -> io::Result<()> {
        let next_sequence = self.lines.next_sequence();
        let full = self.is_full();
        let Target::File { file, rotation, clock } = &mut self.target else { return Ok(()) };
        let moved = file.is_moved()?;
        if moved && file.is_removed()? {
            // Nobody would read a last line there.
            file.begin_anew(next_sequence, clock)?;
            tracing::warn!("the audit file was removed; another is begun in its place");
            self.checkpoint(Reason::Continuation);
            return self.write(|| ()).map(drop);
        }
        let due = rotation.filter(|rotation| full || file.is_old(rotation, clock.now()));
        let renamed = match due.filter(|_| !moved).map(|rotation| (file.rename(), rotation)) {
            None if moved => None,
            None => return Ok(()),
            Some((Err(error), _)) => {
                // Its lines are safe where they are.
                tracing::warn!(%error, "the audit file cannot be rotated");
                self.unrotated = Some(Instant::now());
                return Ok(());
            }
            Some((Ok(name), rotation)) => rotation.compress.then_some(name),
        };
        self.unrotated = None;
        let mut new = file.next(next_sequence.map(|next| next + 1), clock)?;
        self.checkpoint(if moved { Reason::Moved } else { Reason::Rotation });
        self.write(|| ())?;
        let Target::File { file, .. } = &mut self.target else { return Ok(()) };
        mem::swap(file, &mut new);
        // First, so that a full disk has it for the new one; and nothing of this keeps that from going on.
        let given_back = new.give_back();
        let _ = file.reserve(0);
        if moved {
            tracing::warn!("the audit file was moved away; another is begun in its place");
        }
        compress_apart(renamed.into_iter().collect());
        self.checkpoint(Reason::Continuation);
        self.write(|| ())?;
        given_back
    }

    /// Gives back what was reserved, at the end of the program.
    pub(super) fn close(&mut self) -> io::Result<()> {
        self.closed = true;
        if let Target::File { file, .. } = &mut self.target {
            file.give_back()?;
            file.sync()?;
        }
        Ok(())
    }
}
