//! Opens what is read: files, plain or compressed by gzip, and standard input.
//!
//! Whether content is compressed is seen by its first bytes, not by a name. It is decompressed as it is read, so that
//! what a small file grows to costs time and no memory.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;

use super::lines::{LONGEST_LINE, Lines};

/// How much is read at once: enough that the system call does not count.
const BUFFER: usize = 256 * 1024;
/// What gzip begins with (RFC 1952, section 2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// The name of standard input.
const STANDARD_INPUT: &str = "-";

/// How many bytes were read of all that is read, before they were decompressed. Clones share the count.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<AtomicU64>);

impl Progress {
    /// The count so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Where content comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input(PathBuf);

/// Content that can be read.
pub struct Opened {
    /// The lines of it.
    pub lines: Lines<Box<dyn BufRead>>,
    /// Whether it was compressed: then nobody writes to it any more.
    pub compressed: bool,
}

impl Input {
    /// The file at `path`, or standard input if that is `-`.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Whether it can be read only once.
    pub(super) fn is_stream(&self) -> bool {
        self.is_standard_input() || !self.0.metadata().is_ok_and(|metadata| metadata.is_file())
    }

    /// Whether it is a file that is not compressed, so that it can be read from anywhere.
    ///
    /// # Errors
    ///
    /// As for [`Self::open`].
    pub fn is_plain_file(&self) -> io::Result<bool> {
        if self.is_standard_input() || !self.0.metadata()?.is_file() {
            return Ok(false);
        }
        Ok(!self.open(&Progress::default())?.compressed)
    }

    fn is_standard_input(&self) -> bool {
        self.0.as_os_str() == STANDARD_INPUT
    }

    /// How many bytes there are to read; `None` if that is not known before.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        let metadata = (!self.is_standard_input()).then(|| self.0.metadata().ok())??;
        metadata.is_file().then_some(metadata.len())
    }

    /// Opens it; what is read is counted in `progress`.
    ///
    /// # Errors
    ///
    /// Those of opening and first reading it; that it is a directory.
    pub fn open(&self, progress: &Progress) -> io::Result<Opened> {
        let raw: Box<dyn Read> = if self.is_standard_input() { Box::new(io::stdin()) } else { self.file()? };
        let counted = Counted { raw, progress: progress.clone() };
        opened(Box::new(BufReader::with_capacity(BUFFER, counted)))
    }

    fn file(&self) -> io::Result<Box<dyn Read>> {
        let file = File::open(&self.0)?;
        if file.metadata()?.is_dir() { Err(io::ErrorKind::IsADirectory.into()) } else { Ok(Box::new(file)) }
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_standard_input() { f.write_str("standard input") } else { fmt::Display::fmt(&self.0.display(), f) }
    }
}

impl Opened {
    /// The first two lines, as far as they are no longer than a line may be, and all of it again.
    pub(super) fn peek(self) -> io::Result<(Vec<u8>, Self)> {
        let Self { lines, compressed } = self;
        let mut input = lines.into_inner();
        let mut beginning = Vec::new();
        for _ in 0..2 {
            (&mut input).take(LONGEST_LINE as u64 + 1).read_until(b'\n', &mut beginning)?;
        }
        let again: Box<dyn BufRead> = Box::new(Cursor::new(beginning.clone()).chain(input));
        Ok((beginning, Self { lines: Lines::new(again), compressed }))
    }
}

/// Content as it is after decompression, if it is compressed.
pub(super) fn opened(mut raw: Box<dyn BufRead>) -> io::Result<Opened> {
    let mut magic = Vec::new();
    (&mut raw).take(GZIP.len() as u64).read_to_end(&mut magic)?;
    let compressed = magic == GZIP;
    let raw = Cursor::new(magic).chain(raw);
    let content: Box<dyn BufRead> =
        if compressed { Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(raw))) } else { Box::new(raw) };
    Ok(Opened { lines: Lines::new(content), compressed })
}

struct Counted {
    raw: Box<dyn Read>,
    progress: Progress,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.raw.read(buffer)?;
        self.progress.0.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
