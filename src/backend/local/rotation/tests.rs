//! The operations of rotation: what they answer, whom they refuse, and that no ciphertext is lost by them. What happens
//! on a due date, `due/tests.rs` shows.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::key::MultiRegion;
use super::super::testing::{Local, members, region};
use super::*;
use crate::aws::{KeyArn, Operation, Region};

const ALL: [Operation; 5] = [
    Operation::EnableKeyRotation,
    Operation::DisableKeyRotation,
    Operation::GetKeyRotationStatus,
    Operation::RotateKeyOnDemand,
    Operation::ListKeyRotations,
];
/// 2026-11-23T18:22:41Z, where the clock stands.
const NOW: f64 = 1_795_458_161.0;
const DAY: f64 = 86_400.0;

fn of(key: &KeyArn) -> Value {
    json!({"KeyId": key.as_str()})
}

fn switch_on(local: &Local, key: &KeyArn, days: u32) {
    let body = json!({"KeyId": key.as_str(), "RotationPeriodInDays": days});
    assert_eq!(local.ok(Operation::EnableKeyRotation, &body), Value::Null);
}

fn status_of(local: &Local, key: &KeyArn) -> Value {
    local.ok(Operation::GetKeyRotationStatus, &of(key))
}

fn rotate(local: &Local, key: &KeyArn) {
    assert_eq!(local.ok(Operation::RotateKeyOnDemand, &of(key)), json!({"KeyId": key.as_str()}));
}

fn listed(local: &Local, key: &KeyArn, include: &str) -> Vec<Value> {
    let body = json!({"KeyId": key.as_str(), "IncludeKeyMaterial": include});
    let answer = local.ok(Operation::ListKeyRotations, &body);
    assert_eq!(answer["Truncated"], false);
    answer["Rotations"].as_array().unwrap().clone()
}

fn current_material(local: &Local, key: &KeyArn) -> Value {
    local.ok(Operation::DescribeKey, &of(key))["KeyMetadata"]["CurrentKeyMaterialId"].clone()
}

fn made(local: &Local, body: &Value) -> KeyArn {
    local.ok(Operation::CreateKey, body)["KeyMetadata"]["Arn"].as_str().unwrap().parse().unwrap()
}

#[test]
fn a_rotation_is_switched_on_changed_and_off_and_survives_a_restart() {
    let local = Local::new();
    let key = local.create_key();
    let off = json!({"KeyId": key.as_str(), "KeyRotationEnabled": false});
    assert_eq!(status_of(&local, &key), off);
    assert_eq!(local.ok(Operation::EnableKeyRotation, &of(&key)), Value::Null);
    let on = |days: u32, next: f64| {
        json!({"KeyId": key.as_str(), "KeyRotationEnabled": true, "RotationPeriodInDays": days,
               "NextRotationDate": next})
    };
    assert_eq!(status_of(&local, &key), on(365, NOW + 365.0 * DAY));
    local.pass(10);
    switch_on(&local, &key, 90);
    assert_eq!(status_of(&local, &key), on(90, NOW + 100.0 * DAY));
    let local = local.reopened();
    assert_eq!(status_of(&local, &key), on(90, NOW + 100.0 * DAY));
    assert_eq!(local.ok(Operation::DisableKeyRotation, &of(&key)), Value::Null);
    assert_eq!(local.ok(Operation::DisableKeyRotation, &of(&key)), Value::Null);
    let local = local.reopened();
    assert_eq!(status_of(&local, &key), off);
}

#[test]
fn a_period_is_between_90_and_2560_days() {
    let local = Local::new();
    let key = local.create_key();
    for days in [90, 2560] {
        switch_on(&local, &key, days);
        assert_eq!(status_of(&local, &key)["RotationPeriodInDays"], days);
    }
    for (days, bound) in [(89, "greater than or equal to 90"), (2561, "less than or equal to 2560")] {
        let body = json!({"KeyId": key.as_str(), "RotationPeriodInDays": days});
        assert_eq!(
            local.refusal(Operation::EnableKeyRotation, &body),
            format!(
                "ValidationException: 1 validation error detected: Value '{days}' at 'rotationPeriodInDays' failed to \
                 satisfy constraint: Member must have value {bound}"
            )
        );
    }
    assert_eq!(status_of(&local, &key)["RotationPeriodInDays"], 2560);
}

#[test]
fn a_key_to_be_deleted_has_no_rotation_until_it_is_saved() {
    let local = Local::new();
    let key = local.create_key();
    switch_on(&local, &key, 90);
    local.schedule_deletion(&key);
    assert_eq!(status_of(&local, &key), json!({"KeyId": key.as_str(), "KeyRotationEnabled": false}));
    local.ok(Operation::CancelKeyDeletion, &of(&key));
    assert_eq!(status_of(&local, &key)["KeyRotationEnabled"], true);
}

#[test]
fn new_material_encrypts_and_the_old_still_decrypts() {
    let local = Local::new();
    let key = local.create_key();
    let context = json!({"tenant": "blue"});
    let mut blobs = Vec::new();
    for _ in 0..3 {
        blobs.push((current_material(&local, &key), local.encrypt(&key, "c2VjcmV0", &context)));
        rotate(&local, &key);
    }
    let local = local.reopened();
    for (material, blob) in blobs {
        let body = json!({"CiphertextBlob": blob, "EncryptionContext": context});
        let answer = local.ok(Operation::Decrypt, &body);
        assert_eq!((&answer["Plaintext"], &answer["KeyMaterialId"]), (&json!("c2VjcmV0"), &material));
        assert_ne!(material, current_material(&local, &key));
    }
    let answer = local.ok(Operation::GenerateDataKey, &json!({"KeyId": key.as_str(), "KeySpec": "AES_256"}));
    assert_eq!(answer["KeyMaterialId"], current_material(&local, &key));
}

#[test]
fn a_key_is_rotated_on_demand_25_times_in_its_life() {
    let local = Local::new();
    let key = local.create_key();
    for _ in 0..25 {
        rotate(&local, &key);
    }
    let limit = format!(
        "LimitExceededException: The on-demand rotations limit has been reached for the given keyId. No more on-demand \
         rotations can be performed for this key: {key}"
    );
    assert_eq!(local.refusal(Operation::RotateKeyOnDemand, &of(&key)), limit);
    // Those that come by themselves do not count, and are not counted out.
    switch_on(&local, &key, 90);
    local.pass(90);
    assert_eq!(listed(&local, &key, "ROTATIONS_ONLY").len(), 26);
    assert_eq!(local.refusal(Operation::RotateKeyOnDemand, &of(&key)), limit);
}

#[test]
fn a_rotation_on_demand_changes_no_dates_and_keeps_clear_of_the_next_one() {
    let local = Local::new();
    let key = local.create_key();
    switch_on(&local, &key, 90);
    let before = status_of(&local, &key);
    rotate(&local, &key);
    assert_eq!(status_of(&local, &key), before);
    let due = local.entries().key(key.id()).unwrap().rotation.unwrap().next;
    let minutes = std::time::Duration::from_mins;
    local.clock.set(due.minus(minutes(20)));
    assert_eq!(local.refusal(Operation::RotateKeyOnDemand, &of(&key)), "ConflictException");
    local.clock.set(due.minus(minutes(20) + std::time::Duration::from_micros(1)));
    rotate(&local, &key);
}

#[test]
fn rotations_are_listed_with_when_and_how_they_were() {
    let local = Local::new();
    let key = local.create_key();
    assert_eq!(local.ok(Operation::ListKeyRotations, &of(&key)), json!({"Rotations": [], "Truncated": false}));
    let first = current_material(&local, &key);
    local.pass(1);
    rotate(&local, &key);
    let second = current_material(&local, &key);
    switch_on(&local, &key, 90);
    local.pass(90);
    let third = current_material(&local, &key);
    let expected = [
        json!({"KeyId": key.as_str(), "KeyMaterialId": first, "KeyMaterialState": "NON_CURRENT"}),
        json!({"KeyId": key.as_str(), "KeyMaterialId": second, "KeyMaterialState": "NON_CURRENT",
               "RotationDate": NOW + DAY, "RotationType": "ON_DEMAND"}),
        json!({"KeyId": key.as_str(), "KeyMaterialId": third, "KeyMaterialState": "CURRENT",
               "RotationDate": NOW + 91.0 * DAY, "RotationType": "AUTOMATIC"}),
    ];
    let local = local.reopened();
    assert_eq!(listed(&local, &key, "ALL_KEY_MATERIAL"), expected);
    assert_eq!(listed(&local, &key, "ROTATIONS_ONLY"), expected[1..]);
    assert_eq!(local.ok(Operation::ListKeyRotations, &of(&key))["Rotations"].as_array().unwrap(), &expected[1..]);
}

#[test]
fn rotations_are_listed_page_by_page() {
    let local = Local::new();
    let (key, other) = (local.create_key(), local.create_key());
    for _ in 0..4 {
        rotate(&local, &key);
        rotate(&local, &other);
    }
    for (limit, lengths) in [(1, vec![1; 5]), (2, vec![2, 2, 1]), (4, vec![4, 1]), (5, vec![5]), (1000, vec![5])] {
        let (mut pages, mut marker) = (Vec::new(), Value::Null);
        loop {
            let mut body = json!({"KeyId": key.as_str(), "IncludeKeyMaterial": "ALL_KEY_MATERIAL", "Limit": limit});
            if !marker.is_null() {
                body["Marker"] = marker;
            }
            let answer = local.ok(Operation::ListKeyRotations, &body);
            pages.push(answer["Rotations"].as_array().unwrap().clone());
            if answer["Truncated"] == false {
                assert_eq!(members(&answer), ["Rotations", "Truncated"]);
                break;
            }
            marker = answer["NextMarker"].clone();
        }
        assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), lengths, "{limit}");
        assert_eq!(pages.concat(), listed(&local, &key, "ALL_KEY_MATERIAL"), "{limit}");
    }
    let of_other = local.ok(Operation::ListKeyRotations, &json!({"KeyId": other.as_str(), "Limit": 1}));
    for marker in [json!("x"), of_other["NextMarker"].clone()] {
        let body = json!({"KeyId": key.as_str(), "Marker": marker});
        assert_eq!(local.refusal(Operation::ListKeyRotations, &body), "InvalidMarkerException");
    }
    for limit in [0, 1001] {
        let body = json!({"KeyId": key.as_str(), "Limit": limit});
        assert_eq!(local.code(Operation::ListKeyRotations, &body), "ValidationException");
    }
}

#[test]
fn keys_of_other_kinds_do_not_rotate_whatever_their_state() {
    let local = Local::new();
    for (spec, usage) in
        [("RSA_2048", "ENCRYPT_DECRYPT"), ("ECC_NIST_P256", "SIGN_VERIFY"), ("HMAC_256", "GENERATE_VERIFY_MAC")]
    {
        let key = made(&local, &json!({"KeySpec": spec, "KeyUsage": usage}));
        let refused = || ALL.map(|operation| local.refusal(operation, &of(&key)));
        assert_eq!(refused(), ["UnsupportedOperationException"; 5], "{spec}");
        local.disable(&key);
        assert_eq!(refused(), ["UnsupportedOperationException"; 5], "{spec}");
    }
}

#[test]
fn imported_material_is_not_rotated_by_itself() {
    let local = Local::new();
    let key = made(&local, &json!({"Origin": "EXTERNAL"}));
    let origin =
        format!("UnsupportedOperationException: {key} origin is EXTERNAL which is not valid for this operation.");
    for operation in [Operation::EnableKeyRotation, Operation::DisableKeyRotation, Operation::GetKeyRotationStatus] {
        assert_eq!(local.refusal(operation, &of(&key)), origin);
    }
    let pending = format!("KMSInvalidStateException: {key} is pending import.");
    assert_eq!(local.refusal(Operation::RotateKeyOnDemand, &of(&key)), pending);
    assert_eq!(listed(&local, &key, "ALL_KEY_MATERIAL"), [Value::Null; 0]);
}

#[test]
fn a_key_that_cannot_be_used_is_not_rotated_and_says_how_it_was() {
    let local = Local::new();
    let (disabled, going) = (local.create_key(), local.create_key());
    rotate(&local, &disabled);
    local.disable(&disabled);
    local.schedule_deletion(&going);
    for operation in [Operation::EnableKeyRotation, Operation::DisableKeyRotation, Operation::RotateKeyOnDemand] {
        assert_eq!(local.refusal(operation, &of(&disabled)), format!("DisabledException: {disabled} is disabled."));
        assert_eq!(
            local.refusal(operation, &of(&going)),
            format!("KMSInvalidStateException: {going} is pending deletion.")
        );
    }
    assert_eq!(listed(&local, &disabled, "ROTATIONS_ONLY").len(), 1);
    assert_eq!(listed(&local, &going, "ALL_KEY_MATERIAL").len(), 1);
}

/// Turns a multi-Region primary key into a replica of one in another region.
fn as_replica(local: &Local, key: &KeyArn) {
    let relatives = MultiRegion { primary: "eu-west-1".parse().unwrap(), replicas: vec![region()] };
    let key =
        KeyView { multi_region: Some(Arc::new(relatives)), ..KeyView::clone(local.entries().key(key.id()).unwrap()) };
    let plan = move |_: &Directory, _| Ok((vec![Edit::key(key)], Answer::empty()));
    local.backend.changes.submit(Box::new(plan), Box::new(|_| ())).blocking_recv().unwrap().unwrap();
}

#[test]
fn a_replica_rotates_with_its_primary_key_only() {
    let local = Local::new();
    let key = made(&local, &json!({"MultiRegion": true}));
    switch_on(&local, &key, 90);
    rotate(&local, &key);
    as_replica(&local, &key);
    let refusal = format!("UnsupportedOperationException: {key} is not a multi-region primary key.");
    for operation in [Operation::EnableKeyRotation, Operation::DisableKeyRotation, Operation::RotateKeyOnDemand] {
        assert_eq!(local.refusal(operation, &of(&key)), refusal);
    }
    // Its status and its rotations are those of the primary key, from which it has them.
    assert_eq!(status_of(&local, &key)["RotationPeriodInDays"], 90);
    assert_eq!(listed(&local, &key, "ROTATIONS_ONLY").len(), 1);
    let before = current_material(&local, &key);
    local.pass(90);
    assert_eq!(current_material(&local, &key), before);
}

#[test]
fn new_material_reaches_all_relatives_and_nobody_else() {
    let local = Local::new();
    let (key, other) = (made(&local, &json!({"MultiRegion": true})), local.create_key());
    let there: Region = "eu-west-1".parse().unwrap();
    let mut directory = Directory::loading(&[region(), there.clone()]);
    for key in [&key, &other] {
        let key = KeyView::clone(local.entries().key(key.id()).unwrap());
        directory.put(KeyView { arn: KeyArn::new(&there, key.arn.account(), key.id()), ..key.clone() });
        directory.put(key);
    }
    let rotation = Rotation::every(90, Timestamp::from_unix_seconds(0));
    let rotated = (Timestamp::from_unix_seconds(1), RotationType::Automatic);
    let given = |key: &KeyArn| {
        let key = directory.key(key).unwrap();
        give_new_material(&local.backend.records, &directory, key, Some(rotation), rotated).unwrap()
    };
    let keys = |edits: Vec<Edit>| -> Vec<KeyView> {
        edits.into_iter().map(|edit| if let Edit::PutKey(key) = edit { *key } else { panic!() }).collect()
    };
    let given_to = keys(given(&key));
    let arns: Vec<_> = given_to.iter().map(|key| key.arn.clone()).collect();
    assert_eq!(arns, [key.clone(), KeyArn::new(&there, key.account(), key.id())]);
    let [one, two] = [0, 1].map(|number| given_to[number].sealer().unwrap().material());
    assert_eq!((one.id(), one.secret()), (two.id(), two.secret()));
    assert!(given_to.iter().all(|key| key.rotation == Some(rotation) && key.materials.used().count() == 2));
    assert_eq!(keys(given(&other)).iter().map(|key| &key.arn).collect::<Vec<_>>(), [&other]);
}
