//! Waits for one record to be written, or writes it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio::time::{Sleep, sleep};

use super::{STALLED, Shared, Unwritable};

/// The place in the order of one queued record; resolves when the record is written or could not be.
///
/// If it is dropped before, what is queued is written then and there: a record does not depend on who waits.
#[must_use = "a record is known to be written only when its ticket has resolved"]
pub struct Ticket {
    shared: Arc<Shared>,
    number: u64,
    step: Step,
    timer: Option<Pin<Box<Sleep>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Queued,
    Yielded,
    Resolved,
}

impl Ticket {
    pub(super) fn new(shared: &Arc<Shared>, number: u64) -> Self {
        Self { shared: Arc::clone(shared), number, step: Step::Queued, timer: None }
    }

    /// Of a line that nobody has to wait for.
    pub(super) fn resolved(shared: &Arc<Shared>, number: u64) -> Self {
        Self { shared: Arc::clone(shared), number, step: Step::Resolved, timer: None }
    }

    /// The record's number, to compare with [`Writer::written`](super::Writer::written); `None` if it was given up.
    pub(in crate::audit) fn number(&self) -> Option<u64> {
        (self.number != u64::MAX).then_some(self.number)
    }

    /// Gives up when the sink has stalled; the line stays queued. Only who waits for another thread comes here.
    fn timed_out(&mut self, cx: &mut Context<'_>) -> Option<Result<(), Unwritable>> {
        if self.timer.is_none() && Handle::try_current().is_ok() {
            self.timer = Some(Box::pin(sleep(STALLED)));
        }
        let elapsed = self.timer.as_mut()?.as_mut().poll(cx).is_ready();
        elapsed.then(|| Err(Unwritable::stalled()))
    }
}

impl Future for Ticket {
    type Output = Result<(), Unwritable>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.step == Step::Resolved {
            return Poll::Ready(Ok(()));
        }
        // Waking oneself goes to the end of the run queue without asking the kernel for events: every request
        // that is ready now queues its record first, and the first to come back writes them all.
        if self.step == Step::Queued && self.shared.inline {
            self.step = Step::Yielded;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let outcome = self.shared.outcome(self.number).or_else(|| {
            self.shared.flush();
            self.shared.outcome(self.number)
        });
        let outcome = outcome.or_else(|| {
            // Another thread holds the sink. It takes the waiters after letting go, so one of three is true: it
            // will wake us, it is done with our line, or the sink is free.
            self.shared.queue().waiters.push(cx.waker().clone());
            self.shared.flush();
            self.shared.outcome(self.number)
        });
        let outcome = outcome.or_else(|| self.timed_out(cx));
        let Some(outcome) = outcome else { return Poll::Pending };
        self.step = Step::Resolved;
        Poll::Ready(outcome)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.step != Step::Resolved && self.shared.outcome(self.number).is_none() {
            self.shared.orphan();
        }
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ticket({})", self.number)
    }
}
