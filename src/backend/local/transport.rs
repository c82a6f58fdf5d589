//! A file of keys: rows of a store on their way to another, sealed under a transport key. Lines of UTF-8 text:
//!
//! ```text
//! kmsgate-keys-v1 FORMAT FILE     the version of the file; the format of its rows, which is the store's; the file's
//!                                 id, 16 random bytes in hexadecimal digits
//! key REGION/ID JSON              one line a row: kind, id and body, as a store has them, but with key material
//! alias REGION/NAME JSON          wrapped under the file's wrapping key, and bound to the file's id in place of a
//!                                 store's
//! mac MAC                         HMAC-SHA-256 under the file's key over all bytes before this line
//! ```
//!
//! Both keys are derived from the transport key (labels `kmsgate/v1/transport-wrapping` and
//! `kmsgate/v1/transport-file`, context the file's id). The MAC covers every fact of every key and which keys there
//! are: nothing is read from a file that was edited, cut, lengthened or put together from two. It covers the file and
//! not each row by itself, because no row of a file that was changed is wanted. Beyond that, key material opens for its
//! own key, id, origin and date alone ([`material`](super::material)).
//!
//! What is not material is not encrypted: whoever has the file reads names, descriptions and tags.

use aws_lc_rs::hmac;

use super::store::{FORMAT, Kind, Row, RowId};
use super::store_id::StoreId;
use super::transport_key::{FileKeys, TransportKey};
use crate::secret::same;

const MAGIC: &str = "kmsgate-keys-v1";
const MAC: &str = "mac ";

/// Why a file of keys is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidFile {
    /// It is something else.
    #[error("is no file of keys")]
    Foreign,
    /// It was written by another version.
    #[error("has rows of format {0}, and this kmsgate reads format {FORMAT}")]
    Format(u8),
    /// The MAC is not the one of what is there.
    #[error("was exported with another transport key, or was edited or cut short since")]
    Edited,
}

impl InvalidFile {
    /// What the operator can do.
    pub(super) const fn hint(self) -> &'static str {
        match self {
            Self::Foreign => "name the file that `kmsgate keys export` made",
            Self::Format(_) => "export and import with one version of kmsgate",
            Self::Edited => "name the transport key that it was exported with, or export it again",
        }
    }
}

/// The file with this id and these rows.
pub(super) fn seal(file: &StoreId, keys: &FileKeys, rows: &[Row]) -> Vec<u8> {
    let length: usize = rows.iter().map(|row| row.id.id.len() + row.body.len() + 16).sum();
    let mut text = Vec::with_capacity(length + 256);
    text.extend_from_slice(format!("{MAGIC} {FORMAT} {file}\n").as_bytes());
    for Row { id, body } in rows {
        for part in [id.kind.name().as_bytes(), b" ", id.id.as_bytes(), b" ", body, b"\n"] {
            text.extend_from_slice(part);
        }
    }
    let mac = last_line(keys, &text);
    text.extend_from_slice(mac.as_bytes());
    text
}

/// The id and the rows of a file, once it is known to be as it was sealed.
///
/// # Errors
///
/// [`InvalidFile`].
pub(super) fn open(text: &[u8], transport: &TransportKey) -> Result<(StoreId, Vec<Row>), InvalidFile> {
    let (format, file) = first_line(text)?;
    let end = text.strip_suffix(b"\n").and_then(|text| text.iter().rposition(|byte| *byte == b'\n'));
    let (rows, mac) = end.and_then(|end| text.split_at_checked(end + 1)).ok_or(InvalidFile::Edited)?;
    // As text: hexadecimal digits of the other case would be another file.
    if !same(last_line(&transport.keys(&file), rows).as_bytes(), mac) {
        return Err(InvalidFile::Edited);
    }
    if format != FORMAT {
        return Err(InvalidFile::Format(format));
    }
    let lines = rows.split(|byte| *byte == b'\n').skip(1).filter(|line| !line.is_empty());
    Ok((file, lines.map(|line| row(line).ok_or(InvalidFile::Foreign)).collect::<Result<_, _>>()?))
}

fn last_line(keys: &FileKeys, rows: &[u8]) -> String {
    format!("{MAC}{}\n", hex::encode(hmac::sign(&keys.file, rows)))
}

/// The format of the rows and the file's id, neither of them authentic yet.
fn first_line(text: &[u8]) -> Result<(u8, StoreId), InvalidFile> {
    let line = text.split(|byte| *byte == b'\n').next().and_then(|line| std::str::from_utf8(line).ok());
    let mut words = line.ok_or(InvalidFile::Foreign)?.split(' ');
    let (Some(MAGIC), Some(format), Some(id), None) = (words.next(), words.next(), words.next(), words.next()) else {
        return Err(InvalidFile::Foreign);
    };
    let mut file = [0; 16];
    hex::decode_to_slice(id, &mut file).map_err(|_| InvalidFile::Foreign)?;
    Ok((format.parse().map_err(|_| InvalidFile::Foreign)?, StoreId::from_bytes(file)))
}

/// A row by its line. Neither kinds nor ids have spaces in them.
fn row(line: &[u8]) -> Option<Row> {
    let mut words = line.splitn(3, |byte| *byte == b' ');
    let mut text = || std::str::from_utf8(words.next()?).ok();
    let (kind, id) = (Kind::from_name(text()?)?, text()?);
    Some(Row { id: RowId::new(kind, id), body: words.next()?.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::super::golden::golden;
    use super::*;

    #[test]
    fn a_file_is_that_of_an_independent_implementation() {
        let vector = golden().transport;
        let transport = TransportKey::from_text(&vector.key_line).unwrap();
        let (file, rows) = open(vector.file.as_bytes(), &transport).unwrap();
        assert_eq!(file.to_string(), vector.file_id);
        assert_eq!(rows.iter().map(|row| row.id.kind).collect::<Vec<_>>(), [Kind::Key, Kind::Alias]);
        assert_eq!(seal(&file, &transport.keys(&file), &rows), vector.file.as_bytes());
    }

    #[test]
    fn a_file_changed_in_any_bit_or_cut_anywhere_is_refused() {
        let vector = golden().transport;
        let transport = TransportKey::from_text(&vector.key_line).unwrap();
        let file = vector.file.into_bytes();
        for bit in 0..file.len() * 8 {
            let mut flipped = file.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&flipped, &transport).is_err(), "bit {bit}");
        }
        for length in 0..file.len() {
            assert!(open(&file[..length], &transport).is_err(), "{length} bytes");
        }
        assert!(open(&[&file[..], b"\n"].concat(), &transport).is_err());
        assert!(open(&[&file[..], &file[..]].concat(), &transport).is_err());
    }

    #[test]
    fn a_file_without_one_of_its_keys_is_refused() {
        let vector = golden().transport;
        let transport = TransportKey::from_text(&vector.key_line).unwrap();
        let lines: Vec<&str> = vector.file.split_inclusive('\n').collect();
        for left_out in 1..lines.len() {
            let mut lines = lines.clone();
            lines.remove(left_out);
            assert_eq!(open(lines.concat().as_bytes(), &transport), Err(InvalidFile::Edited));
        }
        let mut lines = lines.clone();
        lines.swap(1, 2);
        assert_eq!(open(lines.concat().as_bytes(), &transport), Err(InvalidFile::Edited));
    }

    #[test]
    fn what_is_no_file_of_keys_another_key_and_another_format_are_told_apart() {
        let vector = golden().transport;
        let transport = TransportKey::from_text(&vector.key_line).unwrap();
        for text in ["", "\n", "kmsgate-keys-v1", "kmsgate-keys-v2 2 00\nmac 00\n", "{\"keys\": []}"] {
            assert_eq!(open(text.as_bytes(), &transport), Err(InvalidFile::Foreign), "{text}");
        }
        let other = "kmsgate-transport-key-v1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        let other = TransportKey::from_text(other).unwrap();
        assert_eq!(open(vector.file.as_bytes(), &other), Err(InvalidFile::Edited));
        // What a kmsgate to come would write.
        let file = StoreId::from_bytes([7; 16]);
        let mut text = format!("{MAGIC} {} {file}\n", FORMAT + 1);
        text.push_str(&last_line(&transport.keys(&file), text.as_bytes()));
        assert_eq!(open(text.as_bytes(), &transport), Err(InvalidFile::Format(FORMAT + 1)));
    }
}
