//! Where the chain of a file has come to, found from its end.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::os::unix::fs::FileExt;

use memchr::memrchr;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::super::chain::{ChainEnd, Link, MOST_REPAIRED, Reason, StoreRevision};
use super::super::line_end::{LineEnd, LineHash};
use super::super::reading::LONGEST_LINE;
use crate::clock::Timestamp;

const BLOCK: u64 = 256 * 1024;
/// What every line of ours begins with.
const BEGINNING: &[u8] = br#"{"eventVersion":""#;

/// What a file holds.
#[derive(Debug, Default)]
pub(in crate::audit) struct Found {
    /// The end of its chain; `None` if it holds no line of one.
    pub(in crate::audit) end: Option<ChainEnd>,
    pub(in crate::audit) first: Option<First>,
    /// What stands behind its last line.
    pub(in crate::audit) torn: Option<Torn>,
}

/// What a crash, or the loss of power, has left behind the last line.
#[derive(Debug)]
pub(in crate::audit) struct Torn {
    /// Where it begins.
    pub(in crate::audit) offset: u64,
    /// What it is, up to the zeros that a file system may leave at the end.
    pub(in crate::audit) bytes: Vec<u8>,
    /// How long it is with them.
    pub(in crate::audit) size: u64,
}

/// The first line of a file.
#[derive(Debug)]
pub(in crate::audit) struct First {
    pub(super) sequence: u64,
    pub(super) at: Option<Timestamp>,
}

/// What of a checkpoint tells which chain it is of.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CheckpointLine {
    additional_event_data: AdditionalEventData,
}

#[derive(Deserialize)]
struct AdditionalEventData {
    gateway: Gateway,
}

#[derive(Deserialize)]
struct Gateway {
    checkpoint: Checkpoint,
}

/// What a checkpoint says.
#[derive(Deserialize)]
struct Checkpoint {
    reason: String,
    chain: String,
    store: Option<StoreRevision>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Timed {
    event_time: String,
}

impl ChainEnd {
    /// A chain of which only its last line is known.
    pub(in crate::audit) const fn of(last: Link) -> Self {
        Self { id: String::new(), last, checkpoint: None, store: None, is_continued: false }
    }

    /// Takes up what the checkpoint `line` says.
    pub(super) fn set_checkpoint(&mut self, at: Link, line: &[u8]) -> io::Result<()> {
        let parsed: CheckpointLine = serde_json::from_slice(line)?;
        let Checkpoint { reason, chain, store } = parsed.additional_event_data.gateway.checkpoint;
        (self.id, self.store, self.checkpoint) = (chain, store, Some(at));
        self.is_continued = at == self.last && reason == Reason::Rotation.as_str();
        Ok(())
    }
}

/// Looks at the end of `file`, and as far back as its last checkpoint.
///
/// # Errors
///
/// If it cannot be read, or ends in lines that are of no chain.
pub(in crate::audit) fn find(file: &File) -> io::Result<Found> {
    let full = file.metadata()?.len();
    let length = without_zeros(file, full)?;
    let mut lines = Backward::new(file, length)?;
    let mut intact = lines.end;
    let mut end: Option<ChainEnd> = None;
    while let Some(line) = lines.next()? {
        let Some(line_end) = LineEnd::parse(&line) else {
            if end.is_none() && serde_json::from_slice::<IgnoredAny>(&line).is_err() {
                intact = lines.end;
                continue;
            }
            return Err(unchained());
        };
        let link = Link { sequence: line_end.sequence, hash: LineHash::of(&line) };
        let end = end.get_or_insert_with(|| ChainEnd::of(link));
        if line_end.signature.is_some() {
            end.set_checkpoint(link, &line)?;
            break;
        }
    }
    let torn = (intact < full).then(|| torn(file, intact, length, full)).transpose()?;
    if let (None, Some(torn)) = (&end, &torn)
        && !begins_like_ours(&torn.bytes)
    {
        return Err(unchained());
    }
    Ok(Found { first: first(file)?, end, torn })
}

fn begins_like_ours(bytes: &[u8]) -> bool {
    bytes.iter().zip(BEGINNING).all(|(byte, expected)| byte == expected)
}

fn unchained() -> io::Error {
    let message = "it holds lines that are of no chain; move it away, or set audit.chain to false";
    io::Error::new(io::ErrorKind::InvalidData, message)
}

fn torn(file: &File, offset: u64, length: u64, full: u64) -> io::Result<Torn> {
    let size = usize::try_from(length - offset).ok().filter(|size| *size <= MOST_REPAIRED);
    let Some(size) = size else {
        let message = format!("its last {} bytes are no records; move it away", length - offset);
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    };
    let mut bytes = vec![0; size];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(Torn { offset, bytes, size: full - offset })
}

/// Where the zeros begin that the file ends with: space that was reserved, and whose content power was lost before.
fn without_zeros(file: &File, full: u64) -> io::Result<u64> {
    let mut end = full;
    while end > 0 {
        let size = end.min(BLOCK);
        let mut block = vec![0; usize::try_from(size).unwrap_or_default()];
        file.read_exact_at(&mut block, end - size)?;
        match block.iter().rposition(|byte| *byte != 0) {
            Some(last) => return Ok(end - size + to_u64(last) + 1),
            None => end -= size,
        }
    }
    Ok(0)
}

/// The first line, if there is a whole one of a chain.
fn first(file: &File) -> io::Result<Option<First>> {
    let mut reader = BufReader::new(file);
    reader.rewind()?;
    let mut line = Vec::new();
    reader.take(to_u64(LONGEST_LINE)).read_until(b'\n', &mut line)?;
    let Some(line) = line.strip_suffix(b"\n") else { return Ok(None) };
    let timed = serde_json::from_slice::<Timed>(line).ok();
    let at = timed.and_then(|timed| Timestamp::parse_iso8601(&timed.event_time));
    Ok(LineEnd::parse(line).map(|end| First { sequence: end.sequence, at }))
}

/// The lines of a file from the last to the first.
struct Backward<'a> {
    file: &'a File,
    /// Where the lines end that were not given yet.
    end: u64,
    /// What stands before that, as far as it was read.
    block: Vec<u8>,
}

impl<'a> Backward<'a> {
    /// Begins with the last line that has ended.
    fn new(file: &'a File, length: u64) -> io::Result<Self> {
        let mut lines = Self { file, end: length, block: Vec::new() };
        loop {
            if let Some(at) = memrchr(b'\n', &lines.block) {
                lines.end = lines.end + 1 + to_u64(at) - to_u64(lines.block.len());
                lines.block.truncate(at + 1);
                return Ok(lines);
            }
            if !lines.read_block()? {
                lines.block.clear();
                lines.end = 0;
                return Ok(lines);
            }
        }
    }

    /// The line before those that were given, without its line feed.
    fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        if self.end == 0 {
            return Ok(None);
        }
        loop {
            let line = self.block.split_last().map_or(&[][..], |(_, line)| line);
            let start = match memrchr(b'\n', line) {
                Some(at) => Some(at + 1),
                None => (!self.block.is_empty() && to_u64(self.block.len()) == self.end).then_some(0),
            };
            if let Some(start) = start {
                let mut line = self.block.split_off(start);
                self.end -= to_u64(line.len());
                line.pop();
                return Ok(Some(line));
            }
            self.read_block()?;
        }
    }

    /// Reads what stands before the block; whether there was anything.
    fn read_block(&mut self) -> io::Result<bool> {
        if self.block.len() > LONGEST_LINE {
            return Err(unchained());
        }
        let before = self.end - to_u64(self.block.len());
        let size = before.min(BLOCK);
        let mut block = vec![0; usize::try_from(size).unwrap_or_default()];
        self.file.read_exact_at(&mut block, before - size)?;
        block.append(&mut self.block);
        self.block = block;
        Ok(size > 0)
    }
}

fn to_u64(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}
