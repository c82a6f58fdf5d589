//! How far a long reading is, for a person at a terminal: one line on standard error, gone when it is done.

use std::io::{IsTerminal as _, Write as _, stderr};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::audit::reading::{Input, Progress};
use crate::cli::output::grouped;

/// How often the line is written anew: what is done before that is never told.
const INTERVAL: Duration = Duration::from_millis(250);
const MEGABYTE: u64 = 1_000_000;
/// Erases what stands in the line (ECMA-48, `CR` and `EL`).
const ERASE: &str = "\r\x1b[K";

/// The line; it ends when this is dropped.
pub(super) struct Bar(Option<(Sender<()>, JoinHandle<()>)>);

impl Bar {
    /// Shows how much of `inputs` has been read, if standard error is a terminal.
    pub(super) fn show(inputs: &[Input], progress: &Progress) -> Self {
        if !stderr().is_terminal() {
            return Self(None);
        }
        // The sum is not known if one of them is a stream.
        let total = inputs.iter().map(Input::size).sum::<Option<u64>>().filter(|total| *total > 0);
        let (end, ended) = mpsc::channel();
        let progress = progress.clone();
        let tell = move || {
            while ended.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                let _ = write!(stderr(), "{ERASE}{}", line(progress.bytes(), total));
            }
            let _ = write!(stderr(), "{ERASE}");
        };
        // Without a thread there is no line, and nothing else is lost.
        let thread = thread::Builder::new().name("progress".into()).spawn(tell);
        Self(thread.ok().map(|thread| (end, thread)))
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some((end, thread)) = self.0.take() {
            drop(end);
            let _ = thread.join();
        }
    }
}

fn line(read: u64, total: Option<u64>) -> String {
    let read_megabytes = grouped(read / MEGABYTE);
    match total {
        Some(total) => {
            let percent = read.saturating_mul(100) / total;
            format!("{:>3} %  {read_megabytes} of {} MB", percent.min(100), grouped(total / MEGABYTE))
        }
        None => format!("{read_megabytes} MB"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_it_is_as_far_as_that_is_known() {
        assert_eq!(line(1_500_000_000, Some(3_000_000_000)), " 50 %  1,500 of 3,000 MB");
        // A file that is written to has more than it had.
        assert_eq!(line(2_000_000, Some(1_000_000)), "100 %  2 of 1 MB");
        assert_eq!(line(2_000_000, None), "2 MB");
    }
}
