//! What is found while a trail is read: faults, each with its place, and what is only worth knowing.

use std::fmt;

/// So many faults are kept; the rest are counted. Behind a hundred an auditor looks at the file itself.
const FAULTS_KEPT: usize = 100;
/// A line that was changed can be noticed at itself and again when lines behind it are read; so many faults back it is
/// looked whether this one has been told.
const TOLD_BEFORE: usize = 4;

/// Where a line stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The number of the file in the order of reading.
    pub(super) file: usize,
    pub(super) line: u64,
    pub(super) offset: u64,
    pub(super) sequence: Option<u64>,
}

/// A fault or a note, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file; `None` if it is about all that was given.
    pub file: Option<String>,
    /// The line's number in the file, from 1.
    pub line: Option<u64>,
    /// Where the line begins in the file's content, decompressed, in bytes from 0.
    pub offset: Option<u64>,
    /// What the line says its number in the chain is.
    pub sequence: Option<u64>,
    /// One sentence.
    pub what: String,
}

/// Findings of one kind: the first of them, and how many there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What they are about, for programs.
    pub kind: &'static str,
    /// The first.
    pub first: Finding,
    /// How many.
    pub count: u64,
}

/// All that was found.
#[derive(Debug, Default)]
pub struct Findings {
    files: Vec<String>,
    faults: Vec<(Option<Place>, String)>,
    more_faults: u64,
    notes: Vec<Note>,
}

impl Findings {
    /// A file that is read from now on; its number.
    pub(super) fn file(&mut self, name: String) -> usize {
        self.files.push(name);
        self.files.len() - 1
    }

    pub(super) fn fault(&mut self, place: impl Into<Option<Place>>, what: impl Into<String>) {
        let place = place.into();
        let told = |before: &(Option<Place>, String)| match (before.0, place) {
            (Some(before), Some(place)) => (before.file, before.line) == (place.file, place.line),
            _ => false,
        };
        if self.faults.iter().rev().take(TOLD_BEFORE).any(told) {
            return;
        }
        if self.faults.len() < FAULTS_KEPT {
            self.faults.push((place, what.into()));
        } else {
            self.more_faults += 1;
        }
    }

    pub(super) fn note(&mut self, kind: &'static str, place: impl Into<Option<Place>>, what: impl FnOnce() -> String) {
        if let Some(note) = self.notes.iter_mut().find(|note| note.kind == kind) {
            note.count += 1;
            return;
        }
        let first = self.finding(place.into(), &what());
        self.notes.push(Note { kind, first, count: 1 });
    }

    fn finding(&self, place: Option<Place>, what: &str) -> Finding {
        Finding {
            file: place.and_then(|place| self.files.get(place.file).cloned()),
            line: place.map(|place| place.line),
            offset: place.map(|place| place.offset),
            sequence: place.and_then(|place| place.sequence),
            what: what.to_owned(),
        }
    }

    /// The faults, in the order in which they were noticed.
    pub fn faults(&self) -> impl Iterator<Item = Finding> {
        self.faults.iter().map(|(place, what)| self.finding(*place, what))
    }

    /// How many more there are than were kept.
    #[must_use]
    pub const fn more_faults(&self) -> u64 {
        self.more_faults
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub const fn no_fault(&self) -> bool {
        self.faults.is_empty()
    }

    /// What is no fault.
    #[must_use]
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// How many files were read.
    #[must_use]
    pub const fn files(&self) -> usize {
        self.files.len()
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(file), Some(line), Some(offset)) = (&self.file, self.line, self.offset) {
            write!(f, "{file}: line {line} (byte {offset}")?;
            if let Some(sequence) = self.sequence {
                write!(f, ", sequence {sequence}")?;
            }
            f.write_str("): ")?;
        }
        f.write_str(&self.what)
    }
}
