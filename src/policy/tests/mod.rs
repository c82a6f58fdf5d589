//! The language as a whole: what is refused on load, what each operator does, the known traps, and two properties
//! held against a judge of statements written a second time, without any index.

mod conditions;
mod loading;
mod properties;
mod traps;

use std::sync::Arc;

use super::testing::Facts;
use super::{Compiled, Decision, Document, Kind, Policies, Request, evaluate};
use crate::aws::PrincipalNames;

const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const CREATE: &str = "kms:GenerateDataKeyWithoutPlaintext";

fn compile(json: &str) -> Arc<Compiled> {
    match Document::parse("test", json.as_bytes(), Kind::Identity) {
        Ok(parsed) => Arc::new(Compiled::from(parsed.document)),
        Err(faults) => panic!("{json}: {faults:?}"),
    }
}

/// A policy of these statements.
fn policy(statements: &str) -> Arc<Compiled> {
    compile(&format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#))
}

fn judge(policies: &[Arc<Compiled>], action: &'static str, resource: &str, facts: &Facts) -> Decision {
    let caller = PrincipalNames::of("arn:aws:iam::111122223333:user/alice").unwrap();
    evaluate(&Request { action, resource, caller: &caller, context: facts }, &Policies::identity(policies))
}

/// Whether these statements allow, deny (explicitly), or do neither: `allow`, `deny`, `none`.
fn outcome(statements: &str, action: &'static str, resource: &str, facts: &Facts) -> &'static str {
    match judge(&[policy(statements)], action, resource, facts) {
        Decision::Allow(_) => "allow",
        Decision::ExplicitDeny(_) => "deny",
        Decision::ImplicitDeny(_) => "none",
    }
}

/// Whether a condition, given as the inside of `"Condition": {...}`, holds: an Allow under it allows and a Deny
/// under it denies. For conditions whose truth is not known the two differ, and this panics.
fn holds(condition: &str, facts: &Facts) -> bool {
    let statement = |effect: &str| {
        format!(r#"{{"Effect":"{effect}","Action":"kms:*","Resource":"*","Condition":{{{condition}}}}}"#)
    };
    let allowed = outcome(&statement("Allow"), CREATE, KEY, facts) == "allow";
    let denied = outcome(&statement("Deny"), CREATE, KEY, facts) == "deny";
    assert_eq!(allowed, denied, "{condition} is neither true nor false");
    allowed
}
