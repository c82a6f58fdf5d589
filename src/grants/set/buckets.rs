//! Where requests look for grants: by their grantee, and then in buckets, each found by one hash.
//!
//! Most callers are granted nothing on most keys, however much they ask: whether one is, is known before anything of the
//! request is hashed. A bucket is walked by sets of operations, of which there are few.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Bound;
use std::sync::Arc;

use imbl::shared_ptr::DefaultSharedPtr;
use imbl::{GenericHashMap, OrdMap};

use super::super::constraint::folded;
use super::super::grant::Grant;
use super::super::operation::{GrantOperation, GrantOperations};
use super::{Asked, Entry};
use crate::aws::{GrantId, canonical_principal, principal_hash};
use crate::prehashed::Prehashed;

type ByHash<T> = GenericHashMap<u64, T, Prehashed, DefaultSharedPtr>;

/// All grants of a key by what requests bring: of each grantee, found by its [`principal_hash`], the buckets.
#[derive(Clone, Debug, Default)]
pub(super) struct Buckets(ByHash<Arc<OfGrantee>>);

/// The buckets of a grantee. Most have one.
#[derive(Clone, Debug)]
enum OfGrantee {
    Few(Vec<(u64, Held)>),
    Many(ByHash<Held>),
}

/// So many buckets are looked through.
const FEW: usize = 8;

/// What stands in a bucket. Most hold one grant.
#[derive(Clone, Debug)]
enum Held {
    One(GrantOperations, Entry),
    Many(OrdMap<(GrantOperations, GrantId), Entry>),
}

/// The bucket for what a grantee may do with any encryption context.
const ANY: u64 = 0;
/// For what it may do only without one.
const NO_PAIRS: u64 = 1;

/// The bucket for what it may do only with this pair, and perhaps others.
fn with_pair((key, value): (&str, &str)) -> u64 {
    let mut hasher = DefaultHasher::new();
    (folded(key), value).hash(&mut hasher);
    hasher.finish()
}

impl Buckets {
    /// A grant to the principal of that canonical name and hash.
    pub(super) fn allowing(
        &self,
        (grantee, hash): (&str, u64),
        asked: &Asked<'_>,
        seen: impl Fn(&Entry) -> bool,
    ) -> Option<&Entry> {
        let buckets = self.0.get(&hash)?;
        let allows = |entry: &Entry| {
            let grant = &entry.grant;
            canonical_principal(&grant.grantee) == grantee && asked.allowed_by(grant) && seen(entry)
        };
        let within = |bucket: u64| buckets.get(bucket)?.find(asked.operation, allows);
        let by_pair = || {
            let empty = asked.context.is_empty().then_some(NO_PAIRS);
            empty.into_iter().chain(asked.context.iter().map(with_pair)).find_map(within)
        };
        let any = within(ANY);
        if asked.operation.unconstrained() { any } else { any.or_else(by_pair) }
    }

    /// The bucket for a new grant: of its constraint's pairs the one that the fewest grants stand under so far.
    pub(super) fn bucket_for(&self, grant: &Grant) -> u64 {
        let Some(constraint) = &grant.constraint else { return ANY };
        let buckets = self.0.get(&hash_of(grant));
        let count = |bucket: &u64| buckets.and_then(|buckets| buckets.get(*bucket)).map_or(0, Held::len);
        let without_pairs = if constraint.is_exact() { NO_PAIRS } else { ANY };
        constraint.pairs().iter().map(with_pair).min_by_key(count).unwrap_or(without_pairs)
    }

    /// Adds a grant, which is not there yet.
    pub(super) fn insert(&mut self, entry: &Entry) {
        let buckets = self.0.entry(hash_of(&entry.grant)).or_insert_with(|| Arc::new(OfGrantee::Few(Vec::new())));
        let buckets = Arc::make_mut(buckets);
        for (bucket, operations) in places(entry) {
            let held = match buckets.take(bucket) {
                None => Held::One(operations, entry.clone()),
                Some(held) => held.with(operations, entry),
            };
            buckets.put(bucket, held);
        }
    }

    /// Takes away a grant that is there.
    pub(super) fn remove(&mut self, entry: &Entry) {
        let grantee = hash_of(&entry.grant);
        let Some(buckets) = self.0.get_mut(&grantee) else { return };
        let buckets = Arc::make_mut(buckets);
        for (bucket, operations) in places(entry) {
            let held = buckets.take(bucket).and_then(|held| held.without((operations, entry.grant.id)));
            if let Some(held) = held {
                buckets.put(bucket, held);
            }
        }
        if buckets.is_empty() {
            self.0.remove(&grantee);
        }
    }
}

impl OfGrantee {
    fn get(&self, bucket: u64) -> Option<&Held> {
        match self {
            Self::Few(few) => few.iter().find(|(own, _)| *own == bucket).map(|(_, held)| held),
            Self::Many(many) => many.get(&bucket),
        }
    }

    fn take(&mut self, bucket: u64) -> Option<Held> {
        match self {
            Self::Few(few) => {
                let place = few.iter().position(|(own, _)| *own == bucket)?;
                Some(few.swap_remove(place).1)
            }
            Self::Many(many) => many.remove(&bucket),
        }
    }

    /// Puts a bucket where there is none.
    fn put(&mut self, bucket: u64, held: Held) {
        match self {
            Self::Few(few) if few.len() < FEW => few.push((bucket, held)),
            Self::Few(few) => *self = Self::Many(few.drain(..).chain([(bucket, held)]).collect()),
            Self::Many(many) => {
                many.insert(bucket, held);
            }
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Few(few) => few.is_empty(),
            Self::Many(many) => many.is_empty(),
        }
    }
}

#[cfg(test)]
impl Buckets {
    /// How often grants stand in buckets.
    pub(super) fn places(&self) -> usize {
        let count = |buckets: &Arc<OfGrantee>| match &**buckets {
            OfGrantee::Few(few) => few.iter().map(|(_, held)| held.len()).sum::<usize>(),
            OfGrantee::Many(many) => many.values().map(Held::len).sum(),
        };
        self.0.values().map(count).sum()
    }
}

impl Held {
    fn len(&self) -> usize {
        match self {
            Self::One(..) => 1,
            Self::Many(entries) => entries.len(),
        }
    }

    fn with(self, operations: GrantOperations, entry: &Entry) -> Self {
        let mut entries = match self {
            Self::One(of_one, one) => OrdMap::unit((of_one, one.grant.id), one),
            Self::Many(entries) => entries,
        };
        entries.insert((operations, entry.grant.id), entry.clone());
        Self::Many(entries)
    }

    fn without(self, place: (GrantOperations, GrantId)) -> Option<Self> {
        let Self::Many(mut entries) = self else { return None };
        entries.remove(&place);
        match entries.len() {
            0 => None,
            1 => entries.get_min().map(|((operations, _), entry)| Self::One(*operations, entry.clone())),
            _ => Some(Self::Many(entries)),
        }
    }

    /// A grant of the operation that is accepted. What lies between is skipped set by set.
    fn find(&self, operation: GrantOperation, accepts: impl Fn(&Entry) -> bool) -> Option<&Entry> {
        let entries = match self {
            Self::One(operations, entry) => {
                return Some(entry).filter(|entry| operations.contains(operation) && accepts(entry));
            }
            Self::Many(entries) => entries,
        };
        let mut next = Some(GrantOperations::NONE);
        while let Some(from) = next {
            let behind = entries.range((Bound::Included((from, GrantId::LOWEST)), Bound::Unbounded));
            let operations = behind.clone().next().map(|((operations, _), _)| *operations)?;
            if operations.contains(operation) {
                let of_set = behind.take_while(|((own, _), _)| *own == operations).map(|(_, entry)| entry);
                if let Some(entry) = { of_set }.find(|entry| accepts(entry)) {
                    return Some(entry);
                }
            }
            next = GrantOperations::from_bits(operations.bits() + 1);
        }
        None
    }
}

/// The buckets that a grant stands in, each for some of its operations: for what its constraint has a say in, and for what
/// it has none in.
fn places(entry: &Entry) -> impl Iterator<Item = (u64, GrantOperations)> + use<> {
    let Entry { grant, bucket, .. } = entry;
    let constrained = match grant.constraint {
        None => grant.operations,
        Some(_) => grant.operations.without(GrantOperations::UNCONSTRAINED),
    };
    let free = grant.operations.without(constrained);
    let places = [(*bucket, constrained), (ANY, free)];
    places.into_iter().filter(|(_, operations)| !operations.is_empty())
}

fn hash_of(grant: &Grant) -> u64 {
    principal_hash(canonical_principal(&grant.grantee))
}
