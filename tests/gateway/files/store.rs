//! The key store and its root key: what does not belong together is never opened, and never replaced.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::json;

use super::with_config;
use crate::harness::{Gateway, Site};

/// A gateway's files with one key in the store, and the key's ARN.
fn with_a_key() -> (Site, String) {
    let gateway = Site::new().start();
    let key = gateway.create_key();
    (stopped(gateway), key)
}

/// Ends a gateway as a supervisor would: its store is then one file.
fn stopped(mut gateway: Gateway) -> Site {
    gateway.signal("TERM");
    assert_eq!(gateway.ended().code(), Some(0), "{}", gateway.log());
    gateway.kill()
}

/// The gateway does not start, says why, and leaves both files as they are.
fn refuses_to_start(site: &Site, says: &[&str]) {
    let files = ["data/keys.sqlite", "data/root.key"].map(|name| site.path(name));
    let read = |files: &[_; 2]| files.clone().map(|file| fs::read(file).ok());
    let before = read(&files);
    let run = with_config("serve", site, &site.write());
    assert_eq!(run.code, Some(1), "{run:?}");
    for text in says {
        assert!(run.err.contains(text), "`{text}` is not in: {}", run.err);
    }
    assert!(read(&files) == before, "a refused start changes nothing");
}

fn still_has(site: Site, key: &str) {
    let gateway = site.start();
    let body = json!({"KeyId": key, "KeySpec": "AES_256"});
    gateway.call(&gateway.site.admin, "GenerateDataKeyWithoutPlaintext", &body).granted();
}

#[test]
fn a_region_that_has_keys_cannot_be_taken_away() {
    let gateway = Site::new().set("replica_regions", "['eu-west-1']").start();
    let made = gateway.call(&gateway.site.admin, "CreateKey", &json!({"MultiRegion": true})).granted();
    let id = made["KeyMetadata"]["KeyId"].as_str().unwrap();
    let body = json!({"KeyId": id, "ReplicaRegion": "eu-west-1"});
    gateway.call(&gateway.site.admin, "ReplicateKey", &body).granted();
    let site = stopped(gateway).set("replica_regions", "[]");
    refuses_to_start(&site, &[&format!("arn:aws:kms:eu-west-1:111122223333:key/{id}"), "see region, replica_regions"]);
    still_has(site.set("replica_regions", "['ap-south-1', 'eu-west-1']"), id);
}

#[test]
fn a_store_without_its_root_key_is_not_opened_and_gets_no_new_one() {
    let (site, key) = with_a_key();
    let (root_key, elsewhere) = (site.path("data/root.key"), site.path("copy"));
    fs::rename(&root_key, &elsewhere).unwrap();
    refuses_to_start(&site, &["keys.sqlite", "root key", "hint: restore the root key's file from its copy"]);
    assert!(!root_key.exists());
    fs::rename(&elsewhere, &root_key).unwrap();
    still_has(site, &key);
}

#[test]
fn a_store_is_opened_with_its_own_root_key_alone() {
    let ((site, key), (other, _)) = (with_a_key(), with_a_key());
    let root_key = site.path("data/root.key");
    let own = fs::read(&root_key).unwrap();
    let write = |bytes: &[u8]| fs::write(&root_key, bytes).unwrap();
    write(&fs::read(other.path("data/root.key")).unwrap());
    refuses_to_start(&site, &["keys.sqlite", "was created with another root key", "hint: "]);
    for text in ["", "kmsgate-root-key-v1:AAAA\n", "kmsgate-root-key-v2:AAAA\n"] {
        write(text.as_bytes());
        refuses_to_start(&site, &["root.key", "does not hold a root key", "hint: restore the file from its copy"]);
    }
    write(&own);
    fs::set_permissions(&root_key, fs::Permissions::from_mode(0o644)).unwrap();
    refuses_to_start(&site, &["root.key", "0644", "hint: chmod 600"]);
    fs::set_permissions(&root_key, fs::Permissions::from_mode(0o600)).unwrap();
    still_has(site, &key);
}

#[test]
fn a_store_that_was_edited_is_not_opened() {
    let (site, key) = with_a_key();
    let store = site.path("data/keys.sqlite");
    let whole = fs::read(&store).unwrap();
    let changes = [
        "DELETE FROM entry WHERE kind = (SELECT min(kind) FROM entry)",
        "UPDATE entry SET body = cast(body || x'20' AS BLOB)",
        "UPDATE entry SET id = 'x' WHERE kind = (SELECT max(kind) FROM entry)",
        "UPDATE header SET revision = revision + 1",
        "UPDATE header SET mac = zeroblob(32)",
        "DELETE FROM entry",
        "CREATE TRIGGER t AFTER INSERT ON entry BEGIN DELETE FROM entry; END",
    ];
    for change in changes {
        fs::write(&store, &whole).unwrap();
        edit(&store, change);
        refuses_to_start(&site, &["keys.sqlite", "was edited", "hint: restore it from its backup"]);
    }
    fs::write(&store, &whole[..whole.len() / 2]).unwrap();
    refuses_to_start(&site, &["keys.sqlite", "hint: restore it from its backup"]);
    fs::write(&store, b"no database at all, but a text that is long enough to be taken for one ".repeat(20)).unwrap();
    refuses_to_start(&site, &["keys.sqlite", "is not a store of kmsgate"]);
    fs::write(&store, &whole).unwrap();
    still_has(site, &key);
}

/// Changes the store as anybody with SQLite could.
fn edit(store: &Path, change: &str) {
    let database = rusqlite::Connection::open(store).unwrap();
    let mode: String = database.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get(0)).unwrap();
    assert_eq!(mode, "delete");
    database.execute_batch(change).unwrap();
}

#[test]
fn a_store_that_another_gateway_has_open_is_left_to_it() {
    let gateway = Site::new().start();
    let key = gateway.create_key();
    let data = gateway.site.path("data");
    let second = Site::new().set("backend.data_dir", format!("'{}'", data.display()));
    let run = with_config("serve", &second, &second.write());
    assert_eq!(run.code, Some(1), "{run:?}");
    for text in ["keys.sqlite", "is in use by another process", "hint: end the other kmsgate"] {
        assert!(run.err.contains(text), "{run:?}");
    }
    let other_key = gateway.create_key();
    let site = gateway.kill();
    // The lock goes with the process that had it.
    let gateway = site.start();
    for key in [key, other_key] {
        gateway.call(&gateway.site.admin, "DescribeKey", &json!({"KeyId": key})).granted();
    }
}

#[test]
fn a_data_directory_where_nothing_can_be_made_ends_the_start() {
    // Where not even root can make a directory.
    let site = Site::new().set("backend.data_dir", "'/proc/kmsgate'");
    let run = with_config("serve", &site, &site.write());
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.err.contains("/proc/kmsgate") && run.err.contains("hint: "), "{run:?}");
    let site = Site::new().set("backend.data_dir", "'kmsgate.toml'");
    let run = with_config("serve", &site, &site.write());
    assert_eq!(run.code, Some(64), "{run:?}");
    assert!(run.err.contains("backend.data_dir") && run.err.contains("is no directory"), "{run:?}");
}

#[test]
fn what_a_start_makes_is_for_its_owner_alone() {
    let (site, _) = with_a_key();
    let mode = |name: &str| fs::metadata(site.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("data"), mode("data/root.key"), mode("data/keys.sqlite")), (0o700, 0o600, 0o600));
}

#[test]
fn a_store_belongs_to_one_region_and_account() {
    let (site, key) = with_a_key();
    let site = site.set("account", "'444455556666'");
    refuses_to_start(&site, &["keys.sqlite", "hint: "]);
    let site = site.set("account", "'111122223333'").set("region", "'eu-west-1'");
    refuses_to_start(&site, &["keys.sqlite", "hint: "]);
    still_has(site.set("region", "'us-east-1'"), &key);
}
