//! TLS: with whom, and by what.

use rcgen::{CertificateParams, date_time_ymd};
use rustls::ProtocolVersion;
use rustls::version::{TLS12, TLS13};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use super::*;

/// What a server saw of a connection: version, key exchange, name, protocol.
type Seen = (Option<ProtocolVersion>, Option<String>, Option<String>, Option<Vec<u8>>);

pub(super) async fn secured(acceptor: TlsAcceptor) -> (Upstream, mpsc::UnboundedReceiver<Seen>) {
    let (sender, seen) = mpsc::unbounded_channel();
    let upstream = Upstream::start(move |stream, _| {
        let (acceptor, sender) = (acceptor.clone(), sender.clone());
        async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let agreed = stream.get_ref().1;
            let group = agreed.negotiated_key_exchange_group().map(|group| format!("{:?}", group.name()));
            let name = agreed.server_name().map(str::to_owned);
            let protocol = agreed.alpn_protocol().map(<[u8]>::to_vec);
            let _ = sender.send((agreed.protocol_version(), group, name, protocol));
            answer_all(stream).await;
        }
    })
    .await;
    (upstream, seen)
}

fn local() -> CertificateParams {
    CertificateParams::new(["127.0.0.1".to_owned()]).unwrap()
}

fn transport(authority: &Authority, upstream: &Upstream) -> Transport {
    authority.transport(&format!("https://{}", upstream.address), &ProxySettings::none(), TIMEOUTS)
}

#[tokio::test]
async fn both_versions_are_spoken_and_the_key_exchange_outlasts_quantum_computers_where_it_can() {
    let authority = Authority::new();
    for (versions, agreed, group) in [
        (&[&TLS12][..], ProtocolVersion::TLSv1_2, None),
        (&[&TLS13], ProtocolVersion::TLSv1_3, Some("X25519MLKEM768")),
        (&[&TLS12, &TLS13], ProtocolVersion::TLSv1_3, Some("X25519MLKEM768")),
    ] {
        let (upstream, mut seen) = secured(authority.server_with(&local(), versions)).await;
        let transport = transport(&authority, &upstream);
        transport.answers().await;
        transport.answers().await;
        assert_eq!(upstream.connections(), 1);
        let (version, key_exchange, ..) = seen.recv().await.unwrap();
        assert_eq!(version, Some(agreed));
        if let Some(group) = group {
            assert_eq!(key_exchange.as_deref(), Some(group));
        }
    }
}

async fn refused(authority: &Authority, acceptor: TlsAcceptor) -> Failure {
    let (upstream, _seen) = secured(acceptor).await;
    let failure = transport(authority, &upstream).fails().await;
    assert_eq!(failure.kind(), FailureKind::NotSent);
    assert!(!failure.was_written());
    failure
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused() {
    let failure = refused(&Authority::new(), Authority::called("another").server("127.0.0.1")).await;
    assert!(failure.detail().contains("UnknownIssuer"), "{failure}");
    // Or of one that only calls itself the same.
    let failure = refused(&Authority::new(), Authority::new().server("127.0.0.1")).await;
    assert!(failure.detail().contains("BadSignature"), "{failure}");
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let authority = Authority::new();
    let failure = refused(&authority, authority.server("kms.test")).await;
    assert!(failure.detail().contains("not valid for name"), "{failure}");
}

#[tokio::test]
async fn a_certificate_that_has_expired_is_refused() {
    let authority = Authority::new();
    let mut expired = local();
    (expired.not_before, expired.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
    let failure = refused(&authority, authority.server_with(&expired, rustls::ALL_VERSIONS)).await;
    assert!(failure.detail().contains("expired"), "{failure}");
}

#[tokio::test]
async fn a_server_without_tls_is_refused() {
    let upstream = Upstream::start(|mut stream, _| async move {
        stream.write_all(ANSWER).await.unwrap();
        until_end(&mut stream).await;
    })
    .await;
    let failure = transport(&Authority::new(), &upstream).fails().await;
    assert_eq!(failure.kind(), FailureKind::NotSent);
}

#[tokio::test]
async fn an_answer_that_ends_with_its_connection_is_whole_only_if_tls_says_so() {
    let authority = Authority::new();
    for says_so in [true, false] {
        let acceptor = authority.server("127.0.0.1");
        let upstream = Upstream::start(move |stream, _| {
            let acceptor = acceptor.clone();
            async move {
                let mut stream = acceptor.accept(stream).await.unwrap();
                request_on(&mut stream).await;
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n{}").await.unwrap();
                stream.flush().await.unwrap();
                if says_so {
                    stream.shutdown().await.unwrap();
                } else {
                    stream.get_mut().0.shutdown().await.unwrap();
                }
                until_end(&mut stream).await;
            }
        })
        .await;
        let transport = transport(&authority, &upstream);
        if says_so {
            transport.answers().await;
        } else {
            assert_eq!(transport.fails().await.kind(), FailureKind::Broken);
        }
    }
}

#[tokio::test]
async fn a_request_to_a_server_that_resets_it_is_broken_under_tls_too() {
    let authority = Authority::new();
    let acceptor = authority.server("127.0.0.1");
    let upstream = Upstream::start(move |stream, _| {
        let acceptor = acceptor.clone();
        async move {
            let mut stream = acceptor.accept(stream).await.unwrap();
            request_on(&mut stream).await;
            stream.get_mut().0.set_zero_linger().unwrap();
        }
    })
    .await;
    let failure = transport(&authority, &upstream).fails().await;
    assert_eq!(failure.kind(), FailureKind::Broken, "{failure}");
    assert!(failure.was_written());
}
