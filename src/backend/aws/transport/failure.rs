//! What became of a request that was not answered.
//!
//! The caller decides by it whether it may try again, so it must never say that nothing was sent when something may have
//! been. The other way round is harmless: the caller gives up a call that it could have repeated.

use std::error::Error;
use std::fmt::{self, Display, Write};

use crate::error_chain::ErrorChain;

/// What is kept of a failure's words: some of them are the server's.
const DETAIL_BYTES: usize = 512;

/// A request that was not answered, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub(crate) struct Failure {
    kind: FailureKind,
    detail: Box<str>,
}

/// How far a request that failed had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// Nowhere: all the connections that there may be stayed in use by others.
    AllInUse,
    /// Nowhere: there was no connection, and not a byte of it was written.
    NotSent,
    /// Nowhere: there was no connection in time.
    ConnectTimeout,
    /// Bytes of it may have been written, and the connection ended before all of the answer had come.
    Broken,
    /// It was handed to a connection, and no answer began in time.
    FirstByteTimeout,
    /// It was handed to a connection, and the call's deadline passed before all of the answer had come.
    CallTimeout,
    /// It was answered, with what is no HTTP/1.1 or too large.
    Unreadable,
}

impl Failure {
    /// Of the detail no more is kept than an operator would read.
    pub(crate) fn new(kind: FailureKind, detail: impl Display) -> Self {
        let mut kept = Bounded(String::new());
        // It refuses what is over, and has all the rest by then.
        let _ = write!(kept, "{detail}");
        Self { kind, detail: kept.0.into_boxed_str() }
    }

    /// As [`Self::new`], with `error` and whatever it came from.
    pub(super) fn of(kind: FailureKind, what: impl Display, error: &(dyn Error + 'static)) -> Self {
        Self::new(kind, format_args!("{what}: {}", ErrorChain(error)))
    }

    /// How far the request had come.
    pub(crate) fn kind(&self) -> FailureKind {
        self.kind
    }

    /// For the operator: what happened, at most 512 bytes, without a secret.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// The server may have the request, or a part of it. If not, a second attempt cannot do twice what was asked.
    pub(crate) fn was_written(&self) -> bool {
        !matches!(self.kind, FailureKind::AllInUse | FailureKind::NotSent | FailureKind::ConnectTimeout)
    }

    /// It failed for want of time alone.
    pub(crate) fn timed_out(&self) -> bool {
        matches!(self.kind, FailureKind::ConnectTimeout | FailureKind::FirstByteTimeout | FailureKind::CallTimeout)
    }
}

impl FailureKind {
    /// Every kind.
    pub(crate) const ALL: [Self; 7] = [
        Self::AllInUse,
        Self::NotSent,
        Self::ConnectTimeout,
        Self::Broken,
        Self::FirstByteTimeout,
        Self::CallTimeout,
        Self::Unreadable,
    ];

    /// Its name in metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::AllInUse => "all_in_use",
            Self::NotSent => "not_sent",
            Self::ConnectTimeout => "connect_timeout",
            Self::Broken => "broken",
            Self::FirstByteTimeout => "first_byte_timeout",
            Self::CallTimeout => "call_timeout",
            Self::Unreadable => "unreadable",
        }
    }
}

/// A text that takes in no more than a detail may have.
struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        let room = DETAIL_BYTES - self.0.len();
        let taken = more.floor_char_boundary(room);
        self.0.push_str(more.get(..taken).unwrap_or_default());
        if taken < more.len() { Err(fmt::Error) } else { Ok(()) }
    }
}

/// The first input or output error among `error` and what it came from.
pub(super) fn io_kind(error: &(dyn Error + 'static)) -> Option<std::io::ErrorKind> {
    std::iter::successors(Some(error), |&error| error.source())
        .find_map(|error| error.downcast_ref::<std::io::Error>())
        .map(std::io::Error::kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_never_handed_to_a_connection_counts_as_not_written() {
        let written = FailureKind::ALL.map(|kind| (kind, Failure::new(kind, "").was_written()));
        let unwritten: Vec<_> = written.into_iter().filter(|(_, written)| !written).map(|(kind, _)| kind).collect();
        assert_eq!(unwritten, [FailureKind::AllInUse, FailureKind::NotSent, FailureKind::ConnectTimeout]);
    }

    #[test]
    fn a_detail_is_cut_at_a_character() {
        let failure = Failure::new(FailureKind::Broken, format_args!("a{}", "é".repeat(1000)));
        assert_eq!(failure.detail().len(), DETAIL_BYTES - 1);
        assert!(failure.detail().ends_with('é'));
    }

    #[test]
    fn an_error_is_told_with_its_causes_and_none_of_them_twice() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer")]
        struct Outer(#[source] std::io::Error);
        let error = Outer(std::io::Error::other("inner"));
        assert_eq!(ErrorChain(&error).to_string(), "outer: inner");
        assert_eq!(ErrorChain(&std::io::Error::other(error)).to_string(), "outer: inner");
    }
}
