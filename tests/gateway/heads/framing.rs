//! Bytes that are no request of HTTP/1.1, or that two readers could cut into two different requests.

use super::valid;
use crate::harness::{Gateway, Request, Site};

#[test]
fn an_older_protocol_or_a_newer_one_is_refused() {
    let gateway = Site::new().start();
    let mut connection = gateway.connect();
    let answer = connection.exchange(&valid(&gateway).line("POST / HTTP/1.0").add("connection", "keep-alive"));
    let refusal = answer.refused();
    assert_eq!(refusal.kind(), (400, "UnknownOperationException"));
    assert!(refusal.text().contains("HTTP/1.1"), "{refusal:?}");
    assert_eq!(gateway.record(&answer)["errorCode"], "UnknownOperationException");
    // Asking for another protocol is no request to KMS; the answer is in this one.
    for (upgrade, connection) in [("h2c", "Upgrade"), ("websocket", "keep-alive, Upgrade")] {
        let request = valid(&gateway).add("upgrade", upgrade).add("connection", connection);
        let answer = gateway.connect().exchange(&request);
        assert_eq!(answer.refused().kind().0, 400);
        assert_eq!(gateway.record(&answer)["errorCode"].as_str(), answer.header("x-amzn-errortype"));
    }
    is_no_request(&gateway, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    is_no_request(&gateway, b"POST / HTTP/3.0\r\nHost: x\r\n\r\n");
    is_no_request(&gateway, b"CONNECT kms.us-east-1.amazonaws.com:443\r\n\r\n");
}

#[test]
fn a_tunnel_is_not_opened() {
    let gateway = Site::new().start();
    let mut connection = gateway.connect();
    let answer = connection.exchange(&valid(&gateway).line("CONNECT example.com:443 HTTP/1.1"));
    assert_eq!(answer.refused().kind(), (400, "UnknownOperationException"));
    assert_eq!(gateway.record(&answer)["errorCode"], "UnknownOperationException");
}

#[test]
fn a_head_of_up_to_64_kib_is_read_and_a_longer_one_is_not() {
    let gateway = Site::new().start();
    let of_length = |length: usize| {
        let request = valid(&gateway).add("x-padding", "");
        let room = length - request.head().len();
        request.replace("x-padding", |_| "p".repeat(room))
    };
    let (below, above) = (of_length(64 * 1024), of_length(64 * 1024 + 4096));
    assert_eq!(below.head().len(), 64 * 1024);
    gateway.connect().exchange(&below).granted();
    let recorded = gateway.records().len();
    for head in [above.head(), format!("POST /{} HTTP/1.1\r\n", "p".repeat(128 * 1024)).into_bytes()] {
        let mut connection = gateway.connect();
        // The gateway may have closed before all of it was sent.
        let _ = connection.try_send(&head);
        if let Some(answer) = connection.answer_or_end() {
            assert!([414, 431].contains(&answer.status), "{answer:?}");
            connection.closed();
        }
    }
    let many = (0..200).fold(valid(&gateway), |request, index| request.add(&format!("x-many-{index}"), "1"));
    let mut connection = gateway.connect();
    connection.send(&many.bytes());
    assert_eq!(connection.answer().status, 431);
    connection.closed();
    assert_eq!(gateway.records().len(), recorded, "what was never read is not recorded");
    gateway.connect().exchange(&valid(&gateway)).granted();
}

#[test]
fn what_is_no_http_is_refused_and_the_connection_closed() {
    let gateway = Site::new().start();
    let authorization = "Authorization: AWS4-HMAC-SHA256 x=y";
    for bytes in [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".as_slice(),
        b"hello\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nNo colon\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nSpace : b\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nBare: c\rX: d\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nNul: \x00\r\n\r\n",
        format!("POST / HTTP/1.1\r\nHost: a\r\n{authorization}\r\n folded\r\n\r\n").as_bytes(),
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +2\r\n\r\n{}",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2, 3\r\n\r\n{}",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
        b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ] {
        is_no_request(&gateway, bytes);
    }
}

/// What hyper refuses before there is a request has no body and no record: nobody knows what to call it.
fn is_no_request(gateway: &Gateway, bytes: &[u8]) {
    let recorded = gateway.records().len();
    let mut connection = gateway.connect();
    connection.send(bytes);
    if let Some(answer) = connection.answer_or_end() {
        assert_eq!((answer.status, answer.body.len()), (400, 0), "{}", bytes.escape_ascii());
        connection.closed();
    }
    assert_eq!(gateway.records().len(), recorded, "{}", bytes.escape_ascii());
}

/// Two framings of one body: whatever stands behind the chunked one is never read as a second request.
#[test]
fn a_request_with_two_lengths_ends_its_connection() {
    let gateway = Site::new().start();
    let smuggled = valid(&gateway).add("x-smuggled", "1").bytes();
    let chunked = valid(&gateway).chunked(1024);
    let length = chunked.body.len() + smuggled.len();
    for both in [
        chunked.clone().add("content-length", &length.to_string()),
        Request {
            headers: [vec![("content-length".into(), length.to_string())], chunked.headers.clone()].concat(),
            ..chunked
        },
    ] {
        let recorded = gateway.records().len();
        let mut connection = gateway.connect();
        connection.send(&[both.bytes(), smuggled.clone()].concat());
        let answer = connection.answer();
        if answer.status != 200 {
            answer.refused();
        }
        connection.closed();
        assert_eq!(gateway.records().len(), recorded + 1);
    }
}

#[test]
fn a_body_in_another_coding_than_chunks_is_refused() {
    let gateway = Site::new().start();
    for coding in ["gzip, chunked", "identity, chunked", "chunked;q=1, chunked"] {
        let request = valid(&gateway).chunked(1024).replace("transfer-encoding", |_| coding.into());
        let answer = gateway.connect().exchange(&request);
        assert_eq!(answer.refused().kind(), (400, "ValidationException"), "{coding}");
        assert_eq!(gateway.record(&answer)["errorCode"], "ValidationException");
    }
    let any_case = valid(&gateway).chunked(1024).replace("transfer-encoding", |_| "Chunked".into());
    gateway.connect().exchange(&any_case).granted();
}

/// A line may end with LF alone (RFC 9112 section 2.2), and what stands behind it is a header like any other: there is
/// no way to hide one.
#[test]
fn a_header_behind_a_lone_line_feed_is_seen() {
    let gateway = Site::new().start();
    let mut connection = gateway.connect();
    let hidden = valid(&gateway).add("x-a", "1\nx-amz-target: TrentService.ListKeys");
    let answer = connection.exchange(&hidden);
    assert_eq!(answer.refused().kind(), (400, "ValidationException"));
    assert_eq!(gateway.record(&answer)["errorCode"], "ValidationException");
    // In a chunk's length a lone LF is no line end at all.
    let chunked = valid(&gateway).chunked(1024);
    let body = String::from_utf8(chunked.body.clone()).unwrap().replacen("\r\n", "\n", 1).into_bytes();
    let answer = gateway.connect().exchange(&Request { body, ..chunked });
    assert_eq!(answer.refused().kind(), (400, "SerializationException"));
    gateway.record(&answer);
}
