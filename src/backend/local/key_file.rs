//! Files that hold one secret key of 256 bits: comments, and one line of a prefix and the key in base64.
//!
//! The prefix says what the key is for and the version of the file, so that one is never taken for another.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::secret::Secret;

/// Length of such a key.
pub(super) const KEY_BYTES: usize = 32;

/// What tells files of one kind from others.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeyFile {
    /// What the key's line begins with.
    pub(super) prefix: &'static str,
    /// What its reader should know, in lines that begin with `#`.
    pub(super) comment: &'static str,
}

impl KeyFile {
    pub(super) fn to_text(self, key: &Secret<[u8; KEY_BYTES]>) -> Zeroizing<String> {
        // With room from the start the text is never moved, and no copy of it stays behind in memory.
        let mut text = Zeroizing::new(String::with_capacity(1024));
        text.push_str(self.comment);
        text.push_str(self.prefix);
        STANDARD.encode_string(key.expose(), &mut text);
        text.push('\n');
        text
    }

    pub(super) fn parse(self, text: &str) -> Option<Secret<[u8; KEY_BYTES]>> {
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let (Some(line), None) = (lines.next(), lines.next()) else { return None };
        let bytes = Zeroizing::new(STANDARD.decode(line.strip_prefix(self.prefix)?).ok()?);
        let bytes: &[u8; KEY_BYTES] = bytes.as_slice().try_into().ok()?;
        let mut key = Secret::new([0; KEY_BYTES]);
        key.expose_mut().copy_from_slice(bytes);
        Some(key)
    }
}
