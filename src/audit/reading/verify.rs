//! Verifies a trail: every line from the first that is given to the newest checkpoint is as the gateway wrote it, in its
//! place, and none is missing between.
//!
//! The checkpoints are signed, each line holds the hash of the one before, and every line has its number: so what was
//! edited, removed, added or moved in front of a checkpoint is found by whoever has the public key. Lines behind the
//! newest checkpoint are checked against the chain, which shows damage and no forgery.

use std::io::{self, ErrorKind};
use std::time::Duration;

use serde::de::IgnoredAny;

use super::chain::{Chain, Reader};
use super::expected::Expected;
use super::findings::{Findings, Place};
use super::input::{Input, Opened, Progress};
use super::lines::{LONGEST_LINE, Line};
use super::order::Order;
use super::public_keys::PublicKeys;

/// What every line begins with.
const BEGINNING: &[u8] = br#"{"eventVersion":""#;

/// What was verified, and what was found.
#[derive(Debug)]
pub struct Verified {
    /// Faults and notes.
    pub findings: Findings,
    /// Every chain of what was given.
    pub chains: Vec<Chain>,
    /// How many lines were read.
    pub lines: u64,
    /// How many bytes they have, decompressed.
    pub bytes: u64,
}

/// Verifies the trail in `inputs`, whose checkpoints are signed with `keys` and at most `interval` apart, and in which the
/// `expected` ones have to be.
///
/// # Errors
///
/// One of `inputs` cannot be opened. All else is a finding.
pub fn verify(
    inputs: &[Input],
    keys: &PublicKeys,
    expected: Expected,
    interval: Duration,
    progress: &Progress,
) -> Result<Verified, (Input, io::Error)> {
    let mut order = Order::of(inputs)?;
    let mut reader = Reader::new(keys, expected, interval);
    let (mut lines, mut bytes) = (0, 0);
    while let Some((input, opened)) = order.next(reader.next(), progress) {
        let mut opened = opened.map_err(|error| (input.clone(), error))?;
        let file = reader.findings.file(input.to_string());
        read(&mut opened, file, order.is_empty(), &mut reader);
        lines += opened.lines.number;
        bytes += opened.lines.end;
    }
    let (findings, chains) = reader.end();
    Ok(Verified { findings, chains, lines, bytes })
}

/// Reads one file, the last of all or not.
fn read(opened: &mut Opened, file: usize, last: bool, reader: &mut Reader<'_>) {
    let lines = &mut opened.lines;
    let may_grow = last && !opened.compressed;
    loop {
        let (line, offset) = (lines.number + 1, lines.end);
        let place = Place { file, line, offset, sequence: None };
        match lines.next_line() {
            Ok(Some(Line::Whole(line))) => reader.line(line, place),
            Ok(Some(Line::Last(line))) => unfinished(line, place, may_grow, reader),
            Ok(Some(Line::TooLong)) => {
                let what = format!("this is no line of the trail: it has more than {LONGEST_LINE} bytes");
                reader.findings.fault(place, what);
            }
            Ok(None) if line == 1 => {
                return reader.findings.note("emptyFile", place, || "the file is empty".to_owned());
            }
            Ok(None) => return,
            Err(error) => return reader.findings.fault(place, unreadable(&error, opened.compressed)),
        }
    }
}

/// A last line without a line feed. Its end may be what is still to be written, if the file is written to.
fn unfinished(line: &[u8], place: Place, may_grow: bool, reader: &mut Reader<'_>) {
    let what = match serde_json::from_slice::<IgnoredAny>(line) {
        Ok(_) => {
            reader.line(line, place);
            "the file ends without a line feed".to_owned()
        }
        Err(error) if error.is_eof() && line.iter().zip(BEGINNING).all(|(byte, expected)| byte == expected) => {
            format!("the file ends within a line, {} bytes behind its beginning", line.len())
        }
        Err(_) => {
            return reader.findings.fault(place, "this is no line of the trail, nor the beginning of one");
        }
    };
    if may_grow {
        reader.findings.note("endsWithinLine", place, || what);
    } else {
        reader.findings.fault(place, what + ": it was cut off");
    }
}

fn unreadable(error: &io::Error, compressed: bool) -> String {
    match error.kind() {
        ErrorKind::UnexpectedEof if compressed => {
            "the compressed file was cut off: gzip ends too early here".to_owned()
        }
        ErrorKind::InvalidData | ErrorKind::InvalidInput if compressed => {
            format!("the compressed file is damaged: gzip cannot be read from here on ({error})")
        }
        _ => format!("the file cannot be read from here on: {error}"),
    }
}

#[cfg(test)]
mod tests;
