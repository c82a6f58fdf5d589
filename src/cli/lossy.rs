//! A stream for people's eyes, which may have nobody who reads it: what it cannot take is dropped, and nothing waits.
//!
//! A pipe that nobody reads is full after 64 KiB and then blocks whoever writes to it, for as long as it likes. So a
//! thread of its own writes, which lives as long as the process, and what others hand to it has a bound.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How many bytes may wait to be written: some thousand lines, for a reader that is slow for a moment.
const QUEUE_BYTES: usize = 256 * 1024;

/// The stream; clones share it. Each write is taken whole or dropped whole, at once, and never fails.
#[derive(Clone)]
pub(super) struct Lossy(Arc<Shared>);

struct Shared {
    /// For the log.
    name: &'static str,
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    bytes: Vec<u8>,
    dropped: u64,
    /// The thread has taken bytes that are not written yet.
    writing: bool,
}

impl Lossy {
    /// A stream to `sink`, which may block.
    ///
    /// # Errors
    ///
    /// If the thread cannot be started.
    pub(super) fn start(name: &'static str, sink: impl Write + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared { name, queue: Mutex::default(), changed: Condvar::new() });
        let theirs = Arc::clone(&shared);
        thread::Builder::new().name("console".into()).spawn(move || theirs.serve(sink))?;
        Ok(Self(shared))
    }

    /// Waits until all is written, at most `within`.
    pub(super) fn finish(&self, within: Duration) {
        let left = |queue: &mut Queue| queue.writing || !queue.bytes.is_empty();
        drop(self.0.changed.wait_timeout_while(self.0.queue(), within, left));
    }
}

impl Write for Lossy {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut queue = self.0.queue();
        if queue.bytes.len() + bytes.len() > QUEUE_BYTES {
            queue.dropped += 1;
        } else {
            queue.bytes.extend_from_slice(bytes);
            self.0.changed.notify_all();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, mut sink: impl Write) {
        let mut batch = Vec::new();
        loop {
            let idle = |queue: &mut Queue| queue.bytes.is_empty();
            let waited = self.changed.wait_while(self.queue(), idle);
            let mut queue = waited.unwrap_or_else(PoisonError::into_inner);
            std::mem::swap(&mut queue.bytes, &mut batch);
            let dropped = std::mem::take(&mut queue.dropped);
            queue.writing = true;
            drop(queue);
            // If it cannot be written there is nobody to tell.
            let _ = sink.write_all(&batch).and_then(|()| sink.flush());
            batch.clear();
            if dropped > 0 {
                tracing::warn!(dropped, "nobody read {} in time: lines were dropped", self.name);
            }
            self.queue().writing = false;
            self.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const LATER: Duration = Duration::from_secs(20);

    /// A sink that takes nothing until it is let to, and the bytes that it took then.
    fn blocked() -> (Lossy, mpsc::Sender<()>, Arc<Mutex<Vec<u8>>>) {
        struct Blocked(mpsc::Receiver<()>, Arc<Mutex<Vec<u8>>>);
        impl Write for Blocked {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                let _ = self.0.recv();
                self.1.lock().unwrap().write(bytes)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let ((release, released), taken) = (mpsc::channel(), Arc::default());
        let sink = Blocked(released, Arc::clone(&taken));
        (Lossy::start("a test", sink).unwrap(), release, taken)
    }

    #[test]
    fn lines_are_written_in_their_order_and_whole() {
        let (lossy, release, taken) = blocked();
        drop(release);
        let mut expected = String::new();
        for number in 0..1000 {
            let line = format!("line {number}\n");
            lossy.clone().write_all(line.as_bytes()).unwrap();
            expected.push_str(&line);
        }
        lossy.finish(LATER);
        assert_eq!(*taken.lock().unwrap(), expected.as_bytes());
    }

    #[test]
    fn a_stream_that_nobody_reads_holds_nobody_up_and_only_so_much() {
        let (mut lossy, release, taken) = blocked();
        let line = [b'x'; 1023];
        for _ in 0..10_000 {
            lossy.write_all(&line).unwrap();
        }
        lossy.finish(Duration::from_millis(10));
        assert!(taken.lock().unwrap().is_empty());
        drop(release);
        lossy.finish(LATER);
        // What the thread had taken, and what waited.
        let taken = taken.lock().unwrap().len();
        assert!((1..=2 * QUEUE_BYTES).contains(&taken) && taken.is_multiple_of(line.len()), "{taken}");
    }
}
