//! Files that are not as they should be: each is named with what to do about it, and nothing is made worse.

mod full;
mod store;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

use crate::harness::{Run, Site, run};

/// Runs a command on a configuration, to its end.
fn with_config(command: &str, site: &Site, config: &Path) -> Run {
    run(&[command, "--config", config.to_str().unwrap()], &site.path(""))
}

/// The files of `site` are at fault: `check` and `serve` both say so, in the same words, and nothing is started.
fn at_fault(site: &Site, config: &Path, says: &[&str]) -> String {
    let runs = ["check", "serve"].map(|command| with_config(command, site, config));
    for run in &runs {
        assert_eq!(run.code, Some(64), "{run:?}");
        assert_eq!(run.out, "");
        for text in says {
            assert!(run.err.contains(text), "`{text}` is not in: {}", run.err);
        }
        assert!(run.err.contains("hint: "), "{}", run.err);
    }
    let [check, serve] = runs;
    assert_eq!(check.err, serve.err);
    assert!(!site.path("data").exists(), "nothing was made");
    check.err
}

#[test]
fn a_configuration_that_is_right_is_said_to_be_right_and_nothing_is_made() {
    let site = Site::new();
    let config = site.write();
    let run = with_config("check", &site, &config);
    assert_eq!((run.code, run.err.as_str()), (Some(0), ""), "{run:?}");
    assert!(run.out.starts_with(&format!("ok: {}", config.display())), "{run:?}");
    assert!(!site.path("data").exists() && !site.path("audit.jsonl").exists());
}

#[test]
fn all_regions_that_are_served_are_named_and_those_that_cannot_be_are_faults() {
    let site = Site::new().set("replica_regions", "['eu-west-1', 'ap-south-1']");
    let run = with_config("check", &site, &site.write());
    assert_eq!((run.code, run.err.as_str()), (Some(0), ""), "{run:?}");
    assert!(run.out.contains("account 111122223333 in us-east-1, eu-west-1, ap-south-1\n"), "{run:?}");
    let site = Site::new().set("replica_regions", "['eu-west-1', 'eu-west-1', 'cn-north-1']");
    let faults = ["replica_regions[1]", "named twice", "replica_regions[2]", "another partition", "2 faults found"];
    at_fault(&site, &site.write(), &faults);
}

#[test]
fn a_configuration_that_cannot_be_read_is_named() {
    let site = Site::new();
    site.write();
    let missing = site.path("missing.toml");
    at_fault(&site, &missing, &["missing.toml: cannot be read", "1 fault found"]);
    at_fault(&site, &site.path("policies"), &["policies: cannot be read", "1 fault found"]);
    for (name, text) in [
        ("open.toml", b"region = \n".as_slice()),
        ("twice.toml", b"region = 'us-east-1'\nregion = 'us-east-2'\n"),
        ("binary.toml", b"region = '\xff'\n"),
        ("yaml.toml", b"region: us-east-1\n"),
    ] {
        fs::write(site.path(name), text).unwrap();
        at_fault(&site, &site.path(name), &[name]);
    }
    fs::write(site.path("empty.toml"), "").unwrap();
    at_fault(&site, &site.path("empty.toml"), &["region", "account", "backend.kind", "auth.credentials_file"]);
}

#[test]
fn no_configuration_is_a_fault_of_the_command_line() {
    let site = Site::new();
    for arguments in [vec!["serve"], vec!["serve", "--config"], vec!["serve", "--confg", "x"], vec!["seve"], vec![]] {
        let run = run(&arguments, &site.path(""));
        assert_eq!((run.code, run.out.as_str()), (Some(64), ""), "{arguments:?} {run:?}");
        assert!(run.err.contains("help"), "{run:?}");
    }
}

#[test]
fn every_fault_is_named_at_once_with_its_place() {
    let mut site = Site::new()
        .set("region", "'nowhere'")
        .set("account", "111122223333")
        .set("listen.adress", "'127.0.0.1:8700'")
        .set("listen.address", "'127.0.0.1'")
        .set("server.workers", 0)
        .set("server.request_timeout_ms", 1)
        .set("limits.classes.symetric", "{ per_second = 1 }")
        .set("limits.gateway", "{ burst = 1 }")
        .set("metrics.address", "'127.0.0.1:9000'")
        .set("audit.file", "'nowhere/audit.jsonl'");
    site.user("bob", r#"{"Version":"2012-10-17","Statement":[{"Effect":"Permit","Action":"kms:*","Resource":"*"}]}"#);
    let config = site.write();
    let credentials = fs::read_to_string(site.path("credentials.toml")).unwrap();
    site.write_private("credentials.toml", &format!("{credentials}colour = 'blue'\n"));
    let err = at_fault(
        &site,
        &config,
        &[
            "kmsgate.toml:",
            "region: ",
            "account: ",
            "listen.adress: ",
            "did you mean `address`?",
            "listen.address: ",
            "server.workers: ",
            "server.request_timeout_ms: ",
            "limits.classes.symetric",
            "limits.gateway.per_second: ",
            "metrics",
            "audit.file: ",
            "policy-1.json: ",
            "credentials.toml:",
            "colour",
            "12 faults found",
        ],
    );
    assert_eq!(err.lines().filter(|line| line.contains("hint: ")).count(), 12, "{err}");
    assert!(!err.contains(&site.admin.secret), "{err}");
}

#[test]
fn a_credentials_file_that_others_may_read_is_refused() {
    let site = Site::new();
    let config = site.write();
    let credentials = site.path("credentials.toml");
    for mode in [0o640, 0o604, 0o644, 0o660, 0o666] {
        fs::set_permissions(&credentials, fs::Permissions::from_mode(mode)).unwrap();
        let err = at_fault(&site, &config, &[&format!("{mode:04o}"), "hint: chmod 600"]);
        assert!(!err.contains(&site.admin.secret), "{err}");
    }
    fs::remove_file(&credentials).unwrap();
    at_fault(&site, &config, &["credentials.toml: cannot be read"]);
    fs::create_dir(&credentials).unwrap();
    at_fault(&site, &config, &["credentials.toml: is not a plain file"]);
}

#[test]
fn a_secret_is_never_printed_whatever_is_wrong_around_it() {
    let site = Site::new();
    let config = site.write();
    let good = fs::read_to_string(site.path("credentials.toml")).unwrap();
    let secret = &site.admin.secret;
    for broken in [
        good.replace(&format!("'{secret}'"), secret),
        good.replace(&format!("'{secret}'"), &format!("'{secret}")),
        good.replace(&format!("secret = '{secret}'"), &format!("secrets = '{secret}'")),
        good.replace(&format!("'{secret}'"), &format!("['{secret}']")),
        good.replace(&format!("secret = '{secret}'"), &format!("'{secret}' = 'secret'")),
        format!("{good}\n[[principals.access_keys]]\nid = '{}'\nsecret = '{secret}'\n", site.admin.access_key_id),
    ] {
        assert_ne!(broken, good);
        site.write_private("credentials.toml", &broken);
        let err = at_fault(&site, &config, &["credentials.toml"]);
        // Not even a part that would make guessing the rest worth while.
        assert!(!err.contains(secret.split_at(10).0) && !err.contains(secret.split_at(30).1), "{err}");
    }
}

#[test]
fn a_policy_that_is_none_or_is_missing_is_refused() {
    let site = Site::new();
    let config = site.write();
    let policy = site.path("policies/policy-0.json");
    for text in ["", "{", "[]", r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:*"}]}"#] {
        fs::write(&policy, text).unwrap();
        at_fault(&site, &config, &["policy-0.json"]);
    }
    fs::remove_file(&policy).unwrap();
    at_fault(&site, &config, &["principals[0].policies", "there is no policy `policy-0`"]);
    fs::remove_dir(site.path("policies")).unwrap();
    at_fault(&site, &config, &["policies.directory"]);
}

#[test]
fn a_certificate_that_cannot_be_used_is_refused() {
    let site = Site::new().set("listen.tls.certificate_file", "'tls.crt'").set("listen.tls.key_file", "'tls.key'");
    let config = site.write();
    at_fault(&site, &config, &["listen.tls.certificate_file", "listen.tls.key_file"]);
    let [one, other] = [(); 2].map(|()| rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap());
    site.write_private("tls.crt", &one.cert.pem());
    site.write_private("tls.key", &other.signing_key.serialize_pem());
    at_fault(&site, &config, &["listen.tls.key_file", "does not fit the certificate"]);
    site.write_private("tls.key", &one.signing_key.serialize_pem());
    assert_eq!(with_config("check", &site, &config).code, Some(0));
}

#[test]
fn an_upstream_that_cannot_be_called_is_refused() {
    let site = Site::new();
    let config = site.write();
    let forwarding = |lines: &str| {
        let head =
            "region = 'us-east-1'\nauth.credentials_file = 'credentials.toml'\npolicies.directory = 'policies'\n";
        fs::write(&config, format!("{head}[backend]\nkind = 'aws'\n{lines}")).unwrap();
    };
    forwarding("endpoint_url = 'http://kms.test'\nca_file = 'absent.pem'\nrole_arn = 'kmsgate'\n");
    let faults = ["backend.endpoint_url: ", "backend.ca_file: ", "backend.role_arn: ", "3 faults found"];
    at_fault(&site, &config, &faults);
    forwarding("endpoint_url = 'https://kms.test'\nca_file = 'ca.pem'\n");
    fs::write(site.path("ca.pem"), "no certificate").unwrap();
    let [check, serve] = ["check", "serve"].map(|command| with_config(command, &site, &config));
    assert_eq!((check.code, serve.code), (Some(64), Some(1)), "{check:?} {serve:?}");
    for run in [check, serve] {
        assert!(run.err.contains("the upstream 111122223333/us-east-1 cannot be called: "), "{run:?}");
        assert!(run.err.contains("ca.pem` holds no certificate"), "{run:?}");
    }
}

#[test]
fn a_root_key_that_others_can_read_or_that_is_gone_is_refused() {
    let gateway = Site::new().start();
    let site = gateway.kill();
    let (config, root_key) = (site.path("kmsgate.toml"), site.path("data/root.key"));
    let says = |text: &str| {
        let runs = ["check", "serve"].map(|command| with_config(command, &site, &config));
        for run in &runs {
            assert!(run.code != Some(0) && run.out.is_empty() && run.err.contains(text), "{run:?}");
        }
        assert_eq!(runs[0].code, Some(64));
    };
    fs::set_permissions(&root_key, fs::Permissions::from_mode(0o640)).unwrap();
    says("holds secrets and has mode 0640");
    fs::remove_file(&root_key).unwrap();
    says("restore the root key's file");
}

#[test]
fn an_audit_file_that_cannot_be_written_ends_the_start() {
    let site = Site::new().set("audit.file", "'policies'");
    at_fault(&site, &site.write(), &["audit.file", "is a directory"]);
    let site = Site::new().set("audit.file", "'nowhere/audit.jsonl'");
    at_fault(&site, &site.write(), &["audit.file", "does not exist"]);
    // Where not even root can make a file.
    let site = Site::new().set("audit.file", "'/proc/audit.jsonl'");
    let run = with_config("serve", &site, &site.write());
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.err.contains("cannot write audit records to `/proc/audit.jsonl`"), "{run:?}");
}

#[test]
fn an_audit_file_is_made_for_its_owner_alone_and_continued() {
    let gateway = Site::new().start();
    let key = gateway.create_key();
    let audit = gateway.site.path("audit.jsonl");
    assert_eq!(fs::metadata(&audit).unwrap().permissions().mode() & 0o777, 0o600);
    let site = gateway.kill();
    // A line that a crash has torn.
    let torn = "{\"eventVersion\":\"1.11\",\"userId";
    fs::write(&audit, [fs::read_to_string(&audit).unwrap().as_str(), torn].concat()).unwrap();
    let gateway = site.start();
    let other = gateway.create_key();
    let names: Vec<_> = gateway.lines().into_iter().map(|line| line["eventName"].clone()).collect();
    assert_eq!(names, ["AuditCheckpoint", "CreateKey", "AuditLineRepaired", "AuditCheckpoint", "CreateKey"]);
    let lines = gateway.lines();
    assert!(lines[1].to_string().contains(&key) && lines[4].to_string().contains(&other), "{lines:?}");
    let repaired = &lines[2]["additionalEventData"]["gateway"]["repaired"];
    assert_eq!(*repaired, json!({"bytes": torn.len(), "text": BASE64_STANDARD.encode(torn)}));
}
