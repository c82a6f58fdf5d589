//! Makes connections: TCP, a proxy's tunnel where there is a proxy, TLS unless the upstream is on this machine.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use hyper::client::conn::http1;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tower::{Service, ServiceExt};

use super::connection::Connection;
use super::counts::Counts;
use super::endpoint::{Endpoint, Security};
use super::failure::{Failure, FailureKind, io_kind};
use super::proxy::Proxy;

/// What an answer's head may have: as much as a request's. KMS's have half a kilobyte.
const ANSWER_HEAD_BYTES: usize = 64 * 1024;

/// Makes connections to one upstream.
pub(super) struct Connector {
    endpoint: Endpoint,
    proxy: Option<Proxy>,
    tcp: HttpConnector,
    counts: Arc<Counts>,
}

impl Connector {
    /// `time` is what all addresses of a host have together: none of them may use up what the others need.
    pub(super) fn new(endpoint: Endpoint, proxy: Option<Proxy>, time: Duration, counts: Arc<Counts>) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        // A request must not wait for the acknowledgement of what was sent before.
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(time));
        Self { endpoint, proxy, tcp, counts }
    }

    /// A new connection. The caller bounds the time.
    ///
    /// In a box of its own: it is rare, and large, and would make the future of every request as large.
    pub(super) fn connect(&self) -> Pin<Box<dyn Future<Output = Result<Connection, Failure>> + Send + '_>> {
        Box::pin(async move {
            let stream = self.tcp_or_tunnel().await?;
            match self.endpoint.security() {
                Security::Loopback => self.http(stream).await,
                Security::Tls(name, config) => self.http(self.tls(stream, name, config).await?).await,
            }
        })
    }

    async fn tcp_or_tunnel(&self) -> Result<TcpStream, Failure> {
        let to = self.endpoint.url().clone();
        let Some(Proxy { url, authorization }) = &self.proxy else { return self.call(self.tcp.clone(), to).await };
        let mut tunnel = Tunnel::new(url.clone(), self.tcp.clone());
        if let Some(authorization) = authorization {
            tunnel = tunnel.with_auth(authorization.clone());
        }
        self.call(tunnel, to).await
    }

    async fn call<S>(&self, connector: S, to: Uri) -> Result<TcpStream, Failure>
    where
        S: Service<Uri, Response = TokioIo<TcpStream>, Error: Error + 'static>,
    {
        let stream = connector.oneshot(to).await.map_err(|error| self.failed("connecting to", &error))?;
        Ok(stream.into_inner())
    }

    async fn tls(
        &self,
        stream: TcpStream,
        name: &ServerName<'static>,
        config: &Arc<ClientConfig>,
    ) -> Result<impl AsyncRead + AsyncWrite + Unpin + Send + 'static, Failure> {
        let connecting = TlsConnector::from(Arc::clone(config)).connect(name.clone(), stream);
        connecting.await.map_err(|error| self.failed("TLS with", &error))
    }

    async fn http<Io>(&self, stream: Io) -> Result<Connection, Failure>
    where
        Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let handshake = http1::Builder::new()
            .max_header_size(ANSWER_HEAD_BYTES)
            // Bounds what is read of a head that does not end.
            .max_buf_size(ANSWER_HEAD_BYTES)
            // A request of a few hundred bytes is cheaper copied behind its head than sent as a second vector.
            .writev(false)
            .handshake(TokioIo::new(stream));
        let (sender, connection) = handshake.await.map_err(|error| self.failed("HTTP with", &error))?;
        let mut connection = Connection::spawn(sender, connection, &self.counts);
        connection.ready().await.map_err(|error| self.failed("HTTP with", &error))?;
        Ok(connection)
    }

    /// Nothing of a request was written: there was no connection yet.
    fn failed(&self, doing: &str, error: &(dyn Error + 'static)) -> Failure {
        let late = io_kind(error) == Some(std::io::ErrorKind::TimedOut);
        let kind = if late { FailureKind::ConnectTimeout } else { FailureKind::NotSent };
        Failure::of(kind, format_args!("{doing} {self}"), error)
    }
}

/// The upstream's host and port, and how it is reached.
impl fmt::Display for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = |url: &Uri| url.authority().map_or_else(String::new, ToString::to_string);
        f.write_str(&authority(self.endpoint.url()))?;
        match &self.proxy {
            Some(proxy) => write!(f, " through the proxy {}", authority(&proxy.url)),
            None => Ok(()),
        }
    }
}
