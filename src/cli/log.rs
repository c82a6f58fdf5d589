//! The program's log: for people on a terminal, JSON elsewhere, always on standard error.
//!
//! Standard output belongs to what was asked for: audit records, keys, the line of `quickstart --json`. Nothing that is
//! logged is waited for, so that a standard error which nobody reads stops nothing.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, IsTerminal, Write, stderr, stdout};
use std::os::fd::AsFd;
use std::time::Duration;

use tracing::{Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{ParseError, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::lossy::Lossy;

/// How long the last lines may take at the end of the program.
pub(super) const LAST_LINES: Duration = Duration::from_millis(500);

/// The log of this process; its last lines are written when this is dropped.
pub(super) struct Log(Lossy);

/// Reads a filter such as `info` or `kmsgate::server=debug,info`.
pub(super) fn filter(text: &str) -> Result<EnvFilter, ParseError> {
    EnvFilter::builder().parse(text)
}

impl Log {
    /// Starts the log of what `filter` lets through.
    ///
    /// # Errors
    ///
    /// What the operating system refuses: a thread, a file descriptor.
    pub(super) fn start(filter: EnvFilter) -> io::Result<Self> {
        let lossy = Lossy::start("standard error", own(stderr())?)?;
        let writer = lossy.clone();
        let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(move || writer.clone());
        // That a log was started already, as a test may have done, is no reason not to run.
        let _ = if stderr().is_terminal() {
            builder.with_target(false).compact().finish().with(filter_fn(keeps_secrets)).try_init()
        } else {
            builder.json().flatten_event(true).finish().with(filter_fn(keeps_secrets)).try_init()
        };
        Ok(Self(lossy))
    }

    /// Writes a line as it is, whatever the filter.
    pub(super) fn say(&self, line: impl Display) {
        // It never fails.
        let _ = self.stream().write_all(format!("{line}\n").as_bytes());
    }

    /// Standard error, for lines between those of the log.
    pub(super) fn stream(&self) -> Lossy {
        self.0.clone()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.0.finish(LAST_LINES);
    }
}

/// Whether what is logged there is fit to be read. Below `info` the SDKs of AWS log requests as they are sent: a session
/// token of the metadata service's among them.
fn keeps_secrets(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= Level::INFO || !metadata.target().starts_with("aws_")
}

/// Standard output, for lines that nothing waits for.
pub(super) fn standard_output() -> io::Result<Lossy> {
    Lossy::start("standard output", own(stdout())?)
}

/// The same stream without the lock of the standard library's, which a blocked writer would hold.
fn own(stream: impl AsFd) -> io::Result<File> {
    Ok(File::from(stream.as_fd().try_clone_to_owned()?))
}
