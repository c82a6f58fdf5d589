//! What is counted, in the text format of Prometheus.

use std::sync::OnceLock;

use http::HeaderValue;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

/// A process counts once, however many gateways it runs.
static METRICS: OnceLock<PrometheusHandle> = OnceLock::new();

/// The type of the text, as Prometheus has it (its exposition formats, version 0.0.4).
pub(super) const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// Begins to count. What was made to count before this does not.
pub fn begin() -> &'static PrometheusHandle {
    METRICS.get_or_init(|| {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("another part of the program counts already: /metrics stays empty");
        }
        handle
    })
}
