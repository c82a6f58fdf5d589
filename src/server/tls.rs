//! TLS on the listener: rustls on aws-lc-rs, TLS 1.2 and 1.3, X25519MLKEM768 preferred, HTTP/1.1 alone.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};

use crate::audit::TlsDetails;

/// Loads a certificate chain and its key into a server's configuration.
///
/// # Errors
///
/// [`TlsError`] naming the file that is at fault.
pub fn server_config(certificates: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| TlsError::Unreadable { path, source }
    };
    let chain = CertificateDer::pem_file_iter(certificates)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(unreadable(certificates))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(unreadable(key))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private))
        .map_err(|source| TlsError::Mismatched { path: certificates.to_owned(), source })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

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

/// A certificate or key that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file cannot be read, or holds no PEM of the kind.
    #[error("cannot read `{path}`: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: pem::Error,
    },
    /// Certificate and key do not belong together, or are of a kind that TLS does not take.
    #[error("cannot use the certificate `{path}`: {source}")]
    Mismatched {
        /// The certificate's file.
        path: PathBuf,
        /// What is wrong with it.
        source: rustls::Error,
    },
}
