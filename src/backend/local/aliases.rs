//! `CreateAlias` and `ListAliases`.

use super::changes::{Edit, Planned};
use super::directory::{Alias, Directory};
use super::pages::{self, Page};
use super::{Keys, Site, states};
use crate::aws::{AliasArn, AliasName, Member, Region};
use crate::clock::Timestamp;
use crate::kms::{Answer, Exception, ExceptionKind, Input, JsonObject};

/// AWS's quota of aliases for each key.
const MOST_ALIASES: usize = 50;
/// Entries of a page, and the most a caller may ask for (API reference, `ListAliases`).
const USUAL_PAGE: usize = 50;
const LARGEST_PAGE: usize = 100;

/// The name that `CreateAlias` asks for, in the words of KMS where it is none.
///
/// The texts for a bare prefix and for other characters, and which error a name of AWS's own meets, are not recorded
/// from KMS.
pub(super) fn checked_name(input: &Input) -> Result<AliasName, Exception> {
    let text = input.string(Member::AliasName).unwrap_or_default();
    if !text.starts_with("alias/") {
        return Err(Exception::alias_without_prefix());
    }
    let name: AliasName = match text.parse() {
        // The model's pattern has the colon, the service does not take it.
        Ok(name) if !text.contains(':') => name,
        _ => return Err(Exception::validation(format!("{text} contains invalid characters for an alias"))),
    };
    if name.reserved() {
        let text = format!("{name} is reserved: names that begin with alias/aws/ belong to AWS managed keys.");
        return Err(Exception::new(ExceptionKind::InvalidAliasName, text));
    }
    Ok(name)
}

/// Plans the alias that `CreateAlias` asks for.
pub(super) fn create(directory: &Directory, input: &Input, keys: &Keys, now: Timestamp) -> Planned {
    let name = checked_name(input)?;
    let key = super::current(directory, keys)?;
    let (arn, region) = (key.arn.as_str(), key.arn.region());
    if directory.region(region)?.aliases.contains_key(&name) {
        let alias = AliasArn::new(region, key.arn.account(), name.as_str());
        return Err(Exception::alias_exists(alias.as_str()));
    }
    states::permits(input.operation(), key)?;
    if key.aliases.len() >= MOST_ALIASES {
        // KMS's text is not recorded.
        return Err(Exception::limit_exceeded(format!("{arn} has {MOST_ALIASES} aliases, which is the quota.")));
    }
    let alias = Alias { target: key.id(), created: now, updated: now };
    Ok((vec![Edit::PutAlias(region.clone(), name, alias)], Answer::empty()))
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
    let target = keys.main.as_ref().map(|found| found.key.id());
    let entries = pages::following(&directory.region(region)?.aliases, after.as_ref())
        .filter(|(_, alias)| target.is_none_or(|target| target == alias.target));
    let (entries, more) = page.cut(entries);
    let next = more.then(|| entries.last().map(|(name, _)| name.as_str())).flatten();
    let objects = entries.iter().map(|(name, alias)| {
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
