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
use crate::kms::{Answer, Forwarded};
use crate::random::Exhausted;
use crate::stage::RequestId;

/// The body of every answer: whole, in memory.
pub type AnswerBody = Full<Bytes>;

pub(super) const AMZN_REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
pub(super) const AMZN_ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
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
    if let Some(forwarded) = answer.forwarded {
        let Forwarded { status, request_id, error_type, .. } = *forwarded;
        *response.status_mut() = status;
        for (name, value) in [(AMZN_REQUEST_ID, request_id), (AMZN_ERROR_TYPE, error_type)] {
            if let Some(value) = value {
                response.headers_mut().insert(name, value);
            }
        }
    }
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

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use serde_json::Value;
    use tower::service_fn;

    use super::super::testing::World;
    use super::*;
    use crate::error::{BodyFault, HeadFault};
    use crate::kms::{Exception, ExceptionKind};

    struct Rendered {
        id: String,
        response: Response<AnswerBody>,
    }

    async fn rendered(result: Result<Answer, Error>) -> Rendered {
        let identified = World::new().identified(http::Request::new(()));
        let id = identified.id.as_str().to_owned();
        let mut result = Some(result);
        let inner = service_fn(move |_: Identified<()>| std::future::ready(result.take().unwrap()));
        Rendered { id, response: RenderLayer.layer(inner).call(identified).await.unwrap() }
    }

    impl Rendered {
        fn header(&self, name: &str) -> Option<&str> {
            self.response.headers().get(name).map(|value| value.to_str().unwrap())
        }

        async fn body(self) -> Bytes {
            self.response.into_body().collect().await.unwrap().to_bytes()
        }
    }

    #[tokio::test]
    async fn an_answer_is_rendered_as_kms_renders_it() {
        let answer = rendered(Ok(Answer::new(Bytes::from_static(b"{}")))).await;
        assert_eq!(answer.response.status(), 200);
        assert_eq!(answer.header("content-type"), Some("application/x-amz-json-1.1"));
        assert_eq!(answer.header("x-amzn-requestid"), Some(answer.id.as_str()));
        assert_eq!(answer.header("x-amzn-errortype"), None);
        assert_eq!(answer.body().await, "{}");
    }

    #[tokio::test]
    async fn an_operation_without_output_is_answered_with_no_body() {
        let answer = rendered(Ok(Answer::empty())).await;
        assert_eq!(answer.response.status(), 200);
        assert_eq!(answer.body().await, "");
    }

    #[tokio::test]
    async fn an_upstreams_answer_keeps_its_status_its_id_and_the_name_of_its_error() {
        let forwarded = Forwarded {
            status: http::StatusCode::SERVICE_UNAVAILABLE,
            request_id: Some(HeaderValue::from_static("an-upstream-s-id")),
            error_type: Some(HeaderValue::from_static("ServiceUnavailableException")),
            failure: None,
        };
        let nameless = Forwarded { request_id: None, ..forwarded.clone() };
        let answer = |forwarded| Answer { forwarded: Some(Box::new(forwarded)), ..Answer::empty() };
        let named = rendered(Ok(answer(forwarded))).await;
        assert_eq!(named.response.status(), 503);
        assert_eq!(named.header("content-type"), Some("application/x-amz-json-1.1"));
        assert_eq!(named.header("x-amzn-requestid"), Some("an-upstream-s-id"));
        assert_eq!(named.header("x-amzn-errortype"), Some("ServiceUnavailableException"));
        let nameless = rendered(Ok(answer(nameless))).await;
        assert_eq!(nameless.header("x-amzn-requestid"), Some(nameless.id.as_str()));
    }

    #[tokio::test]
    async fn every_error_says_its_name_in_the_header_and_in_the_body() {
        for kind in ExceptionKind::ALL {
            let answer = rendered(Err(Exception::bare(*kind).into())).await;
            assert_eq!(answer.response.status(), kind.status());
            assert_eq!(answer.header("content-type"), Some("application/x-amz-json-1.1"));
            assert_eq!(answer.header("x-amzn-requestid"), Some(answer.id.as_str()));
            assert_eq!(answer.header("x-amzn-errortype"), Some(kind.name()));
            let body: Value = serde_json::from_slice(&answer.body().await).unwrap();
            assert_eq!(body, serde_json::json!({"__type": kind.name()}));
        }
    }

    #[tokio::test]
    async fn what_is_not_kmss_to_refuse_has_the_status_that_sdks_understand() {
        for (error, status, name) in [
            (Error::from(HeadFault::Target), 400, "UnknownOperationException"),
            (HeadFault::Method.into(), 400, "UnknownOperationException"),
            (HeadFault::Repeated("Host").into(), 400, "ValidationException"),
            (BodyFault::TooLarge(1).into(), 413, "RequestEntityTooLargeException"),
            (BodyFault::TooSlow.into(), 408, "RequestTimeoutException"),
            (BodyFault::Broken("reset".into()).into(), 400, "SerializationException"),
            (Error::Throttled("key"), 400, "ThrottlingException"),
            (Error::DeadlinePassed, 500, "DependencyTimeoutException"),
            (Error::Panicked("index out of bounds".into()), 500, "KMSInternalException"),
        ] {
            let told = error.to_string();
            let answer = rendered(Err(error)).await;
            assert_eq!(answer.response.status(), status, "{told}");
            assert_eq!(answer.header("x-amzn-errortype"), Some(name), "{told}");
            let body: Value = serde_json::from_slice(&answer.body().await).unwrap();
            assert_eq!(body["__type"], name, "{told}");
            assert!(!body.to_string().contains("index out of bounds"), "{body}");
        }
    }
}
