//! The thread on which goes on what no client waits for: credentials are refreshed, replicas counted, and changes that
//! were begun are brought to their end, whatever becomes of the worker that began them.

use std::io;
use std::thread::{self, JoinHandle};

use tokio::runtime::{Builder, Handle};
use tokio::sync::{mpsc, oneshot};

/// The way to the thread. It ends when the last of these is gone, with all that runs on it.
#[derive(Clone, Debug)]
pub(super) struct Background {
    handle: Handle,
    _open: mpsc::Sender<()>,
}

impl Background {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// When the operating system gives no thread or no runtime.
    pub(super) fn start() -> io::Result<(Self, JoinHandle<()>)> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (open, mut closed) = mpsc::channel(1);
        let handle = runtime.handle().clone();
        let run = move || runtime.block_on(async move { while closed.recv().await.is_some() {} });
        let thread = thread::Builder::new().name("upstream".into()).spawn(run)?;
        Ok((Self { handle, _open: open }, thread))
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
