//! The encryption context: what a ciphertext is bound to.
//!
//! Architecture invariant: two contexts have the same canonical bytes only if they hold the same pairs. Every
//! length is written before what it measures, so `{"a":"bc"}` and `{"ab":"c"}` never become one.

/// Pairs of strings, sorted by the bytes of their keys, no key twice. No context and `{}` are the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct EncryptionContext(Vec<(String, String)>);

impl EncryptionContext {
    /// The context without pairs.
    pub const EMPTY: &'static Self = &Self(Vec::new());

    /// Takes pairs in any order.
    ///
    /// # Errors
    ///
    /// [`DuplicateKey`] when a key occurs twice, whatever its values.
    pub fn from_pairs(mut pairs: Vec<(String, String)>) -> Result<Self, DuplicateKey> {
        pairs.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let twice = pairs.windows(2).any(|two| matches!(two, [a, b] if a.0 == b.0));
        if twice { Err(DuplicateKey) } else { Ok(Self(pairs)) }
    }

    /// The value that belongs to exactly this key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        let at = self.0.binary_search_by(|(own, _)| own.as_str().cmp(key)).ok()?;
        self.0.get(at).map(|(_, value)| value.as_str())
    }

    /// The pairs, sorted by key.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// How many pairs there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no pairs.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The length in bytes of all keys and values together.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        self.0.iter().map(|(key, value)| key.len() + value.len()).sum()
    }

    /// The canonical form that becomes additional authenticated data, as [`Self::write_canonical`] writes it.
    #[must_use]
    pub fn canonical_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.canonical_length());
        self.write_canonical(&mut out);
        out
    }

    /// How long [`Self::canonical_bytes`] is.
    #[must_use]
    pub fn canonical_length(&self) -> usize {
        4 + 8 * self.len() + self.text_bytes()
    }

    /// Appends the canonical form to `out`. All numbers are 4 bytes, most significant first:
    ///
    /// ```text
    /// number of pairs | for each pair, by the UTF-8 bytes of its key: | key length | key | value length | value |
    /// ```
    pub fn write_canonical(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&number(self.0.len()));
        for (key, value) in &self.0 {
            for text in [key, value] {
                out.extend_from_slice(&number(text.len()));
                out.extend_from_slice(text.as_bytes());
            }
        }
    }
}

/// No length reaches 4 GiB: a request is at most 1 MiB.
fn number(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()
}

/// A key occurs twice in an encryption context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key occurs twice in the encryption context")]
pub struct DuplicateKey;

#[cfg(test)]
mod tests {
    use super::*;

    fn context(pairs: &[(&str, &str)]) -> EncryptionContext {
        EncryptionContext::from_pairs(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()).unwrap()
    }

    #[test]
    fn canonical_bytes_are_those_written_by_hand() {
        assert_eq!(context(&[]).canonical_bytes(), hex::decode("00000000").unwrap());
        // Two pairs: "Project" = "Alpha"; "é" (c3 a9) = "". Given in the other order.
        let expected =
            concat!("00000002", "00000007", "50726f6a656374", "00000005", "416c706861", "00000002", "c3a9", "00000000");
        let bytes = context(&[("é", ""), ("Project", "Alpha")]).canonical_bytes();
        assert_eq!(bytes, hex::decode(expected).unwrap());
    }

    #[test]
    fn a_letter_moved_from_value_to_key_changes_the_bytes() {
        assert_ne!(context(&[("a", "bc")]).canonical_bytes(), context(&[("ab", "c")]).canonical_bytes());
        assert_ne!(context(&[("a", "b"), ("c", "d")]).canonical_bytes(), context(&[("a", "bcd")]).canonical_bytes());
    }

    #[test]
    fn keys_are_sorted_by_their_utf8_bytes() {
        // U+FF5E sorts after U+1F600 in UTF-16, before it in UTF-8.
        let sorted = context(&[("\u{1f600}", "2"), ("\u{ff5e}", "1"), ("Z", "0"), ("a", "0")]);
        let keys: Vec<_> = sorted.iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["Z", "a", "\u{ff5e}", "\u{1f600}"]);
    }

    #[test]
    fn a_key_given_twice_is_refused() {
        let pair = |value: &str| ("a".to_owned(), value.to_owned());
        assert_eq!(EncryptionContext::from_pairs(vec![pair("1"), pair("1")]), Err(DuplicateKey));
        assert_eq!(EncryptionContext::from_pairs(vec![pair("1"), pair("2")]), Err(DuplicateKey));
    }

    #[test]
    fn lookup_is_by_exact_key() {
        let context = context(&[("App", "x"), ("b", "y")]);
        assert_eq!(context.get("App"), Some("x"));
        assert_eq!(context.get("app"), None);
        assert_eq!((context.len(), context.text_bytes()), (2, 6));
    }

    proptest::proptest! {
        #[test]
        fn different_contexts_have_different_bytes(
            a in proptest::collection::btree_map(".{0,3}", ".{0,3}", 0..3),
            b in proptest::collection::btree_map(".{0,3}", ".{0,3}", 0..3),
        ) {
            let of = |map: &std::collections::BTreeMap<String, String>| {
                EncryptionContext::from_pairs(map.clone().into_iter().collect()).unwrap().canonical_bytes()
            };
            proptest::prop_assert_eq!(a == b, of(&a) == of(&b));
        }
    }
}
