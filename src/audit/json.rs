//! JSON text appended to a line of bytes, by hand: a record has a fixed shape and is written on every request.
//!
//! Whatever text comes in, what goes out is valid JSON in valid UTF-8 without a line break.

use crate::hexadecimal;

/// The longest user agent or message kept of a record, in bytes (CloudTrail's own bound).
pub(super) const TEXT_CAP: usize = 1024;

/// Appends `text` as a JSON string with its quotes.
pub(super) fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    escaped(out, text);
    out.push(b'"');
}

/// Appends `text`, cut to [`TEXT_CAP`] bytes, as a JSON string.
pub(super) fn capped_string(out: &mut Vec<u8>, text: &str) {
    string(out, capped(text));
}

/// Appends bytes that may be no UTF-8, cut to [`TEXT_CAP`], as a JSON string; what is no UTF-8 becomes U+FFFD.
pub(super) fn lossy_string(out: &mut Vec<u8>, bytes: &[u8]) {
    let kept = bytes.get(..TEXT_CAP).unwrap_or(bytes);
    out.push(b'"');
    if let Ok(text) = std::str::from_utf8(kept) {
        escaped(out, text);
    } else {
        for chunk in kept.utf8_chunks() {
            escaped(out, chunk.valid());
            if !chunk.invalid().is_empty() {
                out.extend_from_slice("\u{fffd}".as_bytes());
            }
        }
    }
    out.push(b'"');
}

/// Appends `text` as it stands inside a JSON string.
pub(super) fn escaped(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    // Most texts need no escape; a fold without an early end is compiled to vector instructions.
    if !bytes.iter().fold(false, |found, byte| found | needs_escape(*byte)) {
        return out.extend_from_slice(bytes);
    }
    for byte in bytes {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            byte if needs_escape(*byte) => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(hexadecimal::digits(&[*byte]).as_flattened());
            }
            byte => out.push(*byte),
        }
    }
}

const fn needs_escape(byte: u8) -> bool {
    is_control(byte) || byte == b'"' || byte == b'\\'
}

const fn is_control(byte: u8) -> bool {
    byte < 0x20
}

/// Appends a fragment of JSON that was written before. A line break in it, which JSON allows between its
/// tokens, becomes a space: a record is one line.
pub(super) fn fragment(out: &mut Vec<u8>, json: &str) {
    let from = out.len();
    out.extend_from_slice(json.as_bytes());
    if json.bytes().fold(false, |found, byte| found | is_control(byte)) {
        for byte in out.iter_mut().skip(from).filter(|byte| is_control(**byte)) {
            *byte = b' ';
        }
    }
}

/// Appends an unsigned number.
pub(super) fn number(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0_u8; 20];
    let mut length = 0;
    for place in digits.iter_mut().rev() {
        *place = b'0' + u8::try_from(value % 10).unwrap_or_default();
        value /= 10;
        length += 1;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(digits.len() - length..).unwrap_or_default());
}

/// The beginning of `text`, at most [`TEXT_CAP`] bytes and whole characters.
pub(super) fn capped(text: &str) -> &str {
    text.get(..text.floor_char_boundary(TEXT_CAP)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_back(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        assert!(!out.contains(&b'\n'));
        serde_json::from_slice(&out).unwrap()
    }

    proptest! {
        #[test]
        fn any_text_is_read_back_as_it_was(text in any::<String>()) {
            prop_assert_eq!(read_back(|out| string(out, &text)), text);
        }

        #[test]
        fn any_bytes_become_a_string(bytes in any::<Vec<u8>>()) {
            let text = read_back(|out| lossy_string(out, &bytes));
            if let Ok(valid) = std::str::from_utf8(&bytes) {
                prop_assert_eq!(text, valid);
            }
        }

        #[test]
        fn any_number_is_written_as_the_standard_library_writes_it(value in any::<u64>()) {
            let mut out = Vec::new();
            number(&mut out, value);
            prop_assert_eq!(String::from_utf8(out).unwrap(), value.to_string());
        }
    }

    #[test]
    fn control_characters_quotes_and_backslashes_are_escaped() {
        let mut out = Vec::new();
        string(&mut out, "a\"b\\c\nd\u{1}e\u{7f}");
        assert_eq!(out, b"\"a\\\"b\\\\c\\nd\\u0001e\x7f\"");
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let text = format!("{}é", "a".repeat(TEXT_CAP - 1));
        assert_eq!(read_back(|out| capped_string(out, &text)).len(), TEXT_CAP - 1);
        assert_eq!(capped("short"), "short");
    }

    #[test]
    fn a_fragment_of_many_lines_becomes_one() {
        let mut out = Vec::new();
        fragment(&mut out, "{\n\t\"a\": 1\r\n}");
        assert_eq!(out, b"{  \"a\": 1  }");
    }
}
