//! Sends records to an OpenTelemetry collector, as OTLP logs over HTTP (OpenTelemetry, "OTLP Specification").
//!
//! The audit writer writes lines to an [`Exporter`] on a thread of its own. One `write` is one request: it takes as many
//! whole lines as a request should hold and tells how many bytes they have. A line may arrive twice: one whose
//! acknowledgement was lost is sent again. It is the same line, with the same `eventID` and the same place in the chain.
//!
//! Of OTLP's two encodings this speaks the binary one. There are backends that take no other, and in JSON a line, which
//! is JSON itself, would have to be escaped.
//!
//! Architecture invariant: a line counts as written only when the collector has acknowledged the request that it was
//! in, and rejected nothing of it.

mod answer;
mod batch;
mod connection;
mod endpoint;
mod failure;
mod protobuf;
mod request;

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT};
use http::{Request, Uri, header};
use http_body_util::Full;
use tokio::runtime::{Builder, Runtime};

use crate::client_tls::InvalidAuthorities;
use crate::clock::{Clock, Timestamp};
use crate::secret::Secret;
use answer::{Answer, PROTOBUF};
use connection::Collector;
use endpoint::Endpoint;
use failure::Failure;
use request::Requests;

/// How long a request may take, its connection and its answer included, where nothing else is configured: OTLP's own
/// default.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// `service.version`.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Headers that are made here, or by the connection.
const OWN_HEADERS: [HeaderName; 9] = [
    CONTENT_TYPE,
    header::CONTENT_LENGTH,
    header::CONTENT_ENCODING,
    HOST,
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::TE,
    header::UPGRADE,
    header::EXPECT,
];

/// Which collector, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `https://HOST[:PORT][/PATH]`; `http://` for the machine itself. Without a path it is `/v1/logs`.
    pub endpoint: Uri,
    /// Sent with every request, such as `authorization` with a token.
    pub headers: Arc<[(HeaderName, Secret<String>)]>,
    /// The authorities that the collector's certificate may be of, as PEM; without it those that the system trusts.
    pub ca_file: Option<PathBuf>,
    /// How long a request may take; [`TIMEOUT`] unless there is a reason.
    pub timeout: Duration,
    /// `service.instance.id`: which of several gateways this is.
    pub instance_id: String,
    /// Also lets records, and what is in `headers`, go to another machine by plain HTTP.
    pub danger_plaintext: bool,
}

/// Settings that records cannot be sent by.
#[derive(Debug, thiserror::Error)]
pub enum InvalidSettings {
    /// Neither https nor http.
    #[error("its scheme must be https, or http to the machine itself")]
    Scheme,
    /// Records would cross a network that anybody may read.
    #[error("plain http is for the machine itself: `{0}` is another, or may be")]
    Plaintext(Box<str>),
    /// No host or no port.
    #[error("it must have a host and, if any, a port from 1 to 65535")]
    Authority,
    /// A secret in a URL gets into logs.
    #[error("it must not hold a user or a password: give them as a header")]
    UserInfo,
    /// A header that is not the operator's to give.
    #[error("the header `{0}` is made by the gateway")]
    OwnHeader(HeaderName),
    /// A value that no header may have.
    #[error("the value of the header `{0}` holds what a header must not hold")]
    HeaderValue(HeaderName),
    /// No authorities to check its certificate by.
    #[error(transparent)]
    Authorities(#[from] InvalidAuthorities),
    /// The operating system gives no sockets.
    #[error("connections cannot be made: {0}")]
    Sockets(#[source] io::Error),
}

/// Sends lines to a collector; for a thread of its own, which it blocks for as long as requests take.
///
/// Must not be written to on a thread of a tokio runtime.
pub struct Exporter {
    /// `None` while it is dropped.
    runtime: Option<Runtime>,
    collector: Collector,
    headers: Arc<[(HeaderName, Secret<String>)]>,
    timeout: Duration,
    requests: Requests,
    clock: Clock,
    pause: Option<Pause>,
}

/// A time in which the collector does not want to be asked.
struct Pause {
    since: Timestamp,
    length: Duration,
    reason: Box<str>,
}

impl Exporter {
    /// Makes no connection yet, but reads files, so it is for the program's start.
    ///
    /// # Errors
    ///
    /// [`InvalidSettings`].
    pub fn new(settings: Settings, clock: Clock) -> Result<Self, InvalidSettings> {
        let Settings { endpoint, headers, ca_file, timeout, instance_id, danger_plaintext } = settings;
        for (name, value) in headers.iter() {
            if OWN_HEADERS.contains(name) {
                return Err(InvalidSettings::OwnHeader(name.clone()));
            }
            HeaderValue::from_str(value.expose()).map_err(|_| InvalidSettings::HeaderValue(name.clone()))?;
        }
        let endpoint = Endpoint::new(&endpoint, ca_file.as_deref(), danger_plaintext)?;
        // One thread is enough to look names up, and all that a resolver that hangs may hold.
        let runtime = Builder::new_current_thread().enable_all().max_blocking_threads(1).build();
        Ok(Self {
            runtime: Some(runtime.map_err(InvalidSettings::Sockets)?),
            collector: Collector::new(endpoint),
            headers,
            timeout,
            requests: Requests::of(&instance_id, VERSION),
            clock,
            pause: None,
        })
    }

    fn export(&mut self, batch: &[u8]) -> Result<(), Failure> {
        let now = self.clock.now();
        if let Some(left) = self.pause.as_ref().and_then(|pause| pause.left(now)) {
            return Err(left);
        }
        let answer = self.send(self.requests.request(batch, now))?;
        let judged = answer.judge(memchr::memchr_iter(b'\n', batch).count());
        let now = self.clock.now();
        self.pause = judged.as_ref().err().and_then(|failure| {
            let reason = failure.to_string().into();
            answer.pause(now).map(|length| Pause { since: now, length, reason })
        });
        judged
    }

    fn send(&mut self, body: Vec<u8>) -> Result<Answer, Failure> {
        let request = self.request(body.into());
        let Some(runtime) = &self.runtime else { return Err(Failure::Unreachable("the program ends".into())) };
        let (collector, timeout) = (&mut self.collector, self.timeout);
        runtime.block_on(async {
            let answered = tokio::time::timeout(timeout, collector.send(request)).await;
            answered.unwrap_or(Err(Failure::TimedOut(timeout)))
        })
    }

    fn request(&self, body: Bytes) -> Request<Full<Bytes>> {
        let endpoint = self.collector.endpoint();
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = endpoint.path.clone().into();
        let headers = request.headers_mut();
        headers.insert(HOST, endpoint.host_header.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROTOBUF));
        headers.insert(ACCEPT, HeaderValue::from_static(PROTOBUF));
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("kmsgate/", env!("CARGO_PKG_VERSION"))));
        for (name, value) in self.headers.iter() {
            // Each was tried when the exporter was made.
            if let Ok(mut value) = HeaderValue::from_str(value.expose()) {
                value.set_sensitive(true);
                headers.insert(name.clone(), value);
            }
        }
        request
    }
}

impl Write for Exporter {
    /// Sends the first lines of `lines`, which begin at a line's beginning, and returns how many bytes they have.
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        let batch = batch::first(lines);
        if batch.is_empty() && !lines.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no whole line was given"));
        }
        if !batch.is_empty() {
            self.export(batch)?;
        }
        Ok(batch.len())
    }

    /// Nothing is held back.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Exporter {
    /// Does not wait for a look-up of a name that may hang.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exporter").field("to", &self.collector.endpoint().authority()).finish_non_exhaustive()
    }
}

impl Pause {
    /// `None` once it is over, and if the clock was set back to before it began.
    fn left(&self, now: Timestamp) -> Option<Failure> {
        let passed = now.since(self.since);
        let left = self.length.checked_sub(passed).filter(|left| !left.is_zero() && now >= self.since)?;
        Some(Failure::Paused {
            left: u64::try_from(left.as_millis().div_ceil(1000)).unwrap_or(u64::MAX),
            reason: self.reason.clone(),
        })
    }
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
