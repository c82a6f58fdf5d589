//! Tags of principals and keys.

use serde::{Deserialize, Serialize};

/// Keys with their values, in the order given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tags(Vec<(Box<str>, Box<str>)>);

impl Tags {
    /// The values of the tags whose key is `key` without regard to case, as policies see them: `Team` and `team` may
    /// both be there, and are then two values of one condition key.
    pub fn values<'t, 'k>(&'t self, key: &'k str) -> impl Iterator<Item = &'t str> + use<'t, 'k> {
        self.0.iter().filter(move |(own, _)| own.eq_ignore_ascii_case(key)).map(|(_, value)| value.as_ref())
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<K: Into<Box<str>>, V: Into<Box<str>>> FromIterator<(K, V)> for Tags {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(tags: I) -> Self {
        Self(tags.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
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
}
