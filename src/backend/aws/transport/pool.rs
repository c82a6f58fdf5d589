//! The connections that nobody uses at the moment. The one used last is taken first, so that those that are too many
//! grow old and go.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::connection::Connection;

/// Idle connections, the longest unused first. Swept when it is touched: it has no task of its own.
#[derive(Debug)]
pub(super) struct Pool {
    idle: Mutex<VecDeque<Idle>>,
    most: usize,
    lifetime: Duration,
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    since: Instant,
}

impl Pool {
    /// Keeps `most` connections, and none that has been unused for `lifetime`.
    pub(super) fn new(most: usize, lifetime: Duration) -> Self {
        Self { idle: Mutex::default(), most, lifetime }
    }

    /// A connection that was open when it was last looked at.
    pub(super) fn take(&self, now: Instant) -> Option<Connection> {
        let mut idle = self.idle();
        while let Some(Idle { connection, since }) = idle.pop_back() {
            if self.is_old(since, now) {
                // So are all that have been unused for longer.
                idle.clear();
            } else if connection.is_ready() {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps `connection` for the next request if it can take one.
    pub(super) fn put(&self, connection: Connection, now: Instant) {
        if !connection.is_ready() {
            return;
        }
        let mut idle = self.idle();
        while idle.front().is_some_and(|longest| self.is_old(longest.since, now)) {
            idle.pop_front();
        }
        if idle.len() >= self.most {
            idle.retain(|idle| idle.connection.is_ready());
        }
        idle.push_back(Idle { connection, since: now });
        if idle.len() > self.most {
            idle.pop_front();
        }
    }

    /// Closes all that are kept.
    pub(super) fn clear(&self) {
        self.idle().clear();
    }

    /// How many are kept.
    pub(super) fn len(&self) -> usize {
        self.idle().len()
    }

    fn is_old(&self, since: Instant, now: Instant) -> bool {
        now.saturating_duration_since(since) >= self.lifetime
    }

    fn idle(&self) -> MutexGuard<'_, VecDeque<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
