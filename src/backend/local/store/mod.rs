//! The local backend's store: authenticated rows in one `SQLite` file. Synchronous; one writer, one process.
//!
//! # What it protects, and what not
//!
//! Whoever can write to the file, but does not have the root key, can destroy the store and nothing more. A row that
//! was edited, added, removed, renamed, swapped with another or set back to what it once said is noticed when the
//! store is opened, before any row is used: the header's MAC covers the revision, the number of rows and a sum over
//! all of them. What is done to the file while the gateway runs does not reach it, for it reads no row back; it is
//! noticed when the store is opened next.
//!
//! - A whole file that is consistent in itself, the store (or its write-ahead log) set back to an earlier revision, or
//!   another store of the same root key in its place, is noticed by the [`mark`] beside it; and not if the mark is set
//!   back too. The newest audit checkpoint says store id and revision, and is what to compare with then.
//! - Rows are not encrypted. Key material is wrapped before it gets here; the rest can be read by whoever can read
//!   the file, which has mode 0600.
//! - Whoever has the root key can write any store.

mod database;
mod error;
mod header;
mod mark;
mod row;
mod row_set;
mod upgrade;

#[cfg(test)]
mod tests;

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use database::{Database, clear, write_header, write_rows};
pub(super) use error::StoreError;
pub(super) use header::FORMAT;
use header::Header;
use mark::Mark;
pub(super) use row::{Change, Kind, Revision, Row, RowId, Rows};
use row_set::RowSet;

use rusqlite::Transaction;

use super::root_key::RootKey;
use super::store_id::StoreId;
use crate::private_file::{self, directory_of};
use crate::random;
use crate::secret::same;

/// An open store. While it is open no other process can open it, and this one must not either, not even to copy the
/// file: POSIX drops a process's locks on a file when any descriptor of it is closed.
pub(super) struct Store {
    database: Database,
    mark: Mark,
    id: StoreId,
    revision: Revision,
    rows: RowSet,
    header_key: aws_lc_rs::hmac::Key,
}

impl Store {
    /// Creates a store without rows in `file`, with mode 0600, and its directory with mode 0700 if it is not there.
    /// The file appears complete or not at all.
    ///
    /// # Errors
    ///
    /// [`StoreError::Exists`] if there is a file of that name; nothing is ever overwritten. Else what the file system
    /// answers.
    pub(super) fn create(file: &Path, root_key: &RootKey) -> Result<Self, StoreError> {
        let directory = directory_of(file);
        private_file::create_directory(directory)?;
        refuse_leftovers(file)?;
        let workshop = directory.join(format!(".kmsgate-new-{}", random::uuid()?));
        DirBuilder::new().mode(0o700).create(&workshop)?;
        let made = new_header(root_key)
            .and_then(|header| Database::create(&workshop.join("store"), &header))
            .and_then(|()| publish(&workshop.join("store"), file));
        // The first error is the one to report; what is left behind holds no rows.
        let _ = fs::remove_dir_all(&workshop);
        made?;
        Ok(Self::open(file, root_key)?.0)
    }

    /// Opens a store and reads all its rows, once they are known to be those of its last change.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; the file is then as it was.
    pub(super) fn open(file: &Path, root_key: &RootKey) -> Result<(Self, Rows), StoreError> {
        let (store, rows) = Self::load(file, root_key, |_| Vec::new(), Vec::push)?;
        let revision = store.revision;
        Ok((store, Rows { revision, rows }))
    }

    /// Opens a store and hands its rows over one by one, sorted by their ids, so that they need not be in memory
    /// together. What was made of them may be used if this succeeds, and must not if it fails: whether rows are those
    /// of the last change is known at their end.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; the file is then as it was.
    pub(super) fn load<T>(
        file: &Path,
        root_key: &RootKey,
        begin: impl FnOnce(StoreId) -> T,
        mut take: impl FnMut(&mut T, Row),
    ) -> Result<(Self, T), StoreError> {
        if !fs::exists(file)? {
            return Err(StoreError::Missing);
        }
        // Opening it would remove its write-ahead log, which may hold every row. One byte is as good as none to SQLite.
        if fs::metadata(file)?.len() <= 1 {
            return Err(StoreError::Foreign);
        }
        let database = Database::open(file)?;
        let Header { format, store, revision, root_key_check, mac } = database.header()?;
        let keys = root_key.store_keys(&store);
        if !same(&keys.check, &root_key_check) {
            return Err(StoreError::OtherRootKey);
        }
        let (mut set, mut taken, mut older) = (RowSet::empty(keys.set), begin(store), Vec::new());
        database.rows(|row| {
            set.add(&row);
            if format == FORMAT { take(&mut taken, row) } else { older.push(row) }
        })?;
        if !same(&header::mac(&keys.header, format, &store, revision, &set.total()), &mac) {
            return Err(StoreError::Edited);
        }
        let (mark, answered) = Mark::open(file)?;
        if let Some(answered) = answered.filter(|(id, last)| *id != store || *last > revision) {
            let named = |(id, revision)| format!("store {id} at revision {revision}");
            let (found, answered) = (named((store, revision)), named(answered));
            return Err(StoreError::SetBack { found, answered, mark: mark::path(file) });
        }
        database.allow_writing()?;
        mark.set(store, revision)?;
        let mut store = Self { database, mark, id: store, revision, rows: set, header_key: keys.header };
        if format != FORMAT {
            store.upgrade(file, format, older)?.into_iter().for_each(|row| take(&mut taken, row));
        }
        Ok((store, taken))
    }

    /// Makes the rows of an older format those of this one, in one transaction, once a copy of the store is on disk.
    fn upgrade(&mut self, file: &Path, format: u8, rows: Vec<Row>) -> Result<Vec<Row>, StoreError> {
        let upgraded = upgrade::from_format_1(&rows)?;
        let copy = upgrade::keep_copy(&self.database, file, format)?;
        let delete = rows.into_iter().map(|row| row.id).collect();
        let change = Change { put: upgraded, delete };
        self.write(&change, |transaction| clear(transaction, FORMAT))?;
        tracing::info!(store = %file.display(), copy = %copy.display(), "the key store has format {FORMAT} now");
        Ok(change.put)
    }

    /// The store's id, which wrapped key material is bound to.
    pub(super) const fn id(&self) -> StoreId {
        self.id
    }

    /// The revision of the last change.
    #[must_use]
    pub(super) const fn revision(&self) -> Revision {
        self.revision
    }

    /// Makes a change, whole, in one transaction. When this returns it is on disk and survives the loss of power.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; nothing is changed then, and the same or another change may be tried. Only if the disk failed
    /// while the change was being synced, and the process then ends before another, may it be found when the store is
    /// opened again.
    pub(super) fn commit(&mut self, change: &Change) -> Result<Revision, StoreError> {
        self.write(change, |_| Ok(()))
    }

    fn write(
        &mut self,
        change: &Change,
        first: impl FnOnce(&Transaction<'_>) -> Result<(), StoreError>,
    ) -> Result<Revision, StoreError> {
        let revision = self.revision.next();
        let step = self.rows.step(&change.put, &change.delete);
        let mac = header::mac(&self.header_key, FORMAT, &self.id, revision, &step.total);
        let transaction = self.database.begin()?;
        first(&transaction)?;
        write_rows(&transaction, change)?;
        write_header(&transaction, revision, &mac)?;
        transaction.commit()?;
        self.rows.take(step);
        self.revision = revision;
        if let Err(error) = self.mark.set(self.id, revision) {
            tracing::warn!(%error, "which revision was answered last cannot be written down beside the key store");
        }
        Ok(revision)
    }
}

fn new_header(root_key: &RootKey) -> Result<Header, StoreError> {
    let (store, revision) = (StoreId::generate()?, Revision::FIRST);
    let keys = root_key.store_keys(&store);
    let total = RowSet::empty(keys.set).total();
    let mac = header::mac(&keys.header, FORMAT, &store, revision, &total);
    Ok(Header { format: FORMAT, store, revision, root_key_check: keys.check, mac })
}

/// A write-ahead log that outlived its store would be played into a new one of that name.
fn refuse_leftovers(file: &Path) -> Result<(), StoreError> {
    for suffix in ["", "-wal", "-journal", mark::SUFFIX] {
        let mut name = file.as_os_str().to_owned();
        name.push(suffix);
        if fs::exists(Path::new(&name))? {
            return Err(StoreError::Exists);
        }
    }
    Ok(())
}

/// Gives the finished file its name. A link, because a rename would overwrite a store that another process made.
fn publish(made: &Path, file: &Path) -> Result<(), StoreError> {
    fs::hard_link(made, file).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => StoreError::Exists,
        _ => error.into(),
    })?;
    Ok(File::open(directory_of(file))?.sync_all()?)
}
