//! What is counted.

use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::time::timeout;

use super::*;

#[tokio::test]
async fn connections_and_failures_are_counted_for_their_upstream() {
    let upstream = Upstream::saying(ANSWER).await;
    let recorder = PrometheusBuilder::new().build_recorder();
    let transport = ::metrics::with_local_recorder(&recorder, || {
        upstream.transport_with(Timeouts { first_byte: SHORT, ..TIMEOUTS }, CONNECTIONS)
    });
    let shows = |line: &str| recorder.handle().render().lines().any(|shown| shown == line);
    let open = |count| format!("kmsgate_upstream_connections{{upstream=\"111122223333/eu-west-1\"}} {count}");
    let failed = |kind, count| {
        format!("kmsgate_upstream_failures_total{{upstream=\"111122223333/eu-west-1\",kind=\"{kind}\"}} {count}")
    };

    transport.warm(2).await;
    assert!(shows("kmsgate_upstream_connections_opened_total{upstream=\"111122223333/eu-west-1\"} 2"));
    assert!(shows(&open(2)));
    // The second request of a connection is never answered here.
    let failed_at_last = async { while transport.ask().await.is_ok() {} };
    timeout(LONG, failed_at_last).await.unwrap();
    assert!(shows(&failed("first_byte_timeout", 1)), "{}", recorder.handle().render());
    assert!(shows(&failed("broken", 0)));
    drop(transport);
    let closed = async {
        while !shows(&open(0)) {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, closed).await.unwrap();
}
