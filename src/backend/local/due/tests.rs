//! What a key becomes when its date comes.

use serde_json::{Value, json};

use super::super::testing::Local;
use super::*;
use crate::aws::{KeyArn, Operation};

#[test]
fn a_key_is_deleted_on_its_date_with_its_aliases_and_not_before() {
    let local = Local::new();
    let key = local.create_key();
    local.create_alias("alias/orders", &key);
    local.ok(Operation::ScheduleKeyDeletion, &json!({"KeyId": key.as_str(), "PendingWindowInDays": 7}));
    local.pass(6);
    assert_eq!(local.entries().keys.len(), 1);
    local.pass(1);
    assert!(local.entries().keys.is_empty() && local.entries().aliases.is_empty());
    let by_id = json!({"KeyId": key.as_str()});
    let gone = format!("NotFoundException: Key '{key}' does not exist");
    assert_eq!(local.refusal(Operation::DescribeKey, &by_id), gone);
    assert_eq!(local.refusal(Operation::CancelKeyDeletion, &by_id), gone);
    // Its alias can be given to another.
    let other = local.create_key();
    local.create_alias("alias/orders", &other);
    let local = local.reopened();
    assert_eq!(local.entries().keys.keys().copied().collect::<Vec<_>>(), [other.id()]);
}

#[test]
fn a_deletion_that_was_cancelled_is_not_due() {
    let local = Local::new();
    let key = local.create_key();
    local.schedule_deletion(&key);
    local.ok(Operation::CancelKeyDeletion, &json!({"KeyId": key.as_str()}));
    local.pass(31);
    assert_eq!(local.entries().key(key.id()).unwrap().state.name(), "Disabled");
}

#[test]
fn what_came_due_while_nothing_ran_is_done_at_the_next_start() {
    let local = Local::new();
    let (key, other) = (local.create_key(), local.create_key());
    local.schedule_deletion(&key);
    let clock = local.clock.clone();
    let at = local.entries().key(key.id()).unwrap().state.deletion_date().unwrap();
    clock.set(at);
    let local = local.reopened();
    local.pass(0);
    assert_eq!(local.entries().keys.keys().copied().collect::<Vec<_>>(), [other.id()]);
}

fn with_rotation(local: &Local, days: u32) -> KeyArn {
    let key = local.create_key();
    local.ok(Operation::EnableKeyRotation, &json!({"KeyId": key.as_str(), "RotationPeriodInDays": days}));
    key
}

/// How the key's rotations came, and in how many days the next one does, from the day on which the clock stood first.
fn rotations(local: &Local, key: &KeyArn) -> (Vec<Value>, f64) {
    let of = json!({"KeyId": key.as_str()});
    let listed = local.ok(Operation::ListKeyRotations, &of)["Rotations"].as_array().unwrap().clone();
    let kinds = listed.into_iter().map(|rotation| rotation["RotationType"].clone()).collect();
    let next = local.ok(Operation::GetKeyRotationStatus, &of)["NextRotationDate"].as_f64().unwrap();
    // 2026-11-23T18:22:41Z
    (kinds, (next - 1_795_458_161.0) / 86_400.0)
}

fn automatic(times: usize) -> Vec<Value> {
    vec![json!("AUTOMATIC"); times]
}

#[test]
fn a_key_is_rotated_on_its_dates_and_not_before() {
    let local = Local::new();
    let key = with_rotation(&local, 90);
    let blob = local.encrypt(&key, "c2VjcmV0", &json!({}));
    local.pass(89);
    assert_eq!(rotations(&local, &key), (automatic(0), 90.0));
    local.pass(1);
    assert_eq!(rotations(&local, &key), (automatic(1), 180.0));
    let local = local.reopened();
    local.pass(90);
    assert_eq!(rotations(&local, &key), (automatic(2), 270.0));
    let answer = local.ok(Operation::Decrypt, &json!({"CiphertextBlob": blob}));
    assert_eq!(answer["Plaintext"], "c2VjcmV0");
}

#[test]
fn a_rotation_that_came_a_little_late_moves_no_date() {
    let local = Local::new();
    let key = with_rotation(&local, 90);
    let due = local.entries().key(key.id()).unwrap().rotation.unwrap().next;
    local.clock.set(due.plus(Duration::from_secs(24 * 3600 - 1)));
    local.pass(0);
    assert_eq!(rotations(&local, &key), (automatic(1), 180.0));
}

#[test]
fn dates_that_went_by_are_made_up_for_once_and_counted_on_from_then() {
    let local = Local::new();
    let key = with_rotation(&local, 90);
    local.clock.set(local.entries().key(key.id()).unwrap().created.plus(DAY * 400));
    let local = local.reopened();
    local.pass(0);
    assert_eq!(rotations(&local, &key), (automatic(1), 490.0));
}

#[test]
fn a_disabled_key_is_not_rotated_until_it_is_enabled_again() {
    let local = Local::new();
    let (overdue, early) = (with_rotation(&local, 90), with_rotation(&local, 120));
    let enable = |key: &KeyArn| local.ok(Operation::EnableKey, &json!({"KeyId": key.as_str()}));
    for key in [&overdue, &early] {
        local.disable(key);
    }
    local.pass(100);
    assert_eq!(rotations(&local, &overdue), (automatic(0), 90.0));
    for key in [&overdue, &early] {
        enable(key);
    }
    local.pass(0);
    assert_eq!(rotations(&local, &overdue), (automatic(1), 190.0));
    // Whose date has not come has the dates it had.
    assert_eq!(rotations(&local, &early), (automatic(0), 120.0));
    local.pass(20);
    assert_eq!(rotations(&local, &early), (automatic(1), 240.0));
}

#[test]
fn a_key_that_waits_for_its_deletion_is_not_rotated() {
    let local = Local::new();
    let key = with_rotation(&local, 90);
    local.pass(80);
    local.schedule_deletion(&key);
    local.pass(20);
    local.ok(Operation::CancelKeyDeletion, &json!({"KeyId": key.as_str()}));
    local.pass(0);
    assert_eq!(rotations(&local, &key), (automatic(0), 90.0));
    local.ok(Operation::EnableKey, &json!({"KeyId": key.as_str()}));
    local.pass(0);
    assert_eq!(rotations(&local, &key), (automatic(1), 190.0));
}

#[test]
fn a_rotation_that_is_switched_off_is_not_due() {
    let local = Local::new();
    let key = with_rotation(&local, 90);
    local.ok(Operation::DisableKeyRotation, &json!({"KeyId": key.as_str()}));
    local.pass(400);
    let listed = local.ok(Operation::ListKeyRotations, &json!({"KeyId": key.as_str()}));
    assert_eq!(listed["Rotations"], json!([]));
}
