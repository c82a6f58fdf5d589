//! What is legal in a policy and surely not meant: warnings for its author.

use super::Kind;
use super::action::ActionSet;
use super::arn::ResourcePattern;
use super::condition::Condition;
use super::document::Reader;
use super::fault::{Path, Refusal};
use super::key::ConditionKey;
use super::statement::{Effect, Statement};
use super::template::Variable;

impl Reader<'_> {
    /// The key as this kind of policy has it; warns of one that is none there.
    pub(super) fn present(&mut self, key: &ConditionKey, path: &Path<'_>) -> ConditionKey {
        let kept = if self.kind == Kind::Key { key.clone().in_key_policy() } else { key.clone() };
        if kept != *key {
            let warning = Refusal::new(format!("`{key}` counts as absent in a key policy, as at AWS"));
            self.findings.warn(path, warning.hint("test it in identity policies"));
        }
        kept
    }

    /// Warns of a test of a key that no request at a gateway has.
    pub(super) fn warn_of_absence(&mut self, condition: &Condition, path: &Path<'_>) {
        let key = condition.key();
        if key.is_absent_here() {
            let warning = Refusal::new(format!("`{key}` has no value at a gateway and counts as absent"));
            let so = if condition.holds_when_absent() {
                "this test of it holds for every request"
            } else {
                "this test of it never holds, so the statement never applies"
            };
            self.findings.warn(path, warning.hint(so));
        }
    }

    /// Warns of variables that never have a value, and of `text` whose variables its version does not know.
    pub(super) fn warn_of_variables<'v>(
        &mut self,
        text: &str,
        variables: impl Iterator<Item = &'v Variable>,
        path: &Path<'_>,
    ) {
        for variable in variables {
            if let Some(warning) = variable.key.misspelt(&variable.written) {
                self.findings.warn(path, warning);
            }
        }
        if !self.variables && text.contains("${") {
            let warning = Refusal::new("`${` is literal text in this version of the policy language");
            self.findings.warn(path, warning.hint("write `\"Version\": \"2012-10-17\"` to have variables"));
        }
    }

    pub(super) fn warn_of_pitfalls(&mut self, statement: &Statement, path: &Path<'_>) {
        let known: ActionSet = statement.actions.known();
        let aliases = statement.resources.patterns().iter().any(ResourcePattern::is_alias);
        if aliases && !known.is_empty() && !known.touches_aliases() {
            let warning = Refusal::new(
                "an alias as resource governs only `kms:CreateAlias`, `kms:UpdateAlias` and `kms:DeleteAlias`",
            );
            self.findings.warn(
                path,
                warning
                    .hint("name the key's ARN, or use the condition key `kms:RequestAlias` or `kms:ResourceAliases`"),
            );
        }
        if statement.effect == Effect::Allow {
            let permissive = statement.conditions.iter().filter_map(Condition::holds_for_nothing);
            for key in permissive.filter(|key| !statement.conditions.iter().any(|other| other.demands(key))) {
                if self.kind == Kind::Key && key.is_single_valued_of_request() {
                    self.findings.refuse::<()>(&path.member("Condition"), overly_permissive(key));
                    continue;
                }
                let warning = Refusal::new(format!("`ForAllValues` holds for requests without `{key}`"));
                let hint = format!("add `\"Null\": {{\"{key}\": \"false\"}}` if the request must have it");
                self.findings.warn(&path.member("Condition"), warning.hint(hint));
            }
        }
    }
}

/// What KMS refuses in a key policy, in its own words.
fn overly_permissive(key: &ConditionKey) -> Refusal {
    let family = if matches!(key, ConditionKey::RequestTag(_)) { "RequestTag" } else { "EncryptionContext" };
    let what = if family == "RequestTag" { "request tag" } else { "encryption context" };
    Refusal::new(format!(
        "OverlyPermissiveCondition:{family}: Using the ForAllValues set operator with a single-valued condition key \
         matches requests without the specified {what} or with an unspecified {what}. To fix, remove ForAllValues."
    ))
}
