//! TLS: both versions, the post-quantum key exchange, and what the audit record says of it.

use std::sync::Arc;

use aws_sdk_kms::Client;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use serde_json::{Value, json};

use super::config;
use crate::harness::{Caller, Connection, Gateway, Site};

/// A gateway with a certificate for `localhost`, made for it.
fn with_tls(site: Site) -> (Gateway, rcgen::Certificate) {
    let site = site.set("listen.tls.certificate_file", "'tls.crt'").set("listen.tls.key_file", "'tls.key'");
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    site.write_private("tls.crt", &made.cert.pem());
    site.write_private("tls.key", &made.signing_key.serialize_pem());
    (site.start(), made.cert)
}

fn raw(certificate: &rcgen::Certificate, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    trusting(certificate, default_provider(), versions)
}

fn trusting(
    certificate: &rcgen::Certificate,
    provider: CryptoProvider,
    versions: &[&'static SupportedProtocolVersion],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.der().clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(provider));
    builder.with_protocol_versions(versions).unwrap().with_root_certificates(roots).with_no_client_auth()
}

fn host(gateway: &Gateway) -> String {
    format!("localhost:{}", gateway.address.port())
}

fn random(gateway: &Gateway, caller: &Caller) -> crate::harness::Request {
    caller.request(&host(gateway), "GenerateRandom", &json!({"NumberOfBytes": 8}))
}

#[tokio::test]
async fn the_sdk_agrees_on_tls_1_3_with_a_post_quantum_key_exchange() {
    let (gateway, certificate) = with_tls(Site::new());
    let trust = TrustStore::empty().with_pem_certificate(certificate.pem());
    let context = TlsContext::builder().with_trust_store(trust).build().unwrap();
    let http = Builder::new().tls_provider(Provider::rustls(CryptoMode::AwsLc)).tls_context(context).build_https();
    let config = config(&gateway.site.admin, &format!("https://{}", host(&gateway))).http_client(http);
    let kms = Client::from_conf(config.build());
    let key = kms.create_key().send().await.unwrap().key_metadata.unwrap();
    let made = kms.generate_data_key_without_plaintext().key_id(key.key_id()).number_of_bytes(32).send().await.unwrap();
    let opened = kms.decrypt().ciphertext_blob(made.ciphertext_blob.unwrap()).send().await.unwrap();
    assert_eq!(opened.plaintext().unwrap().as_ref().len(), 32);
    for record in gateway.records() {
        let details = &record["tlsDetails"];
        assert_eq!((&details["tlsVersion"], &details["keyExchange"]), (&json!("TLSv1.3"), &json!("X25519MLKEM768")));
        assert_eq!(details["clientProvidedHostHeader"], host(&gateway));
        assert!(details["cipherSuite"].as_str().unwrap().starts_with("TLS_A"), "{details}");
    }
    assert_eq!(gateway.records().len(), 3);
}

#[test]
fn tls_1_2_and_a_classic_key_exchange_are_served_and_recorded() {
    let (gateway, certificate) = with_tls(Site::new());
    let x25519 = CryptoProvider { kx_groups: vec![kx_group::X25519], ..default_provider() };
    for (config, version, exchange) in [
        (raw(&certificate, &[&TLS12]), "TLSv1.2", None),
        (trusting(&certificate, x25519, &[&TLS13]), "TLSv1.3", Some("X25519")),
        (raw(&certificate, &[&TLS13]), "TLSv1.3", Some("X25519MLKEM768")),
    ] {
        let mut connection = Connection::tls(gateway.address, Arc::new(config));
        for _ in 0..2 {
            let answer = connection.exchange(&random(&gateway, &gateway.site.admin));
            answer.granted();
            let details = gateway.record(&answer)["tlsDetails"].clone();
            assert_eq!(details["tlsVersion"], version);
            if let Some(exchange) = exchange {
                assert_eq!(details["keyExchange"], exchange);
            }
        }
    }
}

#[test]
fn only_tls_is_secure_transport() {
    let policy = json!({"Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "true"}}
    }});
    let mut site = Site::new();
    let secure = site.user("secure", &policy.to_string());
    let (gateway, certificate) = with_tls(site);
    let mut connection = Connection::tls(gateway.address, Arc::new(raw(&certificate, &[&TLS13])));
    connection.exchange(&random(&gateway, &secure)).granted();
    let mut site = Site::new();
    let secure = site.user("secure", &policy.to_string());
    let gateway = site.start();
    let answer = gateway.connect().exchange(&random(&gateway, &secure));
    assert_eq!(answer.refused().code, "AccessDeniedException");
    assert_eq!(gateway.record(&answer)["tlsDetails"], Value::Null);
}

#[test]
fn what_is_not_tls_is_closed_without_a_record() {
    let (gateway, certificate) = with_tls(Site::new());
    let mut plain = gateway.connect();
    plain.send(&random(&gateway, &gateway.site.admin).bytes());
    // TLS's alert is no answer of HTTP.
    assert!(plain.rest().len() < 16);
    // A client of another protocol is told so in the handshake.
    let mut http_2 = raw(&certificate, &[&TLS13]);
    http_2.alpn_protocols = vec![b"h2".to_vec()];
    let mut connection = Connection::tls(gateway.address, Arc::new(http_2));
    assert!(connection.try_send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").is_err());
    assert_eq!(gateway.records(), Vec::<Value>::new());
    let mut http_1 = raw(&certificate, &[&TLS13]);
    http_1.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let mut connection = Connection::tls(gateway.address, Arc::new(http_1));
    connection.exchange(&random(&gateway, &gateway.site.admin)).granted();
}

#[test]
fn a_connection_over_tls_is_held_to_the_same_bounds() {
    let (gateway, certificate) = with_tls(Site::new().set("server.head_read_timeout_ms", 300));
    let config = Arc::new(raw(&certificate, &[&TLS13]));
    let mut slow = Connection::tls(gateway.address, Arc::clone(&config));
    slow.exchange(&random(&gateway, &gateway.site.admin)).granted();
    slow.send(b"POST / HTTP/1.1\r\nHost: ");
    slow.closed();
    let mut whole = Connection::tls(gateway.address, config);
    let request = random(&gateway, &gateway.site.admin);
    whole.begin(&request);
    whole.send(&request.body);
    whole.answer().granted();
}
