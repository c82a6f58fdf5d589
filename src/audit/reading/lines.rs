//! The lines of an audit file, in memory one at a time.

use std::io::{self, BufRead, Read as _};

/// No line is longer, in bytes, whoever wrote it. A record has at most twice 100 KiB of parameters and answer and some
/// forty texts of 6 KiB, escaped: under half a MiB. A repaired line holds a broken one in base64, a third longer, and
/// may itself have been broken.
pub const LONGEST_LINE: usize = 4 * 1024 * 1024;

/// One line.
#[derive(Debug)]
pub enum Line<'l> {
    /// A line, without its line feed.
    Whole(&'l [u8]),
    /// The last one, which has no line feed: it may still be written.
    Last(&'l [u8]),
    /// Longer than any record.
    TooLong,
}

/// Reads line by line, and knows where it is.
#[derive(Debug)]
pub struct Lines<R> {
    input: R,
    line: Vec<u8>,
    /// The number of the line that was read last, from 1.
    pub number: u64,
    /// Where that line begins, in bytes from the start of the content.
    pub offset: u64,
    /// Where the next one begins.
    pub end: u64,
}

impl<R: BufRead> Lines<R> {
    /// The lines of `input`.
    pub const fn new(input: R) -> Self {
        Self { input, line: Vec::new(), number: 0, offset: 0, end: 0 }
    }

    /// The input, from where the next line begins.
    pub(super) fn into_inner(self) -> R {
        self.input
    }

    /// The next line, or `None` at the end.
    ///
    /// # Errors
    ///
    /// Those of reading the input.
    pub fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        self.line.clear();
        let bound = LONGEST_LINE as u64 + 1;
        let read = (&mut self.input).take(bound).read_until(b'\n', &mut self.line)? as u64;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        (self.offset, self.end) = (self.end, self.end + read);
        if let Some(line) = self.line.strip_suffix(b"\n") {
            return Ok(Some(Line::Whole(line)));
        }
        if read < bound {
            return Ok(Some(Line::Last(&self.line)));
        }
        self.end += self.input.skip_until(b'\n')? as u64;
        Ok(Some(Line::TooLong))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_end_and_one_without_measure_are_told_apart_and_placed() {
        let longest = vec![b'x'; LONGEST_LINE];
        let longer = vec![b'x'; LONGEST_LINE + 1];
        let text = [b"a\n\n".as_slice(), &longest, b"\n", &longer, b"\n", &longer, b"xy\nb\nc"].concat();
        let mut lines = Lines::new(text.as_slice());
        let mut found = Vec::new();
        while let Some(line) = lines.next_line().unwrap() {
            let (name, length) = match line {
                Line::Whole(line) => ("whole", line.len()),
                Line::Last(line) => ("last", line.len()),
                Line::TooLong => ("too long", 0),
            };
            found.push((lines.number, lines.offset, name, length));
        }
        let long = LONGEST_LINE as u64;
        let expected = [
            (1, 0, "whole", 1),
            (2, 2, "whole", 0),
            (3, 3, "whole", LONGEST_LINE),
            (4, long + 4, "too long", 0),
            (5, 2 * long + 6, "too long", 0),
            (6, 3 * long + 10, "whole", 1),
            (7, 3 * long + 12, "last", 1),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_line_of_any_length_costs_no_more_memory_than_the_longest() {
        let mut lines = Lines::new(io::BufReader::new(io::repeat(b'x').take(64 * 1024 * 1024)));
        assert!(matches!(lines.next_line(), Ok(Some(Line::TooLong))));
        assert!(lines.line.capacity() <= 2 * LONGEST_LINE);
        assert!(matches!(lines.next_line(), Ok(None)));
    }
}
