//! The rules of tags, in the words recorded from KMS, and their list.

use serde_json::{Value, json};

use super::super::testing::{Local, NO_KEY, members};
use crate::aws::{KeyArn, Operation};

const TAG: Operation = Operation::TagResource;
const UNTAG: Operation = Operation::UntagResource;
const LIST: Operation = Operation::ListResourceTags;

fn with_key() -> (Local, KeyArn) {
    let local = Local::new();
    let key = local.create_key();
    (local, key)
}

fn tags(key: &KeyArn, tags: &[(&str, &str)]) -> Value {
    let tags: Vec<_> = tags.iter().map(|(key, value)| json!({"TagKey": key, "TagValue": value})).collect();
    json!({"KeyId": key.as_str(), "Tags": tags})
}

fn names(key: &KeyArn, names: &[&str]) -> Value {
    json!({"KeyId": key.as_str(), "TagKeys": names})
}

/// `count` tags whose keys begin with `prefix`.
fn many(key: &KeyArn, prefix: &str, count: usize) -> Value {
    let keys: Vec<_> = (0..count).map(|number| format!("{prefix}{number}")).collect();
    tags(key, &keys.iter().map(|key| (key.as_str(), "")).collect::<Vec<_>>())
}

fn listed(local: &Local, key: &KeyArn) -> Vec<(String, String)> {
    let answer = local.ok(LIST, &json!({"KeyId": key.as_str()}));
    let text = |tag: &Value, member: &str| tag[member].as_str().unwrap().to_owned();
    let entries = answer["Tags"].as_array().unwrap().iter();
    entries.map(|tag| (text(tag, "TagKey"), text(tag, "TagValue"))).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn tags_are_given_changed_in_their_place_and_taken_away() {
    let (local, key) = with_key();
    assert_eq!(local.ok(TAG, &tags(&key, &[("Team", "blue"), ("cost", "7")])), Value::Null);
    local.ok(TAG, &tags(&key, &[("stage", ""), ("Team", "green"), ("team", "red")]));
    let all = [("Team", "green"), ("cost", "7"), ("stage", ""), ("team", "red")];
    assert_eq!(listed(&local, &key), pairs(&all), "the case of a tag's key matters");
    assert_eq!(local.ok(UNTAG, &names(&key, &["Team", "stage"])), Value::Null);
    assert_eq!(listed(&local, &key), pairs(&[("cost", "7"), ("team", "red")]));
    let local = local.reopened();
    assert_eq!(listed(&local, &key), pairs(&[("cost", "7"), ("team", "red")]));
}

#[test]
fn a_tag_that_is_not_there_is_taken_away_all_the_same_and_nothing_to_do_costs_no_commit() {
    let (local, key) = with_key();
    local.ok(TAG, &tags(&key, &[("team", "blue")]));
    for absent in [&["stage"][..], &["Team"], &["stage", "stage"], &[]] {
        assert_eq!(local.ok(UNTAG, &names(&key, absent)), Value::Null);
    }
    local.ok(TAG, &tags(&key, &[("team", "blue")]));
    local.ok(TAG, &tags(&key, &[]));
    assert_eq!(listed(&local, &key), pairs(&[("team", "blue")]));
    // The key, and one tag.
    assert_eq!(local.revision(), 2);
}

#[test]
fn tags_that_cannot_be_are_refused_in_the_words_of_kms_and_change_nothing() {
    let (local, key) = with_key();
    local.ok(TAG, &tags(&key, &[("team", "blue")]));
    let reserved = "TagException: Tags beginning with aws: are reserved";
    for name in ["aws:x", "AWS:x", "aWs:"] {
        assert_eq!(local.refusal(TAG, &tags(&key, &[("a", "b"), (name, "")])), reserved);
        assert_eq!(local.refusal(UNTAG, &names(&key, &["team", name])), reserved);
    }
    let twice = tags(&key, &[("a", "1"), ("b", ""), ("a", "2")]);
    assert_eq!(local.refusal(TAG, &twice), "TagException: Duplicate tag keys");
    assert_eq!(local.refusal(TAG, &many(&key, "", 51)), "TagException: Too many tags");
    assert_eq!(listed(&local, &key), pairs(&[("team", "blue")]));
    local.ok(TAG, &tags(&key, &[("aws", ""), ("awsome:x", ""), ("a", "1"), ("A", "2")]));
}

#[test]
fn a_key_has_at_most_50_tags_with_those_that_it_has() {
    let (local, key) = with_key();
    local.ok(TAG, &many(&key, "a", 49));
    assert_eq!(local.refusal(TAG, &many(&key, "b", 2)), "TagException: Too many tags");
    local.ok(TAG, &many(&key, "b", 1));
    let local = local.reopened();
    assert_eq!(local.refusal(TAG, &tags(&key, &[("c", "")])), "TagException: Too many tags");
    local.ok(TAG, &tags(&key, &[("a0", "another value")]));
    local.ok(UNTAG, &names(&key, &["a1"]));
    local.ok(TAG, &tags(&key, &[("c", "")]));
    assert_eq!(listed(&local, &key).len(), 50);
}

#[test]
fn a_key_that_is_going_keeps_its_tags_and_shows_them() {
    let (local, key) = with_key();
    local.ok(TAG, &tags(&key, &[("team", "blue")]));
    local.disable(&key);
    local.ok(TAG, &tags(&key, &[("team", "red")]));
    local.schedule_deletion(&key);
    let pending = format!("KMSInvalidStateException: {} is pending deletion.", key.as_str());
    assert_eq!(local.refusal(TAG, &tags(&key, &[("a", "b")])), pending);
    assert_eq!(local.refusal(UNTAG, &names(&key, &["team"])), pending);
    assert_eq!(listed(&local, &key), pairs(&[("team", "red")]));
    for (operation, body) in [(TAG, json!({"KeyId": NO_KEY, "Tags": []})), (LIST, json!({"KeyId": NO_KEY}))] {
        assert_eq!(local.code(operation, &body), "NotFoundException");
    }
}

#[test]
fn the_list_comes_in_pages_in_the_order_given() {
    let (local, key) = with_key();
    assert_eq!(local.ok(LIST, &json!({"KeyId": key.as_str()})), json!({"Tags": [], "Truncated": false}));
    local.ok(TAG, &tags(&key, &[("c", "1"), ("a", "2"), ("b", "3")]));
    let first = local.ok(LIST, &json!({"KeyId": key.id().as_str(), "Limit": 2}));
    assert_eq!(members(&first), ["NextMarker", "Tags", "Truncated"]);
    assert_eq!(first["Tags"], json!([{"TagKey": "c", "TagValue": "1"}, {"TagKey": "a", "TagValue": "2"}]));
    let following = json!({"KeyId": key.as_str(), "Limit": 2, "Marker": first["NextMarker"]});
    local.ok(TAG, &tags(&key, &[("d", "4")]));
    let rest = json!([{"TagKey": "b", "TagValue": "3"}, {"TagKey": "d", "TagValue": "4"}]);
    assert_eq!(local.ok(LIST, &following), json!({"Tags": rest, "Truncated": false}));
    local.ok(UNTAG, &names(&key, &["a"]));
    assert_eq!(local.code(LIST, &following), "InvalidMarkerException");
}

#[test]
fn a_page_has_at_most_50_tags() {
    let (local, key) = with_key();
    local.ok(TAG, &many(&key, "", 50));
    assert_eq!(listed(&local, &key).len(), 50, "a page has 50 tags if nothing is said");
    local.ok(LIST, &json!({"KeyId": key.as_str(), "Limit": 50}));
    for limit in [0, 51, 1001] {
        assert_eq!(local.code(LIST, &json!({"KeyId": key.as_str(), "Limit": limit})), "ValidationException");
    }
    assert_eq!(local.code(LIST, &json!({"KeyId": key.as_str(), "Marker": "x"})), "InvalidMarkerException");
}
