//! Upstreams for tests: real sockets and real TLS, and whatever on them a test wants.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header::HOST;
use http_body_util::Full;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, SupportedProtocolVersion};
use tempfile::NamedTempFile;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use super::*;

/// A wait that must not end for want of time, however slow the machine is.
pub(in crate::backend::aws) const LONG: Duration = Duration::from_mins(5);
/// One that must.
pub(super) const SHORT: Duration = Duration::from_millis(30);

pub(in crate::backend::aws) const TIMEOUTS: Timeouts = Timeouts { connect: LONG, first_byte: LONG, call: LONG };
pub(in crate::backend::aws) const CONNECTIONS: ConnectionSettings =
    ConnectionSettings { idle_timeout: LONG, warm: 0, most_idle: 8, most: 16 };

/// The longest body of an answer, in bytes.
pub(super) const MOST: usize = 1024 * 1024;
pub(super) const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.1\r\ncontent-length: 2\r\n\r\n{}";
pub(super) const BODY: &[u8] = br#"{"KeyId":"alias/app"}"#;

/// A server on this machine, which does with each connection as it was told.
pub(in crate::backend::aws) struct Upstream {
    pub(in crate::backend::aws) address: SocketAddr,
    accepted: Arc<AtomicUsize>,
}

impl Upstream {
    /// `serve` is given each connection and its number, from 0.
    pub(in crate::backend::aws) async fn start<F>(serve: impl Fn(TcpStream, usize) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, accepted) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let counter = Arc::clone(&accepted);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, counter.fetch_add(1, Ordering::Relaxed)));
            }
        });
        Self { address, accepted }
    }

    /// One that writes `answer` to the first request of each connection, whatever it is, and then waits for its end.
    pub(super) async fn saying(answer: impl Into<Bytes>) -> Self {
        let answer = answer.into();
        Self::start(move |mut stream, _| {
            let answer = answer.clone();
            async move {
                request_on(&mut stream).await;
                let _ = stream.write_all(&answer).await;
                until_end(&mut stream).await;
            }
        })
        .await
    }

    /// One that answers every request on a connection.
    pub(super) async fn answering() -> Self {
        Self::start(|stream, _| answer_all(stream)).await
    }

    /// How many connections it has had.
    pub(in crate::backend::aws) fn connections(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    pub(super) fn transport(&self) -> Transport {
        self.transport_with(TIMEOUTS, CONNECTIONS)
    }

    pub(super) fn transport_with(&self, timeouts: Timeouts, connections: ConnectionSettings) -> Transport {
        let url = format!("http://{}", self.address).parse().unwrap();
        Transport::new(Endpoint::new(&url, None).unwrap(), None, timeouts, connections, "111122223333/eu-west-1")
    }
}

pub(super) async fn answer_all(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    while !request_on(&mut stream).await.is_empty() {
        if stream.write_all(ANSWER).await.is_err() {
            return;
        }
    }
}

/// The next request as it came; empty at the connection's end.
pub(in crate::backend::aws) async fn request_on(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return Vec::new() };
        read.push(byte);
    }
    let head = String::from_utf8(read.clone()).unwrap();
    let length =
        head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |it| it.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    read.extend(body);
    read
}

/// Waits until the other side has closed or reset the connection.
pub(super) async fn until_end(stream: &mut (impl AsyncRead + Unpin)) {
    while matches!(stream.read(&mut [0; 1024]).await, Ok(1..)) {}
}

/// As long, and no more than [`MOST`].
pub(super) fn within(time: Duration) -> Bounds {
    Bounds { deadline: Instant::now() + time, answer_bytes: MOST }
}

pub(super) fn request() -> Request<Full<Bytes>> {
    let request = Request::post("/").header(HOST, "kms.test").header("x-amz-target", "TrentService.DescribeKey");
    request.body(Full::new(Bytes::from_static(BODY))).unwrap()
}

impl Transport {
    /// Sends a request that may take as long as it likes.
    pub(super) async fn ask(&self) -> Result<Response<Bytes>, Failure> {
        self.send(request(), &within(LONG), |_| ()).await
    }

    pub(super) async fn answers(&self) {
        let answer = self.ask().await.unwrap();
        assert_eq!((answer.status().as_u16(), &answer.body()[..]), (200, &b"{}"[..]));
    }

    pub(super) async fn fails(&self) -> Failure {
        self.ask().await.unwrap_err()
    }
}

/// A certificate authority of a test's own.
pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(super) fn new() -> Self {
        Self::called("the authority of a test")
    }

    pub(super) fn called(name: &str) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Its certificate, as a file.
    pub(super) fn file(&self) -> NamedTempFile {
        let file = NamedTempFile::new().unwrap();
        std::fs::write(file.path(), self.0.pem()).unwrap();
        file
    }

    /// TLS as the server called `name` has it.
    pub(super) fn server(&self, name: &str) -> TlsAcceptor {
        self.server_with(&CertificateParams::new([name.to_owned()]).unwrap(), rustls::ALL_VERSIONS)
    }

    pub(super) fn server_with(
        &self,
        certificate: &CertificateParams,
        versions: &[&'static SupportedProtocolVersion],
    ) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let certificate = certificate.signed_by(&key, &self.0).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
        let chain = vec![CertificateDer::from(certificate)];
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        TlsAcceptor::from(Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap()))
    }

    /// A transport to `url` that trusts this authority alone.
    pub(super) fn transport(&self, url: &str, proxies: &ProxySettings, timeouts: Timeouts) -> Transport {
        let endpoint = Endpoint::new(&url.parse().unwrap(), Some(self.file().path())).unwrap();
        let proxy = proxies.of(&endpoint).unwrap();
        Transport::new(endpoint, proxy, timeouts, CONNECTIONS, "111122223333/eu-west-1")
    }
}
