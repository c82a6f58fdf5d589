//! For tests of forwarding: a KMS that answers by a script on a real socket and keeps what it was sent, and backends in
//! front of such.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroU32;
use std::ops::Deref;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::sync::{Semaphore, oneshot};

use super::credentials::CredentialSource;
use super::transport::ProxySettings;
use super::transport::testing::{CONNECTIONS, TIMEOUTS, Upstream, request_on};
use super::*;
use crate::clock::{Clock, ManualClock, Timestamp};

pub(crate) const ACCOUNT: &str = "111122223333";
pub(crate) const REGION: &str = "us-east-1";
pub(crate) const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
pub(crate) const OTHER_KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/0987dcba-09fe-87dc-65ba-ab0987654321";
/// The id that the scripted KMS gives each of its answers.
pub(crate) const REQUEST_ID: &str = "7a7b3e2c-6f0e-4c1e-9d3b-2f1a0b9c8d7e";

/// AWS's documented example keys.
pub(super) const ACCESS_KEY_ID: &str = "AKIAI44QH8DHBEXAMPLE";
const SECRET: &str = "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY";

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) operation: String,
    /// By names as they were written.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) start_line: String,
    pub(crate) body: String,
}

impl Sent {
    fn read(request: Vec<u8>) -> Self {
        let text = String::from_utf8(request).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let (start_line, lines) = head.split_once("\r\n").unwrap();
        let pairs: Vec<_> = lines.split("\r\n").map(|line| line.split_once(": ").unwrap()).collect();
        let headers: BTreeMap<_, _> = pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        assert_eq!(headers.len(), pairs.len(), "a header stands twice: {head}");
        let operation = headers["x-amz-target"].strip_prefix("TrentService.").unwrap().to_owned();
        Self { operation, headers, start_line: start_line.to_owned(), body: body.to_owned() }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// What becomes of a request.
#[derive(Clone)]
pub(crate) enum Reply {
    Answer {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: String,
    },
    /// The connection ends.
    HangUp,
    /// The reply that comes once the semaphore has a permit.
    Held(Arc<Semaphore>, Box<Self>),
}

impl Reply {
    pub(crate) fn ok(body: &Value) -> Self {
        Self::Answer { status: 200, headers: vec![("x-amzn-RequestId", REQUEST_ID.into())], body: body.to_string() }
    }

    /// The empty body of an operation that has no output.
    pub(crate) fn done() -> Self {
        Self::Answer { status: 200, headers: vec![("x-amzn-RequestId", REQUEST_ID.into())], body: String::new() }
    }

    pub(crate) fn error(status: u16, name: &str, message: &str) -> Self {
        let headers = vec![("x-amzn-RequestId", REQUEST_ID.into()), ("x-amzn-ErrorType", name.to_owned())];
        Self::Answer { status, headers, body: json!({"__type": name, "message": message}).to_string() }
    }

    /// `DescribeKey`'s of a symmetric key.
    pub(crate) fn described(arn: &str) -> Self {
        Self::ok(&json!({"KeyMetadata": {"Arn": arn, "KeyId": arn.rsplit('/').next(), "KeySpec": "SYMMETRIC_DEFAULT",
            "KeyUsage": "ENCRYPT_DECRYPT", "Origin": "AWS_KMS"}}))
    }

    /// With this header in place of the one of that name.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        let Self::Answer { headers, .. } = &mut self else { panic!("an answer has headers") };
        headers.retain(|(of, _)| *of != name);
        headers.push((name, value.to_owned()));
        self
    }

    pub(crate) fn once(self, permitted: &Arc<Semaphore>) -> Self {
        Self::Held(Arc::clone(permitted), Box::new(self))
    }

    async fn bytes(self) -> Option<String> {
        let (status, headers, body) = match self {
            Self::Answer { status, headers, body } => (status, headers, body),
            Self::HangUp => return None,
            Self::Held(permitted, reply) => {
                permitted.acquire().await.unwrap().forget();
                return Box::pin(reply.bytes()).await;
            }
        };
        let mut answer = format!("HTTP/1.1 {status} \r\ncontent-length: {}\r\n", body.len());
        for (name, value) in headers {
            answer.extend([name, ": ", &value, "\r\n"]);
        }
        Some(answer + "\r\n" + &body)
    }
}

/// A KMS that answers by a script, on a thread of its own: it answers also while a test waits without polling.
pub(crate) struct TestKms {
    upstream: Upstream,
    sent: Arc<Mutex<Vec<Sent>>>,
    _until: oneshot::Sender<()>,
}

impl TestKms {
    pub(crate) async fn start(script: impl Fn(&Sent) -> Reply + Send + Sync + 'static) -> Self {
        let (script, sent) = (Arc::new(script), Arc::<Mutex<Vec<Sent>>>::default());
        let all = Arc::clone(&sent);
        let (started, upstream) = oneshot::channel();
        let (until, dropped) = oneshot::channel::<()>();
        let serve = move |stream, _| serve(stream, Arc::clone(&script), Arc::clone(&all));
        let run = async move {
            assert!(started.send(Upstream::start(serve).await).is_ok());
            let _ = dropped.await;
        };
        std::thread::spawn(|| Builder::new_current_thread().enable_all().build().unwrap().block_on(run));
        Self { upstream: upstream.await.unwrap(), sent, _until: until }
    }

    /// One that gives one reply after another, whatever is asked; the last stays.
    pub(crate) async fn replying(replies: impl IntoIterator<Item = Reply>) -> Self {
        let replies = Mutex::new(replies.into_iter().collect::<VecDeque<_>>());
        Self::start(move |_| {
            let mut replies = replies.lock().unwrap();
            if replies.len() > 1 { replies.pop_front().unwrap() } else { replies[0].clone() }
        })
        .await
    }

    /// One that must not be asked anything.
    pub(crate) async fn silent() -> Self {
        Self::start(|sent| panic!("it was sent {}", sent.operation)).await
    }

    /// All that it was sent so far.
    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.sent.lock().unwrap().clone()
    }

    /// The operations that it was sent so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.sent().into_iter().map(|sent| sent.operation).collect()
    }

    /// `HOST:PORT`
    pub(crate) fn address(&self) -> String {
        self.upstream.address.to_string()
    }

    pub(crate) fn of(&self, account: &str, region: &str) -> UpstreamSettings {
        UpstreamSettings {
            region: region.parse().unwrap(),
            account: account.parse().unwrap(),
            endpoint: EndpointSettings::Url {
                url: format!("http://{}", self.address()).parse().unwrap(),
                ca_file: None,
            },
            role: None,
        }
    }
}

async fn serve(
    mut stream: TcpStream,
    script: Arc<impl Fn(&Sent) -> Reply + Send + Sync + 'static>,
    all: Arc<Mutex<Vec<Sent>>>,
) {
    loop {
        let request = request_on(&mut stream).await;
        if request.is_empty() {
            return;
        }
        let sent = Sent::read(request);
        all.lock().unwrap().push(sent.clone());
        let Some(answer) = script(&sent).bytes().await else { return };
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// A backend in front of KMSs, for as long as a test runs.
pub(crate) struct Forwarding {
    backend: AwsBackend,
    /// After the backend, for whose end it waits.
    running: Running,
}

pub(crate) fn settings(upstreams: impl Into<Vec<UpstreamSettings>>) -> Settings {
    Settings {
        upstreams: upstreams.into(),
        timeouts: TIMEOUTS,
        connections: CONNECTIONS,
        look_ups: LookUpSettings {
            lifetime: Duration::from_mins(1),
            absent_lifetime: Duration::from_mins(1),
            entries: 100,
        },
        share: ShareSettings { percent: 100, per_second: Vec::new(), replicas: Replicas::Fixed(NonZeroU32::MIN) },
    }
}

/// The time in tests of the backend alone: 2026-11-23T18:22:41Z.
pub(super) fn clock() -> Clock {
    Clock::Manual(ManualClock::new(Timestamp::parse_basic("20261123T182241Z").unwrap()))
}

/// The upstreams that `settings` say, whose credentials are there.
pub(super) async fn running(settings: &Settings, forward_foreign_grants: bool, clock: &Clock) -> Running {
    running_until(settings, forward_foreign_grants, clock, None).await
}

/// As [`running`], with credentials that end then.
async fn running_until(
    settings: &Settings,
    forward_foreign_grants: bool,
    clock: &Clock,
    end: Option<SystemTime>,
) -> Running {
    let found = aws_credential_types::Credentials::new(ACCESS_KEY_ID, SECRET, None, end, "test");
    let load =
        |handle: &_, _: &_, _: Option<&_>| CredentialSource::start_with(handle, "test", found.clone(), clock.clone());
    let running = Running::start_with(settings, forward_foreign_grants, clock, &ProxySettings::none(), load).unwrap();
    for upstream in &running.upstreams().all {
        upstream.credentials.attempted().await;
    }
    running
}

impl Forwarding {
    /// To the KMS of [`ACCOUNT`] in [`REGION`].
    pub(crate) async fn to(kms: &TestKms, clock: &Clock) -> Self {
        Self::by(&settings([kms.of(ACCOUNT, REGION)]), false, clock).await
    }

    pub(crate) async fn by(settings: &Settings, forward_foreign_grants: bool, clock: &Clock) -> Self {
        Self::with(running(settings, forward_foreign_grants, clock).await)
    }

    /// As [`Self::to`], with credentials that end then.
    pub(super) async fn until(kms: &TestKms, clock: &Clock, end: Timestamp) -> Self {
        let end = UNIX_EPOCH + Duration::from_secs(end.unix_seconds().unsigned_abs());
        Self::with(running_until(&settings([kms.of(ACCOUNT, REGION)]), false, clock, Some(end)).await)
    }

    fn with(running: Running) -> Self {
        Self { backend: AwsBackend::new(running.upstreams()), running }
    }

    pub(crate) fn unready(&self) -> Vec<String> {
        self.running.upstreams().unready()
    }
}

impl Deref for Forwarding {
    type Target = AwsBackend;

    fn deref(&self) -> &AwsBackend {
        &self.backend
    }
}
