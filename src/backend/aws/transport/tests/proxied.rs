//! Through a proxy, and past it.

use std::net::SocketAddr;

use tokio::io::{AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::secured::secured;
use super::*;

/// A proxy that leads to `upstream` whatever it is asked for; and what it is asked.
async fn proxy(upstream: SocketAddr) -> (Upstream, mpsc::UnboundedReceiver<String>) {
    let (sender, asked) = mpsc::unbounded_channel();
    let proxy = Upstream::start(move |mut stream, _| {
        let sender = sender.clone();
        async move {
            let _ = sender.send(String::from_utf8(request_on(&mut stream).await).unwrap());
            stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
            let mut onward = TcpStream::connect(upstream).await.unwrap();
            let _ = copy_bidirectional(&mut stream, &mut onward).await;
        }
    })
    .await;
    (proxy, asked)
}

#[tokio::test]
async fn a_request_goes_through_the_proxy_which_sees_neither_it_nor_a_name_to_resolve_ourselves() {
    let authority = Authority::new();
    let (upstream, mut seen) = secured(authority.server("kms.test")).await;
    let (proxy, mut asked) = proxy(upstream.address).await;
    let proxies = ProxySettings::with(&format!("http://user:password@{}", proxy.address), "");
    // No name server knows it: the proxy alone is told.
    let transport = authority.transport("https://kms.test:8443", &proxies, TIMEOUTS);
    transport.answers().await;
    transport.answers().await;
    assert_eq!((proxy.connections(), upstream.connections()), (1, 1));

    let asked = asked.recv().await.unwrap();
    assert!(asked.starts_with("CONNECT kms.test:8443 HTTP/1.1\r\nHost: kms.test:8443\r\n"), "{asked}");
    // "user:password" in base64 (RFC 7617).
    assert!(asked.contains("\r\nProxy-Authorization: Basic dXNlcjpwYXNzd29yZA==\r\n"), "{asked}");
    let (_, _, name, protocol) = seen.recv().await.unwrap();
    assert_eq!((name.as_deref(), protocol), (Some("kms.test"), None));
}

#[tokio::test]
async fn an_upstream_on_this_machine_is_called_directly() {
    let authority = Authority::new();
    let (upstream, _seen) = secured(authority.server("127.0.0.1")).await;
    let (proxy, _asked) = proxy(upstream.address).await;
    let url = format!("https://{}", upstream.address);
    let proxies = ProxySettings::with(&format!("http://{}", proxy.address), "");
    authority.transport(&url, &proxies, TIMEOUTS).answers().await;
    assert_eq!((proxy.connections(), upstream.connections()), (0, 1));
}

#[tokio::test]
async fn a_proxy_that_refuses_or_is_none_leaves_the_request_unsent() {
    let authority = Authority::new();
    let answers = [
        "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n".to_owned(),
        "HTTP/1.1 403 Forbidden\r\n\r\n".to_owned(),
        "SSH-2.0-OpenSSH_9.6\r\n".to_owned(),
        format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(10_000)),
    ];
    for answer in answers {
        let proxy = Upstream::saying(answer).await;
        let proxies = ProxySettings::with(&format!("http://user:password@{}", proxy.address), "");
        let failure = authority.transport("https://kms.test", &proxies, TIMEOUTS).fails().await;
        assert_eq!(failure.kind(), FailureKind::NotSent, "{failure}");
        let way = format!("kms.test:443 through the proxy {}", proxy.address);
        assert!(failure.detail().contains(&way) && failure.detail().contains("tunnel"), "{failure}");
        assert!(!failure.detail().contains("password"));
    }
}

#[tokio::test]
async fn a_proxy_that_says_nothing_is_given_up_at_the_connect_time() {
    let proxy = Upstream::saying("").await;
    let proxies = ProxySettings::with(&format!("http://{}", proxy.address), "");
    let timeouts = Timeouts { connect: SHORT, ..TIMEOUTS };
    let failure = Authority::new().transport("https://kms.test", &proxies, timeouts).fails().await;
    assert_eq!(failure.kind(), FailureKind::ConnectTimeout);
}
