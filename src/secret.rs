//! Secret values: wiped when dropped, never printed, compared in constant time in one place.
//!
//! A secret is another type than a public value. It has no `PartialEq`, no `Serialize`, and its `Debug`
//! says only that it is one; [`Secret::expose`] is the one way to its bytes.

use std::fmt;

use zeroize::Zeroize;

/// A value that is wiped when it is dropped and that no formatter prints.
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Takes `value` into keeping. Copies made before are the caller's to wipe.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. The caller must not log, store or answer it.
    pub const fn expose(&self) -> &T {
        &self.0
    }

    /// The value itself, to be filled in place.
    pub const fn expose_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Whether two byte strings are the same, in time that depends on their lengths alone.
#[must_use]
pub fn same(a: &[u8], b: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(a, b).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_print() {
        assert_eq!(format!("{:?}", Secret::new(*b"wJalrXUtnFEMI")), "[secret]");
    }

    #[test]
    fn sameness_needs_equal_lengths_and_bytes() {
        assert!(same(b"abc", b"abc"));
        assert!(!same(b"abc", b"abd"));
        assert!(!same(b"abc", b"ab"));
    }
}
