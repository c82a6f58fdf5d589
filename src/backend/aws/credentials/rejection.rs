//! That AWS refuses credentials that we take for good.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What AWS said when it last refused; nothing since it accepted. Costs one load of an atomic where all is well.
#[derive(Debug, Default)]
pub(super) struct Rejection {
    standing: AtomicBool,
    /// What AWS said.
    detail: Mutex<Option<Box<str>>>,
}

impl Rejection {
    pub(super) fn set(&self, detail: &str) {
        let mut kept = self.detail();
        *kept = Some(detail.into());
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
        if self.standing.load(Ordering::Relaxed) { self.detail().clone() } else { None }
    }

    fn detail(&self) -> MutexGuard<'_, Option<Box<str>>> {
        // A text is whole or not there, whatever panicked.
        self.detail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
