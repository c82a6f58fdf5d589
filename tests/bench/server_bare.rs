//! The yardstick: a hyper server that reads a whole request and answers with constant bytes.
//!
//! It runs as a child process of the benchmark, which starts itself again with [`ARGUMENT`]. It has what any
//! gateway on hyper has (one `current_thread` runtime, one flat write an answer) and nothing else: what the
//! gateway costs beyond it is the price of the gateway's own work.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use crate::Outcome;

/// The hidden argument that makes the benchmark's binary this server; a [`Script`] as JSON follows it.
pub(crate) const ARGUMENT: &str = "--serve-bare";

/// What the server is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Script {
    /// Where it listens.
    pub(crate) listen: SocketAddr,
    /// The headers of every answer, beside those that hyper adds itself (`content-length` and `date`).
    pub(crate) headers: Vec<(String, String)>,
    /// The body of every answer.
    pub(crate) body: String,
}

/// Serves until the process is killed.
pub(crate) fn run(script: &str) -> Outcome<()> {
    let script: Script = serde_json::from_str(script)?;
    tokio::runtime::Builder::new_current_thread().enable_io().build()?.block_on(serve(&script))
}

async fn serve(script: &Script) -> Outcome<()> {
    let mut headers = HeaderMap::new();
    for (name, value) in &script.headers {
        headers.insert(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
    }
    let body = Bytes::from(script.body.clone());
    let listener = TcpListener::bind(script.listen).await?;
    loop {
        let (stream, _peer) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (headers, body) = (headers.clone(), body.clone());
        let service = service_fn(move |request| answer(request, headers.clone(), body.clone()));
        let connection = hyper::server::conn::http1::Builder::new()
            .half_close(false)
            .writev(false)
            .serve_connection(TokioIo::new(stream), service);
        // A client that goes away is no news to a server: the client has counted its answers.
        tokio::spawn(async move { drop(connection.await) });
    }
}

async fn answer(
    request: Request<Incoming>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut received = request.into_body();
    while let Some(Ok(frame)) = received.frame().await {
        drop(frame);
    }
    let mut response = Response::new(Full::new(body));
    *response.headers_mut() = headers;
    Ok(response)
}
