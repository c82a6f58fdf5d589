//! Each way to damage, edit or misuse a store, and what it then says.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use proptest::prelude::*;
use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::backend::local::golden::golden;

/// A store in a directory of its own, closed.
struct Closed {
    _directory: TempDir,
    file: PathBuf,
    root_key: RootKey,
    rows: Vec<Row>,
}

impl Store {
    /// As on a disk that is full: the file stays as large as it is.
    pub(in crate::backend::local) fn may_not_grow(&self) {
        let connection = self.database.connection();
        connection.pragma_update_and_check(None, "max_page_count", 1, |row| row.get::<_, i64>(0)).unwrap();
    }
}

fn row(kind: Kind, id: &str, body: &str) -> Row {
    Row { id: RowId::new(kind, id), body: body.into() }
}

fn put(rows: &[Row]) -> Change {
    Change { put: rows.to_vec(), delete: Vec::new() }
}

fn created() -> (TempDir, PathBuf, RootKey, Store) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("data").join("store");
    let root_key = golden().root_key();
    let store = Store::create(&file, &root_key).unwrap();
    (directory, file, root_key, store)
}

/// With three commits behind it, one of which replaced the first body of key `a`.
fn closed() -> Closed {
    let (directory, file, root_key, mut store) = created();
    let rows = vec![
        row(Kind::Alias, "alias/schön", "a"),
        row(Kind::Key, "a", "second"),
        row(Kind::Key, "b", &"long ".repeat(1500)),
        row(Kind::Material, "m", "\u{0}\u{ff}"),
    ];
    store.commit(&put(&[row(Kind::Key, "a", "first"), row(Kind::Key, "x", "")])).unwrap();
    store.commit(&put(&rows)).unwrap();
    store.commit(&Change { put: vec![], delete: vec![RowId::new(Kind::Key, "x")] }).unwrap();
    drop(store);
    Closed { _directory: directory, file, root_key, rows }
}

fn log_of(file: &Path) -> PathBuf {
    file.with_file_name("store-wal")
}

impl Closed {
    fn open(&self) -> Result<(Store, Rows), StoreError> {
        Store::open(&self.file, &self.root_key)
    }

    fn error(&self) -> StoreError {
        self.open().err().unwrap()
    }

    fn sql(&self, sql: &str) {
        Connection::open(&self.file).unwrap().execute_batch(sql).unwrap();
    }

    /// Copies the file as it is, with its write-ahead log, as a crash of the process would leave it.
    fn crashed_copy(file: &Path, root_key: RootKey, rows: Vec<Row>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let copy = directory.path().join("store");
        fs::copy(file, &copy).unwrap();
        fs::copy(log_of(file), log_of(&copy)).unwrap();
        Self { _directory: directory, file: copy, root_key, rows }
    }
}

#[test]
fn a_store_opened_again_has_the_rows_of_its_last_change() {
    let closed = closed();
    let (store, rows) = closed.open().unwrap();
    assert_eq!(rows, Rows { revision: Revision::from_number(3), rows: closed.rows.clone() });
    assert_eq!(store.revision(), rows.revision);
    let id = store.id();
    drop(store);
    assert_eq!(closed.open().unwrap().0.id(), id);
}

#[test]
fn a_change_is_on_disk_when_commit_returns() {
    let (_directory, file, root_key, mut store) = created();
    let rows = vec![row(Kind::Key, "a", "1")];
    store.commit(&put(&rows)).unwrap();
    let crashed = Closed::crashed_copy(&file, root_key, rows);
    assert_eq!(crashed.open().unwrap().1.rows, crashed.rows);
}

#[test]
fn the_files_and_their_directory_are_private() {
    let (_directory, file, _, mut store) = created();
    store.commit(&put(&[row(Kind::Key, "a", "1")])).unwrap();
    let directory = file.parent().unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(directory), 0o700);
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(mode(&entry.path()), 0o600, "{entry:?}");
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["store", "store-revision", "store-wal"]);
}

#[test]
fn creating_overwrites_nothing() {
    let closed = closed();
    let before = fs::read(&closed.file).unwrap();
    assert!(matches!(Store::create(&closed.file, &closed.root_key), Err(StoreError::Exists)));
    assert_eq!(fs::read(&closed.file).unwrap(), before);
    // A log left over from a store that was removed would become part of the new one.
    fs::rename(&closed.file, closed.file.with_extension("wal-of-old")).unwrap();
    fs::write(log_of(&closed.file), b"old").unwrap();
    assert!(matches!(Store::create(&closed.file, &closed.root_key), Err(StoreError::Exists)));
}

#[test]
fn a_store_that_is_not_there_or_cannot_be_made_is_said_to_be_so() {
    let directory = tempfile::tempdir().unwrap();
    let root_key = golden().root_key();
    assert!(matches!(Store::open(&directory.path().join("none"), &root_key), Err(StoreError::Missing)));
    // Even root cannot write there.
    assert!(matches!(Store::create(Path::new("/proc/kmsgate/store"), &root_key), Err(StoreError::File(_))));
    let fault = StoreError::RootKeyMissing.fault(Path::new("store"));
    assert!(fault.to_string().contains("hint: restore the root key"), "{fault}");
}

#[test]
fn a_second_opening_is_refused_while_the_first_lasts() {
    let closed = closed();
    let first = closed.open().unwrap();
    assert!(matches!(closed.error(), StoreError::InUse));
    drop(first);
    assert!(closed.open().is_ok());
}

#[test]
fn another_root_key_opens_nothing_and_changes_no_file() {
    let (_directory, file, root_key, mut store) = created();
    let rows = vec![row(Kind::Key, "a", "1")];
    store.commit(&put(&rows)).unwrap();
    // With a log that has not been carried over yet: an opening that checkpoints would change the file.
    let crashed = Closed::crashed_copy(&file, root_key, rows);
    let log = log_of(&crashed.file);
    let before = (fs::read(&crashed.file).unwrap(), fs::read(&log).unwrap());
    let other = RootKey::create(&crashed.file.with_extension("key")).unwrap();
    assert!(matches!(Store::open(&crashed.file, &other), Err(StoreError::OtherRootKey)));
    assert_eq!((fs::read(&crashed.file).unwrap(), fs::read(&log).unwrap()), before);
    assert_eq!(crashed.open().unwrap().1.rows, crashed.rows);
}

#[test]
fn every_edit_of_rows_header_or_schema_is_noticed() {
    for sql in [
        "UPDATE entry SET body = x'00' WHERE kind = 'key' AND id = 'a'",
        "UPDATE entry SET body = CAST('first' AS BLOB) WHERE kind = 'key' AND id = 'a'",
        "UPDATE entry SET body = x'' WHERE kind = 'material'",
        "DELETE FROM entry WHERE kind = 'material'",
        "DELETE FROM entry",
        "INSERT INTO entry VALUES ('key', 'c', x'00')",
        "INSERT INTO entry VALUES ('key', 'x', x'')",
        "UPDATE entry SET id = 'c' WHERE kind = 'key' AND id = 'a'",
        "UPDATE entry SET kind = 'alias' WHERE kind = 'key' AND id = 'a'",
        "UPDATE entry SET id = CASE id WHEN 'a' THEN 'c' ELSE 'a' END WHERE kind = 'key';
         UPDATE entry SET id = 'b' WHERE kind = 'key' AND id = 'c'",
        "UPDATE header SET revision = 2",
        "UPDATE header SET revision = 4",
        "UPDATE header SET mac = zeroblob(32)",
        "CREATE TABLE more (a)",
        "CREATE VIEW more AS SELECT 1",
        "CREATE INDEX more ON entry (body)",
        "CREATE TRIGGER more AFTER UPDATE ON header BEGIN DELETE FROM entry; END",
        "DROP TABLE entry",
    ] {
        let closed = closed();
        closed.sql(sql);
        assert!(matches!(closed.error(), StoreError::Edited), "{sql}: {:?}", closed.error());
    }
}

#[test]
fn a_header_of_another_store_or_form_is_noticed() {
    let says = |sql: &str| {
        let closed = closed();
        closed.sql(sql);
        closed.error()
    };
    assert!(matches!(says("UPDATE header SET store = randomblob(16)"), StoreError::OtherRootKey));
    assert!(matches!(says("UPDATE header SET root_key_check = zeroblob(32)"), StoreError::OtherRootKey));
    for sql in [
        "DELETE FROM header",
        "UPDATE header SET revision = -1",
        "UPDATE header SET mac = x'00'",
        "UPDATE header SET store = zeroblob(17)",
        "INSERT INTO entry VALUES ('policy', 'a', x'00')",
        "UPDATE entry SET id = CAST(x'ff' AS TEXT) WHERE kind = 'material'",
    ] {
        assert!(matches!(says(sql), StoreError::Damaged(_)), "{sql}");
    }
}

#[test]
fn the_header_of_an_older_revision_does_not_fit_newer_rows() {
    let closed = closed();
    let connection = Connection::open(&closed.file).unwrap();
    let mac: Vec<u8> = connection.query_row("SELECT mac FROM header", [], |row| row.get(0)).unwrap();
    drop(connection);
    let (mut store, _) = closed.open().unwrap();
    store.commit(&put(&[row(Kind::Key, "a", "third")])).unwrap();
    drop(store);
    closed.sql(&format!("UPDATE header SET revision = 3, mac = x'{}'", hex::encode(mac)));
    assert!(matches!(closed.error(), StoreError::Edited));
    // With the row set back too it is the store of revision 3, as a copy of the whole file would be.
    closed.sql("UPDATE entry SET body = CAST('second' AS BLOB) WHERE kind = 'key' AND id = 'a'");
    let StoreError::SetBack { found, answered, mark } = closed.error() else { panic!("{:?}", closed.error()) };
    assert!(found.ends_with(" at revision 3") && answered.ends_with(" at revision 4"), "{found}, {answered}");
    fs::remove_file(mark).unwrap();
    assert_eq!(closed.open().unwrap().1.revision.number(), 3);
}

#[test]
fn a_row_edited_while_the_store_is_open_does_not_become_authentic() {
    let closed = closed();
    let (mut store, _) = closed.open().unwrap();
    store.database.connection().execute("UPDATE entry SET body = x'00' WHERE id = 'a'", []).unwrap();
    store.commit(&put(&[row(Kind::Key, "c", "")])).unwrap();
    drop(store);
    assert!(matches!(closed.error(), StoreError::Edited));
    // The next change of that row puts it right, whatever stood there in between.
    closed.sql("UPDATE entry SET body = CAST('second' AS BLOB) WHERE id = 'a'");
    let (mut store, _) = closed.open().unwrap();
    store.database.connection().execute("UPDATE entry SET body = x'00' WHERE id = 'a'", []).unwrap();
    store.commit(&put(&[row(Kind::Key, "a", "third")])).unwrap();
    drop(store);
    assert!(closed.open().unwrap().1.rows.contains(&row(Kind::Key, "a", "third")));
}

#[test]
fn other_files_and_newer_formats_are_told_from_stores() {
    let closed = closed();
    closed.sql("PRAGMA user_version = 3");
    assert!(matches!(closed.error(), StoreError::Newer(3)));
    assert!(closed.error().to_string().contains("format 3, and this kmsgate reads format 2"));
    closed.sql("PRAGMA user_version = 1");
    assert!(matches!(closed.error(), StoreError::Edited), "the header's MAC is over the format");
    closed.sql("PRAGMA user_version = 0");
    assert!(matches!(closed.error(), StoreError::Foreign));
    closed.sql("PRAGMA user_version = 1; PRAGMA application_id = 0");
    assert!(matches!(closed.error(), StoreError::Foreign));
    for text in ["", "short", &"a text that is longer than a page of the database\n".repeat(200)] {
        fs::write(&closed.file, text).unwrap();
        assert!(matches!(closed.error(), StoreError::Foreign), "{:?}", closed.error());
    }
}

#[test]
fn a_file_cut_short_does_not_open_unless_all_rows_are_there() {
    let closed = closed();
    let whole = fs::read(&closed.file).unwrap();
    let mut opened = 0;
    for length in (0..whole.len()).step_by(512).chain([1, 99, whole.len() - 1]) {
        fs::write(&closed.file, &whole[..length]).unwrap();
        match closed.open() {
            Ok((_, rows)) => {
                assert_eq!(rows.rows, closed.rows, "{length} bytes");
                opened += 1;
            }
            Err(StoreError::Foreign | StoreError::Damaged(_)) => {}
            Err(error) => panic!("{length} bytes: {error:?}"),
        }
    }
    // The last page is free: what it lacks was no row.
    assert!(opened <= 4096 / 512 + 1, "{opened} opened");
}

#[test]
fn a_file_with_a_bit_flipped_opens_with_the_same_rows_or_not_at_all() {
    let closed = closed();
    let whole = fs::read(&closed.file).unwrap();
    // Of each byte near a page's start, where its structure is, every bit; elsewhere two bits of each 13th byte.
    let bits = (0..whole.len() * 8).filter(|bit| (bit / 8) % 4096 < 128 || bit % (13 * 8) < 2);
    let (mut opened, mut refused) = (0, 0);
    for bit in bits {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        fs::write(&closed.file, &flipped).unwrap();
        match closed.open() {
            Ok((_, rows)) => {
                assert_eq!(rows.rows, closed.rows, "bit {bit}");
                opened += 1;
            }
            Err(error) => {
                assert!(!matches!(error, StoreError::InUse | StoreError::Missing), "bit {bit}: {error}");
                refused += 1;
            }
        }
    }
    assert!(opened > 0 && refused > 0, "{opened} opened, {refused} refused");
}

#[test]
fn a_log_with_a_bit_flipped_is_at_worst_an_earlier_revision() {
    let (_directory, file, root_key, mut store) = created();
    let rows = [row(Kind::Key, "a", "1"), row(Kind::Key, "b", "2"), row(Kind::Key, "c", "3")];
    for row in &rows {
        store.commit(&put(std::slice::from_ref(row))).unwrap();
    }
    let crashed = Closed::crashed_copy(&file, root_key, rows.to_vec());
    let log = log_of(&crashed.file);
    let (whole, whole_log) = (fs::read(&crashed.file).unwrap(), fs::read(&log).unwrap());
    let mut revisions = std::collections::BTreeSet::new();
    for at in (0..whole_log.len()).step_by(97) {
        let mut flipped = whole_log.clone();
        flipped[at] ^= 1;
        fs::write(&crashed.file, &whole).unwrap();
        fs::write(&log, flipped).unwrap();
        let (_, found) = crashed.open().unwrap();
        let revision = usize::try_from(found.revision.number()).unwrap();
        assert_eq!(found.rows, rows[..revision], "byte {at}");
        revisions.insert(revision);
    }
    assert_eq!(revisions.into_iter().collect::<Vec<_>>(), [0, 1, 2]);
}

#[test]
fn a_change_that_does_not_fit_changes_nothing_and_can_be_tried_again() {
    let closed = closed();
    let (mut store, before) = closed.open().unwrap();
    let limit = |store: &Store, pages: i64| {
        let connection = store.database.connection();
        connection.pragma_update_and_check(None, "max_page_count", pages, |row| row.get::<_, i64>(0)).unwrap();
    };
    limit(&store, 1);
    let change = Change {
        put: vec![row(Kind::Key, "c", &"long ".repeat(10_000))],
        delete: vec![RowId::new(Kind::Key, "a"), RowId::new(Kind::Alias, "alias/schön")],
    };
    assert!(matches!(store.commit(&change), Err(StoreError::Full)));
    assert_eq!(store.revision(), before.revision);
    // A change that needs no room goes through in between.
    store.commit(&put(&[row(Kind::Key, "a", "third")])).unwrap();
    limit(&store, 10_000);
    store.commit(&change).unwrap();
    drop(store);
    let (_, after) = closed.open().unwrap();
    assert_eq!(after.revision.number(), before.revision.number() + 2);
    let ids: Vec<_> = after.rows.iter().map(|row| &*row.id.id).collect();
    assert_eq!(ids, ["b", "c", "m"]);
}

#[test]
fn a_store_that_became_read_only_says_so_and_goes_on_when_it_no_longer_is() {
    let closed = closed();
    let (mut store, before) = closed.open().unwrap();
    store.database.connection().pragma_update(None, "query_only", true).unwrap();
    let change = put(&[row(Kind::Key, "c", "")]);
    let error = store.commit(&change).unwrap_err();
    assert!(matches!(error, StoreError::Database(_)) && error.hint().contains("written"), "{error:?}");
    assert_eq!(store.revision(), before.revision);
    store.database.connection().pragma_update(None, "query_only", false).unwrap();
    store.commit(&change).unwrap();
}

#[test]
fn what_was_deleted_or_replaced_is_not_left_in_the_file() {
    let (_directory, file, _, mut store) = created();
    let text = "wrapped key material ".repeat(500);
    let rows =
        [row(Kind::Material, "a", &text), row(Kind::Material, "b", &text), row(Kind::Material, "c", "short wrapped")];
    store.commit(&put(&rows)).unwrap();
    let delete = vec![RowId::new(Kind::Material, "a"), RowId::new(Kind::Material, "c")];
    store.commit(&Change { put: vec![row(Kind::Material, "b", "new")], delete }).unwrap();
    drop(store);
    let bytes = fs::read(&file).unwrap();
    assert!(!bytes.windows(7).any(|window| window == b"wrapped"));
    assert!(bytes.windows(3).any(|window| window == b"new"));
}

#[test]
fn every_commit_is_synced_to_disk() {
    let (_directory, _, _, store) = created();
    let pragma = |name| store.database.connection().pragma_query_value(None, name, |row| row.get::<_, String>(0));
    let number = |name| store.database.connection().pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    assert_eq!((pragma("journal_mode").unwrap().as_str(), number("synchronous").unwrap()), ("wal", 2));
    assert_eq!(pragma("locking_mode").unwrap(), "exclusive");
}

#[test]
fn a_store_can_be_moved_to_a_thread_of_its_own() {
    const fn moved<T: Send>() {}
    moved::<Store>();
}

fn arbitrary_change() -> impl Strategy<Value = Change> {
    let id = || (prop::sample::select(Kind::ALL.to_vec()), "[a-d]{1,2}").prop_map(|(kind, id)| RowId::new(kind, &id));
    let row = (id(), prop::collection::vec(any::<u8>(), 0..200)).prop_map(|(id, body)| Row { id, body });
    (prop::collection::vec(row, 0..6), prop::collection::vec(id(), 0..4))
        .prop_map(|(put, delete)| Change { put, delete })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_store_holds_what_a_map_would_hold(changes in prop::collection::vec((arbitrary_change(), any::<bool>()), 0..8)) {
        let (_directory, file, root_key, mut store) = created();
        let mut model = BTreeMap::new();
        for (change, reopen) in &changes {
            store.commit(change).unwrap();
            change.delete.iter().for_each(|id| { model.remove(id); });
            change.put.iter().for_each(|row| { model.insert(row.id.clone(), row.body.clone()); });
            if *reopen {
                drop(store);
                store = Store::open(&file, &root_key).unwrap().0;
            }
        }
        drop(store);
        let rows = Store::open(&file, &root_key).unwrap().1;
        prop_assert_eq!(rows.revision.number(), changes.len() as u64);
        prop_assert_eq!(rows.rows, model.into_iter().map(|(id, body)| Row { id, body }).collect::<Vec<_>>());
    }
}
