//! A store of format 1, made without this code, is what it was once it was opened, and a copy of it is kept.

use std::os::unix::fs::PermissionsExt;

use rusqlite::{Connection, params};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::super::Store;
use super::*;
use crate::backend::local::golden::golden;

/// Writes the vector's rows and header as `SQLite` had them then.
fn format_1(file: &Path) {
    let (golden, connection) = (golden(), Connection::open(file).unwrap());
    let (store, vector) = (golden.store_id(), &golden.format_1_store);
    connection.execute_batch("PRAGMA application_id = 0x4b475354; PRAGMA user_version = 1").unwrap();
    for table in super::super::database::TABLES {
        connection.execute_batch(table).unwrap();
    }
    let bytes = |text: &str| hex::decode(text).unwrap();
    connection
        .execute(
            "INSERT INTO header VALUES (1, ?1, ?2, ?3, ?4)",
            params![
                store.as_bytes(),
                i64::try_from(vector.revision).unwrap(),
                bytes(&vector.root_key_check),
                bytes(&vector.mac)
            ],
        )
        .unwrap();
    for row in &vector.rows {
        connection
            .execute("INSERT INTO entry VALUES (?1, ?2, ?3)", params![row.kind, row.id, bytes(&row.body)])
            .unwrap();
    }
    private_to_owner(file);
}

fn private_to_owner(file: &Path) {
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
}

fn made() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("keys.sqlite");
    format_1(&file);
    (directory, file)
}

#[test]
fn the_rows_are_those_of_this_format() {
    let (_directory, file) = made();
    let golden = golden();
    let (store, rows) = Store::open(&file, &golden.root_key()).unwrap();
    assert_eq!(store.revision().number(), golden.format_1_store.revision + 1);
    let body = |row: &Row| serde_json::from_slice::<Value>(&row.body).unwrap();
    let [alias, key] = rows.rows.as_slice() else { panic!("{:?}", rows.rows) };
    let id = golden.key_arn().id();
    assert_eq!((&*alias.id.id, &*key.id.id), ("eu-central-1/alias/orders", format!("eu-central-1/{id}").as_str()));
    assert_eq!(body(alias)["target"], id.as_str());
    let wrapped = STANDARD.encode(hex::decode(&golden.wrap.wrapped).unwrap());
    assert_eq!(body(key)["materials"], json!([{"id": golden.material_id, "wrapped": wrapped}]));
    assert_eq!((&body(key)["description"], &body(key)["material"]), (&json!("from format 1"), &Value::Null));
    drop(store);
    let again = Store::open(&file, &golden.root_key()).unwrap();
    assert_eq!(again.1.rows, rows.rows, "and it stays so");
}

#[test]
fn the_copy_is_the_store_as_it_was_and_no_one_elses_to_read() {
    let (_directory, file) = made();
    let (before, copy) = (rows_of(&file), copy_of(&file, 1));
    // What an upgrade that was cut short has left.
    fs::write(&copy, "half a store").unwrap();
    drop(Store::open(&file, &golden().root_key()).unwrap());
    assert_eq!(rows_of(&copy), before);
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    // It can be put in the store's place, by who says that he means it, and is made one of this format again.
    fs::rename(&copy, &file).unwrap();
    let Err(StoreError::SetBack { mark, .. }) = Store::open(&file, &golden().root_key()) else { panic!("no refusal") };
    fs::remove_file(mark).unwrap();
    drop(Store::open(&file, &golden().root_key()).unwrap());
}

#[test]
fn a_store_whose_copy_cannot_be_kept_stays_as_it_was() {
    let (_directory, file) = made();
    let before = rows_of(&file);
    fs::create_dir(copy_of(&file, 1)).unwrap();
    assert!(Store::open(&file, &golden().root_key()).is_err());
    assert_eq!(rows_of(&file), before);
}

#[test]
fn an_edited_store_of_format_1_is_refused_and_not_upgraded() {
    let (_directory, file) = made();
    Connection::open(&file).unwrap().execute("UPDATE entry SET body = x'7b7d' WHERE kind = 'alias'", []).unwrap();
    assert!(matches!(Store::open(&file, &golden().root_key()), Err(StoreError::Edited)));
    assert!(!fs::exists(copy_of(&file, 1)).unwrap());
}

fn rows_of(file: &Path) -> Vec<(String, String, Vec<u8>)> {
    let connection = Connection::open(file).unwrap();
    let mut statement = connection.prepare("SELECT kind, id, body FROM entry").unwrap();
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    statement.query_map([], row).unwrap().map(Result::unwrap).collect()
}
