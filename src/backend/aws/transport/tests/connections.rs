//! Which connection a request goes by.

use std::time::Duration;

use futures_util::future::{join, join_all};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};

use super::*;

#[tokio::test]
async fn a_connection_is_used_again() {
    let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
    let upstream = Upstream::start(move |mut stream, _| async move {
        for turn in 0.. {
            if request_on(&mut stream).await.is_empty() {
                return;
            }
            stream.write_all(if turn % 2 == 0 { ANSWER } else { chunked }).await.unwrap();
        }
    })
    .await;
    let transport = upstream.transport();
    for _ in 0..10 {
        transport.answers().await;
    }
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn a_connection_that_was_unused_for_too_long_is_not_used_again() {
    let upstream = Upstream::answering().await;
    let transport =
        upstream.transport_with(TIMEOUTS, ConnectionSettings { idle_timeout: Duration::ZERO, ..CONNECTIONS });
    for connections in 1..4 {
        transport.answers().await;
        assert_eq!(upstream.connections(), connections);
    }
}

#[tokio::test]
async fn the_connection_used_last_is_taken_first_and_those_that_are_too_old_or_too_many_go() {
    let upstream = Upstream::answering().await;
    let transport = upstream.transport();
    let pool = Pool::new(2, Duration::from_secs(10));
    let connect = || async { transport.connector.connect().await.unwrap() };
    let began = Instant::now();
    let at = |second| began + Duration::from_secs(second);
    for second in 0..3 {
        pool.put(connect().await, at(second));
    }
    assert_eq!(pool.len(), 2, "the first was too many");
    assert!(pool.take(at(11)).is_some(), "the third is 9 seconds old");
    assert!(pool.take(at(11)).is_none(), "the second is 10");
    pool.put(connect().await, at(20));
    pool.put(connect().await, at(30));
    assert_eq!(pool.len(), 1, "the one before was too old");
}

#[tokio::test]
async fn a_connection_that_its_server_closed_while_it_was_idle_is_replaced_without_a_failure() {
    let (sender, mut closed) = mpsc::unbounded_channel();
    let upstream = Upstream::start(move |mut stream, number| {
        let sender = sender.clone();
        async move {
            if number > 0 {
                return answer_all(stream).await;
            }
            request_on(&mut stream).await;
            stream.write_all(ANSWER).await.unwrap();
            stream.shutdown().await.unwrap();
            until_end(&mut stream).await;
            sender.send(()).unwrap();
        }
    })
    .await;
    let transport = upstream.transport();
    transport.answers().await;
    closed.recv().await.unwrap();
    transport.answers().await;
    assert_eq!(upstream.connections(), 2);
}

#[tokio::test]
async fn an_answer_that_ends_its_connection_is_followed_by_a_new_one() {
    let last_ones = [
        &b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}"[..],
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\n{}",
        // More than one answer: whatever follows is no answer to the next request.
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
    ];
    for last in last_ones {
        let upstream = Upstream::saying(last).await;
        let transport = upstream.transport();
        for connections in 1..4 {
            transport.answers().await;
            assert_eq!(upstream.connections(), connections);
        }
    }
    let upstream = Upstream::start(|mut stream, _| async move {
        request_on(&mut stream).await;
        // Its end is where the connection ends.
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n{}").await.unwrap();
    })
    .await;
    let transport = upstream.transport();
    transport.answers().await;
    transport.answers().await;
    assert_eq!(upstream.connections(), 2);
}

#[tokio::test]
async fn where_nobody_listens_nothing_is_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    drop(listener);
    let transport =
        Transport::new(Endpoint::new(&url, None).unwrap(), None, TIMEOUTS, CONNECTIONS, "111122223333/eu-west-1");
    let failure = transport.fails().await;
    assert_eq!(failure.kind(), FailureKind::NotSent);
    assert!(failure.detail().contains("refused") && failure.detail().contains("127.0.0.1"), "{failure}");
    assert!(!failure.was_written() && !failure.timed_out());
}

#[tokio::test]
async fn a_host_without_an_address_is_told() {
    let authority = Authority::new();
    let transport = authority.transport("https://kms.invalid", &ProxySettings::none(), TIMEOUTS);
    let failure = transport.fails().await;
    assert!(!failure.was_written());
    assert!(failure.detail().contains("kms.invalid"), "{failure}");
}

/// One that answers each request once it is told to, and says when it has one.
async fn waiting(go_on: &Arc<Notify>) -> (Upstream, mpsc::UnboundedReceiver<()>) {
    let (sender, arrived) = mpsc::unbounded_channel();
    let go_on = Arc::clone(go_on);
    let upstream = Upstream::start(move |mut stream, _| {
        let (sender, go_on) = (sender.clone(), Arc::clone(&go_on));
        async move {
            while !request_on(&mut stream).await.is_empty() {
                let _ = sender.send(());
                go_on.notified().await;
                stream.write_all(ANSWER).await.unwrap();
            }
        }
    })
    .await;
    (upstream, arrived)
}

#[tokio::test]
async fn there_are_no_more_connections_than_allowed_and_one_more_request_waits_for_its_turn() {
    let go_on = Arc::new(Notify::new());
    let (upstream, mut arrived) = waiting(&go_on).await;
    let transport = upstream.transport_with(TIMEOUTS, ConnectionSettings { most: 2, ..CONNECTIONS });
    let release = async {
        for _ in 0..5 {
            arrived.recv().await.unwrap();
            go_on.notify_one();
        }
    };
    join(join_all((0..5).map(|_| transport.answers())), release).await;
    assert_eq!(upstream.connections(), 2);
}

#[tokio::test]
async fn a_request_whose_turn_does_not_come_in_time_is_not_sent() {
    let go_on = Arc::new(Notify::new());
    let (upstream, mut arrived) = waiting(&go_on).await;
    let transport = upstream.transport_with(TIMEOUTS, ConnectionSettings { most: 1, ..CONNECTIONS });
    let second = async {
        arrived.recv().await.unwrap();
        let failure = transport.send(request(), &within(SHORT), |_| ()).await.unwrap_err();
        go_on.notify_one();
        failure
    };
    let ((), failure) = join(transport.answers(), second).await;
    assert_eq!(failure.kind(), FailureKind::AllInUse);
    assert!(failure.detail().contains("all 1 connections"), "{failure}");
}

#[tokio::test]
async fn connections_are_made_before_anybody_asks_and_then_used() {
    let go_on = Arc::new(Notify::new());
    let (upstream, mut arrived) = waiting(&go_on).await;
    let transport = upstream.transport();
    transport.warm(3).await;
    transport.warm(3).await;
    assert_eq!(transport.idle.len(), 3);
    let release = async {
        for _ in 0..3 {
            arrived.recv().await.unwrap();
        }
        // All three are on their way at once.
        go_on.notify_waiters();
    };
    join(join_all((0..3).map(|_| transport.answers())), release).await;
    assert_eq!(upstream.connections(), 3);
}

#[tokio::test]
async fn no_more_connections_are_made_in_advance_than_are_kept_or_allowed() {
    let upstream = Upstream::answering().await;
    for (most, most_idle, made) in [(16, 2, 2), (3, 16, 3)] {
        let transport = upstream.transport_with(TIMEOUTS, ConnectionSettings { most_idle, most, ..CONNECTIONS });
        transport.warm(10).await;
        assert_eq!(transport.idle.len(), made);
        transport.warm(10).await;
        assert_eq!(transport.idle.len(), made);
    }
}

#[tokio::test]
async fn a_request_that_is_given_up_takes_its_connection_with_it() {
    let (sender, mut events) = mpsc::unbounded_channel();
    let upstream = Upstream::start(move |mut stream, number| {
        let sender = sender.clone();
        async move {
            if number > 0 {
                return answer_all(stream).await;
            }
            request_on(&mut stream).await;
            sender.send("arrived").unwrap();
            until_end(&mut stream).await;
            sender.send("closed").unwrap();
        }
    })
    .await;
    let transport = upstream.transport();
    tokio::select! {
        answer = transport.ask() => panic!("{answer:?}"),
        event = events.recv() => assert_eq!(event, Some("arrived")),
    }
    assert_eq!(events.recv().await, Some("closed"));
    assert_eq!(transport.idle.len(), 0);
    transport.answers().await;
    assert_eq!(upstream.connections(), 2);
}

#[test]
fn a_request_on_its_way_can_be_held_by_any_task_and_is_small() {
    fn sendable<T: Send>(future: &T) -> usize {
        size_of_val(future)
    }
    fn check(transport: &Transport) -> usize {
        sendable(&transport.send(request(), &within(SHORT), |_| ()))
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let upstream = runtime.block_on(Upstream::answering());
    // It is a part of the future of every request that is forwarded.
    let bytes = check(&upstream.transport());
    assert!(bytes < 2048, "{bytes}");
}
