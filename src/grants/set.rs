//! All grants of one key, found by what a request brings and not by looking through them.
//!
//! A grant stands in a bucket, which is found by a hash of the grantee and of one pair that the constraint wants, so that
//! a request looks into one bucket for each of its pairs, and one for grants that want none: 50,000 grants cost it what
//! ten do. Lists are kept beside that, in the order of their pages. Hashes only lead to grants: each that is found is
//! compared as it is.

mod buckets;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Bound;
use std::sync::Arc;

use buckets::Buckets;
use imbl::{OrdMap, OrdSet};

use super::constraint::Constraint;
use super::grant::Grant;
use super::operation::{GrantOperation, GrantOperations};
use crate::aws::{EncryptionContext, GrantId, MeantAs, PrincipalNames, canonical_principal};
use crate::clock::Timestamp;

/// The grants of one key. A clone costs nothing, and a key without grants has eight bytes.
#[derive(Clone, Debug, Default)]
pub struct Grants(Option<Arc<Inner>>);

#[derive(Clone, Debug, Default)]
struct Inner {
    grants: OrdMap<GrantId, Entry>,
    buckets: Buckets,
    lists: OrdSet<Place>,
}

#[derive(Clone, Debug)]
struct Entry {
    grant: Arc<Grant>,
    /// From when on it is seen without its token; `None` if it is seen at once, whatever clocks say.
    visible_from: Option<Timestamp>,
    /// The bucket in which it was put for the operations that its constraint has a say in.
    bucket: u64,
}

/// Where a grant stands in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    list: u64,
    operations: GrantOperations,
    id: GrantId,
}

/// What is listed, and with which hash it is found.
#[derive(Hash)]
enum List<'a> {
    /// All grants of a grantee.
    Grantee(&'a str),
    /// What was asked for under a name, operations apart: name, grantee, who may retire it, in which account, constraint.
    Asked(&'a str, &'a str, Option<&'a str>, &'a str, Option<&'a Constraint>),
}

impl<'a> List<'a> {
    fn asked(grant: &'a Grant) -> Self {
        let Grant { name, grantee, retiring, issuing_account, constraint, .. } = grant;
        Self::Asked(name, grantee, retiring.as_deref(), issuing_account.as_str(), constraint.as_ref())
    }

    fn hash(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        Hash::hash(self, &mut hasher);
        hasher.finish()
    }
}

impl Grants {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |inner| inner.grants.len())
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The grant of that id.
    #[must_use]
    pub fn get(&self, id: GrantId) -> Option<&Arc<Grant>> {
        self.0.as_ref()?.grants.get(&id).map(|entry| &entry.grant)
    }

    /// The grants behind `after`, or all, by their ids.
    pub fn following(&self, after: Option<GrantId>) -> impl Iterator<Item = &Arc<Grant>> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let grants = self.0.iter().flat_map(move |inner| inner.grants.range((from, Bound::Unbounded)));
        grants.map(|(_, entry)| &entry.grant)
    }

    /// The grants of this grantee principal behind `after`, or all, by their ids.
    pub fn of_grantee<'g>(&'g self, grantee: &str, after: Option<GrantId>) -> impl Iterator<Item = &'g Arc<Grant>> {
        let canonical = canonical_principal(grantee).to_owned();
        let found = self.0.iter().flat_map({
            let list = List::Grantee(&canonical).hash();
            move |inner| inner.behind(list, after)
        });
        found.filter(move |grant| canonical_principal(&grant.grantee) == canonical)
    }

    /// The earlier grant that a request asks for which would make `asked`: of the same name and the same in all else.
    /// Without a name there is none.
    #[must_use]
    pub fn same_as(&self, asked: &Grant) -> Option<&Arc<Grant>> {
        let inner = self.0.as_ref().filter(|_| !asked.name.is_empty())?;
        inner.at(List::asked(asked).hash(), asked.operations).find(|grant| grant.is_what_asks(asked))
    }

    /// Adds a grant, which is seen without its token from `visible_from` on.
    pub fn insert(&mut self, grant: Arc<Grant>, visible_from: Option<Timestamp>) {
        self.remove(grant.id);
        let inner = Arc::make_mut(self.0.get_or_insert_default());
        let bucket = inner.buckets.bucket_for(&grant);
        let entry = Entry { grant, visible_from, bucket };
        inner.buckets.insert(&entry);
        inner.lists.extend(entry.places());
        inner.grants.insert(entry.grant.id, entry);
    }

    /// Takes a grant away; whether it was there.
    pub fn remove(&mut self, id: GrantId) -> bool {
        if self.get(id).is_none() {
            return false;
        }
        let Some(inner) = &mut self.0 else { return false };
        let inner = Arc::make_mut(inner);
        if let Some(entry) = inner.grants.remove(&id) {
            inner.buckets.remove(&entry);
            for place in entry.places() {
                inner.lists.remove(&place);
            }
        }
        if inner.grants.is_empty() {
            self.0 = None;
        }
        true
    }

    /// A grant that lets `caller` do `operation` with this encryption context, if there is one. It is seen, or `tokens`
    /// names it. One to the caller itself, or to the role it is a session of, comes before one to its account. With it what
    /// its grantee principal means the caller as: as [`MeantAs::Account`], the caller's identity policies must allow the
    /// request too. (That no policy denies it is for others to ask.)
    ///
    /// `CreateGrant` has no encryption context: ask [`Self::allowing_grant`].
    #[must_use]
    pub fn allowing(
        &self,
        caller: &PrincipalNames,
        operation: GrantOperation,
        context: &EncryptionContext,
        now: Timestamp,
        tokens: &[GrantId],
    ) -> Option<(&Arc<Grant>, MeantAs)> {
        self.found(caller, &Asked { operation, context, passed_on: None }, now, tokens)
    }

    /// As [`Self::allowing`], a grant that lets `caller` make a grant of these operations under this constraint: it allows
    /// `CreateGrant`, and what it allows besides bounds them.
    #[must_use]
    pub fn allowing_grant(
        &self,
        caller: &PrincipalNames,
        operations: GrantOperations,
        constraint: Option<&Constraint>,
        now: Timestamp,
        tokens: &[GrantId],
    ) -> Option<(&Arc<Grant>, MeantAs)> {
        let context = constraint.map_or(EncryptionContext::EMPTY, Constraint::pairs);
        let passed_on = Some((operations, constraint));
        self.found(caller, &Asked { operation: GrantOperation::CreateGrant, context, passed_on }, now, tokens)
    }

    fn found(
        &self,
        caller: &PrincipalNames,
        asked: &Asked<'_>,
        now: Timestamp,
        tokens: &[GrantId],
    ) -> Option<(&Arc<Grant>, MeantAs)> {
        let inner = self.0.as_ref()?;
        let seen =
            |entry: &Entry| entry.visible_from.is_none_or(|from| from <= now) || tokens.contains(&entry.grant.id);
        let to = |of_account: bool| {
            let mut names =
                caller.iter_hashed().filter(move |(_, meant, _)| (*meant == MeantAs::Account) == of_account);
            names.find_map(|(name, meant_as, hash)| {
                let entry = inner.buckets.allowing((name, hash), asked, seen)?;
                Some((&entry.grant, meant_as))
            })
        };
        to(false).or_else(|| to(true))
    }
}

/// What a request asks of a grant.
struct Asked<'a> {
    operation: GrantOperation,
    context: &'a EncryptionContext,
    /// For `CreateGrant`: what is to be granted.
    passed_on: Option<(GrantOperations, Option<&'a Constraint>)>,
}

impl Asked<'_> {
    fn allowed_by(&self, grant: &Grant) -> bool {
        match self.passed_on {
            None => grant.allows(self.operation, self.context),
            Some((operations, constraint)) => {
                grant.operations.contains(self.operation) && grant.bounds(operations, constraint)
            }
        }
    }
}

impl Inner {
    fn at(&self, list: u64, operations: GrantOperations) -> impl Iterator<Item = &Arc<Grant>> {
        let places = self.from(Place { list, operations, id: GrantId::LOWEST });
        let places = places.take_while(move |place| (place.list, place.operations) == (list, operations));
        places.filter_map(|place| self.grants.get(&place.id)).map(|entry| &entry.grant)
    }

    /// The grants behind `after` of a list in which all stand under no operations.
    fn behind(&self, list: u64, after: Option<GrantId>) -> impl Iterator<Item = &Arc<Grant>> {
        let start = Place { list, operations: GrantOperations::NONE, id: after.unwrap_or(GrantId::LOWEST) };
        let places = self.from(start).take_while(move |place| place.list == list);
        let places = places.filter(move |place| Some(place.id) != after);
        places.filter_map(|place| self.grants.get(&place.id)).map(|entry| &entry.grant)
    }

    fn from(&self, place: Place) -> impl Iterator<Item = &Place> {
        self.lists.range((Bound::Included(place), Bound::Unbounded))
    }
}

impl Entry {
    /// Where the grant is listed: among those of its grantee, and under what was asked for, if it has a name.
    fn places(&self) -> impl Iterator<Item = Place> + use<> {
        let grant = &self.grant;
        let grantee = List::Grantee(canonical_principal(&grant.grantee)).hash();
        let named = (!grant.name.is_empty()).then(|| (List::asked(grant).hash(), grant.operations));
        let (id, lists) = (grant.id, [(grantee, GrantOperations::NONE)].into_iter().chain(named));
        lists.map(move |(list, operations)| Place { list, operations, id })
    }
}

#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;
