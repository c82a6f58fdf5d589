//! What is counted, and how memory stays bounded.

use serde_json::{Value, json};

use super::*;

const ALL: By = By { principal: true, key: true, operation: true };

fn record(user: &str, keys: &[&str], operation: &str, time: &str, code: Option<&str>) -> Value {
    let resources: Vec<Value> = keys.iter().map(|key| json!({"type": "AWS::KMS::Key", "ARN": key})).collect();
    json!({
        "userIdentity": {"arn": user}, "eventTime": time, "eventSource": "kms.amazonaws.com", "eventName": operation,
        "errorCode": code, "resources": resources,
    })
}

fn at(time: &str) -> Timestamp {
    Timestamp::parse_iso8601(time).unwrap()
}

fn count(tally: &mut Tally, record: &Value) {
    tally.line(&Line::Whole(record.to_string().as_bytes()));
}

#[test]
fn requests_are_counted_by_who_asked_what_about_which_key() {
    let mut tally = Tally::new(ALL, None, None);
    for (second, code) in [("05", None), ("01", Some("AccessDenied")), ("09", None)] {
        count(&mut tally, &record("a", &["k1"], "Decrypt", &format!("2026-11-23T18:22:{second}Z"), code));
    }
    count(&mut tally, &record("a", &["k1", "k2", "k1"], "ReEncrypt", "2026-11-23T18:22:01Z", None));
    count(&mut tally, &record("b", &[], "CreateKey", "2026-11-23T18:22:01Z", None));
    let rows = tally.take_rows();
    let told: Vec<_> =
        rows.iter().map(|row| (row.names().map(Option::unwrap), row.counts.allowed, row.counts.refused)).collect();
    let expected = [
        (["a", "k1", "Decrypt"], 2, 1),
        (["a", "k1", "ReEncrypt"], 1, 0),
        (["a", "k2", "ReEncrypt"], 1, 0),
        (["b", "-", "CreateKey"], 1, 0),
    ];
    assert_eq!((told.as_slice(), tally.requests), (expected.as_slice(), 5));
    assert_eq!(rows[0].counts.period, Some((at("2026-11-23T18:22:01Z"), at("2026-11-23T18:22:09Z"))));
}

#[test]
fn a_request_about_two_keys_is_one_request_where_keys_are_not_asked_for() {
    let mut tally = Tally::new(By { key: false, ..ALL }, None, None);
    count(&mut tally, &record("a", &["k1", "k2"], "ReEncrypt", "2026-11-23T18:22:01Z", None));
    let [row] = &tally.take_rows()[..] else { panic!("one row") };
    assert_eq!((row.key.as_ref(), row.counts.allowed), (None, 1));
}

#[test]
fn a_period_begins_with_its_first_moment_and_ends_before_its_last() {
    let mut tally = Tally::new(ALL, Some(at("2026-11-23T00:00:00Z")), Some(at("2026-11-24T00:00:00Z")));
    for time in ["2026-11-22T23:59:59Z", "2026-11-23T00:00:00Z", "2026-11-23T23:59:59Z", "2026-11-24T00:00:00Z"] {
        count(&mut tally, &record("a", &["k"], "Decrypt", time, None));
    }
    assert_eq!(tally.requests, 2);
}

#[test]
fn what_is_no_record_is_counted_and_a_last_line_may_still_be_written() {
    let mut tally = Tally::new(ALL, None, None);
    for line in [Line::Whole(b"x"), Line::TooLong, Line::Whole(b""), Line::Last(b"{")] {
        tally.line(&line);
    }
    count(&mut tally, &record("a", &["k"], "Decrypt", "some day", None));
    assert_eq!((tally.faulty, tally.requests), (4, 0));
}

#[test]
fn refusals_that_were_counted_up_are_added_to_each_other() {
    let mut tally = Tally::new(ALL, None, None);
    for (from, to, count_of, codes) in
        [("2026-2", "2026-3", 5, json!({"A": 3, "B": 2})), ("2026-1", "2026-2", 1, json!({"A": 1}))]
    {
        let mut line = record("a", &[], "UnauthenticatedRefusals", "2026-11-23T18:22:01Z", None);
        line["eventSource"] = "kmsgate".into();
        line["additionalEventData"] = json!({"gateway": {"refusals": {
            "from": from, "to": to, "count": count_of, "byErrorCode": codes}}});
        count(&mut tally, &line);
    }
    let codes = BTreeMap::from([("A".to_owned(), 4), ("B".to_owned(), 2)]);
    let sum = Refusals { from: "2026-1".to_owned(), to: "2026-3".to_owned(), count: 6, by_error_code: codes };
    assert_eq!((tally.unauthenticated, tally.requests), (Some(sum), 0));
}

#[test]
fn what_there_is_no_room_for_is_counted_together_and_last() {
    let mut tally = Tally::new(ALL, None, None);
    for key in 0..ROWS + 7 {
        count(&mut tally, &record("a", &[&key.to_string()], "Decrypt", "2026-11-23T18:22:01Z", None));
    }
    let rows = tally.take_rows();
    let last = rows.last().unwrap();
    assert_eq!((rows.len(), last.principal.as_deref(), last.counts.allowed), (ROWS + 1, Some(OTHERS), 7));

    // Names of some size fill their room before the rows are full.
    let mut tally = Tally::new(ALL, None, None);
    let long = "x".repeat(2048);
    for key in 0..10_000 {
        let code = format!("{long}{key}");
        count(&mut tally, &record("a", &[&code], "Decrypt", "2026-11-23T18:22:01Z", Some(&code)));
    }
    assert!(tally.texts.bytes <= TEXTS);
    let refused: u64 = tally.take_rows().iter().map(|row| row.counts.refused).sum();
    assert_eq!(refused, 10_000);
}

#[test]
fn reasons_beyond_their_number_are_counted_together() {
    let mut tally = Tally::new(By { principal: true, key: false, operation: false }, None, None);
    for code in 0..REASONS + 5 {
        count(&mut tally, &record("a", &["k"], "Decrypt", "2026-11-23T18:22:01Z", Some(&code.to_string())));
    }
    let rows = tally.take_rows();
    let reasons = &rows[0].counts.reasons;
    let (last, count) = reasons.last().unwrap();
    assert_eq!((reasons.len(), &*last.code, *count), (REASONS + 1, OTHERS, 5));
}
