//! What a store holds, read row by row into a [`Directory`].

use std::collections::HashMap;
use std::sync::Arc;

use super::Site;
use super::attached_policy::AttachedPolicy;
use super::directory::{Alias, Directory};
use super::grant_records::{grant_row, read_grant};
use super::key::KeyView;
use super::records::{Records, alias_row, read_alias};
use super::store::{Kind, Row, RowId};
use crate::aws::{AliasName, Region};
use crate::grants::Grant;
use crate::policy::Fault;

/// A row that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the {kind} `{id}` cannot be read: {reason}", kind = row.kind.name(), id = row.id)]
pub struct UnreadableRow {
    row: RowId,
    reason: String,
}

/// Keys, aliases and grants of a store, read row by row.
pub(super) struct Loader<'s> {
    records: Records,
    site: &'s Site,
    keys: Vec<Arc<KeyView>>,
    aliases: Vec<(Region, AliasName, Alias)>,
    policies: Policies,
    grants: Vec<Arc<Grant>>,
    unreadable: Option<UnreadableRow>,
}

impl<'s> Loader<'s> {
    /// For a store that holds the keys of `site`.
    pub(super) fn new(records: Records, site: &'s Site) -> Self {
        let (keys, aliases, grants, policies) = (Vec::new(), Vec::new(), Vec::new(), Policies::new());
        Self { records, site, keys, aliases, grants, policies, unreadable: None }
    }

    /// Reads one row. What cannot be read waits for [`Self::finish`]: that the store was edited is to be said first.
    pub(super) fn take(&mut self, row: &Row) {
        if let Err(reason) = self.read(row) {
            self.unreadable.get_or_insert(UnreadableRow { row: row.id.clone(), reason });
        }
    }

    fn read(&mut self, row: &Row) -> Result<(), String> {
        match row.id.kind {
            Kind::Key => {
                let key = self.records.read_key(row, self.site, &mut self.policies)?;
                self.keys.push(Arc::new(key));
            }
            Kind::Alias => self.aliases.push(read_alias(row)?),
            Kind::Grant => self.grants.push(read_grant(row, self.site)?),
            Kind::Material => return Err("there are no such rows in this format".into()),
        }
        Ok(())
    }

    /// What was read.
    pub(super) fn finish(self) -> Result<(Records, Directory), UnreadableRow> {
        let Self { records, site, keys, aliases, grants, unreadable, .. } = self;
        if let Some(unreadable) = unreadable {
            return Err(unreadable);
        }
        let mut directory = Directory::loading(&site.regions);
        for key in every_other_first(&keys) {
            directory.put(Arc::clone(key));
        }
        // From here on each key is the directory's alone, and takes its aliases without being copied.
        drop(keys);
        for (region, name, alias) in every_other_first(&aliases) {
            let keys = directory.region(region).ok();
            if keys.and_then(|keys| keys.key(alias.target)).is_none() {
                return Err(UnreadableRow { row: alias_row(region, name), reason: "its key is not there".into() });
            }
            directory.put_alias(region, name.clone(), *alias);
        }
        for grant in grants {
            if directory.key(&grant.key).is_none() {
                return Err(UnreadableRow {
                    row: grant_row(&grant.key, grant.id),
                    reason: "its key is not there".into(),
                });
            }
            directory.put_grant(grant, None);
        }
        Ok((records, directory.loaded()))
    }
}

/// Those that were read so far: keys with the same policy share it.
pub(super) type Policies = HashMap<String, Arc<AttachedPolicy>>;

pub(super) fn read_policy(
    text: Option<String>,
    site: &Site,
    policies: &mut Policies,
) -> Result<Arc<AttachedPolicy>, String> {
    let Some(text) = text else { return Ok(Arc::clone(&site.default_policy)) };
    if let Some(known) = policies.get(&text) {
        return Ok(Arc::clone(known));
    }
    let fault = |faults: Vec<Fault>| faults.first().map(Fault::to_string).unwrap_or_default();
    let policy = AttachedPolicy::parse(&text).map_err(|faults| format!("its policy: {}", fault(faults)))?;
    Ok(Arc::clone(policies.entry(text).or_insert(Arc::new(policy))))
}

/// What is sorted, in the order in which it fills a map best. The map's nodes are split in the middle when they are
/// full: one after another would leave all of them half empty, and what lies between fills them.
fn every_other_first<T>(sorted: &[T]) -> impl Iterator<Item = &T> {
    sorted.iter().step_by(2).chain(sorted.iter().skip(1).step_by(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_sorted_comes_once_in_the_order_that_fills_nodes() {
        for (sorted, order) in
            [(&[][..], &[][..]), (&[1], &[1]), (&[1, 2], &[1, 2]), (&[1, 2, 3, 4, 5], &[1, 3, 5, 2, 4])]
        {
            assert_eq!(every_other_first(sorted).copied().collect::<Vec<i32>>(), order);
        }
    }
}
