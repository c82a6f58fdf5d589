//! All keys and aliases at one moment, as one value that does not change.
//!
//! The maps are persistent: a changed one shares all but a path of nodes with the one before, so a change costs the
//! same with ten keys or a hundred thousand, and readers keep what they took without a lock.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::mem;
use std::ops::Bound;
use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use super::key::{KeyView, Origin};
use super::names::Names;
use crate::aws::{AliasName, GrantId, KeyArn, KeyId, Region, canonical_principal};
use crate::clock::Timestamp;
use crate::grants::Grant;
use crate::kms::Exception;

/// An alias and what it points to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Alias {
    pub(super) target: KeyId,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
}

/// An alias that is there: the key that it points to, and since when.
#[derive(Clone, Debug)]
pub(super) struct Aliased {
    pub(super) key: Arc<KeyView>,
    created: Timestamp,
    updated: Timestamp,
}

impl Aliased {
    /// The alias alone.
    pub(super) fn alias(&self) -> Alias {
        Alias { target: self.key.id(), created: self.created, updated: self.updated }
    }
}

/// Where a grant that names a retiring principal stands among those of its region: by a hash of that principal, which
/// leads to the grant and is not trusted further.
fn retirable(grant: &Grant) -> Option<(u64, GrantId)> {
    Some((hash(grant.retiring.as_deref()?), grant.id))
}

fn hash(principal: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    canonical_principal(principal).hash(&mut hasher);
    hasher.finish()
}

/// What there is in one region: keys by id, aliases by name, both in the order in which lists have them.
#[derive(Clone, Debug, Default)]
pub(super) struct Regional {
    pub(super) keys: OrdMap<KeyId, Arc<KeyView>>,
    pub(super) aliases: OrdMap<AliasName, Aliased>,
    /// The keys of grants that name a retiring principal.
    retirable: OrdMap<(u64, GrantId), KeyId>,
    /// `None` while a store is loaded: all names are then given their places at once.
    names: Option<Names>,
}

impl Regional {
    pub(super) fn key(&self, id: KeyId) -> Option<&Arc<KeyView>> {
        self.names.as_ref().and_then(|names| names.get(id.as_str())).or_else(|| self.keys.get(&id))
    }

    /// The key that an alias of this name points to.
    pub(super) fn aliased(&self, name: &str) -> Option<&Arc<KeyView>> {
        let shortcut = self.names.as_ref().and_then(|names| names.get(name));
        shortcut.or_else(|| self.aliases.get(name).map(|alias| &alias.key))
    }

    /// Puts a key in the place of the one with its id, or adds it; its aliases are those that point to it.
    fn put(&mut self, key: Arc<KeyView>) -> Option<Arc<KeyView>> {
        self.lead_to(&key);
        self.keys.insert(key.id(), key)
    }

    /// Has all that names the key lead to this state of it.
    fn lead_to(&mut self, key: &Arc<KeyView>) {
        for name in &key.aliases {
            if let Some(alias) = self.aliases.get_mut(name) {
                alias.key = Arc::clone(key);
            }
        }
        if let Some(names) = &mut self.names {
            names.put(key);
        }
    }

    fn forget(&mut self, name: &str) {
        if let Some(names) = &mut self.names {
            names.remove(name);
        }
    }

    fn remove(&mut self, id: KeyId) -> Option<Arc<KeyView>> {
        let old = self.keys.remove(&id)?;
        self.forget(id.as_str());
        for name in &old.aliases {
            self.forget(name.as_str());
            self.aliases.remove(name);
        }
        Some(old)
    }

    /// The grants that name this retiring principal, by their ids, behind `after` or all.
    pub(super) fn retirable_by(&self, principal: &str, after: Option<GrantId>) -> impl Iterator<Item = &Arc<Grant>> {
        let (hash, canonical) = (hash(principal), canonical_principal(principal).to_owned());
        let lowest = || Bound::Included((hash, GrantId::LOWEST));
        let from = after.map_or_else(lowest, |id| Bound::Excluded((hash, id)));
        let found = self.retirable.range((from, Bound::Unbounded)).take_while(move |((own, _), _)| *own == hash);
        let grants = found.filter_map(|((_, id), key)| self.key(*key)?.grants.get(*id));
        grants.filter(move |grant| grant.retiring.as_deref().map(canonical_principal) == Some(&*canonical))
    }

    /// Lets `change` change a key that is there.
    fn change(&mut self, id: KeyId, change: impl FnOnce(&mut KeyView)) {
        let Some(place) = self.keys.get_mut(&id) else { return };
        change(Arc::make_mut(place));
        let key = Arc::clone(place);
        self.lead_to(&key);
    }

    /// Lets `change` change the aliases of a key that is there.
    fn change_aliases(&mut self, id: KeyId, change: impl FnOnce(&mut Vec<AliasName>)) -> Option<Arc<KeyView>> {
        let place = self.keys.get_mut(&id)?;
        let key = Arc::make_mut(place);
        let mut aliases = mem::take(&mut key.aliases).into_vec();
        change(&mut aliases);
        key.aliases = aliases.into();
        let key = Arc::clone(place);
        self.lead_to(&key);
        Some(key)
    }
}

/// What there is in all regions that are served.
#[derive(Clone, Debug)]
pub(super) struct Directory {
    /// A handful at most: a search through them is as fast as any map.
    regions: Vec<(Region, Regional)>,
    /// The keys to which something happens by itself, the next one first.
    due: OrdSet<(Timestamp, KeyArn)>,
}

impl Directory {
    /// Nothing yet, in these regions, for a store to be loaded into it.
    pub(super) fn loading(regions: &[Region]) -> Self {
        let regions = regions.iter().map(|region| (region.clone(), Regional::default())).collect();
        Self { regions, due: OrdSet::new() }
    }

    /// Once all of it is loaded.
    pub(super) fn loaded(mut self) -> Self {
        for (_, regional) in &mut self.regions {
            let names = Names::of(regional.keys.values(), regional.keys.len() + regional.aliases.len());
            regional.names = Some(names);
        }
        self
    }

    /// What there is in that region.
    ///
    /// # Errors
    ///
    /// A request for a region that is not served got no further than its signature, so this is never seen.
    pub(super) fn region(&self, region: &Region) -> Result<&Regional, Exception> {
        let found = self.regions.iter().find(|(own, _)| own == region).map(|(_, regional)| regional);
        found.ok_or_else(|| Exception::kms_internal().with_detail(format!("the region {region} is not served")))
    }

    /// The key of that ARN.
    pub(super) fn key(&self, arn: &KeyArn) -> Option<&Arc<KeyView>> {
        self.region(arn.region()).ok()?.key(arn.id()).filter(|key| key.arn == *arn)
    }

    /// The keys that have new material when `key` has: that key, and its relatives if it is a multi-Region key whose
    /// material is made here. Imported material is imported into each of them.
    pub(super) fn sharing_material<'d>(&'d self, key: &'d KeyView) -> impl Iterator<Item = &'d KeyView> {
        let shared = key.multi_region.is_some() && key.origin == Origin::AwsKms;
        let relatives = self.regions.iter().filter(move |_| shared).filter_map(|(_, regional)| regional.key(key.id()));
        relatives.map(Arc::as_ref).chain((!shared).then_some(key))
    }

    /// How many keys there are in all.
    pub(super) fn len(&self) -> usize {
        self.regions.iter().map(|(_, regional)| regional.keys.len()).sum()
    }

    /// The key to which something happens next by itself, if that is due.
    pub(super) fn due(&self, now: Timestamp) -> Option<&Arc<KeyView>> {
        let (at, arn) = self.due.get_min()?;
        self.key(arn).filter(|_| *at <= now)
    }

    fn region_mut(&mut self, region: &Region) -> Option<&mut Regional> {
        self.regions.iter_mut().find(|(own, _)| own == region).map(|(_, regional)| regional)
    }

    /// Puts a key in the place of the one with its ARN, or adds it.
    pub(super) fn put(&mut self, key: impl Into<Arc<KeyView>>) {
        let key = key.into();
        let (arn, due) = (key.arn.clone(), key.due());
        let Some(regional) = self.region_mut(arn.region()) else { return };
        let old = regional.put(key);
        self.reschedule(arn, old.and_then(|old| old.due()), due);
    }

    /// Takes a key away, and its aliases with it.
    pub(super) fn remove(&mut self, arn: &KeyArn) {
        let Some(regional) = self.region_mut(arn.region()) else { return };
        let Some(old) = regional.remove(arn.id()) else { return };
        for place in old.grants.following(None).filter_map(|grant| retirable(grant)) {
            regional.retirable.remove(&place);
        }
        self.reschedule(arn.clone(), old.due(), None);
    }

    fn reschedule(&mut self, arn: KeyArn, old: Option<Timestamp>, new: Option<Timestamp>) {
        if old == new {
            return;
        }
        if let Some(old) = old {
            self.due.remove(&(old, arn.clone()));
        }
        if let Some(new) = new {
            self.due.insert((new, arn));
        }
    }

    /// Gives a key that is there a grant, which is seen without its token from `visible_from` on.
    pub(super) fn put_grant(&mut self, grant: Arc<Grant>, visible_from: Option<Timestamp>) {
        let Some(regional) = self.region_mut(grant.key.region()) else { return };
        if let Some(place) = retirable(&grant) {
            regional.retirable.insert(place, grant.key.id());
        }
        regional.change(grant.key.id(), |key| key.grants.insert(grant, visible_from));
    }

    /// Takes a grant of a key away.
    pub(super) fn remove_grant(&mut self, arn: &KeyArn, id: GrantId) {
        let Some(regional) = self.region_mut(arn.region()) else { return };
        let Some(grant) = regional.key(arn.id()).and_then(|key| key.grants.get(id)).map(Arc::clone) else { return };
        if let Some(place) = retirable(&grant) {
            regional.retirable.remove(&place);
        }
        regional.change(arn.id(), |key| _ = key.grants.remove(id));
    }

    /// Points an alias at a key that is there, and away from the one it pointed to so far.
    pub(super) fn put_alias(&mut self, region: &Region, name: AliasName, alias: Alias) {
        self.remove_alias(region, &name);
        let Some(regional) = self.region_mut(region) else { return };
        let Alias { target, created, updated } = alias;
        let key = regional.change_aliases(target, |aliases| {
            let place = aliases.partition_point(|other| *other < name);
            // Not the room for four that a vector would take: most keys have one.
            aliases.reserve_exact(1);
            aliases.insert(place, name.clone());
        });
        if let Some(key) = key {
            regional.aliases.insert(name, Aliased { key, created, updated });
        }
    }

    /// Takes an alias away.
    pub(super) fn remove_alias(&mut self, region: &Region, name: &AliasName) {
        let Some(regional) = self.region_mut(region) else { return };
        let Some(old) = regional.aliases.remove(name) else { return };
        regional.forget(name.as_str());
        regional.change_aliases(old.key.id(), |aliases| aliases.retain(|other| other != name));
    }
}
