//! `kmsgate keys`: keys carried from the store of one gateway to that of another.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::harness::{Gateway, Run, Site, run};

fn keys(site: &Site, arguments: &[&str]) -> Run {
    run(&[&["keys"], arguments].concat(), &site.path(""))
}

fn done(run: &Run) {
    assert_eq!(run.code, Some(0), "{run:?}");
}

/// The command refuses to do what it is asked for, and says why and what to do.
fn refused(run: &Run, code: i32, says: &[&str]) {
    assert_eq!((run.code, run.out.as_str()), (Some(code), ""), "{run:?}");
    for text in says.iter().chain(&["hint: "]) {
        assert!(run.err.contains(text), "`{text}` is not in: {}", run.err);
    }
}

fn stopped(mut gateway: Gateway) -> Site {
    gateway.signal("TERM");
    assert_eq!(gateway.ended().code(), Some(0), "{}", gateway.log());
    gateway.kill()
}

/// A gateway's files with a transport key and two keys, one of which has two aliases and a ciphertext.
struct Left {
    site: Site,
    key: String,
    blob: Value,
}

fn left() -> Left {
    let gateway = Site::new().start();
    let call = |operation: &str, body: &Value| gateway.call(&gateway.site.admin, operation, body).granted();
    let (key, _) = (gateway.create_key(), gateway.create_key());
    for alias in ["alias/orders", "alias/a/b"] {
        call("CreateAlias", &json!({"AliasName": alias, "TargetKeyId": key}));
    }
    let body = json!({"KeyId": key, "Plaintext": "aGVsbG8=", "EncryptionContext": {"tenant": "blue"}});
    let blob = call("Encrypt", &body)["CiphertextBlob"].clone();
    let site = stopped(gateway);
    site.write();
    done(&keys(&site, &["transport-key", "--out", "transport.key"]));
    Left { site, key, blob }
}

fn exported(site: &Site, more: &[&str]) -> Run {
    let export = ["export", "--config", "kmsgate.toml", "--transport-key", "transport.key", "--out", "keys"];
    keys(site, &[&export, more].concat())
}

/// A site that was never started, with the transport key and the file of keys of `from`.
fn arriving(from: &Site) -> Site {
    let site = Site::new();
    site.write();
    site.write_private("transport.key", &fs::read_to_string(from.path("transport.key")).unwrap());
    fs::copy(from.path("keys"), site.path("keys")).unwrap();
    site
}

const IMPORT: [&str; 7] = ["import", "--config", "kmsgate.toml", "--transport-key", "transport.key", "--file", "keys"];

#[test]
fn what_one_gateway_encrypted_another_decrypts_once_the_keys_are_there() {
    let Left { site, key, blob } = left();
    let run = exported(&site, &[]);
    done(&run);
    assert!(run.err.contains("exported: 2 keys, 2 aliases (account 111122223333, us-east-1)"), "{run:?}");
    assert!(run.err.contains("not exported: 0 keys that --key does not name; the root key"), "{run:?}");
    assert_eq!(fs::metadata(site.path("keys")).unwrap().permissions().mode() & 0o777, 0o600);
    let other = arriving(&site);
    let run = keys(&other, &IMPORT);
    done(&run);
    assert!(run.err.contains("imported: 2 keys, 2 aliases (account 111122223333, us-east-1)"), "{run:?}");
    let again = keys(&other, &IMPORT);
    done(&again);
    assert!(again.err.contains("imported: 0 keys, 0 aliases") && again.err.contains("already: 2 keys"), "{again:?}");
    let gateway = other.start();
    let call = |operation: &str, body: Value| gateway.call(&gateway.site.admin, operation, &body);
    for named in [json!({}), json!({"KeyId": "alias/a/b"})] {
        let mut body = json!({"CiphertextBlob": blob, "EncryptionContext": {"tenant": "blue"}});
        body.as_object_mut().unwrap().extend(named.as_object().unwrap().clone());
        let opened = call("Decrypt", body).granted();
        assert_eq!((&opened["Plaintext"], &opened["KeyId"]), (&json!("aGVsbG8="), &json!(key)));
    }
    let wrong = call("Decrypt", json!({"CiphertextBlob": blob, "EncryptionContext": {"tenant": "red"}})).refused();
    assert_eq!(wrong.kind(), (400, "InvalidCiphertextException"));
    let moved = call(
        "ReEncrypt",
        json!({"CiphertextBlob": blob, "SourceEncryptionContext": {"tenant": "blue"},
        "DestinationKeyId": key}),
    )
    .granted();
    call("Decrypt", json!({"CiphertextBlob": moved["CiphertextBlob"]})).granted();
}

#[test]
fn a_foreign_ciphertext_tells_nobody_which_keys_are_here() {
    let Left { site, blob, .. } = left();
    let second = site.start();
    let listed = second.call(&second.site.admin, "ListKeys", &json!({})).granted();
    let aliased = second.call(&second.site.admin, "DescribeKey", &json!({"KeyId": "alias/orders"})).granted();
    let ids: Vec<_> = listed["Keys"].as_array().unwrap().iter().map(|key| key["KeyId"].as_str().unwrap()).collect();
    let bare = ids.into_iter().find(|id| aliased["KeyMetadata"]["KeyId"] != *id).unwrap().to_owned();
    let site = stopped(second);
    let run = exported(&site, &["--key", &bare]);
    done(&run);
    assert!(run.err.contains("not exported: 1 keys that --key does not name"), "{run:?}");
    let mut other = arriving(&site);
    let stranger = other.user(
        "stranger",
        r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"kms:Encrypt","Resource":"*"}}"#,
    );
    other.write();
    done(&keys(&other, &IMPORT));
    let gateway = other.start();
    let body = json!({"CiphertextBlob": blob, "EncryptionContext": {"tenant": "blue"}});
    // Whoever may do everything is told the same as whoever may do nothing.
    for caller in [&gateway.site.admin, &stranger] {
        let refusal = gateway.call(caller, "Decrypt", &body).refused();
        assert_eq!(refusal.kind(), (400, "InvalidCiphertextException"));
        assert_eq!(refusal.message, None);
    }
    // And so is who may not use a key that is here, of its foreign ciphertexts.
    let here = gateway.call(&gateway.site.admin, "Encrypt", &json!({"KeyId": bare, "Plaintext": "aGVsbG8="})).granted();
    let own = gateway.call(&stranger, "Decrypt", &json!({"CiphertextBlob": here["CiphertextBlob"]})).refused();
    assert_eq!(own.kind(), (400, "AccessDeniedException"));
    let first = site.start();
    let there = first.call(&first.site.admin, "Encrypt", &json!({"KeyId": bare, "Plaintext": "aGVsbG8="})).granted();
    let body = json!({"CiphertextBlob": there["CiphertextBlob"]});
    gateway.call(&gateway.site.admin, "Decrypt", &body).granted();
    let refusal = gateway.call(&stranger, "Decrypt", &body).refused();
    assert_eq!((refusal.kind(), refusal.message.as_deref()), ((400, "InvalidCiphertextException"), None));
}

#[test]
fn without_a_configuration_the_data_directory_will_do_and_the_keys_pass_through_a_pipe() {
    let Left { site, key, blob } = left();
    let export = ["export", "--data-dir", "data", "--transport-key", "transport.key", "--key", "alias/orders"];
    let run = keys(&site, &export);
    done(&run);
    assert!(run.out.starts_with("kmsgate-keys-v1 "), "{run:?}");
    fs::write(site.path("keys"), &run.out).unwrap();
    let other = arriving(&site);
    // There is no store yet, and no root key: both are made.
    let mut import = Command::new(env!("CARGO_BIN_EXE_kmsgate"));
    import.args(["keys", "import", "--data-dir", "data", "--transport-key", "transport.key"]);
    import.current_dir(other.path("")).stdin(fs::File::open(other.path("keys")).unwrap());
    let run = import.stdout(Stdio::piped()).output().unwrap();
    assert_eq!((run.status.code(), run.stdout.as_slice()), (Some(0), [].as_slice()), "{run:?}");
    let gateway = other.start();
    let body = json!({"CiphertextBlob": blob, "EncryptionContext": {"tenant": "blue"}});
    assert_eq!(gateway.call(&gateway.site.admin, "Decrypt", &body).granted()["KeyId"], json!(key));
}

#[test]
fn a_file_that_was_changed_or_is_read_with_another_transport_key_is_refused_and_nothing_is_imported() {
    let Left { site, .. } = left();
    done(&exported(&site, &[]));
    let other = arriving(&site);
    let file = fs::read(other.path("keys")).unwrap();
    let edited = |text: &[u8]| {
        fs::write(other.path("keys"), text).unwrap();
        keys(&other, &IMPORT)
    };
    let text = String::from_utf8(file.clone()).unwrap();
    let lines: Vec<_> = text.split_inclusive('\n').collect();
    let without_a_key = [&lines[..1], &lines[2..]].concat().concat();
    let renamed = text.replace("alias/orders", "alias/order5");
    let disabled = text.replacen("Enabled", "Disabled", 1);
    let cut = text.trim_end().to_owned();
    for changed in [without_a_key, renamed, disabled, cut, lines[..2].concat()] {
        assert_ne!(changed, text);
        refused(&edited(changed.as_bytes()), 64, &["keys: was exported with another transport key, or was edited"]);
    }
    // Every bit is flipped in the unit tests; here some from all over the file.
    for bit in (0..file.len() * 8).step_by(file.len() * 8 / 10) {
        let mut flipped = file.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        refused(&edited(&flipped), 64, &["keys: "]);
    }
    refused(&edited(b"[]"), 64, &["keys: is no file of keys"]);
    fs::write(other.path("keys"), &file).unwrap();
    fs::remove_file(other.path("transport.key")).unwrap();
    refused(&keys(&other, &IMPORT), 64, &["transport.key: cannot be read"]);
    done(&keys(&other, &["transport-key", "--out", "transport.key"]));
    refused(&keys(&other, &IMPORT), 64, &["was exported with another transport key"]);
    assert!(!other.path("data").exists(), "nothing is made for a file that is refused");
}

#[test]
fn files_that_are_there_are_not_overwritten() {
    let Left { site, .. } = left();
    fs::write(site.path("keys"), "mine").unwrap();
    refused(&exported(&site, &[]), 64, &["keys: exists already and is not overwritten"]);
    assert_eq!(fs::read_to_string(site.path("keys")).unwrap(), "mine");
    let before = fs::read(site.path("transport.key")).unwrap();
    let run = keys(&site, &["transport-key", "--out", "transport.key"]);
    refused(&run, 64, &["transport.key: exists already and is not overwritten"]);
    assert_eq!(fs::read(site.path("transport.key")).unwrap(), before);
    assert_eq!(fs::metadata(site.path("transport.key")).unwrap().permissions().mode() & 0o777, 0o600);
    fs::set_permissions(site.path("transport.key"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::remove_file(site.path("keys")).unwrap();
    refused(&exported(&site, &[]), 64, &["transport.key: holds secrets and has mode 0644"]);
}

#[test]
fn the_store_of_a_gateway_that_runs_is_left_to_it() {
    let Left { site, key, .. } = left();
    done(&exported(&site, &[]));
    fs::rename(site.path("keys"), site.path("before")).unwrap();
    let gateway = site.start();
    refused(&exported(&gateway.site, &[]), 1, &["keys.sqlite", "is in use by another process"]);
    assert!(!gateway.site.path("keys").exists());
    let import = ["import", "--config", "kmsgate.toml", "--transport-key", "transport.key", "--file", "before"];
    refused(&keys(&gateway.site, &import), 1, &["keys.sqlite", "is in use by another process"]);
    gateway.call(&gateway.site.admin, "DescribeKey", &json!({"KeyId": key})).granted();
}

#[test]
fn a_key_that_contradicts_one_that_is_there_is_refused_by_its_name() {
    let Left { site, .. } = left();
    done(&exported(&site, &[]));
    // The other store has the alias for a key of its own.
    let other = arriving(&site).start();
    let own = other.create_key();
    other.call(&other.site.admin, "CreateAlias", &json!({"AliasName": "alias/orders", "TargetKeyId": own})).granted();
    let other = stopped(other);
    let store = fs::read(other.path("data/keys.sqlite")).unwrap();
    refused(&keys(&other, &IMPORT), 64, &["keys: alias/orders is to point to ", "1 fault found"]);
    assert!(fs::read(other.path("data/keys.sqlite")).unwrap() == store);
    // And one of another region has no place there.
    let abroad = arriving(&site).set("region", "'eu-west-1'");
    abroad.write();
    let run = keys(&abroad, &IMPORT);
    refused(&run, 64, &["is of a region or account that is not served here", "2 faults found"]);
}

#[test]
fn what_is_not_there_is_named() {
    let Left { site, .. } = left();
    refused(&exported(&site, &["--key", "alias/none"]), 64, &["keys.sqlite", "has no key `alias/none`"]);
    assert!(!site.path("keys").exists());
    for arguments in [
        vec!["export", "--transport-key", "transport.key"],
        vec!["export", "--config", "kmsgate.toml"],
        vec!["export", "--config", "kmsgate.toml", "--data-dir", "data", "--transport-key", "transport.key"],
        vec!["transport-key"],
        vec![],
    ] {
        let run = keys(&site, &arguments);
        assert_eq!((run.code, run.out.as_str()), (Some(64), ""), "{arguments:?} {run:?}");
    }
    let run = keys(&site, &["export", "--data-dir", "nowhere", "--transport-key", "transport.key"]);
    refused(&run, 1, &["nowhere/keys.sqlite", "does not exist"]);
    assert!(!Path::new(&site.path("nowhere")).exists());
}
