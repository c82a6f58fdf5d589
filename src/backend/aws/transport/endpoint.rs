//! Where an upstream is, and by what it proves that it is there.

use std::path::Path;
use std::sync::Arc;

use http::Uri;
use http::header::HeaderValue;
use http::uri::Scheme;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use crate::client_tls::{self, InvalidAuthorities, bare, is_loopback};

/// An upstream's address. Cheap to clone; every clone shares one memory of TLS sessions.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    /// Scheme, host and port, with the path `/`.
    url: Uri,
    host_header: HeaderValue,
    security: Security,
}

/// What a connection to an upstream is made of, above TCP.
#[derive(Clone, Debug)]
pub(super) enum Security {
    /// Nothing: it is on this machine.
    Loopback,
    /// TLS, with a certificate for this name.
    Tls(ServerName<'static>, Arc<ClientConfig>),
}

/// An address that requests cannot be sent to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidEndpoint {
    #[error("its scheme must be https, or http to the machine itself")]
    Scheme,
    #[error("plain http is for the machine itself: `{0}` is another, or may be")]
    Plaintext(Box<str>),
    #[error("it must have a host and, if any, a port from 1 to 65535")]
    Authority,
    #[error("it must not hold a user or a password")]
    UserInfo,
    #[error("it must not have a path or a query: KMS is at `/`")]
    Path,
    #[error(transparent)]
    Authorities(#[from] InvalidAuthorities),
}

impl Endpoint {
    /// The endpoint at `url`, which is `https://HOST[:PORT]`, or `http://` with `localhost` or a loopback address. Its
    /// certificate must be of an authority in the PEM file `ca_file`, without one of an authority that the system trusts;
    /// for `http` no file is read.
    ///
    /// Reads files, so it is for the program's start.
    ///
    /// # Errors
    ///
    /// When `url` is anything else, or there are no authorities to be had.
    pub(crate) fn new(url: &Uri, ca_file: Option<&Path>) -> Result<Self, InvalidEndpoint> {
        let default_port = match url.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => 443,
            Some(scheme) if *scheme == Scheme::HTTP => 80,
            _ => return Err(InvalidEndpoint::Scheme),
        };
        let (host, port) = host_and_port(url)?;
        let security = match default_port {
            443 => {
                let name = ServerName::try_from(bare(&host).to_owned()).map_err(|_| InvalidEndpoint::Authority)?;
                Security::Tls(name, client_tls::client_config(ca_file)?)
            }
            _ if is_loopback(&host) => Security::Loopback,
            _ => return Err(InvalidEndpoint::Plaintext(host.into())),
        };
        // A client names the port where it is not the scheme's own (RFC 9110 section 7.2); what is signed is what is sent.
        let port = port.unwrap_or(default_port);
        let named = if port == default_port { host.clone() } else { format!("{host}:{port}") };
        let host_header = HeaderValue::try_from(named).map_err(|_| InvalidEndpoint::Authority)?;
        let scheme = url.scheme().cloned().unwrap_or(Scheme::HTTPS);
        let url = Uri::builder().scheme(scheme).authority(format!("{host}:{port}")).path_and_query("/").build();
        Ok(Self { url: url.map_err(|_| InvalidEndpoint::Authority)?, host_header, security })
    }

    /// The value of the `Host` header, which every request must have.
    pub(crate) fn host_header(&self) -> &HeaderValue {
        &self.host_header
    }

    /// Scheme, host and port, always with the port.
    pub(super) fn url(&self) -> &Uri {
        &self.url
    }

    /// Whether it is on this machine, whatever is above TCP.
    pub(super) fn is_loopback(&self) -> bool {
        self.url.host().is_some_and(is_loopback)
    }

    /// What is above TCP.
    pub(super) fn security(&self) -> &Security {
        &self.security
    }
}

/// In lower case; an IPv6 address in its brackets.
fn host_and_port(url: &Uri) -> Result<(String, Option<u16>), InvalidEndpoint> {
    let authority = url.authority().ok_or(InvalidEndpoint::Authority)?;
    if authority.as_str().contains('@') {
        return Err(InvalidEndpoint::UserInfo);
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() {
        return Err(InvalidEndpoint::Path);
    }
    let (host, port) = (authority.host(), authority.port_u16());
    // `Uri` takes any digits for a port, and then has none.
    if host.is_empty() || port == Some(0) || (port.is_none() && authority.as_str() != host) {
        return Err(InvalidEndpoint::Authority);
    }
    Ok((host.to_ascii_lowercase(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(url: &str) -> Result<Endpoint, InvalidEndpoint> {
        let made = rcgen::generate_simple_self_signed(["kms.test".to_owned()]).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), made.cert.pem()).unwrap();
        Endpoint::new(&url.parse().unwrap(), Some(file.path()))
    }

    #[test]
    fn the_host_header_has_the_port_where_it_is_not_the_scheme_s_own() {
        for (url, host, whole) in [
            (
                "https://kms.eu-west-1.amazonaws.com",
                "kms.eu-west-1.amazonaws.com",
                "https://kms.eu-west-1.amazonaws.com:443/",
            ),
            ("https://KMS.test:443/", "kms.test", "https://kms.test:443/"),
            ("https://kms.test:8443", "kms.test:8443", "https://kms.test:8443/"),
            ("https://[2001:db8::1]:444", "[2001:db8::1]:444", "https://[2001:db8::1]:444/"),
            ("http://127.0.0.1:4566", "127.0.0.1:4566", "http://127.0.0.1:4566/"),
            ("http://[::1]", "[::1]", "http://[::1]:80/"),
            ("http://localhost:80", "localhost", "http://localhost:80/"),
        ] {
            let endpoint = endpoint(url).unwrap();
            assert_eq!((endpoint.host_header().to_str().unwrap(), endpoint.url().to_string().as_str()), (host, whole));
        }
    }

    #[test]
    fn plain_http_is_for_the_machine_itself() {
        for url in ["http://kms.test", "http://192.0.2.1", "http://localhost.kms.test", "http://127.0.0.1.kms.test"] {
            assert!(matches!(endpoint(url), Err(InvalidEndpoint::Plaintext(_))), "{url}");
        }
    }

    #[test]
    fn what_is_no_endpoint_is_refused() {
        for url in
            ["kms.test", "/", "ftp://kms.test", "https://u:p@kms.test", "https://kms.test/path", "https://kms.test/?q"]
                .into_iter()
                .chain(["https://kms.test:0", "https://kms.test:65536", "https://kms.test:", "https://-.test"])
        {
            assert!(endpoint(url).is_err(), "{url}");
        }
    }
}
