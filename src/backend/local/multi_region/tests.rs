//! A primary key and its replicas, from the first to the last of them (reference: "Multi-Region keys").

use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::testing::{Local, members};
use super::*;
use crate::aws::{KeyId, Operation as Op};

const OWN: &str = "us-east-1";
const OTHER: &str = "eu-west-1";
const THIRD: &str = "ap-south-1";

fn local() -> Local {
    Local::in_regions(&[OWN, OTHER, THIRD])
}

fn ok(local: &Local, region: &str, operation: Op, body: &Value) -> Value {
    local.call_in(region, operation, body).unwrap_or_else(|exception| panic!("{operation:?} {body}: {exception}"))
}

fn refusal(local: &Local, region: &str, operation: Op, body: &Value) -> String {
    local.call_in(region, operation, body).expect_err("a refusal").to_string()
}

fn create(local: &Local, more: &Value) -> KeyId {
    let mut body = json!({"MultiRegion": true});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    ok(local, OWN, Op::CreateKey, &body)["KeyMetadata"]["KeyId"].as_str().unwrap().parse().unwrap()
}

fn replicate(local: &Local, id: KeyId, region: &str) {
    ok(local, OWN, Op::ReplicateKey, &json!({"KeyId": id.as_str(), "ReplicaRegion": region}));
}

/// A primary key in [`OWN`] with replicas in the other regions.
fn family(local: &Local) -> KeyId {
    let id = create(local, &json!({}));
    replicate(local, id, OTHER);
    replicate(local, id, THIRD);
    id
}

fn of(id: KeyId) -> Value {
    json!({"KeyId": id.as_str()})
}

fn arn(region: &str, id: KeyId) -> String {
    format!("arn:aws:kms:{region}:111122223333:key/{id}")
}

fn described(local: &Local, region: &str, id: KeyId) -> Value {
    ok(local, region, Op::DescribeKey, &of(id))["KeyMetadata"].clone()
}

fn state(local: &Local, region: &str, id: KeyId) -> String {
    described(local, region, id)["KeyState"].as_str().unwrap().to_owned()
}

/// `MultiRegionConfiguration`, as every key of the family has it but for its own type.
fn configuration(kind: &str, id: KeyId, primary: &str, replicas: &[&str]) -> Value {
    let key = |region: &str| json!({"Arn": arn(region, id), "Region": region});
    let replicas: Vec<Value> = replicas.iter().map(|region| key(region)).collect();
    json!({"MultiRegionKeyType": kind, "PrimaryKey": key(primary), "ReplicaKeys": replicas})
}

/// Every key of the family names these, replicas in the order of their names, and is of the type that follows.
fn assert_family(local: &Local, id: KeyId, primary: &str, replicas: &[&str]) {
    let expected = |kind| configuration(kind, id, primary, replicas);
    assert_eq!(described(local, primary, id)["MultiRegionConfiguration"], expected("PRIMARY"));
    for region in replicas {
        assert_eq!(described(local, region, id)["MultiRegionConfiguration"], expected("REPLICA"), "{region}");
    }
}

fn encrypted(local: &Local, region: &str, id: KeyId, plaintext: &str) -> Value {
    let body = json!({"KeyId": id.as_str(), "Plaintext": plaintext, "EncryptionContext": {"tenant": "blue"}});
    ok(local, region, Op::Encrypt, &body)["CiphertextBlob"].clone()
}

fn decrypted(local: &Local, region: &str, blob: &Value) -> Value {
    let body = json!({"CiphertextBlob": blob, "EncryptionContext": {"tenant": "blue"}});
    ok(local, region, Op::Decrypt, &body)
}

#[test]
fn a_new_replica_is_answered_as_recorded_from_kms_and_is_enabled_at_the_next_look() {
    let local = local();
    let id = create(&local, &json!({"Description": "the primary", "Tags": [{"TagKey": "a", "TagValue": "b"}]}));
    let primary = described(&local, OWN, id);
    let tags = json!([{"TagKey": "team", "TagValue": "orders"}, {"TagKey": "empty", "TagValue": ""}]);
    let body = json!({"KeyId": id.as_str(), "ReplicaRegion": OTHER, "Description": "a replica", "Tags": tags});
    let answer = ok(&local, OWN, Op::ReplicateKey, &body);
    assert_eq!(members(&answer), ["ReplicaKeyMetadata", "ReplicaPolicy", "ReplicaTags"]);
    assert_eq!(answer["ReplicaTags"], tags);
    let policy: Value = serde_json::from_str(answer["ReplicaPolicy"].as_str().unwrap()).unwrap();
    assert_eq!(policy["Statement"][0]["Principal"]["AWS"], "arn:aws:iam::111122223333:root");

    let made = &answer["ReplicaKeyMetadata"];
    assert_eq!((&made["KeyState"], &made["Enabled"]), (&json!("Creating"), &json!(false)));
    assert!(made.get("CurrentKeyMaterialId").is_none(), "{made}");
    assert_eq!(made["MultiRegionConfiguration"], configuration("REPLICA", id, OWN, &[OTHER]));

    let replica = described(&local, OTHER, id);
    assert_eq!((&replica["KeyState"], &replica["Enabled"]), (&json!("Enabled"), &json!(true)));
    assert_eq!((&replica["Arn"], &replica["Description"]), (&json!(arn(OTHER, id)), &json!("a replica")));
    for shared in ["KeyId", "KeySpec", "KeyUsage", "Origin", "CurrentKeyMaterialId", "MultiRegion"] {
        assert_eq!(replica[shared], primary[shared], "{shared}");
    }
    assert_eq!(described(&local, OWN, id)["Description"], "the primary");
    let key = local.backend.directory.load().key(&arn(OTHER, id).parse().unwrap()).unwrap().tags.clone();
    assert_eq!(key.values("a").count(), 0);
    assert_eq!(key.values("team").collect::<Vec<_>>(), ["orders"]);
    assert_family(&local.reopened(), id, OWN, &[OTHER]);
}

#[test]
fn only_a_primary_key_is_replicated_or_gives_its_role_away() {
    let local = local();
    let id = create(&local, &json!({}));
    replicate(&local, id, OTHER);
    let single: KeyId = local.create_key().id();
    for (region, id) in [(OTHER, id), (OWN, single)] {
        for (operation, member) in [(Op::ReplicateKey, "ReplicaRegion"), (Op::UpdatePrimaryRegion, "PrimaryRegion")] {
            assert_eq!(
                refusal(&local, region, operation, &json!({"KeyId": id.as_str(), member: THIRD})),
                format!("UnsupportedOperationException: {} is not a multi-region primary key.", arn(region, id))
            );
        }
    }
}

#[test]
fn a_region_holds_one_key_of_an_id() {
    let local = local();
    let id = create(&local, &json!({}));
    replicate(&local, id, OTHER);
    for region in [OWN, OTHER] {
        let refusal = refusal(&local, OWN, Op::ReplicateKey, &json!({"KeyId": id.as_str(), "ReplicaRegion": region}));
        assert_eq!(refusal, format!("AlreadyExistsException: {} already exists.", arn(region, id)));
    }
    // One that waits for its deletion is there too.
    ok(&local, OTHER, Op::ScheduleKeyDeletion, &of(id));
    let body = json!({"KeyId": id.as_str(), "ReplicaRegion": OTHER});
    assert!(refusal(&local, OWN, Op::ReplicateKey, &body).starts_with("AlreadyExistsException"));
    assert_family(&local, id, OWN, &[OTHER]);
}

#[test]
fn what_a_replica_cannot_be_is_refused_and_nothing_is_made() {
    let local = local();
    let id = create(&local, &json!({}));
    let refused = |more: Value| {
        let mut body = json!({"KeyId": id.as_str(), "ReplicaRegion": OTHER});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        refusal(&local, OWN, Op::ReplicateKey, &body)
    };
    assert_eq!(
        refused(json!({"ReplicaRegion": "us-west-2"})),
        "UnsupportedOperationException: The region us-west-2 is not served by this kmsgate, which serves us-east-1, \
         eu-west-1, ap-south-1; see replica_regions."
    );
    assert!(refused(json!({"Policy": r#"{"Statement": []}"#})).starts_with("MalformedPolicyDocumentException: "));
    let twice = json!([{"TagKey": "a", "TagValue": "1"}, {"TagKey": "a", "TagValue": "2"}]);
    assert_eq!(refused(json!({"Tags": twice})), "TagException: Duplicate tag keys");
    assert!(refused(json!({"KeyId": "alias/orders"})).starts_with("InvalidArnException"));
    assert_family(&local, id, OWN, &[]);
    let absent = refusal(&local, OTHER, Op::DescribeKey, &of(id));
    assert_eq!(absent, format!("NotFoundException: Key '{}' does not exist", arn(OTHER, id)));
}

#[test]
fn a_key_that_cannot_be_used_is_neither_replicated_nor_deposed() {
    let local = local();
    let id = create(&local, &json!({}));
    replicate(&local, id, OTHER);
    let calls = [(Op::ReplicateKey, "ReplicaRegion", THIRD), (Op::UpdatePrimaryRegion, "PrimaryRegion", OTHER)];
    let refusals =
        || calls.map(|(op, member, to)| refusal(&local, OWN, op, &json!({"KeyId": id.as_str(), member: to})));
    ok(&local, OWN, Op::DisableKey, &of(id));
    let disabled = format!("DisabledException: {} is disabled.", arn(OWN, id));
    assert_eq!(refusals(), [disabled.clone(), disabled]);
    ok(&local, OWN, Op::ScheduleKeyDeletion, &of(id));
    let pending = format!("KMSInvalidStateException: {} is pending replica deletion.", arn(OWN, id));
    assert_eq!(refusals(), [pending.clone(), pending]);
}

#[test]
fn what_one_key_of_a_family_encrypts_each_of_them_decrypts_also_after_a_restart() {
    let local = local();
    let id = family(&local);
    let regions = [OWN, OTHER, THIRD];
    let blobs = regions.map(|region| encrypted(&local, region, id, "c2l4dGVlbiBieXRlcyE="));
    let open_all = |local: &Local| {
        for (region, blob) in regions.iter().flat_map(|region| blobs.iter().map(move |blob| (region, blob))) {
            let opened = decrypted(local, region, blob);
            assert_eq!(opened["Plaintext"], "c2l4dGVlbiBieXRlcyE=");
            assert_eq!(opened["KeyId"], arn(region, id));
            // Named, too, it is the key of the region that is asked.
            let body = json!({"KeyId": id.as_str(), "CiphertextBlob": blob, "EncryptionContext": {"tenant": "blue"}});
            assert_eq!(ok(local, region, Op::Decrypt, &body), opened);
        }
    };
    open_all(&local);
    let local = local.reopened();
    open_all(&local);
    // A key is asked for by the ARN of its own region alone.
    let body = json!({"KeyId": arn(OTHER, id), "CiphertextBlob": blobs[0]});
    assert_eq!(refusal(&local, OWN, Op::Decrypt, &body), format!("NotFoundException: Invalid arn {OTHER}"));
    // Where there is no replica it does not open.
    let lone = create(&local, &json!({}));
    let blob = encrypted(&local, OWN, lone, "AAAA");
    let body = json!({"CiphertextBlob": blob, "EncryptionContext": {"tenant": "blue"}});
    assert!(refusal(&local, OTHER, Op::Decrypt, &body).starts_with("AccessDeniedException"));
}

#[test]
fn state_and_aliases_are_each_keys_own() {
    let local = local();
    let id = family(&local);
    ok(&local, OTHER, Op::DisableKey, &of(id));
    assert_eq!([OWN, OTHER, THIRD].map(|region| state(&local, region, id)), ["Enabled", "Disabled", "Enabled"]);
    let alias = json!({"AliasName": "alias/orders", "TargetKeyId": id.as_str()});
    ok(&local, OTHER, Op::CreateAlias, &alias);
    ok(&local, THIRD, Op::CreateAlias, &alias);
    let by_alias = json!({"KeyId": "alias/orders"});
    assert_eq!(ok(&local, OTHER, Op::DescribeKey, &by_alias)["KeyMetadata"]["Arn"], arn(OTHER, id));
    assert!(refusal(&local, OWN, Op::DescribeKey, &by_alias).starts_with("NotFoundException"));
    let aliases = ok(&local, THIRD, Op::ListAliases, &json!({}))["Aliases"].clone();
    assert_eq!(aliases[0]["AliasArn"], format!("arn:aws:kms:{THIRD}:111122223333:alias/orders"));
    assert_eq!(ok(&local, OWN, Op::ListKeys, &json!({}))["Keys"].as_array().unwrap().len(), 1);
}

#[test]
fn a_primary_key_waits_until_its_last_replica_is_gone_and_its_own_period_begins_then() {
    let local = local();
    let id = family(&local);
    let answer = ok(&local, OWN, Op::ScheduleKeyDeletion, &json!({"KeyId": id.as_str(), "PendingWindowInDays": 9}));
    assert_eq!(answer, json!({"KeyId": arn(OWN, id), "KeyState": "PendingReplicaDeletion", "PendingWindowInDays": 9}));
    let metadata = described(&local, OWN, id);
    assert_eq!(metadata["PendingDeletionWindowInDays"], 9);
    assert!(metadata.get("DeletionDate").is_none());
    local.pass(400);
    assert_eq!(state(&local, OWN, id), "PendingReplicaDeletion");

    let window = json!({"KeyId": id.as_str(), "PendingWindowInDays": 7});
    ok(&local, OTHER, Op::ScheduleKeyDeletion, &window);
    local.pass(3);
    ok(&local, THIRD, Op::ScheduleKeyDeletion, &window);
    local.pass(4);
    assert_family(&local, id, OWN, &[THIRD]);
    assert_eq!(state(&local, OWN, id), "PendingReplicaDeletion");
    let local = local.reopened();
    local.pass(3);
    assert_family(&local, id, OWN, &[]);
    assert_eq!(state(&local, OWN, id), "PendingDeletion");
    local.pass(8);
    assert_eq!(state(&local, OWN, id), "PendingDeletion");
    local.pass(1);
    assert!(refusal(&local, OWN, Op::DescribeKey, &of(id)).starts_with("NotFoundException"));
    assert_eq!(local.backend.directory.load().len(), 0);
}

#[test]
fn a_deletion_that_waits_for_replicas_can_be_cancelled() {
    let local = local();
    let id = create(&local, &json!({}));
    replicate(&local, id, OTHER);
    ok(&local, OWN, Op::ScheduleKeyDeletion, &of(id));
    assert_eq!(
        refusal(&local, OWN, Op::ScheduleKeyDeletion, &of(id)),
        format!("KMSInvalidStateException: {} is pending replica deletion.", arn(OWN, id))
    );
    ok(&local, OWN, Op::CancelKeyDeletion, &of(id));
    assert_eq!(state(&local, OWN, id), "Disabled");
    ok(&local, OTHER, Op::ScheduleKeyDeletion, &of(id));
    local.pass(30);
    assert_eq!(state(&local, OWN, id), "Disabled");
    assert_family(&local, id, OWN, &[]);
}

#[test]
fn a_region_can_be_given_another_replica_once_the_first_is_gone() {
    let local = local();
    let id = family(&local);
    let blob = encrypted(&local, OTHER, id, "AAAA");
    ok(&local, OTHER, Op::ScheduleKeyDeletion, &of(id));
    local.pass(30);
    assert_family(&local, id, OWN, &[THIRD]);
    replicate(&local, id, OTHER);
    assert_family(&local, id, OWN, &[THIRD, OTHER]);
    assert_eq!(decrypted(&local, OTHER, &blob)["Plaintext"], "AAAA");
}

#[test]
fn a_primary_key_and_a_replica_exchange_their_roles() {
    let local = local();
    let id = family(&local);
    let to = |region| json!({"KeyId": id.as_str(), "PrimaryRegion": region});
    assert_eq!(ok(&local, OWN, Op::UpdatePrimaryRegion, &to(OTHER)), Value::Null);
    assert_family(&local, id, OTHER, &[THIRD, OWN]);
    let local = local.reopened();
    assert_family(&local, id, OTHER, &[THIRD, OWN]);
    assert!(refusal(&local, OWN, Op::UpdatePrimaryRegion, &to(THIRD)).contains("is not a multi-region primary key"));
    // The new primary key waits for the old one.
    ok(&local, OTHER, Op::ScheduleKeyDeletion, &of(id));
    assert_eq!(state(&local, OTHER, id), "PendingReplicaDeletion");
    ok(&local, OWN, Op::ScheduleKeyDeletion, &of(id));
    assert_eq!(state(&local, OWN, id), "PendingDeletion");
}

#[test]
fn only_a_replica_that_can_be_used_becomes_the_primary_key() {
    let local = local();
    let id = create(&local, &json!({}));
    replicate(&local, id, OTHER);
    let to = |region| json!({"KeyId": id.as_str(), "PrimaryRegion": region});
    for region in [OWN, THIRD, "us-west-2"] {
        assert_eq!(
            refusal(&local, OWN, Op::UpdatePrimaryRegion, &to(region)),
            format!(
                "UnsupportedOperationException: {} has no replica in {region} that could be the primary key.",
                arn(OWN, id)
            )
        );
    }
    ok(&local, OTHER, Op::ScheduleKeyDeletion, &of(id));
    assert_eq!(
        refusal(&local, OWN, Op::UpdatePrimaryRegion, &to(OTHER)),
        format!("KMSInvalidStateException: {} is pending deletion.", arn(OTHER, id))
    );
    assert_family(&local, id, OWN, &[OTHER]);
}

fn rotate_every_90_days(local: &Local, region: &str, id: KeyId) {
    ok(local, region, Op::EnableKeyRotation, &json!({"KeyId": id.as_str(), "RotationPeriodInDays": 90}));
}

#[test]
fn automatic_rotation_is_switched_at_the_primary_key_for_all_of_them() {
    let local = local();
    let id = create(&local, &json!({}));
    replicate(&local, id, OTHER);
    let status = |local: &Local, region| ok(local, region, Op::GetKeyRotationStatus, &of(id));
    rotate_every_90_days(&local, OWN, id);
    let on = status(&local, OWN);
    assert_eq!((&on["KeyRotationEnabled"], &on["RotationPeriodInDays"]), (&json!(true), &json!(90)));
    // One that is made later has it too.
    replicate(&local, id, THIRD);
    let local = local.reopened();
    for region in [OTHER, THIRD] {
        let there = status(&local, region);
        assert_eq!(there["NextRotationDate"], on["NextRotationDate"]);
        assert_eq!(there["KeyId"], arn(region, id));
    }
    let not_primary = format!("UnsupportedOperationException: {} is not a multi-region primary key.", arn(OTHER, id));
    for operation in [Op::EnableKeyRotation, Op::DisableKeyRotation, Op::RotateKeyOnDemand] {
        assert_eq!(refusal(&local, OTHER, operation, &of(id)), not_primary);
    }
    ok(&local, OWN, Op::DisableKeyRotation, &of(id));
    assert_eq!(status(&local, THIRD)["KeyRotationEnabled"], false);
}

#[test]
fn a_rotation_on_demand_is_one_of_all_keys_of_the_id() {
    let local = local();
    let id = create(&local, &json!({}));
    replicate(&local, id, OTHER);
    let old = encrypted(&local, OWN, id, "AAAA");
    ok(&local, OWN, Op::RotateKeyOnDemand, &of(id));
    // A replica that is made later has what there was before.
    replicate(&local, id, THIRD);
    let rotations = |region| {
        let body = json!({"KeyId": id.as_str(), "IncludeKeyMaterial": "ALL_KEY_MATERIAL"});
        let mut listed = ok(&local, region, Op::ListKeyRotations, &body)["Rotations"].clone();
        for rotation in listed.as_array_mut().unwrap() {
            assert_eq!(rotation.as_object_mut().unwrap().remove("KeyId").unwrap(), arn(region, id));
        }
        listed
    };
    let own = rotations(OWN);
    assert_eq!(own.as_array().unwrap().len(), 2);
    for region in [OTHER, THIRD] {
        assert_eq!(rotations(region), own);
        assert_eq!(decrypted(&local, region, &old)["Plaintext"], "AAAA");
    }
    let new = encrypted(&local, THIRD, id, "BBBB");
    assert_eq!(decrypted(&local, OWN, &new)["KeyMaterialId"], own[1]["KeyMaterialId"]);
}

#[test]
fn new_material_of_the_primary_key_is_that_of_its_replicas_at_once() {
    let local = local();
    let id = family(&local);
    let material = |local: &Local| {
        let ids = [OWN, OTHER, THIRD].map(|region| described(local, region, id)["CurrentKeyMaterialId"].clone());
        assert!(ids.iter().all(|other| *other == ids[0]), "{ids:?}");
        ids[0].clone()
    };
    let (first, old) = (material(&local), encrypted(&local, OTHER, id, "AAAA"));
    rotate_every_90_days(&local, OWN, id);
    // Also one that is switched off has it, and one that is made later.
    ok(&local, THIRD, Op::DisableKey, &of(id));
    local.pass(90);
    let second = material(&local);
    assert_ne!(first, second);
    let local = local.reopened();
    assert_eq!(material(&local), second);
    let new = encrypted(&local, OTHER, id, "BBBB");
    assert_eq!(decrypted(&local, OWN, &old)["KeyMaterialId"], first);
    assert_eq!(decrypted(&local, OWN, &new)["KeyMaterialId"], second);
    assert_eq!(decrypted(&local, OTHER, &old)["Plaintext"], "AAAA");

    // The new primary key rotates, the old one follows.
    ok(&local, OWN, Op::UpdatePrimaryRegion, &json!({"KeyId": id.as_str(), "PrimaryRegion": OTHER}));
    local.pass(90);
    let third = material(&local);
    assert_ne!(second, third);
    ok(&local, THIRD, Op::EnableKey, &of(id));
    for blob in [&old, &new] {
        assert_eq!(decrypted(&local, THIRD, blob), {
            let mut expected = decrypted(&local, OWN, blob);
            expected["KeyId"] = json!(arn(THIRD, id));
            expected
        });
    }
}

/// Imports `secret` into the key of that region.
fn import(local: &Local, region: &str, id: KeyId, secret: &[u8; 32]) -> Result<Value, Exception> {
    let wrapping =
        json!({"KeyId": id.as_str(), "WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"});
    let parameters = ok(local, region, Op::GetParametersForImport, &wrapping);
    let public_key = STANDARD.decode(parameters["PublicKey"].as_str().unwrap()).unwrap();
    let public_key = OaepPublicEncryptingKey::new(PublicEncryptingKey::from_der(&public_key).unwrap()).unwrap();
    let mut wrapped = vec![0; public_key.ciphertext_size()];
    public_key.encrypt(&OAEP_SHA256_MGF1SHA256, secret, &mut wrapped, None).unwrap();
    let body = json!({"KeyId": id.as_str(), "ImportToken": parameters["ImportToken"],
                      "EncryptedKeyMaterial": STANDARD.encode(wrapped),
                      "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"});
    local.call_in(region, Op::ImportKeyMaterial, &body)
}

#[test]
fn a_replica_of_imported_material_waits_for_its_own_import_of_the_same() {
    let local = local();
    let id = create(&local, &json!({"Origin": "EXTERNAL"}));
    let pending = |region| format!("KMSInvalidStateException: {} is pending import.", arn(region, id));
    let body = json!({"KeyId": id.as_str(), "ReplicaRegion": OTHER});
    assert_eq!(refusal(&local, OWN, Op::ReplicateKey, &body), pending(OWN));
    let imported = import(&local, OWN, id, &[1; 32]).unwrap()["KeyMaterialId"].clone();
    let blob = encrypted(&local, OWN, id, "AAAA");
    replicate(&local, id, OTHER);
    let replica = described(&local, OTHER, id);
    assert_eq!(replica["KeyState"], "PendingImport");
    assert_eq!(replica["CurrentKeyMaterialId"], imported);
    assert!(replica.get("ExpirationModel").is_none(), "{replica}");
    let all = json!({"KeyId": id.as_str(), "IncludeKeyMaterial": "ALL_KEY_MATERIAL"});
    let listed = ok(&local, OTHER, Op::ListKeyRotations, &all)["Rotations"].clone();
    assert_eq!(listed[0]["ImportState"], "PENDING_IMPORT");

    let local = local.reopened();
    assert_eq!(described(&local, OTHER, id), replica);
    let decrypt = json!({"CiphertextBlob": blob, "EncryptionContext": {"tenant": "blue"}});
    assert_eq!(refusal(&local, OTHER, Op::Decrypt, &decrypt), pending(OTHER));
    assert_eq!(import(&local, OTHER, id, &[2; 32]).unwrap_err().kind(), ExceptionKind::IncorrectKeyMaterial);
    assert_eq!(import(&local, OTHER, id, &[1; 32]).unwrap()["KeyMaterialId"], imported);
    assert_eq!(state(&local, OTHER, id), "Enabled");
    assert_eq!(decrypted(&local, OTHER, &blob)["Plaintext"], "AAAA");
    // What is deleted of one is not of the other.
    ok(&local, OWN, Op::DeleteImportedKeyMaterial, &of(id));
    assert_eq!([OWN, OTHER].map(|region| state(&local, region, id)), ["PendingImport", "Enabled"]);
    assert_eq!(decrypted(&local, OTHER, &blob)["Plaintext"], "AAAA");
}

#[test]
fn a_change_of_several_keys_is_one_commit() {
    let revision_of = |change: &dyn Fn(&Local, KeyId)| {
        let local = local();
        let id = create(&local, &json!({}));
        change(&local, id);
        local.revision()
    };
    let made = revision_of(&|_, _| ());
    assert_eq!(revision_of(&|local, id| replicate(local, id, OTHER)), made + 1);
    let exchanged = revision_of(&|local, id| {
        replicate(local, id, OTHER);
        let body = json!({"KeyId": id.as_str(), "PrimaryRegion": OTHER});
        ok(local, OWN, Op::UpdatePrimaryRegion, &body);
    });
    assert_eq!(exchanged, made + 2);
    let rotated = revision_of(&|local, id| {
        replicate(local, id, OTHER);
        rotate_every_90_days(local, OWN, id);
        local.pass(90);
    });
    assert_eq!(rotated, made + 3);
    let deleted = revision_of(&|local, id| {
        replicate(local, id, OTHER);
        ok(local, OWN, Op::ScheduleKeyDeletion, &of(id));
        ok(local, OTHER, Op::ScheduleKeyDeletion, &of(id));
        local.pass(30);
    });
    assert_eq!(deleted, made + 4);
}

#[test]
fn a_replica_that_cannot_be_stored_is_not_there_and_its_primary_key_does_not_name_it() {
    let local = local();
    let id = create(&local, &json!({}));
    let local = local.on_a_full_disk();
    let large = json!({"KeyId": id.as_str(), "ReplicaRegion": OTHER, "Description": "long ".repeat(1600)});
    let exception = local.call_in(OWN, Op::ReplicateKey, &large).unwrap_err();
    assert_eq!(exception.kind(), ExceptionKind::KmsInternal);
    assert!(exception.detail().unwrap().contains("the disk is full"), "{exception:?}");
    assert_family(&local, id, OWN, &[]);
    assert!(refusal(&local, OTHER, Op::DescribeKey, &of(id)).starts_with("NotFoundException"));
}
