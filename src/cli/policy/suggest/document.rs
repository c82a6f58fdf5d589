//! A policy document from what was used: one statement for each resource and the conditions that its actions share.

use std::collections::BTreeMap;

use serde::Serialize;

use super::usage::{Calls, Usage};
use crate::cli::policy::question::has_context;

/// So many characters may a managed policy of IAM have.
pub(super) const LONGEST_AT_AWS: usize = 6144;

const CONTEXT_KEYS: &str = "kms:EncryptionContextKeys";
/// What new keys with tags ask for.
const TAG_RESOURCE: &str = "kms:TagResource";

/// A policy document.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Document<'c> {
    version: &'static str,
    statement: Vec<Statement<'c>>,
}

/// A statement that allows.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Statement<'c> {
    effect: &'static str,
    action: Vec<&'static str>,
    resource: &'c str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    condition: Conditions,
}

/// Values by condition key, by operator.
type Conditions = BTreeMap<&'static str, BTreeMap<String, Vec<String>>>;

impl<'c> Document<'c> {
    /// The document that allows what was used, if anything was.
    pub(super) fn new(calls: &'c Calls) -> Option<Self> {
        let statement: Vec<_> =
            calls.used.iter().flat_map(|(resource, actions)| statements(resource, actions)).collect();
        (!statement.is_empty()).then_some(Self { version: "2012-10-17", statement })
    }

    /// Whether it lets every key be tagged, because a new one was.
    pub(super) fn tags_new_keys(&self) -> bool {
        self.statement.iter().any(|statement| statement.resource == "*" && statement.action.contains(&TAG_RESOURCE))
    }
}

/// The statements about one resource, in the order of their first actions.
fn statements<'c>(resource: &'c str, actions: &BTreeMap<&'static str, Usage>) -> Vec<Statement<'c>> {
    let mut statements: Vec<Statement<'c>> = Vec::new();
    for (action, usage) in actions {
        let condition = conditions(action, usage);
        match statements.iter_mut().find(|statement| statement.condition == condition) {
            Some(statement) => statement.action.push(action),
            None => statements.push(Statement { effect: "Allow", action: vec![action], resource, condition }),
        }
    }
    statements
}

/// What the encryption contexts that were seen have in common.
fn conditions(action: &str, usage: &Usage) -> Conditions {
    let mut conditions = Conditions::new();
    let Some(keys) = usage.keys.get().filter(|_| has_context(action)) else { return conditions };
    let mut test = |operator, key: &str, values: Vec<String>| {
        conditions.entry(operator).or_default().insert(key.to_owned(), values);
    };
    let is_absent = |absent: bool| vec![absent.to_string()];
    if usage.with_context == 0 {
        test("Null", CONTEXT_KEYS, is_absent(true));
        return conditions;
    }
    test("ForAllValues:StringEquals", CONTEXT_KEYS, keys.iter().map(|key| literal(key)).collect());
    if usage.with_context == usage.calls {
        test("Null", CONTEXT_KEYS, is_absent(false));
    }
    for pair in usage.pairs.values().filter(|pair| !pair.written.is_empty()) {
        let Some(values) = pair.values.get() else { continue };
        let operator = if pair.calls == usage.calls { "StringEquals" } else { "StringEqualsIfExists" };
        let values = values.iter().map(|value| literal(value)).collect();
        test(operator, &format!("kms:EncryptionContext:{}", pair.written), values);
    }
    conditions
}

/// A text as a policy has to spell it: what looks like a policy variable in it is none.
fn literal(text: &str) -> String {
    text.replace("${", "${$}{")
}
