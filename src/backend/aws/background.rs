//! The thread on which goes on what no client waits for: credentials are refreshed, replicas counted, and changes that
//! were begun are brought to their end, whatever becomes of the worker that began them.

use std::io;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::{mpsc, oneshot};

/// How long the end of the program waits for changes under way: less than the program has for its last records, so
/// that one which is given up is recorded.
const LAST_CHANGES: Duration = Duration::from_secs(7);
/// How often it is looked whether they are done.
const STEP: Duration = Duration::from_millis(5);

/// The way to the thread. It ends when the last of these is gone, with all that runs on it.
#[derive(Clone, Debug)]
pub(super) struct Background {
    handle: Handle,
    _open: mpsc::Sender<()>,
}

/// The thread. Dropping this waits until it has ended: once the last way to it is gone, or some seconds later, when
/// changes that are still under way are given up, and recorded as such.
#[derive(Debug)]
pub(super) struct Thread {
    thread: Option<JoinHandle<()>>,
    give_up: Option<oneshot::Sender<()>>,
}

impl Background {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// When the operating system gives no thread or no runtime.
    pub(super) fn start() -> io::Result<(Thread, Self)> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (open, mut closed) = mpsc::channel(1);
        let (give_up, told_to) = oneshot::channel();
        let handle = runtime.handle().clone();
        let run = move || {
            runtime.block_on(async move {
                tokio::select! {
                    // Nothing is ever sent.
                    _ = closed.recv() => {}
                    Ok(()) = told_to => tracing::error!("changes under way are given up: see what their upstream did"),
                }
            });
            // What was given up is dropped here. A name that is being looked up is not waited for.
            runtime.shutdown_background();
        };
        let thread = thread::Builder::new().name("upstream".into()).spawn(run)?;
        Ok((Thread { thread: Some(thread), give_up: Some(give_up) }, Self { handle, _open: open }))
    }

    /// The runtime of the thread.
    pub(super) const fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Carries out `work` there, to its end, also when what this returns is dropped. `None` if the thread has ended.
    pub(super) fn carry_out<W>(&self, work: W) -> impl Future<Output = Option<W::Output>> + Send + use<W>
    where
        W: Future<Output: Send> + Send + 'static,
    {
        let (done, outcome) = oneshot::channel();
        let open = self.clone();
        self.handle.spawn(async move {
            // Nobody may wait for it any more.
            let _ = done.send(work.await);
            drop(open);
        });
        async move { outcome.await.ok() }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        let mut left = LAST_CHANGES;
        while !thread.is_finished() && !left.is_zero() {
            thread::sleep(STEP);
            left = left.saturating_sub(STEP);
        }
        // It may have ended just now.
        let _ = self.give_up.take().map(|give_up| give_up.send(()));
        if thread.join().is_err() {
            tracing::error!("the thread of the upstreams has panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_thread_goes_on_until_its_last_owner_is_gone() {
        let (thread, first) = Background::start().unwrap();
        let last = first.clone();
        drop(first);
        assert_eq!(
            last.carry_out(async { thread::current().name().map(str::to_owned) }).await,
            Some(Some("upstream".into()))
        );
        drop(last);
        drop(thread);
    }

    #[test]
    fn what_was_begun_is_brought_to_its_end_before_the_thread_ends() {
        let (thread, background) = Background::start().unwrap();
        let (go, told) = oneshot::channel();
        let (done, outcome) = std::sync::mpsc::channel();
        let work = async move {
            let _ = told.await;
            // A step more, in which the thread could end.
            tokio::task::yield_now().await;
            done.send("done").unwrap();
        };
        // Nobody waits for it, and nobody else keeps the thread.
        drop(background.carry_out(work));
        drop(background);
        go.send(()).unwrap();
        drop(thread);
        assert_eq!(outcome.recv(), Ok("done"));
    }

    #[tokio::test]
    async fn work_that_panics_is_lost_alone() {
        let (_thread, background) = Background::start().unwrap();
        assert_eq!(background.carry_out(async { panic!("as the test has it") }).await, None::<()>);
        assert_eq!(background.carry_out(async { 7 }).await, Some(7));
    }
}
