//! Bodies that are not what their operation takes, or do not come as they were announced: a clear refusal, one record,
//! and a gateway that goes on.

mod constraints;
mod management;
mod members;
mod table;

use std::thread::sleep;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::harness::{Connection, Gateway, Refusal, Request, Site};

/// Longest body of a data-key call.
const CAP: usize = 128 * 1024;

fn raw(gateway: &Gateway, operation: &str, body: &[u8]) -> Request {
    gateway.site.admin.raw(&gateway.host(), operation, body)
}

fn random_request(gateway: &Gateway) -> Request {
    raw(gateway, "GenerateRandom", br#"{"NumberOfBytes":8}"#)
}

/// A valid request whose body is blanks but for a few bytes.
fn of_length(gateway: &Gateway, operation: &str, length: usize) -> Request {
    raw(gateway, operation, &padded(r#"{"NumberOfBytes":8}"#, length))
}

/// The text with blanks behind it.
fn padded(text: &str, length: usize) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.resize(length, b' ');
    bytes
}

/// Refuses `body`, records it once, and goes on with the connection.
fn refuses(gateway: &Gateway, operation: &str, body: &[u8]) -> Refusal {
    let mut connection = gateway.connect();
    let answer = connection.exchange(&raw(gateway, operation, body));
    let refusal = answer.refused();
    let record = gateway.record(&answer);
    assert_eq!(record["errorCode"], refusal.code, "{}", body.escape_ascii());
    assert_eq!(record["requestParameters"], Value::Null);
    connection.exchange(&random_request(gateway)).granted();
    refusal
}

#[test]
fn what_is_not_a_json_object_is_refused_by_its_name_alone() {
    let gateway = Site::new().start();
    for body in [
        b"".as_slice(),
        b" \r\n",
        b"{",
        b"}",
        b"{\"NumberOfBytes\":8,}",
        b"{\"NumberOfBytes\":8",
        b"{\"NumberOfBytes\":}",
        b"{NumberOfBytes:8}",
        b"{'NumberOfBytes':8}",
        b"{\"NumberOfBytes\":08}",
        b"{\"NumberOfBytes\":0x8}",
        b"{\"NumberOfBytes\":NaN}",
        b"{\"NumberOfBytes\":8}{}",
        b"{\"NumberOfBytes\":8} ]",
        b"{\"NumberOfBytes\":8}\0",
        b"/**/{\"NumberOfBytes\":8}",
        b"\xef\xbb\xbf{\"NumberOfBytes\":8}",
        b"{\"\xff\":1,\"NumberOfBytes\":8}",
        b"{\"\xc0\x80\":1,\"NumberOfBytes\":8}",
        b"{\"X\":\"\\ud800\",\"NumberOfBytes\":8}",
        b"{\"X\":\"\n\",\"NumberOfBytes\":8}",
        b"N\0u\0l\0l\0",
        b"null",
        b"true",
        b"7",
        b"\"{}\"",
        b"NumberOfBytes=8&Action=GenerateRandom",
        b"<GenerateRandomRequest/>",
    ] {
        assert_eq!(
            refuses(&gateway, "GenerateRandom", body),
            Refusal::bare(400, "SerializationException"),
            "{}",
            body.escape_ascii()
        );
    }
    assert_eq!(
        refuses(&gateway, "GenerateRandom", b"[]"),
        Refusal::new(400, "SerializationException", "Start of list found where not expected")
    );
}

#[test]
fn a_number_is_cut_to_an_integer_and_a_null_is_no_member() {
    let gateway = Site::new().start();
    let bytes = |body: &str| {
        let answer = gateway.connect().exchange(&raw(&gateway, "GenerateRandom", body.as_bytes())).granted();
        BASE64_STANDARD.decode(answer["Plaintext"].as_str().unwrap()).unwrap().len()
    };
    assert_eq!(bytes(r#"{"NumberOfBytes":32.7}"#), 32);
    assert_eq!(bytes(r#"{"NumberOfBytes":3.2e1}"#), 32);
    assert_eq!(bytes(r#"{"NumberOfBytes":32,"CustomKeyStoreId":null,"Recipient":null}"#), 32);
    assert_eq!(bytes(r#"{"NumberOfBytes":32,"Unknown":[{"a":1},{"a":1}],"numberofbytes":"x"}"#), 32);
    assert_eq!(bytes("\t{ \"Number\\u004ffBytes\" :\r\n32 } "), 32);
    // How KMS prints a number beyond 32 bits is not recorded.
    for number in ["4294967304", "18446744073709551624", "1e30", "-1e30", "-9223372036854775809"] {
        let body = format!(r#"{{"NumberOfBytes":{number}}}"#);
        assert_eq!(refuses(&gateway, "GenerateRandom", body.as_bytes()).kind(), (400, "ValidationException"));
    }
    assert_eq!(
        refuses(&gateway, "GenerateRandom", br#"{"NumberOfBytes":null}"#),
        Refusal::new(400, "ValidationException", "NumberOfBytes is required.")
    );
}

/// AWS lets one of the two win; here neither does, so that no reader behind the gateway can choose the other.
#[test]
fn a_member_that_stands_twice_is_refused_wherever_it_stands() {
    let gateway = Site::new().start();
    let key = gateway.create_key();
    for body in [
        r#"{"KeyId":"KEY","KeySpec":"AES_256","KeyId":"KEY"}"#,
        r#"{"KeyId":"KEY","KeySpec":"AES_256","Key\u0049d":"KEY"}"#,
        r#"{"KeyId":"KEY","KeySpec":"AES_256","KeyId":null}"#,
        r#"{"KeyId":null,"KeySpec":"AES_256","KeyId":"KEY"}"#,
        r#"{"KeyId":"KEY","KeySpec":"AES_256","X":1,"X":1}"#,
        r#"{"KeyId":"KEY","KeySpec":"AES_256","X":{"y":1,"y":1}}"#,
        r#"{"KeyId":"KEY","KeySpec":"AES_256","X":[[{"y":{"z":1,"z":2}}]]}"#,
        r#"{"KeyId":"KEY","KeySpec":"AES_256","EncryptionContext":{"a":"1","a":"2"}}"#,
        r#"{"KeyId":"KEY","KeySpec":"AES_256","EncryptionContext":{"a":"1","\u0061":"1"}}"#,
        r#"{"KeyId":"KEY","KeySpec":"AES_256","EncryptionContext":{},"EncryptionContext":{"a":"1"}}"#,
    ] {
        let body = body.replace("KEY", &key);
        let refusal = refuses(&gateway, "GenerateDataKeyWithoutPlaintext", body.as_bytes());
        assert_eq!(refusal.kind(), (400, "SerializationException"), "{body}");
    }
    let once =
        format!(r#"{{"KeyId":"{key}","KeySpec":"AES_256","keyId":"x","EncryptionContext":{{"a":"1","A":"1"}}}}"#);
    gateway.connect().exchange(&raw(&gateway, "GenerateDataKeyWithoutPlaintext", once.as_bytes())).granted();
}

#[test]
fn a_body_nested_ten_thousand_deep_is_refused() {
    const DEPTH: usize = 10_000;
    let gateway = Site::new().start();
    let lists = "[".repeat(DEPTH);
    let objects = r#"{"a":"#.repeat(DEPTH);
    for body in [
        lists.clone(),
        objects.clone(),
        format!(r#"{{"NumberOfBytes":8,"X":{lists}{}}}"#, "]".repeat(DEPTH)),
        format!(r#"{{"NumberOfBytes":8,"X":{objects}1{}}}"#, "}".repeat(DEPTH)),
        format!(r#"{{"NumberOfBytes":{lists}{}}}"#, "]".repeat(DEPTH)),
    ] {
        assert_eq!(refuses(&gateway, "GenerateRandom", body.as_bytes()).kind(), (400, "SerializationException"));
    }
}

#[test]
fn a_body_may_be_as_long_as_its_operations_cap_and_no_longer() {
    let gateway = Site::new().start();
    let mut connection = gateway.connect();
    connection.exchange(&of_length(&gateway, "GenerateRandom", CAP)).granted();
    connection.exchange(&of_length(&gateway, "GenerateRandom", CAP).chunked(8192)).granted();
    let create = raw(&gateway, "CreateKey", &padded("{}", 1024 * 1024));
    connection.exchange(&create).granted();
    let too_long = [
        of_length(&gateway, "GenerateRandom", CAP + 1),
        of_length(&gateway, "GenerateRandom", CAP + 1).chunked(8192),
        of_length(&gateway, "GenerateRandom", CAP + 1).chunked(CAP + 1),
        of_length(&gateway, "GenerateRandom", 4 * 1024 * 1024),
        raw(&gateway, "CreateKey", &padded("{}", 1024 * 1024 + 1)),
    ];
    for request in too_long {
        let mut connection = gateway.connect();
        // The gateway does not wait for the rest, and may close before all of it was sent.
        let _ = connection.try_send(&request.bytes());
        let answer = connection.answer();
        // AWS's status and text are not recorded.
        assert_eq!(answer.refused().kind(), (413, "RequestEntityTooLargeException"));
        assert_eq!(gateway.record(&answer)["errorCode"], "RequestEntityTooLargeException");
    }
    // What was announced is refused before it is sent.
    for length in ["131073", "1048576", "9999999999", "18446744073709551613"] {
        let mut connection = gateway.connect();
        connection.send(&random_request(&gateway).replace("content-length", |_| length.into()).head());
        assert_eq!(connection.answer().refused().kind(), (413, "RequestEntityTooLargeException"), "{length}");
    }
}

/// A client that is busy sending when it is refused would see a broken pipe if the gateway closed at once.
#[test]
fn a_client_that_is_still_sending_reads_its_refusal_and_goes_on() {
    let gateway = Site::new().start();
    let long = of_length(&gateway, "GenerateRandom", 4 * 1024 * 1024);
    for (peer, (request, status)) in (2..).zip([
        (long.clone(), 413),
        (long.clone().chunked(64 * 1024), 413),
        (long.clone().remove("x-amz-target"), 400),
        (long.clone().remove("content-type").chunked(64 * 1024), 400),
        (long.replace("authorization", |value| value.replace("/kms/", "/sts/")), 400),
    ]) {
        let mut connection = Connection::from_peer(peer, gateway.address);
        connection.send(&request.bytes());
        assert_eq!(connection.answer().refused().status, status);
        connection.exchange(&random_request(&gateway)).granted();
    }
}

#[test]
fn a_refused_body_that_does_not_end_is_not_read_for_ever() {
    let gateway = Site::new().start();
    // One that is a hundred times too long,
    let request = random_request(&gateway).replace("content-length", |_| (1 << 30).to_string());
    let mut connection = gateway.connect();
    connection.send(&request.head());
    let megabyte = vec![b' '; 1024 * 1024];
    assert!((0..1024).any(|_| connection.try_send(&megabyte).is_err()), "it reads a gigabyte");
    // and one that stops coming.
    let mut connection = gateway.connect();
    connection.send(&request.head());
    assert_eq!(connection.answer().refused().status, 413);
    connection.closed();
}

#[test]
fn a_body_shorter_than_announced_is_waited_for_and_then_refused() {
    let gateway = Site::new().set("server.body_read_timeout_ms", 300).start();
    let short = random_request(&gateway).replace("content-length", |length| format!("{length}0"));
    let mut connection = gateway.connect();
    let answer = connection.exchange(&short);
    assert_eq!(answer.refused().kind(), (408, "RequestTimeoutException"));
    assert_eq!(gateway.record(&answer)["errorCode"], "RequestTimeoutException");
    connection.closed();
    let mut connection = gateway.connect();
    connection.send(&random_request(&gateway).head());
    assert_eq!(connection.answer().refused().kind(), (408, "RequestTimeoutException"));
    // A client that says that nothing more will come is not waited for. Whether it can be told is up to it.
    let recorded = gateway.records().len();
    let mut connection = gateway.connect();
    connection.send(&short.bytes());
    connection.end_sending();
    if let Some(answer) = connection.answer_or_end() {
        assert_eq!(answer.refused(), Refusal::bare(400, "SerializationException"));
    }
    let records = gateway.records_when(recorded + 1, |_| true);
    assert!(records[recorded]["errorCode"].is_string(), "{}", records[recorded]);
}

#[test]
fn a_body_longer_than_announced_is_another_body() {
    let gateway = Site::new().start();
    for (length, code) in [("18", "InvalidSignatureException"), ("0", "InvalidSignatureException")] {
        let mut connection = gateway.connect();
        connection.send(&random_request(&gateway).replace("content-length", |_| length.into()).bytes());
        let answer = connection.answer();
        assert_eq!(answer.refused().kind(), (400, code));
        gateway.record(&answer);
        // What is left over is no request.
        if let Some(answer) = connection.answer_or_end() {
            assert_eq!((answer.status, answer.body.len()), (400, 0));
            connection.closed();
        }
    }
    assert_eq!(gateway.records().len(), 2);
}

#[test]
fn a_body_that_comes_byte_by_byte_is_not_waited_for_longer_than_configured() {
    let gateway = Site::new().set("server.body_read_timeout_ms", 400).start();
    for request in [of_length(&gateway, "GenerateRandom", 1000), of_length(&gateway, "GenerateRandom", 1000).chunked(1)]
    {
        let mut connection = gateway.connect();
        connection.begin(&request);
        // Each byte comes in time; all of them would take twenty seconds.
        let sender = std::thread::spawn({
            let mut trickle = connection.sender();
            move || {
                for byte in request.body.chunks(1) {
                    if std::io::Write::write_all(&mut trickle, byte).is_err() {
                        break;
                    }
                    sleep(Duration::from_millis(20));
                }
            }
        });
        let answer = connection.answer();
        assert_eq!(answer.refused().kind(), (408, "RequestTimeoutException"));
        assert_eq!(gateway.record(&answer)["errorCode"], "RequestTimeoutException");
        connection.closed();
        drop(connection);
        sender.join().unwrap();
    }
}

#[test]
fn a_body_that_comes_in_pieces_is_read_whole() {
    let gateway = Site::new().start();
    let request = random_request(&gateway);
    for request in [request.clone(), request.chunked(5)] {
        let mut connection = gateway.connect();
        connection.begin(&request);
        for piece in request.body.chunks(3) {
            connection.send(piece);
        }
        connection.answer().granted();
    }
}

#[test]
fn a_chunked_body_that_is_broken_is_refused() {
    let gateway = Site::new().start();
    let chunked = random_request(&gateway).chunked(64);
    for body in
        [b"zz\r\n".as_slice(), b"8\r\n{}\r\n\r\n\r\nx", b"-1\r\n", b"fffffffffffffffff\r\n", b"2 2\r\n{}\r\n0\r\n\r\n"]
    {
        let mut connection = Connection::from_peer(2, gateway.address);
        let answer = connection.exchange(&Request { body: body.to_vec(), ..chunked.clone() });
        assert_eq!(answer.refused().kind(), (400, "SerializationException"), "{}", body.escape_ascii());
        gateway.record(&answer);
        connection.closed();
    }
    // Trailers change nothing: they were not signed, and are not looked at.
    let mut with_trailer = chunked.clone();
    with_trailer.body.truncate(with_trailer.body.len() - 2);
    with_trailer.body.extend_from_slice(b"x-amz-target: TrentService.ListKeys\r\n\r\n");
    let answer = gateway.connect().exchange(&with_trailer);
    answer.granted();
    assert_eq!(gateway.record(&answer)["eventName"], "GenerateRandom");
}

#[test]
fn what_was_signed_is_the_body_that_came() {
    let gateway = Site::new().start();
    let mut request = random_request(&gateway);
    request.body = br#"{"NumberOfBytes":9}"#.to_vec();
    assert_eq!(gateway.connect().exchange(&request).refused().kind(), (400, "InvalidSignatureException"));
    // A hash that was not signed selects nothing; one that does not fit refuses.
    let unsigned = random_request(&gateway).add("x-amz-content-sha256", "UNSIGNED-PAYLOAD");
    assert_eq!(gateway.connect().exchange(&unsigned).refused().kind(), (400, "InvalidSignatureException"));
    let broken = json!({"NumberOfBytes": "x"});
    let forged = gateway.site.admin.request(&gateway.host(), "GenerateRandom", &broken).forged();
    // Who asks comes before what is asked.
    assert_eq!(gateway.connect().exchange(&forged).refused().kind(), (400, "InvalidSignatureException"));
}
