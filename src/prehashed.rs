//! For maps whose keys are hashes already: what is looked for has been hashed once, for all of them.

use std::hash::{BuildHasherDefault, Hasher};

/// How such a map hashes its keys.
pub type Prehashed = BuildHasherDefault<PassThrough>;

/// Passes a hash through.
#[derive(Clone, Copy, Debug, Default)]
pub struct PassThrough(u64);

impl Hasher for PassThrough {
    fn finish(&self) -> u64 {
        self.0
    }

    /// A key that is no `u64` is not what this is for, and is hashed all the same, badly.
    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |sum, byte| sum.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
