//! The yardstick: a proxy on hyper and hyper-util's client, which forwards every request and returns every answer.
//!
//! It runs as a child process of the benchmark. It has what any gateway on hyper has (one `current_thread` runtime, one
//! flat write an answer, connections that are kept) and nothing else: what the gateway costs beyond it is the price of
//! checking, signing and recording.

use std::net::SocketAddr;

use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use crate::Outcome;

/// The hidden argument that makes the benchmark's binary this server; a [`Script`] as JSON follows it.
pub(crate) const ARGUMENT: &str = "--serve-proxy";

/// What the server is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Script {
    /// Where it listens.
    pub(crate) listen: SocketAddr,
    /// Where it forwards to.
    pub(crate) upstream: SocketAddr,
}

/// Serves until the process is killed.
pub(crate) fn run(script: &str) -> Outcome<()> {
    let script: Script = serde_json::from_str(script)?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve(&script))
}

async fn serve(script: &Script) -> Outcome<()> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let forward = Forward {
        // Without vectored writes, as the gateway's.
        client: Client::builder(TokioExecutor::new()).http1_writev(false).build(connector),
        upstream: script.upstream.to_string().parse()?,
    };
    let listener = TcpListener::bind(script.listen).await?;
    loop {
        let (stream, _peer) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let forward = forward.clone();
        let service = service_fn(move |request| forward.clone().answer(request));
        let connection = hyper::server::conn::http1::Builder::new()
            .half_close(false)
            .writev(false)
            .serve_connection(TokioIo::new(stream), service);
        // A client that goes away is no news to a server: the client has counted its answers.
        tokio::spawn(async move { drop(connection.await) });
    }
}

#[derive(Clone)]
struct Forward {
    client: Client<HttpConnector, Incoming>,
    upstream: Authority,
}

impl Forward {
    /// What cannot be forwarded ends the connection, and with it the run: there is nothing to measure then.
    async fn answer(self, mut request: Request<Incoming>) -> Outcome<Response<Incoming>> {
        let path = request.uri().path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
        let uri = Uri::builder().scheme(Scheme::HTTP).authority(self.upstream).path_and_query(path);
        *request.uri_mut() = uri.build()?;
        Ok(self.client.request(request).await?)
    }
}
