//! `CreateAlias`, `UpdateAlias`, `DeleteAlias` and `ListAliases`.

use super::changes::{Edit, Planned};
use super::directory::{Alias, Directory};
use super::key::KeyView;
use super::pages::{self, Page};
use super::{Keys, Site, states};
use crate::aws::{AliasArn, AliasName, KeyArn, Member, Region};
use crate::clock::Timestamp;
use crate::kms::{Answer, Exception, ExceptionKind, Input, JsonObject};

/// AWS's quota of aliases for each key.
pub(super) const MOST_ALIASES: usize = 50;
/// Entries of a page, and the most a caller may ask for (API reference, `ListAliases`).
const USUAL_PAGE: usize = 50;
const LARGEST_PAGE: usize = 100;

/// The alias that a request names, in the words of KMS where it is none. The texts for a bare prefix and for other
/// characters are not recorded from KMS.
pub(super) fn name(input: &Input) -> Result<AliasName, Exception> {
    let text = input.string(Member::AliasName).unwrap_or_default();
    if !text.starts_with("alias/") {
        return Err(Exception::alias_without_prefix());
    }
    match text.parse() {
        // The model's pattern has the colon, the service does not take it.
        Ok(name) if !text.contains(':') => Ok(name),
        _ => Err(Exception::validation(format!("{text} contains invalid characters for an alias"))),
    }
}

/// The alias that `CreateAlias` asks for. Which error a name of AWS's own meets is not recorded from KMS.
pub(super) fn new_name(input: &Input) -> Result<AliasName, Exception> {
    let name = name(input)?;
    if name.reserved() {
        let text = format!("{name} is reserved: names that begin with alias/aws/ belong to AWS managed keys.");
        return Err(Exception::new(ExceptionKind::InvalidAliasName, text));
    }
    Ok(name)
}

/// Plans the alias that `CreateAlias` asks for.
pub(super) fn create(directory: &Directory, input: &Input, keys: &Keys, now: Timestamp) -> Planned {
    let name = new_name(input)?;
    let key = super::current(directory, keys)?;
    let region = key.arn.region();
    if directory.region(region)?.aliases.contains_key(&name) {
        let alias = AliasArn::new(region, key.arn.account(), name.as_str());
        return Err(Exception::alias_exists(alias.as_str()));
    }
    states::permits(input.operation(), key)?;
    takes_another(key)?;
    let alias = Alias { target: key.id(), created: now, updated: now };
    Ok((vec![Edit::PutAlias(region.clone(), name, alias)], Answer::empty()))
}

/// Plans `UpdateAlias`: the alias keeps its name and its date, and points to another key of the same kind.
pub(super) fn update(directory: &Directory, input: &Input, keys: &Keys, now: Timestamp) -> Planned {
    let name = name(input)?;
    let old = keys.source.as_ref().and_then(|found| found.key.local()).ok_or_else(super::unresolved)?;
    let alias = unchanged(directory, &name, &old.arn)?;
    let key = super::current(directory, keys)?;
    if key.usage != old.usage {
        return Err(Exception::alias_usage(name.as_str(), old.usage.name(), key.usage.name()));
    }
    if key.spec.symmetric() != old.spec.symmetric() {
        return Err(Exception::alias_type(name.as_str(), old.spec.name(), key.spec.name()));
    }
    states::permits(input.operation(), key)?;
    if key.id() != alias.target {
        takes_another(key)?;
    }
    let alias = Alias { target: key.id(), updated: now, ..alias };
    Ok((vec![Edit::PutAlias(key.arn.region().clone(), name, alias)], Answer::empty()))
}

/// Plans `DeleteAlias`.
pub(super) fn delete(directory: &Directory, input: &Input, keys: &Keys) -> Planned {
    let name = name(input)?;
    let arn = &super::main_key(keys)?.arn;
    unchanged(directory, &name, arn)?;
    states::permits(input.operation(), super::current(directory, keys)?)?;
    Ok((vec![Edit::RemoveAlias(arn.region().clone(), name)], Answer::empty()))
}

/// The alias, if it still points to the key that the caller was allowed to take it from: another one was not judged.
fn unchanged(directory: &Directory, name: &AliasName, from: &KeyArn) -> Result<Alias, Exception> {
    let region = from.region();
    let Some(aliased) = directory.region(region)?.aliases.get(name) else {
        return Err(Exception::not_found_alias(AliasArn::new(region, from.account(), name.as_str()).as_str()));
    };
    if aliased.key.id() == from.id() {
        return Ok(aliased.alias());
    }
    // KMS has no error of its own for this.
    let text = format!("{name} was pointed to another key by another request at the same time.");
    Err(Exception::new(ExceptionKind::Conflict, text))
}

/// Refuses a key that has as many aliases as it may have. KMS's text is not recorded.
fn takes_another(key: &KeyView) -> Result<(), Exception> {
    if key.aliases.len() < MOST_ALIASES {
        return Ok(());
    }
    let arn = key.arn.as_str();
    Err(Exception::limit_exceeded(format!("{arn} has {MOST_ALIASES} aliases, which is the quota.")))
}

/// Answers `ListAliases`.
pub(super) fn list(
    site: &Site,
    region: &Region,
    directory: &Directory,
    input: &Input,
    keys: &Keys,
) -> Result<Answer, Exception> {
    let page = Page::of(input, USUAL_PAGE, LARGEST_PAGE)?;
    let after = page.after(|text| text.parse::<AliasName>().ok())?;
    let index = &directory.region(region)?.aliases;
    let (entries, more) = match &keys.main {
        Some(found) => {
            let names = found.key.aliases().iter().filter(|name| after.as_ref().is_none_or(|after| *name > after));
            let entries = names.filter_map(|name| Some((name, index.get(name.as_str())?)));
            page.cut(entries.filter(|(_, aliased)| aliased.key.id() == found.key.arn().id()))
        }
        None => page.cut(pages::following(index, after.as_ref())),
    };
    let next = more.then(|| entries.last().map(|(name, _)| name.as_str())).flatten();
    let objects = entries.iter().map(|(name, aliased)| {
        let alias = aliased.alias();
        let arn = AliasArn::new(region, site.account, name.as_str());
        JsonObject::with_capacity(256)
            .text("AliasName", name.as_str())
            .text("AliasArn", arn.as_str())
            .text("TargetKeyId", alias.target.as_str())
            .timestamp("CreationDate", alias.created)
            .timestamp("LastUpdatedDate", alias.updated)
    });
    let body = JsonObject::with_capacity(64 + 256 * entries.len()).objects("Aliases", objects);
    Ok(Answer::new(pages::finish(body, next)))
}

#[cfg(test)]
mod tests;
