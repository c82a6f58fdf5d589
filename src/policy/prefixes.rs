//! Finds by what a text begins with, in a time that does not grow with how many beginnings there are.
//!
//! Beginnings are kept by hash. A text is hashed once, from its start to its end, with a look at each length that some
//! beginning has; what all of them begin with is compared, not hashed.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;

use crate::prehashed::Prehashed;

/// Values by hash, each with the text that was hashed: two texts may have one hash.
pub(super) type ByHash<T> = HashMap<u64, Vec<(Arc<str>, T)>, Prehashed>;

/// Values by the plain text that something begins with.
#[derive(Debug)]
pub(super) struct Prefixes<T> {
    /// What all beginnings begin with.
    common: Box<str>,
    /// The lengths of the beginnings behind that, in bytes, each once, the shortest first.
    lengths: Box<[usize]>,
    /// By what stands behind the common part.
    values: ByHash<T>,
}

impl<T> Prefixes<T> {
    /// Of these beginnings; one may stand there several times.
    pub(super) fn new(beginnings: Vec<(Arc<str>, T)>) -> Self {
        let mut texts = beginnings.iter().map(|(text, _)| &**text);
        let first = texts.next().unwrap_or_default();
        let common: Box<str> = texts.fold(first, shared).into();
        let mut lengths: Vec<usize> = beginnings.iter().map(|(text, _)| text.len() - common.len()).collect();
        lengths.sort_unstable();
        lengths.dedup();
        let mut values = ByHash::<T>::default();
        for (text, value) in beginnings {
            let mut hasher = DefaultHasher::new();
            hasher.write(text.as_bytes().get(common.len()..).unwrap_or_default());
            values.entry(hasher.finish()).or_default().push((text, value));
        }
        Self { common, lengths: lengths.into(), values }
    }

    /// Whether there is no beginning.
    pub(super) fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// What is kept for each beginning of `text`, the shortest first.
    pub(super) fn of<'s>(&'s self, text: &str) -> impl Iterator<Item = &'s T> {
        // Nothing is compared with an empty text: see `wildcard`.
        let rest = match &*self.common {
            _ if self.lengths.is_empty() => None,
            "" => Some(text.as_bytes()),
            common => text.as_bytes().strip_prefix(common.as_bytes()),
        };
        let hashes = rest.into_iter().flat_map(move |rest| {
            let mut hasher = DefaultHasher::new();
            let mut done = 0;
            self.lengths.iter().map_while(move |length| {
                hasher.write(rest.get(done..*length)?);
                done = *length;
                Some((self.common.len() + length, hasher.finish()))
            })
        });
        hashes.flat_map(move |(length, hash)| {
            let values = self.values.get(&hash).into_iter().flatten();
            values.filter(move |(known, _)| known.len() == length && text.starts_with(&**known)).map(|(_, value)| value)
        })
    }
}

impl<T> Default for Prefixes<T> {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

/// What both begin with.
fn shared<'t>(a: &'t str, b: &str) -> &'t str {
    let apart = a.char_indices().zip(b.chars()).find_map(|((at, one), other)| (one != other).then_some(at));
    a.get(..apart.unwrap_or(a.len().min(b.len()))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(beginnings: &[&str], text: &str) -> Vec<String> {
        let kept = Prefixes::new(beginnings.iter().map(|text| (Arc::from(*text), (*text).to_owned())).collect());
        kept.of(text).cloned().collect()
    }

    #[test]
    fn every_beginning_is_found_the_shortest_first() {
        for (beginnings, text, expected) in [
            (&[][..], "a", &[][..]),
            (&[""], "", &[""]),
            (&["", "a"], "ab", &["", "a"]),
            (&["ab"], "a", &[]),
            (&["ab", "abc", "abd"], "abcd", &["ab", "abc"]),
            (&["key/b", "key/a", "key/a", "key/"], "key/ab", &["key/", "key/a", "key/a"]),
            (&["é", "è"], "é", &["é"]),
            (&["éa", "éb"], "éb", &["éb"]),
        ] {
            assert_eq!(found(beginnings, text), expected, "{beginnings:?} {text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_found_is_what_the_text_begins_with(
            beginnings in prop::collection::vec("[aéb]{0,4}", 0..12),
            text in "[aéb]{0,6}",
        ) {
            let texts: Vec<&str> = beginnings.iter().map(String::as_str).collect();
            let mut expected: Vec<&str> = texts.iter().copied().filter(|known| text.starts_with(known)).collect();
            expected.sort_by_key(|known| known.len());
            prop_assert_eq!(found(&texts, &text), expected);
        }
    }
}
