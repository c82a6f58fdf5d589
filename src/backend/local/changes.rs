//! Changes of keys, aliases and grants: planned, committed and published by one thread, in that order.
//!
//! A change is planned against the newest state, so what a request saw when it was resolved is checked again. Changes
//! that wait together are committed together; nobody is answered, and no reader sees anything, before the commit is
//! on disk.
//!
//! Architecture invariant: what is published was committed, and what is answered was published. What happens by itself
//! has its place in the audit log before it is committed, as what is asked for has.

use std::iter;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, TrySendError};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::oneshot;

use super::directory::{Alias, Directory};
use super::due::{self, Event};
use super::grant_records::{grant_row, of_grant};
use super::key::KeyView;
use super::records::{self, Records};
use super::store::{Change, Store};
use super::store_id::StoreId;
use crate::audit::{self, StoreRevision, Writer};
use crate::aws::{AliasName, GrantId, KeyArn, Region};
use crate::clock::{Clock, Timestamp};
use crate::grants::Grant;
use crate::kms::{Answer, Exception, ExceptionKind};

/// How many changes may wait; as many as requests may be in flight by default.
const QUEUE: usize = 4096;
/// How many of them one commit takes.
const GROUP: usize = 64;

/// How long the thread sleeps at most before it looks at what is due.
const TICK: Duration = Duration::from_secs(1);

/// One thing that a change does.
pub(super) enum Edit {
    /// Puts a key in the place of the one with its ARN, or adds it.
    PutKey(Box<KeyView>),
    /// Takes a key away, its material, its aliases and its grants with it.
    RemoveKey(KeyArn),
    /// Points an alias of that region at a key there, whether or not there was one of that name.
    PutAlias(Region, AliasName, Alias),
    /// Takes an alias of that region away.
    RemoveAlias(Region, AliasName),
    /// Gives a key a grant, which is seen without its token from that time on.
    PutGrant(Arc<Grant>, Option<Timestamp>),
    /// Takes a grant of a key away.
    RemoveGrant(KeyArn, GrantId),
}

impl Edit {
    /// Puts `key` in the place of the one with its ARN, or adds it.
    pub(super) fn key(key: KeyView) -> Self {
        Self::PutKey(Box::new(key))
    }
}

/// What a change does, all or nothing of it, and how it is answered.
pub(super) type Planned = Result<(Vec<Edit>, Answer), Exception>;
/// Works out what to do from the newest state.
pub(super) type Plan = Box<dyn FnOnce(&Directory, Timestamp) -> Planned + Send>;
/// Is told the outcome before the one who waits is, if anybody does.
pub type Done = Box<dyn FnOnce(Result<&Answer, &Exception>) + Send>;

struct Job {
    plan: Plan,
    done: Done,
    reply: oneshot::Sender<Result<Answer, Exception>>,
}

impl Job {
    fn end(done: Done, reply: oneshot::Sender<Result<Answer, Exception>>, outcome: Result<Answer, Exception>) {
        done(outcome.as_ref());
        // Who asked may have gone.
        let _ = reply.send(outcome);
    }
}

/// The thread that makes changes.
pub(super) struct Changes {
    queue: Option<mpsc::SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
    failing: Arc<AtomicBool>,
    audit: Audit,
    store_id: StoreId,
    revision: Arc<AtomicU64>,
}

/// Where it is recorded what happens by itself, once somebody says.
type Audit = Arc<OnceLock<Arc<Writer>>>;

impl Changes {
    /// Starts the thread, which owns the store from now on.
    pub(super) fn start(
        store: Store,
        records: Arc<Records>,
        directory: Arc<ArcSwap<Directory>>,
        clock: Clock,
    ) -> std::io::Result<Self> {
        let (queue, jobs) = mpsc::sync_channel(QUEUE);
        let failing = Arc::new(AtomicBool::new(false));
        let audit = Audit::default();
        let (theirs, log) = (Arc::clone(&failing), Arc::clone(&audit));
        let store_id = store.id();
        let revision = Arc::new(AtomicU64::new(store.revision().number()));
        let published = Arc::clone(&revision);
        let committer = Committer { store, published, records, directory, clock, failing: theirs, audit: log };
        let thread = thread::Builder::new().name("store".into()).spawn(move || {
            yield_to_readers();
            committer.run(&jobs);
        })?;
        Ok(Self { queue: Some(queue), thread: Some(thread), failing, audit, store_id, revision })
    }

    /// Queues a change. It is carried out whether or not the answer is waited for.
    pub(super) fn submit(&self, plan: Plan, done: Done) -> oneshot::Receiver<Result<Answer, Exception>> {
        let (reply, answer) = oneshot::channel();
        let refused = match &self.queue {
            Some(queue) => queue.try_send(Job { plan, done, reply }).err(),
            None => return answer,
        };
        let (job, exception) = match refused {
            None => return answer,
            Some(TrySendError::Full(job)) => {
                (job, Exception::new(ExceptionKind::ServiceUnavailable, "too many changes are waiting"))
            }
            Some(TrySendError::Disconnected(job)) => (job, super::stopped()),
        };
        Job::end(job.done, job.reply, Err(exception));
        answer
    }

    /// Lets happen what happens by itself, and records it in `audit`. Only the first call has an effect.
    pub(super) fn record_in(&self, audit: Arc<Writer>) {
        let _ = self.audit.set(audit);
    }

    /// What tells which store this is, and at which revision.
    pub(super) fn revision(&self) -> impl Fn() -> StoreRevision + Send + Sync + 'static {
        let (id, revision) = (self.store_id, Arc::clone(&self.revision));
        move || StoreRevision { id: id.to_string(), revision: revision.load(Ordering::Acquire) }
    }

    /// Whether the last commit failed, or there will be no other because the thread has ended.
    pub(super) fn failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed) || self.thread.as_ref().is_some_and(JoinHandle::is_finished)
    }
}

impl Drop for Changes {
    /// Carries out what is queued, then lets go of the store.
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Who reads keys never waits for who changes them: not for a lock, and not for a core either, as far as the operating
/// system lets this thread say so.
fn yield_to_readers() {
    const NICE: i32 = 10;
    if let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE) {
        tracing::debug!(%error, "the store's thread keeps its priority");
    }
}

struct Committer {
    store: Store,
    /// The revision that was committed last.
    published: Arc<AtomicU64>,
    records: Arc<Records>,
    directory: Arc<ArcSwap<Directory>>,
    clock: Clock,
    failing: Arc<AtomicBool>,
    audit: Audit,
}

impl Committer {
    fn run(mut self, jobs: &mpsc::Receiver<Job>) {
        let mut wait = TICK;
        loop {
            match jobs.recv_timeout(wait) {
                Ok(first) => self.commit(iter::once(first).chain(jobs.try_iter()).take(GROUP)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            // One at a time, so that no request waits for all that may be due at once.
            wait = if self.carry_out_next_due() { Duration::ZERO } else { TICK };
        }
    }

    /// Plans a group of jobs one after another, commits what they come to, publishes it, answers. Refusals wait for the
    /// commit too: they may rest on what an earlier job of the group is about to do.
    fn commit(&mut self, group: impl Iterator<Item = Job>) {
        let mut directory = Directory::clone(&self.directory.load());
        let mut change = Change::default();
        let mut planned = Vec::new();
        for Job { plan, done, reply } in group {
            let outcome = self.plan(plan, &mut directory, &mut change);
            planned.push((done, reply, outcome));
        }
        let committed = self.store(directory, &change);
        for (done, reply, outcome) in planned {
            Job::end(done, reply, committed.clone().and(outcome));
        }
    }

    /// Commits a change and publishes what it comes to.
    fn store(&mut self, directory: Directory, change: &Change) -> Result<(), Exception> {
        if change.is_empty() {
            return Ok(());
        }
        let committed = self.store.commit(change);
        self.failing.store(committed.is_err(), Ordering::Relaxed);
        match committed {
            Ok(revision) => {
                self.published.store(revision.number(), Ordering::Release);
                self.directory.store(Arc::new(directory));
                Ok(())
            }
            Err(error) => {
                tracing::error!(%error, "the key store cannot be written");
                Err(Exception::kms_internal().with_detail(format!("the key store: {error}")))
            }
        }
    }

    /// The next thing that happens to a key by itself, if it is due; whether there was one. What cannot be recorded or
    /// stored is tried again at the next tick: until then the key is what it was, and no more than that is allowed with
    /// it. Expired material is of no use from its date on, whatever becomes of its removal.
    fn carry_out_next_due(&mut self) -> bool {
        let Some(audit) = self.audit.get().map(Arc::clone) else { return false };
        let now = self.clock.now();
        let Some(key) = self.directory.load().due(now).map(Arc::clone) else { return false };
        let outcome = self.carry_out(&key, now, &audit);
        match &outcome {
            Ok(event) => tracing::info!(key = key.arn.as_str(), event = event.name(), "done on its due date"),
            Err(exception) => {
                tracing::error!(key = key.arn.as_str(), detail = exception.detail(), "what is due cannot be done");
            }
        }
        outcome.is_ok()
    }

    /// Does what is due of a key, in a commit of its own, and records it.
    fn carry_out(&mut self, key: &Arc<KeyView>, now: Timestamp, audit: &Writer) -> Result<Event, Exception> {
        let unwritable = |error: audit::Unwritable| Exception::kms_internal().with_detail(error.to_string());
        let place = audit.reserve().map_err(unwritable)?;
        let mut directory = Directory::clone(&self.directory.load());
        let mut change = Change::default();
        let (edits, event) = due::plan(&self.records, &directory, key, now)?;
        self.apply(edits, &mut directory, &mut change)?;
        self.store(directory, &change)?;
        // Who does not wait for a record has it written at once, or as soon as the log takes records again.
        drop(audit.enqueue(audit::service_event(event.name(), &key.arn, now).as_bytes()));
        drop(place);
        Ok(event)
    }

    /// A plan that panics costs its own request and not the thread that all changes need.
    fn plan(&self, plan: Plan, directory: &mut Directory, change: &mut Change) -> Result<Answer, Exception> {
        let planned = catch_unwind(AssertUnwindSafe(|| plan(directory, self.clock.now())));
        let panicked = |_| Err(Exception::kms_internal().with_detail("the plan of a change panicked"));
        let (edits, answer) = planned.unwrap_or_else(panicked)?;
        self.apply(edits, directory, change)?;
        Ok(answer)
    }

    /// Makes the rows of all edits before the first of them is done: one that cannot be made costs the whole plan.
    fn apply(&self, edits: Vec<Edit>, directory: &mut Directory, change: &mut Change) -> Result<(), Exception> {
        let mut rows = Change::default();
        for edit in &edits {
            match edit {
                Edit::PutKey(key) => rows.put(self.records.key(key)?),
                Edit::PutAlias(region, name, alias) => rows.put(Records::alias(region, name, *alias)?),
                Edit::RemoveAlias(region, name) => rows.delete(records::alias_row(region, name)),
                Edit::PutGrant(grant, _) => rows.put(of_grant(grant)?),
                Edit::RemoveGrant(key, id) => rows.delete(grant_row(key, *id)),
                Edit::RemoveKey(arn) => {
                    let aliases = directory.key(arn).into_iter().flat_map(|key| &key.aliases);
                    aliases.for_each(|name| rows.delete(records::alias_row(arn.region(), name)));
                    let grants = directory.key(arn).into_iter().flat_map(|key| key.grants.following(None));
                    grants.for_each(|grant| rows.delete(grant_row(arn, grant.id)));
                    rows.delete(records::key_row(arn));
                }
            }
        }
        change.then(rows);
        for edit in edits {
            match edit {
                Edit::PutKey(key) => directory.put(*key),
                Edit::RemoveKey(arn) => directory.remove(&arn),
                Edit::PutAlias(region, name, alias) => directory.put_alias(&region, name, alias),
                Edit::RemoveAlias(region, name) => directory.remove_alias(&region, &name),
                Edit::PutGrant(grant, visible_from) => directory.put_grant(grant, visible_from),
                Edit::RemoveGrant(key, id) => directory.remove_grant(&key, id),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
