//! Cases of `kmsgate policy test` and the lines that answer them. The decisions are AWS's, as the IAM user guide and the
//! KMS developer guide give them; the form of the lines is the help's.

use serde_json::{Value, json};

use super::test::judge_all;
use super::verdict::Tally;

const ALICE: &str = "arn:aws:iam::111122223333:user/team/alice";
const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/orders/one";
const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

fn judged(lines: &[u8]) -> (Vec<Value>, Tally) {
    let mut answers = Vec::new();
    let tally = judge_all(lines, &mut answers).unwrap();
    let lines = answers.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    (lines.map(|line| serde_json::from_slice(line).unwrap()).collect(), tally)
}

fn judge(case: &Value) -> Value {
    let (answers, _) = judged(case.to_string().as_bytes());
    assert_eq!(answers.len(), 1);
    answers.into_iter().next().unwrap()
}

fn document(effect: &str, more: &Value) -> Value {
    let mut statement = json!({"Effect": effect, "Action": "kms:Decrypt", "Resource": "*"});
    let (Value::Object(statement_members), Value::Object(more)) = (&mut statement, more) else { panic!("objects") };
    statement_members.extend(more.clone());
    json!({"Version": "2012-10-17", "Statement": [statement]})
}

fn case(caller: &str, policies: &Value) -> Value {
    json!({"id": "x", "policies": policies, "request": {"principal": caller, "action": "kms:Decrypt", "resource": KEY}})
}

fn allow() -> Value {
    document("Allow", &json!({"Sid": "Use"}))
}

fn key_policy(principal: &str) -> Value {
    document("Allow", &json!({"Principal": {"AWS": principal}}))
}

fn reason(layer: &str, effect: &str) -> Value {
    match (layer, effect) {
        (layer, "None") => json!({"layer": layer, "effect": "None"}),
        ("key", effect) => json!({"layer": "key", "effect": effect, "policy": 0, "statement": 0}),
        (layer, effect) => json!({"layer": layer, "effect": effect, "policy": 0, "statement": "Use"}),
    }
}

#[test]
fn each_layer_decides_as_at_aws_and_is_named() {
    let (account, role) = ("111122223333", "arn:aws:iam::111122223333:role/orders");
    let (deny, none) = (document("Deny", &json!({"Sid": "Use"})), document("Allow", &json!({"Action": "kms:Sign"})));
    let root = "arn:aws:iam::111122223333:root";
    for (caller, policies, result, reasons) in [
        (ALICE, json!({}), "ImplicitlyDenied", vec![reason("identity", "None")]),
        (ALICE, json!({"identity": [allow()]}), "Allowed", vec![reason("identity", "Allow")]),
        (
            ALICE,
            json!({"identity": [allow()], "key": key_policy(role)}),
            "ImplicitlyDenied",
            vec![reason("key", "None")],
        ),
        (
            ALICE,
            json!({"identity": [allow()], "key": key_policy(account)}),
            "Allowed",
            vec![reason("key", "Allow"), reason("identity", "Allow")],
        ),
        (ALICE, json!({"key": key_policy(account)}), "ImplicitlyDenied", vec![reason("identity", "None")]),
        (ALICE, json!({"key": key_policy(ALICE)}), "Allowed", vec![reason("key", "Allow")]),
        (SESSION, json!({"key": key_policy(role)}), "Allowed", vec![reason("key", "Allow")]),
        (root, json!({"key": key_policy(account)}), "Allowed", vec![reason("key", "Allow")]),
        (
            SESSION,
            json!({"key": key_policy(role), "session": none}),
            "ImplicitlyDenied",
            vec![reason("session", "None")],
        ),
        (
            ALICE,
            json!({"identity": [allow()], "boundary": [none]}),
            "ImplicitlyDenied",
            vec![reason("boundary", "None")],
        ),
        (
            ALICE,
            json!({"identity": [allow()], "guardrail": [none]}),
            "ImplicitlyDenied",
            vec![reason("guardrail", "None")],
        ),
        (
            ALICE,
            json!({"identity": [allow()], "guardrail": [], "boundary": []}),
            "Allowed",
            vec![reason("identity", "Allow")],
        ),
        (ALICE, json!({"identity": [allow()], "session": deny}), "ExplicitlyDenied", vec![reason("session", "Deny")]),
    ] {
        let answer = judge(&case(caller, &policies));
        let decision = if result == "Allowed" { "allow" } else { "deny" };
        let expected = json!({"id": "x", "decision": decision, "result": result, "reasons": reasons, "ok": true});
        assert_eq!(answer, expected, "{policies}");
    }
}

#[test]
fn a_reason_has_the_place_of_its_policy_and_of_its_statement() {
    let other = document("Allow", &json!({"Action": "kms:Sign"}));
    let second = json!({"Statement": [other["Statement"][0], document("Allow", &json!({}))["Statement"][0]]});
    let answer = judge(&case(ALICE, &json!({"identity": [other, second]})));
    assert_eq!(answer["reasons"], json!([{"layer": "identity", "effect": "Allow", "policy": 1, "statement": 1}]));
}

#[test]
fn a_key_of_another_account_needs_both_sides() {
    let theirs = KEY.replace("111122223333", "444455556666");
    for (policies, allowed) in [
        (json!({"key": key_policy("111122223333")}), false),
        (json!({"key": key_policy("111122223333"), "identity": [allow()]}), true),
        (json!({"key": key_policy("444455556666"), "identity": [allow()]}), false),
    ] {
        let mut case = case(ALICE, &policies);
        case["request"]["resource"] = json!(theirs);
        assert_eq!(judge(&case)["decision"], if allowed { "allow" } else { "deny" }, "{policies}");
    }
}

#[test]
fn the_context_is_what_is_given_and_what_is_implied() {
    for (condition, context, allowed) in [
        (json!({"StringEquals": {"aws:username": "alice"}}), json!({}), true),
        (json!({"StringEquals": {"aws:username": "alice"}}), json!({"AWS:UserName": "bob"}), false),
        (json!({"StringEquals": {"aws:ResourceAccount": "111122223333"}}), json!({}), true),
        (json!({"Bool": {"aws:SecureTransport": "true"}}), json!({}), false),
        (json!({"Bool": {"aws:SecureTransport": "true"}}), json!({"aws:SecureTransport": true}), true),
        (json!({"NumericLessThan": {"kms:RotationPeriodInDays": 100}}), json!({"kms:RotationPeriodInDays": 90}), true),
        (
            json!({"StringEquals": {"kms:EncryptionContext:app": "a\"b"}}),
            json!({"kms:EncryptionContext:App": "a\"b"}),
            true,
        ),
        (
            json!({"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}, "Null": {"aws:TagKeys": "false"}}),
            json!({"aws:TagKeys": ["b", "a"]}),
            true,
        ),
        (json!({"Null": {"aws:username": "true"}}), json!({"aws:username": []}), true),
        // Two values of what can have one only are not known to be either.
        (json!({"StringEquals": {"aws:userid": ["a", "b"]}}), json!({"aws:userid": ["a", "b"]}), false),
    ] {
        let policy = document("Allow", &json!({"Condition": condition}));
        let mut case = case(ALICE, &json!({"identity": [policy]}));
        case["request"]["context"] = context.clone();
        let decision = &judge(&case)["decision"];
        assert_eq!(decision, if allowed { "allow" } else { "deny" }, "{condition} {context}");
    }
}

/// A case that is right, with one member put in or in place of another.
fn with(pointer: &str, value: Value) -> Value {
    let mut case = case(ALICE, &json!({"identity": [allow()]}));
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    case.pointer_mut(parent).unwrap()[name] = value;
    case
}

#[test]
fn a_fault_is_told_with_its_place_and_a_hint() {
    for (pointer, value, error) in [
        ("/expects", json!(1), "expects: `expects` is not known here (did you mean `expect`?)"),
        ("/expect", json!("Allow"), "expect: `Allow` is no decision (write `allow` or `deny`)"),
        ("/expect", json!(true), "expect: a boolean stands where a string belongs"),
        ("/request", json!([]), "request: a list stands where an object belongs"),
        (
            "/policies/scp",
            json!([]),
            "policies.scp: `scp` is not known here (there are `identity`, `key`, `guardrail`, `boundary`, `session`)",
        ),
        (
            "/policies/identity",
            json!({}),
            "policies.identity: an object stands where a list of documents belongs (put `[` and `]` around the document)",
        ),
        (
            "/policies/identity",
            json!([allow(), {"Statement": [{"Effect": "allow", "Action": "kms:*", "Resource": "*"}]}]),
            "policies.identity[1].Statement[0].Effect: `allow` is no effect (did you mean `Allow`?)",
        ),
        ("/policies/key", json!({}), "policies.key.Statement: `Statement` is missing"),
        ("/policies/session", json!([]), "policies.session: a list stands where an object belongs"),
        (
            "/request/principal",
            json!("arn:aws:iam::111122223333:group/g"),
            "request.principal: `arn:aws:iam::111122223333:group/g` cannot call (write the ARN of a root, user, role, \
             role session or federated user)",
        ),
        ("/request/action", json!("Decrypt"), "request.action: `Decrypt` is no action (did you mean `kms:Decrypt`?)"),
        (
            "/request/action",
            json!("kms:*"),
            "request.action: `kms:*` is no action (write one action, as `kms:Decrypt`)",
        ),
        (
            "/request/resource",
            json!("alias/a"),
            "request.resource: `alias/a` is no ARN (write the ARN of a key or an alias, or `*` for an action without \
             resource)",
        ),
        (
            "/request/context",
            json!({"aws:userid": ["a", {}]}),
            "request.context.aws:userid[1]: an object is no value of a condition key (write a string, a number or a \
             boolean)",
        ),
        (
            "/request/context",
            json!({"aws:userid": "a", "AWS:userid": "b"}),
            "request.context.aws:userid: this key stands twice (names of keys are compared without regard to case; \
             several values are one list)",
        ),
    ] {
        let answer = judge(&with(pointer, value));
        assert_eq!(answer, json!({"id": "x", "error": [error], "ok": false}), "{pointer}");
    }
    assert_eq!(
        judge(&json!({"id": [], "request": {}}))["error"],
        json!([
            "id: the id is a list (write a string or a number)",
            "request: `principal` is missing",
            "request: `action` is missing",
            "request: `resource` is missing"
        ])
    );
}

#[test]
fn a_key_policy_needs_an_account_that_the_key_is_in() {
    let mut case = case(ALICE, &json!({"key": key_policy(ALICE)}));
    for (resource, decision) in [("*", "allow"), ("arn:aws:kms:us-east-1::key/a", "allow")] {
        case["request"]["resource"] = json!(resource);
        assert_eq!(judge(&case)["decision"], decision, "{resource}");
    }
    case["request"]["resource"] = json!("arn:aws:kms:us-east-1:1:key/a");
    let error = "request.resource: `1` is no account that a key is in (write its 12 digits)";
    assert_eq!(judge(&case)["error"], json!([error]));
}

#[test]
fn a_member_that_stands_twice_is_a_fault() {
    for (line, path) in [
        (r#"{"id":1,"id":2,"request":{}}"#, "id: "),
        (r#"{"id":1,"request":{"action":"kms:Sign","action":"kms:Decrypt"}}"#, "request.action: "),
        (r#"{"policies":{"identity":[{"Statement":[],"Statement":[]}]}}"#, "policies.identity[0].Statement: "),
    ] {
        let (answers, _) = judged(line.as_bytes());
        assert!(
            answers[0]["error"].as_array().unwrap().iter().any(|e| e.as_str().unwrap().starts_with(path)),
            "{line}"
        );
    }
}

#[test]
fn lines_are_counted_and_a_bad_one_ends_nothing() {
    let good = json!({"request": {"principal": ALICE, "action": "kms:Sign", "resource": "*"}, "expect": "deny"});
    let unmet = json!({"id": 7.5, "request": good["request"], "expect": "allow"});
    let deep = format!("{{\"policies\":{{\"key\":{}{}}}}}", "[".repeat(100_000), "]".repeat(100_000));
    let mut lines = format!("{good}\n\n  \r\n{unmet}\r\nnonsense\n{deep}\n").into_bytes();
    lines.extend(b"{\"id\":\"\xff\"}\n{\"id\":\"\\ud800\",\"request\":{}}\n[1]");
    let (answers, tally) = judged(&lines);
    let ids: Vec<&Value> = answers.iter().map(|answer| &answer["id"]).collect();
    assert_eq!(ids, [&json!(1), &json!(7.5), &json!(5), &json!(6), &json!(7), &json!(8), &json!(9)]);
    assert_eq!(tally, Tally { ok: 1, unexpected: 1, faulty: 5 });
    assert_eq!(tally.to_string(), "7 cases: 1 ok, 1 not as expected, 5 with faults");
    assert_eq!(answers[2]["error"], json!(["not valid JSON: expected ident at column 2"]));
    assert_eq!(judged(b"").1.to_string(), "0 cases: 0 ok, 0 not as expected");
    assert_eq!(Tally { ok: 11, unexpected: 1, faulty: 0 }.to_string(), "12 cases: 11 ok, 1 not as expected");
}

#[test]
fn answers_come_in_order_whatever_block_and_core_their_lines_fall_to() {
    // About nine megabytes: more than two blocks.
    let padding = "x".repeat(1000);
    let line = |id: usize| {
        json!({"id": id, "request": {"principal": ALICE, "action": "kms:Sign", "resource": "*",
               "context": {"aws:userid": padding}}})
    };
    let lines: Vec<String> = (0..8000).map(|id| line(id).to_string()).collect();
    let (answers, tally) = judged(lines.join("\n").as_bytes());
    assert_eq!(tally, Tally { ok: 8000, ..Tally::default() });
    assert!(answers.iter().enumerate().all(|(place, answer)| answer["id"] == json!(place)));
}

#[test]
fn the_manuals_case_has_the_manuals_answer() {
    let manual = include_str!("../../manual/policies.md");
    let blocks = manual.split("```json\n").skip(1).filter_map(|text| text.split_once("\n```"));
    // Documents have lines, cases and answers are one.
    let mut examples = blocks.map(|(json, _)| json).filter(|json| !json.contains('\n'));
    let (case, answer) = (examples.next().unwrap(), examples.next().unwrap());
    let mut written = Vec::new();
    judge_all(case.as_bytes(), &mut written).unwrap();
    assert_eq!(str::from_utf8(&written).unwrap(), format!("{answer}\n"));
}
