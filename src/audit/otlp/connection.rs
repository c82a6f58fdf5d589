//! The connection to the collector, which is kept from one request to the next, and one request on it.

use std::pin::Pin;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::future::poll_fn;
use http::Request;
use http_body::Body;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::AbortHandle;
use tokio_rustls::TlsConnector;
use tower::ServiceExt;

use super::answer::Answer;
use super::endpoint::Endpoint;
use super::failure::Failure;

/// What an answer's head may have.
const HEAD_BYTES: usize = 16 * 1024;
/// What is read of an answer's body: a success has none or a sentence, and of an error the beginning is shown.
const BODY_BYTES: usize = 64 * 1024;

/// Makes connections to one collector, and keeps one.
pub(super) struct Collector {
    endpoint: Endpoint,
    tcp: HttpConnector,
    kept: Option<Connection>,
}

/// An open connection; dropped, it is closed, with whatever was on its way.
struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    task: AbortHandle,
}

impl Collector {
    pub(super) fn new(endpoint: Endpoint) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        Self { endpoint, tcp, kept: None }
    }

    pub(super) const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Sends `request` and reads its answer. The caller bounds the time.
    ///
    /// A collector may close a connection that is not in use at any time, also while a request is on its way. So a kept
    /// one that ends without an answer is not the collector's word yet: the request is sent once more, on a new one.
    pub(super) async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, Failure> {
        if let Some(kept) = self.kept.take() {
            match self.exchange(kept, request.clone()).await {
                Err(Failure::Unanswered(_)) => {}
                told => return told,
            }
        }
        let connection = self.connect().await?;
        self.exchange(connection, request).await
    }

    async fn exchange(&mut self, mut with: Connection, request: Request<Full<Bytes>>) -> Result<Answer, Failure> {
        let sent = with.sender.send_request(request).await;
        let (head, mut body) = sent.map_err(|error| failed(&error))?.into_parts();
        if head.status.is_informational() {
            return Err(Failure::unreadable("it switches protocols"));
        }
        let (body, cut) = read(&mut body).await?;
        if !cut && with.sender.is_ready() {
            self.kept = Some(with);
        }
        Ok(Answer { status: head.status, headers: head.headers, body, cut })
    }

    async fn connect(&self) -> Result<Connection, Failure> {
        let to = self.endpoint.authority();
        let stream = self.tcp.clone().oneshot(self.endpoint.url.clone()).await;
        let stream = stream.map_err(|error| Failure::unreachable(to, &error))?.into_inner();
        match &self.endpoint.tls {
            None => Connection::open(to, stream).await,
            Some((name, config)) => {
                let stream = TlsConnector::from(Arc::clone(config)).connect(name.clone(), stream).await;
                Connection::open(to, stream.map_err(|error| Failure::unreachable(to, &error))?).await
            }
        }
    }
}

impl Connection {
    async fn open<Io>(to: &str, stream: Io) -> Result<Self, Failure>
    where
        Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let handshake = http1::Builder::new()
            .max_header_size(HEAD_BYTES)
            // Bounds what is read of a head that does not end.
            .max_buf_size(HEAD_BYTES)
            .handshake(TokioIo::new(stream));
        let (sender, connection) = handshake.await.map_err(|error| Failure::unreachable(to, &error))?;
        // Whatever ends it, the request on it is told, or the next one is.
        let task = tokio::spawn(async move { drop(connection.await) }).abort_handle();
        Ok(Self { sender, task })
    }
}

impl Drop for Connection {
    /// Without a farewell, which the other side could keep waiting.
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The body, as far as it is read, and whether there is more of it.
async fn read(body: &mut Incoming) -> Result<(Bytes, bool), Failure> {
    let mut read = BytesMut::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await {
        let Ok(data) = frame.map_err(|error| failed(&error))?.into_data() else { continue };
        let room = BODY_BYTES - read.len();
        read.extend_from_slice(data.get(..room).unwrap_or(&data));
        if data.len() > room {
            return Ok((read.freeze(), true));
        }
    }
    Ok((read.freeze(), false))
}

/// The request was on the connection.
fn failed(error: &hyper::Error) -> Failure {
    if error.is_parse() { Failure::unreadable(error.to_string()) } else { Failure::unanswered(error) }
}
