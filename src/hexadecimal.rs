//! Bytes as small hexadecimal digits, without an allocation: ids and hashes are written so on every request.

/// The two digits of each byte; flattened they are the text.
#[must_use]
pub fn digits<const N: usize>(bytes: &[u8; N]) -> [[u8; 2]; N] {
    let mut digits = [[0; 2]; N];
    for (pair, byte) in digits.iter_mut().zip(bytes) {
        *pair = [digit(byte >> 4), digit(byte & 0x0f)];
    }
    digits
}

/// Computed and not looked up, so that the digits of many bytes are made at once by vector instructions.
const fn digit(nibble: u8) -> u8 {
    nibble + if nibble < 10 { b'0' } else { b'a' - 10 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_written_as_the_standard_library_writes_it() {
        for byte in 0..=u8::MAX {
            assert_eq!(digits(&[byte]).as_flattened(), format!("{byte:02x}").as_bytes());
        }
    }
}
