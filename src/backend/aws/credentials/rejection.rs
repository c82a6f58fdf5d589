//! That AWS refuses credentials that we take for good.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// After so long without another refusal it is tried again whether AWS accepts them. A gateway that is not ready gets no
/// requests, so nothing else would tell.
const LAPSE: Duration = Duration::from_secs(30);

/// What AWS said when it last refused; nothing since it accepted. Costs one load of an atomic where all is well.
#[derive(Debug, Default)]
pub(super) struct Rejection {
    standing: AtomicBool,
    refusals: Mutex<Option<Refusals>>,
}

/// Refusals without an acceptance between them.
#[derive(Debug)]
struct Refusals {
    /// What AWS said last.
    detail: Box<str>,
    first: Instant,
    last: Instant,
}

impl Rejection {
    /// Whether it is the first since an acceptance, or after a long time.
    pub(super) fn set(&self, detail: &str) -> bool {
        let (mut kept, now) = (self.refusals(), Instant::now());
        let since = kept.as_ref().filter(|kept| now - kept.last < LAPSE).map(|kept| kept.first);
        *kept = Some(Refusals { detail: detail.into(), first: since.unwrap_or(now), last: now });
        self.standing.store(true, Ordering::Relaxed);
        since.is_none()
    }

    /// Whether there was something to clear.
    pub(super) fn clear(&self) -> bool {
        if !self.standing.load(Ordering::Relaxed) {
            return false;
        }
        let mut kept = self.refusals();
        self.standing.store(false, Ordering::Relaxed);
        kept.take().is_some()
    }

    /// What AWS said, if it has refused for so long.
    pub(super) fn get(&self, for_so_long: Duration) -> Option<Box<str>> {
        if !self.standing.load(Ordering::Relaxed) {
            return None;
        }
        let kept = self.refusals();
        let standing = |kept: &&Refusals| kept.first.elapsed() >= for_so_long && kept.last.elapsed() < LAPSE;
        kept.as_ref().filter(standing).map(|kept| kept.detail.clone())
    }

    fn refusals(&self) -> MutexGuard<'_, Option<Refusals>> {
        // A text is whole or not there, whatever panicked.
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
