//! Writes an answer's JSON by hand, straight into its buffer.
//!
//! The buffer may hold plaintext keys: it is wiped whenever it grows or is given up, and what
//! [`JsonObject::finish_secret`] hands out is wiped when its last reader drops it.

use base64_simd::STANDARD;
use bytes::Bytes;
use zeroize::Zeroizing;

use crate::clock::Timestamp;

/// A JSON object in the making: each method adds one member.
pub struct JsonObject {
    out: Zeroizing<Vec<u8>>,
}

impl JsonObject {
    /// An object whose text will have about `capacity` bytes.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        let mut object = Self { out: Zeroizing::new(Vec::with_capacity(capacity)) };
        object.out.push(b'{');
        object
    }

    /// Adds a string.
    #[must_use]
    pub fn text(mut self, name: &'static str, value: &str) -> Self {
        self.name(name);
        self.string(value);
        self
    }

    /// Adds a string, if there is one.
    #[must_use]
    pub fn optional_text(self, name: &'static str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.text(name, value),
            None => self,
        }
    }

    /// Adds a list of strings.
    #[must_use]
    pub fn texts<'a>(mut self, name: &'static str, values: impl IntoIterator<Item = &'a str>) -> Self {
        self.name(name);
        self.push(b"[");
        for (index, value) in values.into_iter().enumerate() {
            if index > 0 {
                self.push(b",");
            }
            self.string(value);
        }
        self.push(b"]");
        self
    }

    /// Adds an object of strings, whose names may be any text.
    #[must_use]
    pub fn map<'a>(mut self, name: &'static str, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        self.name(name);
        self.push(b"{");
        for (index, (key, value)) in pairs.into_iter().enumerate() {
            if index > 0 {
                self.push(b",");
            }
            self.string(key);
            self.push(b":");
            self.string(value);
        }
        self.push(b"}");
        self
    }

    /// Adds bytes, as base64.
    #[must_use]
    pub fn blob(mut self, name: &'static str, value: &[u8]) -> Self {
        self.name(name);
        self.room(STANDARD.encoded_length(value.len()) + 2);
        self.out.push(b'"');
        STANDARD.encode_append(value, &mut *self.out);
        self.out.push(b'"');
        self
    }

    /// Adds a boolean.
    #[must_use]
    pub fn boolean(mut self, name: &'static str, value: bool) -> Self {
        self.name(name);
        self.push(if value { b"true" } else { b"false" });
        self
    }

    /// Adds an integer.
    #[must_use]
    pub fn integer(mut self, name: &'static str, value: i64) -> Self {
        self.name(name);
        self.push(value.to_string().as_bytes());
        self
    }

    /// Adds a moment, in seconds since 1970 with three decimals, as KMS has it.
    #[must_use]
    pub fn timestamp(mut self, name: &'static str, value: Timestamp) -> Self {
        self.name(name);
        let millis = value.unix_micros().div_euclid(1000);
        let sign = if millis < 0 { "-" } else { "" };
        let magnitude = millis.unsigned_abs();
        self.push(format!("{sign}{}.{:03}", magnitude / 1000, magnitude % 1000).as_bytes());
        self
    }

    /// Adds an object.
    #[must_use]
    pub fn object(mut self, name: &'static str, value: Self) -> Self {
        self.name(name);
        let value = value.closed();
        self.push(&value);
        self
    }

    /// Adds a list of objects.
    #[must_use]
    pub fn objects(mut self, name: &'static str, values: impl IntoIterator<Item = Self>) -> Self {
        self.name(name);
        self.push(b"[");
        for (index, value) in values.into_iter().enumerate() {
            if index > 0 {
                self.push(b",");
            }
            let value = value.closed();
            self.push(&value);
        }
        self.push(b"]");
        self
    }

    /// The text, for an answer that holds nothing secret.
    #[must_use]
    pub fn finish(self) -> Bytes {
        Bytes::from(std::mem::take(&mut *self.closed()))
    }

    /// The text, for an answer that holds plaintext: wiped when its last reader drops it.
    #[must_use]
    pub fn finish_secret(self) -> Bytes {
        Bytes::from_owner(self.closed())
    }

    /// The text as a `String`, for an object that becomes part of a record.
    #[must_use]
    pub fn finish_string(self) -> String {
        String::from_utf8(std::mem::take(&mut *self.closed())).unwrap_or_default()
    }

    fn closed(mut self) -> Zeroizing<Vec<u8>> {
        self.push(b"}");
        self.out
    }

    /// Names are constants, in which nothing has to be escaped.
    fn name(&mut self, name: &'static str) {
        debug_assert!(is_plain(name));
        self.room(name.len() + 4);
        if self.out.len() > 1 {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    fn string(&mut self, text: &str) {
        self.room(escaped_length(text) + 2);
        push_json_string(&mut self.out, text);
    }

    fn push(&mut self, bytes: &[u8]) {
        self.room(bytes.len());
        self.out.extend_from_slice(bytes);
    }

    /// Makes room for `more` bytes. A `Vec` that grows by itself would leave its old bytes behind unwiped.
    fn room(&mut self, more: usize) {
        if self.out.capacity() - self.out.len() < more {
            let mut larger = Zeroizing::new(Vec::with_capacity(2 * (self.out.len() + more)));
            larger.extend_from_slice(&self.out);
            self.out = larger;
        }
    }
}

const fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// Whether nothing in the text must be escaped. Without an early way out, so that many bytes are looked at at once.
fn is_plain(text: &str) -> bool {
    !text.bytes().fold(false, |found, byte| found | needs_escape(byte))
}

/// At least as many bytes as the text has with its escapes.
fn escaped_length(text: &str) -> usize {
    if is_plain(text) { text.len() } else { 6 * text.len() }
}

/// Appends `text` to `out` as a JSON string, quotes included (RFC 8259 section 7).
pub fn push_json_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    escape(text, |piece| out.extend_from_slice(piece.as_bytes()));
    out.push(b'"');
}

/// As [`push_json_string`], to a `String`.
pub fn push_json_text(out: &mut String, text: &str) {
    out.push('"');
    escape(text, |piece| out.push_str(piece));
    out.push('"');
}

fn escape(text: &str, mut emit: impl FnMut(&str)) {
    if is_plain(text) {
        return emit(text);
    }
    let mut rest = text;
    while let Some((plain, byte, tail)) = split_at_escape(rest) {
        emit(plain);
        match byte {
            b'"' => emit("\\\""),
            b'\\' => emit("\\\\"),
            b'\n' => emit("\\n"),
            b'\r' => emit("\\r"),
            b'\t' => emit("\\t"),
            _ => emit(&format!("\\u{byte:04x}")),
        }
        rest = tail;
    }
    emit(rest);
}

/// Splits at the first byte that must be escaped; such bytes are ASCII, so both sides are whole.
fn split_at_escape(text: &str) -> Option<(&str, u8, &str)> {
    let at = text.bytes().position(needs_escape)?;
    Some((text.get(..at)?, text.as_bytes().get(at).copied()?, text.get(at + 1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_its_members_in_order() {
        let body = JsonObject::with_capacity(0)
            .blob("CiphertextBlob", &[0xfb, 0xff, 0x00, 0x01])
            .text("KeyId", "a\"b")
            .boolean("Enabled", true)
            .integer("Days", -7)
            .texts("Algorithms", ["X", "Y"])
            .map("Context", [("a\"", "1"), ("", "2")])
            .object("Inner", JsonObject::with_capacity(2))
            .objects("List", [JsonObject::with_capacity(2).text("A", "1"), JsonObject::with_capacity(2)])
            .finish();
        let expected = r#"{"CiphertextBlob":"+/8AAQ==","KeyId":"a\"b","Enabled":true,"Days":-7,"Algorithms":["X","Y"],"Context":{"a\"":"1","":"2"},"Inner":{},"List":[{"A":"1"},{}]}"#;
        assert_eq!(std::str::from_utf8(&body).unwrap(), expected);
    }

    #[test]
    fn a_moment_is_written_in_seconds_with_its_milliseconds() {
        let of = |micros| {
            let moment = Timestamp::from_unix_micros(micros);
            String::from_utf8(JsonObject::with_capacity(16).timestamp("T", moment).finish().to_vec()).unwrap()
        };
        assert_eq!(of(1_732_041_241_123_999), r#"{"T":1732041241.123}"#);
        assert_eq!(of(1_000_000), r#"{"T":1.000}"#);
        assert_eq!(of(-500_000), r#"{"T":-0.500}"#);
    }

    #[test]
    fn a_secret_answer_reads_like_any_other() {
        let body = JsonObject::with_capacity(1).blob("Plaintext", &[1, 2, 3]).finish_secret();
        assert_eq!(&body[..], br#"{"Plaintext":"AQID"}"#);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_back_as_it_was(text in ".*", control in "[\u{0}-\u{1f}\"\\\\]{0,9}") {
            let text = text + &control;
            let body = JsonObject::with_capacity(0).text("T", &text).finish();
            let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
            proptest::prop_assert_eq!(value["T"].as_str().unwrap(), text);
        }

        #[test]
        fn any_blob_is_read_back_as_it_was(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..99)) {
            let body = JsonObject::with_capacity(0).blob("B", &bytes).finish();
            let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
            proptest::prop_assert_eq!(STANDARD.decode_to_vec(value["B"].as_str().unwrap()).unwrap(), bytes);
        }
    }
}
