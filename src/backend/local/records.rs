//! Keys, key material and aliases as rows of the store, and back.
//!
//! The store authenticates rows as they are, so what is read here was written here, under this root key; what does
//! not fit all the same is of another version, or a defect.

use std::sync::Arc;

use aws_sdk_kms::types::OriginType;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Site;
use super::directory::{Alias, Directory};
use super::key::{KeyState, KeyView};
use super::key_tag::KeyTagger;
use super::material::{Binding, KeyMaterial};
use super::message::Sealer;
use super::root_key::{RootKey, WrappingKey};
use super::store::{Kind, Row, RowId};
use super::store_id::StoreId;
use crate::aws::{AliasName, KeyArn, KeyId, KeyMaterialId, Tags};
use crate::clock::Timestamp;
use crate::kms::Exception;
use crate::limits::Subject;

/// What rows are made and read with.
pub(super) struct Records {
    store: StoreId,
    wrapping: WrappingKey,
    tagger: KeyTagger,
}

/// A row that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the {kind} `{id}` cannot be read: {reason}", kind = row.kind.name(), id = row.id)]
pub struct UnreadableRow {
    row: RowId,
    reason: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyRecord {
    arn: String,
    created_micros: i64,
    description: String,
    state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deletion_micros: Option<i64>,
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    tags: Tags,
    material: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AliasRecord {
    target: String,
    created_micros: i64,
    updated_micros: i64,
}

impl Records {
    pub(super) fn new(root_key: &RootKey, store: StoreId) -> Self {
        Self { store, wrapping: root_key.wrapping_key(), tagger: root_key.key_tagger(&store) }
    }

    /// What marks this store's blobs as its own.
    pub(super) const fn tagger(&self) -> &KeyTagger {
        &self.tagger
    }

    /// New material for a key, ready to seal with.
    pub(super) fn sealer(&self, arn: &KeyArn, material: KeyMaterial) -> Arc<Sealer> {
        Arc::new(Sealer::new(arn, material, &self.tagger))
    }

    pub(super) fn key(key: &KeyView) -> Result<Row, Exception> {
        let record = KeyRecord {
            arn: key.arn.as_str().to_owned(),
            created_micros: key.created.unix_micros(),
            description: key.description.clone().into(),
            state: key.state.name().to_owned(),
            deletion_micros: key.state.deletion_date().map(Timestamp::unix_micros),
            tags: key.tags.clone(),
            material: key.sealer.material().id().to_string(),
        };
        row(Kind::Key, key.id().as_str(), &record)
    }

    pub(super) fn material(&self, key: &KeyView) -> Result<Row, Exception> {
        let material = key.sealer.material();
        let body = material.wrap(&self.wrapping, &self.binding(&key.arn, key.created))?.to_vec();
        Ok(Row { id: RowId::new(Kind::Material, material.id().hex().as_str()), body })
    }

    pub(super) fn alias(name: &AliasName, alias: Alias) -> Result<Row, Exception> {
        let record = AliasRecord {
            target: alias.target.to_string(),
            created_micros: alias.created.unix_micros(),
            updated_micros: alias.updated.unix_micros(),
        };
        row(Kind::Alias, name.as_str(), &record)
    }

    /// Every key and alias of a store that holds the keys of `site`.
    pub(super) fn load(&self, rows: &[Row], site: &Site) -> Result<Directory, UnreadableRow> {
        let mut directory = Directory::default();
        let of = |kind| rows.iter().filter(move |row| row.id.kind == kind);
        for row in of(Kind::Key) {
            let key = self.read_key(row, rows, site).map_err(|reason| unreadable(row, reason))?;
            directory.put(key);
        }
        for row in of(Kind::Alias) {
            let (name, alias) = read_alias(row, &directory).map_err(|reason| unreadable(row, reason))?;
            directory.add_alias(name, alias);
        }
        Ok(directory)
    }

    fn read_key(&self, row: &Row, rows: &[Row], site: &Site) -> Result<KeyView, String> {
        let record: KeyRecord = read(row)?;
        let arn: KeyArn = record.arn.parse().map_err(text)?;
        if arn.id().as_str() != &*row.id.id {
            return Err("it has another id".into());
        }
        if arn != KeyArn::new(&site.region, site.account, arn.id()) {
            return Err(format!("it is of another region or account: {arn}", arn = arn.as_str()));
        }
        let created = Timestamp::from_unix_micros(record.created_micros);
        let material = self.read_material(&record.material, rows, &arn, created)?;
        Ok(KeyView {
            created,
            description: record.description.into(),
            state: state(&record.state, record.deletion_micros)?,
            tags: record.tags,
            aliases: Vec::new(),
            quota: Subject::of(arn.as_str()),
            sealer: self.sealer(&arn, material),
            arn,
        })
    }

    fn read_material(&self, id: &str, rows: &[Row], arn: &KeyArn, created: Timestamp) -> Result<KeyMaterial, String> {
        // The store hands its rows over sorted by their ids.
        let wanted = RowId::new(Kind::Material, id);
        let at = rows.binary_search_by(|row| row.id.cmp(&wanted)).map_err(|_| "its key material is not there")?;
        let wrapped = rows.get(at).map(|row| row.body.as_slice()).unwrap_or_default();
        let id: KeyMaterialId = id.parse().map_err(text)?;
        KeyMaterial::unwrap(wrapped, id, &self.wrapping, &self.binding(arn, created))
            .map_err(|_| "its key material does not open".to_owned())
    }

    fn binding<'a>(&'a self, key_arn: &'a KeyArn, created: Timestamp) -> Binding<'a> {
        Binding { store: &self.store, key_arn, origin: &OriginType::AwsKms, created }
    }
}

fn read_alias(row: &Row, directory: &Directory) -> Result<(AliasName, Alias), String> {
    let record: AliasRecord = read(row)?;
    let target: KeyId = record.target.parse().map_err(text)?;
    if directory.key(target).is_none() {
        return Err("its key is not there".into());
    }
    let at = Timestamp::from_unix_micros;
    let alias = Alias { target, created: at(record.created_micros), updated: at(record.updated_micros) };
    Ok((row.id.id.parse().map_err(text)?, alias))
}

fn state(name: &str, deletion_micros: Option<i64>) -> Result<KeyState, String> {
    match (name, deletion_micros) {
        ("Enabled", None) => Ok(KeyState::Enabled),
        ("Disabled", None) => Ok(KeyState::Disabled),
        ("PendingDeletion", Some(micros)) => Ok(KeyState::PendingDeletion(Timestamp::from_unix_micros(micros))),
        _ => Err(format!("it has the state `{name}`, which this version does not know")),
    }
}

fn row<T: Serialize>(kind: Kind, id: &str, record: &T) -> Result<Row, Exception> {
    let body = serde_json::to_vec(record).map_err(|error| Exception::kms_internal().with_detail(error.to_string()))?;
    Ok(Row { id: RowId::new(kind, id), body })
}

fn read<T: DeserializeOwned>(row: &Row) -> Result<T, String> {
    serde_json::from_slice(&row.body).map_err(text)
}

fn unreadable(row: &Row, reason: String) -> UnreadableRow {
    UnreadableRow { row: row.id.clone(), reason }
}

#[expect(clippy::needless_pass_by_value, reason = "it stands where `map_err` wants a function")]
fn text<E: ToString>(error: E) -> String {
    error.to_string()
}
