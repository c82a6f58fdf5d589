//! Why an upstream gave no answer that can be passed on. None of it is the client's fault.

use std::sync::Arc;

/// A fault between the gateway and an upstream. The texts are the operator's; clients get those of
/// [`Error`](crate::error::Error).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The upstream has failed so often that nothing is sent to it for now.
    #[error("nothing is sent to the upstream for now: it failed too often in a row")]
    CircuitOpen,
    /// There is nothing to sign with.
    #[error("the gateway has no AWS credentials: {0}")]
    NoCredentials(Arc<str>),
    /// No connection: not a byte of the request was sent.
    #[error("the upstream cannot be reached: {0}")]
    Unreachable(Arc<str>),
    /// The upstream took longer than it may.
    #[error("the upstream took too long: {0}")]
    TimedOut(Arc<str>),
    /// The connection ended before there was a whole answer. The request may have been carried out.
    #[error("the connection to the upstream broke: {0}")]
    Broken(Arc<str>),
    /// What answered is no KMS.
    #[error("the upstream's answer is none of KMS's: {0}")]
    NotKms(Arc<str>),
    /// The upstream does not accept the gateway's credentials.
    #[error("the upstream does not accept the gateway's credentials: {0}")]
    Rejected(Arc<str>),
    /// The upstream has had too many requests of the gateway.
    #[error("the upstream throttles the gateway")]
    Throttled,
    /// The principal's part of the upstream's quota is used up.
    #[error("the principal's part of the upstream's quota is used up")]
    ShareUsedUp,
}

impl Fault {
    /// This fault, and what the operator should know of the one of a second attempt.
    pub(super) fn and_then(self, second: &Self) -> Self {
        let with = |detail: Arc<str>| format!("{detail}; once more: {second}").into();
        match self {
            Self::Broken(detail) => Self::Broken(with(detail)),
            // Nothing else is tried again after it may have been carried out.
            first => first,
        }
    }

    /// Whether the request may have been carried out all the same.
    #[must_use]
    pub const fn leaves_open(&self) -> bool {
        match self {
            Self::TimedOut(_) | Self::Broken(_) | Self::NotKms(_) => true,
            Self::CircuitOpen
            | Self::NoCredentials(_)
            | Self::Unreachable(_)
            | Self::Rejected(_)
            | Self::Throttled
            | Self::ShareUsedUp => false,
        }
    }
}
