//! The server that answers in place of KMS: one `GenerateDataKeyWithoutPlaintext` answer to whatever it is sent.
//!
//! It shares the client's core, so it does as little as a server can: it finds the end of a request and writes
//! constant bytes. It also counts: what a gateway refuses must not have come this far.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64_simd::STANDARD;
use rustix::process::{Signal, set_parent_process_death_signal};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::Outcome;
use crate::children::{Guard, Launcher, free_address};
use crate::connection::{Connection, lengths};

/// The hidden argument that makes the benchmark's binary this server; a [`Script`] as JSON follows it.
pub(crate) const ARGUMENT: &str = "--serve-upstream";
/// No request of the benchmark is near this size.
const REQUEST_CAP: usize = 16 * 1024;
/// As long as the blob of a data key of 32 bytes that AWS KMS wraps.
const BLOB: usize = 138;

/// What the server is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Script {
    listen: SocketAddr,
    body: String,
}

/// The running server.
pub(crate) struct Upstream {
    _process: Guard,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// The body of its every answer.
    pub(crate) body: &'static str,
    questions: Connection,
}

impl Upstream {
    /// Starts it on this process's core; its answers name the key `key_arn`.
    pub(crate) async fn start(key_arn: &str, scratch: &Path) -> Outcome<Self> {
        let address = free_address()?;
        // Every connection's expectation is a copy of it; this process ends with the run.
        let body: &'static str = answer_body(key_arn).leak();
        let script = Script { listen: address, body: body.to_owned() };
        let arguments = [ARGUMENT, &serde_json::to_string(&script)?];
        let log = scratch.join("upstream.log");
        let mut process = Launcher::plain().start(&std::env::current_exe()?, &arguments, &log)?;
        drop(process.accepted(address)?);
        Ok(Self { _process: process, address, body, questions: Connection::open(address).await? })
    }

    /// How many requests have reached it, these questions not counted.
    pub(crate) async fn seen(&mut self) -> Outcome<u64> {
        let answer = self.questions.exchange(b"GET / HTTP/1.1\r\nhost: upstream\r\n\r\n").await?;
        Ok(std::str::from_utf8(answer.body)?.parse()?)
    }
}

/// Members and lengths are those of AWS KMS; the values mean nothing.
fn answer_body(key_arn: &str) -> String {
    let blob = STANDARD.encode_to_string([0x5a; BLOB]);
    let material = "d1e2".repeat(16);
    format!(r#"{{"CiphertextBlob":"{blob}","KeyId":"{key_arn}","KeyMaterialId":"{material}"}}"#)
}

/// Serves until the process is killed, or the benchmark ends.
pub(crate) fn run(script: &str) -> Outcome<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let script: Script = serde_json::from_str(script)?;
    tokio::runtime::Builder::new_current_thread().enable_io().build()?.block_on(serve(&script))
}

async fn serve(script: &Script) -> Outcome<()> {
    let answer: Arc<[u8]> = answer(&script.body).into();
    let seen = Arc::new(AtomicU64::new(0));
    let listener = TcpListener::bind(script.listen).await?;
    loop {
        let (stream, _peer) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (answer, seen) = (Arc::clone(&answer), Arc::clone(&seen));
        // A proxy that goes away is no news to a server: the client has counted its answers.
        tokio::spawn(async move { drop(converse(stream, &answer, &seen).await) });
    }
}

async fn converse(mut stream: TcpStream, answer: &[u8], seen: &AtomicU64) -> Outcome<()> {
    let mut buffer = vec![0; REQUEST_CAP];
    let mut filled = 0;
    loop {
        let received = buffer.get(..filled).unwrap_or_default();
        if let Some(length) = whole(received) {
            if received.starts_with(b"GET ") {
                let count = seen.load(Ordering::Relaxed).to_string();
                stream.write_all(&self::answer(&count)).await?;
            } else {
                seen.fetch_add(1, Ordering::Relaxed);
                stream.write_all(answer).await?;
            }
            buffer.copy_within(length..filled, 0);
            filled -= length;
        } else {
            match stream.read(buffer.get_mut(filled..).unwrap_or_default()).await? {
                0 => return Ok(()),
                count => filled += count,
            }
        }
    }
}

/// The length of the request that `bytes` begin with, if it is there to its end.
fn whole(bytes: &[u8]) -> Option<usize> {
    let (head, body) = lengths(bytes)?;
    let length = head.saturating_add(body.unwrap_or(0));
    (length <= bytes.len()).then_some(length)
}

fn answer(body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\nx-amzn-RequestId: 5bc1d5b2-7c1b-4a5e-9a8e-3f0c2d9b6e41\r\n\
         Content-Type: application/x-amz-json-1.1\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}
