//! Has what was counted of refusals recorded, each second.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

use crate::audit::Recorder;

/// A kill loses what was counted since the last record: no more than this much.
const EVERY: Duration = Duration::from_secs(1);

/// Does so for as long as it is polled. What is counted last is left to the end of the program.
pub(super) async fn sum_up(recorder: Arc<Recorder>) {
    let mut seconds = interval(EVERY);
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        seconds.tick().await;
        if recorder.has_sum() {
            let recorder = Arc::clone(&recorder);
            // On a thread of its own: a file is written by whoever has something to write, and its disk may hang.
            let _ = spawn_blocking(move || recorder.sum_up()).await;
        }
    }
}
