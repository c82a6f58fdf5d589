//! Opens drafts and turns finished ones into lines for the writer, and for the console where there is one.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use super::console;
use super::draft::{Arrived, Draft, Facts};
use super::own_event::NO_ID;
use super::record::{CLOSED, Scratch, Site};
use super::writer::{Ticket, Unwritable, Writer};
use crate::aws::{AccountId, Regions};
use crate::clock::Clock;

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// What all records of a process have in common.
pub struct Recorder {
    writer: Arc<Writer>,
    console: Option<Writer>,
    clock: Clock,
    site: Site,
}

impl Recorder {
    /// Records go to `writer`; they say that the events were in one of `regions` and are for
    /// `account`.
    #[must_use]
    pub fn new(writer: Arc<Writer>, clock: Clock, regions: &Regions, account: AccountId) -> Self {
        Self { writer, console: None, clock, site: Site::new(regions, account) }
    }

    /// Also writes each record as one readable line to `console`. Nothing waits for it, and nothing is refused
    /// because of it. Give it a writer with a thread of its own: a terminal can block.
    #[must_use]
    pub fn with_console(mut self, console: Writer) -> Self {
        self.console = Some(console);
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

    pub(super) fn record(&self, facts: &Facts) -> Ticket {
        let now = self.clock.now();
        // Without random bytes nothing was answered either; the record is worth more than its id.
        let event_id = crate::random::uuid_bytes().unwrap_or(NO_ID);
        let write = |scratch: &mut Scratch| {
            let line = scratch.render(facts, &self.site, now, &event_id);
            if let Some(console) = &self.console
                && let Some(text) = console::line(&[line, CLOSED].concat())
            {
                drop(console.enqueue(text.as_bytes()));
            }
            self.writer.enqueue(line)
        };
        // While a thread ends its locals may be gone before the last draft.
        let shared = SCRATCH.try_with(|scratch| scratch.try_borrow_mut().map(|mut scratch| write(&mut scratch)));
        match shared {
            Ok(Ok(ticket)) => ticket,
            _ => write(&mut Scratch::default()),
        }
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("writer", &self.writer).finish_non_exhaustive()
    }
}
