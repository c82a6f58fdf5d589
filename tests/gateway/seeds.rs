//! `backend.seeds_file` and `quickstart --seeds`: the same keys at every start and in every store.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{ALLOW_ALL, Gateway, Quickstart, Run, Site, run};

const ID: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";
const ARN: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const SEEDS: &str = "\
[[keys]]
id = '1234abcd-12ab-34cd-56ef-1234567890ab'
aliases = ['alias/orders']
tags = { Team = 'blue' }
danger_material = 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8='

[[keys]]
id = 'mrk-1234abcd12ab34cd56ef1234567890ab'
enabled = false
";

fn seeded(seeds: &str) -> Site {
    let site = Site::new().set("backend.seeds_file", "'seeds.toml'");
    fs::write(site.path("seeds.toml"), seeds).unwrap();
    site
}

fn stopped(mut gateway: Gateway) -> Site {
    gateway.signal("TERM");
    assert_eq!(gateway.ended().code(), Some(0), "{}", gateway.log());
    gateway.kill()
}

fn describe(gateway: &Gateway, key: &str) -> Value {
    gateway.call(&gateway.site.admin, "DescribeKey", &json!({"KeyId": key})).granted()["KeyMetadata"].clone()
}

fn encrypted(gateway: &Gateway) -> Value {
    let body = json!({"KeyId": "alias/orders", "Plaintext": "aGVsbG8="});
    gateway.call(&gateway.site.admin, "Encrypt", &body).granted()["CiphertextBlob"].clone()
}

fn with_config(command: &str, site: &Site) -> Run {
    run(&[command, "--config", site.write().to_str().unwrap()], &site.path(""))
}

/// The lines of the log that warn of key material that a file gives.
fn warnings(gateway: &Gateway) -> Vec<Value> {
    let log = gateway.log();
    let lines = log.lines().filter(|line| line.contains("danger_material"));
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn two_gateways_with_the_same_seeds_open_each_others_ciphertexts() {
    let gateways = [seeded(SEEDS).start(), seeded(SEEDS).start()];
    for (from, to) in [(0, 1), (1, 0)] {
        let to = &gateways[to];
        let body = json!({"CiphertextBlob": encrypted(&gateways[from])});
        let opened = to.call(&to.site.admin, "Decrypt", &body).granted();
        assert_eq!((&opened["Plaintext"], &opened["KeyId"]), (&json!("aGVsbG8="), &json!(ARN)));
    }
}

#[test]
fn what_clients_change_stays_at_the_next_start_and_each_start_warns_of_given_material() {
    let gateway = seeded(SEEDS).start();
    assert_eq!(describe(&gateway, "mrk-1234abcd12ab34cd56ef1234567890ab")["KeyState"], "Disabled");
    let blob = encrypted(&gateway);
    assert_eq!(warnings(&gateway).len(), 1);
    gateway.call(&gateway.site.admin, "DisableKey", &json!({"KeyId": ID})).granted();
    let gateway = stopped(gateway).start();
    assert_eq!(describe(&gateway, "alias/orders")["KeyState"], "Disabled");
    gateway.call(&gateway.site.admin, "EnableKey", &json!({"KeyId": ID})).granted();
    gateway.call(&gateway.site.admin, "Decrypt", &json!({"CiphertextBlob": blob})).granted();
    let warnings = warnings(&gateway);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!((&warnings[0]["level"], &warnings[0]["key"]), (&json!("WARN"), &json!(ARN)));
    assert!(!gateway.log().contains("AAECAwQF"), "no log holds key material");
}

#[test]
fn a_file_that_contradicts_the_store_stops_the_start_and_changes_nothing() {
    let site = stopped(seeded(SEEDS).start());
    let store = fs::read(site.path("data/keys.sqlite")).unwrap();
    let new = "[[keys]]\nid = '00000000-0000-0000-0000-000000000001'\n";
    fs::write(site.path("seeds.toml"), format!("{new}{}", SEEDS.replace("AAEC", "AAED"))).unwrap();
    let run = with_config("serve", &site);
    assert_eq!((run.code, run.out.as_str()), (Some(64), ""), "{run:?}");
    for says in ["seeds.toml: keys[1]: ", ARN, "without the key material", "hint: ", "1 fault found"] {
        assert!(run.err.contains(says), "`{says}` is not in: {}", run.err);
    }
    assert!(fs::read(site.path("data/keys.sqlite")).unwrap() == store);
    fs::write(site.path("seeds.toml"), SEEDS).unwrap();
    describe(&site.start(), ID);
}

#[test]
fn check_names_every_fault_of_the_seeds_with_those_of_the_configuration() {
    let bad = "[[keys]]\nid = 'foo'\ncolour = 'blue'\n[[keys]]\naliases = ['orders']\ndanger_material = 'c2hvcnQ='\n";
    let site = seeded(bad).set("server.workers", 0);
    for command in ["check", "serve"] {
        let run = with_config(command, &site);
        assert_eq!((run.code, run.out.as_str()), (Some(64), ""), "{run:?}");
        for says in [
            "kmsgate.toml",
            "server.workers: ",
            "seeds.toml:2: keys[0].id: ",
            "seeds.toml:3: keys[0].colour: unknown key",
            "keys[1].id: is missing",
            "seeds.toml:5: keys[1].aliases[0]: ",
            "seeds.toml:6: keys[1].danger_material: ",
            "6 faults found",
        ] {
            assert!(run.err.contains(says), "`{says}` is not in: {}", run.err);
        }
        assert!(!run.err.contains("c2hvcnQ="), "{run:?}");
        assert!(!site.path("data").exists());
    }
    fs::remove_file(site.path("seeds.toml")).unwrap();
    assert!(with_config("check", &site).err.contains("seeds.toml: cannot be read"));
    let site = seeded(SEEDS);
    let run = with_config("check", &site);
    assert!(run.code == Some(0) && run.out.contains("seeds.toml (2)"), "{run:?}");
}

#[test]
fn quickstart_seeds_the_keys_of_a_file_its_own_alias_among_them() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let policy = file("all.json", ALLOW_ALL);
    let seeds = file("seeds.toml", &SEEDS.replace("'alias/orders'", "'alias/orders', 'alias/quickstart'"));
    let start = |data: &str| Quickstart::start(&directory.path().join(data), &["--policy", &policy, "--seeds", &seeds]);
    let (one, other) = (start("one"), start("other"));
    assert_eq!((&one.line["keyArn"], &one.line["keyId"]), (&json!(ARN), &json!(ID)));
    let made = one.call("GenerateDataKey", &json!({"KeyId": "alias/quickstart", "NumberOfBytes": 32})).granted();
    let opened = other.call("Decrypt", &json!({"CiphertextBlob": made["CiphertextBlob"]})).granted();
    assert_eq!(opened["Plaintext"], made["Plaintext"]);
    drop(one);
    assert_eq!(start("one").line["keyId"], ID);
    let bad = file("bad.toml", "[[keys]]\nid = 'foo'\n");
    let new = directory.path().join("new");
    let run = run(&["quickstart", "--data-dir", new.to_str().unwrap(), "--seeds", &bad], Path::new("."));
    assert_eq!(run.code, Some(64), "{run:?}");
    assert!(run.err.contains("bad.toml:2: keys[0].id: ") && !new.exists(), "{run:?}");
}

#[test]
fn the_example_of_seeds_runs_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let policy = directory.path().join("all.json");
    fs::write(&policy, ALLOW_ALL).unwrap();
    let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/config/seeds.toml");
    let quickstart =
        Quickstart::start(&directory.path().join("data"), &["--policy", policy.to_str().unwrap(), "--seeds", seeds]);
    for key in ["0f9e8d7c-6b5a-4938-8271-605f4e3d2c1b", ID, "alias/orders", "alias/test/orders"] {
        quickstart.call("GenerateDataKey", &json!({"KeyId": key, "NumberOfBytes": 32})).granted();
    }
}
