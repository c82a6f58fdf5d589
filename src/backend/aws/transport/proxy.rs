//! The HTTP proxy that an upstream is reached through, where the environment names one.
//!
//! `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, in upper or lower case, are read as AWS's SDK for Rust reads them, by the
//! same code of hyper-util's. A proxy sees a `CONNECT` to the upstream's host and port, and TLS from there on. An upstream
//! on the machine itself is never asked for through a proxy.

use std::fmt;
use std::sync::Arc;

use http::Uri;
use http::header::HeaderValue;
use http::uri::Scheme;
use hyper_util::client::proxy::matcher::Matcher;

use super::endpoint::Endpoint;

/// What the environment says of proxies.
#[derive(Clone)]
pub(crate) struct ProxySettings(Option<Arc<Matcher>>);

/// A proxy, and by what it knows us.
#[derive(Clone)]
pub(crate) struct Proxy {
    pub(super) url: Uri,
    /// The value of `Proxy-Authorization`; secret.
    pub(super) authorization: Option<HeaderValue>,
}

/// A proxy that is spoken to in a way that is not known here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the proxy `{0}` cannot be used: it must be of the form http://HOST:PORT")]
pub(crate) struct UnusableProxy(Box<str>);

impl ProxySettings {
    #[cfg(test)]
    /// No proxy for anything.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    /// As the environment is now. For whoever starts the program: what is set later is not seen.
    ///
    /// What cannot be read as a URL counts as not set, as it does in the SDKs.
    pub(crate) fn from_env() -> Self {
        Self(Some(Arc::new(Matcher::from_env())))
    }

    /// The proxy for `endpoint`, if it has one.
    ///
    /// # Errors
    ///
    /// When that is a SOCKS proxy, or one that is itself behind TLS.
    pub(crate) fn of(&self, endpoint: &Endpoint) -> Result<Option<Proxy>, UnusableProxy> {
        if endpoint.is_loopback() {
            return Ok(None);
        }
        let Some(found) = self.0.as_ref().and_then(|settings| settings.intercept(endpoint.url())) else {
            return Ok(None);
        };
        if found.uri().scheme() != Some(&Scheme::HTTP) {
            return Err(UnusableProxy(found.uri().to_string().into()));
        }
        Ok(Some(Proxy { url: found.uri().clone(), authorization: found.basic_auth().cloned() }))
    }
}

impl fmt::Debug for ProxySettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProxySettings")
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("url", &self.url).finish_non_exhaustive()
    }
}

#[cfg(test)]
impl ProxySettings {
    /// As if the environment had these.
    pub(super) fn with(https_proxy: &str, no_proxy: &str) -> Self {
        Self(Some(Arc::new(Matcher::builder().https(https_proxy).no(no_proxy).build())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(url: &str) -> Endpoint {
        let made = rcgen::generate_simple_self_signed(["kms.test".to_owned()]).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), made.cert.pem()).unwrap();
        Endpoint::new(&url.parse().unwrap(), Some(file.path())).unwrap()
    }

    #[test]
    fn a_host_that_no_proxy_names_and_the_machine_itself_are_reached_without_one() {
        let settings = ProxySettings::with("http://proxy.test:3128", "vpce.test,192.0.2.0/24");
        let proxied = |url: &str| settings.of(&endpoint(url)).unwrap().map(|proxy| proxy.url.to_string());
        assert_eq!(proxied("https://kms.test").as_deref(), Some("http://proxy.test:3128/"));
        assert_eq!(proxied("https://kms.vpce.test"), None);
        assert_eq!(proxied("https://192.0.2.7"), None);
        for own in ["http://127.0.0.1:4566", "https://127.0.0.1:4566", "https://localhost", "https://[::1]"] {
            assert_eq!(proxied(own), None, "{own}");
        }
        assert!(ProxySettings::none().of(&endpoint("https://kms.test")).unwrap().is_none());
    }

    #[test]
    fn the_environment_names_proxies_and_who_goes_without() {
        const CHILD: &str = "KMSGATE_TEST_PROXIES";
        const TEST: &str = "backend::aws::transport::proxy::tests::the_environment_names_proxies_and_who_goes_without";
        if std::env::var_os(CHILD).is_some() {
            let settings = ProxySettings::from_env();
            let proxied = |url: &str| settings.of(&endpoint(url)).unwrap().map(|proxy| proxy.url.to_string());
            assert_eq!(proxied("https://kms.test").as_deref(), Some("http://proxy.test:3128/"));
            assert_eq!(proxied("https://kms.vpce.test"), None);
            return;
        }
        // An environment of its own, which this process cannot have.
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", TEST])
            .envs([(CHILD, "1"), ("HTTPS_PROXY", "proxy.test:3128"), ("no_proxy", "other.test,vpce.test")])
            .output()
            .unwrap();
        let said = String::from_utf8(status.stdout).unwrap();
        assert!(status.status.success() && said.contains("1 passed"), "{said}");
    }

    #[test]
    fn what_a_proxy_knows_us_by_is_not_shown() {
        let settings = ProxySettings::with("http://user:password@proxy.test:3128", "");
        let proxy = settings.of(&endpoint("https://kms.test")).unwrap().unwrap();
        assert!(proxy.authorization.as_ref().unwrap().to_str().unwrap().starts_with("Basic "));
        let shown = format!("{settings:?} {proxy:?} {:?}", proxy.authorization);
        for secret in ["password", "user:", "Basic"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }

    #[test]
    fn a_proxy_of_another_kind_is_refused_and_not_passed_by() {
        for proxy in ["socks5://user:password@proxy.test:1080", "https://user:password@proxy.test"] {
            let refused = ProxySettings::with(proxy, "").of(&endpoint("https://kms.test")).unwrap_err();
            assert!(!refused.to_string().contains("password"), "{refused}");
        }
    }
}
