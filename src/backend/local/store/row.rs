//! What a store holds: rows of four kinds, whose bodies are the caller's.

use std::fmt;

/// What a row is of. Sorted as the names are, for the database keeps rows in that order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    /// An alias, by its region and name.
    Alias,
    /// A grant, by its key's region and id and its own id.
    Grant,
    /// A KMS key with its material, by its region and id.
    Key,
    /// Wrapped key material, by its id: in stores of format 1 alone.
    Material,
}

impl Kind {
    /// Every kind.
    pub(crate) const ALL: [Self; 4] = [Self::Alias, Self::Grant, Self::Key, Self::Material];

    /// The kind's name in the database and in what is authenticated.
    #[must_use]
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Alias => "alias",
            Self::Grant => "grant",
            Self::Key => "key",
            Self::Material => "material",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// What names a row; no two rows share it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RowId {
    /// What the row is of.
    pub kind: Kind,
    /// Its name among its kind.
    pub id: Box<str>,
}

impl RowId {
    /// The row of this kind and name.
    #[must_use]
    pub(crate) fn new(kind: Kind, id: &str) -> Self {
        Self { kind, id: id.into() }
    }
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// What names it.
    pub id: RowId,
    /// What it says, in a form that is the caller's.
    pub body: Vec<u8>,
}

/// All rows as they were at one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rows {
    /// The revision.
    pub revision: Revision,
    /// The rows, sorted by their ids.
    pub rows: Vec<Row>,
}

/// What one transaction does: first it deletes, then it puts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    /// Rows to add, or to replace where there is one of that id.
    pub put: Vec<Row>,
    /// Rows to take away. One that is not there is no fault.
    pub delete: Vec<RowId>,
}

impl Change {
    /// Whether it does nothing.
    #[must_use]
    pub(crate) const fn is_empty(&self) -> bool {
        self.put.is_empty() && self.delete.is_empty()
    }

    /// Puts a row, after all that was to be done so far.
    pub(crate) fn put(&mut self, row: Row) {
        self.delete.retain(|id| *id != row.id);
        self.put.push(row);
    }

    /// Takes a row away, after all that was to be done so far.
    pub(crate) fn delete(&mut self, id: RowId) {
        self.put.retain(|row| row.id != id);
        self.delete.push(id);
    }

    /// Does what `next` does, after all that was to be done so far.
    pub(crate) fn then(&mut self, next: Self) {
        next.delete.into_iter().for_each(|id| self.delete(id));
        next.put.into_iter().for_each(|row| self.put(row));
    }
}

/// How often a store was changed since it was created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Revision(u64);

impl Revision {
    /// Of a store that was just created.
    pub(crate) const FIRST: Self = Self(0);

    /// As a record has it.
    #[must_use]
    pub(crate) const fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// As a number.
    #[must_use]
    pub(crate) const fn number(self) -> u64 {
        self.0
    }

    /// The one after this. No store lives to see 2^63 changes.
    pub(super) const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_sorted_as_their_names_are() {
        assert!(Kind::ALL.is_sorted() && Kind::ALL.is_sorted_by_key(|kind| kind.name()));
        for kind in Kind::ALL {
            assert_eq!(Kind::from_name(kind.name()), Some(kind));
        }
        assert_eq!(Kind::from_name("Key"), None);
    }
}
