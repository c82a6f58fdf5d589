//! Opens drafts and turns finished ones into lines for the writer, and for the console where there is one; or counts them,
//! and turns the counts into lines.

use std::cell::RefCell;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

use super::console;
use super::draft::{Arrived, Draft, Facts};
use super::own_event::{NO_ID, Origin, REFUSALS};
use super::record::{CLOSED, Scratch, Site};
use super::refusals::{Refusals, UNAUTHENTICATED_PER_SECOND};
use super::writer::{Ticket, Unwritable, Writer};
use crate::aws::{AccountId, Regions};
use crate::clock::{Clock, Timestamp};

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// What all records of a process have in common.
pub struct Recorder {
    writer: Arc<Writer>,
    console: Option<Writer>,
    clock: Clock,
    site: Site,
    own: Origin,
    refusals: Refusals,
    discards: Option<Discard>,
}

/// What becomes of records that are not made.
#[derive(Clone, Copy)]
enum Discard {
    /// Their answers leave at once.
    AtOnce,
    /// Their answers leave with others.
    Together,
}

impl Recorder {
    /// Records go to `writer`; they say that the events were in one of `regions` and are for
    /// `account`.
    #[must_use]
    pub fn new(writer: Arc<Writer>, clock: Clock, regions: &Regions, account: AccountId) -> Self {
        Self {
            writer,
            console: None,
            clock,
            site: Site::new(regions, account),
            own: Origin { region: regions.own().clone(), account },
            refusals: Refusals::new(UNAUTHENTICATED_PER_SECOND),
            discards: None,
        }
    }

    /// Also writes each record as one readable line to `console`. Nothing waits for it, and nothing is refused
    /// because of it. Give it a writer with a thread of its own: a terminal can block.
    #[must_use]
    pub fn with_console(mut self, console: Writer) -> Self {
        self.console = Some(console);
        self
    }

    /// Records that many refusals of unauthenticated requests one by one each second, in place of
    /// [`UNAUTHENTICATED_PER_SECOND`].
    #[must_use]
    pub fn with_unauthenticated_per_second(mut self, per_second: NonZeroU32) -> Self {
        self.refusals = Refusals::new(per_second);
        self
    }

    /// Makes no records of requests, to measure what they cost; answers leave at once, or `together` as if for records.
    #[must_use]
    pub fn discarding(mut self, together: bool) -> Self {
        self.discards = Some(if together { Discard::Together } else { Discard::AtOnce });
        self
    }

    /// Opens the draft of a request's record.
    ///
    /// # Errors
    ///
    /// [`Unwritable`]: the record could not be kept, so the request must be refused now.
    pub fn open(self: &Arc<Self>, arrived: Arrived<'_>) -> Result<Draft, Unwritable> {
        let place = self.writer.reserve()?;
        Ok(Draft::new(Arc::clone(self), place, arrived))
    }

    /// The writer, for health and metrics.
    #[must_use]
    pub fn writer(&self) -> &Arc<Writer> {
        &self.writer
    }

    /// Whether refusals were counted that no record tells of yet.
    #[must_use]
    pub fn has_sum(&self) -> bool {
        self.refusals.has_sum()
    }

    /// Records the refusals that were counted since the last time, if there were any. Call it each second, and once when
    /// no request can come any more, before the writer is drained. May wait for the disk.
    pub fn sum_up(&self) {
        let queued = self.refusals.hand_over(|sum| {
            let mut line = Vec::new();
            self.own.event(&mut line, REFUSALS, self.clock.now());
            sum.render(&mut line);
            self.show(&line);
            self.writer.enqueue(&line)
        });
        // Nobody waits for this ticket: dropping it writes the record.
        drop(queued);
    }

    /// Queues the record of `facts`, or counts it; `None`: then there is nothing to wait for.
    pub(super) fn record(&self, facts: &Facts) -> Option<Ticket> {
        match self.discards {
            None => {}
            Some(Discard::AtOnce) => return None,
            Some(Discard::Together) => return Some(self.writer.enqueue(b"")),
        }
        let now = self.clock.now();
        let refusal = facts.learnt().refusal(facts.peer, now);
        let unauthenticated = refusal.is_some();
        if refusal.is_some_and(|refusal| self.refusals.is_summed(refusal, self.writer.written())) {
            return None;
        }
        let ticket = self.enqueue(facts, now);
        if let Some(number) = ticket.number().filter(|_| unauthenticated) {
            self.refusals.queued(number);
        }
        Some(ticket)
    }

    fn enqueue(&self, facts: &Facts, now: Timestamp) -> Ticket {
        // Without random bytes nothing was answered either; the record is worth more than its id.
        let event_id = crate::random::uuid_bytes().unwrap_or(NO_ID);
        let write = |scratch: &mut Scratch| {
            let line = scratch.render(facts, &self.site, now, &event_id);
            self.show(line);
            self.writer.enqueue(line)
        };
        // While a thread ends its locals may be gone before the last draft.
        let shared = SCRATCH.try_with(|scratch| scratch.try_borrow_mut().map(|mut scratch| write(&mut scratch)));
        match shared {
            Ok(Ok(ticket)) => ticket,
            _ => write(&mut Scratch::default()),
        }
    }

    /// Writes a record that is open to the console, where there is one.
    fn show(&self, open: &[u8]) {
        if let Some(console) = &self.console
            && let Some(text) = console::line(&[open, CLOSED].concat())
        {
            drop(console.enqueue(text.as_bytes()));
        }
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("writer", &self.writer).finish_non_exhaustive()
    }
}
