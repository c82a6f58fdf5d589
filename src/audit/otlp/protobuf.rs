//! As much of protobuf's encoding as the messages of OTLP logs are made of (protobuf.dev, "Encoding").
//!
//! ```text
//! field  = tag, value        tag = varint(number << 3 | wire type)
//! varint = wire type 0       seven bits a byte, the lowest first, the top bit set on all but the last
//! fixed  = wire type 1       eight bytes, the lowest first (wire type 5: four)
//! bytes  = wire type 2       varint(length), then so many bytes: a text, or a message in a message
//! ```

const VARINT: u64 = 0;
const FIXED_64: u64 = 1;
const BYTES: u64 = 2;
const FIXED_32: u64 = 5;
/// The longest varint, that of 64 bits.
const VARINT_BYTES: usize = 10;

/// Appends a number. Zero is what an absent number is read as, and left out.
pub(super) fn number(out: &mut Vec<u8>, field: u64, value: u64) {
    if value != 0 {
        varint(out, field << 3 | VARINT);
        varint(out, value);
    }
}

/// Appends a number that always has eight bytes; zero is left out.
pub(super) fn fixed_64(out: &mut Vec<u8>, field: u64, value: u64) {
    if value != 0 {
        varint(out, field << 3 | FIXED_64);
        out.extend_from_slice(&value.to_le_bytes());
    }
}

/// Appends a text or bytes, also empty ones.
pub(super) fn bytes(out: &mut Vec<u8>, field: u64, value: &[u8]) {
    varint(out, field << 3 | BYTES);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// Appends a message, the fields of which `write` appends.
///
/// How long it is stands before it and is known behind it, so it is moved once, by a few bytes.
pub(super) fn message(out: &mut Vec<u8>, field: u64, write: impl FnOnce(&mut Vec<u8>)) {
    varint(out, field << 3 | BYTES);
    let start = out.len();
    write(out);
    let end = out.len();
    varint(out, (end - start) as u64);
    let length_bytes = out.len() - end;
    if let Some(moved) = out.get_mut(start..) {
        moved.rotate_right(length_bytes);
    }
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        out.push(0x80 | low_bits(value));
        value >>= 7;
    }
    out.push(low_bits(value));
}

fn low_bits(value: u64) -> u8 {
    u8::try_from(value & 0x7f).unwrap_or_default()
}

/// The value of a field that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// A number, by a varint.
    Number(u64),
    /// A text, bytes or a message.
    Bytes(&'a [u8]),
    /// A number of four or eight bytes.
    Fixed,
}

/// What was read is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no protobuf message")]
pub(super) struct Malformed;

/// Reads the fields of a message one after the other: their numbers and values.
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(super) const fn of(message: &'a [u8]) -> Self {
        Self(message)
    }

    fn field(&mut self) -> Result<(u64, Value<'a>), Malformed> {
        let tag = self.varint()?;
        let value = match tag & 7 {
            VARINT => Value::Number(self.varint()?),
            BYTES => {
                let length = usize::try_from(self.varint()?).map_err(|_| Malformed)?;
                Value::Bytes(self.take(length)?)
            }
            FIXED_64 => self.take(8).map(|_| Value::Fixed)?,
            FIXED_32 => self.take(4).map(|_| Value::Fixed)?,
            _ => return Err(Malformed),
        };
        // No field has the number 0.
        if tag >> 3 == 0 { Err(Malformed) } else { Ok((tag >> 3, value)) }
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for index in 0..VARINT_BYTES {
            let [byte] = *self.take(1)? else { return Err(Malformed) };
            // What is over 64 bits in the tenth byte is dropped, as protobuf's own libraries do.
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), Malformed>;

    /// After an error there is nothing more.
    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(message: &[u8]) -> Result<Vec<(u64, Value<'_>)>, Malformed> {
        Fields::of(message).collect()
    }

    #[test]
    fn the_examples_of_the_specification_are_written_as_it_writes_them() {
        // protobuf.dev, "Encoding": `Test1 { a: 150 }`, `Test2 { b: "testing" }` and `Test3 { c: Test1 { a: 150 } }`.
        let mut out = Vec::new();
        number(&mut out, 1, 150);
        assert_eq!(out, [0x08, 0x96, 0x01]);
        out.clear();
        bytes(&mut out, 2, b"testing");
        assert_eq!(out, b"\x12\x07testing");
        out.clear();
        message(&mut out, 3, |out| number(out, 1, 150));
        assert_eq!(out, [0x1a, 0x03, 0x08, 0x96, 0x01]);
        assert_eq!(read(&out), Ok(vec![(3, Value::Bytes(&[0x08, 0x96, 0x01]))]));
    }

    #[test]
    fn what_ends_too_soon_or_has_no_field_number_is_no_message() {
        for text in ["\x08", "\x12\x07testin", "\x09\x01", "\x0d\x01", "\x0b", "\x00\x01", "<html>", "{}", "OK"] {
            assert_eq!(read(text.as_bytes()), Err(Malformed), "{text:?}");
        }
        assert_eq!(read(&[&[0x08][..], &[0xff; 11]].concat()), Err(Malformed));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(field in 1..1_000_u64, value in 1_u64.., text in any::<Vec<u8>>(), nested in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut out = Vec::new();
            number(&mut out, field, value);
            bytes(&mut out, field, &text);
            fixed_64(&mut out, field, value);
            message(&mut out, field, |out| out.extend_from_slice(&nested));
            let expected = [Value::Number(value), Value::Bytes(&text), Value::Fixed, Value::Bytes(&nested)];
            prop_assert_eq!(read(&out), Ok(expected.map(|value| (field, value)).to_vec()));
        }

        #[test]
        fn whatever_is_read_there_is_an_end(bytes in any::<Vec<u8>>()) {
            prop_assert!(Fields::of(&bytes).count() <= bytes.len());
        }
    }
}
