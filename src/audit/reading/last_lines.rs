//! Finds the last lines of a file without reading all of it.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use super::lines::{Line, Lines};

/// How much is read of the end at first. Most often it is enough; if not, four times as much is.
const WINDOW: u64 = 64 * 1024;

/// Where the last `count` lines begin for which `passes` is true, in the file at `path`; the end of its last line if that
/// is zero or there is none.
///
/// # Errors
///
/// Those of reading the file.
pub fn last_lines(path: &Path, count: usize, passes: &mut impl FnMut(&[u8]) -> bool) -> io::Result<u64> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    let mut window = WINDOW;
    loop {
        let from = size.saturating_sub(window);
        file.seek(SeekFrom::Start(from))?;
        let mut lines = Lines::new(BufReader::new((&file).take(size - from)));
        let (mut found, mut end) = (VecDeque::new(), from);
        loop {
            let begin = from + lines.end;
            let Some(line) = lines.next_line()? else { break };
            let counts = match line {
                Line::Last(_) => break,
                Line::TooLong => false,
                // The first may be a part of a line, unless the file begins there.
                Line::Whole(_) if begin == from && from > 0 => false,
                Line::Whole(line) => passes(line),
            };
            end = from + lines.end;
            if counts {
                found.push_back(begin);
            }
            if found.len() > count {
                found.pop_front();
            }
        }
        let any = end > from;
        if (found.len() == count && any) || from == 0 {
            return Ok(found.front().copied().unwrap_or(end));
        }
        window = window.saturating_mul(4);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last(content: &[u8], count: usize, mut passes: impl FnMut(&[u8]) -> bool) -> u64 {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.jsonl");
        std::fs::write(&path, content).unwrap();
        last_lines(&path, count, &mut passes).unwrap()
    }

    #[test]
    fn so_many_lines_follow_as_were_asked_for() {
        let content = b"one\ntwo\nthree\nbegun";
        for (count, begins) in [(0, 14), (1, 8), (2, 4), (3, 0), (9, 0)] {
            assert_eq!(last(content, count, |_| true), begins);
        }
        assert_eq!(last(content, 1, |line| line.starts_with(b"t")), 8);
        assert_eq!(last(content, 2, |line| line.len() == 3), 0);
        assert_eq!(last(content, 1, |_| false), 14);
        assert_eq!((last(b"", 5, |_| true), last(b"begun", 5, |_| true)), (0, 0));
    }

    #[test]
    fn lines_far_from_the_end_are_found_too() {
        let far = 5 * usize::try_from(WINDOW).unwrap();
        for distance in [far, far + 1, far + 2] {
            let content = [b"x\nmine\n".as_slice(), &b"other\n".repeat(distance), b"mine\nother\n"].concat();
            assert_eq!(last(&content, 2, |line| line == b"mine"), 2);
            assert_eq!(last(&content, 9, |line| line == b"mine"), 2);
        }
        // What is still being written may be long.
        let content = [b"one\n".as_slice(), &vec![b'x'; far]].concat();
        assert_eq!((last(&content, 1, |_| true), last(&content, 0, |_| true)), (0, 4));
    }
}
