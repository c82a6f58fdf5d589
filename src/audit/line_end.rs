//! The end of a line: what binds it to the line before, and a checkpoint to its key.
//!
//! It is read from the last byte backwards. A client has no say there: what it sent stands further ahead, and may look
//! like anything.

use aws_lc_rs::digest::{SHA256, digest};

use crate::hexadecimal;

/// The SHA-256 of a line without its line feed, as small hexadecimal digits.
pub(super) type LineHash = [u8; 64];

/// What the first line of a chain says of the line before it.
pub(super) const NO_LINE: LineHash = [b'0'; 64];
/// What is signed begins with this, so that no signature is one of anything else.
pub(super) const SIGNED_PREFIX: &[u8] = b"kmsgate audit checkpoint v1\n";

/// No line is longer, in bytes: what a client says of a request is cut at 100 KiB twice, all else at far less.
pub(super) const LONGEST_LINE: usize = 1024 * 1024;

const CLOSED: &[u8] = b"\"}}}";
const SIGNATURE: &[u8] = b"\",\"signature\":\"";
/// 64 bytes in base64.
const SIGNATURE_LENGTH: usize = 88;
const PREVIOUS_HASH: &[u8] = b",\"previousHash\":\"";
const SEQUENCE: &[u8] = b"\"sequence\":";

/// The end of one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LineEnd<'a> {
    pub(super) sequence: u64,
    pub(super) previous_hash: &'a LineHash,
    /// Of a checkpoint: its signature in base64, and the bytes of the line that are signed.
    pub(super) signature: Option<(&'a [u8], &'a [u8])>,
}

impl<'a> LineEnd<'a> {
    /// The end of `line`, which has no line feed; `None` if the line is not of a chain.
    pub(super) fn parse(line: &'a [u8]) -> Option<Self> {
        let open = line.strip_suffix(CLOSED)?;
        let signed = open.split_last_chunk::<SIGNATURE_LENGTH>().and_then(|(before, signature)| {
            let before = before.strip_suffix(SIGNATURE)?;
            Some((before, signature))
        });
        let (before, signature) = match signed {
            // The quote that ends the hash is signed too.
            Some((before, signature)) => (before, Some((&signature[..], line.get(..=before.len())?))),
            None => (open, None),
        };
        let (before, previous_hash) = before.split_last_chunk::<64>()?;
        let before = before.strip_suffix(PREVIOUS_HASH)?;
        let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if !previous_hash.iter().all(is_digit) {
            return None;
        }
        let digits = before.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        let (before, number) = before.split_at(before.len() - digits);
        let last = before.strip_suffix(SEQUENCE)?.last()?;
        let sequence = std::str::from_utf8(number).ok()?.parse().ok().filter(|_| number.first() != Some(&b'0'))?;
        matches!(last, b'{' | b',').then_some(Self { sequence, previous_hash, signature })
    }
}

/// The hash of `line`, which has no line feed.
pub(super) fn hash(line: &[u8]) -> LineHash {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, line).as_ref());
    let mut hash = NO_LINE;
    hash.copy_from_slice(hexadecimal::digits(&bytes).as_flattened());
    hash
}
