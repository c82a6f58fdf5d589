//! Writes finished records: workers queue lines, and whoever holds the sink ends them, chains them and writes all that
//! is queued at once.
//!
//! A worker queues its line, lets the other requests that are ready queue theirs, and then writes the whole
//! queue with one call; those whose lines went along find them written and wait for nothing. Only where
//! another thread is writing at that moment does a request register to be woken.
//!
//! A thread `audit` sees to what is not for a request: checkpoints while nobody asks for anything, other files, and for
//! sinks that can block all writing.
//!
//! When a write fails, every request of the batch is told, the lines stay queued, and [`Writer::reserve`]
//! refuses new requests until the backlog has been written. Each attempt to reserve, and each look at
//! [`Writer::health`], tries again, so service resumes by itself, with or without traffic.
//!
//! Architecture invariant: a ticket resolves to `Ok` only after the kernel (with [`Durability::Synced`], the disk) has
//! taken every byte of its line, unless [`Durability::Queued`] was asked for; and no line begins before the one before
//! it has ended.

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

use super::chain::Reason;
pub use sink::SecondSink;
pub(super) use sink::{Lines, Sink, Target};
pub use ticket::Ticket;

/// What a place promises: the bytes of a usual record, with room to spare.
const PLACE_BYTES: usize = 4 * 1024;
/// How many bytes may be promised and unwritten before requests are refused: 4,096 requests in flight hold
/// 16 MiB of places, and the bodies they were made from at most 16 MiB more.
const BACKLOG_BYTES: usize = 64 * 1024 * 1024;
/// Beyond this a record is given up and counted: only reached if the caps on what is in flight do not hold.
const LAST_BYTES: usize = 2 * BACKLOG_BYTES;
/// Beyond this a second sink, which nobody waits for, misses lines.
const SECOND_BYTES: usize = 16 * 1024 * 1024;
/// What the end of a line adds to it, at most.
const END_BYTES: usize = 128;
/// A write that takes longer waits for a reader, or a disk, that does not come.
const STALLED: Duration = Duration::from_secs(5);
/// How long a sink's own thread waits before it tries a failed write again.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// How long a line waits for others to be written with it, where an answer does not wait for it.
const QUEUED_FOR: Duration = Duration::from_millis(2);
/// How long lines wait for as many others as went to the disk with the last: a disk takes about as long, however many
/// there are.
const GROUPED_FOR: Duration = Duration::from_micros(200);
/// So many bytes are written without waiting for more.
const GATHERED_BYTES: usize = 256 * 1024;
/// How often it is looked whether a checkpoint is due, and whether the file is where it was.
const TICK: Duration = Duration::from_secs(1);

/// When an answer may leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Once its record is queued: what the process had not written is lost if it is killed.
    Queued,
    /// Once its record is in the kernel: what the disk did not get is lost if the machine stops.
    #[default]
    Written,
    /// Once its record is on the disk (fdatasync), with those of all that wait at that moment.
    Synced,
}

/// The audit log cannot take a record, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the audit log cannot be written: {reason}")]
pub struct Unwritable {
    reason: Arc<str>,
}

impl Unwritable {
    fn new(error: &io::Error) -> Self {
        Self { reason: error.to_string().into() }
    }

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
    /// Whether the file is gone and no other could be begun.
    adrift: AtomicBool,
    made: Instant,
    /// When the write that is under way began, in microseconds since `made`; zero while none is.
    writing_since: AtomicU64,
    /// So many bytes can be written for sure.
    room: AtomicU64,
    queue: Mutex<Queue>,
    sink: Mutex<Sink>,
    /// Whether requests write; else the writer's own thread does.
    inline: bool,
    /// Whether tickets resolve at once.
    queued: bool,
    /// Whether lines are worth waiting for others.
    synced: bool,
    /// Wakes the writer's own thread.
    work: Condvar,
    /// Wakes who waits for the queue to run empty.
    idle: Condvar,
}

#[derive(Default)]
// Each is told by one who knows nothing of the others.
#[expect(clippy::struct_excessive_bools)]
struct Queue {
    bytes: Vec<u8>,
    /// What its lines hold of the backlog.
    charged: usize,
    last: u64,
    /// Whether the trail is to end with a checkpoint; until it does.
    wanted: Option<Reason>,
    waiters: Vec<Waker>,
    /// Somebody left a line behind that nobody waits for.
    orphaned: bool,
    /// The writer's own thread waits for work,
    sleeping: bool,
    /// and not to be woken before this line.
    enough: u64,
    closing: bool,
    /// It is time for another file.
    full: bool,
    fault: Option<Unwritable>,
    /// Why there is less room than usual.
    narrow: Option<Unwritable>,
    /// Why the file cannot be gone on with.
    adrift: Option<Unwritable>,
}

/// Room for one record, promised before the request that it will tell of is carried out.
pub struct Place {
    shared: Arc<Shared>,
}

impl Writer {
    /// Writes on the threads of the requests; for sinks that do not block. Lines come as records that are open, and are
    /// closed.
    #[must_use]
    pub fn inline(sink: impl Write + Send + 'static) -> Self {
        Self { shared: Arc::new(Shared::new(Sink::of_stream(sink, Lines::Closed), true, false)) }
    }

    /// As [`Self::inline`], of lines that come as they are to be.
    #[must_use]
    pub fn of_texts(sink: impl Write + Send + 'static) -> Self {
        Self { shared: Arc::new(Shared::new(Sink::of_stream(sink, Lines::Whole), true, false)) }
    }

    /// Writes lines as they come on a thread of its own; for sinks that can block, such as pipes and terminals.
    ///
    /// # Errors
    ///
    /// If the thread cannot be started.
    pub fn threaded(sink: impl Write + Send + 'static) -> io::Result<Self> {
        Self::start(Sink::of_stream(sink, Lines::Whole), false, false)
    }

    pub(super) fn start(sink: Sink, inline: bool, queued: bool) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(sink, inline, queued));
        let theirs = Arc::clone(&shared);
        thread::Builder::new().name("audit".into()).spawn(move || theirs.serve())?;
        Ok(Self { shared })
    }

    /// Promises room for one record, before anything irrevocable is done for the request that it will tell of.
    ///
    /// # Errors
    ///
    /// [`Unwritable`] while earlier records cannot be written, too many are waiting, or the disk is full.
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
        match self.queue_up(line, LAST_BYTES) {
            Some(number) if !self.shared.queued => Ticket::new(&self.shared, number),
            Some(number) => Ticket::resolved(&self.shared, number),
            None => {
                let lost = self.lost();
                if lost.is_power_of_two() {
                    tracing::error!(lost, "audit records are given up: too many wait to be written");
                }
                // No record has this number, and every failed batch comes before it.
                Ticket::new(&self.shared, u64::MAX)
            }
        }
    }

    /// Queues lines, the last without its line break, that nobody waits for and that may be lost.
    fn offer(&self, lines: &[u8]) {
        let Some(lines) = lines.strip_suffix(b"\n") else { return };
        if self.queue_up(lines, SECOND_BYTES).is_none() && self.lost().is_power_of_two() {
            tracing::warn!("a second audit sink does not keep up, and misses records");
        }
    }

    /// Queues `text`, unless that would hold more than `most` bytes; its number.
    fn queue_up(&self, text: &[u8], most: usize) -> Option<u64> {
        let shared = &self.shared;
        let charged = text.len() + END_BYTES;
        let before = shared.held.fetch_add(charged, Ordering::Relaxed);
        if before > most {
            shared.held.fetch_sub(charged, Ordering::Relaxed);
            shared.lost.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let mut queue = shared.queue();
        queue.bytes.extend_from_slice(text);
        queue.bytes.push(b'\n');
        queue.charged += charged;
        queue.last += 1;
        let number = queue.last;
        let enough = number >= queue.enough || queue.bytes.len() >= GATHERED_BYTES;
        let wake = !shared.inline && enough && std::mem::take(&mut queue.sleeping);
        drop(queue);
        if wake {
            shared.work.notify_one();
        }
        Some(number)
    }

    /// Whether records can be written; if the last attempt failed, tries again first. For readiness.
    ///
    /// # Errors
    ///
    /// [`Unwritable`] with the reason.
    pub fn health(&self) -> Result<(), Unwritable> {
        let shared = &self.shared;
        if shared.stalled() {
            return Err(Unwritable::stalled());
        }
        let has_room = || {
            let held = shared.held.load(Ordering::Relaxed) + PLACE_BYTES;
            u64::try_from(held).unwrap_or(u64::MAX) <= shared.room.load(Ordering::Relaxed)
        };
        if !shared.failing() && !shared.adrift.load(Ordering::Acquire) && has_room() {
            return Ok(());
        }
        shared.flush();
        let queue = shared.queue();
        let fault = queue.fault.clone().or_else(|| queue.adrift.clone());
        fault.or_else(|| queue.narrow.clone().filter(|_| !has_room())).map_or(Ok(()), Err)
    }

    /// Writes what is queued, and a last checkpoint, and waits until it is written, at most `within`; for the end of the
    /// program.
    ///
    /// # Errors
    ///
    /// [`Unwritable`] if records are left; it says why.
    pub fn drain(&self, within: Duration) -> Result<(), Unwritable> {
        let shared = &self.shared;
        shared.queue().wanted = Some(Reason::Stop);
        shared.orphan();
        let left = |queue: &mut Queue| queue.wanted.is_some() || queue.last > shared.written.load(Ordering::Acquire);
        let within = if shared.inline && shared.failing() { Duration::ZERO } else { within };
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
    fn new(sink: Sink, inline: bool, queued: bool) -> Self {
        let synced = sink.is_synced();
        Self {
            written: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            held: AtomicUsize::new(0),
            lost: AtomicU64::new(0),
            healthy: AtomicBool::new(true),
            adrift: AtomicBool::new(false),
            made: Instant::now(),
            writing_since: AtomicU64::new(0),
            room: AtomicU64::new(sink.room()),
            queue: Mutex::default(),
            sink: Mutex::new(sink),
            inline,
            queued,
            synced,
            work: Condvar::new(),
            idle: Condvar::new(),
        }
    }

    fn failing(&self) -> bool {
        !self.healthy.load(Ordering::Acquire)
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

    /// Writes what is queued, unless another thread is writing (or no request is to).
    fn flush(&self) {
        if !self.inline {
            return;
        }
        loop {
            let mut sink = match self.sink.try_lock() {
                Ok(sink) => sink,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => return,
            };
            self.begin_writing();
            let complete = self.write_queued(&mut sink);
            self.end_writing();
            drop(sink);
            if !self.release() || !complete {
                return;
            }
        }
    }

    /// Sees to what nobody waits for.
    fn orphan(&self) {
        self.queue().orphaned = true;
        self.flush();
        if !self.inline {
            self.work.notify_one();
        }
    }

    /// Wakes those who waited, after the sink was let go; whether something was left behind meanwhile.
    fn release(&self) -> bool {
        let mut queue = self.queue();
        let waiters = std::mem::take(&mut queue.waiters);
        let again = std::mem::take(&mut queue.orphaned) && queue.has_work();
        drop(queue);
        self.idle.notify_all();
        waiters.into_iter().for_each(Waker::wake);
        again
    }

    /// Writes the backlog and all that is queued with one call; whether all of it was written.
    fn write_queued(&self, sink: &mut Sink) -> bool {
        let wanted = {
            let mut queue = self.queue();
            let Queue { bytes, charged, last, wanted, .. } = &mut *queue;
            sink.take(bytes, charged, *last);
            *wanted
        };
        sink.end_lines(wanted);
        let complete = sink.is_empty() || self.write_batch(sink);
        self.make_room(sink);
        if complete && wanted.is_some() {
            if let Err(error) = sink.close() {
                tracing::warn!(%error, "the audit file cannot be closed well");
            }
            self.queue().wanted = None;
        }
        complete
    }

    /// From here on, until [`Self::end_writing`], what is waited for is the sink.
    fn begin_writing(&self) {
        self.writing_since.store(self.age().max(1), Ordering::Relaxed);
    }

    fn end_writing(&self) {
        self.writing_since.store(0, Ordering::Relaxed);
    }

    fn write_batch(&self, sink: &mut Sink) -> bool {
        match sink.write(|| self.begin_writing()) {
            Ok(charged) => {
                self.held.fetch_sub(charged, Ordering::Relaxed);
                self.written.store(sink.last(), Ordering::Release);
                if self.failing() {
                    self.queue().fault = None;
                    self.healthy.store(true, Ordering::Release);
                }
                if self.inline && sink.is_full() {
                    self.queue().full = true;
                    self.work.notify_one();
                }
                true
            }
            Err(error) => {
                let mut queue = self.queue();
                queue.fault = Some(Unwritable::new(&error));
                // What was queued meanwhile would have to wait behind what cannot be written.
                self.failed.store(queue.last, Ordering::Release);
                self.healthy.store(false, Ordering::Release);
                false
            }
        }
    }

    /// Reserves what was used up, and what is held beyond the usual.
    fn make_room(&self, sink: &mut Sink) {
        let held = u64::try_from(self.held.load(Ordering::Relaxed)).unwrap_or(u64::MAX);
        if let Err(error) = sink.reserve(held) {
            self.queue().narrow = Some(Unwritable::new(&error));
        }
        self.room.store(sink.room(), Ordering::Relaxed);
    }

    /// The life of the writer's own thread: until the writer is gone and all is written or cannot be.
    fn serve(&self) {
        let mut tended = Instant::now();
        let mut group = 0;
        loop {
            self.queue().full = false;
            self.gather(group);
            let mut sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
            self.begin_writing();
            let before = sink.last();
            let complete = self.write_queued(&mut sink);
            group = sink.last() - before;
            if complete && (sink.is_full() || tended.elapsed() >= TICK) {
                tended = Instant::now();
                let adrift = sink.tend().err();
                self.room.store(sink.room(), Ordering::Relaxed);
                self.set_adrift(adrift.map(|error| Unwritable::new(&error)));
            }
            self.end_writing();
            drop(sink);
            let again = self.release();
            let queue = self.queue();
            if queue.closing && (!queue.has_work() || !complete) {
                return;
            }
            if !again {
                self.rest(queue, complete);
            }
        }
    }

    /// Waits for lines to be written with those that are there: one call, and one wait for the disk, is for all of them.
    fn gather(&self, last_group: u64) {
        let (time, enough) = match (self.queued, self.synced) {
            (true, _) => (QUEUED_FOR, u64::MAX),
            (false, true) => (GROUPED_FOR, self.written.load(Ordering::Acquire) + last_group),
            (false, false) => return,
        };
        let mut queue = self.queue();
        if queue.bytes.is_empty() {
            return;
        }
        queue.enough = enough;
        let is_too_few = |queue: &mut Queue| {
            let enough = queue.last >= queue.enough || queue.bytes.len() >= GATHERED_BYTES;
            queue.sleeping = !enough && !queue.closing && queue.wanted.is_none();
            queue.sleeping
        };
        let waited = self.work.wait_timeout_while(queue, time, is_too_few);
        let (mut queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
        (queue.sleeping, queue.enough) = (false, 0);
    }

    fn set_adrift(&self, adrift: Option<Unwritable>) {
        self.adrift.store(adrift.is_some(), Ordering::Release);
        self.queue().adrift = adrift;
    }

    /// Waits for work, or for the next tick.
    fn rest(&self, queue: MutexGuard<'_, Queue>, complete: bool) {
        let nothing_to_do = |queue: &mut Queue| {
            queue.sleeping = !queue.closing && !queue.full && (self.inline || !complete || !queue.has_work());
            queue.sleeping
        };
        let time = if complete { TICK } else { RETRY_AFTER };
        drop(self.work.wait_timeout_while(queue, time, nothing_to_do).unwrap_or_else(PoisonError::into_inner));
    }
}

impl Queue {
    fn has_work(&self) -> bool {
        !self.bytes.is_empty() || self.wanted.is_some()
    }
}

#[cfg(test)]
mod tests;
