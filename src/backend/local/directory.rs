//! All keys and aliases at one moment, as one value that does not change.
//!
//! The maps are persistent: a changed one shares all but a path of nodes with the one before, so a change costs the
//! same with ten keys or a hundred thousand, and readers keep what they took without a lock.

use std::sync::Arc;

use imbl::OrdMap;

use super::key::KeyView;
use crate::aws::{AliasName, KeyId};
use crate::clock::Timestamp;

/// An alias and what it points to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Alias {
    pub(super) target: KeyId,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
}

/// Keys by id, aliases by name, both in the order in which lists have them.
#[derive(Clone, Debug, Default)]
pub(super) struct Directory {
    pub(super) keys: OrdMap<KeyId, Arc<KeyView>>,
    pub(super) aliases: OrdMap<AliasName, Alias>,
}

impl Directory {
    pub(super) fn key(&self, id: KeyId) -> Option<&Arc<KeyView>> {
        self.keys.get(&id)
    }

    /// The key that an alias of this name points to.
    pub(super) fn aliased(&self, name: &str) -> Option<&Arc<KeyView>> {
        self.key(self.aliases.get(name)?.target)
    }

    /// Puts a key in the place of the one with its id.
    pub(super) fn put(&mut self, key: KeyView) {
        self.keys.insert(key.id(), Arc::new(key));
    }

    /// Adds an alias that is not there yet to a key that is.
    pub(super) fn add_alias(&mut self, name: AliasName, alias: Alias) {
        if let Some(key) = self.key(alias.target) {
            let mut key = KeyView::clone(key);
            let place = key.aliases.partition_point(|other| *other < name);
            key.aliases.insert(place, name.clone());
            self.put(key);
        }
        self.aliases.insert(name, alias);
    }
}
