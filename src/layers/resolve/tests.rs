//! What a request's names lead to, here and in [`forwarding`] elsewhere.

mod forwarding;

use serde_json::{Value, json};

use super::super::testing::{ALIAS, World};
use super::*;

fn resources(world: &World) -> Vec<String> {
    let record = world.record();
    let resources = record["resources"].as_array().unwrap().iter();
    resources.map(|resource| resource["ARN"].as_str().unwrap().to_owned()).collect()
}

fn refusal(world: &World, operation: &str, body: &Value) -> Error {
    from_store(&world.backend(), world.parsed(world.request(operation, body))).unwrap_err()
}

#[test]
fn a_key_that_is_found_is_the_one_that_is_judged_and_recorded() {
    let world = World::new();
    let key = world.key();
    let resolved = world.resolved(world.request("DescribeKey", &json!({"KeyId": ALIAS})));
    assert_eq!(*resolved.keys.main.as_ref().unwrap().key.arn(), key);
    drop(resolved);
    assert_eq!(resources(&world), [key.as_str()]);
}

#[test]
fn an_alias_to_be_is_recorded_before_its_key() {
    let world = World::new();
    let key = world.key();
    let body = json!({"AliasName": "alias/new", "TargetKeyId": key.id().as_str()});
    drop(world.resolved(world.request("CreateAlias", &body)));
    assert_eq!(resources(&world), ["arn:aws:kms:us-east-1:111122223333:alias/new", key.as_str()]);
}

#[test]
fn an_alias_to_be_changed_is_recorded_before_its_old_key_and_its_new_one() {
    let world = World::new();
    let (old, new) = (world.key(), world.key_named("alias/new"));
    drop(world.resolved(world.request("UpdateAlias", &json!({"AliasName": ALIAS, "TargetKeyId": new.as_str()}))));
    assert_eq!(resources(&world), ["arn:aws:kms:us-east-1:111122223333:alias/orders", old.as_str(), new.as_str()]);
}

#[test]
fn a_key_that_is_not_there_is_not_found() {
    let world = World::new();
    let error = refusal(&world, "DescribeKey", &json!({"KeyId": "1234abcd-12ab-34cd-56ef-1234567890ab"}));
    // Recorded from KMS.
    assert_eq!(
        error.exception().message(),
        Some("Key 'arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab' does not exist")
    );
    assert_eq!(resources(&world), [""; 0]);
}

#[test]
fn an_operation_that_is_not_served_is_refused_with_a_text_that_says_so() {
    let error = refusal(&World::new(), "GetPublicKey", &json!({"KeyId": ALIAS}));
    assert_eq!(error.exception().kind().name(), "UnsupportedOperationException");
    assert!(error.exception().message().unwrap().contains("GetPublicKey is not served"));
}

#[test]
fn a_key_is_looked_for_and_an_alias_recorded_in_the_region_that_is_asked() {
    let world = World::new();
    let key = world.key();
    let body = json!({"KeyId": key.id().as_str()});
    let error = from_store(&world.backend(), world.parsed(world.request_in("eu-west-1", "DescribeKey", &body)));
    let absent = key.as_str().replace("us-east-1", "eu-west-1");
    let text = format!("Key '{absent}' does not exist");
    assert_eq!(error.unwrap_err().exception().message(), Some(text.as_str()));
    assert_eq!(world.record()["awsRegion"], "eu-west-1");
}
