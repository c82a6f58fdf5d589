//! What is counted of one upstream's connections; the module above says what each means.

use std::sync::Arc;

use metrics::{Counter, Gauge, counter, gauge};

use super::failure::FailureKind;

/// The handles, which cost a look-up each to make and next to nothing to use.
pub(super) struct Counts {
    opened: Counter,
    open: Gauge,
    failures: [(FailureKind, Counter); FailureKind::ALL.len()],
}

/// One open connection; dropped, it is closed.
pub(super) struct Open(Arc<Counts>);

impl Counts {
    pub(super) fn new(upstream: &str) -> Self {
        let failed = |kind: FailureKind| counter!("kmsgate_upstream_failures_total", "upstream" => upstream.to_owned(), "kind" => kind.name());
        Self {
            opened: counter!("kmsgate_upstream_connections_opened_total", "upstream" => upstream.to_owned()),
            open: gauge!("kmsgate_upstream_connections", "upstream" => upstream.to_owned()),
            failures: FailureKind::ALL.map(|kind| (kind, failed(kind))),
        }
    }

    pub(super) fn opened(counts: &Arc<Self>) -> Open {
        counts.opened.increment(1);
        counts.open.increment(1);
        Open(Arc::clone(counts))
    }

    pub(super) fn failed(&self, kind: FailureKind) {
        if let Some((_, counter)) = self.failures.iter().find(|(of, _)| *of == kind) {
            counter.increment(1);
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.decrement(1);
    }
}
