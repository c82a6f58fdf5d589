//! The tags of keys.

use crate::aws::{Member, Tags};
use crate::kms::{Exception, Input};

/// AWS's quota of tags for each key.
const MOST_TAGS: usize = 50;

/// The tags that `CreateKey` asks for, held to AWS's rules in AWS's words.
pub(super) fn of_new_key(input: &Input) -> Result<Tags, Exception> {
    let mut names: Vec<&str> = input.tags(Member::Tags).map(|tag| tag.key).collect();
    names.sort_unstable();
    if names.iter().any(|name| name.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case("aws:"))) {
        return Err(Exception::tag("Tags beginning with aws: are reserved"));
    }
    if names.windows(2).any(|two| matches!(two, [a, b] if a == b)) {
        return Err(Exception::tag("Duplicate tag keys"));
    }
    if names.len() > MOST_TAGS {
        return Err(Exception::tag("Too many tags"));
    }
    Ok(input.tags(Member::Tags).map(|tag| (tag.key, tag.value)).collect())
}
