//! The end of a line of the trail: its number, the hash of the line before and, in a checkpoint, the signature.
//!
//! The writer appends it and readers take it apart, both here (manual, "The chain"). It is read backwards from the last
//! byte and without a JSON parser: what a client sent stands further in front and may look like anything, while the end
//! is the gateway's own.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::record::CLOSED;
use crate::hexadecimal;

/// What stands in front of the bytes of a line in the text that a checkpoint signs; a signature made for anything else
/// is none of a checkpoint.
const SIGNED_FOR: &[u8] = b"kmsgate audit checkpoint v1\n";
const SEQUENCE: &[u8] = br#""sequence":"#;
const PREVIOUS: &[u8] = br#","previousHash":""#;
const SIGNATURE: &[u8] = br#","signature":""#;
/// An Ed25519 signature of 64 bytes in base64, with its padding.
const SIGNATURE_DIGITS: usize = 88;

/// The SHA-256 of a line, without its line feed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LineHash([u8; 32]);

impl LineHash {
    /// What the first line of a chain says of the line before it.
    pub const ZERO: Self = Self([0; 32]);

    /// The hash of `line`, which has no line feed.
    #[must_use]
    pub fn of(line: &[u8]) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, line).as_ref());
        Self(hash)
    }

    /// Reads 64 lower-case hexadecimal digits and nothing else: a hash has one spelling.
    #[must_use]
    pub fn parse(digits: &[u8]) -> Option<Self> {
        let mut hash = [0; 32];
        hex::decode_to_slice(digits, &mut hash).ok()?;
        (hexadecimal::digits(&hash).as_flattened() == digits).then_some(Self(hash))
    }
}

impl fmt::Display for LineHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hexadecimal::digits(&self.0).as_flattened().iter().try_for_each(|digit| write!(f, "{}", char::from(*digit)))
    }
}

impl fmt::Debug for LineHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What the end of a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineEnd<'l> {
    /// The line's number in its chain, from 1.
    pub sequence: u64,
    /// The hash of the line before.
    pub previous: LineHash,
    /// In a checkpoint, what it is signed with.
    pub signature: Option<Signature<'l>>,
}

/// The signature of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature<'l> {
    /// The signature itself (RFC 8032).
    pub bytes: [u8; 64],
    /// The bytes of the line in front of the member that holds it.
    pub signed: &'l [u8],
}

impl<'l> LineEnd<'l> {
    /// Reads the end of `line`, which has no line feed; `None` if it is not exactly as the writer writes it.
    #[must_use]
    pub fn parse(line: &'l [u8]) -> Option<Self> {
        let open = line.strip_suffix(CLOSED)?;
        let signature = Signature::parse(open);
        let open = signature.map_or(open, |signature| signature.signed);
        let (open, digits) = open.strip_suffix(b"\"")?.split_last_chunk::<64>()?;
        let previous = LineHash::parse(digits)?;
        let open = open.strip_suffix(PREVIOUS)?;
        let count = open.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        let (open, digits) = open.split_at_checked(open.len().checked_sub(count)?)?;
        // A number has one spelling too, and counts from 1.
        let sequence = std::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('0'))?.parse().ok()?;
        let before = open.strip_suffix(SEQUENCE)?.last()?;
        matches!(before, b',' | b'{').then_some(Self { sequence, previous, signature })
    }
}

impl<'l> Signature<'l> {
    fn parse(open: &'l [u8]) -> Option<Self> {
        let (rest, digits) = open.strip_suffix(b"\"")?.split_last_chunk::<SIGNATURE_DIGITS>()?;
        let signed = rest.strip_suffix(SIGNATURE)?;
        // Strict: padding must be there, and the bits that say nothing must be zero.
        let bytes = STANDARD.decode(digits).ok()?.try_into().ok()?;
        Some(Self { bytes, signed })
    }

    /// The text that is signed.
    #[must_use]
    pub fn text(&self) -> Vec<u8> {
        signed_text(self.signed)
    }
}

/// The text that a checkpoint signs, `line` being all of it that stands in front of its signature.
#[must_use]
pub fn signed_text(line: &[u8]) -> Vec<u8> {
    [SIGNED_FOR, line].concat()
}

/// Appends the number of a line and the hash of the one before to `open`, a record up to the last member of its
/// `gateway` object.
pub fn append(open: &mut Vec<u8>, sequence: u64, previous: LineHash) {
    if open.last() != Some(&b'{') {
        open.push(b',');
    }
    open.extend_from_slice(SEQUENCE);
    super::json::number(open, sequence);
    open.extend_from_slice(PREVIOUS);
    open.extend_from_slice(hexadecimal::digits(&previous.0).as_flattened());
    open.push(b'"');
}

/// Appends the signature of a checkpoint to what it signs.
pub fn append_signature(open: &mut Vec<u8>, signature: &[u8; 64]) {
    open.extend_from_slice(SIGNATURE);
    open.extend_from_slice(STANDARD.encode(signature).as_bytes());
    open.push(b'"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The SHA-256 of `abc` (FIPS 180-4, example of one block).
    const OF_ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn line(end: &str) -> String {
        format!(r#"{{"additionalEventData":{{"gateway":{{"generation":3,{end}}}}}}}"#)
    }

    fn plain(sequence: &str, hash: &str) -> String {
        line(&format!(r#""sequence":{sequence},"previousHash":"{hash}""#))
    }

    #[test]
    fn a_hash_is_the_sha_256_of_the_line_and_has_one_spelling() {
        assert_eq!(LineHash::of(b"abc").to_string(), OF_ABC);
        assert_eq!(LineHash::parse(OF_ABC.as_bytes()), Some(LineHash::of(b"abc")));
        assert_eq!(LineHash::ZERO.to_string(), "0".repeat(64));
        for text in [
            &OF_ABC.to_uppercase(),
            OF_ABC.trim_start_matches('b'),
            &format!("{OF_ABC}0"),
            &OF_ABC.replace('b', "g"),
            "",
        ] {
            assert_eq!(LineHash::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn the_end_of_a_line_is_read_as_the_manual_has_it() {
        let text = plain("17", OF_ABC);
        let end = LineEnd { sequence: 17, previous: LineHash::of(b"abc"), signature: None };
        assert_eq!(LineEnd::parse(text.as_bytes()), Some(end));

        let digits = format!("{}==", "A".repeat(86));
        let text = line(&format!(r#""sequence":18,"previousHash":"{OF_ABC}","signature":"{digits}""#));
        let end = LineEnd::parse(text.as_bytes()).unwrap();
        let signature = end.signature.unwrap();
        assert_eq!((end.sequence, signature.bytes), (18, [0; 64]));
        let signed = text.split(",\"signature\":").next().unwrap();
        assert_eq!(signature.text(), format!("kmsgate audit checkpoint v1\n{signed}").as_bytes());
    }

    #[test]
    fn what_the_writer_would_not_write_is_no_end() {
        let max = u64::MAX.to_string();
        assert!(LineEnd::parse(plain(&max, OF_ABC).as_bytes()).is_some());
        for sequence in ["", "0", "01", "-1", "+1", "1.0", " 1", "1 ", "18446744073709551616", "1e3"] {
            assert_eq!(LineEnd::parse(plain(sequence, OF_ABC).as_bytes()), None, "{sequence}");
        }
        let good = plain("17", OF_ABC);
        let others = [
            plain("17", &OF_ABC.to_uppercase()),
            good.replace("}}}", "}} }"),
            good.replace("}}}", "}}}}"),
            format!("{good} "),
            good.replace(",\"sequence\"", "\"sequence\""),
            good.replace("previousHash", "previoushash"),
            line(&format!(r#""sequence":18,"previousHash":"{OF_ABC}","signature":"{}""#, "A".repeat(88))),
            // The last four bits of the last digit say nothing, and are not zero.
            line(&format!(r#""sequence":18,"previousHash":"{OF_ABC}","signature":"{}B==""#, "A".repeat(85))),
            String::new(),
            "}}}".to_owned(),
        ];
        for text in others {
            assert_eq!(LineEnd::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn what_a_client_sent_is_not_taken_for_the_end() {
        let claimed = plain("4", OF_ABC).replace('"', "\\\"");
        let text = format!(
            r#"{{"requestParameters":{{"keyId":"{claimed}","sequence":9}},{}"#,
            plain("17", &"0".repeat(64)).trim_start_matches('{')
        );
        let end = LineEnd::parse(text.as_bytes()).unwrap();
        assert_eq!((end.sequence, end.previous), (17, LineHash::ZERO));
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_end_or_none(bytes in any::<Vec<u8>>()) {
            let _ = LineEnd::parse(&bytes);
            let _ = LineEnd::parse(&[&bytes, &b"\"}}}"[..]].concat());
        }

        #[test]
        fn what_is_appended_is_read_back(
            sequence in 1..=u64::MAX, hash in any::<[u8; 32]>(), signature in any::<[u8; 64]>(), signed in any::<bool>()
        ) {
            for open in [&b"{\"gateway\":{"[..], b"{\"gateway\":{\"a\":1"] {
                let mut line = open.to_vec();
                append(&mut line, sequence, LineHash(hash));
                let unsigned = line.clone();
                if signed {
                    append_signature(&mut line, &signature);
                }
                line.extend_from_slice(CLOSED);
                let signature = signed.then_some(Signature { bytes: signature, signed: &unsigned });
                let end = LineEnd { sequence, previous: LineHash(hash), signature };
                prop_assert_eq!(LineEnd::parse(&line), Some(end));
            }
        }
    }
}
