//! Files that are written, renamed, packed, removed and cut off while they are followed.

use std::fs::{self, OpenOptions};
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;
use crate::audit::line_end;

/// A trail as its writer makes it.
struct Trail {
    directory: tempfile::TempDir,
    sequence: u64,
    hash: LineHash,
    /// The number of the first line of the file.
    first: u64,
    written: Vec<String>,
}

impl Trail {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { directory, sequence: 0, hash: LineHash::ZERO, first: 1, written: Vec::new() }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("audit.jsonl")
    }

    fn append(&self, bytes: &[u8]) {
        OpenOptions::new().append(true).create(true).open(self.path()).unwrap().write_all(bytes).unwrap();
    }

    /// The next line, not written.
    fn line(&mut self) -> Vec<u8> {
        let mut line = b"{\"additionalEventData\":{\"gateway\":{".to_vec();
        self.sequence += 1;
        line_end::append(&mut line, self.sequence, self.hash);
        line.extend_from_slice(b"}}}");
        self.hash = LineHash::of(&line);
        self.written.push(String::from_utf8(line.clone()).unwrap());
        [line, b"\n".to_vec()].concat()
    }

    fn write(&mut self, lines: usize) {
        for _ in 0..lines {
            let line = self.line();
            self.append(&line);
        }
    }

    fn rotate(&mut self) -> PathBuf {
        let renamed = self.directory.path().join(format!("audit-{:020}.jsonl", self.first));
        fs::rename(self.path(), &renamed).unwrap();
        self.first = self.sequence + 1;
        renamed
    }

    fn pack(&mut self) {
        let plain = self.rotate();
        let mut packed = plain.clone().into_os_string();
        packed.push(".gz");
        let mut encoder = GzEncoder::new(File::create(packed).unwrap(), Compression::fast());
        encoder.write_all(&fs::read(&plain).unwrap()).unwrap();
        encoder.finish().unwrap();
        fs::remove_file(plain).unwrap();
    }
}

/// Who follows it, and what was told so far.
struct Reader {
    follower: Follower,
    lines: Vec<String>,
    notices: Vec<String>,
}

impl Reader {
    fn new(trail: &Trail) -> Self {
        let follower = Follower::new(&trail.path(), 0).unwrap();
        Self { follower, lines: Vec::new(), notices: Vec::new() }
    }

    fn poll(&mut self) {
        let (lines, notices) = (&mut self.lines, &mut self.notices);
        let mut tell = |told: Told<'_>| match told {
            Told::Line(line) => lines.push(String::from_utf8(line.to_owned()).unwrap()),
            Told::Notice(notice) => notices.push(notice),
        };
        self.follower.poll(&mut tell).unwrap();
    }

    fn assert_told(&mut self, trail: &Trail) {
        self.poll();
        assert_eq!(self.lines, trail.written);
        assert_eq!(self.notices, Vec::<String>::new());
    }
}

#[test]
fn lines_are_told_once_they_have_their_end() {
    let mut trail = Trail::new();
    let mut reader = Reader::new(&trail);
    reader.assert_told(&trail);
    trail.write(2);
    reader.assert_told(&trail);
    let line = trail.line();
    let (begin, rest) = line.split_at(7);
    trail.append(begin);
    reader.poll();
    assert_eq!(reader.lines.len(), 2);
    trail.append(rest);
    reader.assert_told(&trail);
}

#[test]
fn a_file_that_is_renamed_is_read_to_its_end_and_then_the_next() {
    let mut trail = Trail::new();
    trail.write(2);
    let mut reader = Reader::new(&trail);
    reader.assert_told(&trail);
    trail.write(1);
    let renamed = trail.rotate();
    // The writer has it open still.
    let line = trail.line();
    reader.poll();
    assert_eq!(reader.lines.len(), 3);
    OpenOptions::new().append(true).open(renamed).unwrap().write_all(&line).unwrap();
    trail.first = trail.sequence + 1;
    reader.assert_told(&trail);
    trail.append(b"");
    reader.assert_told(&trail);
    trail.write(2);
    reader.assert_told(&trail);
}

#[test]
fn whoever_is_held_up_for_several_files_finds_them_all() {
    for packs in [[false, false, false], [true, true, true], [false, true, false], [true, false, true]] {
        let mut trail = Trail::new();
        trail.write(2);
        let mut reader = Reader::new(&trail);
        reader.assert_told(&trail);
        for pack in packs {
            trail.write(3);
            if pack {
                trail.pack();
            } else {
                trail.rotate();
            }
        }
        reader.assert_told(&trail);
        trail.write(1);
        reader.assert_told(&trail);
    }
}

#[test]
fn a_file_of_another_chain_with_the_same_number_is_not_taken_for_the_next() {
    let mut trail = Trail::new();
    trail.write(2);
    let mut reader = Reader::new(&trail);
    reader.assert_told(&trail);
    let stranger = trail.directory.path().join("audit-00000000000000000003.jsonl");
    let mut other = Trail::new();
    other.write(1);
    other.sequence = 2;
    other.rotate();
    other.write(1);
    fs::copy(other.path(), &stranger).unwrap();
    trail.rotate();
    trail.write(2);
    reader.assert_told(&trail);
}

#[test]
fn lines_that_are_gone_are_said_to_be() {
    let mut trail = Trail::new();
    trail.write(2);
    let mut reader = Reader::new(&trail);
    reader.assert_told(&trail);
    trail.rotate();
    trail.write(3);
    let gone = trail.rotate();
    fs::remove_file(gone).unwrap();
    trail.write(1);
    for _ in 0..LOOKS {
        reader.poll();
    }
    assert_eq!(reader.notices, ["lines 3 to 5 of the chain are in no file that is there"]);
    assert_eq!((reader.lines.len(), reader.lines.last()), (3, trail.written.last()));
}

#[test]
fn a_file_that_is_cut_off_is_read_from_its_beginning() {
    let mut trail = Trail::new();
    trail.write(2);
    let mut reader = Reader::new(&trail);
    reader.poll();
    fs::write(trail.path(), "").unwrap();
    reader.poll();
    assert_eq!(reader.notices.len(), 1);
    trail.append(b"x\n");
    reader.poll();
    assert_eq!((reader.lines.len(), reader.lines[2].as_str()), (3, "x"));
}

#[test]
fn a_line_without_measure_is_passed_over() {
    let mut trail = Trail::new();
    let mut reader = Reader::new(&trail);
    for _ in 0..3 {
        trail.append(&vec![b'x'; LONGEST_LINE / 2]);
        reader.poll();
    }
    trail.append(b"\n");
    trail.write(1);
    reader.assert_told(&trail);
    assert!(reader.follower.open.unwrap().line.capacity() <= 2 * LONGEST_LINE + 2);
}

#[test]
fn a_name_is_numbered_in_front_of_its_extension() {
    assert_eq!(rotated(Path::new("/a/audit.jsonl"), 17), Path::new("/a/audit-00000000000000000017.jsonl"));
    assert_eq!(rotated(Path::new("audit"), 1), Path::new("audit-00000000000000000001"));
}
