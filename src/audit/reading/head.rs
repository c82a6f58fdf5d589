//! When and what, from the head of a line, without a JSON parser.
//!
//! It stands behind `userIdentity`, which the gateway writes and which has no member of these names; inside of a JSON
//! string a quotation mark has a backslash before it, so no text of a client's can look like it. Only what is said about
//! a line that the chain vouches for is worth anything.

use memchr::memmem;

use crate::clock::Timestamp;

/// How far from the beginning of a line its time stands at most, in bytes: identities have some KiB.
const REACH: usize = 64 * 1024;
const TIME: &[u8] = br#","eventTime":""#;
const SOURCE: &[u8] = br#"","eventSource":""#;
const NAME: &[u8] = br#"","eventName":""#;
/// `eventSource` of what the gateway says of itself.
const GATEWAY: &[u8] = b"kmsgate";

/// The head of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head<'l> {
    pub(super) time: &'l [u8; 20],
    source: &'l [u8],
    name: &'l [u8],
}

impl<'l> Head<'l> {
    /// `None` if the line is not laid out as a record is.
    pub(super) fn parse(line: &'l [u8]) -> Option<Self> {
        let reach = line.get(..REACH).unwrap_or(line);
        let rest = line.get(memmem::find(reach, TIME)? + TIME.len()..)?;
        let (time, rest) = rest.split_first_chunk()?;
        let (source, rest) = text(rest.strip_prefix(SOURCE)?)?;
        let (name, _) = text(rest.strip_prefix(NAME)?)?;
        Some(Self { time, source, name })
    }

    /// Whether it is the gateway's own event of this name.
    pub(super) fn is(&self, name: &str) -> bool {
        self.source == GATEWAY && self.name == name.as_bytes()
    }

    /// The time, if there is such a time.
    pub(super) fn timestamp(&self) -> Option<Timestamp> {
        Timestamp::parse_iso8601(std::str::from_utf8(self.time).ok()?)
    }
}

/// What stands before the next quotation mark, and what from there.
fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    bytes.split_at_checked(memchr::memchr(b'"', bytes)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_head_says_when_and_what() {
        let line = br#"{"userIdentity":{"type":"Unknown","accessKeyId":"\",\"eventTime\":\"x"},"eventTime":"2026-11-23T18:22:41Z","eventSource":"kmsgate","eventName":"AuditCheckpoint","eventTime":"never"}"#;
        let head = Head::parse(line).unwrap();
        assert_eq!(head.timestamp(), Timestamp::parse_basic("20261123T182241Z"));
        assert!(head.is("AuditCheckpoint") && !head.is("AuditCheckpoin"));
        let other = Head { source: b"kms.amazonaws.com", ..head };
        assert!(!other.is("AuditCheckpoint"), "a request can have any name");
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_head_or_none(front in any::<Vec<u8>>(), behind in any::<Vec<u8>>()) {
            let _ = Head::parse(&[&front, TIME, &behind].concat());
            let _ = Head::parse(&[&front, TIME, &[b'9'; 20], SOURCE, &behind].concat());
        }
    }
}
