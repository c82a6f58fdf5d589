//! Keys and aliases that come from a file, of seeds or of exported keys: all of them are added or none.
//!
//! What is there already is left alone: a key that clients have described, tagged, switched off or rotated since stays
//! so, and the same file can be read again at every start. What contradicts the file is refused, all of it at once.
//! AWS's quota of keys is `CreateKey`'s to keep: a store that was exported whole is imported whole.

use std::collections::HashMap;
use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, mpsc};

use super::LocalBackend;
use super::aliases::MOST_ALIASES;
use super::changes::Edit;
use super::directory::{Alias, Directory};
use super::key::{KeyView, MultiRegion, Origin};
use super::material::KeyMaterial;
use super::materials::{Materials, Version};
use super::records::Records;
use super::site::Site;
use crate::aws::{AliasName, KeyArn, KeyId, Region};
use crate::clock::Timestamp;
use crate::faults::{Collector, Fault, Faults};
use crate::kms::{Answer, Exception};
use crate::random::Exhausted;
use crate::secret::same;

/// How many contradictions are told one by one.
const MOST_TOLD: usize = 50;

/// One key to be there.
pub(super) struct Addition {
    /// Where the file has it: `keys[3]`; may be empty.
    pub(super) place: String,
    /// The key, without aliases. Of a symmetric key made here that has no material, any will do.
    pub(super) key: KeyView,
    /// The aliases that point to it.
    pub(super) aliases: Vec<(AliasName, Alias)>,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Added {
    /// Keys that were not there yet.
    pub keys: usize,
    /// Keys that were, and are as they were.
    pub left_alone: usize,
    /// Aliases that were not there yet.
    pub aliases: usize,
}

/// What the store has otherwise than the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Contradiction {
    pub(super) place: String,
    pub(super) message: String,
    pub(super) hint: &'static str,
}

/// Why nothing was added.
pub(super) enum NotAdded {
    /// The file and the store contradict each other.
    Contradictions(Vec<Contradiction>),
    /// The store cannot be written.
    Store(Exception),
}

/// The contradictions as faults of the file.
pub(super) fn faults(file: &Path, found: Vec<Contradiction>) -> Faults {
    let faults = Collector::default();
    for Contradiction { place, message, hint } in found {
        let fault = Fault::of_file(file, message, hint);
        faults.push(Fault { path: place, ..fault });
    }
    match faults.finish::<Infallible>(file, None) {
        Err(faults) => faults,
        Ok(never) => match never {},
    }
}

impl From<Exhausted> for NotAdded {
    fn from(exhausted: Exhausted) -> Self {
        Self::Store(exhausted.into())
    }
}

impl LocalBackend {
    /// Adds what `wanted` makes in one commit. Blocks until it is stored.
    pub(super) fn add(
        &self,
        wanted: impl FnOnce(&Records, Timestamp) -> Vec<Addition> + Send + 'static,
    ) -> Result<Added, NotAdded> {
        let (site, records) = (self.site.clone(), Arc::clone(&self.records));
        let (tell, told) = mpsc::channel();
        let plan = move |directory: &Directory, now| {
            let planned = Plan::new(&site, &records, directory).all(wanted(&records, now));
            let (planned, outcome) = match planned {
                Ok((edits, added)) => (Ok((edits, Answer::empty())), Ok(added)),
                Err(NotAdded::Store(exception)) => (Err(exception.clone()), Err(NotAdded::Store(exception))),
                Err(contradictions) => (Err(Exception::kms_internal()), Err(contradictions)),
            };
            // Who is told waits below.
            let _ = tell.send(outcome);
            planned
        };
        let answer = self.changes.submit(Box::new(plan), Box::new(|_| ())).blocking_recv();
        match (told.try_recv(), answer.unwrap_or_else(|_| Err(super::stopped()))) {
            (Ok(Ok(added)), Ok(_)) => Ok(added),
            (Ok(Err(not_added)), _) => Err(not_added),
            (_, Err(exception)) => Err(NotAdded::Store(exception)),
            (Err(_), Ok(_)) => Err(NotAdded::Store(super::stopped())),
        }
    }
}

struct Plan<'d> {
    site: &'d Site,
    records: &'d Records,
    directory: &'d Directory,
    edits: Vec<Edit>,
    added: Added,
    contradictions: Vec<Contradiction>,
}

impl<'d> Plan<'d> {
    fn new(site: &'d Site, records: &'d Records, directory: &'d Directory) -> Self {
        Self { site, records, directory, edits: Vec::new(), added: Added::default(), contradictions: Vec::new() }
    }

    fn all(mut self, wanted: Vec<Addition>) -> Result<(Vec<Edit>, Added), NotAdded> {
        let relatives = Relatives::of(&wanted);
        for addition in wanted {
            self.one(addition, &relatives)?;
        }
        if self.contradictions.is_empty() {
            return Ok((self.edits, self.added));
        }
        let more = self.contradictions.len().saturating_sub(MOST_TOLD);
        self.contradictions.truncate(MOST_TOLD);
        if more > 0 {
            self.refuse("", format!("contradicts the store in {more} more places"), "mend those above first");
        }
        Err(NotAdded::Contradictions(self.contradictions))
    }

    fn one(&mut self, Addition { place, key, aliases }: Addition, relatives: &Relatives) -> Result<(), Exhausted> {
        let arn = key.arn.clone();
        if arn.account() != self.site.account || !self.site.regions.contains(arn.region()) {
            let message = format!("{arn} is of a region or account that is not served here");
            self.refuse(&place, message, "name the configuration of a gateway that serves it with --config");
            return Ok(());
        }
        let there = self.directory.key(&arn);
        match there {
            Some(there) => {
                self.added.left_alone += 1;
                if let Some(message) = contradiction(there, &key) {
                    self.refuse(&place, message, "take it out of the file, or give it another id");
                }
            }
            None => self.new_key(&place, key, relatives)?,
        }
        self.point(&place, &arn, there.map_or(0, |there| there.aliases.len()), aliases);
        Ok(())
    }

    fn new_key(&mut self, place: &str, mut key: KeyView, relatives: &Relatives) -> Result<(), Exhausted> {
        if let Some(message) = self.strange_relative(&key, relatives) {
            self.refuse(place, message, "multi-Region keys of one id come together, or by ReplicateKey");
        }
        if key.materials.current.is_none() && key.spec.symmetric() && key.origin == Origin::AwsKms {
            key.materials = Materials::new(Version::first(self.records.sealer(&key.arn, KeyMaterial::generate()?)));
        }
        self.added.keys += 1;
        self.edits.push(Edit::key(key));
        Ok(())
    }

    /// Points aliases to a key that has `own` of them already.
    fn point(&mut self, place: &str, arn: &KeyArn, own: usize, aliases: Vec<(AliasName, Alias)>) {
        let Ok(regional) = self.directory.region(arn.region()) else { return };
        let mut count = own;
        for (name, alias) in aliases {
            match regional.aliases.get(&name) {
                None => {
                    count += 1;
                    self.added.aliases += 1;
                    self.edits.push(Edit::PutAlias(arn.region().clone(), name, alias));
                }
                Some(there) if there.key.id() == alias.target => {}
                Some(there) => {
                    let message = format!("{name} is to point to {}, and points to {}", alias.target, there.key.id());
                    self.refuse(place, message, "take the alias out of the file, or move it with UpdateAlias");
                }
            }
        }
        if count > MOST_ALIASES {
            let message = format!("{arn} would have {count} aliases, and AWS's quota is {MOST_ALIASES}");
            self.refuse(place, message, "take aliases out of the file");
        }
    }

    /// What is wrong between a new multi-Region key and its relatives, which must all be there and know each other.
    fn strange_relative(&self, key: &KeyView, relatives: &Relatives) -> Option<String> {
        let (arn, own) = (&key.arn, key.multi_region.as_deref()?);
        let regions = own.replicas.iter().chain([&own.primary]).filter(|region| *region != arn.region());
        for region in regions {
            let there = self.directory.region(region).ok().and_then(|regional| regional.key(arn.id()));
            let relative = there.and_then(|there| there.multi_region.as_deref());
            if relative.or_else(|| relatives.get(arn.id(), region)) != Some(own) {
                return Some(format!("{arn} has a relative in {region} that is not here, or not as it should be"));
            }
        }
        let related = |region: &Region| *region == own.primary || own.replicas.contains(region);
        let has = |region: &&Region| self.directory.region(region).is_ok_and(|there| there.key(arn.id()).is_some());
        let stranger = self.site.regions.iter().filter(|region| !related(region)).find(has)?;
        Some(format!("{arn} is in {stranger} already, and is no relative of that key"))
    }

    fn refuse(&mut self, place: &str, message: String, hint: &'static str) {
        self.contradictions.push(Contradiction { place: place.to_owned(), message, hint });
    }
}

/// How the multi-Region keys of a file are related, by id and region.
struct Relatives(HashMap<(KeyId, String), MultiRegion>);

impl Relatives {
    fn of(wanted: &[Addition]) -> Self {
        let multi_region = |addition: &Addition| {
            let KeyView { arn, multi_region, .. } = &addition.key;
            Some(((arn.id(), arn.region().to_string()), multi_region.as_deref()?.clone()))
        };
        Self(wanted.iter().filter_map(multi_region).collect())
    }

    fn get(&self, id: KeyId, region: &Region) -> Option<&MultiRegion> {
        self.0.get(&(id, region.to_string()))
    }
}

/// What of a key that is there can never become what the file says.
fn contradiction(there: &KeyView, wanted: &KeyView) -> Option<String> {
    let arn = &there.arn;
    let kind = |key: &KeyView| (key.spec, key.usage, key.origin);
    if kind(there) != kind(wanted) {
        let (spec, usage, origin) = (there.spec.name(), there.usage.name(), there.origin.name());
        return Some(format!("{arn} is there already, as {spec} for {usage} of the origin {origin}"));
    }
    let strange = |wanted: &&Version| match there.materials.version(wanted.id) {
        None => true,
        Some(version) => match (&version.sealer, &wanted.sealer) {
            (Some(there), Some(wanted)) => !same(there.material().secret(), wanted.material().secret()),
            // Imported material that was deleted here is not brought back behind its owner's back.
            _ => false,
        },
    };
    // What only waits for a rotation is not the key's yet, and may be gone without a trace.
    let version = wanted.materials.used().find(strange)?;
    Some(format!("{arn} is there already, and without the key material {} of the file", version.id))
}
