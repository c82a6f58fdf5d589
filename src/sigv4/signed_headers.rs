//! Which headers a signature covers, and which it must.

use http::header::{HOST, HeaderMap, HeaderName};

use super::Error;

/// Headers of AWS's own that may be unsigned. Real clients send the first so, and its value is compared with
/// the body, never believed; a content delivery network adds the second.
const EXEMPT: [&str; 2] = ["x-amz-content-sha256", "x-amz-cf-id"];

/// The value of `SignedHeaders`: names in lower case, sorted, each once, all of them sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct SignedHeaders<'h>(&'h str);

impl<'h> SignedHeaders<'h> {
    /// Checks the list against the headers that were sent; `date` is the one that dates the request.
    pub(super) fn read(list: &'h str, headers: &HeaderMap, date: &HeaderName) -> Result<Self, Error> {
        let signed = Self(list);
        if !signed.contains(HOST.as_str()) {
            return Err(Error::HostNotSigned);
        }
        let mut previous = "";
        for name in signed.names() {
            let lower = name.bytes().all(|byte| !byte.is_ascii_uppercase());
            if !lower || name <= previous {
                return Err(Error::Mismatch("SignedHeaders is not sorted, unique and in lower case".into()));
            }
            if !headers.contains_key(name) {
                return Err(Error::SignedHeaderAbsent(name.chars().take(64).collect()));
            }
            previous = name;
        }
        if !signed.contains(date.as_str()) {
            return Err(Error::Mismatch(format!("{date} is not signed").into()));
        }
        for name in headers.keys().map(HeaderName::as_str).filter(|name| name.starts_with("x-amz-")) {
            if headers.get_all(name).iter().nth(1).is_some() {
                return Err(Error::Mismatch(format!("{name} was sent more than once").into()));
            }
            if !signed.contains(name) && !EXEMPT.contains(&name) {
                return Err(Error::Mismatch(format!("{name} was sent but not signed").into()));
            }
        }
        if headers.get_all(HOST).iter().nth(1).is_some() {
            return Err(Error::Mismatch("host was sent more than once".into()));
        }
        Ok(signed)
    }

    /// The names, in the order of the canonical request.
    pub(super) fn names(self) -> impl Iterator<Item = &'h str> {
        self.0.split(';')
    }

    /// The list as sent.
    pub(super) const fn as_str(self) -> &'h str {
        self.0
    }

    pub(super) fn contains(self, wanted: &str) -> bool {
        self.names().any(|name| name == wanted)
    }
}
