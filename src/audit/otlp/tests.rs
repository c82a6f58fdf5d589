//! Against collectors on this machine, as the audit writer uses an exporter.

use std::future::pending;
use std::io::ErrorKind;

use http::Response;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::request::tests::bodies;
use super::testing::{Authority, Server, response};
use super::*;
use crate::clock::ManualClock;

/// A wait that must not end for want of time, however slow the machine is.
const LONG: Duration = Duration::from_mins(5);
/// One that must.
const SHORT: Duration = Duration::from_millis(100);
const LINES: &[u8] = b"{\"eventName\":\"one\"}\n{\"eventName\":\"two\"}\n";

fn settings(endpoint: Uri) -> Settings {
    Settings {
        endpoint,
        headers: Arc::new([]),
        ca_file: None,
        timeout: LONG,
        instance_id: "test".to_owned(),
        danger_plaintext: false,
    }
}

fn exporter(server: &Server) -> Exporter {
    Exporter::new(settings(server.url("http")), Clock::System).unwrap()
}

fn hasty(server: &Server) -> Exporter {
    let settings = Settings { timeout: SHORT, ..settings(server.url("http")) };
    Exporter::new(settings, Clock::System).unwrap()
}

#[expect(clippy::unnecessary_wraps, reason = "the type of a script")]
fn taken() -> Option<Response<Full<Bytes>>> {
    Some(response(200, PROTOBUF, ""))
}

/// A server that answers each request with these bytes, and then closes the connection.
fn saying(answer: &'static [u8]) -> Server {
    Server::accepting(move |mut stream, _| async move {
        read_request(&mut stream).await;
        stream.write_all(answer).await.unwrap();
    })
}

/// As much of a request as tells that it is there.
async fn read_request(stream: &mut TcpStream) {
    let (mut read, mut part) = (Vec::new(), [0; 4096]);
    while !read.windows(3).any(|window| window == b"two") {
        let length = stream.read(&mut part).await.unwrap();
        read.extend_from_slice(&part[..length]);
    }
}

fn fails(exporter: &mut Exporter) -> String {
    exporter.write(LINES).unwrap_err().to_string()
}

#[test]
fn whole_lines_are_sent_and_counted_once_they_are_acknowledged() {
    let server = Server::start(|_| taken());
    let url = format!("{}otlp/v1/logs?for=audit", server.url("http"));
    let token = Secret::new("Bearer a secret token".to_owned());
    let headers = vec![(header::AUTHORIZATION, token)];
    let settings = Settings { headers: headers.into(), ..settings(url.parse().unwrap()) };
    assert!(!format!("{settings:?}").contains("Bearer"));
    let mut exporter = Exporter::new(settings, Clock::System).unwrap();
    assert!(!format!("{exporter:?}").contains("Bearer"));
    assert_eq!(exporter.write(LINES).unwrap(), LINES.len());
    assert_eq!(exporter.write(b"three\nfour, tor").unwrap(), 6);
    exporter.flush().unwrap();

    let requests = server.requests.lock().unwrap();
    let [(head, body), (_, second)] = &requests[..] else { panic!("two requests") };
    assert_eq!((head.method.as_str(), head.uri.to_string().as_str()), ("POST", "/otlp/v1/logs?for=audit"));
    assert_eq!(head.headers["host"], server.address.to_string());
    assert_eq!(head.headers["content-type"], "application/x-protobuf");
    assert_eq!(head.headers["content-length"], body.len().to_string());
    assert_eq!(head.headers["authorization"], "Bearer a secret token");
    assert_eq!(bodies(body), [br#"{"eventName":"one"}"#, br#"{"eventName":"two"}"#]);
    assert_eq!(bodies(second), [b"three"]);
    assert_eq!(server.connections(), 1, "the connection is kept");
}

#[test]
fn many_lines_are_sent_with_several_requests() {
    let server = Server::start(|_| taken());
    let lines = (0..1300).map(|number| format!("line {number}")).collect::<Vec<_>>().join("\n") + "\n";
    exporter(&server).write_all(lines.as_bytes()).unwrap();
    let requests = server.requests.lock().unwrap();
    let counts: Vec<_> = requests.iter().map(|(_, body)| bodies(body).len()).collect();
    assert_eq!(counts, [512, 512, 276]);
    let sent: Vec<&[u8]> = requests.iter().flat_map(|(_, body)| bodies(body)).collect();
    assert_eq!(sent, lines.trim_end().split('\n').map(str::as_bytes).collect::<Vec<_>>());
}

#[test]
fn what_is_no_whole_line_is_not_sent() {
    let server = Server::start(|_| taken());
    let mut exporter = exporter(&server);
    assert_eq!(exporter.write(b"").unwrap(), 0);
    assert_eq!(exporter.write(b"torn").unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(server.connections(), 0);
}

#[test]
fn what_is_refused_is_not_counted_and_may_be_sent_again() {
    let server =
        Server::start(|number| if number == 0 { Some(response(503, "text/plain", "overloaded")) } else { taken() });
    let mut exporter = exporter(&server);
    assert_eq!(fails(&mut exporter), "the collector answered 503 Service Unavailable: overloaded");
    assert_eq!(exporter.write(LINES).unwrap(), LINES.len());
    assert_eq!(server.connections(), 1, "a refusal is no reason for another connection");
    let requests = server.requests.lock().unwrap();
    assert_eq!(bodies(&requests[0].1), bodies(&requests[1].1));
}

#[test]
fn a_collector_that_asks_to_be_left_alone_is_not_asked_before() {
    let server = Server::start(|number| {
        let mut response = if number == 0 { response(429, "text/plain", "slowly") } else { return taken() };
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("30"));
        Some(response)
    });
    let start = Timestamp::parse_basic("20261123T182241Z").unwrap();
    let clock = ManualClock::new(start);
    let mut exporter = Exporter::new(settings(server.url("http")), Clock::Manual(clock.clone())).unwrap();
    assert_eq!(fails(&mut exporter), "the collector answered 429 Too Many Requests: slowly");
    clock.set(start.plus(Duration::from_millis(29_500)));
    let left = "the collector is left alone for 1 s more, as it asked when the collector answered 429 Too Many \
                Requests: slowly";
    assert_eq!(fails(&mut exporter), left);
    assert_eq!(server.requests.lock().unwrap().len(), 1);
    clock.set(start.plus(Duration::from_secs(30)));
    assert_eq!(exporter.write(LINES).unwrap(), LINES.len());
}

#[test]
fn a_clock_that_is_set_back_does_not_prolong_a_pause() {
    let start = Timestamp::parse_basic("20261123T182241Z").unwrap();
    let pause = Pause { since: start, length: Duration::from_secs(30), reason: "".into() };
    assert!(pause.left(start).is_some());
    assert!(pause.left(start.minus(Duration::from_secs(1))).is_none());
}

#[test]
fn a_partial_success_is_a_failure_that_says_so() {
    let server = Server::start(|_| Some(response(200, PROTOBUF, &b"\x0a\x0b\x08\x01\x12\x07too old"[..])));
    assert_eq!(fails(&mut exporter(&server)), "the collector rejected 1 of 2 records: too old");
}

#[test]
fn a_hang_ends_in_the_time_out_wherever_it_is() {
    let unanswered = Server::start(|_| None);
    let dribbling = Server::accepting(|mut stream, _| async move {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n").await.unwrap();
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(SHORT / 10).await;
        }
    });
    for server in [&unanswered, &dribbling] {
        let (began, error) = (Instant::now(), hasty(server).write(LINES).unwrap_err());
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (ErrorKind::TimedOut, "the collector did not answer within 100ms")
        );
        assert!(began.elapsed() >= SHORT);
    }
    let silent = Server::accepting(|stream, _| async move {
        let _open = stream;
        pending::<()>().await;
    });
    let authority = Authority::new().file();
    let settings =
        Settings { ca_file: Some(authority.path().to_owned()), timeout: SHORT, ..settings(silent.url("https")) };
    let mut exporter = Exporter::new(settings, Clock::System).unwrap();
    assert_eq!(exporter.write(LINES).unwrap_err().kind(), ErrorKind::TimedOut, "a handshake that nobody answers");
}

#[test]
fn after_a_hang_the_next_request_has_a_connection_of_its_own() {
    let server = Server::start(|number| if number == 0 { None } else { taken() });
    let mut exporter = hasty(&server);
    assert_eq!(exporter.write(LINES).unwrap_err().kind(), ErrorKind::TimedOut);
    exporter.timeout = LONG;
    assert_eq!(exporter.write(LINES).unwrap(), LINES.len());
    assert_eq!(server.connections(), 2);
}

#[test]
fn a_kept_connection_that_was_closed_meanwhile_is_no_failure() {
    let server = Server::accepting(|mut stream, _| async move {
        read_request(&mut stream).await;
        // It says nothing of closing it.
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    });
    let mut exporter = exporter(&server);
    for requests in 1..=3 {
        assert_eq!(exporter.write(LINES).unwrap(), LINES.len());
        assert_eq!(server.connections(), requests);
    }
}

#[test]
fn a_connection_that_ends_in_the_middle_of_an_answer_acknowledges_nothing() {
    for answer in ["", "HTTP/1.1 200 OK\r\ncontent-le", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"] {
        let server = saying(answer.as_bytes());
        let said = fails(&mut exporter(&server));
        assert!(said.starts_with("the connection to the collector ended before its answer: "), "{said}");
        assert_eq!(server.connections(), 1, "a new connection is tried once");
    }
}

#[test]
fn a_connection_that_is_reset_in_the_middle_of_a_request_acknowledges_nothing() {
    let server = Server::accepting(|mut stream, _| async move {
        stream.read_u8().await.unwrap();
        // Closed with bytes unread, it is reset.
        drop(stream);
    });
    let line = [vec![b'x'; 4_000_000], vec![b'\n']].concat();
    let said = exporter(&server).write(&line).unwrap_err().to_string();
    assert!(said.starts_with("the connection to the collector ended before its answer: "), "{said}");
}

#[test]
fn what_is_no_answer_acknowledges_nothing() {
    for answer in
        ["garbage\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n"]
    {
        let said = fails(&mut exporter(&saying(answer.as_bytes())));
        assert!(said.starts_with("the collector's answer cannot be read: "), "{said}");
    }
    let server = Server::start(|_| Some(response(200, "text/html", "<html>please sign in")));
    let said = fails(&mut exporter(&server));
    assert_eq!(said, "the collector's answer cannot be read: it is `text/html`: <html>please sign in");
}

#[test]
fn of_an_answer_that_is_too_large_no_more_is_read_than_the_bound() {
    let server = Server::start(|_| Some(response(200, PROTOBUF, vec![b'x'; 10_000_000])));
    assert_eq!(fails(&mut exporter(&server)), "the collector's answer cannot be read: it has more than 65536 bytes");
    let server = Server::start(|_| Some(response(502, "text/html", vec![b'x'; 10_000_000])));
    assert!(fails(&mut exporter(&server)).starts_with("the collector answered 502 Bad Gateway: xxx"));
    // A body and a head without an end: both must end by the bound, not by the time.
    let endless = Server::accepting(|mut stream, _| async move {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\n\r\n").await.unwrap();
        while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
    });
    assert_eq!(fails(&mut exporter(&endless)), "the collector's answer cannot be read: it has more than 65536 bytes");
    let head = Server::accepting(|mut stream, _| async move {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nx: ").await.unwrap();
        while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
    });
    assert!(fails(&mut exporter(&head)).starts_with("the collector's answer cannot be read: "));
}

#[test]
fn a_collector_that_is_not_there_is_named() {
    // It was there a moment ago, so nobody else is.
    let address = Server::start(|_| None).address;
    let url = format!("http://{address}").parse().unwrap();
    let said = fails(&mut Exporter::new(settings(url), Clock::System).unwrap());
    assert!(said.starts_with(&format!("the collector cannot be reached: {address}: ")), "{said}");
}

#[test]
fn by_tls_a_collector_is_known_by_its_authority_and_its_name() {
    let (own, other) = (Authority::new(), Authority::new());
    let write = |authority: &Authority, name: &str| {
        let (server, file) = (Server::secured(authority.server(name), |_| taken()), own.file());
        let settings = Settings { ca_file: Some(file.path().to_owned()), ..settings(server.url("https")) };
        let mut exporter = Exporter::new(settings, Clock::System).unwrap();
        let wrote = (0..2).map(|_| exporter.write(LINES).map_err(|error| error.to_string())).collect::<Vec<_>>();
        let received = server.requests.lock().unwrap().len();
        (wrote, received, server.connections())
    };
    assert_eq!(write(&own, "127.0.0.1"), (vec![Ok(LINES.len()); 2], 2, 1));
    for (authority, name) in [(&other, "127.0.0.1"), (&own, "collector.test")] {
        let (results, received, _) = write(authority, name);
        for result in results {
            let said = result.unwrap_err();
            assert!(said.contains("the collector cannot be reached: ") && said.contains("certificate"), "{said}");
        }
        assert_eq!(received, 0, "nothing is sent to whom it is not for");
    }
}

#[test]
fn settings_that_cannot_work_are_refused_before_anything_is_sent() {
    let url = || "http://127.0.0.1:4318".parse::<Uri>().unwrap();
    let with = |name: &'static str, value: &str| {
        let headers = vec![(HeaderName::from_static(name), Secret::new(value.to_owned()))];
        Exporter::new(Settings { headers: headers.into(), ..settings(url()) }, Clock::System)
    };
    assert!(matches!(with("content-type", "x"), Err(InvalidSettings::OwnHeader(_))));
    assert!(matches!(with("authorization", "a\nb"), Err(InvalidSettings::HeaderValue(_))));
    let no_file =
        Settings { ca_file: Some("/nowhere/ca.pem".into()), ..settings("https://collector.test".parse().unwrap()) };
    assert!(matches!(Exporter::new(no_file, Clock::System), Err(InvalidSettings::Authorities(_))));
}

#[test]
fn an_exporter_is_used_on_a_thread_of_its_own_and_may_be_dropped_in_a_runtime() {
    let server = Server::start(|_| taken());
    let mut exporter = exporter(&server);
    let exporter = std::thread::spawn(move || exporter.write_all(LINES).map(|()| exporter)).join().unwrap().unwrap();
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async move { drop(exporter) });
}
