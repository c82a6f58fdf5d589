//! Stores of older formats, made into those of this one when they are opened. A copy of what was there is kept.
//!
//! Format 1 had one region, keys and aliases under their bare ids and names, and key material in rows of its own,
//! which keys named. In format 2 ids begin with the region, and a key's row holds its material.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::database::Database;
use super::error::StoreError;
use super::row::{Kind, Row, RowId};
use crate::private_file::{self, directory_of};

/// Where the copy of a store of that format is kept: beside it.
pub(super) fn copy_of(file: &Path, format: u8) -> PathBuf {
    let mut name: OsString = file.as_os_str().to_owned();
    name.push(format!(".format-{format}"));
    name.into()
}

/// Copies the store to where its copy is kept. Complete on disk when this returns; what an upgrade that was cut short
/// left there is replaced.
pub(super) fn keep_copy(database: &Database, file: &Path, format: u8) -> Result<PathBuf, StoreError> {
    let copy = copy_of(file, format);
    if fs::exists(&copy)? {
        fs::remove_file(&copy)?;
    }
    private_file::write_new(&copy, b"")?;
    database.copy_into(&copy)?;
    File::open(&copy)?.sync_all()?;
    File::open(directory_of(file))?.sync_all()?;
    Ok(copy)
}

/// The rows of format 1 as format 2 has them. They are authentic, so what does not fit is a defect of that version.
pub(super) fn from_format_1(rows: &[Row]) -> Result<Vec<Row>, StoreError> {
    let unreadable = || StoreError::Damaged("a row of format 1 cannot be read".to_owned());
    let object = |row: &Row| serde_json::from_slice::<Map<String, Value>>(&row.body).map_err(|_| unreadable());
    let of = |kind| rows.iter().filter(move |row| row.id.kind == kind);
    let materials: BTreeMap<&str, &[u8]> = of(Kind::Material).map(|row| (&*row.id.id, &*row.body)).collect();
    let (mut upgraded, mut regions) = (Vec::with_capacity(rows.len()), BTreeMap::new());
    for row in of(Kind::Key) {
        let mut key = object(row)?;
        let id = key.remove("material");
        let id = id.as_ref().and_then(Value::as_str).ok_or_else(unreadable)?;
        let wrapped = STANDARD.encode(materials.get(id).ok_or_else(unreadable)?);
        key.insert("materials".to_owned(), json!([{"id": id, "wrapped": wrapped}]));
        let arn = key.get("arn").and_then(Value::as_str).ok_or_else(unreadable)?;
        let region = arn.split(':').nth(3).ok_or_else(unreadable)?.to_owned();
        upgraded.push(made(Kind::Key, &format!("{region}/{}", row.id.id), &key));
        regions.insert(&*row.id.id, region);
    }
    for row in of(Kind::Alias) {
        let alias = object(row)?;
        let target = alias.get("target").and_then(Value::as_str).ok_or_else(unreadable)?;
        let region = regions.get(target).ok_or_else(unreadable)?;
        upgraded.push(made(Kind::Alias, &format!("{region}/{}", row.id.id), &alias));
    }
    upgraded.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(upgraded)
}

fn made(kind: Kind, id: &str, body: &Map<String, Value>) -> Row {
    Row { id: RowId::new(kind, id), body: Value::from(body.clone()).to_string().into_bytes() }
}

#[cfg(test)]
mod tests;
