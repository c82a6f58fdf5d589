//! What a key becomes when its date comes.

use serde_json::json;

use super::super::testing::Local;
use crate::aws::Operation;

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
