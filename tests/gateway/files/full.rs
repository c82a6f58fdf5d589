//! A disk that is full: nothing is answered that was not recorded or stored, and it is said why.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Answer, Gateway, Site};

/// No file of the process may grow beyond some 100 KiB, and trying to does not end it.
const SMALL_FILES: &str = "trap '' XFSZ; ulimit -f 100";

fn call(gateway: &Gateway, operation: &str, body: &Value) -> Answer {
    gateway.call(&gateway.site.admin, operation, body)
}

#[test]
fn while_records_cannot_be_written_every_request_is_refused() {
    let mut gateway = Site::new().set("audit.file", "'/dev/full'").start();
    for _ in 0..3 {
        let answer = call(&gateway, "GenerateRandom", &json!({"NumberOfBytes": 8}));
        let refusal = answer.refused();
        assert_eq!(refusal.kind(), (503, "ServiceUnavailableException"));
        assert!(refusal.text().contains("audit"), "{refusal:?}");
    }
    let (status, text) = gateway.probe("/readyz");
    assert!(status == 503 && text.contains("No space left on device"), "{status} {text}");
    assert_eq!(gateway.probe("/livez").0, 200, "a restart would not help");
    gateway.signal("TERM");
    assert_eq!(gateway.ended().code(), Some(1), "records are lost");
    assert!(gateway.log().contains("No space left on device"), "{}", gateway.log());
}

#[test]
fn an_audit_file_that_cannot_grow_refuses_and_tears_no_granted_requests_record() {
    let gateway = Gateway::serve_limited(Site::new(), SMALL_FILES);
    let key = gateway.create_key();
    let mut granted = Vec::new();
    let refused = loop {
        let answer = call(&gateway, "GenerateDataKeyWithoutPlaintext", &json!({"KeyId": key, "KeySpec": "AES_256"}));
        if answer.status != 200 {
            break answer;
        }
        granted.push(answer.request_id().to_owned());
        assert!(granted.len() < 10_000, "the file grows on");
    };
    assert_eq!(refused.refused().kind(), (503, "ServiceUnavailableException"));
    assert_eq!(gateway.probe("/readyz").0, 503);
    let text = fs::read_to_string(gateway.site.path("audit.jsonl")).unwrap();
    for id in &granted {
        assert_eq!(text.lines().filter(|line| line.contains(id) && line.ends_with('}')).count(), 1);
    }
    // With room again it goes on by itself.
    let audit = gateway.site.path("audit.jsonl");
    fs::File::options().write(true).open(&audit).unwrap().set_len(0).unwrap();
    let answer = call(&gateway, "GenerateRandom", &json!({"NumberOfBytes": 8}));
    answer.granted();
    assert_eq!(gateway.probe("/readyz").0, 200);
    assert!(fs::read_to_string(&audit).unwrap().contains(answer.request_id()));
}

#[test]
fn a_key_store_that_cannot_grow_refuses_changes_and_keeps_what_it_has() {
    let gateway = Gateway::serve_limited(Site::new().set("audit.file", "'/dev/null'"), SMALL_FILES);
    let mut made = Vec::new();
    let refused = loop {
        let answer = call(&gateway, "CreateKey", &json!({"Description": "d".repeat(1000)}));
        if answer.status != 200 {
            break answer;
        }
        made.push(answer.granted()["KeyMetadata"]["Arn"].as_str().unwrap().to_owned());
        assert!(made.len() < 1000, "the store grows on");
    };
    assert_eq!(refused.refused().kind(), (500, "KMSInternalException"));
    let (status, text) = gateway.probe("/readyz");
    assert!(status == 503 && text.contains("key store"), "{status} {text}");
    let works = |gateway: &Gateway, made: &[String]| {
        for key in made {
            call(gateway, "GenerateDataKeyWithoutPlaintext", &json!({"KeyId": key, "KeySpec": "AES_256"})).granted();
        }
        let listed = call(gateway, "ListKeys", &json!({"Limit": 1000})).granted();
        assert_eq!(listed["Keys"].as_array().unwrap().len(), made.len());
    };
    works(&gateway, &made);
    let gateway = gateway.kill().start();
    works(&gateway, &made);
    made.push(gateway.create_key());
    works(&gateway, &made);
}
