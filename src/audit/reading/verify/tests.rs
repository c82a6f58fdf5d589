//! Contents that nobody would think of: whatever they are, reading ends, and what is not as it was written is found.
//! Trails made without any code of this crate, and attacks on them, are in `tests/clients/test_audit_verify.py`.

use std::io::Cursor;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::super::input::opened;
use super::*;
use crate::audit::line_end::{self, LineHash};

fn signer() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[1; 32]).unwrap()
}

/// So many lines between checkpoints.
fn trail(stretches: usize, lines: usize) -> Vec<Vec<u8>> {
    let signer = signer();
    let public_key = STANDARD.encode(signer.public_key());
    let mut trail: Vec<Vec<u8>> = Vec::new();
    let mut checkpoint_before = "null".to_owned();
    for number in 0..=stretches * (lines + 1) {
        let checkpoint = number % (lines + 1) == 0;
        let (source, name) = if checkpoint { ("kmsgate", "AuditCheckpoint") } else { ("kms.amazonaws.com", "Decrypt") };
        let mut line = format!(
            r#"{{"eventVersion":"1.11","userIdentity":{{}},"eventTime":"2026-11-23T18:22:41Z","eventSource":"{source}","eventName":"{name}","additionalEventData":{{"gateway":{{"#
        )
        .into_bytes();
        if checkpoint {
            let text = format!(
                r#""checkpoint":{{"reason":"interval","chain":"c","previous":{checkpoint_before},"publicKey":"{public_key}"}}"#
            );
            line.extend_from_slice(text.as_bytes());
        }
        let previous = trail.last().map_or(LineHash::ZERO, |line| LineHash::of(line));
        let sequence = number as u64 + 1;
        line_end::append(&mut line, sequence, previous);
        if checkpoint {
            let signature = signer.sign(&line_end::signed_text(&line));
            line_end::append_signature(&mut line, signature.as_ref().try_into().unwrap());
        }
        line.extend_from_slice(b"}}}");
        if checkpoint {
            checkpoint_before = format!(r#"{{"sequence":{sequence},"hash":"{}"}}"#, LineHash::of(&line));
        }
        trail.push(line);
    }
    trail
}

fn joined(lines: &[Vec<u8>]) -> Vec<u8> {
    lines.iter().flat_map(|line| [line.as_slice(), b"\n"].concat()).collect()
}

/// Verifies these contents, in this order.
fn findings(contents: &[Vec<u8>]) -> Findings {
    let mut keys = PublicKeys::default();
    keys.add(&STANDARD.encode(signer().public_key())).unwrap();
    let mut reader = Reader::new(&keys, Expected::default(), Duration::from_secs(10));
    for (index, content) in contents.iter().enumerate() {
        let file = reader.findings.file(index.to_string());
        let mut opened = opened(Box::new(Cursor::new(content.clone()))).unwrap();
        read(&mut opened, file, index + 1 == contents.len(), &mut reader);
    }
    reader.end().0
}

#[test]
fn a_trail_as_it_was_written_is_without_a_fault() {
    let lines = trail(3, 4);
    let (first, second) = lines.split_at(7);
    for contents in [vec![joined(&lines)], vec![joined(first), joined(second)]] {
        assert_eq!(findings(&contents).faults().collect::<Vec<_>>(), []);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_to_their_end(
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\n'), Just(b'}'), Just(b'"')], 0..400),
        packed in any::<bool>(),
    ) {
        let content = if packed { [vec![0x1f, 0x8b, 8, 0], bytes].concat() } else { bytes };
        prop_assert!(!findings(&[content]).no_fault());
    }

    #[test]
    fn whatever_is_done_to_lines_in_front_of_a_checkpoint_is_found(
        operations in prop::collection::vec((0..4_u8, any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..6),
        byte in any::<u8>(),
    ) {
        let written = trail(3, 3);
        let mut lines = written.clone();
        for (operation, one, other) in operations {
            let (from, to) = (one.index(lines.len()), other.index(lines.len()));
            match operation {
                0 => lines.swap(from, to),
                1 => lines.insert(to, lines[from].clone()),
                2 if lines.len() > 1 => drop(lines.remove(from)),
                _ => {
                    let place = other.index(lines[from].len());
                    lines[from][place] = byte;
                }
            }
        }
        let findings = findings(&[joined(&lines)]);
        let is_checkpoint = |line: &Vec<u8>| {
            written.contains(line) && line_end::LineEnd::parse(line).unwrap().signature.is_some()
        };
        let signed = lines.iter().rposition(is_checkpoint).map_or(0, |newest| newest + 1);
        // What was done may have been undone; a beginning and an end that are missing are no faults of what is left.
        let is_part = |lines: &[Vec<u8>]| written.windows(lines.len().max(1)).any(|part| part == lines);
        let faults: Vec<_> = findings.faults().collect();
        if findings.no_fault() {
            prop_assert!(is_part(&lines[..signed]), "{signed} of {}", lines.len());
        } else {
            // Nothing vouches for the last line behind the newest checkpoint, which was cut off or is not yet written.
            prop_assert!(signed == 0 || !is_part(&lines), "{faults:?}");
        }
    }
}
