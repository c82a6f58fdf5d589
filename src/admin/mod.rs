//! The probe listener: `/livez` and `/readyz`, read-only, apart from the traffic of KMS.
//!
//! Liveness is the process alone; readiness says why it is not ready. Neither depends on AWS, so that a fault
//! there does not restart every pod.
//!
//! A connection is for one probe and a few seconds, so that nobody can take this listener for good. Who comes while all
//! places are taken waits with the kernel, at the cost of no file descriptor.

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
use tokio::task::JoinSet;
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
    loop {
        tokio::select! {
            accepted = listener.accept(), if open.len() < MAX_CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    open.spawn(timeout(CONNECTION, connection(stream, Arc::clone(readiness))));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = open.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, readiness: Arc<dyn Readiness>) {
    let probes = ServiceBuilder::new()
        .layer(SetResponseHeaderLayer::overriding(CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .layer(SetResponseHeaderLayer::overriding(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8")))
        .service_fn(move |request: Request<hyper::body::Incoming>| {
            let answer = answer(request.method(), request.uri().path(), readiness.as_ref());
            async move { Ok::<_, Infallible>(answer) }
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

fn answer(method: &Method, path: &str, readiness: &dyn Readiness) -> Response<Full<Bytes>> {
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
            let reasons = readiness.unready();
            if reasons.is_empty() {
                text(StatusCode::OK, "ok\n".into())
            } else {
                text(StatusCode::SERVICE_UNAVAILABLE, reasons.join("\n") + "\n")
            }
        }
        _ => text(StatusCode::NOT_FOUND, "the probes are /livez and /readyz\n".into()),
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

    #[test]
    fn readiness_fails_with_its_reasons_while_liveness_does_not() {
        let unready = Reasons(vec!["draining".into(), "the audit file cannot be written".into()]);
        assert_eq!(answer(&Method::GET, "/readyz", &unready).status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer(&Method::GET, "/livez", &unready).status(), StatusCode::OK);
        assert_eq!(answer(&Method::GET, "/readyz", &Reasons(vec![])).status(), StatusCode::OK);
    }

    #[test]
    fn nothing_else_is_served() {
        let ready = Reasons(vec![]);
        assert_eq!(answer(&Method::POST, "/livez", &ready).status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(answer(&Method::GET, "/", &ready).status(), StatusCode::NOT_FOUND);
    }
}
