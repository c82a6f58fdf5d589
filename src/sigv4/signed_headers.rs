//! Which headers a signature covers, and which it must.

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, DATE, HOST, HeaderMap, HeaderName};
use memchr::memchr_iter;

use super::Error;

/// Headers of AWS's own that may be unsigned. Real clients send the first so, and its value is compared with
/// the body, never believed; a content delivery network adds the second.
const EXEMPT: [&str; 2] = ["x-amz-content-sha256", "x-amz-cf-id"];

/// Headers that may stand once, besides `x-amz-*` and the one that dates the request (`Authorization` has been
/// looked at before): with two values, two readers could each believe another.
const ONCE: [HeaderName; 3] = [HOST, CONTENT_TYPE, CONTENT_LENGTH];

/// The value of `SignedHeaders`; `host` is among the names. What else is asked of the list comes later in AWS's
/// order, so it is only noted here.
#[derive(Clone, Copy, Debug)]
pub(super) struct SignedHeaders<'h> {
    list: &'h str,
    /// The names are in lower case and sorted, each once, as every signer writes them.
    in_order: bool,
    date: bool,
    /// How many of the names are those of headers that must be signed.
    amz: usize,
}

impl<'h> SignedHeaders<'h> {
    pub(super) fn read(list: &'h str) -> Result<Self, Error> {
        // Without an early way out, so that many bytes are looked at at once.
        let upper_case = list.bytes().fold(false, |upper, byte| upper | byte.is_ascii_uppercase());
        let mut signed = Self { list, in_order: !upper_case, date: false, amz: 0 };
        let (mut host, mut previous) = (false, None);
        for name in signed.names() {
            host |= name == "host";
            signed.date |= name == "date";
            signed.amz += usize::from(must_be_signed(name));
            // No comparison with an empty text: see `policy::wildcard`.
            signed.in_order &= !name.is_empty() && previous.is_none_or(|previous| name > previous);
            previous = Some(name);
        }
        if host { Ok(signed) } else { Err(Error::HostNotSigned) }
    }

    /// Checks the order of the names.
    pub(super) fn in_order(self) -> Result<(), Error> {
        if self.in_order {
            Ok(())
        } else {
            Err(Error::Mismatch("SignedHeaders is not sorted, unique and in lower case".into()))
        }
    }

    /// Checks that every header that must be signed is, and that none of them can be read in two ways; `date` is
    /// the one that dates the request. The list is known to be in order, and all that it names to have been sent.
    pub(super) fn cover(self, headers: &HeaderMap, date: &HeaderName) -> Result<(), Error> {
        if *date == DATE && !self.date {
            return Err(unsigned(date));
        }
        // Equal numbers are equal names: all that are named were sent, and each is named once.
        let amz_sent = || headers.keys().filter(|name| must_be_signed(name.as_str()));
        if amz_sent().count() != self.amz {
            let named = |sent: &HeaderName| self.names().any(|name| name == sent.as_str());
            return Err(unsigned(amz_sent().find(|name| !named(name)).unwrap_or(date)));
        }
        sent_once(headers, date)
    }

    /// The names, in the order of the canonical request.
    pub(super) fn names(self) -> impl Iterator<Item = &'h str> {
        super::split(self.list, memchr_iter(b';', self.list.as_bytes()))
    }

    /// The list as sent.
    pub(super) const fn as_str(self) -> &'h str {
        self.list
    }
}

fn must_be_signed(name: &str) -> bool {
    name.starts_with("x-amz-") && !EXEMPT.contains(&name)
}

fn unsigned(name: &HeaderName) -> Error {
    Error::Mismatch(format!("{name} was sent but not signed").into())
}

fn sent_once(headers: &HeaderMap, date: &HeaderName) -> Result<(), Error> {
    if headers.keys_len() == headers.len() {
        return Ok(());
    }
    let once = |name: &&HeaderName| name.as_str().starts_with("x-amz-") || *name == date || ONCE.contains(name);
    match headers.keys().filter(once).find(|name| headers.get_all(*name).iter().nth(1).is_some()) {
        Some(name) => Err(Error::Mismatch(format!("{name} was sent more than once").into())),
        None => Ok(()),
    }
}
