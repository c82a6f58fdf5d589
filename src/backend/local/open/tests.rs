//! What is found again, and what is refused: another site's rows, rows that do not belong together, another root key.

use serde_json::{Value, json};

use super::super::store::{Change, Kind, Row, RowId};
use super::super::testing::{ACCOUNT, Local, region};
use super::*;
use crate::aws::{AliasName, Operation};

/// A store with two keys, one of them to be deleted, and an alias.
fn filled() -> Local {
    let local = Local::new();
    let (one, two) = (local.create_key(), local.create_key());
    local.create_alias("alias/orders", &one);
    local.schedule_deletion(&two);
    local.ok(Operation::CreateKey, &json!({"Description": "with a text", "Tags": [{"TagKey": "t", "TagValue": "v"}]}));
    local
}

/// Everything that can be asked of a store.
fn answers(local: &Local) -> Vec<Value> {
    let keys: Vec<_> = local.entries().keys.keys().copied().collect();
    let describe = |id: crate::aws::KeyId| local.ok(Operation::DescribeKey, &json!({"KeyId": id.as_str()}));
    let mut answers: Vec<_> = keys.into_iter().map(describe).collect();
    answers.push(local.ok(Operation::ListKeys, &json!({})));
    answers.push(local.ok(Operation::ListAliases, &json!({})));
    answers
}

fn refused(result: Result<Local, OpenError>) -> String {
    result.err().expect("it opens").to_string()
}

#[test]
fn a_store_that_is_opened_again_answers_as_before() {
    let local = filled();
    let before = answers(&local);
    let local = local.reopened();
    assert_eq!(answers(&local), before);
    // Also after a change since.
    local.create_key();
    let before = answers(&local);
    assert_eq!(answers(&local.reopened()), before);
}

#[test]
fn a_key_is_ensured_once() {
    let local = Local::new();
    let alias: AliasName = "alias/quickstart".parse().unwrap();
    let key = local.backend.ensure_key(&region(), &alias, "first").unwrap();
    assert_eq!(local.backend.ensure_key(&region(), &alias, "second").unwrap(), key);
    let local = local.reopened();
    assert_eq!(local.backend.ensure_key(&region(), &alias, "third").unwrap(), key);
    let metadata = &local.ok(Operation::DescribeKey, &json!({"KeyId": "alias/quickstart"}))["KeyMetadata"];
    assert_eq!(metadata["Description"], "first");
    assert_eq!(local.entries().keys.len(), 1);
}

#[test]
fn the_keys_of_another_region_or_account_are_refused() {
    for (region, account) in [("eu-west-1", ACCOUNT), ("us-east-1", "444455556666")] {
        let text = refused(filled().reopened_for(region, account));
        assert!(text.contains("it is of another region or account: arn:aws:kms:us-east-1:111122223333:key/"), "{text}");
        assert!(text.contains("hint: "), "{text}");
    }
}

#[test]
fn rows_that_do_not_belong_together_are_refused_by_name() {
    let deleted = |kind| {
        move |rows: &[Row]| {
            let of_kind = rows.iter().filter(|row| row.id.kind == kind);
            Change { put: Vec::new(), delete: of_kind.map(|row| row.id.clone()).collect() }
        }
    };
    assert!(refused(filled().edited(deleted(Kind::Key))).contains("its key is not there"));
    assert!(filled().edited(deleted(Kind::Alias)).is_ok());
}

#[test]
fn key_material_opens_only_for_the_key_that_it_was_made_for() {
    let local = filled();
    let text = refused(local.edited(|rows| {
        let keys: Vec<_> = rows.iter().filter(|row| row.id.kind == Kind::Key).collect();
        let body = |row: &Row| serde_json::from_slice::<Value>(&row.body).unwrap();
        let (mut edited, other) = (body(keys[0]), body(keys[1]));
        edited["materials"] = other["materials"].clone();
        Change { put: vec![Row { id: keys[0].id.clone(), body: edited.to_string().into_bytes() }], delete: Vec::new() }
    }));
    assert!(text.contains("its key material does not open"), "{text}");
}

#[test]
fn a_row_of_a_kmsgate_to_come_is_refused_and_not_guessed_at() {
    for (from, to, reason) in [
        (r#""Enabled""#, r#""Unavailable""#, "it has the state `Unavailable`"),
        (r#""state""#, r#""more":1,"state""#, "unknown field `more`"),
        (r#""arn:aws:kms"#, r#""arn:aws:KMS"#, "cannot be read"),
    ] {
        let text = refused(filled().edited(|rows| {
            let edited = |row: &Row| String::from_utf8(row.body.clone()).unwrap().replace(from, to).into_bytes();
            let all = rows.iter().filter(|row| row.id.kind == Kind::Key);
            let put = all.map(|row| Row { id: row.id.clone(), body: edited(row) }).collect();
            Change { put, delete: Vec::new() }
        }));
        assert!(text.contains(reason), "{text}");
    }
}

#[test]
fn a_key_under_another_keys_name_is_refused() {
    let text = refused(filled().edited(|rows| {
        let keys: Vec<_> = rows.iter().filter(|row| row.id.kind == Kind::Key).collect();
        let put = vec![Row { id: keys[0].id.clone(), body: keys[1].body.clone() }];
        Change { put, delete: vec![RowId::new(Kind::Alias, "us-east-1/alias/orders")] }
    }));
    assert!(text.contains("it has another id"), "{text}");
}

#[test]
fn a_store_without_its_root_key_is_not_given_a_new_one() {
    let local = filled();
    let file = local.root_key_file();
    std::fs::remove_file(&file).unwrap();
    let text = refused(local.reopened_for("us-east-1", ACCOUNT));
    assert!(text.contains("it exists, but its root key's file does not"), "{text}");
    assert!(!file.exists(), "a new root key would open nothing");
}

#[test]
fn a_store_under_another_root_key_is_refused() {
    let local = filled();
    let file = local.root_key_file();
    std::fs::remove_file(&file).unwrap();
    drop(RootKey::create(&file).unwrap());
    let text = refused(local.reopened_for("us-east-1", ACCOUNT));
    assert!(text.contains("was created with another root key"), "{text}");
}
