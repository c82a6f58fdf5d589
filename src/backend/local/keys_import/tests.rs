//! Keys that leave one store and arrive in another with all that belongs to them.

use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::super::key::{KeyState, MultiRegion, Rotation};
use super::super::keys_export::Exported;
use super::super::material::KeyMaterial;
use super::super::materials::{Import, Materials, RotationType, Version};
use super::super::testing::{ACCOUNT, ClosedLocal, Local, NO_KEY};
use super::*;
use crate::aws::{KeyArn, Operation};
use crate::clock::ManualClock;

/// A directory with a transport key.
struct Road {
    directory: TempDir,
    key: TransportKey,
}

impl Road {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("transport.key");
        TransportKey::create(&file).unwrap();
        Self { key: TransportKey::read(&file).unwrap(), directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn export(&self, local: &ClosedLocal, wanted: &[&str]) -> Result<Exported, TransportError> {
        let wanted: Vec<_> = wanted.iter().map(|name| (*name).to_owned()).collect();
        LocalBackend::export(&local.path().join("data"), &local.path().join("root.key"), &self.key, &wanted)
    }

    /// Imports into a closed store.
    fn import(&self, store: &Path, contents: &[u8]) -> Result<Imported, TransportError> {
        self.import_for(store, contents, None)
    }

    fn import_for(
        &self,
        store: &Path,
        contents: &[u8],
        served: Option<(&str, &str)>,
    ) -> Result<Imported, TransportError> {
        let served = served.map(|(region, account)| ([region.parse().unwrap()], account.parse().unwrap()));
        let served = served.as_ref().map(|(regions, account): &([Region; 1], _)| (regions.as_slice(), *account));
        let file = ImportFile { name: Path::new("keys"), contents, transport: &self.key };
        let clock = Clock::Manual(ManualClock::new(Timestamp::parse_basic("20261123T182241Z").unwrap()));
        LocalBackend::import(&store.join("data"), &store.join("root.key"), served, &file, &clock)
    }
}

fn refused<T>(outcome: Result<T, TransportError>) -> String {
    match outcome {
        Ok(_) => panic!("it is not refused"),
        Err(error) => error.to_string(),
    }
}

/// A store with keys of every kind, and ciphertexts of the first two versions of its first key.
struct Filled {
    local: Local,
    rotated: KeyArn,
    blobs: [String; 2],
}

fn filled() -> Filled {
    let local = Local::new();
    let rotated = local.create_key();
    local.create_alias("alias/orders", &rotated);
    local.create_alias("alias/a/b", &rotated);
    let first = local.encrypt(&rotated, "Zmlyc3Q=", &json!({"n": "1"}));
    let now = Timestamp::from_unix_seconds(1_790_000_000);
    let mut key = KeyView::clone(local.entries().key(rotated.id()).unwrap());
    let sealer = |arn: &KeyArn| local.backend.records.sealer(arn, KeyMaterial::generate().unwrap());
    let next = Version { rotated: Some((now, RotationType::OnDemand)), ..Version::first(sealer(&rotated)) };
    key.materials = key.materials.rotated(next);
    key.rotation = Some(Rotation::every(365, now));
    key.tags = [("Team", "blue")].into_iter().collect();
    key.description = "two lines\nand \"quotes\"".into();
    local.commit(key);
    let second = local.encrypt(&rotated, "c2Vjb25k", &json!({"n": "2"}));
    let disabled = local.create_key();
    local.disable(&disabled);
    local.ok(Operation::CreateKey, &json!({"KeySpec": "RSA_2048", "KeyUsage": "SIGN_VERIFY"}));
    local.ok(Operation::CreateKey, &json!({"MultiRegion": true}));
    let leaving = local.create_key();
    local.schedule_deletion(&leaving);
    // Imported, as ImportKeyMaterial leaves it, and one whose material is still to come.
    local.ok(Operation::CreateKey, &json!({"Origin": "EXTERNAL"}));
    let external = local.ok(Operation::CreateKey, &json!({"Origin": "EXTERNAL"}));
    let external: KeyArn = external["KeyMetadata"]["Arn"].as_str().unwrap().parse().unwrap();
    let mut key = KeyView::clone(local.entries().key(external.id()).unwrap());
    let import =
        Import { description: "from the vault".into(), expires: Some(Timestamp::from_unix_seconds(4_102_444_800)) };
    let version = Version { import: Some(Arc::new(import)), ..Version::first(sealer(&external)) };
    (key.materials, key.state) = (Materials::new(version), KeyState::Enabled);
    local.commit(key);
    Filled { local, rotated, blobs: [first, second] }
}

/// All that is known of every key, but for the secrets.
fn facts(local: &Local) -> Vec<String> {
    let facts = |key: &KeyView| {
        let version =
            |version: &Version| (version.id, version.sealer.is_some(), version.rotated, version.import.clone());
        let versions: Vec<_> = key.materials.all().map(version).collect();
        let KeyView {
            arn,
            created,
            description,
            state,
            spec,
            usage,
            origin,
            multi_region,
            rotation,
            tags,
            aliases,
            ..
        } = key;
        format!(
            "{:?}",
            (arn, created, description, state, (spec, usage, origin), multi_region, rotation, tags, aliases, versions)
        )
    };
    let directory = local.backend.directory.load();
    let regions = local.backend.site.regions.iter().map(|region| directory.region(region).unwrap());
    let aliases = regions.flat_map(|regional| regional.aliases.iter().map(|alias| format!("{alias:?}")));
    every_key(&local.backend.site, &directory).map(facts).chain(aliases).collect()
}

fn decrypted(local: &Local, blob: &str, n: &str, key: Option<&str>) -> Value {
    let mut body = json!({"CiphertextBlob": blob, "EncryptionContext": {"n": n}});
    if let Some(key) = key {
        body["KeyId"] = key.into();
    }
    local.ok(Operation::Decrypt, &body)["Plaintext"].clone()
}

#[test]
fn keys_arrive_as_they_left_and_open_what_was_made_before() {
    let Filled { local, rotated, blobs } = filled();
    let (before, road) = (facts(&local), Road::new());
    let (keys, aliases) = (local.entries().keys.len(), local.entries().aliases.len());
    let local = local.closed();
    let exported = road.export(&local, &[]).unwrap();
    assert_eq!((exported.keys, exported.aliases, exported.left_out), (keys, aliases, 0));
    assert_eq!(exported.without_material, 2, "the RSA key and the one that waits for its material");
    let other = Local::new().closed();
    let imported = road.import(other.path(), &exported.file).unwrap();
    assert_eq!(imported.added, Added { keys, left_alone: 0, aliases });
    let other = other.reopened();
    assert_eq!(facts(&other), before);
    for (blob, n, plaintext) in [(&blobs[0], "1", "Zmlyc3Q="), (&blobs[1], "2", "c2Vjb25k")] {
        for key in [None, Some("alias/orders"), Some(rotated.as_str())] {
            assert_eq!(decrypted(&other, blob, n, key), plaintext);
        }
    }
    // And back: what the second store makes opens in the first.
    let blob = other.encrypt(&rotated, "dGhpcmQ=", &json!({"n": "3"}));
    assert_eq!(decrypted(&local.reopened(), &blob, "3", None), "dGhpcmQ=");
}

#[test]
fn the_same_file_again_changes_nothing_and_what_was_changed_since_stays() {
    let (Filled { local, rotated, .. }, road) = (filled(), Road::new());
    let local = local.closed();
    let file = road.export(&local, &[]).unwrap().file;
    let other = Local::new().closed();
    let keys = road.import(other.path(), &file).unwrap().added.keys;
    let other = other.reopened();
    other.disable(&rotated);
    let other = other.closed();
    let again = road.import(other.path(), &file).unwrap();
    assert_eq!(again.added, Added { keys: 0, left_alone: keys, aliases: 0 });
    let other = other.reopened();
    assert_eq!(other.entries().key(rotated.id()).unwrap().state, KeyState::Disabled);
    // The import, and DisableKey: the second import had nothing to commit.
    assert_eq!(other.revision(), 2);
}

#[test]
fn a_key_that_has_other_material_there_is_refused_by_its_name_and_nothing_is_imported() {
    let (Filled { local, rotated, .. }, road) = (filled(), Road::new());
    let local = local.closed();
    let old = road.export(&local, &[rotated.as_str()]).unwrap().file;
    let local = local.reopened();
    let mut key = KeyView::clone(local.entries().key(rotated.id()).unwrap());
    key.materials =
        key.materials.rotated(Version::first(local.backend.records.sealer(&rotated, KeyMaterial::generate().unwrap())));
    local.commit(key);
    let local = local.closed();
    let new = road.export(&local, &[]).unwrap().file;
    let other = Local::new().closed();
    road.import(other.path(), &old).unwrap();
    // The newer file has a version that is not there, and other keys that would be new.
    let text = refused(road.import(other.path(), &new));
    for says in ["keys: ", rotated.as_str(), "is there already, and without the key material", "hint: "] {
        assert!(text.contains(says), "{text}");
    }
    let other = other.reopened();
    assert_eq!(other.entries().keys.len(), 1);
    // A store that has more versions than the file is none the worse.
    let local = local.reopened().closed();
    assert_eq!(road.import(local.path(), &old).unwrap().added.left_alone, 1);
}

#[test]
fn an_alias_that_points_elsewhere_there_is_refused() {
    let (Filled { local, .. }, road) = (filled(), Road::new());
    let file = road.export(&local.closed(), &["alias/orders"]).unwrap().file;
    let other = Local::new();
    other.create_alias("alias/orders", &other.create_key());
    let other = other.closed();
    let text = refused(road.import(other.path(), &file));
    assert!(text.contains("alias/orders is to point to") && text.contains("hint: "), "{text}");
    assert_eq!(other.reopened().entries().keys.len(), 1);
}

#[test]
fn single_keys_are_exported_by_id_arn_or_alias_and_the_rest_is_counted() {
    let (Filled { local, rotated, .. }, road) = (filled(), Road::new());
    let all = local.entries().keys.len();
    let local = local.closed();
    for name in [rotated.id().as_str(), rotated.as_str(), "alias/a/b"] {
        let exported = road.export(&local, &[name, name]).unwrap();
        assert_eq!((exported.keys, exported.aliases, exported.left_out), (1, 2, all - 1), "{name}");
    }
    let text = refused(road.export(&local, &["alias/orders", "alias/none", NO_KEY]));
    assert!(text.contains("`alias/none`") && text.contains(NO_KEY) && !text.contains("alias/orders"), "{text}");
}

#[test]
fn a_file_is_read_with_its_own_transport_key_alone() {
    let (Filled { local, .. }, road) = (filled(), Road::new());
    let file = road.export(&local.closed(), &[]).unwrap().file;
    let other = Local::new().closed();
    let text = refused(Road::new().import(other.path(), &file));
    assert!(text.contains("was exported with another transport key, or was edited"), "{text}");
    assert_eq!(other.reopened().revision(), 0);
}

#[test]
fn a_file_holds_no_key_material_that_can_be_read() {
    let (Filled { local, .. }, road) = (filled(), Road::new());
    let entries = local.entries();
    let secrets: Vec<_> =
        entries.keys.values().flat_map(|key| key.materials.all().cloned().collect::<Vec<_>>()).collect();
    let file = road.export(&local.closed(), &[]).unwrap().file;
    let text = String::from_utf8(file).unwrap();
    let mut seen = 0;
    for secret in secrets.iter().filter_map(|version| version.sealer.as_ref()) {
        let secret = secret.material().secret();
        // 30 bytes, so that the text has no ending of its own.
        assert!(!text.contains(&STANDARD.encode(&secret[..30])));
        assert!(!text.contains(&hex::encode(secret)));
        seen += 1;
    }
    assert!(seen >= 5, "{seen}");
}

#[test]
fn keys_of_a_region_or_account_that_is_not_served_are_refused() {
    let (Filled { local, .. }, road) = (filled(), Road::new());
    let file = road.export(&local.closed(), &[]).unwrap().file;
    for served in [("eu-west-1", ACCOUNT), ("us-east-1", "444455556666")] {
        let text = refused(road.import_for(&road.path(served.0), &file, Some(served)));
        assert!(text.contains("is of a region or account that is not served here"), "{text}");
    }
    let new = road.path("new");
    assert!(road.import_for(&new, &file, Some(("us-east-1", ACCOUNT))).is_ok());
    // A store with keys says itself whose they are.
    let other = Local::in_region("eu-west-1");
    let (region, alias) = ("eu-west-1".parse().unwrap(), "alias/x".parse().unwrap());
    other.backend.ensure_key(&region, &alias, "").unwrap();
    let text = refused(road.import(other.closed().path(), &file));
    assert!(text.contains("is of a region or account that is not served here"), "{text}");
}

#[test]
fn a_multi_region_key_comes_with_all_its_relatives_or_not_at_all() {
    let (local, road) = (Local::new(), Road::new());
    let made = local.ok(Operation::CreateKey, &json!({"MultiRegion": true}));
    let arn: KeyArn = made["KeyMetadata"]["Arn"].as_str().unwrap().parse().unwrap();
    let mut key = KeyView::clone(local.entries().key(arn.id()).unwrap());
    let multi_region = MultiRegion { primary: arn.region().clone(), replicas: vec!["eu-west-1".parse().unwrap()] };
    key.multi_region = Some(Arc::new(multi_region));
    local.commit(key);
    let file = road.export(&local.closed(), &[]).unwrap().file;
    let text = refused(road.import(&road.path("new"), &file));
    assert!(text.contains("has a relative in eu-west-1 that is not here"), "{text}");
}

#[test]
fn families_of_multi_region_keys_arrive_with_their_materials_and_what_they_wait_for() {
    let regions = ["us-east-1", "eu-west-1"];
    let (local, road) = (Local::in_regions(&regions), Road::new());
    let family = || {
        let made = local.ok(Operation::CreateKey, &json!({"MultiRegion": true}));
        let arn: KeyArn = made["KeyMetadata"]["Arn"].as_str().unwrap().parse().unwrap();
        local.ok(Operation::ReplicateKey, &json!({"KeyId": arn.as_str(), "ReplicaRegion": "eu-west-1"}));
        arn
    };
    let (rotated, leaving) = (family(), family());
    let first = local.encrypt(&rotated, "Zmlyc3Q=", &json!({"n": "1"}));
    local.ok(Operation::EnableKeyRotation, &json!({"KeyId": rotated.as_str(), "RotationPeriodInDays": 90}));
    local.ok(Operation::RotateKeyOnDemand, &json!({"KeyId": rotated.as_str()}));
    local.schedule_deletion(&leaving);
    let state = |local: &Local| local.entries().key(leaving.id()).unwrap().state;
    assert!(matches!(state(&local), KeyState::PendingReplicaDeletion { .. }));
    let before = facts(&local);
    let file = road.export(&local.closed(), &[rotated.as_str(), leaving.as_str()]).unwrap().file;
    // Not where its replicas cannot be.
    let text = refused(road.import_for(&road.path("one"), &file, Some(("us-east-1", ACCOUNT))));
    assert!(text.contains("is of a region or account that is not served here"), "{text}");
    let other = Local::in_regions(&regions).closed();
    assert_eq!(road.import(other.path(), &file).unwrap().added, Added { keys: 4, left_alone: 0, aliases: 0 });
    assert_eq!(road.import(other.path(), &file).unwrap().added, Added { keys: 0, left_alone: 4, aliases: 0 });
    let other = other.reopened();
    assert_eq!(facts(&other), before);
    let body = json!({"CiphertextBlob": first, "EncryptionContext": {"n": "1"}});
    for region in regions {
        assert_eq!(other.call_in(region, Operation::Decrypt, &body).unwrap()["Plaintext"], "Zmlyc3Q=", "{region}");
    }
}

#[test]
fn material_that_waits_for_its_rotation_arrives_and_may_be_gone_when_the_file_comes_again() {
    let (local, road) = (Local::new(), Road::new());
    let made = local.ok(Operation::CreateKey, &json!({"Origin": "EXTERNAL"}));
    let arn: KeyArn = made["KeyMetadata"]["Arn"].as_str().unwrap().parse().unwrap();
    let imported = |secret, expires| Version {
        import: Some(Arc::new(Import { description: "a".into(), expires })),
        ..Version::first(local.backend.records.sealer(&arn, KeyMaterial::imported(&arn, &secret)))
    };
    let ends = Timestamp::from_unix_seconds(1_800_000_000);
    let mut key = KeyView::clone(local.entries().key(arn.id()).unwrap());
    key.materials =
        Materials { pending: Some(Arc::new(imported([2; 32], Some(ends)))), ..Materials::new(imported([1; 32], None)) };
    key.state = KeyState::Enabled;
    local.commit(key);
    let before = facts(&local);
    let file = road.export(&local.closed(), &[]).unwrap().file;
    let other = Local::new().closed();
    road.import(other.path(), &file).unwrap();
    let other = other.reopened();
    assert_eq!(facts(&other), before);
    other.pass(365);
    assert!(other.entries().key(arn.id()).unwrap().materials.pending.is_none());
    let other = other.closed();
    assert_eq!(road.import(other.path(), &file).unwrap().added.left_alone, 1);
}

#[test]
fn a_store_without_keys_and_one_that_is_not_there_have_nothing_to_export() {
    let road = Road::new();
    let text = refused(road.export(&Local::new().closed(), &[]));
    assert!(text.contains("has no keys to export"), "{text}");
    let gone = LocalBackend::export(&road.path("none"), &road.path("none/root.key"), &road.key, &[]);
    assert!(refused(gone).contains("does not exist"));
    assert!(!road.path("none").exists());
}
