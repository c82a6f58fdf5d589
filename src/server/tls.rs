//! What a connection's TLS agreed on.

use rustls::ServerConnection;

use crate::audit::TlsDetails;

/// What a connection agreed on, for the audit record.
pub(super) fn details(connection: &ServerConnection) -> TlsDetails {
    TlsDetails {
        version: match connection.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3",
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
            _ => "unknown",
        },
        cipher_suite: connection
            .negotiated_cipher_suite()
            .and_then(|suite| suite.suite().as_str())
            .map_or("unknown", |name| name.strip_prefix("TLS13_").map_or(name, tls13_name)),
        key_exchange: connection.negotiated_key_exchange_group().and_then(|group| group.name().as_str()),
    }
}

/// rustls writes `TLS13_AES_128_GCM_SHA256` where IANA, and so CloudTrail, has `TLS_AES_128_GCM_SHA256`.
fn tls13_name(suffix: &'static str) -> &'static str {
    match suffix {
        "AES_256_GCM_SHA384" => "TLS_AES_256_GCM_SHA384",
        "AES_128_GCM_SHA256" => "TLS_AES_128_GCM_SHA256",
        "CHACHA20_POLY1305_SHA256" => "TLS_CHACHA20_POLY1305_SHA256",
        other => other,
    }
}
