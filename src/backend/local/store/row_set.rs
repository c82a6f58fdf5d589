//! The set of all rows, authenticated as a whole and changed row by row.
//!
//! ```text
//! tag(row) = HMAC-SHA-256(set key, kind | id | body)       each with its length in 4 bytes before it
//! sum      = XOR of the tags of all rows
//! ```
//!
//! Architecture invariant: tags never leave memory. XOR is linear: whoever sees more than 256 tags can solve for a
//! set of known rows with any sum. Unseen, a sum is as good as random for each set, because HMAC is a PRF and ids
//! are unique; the header's MAC covers it and the number of rows.
//!
//! What is taken out of the sum is the tag in memory, never that of a row read back: a file edited while the gateway
//! runs cannot get into the sum.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};

use aws_lc_rs::hmac;

use super::row::{Row, RowId};

pub(super) type Tag = [u8; 32];

pub(super) struct RowSet {
    key: hmac::Key,
    names: Names,
    tags: HashMap<Name, Tag>,
    sum: Tag,
}

/// What stands for a row's id in memory: 16 bytes, of a store's hundred thousands of rows.
type Name = [u64; 2];

/// Two hashes with keys of their own, drawn for this process: who makes ids cannot make two that share a name.
#[derive(Default)]
struct Names([RandomState; 2]);

impl Names {
    fn of(&self, id: &RowId) -> Name {
        self.0.each_ref().map(|hash| hash.hash_one(id))
    }
}

/// What the header's MAC says of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Total {
    pub(super) count: u64,
    pub(super) sum: Tag,
}

/// A change worked out but not done yet.
pub(super) struct Step {
    tags: BTreeMap<RowId, Option<Tag>>,
    pub(super) total: Total,
}

impl RowSet {
    pub(super) fn empty(key: hmac::Key) -> Self {
        Self { key, names: Names::default(), tags: HashMap::new(), sum: [0; 32] }
    }

    /// Adds a row that is not there yet.
    pub(super) fn add(&mut self, row: &Row) {
        let tag = self.tag(row);
        xor(&mut self.sum, &tag);
        self.tags.insert(self.names.of(&row.id), tag);
    }

    pub(super) fn total(&self) -> Total {
        Total { count: self.tags.len() as u64, sum: self.sum }
    }

    /// What the set would be without `delete` and then with `put`.
    pub(super) fn step(&self, put: &[Row], delete: &[RowId]) -> Step {
        let mut tags = BTreeMap::new();
        tags.extend(delete.iter().map(|id| (id.clone(), None)));
        tags.extend(put.iter().map(|row| (row.id.clone(), Some(self.tag(row)))));
        let mut total = self.total();
        for (id, new) in &tags {
            if let Some(old) = self.tags.get(&self.names.of(id)) {
                xor(&mut total.sum, old);
                total.count -= 1;
            }
            if let Some(new) = new {
                xor(&mut total.sum, new);
                total.count += 1;
            }
        }
        Step { tags, total }
    }

    /// Does what [`Self::step`] worked out, with no other in between.
    pub(super) fn take(&mut self, step: Step) {
        self.sum = step.total.sum;
        for (id, tag) in step.tags {
            let name = self.names.of(&id);
            match tag {
                Some(tag) => self.tags.insert(name, tag),
                None => self.tags.remove(&name),
            };
        }
    }

    fn tag(&self, Row { id, body }: &Row) -> Tag {
        let mut mac = hmac::Context::with_key(&self.key);
        for field in [id.kind.name().as_bytes(), id.id.as_bytes(), body] {
            // SQLite holds nothing of 4 GiB.
            mac.update(&u32::try_from(field.len()).unwrap_or(u32::MAX).to_be_bytes());
            mac.update(field);
        }
        let mut tag = [0; 32];
        tag.copy_from_slice(mac.sign().as_ref());
        tag
    }
}

fn xor(sum: &mut Tag, tag: &Tag) {
    sum.iter_mut().zip(tag).for_each(|(sum, tag)| *sum ^= tag);
}

#[cfg(test)]
mod tests {
    use super::super::row::Kind;
    use super::*;

    fn row(kind: Kind, id: &str, body: &str) -> Row {
        Row { id: RowId::new(kind, id), body: body.into() }
    }

    fn set(rows: &[Row]) -> RowSet {
        let mut set = RowSet::empty(hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]));
        for row in rows {
            set.add(row);
        }
        set
    }

    #[test]
    fn a_set_changed_step_by_step_is_the_set_loaded_at_once() {
        let (a, b, c) = (row(Kind::Key, "a", "1"), row(Kind::Key, "b", "2"), row(Kind::Alias, "a", "3"));
        let mut steps = set(&[]);
        for (put, delete) in [
            (vec![a.clone(), row(Kind::Key, "b", "old")], vec![]),
            (vec![c.clone()], vec![RowId::new(Kind::Material, "none")]),
            (vec![b.clone(), row(Kind::Key, "x", "")], vec![a.id.clone()]),
            // Deleted and put in one change is put; of two bodies for one row the last one stays.
            (vec![row(Kind::Key, "a", "?"), a.clone()], vec![RowId::new(Kind::Key, "x"), a.id.clone()]),
        ] {
            steps.take(steps.step(&put, &delete));
        }
        assert_eq!(steps.total(), set(&[c, a, b]).total());
        assert_eq!(steps.total().count, 3);
    }

    #[test]
    fn a_step_that_is_not_taken_changes_nothing() {
        let set = set(&[row(Kind::Key, "a", "1")]);
        let before = set.total();
        assert_ne!(set.step(&[], &[RowId::new(Kind::Key, "a")]).total, before);
        assert_eq!(set.total(), before);
    }

    #[test]
    fn no_two_sets_of_rows_have_one_sum() {
        let base = [row(Kind::Key, "ab", "cd"), row(Kind::Key, "x", "y")];
        for other in [
            [row(Kind::Key, "abc", "d"), row(Kind::Key, "x", "y")],
            [row(Kind::Key, "a", "bcd"), row(Kind::Key, "x", "y")],
            [row(Kind::Alias, "ab", "cd"), row(Kind::Key, "x", "y")],
            [row(Kind::Key, "ab", "y"), row(Kind::Key, "x", "cd")],
        ] {
            assert_ne!(set(&base).total().sum, set(&other).total().sum, "{other:?}");
        }
    }
}
