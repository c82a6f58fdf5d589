//! The store's `SQLite` database: its file, its settings, its two tables. Knows nothing of keys and MACs.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::types::FromSqlError;
use rusqlite::{Connection, MAIN_DB, OpenFlags, Transaction, TransactionBehavior, params};

use super::error::StoreError;
use super::header::{FORMAT, Header};
use super::row::{Change, Kind, Revision, Row, RowId};
use crate::backend::local::store_id::StoreId;
use crate::private_file;

/// "KGST" in the file's header, by which a store is told from other databases.
const APPLICATION_ID: i64 = 0x4b47_5354;
/// As long as a gateway takes to end that is being replaced by this one.
const BUSY_TIMEOUT: Duration = Duration::from_millis(500);
/// Of `SQLite`'s page cache, in KiB. All rows are in the gateway's memory: it reads none back.
const CACHE_KIB: i64 = 512;

/// After how many pages the write-ahead log is carried over into the file. An eighth of what `SQLite` has by itself:
/// while thousands of pages are written and synced at once, who reads keys on that core waits for the kernel.
const LOG_PAGES: i64 = 128;

/// The whole schema, as `sqlite_schema` has it.
pub(super) const TABLES: [&str; 2] = [
    "CREATE TABLE header (one INTEGER PRIMARY KEY CHECK (one = 1), store BLOB NOT NULL, revision INTEGER NOT NULL, \
     root_key_check BLOB NOT NULL, mac BLOB NOT NULL) STRICT",
    "CREATE TABLE entry (kind TEXT NOT NULL, id TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (kind, id)) \
     STRICT, WITHOUT ROWID",
];

pub(super) struct Database {
    connection: Connection,
    format: u8,
}

impl Database {
    /// Makes a database without rows in `file`, which must not exist. It is complete on disk when this returns.
    pub(super) fn create(file: &Path, header: &Header) -> Result<(), StoreError> {
        private_file::write_new(file, b"")?;
        let mut database = Self { connection: Self::connect(file)?, format: FORMAT };
        database.allow_writing()?;
        let transaction = database.begin()?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", header.format)?;
        TABLES.iter().try_for_each(|table| transaction.execute_batch(table))?;
        transaction.execute(
            "INSERT INTO header (one, store, revision, root_key_check, mac) VALUES (1, ?1, ?2, ?3, ?4)",
            params![header.store.as_bytes(), number(header.revision)?, header.root_key_check, header.mac],
        )?;
        transaction.commit()?;
        // With the last connection the write-ahead log is carried over into the file, and removed.
        database.connection.close().map_err(|(_, error)| error.into())
    }

    /// Takes the lock on a store's database and checks what can be checked without keys. Writes nothing.
    pub(super) fn open(file: &Path) -> Result<Self, StoreError> {
        let connection = Self::connect(file)?;
        let format = check_format(&connection)?;
        let database = Self { connection, format };
        database.check_writable()?;
        database.check_schema()?;
        database.check_integrity()?;
        Ok(database)
    }

    fn connect(file: &Path) -> Result<Connection, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(file, flags | OpenFlags::SQLITE_OPEN_EXRESCODE)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        for (config, on) in [
            // What stands in the file is not trusted: no triggers, no views, no functions in the schema.
            (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
            (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
            // A store that turns out to be another's is left as it is, with its write-ahead log.
            (DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true),
        ] {
            connection.set_db_config(config, on)?;
        }
        // Exclusive before the first read: then the lock is held from it on, and no shared memory is used.
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "cell_size_check", true)?;
        // What was deleted is overwritten: the material of a key that was deleted must not be left in a free page.
        connection.pragma_update(None, "secure_delete", true)?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        connection.pragma_update(None, "mmap_size", 0)?;
        connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
        Ok(connection)
    }

    /// `SQLite` opens a file whose header names a version that it cannot write, and then refuses every change.
    fn check_writable(&self) -> Result<(), StoreError> {
        let readonly = self.connection.is_readonly(MAIN_DB)?;
        if readonly { Err(StoreError::Damaged("its header lets it only be read".to_owned())) } else { Ok(()) }
    }

    /// No table, index, trigger or view but those that were made.
    fn check_schema(&self) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare("SELECT coalesce(sql, '') FROM sqlite_schema ORDER BY rowid")?;
        let found = statement.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
        if found == TABLES { Ok(()) } else { Err(StoreError::Edited) }
    }

    /// Pages that are used twice or are free and used: a later change would overwrite rows with others.
    fn check_integrity(&self) -> Result<(), StoreError> {
        let found: String = self.connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if found == "ok" { Ok(()) } else { Err(StoreError::Damaged(found)) }
    }

    /// From here on the file is this process's to change.
    pub(super) fn allow_writing(&self) -> Result<(), StoreError> {
        self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
        let mode: String = self.connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
        if mode == "wal" { Ok(()) } else { Err(StoreError::Damaged(format!("its journal mode stays `{mode}`"))) }
    }

    pub(super) fn header(&self) -> Result<Header, StoreError> {
        let sql = "SELECT store, revision, root_key_check, mac FROM header";
        let (store, revision, root_key_check, mac) = self
            .connection
            .query_one(sql, [], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?, row.get(2)?, row.get(3)?)))?;
        let negative = |_| StoreError::Damaged("its revision is negative".to_owned());
        let revision = Revision::from_number(u64::try_from(revision).map_err(negative)?);
        Ok(Header { format: self.format, store: StoreId::from_bytes(store), revision, root_key_check, mac })
    }

    /// Hands over all rows, one after another, strictly ascending as the tree has them: a row that is out of its place
    /// could be read now but not found by a later change, and one that is there twice would cancel itself out of the
    /// sum.
    pub(super) fn rows(&self, mut take: impl FnMut(Row)) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare("SELECT kind, id, body FROM entry")?;
        let mut last = None;
        for row in statement.query_map([], read_row)? {
            let row = row?;
            if last.is_some_and(|last| last >= row.id) {
                return Err(StoreError::Damaged("its rows are out of order".to_owned()));
            }
            last = Some(row.id.clone());
            take(row);
        }
        Ok(())
    }

    /// Copies all of it into `copy`, an empty file.
    pub(super) fn copy_into(&self, copy: &Path) -> Result<(), StoreError> {
        let copy = copy.to_str().ok_or_else(|| StoreError::Damaged("its path is no UTF-8".to_owned()))?;
        self.connection.execute("VACUUM INTO ?1", params![copy])?;
        Ok(())
    }

    pub(super) fn begin(&mut self) -> Result<Transaction<'_>, StoreError> {
        Ok(self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?)
    }

    #[cfg(test)]
    pub(super) const fn connection(&self) -> &Connection {
        &self.connection
    }
}

/// The format, of those that can be read.
fn check_format(connection: &Connection) -> Result<u8, StoreError> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (application, format) = (pragma("application_id")?, pragma("user_version")?);
    match u8::try_from(format) {
        _ if application != APPLICATION_ID => Err(StoreError::Foreign),
        Ok(format @ 1..=FORMAT) => Ok(format),
        _ if format > i64::from(FORMAT) => Err(StoreError::Newer(format)),
        _ => Err(StoreError::Foreign),
    }
}

fn read_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let kind = Kind::from_name(row.get_ref(0)?.as_str()?).ok_or(FromSqlError::InvalidType)?;
    Ok(Row { id: RowId::new(kind, row.get_ref(1)?.as_str()?), body: row.get(2)? })
}

pub(super) fn write_rows(transaction: &Transaction<'_>, change: &Change) -> Result<(), StoreError> {
    let mut delete = transaction.prepare("DELETE FROM entry WHERE kind = ?1 AND id = ?2")?;
    for RowId { kind, id } in &change.delete {
        delete.execute(params![kind.name(), id])?;
    }
    let mut put = transaction.prepare("INSERT OR REPLACE INTO entry (kind, id, body) VALUES (?1, ?2, ?3)")?;
    for Row { id: RowId { kind, id }, body } in &change.put {
        put.execute(params![kind.name(), id, body])?;
    }
    Ok(())
}

/// Takes away all rows, for those of another format.
pub(super) fn clear(transaction: &Transaction<'_>, format: u8) -> Result<(), StoreError> {
    transaction.execute("DELETE FROM entry", [])?;
    transaction.pragma_update(None, "user_version", format)?;
    Ok(())
}

pub(super) fn write_header(
    transaction: &Transaction<'_>,
    revision: Revision,
    mac: &[u8; 32],
) -> Result<(), StoreError> {
    let mut update = transaction.prepare("UPDATE header SET revision = ?1, mac = ?2")?;
    match update.execute(params![number(revision)?, mac])? {
        1 => Ok(()),
        _ => Err(StoreError::Edited),
    }
}

fn number(revision: Revision) -> Result<i64, StoreError> {
    i64::try_from(revision.number()).map_err(|_| StoreError::Full)
}
