//! All grants of one key, found by what a request brings and not by looking through them.
//!
//! Every grant has its places in one index. A place is a bucket, the grant's operations and its id; the bucket is a hash
//! of the grantee and of one pair that the constraint wants, so that a request looks into one bucket for each of its
//! pairs, and one for grants that want none. A bucket is walked by sets of operations, of which there are few, so 50,000
//! grants of one grantee cost what ten do. Hashes only lead to grants: each that is found is compared as it is.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Bound;
use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use super::constraint::{Constraint, folded};
use super::grant::Grant;
use super::operation::{GrantOperation, GrantOperations};
use crate::aws::{EncryptionContext, GrantId, MeantAs, PrincipalNames, canonical_principal};
use crate::clock::Timestamp;

/// So many grants of a bucket are counted when the one with the fewest is looked for.
const COUNTED: usize = 16;

/// The grants of one key. A clone costs nothing, and a key without grants has eight bytes.
#[derive(Clone, Debug, Default)]
pub struct Grants(Option<Arc<Inner>>);

#[derive(Clone, Debug, Default)]
struct Inner {
    grants: OrdMap<GrantId, Entry>,
    index: OrdSet<Place>,
}

#[derive(Clone, Debug)]
struct Entry {
    grant: Arc<Grant>,
    /// From when on it is seen without its token; `None` if it is seen at once, whatever clocks say.
    visible_from: Option<Timestamp>,
    /// The bucket in which it was put for the operations that its constraint has a say in.
    bucket: u64,
}

/// Where a grant stands in the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    bucket: u64,
    operations: GrantOperations,
    id: GrantId,
}

/// What a bucket holds, and with which hash it is found.
#[derive(Hash)]
enum Bucket<'a> {
    /// What a grantee may do with any encryption context.
    Any(&'a str),
    /// What it may do only without one.
    NoPairs(&'a str),
    /// What it may do only with this pair, the key in small letters, and perhaps others.
    Pair(&'a str, &'a str, &'a str),
    /// All grants of a grantee.
    Grantee(&'a str),
    /// What was asked for under a name, operations apart: name, grantee, who may retire it, in which account, constraint.
    Asked(&'a str, &'a str, Option<&'a str>, &'a str, Option<&'a Constraint>),
}

impl Bucket<'_> {
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
            let bucket = Bucket::Grantee(&canonical).hash();
            move |inner| inner.behind(bucket, after)
        });
        found.filter(move |grant| canonical_principal(&grant.grantee) == canonical)
    }

    /// The earlier grant that a request asks for which would make `asked`: of the same name and the same in all else.
    /// Without a name there is none.
    #[must_use]
    pub fn same_as(&self, asked: &Grant) -> Option<&Arc<Grant>> {
        let inner = self.0.as_ref().filter(|_| !asked.name.is_empty())?;
        inner.at(Bucket::asked(asked).hash(), asked.operations).find(|grant| grant.is_what_asks(asked))
    }

    /// Adds a grant, which is seen without its token from `visible_from` on.
    pub fn insert(&mut self, grant: Arc<Grant>, visible_from: Option<Timestamp>) {
        self.remove(grant.id);
        let inner = Arc::make_mut(self.0.get_or_insert_default());
        let bucket = inner.bucket_for(&grant);
        let entry = Entry { grant, visible_from, bucket };
        inner.index.extend(entry.places());
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
            for place in entry.places() {
                inner.index.remove(&place);
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
            let mut names = caller.iter().filter(move |(_, meant)| (*meant == MeantAs::Account) == of_account);
            names.find_map(|(name, meant_as)| {
                let entry = inner.allowing(name, asked, seen)?;
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
    /// A grant to the principal of that canonical name.
    fn allowing(&self, grantee: &str, asked: &Asked<'_>, seen: impl Fn(&Entry) -> bool) -> Option<&Entry> {
        // Most callers are granted nothing, however much they ask.
        self.behind(Bucket::Grantee(grantee).hash(), None).next()?;
        let allows = |entry: &&Entry| {
            let grant = &entry.grant;
            canonical_principal(&grant.grantee) == grantee && asked.allowed_by(grant) && seen(entry)
        };
        let within = |bucket: u64| self.with(bucket, asked.operation).find(allows);
        let by_pair = || {
            let empty = asked.context.is_empty().then(|| Bucket::NoPairs(grantee).hash());
            let pairs = asked.context.iter();
            let pairs = pairs.map(|(key, value)| Bucket::Pair(grantee, &folded(key), value).hash());
            empty.into_iter().chain(pairs).find_map(within)
        };
        let any = within(Bucket::Any(grantee).hash());
        if asked.operation.unconstrained() { any } else { any.or_else(by_pair) }
    }

    /// The grants of a bucket that allow the operation. What lies between is skipped set by set.
    fn with(&self, bucket: u64, operation: GrantOperation) -> impl Iterator<Item = &Entry> {
        let first = Place { bucket, operations: GrantOperations::NONE, id: GrantId::LOWEST };
        let mut next = Some(first);
        let sets = std::iter::from_fn(move || {
            let place = self.from(next?).next().filter(|place| place.bucket == bucket)?;
            next =
                GrantOperations::from_bits(place.operations.bits() + 1).map(|operations| Place { operations, ..first });
            Some(place.operations)
        });
        let sets = sets.filter(move |operations| operations.contains(operation));
        sets.flat_map(move |operations| self.entries(bucket, operations))
    }

    /// The grants at this bucket and set of operations, by their ids.
    fn entries(&self, bucket: u64, operations: GrantOperations) -> impl Iterator<Item = &Entry> {
        let places = self.from(Place { bucket, operations, id: GrantId::LOWEST });
        let places = places.take_while(move |place| (place.bucket, place.operations) == (bucket, operations));
        places.filter_map(|place| self.grants.get(&place.id))
    }

    fn at(&self, bucket: u64, operations: GrantOperations) -> impl Iterator<Item = &Arc<Grant>> {
        self.entries(bucket, operations).map(|entry| &entry.grant)
    }

    /// The grants behind `after` of a bucket in which all stand under no operations.
    fn behind(&self, bucket: u64, after: Option<GrantId>) -> impl Iterator<Item = &Arc<Grant>> {
        let start = Place { bucket, operations: GrantOperations::NONE, id: after.unwrap_or(GrantId::LOWEST) };
        let places = self.from(start).take_while(move |place| place.bucket == bucket);
        let places = places.filter(move |place| Some(place.id) != after);
        places.filter_map(|place| self.grants.get(&place.id)).map(|entry| &entry.grant)
    }

    fn from(&self, place: Place) -> impl Iterator<Item = &Place> {
        self.index.range((Bound::Included(place), Bound::Unbounded))
    }

    /// The bucket for a new grant: of its constraint's pairs the one that the fewest grants stand under so far.
    fn bucket_for(&self, grant: &Grant) -> u64 {
        let grantee = canonical_principal(&grant.grantee);
        let Some(constraint) = &grant.constraint else { return Bucket::Any(grantee).hash() };
        let pairs = constraint.pairs().iter();
        let buckets = pairs.map(|(key, value)| Bucket::Pair(grantee, &folded(key), value).hash());
        let count = |bucket: &u64| {
            let first = Place { bucket: *bucket, operations: GrantOperations::NONE, id: GrantId::LOWEST };
            self.from(first).take(COUNTED).take_while(|place| place.bucket == *bucket).count()
        };
        buckets.min_by_key(count).unwrap_or_else(|| Bucket::without_pairs(grantee, constraint).hash())
    }
}

impl<'a> Bucket<'a> {
    fn asked(grant: &'a Grant) -> Self {
        let Grant { name, grantee, retiring, issuing_account, constraint, .. } = grant;
        Self::Asked(name, grantee, retiring.as_deref(), issuing_account.as_str(), constraint.as_ref())
    }

    const fn without_pairs(grantee: &'a str, constraint: &Constraint) -> Self {
        if constraint.is_exact() { Self::NoPairs(grantee) } else { Self::Any(grantee) }
    }
}

impl Entry {
    /// Where the grant stands in the index: for what its constraint has a say in, for what it has none in, among the
    /// grants of its grantee, and under what was asked for, if it has a
    /// name.
    fn places(&self) -> impl Iterator<Item = Place> + use<> {
        let Self { grant, bucket, .. } = self;
        let (id, grantee) = (grant.id, canonical_principal(&grant.grantee));
        let constrained = match grant.constraint {
            None => grant.operations,
            Some(_) => grant.operations.without(GrantOperations::UNCONSTRAINED),
        };
        let free = grant.operations.without(constrained);
        let named = (!grant.name.is_empty()).then(|| Bucket::asked(grant).hash());
        let operations = [(*bucket, constrained), (Bucket::Any(grantee).hash(), free)];
        let operations = operations.into_iter().filter(|(_, operations)| !operations.is_empty());
        let grantee = (Bucket::Grantee(grantee).hash(), GrantOperations::NONE);
        let places = operations.chain([grantee]).chain(named.map(|bucket| (bucket, grant.operations)));
        places.map(move |(bucket, operations)| Place { bucket, operations, id })
    }
}

#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;
