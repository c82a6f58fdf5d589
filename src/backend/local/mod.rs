//! The local backend: a KMS whose keys are sealed in an embedded store under one root key.
//!
//! root key -> key material (wrapped, bound to its key) -> a key derived for each message -> AES-256-GCM over header
//! and encryption context. All key state is in memory as one [`KeyView`] a key; requests that only use keys touch
//! nothing else. Changes go through one thread that commits before it publishes and answers.

mod additions;
mod aliases;
mod attached_policy;
mod blob;
mod changes;
mod ciphertexts;
mod create;
mod data_keys;
mod describe;
mod directory;
mod due;
mod gcm;
#[cfg(test)]
mod golden;
mod grant_pages;
mod grant_records;
mod grants;
mod import;
mod import_token;
mod import_wrapping;
mod kdf;
mod key;
mod key_file;
mod key_pair;
mod key_pairs;
mod key_policy;
mod key_spec;
mod key_tag;
mod keys_export;
mod keys_import;
mod loader;
mod manage;
mod material;
mod materials;
mod message;
mod metadata;
mod multi_region;
mod names;
mod open;
mod operations;
mod pages;
mod records;
mod requester;
mod resolve;
mod root_key;
mod rotation;
mod seeds;
mod site;
mod states;
mod store;
mod store_id;
mod tags;
#[cfg(test)]
mod testing;
mod transport;
mod transport_key;

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;

use changes::{Changes, Edit};
use create::NewKey;
use directory::{Alias, Directory};
use operations::{Change, Handler, Question};
use records::Records;
use site::Site;

pub use additions::Added;
pub use attached_policy::AttachedPolicy;
pub use changes::Done;
pub use grants::Tokens;
pub use import::DEFAULT_EXPIRATION_MODEL;
pub use key::{ENCRYPTION_ALGORITHM, KeyState, KeyView, MultiRegion, Origin, Rotation};
pub use key_spec::{KeySpec, KeyUsage};
pub use keys_export::{Exported, TransportError};
pub use keys_import::{ImportFile, Imported};
pub use manage::DEFAULT_PENDING_WINDOW_DAYS;
pub use open::OpenError;
pub use requester::{KeepsControl, Requester};
pub use rotation::DEFAULT_ROTATION_PERIOD_DAYS;
pub use seeds::{SeedError, Seeds};
pub use transport_key::{TransportKey, not_written};

use super::Keys;
use crate::audit::{StoreRevision, Writer};
use crate::aws::{AliasName, KeyArn, Operation, Region};
use crate::clock::Clock;
use crate::kms::{Answer, Exception, Input};
use crate::random::Exhausted;

/// The KMS of one account, in one or more regions.
pub struct LocalBackend {
    site: Site,
    directory: Arc<ArcSwap<Directory>>,
    changes: Changes,
    records: Arc<Records>,
    clock: Clock,
}

impl LocalBackend {
    /// Answers an operation that changes nothing, asked of the KMS of `region`. `keys` are what [`Self::resolve`] found
    /// for `input`.
    ///
    /// # Errors
    ///
    /// KMS's refusals, in KMS's order.
    pub fn answer(&self, input: &Input, keys: &Keys, region: &Region) -> Result<Answer, Exception> {
        match operations::handler(input.operation()) {
            Some(Handler::Answer(answer)) => answer(&Question { backend: self, region, input, keys }),
            _ => Err(operations::not_served(input.operation())),
        }
    }

    /// Whether this backend serves the operation.
    #[must_use]
    pub const fn serves(operation: Operation) -> bool {
        operations::handler(operation).is_some()
    }

    /// Whether [`Self::answer`] takes longer than a millisecond, or [`Self::change`] before it returns, so that no worker
    /// may wait for it.
    #[must_use]
    pub fn is_slow(input: &Input) -> bool {
        let imports = [Operation::GetParametersForImport, Operation::ImportKeyMaterial];
        key_pairs::is_slow(input) || imports.contains(&input.operation())
    }

    /// Carries out an operation that changes something, for `requester`, whether or not the future that it returns is waited for.
    /// `done` is told the outcome first.
    ///
    /// # Errors
    ///
    /// KMS's refusals, judged by the state that the change is made to; `KMSInternalException` if it could not be
    /// stored, and then nothing has changed.
    pub fn change(
        &self,
        input: Input,
        keys: Keys,
        region: Region,
        requester: Requester,
        done: Done,
    ) -> impl Future<Output = Result<Answer, Exception>> + Send + use<> {
        let (site, records) = (self.site.clone(), Arc::clone(&self.records));
        let imports = input.operation() == Operation::ImportKeyMaterial;
        let imported = imports.then(|| import::unwrapped(&records, &input, &keys, self.clock.now()));
        let plan = move |directory: &Directory, now| match operations::handler(input.operation()) {
            Some(Handler::Change(plan)) => {
                let (site, records, region, requester) = (&site, &*records, &region, &requester);
                let (input, keys) = (&input, &keys);
                plan(Change { site, records, directory, region, requester, input, keys, imported, now })
            }
            _ => Err(operations::not_served(input.operation())),
        };
        let answer = self.changes.submit(Box::new(plan), done);
        async move { answer.await.unwrap_or_else(|_| Err(stopped())) }
    }

    /// The key that `alias` points to in `region`; makes both if there is no such alias. Blocks until they are stored.
    ///
    /// # Errors
    ///
    /// As [`Self::change`].
    pub fn ensure_key(&self, region: &Region, alias: &AliasName, description: &str) -> Result<KeyArn, Exception> {
        let found = |directory: &Directory| {
            let keys = directory.region(region)?;
            Ok::<_, Exception>(keys.aliased(alias.as_str()).map(|key| key.arn.clone()))
        };
        if let Some(arn) = found(&self.directory.load())? {
            return Ok(arn);
        }
        let (site, records, place) = (self.site.clone(), Arc::clone(&self.records), region.clone());
        let (name, asked) = (alias.clone(), NewKey::usual(description));
        let make = move |_: &Directory, now| {
            let key = create::new_key(&site, &place, &records, asked, now)?;
            let alias = Alias { target: key.id(), created: now, updated: now };
            Ok((vec![Edit::key(key), Edit::PutAlias(place, name, alias)], Answer::empty()))
        };
        let answer = self.changes.submit(Box::new(make), Box::new(|_| ()));
        answer.blocking_recv().unwrap_or_else(|_| Err(stopped()))?;
        found(&self.directory.load())?.ok_or_else(|| Exception::not_found_alias(alias.as_str()))
    }

    /// Lets happen what happens to keys by itself, deletion and rotation on their dates and the end of imported material,
    /// and records it in `audit`. Before this is called none of it does: nothing is done that would not be recorded.
    /// Only the first call has an effect.
    pub fn record_in(&self, audit: Arc<Writer>) {
        self.changes.record_in(audit);
    }

    /// What tells which store this is, and at which revision.
    pub fn store_revision(&self) -> impl Fn() -> StoreRevision + Send + Sync + 'static {
        self.changes.revision()
    }

    /// Why changes cannot be stored, if that is so; for readiness.
    #[must_use]
    pub fn unready(&self) -> Option<String> {
        self.changes.failing().then(|| "the key store cannot be written; see the log".to_owned())
    }
}

impl fmt::Debug for LocalBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalBackend").field("keys", &self.directory.load().len()).finish_non_exhaustive()
    }
}

/// The key that the request is about.
fn main_key(keys: &Keys) -> Result<&Arc<KeyView>, Exception> {
    keys.main.as_ref().and_then(|found| found.key.local()).ok_or_else(unresolved)
}

/// That key as it is now.
fn current<'d>(directory: &'d Directory, keys: &Keys) -> Result<&'d Arc<KeyView>, Exception> {
    let key = main_key(keys)?;
    directory.key(&key.arn).ok_or_else(|| Exception::not_found_key(key.arn.as_str()))
}

/// Every operation on a key requires the member that names it, so this is never seen.
fn unresolved() -> Exception {
    Exception::kms_internal().with_detail("no key was resolved")
}

fn stopped() -> Exception {
    Exception::kms_internal().with_detail("the key store has stopped")
}

impl From<Exhausted> for Exception {
    fn from(exhausted: Exhausted) -> Self {
        Self::kms_internal().with_detail(exhausted.to_string())
    }
}
