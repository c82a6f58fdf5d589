//! Heads that are no request to KMS, or that two readers could take for two different ones: each is refused in a form
//! that SDKs read, and recorded once.
//!
//! Where AWS answers with an XML 404 that no JSON client can read, this gateway answers `UnknownOperationException` in
//! JSON with a text of its own, which says what to send instead.

mod framing;

use std::time::Duration;

use kmsgate::clock::{Clock, Timestamp};
use serde_json::{Value, json};

use crate::harness::{CONTENT_TYPE, Caller, Connection, Gateway, Request, Site};

const MISMATCH: &str = "The request signature we calculated does not match the signature you provided. Check your AWS \
                        Secret Access Key and signing method. Consult the service documentation for details.";
const TARGET: &str = "TrentService.GenerateRandom";

/// What a refusal's text must be.
enum Text {
    /// AWS sends none.
    None,
    /// AWS's, to the letter.
    Exact(&'static str),
    /// The gateway's own, or one of which AWS's was not recorded to the letter: it must say this.
    Saying(&'static str),
}

use Text::{Exact, Saying};

fn valid(gateway: &Gateway) -> Request {
    gateway.site.admin.request(&gateway.host(), "GenerateRandom", &json!({"NumberOfBytes": 8}))
}

fn signed(gateway: &Gateway, more: &[(&str, &str)]) -> Request {
    let host = gateway.host();
    let own = [("host", host.as_str()), ("content-type", CONTENT_TYPE), ("x-amz-target", TARGET)];
    let headers: Vec<_> = own.into_iter().filter(|(name, _)| more.iter().all(|(other, _)| name != other)).collect();
    gateway.site.admin.sign(&[&headers, more].concat(), br#"{"NumberOfBytes":8}"#)
}

/// Sends each request as another peer, so that none waits for the failures of the others; each must be refused so,
/// recorded once, and leave a connection that serves the next request.
fn each_is_refused(gateway: &Gateway, cases: Vec<(Request, &str, Text)>) {
    for (peer, (request, code, text)) in (2..).zip(cases) {
        let mut connection = Connection::from_peer(peer, gateway.address);
        let answer = connection.exchange(&request);
        let refusal = answer.refused();
        assert_eq!(refusal.kind(), (400, code), "{request:?}");
        match text {
            Text::None => assert_eq!(refusal.message, None, "{request:?}"),
            Exact(text) => assert_eq!(refusal.text(), text, "{request:?}"),
            Saying(part) => assert!(refusal.text().contains(part), "{refusal:?} {request:?}"),
        }
        let record = gateway.record(&answer);
        assert_eq!(record["errorCode"], code);
        assert_eq!(record["errorMessage"].as_str(), refusal.message.as_deref());
        assert_eq!(record["sourceIPAddress"], format!("127.0.0.{peer}"));
        connection.exchange(&valid(gateway)).granted();
    }
}

#[test]
fn a_request_as_sdks_send_it_is_granted_and_recorded() {
    let gateway = Site::new().start();
    let answer = gateway.connect().exchange(&valid(&gateway));
    answer.granted();
    let record = gateway.record(&answer);
    assert_eq!(record["eventName"], "GenerateRandom");
    assert_eq!(record["errorCode"], Value::Null);
}

#[test]
fn what_makes_no_difference_is_accepted() {
    let gateway = Site::new().start();
    let with_charset = format!("{CONTENT_TYPE}; charset=utf-8");
    for request in [
        signed(&gateway, &[("content-type", &with_charset)]),
        signed(&gateway, &[("user-agent", "a  b")]),
        valid(&gateway).add("x-amzn-trace-id", "Root=1-5759e988-bd862e3fe1be46a994272793"),
        valid(&gateway).add("connection", "keep-alive"),
        valid(&gateway).add("accept", "a").add("accept", "b"),
        valid(&gateway).add("te", "trailers"),
        valid(&gateway).chunked(7),
    ] {
        gateway.connect().exchange(&request).granted();
    }
}

#[test]
fn what_is_not_post_to_the_root_is_refused() {
    let gateway = Site::new().start();
    let line = |line: &str| valid(&gateway).line(line);
    let absolute = format!("POST http://{}/ HTTP/1.1", gateway.host());
    each_is_refused(
        &gateway,
        vec![
            (line("GET / HTTP/1.1"), "UnknownOperationException", Saying("POST")),
            (line("PUT / HTTP/1.1"), "UnknownOperationException", Saying("POST")),
            (line("OPTIONS / HTTP/1.1"), "UnknownOperationException", Saying("POST")),
            (line("OPTIONS * HTTP/1.1"), "UnknownOperationException", Saying("POST")),
            (line("post / HTTP/1.1"), "UnknownOperationException", Saying("POST")),
            (line("POST /kms HTTP/1.1"), "UnknownOperationException", Saying("path")),
            (line("POST // HTTP/1.1"), "UnknownOperationException", Saying("path")),
            (line("POST /. HTTP/1.1"), "UnknownOperationException", Saying("path")),
            (line("POST /%2F HTTP/1.1"), "UnknownOperationException", Saying("path")),
            (line("POST * HTTP/1.1"), "UnknownOperationException", Saying("path")),
            (line("POST /? HTTP/1.1"), "UnknownOperationException", Saying("query")),
            (line("POST /?Action=ListKeys HTTP/1.1"), "UnknownOperationException", Saying("query")),
            (line("POST /?X-Amz-Algorithm=AWS4-HMAC-SHA256 HTTP/1.1"), "UnknownOperationException", Saying("query")),
            (line(&absolute), "UnknownOperationException", Saying("POST / HTTP/1.1")),
        ],
    );
}

#[test]
fn a_head_request_is_answered_without_a_body() {
    let gateway = Site::new().start();
    let mut connection = gateway.connect();
    connection.send(&valid(&gateway).line("HEAD / HTTP/1.1").bytes());
    let answer = connection.answer_to_head();
    assert_eq!((answer.status, answer.header("x-amzn-errortype")), (400, Some("UnknownOperationException")));
    assert_eq!(gateway.record(&answer)["errorCode"], "UnknownOperationException");
    connection.exchange(&valid(&gateway)).granted();
}

#[test]
fn a_content_type_other_than_aws_json_1_1_is_refused() {
    let gateway = Site::new().start();
    let typed = |content_type| signed(&gateway, &[("content-type", content_type)]);
    let code = "UnknownOperationException";
    each_is_refused(
        &gateway,
        vec![
            (valid(&gateway).remove("content-type"), code, Saying(CONTENT_TYPE)),
            (typed(""), code, Saying(CONTENT_TYPE)),
            (typed("application/json"), code, Saying(CONTENT_TYPE)),
            (typed("application/x-amz-json-1.0"), code, Saying(CONTENT_TYPE)),
            (typed("application/x-amz-json-1.10"), code, Saying(CONTENT_TYPE)),
            (typed("application/x-amz-json-1.1; charset=utf-16"), code, Saying(CONTENT_TYPE)),
            (typed("application/x-www-form-urlencoded"), code, Saying(CONTENT_TYPE)),
        ],
    );
}

#[test]
fn a_target_that_names_no_operation_is_refused_by_its_name_alone() {
    let gateway = Site::new().start();
    let target = |target| (signed(&gateway, &[("x-amz-target", target)]), "UnknownOperationException", Text::None);
    each_is_refused(
        &gateway,
        vec![
            (valid(&gateway).remove("x-amz-target"), "UnknownOperationException", Text::None),
            target(""),
            target("TrentService.GenerateNothing"),
            target("trentservice.GenerateRandom"),
            target("TrentService.generaterandom"),
            target("TrentService.GenerateRandom.GenerateRandom"),
            target("GenerateRandom"),
            target("DynamoDB_20120810.GenerateRandom"),
        ],
    );
}

#[test]
fn an_operation_that_is_not_served_says_so() {
    let gateway = Site::new().start();
    let body = json!({"KeyId": "alias/x", "Message": "AA==", "SigningAlgorithm": "ECDSA_SHA_256",
        "MacAlgorithm": "HMAC_SHA_256", "CustomKeyStoreId": "cks-1"});
    for operation in ["Sign", "GenerateMac", "GetPublicKey", "ConnectCustomKeyStore"] {
        let answer = gateway.call(&gateway.site.admin, operation, &body);
        let refusal = answer.refused();
        assert_eq!(refusal.kind(), (400, "UnsupportedOperationException"));
        assert!(refusal.text().contains(operation), "{refusal:?}");
        assert_eq!(gateway.record(&answer)["eventName"], operation);
    }
}

#[test]
fn a_header_that_decides_something_may_stand_once() {
    let gateway = Site::new().start();
    let twice = |name: &str| {
        let request = valid(&gateway);
        let (_, value) = request.headers.iter().find(|(own, _)| own == name).unwrap().clone();
        request.add(name, &value)
    };
    // What AWS says of these was not recorded from KMS.
    each_is_refused(
        &gateway,
        vec![
            (twice("x-amz-target"), "ValidationException", Saying("X-Amz-Target")),
            (twice("content-type"), "ValidationException", Saying("Content-Type")),
            (twice("host"), "ValidationException", Saying("Host")),
            (twice("x-amz-date"), "InvalidSignatureException", Exact(MISMATCH)),
            (twice("authorization"), "IncompleteSignatureException", Saying("Authorization header")),
        ],
    );
}

#[test]
fn a_header_of_the_connection_may_not_name_one_of_the_request() {
    let gateway = Site::new().start();
    let naming = |names: &str| (valid(&gateway).add("connection", names), "ValidationException", Saying("Connection"));
    let agent = signed(&gateway, &[("user-agent", "agent")]).add("connection", "user-agent");
    each_is_refused(
        &gateway,
        vec![
            naming("x-amz-date"),
            naming("keep-alive, X-Amz-Target"),
            naming("authorization"),
            naming("host"),
            naming("content-type"),
            (agent, "ValidationException", Saying("Connection")),
        ],
    );
}

#[test]
fn a_signature_that_is_missing_or_incomplete_is_refused_in_awss_words() {
    let gateway = Site::new().start();
    let authorization = |change: fn(&str) -> String| valid(&gateway).replace("authorization", change);
    let lacks_signature = authorization(|value| value.split(", Signature=").next().unwrap().to_owned());
    each_is_refused(
        &gateway,
        vec![
            (
                valid(&gateway).remove("authorization"),
                "MissingAuthenticationTokenException",
                Exact("Missing Authentication Token"),
            ),
            (
                authorization(|_| "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==".into()),
                "MissingAuthenticationTokenException",
                Exact("Missing Authentication Token"),
            ),
            (
                lacks_signature,
                "IncompleteSignatureException",
                Saying("Authorization header requires 'Signature' parameter. "),
            ),
            (
                valid(&gateway).remove("x-amz-date"),
                "IncompleteSignatureException",
                Saying("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. "),
            ),
            (
                authorization(|value| value.replace("host;", "")),
                "InvalidSignatureException",
                Exact("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."),
            ),
            (
                authorization(|value| {
                    value.replace("SignedHeaders=content-type;", "SignedHeaders=accept;content-type;")
                }),
                "InvalidSignatureException",
                Exact("'accept' is named as a SignedHeader, but it does not exist in the HTTP request."),
            ),
            (
                authorization(|value| value.replace("/us-east-1/kms/", "/us-east-1/kms/kms/")),
                "IncompleteSignatureException",
                Saying(
                    "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '",
                ),
            ),
            (
                authorization(|value| value.replace("/us-east-1/", "/eu-west-1/")),
                "InvalidSignatureException",
                Saying("Credential should be scoped to a valid region"),
            ),
            (
                authorization(|value| value.replace("/kms/", "/sts/")),
                "InvalidSignatureException",
                Saying("Credential should be scoped to correct service: 'kms'."),
            ),
            (valid(&gateway).add("x-amz-user-agent", "late"), "InvalidSignatureException", Exact(MISMATCH)),
            (valid(&gateway).forged(), "InvalidSignatureException", Exact(MISMATCH)),
            (
                Caller::generate("nobody").request(&gateway.host(), "GenerateRandom", &json!({"NumberOfBytes": 8})),
                "UnrecognizedClientException",
                Exact("The security token included in the request is invalid."),
            ),
            (
                gateway.site.admin.request("kms.eu-west-1.amazonaws.com", "GenerateRandom", &json!({})),
                "InvalidSignatureException",
                Exact(MISMATCH),
            ),
        ],
    );
}

#[test]
fn the_client_is_told_how_far_its_clock_is_off() {
    let gateway = Site::new().start();
    let host = gateway.host();
    let headers = [("host", host.as_str()), ("content-type", CONTENT_TYPE), ("x-amz-target", TARGET)];
    let (now, window) = (Clock::System.now(), Duration::from_mins(5));
    let off = Duration::from_mins(16);
    for (at, words) in [
        (now.minus(off), ["Signature expired: ", " is now earlier than ", " - 5 min.)"]),
        (now.plus(off), ["Signature not yet current: ", " is still later than ", " + 5 min.)"]),
    ] {
        let answer = gateway.connect().exchange(&gateway.site.admin.sign_at(at, &headers, b"{}"));
        let refusal = answer.refused();
        assert_eq!(refusal.kind(), (400, "InvalidSignatureException"));
        // Signature expired: 20181105T215603Z is now earlier than 20181105T221104Z (20181105T221604Z - 5 min.)
        let text = refusal.text().strip_prefix(words[0]).and_then(|text| text.strip_suffix(words[2])).unwrap();
        let (signed, bounds) = text.split_once(words[1]).unwrap();
        let (bound, server) = bounds.split_once(" (").unwrap();
        let [signed, bound, server] = [signed, bound, server].map(|text| Timestamp::parse_basic(text).unwrap());
        assert_eq!(signed.unix_seconds(), at.unix_seconds());
        assert_eq!(bound, if at < now { server.minus(window) } else { server.plus(window) });
        assert!(server.since(now) < Duration::from_secs(5) && server.plus(Duration::from_secs(1)) > now, "{refusal:?}");
    }
}

#[test]
fn a_body_is_asked_for_only_by_a_head_that_may_have_one() {
    let gateway = Site::new().start();
    let mut connection = gateway.connect();
    let good = valid(&gateway);
    connection.begin(&good);
    connection.send(&good.body);
    connection.answer().granted();
    for (peer, bad) in [
        (2, valid(&gateway).line("POST /x HTTP/1.1")),
        (3, valid(&gateway).remove("x-amz-target")),
        (4, valid(&gateway).remove("authorization")),
        (5, valid(&gateway).add("x-amz-user-agent", "late")),
        (6, Caller::generate("nobody").request(&gateway.host(), "GenerateRandom", &json!({}))),
        (7, valid(&gateway).replace("authorization", |value| value.replace("/kms/", "/sts/"))),
        (8, valid(&gateway).replace("content-length", |_| "131073".into())),
    ] {
        let mut connection = Connection::from_peer(peer, gateway.address);
        // Not a byte of the body is sent.
        connection.send(&bad.add("expect", "100-continue").head());
        let answer = connection.answer();
        answer.refused();
        gateway.record(&answer);
    }
}

#[test]
fn bytes_that_are_no_text_are_recorded_as_json_all_the_same() {
    let gateway = Site::new().start();
    let request = valid(&gateway).add("user-agent", "AGENT");
    let mut bytes = request.bytes();
    let start = bytes.windows(5).position(|five| five == b"AGENT").unwrap();
    bytes.splice(start..start + 5, *b"\xff\"\\\xc3\x28");
    let mut connection = gateway.connect();
    connection.send(&bytes);
    let answer = connection.answer();
    answer.granted();
    assert!(gateway.record(&answer)["userAgent"].as_str().unwrap().contains("\"\\"));
}
