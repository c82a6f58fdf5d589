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

    /// Each key with its value, in the order given.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_ref(), value.as_ref()))
    }

    /// Gives `key`, whose case matters here, this value: where it stands, or as the last.
    pub fn put(&mut self, key: &str, value: &str) {
        match self.0.iter_mut().find(|(own, _)| own.as_ref() == key) {
            Some((_, old)) => *old = value.into(),
            None => self.0.push((key.into(), value.into())),
        }
    }

    /// Takes `key`, whose case matters here, away, if it is there.
    pub fn remove(&mut self, key: &str) {
        self.0.retain(|(own, _)| own.as_ref() != key);
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
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

    #[test]
    fn a_new_value_keeps_its_place_and_a_new_key_is_the_last() {
        let mut tags: Tags = [("Team", "blue"), ("cost", "7")].into_iter().collect();
        tags.put("Team", "green");
        tags.put("team", "red");
        assert_eq!(tags.iter().collect::<Vec<_>>(), [("Team", "green"), ("cost", "7"), ("team", "red")]);
        tags.remove("Team");
        tags.remove("absent");
        assert_eq!(tags.iter().collect::<Vec<_>>(), [("cost", "7"), ("team", "red")]);
        assert_eq!((tags.len(), tags.is_empty()), (2, false));
    }
}
