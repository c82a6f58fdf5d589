//! The keys of one region by all that names them, ids and aliases alike: found in a step or two whatever their number.
//!
//! The ordered maps of the [`directory`](super::directory) find every key too, by many more steps through memory. This
//! is a shortcut in front of them and holds nothing of its own: what is found here is checked, and what is not found
//! is looked for there.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use imbl::Vector;

use super::key::KeyView;

/// As many as one line of the processor's cache has room for.
const SLOTS: usize = 7;
const FIRST_PLACES: usize = 16;
/// Names for each place, at which there are to be twice as many places. The slots of few places are all taken then.
const CROWD: usize = 4;

#[derive(Clone, Debug)]
pub(super) struct Names {
    /// With a key drawn for this process, so that nobody can make names that share a place.
    hash: RandomState,
    places: Vector<Place>,
    /// How many slots are taken.
    taken: usize,
}

/// Where the names are whose hashes begin alike.
#[derive(Clone, Debug, Default)]
struct Place {
    /// Of each slot that is taken, other bits of its name's hash.
    marks: [u8; SLOTS],
    keys: [Option<Arc<KeyView>>; SLOTS],
}

impl Place {
    fn slot(&self, mark: u8, name: &str) -> Option<usize> {
        let mut slots = self.marks.iter().zip(&self.keys);
        slots.position(|(own, key)| *own == mark && key.as_ref().is_some_and(|key| is_named(key, name)))
    }

    /// Whether a slot was taken for it that was not before.
    fn put(&mut self, mark: u8, name: &str, key: &Arc<KeyView>) -> bool {
        let free = || self.keys.iter().position(Option::is_none);
        // Where all are taken one loses its shortcut.
        let slot = self.slot(mark, name).or_else(free).unwrap_or_default();
        if let Some(own) = self.marks.get_mut(slot) {
            *own = mark;
        }
        self.keys.get_mut(slot).is_some_and(|own| own.replace(Arc::clone(key)).is_none())
    }
}

impl Names {
    /// The names of these keys, `names` together.
    pub(super) fn of<'k>(keys: impl Iterator<Item = &'k Arc<KeyView>>, names: usize) -> Self {
        let mut made = Self::with_places((names / CROWD + 1).max(FIRST_PLACES).next_power_of_two());
        keys.for_each(|key| made.put(key));
        made
    }

    fn with_places(places: usize) -> Self {
        let places = std::iter::repeat_n(Place::default(), places).collect();
        Self { hash: RandomState::new(), places, taken: 0 }
    }

    /// The key of that id or alias, if it has its place.
    pub(super) fn get(&self, name: &str) -> Option<&Arc<KeyView>> {
        let (place, mark) = self.place(name);
        let place = self.places.get(place)?;
        place.keys.get(place.slot(mark, name)?)?.as_ref()
    }

    /// Has all names of `key` lead to it.
    pub(super) fn put(&mut self, key: &Arc<KeyView>) {
        if self.taken >= self.places.len() * CROWD {
            self.spread();
        }
        self.put_names(key);
    }

    /// Has that id or alias lead nowhere.
    pub(super) fn remove(&mut self, name: &str) {
        let (place, mark) = self.place(name);
        let Some(place) = self.places.get_mut(place) else { return };
        let Some(slot) = place.slot(mark, name) else { return };
        if let Some(key) = place.keys.get_mut(slot) {
            *key = None;
            self.taken -= 1;
        }
    }

    fn put_names(&mut self, key: &Arc<KeyView>) {
        self.put_name(key.id().as_str(), key);
        for alias in &key.aliases {
            self.put_name(alias.as_str(), key);
        }
    }

    fn put_name(&mut self, name: &str, key: &Arc<KeyView>) {
        let (place, mark) = self.place(name);
        let new = self.places.get_mut(place).is_some_and(|place| place.put(mark, name, key));
        self.taken += usize::from(new);
    }

    /// The place of a name, by the upper bits of its hash, and its mark there, the lowest.
    fn place(&self, name: &str) -> (usize, u8) {
        let hash = self.hash.hash_one(name);
        let scaled = (u128::from(hash) * self.places.len() as u128) >> u64::BITS;
        let [.., mark] = hash.to_be_bytes();
        (usize::try_from(scaled).unwrap_or_default(), mark)
    }

    /// Twice as many places, so that the work for each name stays the same however many there are.
    fn spread(&mut self) {
        let wider = Self::with_places((self.places.len() * 2).max(FIRST_PLACES));
        let old = std::mem::replace(self, wider);
        for key in old.places.iter().flat_map(|place| place.keys.iter().flatten()) {
            self.put_names(key);
        }
    }
}

fn is_named(key: &KeyView, name: &str) -> bool {
    key.id().as_str() == name || key.aliases.iter().any(|alias| alias.as_str() == name)
}

#[cfg(test)]
mod tests {
    use super::super::testing::Local;
    use super::*;

    #[test]
    fn a_key_is_found_by_each_of_its_names_until_they_are_taken_away() {
        let local = Local::new();
        let (one, two) = (local.create_key(), local.create_key());
        local.create_alias("alias/one", &one);
        let entries = local.entries();
        let (one, two) = (entries.key(one.id()).unwrap(), entries.key(two.id()).unwrap());
        let mut names = Names::of([].into_iter(), 0);
        names.put(one);
        names.put(two);
        let found = |names: &Names, name: &str| names.get(name).map(|key| key.arn.clone());
        assert_eq!(found(&names, "alias/one"), Some(one.arn.clone()));
        assert_eq!(found(&names, one.id().as_str()), Some(one.arn.clone()));
        assert_eq!(found(&names, two.id().as_str()), Some(two.arn.clone()));
        names.remove(two.id().as_str());
        assert_eq!(found(&names, two.id().as_str()), None);
    }

    #[test]
    fn nearly_all_of_many_keep_their_shortcuts_and_none_leads_to_another_key() {
        let local = Local::new();
        let key = local.create_key();
        let first = local.entries().key(key.id()).unwrap().as_ref().clone();
        let numbered = |number: u32| {
            let id = format!("{number:08x}-12ab-34cd-56ef-1234567890ab").parse().unwrap();
            let arn = crate::aws::KeyArn::new(first.arn.region(), first.arn.account(), id);
            Arc::new(KeyView { arn, ..first.clone() })
        };
        let keys: Vec<_> = (0..2_000).map(numbered).collect();
        let mut names = Names::of([].into_iter(), 0);
        for key in &keys {
            names.put(key);
        }
        let found = |key: &Arc<KeyView>| Some(Arc::ptr_eq(names.get(key.id().as_str())?, key));
        let found: Vec<bool> = keys.iter().filter_map(found).collect();
        assert!(found.len() > 1_800 && found.iter().all(|itself| *itself), "{}", found.len());
    }
}
