//! Files that were rotated: their names, the newest of them, and their compression.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::super::chain::{ChainEnd, Link};
use super::super::line_end::{LineEnd, LineHash};
use super::super::reading::LONGEST_LINE;
use super::MODE;

const DIGITS: usize = 20;

/// The name that the file at `path` gets for the sequence of its first line.
pub(super) fn name(path: &Path, first_sequence: u64) -> PathBuf {
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{first_sequence:0DIGITS$}"));
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

/// Of the files that were rotated from `path`, the one of the highest number.
pub(super) fn newest(path: &Path) -> io::Result<Option<(u64, PathBuf)>> {
    Ok(all(path)?.into_iter().max())
}

/// Every rotated file, with its number.
fn all(path: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let directory = path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let file = directory.join(entry?.file_name());
        let plain = if file.extension().is_some_and(|extension| extension == "gz") {
            file.with_extension("")
        } else {
            file.clone()
        };
        let stem = plain.file_stem().unwrap_or_default().to_string_lossy();
        let digits = stem.get(stem.len().saturating_sub(DIGITS)..).unwrap_or_default();
        if let Ok(sequence) = digits.parse()
            && plain == name(path, sequence)
        {
            found.push((sequence, file));
        }
    }
    Ok(found)
}

/// Where the chain of a rotated file has come to.
pub(super) fn end_of(path: &Path) -> io::Result<Option<ChainEnd>> {
    let file = File::open(path)?;
    if path.extension().is_none_or(|extension| extension != "gz") {
        return Ok(super::find(&file)?.end);
    }
    let mut reader = BufReader::new(MultiGzDecoder::new(BufReader::new(file)));
    let (mut line, mut end): (Vec<u8>, Option<ChainEnd>) = (Vec::new(), None);
    loop {
        line.clear();
        let limit = u64::try_from(LONGEST_LINE).unwrap_or(u64::MAX);
        if io::Read::take(&mut reader, limit).read_until(b'\n', &mut line)? == 0 {
            return Ok(end);
        }
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        let Some(parsed) = LineEnd::parse(text) else { continue };
        let last = Link { sequence: parsed.sequence, hash: LineHash::of(text) };
        let is_checkpoint = parsed.signature.is_some();
        let end = end.get_or_insert_with(|| ChainEnd::of(last));
        (end.last, end.is_continued) = (last, false);
        if is_checkpoint {
            end.set_checkpoint(last, text)?;
        }
    }
}

/// Compresses the files that an earlier run has left plain.
pub(in crate::audit) fn compress_left_over(path: &Path) {
    match all(path) {
        Ok(files) => {
            let plain = files.into_iter().map(|(_, file)| file);
            compress_apart(plain.filter(|file| file.extension() != Some("gz".as_ref())).collect());
        }
        Err(error) => tracing::warn!(%error, "old audit files cannot be listed"),
    }
}

/// Compresses `files`, one after the other, on a thread of its own, which may end with the program: the next start begins
/// anew.
pub(in crate::audit) fn compress_apart(files: Vec<PathBuf>) {
    if files.is_empty() {
        return;
    }
    let compressing = thread::Builder::new().name("audit-gzip".into()).spawn(move || {
        for file in files {
            if let Err(error) = compress(&file) {
                tracing::warn!(file = %file.display(), %error, "an old audit file stays uncompressed");
            }
        }
    });
    if let Err(error) = compressing {
        tracing::warn!(%error, "old audit files stay uncompressed");
    }
}

/// At each moment the file is whole under one of its two names, and no other file is written over.
fn compress(file: &Path) -> io::Result<()> {
    let with = |suffix: &str| {
        let mut name = OsString::from(file);
        name.push(suffix);
        PathBuf::from(name)
    };
    let (part, whole) = (with(".gz.part"), with(".gz"));
    if whole.exists() {
        // The program ended between the last two steps; or this is another file.
        return if unpacks_to(&whole, file)? {
            fs::remove_file(file)
        } else {
            Err(io::ErrorKind::AlreadyExists.into())
        };
    }
    let packed = pack(file, &part).and_then(|()| fs::rename(&part, &whole));
    if packed.is_err() {
        // It would hold the space that is missing.
        let _ = fs::remove_file(&part);
    }
    packed?;
    fs::remove_file(file)
}

fn pack(file: &Path, part: &Path) -> io::Result<()> {
    let out = OpenOptions::new().write(true).create(true).truncate(true).mode(MODE).open(part)?;
    let mut encoder = GzEncoder::new(out, Compression::default());
    io::copy(&mut File::open(file)?, &mut encoder)?;
    let mut out = encoder.finish()?;
    out.flush()?;
    out.sync_all()
}

/// Whether `packed` holds what `plain` does.
fn unpacks_to(packed: &Path, plain: &Path) -> io::Result<bool> {
    let mut unpacked = BufReader::new(MultiGzDecoder::new(BufReader::new(File::open(packed)?)));
    let mut plain = BufReader::new(File::open(plain)?);
    loop {
        let (left, right) = (unpacked.fill_buf()?, plain.fill_buf()?);
        let length = left.len().min(right.len());
        if left.get(..length) != right.get(..length) {
            return Ok(false);
        }
        if length == 0 {
            return Ok(left.is_empty() && right.is_empty());
        }
        unpacked.consume(length);
        plain.consume(length);
    }
}
