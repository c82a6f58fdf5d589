//! Seeding once and again, what contradicts, and every fault of a file.

use serde_json::{Value, json};

use super::super::testing::{ACCOUNT, Local, region};
use super::*;
use crate::aws::{Operation, Region};
use crate::faults::Collector;

const ID: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";
/// 32 bytes, 00 to 1f, in base64.
const MATERIAL: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const OTHER_MATERIAL: &str = "AQECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn read(text: &str) -> Result<Arc<Seeds>, Faults> {
    read_for(&[region()], text)
}

fn read_for(regions: &[Region], text: &str) -> Result<Arc<Seeds>, Faults> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("seeds.toml");
    std::fs::write(&file, text).unwrap();
    let faults = Collector::default();
    let seeds = Seeds::read(&file, regions, ACCOUNT.parse().unwrap(), &faults);
    faults.finish(&file, seeds).map(Arc::new)
}

fn seed(local: &Local, text: &str) -> Result<Added, SeedError> {
    local.backend.seed(&read(text).unwrap_or_else(|faults| panic!("{faults}")))
}

fn added(keys: usize, left_alone: usize, aliases: usize) -> Added {
    Added { keys, left_alone, aliases }
}

fn metadata(local: &Local, key: &str) -> Value {
    local.ok(Operation::DescribeKey, &json!({"KeyId": key}))["KeyMetadata"].clone()
}

/// One key with all that a seed can have.
fn whole() -> String {
    format!(
        "[[keys]]\nid = '{ID}'\nregion = 'us-east-1'\naliases = ['alias/orders', 'alias/a/b']\n\
         description = 'Orders'\ntags = {{ Team = 'blue', 'cost centre' = '' }}\nkey_spec = 'SYMMETRIC_DEFAULT'\n\
         key_usage = 'ENCRYPT_DECRYPT'\norigin = 'AWS_KMS'\nenabled = true\ndanger_material = '{MATERIAL}'\n"
    )
}

#[test]
fn a_seeded_key_is_as_the_file_has_it_also_after_a_restart() {
    let local = Local::new();
    assert_eq!(seed(&local, &whole()).unwrap(), added(1, 0, 2));
    let check = |local: &Local| {
        for name in [ID, "alias/orders", "alias/a/b"] {
            let metadata = metadata(local, name);
            assert_eq!((&metadata["KeyId"], &metadata["Description"]), (&json!(ID), &json!("Orders")));
            assert_eq!((&metadata["KeyState"], &metadata["Enabled"]), (&json!("Enabled"), &json!(true)));
        }
        let entries = local.entries();
        let key = entries.key(ID.parse().unwrap()).unwrap();
        assert_eq!(key.tags.values("Team").collect::<Vec<_>>(), ["blue"]);
        assert_eq!(key.aliases.len(), 2);
    };
    check(&local);
    check(&local.reopened());
}

#[test]
fn every_kind_of_key_can_be_seeded() {
    let local = Local::new();
    let id = |digit: u32| format!("1234abcd-12ab-34cd-56ef-12345678900{digit}");
    let text = format!(
        "[[keys]]\nid = '{}'\n[[keys]]\nid = '{}'\nkey_spec = 'RSA_2048'\nkey_usage = 'SIGN_VERIFY'\nenabled = false\n\
         [[keys]]\nid = '{}'\norigin = 'EXTERNAL'\n[[keys]]\nid = 'mrk-1234abcd12ab34cd56ef1234567890ab'\n",
        id(1),
        id(2),
        id(3)
    );
    assert_eq!(seed(&local, &text).unwrap(), added(4, 0, 0));
    let local = local.reopened();
    assert_eq!(metadata(&local, &id(1))["KeyState"], "Enabled");
    let sign = metadata(&local, &id(2));
    assert_eq!((&sign["KeyState"], &sign["KeySpec"]), (&json!("Disabled"), &json!("RSA_2048")));
    assert_eq!(metadata(&local, &id(3))["KeyState"], "PendingImport");
    let multi_region = metadata(&local, "mrk-1234abcd12ab34cd56ef1234567890ab");
    assert_eq!(multi_region["MultiRegionConfiguration"]["MultiRegionKeyType"], "PRIMARY");
    // Keys without given material have some of their own.
    let other = Local::new();
    seed(&other, &text).unwrap();
    let current = |local: &Local| metadata(local, &id(1))["CurrentKeyMaterialId"].clone();
    assert_ne!(current(&local), current(&other));
}

#[test]
fn a_second_start_leaves_alone_what_clients_have_changed_and_commits_nothing() {
    let local = Local::new();
    seed(&local, &whole()).unwrap();
    local.disable(&local.entries().key(ID.parse().unwrap()).unwrap().arn.clone());
    let local = local.reopened();
    assert_eq!(seed(&local, &whole()).unwrap(), added(0, 1, 0));
    assert_eq!(metadata(&local, ID)["KeyState"], "Disabled");
    // One commit for the seeds, one for DisableKey.
    assert_eq!(local.revision(), 2);
}

#[test]
fn what_is_missing_is_made_again_and_a_longer_file_adds_the_rest() {
    let local = Local::new();
    seed(&local, &format!("[[keys]]\nid = '{ID}'\n")).unwrap();
    let more = "[[keys]]\nid = '00000000-0000-0000-0000-000000000001'\naliases = ['alias/new']\n";
    let longer = format!("[[keys]]\nid = '{ID}'\naliases = ['alias/orders']\n{more}");
    assert_eq!(seed(&local, &longer).unwrap(), added(1, 1, 2));
    local.schedule_deletion(&local.entries().key(ID.parse().unwrap()).unwrap().arn.clone());
    local.pass(30);
    assert_eq!(seed(&local, &longer).unwrap(), added(1, 1, 1));
}

#[test]
fn contradictions_are_named_all_at_once_and_nothing_is_changed() {
    let local = Local::new();
    seed(&local, &whole()).unwrap();
    let other = local.create_key();
    local.create_alias("alias/taken", &other);
    let rsa = "key_spec = 'RSA_2048'\nkey_usage = 'SIGN_VERIFY'";
    let new = "[[keys]]\nid = '00000000-0000-0000-0000-000000000001'\naliases = ['alias/fine', 'alias/taken']\n";
    for (text, says) in [
        (whole().replace(MATERIAL, OTHER_MATERIAL), vec!["keys[0]", "without the key material"]),
        (
            format!("[[keys]]\nid = '{ID}'\n{rsa}\n"),
            vec!["as SYMMETRIC_DEFAULT for ENCRYPT_DECRYPT of the origin AWS_KMS"],
        ),
        (format!("[[keys]]\nid = '{ID}'\norigin = 'EXTERNAL'\n"), vec!["of the origin AWS_KMS"]),
        (format!("{}{new}", whole().replace("alias/a/b", "alias/taken")), vec!["is also an alias of keys[0]"]),
        (
            format!("{}{new}", whole().replace(MATERIAL, OTHER_MATERIAL)),
            vec![
                "keys[0]",
                "without the key material",
                "keys[1]",
                "alias/taken is to point to 00000000-0000-0000-0000-000000000001, and points to",
                "2 faults found",
            ],
        ),
    ] {
        let refused = match read(&text) {
            Err(faults) => faults.to_string(),
            Ok(seeds) => local.backend.seed(&seeds).unwrap_err().to_string(),
        };
        for says in says {
            assert!(refused.contains(says), "`{says}` is not in: {refused}");
        }
        assert!(refused.contains("seeds.toml") && refused.contains("hint: "), "{refused}");
        let entries = local.entries();
        assert_eq!((entries.keys.len(), entries.aliases.len()), (2, 3), "{text}");
    }
    // The seeds, CreateKey, CreateAlias.
    assert_eq!(local.revision(), 3);
}

#[test]
fn a_key_rotated_since_has_the_material_of_its_seed_still() {
    let local = Local::new();
    seed(&local, &whole()).unwrap();
    let mut key = KeyView::clone(local.entries().key(ID.parse().unwrap()).unwrap());
    let next = Version::first(local.backend.records.sealer(&key.arn, KeyMaterial::generate().unwrap()));
    key.materials = key.materials.rotated(next);
    local.commit(key);
    assert_eq!(seed(&local, &whole()).unwrap(), added(0, 1, 0));
}

#[test]
fn the_same_seed_in_two_stores_opens_the_ciphertexts_of_both() {
    let context = json!({"tenant": "blue"});
    let (one, other) = (Local::new(), Local::new());
    for local in [&one, &other] {
        seed(local, &whole()).unwrap();
    }
    assert_eq!(metadata(&one, ID)["CurrentKeyMaterialId"], metadata(&other, ID)["CurrentKeyMaterialId"]);
    let arn = one.entries().key(ID.parse().unwrap()).unwrap().arn.clone();
    for (from, to) in [(&one, &other), (&other, &one)] {
        let blob = from.encrypt(&arn, "aGVsbG8=", &context);
        for key in [json!(null), json!(ID), json!("alias/orders")] {
            let mut body = json!({"CiphertextBlob": blob, "EncryptionContext": context});
            if !key.is_null() {
                body["KeyId"] = key;
            }
            assert_eq!(to.ok(Operation::Decrypt, &body)["Plaintext"], "aGVsbG8=", "{body}");
        }
        let body = json!({"CiphertextBlob": blob});
        assert_eq!(to.refusal(Operation::Decrypt, &body), "InvalidCiphertextException", "another context");
    }
}

#[test]
fn a_multi_region_key_is_seeded_where_it_is_to_be_and_left_alone_once_it_has_replicas() {
    let id = "mrk-1234abcd12ab34cd56ef1234567890ab";
    let local = Local::in_regions(&["us-east-1", "eu-west-1"]);
    let text = format!("[[keys]]\nid = '{id}'\nregion = 'eu-west-1'\ndanger_material = '{MATERIAL}'\n");
    let seeds = read_for(&local.backend.site.regions, &text).unwrap();
    assert_eq!(local.backend.seed(&seeds).unwrap(), added(1, 0, 0));
    assert_eq!(local.code(Operation::DescribeKey, &json!({"KeyId": id})), "NotFoundException", "in the other region");
    let body = json!({"KeyId": id, "ReplicaRegion": "us-east-1"});
    local.call_in("eu-west-1", Operation::ReplicateKey, &body).unwrap();
    let body = json!({"KeyId": id, "PrimaryRegion": "us-east-1"});
    local.call_in("eu-west-1", Operation::UpdatePrimaryRegion, &body).unwrap();
    assert_eq!(local.backend.seed(&seeds).unwrap(), added(0, 1, 0));
    assert_eq!(metadata(&local, id)["MultiRegionConfiguration"]["PrimaryKey"]["Region"], "us-east-1");
    let refused = read_for(&[region()], &text).unwrap_err().to_string();
    assert!(refused.contains("`eu-west-1` is not served"), "{refused}");
}

#[test]
fn a_seed_with_other_material_opens_no_ciphertext_of_the_same_key() {
    let (one, other) = (Local::new(), Local::new());
    seed(&one, &whole()).unwrap();
    seed(&other, &whole().replace(MATERIAL, OTHER_MATERIAL)).unwrap();
    let arn = one.entries().key(ID.parse().unwrap()).unwrap().arn.clone();
    let blob = one.encrypt(&arn, "aGVsbG8=", &json!({}));
    for body in [json!({"CiphertextBlob": blob}), json!({"CiphertextBlob": blob, "KeyId": ID})] {
        assert_eq!(other.refusal(Operation::Decrypt, &body), "InvalidCiphertextException");
    }
}

#[test]
fn a_disk_that_is_full_is_said_and_nothing_is_seeded() {
    let local = Local::new().on_a_full_disk();
    let many: Vec<_> = (0..200).map(|n| format!("[[keys]]\nid = '00000000-0000-0000-0000-{n:012}'\n")).collect();
    let refused = seed(&local, &many.concat()).unwrap_err();
    assert!(matches!(refused, SeedError::Store(_)) && refused.to_string().contains("disk is full"), "{refused}");
    assert_eq!(local.entries().keys.len(), 0);
}

#[test]
fn every_fault_of_a_file_is_named_at_once_with_its_place() {
    let long = "x".repeat(8193);
    let policy = r#"{"Version":"2012-10-17","Statement":[]}"#;
    let text = format!(
        "[[keys]]\nid = 'foo'\n\
         [[keys]]\nalias = ['alias/x']\n\
         [[keys]]\nid = '{ID}'\nregion = 'eu-west-1'\n\
         [[keys]]\nid = '{ID}'\naliases = ['orders', 'alias/aws/ebs', 'alias/a:b', 'alias/x', 'alias/x']\n\
         [[keys]]\nid = '00000000-0000-0000-0000-000000000001'\ndescription = '{long}'\n\
         tags = {{ 'aws:x' = '', '' = '' }}\n\
         [[keys]]\nid = '00000000-0000-0000-0000-000000000002'\nkey_spec = 'SM2'\norigin = 'AWS_CLOUDHSM'\n\
         [[keys]]\nid = '00000000-0000-0000-0000-000000000003'\nkey_spec = 'RSA_2048'\n\
         [[keys]]\nid = '00000000-0000-0000-0000-000000000004'\nkey_spec = 'HMAC_256'\nkey_usage = 'SIGN_VERIFY'\n\
         [[keys]]\nid = '00000000-0000-0000-0000-000000000005'\norigin = 'EXTERNAL'\nenabled = true\n\
         danger_material = '{MATERIAL}'\n\
         [[keys]]\nid = '00000000-0000-0000-0000-000000000006'\ndanger_material = 'c2hvcnQ='\npolicy = '{policy}'\n\
         [[kyes]]\n"
    );
    let faults = read(&text).unwrap_err();
    let mut places: Vec<_> = faults.as_slice().iter().map(|fault| fault.path.as_str()).collect();
    places.sort_unstable();
    let mut expected = vec![
        "keys[0].id",
        "keys[1].alias",
        "keys[1].id",
        "keys[2].region",
        "keys[3].aliases[0]",
        "keys[3].aliases[1]",
        "keys[3].aliases[2]",
        "keys[3].aliases[4]",
        "keys[3].id",
        "keys[4].description",
        "keys[4].tags.",
        "keys[4].tags.aws:x",
        "keys[5].key_spec",
        "keys[5].origin",
        "keys[6].key_usage",
        "keys[7].key_usage",
        "keys[8].danger_material",
        "keys[8].enabled",
        "keys[9].danger_material",
        "keys[9].policy",
        "kyes",
    ];
    expected.sort_unstable();
    assert_eq!(places, expected, "{faults}");
    let text = faults.to_string();
    assert!(faults.as_slice().iter().all(|fault| fault.hint.is_some()), "{text}");
    assert!(!text.contains("c2hvcnQ=") && !text.contains(MATERIAL), "no fault quotes key material: {text}");
}

#[test]
fn the_default_policy_may_be_written_out() {
    let local = Local::new();
    let policy = local.backend.site.default_policy.text().to_owned();
    assert_eq!(seed(&local, &format!("[[keys]]\nid = '{ID}'\npolicy = '''{policy}'''\n")).unwrap(), added(1, 0, 0));
}

#[test]
fn more_tags_or_aliases_than_a_key_may_have_are_refused() {
    let names = |count: usize| (0..count).map(|n| format!("'alias/{n}'")).collect::<Vec<_>>().join(",");
    let tags = |count: usize| (0..count).map(|n| format!("t{n} = ''")).collect::<Vec<_>>().join(",");
    let text = |aliases, tags_| {
        format!("[[keys]]\nid = '{ID}'\naliases = [{}]\ntags = {{ {} }}\n", names(aliases), tags(tags_))
    };
    assert_eq!(seed(&Local::new(), &text(50, 50)).unwrap(), added(1, 0, 50));
    assert_eq!(read(&text(51, 51)).unwrap_err().as_slice().len(), 2);
    let local = Local::new();
    seed(&local, &text(50, 0)).unwrap();
    let refused =
        seed(&local, &format!("[[keys]]\nid = '{ID}'\naliases = ['alias/one-more']\n")).unwrap_err().to_string();
    assert!(refused.contains("would have 51 aliases"), "{refused}");
}

#[test]
fn a_file_that_is_not_there_or_no_toml_is_a_fault() {
    let faults = Collector::default();
    assert!(
        Seeds::read(Path::new("/nonexistent/seeds.toml"), &[region()], ACCOUNT.parse().unwrap(), &faults).is_none()
    );
    assert_eq!(faults.count(), 1);
    assert!(read("[[keys]\n").unwrap_err().to_string().contains("seeds.toml:1"));
    assert!(read("").unwrap().is_empty());
}
