//! The tags of keys: those of a new one, `TagResource`, `UntagResource` and `ListResourceTags`.

use std::collections::HashSet;

use super::changes::{Edit, Planned};
use super::directory::Directory;
use super::key::KeyView;
use super::pages::{self, Page};
use super::{Keys, states};
use crate::aws::{Member, Tags};
use crate::kms::{Answer, Exception, Input, JsonObject};

/// AWS's quota of tags for each key.
pub(super) const MOST_TAGS: usize = 50;
/// Entries of a page, and the most a caller may ask for (API reference, `ListResourceTags`).
const LARGEST_PAGE: usize = 50;

/// The tags that `CreateKey` asks for, held to AWS's rules in AWS's words.
pub(super) fn of_new_key(input: &Input) -> Result<Tags, Exception> {
    sound(input)?;
    Ok(input.tags(Member::Tags).map(|tag| (tag.key, tag.value)).collect())
}

/// Plans `TagResource`: a tag that the key has gets its new value where it stands.
pub(super) fn tag(directory: &Directory, input: &Input, keys: &Keys) -> Planned {
    sound(input)?;
    let key = super::current(directory, keys)?;
    states::permits(input.operation(), key)?;
    let mut tags = key.tags.clone();
    for tag in input.tags(Member::Tags) {
        tags.put(tag.key, tag.value);
    }
    if tags.len() > MOST_TAGS {
        // What KMS says of tags that are too many only with those that the key has is not recorded.
        return Err(too_many());
    }
    Ok((with_tags(key, tags), Answer::empty()))
}

/// Plans `UntagResource`. A tag that the key does not have is no fault (API reference), and so none that is named
/// twice; what KMS says of a name that it has reserved is not recorded.
pub(super) fn untag(directory: &Directory, input: &Input, keys: &Keys) -> Planned {
    let names = input.strings(Member::TagKeys);
    none_reserved(names.iter().map(String::as_str))?;
    let key = super::current(directory, keys)?;
    states::permits(input.operation(), key)?;
    let mut tags = key.tags.clone();
    // Once for all names, of which a request may have thousands.
    let names: HashSet<&str> = names.iter().map(String::as_str).collect();
    tags.retain(|key| !names.contains(key));
    Ok((with_tags(key, tags), Answer::empty()))
}

/// Answers `ListResourceTags`. Tags have the order in which they were given, so a page cannot follow one that was
/// taken away since.
pub(super) fn list(input: &Input, keys: &Keys) -> Result<Answer, Exception> {
    let page = Page::of(input, LARGEST_PAGE, LARGEST_PAGE)?;
    let tags = &super::main_key(keys)?.tags;
    let place = |text: &str| tags.iter().position(|(key, _)| key == text);
    let before = page.after(place)?.map_or(0, |place| place + 1);
    let (entries, more) = page.cut(tags.iter().skip(before));
    let next = more.then(|| entries.last().map(|(key, _)| *key)).flatten();
    let objects =
        entries.iter().map(|(key, value)| JsonObject::with_capacity(64).text("TagKey", key).text("TagValue", value));
    let body = JsonObject::with_capacity(64 + 64 * entries.len()).objects("Tags", objects);
    Ok(Answer::new(pages::finish(body, next)))
}

/// No change costs no commit.
fn with_tags(key: &KeyView, tags: Tags) -> Vec<Edit> {
    if tags == key.tags { Vec::new() } else { vec![Edit::key(KeyView { tags, ..key.clone() })] }
}

/// Refuses tags that cannot be a key's, whatever it has.
fn sound(input: &Input) -> Result<(), Exception> {
    let mut names: Vec<&str> = input.tags(Member::Tags).map(|tag| tag.key).collect();
    none_reserved(names.iter().copied())?;
    names.sort_unstable();
    if names.windows(2).any(|two| matches!(two, [a, b] if a == b)) {
        return Err(Exception::tag("Duplicate tag keys"));
    }
    if names.len() > MOST_TAGS {
        return Err(too_many());
    }
    Ok(())
}

fn none_reserved<'n>(mut names: impl Iterator<Item = &'n str>) -> Result<(), Exception> {
    if names.any(|name| name.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case("aws:"))) {
        return Err(Exception::tag("Tags beginning with aws: are reserved"));
    }
    Ok(())
}

fn too_many() -> Exception {
    Exception::tag("Too many tags")
}

#[cfg(test)]
mod tests;
