//! Why records did not get to the collector, as the operator reads it.

use std::error::Error;
use std::io;
use std::time::Duration;

use http::StatusCode;

use crate::error_chain::ErrorChain;

/// Records that the collector has not acknowledged.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("the collector is left alone for {left} s more, as it asked when {reason}")]
    Paused { left: u64, reason: Box<str> },
    #[error("the collector did not answer within {0:?}")]
    TimedOut(Duration),
    #[error("the collector cannot be reached: {0}")]
    Unreachable(Box<str>),
    #[error("the connection to the collector ended before its answer: {0}")]
    Unanswered(Box<str>),
    #[error("the collector answered {status}{}", after_colon(text))]
    Refused { status: StatusCode, text: Box<str> },
    #[error("the collector rejected {rejected} of {records} records{}", after_colon(text))]
    Rejected { rejected: i64, records: usize, text: Box<str> },
    #[error("the collector's answer cannot be read: {0}")]
    Unreadable(Box<str>),
}

impl Failure {
    pub(super) fn unreachable(to: &str, error: &(dyn Error + 'static)) -> Self {
        Self::Unreachable(format!("{to}: {}", ErrorChain(error)).into())
    }

    pub(super) fn unanswered(error: &(dyn Error + 'static)) -> Self {
        Self::Unanswered(ErrorChain(error).to_string().into())
    }

    pub(super) fn unreadable(reason: impl Into<Box<str>>) -> Self {
        Self::Unreadable(reason.into())
    }
}

impl From<Failure> for io::Error {
    /// Never as `Interrupted`, which whoever writes would take for an invitation to try again at once.
    fn from(failure: Failure) -> Self {
        let kind = if matches!(failure, Failure::TimedOut(_)) { io::ErrorKind::TimedOut } else { io::ErrorKind::Other };
        Self::new(kind, failure)
    }
}

fn after_colon(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}
