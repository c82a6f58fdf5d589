//! The names a gateway answers to.

use std::str::FromStr;

/// The values of `Host` that are accepted: names or addresses, each with the port as clients sign it.
///
/// A signature for another host was made for another service; `X-Forwarded-Host` is never asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptedHosts(Vec<Box<str>>);

impl AcceptedHosts {
    /// Reads each name.
    ///
    /// # Errors
    ///
    /// [`InvalidHost`] for the first that no client could send.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidHost> {
        names.into_iter().map(host).collect::<Result<_, _>>().map(Self)
    }

    /// Whether `host`, as received, is one of them; names do not differ by case (RFC 9110 section 4.2.3).
    pub(super) fn accept(&self, host: &[u8]) -> bool {
        let written_alike = self.0.iter().any(|accepted| accepted.as_bytes() == host);
        written_alike || self.0.iter().any(|accepted| accepted.as_bytes().eq_ignore_ascii_case(host))
    }
}

fn host(name: &str) -> Result<Box<str>, InvalidHost> {
    match http::uri::Authority::from_str(name) {
        Ok(authority) if !name.contains('@') && !authority.host().is_empty() => Ok(name.to_ascii_lowercase().into()),
        _ => Err(InvalidHost(name.to_owned())),
    }
}

/// The text is no host with or without a port.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no host name or address with or without a port")]
pub struct InvalidHost(String);
