//! `ListGrants` and `ListRetirableGrants`. Neither ever shows a grant token.

use std::sync::Arc;

use super::directory::Directory;
use super::pages::{self, Page};
use super::{Keys, grants};
use crate::aws::{GrantId, Member, Region, canonical_principal};
use crate::credentials::PrincipalArn;
use crate::grants::{Constraint, Grant, GrantOperation};
use crate::kms::{Answer, Exception, Input, JsonObject};

/// Entries of a page, and the most a caller may ask for (API reference, `ListGrants`).
const USUAL_PAGE: usize = 50;
const LARGEST_PAGE: usize = 100;
/// What markers begin with, so that none is taken for another list's.
const OF_KEY: &str = "grant/";
const RETIRABLE: &str = "retirable/";

/// Answers `ListGrants`. That a filter by a grant's id which the key does not have finds nothing is not recorded from KMS.
pub(super) fn list(input: &Input, keys: &Keys) -> Result<Answer, Exception> {
    let page = Page::of(input, USUAL_PAGE, LARGEST_PAGE)?;
    let after = after(&page, OF_KEY)?;
    let of_key = &super::main_key(keys)?.grants;
    let id = input.string(Member::GrantId).map(grants::id).transpose()?;
    let grantee = input.string(Member::GranteePrincipal);
    grantee.map(grants::principal).transpose()?;
    let (entries, more) = match (id, grantee) {
        (None, None) => page.cut(of_key.following(after)),
        (None, Some(grantee)) => page.cut(of_key.of_grantee(grantee, after)),
        (Some(id), grantee) => {
            let found = of_key.get(id).filter(|_| after.is_none_or(|after| after < id));
            page.cut(found.into_iter().filter(|grant| {
                grantee.is_none_or(|grantee| canonical_principal(grantee) == canonical_principal(&grant.grantee))
            }))
        }
    };
    Ok(answer(&entries, more.then_some(OF_KEY)))
}

/// Refuses `ListRetirableGrants` for a principal of another account than the caller's (API reference). Which error KMS
/// answers is not recorded.
pub(super) fn of_own_account(input: &Input, caller: &PrincipalArn) -> Result<(), Exception> {
    let retiring = grants::principal(input.string(Member::RetiringPrincipal).unwrap_or_default())?;
    if retiring.account() == caller.account() {
        return Ok(());
    }
    Err(Exception::access_denied(format!(
        "User: {} is not authorized to perform: kms:ListRetirableGrants on a principal of another account",
        caller.caller()
    )))
}

/// Answers `ListRetirableGrants`.
pub(super) fn list_retirable(region: &Region, directory: &Directory, input: &Input) -> Result<Answer, Exception> {
    let page = Page::of(input, USUAL_PAGE, LARGEST_PAGE)?;
    let after = after(&page, RETIRABLE)?;
    let retiring = input.string(Member::RetiringPrincipal).unwrap_or_default();
    let (entries, more) = page.cut(directory.region(region)?.retirable_by(retiring, after));
    Ok(answer(&entries, more.then_some(RETIRABLE)))
}

fn after(page: &Page<'_>, list: &str) -> Result<Option<GrantId>, Exception> {
    page.after(|text| text.strip_prefix(list)?.parse::<GrantId>().ok())
}

/// A page, and the list whose next page follows it.
fn answer(entries: &[&Arc<Grant>], more: Option<&str>) -> Answer {
    let next = more.and_then(|list| Some(format!("{list}{}", entries.last()?.id)));
    let objects = entries.iter().map(|grant| object(grant));
    let body = JsonObject::with_capacity(64 + 512 * entries.len()).objects("Grants", objects);
    Answer::new(pages::finish(body, next.as_deref()))
}

fn object(grant: &Grant) -> JsonObject {
    let account = grant.issuing_account;
    let issuing = format!("arn:{}:iam::{account}:root", grant.key.region().partition().as_str());
    let object = JsonObject::with_capacity(512)
        .text("KeyId", grant.key.as_str())
        .text("GrantId", grant.id.hex().as_str())
        .text("Name", &grant.name)
        .timestamp("CreationDate", grant.created)
        .text("GranteePrincipal", &grant.grantee)
        .optional_text("RetiringPrincipal", grant.retiring.as_deref())
        .text("IssuingAccount", &issuing)
        .texts("Operations", grant.operations.iter().map(GrantOperation::name));
    let Some(constraint) = &grant.constraint else { return object };
    let name = match constraint {
        Constraint::EncryptionContextEquals(_) => "EncryptionContextEquals",
        Constraint::EncryptionContextSubset(_) => "EncryptionContextSubset",
    };
    let pairs = constraint.pairs().iter();
    object.object("Constraints", JsonObject::with_capacity(256).map(name, pairs))
}

#[cfg(test)]
mod tests;
