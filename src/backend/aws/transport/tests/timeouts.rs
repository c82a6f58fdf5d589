//! What does not come in time. What must come does so however slow the machine is: its limit is minutes.

use tokio::io::AsyncWriteExt;

use super::*;

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up_at_the_first_byte_s_time() {
    let upstream = Upstream::saying("").await;
    let transport = upstream.transport_with(Timeouts { first_byte: SHORT, ..TIMEOUTS }, CONNECTIONS);
    let failure = transport.fails().await;
    assert_eq!(failure.kind(), FailureKind::FirstByteTimeout);
    assert!(failure.was_written() && failure.timed_out());
}

#[tokio::test]
async fn idle_connections_that_died_in_silence_cost_one_request_its_time_and_no_other() {
    // Answers the first request of each connection, and no other.
    let upstream = Upstream::saying(ANSWER).await;
    let mut transport = upstream.transport();
    join_all((0..3).map(|_| transport.answers())).await;
    assert_eq!(transport.idle.len(), 3);
    transport.timeouts.first_byte = SHORT;
    assert_eq!(transport.fails().await.kind(), FailureKind::FirstByteTimeout);
    transport.timeouts.first_byte = LONG;
    transport.answers().await;
    assert_eq!(upstream.connections(), 4);
}

#[tokio::test]
async fn a_server_that_says_without_end_that_it_will_answer_is_given_up_too() {
    let upstream = Upstream::start(|mut stream, _| async move {
        request_on(&mut stream).await;
        while stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.is_ok() {}
    })
    .await;
    let transport = upstream.transport_with(Timeouts { first_byte: SHORT, ..TIMEOUTS }, CONNECTIONS);
    assert_eq!(transport.fails().await.kind(), FailureKind::FirstByteTimeout);
}

#[tokio::test]
async fn half_an_answer_is_given_up_at_the_call_s_deadline() {
    for half in ["HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{"] {
        let upstream = Upstream::saying(half).await;
        let transport = upstream.transport();
        // So that there is no connection to be made within the deadline.
        transport.warm(1).await;
        let failure = transport.send(request(), &within(SHORT), |_| ()).await.unwrap_err();
        assert_eq!(failure.kind(), FailureKind::CallTimeout);
        assert!(failure.was_written() && failure.timed_out());
        assert_eq!(transport.idle.len(), 0, "its rest would be taken for another's answer");
    }
}

#[tokio::test]
async fn a_server_that_takes_connections_and_no_part_in_tls_is_given_up_at_the_connect_time() {
    let upstream = Upstream::start(|mut stream, _| async move { until_end(&mut stream).await }).await;
    let url = format!("https://{}", upstream.address);
    let timeouts = Timeouts { connect: SHORT, ..TIMEOUTS };
    let transport = Authority::new().transport(&url, &ProxySettings::none(), timeouts);
    let failure = transport.fails().await;
    assert_eq!(failure.kind(), FailureKind::ConnectTimeout);
    assert!(!failure.was_written() && failure.timed_out());
    assert!(failure.detail().contains(&upstream.address.to_string()), "{failure}");
}

#[tokio::test]
async fn a_connection_is_not_waited_for_beyond_the_call_s_deadline() {
    let upstream = Upstream::start(|mut stream, _| async move { until_end(&mut stream).await }).await;
    let url = format!("https://{}", upstream.address);
    let transport = Authority::new().transport(&url, &ProxySettings::none(), TIMEOUTS);
    let failure = transport.send(request(), &within(SHORT), |_| ()).await.unwrap_err();
    assert_eq!(failure.kind(), FailureKind::ConnectTimeout);
}
