//! Writes finished records: workers queue lines, and whoever holds the sink writes all that is queued at once.
//!
//! A worker queues its line, lets the other requests that are ready queue theirs, and then writes the whole
//! queue with one call; those whose lines went along find them written and wait for nothing. Only where
//! another thread is writing at that moment does a request register to be woken.
//!
//! When a write fails, every request of the batch is told, the lines stay queued, and [`Writer::reserve`]
//! refuses new requests until the backlog has been written. Each attempt to reserve, and each look at
//! [`Writer::health`], tries again, so service resumes by itself, with or without traffic.
//!
//! Architecture invariant: a ticket resolves to `Ok` only after the kernel has taken every byte of its line,
//! and no line begins before the one before it has ended.

mod sink;
mod ticket;

use std::fmt;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::task::Waker;
use std::thread;
use std::time::Duration;

use tokio::time::Instant;

use sink::Sink;
pub use ticket::Ticket;

/// What a place promises: the bytes of a usual record, with room to spare.
const PLACE_BYTES: usize = 4 * 1024;
/// How many bytes may be promised and unwritten before requests are refused: 4,096 requests in flight hold
/// 16 MiB of places, and the bodies they were made from at most 16 MiB more.
const BACKLOG_BYTES: usize = 64 * 1024 * 1024;
/// Beyond this a record is given up and counted: only reached if the caps on what is in flight do not hold.
const LAST_BYTES: usize = 2 * BACKLOG_BYTES;
/// A write that takes longer waits for a reader, or a disk, that does not come.
const STALLED: Duration = Duration::from_secs(5);
/// How long a sink's own thread waits before it tries a failed write again.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// The audit log cannot take a record, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the audit log cannot be written: {reason}")]
pub struct Unwritable {
    reason: Arc<str>,
}

impl Unwritable {
    fn stalled() -> Self {
        Self { reason: "what it is written to does not take it".into() }
    }
}

/// Where finished records go; shared by all workers.
pub struct Writer {
    shared: Arc<Shared>,
}

struct Shared {
    /// Every line up to this number is with the kernel.
    written: AtomicU64,
    /// Every line up to this number that is not written was part of a write that failed.
    failed: AtomicU64,
    /// Bytes promised to places and bytes queued.
    held: AtomicUsize,
    lost: AtomicU64,
    healthy: AtomicBool,
    made: Instant,
    /// When the write that is under way began, in microseconds since `made`; zero while none is.
    writing_since: AtomicU64,
    queue: Mutex<Queue>,
    /// `None`: the sink belongs to a thread of its own.
    sink: Option<Mutex<Sink>>,
    /// Wakes the sink's own thread.
    work: Condvar,
    /// Wakes who waits for the queue to run empty.
    idle: Condvar,
}

#[derive(Default)]
struct Queue {
    bytes: Vec<u8>,
    last: u64,
    waiters: Vec<Waker>,
    /// Somebody left a line behind that nobody waits for.
    orphaned: bool,
    /// The sink's own thread waits for work.
    sleeping: bool,
    closing: bool,
    fault: Option<Unwritable>,
}

/// Room for one record, promised before the request that it will tell of is carried out.
pub struct Place {
    shared: Arc<Shared>,
}

impl Writer {
    /// Writes on the threads of the requests; for sinks that do not block, which is to say files.
    #[must_use]
    pub fn inline(sink: impl Write + Send + 'static) -> Self {
        Self { shared: Arc::new(Shared::new(Some(Mutex::new(Sink::new(sink))))) }
    }

    /// Writes on a thread of its own; for sinks that can block, such as pipes and terminals.
    ///
    /// # Errors
    ///
    /// If the thread cannot be started.
    pub fn threaded(sink: impl Write + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(None));
        let (theirs, mut sink) = (Arc::clone(&shared), Sink::new(sink));
        thread::Builder::new().name("audit".into()).spawn(move || theirs.serve(&mut sink))?;
        Ok(Self { shared })
    }

    /// Promises room for one record, before anything irrevocable is done for the request that it will tell of.
    ///
    /// # Errors
    ///
    /// [`Unwritable`] while earlier records cannot be written, or too many are waiting.
    pub fn reserve(&self) -> Result<Place, Unwritable> {
        self.health()?;
        let before = self.shared.held.fetch_add(PLACE_BYTES, Ordering::Relaxed);
        let place = Place { shared: Arc::clone(&self.shared) };
        if before > BACKLOG_BYTES - PLACE_BYTES {
            return Err(Unwritable { reason: "too many records are waiting to be written".into() });
        }
        Ok(place)
    }

    /// Queues one record, without its line break; the ticket resolves when it is written.
    pub fn enqueue(&self, line: &[u8]) -> Ticket {
        let shared = &self.shared;
        let before = shared.held.fetch_add(line.len() + 1, Ordering::Relaxed);
        if before > LAST_BYTES {
            shared.held.fetch_sub(line.len() + 1, Ordering::Relaxed);
            let lost = shared.lost.fetch_add(1, Ordering::Relaxed) + 1;
            if lost.is_power_of_two() {
                tracing::error!(lost, "audit records are given up: too many wait to be written");
            }
            // No record has this number, and every failed batch comes before it.
            return Ticket::new(shared, u64::MAX);
        }
        let mut queue = shared.queue();
        queue.bytes.extend_from_slice(line);
        queue.bytes.push(b'\n');
        queue.last += 1;
        let number = queue.last;
        let wake = std::mem::take(&mut queue.sleeping);
        drop(queue);
        if wake {
            shared.work.notify_one();
        }
        Ticket::new(shared, number)
    }

    /// Whether records can be written; if the last attempt failed, tries again first. For readiness.
    ///
    /// # Errors
    ///
    /// [`Unwritable`] with the reason.
    pub fn health(&self) -> Result<(), Unwritable> {
        if self.shared.stalled() {
            return Err(Unwritable::stalled());
        }
        if self.shared.healthy.load(Ordering::Acquire) {
            return Ok(());
        }
        self.shared.flush();
        self.shared.queue().fault.clone().map_or(Ok(()), Err)
    }

    /// Writes what is queued and waits until it is written, at most `within`; for the end of the program.
    ///
    /// # Errors
    ///
    /// [`Unwritable`] if records are left; it says why.
    pub fn drain(&self, within: Duration) -> Result<(), Unwritable> {
        let shared = &self.shared;
        shared.orphan();
        let left = |queue: &mut Queue| queue.last > shared.written.load(Ordering::Acquire);
        let within = if shared.sink.is_some() { Duration::ZERO } else { within };
        let waited = shared.idle.wait_timeout_while(shared.queue(), within, left);
        let (mut queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let lost = self.lost();
        if lost > 0 {
            return Err(Unwritable { reason: format!("{lost} records were given up").into() });
        }
        if !left(&mut queue) {
            return Ok(());
        }
        Err(queue.fault.clone().unwrap_or_else(|| Unwritable { reason: "the sink does not take it in time".into() }))
    }

    /// How many records have been written.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.shared.written.load(Ordering::Acquire)
    }

    /// How many records were given up because too many were waiting. Anything but zero is an alarm.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.queue().closing = true;
        self.shared.work.notify_one();
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("written", &self.written()).finish_non_exhaustive()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.held.fetch_sub(PLACE_BYTES, Ordering::Relaxed);
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Place")
    }
}

impl Shared {
    fn new(sink: Option<Mutex<Sink>>) -> Self {
        Self {
            written: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            held: AtomicUsize::new(0),
            lost: AtomicU64::new(0),
            healthy: AtomicBool::new(true),
            made: Instant::now(),
            writing_since: AtomicU64::new(0),
            queue: Mutex::default(),
            sink,
            work: Condvar::new(),
            idle: Condvar::new(),
        }
    }

    /// Microseconds since it was made.
    fn age(&self) -> u64 {
        u64::try_from(self.made.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Whether the sink has been at one write for longer than any that works.
    fn stalled(&self) -> bool {
        let since = self.writing_since.load(Ordering::Relaxed);
        since != 0 && Duration::from_micros(self.age().saturating_sub(since)) > STALLED
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What became of record `number`; `None` while nothing has.
    fn outcome(&self, number: u64) -> Option<Result<(), Unwritable>> {
        if number == u64::MAX {
            return Some(Err(Unwritable { reason: "too many records are waiting to be written".into() }));
        }
        if number <= self.written.load(Ordering::Acquire) {
            return Some(Ok(()));
        }
        if number > self.failed.load(Ordering::Acquire) {
            return None;
        }
        let fault = self.queue().fault.clone();
        // No fault: the backlog, and this record with it, has been written since.
        Some(fault.map_or(Ok(()), Err))
    }

    /// Writes what is queued, unless another thread is writing (or the sink has its own).
    fn flush(&self) {
        let Some(sink) = &self.sink else { return };
        loop {
            let mut sink = match sink.try_lock() {
                Ok(sink) => sink,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => return,
            };
            let complete = self.write_queued(&mut sink);
            drop(sink);
            if !self.release() || !complete {
                return;
            }
        }
    }

    /// Sees to a line that nobody waits for.
    fn orphan(&self) {
        self.queue().orphaned = true;
        self.flush();
    }

    /// Wakes those who waited, after the sink was let go; whether a line was left behind meanwhile.
    fn release(&self) -> bool {
        let mut queue = self.queue();
        let waiters = std::mem::take(&mut queue.waiters);
        let again = std::mem::take(&mut queue.orphaned) && !queue.bytes.is_empty();
        drop(queue);
        waiters.into_iter().for_each(Waker::wake);
        again
    }

    /// Writes the backlog and all that is queued with one call; whether all of it was written.
    fn write_queued(&self, sink: &mut Sink) -> bool {
        sink.take(&mut self.queue());
        if sink.batch.is_empty() {
            return true;
        }
        let length = sink.batch.len();
        self.writing_since.store(self.age().max(1), Ordering::Relaxed);
        let wrote = sink.write();
        self.writing_since.store(0, Ordering::Relaxed);
        match wrote {
            Ok(()) => {
                self.held.fetch_sub(length, Ordering::Relaxed);
                self.written.store(sink.last, Ordering::Release);
                if !self.healthy.load(Ordering::Relaxed) {
                    self.queue().fault = None;
                    self.healthy.store(true, Ordering::Release);
                }
                true
            }
            Err(error) => {
                let mut queue = self.queue();
                queue.fault = Some(Unwritable { reason: error.to_string().into() });
                // What was queued meanwhile would have to wait behind what cannot be written.
                self.failed.store(queue.last, Ordering::Release);
                self.healthy.store(false, Ordering::Release);
                false
            }
        }
    }

    /// The life of a sink's own thread: until the writer is gone and all is written or cannot be.
    fn serve(&self, sink: &mut Sink) {
        loop {
            let nothing_to_do = |queue: &mut Queue| {
                queue.sleeping = queue.bytes.is_empty() && !queue.closing;
                queue.sleeping
            };
            if sink.batch.is_empty() {
                drop(self.work.wait_while(self.queue(), nothing_to_do).unwrap_or_else(PoisonError::into_inner));
            }
            let complete = self.write_queued(sink);
            self.release();
            self.idle.notify_all();
            let queue = self.queue();
            if queue.closing && (queue.bytes.is_empty() || !complete) {
                return;
            }
            if !complete {
                let waited = self.work.wait_timeout_while(queue, RETRY_AFTER, |queue| !queue.closing);
                drop(waited.unwrap_or_else(PoisonError::into_inner));
            }
        }
    }
}

#[cfg(test)]
mod tests;
