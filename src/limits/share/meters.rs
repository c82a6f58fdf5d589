//! What is counted of one budget. The names and what they mean stand in the module's header.

use std::fmt;

use metrics::{Counter, Gauge, counter, gauge};

/// The meters of one quota of one upstream, made once: counting then looks nothing up.
pub(super) struct Meters {
    pub(super) budget: Gauge,
    pub(super) waited: Counter,
    pub(super) upstream_throttled: Counter,
    admitted: Counter,
    refused: Counter,
}

impl Meters {
    pub(super) fn new(upstream: &str, quota: &'static str) -> Self {
        let labels = [("upstream", upstream.to_owned()), ("quota", quota.to_owned())];
        Self {
            budget: gauge!("kmsgate_share_budget_per_second", &labels),
            waited: counter!("kmsgate_share_waited_total", &labels),
            upstream_throttled: counter!("kmsgate_share_upstream_throttled_total", &labels),
            admitted: counter!("kmsgate_share_admitted_total", &labels),
            refused: counter!("kmsgate_share_refused_total", &labels),
        }
    }

    pub(super) fn count(&self, admitted: bool) {
        let outcome = if admitted { &self.admitted } else { &self.refused };
        outcome.increment(1);
    }
}

impl fmt::Debug for Meters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meters").finish_non_exhaustive()
    }
}
