//! One record a request, however it ends, and no answer before it is written.

use std::future::pending;
use std::io::{self, Write};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use futures_util::FutureExt;
use http::Request;
use tower::service_fn;

use super::super::testing::World;
use super::*;
use crate::audit::Writer;
use crate::kms::Exception;

fn request() -> Request<()> {
    Request::post("/").header(HOST, "localhost").header(USER_AGENT, "test/1").body(()).unwrap()
}

#[tokio::test]
async fn an_answered_request_is_one_record_that_names_no_error() {
    let world = World::new();
    let held = world.held(request());
    let id = held.forbearing.identified.id;
    let inner = service_fn(|audited: Audited<()>| async move {
        audited.context.draft.operation("ListKeys", true);
        Ok(Answer::empty())
    });
    world.audit().layer(inner).call(held).await.unwrap();
    let record = world.record();
    assert_eq!(record["requestID"], id.as_str());
    assert_eq!(record["eventName"], "ListKeys");
    assert_eq!(record["eventTime"], "2026-11-23T18:22:41Z");
    assert_eq!(record["sourceIPAddress"], "192.0.2.1");
    assert_eq!(record["userAgent"], "test/1");
    assert_eq!(record["userIdentity"]["type"], "Unknown");
    assert!(record.get("errorCode").is_none(), "{record}");
    assert_eq!(record["additionalEventData"]["gateway"]["generation"], 7);
}

#[tokio::test]
async fn a_refused_request_is_one_record_with_both_messages() {
    let world = World::new();
    let refusal = || Exception::access_denied("the client's text").with_detail("the operator's");
    let inner = service_fn(|_: Audited<()>| async { Err(refusal().into()) });
    let error = world.audit().layer(inner).call(world.held(request())).await.unwrap_err();
    assert_eq!(error.exception().as_ref(), &refusal());
    let record = world.record();
    // CloudTrail's name for it (KMS developer guide, "Logging AWS KMS API calls").
    assert_eq!(record["errorCode"], "AccessDenied");
    assert_eq!(record["errorMessage"], "the client's text");
    assert_eq!(record["additionalEventData"]["gateway"]["detail"], "the operator's");
}

#[tokio::test]
async fn a_client_that_hangs_up_is_one_record_too() {
    let world = World::new();
    let mut service = world.audit().layer(service_fn(|_: Audited<()>| pending()));
    let mut waiting = service.call(world.held(request()));
    assert!((&mut waiting).now_or_never().is_none());
    assert!(world.records().is_empty());
    drop(waiting);
    let record = world.record();
    assert_eq!(record["errorCode"], "ClientDisconnected");
}

#[tokio::test]
async fn a_request_that_outlives_its_client_is_recorded_when_it_ends() {
    let world = World::new();
    let drafts = Arc::new(std::sync::Mutex::new(None));
    let kept = Arc::clone(&drafts);
    let inner = service_fn(move |audited: Audited<()>| {
        *kept.lock().unwrap() = Some(audited.context.draft);
        pending()
    });
    let waiting = world.audit().layer(inner).call(world.held(request()));
    drop(waiting);
    assert!(world.records().is_empty());
    drafts.lock().unwrap().take().unwrap().succeeded();
    assert!(world.record().get("errorCode").is_none());
}

/// A sink that takes a line only when the test lets it.
struct Gate(Receiver<()>);

impl Write for Gate {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.recv().map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn gated(world: &World) -> (Sender<()>, AuditLayer) {
    let (open, gate) = mpsc::channel();
    let writer = Arc::new(Writer::threaded(Gate(gate)).unwrap());
    let snapshot = world.state.load();
    let recorder = Recorder::new(writer, Clock::System, &snapshot.regions, snapshot.account);
    (open, AuditLayer { recorder: Arc::new(recorder), ..world.audit() })
}

#[tokio::test]
async fn an_answer_waits_until_its_record_is_written() {
    let world = World::new();
    let (open, layer) = gated(&world);
    let mut service = layer.layer(service_fn(|_: Audited<()>| async { Ok(Answer::empty()) }));
    let mut answer = Box::pin(service.call(world.held(request())));
    let early = tokio::time::timeout(Duration::from_millis(50), &mut answer).await;
    assert!(early.is_err(), "it left before its record was written");
    open.send(()).unwrap();
    let answer = tokio::time::timeout(Duration::from_secs(10), answer).await.expect("the record is written");
    assert!(answer.is_ok());
}

#[tokio::test]
async fn a_refusal_that_is_counted_and_not_recorded_is_answered_at_once() {
    let world = World::new();
    // Nothing is written before the end of the test.
    let (open, layer) = gated(&world);
    let refusal = || Exception::access_denied("before anybody was authenticated");
    let mut service = layer.layer(service_fn(|_: Audited<()>| async { Err(refusal().into()) }));
    let mut waiting = Vec::new();
    let answered = (0..1_000).find_map(|_| {
        let mut answer = Box::pin(service.call(world.held(request())));
        let answered = (&mut answer).now_or_never();
        waiting.push(answer);
        answered
    });
    let error = answered.expect("beyond the rate nobody waits").unwrap_err();
    assert_eq!(error.exception().as_ref(), &refusal());
    assert!(layer.recorder.has_sum() && waiting.len() > 1);
    drop(open);
}

#[tokio::test]
async fn what_cannot_be_recorded_is_not_answered() {
    let world = World::new();
    world.sink.break_down(true);
    let mut service = world.audit().layer(service_fn(|_: Audited<()>| async { Ok(Answer::empty()) }));
    let error = service.call(world.held(request())).await.unwrap_err();
    assert_eq!(error.exception().kind().name(), "ServiceUnavailableException");
    assert!(error.detail().unwrap().contains("no space left"), "the operator is told why");
    assert!(!error.exception().message().unwrap().contains("space"), "the client is not");
}

#[tokio::test]
async fn while_records_cannot_be_written_nothing_is_carried_out_and_afterwards_all_is() {
    let world = World::new();
    let called = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = Arc::clone(&called);
    let calls = || called.load(std::sync::atomic::Ordering::SeqCst);
    let mut service = world.audit().layer(service_fn(move |_: Audited<()>| {
        counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        async { Ok(Answer::empty()) }
    }));
    world.sink.break_down(true);
    assert!(service.call(world.held(request())).await.is_err());
    assert_eq!(calls(), 1, "nobody could know before the first write failed");
    for _ in 0..3 {
        let error = service.call(world.held(request())).await.unwrap_err();
        assert_eq!(error.exception().kind().name(), "ServiceUnavailableException");
    }
    assert_eq!(calls(), 1, "from then on requests are refused before the backend is asked");
    world.sink.break_down(false);
    assert!(service.call(world.held(request())).await.is_ok());
    assert_eq!((calls(), world.records().len()), (2, 2), "what was carried out is recorded, each once");
}
