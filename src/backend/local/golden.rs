//! For this module's tests: the vectors that `tests/vectors/local_backend.py` made.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::key_tag::KeyTagger;
use super::material::{KeyMaterial, SECRET_BYTES};
use super::message::Sealer;
use super::root_key::RootKey;
use super::store_id::StoreId;
use crate::aws::{EncryptionContext, KeyArn, KeyMaterialId};

#[derive(Deserialize)]
pub(super) struct Golden {
    pub(super) key_arn: String,
    pub(super) root_key_line: String,
    secret: String,
    pub(super) material_id: String,
    store_id: String,
    n: String,
    iv: String,
    pub(super) kdf: Vec<Kdf>,
    pub(super) blobs: Vec<Blob>,
    pub(super) wrap: Wrap,
    pub(super) imported_material_id: String,
    pub(super) import_token: ImportToken,
    pub(super) store: Store,
    pub(super) format_1_store: Store,
    pub(super) transport: Transport,
    pub(super) seeded_material_id: String,
}

#[derive(Deserialize)]
pub(super) struct Kdf {
    pub(super) label: String,
    pub(super) context: String,
    pub(super) output: String,
}

#[derive(Deserialize)]
pub(super) struct Blob {
    context: BTreeMap<String, String>,
    pub(super) plaintext: String,
    pub(super) commitment: String,
    pub(super) additional_data: String,
    #[serde(rename = "blob")]
    pub(super) bytes: String,
}

#[derive(Deserialize)]
pub(super) struct Wrap {
    pub(super) origin: String,
    pub(super) created_micros: i64,
    pub(super) wrapped: String,
}

#[derive(Deserialize)]
pub(super) struct ImportToken {
    pub(super) wrapping_algorithm: String,
    pub(super) issued_micros: i64,
    pub(super) private_key: String,
    pub(super) token: String,
}

#[derive(Deserialize)]
pub(super) struct Store {
    pub(super) format: u8,
    pub(super) rows: Vec<Row>,
    pub(super) revision: u64,
    pub(super) sum: String,
    pub(super) root_key_check: String,
    pub(super) mac: String,
}

#[derive(Deserialize)]
pub(super) struct Row {
    pub(super) kind: String,
    pub(super) id: String,
    pub(super) body: String,
}

#[derive(Deserialize)]
pub(super) struct Transport {
    #[serde(rename = "transport_key_line")]
    pub(super) key_line: String,
    pub(super) file_id: String,
    pub(super) file: String,
}

pub(super) fn golden() -> Golden {
    serde_json::from_str(include_str!("../../../tests/vectors/local_backend.json")).unwrap()
}

pub(super) fn bytes<const N: usize>(text: &str) -> [u8; N] {
    hex::decode(text).unwrap().try_into().unwrap()
}

impl Golden {
    pub(super) fn key_arn(&self) -> KeyArn {
        self.key_arn.parse().unwrap()
    }

    pub(super) fn root_key(&self) -> RootKey {
        RootKey::from_text(&self.root_key_line).unwrap()
    }

    pub(super) fn secret(&self) -> [u8; SECRET_BYTES] {
        bytes(&self.secret)
    }

    pub(super) fn material(&self) -> KeyMaterial {
        KeyMaterial::from_parts(self.material_id(), &self.secret())
    }

    pub(super) fn tagger(&self) -> KeyTagger {
        self.root_key().key_tagger(&self.store_id())
    }

    pub(super) fn sealer(&self) -> Sealer {
        Sealer::new(&self.key_arn(), self.material(), &self.tagger())
    }

    pub(super) fn material_id(&self) -> KeyMaterialId {
        self.material_id.parse().unwrap()
    }

    pub(super) fn store_id(&self) -> StoreId {
        StoreId::from_bytes(bytes(&self.store_id))
    }

    pub(super) fn n(&self) -> [u8; 16] {
        bytes(&self.n)
    }

    pub(super) fn iv(&self) -> [u8; 12] {
        bytes(&self.iv)
    }
}

impl Blob {
    pub(super) fn context(&self) -> EncryptionContext {
        EncryptionContext::from_pairs(self.context.clone().into_iter().collect()).unwrap()
    }
}
