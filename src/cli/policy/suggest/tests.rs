//! What is suggested allows what was recorded, and hardly anything else.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::audit::reading::Lines;
use crate::aws::Tags;
use crate::cli::policy::question::{needed, operation};
use crate::cli::policy::records::Record;
use crate::credentials::Principal;
use crate::policy::{self, Compiled, Decision, Kind, Policies, Request};

const ALICE: &str = "arn:aws:iam::111122223333:user/alice";
const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/orders/pod-1";
const ROLE: &str = "arn:aws:iam::111122223333:role/orders";
const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const OTHER: &str = "arn:aws:kms:us-east-1:111122223333:key/4321abcd-12ab-34cd-56ef-1234567890ab";
const ALIAS: &str = "arn:aws:kms:us-east-1:111122223333:alias/orders";

fn record(arn: &str, operation: &str, resources: &[&str], parameters: &Value, decisions: &[&str]) -> Value {
    let resources: Vec<Value> = resources.iter().map(|arn| json!({"ARN": arn})).collect();
    let reasons: Vec<Value> = decisions.iter().map(|decision| json!({"decision": decision})).collect();
    let denied = decisions.last().is_some_and(|decision| *decision != "Allow");
    let session = json!({"sessionIssuer": {"arn": ROLE}});
    json!({
        "userIdentity": {"arn": arn, "sessionContext": if arn == SESSION { session } else { Value::Null }},
        "eventTime": "2026-11-23T18:22:41Z",
        "eventName": operation,
        "eventType": "AwsApiCall",
        "awsRegion": "us-east-1",
        "sourceIPAddress": "203.0.113.9",
        "errorCode": if denied { json!("AccessDenied") } else { Value::Null },
        "requestParameters": parameters,
        "additionalEventData": {"gateway": {"reasons": reasons}},
        "resources": resources,
    })
}

fn allowed(operation: &str, resources: &[&str], parameters: &Value) -> Value {
    record(ALICE, operation, resources, parameters, &["Allow"])
}

fn encrypted(context: &Value) -> Value {
    allowed("Encrypt", &[KEY], &json!({"encryptionContext": context}))
}

fn observed(records: &[Value], principal: Option<&str>, values: bool) -> Observed {
    let text = records.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n") + "\n";
    Observed::read(&mut Lines::new(text.as_bytes()), principal, values).unwrap()
}

/// The statements that are suggested to Alice.
fn statements(records: &[Value], values: bool) -> Value {
    let observed = observed(records, None, values);
    let document = serde_json::to_value(Document::new(&observed.principals[ALICE]).unwrap()).unwrap();
    assert_eq!(document["Version"], "2012-10-17");
    document["Statement"].clone()
}

#[test]
fn each_resource_has_a_statement_with_its_actions() {
    let records = [
        allowed("ListKeys", &[], &Value::Null),
        allowed("DescribeKey", &[OTHER], &Value::Null),
        allowed("EnableKey", &[KEY], &Value::Null),
        allowed("DescribeKey", &[KEY], &Value::Null),
        allowed("CreateAlias", &[ALIAS, KEY], &Value::Null),
        allowed("DescribeKey", &[KEY], &Value::Null),
    ];
    let expected = json!([
        {"Effect": "Allow", "Action": ["kms:ListKeys"], "Resource": "*"},
        {"Effect": "Allow", "Action": ["kms:CreateAlias"], "Resource": ALIAS},
        {"Effect": "Allow", "Action": ["kms:CreateAlias", "kms:DescribeKey", "kms:EnableKey"], "Resource": KEY},
        {"Effect": "Allow", "Action": ["kms:DescribeKey"], "Resource": OTHER},
    ]);
    assert_eq!(statements(&records, false), expected);
    let reversed: Vec<Value> = records.into_iter().rev().collect();
    assert_eq!(statements(&reversed, false), expected, "the order of the calls makes no difference");
}

#[test]
fn a_context_is_demanded_if_it_was_always_or_never_sent() {
    let keys = "kms:EncryptionContextKeys";
    let with = || encrypted(&json!({"team": "a", "tenant": "b"}));
    let never = json!({"Null": {keys: ["true"]}});
    let always = json!({"ForAllValues:StringEquals": {keys: ["team", "tenant"]}, "Null": {keys: ["false"]}});
    let sometimes = json!({"ForAllValues:StringEquals": {keys: ["team", "tenant"]}});
    for (records, expected) in [
        (vec![encrypted(&json!({})), encrypted(&Value::Null)], never),
        (vec![with(), encrypted(&json!({"team": "c"}))], always),
        (vec![with(), encrypted(&Value::Null)], sometimes),
    ] {
        assert_eq!(statements(&records, false)[0]["Condition"], expected);
    }
    let omitted = allowed("Encrypt", &[KEY], &json!({"omitted": true, "originalSize": 1}));
    assert_eq!(statements(&[with(), omitted], false)[0]["Condition"], Value::Null);
}

#[test]
fn values_are_listed_unless_they_are_without_end() {
    let records = [
        encrypted(&json!({"Team": "a", "pod": "1", "x${y}": "${aws:username}*"})),
        encrypted(&json!({"team": "b", "x${y}": "z"})),
    ];
    let condition = &statements(&records, true)[0]["Condition"];
    let x = "kms:EncryptionContext:x${y}";
    let expected = json!({"kms:EncryptionContext:Team": ["a", "b"], x: ["${$}{aws:username}*", "z"]});
    assert_eq!(condition["StringEquals"], expected);
    assert_eq!(condition["StringEqualsIfExists"], json!({"kms:EncryptionContext:pod": ["1"]}));
    assert_eq!(
        condition["ForAllValues:StringEquals"]["kms:EncryptionContextKeys"],
        json!(["Team", "pod", "team", "x${$}{y}"])
    );
    let many = |name: fn(usize) -> Value| (0..=usage::MOST).map(name).map(|pair| encrypted(&pair)).collect::<Vec<_>>();
    let condition = &statements(&many(|n| json!({"pod": n.to_string(), "team": "a"})), true)[0]["Condition"];
    assert_eq!(condition["StringEquals"], json!({"kms:EncryptionContext:team": ["a"]}));
    assert_eq!(statements(&many(|n| json!({n.to_string(): "a"})), true)[0]["Condition"], Value::Null);
    let twice = &statements(&[encrypted(&json!({"Team": "a", "team": "b"}))], true)[0]["Condition"];
    assert_eq!(twice["StringEquals"], Value::Null);
}

#[test]
fn where_more_is_allowed_than_was_recorded_a_note_says_so() {
    let notes = |records: &[Value], values| caveats(&observed(records, None, values).principals[ALICE], values);
    let many = |name: fn(usize) -> Value| (0..=usage::MOST).map(name).map(|pair| encrypted(&pair)).collect::<Vec<_>>();
    let any_context = format!(
        "kms:Encrypt on {KEY}: any encryption context is allowed, for it had more than 100 keys or was not recorded"
    );
    assert_eq!(notes(&many(|n| json!({n.to_string(): "a"})), false), [any_context.as_str()]);
    let omitted = allowed("Encrypt", &[KEY], &json!({"omitted": true, "originalSize": 1}));
    assert_eq!(notes(&[encrypted(&json!({"team": "a"})), omitted], false), [any_context.as_str()]);
    let any_value = |key| {
        format!(
            "kms:Encrypt on {KEY}: any value of the encryption context key `{key}` is allowed, for it had more than 100 \
             or no single one"
        )
    };
    let pods = many(|n| json!({"pod": n.to_string(), "team": "a"}));
    assert_eq!(notes(&pods, true), [any_value("pod")]);
    assert_eq!(notes(&pods, false), Vec::<String>::new(), "values were not asked for");
    assert_eq!(notes(&[encrypted(&json!({"Team": "a", "team": "b"}))], true), [any_value("Team")]);
    let mut granted = allowed("CreateGrant", &[KEY], &json!({"operations": ["Decrypt"]}));
    granted["additionalEventData"]["gateway"]["reasons"][0]["grantId"] = json!("0".repeat(64));
    assert_eq!(
        notes(&[granted], false),
        [
            "1 call was allowed by a grant; the policy allows the same when the grant is gone".to_owned(),
            format!(
                "kms:CreateGrant on {KEY}: allows to grant anything to anybody; kms:GrantOperations and \
                 kms:GranteePrincipal can limit it"
            ),
        ]
    );
}

#[test]
fn what_was_refused_is_counted_and_what_is_no_record_is_skipped() {
    let halves = ["Allow", "ImplicitDeny"];
    let parameters = json!({});
    let mut let_through = record(ALICE, "Encrypt", &[OTHER], &parameters, &["ImplicitDeny"]);
    let_through["errorCode"] = Value::Null;
    let mut reported = record(ALICE, "Decrypt", &[OTHER], &parameters, &["ImplicitDeny"]);
    reported["errorCode"] = json!("DisabledException");
    reported["additionalEventData"]["gateway"]["reasons"][0]["reportOnly"] = json!(true);
    let records = [
        record(ALICE, "ReEncrypt", &[KEY, OTHER], &parameters, &halves),
        record(ALICE, "Decrypt", &[KEY], &parameters, &["ExplicitDeny"]),
        record(ALICE, "DescribeKey", &[KEY], &parameters, &[]),
        record(ALICE, "DescribeKey", &[], &parameters, &["Allow"]),
        let_through,
        reported,
        json!({"eventType": "AwsApiCall"}),
    ];
    let observed = observed(&records, None, false);
    let calls = &observed.principals[ALICE];
    assert_eq!((calls.allowed, calls.refused, observed.unclear, observed.faulty), (3, 2, 1, 1));
    assert_eq!(calls.used.keys().collect::<Vec<_>>(), [OTHER]);
    let cut = Observed::read(&mut Lines::new(b"{\"eventType\"".as_slice()), None, false).unwrap();
    assert_eq!(cut.faulty, 0, "the last line may still be written");
}

#[test]
fn a_role_means_all_of_its_sessions() {
    let records = [
        record(SESSION, "DescribeKey", &[KEY], &Value::Null, &["Allow"]),
        allowed("DescribeKey", &[OTHER], &Value::Null),
    ];
    let asked = observed(&records, Some(ROLE), false);
    assert_eq!(asked.principals.keys().collect::<Vec<_>>(), [ROLE]);
    assert_eq!(asked.principals[ROLE].used.keys().collect::<Vec<_>>(), [KEY]);
    assert_eq!(asked.others.into_iter().collect::<Vec<_>>(), [ALICE]);
    assert_eq!(observed(&records, None, false).principals.keys().collect::<Vec<_>>(), [ALICE, SESSION]);
}

fn context() -> impl Strategy<Value = Value> {
    let pair = ("[abA${*]{1,3}", prop::sample::select(vec!["1", "2", "${aws:username}", "*", ""]));
    prop::collection::btree_map(pair.0, pair.1, 0..3).prop_map(|pairs| json!(pairs))
}

fn call() -> impl Strategy<Value = Value> {
    let key = || prop::sample::select(vec![KEY, OTHER]);
    let simple = prop::sample::select(vec!["DescribeKey", "EnableKey", "ListResourceTags"]);
    prop_oneof![
        (simple, key()).prop_map(|(operation, key)| allowed(operation, &[key], &Value::Null)),
        (prop::sample::select(vec!["Encrypt", "Decrypt", "GenerateDataKey"]), key(), context())
            .prop_map(|(operation, key, context)| allowed(operation, &[key], &json!({"encryptionContext": context}))),
        (key(), key(), context(), context()).prop_map(|(from, to, before, after)| {
            let parameters = json!({"sourceEncryptionContext": before, "destinationEncryptionContext": after});
            allowed("ReEncrypt", &[from, to], &parameters)
        }),
        Just(allowed("ListKeys", &[], &Value::Null)),
        key().prop_map(|key| allowed("DeleteAlias", &[ALIAS, key], &Value::Null)),
    ]
}

/// Whether these policies allow all that a record's call needed.
fn allow(policies: &[std::sync::Arc<Compiled>], record: &Value) -> bool {
    let record: Record = serde_json::from_value(record.clone()).unwrap();
    let principal = Principal::new(ALICE.parse().unwrap(), "AIDAEXAMPLE12345", Tags::default(), Vec::new());
    let operation = operation(&record).unwrap();
    needed(&record, operation).unwrap().iter().all(|one| {
        let question = one.question(&record, operation, &principal);
        let (action, resource, context) = (one.action, one.resource, &question.facts);
        let request = Request { action, resource, caller: &principal.names, context };
        matches!(policy::evaluate(&request, &Policies::identity(policies)), Decision::Allow(_))
    })
}

/// What a policy of resources, actions and context keys can tell apart.
fn shapes(record: &Value) -> Vec<(&'static str, String, Option<bool>)> {
    let record: Record = serde_json::from_value(record.clone()).unwrap();
    let needed = needed(&record, operation(&record).unwrap()).unwrap();
    let context = |action| crate::cli::policy::question::context(&record, action).is_some_and(|c| c.iter().count() > 0);
    let has = |action| crate::cli::policy::question::has_context(action).then(|| context(action));
    needed.iter().map(|one| (one.action, one.resource.to_owned(), has(one.action))).collect()
}

proptest! {
    #[test]
    fn every_recorded_call_is_allowed_and_none_that_is_unlike_all_of_them(
        calls in prop::collection::vec(call(), 1..12),
        others in prop::collection::vec(call(), 1..12),
        values: bool,
    ) {
        let observed = observed(&calls, None, values);
        let json = serde_json::to_vec(&Document::new(&observed.principals[ALICE]).unwrap()).unwrap();
        let parsed = policy::Document::parse("suggested", &json, Kind::Identity).map_err(|faults| {
            TestCaseError::fail(format!("{faults:?}"))
        })?;
        let policies = [std::sync::Arc::new(Compiled::from(parsed.document))];
        for call in &calls {
            prop_assert!(allow(&policies, call), "{call}\n{}", String::from_utf8(json.clone()).unwrap());
        }
        let seen: Vec<_> = calls.iter().flat_map(shapes).collect();
        for other in others.iter().filter(|other| shapes(other).iter().any(|shape| !seen.contains(shape))) {
            prop_assert!(!allow(&policies, other), "{other}\n{}", String::from_utf8(json.clone()).unwrap());
        }
    }
}
