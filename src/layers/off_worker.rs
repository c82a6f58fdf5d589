//! Where work goes that takes longer than a millisecond: to threads of its own, so that no worker stands still.
//!
//! Both what runs and what waits is bounded. The workers need cores of their own: a client that asks for RSA keys slows
//! other such clients, and nobody else.

use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// How much may be under way for each thread, the one piece that runs included. An RSA key of 4,096 bits takes about
/// 1.5 s: the last of eight is as a rule made within the default deadline of 20 s, and of more it would not be.
const PLACES_FOR_EACH_THREAD: usize = 8;

/// Threads for slow work, shared by all workers.
#[derive(Debug, Clone)]
pub(super) struct OffWorker {
    places: Arc<Semaphore>,
    threads: Arc<Semaphore>,
}

/// As much waits as may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Busy;

impl OffWorker {
    /// Half of the machine's cores.
    pub(super) fn new() -> Self {
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let threads = cores.div_ceil(2);
        Self::bounded(threads, threads * PLACES_FOR_EACH_THREAD)
    }

    /// As many threads, and as many pieces of work under way.
    pub(super) fn bounded(threads: usize, places: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(places)), threads: Arc::new(Semaphore::new(threads)) }
    }

    /// Does `work` when it is its turn, first come, first served. Once it has begun it is done, whether or not anybody
    /// waits for it; a future that is dropped before that never begins it. A panic of `work` is the caller's.
    ///
    /// # Errors
    ///
    /// [`Busy`], if no place is free; nothing was done then.
    pub(super) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Busy> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Busy)?;
        // The semaphore is never closed.
        let thread = Arc::clone(&self.threads).acquire_owned().await.map_err(|_| Busy)?;
        let done = spawn_blocking(move || {
            let _held = (place, thread);
            work()
        });
        done.await.map_err(|error| match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The runtime ends, and with it whoever waits.
            Err(_) => Busy,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::panic::AssertUnwindSafe;
    use std::pin::pin;
    use std::sync::mpsc;

    use futures_util::FutureExt;

    use super::*;

    /// Work that begins when it is polled, and goes on until the sender is dropped.
    fn held_up() -> (mpsc::Sender<()>, impl FnOnce() -> bool + Send + 'static) {
        let (sender, receiver) = mpsc::channel::<()>();
        (sender, move || receiver.recv().is_err())
    }

    #[tokio::test]
    async fn work_is_done_on_another_thread() {
        let here = thread::current().id();
        let there = OffWorker::new().run(|| thread::current().id()).await.unwrap();
        assert_ne!(here, there);
    }

    #[tokio::test]
    async fn what_finds_no_place_is_refused_and_what_waits_has_its_turn() {
        let threads = OffWorker::bounded(1, 2);
        let (sender, work) = held_up();
        let mut first = pin!(threads.run(work));
        assert!(first.as_mut().now_or_never().is_none());
        let mut second = pin!(threads.run(|| "done"));
        assert!(second.as_mut().now_or_never().is_none());
        assert_eq!(threads.run(|| "never").await, Err(Busy));
        drop(sender);
        assert_eq!(first.await, Ok(true));
        assert_eq!(second.await, Ok("done"));
        assert_eq!(threads.run(|| "there is room again").await, Ok("there is room again"));
    }

    #[tokio::test]
    async fn what_has_begun_is_done_and_keeps_its_place_when_nobody_waits_for_it() {
        let threads = OffWorker::bounded(1, 1);
        let (sender, held_up) = held_up();
        let (told, done) = mpsc::channel();
        let mut run = Box::pin(threads.run(move || told.send(held_up()).unwrap()));
        assert!((&mut run).now_or_never().is_none());
        drop(run);
        assert_eq!(threads.run(|| ()).await, Err(Busy));
        drop(sender);
        assert_eq!(done.recv(), Ok(true));
    }

    #[tokio::test]
    async fn what_has_not_begun_is_never_done_and_gives_up_its_place_when_nobody_waits_for_it() {
        let threads = OffWorker::bounded(1, 2);
        let (sender, work) = held_up();
        let mut first = pin!(threads.run(work));
        assert!(first.as_mut().now_or_never().is_none());
        let (told, done) = mpsc::channel();
        let mut second = Box::pin(threads.run(move || told.send(())));
        assert!((&mut second).now_or_never().is_none());
        drop(second);
        // Its work is gone, unbegun.
        assert_eq!(done.recv(), Err(mpsc::RecvError));
        let mut third = pin!(threads.run(|| "done"));
        assert!(third.as_mut().now_or_never().is_none());
        drop(sender);
        assert_eq!(third.await, Ok("done"));
    }

    #[tokio::test]
    async fn a_panic_is_the_callers_and_costs_no_place() {
        let threads = OffWorker::bounded(1, 1);
        let panicking = threads.run(|| assert_eq!(1, 2, "boom"));
        let panic = AssertUnwindSafe(panicking).catch_unwind().await.unwrap_err();
        assert!(panic.downcast_ref::<String>().unwrap().contains("boom"));
        assert_eq!(threads.run(|| ()).await, Ok(()));
    }
}
