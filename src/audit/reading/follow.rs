//! Follows a trail while it is written, from file to file: no line is lost, and none is told twice.
//!
//! A file that is full is renamed and another begun. The one that is open is read to its end wherever its name went; then
//! comes the file whose first line has the next number of the chain. That may be one that has been renamed again already,
//! if the reader was held up for long, and is found by that number, which is in its name (manual, "Files").

use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::input::{Input, Progress};
use super::lines::{LONGEST_LINE, Line};
use crate::audit::line_end::{LineEnd, LineHash};

/// So often a next file is looked for that goes on where the last has ended, before lines are given up as missing: what
/// was renamed is there at once, and only who removes files makes it not be.
const LOOKS: u32 = 10;

/// What is told of a trail that is followed.
#[derive(Debug, PartialEq, Eq)]
pub enum Told<'l> {
    /// A line, without its line feed.
    Line(&'l [u8]),
    /// Something that the reader should know.
    Notice(String),
}

/// A trail that is followed.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    open: Option<Open>,
    /// What the next line says, if the last is one of a chain.
    next: Option<Next>,
    looks: u32,
}

/// The number of a line, and the hash of the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Next(u64, LineHash);

impl Next {
    fn after(line: &[u8]) -> Option<Self> {
        LineEnd::parse(line).map(|end| Self(end.sequence.saturating_add(1), LineHash::of(line)))
    }

    fn is(self, line: &[u8]) -> bool {
        LineEnd::parse(line).is_some_and(|end| Self(end.sequence, end.previous) == self)
    }
}

/// The file that is read.
#[derive(Debug)]
struct Open {
    input: BufReader<File>,
    /// Its device and its number there, which are its own whatever its name is.
    identity: (u64, u64),
    /// Where the line begins that is being read, and as much of it as there was.
    offset: u64,
    line: Vec<u8>,
    /// The line is longer than any record.
    too_long: bool,
}

impl Follower {
    /// Follows the file at `path` from `offset` on, which need not be there yet.
    ///
    /// # Errors
    ///
    /// The file is there and cannot be read.
    pub fn new(path: &Path, offset: u64) -> io::Result<Self> {
        let open = match Open::new(path, offset) {
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            opened => Some(opened?),
        };
        Ok(Self { path: path.to_owned(), open, next: None, looks: 0 })
    }

    /// Tells all that has been written since it was last asked.
    ///
    /// # Errors
    ///
    /// Those of reading the files.
    pub fn poll(&mut self, tell: &mut impl FnMut(Told<'_>)) -> io::Result<()> {
        loop {
            let Some(open) = &mut self.open else {
                self.open = self.successor(tell)?;
                if self.open.is_none() {
                    return Ok(());
                }
                continue;
            };
            let replaced = open.is_replaced(&self.path)?;
            if open.is_truncated()? {
                tell(Told::Notice("the file was cut off; it is read from its beginning".to_owned()));
                open.restart()?;
            }
            // Read after the look at the name: what was written before it was renamed is read before it is left.
            open.read(&mut |line| {
                self.next = Next::after(line);
                tell(Told::Line(line));
            })?;
            if !replaced {
                return Ok(());
            }
            let Some(next) = self.successor(tell)? else { return Ok(()) };
            if let Some(left) = self.open.replace(next).filter(|left| !left.line.is_empty()) {
                tell(Told::Notice(format!("a file ends within a line, after {} bytes of it", left.line.len())));
            }
        }
    }

    /// The file that goes on after the one that was read, once there is one.
    fn successor(&mut self, tell: &mut impl FnMut(Told<'_>)) -> io::Result<Option<Open>> {
        while let Some(next) = self.next {
            let renamed = rotated(&self.path, next.0);
            if let Some(mut opened) = found(Open::new(&renamed, 0))?
                && opened.first(|line| next.is(line))? == Some(true)
            {
                self.looks = 0;
                return Ok(Some(opened));
            }
            if !self.packed(&renamed, next, tell)? {
                break;
            }
        }
        let Some(mut opened) = found(Open::new(&self.path, 0))? else { return Ok(None) };
        let Some(Next(next, _)) = self.next else { return Ok(Some(opened)) };
        let Some(first) = opened.first(|line| LineEnd::parse(line).map_or(0, |end| end.sequence))? else {
            return Ok(None);
        };
        // A lower number, or none, begins something else.
        if first > next {
            self.looks += 1;
            if self.looks < LOOKS {
                return Ok(None);
            }
            let missing = format!("lines {next} to {} of the chain are in no file that is there", first - 1);
            tell(Told::Notice(missing));
        }
        self.looks = 0;
        Ok(Some(opened))
    }

    /// Tells a file that was renamed, begins with line `next` and has been compressed, if there is one.
    fn packed(&mut self, renamed: &Path, next: Next, tell: &mut impl FnMut(Told<'_>)) -> io::Result<bool> {
        let mut path = renamed.as_os_str().to_owned();
        path.push(".gz");
        let Some(opened) = found(Input::new(Path::new(&path)).open(&Progress::default()))? else { return Ok(false) };
        let mut lines = opened.lines;
        let mut told = false;
        while let Some(line) = lines.next_line()? {
            let (Line::Whole(line) | Line::Last(line)) = line else { continue };
            if !told && !next.is(line) {
                return Ok(false);
            }
            self.next = Next::after(line);
            tell(Told::Line(line));
            told = true;
        }
        Ok(told)
    }
}

impl Open {
    fn new(path: &Path, offset: u64) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(ErrorKind::IsADirectory.into());
        }
        file.seek(SeekFrom::Start(offset))?;
        let (input, identity) = (BufReader::new(file), identity(&metadata));
        Ok(Self { input, identity, offset, line: Vec::new(), too_long: false })
    }

    /// Whether its name is another file's now, or nobody's.
    fn is_replaced(&self, path: &Path) -> io::Result<bool> {
        match path.metadata() {
            Ok(metadata) => Ok(identity(&metadata) != self.identity),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
            Err(error) => Err(error),
        }
    }

    fn is_truncated(&self) -> io::Result<bool> {
        let read = self.offset + self.line.len() as u64;
        Ok(self.input.get_ref().metadata()?.len() < read)
    }

    fn restart(&mut self) -> io::Result<()> {
        self.input.seek(SeekFrom::Start(0))?;
        self.line.clear();
        (self.offset, self.too_long) = (0, false);
        Ok(())
    }

    /// Tells every line that has its end, up to the end of the file.
    fn read(&mut self, tell: &mut impl FnMut(&[u8])) -> io::Result<()> {
        loop {
            let room = (LONGEST_LINE + 1).saturating_sub(self.line.len()) as u64;
            let read = (&mut self.input).take(room).read_until(b'\n', &mut self.line)?;
            let Some(line) = self.line.strip_suffix(b"\n") else {
                if read as u64 == room {
                    // What is no record is not kept: only its end is looked for.
                    (self.too_long, self.offset) = (true, self.offset + self.line.len() as u64);
                    self.line.clear();
                    continue;
                }
                return Ok(());
            };
            if !std::mem::take(&mut self.too_long) {
                tell(line);
            }
            self.offset += self.line.len() as u64;
            self.line.clear();
        }
    }

    /// What `look` says of the first line, once that has its end; the line is read again.
    fn first<T>(&mut self, look: impl FnOnce(&[u8]) -> T) -> io::Result<Option<T>> {
        (&mut self.input).take(LONGEST_LINE as u64).read_until(b'\n', &mut self.line)?;
        let looked = self.line.strip_suffix(b"\n").map(look);
        self.restart()?;
        Ok(looked)
    }
}

/// `audit-00000000000000000001.jsonl`, the name of `audit.jsonl` once it is renamed, `first` being the number of its first
/// line.
fn rotated(path: &Path, first: u64) -> PathBuf {
    let mut name: OsString = path.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{first:020}"));
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// What was opened; `None` if it is not there.
fn found<T>(opened: io::Result<T>) -> io::Result<Option<T>> {
    match opened {
        Ok(opened) => Ok(Some(opened)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
