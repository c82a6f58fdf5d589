//! The probe listener: `/livez`, `/readyz` and `/metrics`, read-only, apart from the traffic of KMS.
//!
//! Liveness is the process alone, so that no fault elsewhere restarts every pod. Readiness says why the gateway is not
//! ready: it may fail for want of credentials, and not because KMS cannot be reached. Metrics are shown as they are: what
//! counts is described where it counts, and all of it in the manual.
//!
//! A connection is for one probe and a few seconds. Who comes while all places are taken gets that of the oldest, so that
//! silent connections keep no probe waiting.

mod metrics;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet, spawn_blocking};
use tokio::time::timeout;
use tower::{ServiceBuilder, ServiceExt};
use tower_http::set_header::SetResponseHeaderLayer;

/// A probe that does not send its request within this is gone.
const HEAD_READ: Duration = Duration::from_secs(5);
/// The whole of a connection: longer than any prober waits.
const CONNECTION: Duration = Duration::from_secs(10);
/// How long an accept that failed for want of file descriptors waits before the next.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Probes and scrapers are few; a flood of them must not take the gateway's file descriptors.
const MAX_CONNECTIONS: usize = 64;

pub use metrics::begin as begin_metrics;

/// Why the gateway is not ready; empty when it is.
pub trait Readiness: Send + Sync + 'static {
    /// One line a reason, fit for an operator's eyes.
    fn unready(&self) -> Vec<String>;
}

/// Serves the probes until `end` is done.
pub async fn serve(listener: TcpListener, readiness: Arc<dyn Readiness>, end: impl Future<Output = ()>) {
    tokio::select! {
        () = accept(&listener, &readiness) => {}
        () = end => {}
    }
}

async fn accept(listener: &TcpListener, readiness: &Arc<dyn Readiness>) {
    let mut open = JoinSet::new();
    let mut oldest_first = VecDeque::<AbortHandle>::with_capacity(MAX_CONNECTIONS);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    if oldest_first.len() == MAX_CONNECTIONS
                        && let Some(oldest) = oldest_first.pop_front()
                    {
                        oldest.abort();
                    }
                    oldest_first.push_back(open.spawn(timeout(CONNECTION, connection(stream, Arc::clone(readiness)))));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = open.join_next() => oldest_first.retain(|connection| !connection.is_finished()),
        }
    }
}

async fn connection(stream: TcpStream, readiness: Arc<dyn Readiness>) {
    let probes = ServiceBuilder::new()
        .layer(SetResponseHeaderLayer::overriding(CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .layer(SetResponseHeaderLayer::if_not_present(
            CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        ))
        .service_fn(move |request: Request<hyper::body::Incoming>| {
            let readiness = Arc::clone(&readiness);
            async move { Ok::<_, Infallible>(answer(request.method(), request.uri().path(), readiness).await) }
        });
    let service = hyper::service::service_fn(move |request| probes.clone().oneshot(request));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_READ)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "probe connection ended");
    }
}

async fn answer(method: &Method, path: &str, readiness: Arc<dyn Readiness>) -> Response<Full<Bytes>> {
    let text = |status: StatusCode, text: String| {
        let mut response = Response::new(Full::new(Bytes::from(text)));
        *response.status_mut() = status;
        response
    };
    if method != Method::GET && method != Method::HEAD {
        return text(StatusCode::METHOD_NOT_ALLOWED, "probes are read by GET\n".into());
    }
    match path {
        "/livez" => text(StatusCode::OK, "ok\n".into()),
        "/readyz" => {
            // To see whether the audit log can be written is to try, and its disk may hang.
            let asked = spawn_blocking(move || readiness.unready()).await;
            let reasons = asked.unwrap_or_else(|error| vec![error.to_string()]);
            if reasons.is_empty() {
                text(StatusCode::OK, "ok\n".into())
            } else {
                text(StatusCode::SERVICE_UNAVAILABLE, reasons.join("\n") + "\n")
            }
        }
        "/metrics" => {
            let mut response = text(StatusCode::OK, metrics::begin().render());
            response.headers_mut().insert(CONTENT_TYPE, metrics::CONTENT_TYPE);
            response
        }
        _ => text(StatusCode::NOT_FOUND, "there are /livez, /readyz and /metrics\n".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Reasons(Vec<String>);

    impl Readiness for Reasons {
        fn unready(&self) -> Vec<String> {
            self.0.clone()
        }
    }

    async fn status(method: &Method, path: &str, unready: &[&str]) -> StatusCode {
        let reasons = Reasons(unready.iter().map(|&reason| reason.to_owned()).collect());
        answer(method, path, Arc::new(reasons)).await.status()
    }

    #[tokio::test]
    async fn readiness_fails_with_its_reasons_while_liveness_does_not() {
        let unready = ["draining", "the audit file cannot be written"];
        assert_eq!(status(&Method::GET, "/readyz", &unready).await, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(status(&Method::GET, "/livez", &unready).await, StatusCode::OK);
        assert_eq!(status(&Method::GET, "/readyz", &[]).await, StatusCode::OK);
    }

    #[tokio::test]
    async fn metrics_are_shown_in_the_format_of_prometheus_also_while_the_gateway_is_not_ready() {
        let response = answer(&Method::GET, "/metrics", Arc::new(Reasons(vec!["draining".into()]))).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()[CONTENT_TYPE], "text/plain; version=0.0.4; charset=utf-8");
    }

    #[tokio::test]
    async fn nothing_else_is_served() {
        assert_eq!(status(&Method::POST, "/livez", &[]).await, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(status(&Method::GET, "/", &[]).await, StatusCode::NOT_FOUND);
    }
}
