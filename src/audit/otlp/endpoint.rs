//! Where the collector is, and by what it proves that it is there.

use std::path::Path;
use std::sync::Arc;

use http::Uri;
use http::header::HeaderValue;
use http::uri::{PathAndQuery, Scheme};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use super::InvalidSettings;
use crate::client_tls::{self, bare, is_loopback};

/// The path of logs where a URL has none (OTLP specification, "OTLP/HTTP Request").
const PATH: &str = "/v1/logs";

/// A collector's address.
pub(super) struct Endpoint {
    /// Scheme, host and port; what is connected to.
    pub(super) url: Uri,
    pub(super) host_header: HeaderValue,
    pub(super) path: PathAndQuery,
    /// TLS, with a certificate for this name; `None`: without.
    pub(super) tls: Option<(ServerName<'static>, Arc<ClientConfig>)>,
}

impl Endpoint {
    /// Reads files, so it is for the program's start.
    pub(super) fn new(url: &Uri, ca_file: Option<&Path>, danger_plaintext: bool) -> Result<Self, InvalidSettings> {
        let (default_port, scheme) = match url.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => (443, Scheme::HTTPS),
            Some(scheme) if *scheme == Scheme::HTTP => (80, Scheme::HTTP),
            _ => return Err(InvalidSettings::Scheme),
        };
        let (host, port) = host_and_port(url)?;
        let tls = if scheme == Scheme::HTTPS {
            let name = ServerName::try_from(bare(&host).to_owned()).map_err(|_| InvalidSettings::Authority)?;
            Some((name, client_tls::client_config(ca_file)?))
        } else if is_loopback(&host) {
            None
        } else if danger_plaintext {
            tracing::warn!(host, "audit records go to their collector by plain http: anybody on the way can read them");
            None
        } else {
            return Err(InvalidSettings::Plaintext(host.into()));
        };
        let port = port.unwrap_or(default_port);
        // A client names the port where it is not the scheme's own (RFC 9110 section 7.2).
        let named = if port == default_port { host.clone() } else { format!("{host}:{port}") };
        let host_header = HeaderValue::try_from(named).map_err(|_| InvalidSettings::Authority)?;
        let path = url.path_and_query().filter(|path| path.as_str() != "/").cloned();
        let path = path.unwrap_or_else(|| PathAndQuery::from_static(PATH));
        let url = Uri::builder().scheme(scheme).authority(format!("{host}:{port}")).path_and_query("/").build();
        Ok(Self { url: url.map_err(|_| InvalidSettings::Authority)?, host_header, path, tls })
    }

    /// Host and port, for who reads an error.
    pub(super) fn authority(&self) -> &str {
        self.url.authority().map_or("", |authority| authority.as_str())
    }
}

/// In lower case; an IPv6 address in its brackets.
fn host_and_port(url: &Uri) -> Result<(String, Option<u16>), InvalidSettings> {
    let authority = url.authority().ok_or(InvalidSettings::Authority)?;
    if authority.as_str().contains('@') {
        return Err(InvalidSettings::UserInfo);
    }
    let (host, port) = (authority.host(), authority.port_u16());
    // `Uri` takes any digits for a port, and then has none.
    if host.is_empty() || port == Some(0) || (port.is_none() && authority.as_str() != host) {
        return Err(InvalidSettings::Authority);
    }
    Ok((host.to_ascii_lowercase(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(url: &str) -> Result<Endpoint, InvalidSettings> {
        let made = rcgen::generate_simple_self_signed(["collector.test".to_owned()]).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), made.cert.pem()).unwrap();
        Endpoint::new(&url.parse().unwrap(), Some(file.path()), false)
    }

    #[test]
    fn the_path_is_as_given_and_that_of_logs_where_there_is_none() {
        for (url, authority, host, path) in [
            ("http://127.0.0.1:4318", "127.0.0.1:4318", "127.0.0.1:4318", "/v1/logs"),
            ("http://localhost/", "localhost:80", "localhost", "/v1/logs"),
            ("https://Collector.test", "collector.test:443", "collector.test", "/v1/logs"),
            ("https://collector.test:443/otlp/", "collector.test:443", "collector.test", "/otlp/"),
            (
                "https://collector.test/otlp/v1/logs?to=us",
                "collector.test:443",
                "collector.test",
                "/otlp/v1/logs?to=us",
            ),
            ("http://[::1]:4318/v1/logs", "[::1]:4318", "[::1]:4318", "/v1/logs"),
        ] {
            let endpoint = endpoint(url).unwrap();
            assert_eq!(endpoint.authority(), authority);
            assert_eq!((endpoint.host_header.to_str().unwrap(), endpoint.path.as_str()), (host, path));
            assert_eq!(endpoint.tls.is_some(), url.starts_with("https"));
        }
    }

    #[test]
    fn plain_http_is_for_the_machine_itself_unless_its_danger_is_named() {
        for url in ["http://collector.test:4318", "http://192.0.2.1", "http://localhost.collector.test"] {
            assert!(matches!(endpoint(url), Err(InvalidSettings::Plaintext(_))), "{url}");
            assert!(Endpoint::new(&url.parse().unwrap(), None, true).unwrap().tls.is_none());
        }
    }

    #[test]
    fn what_is_no_endpoint_is_refused() {
        for url in ["collector.test", "/v1/logs", "ftp://collector.test", "https://u:p@collector.test"]
            .into_iter()
            .chain(["https://collector.test:0", "https://collector.test:65536", "https://collector.test:"])
        {
            assert!(endpoint(url).is_err(), "{url}");
        }
    }
}
