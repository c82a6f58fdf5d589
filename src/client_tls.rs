//! TLS as this gateway speaks it to others, upstreams and collectors: 1.2 or 1.3, a certificate that is checked,
//! HTTP/1.1 above it.
//!
//! The key exchange that it asks for first is X25519MLKEM768, which what is recorded today does not give away to the
//! computers of later: rustls has it first with its feature `prefer-post-quantum`, and a test of `backend::aws` holds it to that.

use std::fs::File;
use std::io::{self, Read};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore};

/// Twenty times what the usual bundle of all public authorities has.
const CA_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// There is no authority that a certificate could be of.
#[derive(Debug, thiserror::Error)]
pub enum InvalidAuthorities {
    /// The file is not there, or not for this user.
    #[error("`{0}` cannot be read: {1}")]
    Unread(Box<str>, #[source] io::Error),
    /// The file is no bundle of certificates, however many.
    #[error("`{0}` is larger than {CA_FILE_BYTES} bytes")]
    TooLarge(Box<str>),
    /// A block of the file has a beginning and nothing sensible behind it.
    #[error("`{0}` is no PEM: {1}")]
    NoPem(Box<str>, #[source] pem::Error),
    /// A block of the file cannot be a trust anchor.
    #[error("`{0}` holds what is no certificate: {1}")]
    NoCertificate(Box<str>, #[source] rustls::Error),
    /// The file has no block of a certificate.
    #[error("`{0}` holds no certificate")]
    Empty(Box<str>),
    /// The system trusts nobody, or nobody whose certificate can be read.
    #[error("the system has no certificate authorities: {0}")]
    NoneOfTheSystem(String),
    /// rustls has no use for what it was given.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

/// Trusts the authorities in the PEM file `ca_file` alone, without one those that the system trusts.
///
/// Where the system has them, `rustls-native-certs` knows; it goes by `SSL_CERT_FILE` and `SSL_CERT_DIR` too, as OpenSSL
/// does.
pub(crate) fn client_config(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, InvalidAuthorities> {
    let roots = match ca_file {
        Some(file) => of_file(file)?,
        None => of_the_system()?,
    };
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Whoever names a file means every certificate in it.
fn of_file(file: &Path) -> Result<RootCertStore, InvalidAuthorities> {
    let name = || file.display().to_string().into_boxed_str();
    let mut text = Vec::new();
    let read = File::open(file).and_then(|file| file.take(CA_FILE_BYTES + 1).read_to_end(&mut text));
    if read.map_err(|error| InvalidAuthorities::Unread(name(), error))? as u64 > CA_FILE_BYTES {
        return Err(InvalidAuthorities::TooLarge(name()));
    }
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let certificate = certificate.map_err(|error| InvalidAuthorities::NoPem(name(), error))?;
        roots.add(certificate).map_err(|error| InvalidAuthorities::NoCertificate(name(), error))?;
    }
    if roots.is_empty() { Err(InvalidAuthorities::Empty(name())) } else { Ok(roots) }
}

/// A system's bundle may hold what rustls cannot read; the rest of it is as good as ever.
fn of_the_system() -> Result<RootCertStore, InvalidAuthorities> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (_, unreadable) = roots.add_parsable_certificates(found.certs);
    if !roots.is_empty() {
        return Ok(roots);
    }
    let faults: Vec<_> = found.errors.iter().map(ToString::to_string).collect();
    Err(InvalidAuthorities::NoneOfTheSystem(format!("{unreadable} cannot be read; {}", faults.join("; "))))
}

/// Whether the host of a URL is this machine.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    host == "localhost" || bare(host).parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// The host of a URL without the brackets that an IPv6 address has there.
#[must_use]
pub fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(content: &[u8]) -> InvalidAuthorities {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        client_config(Some(file.path())).unwrap_err()
    }

    #[test]
    fn a_file_without_a_usable_certificate_is_refused_by_what_is_wrong_with_it() {
        assert!(matches!(refused(b"no PEM at all"), InvalidAuthorities::Empty(_)));
        assert!(matches!(refused(b"-----BEGIN CERTIFICATE-----\n!\n"), InvalidAuthorities::NoPem(..)));
        let no_certificate = b"-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
        assert!(matches!(refused(no_certificate), InvalidAuthorities::NoCertificate(..)));
        assert!(matches!(refused(&vec![b'\n'; 4 * 1024 * 1024 + 1]), InvalidAuthorities::TooLarge(_)));
        assert!(matches!(client_config(Some(Path::new("/nowhere/ca.pem"))), Err(InvalidAuthorities::Unread(..))));
    }
}
