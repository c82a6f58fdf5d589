//! The audit file: written by one process alone, gone on with where the last one stopped, and rotated.
//!
//! Disk space is reserved beyond its end (`fallocate`, which leaves its length alone), so that a full disk is noticed
//! before anything is done that could then not be recorded.

mod end;
mod rotated;

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

use super::chain::ChainEnd;
use crate::clock::{Clock, Timestamp};
pub(super) use end::{Found, Torn, find};
pub(super) use rotated::{compress_apart, compress_left_over};

/// Readable by the gateway's own user alone: records name principals, keys and addresses.
const MODE: u32 = 0o600;
/// Space for the places of 4,096 requests in flight, and for records that are longer than their places.
const LEAST_RESERVED: u64 = 20 * 1024 * 1024;
/// So much more is reserved at a time: every few thousand records.
const RESERVED_BEYOND: u64 = 4 * 1024 * 1024;
/// On a disk that is nearly full less is taken, down to this.
const LAST_RESERVED: u64 = 64 * 1024;

/// When another file is begun, and what becomes of the old one. None is ever deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// As soon as the file has so many bytes.
    pub bytes: u64,
    /// When its first line is so old.
    pub after: Option<Duration>,
    /// Whether the old file is compressed (gzip).
    pub compress: bool,
}

/// An audit file that is open for writing.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    length: u64,
    /// Up to which byte there is disk space.
    reserved: u64,
    /// Of its first line, which it is named by when it is rotated; `None` where lines are not counted.
    first_sequence: Option<u64>,
    begun_at: Timestamp,
    /// Before it was opened.
    was_there: bool,
}

impl LogFile {
    /// Opens the file, which is made if there is none. Nobody else writes to it while this is open.
    ///
    /// # Errors
    ///
    /// If it cannot be opened, or another process has it open so.
    pub(super) fn open(path: &Path, clock: &Clock) -> io::Result<Self> {
        let was_there = path.exists();
        loop {
            let file = OpenOptions::new().append(true).read(true).create(true).mode(MODE).open(path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let message = "another process writes to it; each gateway needs an audit file of its own";
                    return Err(io::Error::new(io::ErrorKind::ResourceBusy, message));
                }
                Err(TryLockError::Error(error)) => return Err(error),
            }
            // Who had it before may have rotated it in between.
            if stands_at(&file, path)? {
                let length = file.metadata()?.len();
                let begun_at = clock.now();
                return Ok(Self {
                    path: path.to_owned(),
                    file,
                    length,
                    reserved: length,
                    first_sequence: None,
                    begun_at,
                    was_there,
                });
            }
        }
    }

    /// Where the chain in this file, or in the one that was rotated last, has come to, and what a crash has left behind
    /// its last whole line.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or holds something else than a chain.
    pub(super) fn find_end(&mut self) -> io::Result<Found> {
        let found = find(&self.file)?;
        if let Some(first) = &found.first {
            (self.first_sequence, self.begun_at) = (Some(first.sequence), first.at.unwrap_or(self.begun_at));
        }
        if found.end.is_some() {
            return Ok(found);
        }
        let end = rotated::newest(&self.path)?.map(|(_, file)| rotated::end_of(&file)).transpose()?.flatten();
        // Where that says that another file was begun, and there was none, somebody has moved it: a line that goes on from
        // here would be a second one with its number.
        let end = end.filter(|end| self.was_there || !end.is_continued);
        self.first_sequence = Some(end.as_ref().map_or(1, |end: &ChainEnd| end.last.sequence + 1));
        Ok(Found { end, ..found })
    }

    /// Puts `line` in the place of what stands from `offset` on. Nothing is gone at any moment: the line quotes it.
    pub(super) fn replace_end(&mut self, offset: u64, line: &[u8]) -> io::Result<()> {
        // A file that is opened for appending is written at its end wherever one asks for.
        OpenOptions::new().write(true).open(&self.path)?.write_all_at(line, offset)?;
        self.length = offset + u64::try_from(line.len()).unwrap_or(u64::MAX);
        self.file.set_len(self.length)
    }

    /// Ends the last line, if the file ends within one.
    pub(super) fn end_last_line(&mut self) -> io::Result<()> {
        let Some(before) = self.length.checked_sub(1) else { return Ok(()) };
        let mut last = [0];
        self.file.read_exact_at(&mut last, before)?;
        if last == *b"\n" { Ok(()) } else { self.write_all(b"\n") }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// How many more bytes there is space for; all there is where the file system makes no promise.
    pub(super) const fn room(&self) -> u64 {
        self.reserved.saturating_sub(self.length)
    }

    /// Sees to it that there is space for what is in flight: `held` bytes, or as much as is usual.
    ///
    /// # Errors
    ///
    /// If there is less, because the disk is full.
    pub(super) fn reserve(&mut self, held: u64) -> io::Result<()> {
        if self.room() >= held.max(LEAST_RESERVED) {
            return Ok(());
        }
        let mut wanted = held.max(LEAST_RESERVED) + RESERVED_BEYOND;
        loop {
            let error = match fallocate(&self.file, FallocateFlags::KEEP_SIZE, self.length, wanted) {
                Ok(()) => {
                    self.reserved = self.reserved.max(self.length + wanted);
                    return Ok(());
                }
                // No promise is to be had; whether there is space is found when it is written.
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
                    self.reserved = u64::MAX;
                    return Ok(());
                }
                Err(error) => error,
            };
            wanted /= 2;
            if wanted < LAST_RESERVED || wanted <= self.room() {
                return Err(error.into());
            }
        }
    }

    /// Whether what was written is in no directory any more. Notices too if somebody has cut the file.
    pub(super) fn is_removed(&mut self) -> io::Result<bool> {
        let metadata = self.file.metadata()?;
        if metadata.len() < self.length {
            tracing::warn!(from = self.length, to = metadata.len(), "the audit file was cut by somebody");
            (self.length, self.reserved) = (metadata.len(), metadata.len());
        }
        Ok(metadata.nlink() == 0)
    }

    /// Whether somebody has renamed or removed it, or has put another in its place.
    pub(super) fn is_moved(&self) -> io::Result<bool> {
        stands_at(&self.file, &self.path).map(|stands| !stands)
    }

    /// The file that takes this one's place, after this one was renamed or removed.
    ///
    /// # Errors
    ///
    /// If it cannot be made, or another file with something in it stands there.
    pub(super) fn next(&self, first_sequence: Option<u64>, clock: &Clock) -> io::Result<Self> {
        let new = Self::open(&self.path, clock)?;
        if !new.is_empty() {
            return Err(io::Error::other("another file has been put in its place; move that away"));
        }
        Ok(Self { first_sequence, ..new })
    }

    /// Goes on in [`Self::next`].
    pub(super) fn begin_anew(&mut self, first_sequence: Option<u64>, clock: &Clock) -> io::Result<()> {
        *self = self.next(first_sequence, clock)?;
        Ok(())
    }

    pub(super) fn is_full(&self, rotation: &Rotation) -> bool {
        self.length >= rotation.bytes
    }

    pub(super) fn is_old(&self, rotation: &Rotation, now: Timestamp) -> bool {
        !self.is_empty() && rotation.after.is_some_and(|after| now.since(self.begun_at) >= after)
    }

    /// Renames the file for its first line; the new name.
    pub(super) fn rename(&self) -> io::Result<PathBuf> {
        // Never that of a file that is there, compressed or not, such as one of an earlier chain.
        let next = rotated::newest(&self.path)?.map_or(1, |(number, _)| number + 1);
        let number = self.first_sequence.unwrap_or(next).max(next);
        let name = rotated::name(&self.path, number);
        if name.exists() {
            let message = format!("`{}` is there already", name.display());
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
        }
        std::fs::rename(&self.path, &name)?;
        Ok(name)
    }

    /// Waits until all that was written is on the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Gives back the space beyond the end.
    pub(super) fn give_back(&mut self) -> io::Result<()> {
        // Not to what it should be: somebody may have cut it.
        self.length = self.file.metadata()?.len();
        self.reserved = self.length;
        self.file.set_len(self.length)
    }
}

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.length += u64::try_from(written).unwrap_or(u64::MAX);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether `path` leads to this file.
fn stands_at(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match std::fs::metadata(path) {
        Ok(theirs) => Ok((ours.dev(), ours.ino()) == (theirs.dev(), theirs.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
