//! Keys and aliases as rows of the store, and back; grants are in [`grant_records`](super::grant_records). A key's row
//! holds its material too, wrapped.
//!
//! The store authenticates rows as they are, so what is read here was written here, under this root key; what does
//! not fit all the same is of another version, or a defect.

use std::sync::Arc;

use aws_sdk_kms::types::OriginType;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Site;
use super::directory::Alias;
use super::import_token::{self, ImportToken, InvalidToken};
use super::key::{KeyState, KeyView, MultiRegion, Origin, Rotation};
use super::key_spec::{KeySpec, KeyUsage};
use super::key_tag::KeyTagger;
use super::loader::{Policies, read_policy};
use super::material::{Binding, KeyMaterial};
use super::materials::{Import, Materials, RotationType, Version};
use super::message::Sealer;
use super::root_key::{ImportTokenKey, RootKey, WrappingKey};
use super::store::{Kind, Row, RowId};
use super::store_id::StoreId;
use crate::aws::{AliasName, KeyArn, KeyId, Region, Tags};
use crate::clock::Timestamp;
use crate::grants::{Grant, GrantToken, Grants, TokenKey};
use crate::kms::Exception;
use crate::limits::Subject;
use crate::random::Exhausted;

/// What rows are made and read with.
pub(super) struct Records {
    store: StoreId,
    wrapping: WrappingKey,
    tagger: KeyTagger,
    import_tokens: Arc<ImportTokenKey>,
    grant_tokens: TokenKey,
}

/// A key's row: `REGION/KEY ID`. What is left out is as it is for most keys.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyRecord {
    arn: String,
    created_micros: i64,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    description: String,
    state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deletion_micros: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pending_window_days: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    spec: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    usage: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origin: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    multi_region: Option<MultiRegionRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rotation: Option<RotationRecord>,
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    tags: Tags,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    policy: Option<String>,
    /// Oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    materials: Vec<MaterialRecord>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MultiRegionRecord {
    primary: String,
    replicas: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RotationRecord {
    period_days: u32,
    next_micros: i64,
}

/// One version of a key's material.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MaterialRecord {
    id: String,
    /// In base64; left out while it is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wrapped: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rotated: Option<(i64, String)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    imported: Option<ImportRecord>,
    #[serde(default, skip_serializing_if = "MaterialRole::is_current")]
    role: MaterialRole,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ImportRecord {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    description: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    valid_to_micros: Option<i64>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum MaterialRole {
    #[default]
    Current,
    Older,
    Pending,
}

impl MaterialRole {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference over")]
    fn is_current(&self) -> bool {
        *self == Self::Current
    }
}

/// An alias's row: `REGION/alias/NAME`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AliasRecord {
    target: String,
    created_micros: i64,
    updated_micros: i64,
}

impl Records {
    pub(super) fn new(root_key: &RootKey, store: StoreId) -> Self {
        Self {
            store,
            wrapping: root_key.wrapping_key(),
            tagger: root_key.key_tagger(&store),
            import_tokens: Arc::new(root_key.import_token_key(&store)),
            grant_tokens: root_key.grant_token_key(&store),
        }
    }

    /// For the rows of a file of keys, whose id stands for a store's. The keys that are read from it mark their blobs
    /// as those of this store.
    pub(super) fn of_file(&self, file: StoreId, wrapping: WrappingKey) -> Self {
        let (tagger, import_tokens) = (self.tagger.clone(), Arc::clone(&self.import_tokens));
        Self { store: file, wrapping, tagger, import_tokens, grant_tokens: self.grant_tokens.clone() }
    }

    /// What marks this store's blobs as its own.
    pub(super) const fn tagger(&self) -> &KeyTagger {
        &self.tagger
    }

    /// Material of a key, ready to seal with.
    pub(super) fn sealer(&self, arn: &KeyArn, material: KeyMaterial) -> Arc<Sealer> {
        Arc::new(Sealer::new(arn, material, &self.tagger))
    }

    /// A token in the form for clients, for imports into that key alone.
    pub(super) fn seal_import_token(&self, token: &ImportToken, arn: &KeyArn) -> Result<Vec<u8>, Exhausted> {
        token.seal(&self.import_tokens, &import_token::Binding { store: &self.store, key_arn: arn })
    }

    /// A token of that key that is good at `now`.
    pub(super) fn open_import_token(
        &self,
        token: &[u8],
        arn: &KeyArn,
        now: Timestamp,
    ) -> Result<ImportToken, InvalidToken> {
        let binding = import_token::Binding { store: &self.store, key_arn: arn };
        ImportToken::open(token, &self.import_tokens, &binding, now)
    }

    /// A token of a grant in the form for clients, another one each time.
    pub(super) fn seal_grant_token(&self, grant: &Arc<Grant>, now: Timestamp) -> Result<String, Exhausted> {
        GrantToken { grant: Arc::clone(grant), issued: now }.seal(&self.grant_tokens)
    }

    /// A token that this store made.
    pub(super) fn open_grant_token(&self, token: &str) -> Result<GrantToken, Exception> {
        GrantToken::open(token, &self.grant_tokens).map_err(|_| Exception::invalid_grant_token())
    }

    pub(super) fn key(&self, key: &KeyView) -> Result<Row, Exception> {
        let symmetric = key.spec.symmetric();
        let record = KeyRecord {
            arn: key.arn.as_str().to_owned(),
            created_micros: key.created.unix_micros(),
            description: key.description.clone().into(),
            state: key.state.name().to_owned(),
            deletion_micros: key.state.deletion_date().map(Timestamp::unix_micros),
            pending_window_days: match key.state {
                KeyState::PendingReplicaDeletion { days } => Some(days),
                _ => None,
            },
            spec: (!symmetric).then(|| key.spec.name().to_owned()),
            usage: (!symmetric).then(|| key.usage.name().to_owned()),
            origin: (key.origin != Origin::AwsKms).then(|| key.origin.name().to_owned()),
            multi_region: key.multi_region.as_deref().map(|keys| MultiRegionRecord {
                primary: keys.primary.to_string(),
                replicas: keys.replicas.iter().map(Region::to_string).collect(),
            }),
            rotation: key.rotation.map(|rotation| RotationRecord {
                period_days: rotation.period_days,
                next_micros: rotation.next.unix_micros(),
            }),
            tags: key.tags.clone(),
            policy: key.policy.unusual().map(str::to_owned),
            materials: self.materials(key)?,
        };
        row(key_row(&key.arn), &record)
    }

    fn materials(&self, key: &KeyView) -> Result<Vec<MaterialRecord>, Exception> {
        let Materials { older, current, pending } = &key.materials;
        let older = older.iter().flat_map(|older| older.iter()).map(|version| (version, MaterialRole::Older));
        let current = current.iter().map(|version| (version, MaterialRole::Current));
        let pending = pending.iter().map(|version| (version.as_ref(), MaterialRole::Pending));
        older.chain(current).chain(pending).map(|(version, role)| self.material(key, version, role)).collect()
    }

    fn material(&self, key: &KeyView, version: &Version, role: MaterialRole) -> Result<MaterialRecord, Exception> {
        let binding = self.binding(&key.arn, key.origin, key.created);
        let wrapped = version.sealer.as_ref().map(|sealer| sealer.material().wrap(&self.wrapping, &binding));
        Ok(MaterialRecord {
            id: version.id.to_string(),
            wrapped: wrapped.transpose()?.map(|wrapped| STANDARD.encode(wrapped)),
            rotated: version.rotated.map(|(at, kind)| (at.unix_micros(), kind.name().to_owned())),
            imported: version.import.as_deref().map(|import| ImportRecord {
                description: import.description.clone().into(),
                valid_to_micros: import.expires.map(Timestamp::unix_micros),
            }),
            role,
        })
    }

    pub(super) fn alias(region: &Region, name: &AliasName, alias: Alias) -> Result<Row, Exception> {
        let record = AliasRecord {
            target: alias.target.to_string(),
            created_micros: alias.created.unix_micros(),
            updated_micros: alias.updated.unix_micros(),
        };
        row(alias_row(region, name), &record)
    }

    pub(super) fn read_key(&self, row: &Row, site: &Site, policies: &mut Policies) -> Result<KeyView, String> {
        let record: KeyRecord = read(row)?;
        let arn: KeyArn = record.arn.parse().map_err(text)?;
        if key_row(&arn) != row.id {
            return Err("it has another id".into());
        }
        let region = site.regions.iter().find(|region| *region == arn.region() && arn.account() == site.account);
        let region = region.ok_or_else(|| {
            format!("it is of another region or account: {arn}; see region, replica_regions and account")
        })?;
        // All keys of a region share its name.
        let arn = KeyArn::new(region, site.account, arn.id());
        let created = Timestamp::from_unix_micros(record.created_micros);
        let origin = record.origin.as_deref().map_or(Some(Origin::AwsKms), Origin::from_name).ok_or("its origin")?;
        let materials = self.read_materials(&record.materials, &arn, origin, created)?;
        Ok(KeyView {
            created,
            description: record.description.into(),
            state: state(&record.state, record.deletion_micros, record.pending_window_days)?,
            spec: record
                .spec
                .as_deref()
                .map_or(Some(KeySpec::SymmetricDefault), KeySpec::from_name)
                .ok_or("its spec")?,
            usage: record
                .usage
                .as_deref()
                .map_or(Some(KeyUsage::EncryptDecrypt), KeyUsage::from_name)
                .ok_or("its usage")?,
            origin,
            multi_region: record.multi_region.as_ref().map(read_multi_region).transpose()?.map(Arc::new),
            rotation: record.rotation.map(|rotation| Rotation {
                period_days: rotation.period_days,
                next: Timestamp::from_unix_micros(rotation.next_micros),
            }),
            tags: record.tags,
            policy: read_policy(record.policy, site, policies)?,
            aliases: Box::default(),
            grants: Grants::default(),
            quota: Subject::of(arn.as_str()),
            materials,
            arn,
        })
    }

    fn read_materials(
        &self,
        records: &[MaterialRecord],
        arn: &KeyArn,
        origin: Origin,
        created: Timestamp,
    ) -> Result<Materials, String> {
        let (mut materials, mut older) = (Materials::default(), Vec::new());
        for record in records {
            let version = self.read_version(record, arn, origin, created)?;
            match record.role {
                MaterialRole::Older => older.push(version),
                MaterialRole::Current => materials.current = Some(version),
                MaterialRole::Pending => materials.pending = Some(Arc::new(version)),
            }
        }
        materials.older = (!older.is_empty()).then(|| Arc::new(older));
        Ok(materials)
    }

    fn read_version(
        &self,
        record: &MaterialRecord,
        arn: &KeyArn,
        origin: Origin,
        created: Timestamp,
    ) -> Result<Version, String> {
        let id = record.id.parse().map_err(text)?;
        let open = |wrapped: &String| {
            let wrapped = STANDARD.decode(wrapped).map_err(text)?;
            let material = KeyMaterial::unwrap(&wrapped, id, &self.wrapping, &self.binding(arn, origin, created));
            material.map_err(|_| "its key material does not open".to_owned())
        };
        let rotated = |(micros, kind): &(i64, String)| {
            let kind = RotationType::from_name(kind).ok_or("the type of a rotation")?;
            Ok::<_, String>((Timestamp::from_unix_micros(*micros), kind))
        };
        Ok(Version {
            id,
            sealer: record.wrapped.as_ref().map(open).transpose()?.map(|material| self.sealer(arn, material)),
            rotated: record.rotated.as_ref().map(rotated).transpose()?,
            import: record.imported.as_ref().map(|import| {
                Arc::new(Import {
                    description: import.description.as_str().into(),
                    expires: import.valid_to_micros.map(Timestamp::from_unix_micros),
                })
            }),
        })
    }

    const fn binding<'a>(&'a self, key_arn: &'a KeyArn, origin: Origin, created: Timestamp) -> Binding<'a> {
        let origin = match origin {
            Origin::AwsKms => &OriginType::AwsKms,
            Origin::External => &OriginType::External,
        };
        Binding { store: &self.store, key_arn, origin, created }
    }
}

/// The ARN in a key's row.
pub(super) fn arn_of(row: &Row) -> Option<KeyArn> {
    #[derive(Deserialize)]
    struct Named {
        arn: String,
    }
    read::<Named>(row).ok()?.arn.parse().ok()
}

/// What names a key's row.
pub(super) fn key_row(arn: &KeyArn) -> RowId {
    RowId::new(Kind::Key, &format!("{}/{}", arn.region(), arn.id()))
}

/// What names an alias's row.
pub(super) fn alias_row(region: &Region, name: &AliasName) -> RowId {
    RowId::new(Kind::Alias, &format!("{region}/{name}"))
}

pub(super) fn read_alias(row: &Row) -> Result<(Region, AliasName, Alias), String> {
    let record: AliasRecord = read(row)?;
    let (region, name) = row.id.id.split_once('/').ok_or("its id names no region")?;
    let region: Region = region.parse().map_err(text)?;
    let target: KeyId = record.target.parse().map_err(text)?;
    let at = Timestamp::from_unix_micros;
    let alias = Alias { target, created: at(record.created_micros), updated: at(record.updated_micros) };
    Ok((region, name.parse().map_err(text)?, alias))
}

fn read_multi_region(record: &MultiRegionRecord) -> Result<MultiRegion, String> {
    let region = |name: &String| name.parse::<Region>().map_err(text);
    Ok(MultiRegion {
        primary: region(&record.primary)?,
        replicas: record.replicas.iter().map(region).collect::<Result<_, _>>()?,
    })
}

fn state(name: &str, deletion_micros: Option<i64>, pending_window_days: Option<u32>) -> Result<KeyState, String> {
    match (name, deletion_micros, pending_window_days) {
        ("Enabled", None, None) => Ok(KeyState::Enabled),
        ("Disabled", None, None) => Ok(KeyState::Disabled),
        ("PendingImport", None, None) => Ok(KeyState::PendingImport),
        ("PendingDeletion", Some(micros), None) => Ok(KeyState::PendingDeletion(Timestamp::from_unix_micros(micros))),
        ("PendingReplicaDeletion", None, Some(days)) => Ok(KeyState::PendingReplicaDeletion { days }),
        _ => Err(format!("it has the state `{name}`, which this version does not know")),
    }
}

pub(super) fn row<T: Serialize>(id: RowId, record: &T) -> Result<Row, Exception> {
    let body = serde_json::to_vec(record).map_err(|error| Exception::kms_internal().with_detail(error.to_string()))?;
    Ok(Row { id, body })
}

pub(super) fn read<T: DeserializeOwned>(row: &Row) -> Result<T, String> {
    serde_json::from_slice(&row.body).map_err(text)
}

#[expect(clippy::needless_pass_by_value, reason = "it stands where `map_err` wants a function")]
pub(super) fn text<E: ToString>(error: E) -> String {
    error.to_string()
}
