//! The end of the program, in the one order that loses no record: first the workers, whose requests are recorded when
//! they are dropped; then the key store, whose changes are recorded when they are made; the audit log last, with what was
//! counted and is not recorded yet.
//!
//! Each of them hangs if its disk does, so all of them together have one bound. What does not end within it is left
//! behind, and the program fails instead of saying that all is well.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{RunError, Served};
use crate::audit::Recorder;

/// How often it is looked whether a thread has ended, and the least time that the audit log gets.
const STEP: Duration = Duration::from_millis(5);

/// What has to end once every connection has.
pub(super) struct Ending {
    pub(super) workers: Vec<JoinHandle<()>>,
    /// With this, and with the workers, its last owners go.
    pub(super) backend: Served,
    pub(super) audit: Arc<Recorder>,
}

impl Ending {
    /// Ends it all, at most `within`.
    ///
    /// # Errors
    ///
    /// [`RunError::Unwritable`] if records are left that could not be written, [`RunError::Unended`] if what writes
    /// them did not end in time.
    pub(super) async fn end(self, within: Duration) -> Result<(), RunError> {
        let until = Instant::now() + within;
        let workers = stopped(self.workers, until).await;
        let name = self.backend.name();
        let closed = closed(self.backend, until).await;
        let late = if workers { (!closed).then_some(name) } else { Some("a worker thread") };
        let drained = drained(self.audit, until).await;
        let Some(late) = late.map(RunError::Unended) else { return drained };
        if let Err(error) = drained {
            tracing::error!(%error, "records are left");
        }
        Err(late)
    }
}

/// What `thread` ends with, if it ends by `until`.
async fn ended<T>(thread: JoinHandle<T>, until: Instant) -> Option<thread::Result<T>> {
    while !thread.is_finished() {
        if Instant::now() >= until {
            return None;
        }
        sleep(STEP).await;
    }
    Some(thread.join())
}

/// Whether all `threads` have ended by `until`.
async fn stopped(threads: Vec<JoinHandle<()>>, until: Instant) -> bool {
    for thread in threads {
        match ended(thread, until).await {
            None => return false,
            Some(Err(_)) => tracing::error!("a thread has panicked"),
            Some(Ok(())) => {}
        }
    }
    true
}

/// Whether the backend has made all changes that it was given by `until`. Its last owner waits for that.
async fn closed(backend: Served, until: Instant) -> bool {
    match thread::Builder::new().name("closing".into()).spawn(move || drop(backend)) {
        Ok(thread) => stopped(vec![thread], until).await,
        // It was dropped by the attempt.
        Err(_) => true,
    }
}

/// Whether the audit log has everything by `until`.
async fn drained(audit: Arc<Recorder>, until: Instant) -> Result<(), RunError> {
    let until = until.max(Instant::now() + 2 * STEP);
    let within = until.saturating_duration_since(Instant::now()).saturating_sub(STEP);
    // On a thread of its own: a file is written by whoever drains, and its disk may hang.
    let drain = move || {
        audit.sum_up();
        audit.writer().drain(within)
    };
    let drain = thread::Builder::new().name("draining".into()).spawn(drain)?;
    match ended(drain, until).await {
        Some(Ok(drained)) => Ok(drained?),
        Some(Err(_)) | None => Err(RunError::Unended("the audit log")),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Mutex, mpsc};

    use tempfile::TempDir;

    use super::*;
    use crate::audit::{Arrived, Writer};
    use crate::aws::{Operation, Region, Regions};
    use crate::backend::local::LocalBackend;
    use crate::clock::Clock;
    use crate::kms::Input;

    const SOON: Duration = Duration::from_millis(200);
    const LATER: Duration = Duration::from_secs(20);

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn region() -> Region {
        "us-east-1".parse().unwrap()
    }

    /// What is left when nobody is connected any more.
    fn ending(sink: impl Write + Send + 'static) -> (TempDir, Ending) {
        let directory = tempfile::tempdir().unwrap();
        let account = "111122223333".parse().unwrap();
        let root_key = directory.path().join("root.key");
        let backend = LocalBackend::open(directory.path(), &root_key, &[region()], account, &Clock::System).unwrap();
        let audit = Arc::new(Writer::threaded(sink).unwrap());
        let audit = Recorder::new(audit, Clock::System, &Regions::new(region()), account);
        (directory, Ending { workers: Vec::new(), backend: Served::Local(Arc::new(backend)), audit: Arc::new(audit) })
    }

    /// Hands the store a change whose client has gone and that is made, and recorded, once the sender says so.
    fn change(ending: &Ending) -> mpsc::Sender<()> {
        let (made, disk) = mpsc::channel();
        let input = Input::parse(Operation::CreateKey, b"{}").unwrap();
        let caller = "arn:aws:iam::111122223333:user/orders";
        let requester = crate::backend::local::Requester::of_test(caller, &[]);
        let Served::Local(local) = &ending.backend else { panic!("another backend") };
        let keys = local.resolve(&input, &caller.parse().unwrap(), &region()).unwrap();
        let audit = Arc::clone(ending.audit.writer());
        let done = move |_: Result<&_, &_>| {
            let _ = disk.recv();
            drop(audit.enqueue(b"made"));
        };
        drop(local.change(input, keys, region(), requester, Box::new(done)));
        made
    }

    #[tokio::test]
    async fn a_change_that_outlives_its_client_is_recorded_before_the_end() {
        let memory = Memory::default();
        let (_directory, ending) = ending(memory.clone());
        let made = change(&ending);
        thread::spawn(move || {
            thread::sleep(SOON);
            drop(made);
        });
        ending.end(LATER).await.unwrap();
        assert_eq!(*memory.0.lock().unwrap(), b"made\n");
    }

    #[tokio::test]
    async fn refusals_that_were_counted_are_recorded_before_the_end() {
        let memory = Memory::default();
        let (_directory, ending) = ending(memory.clone());
        let arrived = Arrived {
            request_id: "52fb127b-0fe5-42bb-8e5e-f560febde6b0",
            at: Clock::System.now(),
            peer: std::net::Ipv4Addr::LOCALHOST.into(),
            tls: None,
            host: None,
            user_agent: None,
            generation: 0,
        };
        while !ending.audit.has_sum() {
            drop(ending.audit.open(arrived.clone()).unwrap());
        }
        ending.end(LATER).await.unwrap();
        let text = String::from_utf8(memory.0.lock().unwrap().clone()).unwrap();
        assert!(text.lines().last().unwrap().contains("UnauthenticatedRefusals"), "{text}");
    }

    #[tokio::test]
    async fn a_store_that_hangs_ends_the_program_in_failure_and_in_time() {
        let (_directory, ending) = ending(Memory::default());
        let made = change(&ending);
        let began = Instant::now();
        let error = ending.end(SOON).await.unwrap_err();
        assert!(matches!(error, RunError::Unended("the key store")), "{error}");
        assert!(began.elapsed() < LATER);
        drop(made);
    }

    #[tokio::test]
    async fn a_worker_that_hangs_ends_the_program_in_failure_and_in_time() {
        let (_directory, mut ending) = ending(Memory::default());
        let (released, disk) = mpsc::channel::<()>();
        ending.workers.push(thread::spawn(move || assert!(disk.recv().is_err())));
        let error = ending.end(SOON).await.unwrap_err();
        assert!(matches!(error, RunError::Unended("a worker thread")), "{error}");
        drop(released);
    }

    #[tokio::test]
    async fn records_that_cannot_be_written_end_the_program_in_failure() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::Error::other("no space left"))
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (_directory, ending) = ending(Full);
        drop(change(&ending));
        let error = ending.end(SOON).await.unwrap_err();
        assert!(matches!(error, RunError::Unwritable(_)), "{error}");
        assert!(error.to_string().contains("no space left"), "{error}");
    }
}
