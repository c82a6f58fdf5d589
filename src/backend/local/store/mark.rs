//! The mark: a small file beside the store that says which revision was answered last.
//!
//! `SQLite` takes a write-ahead log that is damaged in its middle for one that ends there, and opens the store as it
//! once was, whole in itself: changes that were answered would be gone without a word. The mark tells. It is written
//! after each commit and before its answer, and not synced: a process that is killed leaves the newest, and the loss
//! of power an older one or none, which asks for less. It is no protection from who can write to it and to the store.
//!
//! ```text
//! store id, 32 hexadecimal digits | blank | revision, 20 digits | line feed
//! ```

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::row::Revision;
use crate::backend::local::store_id::StoreId;

/// What the mark's name adds to the store's.
pub(super) const SUFFIX: &str = "-revision";
const BYTES: usize = 54;

pub(super) struct Mark(File);

impl Mark {
    /// Opens the mark of a store, or makes one, with mode 0600; and reads what it says, if anything.
    pub(super) fn open(store: &Path) -> io::Result<(Self, Option<(StoreId, Revision)>)> {
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path(store))?;
        let mut text = Vec::with_capacity(BYTES);
        file.by_ref().take(BYTES as u64).read_to_end(&mut text)?;
        Ok((Self(file), read(&text)))
    }

    pub(super) fn set(&self, store: StoreId, revision: Revision) -> io::Result<()> {
        self.0.write_all_at(format!("{store} {:020}\n", revision.number()).as_bytes(), 0)
    }
}

pub(super) fn path(store: &Path) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push(SUFFIX);
    name.into()
}

/// What is no mark says nothing: the loss of power can leave a file that is empty or full of zeros.
fn read(text: &[u8]) -> Option<(StoreId, Revision)> {
    let (store, revision) = std::str::from_utf8(text).ok()?.strip_suffix('\n')?.split_once(' ')?;
    let mut id = [0; 16];
    hex::decode_to_slice(store, &mut id).ok()?;
    Some((StoreId::from_bytes(id), Revision::from_number(revision.parse().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_set_last() {
        let directory = tempfile::tempdir().unwrap();
        let store = directory.path().join("keys.sqlite");
        let (mark, said) = Mark::open(&store).unwrap();
        assert_eq!(said, None);
        let id = StoreId::from_bytes([0xa5; 16]);
        for number in [0, 7, u64::MAX, 8] {
            mark.set(id, Revision::from_number(number)).unwrap();
            assert_eq!(Mark::open(&store).unwrap().1, Some((id, Revision::from_number(number))));
        }
        assert_eq!(std::fs::read(path(&store)).unwrap(), b"a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5 00000000000000000008\n");
    }

    #[test]
    fn what_is_no_mark_says_nothing() {
        for text in ["", "\n", "\0\0", "a5a5 7\n", "a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5 0000000000000", "x"] {
            assert_eq!(read(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(read(&[0; BYTES]), None);
    }
}
