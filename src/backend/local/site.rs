//! Whose KMS this is, and whose the keys of a store or of a file of keys are.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::attached_policy::AttachedPolicy;
use super::records;
use super::store::{Kind, Row};
use crate::aws::{AccountId, Region};

/// Whose KMS this is.
#[derive(Clone, Debug)]
pub(super) struct Site {
    pub(super) account: AccountId,
    /// Those that are served, each with keys and aliases of its own. They are of one partition.
    pub(super) regions: Arc<[Region]>,
    /// The policy of every key that was created without one.
    pub(super) default_policy: Arc<AttachedPolicy>,
    /// For so long a new grant is used by its token alone. Zero, unless a test wants it as at AWS.
    pub(super) grant_propagation_delay: Duration,
}

impl Site {
    /// The KMS of that account in those regions.
    pub(super) fn new(account: AccountId, regions: &[Region]) -> Self {
        let partition = regions.first().map_or("aws", |region| region.partition().as_str());
        let default_policy = Arc::new(AttachedPolicy::default_of(account, partition));
        Self { account, regions: regions.into(), default_policy, grant_propagation_delay: Duration::ZERO }
    }

    /// Whose keys these rows are; `None` if there is no key.
    pub(super) fn of_rows(rows: &[Row]) -> Option<Self> {
        let mut owner = Owner::default();
        for row in rows {
            owner.take(row);
        }
        owner.site()
    }
}

/// Whose keys some rows are: the account of the first key, and all regions.
#[derive(Debug, Default)]
pub(super) struct Owner {
    account: Option<AccountId>,
    regions: BTreeSet<Region>,
}

impl Owner {
    /// Looks at one row more. What cannot be read is for [`Loader`](super::loader::Loader) to refuse.
    pub(super) fn take(&mut self, row: &Row) {
        if row.id.kind != Kind::Key {
            return;
        }
        if self.account.is_none() {
            self.account = records::arn_of(row).map(|arn| arn.account());
        }
        let region = row.id.id.split_once('/').map_or("", |(region, _)| region);
        if !self.regions.iter().any(|seen| seen.as_str() == region) {
            self.regions.extend(region.parse());
        }
    }

    /// `None` if there was no key.
    pub(super) fn site(self) -> Option<Site> {
        Some(Site::new(self.account?, &self.regions.into_iter().collect::<Vec<_>>()))
    }
}
