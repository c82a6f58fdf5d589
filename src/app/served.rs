//! The backend of a running program: what its workers are given of it, how it is, and that it ends last.

use std::sync::{Arc, Weak};

use crate::audit::Writer;
use crate::backend::Backend;
use crate::backend::aws::{AwsBackend, Running, Upstreams};
use crate::backend::local::LocalBackend;

/// What answers, for as long as the program runs.
#[derive(Debug)]
pub enum Served {
    /// The gateway itself.
    Local(Arc<LocalBackend>),
    /// KMSs elsewhere.
    Aws(Running),
}

/// What makes a worker's backend, and tells how it is. Keeps it from ending.
#[derive(Clone, Debug)]
pub(super) enum Source {
    Local(Arc<LocalBackend>),
    Aws(Arc<Upstreams>),
}

/// As [`Source`], without keeping it from ending.
pub(super) enum Watched {
    Local(Weak<LocalBackend>),
    Aws(Weak<Upstreams>),
}

impl Served {
    /// What its changes wait for, to an operator.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Local(_) => "the key store",
            Self::Aws(_) => "a call of an upstream",
        }
    }

    /// Lets happen what happens by itself, recorded in `audit`.
    pub(super) fn record_in(&self, audit: &Arc<Writer>) {
        match self {
            Self::Local(local) => local.record_in(Arc::clone(audit)),
            // What happens to keys elsewhere is recorded elsewhere.
            Self::Aws(_) => {}
        }
    }

    pub(super) fn source(&self) -> Source {
        match self {
            Self::Local(local) => Source::Local(Arc::clone(local)),
            Self::Aws(running) => Source::Aws(Arc::clone(running.upstreams())),
        }
    }

    pub(super) fn watched(&self) -> Watched {
        match self {
            Self::Local(local) => Watched::Local(Arc::downgrade(local)),
            Self::Aws(running) => Watched::Aws(Arc::downgrade(running.upstreams())),
        }
    }
}

impl Source {
    /// The backend for one more worker. Runs on the worker's own runtime, on which connections are made in advance.
    pub(super) fn for_worker(&self) -> Backend {
        match self {
            Self::Local(local) => Backend::Local(Arc::clone(local)),
            Self::Aws(upstreams) => {
                let backend = AwsBackend::new(upstreams);
                let warmed = backend.clone();
                tokio::spawn(async move { warmed.warm().await });
                Backend::Aws(backend)
            }
        }
    }
}

impl Watched {
    /// Why requests would fail.
    pub(super) fn unready(&self) -> Vec<String> {
        match self {
            Self::Local(local) => local.upgrade().and_then(|local| local.unready()).into_iter().collect(),
            Self::Aws(upstreams) => upstreams.upgrade().map(|upstreams| upstreams.unready()).unwrap_or_default(),
        }
    }
}
