//! Sums up the refusals of those whom nobody authenticated, beyond a rate: anybody can cause one, so a flood of them must
//! neither fill the audit trail nor take the room of those who have shown who they are.
//!
//! Within the rate each has a record of its own, during a flood too: these are the samples that show what the rest is
//! like. What comes beyond is counted, and [`Recorder::sum_up`](super::Recorder::sum_up), once a second, makes one record
//! of the counts. The answer to a refusal that is only counted waits for nothing.
//!
//! Their own reserve: at most [`WAITING`] of these records wait to be written, and one more for each thread that is just
//! about to queue one; beyond that they are summed too, whatever the rate. Of the 64 MiB that the writer lets wait,
//!
//! - 16 MiB at most are places of requests in flight (4,096 of 4 KiB each), authenticated or not;
//! - 4 MiB at most are records of the unauthenticated ([`WAITING`] of 16 KiB: what a client can put into one is cut to
//!   1 KiB a member, which escapes and U+FFFD make three at most);
//! - the other 44 MiB are out of their reach. Of the requests in flight no more than [`WAITING`] wait for such a record.
//!
//! The rate alone would not do: within the 5 s that a write may take, 10,000 a second are 800 MB.
//!
//! Architecture invariant: a refusal is recorded or counted, and what is counted is in a sum that was queued or is still
//! to be; what an authenticated request comes to is never counted here.

mod sources;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};

use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use self::sources::Sources;
use super::json;
use crate::clock::Timestamp;

/// How many of the records in question are written each second, unless the configuration says otherwise. A person or a
/// program with a wrong key makes fewer. A flood makes, at some 900 bytes a record, 0.8 GB a day; of the longest that a
/// client can cause it makes less than 14 GB.
pub const UNAUTHENTICATED_PER_SECOND: NonZeroU32 = NonZeroU32::new(10).unwrap();
/// How many seconds' worth may come at once: the first failures of a roll-out with wrong keys are all told.
const BURST_SECONDS: NonZeroU32 = NonZeroU32::new(10).unwrap();
/// How many may wait to be written. Written to a file, they wait for microseconds.
const WAITING: usize = 256;
/// How many error codes are told apart: more than the gateway has for those whom it has not authenticated.
const CODES: usize = 32;
/// What further ones are counted under.
const OTHER: &str = "Other";

/// Decides which refusals are recorded one by one, and counts the others.
pub(super) struct Refusals<C: Clock = DefaultClock> {
    allowance: RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<C::Instant>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The numbers of the records that were queued and, when it was last asked, not written.
    waiting: Vec<u64>,
    sum: Option<Sum>,
}

/// A refusal of one whom nobody authenticated.
pub(super) struct Refusal {
    pub(super) code: Cow<'static, str>,
    pub(super) peer: IpAddr,
    /// When it was refused.
    pub(super) at: Timestamp,
}

/// What the refusals that have no record of their own come to.
pub(super) struct Sum {
    from: Timestamp,
    to: Timestamp,
    count: u64,
    by_code: BTreeMap<Cow<'static, str>, u64>,
    sources: Sources,
}

impl Refusals {
    pub(super) fn new(per_second: NonZeroU32) -> Self {
        Self::with_clock(per_second, DefaultClock::default())
    }
}

impl<C: Clock> Refusals<C> {
    fn with_clock(per_second: NonZeroU32, clock: C) -> Self {
        let burst = per_second.saturating_mul(BURST_SECONDS);
        let quota = Quota::per_second(per_second).allow_burst(burst);
        Self { allowance: RateLimiter::direct_with_clock(quota, clock), state: Mutex::default() }
    }

    /// Counts `refusal`, unless it is to have a record of its own: then says so, and [`Self::queued`] is to be told of
    /// that record. Every record up to number `written` is written.
    pub(super) fn is_summed(&self, refusal: Refusal, written: u64) -> bool {
        let allowed = self.allowance.check().is_ok();
        let mut state = self.state();
        if allowed && state.has_room(written) {
            return false;
        }
        state.sum.get_or_insert_with(|| Sum::beginning(refusal.at)).add(refusal);
        true
    }

    /// A record of its own was queued under that number.
    pub(super) fn queued(&self, number: u64) {
        self.state().waiting.push(number);
    }

    /// Has `write` queue a record of what was counted, if anything was. Nobody finds the counts gone and the record not
    /// yet queued: who asks meanwhile waits.
    pub(super) fn hand_over<T>(&self, write: impl FnOnce(&Sum) -> T) -> Option<T> {
        let mut state = self.state();
        let sum = state.sum.take()?;
        Some(write(&sum))
    }

    /// Whether anything was counted.
    pub(super) fn has_sum(&self) -> bool {
        self.state().sum.is_some()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn has_room(&mut self, written: u64) -> bool {
        if self.waiting.len() >= WAITING {
            self.waiting.retain(|number| *number > written);
        }
        self.waiting.len() < WAITING
    }
}

impl Sum {
    fn beginning(at: Timestamp) -> Self {
        Self { from: at, to: at, count: 0, by_code: BTreeMap::new(), sources: Sources::default() }
    }

    fn add(&mut self, Refusal { code, peer, at }: Refusal) {
        let told_apart = self.by_code.len() < CODES || self.by_code.contains_key(&code);
        *self.by_code.entry(if told_apart { code } else { OTHER.into() }).or_default() += 1;
        self.sources.add(peer);
        self.count += 1;
        // Threads come here in any order, and a clock may be set back.
        (self.from, self.to) = (self.from.min(at), self.to.max(at));
    }

    /// Appends it as the member `refusals`.
    pub(super) fn render(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(br#""refusals":{"from":"#);
        json::string(out, &self.from.iso8601().to_string());
        out.extend_from_slice(br#","to":"#);
        json::string(out, &self.to.iso8601().to_string());
        out.extend_from_slice(br#","count":"#);
        json::number(out, self.count);
        out.extend_from_slice(br#","byErrorCode":{"#);
        for (index, (code, count)) in self.by_code.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            json::capped_string(out, code);
            out.push(b':');
            json::number(out, *count);
        }
        out.extend_from_slice(br#"},"topSources":["#);
        for (index, (network, count)) in self.sources.top().into_iter().enumerate() {
            out.extend_from_slice(if index > 0 { br#",{"address":"# } else { br#"{"address":"# });
            json::string(out, &network.to_string());
            out.extend_from_slice(br#","count":"#);
            json::number(out, count);
            out.push(b'}');
        }
        out.extend_from_slice(b"]}");
    }
}

#[cfg(test)]
mod tests;
