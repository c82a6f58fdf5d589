//! Servers that end a connection while the next request is on its way to it: nothing is sent twice, and what is said not
//! to have been sent was not. The servers run on threads of their own, so that the races are real.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use http::HeaderValue;

use super::*;

fn transport(address: std::net::SocketAddr) -> Transport {
    let endpoint = Endpoint::new(&format!("http://{address}").parse().unwrap(), None).unwrap();
    Transport::new(endpoint, None, TIMEOUTS, CONNECTIONS, "111122223333/eu-west-1")
}

/// The ids of the requests that these bytes are, or are the beginning of.
fn ids(read: &[u8]) -> Vec<usize> {
    let text = str::from_utf8(read).unwrap();
    text.lines().filter_map(|line| line.strip_prefix("x-id: ")).map(|id| id.parse().unwrap()).collect()
}

/// One request; empty if not all of it comes.
fn read_request(stream: &mut TcpStream) -> Vec<u8> {
    let (mut read, mut buffer) = (Vec::new(), [0; 1024]);
    while !read.ends_with(BODY) {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return Vec::new(),
            Ok(more) => read.extend_from_slice(&buffer[..more]),
        }
    }
    read
}

#[tokio::test]
async fn a_request_that_comes_back_from_a_connection_has_not_reached_the_server_with_a_byte() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let transport = transport(listener.local_addr().unwrap());
    let (close, told) = mpsc::channel::<()>();
    let (closed, done) = mpsc::channel();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        told.recv().unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        closed.send(()).unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        rest
    });
    let mut connection = transport.connector.connect().await.unwrap();
    close.send(()).unwrap();
    // Without a look at the sockets in between: the connection passes for one that can be used.
    done.recv().unwrap();
    assert!(connection.is_ready());
    // The next look finds the server's end, together with the request.
    tokio::task::yield_now().await;
    let Sent::Returned(returned, failure) = connection.send(request()).await else { panic!("it did not come back") };
    assert_eq!(returned.headers(), request().headers());
    assert_eq!(failure.kind(), FailureKind::NotSent);
    drop(connection);
    assert_eq!(server.join().unwrap(), b"");
}

#[tokio::test]
async fn however_a_server_ends_its_connections_no_request_reaches_it_twice() {
    const REQUESTS: usize = 500;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, arrived) = mpsc::channel();
    let ending = Arc::new(AtomicBool::new(false));
    let ended = Arc::clone(&ending);
    thread::spawn(move || {
        let open = |_: &_| !ended.load(Ordering::Relaxed);
        for (number, stream) in listener.incoming().take_while(open).enumerate() {
            let (mut stream, sender) = (stream.unwrap(), sender.clone());
            stream.set_read_timeout(Some(LONG)).unwrap();
            // It answers some requests, and goes without a word; what comes after that has reached it too.
            thread::spawn(move || {
                for _ in 0..=number % 4 {
                    let [id] = ids(&read_request(&mut stream))[..] else { return };
                    sender.send(id).unwrap();
                    if stream.write_all(ANSWER).is_err() {
                        return;
                    }
                }
                let mut late = Vec::new();
                // Whether the client is gone by now or not.
                _ = stream.shutdown(Shutdown::Write).and_then(|()| stream.read_to_end(&mut late));
                for id in ids(&late) {
                    sender.send(id).unwrap();
                }
            });
        }
    });
    let transport = transport(address);
    let mut answered = 0;
    for id in 0..REQUESTS {
        let mut request = request();
        request.headers_mut().insert("x-id", HeaderValue::from(id));
        match transport.send(request, &within(LONG), |_| ()).await {
            Ok(_) => answered += 1,
            Err(failure) => assert_eq!(failure.kind(), FailureKind::Broken, "{failure}"),
        }
    }
    drop(transport);
    ending.store(true, Ordering::Relaxed);
    drop(TcpStream::connect(address).unwrap());
    // Until the last connection has ended, for which its other side has to run.
    let arrived: Vec<usize> = tokio::task::spawn_blocking(move || arrived.iter().collect()).await.unwrap();
    let mut times = HashMap::new();
    for id in arrived {
        *times.entry(id).or_insert(0) += 1;
    }
    assert!(times.values().all(|times| *times == 1), "{times:?}");
    // Each that was answered has arrived; how many were not is a matter of the race.
    assert!(times.len() >= answered && answered >= REQUESTS / 2, "{answered} of {}", times.len());
}
