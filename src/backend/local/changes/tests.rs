//! Changes that come together, change each other's ground, or cannot be stored.

use std::sync::Mutex;
use std::sync::mpsc as channel;

use serde_json::{Value, json};

use super::super::testing::{CALLER, Local, region, wait};
use super::*;
use crate::aws::{KeyArn, Operation};
use crate::kms::Input;

/// A change on its way.
type Answering = std::pin::Pin<Box<dyn Future<Output = Result<Answer, Exception>> + Send>>;

fn submit(local: &Local, operation: Operation, body: &Value, done: Done) -> Answering {
    let input = Input::parse(operation, body.to_string().as_bytes()).unwrap();
    let keys = local.backend.resolve(&input, &CALLER.parse().unwrap(), &region()).unwrap();
    Box::pin(local.backend.change(input, keys, region(), super::super::Requester::of_test(CALLER, &[]), done))
}

fn alias(local: &Local, name: &str, key: &KeyArn) -> Answering {
    let body = json!({"AliasName": name, "TargetKeyId": key.as_str()});
    submit(local, Operation::CreateAlias, &body, Box::new(|_| ()))
}

/// Keeps the store's thread busy until what it returns is dropped, so that what is submitted meanwhile waits together.
fn hold(local: &Local) -> channel::Sender<()> {
    let (release, held) = channel::channel::<()>();
    let (started, start) = channel::channel();
    let plan = move |_: &Directory, _| {
        started.send(()).unwrap();
        // Ends when the other side is dropped.
        let _ = held.recv();
        Ok((Vec::new(), Answer::empty()))
    };
    drop(local.backend.changes.submit(Box::new(plan), Box::new(|_| ())));
    start.recv().unwrap();
    release
}

#[test]
fn changes_that_wait_together_are_committed_together() {
    let local = Local::new();
    let keys: Vec<_> = (0..4).map(|_| local.create_key()).collect();
    let held = hold(&local);
    let names: Vec<_> = (0..GROUP + 6).map(|number| format!("alias/{number:02}")).collect();
    let answers: Vec<_> = names.iter().zip(keys.iter().cycle()).map(|(name, key)| alias(&local, name, key)).collect();
    drop(held);
    for answer in answers {
        wait(answer).unwrap();
    }
    let entries = local.entries();
    assert!(names.iter().all(|name| entries.aliases.contains_key(name.as_str())));
    // One for each key, one for the group, one for the six that were left.
    assert_eq!(local.revision(), 4 + 2);
}

#[test]
fn of_two_that_want_the_same_one_is_refused_though_both_came_at_once() {
    let local = Local::new();
    let key = local.create_key();
    let held = hold(&local);
    let (first, second) = (alias(&local, "alias/x", &key), alias(&local, "alias/x", &key));
    drop(held);
    wait(first).unwrap();
    assert_eq!(wait(second).unwrap_err().kind(), ExceptionKind::AlreadyExists);
}

#[test]
fn a_change_is_judged_by_the_state_it_is_made_to() {
    let local = Local::new();
    let key = local.create_key();
    let body = json!({"KeyId": key.as_str()});
    let held = hold(&local);
    let schedule = submit(&local, Operation::ScheduleKeyDeletion, &body, Box::new(|_| ()));
    // When this was resolved the key was enabled.
    let disable = submit(&local, Operation::DisableKey, &body, Box::new(|_| ()));
    drop(held);
    wait(schedule).unwrap();
    assert_eq!(wait(disable).unwrap_err().kind(), ExceptionKind::KmsInvalidState);
}

#[test]
fn who_is_told_that_a_change_was_made_can_see_it() {
    let local = Local::new();
    let key = local.create_key();
    let (directory, seen) = (Arc::clone(&local.backend.directory), Arc::new(Mutex::new(None)));
    let note = Arc::clone(&seen);
    let done = move |outcome: Result<&Answer, &Exception>| {
        let there = directory.load().region(&region()).unwrap().aliases.contains_key("alias/x");
        *note.lock().unwrap() = Some((outcome.is_ok(), there));
    };
    let body = json!({"AliasName": "alias/x", "TargetKeyId": key.as_str()});
    wait(submit(&local, Operation::CreateAlias, &body, Box::new(done))).unwrap();
    assert_eq!(*seen.lock().unwrap(), Some((true, true)));
}

#[test]
fn a_change_is_made_whether_or_not_its_answer_is_waited_for() {
    let local = Local::new();
    let key = local.create_key();
    drop(alias(&local, "alias/x", &key));
    // Closing carries out what is queued.
    assert!(local.reopened().entries().aliases.contains_key("alias/x"));
}

#[test]
fn many_threads_change_one_store() {
    let local = Local::new();
    let keys: Vec<_> = (0..4).map(|_| local.create_key()).collect();
    std::thread::scope(|scope| {
        for (thread, key) in keys.iter().enumerate() {
            let local = &local;
            scope.spawn(move || {
                for number in 0..10 {
                    local.create_alias(&format!("alias/{thread}/{number}"), key);
                    local.disable(key);
                    local.ok(Operation::EnableKey, &json!({"KeyId": key.as_str()}));
                }
            });
        }
    });
    let before = local.ok(Operation::ListAliases, &json!({}));
    let local = local.reopened();
    assert_eq!(local.ok(Operation::ListAliases, &json!({})), before);
    assert!(keys.iter().all(|key| local.entries().key(key.id()).unwrap().aliases.len() == 10));
}

#[test]
fn what_cannot_be_stored_is_not_published_and_what_can_goes_on() {
    let local = Local::new();
    let key = local.create_key();
    let local = local.on_a_full_disk();
    assert_eq!(local.backend.unready(), None);
    let large = json!({"Description": "long ".repeat(1600)});
    let exception = local.call(Operation::CreateKey, &large).unwrap_err();
    assert_eq!(exception.kind(), ExceptionKind::KmsInternal);
    assert!(exception.message().is_none(), "the client is told nothing of disks");
    assert!(exception.detail().unwrap().contains("the disk is full"), "{exception:?}");
    assert_eq!(local.entries().keys.len(), 1, "nobody sees the key that was not stored");
    assert!(local.backend.unready().is_some());
    // What changes nothing is answered, and what needs no room is stored.
    local.ok(Operation::DescribeKey, &json!({"KeyId": key.as_str()}));
    local.disable(&key);
    assert_eq!(local.backend.unready(), None);
    let local = local.reopened();
    assert_eq!(local.entries().keys.len(), 1);
    assert_eq!(local.entries().key(key.id()).unwrap().state.name(), "Disabled");
}

#[test]
fn a_store_whose_thread_has_died_is_not_ready_and_says_so() {
    let local = Local::new();
    let key = local.create_key();
    let plan = |_: &Directory, _| Ok((Vec::new(), Answer::empty()));
    let answer = local.backend.changes.submit(Box::new(plan), Box::new(|_| panic!("a defect")));
    assert!(answer.blocking_recv().is_err());
    while local.backend.unready().is_none() {
        std::thread::yield_now();
    }
    let exception = local.call(Operation::DisableKey, &json!({"KeyId": key.as_str()})).unwrap_err();
    assert_eq!(exception.kind(), ExceptionKind::KmsInternal);
    assert_eq!(exception.detail(), Some("the key store has stopped"));
    // What changes nothing goes on.
    local.ok(Operation::DescribeKey, &json!({"KeyId": key.as_str()}));
}

#[test]
fn a_plan_that_panics_costs_its_own_change_alone() {
    let local = Local::new();
    let key = local.create_key();
    let plan = |_: &Directory, _| panic!("a defect");
    let answer = local.backend.changes.submit(Box::new(plan), Box::new(|_| ())).blocking_recv().unwrap();
    assert_eq!(answer.unwrap_err().kind(), ExceptionKind::KmsInternal);
    local.disable(&key);
    assert_eq!(local.backend.unready(), None);
}

#[test]
fn a_refusal_that_rests_on_what_could_not_be_stored_is_taken_back() {
    let local = Local::new();
    let key = local.create_key();
    let local = local.on_a_full_disk();
    let held = hold(&local);
    let large = json!({"Description": "long ".repeat(1600)});
    let creating = submit(&local, Operation::CreateKey, &large, Box::new(|_| ()));
    let answers = [alias(&local, "alias/a", &key), alias(&local, "alias/a", &key)];
    drop(held);
    assert_eq!(wait(creating).unwrap_err().kind(), ExceptionKind::KmsInternal);
    for answer in answers {
        assert_eq!(wait(answer).unwrap_err().kind(), ExceptionKind::KmsInternal, "there is no such alias");
    }
}
