//! A record is found by its id, and what cannot be found or read is said with what to do.

use std::fs;

use super::*;

const ID: &str = "2aba531c-4096-41ab-8e6a-07fcec0eec54";
const OTHER: &str = "c8ed1f7a-479a-4e5a-82f5-bd3512f94a3d";
const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

fn line(id: &str) -> String {
    json!({
        "userIdentity": {"arn": "arn:aws:iam::111122223333:user/alice"},
        "eventTime": "2026-11-23T18:22:41Z",
        "eventName": "Decrypt",
        "eventType": "AwsApiCall",
        "awsRegion": "us-east-1",
        "sourceIPAddress": "203.0.113.9",
        "userAgent": ID,
        "errorCode": "AccessDenied",
        "errorMessage": "no\u{1b}[2J",
        "requestParameters": null,
        "additionalEventData": {"gateway": {"reasons": [
            {"decision": "ExplicitDeny", "action": "kms:Decrypt", "layer": "guardrail", "policy": "limits",
                "statement": "NotFromThere"}
        ]}},
        "requestID": id,
        "resources": [{"ARN": KEY}],
    })
    .to_string()
}

/// What is found, or what is said.
fn found(text: &str) -> Result<Record, String> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("audit.jsonl");
    fs::write(&file, text).unwrap();
    find(&file, ID).map_err(|failure| match failure {
        Failure::Files(faults) => faults.to_string(),
        Failure::Faulty(text) | Failure::Asked(text) => text,
    })
}

#[test]
fn a_record_is_found_by_its_own_id_and_not_by_one_that_it_mentions() {
    let record = found(&format!("{}\nno record\n{}\n", line(OTHER), line(ID))).unwrap();
    assert_eq!(record.request_id.as_deref(), Some(ID));
    assert!(found(&line(ID)).is_ok(), "a line may have no end and be whole");
    let said = found(&format!("{}\n", line(OTHER))).unwrap_err();
    assert!(said.contains("has no record of the request") && said.contains("rotated"), "{said}");
}

#[test]
fn a_faulty_line_is_named_and_a_cut_one_is_not_read() {
    let whole = line(ID);
    let (cut, _) = whole.split_at(whole.len() - 1);
    let said = found(&format!("{}\n{cut}\n", line(OTHER))).unwrap_err();
    assert!(said.contains("audit.jsonl:2: is no audit record: "), "{said}");
    let said = found(&format!("{}\n{cut}", line(OTHER))).unwrap_err();
    assert!(said.contains("the last one, is cut off"), "{said}");
    let missing = find(Path::new("/nowhere/audit.jsonl"), ID).unwrap_err();
    assert!(matches!(missing, Failure::Files(faults) if faults.to_string().contains("cannot be read")));
}

#[test]
fn what_was_decided_is_told_from_the_record() {
    let record = found(&line(ID)).unwrap();
    assert_eq!(
        page(&record, &[]),
        format!(
            "request     {ID}
time        2026-11-23T18:22:41Z
principal   arn:aws:iam::111122223333:user/alice
operation   Decrypt
from        203.0.113.9
decided     ExplicitDeny in layer guardrail by limits, statement NotFromThere: kms:Decrypt on {KEY}
answer      AccessDenied: no\\u{{1b}}[2J
"
        )
    );
    let decision = &recorded_json(&record)["decisions"][0];
    let expected = json!({"action": "kms:Decrypt", "resource": KEY, "decision": "ExplicitDeny", "layer": "guardrail",
        "policy": "limits", "statement": "NotFromThere", "grantId": null, "reportOnly": false});
    assert_eq!(*decision, expected);
}
