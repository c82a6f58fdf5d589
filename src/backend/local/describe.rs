//! `DescribeKey`, `ListKeys` and `UpdateKeyDescription`.

use super::changes::{Edit, Planned};
use super::directory::Directory;
use super::key::KeyView;
use super::pages::{self, Page};
use super::{Keys, metadata, states};
use crate::aws::{KeyId, Member, Region};
use crate::kms::{Answer, Exception, Input, JsonObject};

/// Entries of a page, and the most a caller may ask for (API reference, `ListKeys`).
const USUAL_PAGE: usize = 100;
const LARGEST_PAGE: usize = 1000;

/// Answers `DescribeKey`.
pub(super) fn describe(keys: &Keys) -> Result<Answer, Exception> {
    let metadata = metadata::answered(super::main_key(keys)?);
    Ok(Answer::new(JsonObject::with_capacity(1024).object("KeyMetadata", metadata).finish()))
}

/// Answers `ListKeys`.
pub(super) fn list(region: &Region, directory: &Directory, input: &Input) -> Result<Answer, Exception> {
    let page = Page::of(input, USUAL_PAGE, LARGEST_PAGE)?;
    let after = page.after(|text| text.parse::<KeyId>().ok())?;
    let (entries, more) = page.cut(pages::following(&directory.region(region)?.keys, after.as_ref()));
    let next = more.then(|| entries.last().map(|(id, _)| id.as_str())).flatten();
    let objects = entries
        .iter()
        .map(|(id, key)| JsonObject::with_capacity(160).text("KeyArn", key.arn.as_str()).text("KeyId", id.as_str()));
    let body = JsonObject::with_capacity(64 + 160 * entries.len()).objects("Keys", objects);
    Ok(Answer::new(pages::finish(body, next)))
}

/// Plans `UpdateKeyDescription`.
pub(super) fn update(directory: &Directory, input: &Input, keys: &Keys) -> Planned {
    let key = super::current(directory, keys)?;
    states::permits(input.operation(), key)?;
    let description = input.string(Member::Description).unwrap_or_default();
    let changed = || Edit::key(KeyView { description: description.into(), ..KeyView::clone(key) });
    let edits = if *key.description == *description { Vec::new() } else { vec![changed()] };
    Ok((edits, Answer::empty()))
}

#[cfg(test)]
mod tests;
