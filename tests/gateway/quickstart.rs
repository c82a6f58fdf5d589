//! `kmsgate quickstart`: what it promises to a script, and what it makes.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{ALLOW_ALL, Connection, Quickstart, Refusal, now, run};

fn data_key(quickstart: &Quickstart, name: &str) -> Value {
    quickstart
        .call("GenerateDataKeyWithoutPlaintext", &json!({"KeyId": quickstart.line[name], "KeySpec": "AES_256"}))
        .granted()
}

#[test]
fn a_script_gets_one_line_with_all_that_it_needs() {
    let directory = tempfile::tempdir().unwrap();
    let quickstart = Quickstart::start(&directory.path().join("data"), &[]);
    let mut names: Vec<_> = quickstart.line.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    let promised = [
        "accessKeyId",
        "account",
        "admin",
        "alias",
        "endpoint",
        "keyArn",
        "keyId",
        "principal",
        "region",
        "secretAccessKey",
    ];
    assert_eq!(names, promised);
    assert_eq!(
        (&quickstart.line["region"], &quickstart.line["account"]),
        (&json!("us-east-1"), &json!("111122223333"))
    );
    assert_eq!(quickstart.line["alias"], "alias/quickstart");
    for name in ["alias", "keyId", "keyArn"] {
        assert_eq!(data_key(&quickstart, name)["KeyId"], quickstart.line["keyArn"]);
    }
    let mut probe = Connection::open(quickstart.host("admin").parse().unwrap());
    probe.send(b"GET /readyz HTTP/1.1\r\nHost: probe\r\n\r\n");
    assert_eq!(probe.answer().status, 200);
    assert_eq!(quickstart.end(), (Some(0), String::new()));
}

#[test]
fn a_standard_error_that_nobody_reads_stops_nothing() {
    // Far more than a pipe holds, in lines of a hundred bytes.
    const REQUESTS: usize = 2000;
    let directory = tempfile::tempdir().unwrap();
    let quickstart = Quickstart::start_unread(directory.path());
    let host = quickstart.host("endpoint");
    let mut connection = Connection::open(host.parse().unwrap());
    let request = quickstart.caller.request(&host, "ListKeys", &json!({}));
    for _ in 0..REQUESTS {
        assert_eq!(connection.exchange(&request).refused().code, "AccessDeniedException");
    }
    drop(connection);
    let began = now();
    assert_eq!(quickstart.end(), (Some(0), String::new()));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[test]
fn its_principal_may_use_the_one_key_and_do_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let quickstart = Quickstart::start(directory.path(), &[]);
    let key = &quickstart.line["keyArn"];
    let sealed = quickstart.call("GenerateDataKey", &json!({"KeyId": key, "NumberOfBytes": 64})).granted();
    let blob = &sealed["CiphertextBlob"];
    let opened = quickstart.call("Decrypt", &json!({"CiphertextBlob": blob})).granted();
    assert_eq!(opened["Plaintext"], sealed["Plaintext"]);
    quickstart.call("Encrypt", &json!({"KeyId": key, "Plaintext": "AAAA"})).granted();
    quickstart.call("ReEncrypt", &json!({"CiphertextBlob": blob, "DestinationKeyId": key})).granted();
    quickstart.call("DescribeKey", &json!({"KeyId": key})).granted();
    for (operation, resource) in [
        ("CreateKey", "*"),
        ("ListKeys", "*"),
        ("ListAliases", "*"),
        ("GenerateRandom", "*"),
        ("DisableKey", key.as_str().unwrap()),
        ("ScheduleKeyDeletion", key.as_str().unwrap()),
    ] {
        let text = format!(
            "User: {} is not authorized to perform: kms:{operation} on resource: {resource} because no identity-based \
             policy allows the kms:{operation} action",
            quickstart.caller.arn
        );
        let refusal = quickstart.call(operation, &json!({"KeyId": key})).refused();
        assert_eq!(refusal, Refusal::new(400, "AccessDeniedException", text));
    }
}

#[test]
fn a_second_start_finds_what_the_first_made() {
    let directory = tempfile::tempdir().unwrap();
    let policy = directory.path().join("all.json");
    fs::write(&policy, ALLOW_ALL).unwrap();
    let data_dir = directory.path().join("data");
    let first = Quickstart::start(&data_dir, &[]);
    let sealed = data_key(&first, "alias");
    let lasting = |line: &Value| {
        ["region", "account", "principal", "accessKeyId", "secretAccessKey", "keyId", "keyArn", "alias"]
            .map(|name| line[name].clone())
    };
    let line = first.line.clone();
    drop(first);
    let second = Quickstart::start(&data_dir, &["--policy", policy.to_str().unwrap()]);
    assert_eq!(lasting(&second.line), lasting(&line));
    second.call("Decrypt", &json!({"CiphertextBlob": sealed["CiphertextBlob"]})).granted();
}

#[test]
fn it_is_the_kms_of_the_region_and_account_it_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let asked = ["--region", "eu-west-1", "--account", "444455556666"];
    for arguments in [asked.as_slice(), &[]] {
        let quickstart = Quickstart::start(directory.path(), arguments);
        let id = quickstart.line["keyId"].as_str().unwrap();
        assert_eq!(quickstart.line["keyArn"], format!("arn:aws:kms:eu-west-1:444455556666:key/{id}"));
        assert_eq!(quickstart.line["principal"], "arn:aws:iam::444455556666:user/quickstart");
        // This client signs for us-east-1.
        let refusal = quickstart.call("DescribeKey", &json!({"KeyId": id})).refused();
        assert_eq!(refusal.kind(), (400, "InvalidSignatureException"));
        assert!(refusal.text().contains("Credential should be scoped to a valid region"), "{refusal:?}");
    }
}

#[test]
fn it_is_the_kms_of_replica_regions_too_and_stays_so() {
    let directory = tempfile::tempdir().unwrap();
    let data_dir = directory.path().join("kmsgate-data");
    let asked = ["--replica-region", "eu-west-1", "--replica-region", "ap-south-1"];
    for arguments in [asked.as_slice(), &[], &["--replica-region", "ap-south-1", "--replica-region", "eu-west-1"]] {
        let quickstart = Quickstart::start(&data_dir, arguments);
        assert_eq!(quickstart.line["region"], "us-east-1");
        data_key(&quickstart, "alias");
    }
    let config = fs::read_to_string(data_dir.join("kmsgate.toml")).unwrap();
    assert!(config.contains("replica_regions = [\"eu-west-1\", \"ap-south-1\"]\n"), "{config}");
    for (region, says) in
        [("eu-west-1", "replica_regions has other regions"), ("us-east-1", "the gateway's own region")]
    {
        let run = run(&["quickstart", "--json", "--replica-region", region], directory.path());
        assert_eq!((run.code, run.out.as_str()), (Some(64), ""), "{run:?}");
        assert!(run.err.contains(says) && run.err.contains("hint: "), "{run:?}");
    }
}

#[test]
fn a_policy_of_the_operators_own_is_for_one_start() {
    let directory = tempfile::tempdir().unwrap();
    let policy = directory.path().join("all.json");
    fs::write(&policy, ALLOW_ALL).unwrap();
    let data_dir = directory.path().join("data");
    let list = |more: &[&str]| Quickstart::start(&data_dir, more).call("ListKeys", &json!({})).status;
    assert_eq!(list(&[]), 400);
    assert_eq!(list(&["--policy", policy.to_str().unwrap()]), 200);
    assert_eq!(list(&[]), 400);
}

#[test]
fn what_it_cannot_do_is_said_and_nothing_is_made() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("bad.json"), "{").unwrap();
    fs::write(directory.path().join("file"), "x").unwrap();
    for (arguments, code, says) in [
        (vec!["--listen", "0.0.0.0:0"], 64, "can be reached from other machines"),
        (vec!["--listen", "localhost"], 64, "--listen"),
        (vec!["--region", "nowhere"], 64, "--region"),
        (vec!["--account", "1"], 64, "--account"),
        (vec!["--replica-region", "nowhere"], 64, "--replica-region"),
        (vec!["--replica-region", "us-east-1"], 64, "the gateway's own region"),
        (vec!["--replica-region", "cn-north-1"], 64, "another partition"),
        (vec!["--policy", "missing.json"], 64, "missing.json: cannot be read"),
        (vec!["--policy", "bad.json"], 64, "bad.json"),
        (vec!["--data-dir", "file"], 1, "file"),
    ] {
        let run = run(&[&["quickstart", "--json"], arguments.as_slice()].concat(), directory.path());
        assert_eq!((run.code, run.out.as_str()), (Some(code), ""), "{arguments:?} {run:?}");
        assert!(run.err.contains(says), "{run:?}");
        assert!(!directory.path().join("kmsgate-data").exists(), "{arguments:?}");
    }
}

#[test]
fn a_data_directory_stays_in_its_region_and_account() {
    let directory = tempfile::tempdir().unwrap();
    drop(Quickstart::start(&directory.path().join("kmsgate-data"), &[]));
    for arguments in [["--region", "eu-west-1"], ["--account", "444455556666"]] {
        let run = run(&[&["quickstart", "--json"], arguments.as_slice()].concat(), directory.path());
        assert_eq!((run.code, run.out.as_str()), (Some(64), ""), "{run:?}");
        assert!(run.err.contains(arguments[0]) && run.err.contains("hint: "), "{run:?}");
    }
}
