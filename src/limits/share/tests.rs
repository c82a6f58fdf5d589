//! What is told and counted, by the exporter that operators read.

use std::iter;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::time::advance;

use super::*;

const SYMMETRIC: usize = 0;
const RSA: usize = 1;

/// Two quotas of one upstream, 1,000 and 10 a second, and what is exported of them.
fn shares() -> (UpstreamShares, PrometheusHandle) {
    let recorder = PrometheusBuilder::new().build_recorder();
    let budgets = [("symmetric", 1_000.0), ("rsa", 10.0)];
    let shares = metrics::with_local_recorder(&recorder, || UpstreamShares::new("home", &budgets));
    (shares, recorder.handle())
}

/// The value of one of the meters of a quota.
fn exported(handle: &PrometheusHandle, name: &str, quota: &str) -> f64 {
    let text = handle.render();
    let start = format!("kmsgate_share_{name}{{upstream=\"home\",quota=\"{quota}\"}} ");
    let value = text.lines().find_map(|line| line.strip_prefix(&start));
    value.unwrap_or_else(|| panic!("no `{start}` in {text}")).parse().unwrap()
}

fn budget(handle: &PrometheusHandle, quota: &str) -> f64 {
    // To a thousandth; the rest is what floating point makes of it.
    (exported(handle, "budget_per_second", quota) * 1_000.0).round() / 1_000.0
}

fn replicas(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap()
}

fn principal() -> Subject {
    Subject::of("arn:aws:iam::111122223333:user/alice")
}

/// How many requests of `class` are admitted that come at once.
async fn admitted(shares: &UpstreamShares, class: usize) -> usize {
    let all = futures_util::future::join_all(iter::repeat_with(|| shares.admit(class, principal(), 1)).take(1_000));
    all.await.iter().filter(|outcome| outcome.is_ok()).count()
}

#[tokio::test(start_paused = true)]
async fn each_quota_has_a_budget_of_its_own_and_counts_what_becomes_of_requests() {
    let (shares, handle) = shares();
    assert_eq!(admitted(&shares, RSA).await, 2, "one at once, one within 100 ms");
    assert_eq!(admitted(&shares, SYMMETRIC).await, 121, "the burst, and what flows in 100 ms");
    let counts = |quota| ["admitted_total", "waited_total", "refused_total"].map(|name| exported(&handle, name, quota));
    assert_eq!(counts("rsa").map(|count| count.to_string()), ["2", "1", "998"]);
    assert_eq!(counts("symmetric").map(|count| count.to_string()), ["121", "100", "879"]);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_hangs_up_while_it_waits_has_waited_and_no_more() {
    let (shares, handle) = shares();
    assert!(shares.admit(RSA, principal(), 1).await.is_ok());
    let brief = tokio::time::timeout(Duration::from_millis(10), shares.admit(RSA, principal(), 1));
    assert!(brief.await.is_err());
    let counts = ["admitted_total", "waited_total", "refused_total"].map(|name| exported(&handle, name, "rsa"));
    assert_eq!(counts.map(|count| count.to_string()), ["1", "1", "0"]);
}

#[tokio::test(start_paused = true)]
async fn what_has_no_budget_is_refused() {
    let (shares, _) = shares();
    assert!(shares.admit(2, principal(), 1).await.is_err());
    shares.throttled(2);
}

#[tokio::test(start_paused = true)]
async fn replicas_divide_every_budget() {
    let (shares, handle) = shares();
    for (count, symmetric, rsa) in [(1, 1_000.0, 10.0), (4, 250.0, 2.5), (2, 500.0, 5.0)] {
        shares.set_replicas(replicas(count));
        let told = [budget(&handle, "symmetric"), budget(&handle, "rsa")];
        assert_eq!(told.map(|rate| rate.to_string()), [symmetric, rsa].map(|rate: f64| rate.to_string()), "{count}");
    }
    assert_eq!(admitted(&shares, SYMMETRIC).await, 61, "half of what one alone admits");
}

#[tokio::test(start_paused = true)]
async fn a_throttle_lowers_its_quota_alone_and_time_restores_it() {
    let (shares, handle) = shares();
    let told = || [budget(&handle, "symmetric"), budget(&handle, "rsa")].map(|rate| rate.to_string());
    shares.throttled(SYMMETRIC);
    shares.throttled(SYMMETRIC);
    assert_eq!(told(), ["700", "10"]);
    assert_eq!(exported(&handle, "upstream_throttled_total", "symmetric").to_string(), "2");
    assert_eq!(admitted(&shares, SYMMETRIC).await, 85, "15 at once, 70 within 100 ms");
    advance(Duration::from_millis(1_900)).await;
    shares.classes[SYMMETRIC].recover_if_lowered();
    assert_eq!(told(), ["800", "10"]);
    advance(Duration::from_secs(10)).await;
    assert!(shares.admit(SYMMETRIC, principal(), 1).await.is_ok());
    assert_eq!(told(), ["1000", "10"], "requests count the recovery too");
}

#[tokio::test(start_paused = true)]
async fn replicas_and_throttles_go_together() {
    let (shares, handle) = shares();
    shares.throttled(SYMMETRIC);
    shares.set_replicas(replicas(2));
    assert_eq!(budget(&handle, "symmetric").to_string(), "350");
    advance(Duration::from_secs(20)).await;
    shares.classes[SYMMETRIC].recover_if_lowered();
    assert_eq!(budget(&handle, "symmetric").to_string(), "500");
}
