//! One call of an upstream: signed anew, sent, and repeated once where that does no harm.
//!
//! Throttling passes: the client's SDK repeats such calls by itself, and two that do would multiply. What is repeated
//! here is what never reached the upstream, what a broken connection left unanswered if the operation may be done twice,
//! and what was signed by a clock that the upstream has just corrected.

use std::mem;

use bytes::Bytes;
use http::{HeaderName, Response, StatusCode};
use tokio::time::Instant;

use super::transport::{Bounds, Failure, FailureKind};
use super::upstream::Learnt;
use super::{AwsBackend, Fault};
use crate::aws::{AccountId, Operation, Region, UpstreamQuota};
use crate::kms::{NotKms, UpstreamAnswer};
use crate::limits::Subject;
use crate::sigv4::PayloadHash;

const AMZN_ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

/// What is asked of an upstream.
#[derive(Clone)]
pub struct Call {
    /// The operation.
    pub operation: Operation,
    /// Its request, byte for byte.
    pub body: Bytes,
    /// The hash of that.
    pub payload: PayloadHash,
    /// The quota of the upstream's that it draws from.
    pub quota: UpstreamQuota,
    /// Whose part of that it uses up.
    pub charged: Subject,
}

impl Call {
    /// A call of the gateway's own, on that principal's account.
    pub(super) fn own(operation: Operation, body: Bytes, charged: Subject) -> Self {
        let (payload, quota) = (PayloadHash::of(&body), operation.quota(None));
        Self { operation, body, payload, quota, charged }
    }
}

/// What an upstream answered.
#[derive(Debug)]
pub struct Answered<T> {
    /// What was read of the answer.
    pub read: T,
    /// How a first attempt failed that may have been carried out, whatever the answer to the second one says.
    pub left_open: Option<Fault>,
}

impl AwsBackend {
    /// Calls the KMS of that account and region, and reads its answer, error or not, by `read`.
    ///
    /// # Errors
    ///
    /// [`Fault`], where there is no answer of a KMS, or one that is about the gateway's own credentials.
    pub async fn call_for<T>(
        &self,
        region: &Region,
        account: AccountId,
        call: &Call,
        read: impl FnOnce(&UpstreamAnswer<'_>, &Response<Bytes>) -> T,
    ) -> Result<Answered<T>, Fault> {
        match self.upstream(region, account) {
            Some(upstream) => self.call(upstream, call, read).await,
            None => Err(Fault::Unreachable("no upstream is configured for its account and region".into())),
        }
    }

    /// As [`Self::call_for`], of the upstream in that place.
    pub(super) async fn call<T>(
        &self,
        upstream: usize,
        call: &Call,
        read: impl FnOnce(&UpstreamAnswer<'_>, &Response<Bytes>) -> T,
    ) -> Result<Answered<T>, Fault> {
        let (Some(upstream), Some(transport)) = (self.shared().all.get(upstream), self.0.transports.get(upstream))
        else {
            return Err(Fault::Unreachable("there is no such upstream".into()));
        };
        upstream.admit(call).await?;
        let deadline = Instant::now() + self.shared().timeouts.call;
        let bounds = Bounds { deadline, answer_bytes: call.operation.answer_cap() };
        let mut may_be_repeated = true;
        // How a first attempt failed that may have been carried out, whatever becomes of the second.
        let mut left_open: Option<Fault> = None;
        let fault = loop {
            let Ok(mut pass) = upstream.breaker.admit(Instant::now()) else { break Fault::CircuitOpen };
            let (request, signed) = match upstream.sign(call) {
                Ok(signed) => signed,
                Err(fault) => break fault,
            };
            let response = match Box::pin(transport.send(request, &bounds, |now| pass.handed_over(now))).await {
                Ok(response) => response,
                Err(failure) => {
                    // That all of our own connections are in use says nothing of the upstream.
                    if failure.kind() != FailureKind::AllInUse {
                        pass.failed(Instant::now());
                    }
                    if mem::take(&mut may_be_repeated) && does_no_harm_twice(call.operation, &failure) {
                        left_open = failure.was_written().then(|| failure.into());
                        // It counts once more, as far as there is room: it is rare, and what it is for was admitted.
                        let _ = upstream.admit(call).await;
                        continue;
                    }
                    break failure.into();
                }
            };
            let answer = match read_answer(call.operation, &response) {
                Ok(answer) => answer,
                Err(not_kms) => {
                    if is_about_the_request(response.status()) {
                        pass.says_nothing();
                    } else {
                        pass.failed(Instant::now());
                    }
                    upstream.unusable.not_kms.increment(1);
                    break Fault::NotKms(not_kms.to_string().into());
                }
            };
            pass.succeeded();
            match upstream.learn(call, &signed, &answer, response.headers()) {
                Learnt::Nothing => return Ok(Answered { read: read(&answer, &response), left_open }),
                Learnt::TheTime if mem::take(&mut may_be_repeated) => {
                    let _ = upstream.admit(call).await;
                }
                Learnt::TheTime => break Fault::Rejected("it calls the time of the signature wrong".into()),
                Learnt::NotUs(said) => {
                    upstream.unusable.rejected.increment(1);
                    break Fault::Rejected(said);
                }
            }
        };
        Err(match left_open {
            Some(first) if !fault.leaves_open() => first.and_then(&fault),
            _ => fault,
        })
    }
}

fn read_answer(operation: Operation, response: &Response<Bytes>) -> Result<UpstreamAnswer<'_>, NotKms> {
    let error_type = response.headers().get(AMZN_ERROR_TYPE).and_then(|name| name.to_str().ok());
    UpstreamAnswer::read(operation, response.status(), error_type, response.body())
}

/// Whether an answer that is none of KMS's may be due to what was asked alone, such as an emulator's page for what it does
/// not serve: whoever asks for that must not keep the upstream from all others.
fn is_about_the_request(status: StatusCode) -> bool {
    status.is_client_error() || status == StatusCode::NOT_IMPLEMENTED
}

/// Whether a call that was not answered may be made again.
fn does_no_harm_twice(operation: Operation, failure: &Failure) -> bool {
    // Its time is up, or it would be answered the same.
    let is_final = failure.timed_out() || matches!(failure.kind(), FailureKind::Unreadable | FailureKind::AllInUse);
    !is_final && (operation.repeatable() || !failure.was_written())
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        let detail = failure.detail().into();
        match failure.kind() {
            FailureKind::AllInUse | FailureKind::NotSent | FailureKind::ConnectTimeout => Self::Unreachable(detail),
            FailureKind::Broken => Self::Broken(detail),
            FailureKind::FirstByteTimeout | FailureKind::CallTimeout => Self::TimedOut(detail),
            FailureKind::Unreadable => Self::NotKms(detail),
        }
    }
}

#[cfg(test)]
mod tests;
