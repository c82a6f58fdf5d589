//! Policies and requests made up from the grammar's words, so that most are read and many match.
//!
//! The evaluator never panics; a Deny added never allows more, in whichever policy it is added; in which order statements
//! stand does not matter; many statements about nothing of the request do not matter either, though they change how
//! statements are looked up.
#![no_main]

use std::fmt::Write;
use std::sync::Arc;

use arbitrary::Arbitrary;
use kmsgate::aws::PrincipalNames;
use kmsgate::policy::{
    Compiled, ConditionKey, Decision, Document, KeyPolicy, Kind, OfResource, Policies, Request, RequestContext, Values,
    evaluate,
};
use libfuzzer_sys::fuzz_target;

/// A word of a list, by its number.
#[derive(Arbitrary, Clone, Copy, Debug)]
struct Pick(u8);

impl Pick {
    fn of<T: Copy>(self, list: &[T]) -> T {
        list[usize::from(self.0) % list.len()]
    }
}

#[derive(Arbitrary, Clone, Debug)]
struct Statement {
    deny: bool,
    not_principal: bool,
    principals: [Pick; 2],
    not_action: bool,
    actions: [Pick; 2],
    not_resource: bool,
    resources: [Pick; 3],
    conditions: [Option<Condition>; 2],
}

#[derive(Arbitrary, Clone, Debug)]
struct Condition {
    set: Pick,
    operator: Pick,
    if_exists: bool,
    key: Pick,
    values: [Pick; 2],
}

#[derive(Arbitrary, Debug)]
struct Case {
    key: Option<Vec<Statement>>,
    guardrail: Option<Vec<Statement>>,
    boundary: Option<Vec<Statement>>,
    identity: Vec<Statement>,
    added: Statement,
    added_to: Pick,
    caller: Pick,
    action: Pick,
    resource: Pick,
    facts: [Fact; 4],
}

/// What the request says of the condition key at its place in [`KEYS`].
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Fact {
    Absent,
    One(Pick),
    Two(Pick, Pick),
    Unknown,
}

const PRINCIPALS: &[&str] = &[
    "*",
    "111122223333",
    "444455556666",
    "arn:aws:iam::111122223333:user/alice",
    "arn:aws:iam::111122223333:role/orders",
    "arn:aws:sts::111122223333:assumed-role/orders/session",
];
const CALLERS: &[&str] = &[
    "arn:aws:iam::111122223333:user/alice",
    "arn:aws:sts::111122223333:assumed-role/orders/session",
    "arn:aws:iam::111122223333:root",
    "arn:aws:iam::444455556666:user/bob",
];
const ACTIONS: &[&str] = &["*", "kms:*", "kms:Decrypt", "kms:*crypt", "kms:GenerateDataKey*", "KMS:ENCRYPT", "s3:Get?"];
const ASKED: &[&str] = &["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:ListKeys", "s3:GetX", "kms:decrypt"];
const RESOURCES: &[&str] = &[
    "*",
    "arn:aws:kms:us-east-1:111122223333:key/a",
    "arn:aws:kms:us-east-1:111122223333:key/ab",
    "arn:aws:kms:us-east-1:111122223333:key/*",
    "arn:aws:kms:us-east-1:111122223333:key/?b",
    "arn:aws:kms:us-east-1:111122223333:*a*",
    "arn:aws:kms:*:111122223333:key/a",
    "arn:aws:kms:*:*:key/a*",
    "arn:aws:kms:us-east-1:111122223333:alias/${aws:username}",
    "arn:aws:kms:*:111122223333:key/${aws:username, 'ab'}",
];
const NAMED: &[&str] = &[
    "*",
    "arn:aws:kms:us-east-1:111122223333:key/a",
    "arn:aws:kms:us-east-1:111122223333:key/ab",
    "arn:aws:kms:eu-west-1:111122223333:key/a",
    "arn:aws:kms:us-east-1:111122223333:alias/a",
    "no arn",
];
const SETS: &[&str] = &["", "ForAllValues:", "ForAnyValue:"];
const OPERATORS: &[&str] = &[
    "StringEquals",
    "StringNotEquals",
    "StringEqualsIgnoreCase",
    "StringLike",
    "StringNotLike",
    "NumericLessThan",
    "DateGreaterThanEquals",
    "Bool",
    "BinaryEquals",
    "IpAddress",
    "NotIpAddress",
    "ArnLike",
    "ArnNotEquals",
];
const KEYS: [&str; 4] = ["aws:username", "kms:EncryptionContext:a", "kms:EncryptionContextKeys", "aws:PrincipalTag/a"];
const VALUES: &[&str] = &[
    "a",
    "A",
    "ab",
    "a*",
    "?b",
    "",
    "${aws:username}",
    "7",
    "2026-04-01",
    "true",
    "YQ==",
    "203.0.113.9",
    "arn:aws:iam::111122223333:user/a",
    "203.0.113.0/24",
    "é",
];

const ACCOUNT: &str = "111122223333";

fuzz_target!(|case: Case| {
    let Some(judged) = Judged::of(&case) else { return };
    let before = judged.decide();
    assert_eq!(before, judged.decide(), "the same question, the same decision");
    let name = outcome(&before);

    let turned = judged.changed(&case, |statements| statements.reverse());
    assert_eq!(outcome(&turned.decide()), name, "in another order");

    let padded = judged.changed(&case, |statements| {
        // Each has another effect: both indexes get more than they would look through.
        let pads = (0..12).map(|place| format!(
            r#"{{"Effect": "{}", PRINCIPAL"Action": "kms:*", "Resource": "arn:aws:kms:us-east-1:111122223333:key/other{place}"}}"#,
            if place % 2 == 0 { "Allow" } else { "Deny" },
        ));
        statements.extend(pads);
    });
    assert_eq!(outcome(&padded.decide()), name, "among others");

    let denying = Statement { deny: true, ..case.added.clone() };
    let place = usize::from(case.added_to.0) % 4;
    if let Some(more) = judged.with(&case, place, &denying) {
        let after = more.decide();
        assert!(!matches!(after, Decision::Allow(_)) || matches!(before, Decision::Allow(_)), "a Deny allows");
        assert!(!matches!(before, Decision::ExplicitDeny(_)) || matches!(after, Decision::ExplicitDeny(_)));
    }
});

/// What a decision is, whichever of several statements it names.
fn outcome(decision: &Decision) -> (&'static str, Option<Kind>) {
    match decision {
        Decision::Allow(_) => ("allow", None),
        Decision::ExplicitDeny(_) => ("deny", None),
        Decision::ImplicitDeny(kind) => ("none", Some(*kind)),
    }
}

/// The four policies of a case as JSON statements, in this order: guardrail, key policy, boundary, identity policy.
struct Judged<'c> {
    case: &'c Case,
    texts: [Option<Vec<String>>; 4],
    compiled: Policy,
}

/// The same, compiled.
struct Policy {
    guardrail: Option<[Arc<Compiled>; 1]>,
    key: Option<KeyPolicy>,
    boundary: Option<[Arc<Compiled>; 1]>,
    identity: [Arc<Compiled>; 1],
}

impl<'c> Judged<'c> {
    /// `None` if one of the policies is refused.
    fn of(case: &'c Case) -> Option<Self> {
        let Case { guardrail, key, boundary, identity, .. } = case;
        let lists = [guardrail.as_ref(), key.as_ref(), boundary.as_ref(), Some(identity)];
        Self::new(case, lists.map(|list| list.map(|list| list.iter().map(json).collect())))
    }

    fn new(case: &'c Case, texts: [Option<Vec<String>>; 4]) -> Option<Self> {
        let [guardrail, key, boundary, identity] = &texts;
        let attached = |list: &Option<Vec<String>>, kind| match list {
            None => Some(None),
            Some(list) => compile(list, kind).map(|policy| Some([policy])),
        };
        let key = match key {
            None => None,
            Some(list) => Some(KeyPolicy::parse("key", document(list, Kind::Key).as_bytes()).ok()?.0),
        };
        let compiled = Policy {
            guardrail: attached(guardrail, Kind::Guardrail)?,
            key,
            boundary: attached(boundary, Kind::Boundary)?,
            identity: attached(identity, Kind::Identity)??,
        };
        Some(Self { case, texts, compiled })
    }

    /// The same policies with their statements changed, which does not make them wrong.
    fn changed(&self, case: &'c Case, change: impl Fn(&mut Vec<String>)) -> Self {
        let mut texts = self.texts.clone();
        texts.iter_mut().flatten().for_each(change);
        Self::new(case, texts).expect("the statements were read before")
    }

    /// The same with one statement more in the policy at that place; `None` if it is refused.
    fn with(&self, case: &'c Case, place: usize, added: &Statement) -> Option<Self> {
        let mut texts = self.texts.clone();
        // Where there is no such policy, one that allows everything stands for none; only its Deny counts.
        let all = || vec![r#"{"Effect": "Allow", PRINCIPAL"Action": "*", "Resource": "*"}"#.to_owned()];
        let absent = texts[place].is_none();
        if absent && place == 1 {
            return None;
        }
        texts[place].get_or_insert_with(all).push(json(added));
        Self::new(case, texts)
    }

    fn decide(&self) -> Decision {
        let Case { caller, action, resource, .. } = self.case;
        let caller = PrincipalNames::of(caller.of(CALLERS)).expect("a caller");
        let request =
            Request { action: action.of(ASKED), resource: resource.of(NAMED), caller: &caller, context: self.case };
        let Policy { guardrail, key, boundary, identity } = &self.compiled;
        let account = ACCOUNT.parse().expect("an account");
        let policies = Policies {
            guardrail: guardrail.as_ref().map(<[_; 1]>::as_slice),
            resource: key.as_ref().map_or(OfResource::Nothing, |policy| OfResource::KeyPolicy { policy, account }),
            boundary: boundary.as_ref().map(<[_; 1]>::as_slice),
            session: None,
            identity,
            grant: &|| None,
        };
        evaluate(&request, &policies)
    }
}

impl RequestContext for Case {
    fn values(&self, key: &ConditionKey) -> Values<'_> {
        let name = key.to_string();
        let fact = KEYS.iter().position(|known| *known == name).map_or(Fact::Absent, |place| self.facts[place]);
        match fact {
            Fact::Absent => Values::Absent,
            Fact::One(value) => Values::one(value.of(VALUES)),
            Fact::Two(first, second) => Values::many([first.of(VALUES), second.of(VALUES)]),
            Fact::Unknown => Values::Unknown,
        }
    }
}

fn compile(statements: &[String], kind: Kind) -> Option<Arc<Compiled>> {
    let parsed = Document::parse("fuzz", document(statements, kind).as_bytes(), kind).ok()?;
    Some(Arc::new(Compiled::from(parsed.document)))
}

/// Statements say whom they are about in key policies alone; those without a principal of their own are about everyone.
fn document(statements: &[String], kind: Kind) -> String {
    let statements: Vec<String> = statements
        .iter()
        .map(|statement| {
            let (before, after) = statement.split_once("PRINCIPAL").expect("a place for the principal");
            let (own, after) = after.split_once('|').unwrap_or((r#""Principal": "*", "#, after));
            let own = if kind == Kind::Key { own } else { "" };
            format!("{before}{own}{after}")
        })
        .collect();
    format!(r#"{{"Version": "2012-10-17", "Statement": [{}]}}"#, statements.join(","))
}

/// A statement as JSON, with the mark `PRINCIPAL` before its principals, which end at `|`.
fn json(statement: &Statement) -> String {
    let not = |negated: bool| if negated { "Not" } else { "" };
    let list = |picks: &[Pick], words: &[&str]| {
        let words: Vec<String> = picks.iter().map(|pick| format!("\"{}\"", pick.of(words))).collect();
        words.join(",")
    };
    let mut text = format!(
        r#"{{"Effect": "{}", PRINCIPAL"{}Principal": {{"AWS": [{}]}}, |"{}Action": [{}], "{}Resource": [{}]"#,
        if statement.deny { "Deny" } else { "Allow" },
        not(statement.not_principal),
        list(&statement.principals, PRINCIPALS),
        not(statement.not_action),
        list(&statement.actions, ACTIONS),
        not(statement.not_resource),
        list(&statement.resources, RESOURCES),
    );
    let conditions: Vec<String> = statement.conditions.iter().flatten().map(condition).collect();
    // Two under one operator would be one member twice.
    let conditions = if let [a, b] = &conditions[..]
        && a.split(':').next() == b.split(':').next()
    {
        &conditions[..1]
    } else {
        &conditions
    };
    let _ = write!(text, r#", "Condition": {{{}}}}}"#, conditions.join(","));
    text
}

fn condition(condition: &Condition) -> String {
    let Condition { set, operator, if_exists, key, values: [a, b] } = condition;
    let words = words(operator.of(OPERATORS));
    format!(
        r#""{}{}{}": {{"{}": ["{}", "{}"]}}"#,
        set.of(SETS),
        operator.of(OPERATORS),
        if *if_exists { "IfExists" } else { "" },
        key.of(&KEYS),
        a.of(words),
        b.of(words),
    )
}

/// Values that an operator can compare: a policy with others is refused.
fn words(operator: &str) -> &'static [&'static str] {
    match operator {
        "NumericLessThan" => &["7", "-1.5", "2026"],
        "DateGreaterThanEquals" => &["2026-04-01", "1585699200"],
        "Bool" => &["true", "false"],
        "BinaryEquals" => &["", "YQ=="],
        "IpAddress" | "NotIpAddress" => &["203.0.113.0/24", "203.0.113.9", "2001:db8::/32"],
        "ArnLike" | "ArnNotEquals" => &["arn:aws:iam::111122223333:user/*", "arn:aws:iam::*:${aws:username}"],
        _ => VALUES,
    }
}
