//! Tags of principals and keys.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

/// Keys with their values, in the order given.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Vec<(Box<str>, Box<str>)>")]
pub struct Tags {
    /// Each key and each value after its length in 4 bytes: one allocation, because there may be a hundred thousand
    /// keys with tags.
    texts: Box<[u8]>,
}

impl Tags {
    /// The values of the tags whose key is `key` without regard to case, as policies see them: `Team` and `team` may
    /// both be there, and are then two values of one condition key.
    pub fn values<'t, 'k>(&'t self, key: &'k str) -> impl Iterator<Item = &'t str> + use<'t, 'k> {
        self.iter().filter(move |(own, _)| own.eq_ignore_ascii_case(key)).map(|(_, value)| value)
    }

    /// Each key with its value, in the order given.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut rest = self.texts.as_ref();
        std::iter::from_fn(move || Some((take_text(&mut rest)?, take_text(&mut rest)?)))
    }

    /// Gives `key`, whose case matters here, this value: where it stands, or as the last.
    pub fn put(&mut self, key: &str, value: &str) {
        let is_there = self.iter().any(|(own, _)| own == key);
        let kept = self.iter().map(|(own, old)| (own, if own == key { value } else { old }));
        *self = kept.chain((!is_there).then_some((key, value))).collect();
    }

    /// Keeps those whose key is as `keep` has it.
    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        *self = self.iter().filter(|(own, _)| keep(own)).collect();
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }
}

fn take_text<'t>(rest: &mut &'t [u8]) -> Option<&'t str> {
    let (length, after) = rest.split_first_chunk()?;
    let (text, after) = after.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    *rest = after;
    std::str::from_utf8(text).ok()
}

impl<K: AsRef<str>, V: AsRef<str>> FromIterator<(K, V)> for Tags {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(tags: I) -> Self {
        let mut texts = Vec::new();
        for (key, value) in tags {
            for text in [key.as_ref(), value.as_ref()] {
                // No text here comes near 4 GiB: a request's body and a file of credentials are shorter.
                texts.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
                texts.extend_from_slice(text.as_bytes());
            }
        }
        Self { texts: texts.into() }
    }
}

impl From<Vec<(Box<str>, Box<str>)>> for Tags {
    fn from(tags: Vec<(Box<str>, Box<str>)>) -> Self {
        tags.into_iter().collect()
    }
}

impl Serialize for Tags {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl fmt::Debug for Tags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_found_whatever_the_case_of_its_key() {
        let tags: Tags = [("Team", "blue"), ("team", "red"), ("cost", "7")].into_iter().collect();
        assert_eq!(tags.values("TEAM").collect::<Vec<_>>(), ["blue", "red"]);
        assert_eq!(tags.values("teams").count(), 0);
    }

    #[test]
    fn a_new_value_keeps_its_place_and_a_new_key_is_the_last() {
        let mut tags: Tags = [("Team", "blue"), ("cost", "7")].into_iter().collect();
        tags.put("Team", "green");
        tags.put("team", "red");
        assert_eq!(tags.iter().collect::<Vec<_>>(), [("Team", "green"), ("cost", "7"), ("team", "red")]);
        tags.retain(|key| key != "Team");
        tags.retain(|key| key != "absent");
        assert_eq!(tags.iter().collect::<Vec<_>>(), [("cost", "7"), ("team", "red")]);
        assert_eq!((tags.len(), tags.is_empty()), (2, false));
    }

    #[test]
    fn tags_are_written_and_read_as_pairs_in_their_order() {
        let tags: Tags = [("Team", "blüe"), ("", ""), ("team", "red")].into_iter().collect();
        let text = r#"[["Team","blüe"],["",""],["team","red"]]"#;
        assert_eq!(serde_json::from_str::<Tags>(text).unwrap(), tags);
        assert_eq!(serde_json::to_string(&tags).unwrap(), text);
        assert_eq!(tags.iter().collect::<Vec<_>>(), [("Team", "blüe"), ("", ""), ("team", "red")]);
        assert!(Tags::default().is_empty() && !tags.is_empty());
    }
}
