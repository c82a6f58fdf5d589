//! The aliases of one region by their names, each with the key that it points to.
//!
//! A search compares some seventeen names with a hundred thousand there, and each name stands in memory of its own: its
//! beginning is kept in the index itself, where most comparisons end. The key is kept too, so that it need not be
//! searched for in turn.

use std::cmp::Ordering;
use std::ops::Bound;
use std::sync::Arc;

use equivalent::{Comparable, Equivalent};
use imbl::OrdMap;

use super::key::KeyView;
use crate::aws::AliasName;
use crate::clock::Timestamp;

/// What all names begin with.
const PREFIX: &[u8] = b"alias/";
/// Of a name, without that.
const HEAD_BYTES: usize = 16;

/// What an alias points to, and since when.
#[derive(Clone, Debug)]
pub(super) struct Aliased {
    pub(super) key: Arc<KeyView>,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
}

/// The aliases, in the order of their names.
#[derive(Clone, Debug, Default)]
pub(super) struct AliasIndex(OrdMap<Indexed, Aliased>);

impl AliasIndex {
    pub(super) fn get(&self, name: &str) -> Option<&Aliased> {
        self.0.get(&Wanted { head: head(name), name })
    }

    pub(super) fn put(&mut self, name: AliasName, alias: Aliased) {
        self.0.insert(Indexed { head: head(name.as_str()), name }, alias);
    }

    /// Puts `key` in the place of the one that the alias points to, which is another state of it.
    pub(super) fn refresh(&mut self, name: &AliasName, key: &Arc<KeyView>) {
        if let Some(alias) = self.0.get_mut(&Wanted { head: head(name.as_str()), name: name.as_str() }) {
            alias.key = Arc::clone(key);
        }
    }

    pub(super) fn remove(&mut self, name: &AliasName) -> Option<Aliased> {
        self.0.remove(&Wanted { head: head(name.as_str()), name: name.as_str() })
    }

    /// Those behind `name`, or all.
    pub(super) fn following<'i>(
        &'i self,
        name: Option<&AliasName>,
    ) -> impl Iterator<Item = (&'i AliasName, &'i Aliased)> + use<'i> {
        let from = name.map(|name| Indexed { head: head(name.as_str()), name: name.clone() });
        let range = (from.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        self.0.range::<_, Indexed>(range).map(|(indexed, alias)| (&indexed.name, alias))
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A name in the index. No name has the zeros in it that fill up a short beginning, so comparing the beginnings first
/// gives the order of the names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Indexed {
    head: [u8; HEAD_BYTES],
    name: AliasName,
}

/// A name that is looked for.
struct Wanted<'n> {
    head: [u8; HEAD_BYTES],
    name: &'n str,
}

impl Equivalent<Indexed> for Wanted<'_> {
    fn equivalent(&self, key: &Indexed) -> bool {
        self.compare(key) == Ordering::Equal
    }
}

impl Comparable<Indexed> for Wanted<'_> {
    fn compare(&self, key: &Indexed) -> Ordering {
        self.head.cmp(&key.head).then_with(|| self.name.cmp(key.name.as_str()))
    }
}

fn head(name: &str) -> [u8; HEAD_BYTES] {
    let mut head = [0; HEAD_BYTES];
    let text = name.as_bytes().strip_prefix(PREFIX).unwrap_or_default();
    head.iter_mut().zip(text).for_each(|(to, from)| *to = *from);
    head
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn names_have_the_order_in_the_index_that_they_have_as_texts(
            a in "alias/[a-c/_:-]{1,20}",
            b in "alias/[a-c/_:-]{1,20}",
        ) {
            let indexed = |name: &str| Indexed { head: head(name), name: name.parse().unwrap() };
            prop_assert_eq!(indexed(&a).cmp(&indexed(&b)), a.cmp(&b));
            prop_assert_eq!(Wanted { head: head(&a), name: &a }.compare(&indexed(&b)), a.cmp(&b));
        }
    }
}
