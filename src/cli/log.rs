//! The program's log: for people on a terminal, JSON elsewhere, always on standard error.
//!
//! Standard output belongs to what was asked for: audit records, keys, the line of `quickstart --json`.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// Starts the log with a filter such as `info` or `kmsgate::server=debug,info`.
pub(super) fn init(filter: &str) -> Result<(), ParseError> {
    let builder = tracing_subscriber::fmt().with_env_filter(EnvFilter::builder().parse(filter)?).with_writer(stderr);
    // That a log was started already, as a test may have done, is no reason not to run.
    let _ = if stderr().is_terminal() {
        builder.with_target(false).compact().try_init()
    } else {
        builder.json().flatten_event(true).try_init()
    };
    Ok(())
}
