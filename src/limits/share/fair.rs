//! One budget, shared fairly between the principals that ask for it, on whatever worker.
//!
//! While nobody waits, a request takes a token without a lock. Otherwise it waits for its principal's turn
//! ([`Ring`]), as long as that comes in time.
//!
//! No thread drives this. Of those that wait one is the driver: it sleeps until the next token is due and grants all
//! that are due then; when it leaves, another is woken to take its place. Whoever comes, leaves or looks grants what
//! is due too, and each wakes at the end of its own patience: so a driver whose worker is stuck delays the others, and
//! cannot hold them.
//!
//! Architecture invariant: somebody drives as long as anybody waits. All changes are made by `FairShare::change`,
//! which ends by seeing to it.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use super::ring::{Place, Ring};
use super::tokens::Tokens;
use crate::limits::bucket::Subject;

/// How long a request waits for its turn before it is refused: what smooths a burst, and is little beside the seconds
/// that clients wait before they try again.
const MAX_WAIT: Duration = Duration::from_millis(100);
/// How many may wait, however fast the budget flows: more than the gateway has in flight by default. As each principal
/// may have its equal part of this beside what others have already, n principals have at most 1 + 1/2 + .. + 1/n times
/// as many waiting.
const MOST_WAITING: u64 = 8_192;
/// The driver sleeps at least so long. Timers are no finer, and the budget's burst makes up for it.
const SHORTEST_SLEEP: Duration = Duration::from_millis(1);
/// What one request may cost: well beyond the two of `ReEncrypt`, and little enough to be owed.
const MOST_COST: u32 = 16;

/// A budget of requests, shared by all workers.
#[derive(Debug)]
pub(super) struct FairShare {
    tokens: Tokens,
    max_wait: Duration,
    /// Whether anybody waits. Only a hint for those who come: one that misses it takes a token out of turn.
    busy: AtomicBool,
    line: Mutex<Line>,
}

#[derive(Debug, Default)]
struct Line {
    ring: Ring,
    /// Who sleeps until the next token is due.
    driver: Option<Place>,
}

/// What becomes of a request that has just come.
#[derive(Debug)]
#[must_use = "a ticket that is dropped gives up its place"]
pub(super) enum Admission<'a> {
    /// It may go on.
    Admitted,
    /// It may go on when this is done.
    Wait(Ticket<'a>),
    /// Its turn would come too late.
    Refused(Refused),
}

/// The budget is used up for longer than a request may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the upstream's quota is used up for {wait:?}")]
pub struct Refused {
    /// After what time a request of this principal's might be granted.
    pub wait: Duration,
}

/// A place among those that wait; resolves when it is granted, or refused after 100 ms.
///
/// It is to be polled or dropped soon. Dropped, it gives up its place, or returns what it was granted.
#[derive(Debug)]
#[must_use = "a ticket that is dropped gives up its place"]
pub(super) struct Ticket<'a> {
    share: &'a FairShare,
    place: Place,
    cost: u32,
    deadline: Instant,
    /// Made when it is first polled, which is on the worker's runtime.
    timer: Option<Pin<Box<Sleep>>>,
    settled: bool,
}

/// What a ticket finds when it looks.
enum Sight {
    Granted,
    TooLate(Refused),
    LookAgain(Instant),
}

impl FairShare {
    /// A budget of which nothing is used yet. A rate that is no number or below 0.001 a second counts as that;
    /// `f64::INFINITY` is no limit.
    #[must_use]
    pub(super) fn new(per_second: f64) -> Self {
        Self::with_max_wait(per_second, MAX_WAIT)
    }

    fn with_max_wait(per_second: f64, max_wait: Duration) -> Self {
        Self {
            tokens: Tokens::new(per_second, Instant::now()),
            max_wait,
            busy: AtomicBool::new(false),
            line: Mutex::default(),
        }
    }

    /// Asks for `cost` tokens, from 1 to 16 (what is outside counts as the nearest): `ReEncrypt` between two keys is
    /// two requests for KMS. Does not block.
    pub(super) fn try_admit(&self, principal: Subject, cost: u32) -> Admission<'_> {
        let cost = cost.clamp(1, MOST_COST);
        let now = Instant::now();
        if !self.busy.load(Ordering::Relaxed) && self.tokens.take(cost, now) {
            return Admission::Admitted;
        }
        self.change(now, |line| self.join(line, principal, cost, now))
    }

    /// Changes the rate, also for those that wait.
    pub(super) fn set_rate(&self, per_second: f64) {
        let now = Instant::now();
        self.tokens.set_rate(per_second, now);
        self.change(now, |line| line.driver = None);
    }

    fn join(&self, line: &mut Line, principal: Subject, cost: u32, now: Instant) -> Admission<'_> {
        if line.ring.is_empty() && self.tokens.take(cost, now) {
            return Admission::Admitted;
        }
        let ahead = line.ring.ahead(principal, cost);
        let turn = self.tokens.due_after(ahead, now);
        let deadline = now + self.max_wait;
        if turn > deadline || ahead >= MOST_WAITING {
            return Admission::Refused(Refused { wait: turn.saturating_duration_since(now) });
        }
        let place = line.ring.push(principal, cost);
        Admission::Wait(Ticket { share: self, place, cost, deadline, timer: None, settled: false })
    }

    fn look(&self, ticket: &Ticket<'_>, now: Instant, own: &Waker) -> Sight {
        // Dropped after the lock is released: a waker's end may run anything.
        let mut former = None;
        self.change(now, |line| {
            let Some(waiter) = line.ring.get_mut(ticket.place) else { return Sight::Granted };
            if now >= ticket.deadline {
                former = line.ring.remove(ticket.place).and_then(|waiter| waiter.waker);
                let ahead = line.ring.ahead(ticket.place.principal, ticket.cost);
                let turn = self.tokens.due_after(ahead, now);
                return Sight::TooLate(Refused { wait: turn.saturating_duration_since(now) });
            }
            if !waiter.waker.as_ref().is_some_and(|known| known.will_wake(own)) {
                former = waiter.waker.replace(own.clone());
            }
            if !line.drives(ticket.place) {
                return Sight::LookAgain(ticket.deadline);
            }
            let due = self.tokens.due_after(0, now).max(now + SHORTEST_SLEEP);
            Sight::LookAgain(due.min(ticket.deadline))
        })
    }

    fn leave(&self, ticket: &Ticket<'_>) {
        let mut former = None;
        self.change(Instant::now(), |line| {
            former = line.ring.remove(ticket.place);
            if former.is_none() {
                // It was granted; what it does not use is due to another, perhaps earlier than the driver expects.
                self.tokens.give_back(ticket.cost);
                line.driver = None;
            }
        });
    }

    /// Grants what is due, makes one change, and sees to it that somebody drives.
    fn change<R>(&self, now: Instant, change: impl FnOnce(&mut Line) -> R) -> R {
        let mut wakers = Vec::new();
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        line.grant(&self.tokens, now, &mut wakers);
        line.elect(&mut wakers);
        let result = change(&mut line);
        line.elect(&mut wakers);
        self.busy.store(!line.ring.is_empty(), Ordering::Relaxed);
        drop(line);
        wakers.into_iter().for_each(Waker::wake);
        result
    }
}

impl Line {
    fn grant(&mut self, tokens: &Tokens, now: Instant, wakers: &mut Vec<Waker>) {
        while !self.ring.is_empty() && tokens.due_after(0, now) <= now {
            let Some(waiter) = self.ring.next() else { return };
            // Not `take`: one that came before anybody waited may have taken it just now. Then it is owed.
            tokens.charge(waiter.cost, now);
            wakers.extend(waiter.waker);
        }
    }

    /// Lets another drive if the driver is gone: one that is among the last to be granted, so that this is seldom.
    fn elect(&mut self, wakers: &mut Vec<Waker>) {
        if self.driver.is_some_and(|driver| self.ring.get_mut(driver).is_some()) {
            return;
        }
        self.driver = self.ring.last();
        // One that was never polled yet sees that it drives when it is, unless another looks before.
        let waiter = self.driver.and_then(|driver| self.ring.get_mut(driver));
        wakers.extend(waiter.and_then(|waiter| waiter.waker.clone()));
    }

    /// Whether the one at `place`, which looks, drives. It takes over from one that was never polled.
    fn drives(&mut self, place: Place) -> bool {
        let driver = self.driver.and_then(|driver| self.ring.get_mut(driver));
        if driver.is_none_or(|driver| driver.waker.is_none()) {
            self.driver = Some(place);
        }
        self.driver == Some(place)
    }
}

impl Future for Ticket<'_> {
    type Output = Result<(), Refused>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let until = match self.share.look(&self, Instant::now(), context.waker()) {
                Sight::LookAgain(until) => until,
                Sight::Granted => return Poll::Ready(self.settle(Ok(()))),
                Sight::TooLate(refused) => return Poll::Ready(self.settle(Err(refused))),
            };
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(until)));
            if timer.deadline() != until {
                timer.as_mut().reset(until);
            }
            ready!(timer.as_mut().poll(context));
        }
    }
}

impl Ticket<'_> {
    const fn settle(&mut self, outcome: Result<(), Refused>) -> Result<(), Refused> {
        self.settled = true;
        outcome
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        if !self.settled {
            self.share.leave(self);
        }
    }
}

#[cfg(test)]
mod tests;
