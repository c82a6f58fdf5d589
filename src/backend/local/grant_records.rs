//! Grants as rows of the store, and back: `REGION/KEY ID/GRANT ID`, one row each, so that one is added or taken away
//! without its key's row.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Site;
use super::records::{read, row, text};
use super::store::{Kind, Row, RowId};
use crate::aws::{EncryptionContext, GrantId, KeyArn};
use crate::clock::Timestamp;
use crate::grants::{Constraint, Grant, GrantOperation};
use crate::kms::Exception;

/// What is left out is not there.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct GrantRecord {
    created_micros: i64,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    name: String,
    grantee: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retiring: Option<String>,
    issuing_account: String,
    operations: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    equals: Option<BTreeMap<String, String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subset: Option<BTreeMap<String, String>>,
}

/// What names a grant's row.
pub(super) fn grant_row(key: &KeyArn, id: GrantId) -> RowId {
    RowId::new(Kind::Grant, &format!("{}/{}/{id}", key.region(), key.id()))
}

/// A grant's row.
pub(super) fn of_grant(grant: &Grant) -> Result<Row, Exception> {
    let pairs = |context: &EncryptionContext| {
        context.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect::<BTreeMap<_, _>>()
    };
    let (equals, subset) = match &grant.constraint {
        None => (None, None),
        Some(Constraint::EncryptionContextEquals(context)) => (Some(pairs(context)), None),
        Some(Constraint::EncryptionContextSubset(context)) => (None, Some(pairs(context))),
    };
    let record = GrantRecord {
        created_micros: grant.created.unix_micros(),
        name: grant.name.clone().into(),
        grantee: grant.grantee.clone().into(),
        retiring: grant.retiring.clone().map(Into::into),
        issuing_account: grant.issuing_account.to_string(),
        operations: grant.operations.iter().map(|operation| operation.name().to_owned()).collect(),
        equals,
        subset,
    };
    row(grant_row(&grant.key, grant.id), &record)
}

/// The grant of a row; its key is one of `site`, and perhaps not there.
pub(super) fn read_grant(row: &Row, site: &Site) -> Result<Arc<Grant>, String> {
    let record: GrantRecord = read(row)?;
    let mut parts = row.id.id.split('/');
    let (Some(region), Some(key), Some(id), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err("its id names no region, key and grant".into());
    };
    let region = site.regions.iter().find(|own| own.as_str() == region).ok_or("it is of another region")?;
    let operation = |name: &String| GrantOperation::from_name(name).ok_or("it has an unknown operation");
    let context =
        |pairs: BTreeMap<String, String>| EncryptionContext::from_pairs(pairs.into_iter().collect()).map_err(text);
    let constraint = match (record.equals, record.subset) {
        (None, None) => None,
        (Some(pairs), None) => Some(Constraint::EncryptionContextEquals(context(pairs)?)),
        (None, Some(pairs)) => Some(Constraint::EncryptionContextSubset(context(pairs)?)),
        (Some(_), Some(_)) => return Err("it has two constraints".into()),
    };
    Ok(Arc::new(Grant {
        id: id.parse().map_err(text)?,
        key: KeyArn::new(region, site.account, key.parse().map_err(text)?),
        name: record.name.into(),
        created: Timestamp::from_unix_micros(record.created_micros),
        grantee: record.grantee.into(),
        retiring: record.retiring.map(Into::into),
        issuing_account: record.issuing_account.parse().map_err(text)?,
        operations: record.operations.iter().map(operation).collect::<Result<_, _>>()?,
        constraint,
    }))
}
