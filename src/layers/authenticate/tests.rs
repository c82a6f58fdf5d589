//! What is refused by the head alone, what by the body, what by the signature, and what each leaves in the record.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt;
use http::{HeaderMap, Request};
use http_body::{Frame, SizeHint};
use http_body_util::Full;
use serde_json::json;
use tower::service_fn;

use super::super::testing::{ALIAS, ORDERS, ORDERS_ARN, Setup, UNKNOWN, Untouchable, World};
use super::*;
use crate::limits::{InFlightCaps, Overloaded};

const LAYER: AuthenticateLayer = AuthenticateLayer { read_timeout: Duration::from_secs(10) };

// Texts of reference/sigv4-verification.md, section 1.
const UNRECOGNIZED: &str = "The security token included in the request is invalid.";
const MISMATCH: &str = "The request signature we calculated does not match the signature you provided. Check your \
     AWS Secret Access Key and signing method. Consult the service documentation for details.";

/// A body in pieces, which may break or never end.
struct Pieces {
    left: VecDeque<Piece>,
    announced: Option<u64>,
    asked: Arc<AtomicBool>,
}

enum Piece {
    Data(&'static str),
    Broken,
    Never,
}

fn pieces(pieces: impl IntoIterator<Item = Piece>) -> Pieces {
    Pieces { left: pieces.into_iter().collect(), announced: None, asked: Arc::default() }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        self.asked.store(true, Ordering::SeqCst);
        match self.left.pop_front() {
            None => Poll::Ready(None),
            Some(Piece::Data(text)) => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(text.as_bytes()))))),
            Some(Piece::Broken) => Poll::Ready(Some(Err("connection reset"))),
            Some(Piece::Never) => {
                self.left.push_front(Piece::Never);
                Poll::Pending
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.announced.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

fn signed(world: &World) -> Request<Full<Bytes>> {
    world.request("GenerateRandom", &json!({"NumberOfBytes": 16}))
}

async fn refusal<B>(world: &World, request: Request<B>) -> Error
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    LAYER.authenticate(&mut world.received(request)).await.err().unwrap()
}

/// `Code: message`, as the client reads it.
fn told(error: &Error) -> String {
    let exception = error.exception();
    format!("{}: {}", exception.kind().name(), exception.message().unwrap_or_default())
}

/// What a request that is refused leaves in the audit log.
async fn recorded<B>(world: &World, request: Request<B>) -> serde_json::Value
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: std::fmt::Display,
{
    let inner = LAYER.layer(service_fn(|_: Authenticated| async { Ok(Answer::empty()) }));
    world.recorded(request, inner).await.unwrap_err();
    world.record()
}

#[tokio::test]
async fn who_signs_right_is_known_and_recorded() {
    let world = World::new();
    let inner = LAYER.layer(service_fn(|authenticated: Authenticated| async move {
        assert_eq!(authenticated.access_key.principal.arn.caller(), ORDERS_ARN);
        assert_eq!(authenticated.operation, Operation::GenerateRandom);
        assert_eq!(authenticated.body, r#"{"NumberOfBytes":16}"#);
        Ok(Answer::empty())
    }));
    world.recorded(signed(&world), inner).await.unwrap();
    let record = world.record();
    assert_eq!(record["userIdentity"]["type"], "IAMUser");
    assert_eq!(record["userIdentity"]["arn"], ORDERS_ARN);
    assert_eq!(record["userIdentity"]["accessKeyId"], ORDERS.id);
}

#[tokio::test]
async fn what_the_head_alone_refuses_never_asks_for_the_body() {
    let world = World::new();
    let request = |change: fn(&mut HeaderMap)| {
        let mut request = signed(&world).map(|_| Untouchable);
        change(request.headers_mut());
        request
    };
    let missing = refusal(&world, request(|headers| drop(headers.remove("authorization")))).await;
    assert_eq!(told(&missing), "MissingAuthenticationTokenException: Missing Authentication Token");
    let undated = refusal(&world, request(|headers| drop(headers.remove("x-amz-date")))).await;
    assert_eq!(undated.exception().kind().name(), "IncompleteSignatureException");
    let future = request(|headers| drop(headers.insert("x-amz-date", "20261123T183000Z".parse().unwrap())));
    assert_eq!(refusal(&world, future).await.exception().kind().name(), "InvalidSignatureException");
    let elsewhere = request(|headers| drop(headers.insert("host", "kms.eu-west-1.amazonaws.com".parse().unwrap())));
    assert_eq!(told(&refusal(&world, elsewhere).await), format!("InvalidSignatureException: {MISMATCH}"));
}

#[tokio::test]
async fn an_unknown_key_is_refused_by_the_head_and_recorded_as_a_claim() {
    let world = World::new();
    let request = || world.signed(UNKNOWN, "GenerateRandom", "{}", &[]).map(|_| Untouchable);
    assert_eq!(told(&refusal(&world, request()).await), format!("UnrecognizedClientException: {UNRECOGNIZED}"));
    let world = World::new();
    let record = recorded(&world, request()).await;
    assert_eq!(record["userIdentity"], json!({"type": "Unknown", "accessKeyId": UNKNOWN.id}));
    assert_eq!(record["errorCode"], "UnrecognizedClientException");
}

#[tokio::test]
async fn a_signature_that_has_expired_is_recorded_with_the_key_it_claims() {
    let world = World::new();
    let request = signed(&world);
    world.clock.set(world.now().plus(Duration::from_mins(6)));
    let record = recorded(&world, request).await;
    assert_eq!(record["errorCode"], "InvalidSignatureException");
    assert_eq!(record["userIdentity"], json!({"type": "Unknown", "accessKeyId": ORDERS.id}));
}

#[tokio::test]
async fn what_stands_in_a_keys_place_and_can_be_none_is_not_recorded() {
    let world = World::new();
    let mut request = signed(&world);
    let header = request.headers()["authorization"].to_str().unwrap().replace(ORDERS.id, ORDERS.secret);
    request.headers_mut().insert("authorization", header.parse().unwrap());
    let record = recorded(&world, request).await;
    assert_eq!(record["userIdentity"], json!({"type": "Unknown"}));
}

#[tokio::test]
async fn a_static_key_with_a_session_token_is_none_that_was_issued() {
    let world = World::new();
    let token = [("x-amz-security-token", "FwoGZXIvYXdzEXAMPLE")];
    let request = world.signed(ORDERS, "GenerateRandom", "{}", &token).map(|_| Untouchable);
    assert_eq!(told(&refusal(&world, request).await), format!("UnrecognizedClientException: {UNRECOGNIZED}"));
}

#[tokio::test]
async fn with_uniform_errors_an_unknown_key_is_a_wrong_signature_after_the_same_work() {
    let world = Setup { uniform_errors: true, ..Setup::default() }.world();
    let body = pieces([Piece::Data("{}")]);
    let asked = Arc::clone(&body.asked);
    let unknown = world.signed(UNKNOWN, "GenerateRandom", "{}", &[]).map(|_| body);
    let unknown = refusal(&world, unknown).await;
    assert!(asked.load(Ordering::SeqCst), "the body is read as that of a known key is");
    let mut forged = world.signed(ORDERS, "GenerateRandom", "{}", &[]);
    *forged.body_mut() = Full::from("{ }");
    let forged = refusal(&world, forged).await;
    assert_eq!(told(&unknown), format!("InvalidSignatureException: {MISMATCH}"));
    assert_eq!(told(&unknown), told(&forged));
}

#[tokio::test]
async fn nobody_signs_with_the_secret_that_unknown_keys_are_checked_with() {
    // What `state.rs` takes for it is in the source for everybody to read.
    let world = Setup { uniform_errors: true, ..Setup::default() }.world();
    let stranger = super::super::testing::AccessKeyPair { secret: "nobody's", ..UNKNOWN };
    let request = world.signed(stranger, "GenerateRandom", "{}", &[]);
    assert_eq!(told(&refusal(&world, request).await), format!("InvalidSignatureException: {MISMATCH}"));
}

#[tokio::test]
async fn a_wrong_signature_is_recorded_as_a_claim_and_never_as_the_principal() {
    let world = World::new();
    let mut request = signed(&world);
    *request.body_mut() = Full::from(r#"{"NumberOfBytes":17}"#);
    let record = recorded(&world, request).await;
    assert_eq!(record["userIdentity"], json!({"type": "Unknown", "accessKeyId": ORDERS.id}));
    assert_eq!(record["errorCode"], "InvalidSignatureException");
    assert_eq!(record["errorMessage"], MISMATCH);
    assert_eq!(record["eventName"], "GenerateRandom");
    assert!(!record.to_string().contains(ORDERS_ARN), "{record}");
}

#[tokio::test]
async fn a_body_in_pieces_is_verified_as_a_whole() {
    let world = World::new();
    let request = signed(&world).map(|_| {
        let texts = ["{\"Num", "", "berOfBytes\"", ":16}"];
        pieces(texts.map(Piece::Data))
    });
    let authenticated = LAYER.authenticate(&mut world.received(request)).await.unwrap();
    assert_eq!(authenticated.body, r#"{"NumberOfBytes":16}"#);
}

#[tokio::test]
async fn a_body_that_is_announced_to_be_too_large_is_not_asked_for() {
    let world = World::new();
    let cap = Operation::GenerateRandom.body_cap();
    let body = Pieces { announced: u64::try_from(cap + 1).ok(), ..pieces([]) };
    let asked = Arc::clone(&body.asked);
    let error = refusal(&world, signed(&world).map(|_| body)).await;
    assert!(!asked.load(Ordering::SeqCst));
    assert!(matches!(error, Error::Body(BodyFault::TooLarge(bytes)) if bytes == cap));
    assert_eq!(error.exception().kind().name(), "RequestEntityTooLargeException");
}

#[tokio::test]
async fn a_body_that_turns_out_too_large_is_read_no_further_than_its_cap() {
    let world = World::new();
    let request = signed(&world).map(|_| {
        // Without an announced length, and without an end.
        let piece: &'static str = "x".repeat(4096).leak();
        let mut body = pieces((0..64).map(|_| Piece::Data(piece)));
        body.left.push_back(Piece::Never);
        body
    });
    let error = refusal(&world, request).await;
    assert!(matches!(error, Error::Body(BodyFault::TooLarge(_))), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_ends_after_its_time() {
    let world = World::new();
    let start = tokio::time::Instant::now();
    let request = signed(&world).map(|_| pieces([Piece::Data("{\"Num"), Piece::Never]));
    let error = refusal(&world, request).await;
    assert!(matches!(error, Error::Body(BodyFault::TooSlow)));
    assert_eq!(error.exception().kind().name(), "RequestTimeoutException");
    assert_eq!(start.elapsed(), LAYER.read_timeout);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_recorded_with_the_claim() {
    let world = World::new();
    let request = signed(&world).map(|_| pieces([Piece::Data("{\"Num"), Piece::Broken]));
    let record = recorded(&world, request).await;
    assert_eq!(record["errorCode"], "SerializationException");
    assert_eq!(record["userIdentity"], json!({"type": "Unknown", "accessKeyId": ORDERS.id}));
    let detail = record["additionalEventData"]["gateway"]["detail"].as_str().unwrap();
    assert!(detail.contains("connection reset"), "{detail}");
}

/// A reservation of `bytes`.
fn hold(world: &World, bytes: usize) -> Result<BodyReservation, Overloaded> {
    let mut held = world.peer.account.reservation();
    held.grow(bytes).map(|()| held)
}

#[tokio::test]
async fn a_body_that_finds_no_room_is_refused_and_gives_back_what_it_took() {
    let caps = InFlightCaps { requests: 8, requests_per_peer: 8, body_bytes: 100, body_bytes_per_peer: 100 };
    let world = Setup { caps, ..Setup::default() }.world();
    let held = hold(&world, 81).unwrap();
    let error = refusal(&world, signed(&world)).await;
    assert_eq!(error.exception().kind().name(), "ServiceUnavailableException");
    drop(held);
    // Its 20 bytes are held as long as the request is.
    let authenticated = LAYER.authenticate(&mut world.received(signed(&world))).await.unwrap();
    assert!(hold(&world, 81).is_err());
    drop(authenticated);
    assert!(hold(&world, 100).is_ok());
}

#[tokio::test]
async fn what_a_request_announces_and_does_not_send_is_charged_to_nobody() {
    let caps = InFlightCaps { requests: 8, requests_per_peer: 8, body_bytes: 100, body_bytes_per_peer: 100 };
    let world = Setup { caps, ..Setup::default() }.world();
    let pieces = pieces([Piece::Data("{"), Piece::Never]);
    let request = signed(&world).map(|_| Pieces { announced: Some(100), ..pieces });
    let mut received = world.received(request);
    let waiting = LAYER.authenticate(&mut received);
    let mut waiting = pin!(waiting);
    assert!(waiting.as_mut().now_or_never().is_none());
    assert!(hold(&world, 99).is_ok());
}

#[tokio::test]
async fn requests_that_wait_for_their_bodies_leave_half_of_the_places() {
    let caps = InFlightCaps { requests: 2, requests_per_peer: 2, body_bytes: 100, body_bytes_per_peer: 100 };
    let world = Setup { caps, ..Setup::default() }.world();
    let body = || signed(&world).map(|_| pieces([Piece::Never]));
    let mut received = world.received(body());
    let mut waiting = pin!(LAYER.authenticate(&mut received));
    assert!(waiting.as_mut().now_or_never().is_none());
    let error = refusal(&world, body()).await;
    assert_eq!(error.exception().kind().name(), "ServiceUnavailableException");
    // One that comes whole needs no such place.
    assert!(LAYER.authenticate(&mut world.received(signed(&world))).await.is_ok());
}

#[tokio::test]
async fn a_request_that_is_printed_shows_neither_plaintext_nor_a_secret() {
    let world = World::new();
    world.key();
    let request = || world.request("Encrypt", &json!({"KeyId": ALIAS, "Plaintext": "c2VjcmV0"}));
    for printed in [
        format!("{:?}", world.authenticated(request())),
        format!("{:?}", world.parsed(request())),
        format!("{:?}", world.resolved(request())),
        format!("{:?}", world.authorized(request())),
        format!("{:?}", world.admitted(request())),
    ] {
        assert!(printed.contains("Encrypt") && printed.contains(ORDERS_ARN), "{printed}");
        assert!(!printed.contains("c2VjcmV0") && !printed.contains(ORDERS.secret), "{printed}");
    }
}

#[tokio::test]
async fn a_request_is_for_the_region_that_it_is_signed_for() {
    let world = World::new();
    for region in ["us-east-1", "eu-west-1"] {
        let authenticated = world.authenticated(world.request_in(region, "ListKeys", &json!({})));
        assert_eq!(authenticated.context.region().as_str(), region);
        drop(authenticated);
        assert_eq!(world.records().last().unwrap()["awsRegion"], region);
    }
}

#[tokio::test]
async fn a_region_that_is_not_served_is_refused_alike_with_uniform_errors_and_recorded_under_the_gateways_own() {
    for uniform_errors in [false, true] {
        let world = Setup { uniform_errors, ..Setup::default() }.world();
        let error = refusal(&world, world.request_in("eu-west-2", "ListKeys", &json!({}))).await;
        assert_eq!(
            told(&error),
            "InvalidSignatureException: Credential should be scoped to a valid region, not 'eu-west-2'. "
        );
        drop(error);
        assert_eq!(world.record()["awsRegion"], "us-east-1");
    }
}

#[tokio::test]
async fn what_is_refused_in_a_replica_region_is_recorded_there_and_told_as_elsewhere() {
    let world = Setup { uniform_errors: true, ..Setup::default() }.world();
    let mut request = world.request_in("eu-west-1", "ListKeys", &json!({}));
    *request.body_mut() = Full::from("{}".to_owned() + " ");
    let announced = request.headers_mut().insert("content-length", "3".parse().unwrap());
    assert_eq!(announced.unwrap(), "2");
    assert_eq!(told(&refusal(&world, request).await), format!("InvalidSignatureException: {MISMATCH}"));
    assert_eq!(world.record()["awsRegion"], "eu-west-1");
}
