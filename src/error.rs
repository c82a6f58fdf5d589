//! The one error that crosses the stack, and what the client is told of it.
//!
//! Inner modules have errors of their own; they are folded in here and nowhere else. [`Error::exception`]
//! matches every variant: a new one without a KMS exception and status does not compile. What the operator
//! should know beyond that goes to the audit record by [`Error::detail`].

use std::borrow::Cow;

use crate::audit::Unwritable;
use crate::aws::{Class, Operation};
use crate::backend::aws::{Fault, Unresolved};
use crate::kms::{Exception, ExceptionKind};
use crate::limits::Overloaded;
use crate::sigv4;

/// Why a request was not answered with what it asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The head is no request to KMS.
    #[error(transparent)]
    Head(#[from] HeadFault),
    /// The body could not be read.
    #[error(transparent)]
    Body(#[from] BodyFault),
    /// The caller is not who it says, or says nothing.
    #[error(transparent)]
    Signature(#[from] sigv4::Error),
    /// KMS's own refusal: of the parse, of the key, of the policy, of the operation.
    #[error("{0}")]
    Kms(#[from] Exception),
    /// A quota is used up.
    #[error("the quota of the {0} is used up")]
    Throttled(&'static str),
    /// The gateway holds as many requests or bytes as it may.
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
    /// The whole call took longer than it may.
    #[error("the call took longer than the gateway allows")]
    DeadlinePassed,
    /// The record could not be written, so nothing may be answered.
    #[error("the audit record cannot be written: {0}")]
    Unrecorded(#[from] Unwritable),
    /// An upstream gave no answer that can be passed on.
    #[error("{fault}")]
    Upstream {
        /// What is wrong.
        fault: Fault,
        /// Whether a key was to be used, which is then what is unavailable.
        uses_key: bool,
    },
    /// A layer panicked; the connection goes on.
    #[error("internal fault: {0}")]
    Panicked(String),
}

/// What can be wrong with a head before its signature is looked at.
///
/// AWS answers some of these with an XML 404 that no JSON client can read; here all are JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeadFault {
    /// Not `POST`.
    #[error("KMS is called by POST alone")]
    Method,
    /// Not `/`.
    #[error("KMS is called at the path `/` alone")]
    Path,
    /// A query string, presigned or not.
    #[error("KMS takes no query string; sign by the Authorization header")]
    Query,
    /// An absolute-form request target, an `upgrade`, or HTTP/1.0.
    #[error("the request line must have the form `POST / HTTP/1.1`")]
    Form,
    /// `Content-Type` absent or another than AWS JSON 1.1.
    #[error("the Content-Type must be application/x-amz-json-1.1")]
    ContentType,
    /// A header that may stand once stands more often.
    #[error("the header {0} may be sent once only")]
    Repeated(&'static str),
    /// A `Transfer-Encoding` other than `chunked`: the body would be read in one way here and in another elsewhere.
    #[error("the Transfer-Encoding may be chunked alone")]
    TransferEncoding,
    /// `Connection` names a header, which would be gone behind any proxy.
    #[error("the Connection header may name close, keep-alive and te alone")]
    HopByHop,
    /// `X-Amz-Target` absent or unknown.
    #[error("no operation of KMS has the X-Amz-Target that was sent")]
    Target,
}

/// What can be wrong with the arrival of a body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyFault {
    /// More bytes than the operation may have.
    #[error("the body is larger than the {0} bytes that the operation may have")]
    TooLarge(usize),
    /// Not all of it came in time.
    #[error("the body did not arrive within the time the gateway allows")]
    TooSlow,
    /// The client ended or broke the connection before all of it came.
    #[error("the body ended early: {0}")]
    Broken(String),
}

impl Error {
    /// The fault of an upstream that was to carry out `operation`.
    #[must_use]
    pub fn upstream(fault: Fault, operation: Operation) -> Self {
        let uses = matches!(operation.class(), Class::Symmetric | Class::Asymmetric | Class::DataKeyPair);
        Self::Upstream { fault, uses_key: uses && operation.key().is_some() }
    }

    /// Why the keys of a request for `operation` could not be found.
    #[must_use]
    pub fn unresolved(unresolved: Unresolved, operation: Operation) -> Self {
        match unresolved {
            Unresolved::Kms(exception) => exception.into(),
            Unresolved::Fault(fault) => Self::upstream(fault, operation),
            Unresolved::Throttled(throttled) => Self::Throttled(throttled.limiter),
        }
    }

    /// The refusal as KMS words it.
    #[must_use]
    pub fn exception(&self) -> Cow<'_, Exception> {
        use ExceptionKind as Kind;
        let owned = |kind, text: String| Cow::Owned(Exception::new(kind, text));
        match self {
            // AWS sends no message with an unknown target.
            Self::Head(HeadFault::Target) => Cow::Owned(Exception::unknown_operation()),
            Self::Head(HeadFault::Repeated(_) | HeadFault::TransferEncoding | HeadFault::HopByHop) => {
                owned(Kind::Validation, self.to_string())
            }
            // For these AWS has an XML 404, which no JSON client can read: here its name as JSON, with a text.
            Self::Head(_) => owned(Kind::UnknownOperation, self.to_string()),
            Self::Body(BodyFault::TooLarge(_)) => owned(Kind::RequestEntityTooLarge, self.to_string()),
            Self::Body(BodyFault::TooSlow) => owned(Kind::RequestTimeout, self.to_string()),
            Self::Body(BodyFault::Broken(_)) => Cow::Owned(Exception::bare(Kind::Serialization)),
            Self::Signature(error) => Cow::Owned(error.into()),
            Self::Kms(exception) => Cow::Borrowed(exception),
            Self::Throttled(_) => Cow::Owned(Exception::throttling()),
            Self::Overloaded(_) => owned(Kind::ServiceUnavailable, "the gateway is overloaded; try again later".into()),
            Self::DeadlinePassed => owned(Kind::DependencyTimeout, self.to_string()),
            Self::Upstream { fault, uses_key } => match fault {
                Fault::ShareUsedUp | Fault::Throttled => Cow::Owned(Exception::throttling()),
                Fault::TimedOut(_) => owned(Kind::DependencyTimeout, "KMS did not answer the gateway in time".into()),
                Fault::Unreachable(_) if *uses_key => {
                    owned(Kind::KeyUnavailable, "the key cannot be reached from the gateway; try again later".into())
                }
                _ => owned(Kind::KmsInternal, "the gateway had no answer from KMS; try again later".into()),
            },
            Self::Unrecorded(_) => owned(Kind::ServiceUnavailable, "the audit record cannot be written".into()),
            Self::Panicked(_) => owned(Kind::KmsInternal, "internal fault; see the gateway's log".into()),
        }
    }

    /// What the operator should know and the client need not; `None` if the exception says it all.
    #[must_use]
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::Kms(exception) => exception.detail().map(str::to_owned),
            other => Some(other.to_string()),
        }
    }
}
