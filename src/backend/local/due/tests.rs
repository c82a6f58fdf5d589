//! What a key becomes when its date comes.

use std::io::{self, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::super::testing::Local;
use super::*;
use crate::audit::Writer;
use crate::aws::{KeyArn, Operation};

/// An audit log in memory, on a disk that may be full.
#[derive(Clone, Default)]
struct Log(Arc<(Mutex<Vec<u8>>, AtomicBool)>);

impl Log {
    fn full(&self, full: bool) {
        self.0.1.store(full, Ordering::SeqCst);
    }

    fn records(&self) -> Vec<Value> {
        let lines = self.0.0.lock().unwrap();
        lines
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.1.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

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

#[test]
fn what_happens_by_itself_is_recorded_as_the_services_own_act_when_it_is_done() {
    let (local, log) = (Local::new(), Log::default());
    let key = local.create_key();
    local.backend.record_in(Arc::new(Writer::inline(log.clone())));
    local.ok(Operation::ScheduleKeyDeletion, &json!({"KeyId": key.as_str(), "PendingWindowInDays": 7}));
    local.pass(6);
    assert_eq!(log.records(), [Value::Null; 0]);
    local.pass(1);
    let records = log.records();
    assert_eq!(records.len(), 1);
    let record = &records[0];
    assert_eq!((&record["eventName"], &record["eventType"]), (&json!("DeleteKey"), &json!("AwsServiceEvent")));
    assert_eq!(record["resources"][0]["ARN"], key.as_str());
    // 2026-11-23 and seven days.
    assert_eq!(record["eventTime"], "2026-11-30T18:22:41Z");
    local.pass(1);
    assert_eq!(log.records().len(), 1, "it is done once, and recorded once");
}

#[test]
fn what_cannot_be_recorded_does_not_happen_until_it_can() {
    let (local, log) = (Local::new(), Log::default());
    let (first, second) = (local.create_key(), local.create_key());
    let writer = Arc::new(Writer::inline(log.clone()));
    local.backend.record_in(Arc::clone(&writer));
    local.ok(Operation::ScheduleKeyDeletion, &json!({"KeyId": first.as_str(), "PendingWindowInDays": 7}));
    local.ok(Operation::ScheduleKeyDeletion, &json!({"KeyId": second.as_str(), "PendingWindowInDays": 8}));
    log.full(true);
    // The log is only found full when it is written: that record is kept, and what it tells of was done.
    local.pass(7);
    assert!(local.entries().key(first.id()).is_none() && writer.health().is_err());
    local.pass(1);
    assert!(local.entries().key(second.id()).is_some());
    log.full(false);
    local.pass(0);
    assert!(local.entries().keys.is_empty());
    let keys: Vec<_> = log.records().iter().map(|record| record["serviceEventDetails"]["keyId"].clone()).collect();
    assert_eq!(keys, [first.id().as_str(), second.id().as_str()]);
}

#[test]
fn without_an_audit_log_nothing_happens_by_itself() {
    let local = Local::new();
    let key = local.create_key();
    local.schedule_deletion(&key);
    let date = local.entries().key(key.id()).unwrap().state.deletion_date().unwrap();
    local.clock.set(date);
    // What is due is done behind each change.
    local.create_key();
    local.create_key();
    assert!(local.entries().key(key.id()).is_some());
    local.pass(0);
    assert!(local.entries().key(key.id()).is_none());
}
