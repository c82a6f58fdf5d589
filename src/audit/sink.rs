//! Opens the places that records are written to.
//!
//! A regular file is written on the requests' own threads: the kernel takes a line into its page cache in a
//! microsecond. Anything else (a pipe, a terminal, a socket) can block for as long as its reader likes and is
//! written on a thread of its own.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::Writer;

/// Readable by the gateway's own user alone: records name principals, keys and addresses.
const MODE: u32 = 0o600;

impl Writer {
    /// Appends to the file at `path`, which is made if there is none, for its owner alone.
    ///
    /// If the file ends within a line, because the machine stopped while it was written, that line is ended
    /// first. What is at the path may also be a pipe or a device. Opening a named pipe waits for its reader.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened, or not read to see how it ends.
    pub fn file(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().append(true).create(true).mode(MODE).open(path)?;
        if !file.metadata()?.is_file() {
            return Self::threaded(file);
        }
        if ends_within_a_line(&mut File::open(path)?)? {
            file.write_all(b"\n")?;
        }
        Ok(Self::inline(file))
    }

    /// Writes to standard output, which may be a pipe: on a thread of its own.
    ///
    /// # Errors
    ///
    /// If the thread cannot be started.
    pub fn stdout() -> io::Result<Self> {
        Self::threaded(io::stdout())
    }
}

fn ends_within_a_line(file: &mut File) -> io::Result<bool> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_new_file_is_for_its_owner_alone_and_an_old_one_is_continued() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.jsonl");
        for line in ["one", "two"] {
            let writer = Writer::file(&path).unwrap();
            drop(writer.enqueue(line.as_bytes()));
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\ntwo\n");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_line_torn_by_a_crash_is_ended_before_the_next_begins() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.jsonl");
        std::fs::write(&path, "whole\n{\"torn").unwrap();
        drop(Writer::file(&path).unwrap().enqueue(b"next"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "whole\n{\"torn\nnext\n");
    }

    #[test]
    fn what_is_no_regular_file_is_written_too() {
        let writer = Writer::file(Path::new("/dev/null")).unwrap();
        drop(writer.enqueue(b"line"));
        assert_eq!(writer.drain(Duration::from_secs(10)), Ok(()));
        assert!(Writer::file(Path::new("/")).is_err());
    }
}
