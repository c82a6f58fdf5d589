//! What records are written to, and what of them it has not taken yet.

use std::io::{self, Write};

use super::Queue;

/// A buffer that grew beyond this is given back once it is empty.
const KEPT_BYTES: usize = 1024 * 1024;

pub(super) struct Sink {
    out: Box<dyn Write + Send>,
    pub(super) batch: Vec<u8>,
    offset: usize,
    pub(super) last: u64,
}

impl Sink {
    pub(super) fn new(out: impl Write + Send + 'static) -> Self {
        Self { out: Box::new(out), batch: Vec::new(), offset: 0, last: 0 }
    }

    /// Takes over what is queued, behind what an earlier write left.
    pub(super) fn take(&mut self, queue: &mut Queue) {
        if self.batch.is_empty() {
            std::mem::swap(&mut self.batch, &mut queue.bytes);
        } else {
            self.batch.append(&mut queue.bytes);
        }
        self.last = queue.last;
    }

    /// Writes the batch from where the last attempt stopped, which may be in the middle of a line.
    pub(super) fn write(&mut self) -> io::Result<()> {
        while let Some(rest) = self.batch.get(self.offset..).filter(|rest| !rest.is_empty()) {
            match self.out.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(length) => self.offset += length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.out.flush()?;
        self.offset = 0;
        self.batch.clear();
        self.batch.shrink_to(KEPT_BYTES);
        Ok(())
    }
}
