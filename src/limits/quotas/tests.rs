//! Quotas on a clock that stands still until a test moves it.

use governor::clock::FakeRelativeClock;

use super::*;

fn quota(per_second: u32, burst: u32) -> Quota {
    let positive = |number| NonZeroU32::new(number).unwrap();
    Quota { per_second: positive(per_second), burst: positive(burst), max_wait: Duration::ZERO }
}

fn charge(principal: &str, key: &str, class: Class) -> Charge {
    Charge { principal: principal.into(), keys: [Some(key.into()), None], class }
}

fn limits(quotas: &Quotas) -> (FakeRelativeClock, Limits<FakeRelativeClock>) {
    let clock = FakeRelativeClock::default();
    (clock.clone(), Limits::with_clock(quotas, clock))
}

/// How many of `tries` requests pass.
fn passing(limits: &Limits<FakeRelativeClock>, charge: Charge, tries: u32) -> u32 {
    (0..tries).map(|_| u32::from(limits.check(charge).is_ok())).sum()
}

fn refused_by(limits: &Limits<FakeRelativeClock>, charge: Charge) -> &'static str {
    limits.check(charge).unwrap_err().limiter
}

const ALICE: &str = "arn:aws:iam::111122223333:user/alice";
const BOB: &str = "arn:aws:iam::111122223333:user/bob";

#[test]
fn without_quotas_nothing_is_refused() {
    let (_, limits) = limits(&Quotas::default());
    assert_eq!(passing(&limits, charge(ALICE, "k", Class::Symmetric), 10_000), 10_000);
}

#[test]
fn a_burst_passes_and_then_the_rate() {
    let (clock, limits) = limits(&Quotas { gateway: Some(quota(10, 25)), ..Quotas::default() });
    let request = charge(ALICE, "k", Class::Symmetric);
    assert_eq!(passing(&limits, request, 100), 25);
    clock.advance(Duration::from_secs(1));
    assert_eq!(passing(&limits, request, 100), 10);
    clock.advance(Duration::from_mins(1));
    assert_eq!(passing(&limits, request, 100), 25);
}

#[test]
fn each_principal_and_each_key_has_a_quota_of_its_own() {
    let quotas = Quotas { principal: Some(quota(1, 5)), key: Some(quota(1, 7)), ..Quotas::default() };
    let (_, limits) = limits(&quotas);
    assert_eq!(passing(&limits, charge(ALICE, "k1", Class::Symmetric), 10), 5);
    assert_eq!(refused_by(&limits, charge(ALICE, "k2", Class::Symmetric)), "principal");
    assert_eq!(passing(&limits, charge(BOB, "k1", Class::Symmetric), 10), 2);
    assert_eq!(refused_by(&limits, charge(BOB, "k1", Class::Symmetric)), "key");
    assert_eq!(passing(&limits, charge(BOB, "k2", Class::Symmetric), 10), 3);
}

#[test]
fn a_request_for_two_keys_is_charged_to_both_and_for_one_key_twice_once() {
    let (_, limits) = limits(&Quotas { key: Some(quota(1, 4)), ..Quotas::default() });
    let of_two = |first: &str, second: &str| Charge {
        keys: [Some(first.into()), Some(second.into())],
        ..charge(ALICE, "", Class::Symmetric)
    };
    assert_eq!(passing(&limits, of_two("a", "a"), 3), 3);
    // The second key is charged as the first one is, and what one of them refuses is not charged to the other.
    assert_eq!(passing(&limits, of_two("b", "a"), 10), 1);
    assert_eq!(passing(&limits, charge(ALICE, "a", Class::Symmetric), 10), 0);
    assert_eq!(passing(&limits, charge(ALICE, "b", Class::Symmetric), 10), 3);
}

#[test]
fn a_class_has_a_quota_of_its_own_and_a_request_without_a_key_has_none_for_keys() {
    let quotas =
        Quotas { key: Some(quota(1, 1)), classes: vec![(Class::Management, quota(1, 3))], ..Quotas::default() };
    let (_, limits) = limits(&quotas);
    let create_key = Charge { keys: [None; 2], ..charge(ALICE, "", Class::Management) };
    assert_eq!(passing(&limits, create_key, 10), 3);
    assert_eq!(refused_by(&limits, create_key), "management");
    assert_eq!(passing(&limits, Charge { class: Class::Read, ..create_key }, 10), 10);
}

#[test]
fn every_class_has_its_own_place() {
    for class in Class::ALL {
        let (_, limits) = limits(&Quotas { classes: vec![(class, quota(1, 1))], ..Quotas::default() });
        for other in Class::ALL {
            let expected = if other == class { 1 } else { 2 };
            assert_eq!(passing(&limits, charge(ALICE, "k", other), 2), expected, "{class:?} {other:?}");
        }
    }
}

#[test]
fn what_a_wider_quota_refuses_uses_up_no_narrower_one() {
    let quotas = Quotas {
        principal: Some(quota(1, 10)),
        key: Some(quota(1, 10)),
        classes: vec![(Class::Symmetric, quota(1, 10))],
        gateway: Some(quota(1, 2)),
    };
    let (_, limits) = limits(&quotas);
    let request = charge(ALICE, "k", Class::Symmetric);
    assert_eq!(passing(&limits, request, 50), 2);
    assert_eq!(refused_by(&limits, request), "gateway");
    let wide = limits.reconfigured(&Quotas { gateway: None, ..quotas });
    assert_eq!(passing(&wide, request, 50), 8);
}

#[test]
fn what_a_narrow_quota_refuses_uses_up_no_wider_one() {
    let (_, limits) = limits(&Quotas { principal: Some(quota(1, 1)), gateway: Some(quota(1, 3)), ..Quotas::default() });
    assert_eq!(passing(&limits, charge(ALICE, "k", Class::Symmetric), 50), 1);
    assert_eq!(passing(&limits, charge(BOB, "k", Class::Symmetric), 50), 1);
    assert_eq!(passing(&limits, charge("carol", "k", Class::Symmetric), 50), 1);
}

#[test]
fn a_reload_resets_only_what_changed() {
    let quotas = Quotas { principal: Some(quota(1, 5)), gateway: Some(quota(1, 8)), ..Quotas::default() };
    let (_, limits) = limits(&quotas);
    let (alice, bob) = (charge(ALICE, "k", Class::Symmetric), charge(BOB, "k", Class::Symmetric));
    assert_eq!(passing(&limits, alice, 50), 5);
    // The wait is a matter of patience and not of what was counted.
    let patient = Quota { max_wait: Duration::from_millis(100), ..quota(1, 5) };
    let same = limits.reconfigured(&Quotas { principal: Some(patient), ..quotas.clone() });
    assert_eq!(refused_by(&same, alice), "principal");
    assert_eq!(same.check(alice).unwrap_err().max_wait, Duration::from_millis(100));
    let other = limits.reconfigured(&Quotas { principal: Some(quota(1, 2)), ..quotas });
    assert_eq!(passing(&other, alice, 50), 2);
    assert_eq!(passing(&other, bob, 50), 1, "the gateway's own quota has gone on");
}

#[test]
fn a_refusal_says_when_to_come_back() {
    let (clock, limits) = limits(&Quotas { gateway: Some(quota(4, 1)), ..Quotas::default() });
    let request = charge(ALICE, "k", Class::Symmetric);
    assert_eq!(limits.check(request), Ok(()));
    let refusal = limits.check(request).unwrap_err();
    assert_eq!(refusal.wait, Duration::from_millis(250));
    clock.advance(refusal.wait);
    assert_eq!(limits.check(request), Ok(()));
}

#[tokio::test]
async fn a_short_wait_smooths_a_burst_and_a_long_one_is_refused() {
    let patient = Quota { max_wait: Duration::from_millis(100), ..quota(100, 1) };
    let limits = Limits::new(&Quotas { gateway: Some(patient), ..Quotas::default() });
    let request = charge(ALICE, "k", Class::Symmetric);
    for _ in 0..5 {
        assert_eq!(limits.admit(request).await, Ok(()));
    }
    let slow = Quota { max_wait: Duration::from_millis(100), ..quota(1, 1) };
    let limits = Limits::new(&Quotas { gateway: Some(slow), ..Quotas::default() });
    assert_eq!(limits.admit(request).await, Ok(()));
    assert_eq!(limits.admit(request).await.unwrap_err().limiter, "gateway");
}

#[test]
fn many_threads_together_get_no_more_than_the_quota() {
    let quotas = Quotas {
        principal: Some(quota(1, 10_000)),
        key: Some(quota(1, 10_000)),
        gateway: Some(quota(1, 1_000)),
        ..Quotas::default()
    };
    let (_, limits) = limits(&quotas);
    let request = charge(ALICE, "k", Class::Symmetric);
    let passed: u32 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| passing(&limits, request, 2_000))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(passed, 1_000);
    let rest = limits.reconfigured(&Quotas { gateway: None, ..quotas });
    assert_eq!(passing(&rest, request, 20_000), 9_000, "what was refused was given back, once");
}
