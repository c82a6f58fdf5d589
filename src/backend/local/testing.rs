//! For this module's tests: a backend in a directory of its own, called as the layers call it.

use std::io;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::changes::{Changes, Edit};
use super::directory::{Directory, Regional};
use super::key::KeyView;
use super::loader::Loader;
use super::records::Records;
use super::root_key::RootKey;
use super::store::{Change, Row, Store};
use super::{LocalBackend, OpenError, Requester};
use crate::audit::Writer;
use crate::aws::{KeyArn, Operation, Region};
use crate::clock::{Clock, ManualClock, Timestamp};
use crate::credentials::PrincipalArn;
use crate::kms::{Answer, Exception, Input};

pub(super) const ACCOUNT: &str = "111122223333";
pub(super) const CALLER: &str = "arn:aws:iam::111122223333:user/orders";
/// Who is known beside a caller.
const OTHERS: &[&str] = &[
    "arn:aws:iam::111122223333:user/clerk",
    "arn:aws:iam::111122223333:role/team/bills",
    "arn:aws:iam::444455556666:user/stranger",
];
/// A key that is never there.
pub(super) const NO_KEY: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";

/// The region that is called.
pub(super) fn region() -> Region {
    "us-east-1".parse().unwrap()
}

/// A backend of [`ACCOUNT`] in us-east-1, and in other regions if it is told so.
pub(super) struct Local {
    pub(super) backend: LocalBackend,
    pub(super) clock: ManualClock,
    regions: Vec<Region>,
    directory: TempDir,
}

impl Local {
    pub(super) fn new() -> Self {
        Self::in_regions(&["us-east-1"])
    }

    pub(super) fn in_regions(regions: &[&str]) -> Self {
        let regions: Vec<Region> = regions.iter().map(|region| region.parse().unwrap()).collect();
        let clock = ManualClock::new(Timestamp::parse_basic("20261123T182241Z").unwrap());
        let directory = tempfile::tempdir().unwrap();
        let backend = open(directory.path(), &regions, ACCOUNT, &clock).unwrap();
        Self { backend, clock, regions, directory }
    }

    /// The same store, closed and opened again.
    pub(super) fn reopened(self) -> Self {
        let regions = self.regions.clone();
        self.reopened_in(regions, ACCOUNT).unwrap()
    }

    pub(super) fn reopened_for(self, region: &str, account: &str) -> Result<Self, OpenError> {
        self.reopened_in(vec![region.parse().unwrap()], account)
    }

    fn reopened_in(self, regions: Vec<Region>, account: &str) -> Result<Self, OpenError> {
        let Self { backend, clock, directory, .. } = self;
        drop(backend);
        let backend = open(directory.path(), &regions, account, &clock)?;
        Ok(Self { backend, clock, regions, directory })
    }

    /// The same store, once `edit` has changed its rows with all that a change of the gateway's own has.
    pub(super) fn edited(self, edit: impl FnOnce(&[Row]) -> Change) -> Result<Self, OpenError> {
        let Self { backend, clock, regions, directory } = self;
        drop(backend);
        let (mut store, rows) = store(directory.path());
        store.commit(&edit(&rows)).unwrap();
        drop(store);
        let backend = open(directory.path(), &regions, ACCOUNT, &clock)?;
        Ok(Self { backend, clock, regions, directory })
    }

    /// The same backend on a store that takes no larger file than it has now.
    pub(super) fn on_a_full_disk(self) -> Self {
        let Self { backend, clock, regions, directory } = self;
        let site = backend.site.clone();
        drop(backend);
        let (store, rows) = store(directory.path());
        store.may_not_grow();
        let mut loader = Loader::new(Records::new(&root_key(directory.path()), store.id()), &site);
        for row in &rows {
            loader.take(row);
        }
        let (records, entries) = loader.finish().unwrap();
        let (records, entries) = (Arc::new(records), Arc::new(arc_swap::ArcSwap::from_pointee(entries)));
        let now = Clock::Manual(clock.clone());
        let changes = Changes::start(store, Arc::clone(&records), Arc::clone(&entries), now.clone()).unwrap();
        Self {
            backend: LocalBackend { site, directory: entries, changes, records, clock: now },
            clock,
            regions,
            directory,
        }
    }

    /// A backend whose one region is another.
    pub(super) fn in_region(name: &str) -> Self {
        Self::new().reopened_for(name, ACCOUNT).unwrap()
    }

    /// The same store, closed.
    pub(super) fn closed(self) -> ClosedLocal {
        let Self { backend, clock, regions, directory } = self;
        drop(backend);
        ClosedLocal { clock, regions, directory }
    }

    /// Stores a key that no operation of a client's would leave like that.
    pub(super) fn commit(&self, key: KeyView) {
        let put = |_: &Directory, _| Ok((vec![Edit::key(key)], Answer::empty()));
        let answer = self.backend.changes.submit(Box::new(put), Box::new(|_| ()));
        answer.blocking_recv().unwrap().unwrap();
    }

    /// How often the store was changed. Closes it.
    pub(super) fn revision(self) -> u64 {
        let Self { backend, directory, .. } = self;
        drop(backend);
        store(directory.path()).0.revision().number()
    }

    /// What the root key's file is called.
    pub(super) fn root_key_file(&self) -> std::path::PathBuf {
        self.directory.path().join("root.key")
    }

    /// Lets so many days go by, and what is due then be done.
    pub(super) fn pass(&self, days: u32) {
        // Nothing happens by itself that is not recorded somewhere.
        self.backend.record_in(Arc::new(Writer::inline(io::sink())));
        self.clock.set(self.backend_now().plus(std::time::Duration::from_hours(24) * days));
        // One thing that is due is done behind each change, so behind one of these and before the next is answered. No test
        // has as many.
        for _ in 0..16 {
            let nothing = |_: &Directory, _| Ok((Vec::new(), Answer::empty()));
            let answer = self.backend.changes.submit(Box::new(nothing), Box::new(|_| ()));
            answer.blocking_recv().unwrap().unwrap();
        }
    }

    fn backend_now(&self) -> Timestamp {
        Clock::Manual(self.clock.clone()).now()
    }

    /// What there is in the region that is called.
    pub(super) fn entries(&self) -> Regional {
        self.backend.directory.load().region(&region()).unwrap().clone()
    }
}

fn open(directory: &Path, regions: &[Region], account: &str, clock: &ManualClock) -> Result<LocalBackend, OpenError> {
    let (account, clock) = (account.parse().unwrap(), Clock::Manual(clock.clone()));
    LocalBackend::open(&directory.join("data"), &directory.join("root.key"), regions, account, &clock)
}

fn root_key(directory: &Path) -> RootKey {
    RootKey::read(&directory.join("root.key")).unwrap()
}

fn store(directory: &Path) -> (Store, Vec<Row>) {
    let (store, rows) = Store::open(&directory.join("data/keys.sqlite"), &root_key(directory)).unwrap();
    (store, rows.rows)
}

/// A store that nobody has open.
pub(super) struct ClosedLocal {
    clock: ManualClock,
    regions: Vec<Region>,
    directory: TempDir,
}

impl ClosedLocal {
    /// Its directory, with `root.key` and `data`.
    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(super) fn reopened(self) -> Local {
        let Self { clock, regions, directory } = self;
        let backend = open(directory.path(), &regions, ACCOUNT, &clock).unwrap();
        Local { backend, clock, regions, directory }
    }
}

/// Calls, as [`CALLER`] makes them.
impl Local {
    /// The answer as JSON, `null` if it has no body.
    pub(super) fn call(&self, operation: Operation, body: &Value) -> Result<Value, Exception> {
        self.call_as(CALLER, operation, body)
    }

    pub(super) fn call_as(&self, caller: &str, operation: Operation, body: &Value) -> Result<Value, Exception> {
        self.call_by(caller, &region(), operation, body)
    }

    /// As [`Self::call`], to the KMS of another region.
    pub(super) fn call_in(&self, region: &str, operation: Operation, body: &Value) -> Result<Value, Exception> {
        self.call_by(CALLER, &region.parse().unwrap(), operation, body)
    }

    fn call_by(&self, caller: &str, region: &Region, operation: Operation, body: &Value) -> Result<Value, Exception> {
        self.call_for(Requester::of_test(caller, OTHERS), region, operation, body)
    }

    pub(super) fn call_for(
        &self,
        requester: Requester,
        region: &Region,
        operation: Operation,
        body: &Value,
    ) -> Result<Value, Exception> {
        let caller: PrincipalArn = requester.principal.arn.clone();
        let input = Input::parse(operation, body.to_string().as_bytes())?;
        let keys = self.backend.resolve(&input, &caller, region)?;
        let answer = if operation.mutating() {
            wait(self.backend.change(input, keys, region.clone(), requester, Box::new(|_| ())))
        } else {
            self.backend.answer(&input, &keys, region)
        }?;
        Ok(if answer.body.is_empty() { Value::Null } else { serde_json::from_slice(&answer.body).unwrap() })
    }

    pub(super) fn ok(&self, operation: Operation, body: &Value) -> Value {
        self.call(operation, body).unwrap_or_else(|exception| panic!("{operation:?} {body}: {exception}"))
    }

    /// The refusal as the client reads it: `Code: message`, or the code alone where there is no message.
    pub(super) fn refusal(&self, operation: Operation, body: &Value) -> String {
        match self.call(operation, body) {
            Ok(answer) => format!("no refusal: {answer}"),
            Err(exception) => exception.to_string(),
        }
    }

    /// The code of the refusal, where KMS's text is not known.
    pub(super) fn code(&self, operation: Operation, body: &Value) -> String {
        self.refusal(operation, body).split(':').next().unwrap_or_default().to_owned()
    }

    pub(super) fn create_key(&self) -> KeyArn {
        self.ok(Operation::CreateKey, &json!({}))["KeyMetadata"]["Arn"].as_str().unwrap().parse().unwrap()
    }

    pub(super) fn create_alias(&self, name: &str, key: &KeyArn) {
        self.ok(Operation::CreateAlias, &json!({"AliasName": name, "TargetKeyId": key.as_str()}));
    }

    pub(super) fn disable(&self, key: &KeyArn) {
        self.ok(Operation::DisableKey, &json!({"KeyId": key.as_str()}));
    }

    pub(super) fn schedule_deletion(&self, key: &KeyArn) {
        self.ok(Operation::ScheduleKeyDeletion, &json!({"KeyId": key.as_str()}));
    }

    /// A ciphertext of `plaintext` in base64.
    pub(super) fn encrypt(&self, key: &KeyArn, plaintext: &str, context: &Value) -> String {
        let body = json!({"KeyId": key.as_str(), "Plaintext": plaintext, "EncryptionContext": context});
        self.ok(Operation::Encrypt, &body)["CiphertextBlob"].as_str().unwrap().to_owned()
    }
}

/// Waits for an answer outside of any runtime.
pub(super) fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// The names of an object's members.
pub(super) fn members(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}
