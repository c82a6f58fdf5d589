//! For the layers' tests: signed requests, and every stage, made by the layer that makes it.
//!
//! A stage is caught by what stands where the rest of the stack would, so that tests need no maker of their own:
//! here, too, no stage is made but by its layer.

pub(super) mod forwarding;

use std::convert::Infallible;
use std::future::{Future, Pending, pending};
use std::io::{self, Write};
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, UNIX_EPOCH};

use arc_swap::ArcSwap;
use aws_credential_types::Credentials as Signer;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use futures_util::FutureExt;
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::{Layer, Service, ServiceBuilder};

use super::{
    Admitted, AuditLayer, Audited, AuthenticateLayer, Authenticated, Authorize, Authorized, BackendService,
    CatchPanicLayer, Constraints, DeadlineLayer, Forbearing, Guarded, Held, Identified, InFlightLayer, Inner, Parse,
    Parsed, PenaltyLayer, RateLimitLayer, Receive, Received, RequestIdLayer, ResolveLayer, Resolved, StepLayer, Timed,
};
use crate::audit::{Recorder, Writer};
use crate::aws::{KeyArn, Regions, Tags};
use crate::backend::Backend;
use crate::backend::aws::AwsBackend;
use crate::backend::local::LocalBackend;
use crate::clock::{Clock, ManualClock, Timestamp};
use crate::credentials::{AccessKey, Credentials, Principal, SecretAccessKey};
use crate::error::Error;
use crate::kms::{Answer, Exception};
use crate::limits::{InFlight, InFlightCaps, Limits, PeerPenalty, Quotas};
use crate::policy::{Compiled, Document, Kind};
use crate::random::Exhausted;
use crate::secret::Secret;
use crate::sigv4::AcceptedHosts;
use crate::stage::{Arrival, Peer};
use crate::state::{Snapshot, key_facts};

/// AWS's documented example keys.
pub(super) const ORDERS: AccessKeyPair =
    AccessKeyPair { id: "AKIAIOSFODNN7EXAMPLE", secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY" };
/// Of a principal in another account, which may do everything there.
pub(super) const FOREIGN: AccessKeyPair =
    AccessKeyPair { id: "AKIAI44QH8DHBEXAMPLE", secret: "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY" };
/// A key that nobody has.
pub(super) const UNKNOWN: AccessKeyPair = AccessKeyPair { id: "AKIAIOSFODNN8EXAMPLE", ..ORDERS };

pub(super) const ORDERS_ARN: &str = "arn:aws:iam::111122223333:user/orders";
pub(super) const FOREIGN_ARN: &str = "arn:aws:iam::444455556666:user/stranger";
pub(super) const ALIAS: &str = "alias/orders";
const HOST: &str = "kms.us-east-1.amazonaws.com";

/// What requests are signed with.
#[derive(Clone, Copy)]
pub(super) struct AccessKeyPair {
    pub(super) id: &'static str,
    pub(super) secret: &'static str,
}

/// What a test's world is made with.
pub(super) struct Setup {
    /// The policy of [`ORDERS`].
    pub(super) policy: Value,
    /// Until when its refusals are only reported.
    pub(super) report_only_until: Option<Timestamp>,
    pub(super) uniform_errors: bool,
    pub(super) caps: InFlightCaps,
}

impl Default for Setup {
    fn default() -> Self {
        let caps =
            InFlightCaps { requests: 8, requests_per_peer: 8, body_bytes: 1_048_576, body_bytes_per_peer: 1_048_576 };
        Self { policy: statement("kms:*", "*"), report_only_until: None, uniform_errors: false, caps }
    }
}

/// A statement that allows.
pub(super) fn statement(action: &str, resource: &str) -> Value {
    json!({"Sid": "Allowed", "Effect": "Allow", "Action": action, "Resource": resource})
}

/// All that layers share, with a clock that stands still and an audit log in memory.
pub(super) struct World {
    pub(super) clock: ManualClock,
    pub(super) state: Arc<ArcSwap<Snapshot>>,
    pub(super) in_flight: Arc<InFlight>,
    pub(super) sink: Memory,
    pub(super) peer: Arc<Peer>,
    recorder: Arc<Recorder>,
    backend: OnceLock<(Arc<LocalBackend>, TempDir)>,
}

impl Setup {
    pub(super) fn world(self) -> World {
        let clock = ManualClock::new(Timestamp::parse_basic("20261123T182241Z").unwrap());
        let (own, account) = ("us-east-1".parse().unwrap(), "111122223333".parse().unwrap());
        let mut regions = Regions::new(own);
        regions.add("eu-west-1".parse().unwrap()).unwrap();
        let keys = [
            (ORDERS, ORDERS_ARN, "AIDACKCEVSQ6C2EXAMPLE", self.policy, self.report_only_until),
            (FOREIGN, FOREIGN_ARN, "AIDACKCEVSQ6C3EXAMPLE", statement("kms:*", "*"), self.report_only_until),
        ];
        let credentials: Arc<Credentials> = Arc::new(
            keys.into_iter().map(|(pair, arn, id, policy, until)| key(pair, (arn, id), &policy, until)).collect(),
        );
        let snapshot = Snapshot {
            generation: 7,
            accepted_hosts: AcceptedHosts::new([HOST]).unwrap(),
            uniform_errors: self.uniform_errors,
            key_facts: key_facts(&credentials, None),
            credentials,
            accept_unknown_principals: false,
            guardrail: None,
            stranger: SecretAccessKey::new(Secret::new("nobody's".to_owned())),
            regions,
            account,
        };
        let sink = Memory::default();
        let writer = Arc::new(Writer::inline(sink.clone()));
        let recorder = Recorder::new(writer, Clock::Manual(clock.clone()), &snapshot.regions, snapshot.account);
        let in_flight = Arc::new(InFlight::new(self.caps));
        let address: std::net::SocketAddr = "192.0.2.1:49152".parse().unwrap();
        let peer = Arc::new(Peer { address, tls: None, account: in_flight.account(address.ip()) });
        let state = Arc::new(ArcSwap::from_pointee(snapshot));
        World { clock, state, in_flight, sink, peer, recorder: Arc::new(recorder), backend: OnceLock::new() }
    }
}

fn key(
    pair: AccessKeyPair,
    (arn, unique_id): (&str, &str),
    statement: &Value,
    danger_report_only_until: Option<Timestamp>,
) -> (crate::aws::AccessKeyId, Arc<AccessKey>) {
    let id = pair.id.parse().unwrap();
    let json = json!({"Version": "2012-10-17", "Statement": statement}).to_string();
    let document = Document::parse("the-policy", json.as_bytes(), Kind::Identity).unwrap().document;
    let policies = vec![Arc::new(Compiled::from(document))];
    let principal = Principal::new(arn.parse().unwrap(), unique_id, Tags::default(), policies);
    let principal = Arc::new(Principal { danger_report_only_until, ..principal });
    let key = AccessKey::new(&principal, unique_id, &id, Secret::new(pair.secret.to_owned()));
    (id, Arc::new(key))
}

impl World {
    /// In which [`ORDERS`] may do everything.
    pub(super) fn new() -> Self {
        Setup::default().world()
    }

    pub(super) fn with_policy(policy: Value) -> Self {
        Setup { policy, ..Setup::default() }.world()
    }

    pub(super) fn report_only(policy: Value, until: Option<Timestamp>) -> Self {
        Setup { policy, report_only_until: until, ..Setup::default() }.world()
    }

    pub(super) fn now(&self) -> Timestamp {
        Clock::Manual(self.clock.clone()).now()
    }

    /// A local backend, made at its first use.
    pub(super) fn backend(&self) -> Arc<LocalBackend> {
        let open = || {
            let directory = tempfile::tempdir().unwrap();
            let (snapshot, clock) = (self.state.load(), Clock::Manual(self.clock.clone()));
            let root_key = directory.path().join("root.key");
            let regions = snapshot.regions.all();
            let backend = LocalBackend::open(directory.path(), &root_key, regions, snapshot.account, &clock).unwrap();
            (Arc::new(backend), directory)
        };
        Arc::clone(&self.backend.get_or_init(open).0)
    }

    /// The key that [`ALIAS`] points to.
    pub(super) fn key(&self) -> KeyArn {
        self.key_named(ALIAS)
    }

    pub(super) fn key_named(&self, alias: &str) -> KeyArn {
        let (backend, alias) = (self.backend(), alias.parse().unwrap());
        // It blocks, which a runtime's own thread must not.
        let region = "us-east-1".parse().unwrap();
        std::thread::spawn(move || backend.ensure_key(&region, &alias, "").unwrap()).join().unwrap()
    }

    /// A request as [`ORDERS`] signs it.
    pub(super) fn request(&self, operation: &str, body: &Value) -> Request<Full<Bytes>> {
        self.signed(ORDERS, operation, &body.to_string(), &[])
    }

    /// As [`Self::request`], for another region than the gateway's own.
    pub(super) fn request_in(&self, region: &str, operation: &str, body: &Value) -> Request<Full<Bytes>> {
        self.signed_for(region, ORDERS, operation, &body.to_string(), &[])
    }

    pub(super) fn signed(
        &self,
        by: AccessKeyPair,
        operation: &str,
        body: &str,
        more: &[(&str, &str)],
    ) -> Request<Full<Bytes>> {
        self.signed_for("us-east-1", by, operation, body, more)
    }

    fn signed_for(
        &self,
        region: &str,
        by: AccessKeyPair,
        operation: &str,
        body: &str,
        more: &[(&str, &str)],
    ) -> Request<Full<Bytes>> {
        let target = format!("TrentService.{operation}");
        let mut headers =
            vec![("host", HOST), ("content-type", "application/x-amz-json-1.1"), ("x-amz-target", &target)];
        headers.extend_from_slice(more);
        let identity = Signer::new(by.id, by.secret, None, None, "test").into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name("kms")
            .time(UNIX_EPOCH + Duration::from_secs(self.now().unix_seconds().unsigned_abs()))
            .settings(SigningSettings::default())
            .build()
            .unwrap()
            .into();
        let body = body.to_owned();
        let signable = SignableBody::Bytes(body.as_bytes());
        let uri = format!("https://{HOST}/");
        let request = SignableRequest::new("POST", uri, headers.iter().copied(), signable).unwrap();
        let (signature, _) = sign(request, &params).unwrap().into_parts();
        let mut builder = Request::post("/").header("content-length", body.len());
        for (name, value) in headers.into_iter().chain(signature.headers()) {
            builder = builder.header(name, value);
        }
        builder.body(Full::from(body)).unwrap()
    }

    /// The audit log's records so far.
    pub(super) fn records(&self) -> Vec<Value> {
        self.sink.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The one record, once it is written, which another thread may do.
    pub(super) fn record(&self) -> Value {
        for _ in 0..5_000 {
            if !self.sink.text().is_empty() {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let mut records = self.records();
        assert_eq!(records.len(), 1, "{records:#?}");
        records.remove(0)
    }
}

/// The stages, each by its layer.
impl World {
    pub(super) fn arrival<B>(&self, request: Request<B>) -> Arrival<B> {
        Arrival { peer: Arc::clone(&self.peer), request }
    }

    pub(super) fn identified<B>(&self, request: Request<B>) -> Identified<B> {
        let caught = Catch::<_, Exhausted>::default();
        drop(RequestIdLayer.layer(caught.clone()).call(self.arrival(request)));
        caught.take().unwrap()
    }

    pub(super) fn forbearing<B>(&self, request: Request<B>) -> Forbearing<B> {
        let penalty = Arc::new(PeerPenalty::new(Clock::Manual(self.clock.clone())));
        through(&PenaltyLayer(penalty), self.identified(request)).unwrap()
    }

    pub(super) fn held<B>(&self, request: Request<B>) -> Held<B> {
        through(&InFlightLayer, self.forbearing(request)).unwrap()
    }

    pub(super) fn audit(&self) -> AuditLayer {
        let (state, clock) = (Arc::clone(&self.state), Clock::Manual(self.clock.clone()));
        AuditLayer { state, clock, recorder: Arc::clone(&self.recorder) }
    }

    pub(super) fn audited<B>(&self, request: Request<B>) -> Audited<B> {
        through(&self.audit(), self.held(request)).unwrap()
    }

    pub(super) fn guarded<B>(&self, request: Request<B>) -> Guarded<B> {
        through(&CatchPanicLayer, self.audited(request)).unwrap()
    }

    pub(super) fn timed<B>(&self, request: Request<B>) -> Timed<B> {
        through(&DeadlineLayer(Duration::from_secs(20)), self.guarded(request)).unwrap()
    }

    pub(super) fn received<B>(&self, request: Request<B>) -> Received<B> {
        through(&StepLayer(Receive), self.timed(request)).unwrap()
    }

    pub(super) fn authenticated(&self, request: Request<Full<Bytes>>) -> Authenticated {
        let layer = AuthenticateLayer { read_timeout: Duration::from_secs(10) };
        through(&layer, self.received(request)).unwrap()
    }

    pub(super) fn parsed(&self, request: Request<Full<Bytes>>) -> Parsed {
        through(&StepLayer(Parse(Constraints::Here)), self.authenticated(request)).unwrap()
    }

    pub(super) fn resolved(&self, request: Request<Full<Bytes>>) -> Resolved {
        through(&ResolveLayer { backend: Backend::Local(self.backend()), limits: unlimited() }, self.parsed(request))
            .unwrap()
    }

    pub(super) fn authorized(&self, request: Request<Full<Bytes>>) -> Authorized {
        through(&StepLayer(Authorize), self.resolved(request)).unwrap()
    }

    pub(super) fn admitted(&self, request: Request<Full<Bytes>>) -> Admitted {
        through(&RateLimitLayer(unlimited()), self.authorized(request)).unwrap()
    }

    /// Answers a request by `service`, behind all that it meets once there is a record of it. `backend` finds its keys.
    pub(super) async fn answered(
        &self,
        request: Request<Full<Bytes>>,
        backend: Backend,
        limits: Arc<ArcSwap<Limits>>,
        service: BackendService,
    ) -> Result<Answer, Error> {
        let inner = ServiceBuilder::new()
            .layer(AuthenticateLayer { read_timeout: Duration::from_secs(10) })
            .layer(StepLayer(Parse(Constraints::held_by(&backend))))
            .layer(ResolveLayer { backend, limits: Arc::clone(&limits) })
            .layer(StepLayer(Authorize))
            .layer(RateLimitLayer(limits))
            .service(service);
        self.recorded(request, inner).await
    }

    /// Answers a request by `inner`, behind all that makes and writes its record.
    pub(super) async fn recorded<B, S>(&self, request: Request<B>, inner: S) -> Result<Answer, Error>
    where
        S: Inner<Received<B>>,
    {
        let layers = ServiceBuilder::new()
            .layer(self.audit())
            .layer(CatchPanicLayer)
            .layer(DeadlineLayer(Duration::from_secs(20)))
            .layer(StepLayer(Receive));
        layers.service(inner).call(self.held(request)).await
    }
}

pub(super) fn unlimited() -> Arc<ArcSwap<Limits>> {
    Arc::new(ArcSwap::from_pointee(Limits::new(&Quotas::default())))
}

/// What `layer` makes of `stage`, or why it refuses it; without waiting for anything.
pub(super) fn through<L, In, Out>(layer: &L, stage: In) -> Result<Out, Error>
where
    L: Layer<Catch<Out, Error>, Service: Service<In, Response = Answer, Error = Error>>,
{
    let caught = Catch::default();
    let future = layer.layer(caught.clone()).call(stage);
    // Most layers hand on at once. Their futures are not polled: one that waits wants a runtime.
    if let Some(next) = caught.take() {
        return Ok(next);
    }
    match future.now_or_never() {
        Some(Err(error)) => Err(error),
        Some(Ok(answer)) => panic!("the layer itself answers: {answer:?}"),
        None => Ok(caught.take().expect("a stage has come through")),
    }
}

/// Stands where the rest of the stack would: keeps the stage that reaches it, and never answers.
pub(super) struct Catch<Stage, E>(Arc<Mutex<Option<Stage>>>, PhantomData<fn() -> E>);

impl<Stage, E> Catch<Stage, E> {
    fn take(&self) -> Option<Stage> {
        self.0.lock().unwrap().take()
    }
}

impl<Stage, E> Default for Catch<Stage, E> {
    fn default() -> Self {
        Self(Arc::default(), PhantomData)
    }
}

impl<Stage, E> Clone for Catch<Stage, E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0), PhantomData)
    }
}

impl<Stage, E> Service<Stage> for Catch<Stage, E> {
    type Response = Answer;
    type Error = E;
    type Future = Pending<Result<Answer, E>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), E>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, stage: Stage) -> Self::Future {
        *self.0.lock().unwrap() = Some(stage);
        pending()
    }
}

/// An audit log in memory, which a test can break.
#[derive(Clone, Default)]
pub(super) struct Memory(Arc<(Mutex<Vec<u8>>, AtomicBool)>);

impl Memory {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.0.lock().unwrap().clone()).unwrap()
    }

    pub(super) fn break_down(&self, broken: bool) {
        self.0.1.store(broken, Ordering::SeqCst);
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.1.load(Ordering::SeqCst) {
            return Err(io::Error::other("no space left"));
        }
        self.0.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A body that nobody may read.
pub(super) struct Untouchable;

impl http_body::Body for Untouchable {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        panic!("the body was asked for")
    }
}
