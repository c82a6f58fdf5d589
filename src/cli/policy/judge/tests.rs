//! Each layer says what it says, and the path ends where the engine decided.

use serde_json::{Value, json};

use super::*;
use crate::aws::Tags;
use crate::credentials::PrincipalArn;
use crate::policy::{ConditionKey, condition_key};

const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const OTHER: &str = "arn:aws:kms:us-east-1:111122223333:key/other";
const ALICE: &str = "arn:aws:iam::111122223333:user/alice";

fn compiled(name: &str, kind: Kind, statements: &Value) -> Arc<Compiled> {
    let json = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
    Arc::new(Compiled::from(Document::parse(name, json.as_bytes(), kind).unwrap().document))
}

fn allow(resource: &str) -> Value {
    json!({"Effect": "Allow", "Action": "kms:*", "Resource": resource})
}

fn alice(policies: Vec<Arc<Compiled>>) -> Principal {
    let arn: PrincipalArn = ALICE.parse().unwrap();
    Principal::new(arn, "AIDAEXAMPLE12345", Tags::default(), policies)
}

fn question(principal: &Principal, facts: &[(&str, &str)]) -> Question {
    let mut known = Facts::new(principal, KEY, None, "2026-11-23T18:22:41Z");
    for (name, value) in facts {
        known.add(&condition_key(name).unwrap(), name, value);
    }
    Question { action: "kms:Decrypt".to_owned(), resource: KEY.to_owned(), facts: known }
}

fn judge(principal: &Principal, guardrail: Option<&Arc<Compiled>>, facts: &[(&str, &str)]) -> Verdict {
    let bench = Bench { guardrail, account: None, principal, key_policy: &OfKey::Default };
    bench.judge(question(principal, facts)).unwrap()
}

fn said(verdict: &Verdict) -> Vec<Said> {
    verdict.path.iter().map(|layer| layer.said).collect()
}

/// What the page says of one statement.
#[track_caller]
fn assert_page_has(verdict: &Verdict, lines: &str) {
    let page = verdict.text();
    assert!(page.contains(lines), "{page}");
}

#[test]
fn the_path_names_each_layer_with_its_statement() {
    let principal = alice(vec![compiled("orders", Kind::Identity, &json!([allow(OTHER), allow(KEY)]))]);
    let guardrail = compiled("limits", Kind::Guardrail, &json!([allow("*")]));
    let verdict = judge(&principal, Some(&guardrail), &[]);
    assert!(verdict.is_allowed() && verdict.message.is_none());
    let (there, absent) = (Said::Allow, Said::NotThere);
    assert_eq!(said(&verdict), [there, Said::AllowForAccount, absent, absent, there, Said::NotLookedAt]);
    let named: Vec<_> = verdict.path.iter().map(|layer| layer.reason.as_ref().map(ToString::to_string)).collect();
    let expected = [Some("limits: Statement[0]"), Some("default: Enable IAM User Permissions"), None, None];
    let rest = [Some("orders: Statement[1]"), None];
    assert_eq!(named, expected.into_iter().chain(rest).map(|name| name.map(str::to_owned)).collect::<Vec<_>>());
    let object = verdict.json();
    assert_eq!((&object["decision"], &object["result"]), (&json!("allow"), &json!("Allowed")));
    assert_eq!(
        object["reasons"],
        json!([
            {"layer": "key", "effect": "Allow", "policy": "default", "statement": "Enable IAM User Permissions"},
            {"layer": "identity", "effect": "Allow", "policy": "orders", "statement": 1},
        ])
    );
}

#[test]
fn the_layer_that_lacks_an_allow_says_why_of_each_statement() {
    let department = json!({"StringEquals": {"kms:EncryptionContext:Department": "Finance"}});
    let statements = json!([
        allow(OTHER),
        {"Sid": "UseTheKey", "Effect": "Allow", "Action": "kms:Decrypt", "Resource": KEY, "Condition": department},
        {"Effect": "Allow", "Action": "kms:Encrypt", "Resource": "*"},
        {"Effect": "Allow", "Action": "kms:*", "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "true"}}},
    ]);
    let principal = alice(vec![compiled("orders", Kind::Identity, &statements)]);
    let verdict = judge(&principal, None, &[("kms:EncryptionContext:Department", "HR")]);
    assert_eq!(verdict.decision, Decision::ImplicitDeny(Kind::Identity));
    let identity = &verdict.json()["path"][4];
    assert_eq!(identity["said"], "nothing");
    assert_eq!(
        identity["statements"],
        json!([
            {"policy": "orders", "statement": 0, "effect": "Allow", "applies": false,
                "why": ["Action matches, Resource does not"]},
            {"policy": "orders", "statement": "UseTheKey", "effect": "Allow", "applies": false,
                "why": ["Condition StringEquals kms:EncryptionContext:Department: request has \"HR\""]},
            {"policy": "orders", "statement": 3, "effect": "Allow", "applies": false, "why":
                ["Condition Bool aws:SecureTransport: is not known (--fact aws:SecureTransport=VALUE tells it)"]},
        ])
    );
    let absent = judge(&principal, None, &[("aws:SecureTransport", "false")]);
    assert_page_has(
        &absent,
        "identity policies: one statement would have to allow; those about kms:Decrypt:
  orders: Statement[0] (Allow)
    Action matches, Resource does not
  orders: UseTheKey (Allow)
    Condition StringEquals kms:EncryptionContext:department: is absent
  orders: Statement[3] (Allow)
    Condition Bool aws:SecureTransport: request has \"false\"
",
    );
    let text = "User: arn:aws:iam::111122223333:user/alice is not authorized to perform: kms:Decrypt on resource: \
                arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab because no identity-based \
                policy allows the kms:Decrypt action";
    assert_eq!(absent.message.as_deref(), Some(text));
    assert!(judge(&principal, None, &[("aws:SecureTransport", "true")]).is_allowed());
}

#[test]
fn a_statement_that_denies_is_the_one_that_decided() {
    let deny = json!({"Sid": "NotFromThere", "Effect": "Deny", "Action": "*", "Resource": "*",
        "Condition": {"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}}});
    let guardrail = compiled("limits", Kind::Guardrail, &json!([allow("*"), deny]));
    let principal = alice(vec![compiled("orders", Kind::Identity, &json!([allow("*")]))]);
    // An address that nobody told may be a wrong one.
    for (address, found) in [
        (Some("198.51.100.7"), "request has \"198.51.100.7\""),
        (None, "is not known (--fact aws:SourceIp=VALUE tells it)"),
    ] {
        let facts = address.map(|address| ("aws:SourceIp", address));
        let verdict = judge(&principal, Some(&guardrail), facts.as_slice());
        assert_eq!(said(&verdict)[0], Said::Deny);
        assert_eq!(verdict.json()["result"], "ExplicitlyDenied");
        let lines =
            format!("  limits: NotFromThere (Deny)\n    applies\n    Condition NotIpAddress aws:SourceIp: {found}\n");
        assert_page_has(&verdict, &lines);
    }
    assert!(judge(&principal, Some(&guardrail), &[("aws:SourceIp", "203.0.113.9")]).is_allowed());
}

#[test]
fn each_layer_that_may_lack_an_allow_is_told() {
    let everything = compiled("orders", Kind::Identity, &json!([allow("*")]));
    let boundary = compiled("limits", Kind::Boundary, &json!([allow(OTHER)]));
    let bounded = Principal { boundary: Some(boundary), ..alice(vec![everything]) };
    let verdict = judge(&bounded, None, &[]);
    assert_eq!(verdict.json()["reasons"], json!([{"layer": "boundary", "effect": "None"}]));
    assert_page_has(&verdict, "\npermissions boundary: one statement would have to allow; those about kms:Decrypt:\n");
    let nothing = judge(&alice(Vec::new()), None, &[]);
    assert_page_has(&nothing, "\nidentity policies: there are none, and one would have to allow\n");
    let guardrail = compiled("none", Kind::Guardrail, &json!([{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]));
    let verdict = judge(&bounded, Some(&guardrail), &[]);
    assert_page_has(&verdict, "\nguardrail: no statement is about kms:Decrypt, and one would have to allow it\n");
}

#[test]
fn a_key_policy_may_allow_by_itself_or_leave_everybody_out() {
    let parse = |principal: &str| {
        let statement = json!({"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "kms:*", "Resource": "*"});
        let json = json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
        OfKey::Given(Box::new(Given::parse("key.json", json.as_bytes()).unwrap()))
    };
    let principal = alice(vec![compiled("orders", Kind::Identity, &json!([allow("*")]))]);
    let judged = |key_policy: &OfKey, principal: &Principal| {
        Bench { guardrail: None, account: None, principal, key_policy }.judge(question(principal, &[])).unwrap()
    };
    let named = judged(&parse(ALICE), &alice(Vec::new()));
    assert!(named.is_allowed());
    assert_eq!(said(&named)[1], Said::Allow);
    assert_eq!(named.notes.len(), 1, "{:?}", named.notes);
    let left_out = judged(&parse("arn:aws:iam::111122223333:user/bob"), &principal);
    assert_eq!(left_out.decision, Decision::ImplicitDeny(Kind::Key));
    assert_page_has(&left_out, "  key.json: Statement[0] (Allow)\n    Action matches, Principal does not\n");
}

#[test]
fn a_key_policy_has_no_say_in_who_retires_grants_and_another_account_is_not_let_in() {
    let statement = json!({"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"});
    let json = json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
    let everybody = OfKey::Given(Box::new(Given::parse("key.json", json.as_bytes()).unwrap()));
    let principal = alice(Vec::new());
    let bench = Bench { guardrail: None, account: None, principal: &principal, key_policy: &everybody };
    let retire = Question { action: "kms:RetireGrant".to_owned(), ..question(&principal, &[]) };
    let verdict = bench.judge(retire).unwrap();
    assert_eq!(verdict.decision, Decision::ImplicitDeny(Kind::Identity));
    assert_eq!((said(&verdict)[1], said(&verdict)[5]), (Said::NotThere, Said::NotLookedAt));

    let principal = alice(vec![compiled("orders", Kind::Identity, &json!([allow("*")]))]);
    let account = "444455556666".parse().ok();
    let bench = Bench { guardrail: None, account, principal: &principal, key_policy: &OfKey::Default };
    let list = Question { action: "kms:ListKeys".to_owned(), resource: "*".to_owned(), ..question(&principal, &[]) };
    let message = bench.judge(list).unwrap().message.unwrap();
    assert!(message.ends_with("or a resource-based policy explicitly denies access"), "{message}");
}

#[test]
fn what_a_request_said_cannot_steer_a_terminal() {
    let statement = json!({"Effect": "Allow", "Action": "*", "Resource": "*",
        "Condition": {"StringEquals": {"aws:UserAgent": "x"}}});
    let principal = alice(vec![compiled("orders", Kind::Identity, &json!([statement]))]);
    let mut asked = question(&principal, &[]);
    asked.facts.set(ConditionKey::UserAgent, crate::cli::policy::request::one("\u{1b}[2J\u{9b}1m\n"));
    let verdict = Bench { guardrail: None, account: None, principal: &principal, key_policy: &OfKey::Default }
        .judge(asked)
        .unwrap();
    assert_page_has(&verdict, r#"request has "\u{1b}[2J\u{9b}1m\n""#);
}

#[test]
fn retirable_grants_are_listed_by_leave_of_the_callers_own_account() {
    let stranger: PrincipalArn = "arn:aws:iam::444455556666:user/stranger".parse().unwrap();
    let policies = vec![compiled("own", Kind::Identity, &allow("*"))];
    let stranger = Principal::new(stranger, "AIDAEXAMPLE12345", Tags::default(), policies);
    let account = Some("111122223333".parse().unwrap());
    let bench = Bench { guardrail: None, account, principal: &stranger, key_policy: &OfKey::Default };
    for (action, allowed) in [("kms:ListRetirableGrants", true), ("kms:ListKeys", false)] {
        let facts = Facts::new(&stranger, "*", None, "2026-11-23T18:22:41Z");
        let question = Question { action: action.to_owned(), resource: "*".to_owned(), facts };
        assert_eq!(bench.judge(question).unwrap().is_allowed(), allowed, "{action}");
    }
}

#[test]
fn grants_are_only_spoken_of_where_one_could_allow() {
    let alice = alice(Vec::new());
    let bench = Bench { guardrail: None, account: None, principal: &alice, key_policy: &OfKey::Default };
    for (action, grantable) in [("kms:Decrypt", true), ("kms:RetireGrant", true), ("kms:RevokeGrant", false)] {
        let verdict = bench.judge(Question { action: action.to_owned(), ..question(&alice, &[]) }).unwrap();
        assert_eq!(verdict.notes.iter().any(|note| note.starts_with("grants")), grantable, "{action}");
        let expected = if grantable { Said::NotLookedAt } else { Said::NotThere };
        assert_eq!(said(&verdict).last(), Some(&expected));
    }
}
