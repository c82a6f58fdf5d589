//! Turns an answer or an error into the HTTP response that every AWS SDK can read.
//!
//! Every layer below may refuse; this is the only place where status, headers and the error's body are made.
//! botocore reads an error's name from the body's `__type` alone, the Smithy SDKs from `x-amzn-ErrorType`
//! first: both are always sent (reference: AWS JSON 1.1, "Operation error serialization").

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Response;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http_body_util::Full;
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::{Identified, Inner};
use crate::error::Error;
use crate::kms::Answer;
use crate::random::Exhausted;
use crate::stage::RequestId;

/// The body of every answer: whole, in memory.
pub type AnswerBody = Full<Bytes>;

const AMZN_REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const AMZN_ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
const AMZ_JSON_1_1: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.1");

/// Renders what the service below answers.
#[derive(Debug, Clone, Copy, Default)]
pub struct RenderLayer;

impl<S> Layer<S> for RenderLayer {
    type Service = Render<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Render { inner }
    }
}

/// The service of [`RenderLayer`].
#[derive(Debug, Clone)]
pub struct Render<S> {
    inner: S,
}

impl<B, S> Service<Identified<B>> for Render<S>
where
    S: Inner<Identified<B>>,
{
    type Response = Response<AnswerBody>;
    type Error = Exhausted;
    type Future = Rendering<S::Future>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Exhausted>> {
        // Every service of the stack is always ready: what has no room refuses in an SDK's words instead.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, identified: Identified<B>) -> Self::Future {
        Rendering { id: identified.id, inner: self.inner.call(identified) }
    }
}

pin_project! {
    /// The response of [`Render`] to be.
    pub struct Rendering<F> {
        id: RequestId,
        #[pin]
        inner: F,
    }
}

impl<F: Future<Output = Result<Answer, Error>>> Future for Rendering<F> {
    type Output = Result<Response<AnswerBody>, Exhausted>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        Poll::Ready(Ok(match ready!(this.inner.poll(cx)) {
            Ok(answer) => success(this.id, answer),
            Err(error) => failure(this.id, &error),
        }))
    }
}

fn success(id: &RequestId, answer: Answer) -> Response<AnswerBody> {
    let mut response = Response::new(Full::new(answer.body));
    stamp(id, &mut response);
    response
}

fn failure(id: &RequestId, error: &Error) -> Response<AnswerBody> {
    let exception = error.exception();
    let mut response = Response::new(Full::new(exception.body()));
    *response.status_mut() = exception.kind().status();
    response.headers_mut().insert(AMZN_ERROR_TYPE, HeaderValue::from_static(exception.kind().name()));
    stamp(id, &mut response);
    response
}

fn stamp(id: &RequestId, response: &mut Response<AnswerBody>) {
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, AMZ_JSON_1_1);
    if let Ok(id) = HeaderValue::from_bytes(id.as_bytes()) {
        headers.insert(AMZN_REQUEST_ID, id);
    }
}
