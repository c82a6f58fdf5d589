//! Any bytes as a policy document of each kind: no panic, no hang, and what is read is what stands there.
//!
//! A document that is read compiles, and decides the same when it has been through another JSON library and back.
#![no_main]

use std::sync::{Arc, LazyLock};

use kmsgate::aws::PrincipalNames;
use kmsgate::policy::{
    Compiled, ConditionKey, Decision, Document, KeyPolicy, Kind, OfResource, Policies, Request, RequestContext, Values,
    admits, evaluate,
};
use libfuzzer_sys::fuzz_target;

const KINDS: [Kind; 5] = [Kind::Guardrail, Kind::Key, Kind::Boundary, Kind::Session, Kind::Identity];
/// For the kinds that do not allow by themselves.
static ALLOW_ALL: LazyLock<[Arc<Compiled>; 1]> = LazyLock::new(|| {
    let json = br#"{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}"#;
    [Arc::new(Compiled::from(Document::parse("all", json, Kind::Identity).expect("a policy").document))]
});
const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const REQUESTS: [(&str, &str); 4] = [
    ("kms:Decrypt", KEY),
    ("kms:CreateAlias", "arn:aws:kms:us-east-1:111122223333:alias/orders"),
    ("kms:ListKeys", "*"),
    ("s3:GetObject", "arn:aws:s3:::bucket/object"),
];
const CALLERS: [&str; 3] = [
    "arn:aws:iam::111122223333:user/alice",
    "arn:aws:sts::111122223333:assumed-role/orders/session",
    "arn:aws:iam::444455556666:root",
];

/// Every key of the context has the same answer.
struct Same(Values<'static>);

impl RequestContext for Same {
    fn values(&self, _: &ConditionKey) -> Values<'_> {
        self.0.clone()
    }
}

fuzz_target!(|json: &[u8]| {
    let again = serde_json::from_slice::<serde_json::Value>(json).ok().map(|value| value.to_string());
    for kind in KINDS {
        let Some(decisions) = decisions(json, kind) else { continue };
        // Another library reads it too, and what it writes is read alike. It writes some numbers otherwise.
        let again = again.as_ref().expect("a document that is read is JSON");
        if !has_numbers(json) {
            assert_eq!(Some(decisions), self::decisions(again.as_bytes(), kind), "{kind}");
        }
    }
});

/// What a document of that kind decides of each request by each caller; `None` if it is refused.
fn decisions(json: &[u8], kind: Kind) -> Option<Vec<Decision>> {
    let parsed = Document::parse("fuzz", json, kind);
    let key = KeyPolicy::parse("fuzz", json);
    assert_eq!(key.is_ok(), Document::parse("fuzz", json, Kind::Key).is_ok());
    match parsed {
        Err(faults) => {
            assert!(!faults.is_empty());
            faults.iter().for_each(|fault| drop(fault.to_string()));
            None
        }
        Ok(parsed) => {
            parsed.warnings.iter().for_each(|warning| drop(warning.to_string()));
            let own = [Arc::new(Compiled::from(parsed.document))];
            let key = key.ok().filter(|_| kind == Kind::Key).map(|(policy, _)| policy);
            Some(each(|request| judge(request, kind, &own, key.as_ref())))
        }
    }
}

fn each(judge: impl Fn(&Request<'_>) -> Decision) -> Vec<Decision> {
    let callers = CALLERS.map(|arn| PrincipalNames::of(arn).expect("a caller"));
    let contexts = [Values::Absent, Values::Unknown, Values::one("1"), Values::many(["a", KEY])].map(Same);
    let mut decisions = Vec::new();
    for caller in &callers {
        for context in &contexts {
            let asked = REQUESTS.iter().map(|(action, resource)| Request { action, resource, caller, context });
            decisions.extend(asked.map(|request| judge(&request)));
        }
    }
    decisions
}

fn judge(request: &Request<'_>, kind: Kind, own: &[Arc<Compiled>], key: Option<&KeyPolicy>) -> Decision {
    let at = |wanted: Kind| (kind == wanted).then_some(own);
    let account = "111122223333".parse().expect("an account");
    let policies = Policies {
        guardrail: at(Kind::Guardrail),
        resource: key.map_or(OfResource::Nothing, |policy| OfResource::KeyPolicy { policy, account }),
        boundary: at(Kind::Boundary),
        session: at(Kind::Session),
        identity: at(Kind::Identity).unwrap_or(&*ALLOW_ALL),
        grant: &|| None,
    };
    let decision = evaluate(request, &policies);
    if let Some(policy) = key {
        let denied = matches!(decision, Decision::ExplicitDeny(_));
        assert!(!(denied && admits(policy, request, false)), "what denies admits nobody");
    }
    decision
}

/// Whether a number stands in there, outside of strings or in them.
fn has_numbers(json: &[u8]) -> bool {
    fn walk(value: &serde_json::Value) -> bool {
        match value {
            serde_json::Value::Number(_) => true,
            serde_json::Value::Array(items) => items.iter().any(walk),
            serde_json::Value::Object(members) => members.values().any(walk),
            _ => false,
        }
    }
    serde_json::from_slice(json).is_ok_and(|value| walk(&value))
}
