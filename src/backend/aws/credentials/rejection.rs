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
    /// What AWS said, and when.
    detail: Mutex<Option<(Box<str>, Instant)>>,
}

impl Rejection {
    pub(super) fn set(&self, detail: &str) {
        let mut kept = self.detail();
        *kept = Some((detail.into(), Instant::now()));
        self.standing.store(true, Ordering::Relaxed);
    }

    /// Whether there was something to clear.
    pub(super) fn clear(&self) -> bool {
        if !self.standing.load(Ordering::Relaxed) {
            return false;
        }
        let mut kept = self.detail();
        self.standing.store(false, Ordering::Relaxed);
        kept.take().is_some()
    }

    pub(super) fn get(&self) -> Option<Box<str>> {
        if !self.standing.load(Ordering::Relaxed) {
            return None;
        }
        let kept = self.detail();
        kept.as_ref().filter(|(_, since)| since.elapsed() < LAPSE).map(|(detail, _)| detail.clone())
    }

    fn detail(&self) -> MutexGuard<'_, Option<(Box<str>, Instant)>> {
        // A text is whole or not there, whatever panicked.
        self.detail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
