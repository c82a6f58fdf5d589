//! Changes of keys and aliases: planned, committed and published by one thread, in that order.
//!
//! A change is planned against the newest state, so what a request saw when it was resolved is checked again. Changes
//! that wait together are committed together; nobody is answered, and no reader sees anything, before the commit is
//! on disk.
//!
//! Architecture invariant: what is published was committed, and what is answered was published.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use arc_swap::ArcSwap;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::directory::{Alias, Directory};
use super::key::KeyView;
use super::records::Records;
use super::store::{Change, Store};
use crate::aws::AliasName;
use crate::clock::{Clock, Timestamp};
use crate::kms::{Answer, Exception, ExceptionKind};

/// How many changes may wait; as many as requests may be in flight by default.
const QUEUE: usize = 4096;
/// How many of them one commit takes.
const GROUP: usize = 64;

/// What a change does.
pub(super) enum Edit {
    /// Nothing: the key is in that state already.
    Nothing,
    /// Puts a key in the place of the one with its id, or adds it.
    Key(KeyView),
    /// Adds an alias.
    Alias(AliasName, Alias),
    /// Adds a key and an alias that points to it.
    KeyWithAlias(KeyView, AliasName, Alias),
}

/// Works out what to do from the newest state.
pub(super) type Plan = Box<dyn FnOnce(&Directory, Timestamp) -> Result<(Edit, Answer), Exception> + Send>;
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
    queue: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    failing: Arc<AtomicBool>,
}

impl Changes {
    /// Starts the thread, which owns the store from now on.
    pub(super) fn start(
        store: Store,
        records: Arc<Records>,
        directory: Arc<ArcSwap<Directory>>,
        clock: Clock,
    ) -> std::io::Result<Self> {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let failing = Arc::new(AtomicBool::new(false));
        let committer = Committer { store, records, directory, clock, failing: Arc::clone(&failing) };
        let thread = thread::Builder::new().name("store".into()).spawn(move || committer.run(jobs))?;
        Ok(Self { queue: Some(queue), thread: Some(thread), failing })
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
            Some(TrySendError::Closed(job)) => (job, super::stopped()),
        };
        Job::end(job.done, job.reply, Err(exception));
        answer
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

struct Committer {
    store: Store,
    records: Arc<Records>,
    directory: Arc<ArcSwap<Directory>>,
    clock: Clock,
    failing: Arc<AtomicBool>,
}

impl Committer {
    fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut group = Vec::with_capacity(GROUP);
        while jobs.blocking_recv_many(&mut group, GROUP) > 0 {
            self.commit(group.drain(..));
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
        let nothing = change.put.is_empty() && change.delete.is_empty();
        let committed = if nothing { Ok(()) } else { self.store.commit(&change).map(|_| ()) };
        match &committed {
            Ok(()) if nothing => {}
            Ok(()) => {
                self.directory.store(Arc::new(directory));
                self.failing.store(false, Ordering::Relaxed);
            }
            Err(error) => {
                tracing::error!(%error, "the key store cannot be written");
                self.failing.store(true, Ordering::Relaxed);
            }
        }
        for (done, reply, outcome) in planned {
            let stored = committed
                .as_ref()
                .map_err(|error| Exception::kms_internal().with_detail(format!("the key store: {error}")));
            Job::end(done, reply, stored.and(outcome));
        }
    }

    /// A plan that panics costs its own request and not the thread that all changes need.
    fn plan(&self, plan: Plan, directory: &mut Directory, change: &mut Change) -> Result<Answer, Exception> {
        let planned = catch_unwind(AssertUnwindSafe(|| plan(directory, self.clock.now())));
        let panicked = |_| Err(Exception::kms_internal().with_detail("the plan of a change panicked"));
        let (edit, answer) = planned.unwrap_or_else(panicked)?;
        self.apply(edit, directory, change)?;
        Ok(answer)
    }

    fn apply(&self, edit: Edit, directory: &mut Directory, change: &mut Change) -> Result<(), Exception> {
        let (key, alias) = match edit {
            Edit::Nothing => (None, None),
            Edit::Key(key) => (Some(key), None),
            Edit::Alias(name, alias) => (None, Some((name, alias))),
            Edit::KeyWithAlias(key, name, alias) => (Some(key), Some((name, alias))),
        };
        if let Some(key) = key {
            if directory.key(key.id()).is_none() {
                change.put.push(self.records.material(&key)?);
            }
            change.put.push(Records::key(&key)?);
            directory.put(key);
        }
        if let Some((name, alias)) = alias {
            change.put.push(Records::alias(&name, alias)?);
            directory.add_alias(name, alias);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
