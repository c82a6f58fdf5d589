//! What policies would ask about a key, and whether they could allow an action at all: known before any key is.
//!
//! A backend whose keys are elsewhere finds out no more about a key than the policies in force ask for.

use std::ops::BitOr;
use std::sync::Arc;

use super::action::{self, ActionSet};
use super::arn::ResourcePattern;
use super::compiled::Compiled;
use super::condition::Condition;
use super::evaluate::Policies;
use super::key::ConditionKey;
use super::statement::{Effect, Resources, Statement};
use super::template::Variable;

/// What there is to be known about a key beyond its ARN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct KeyFacts {
    /// What `DescribeKey` tells: spec, usage, origin, its part in a multi-Region key.
    pub metadata: bool,
    /// Its tags.
    pub tags: bool,
    /// The aliases that point to it.
    pub aliases: bool,
}

impl KeyFacts {
    /// What has to be known of a key to have the values of `key`.
    const fn behind(key: &ConditionKey) -> Self {
        let nothing = Self { metadata: false, tags: false, aliases: false };
        match key {
            ConditionKey::KeySpec
            | ConditionKey::KeyUsage
            | ConditionKey::KeyOrigin
            | ConditionKey::MultiRegionKeyType
            | ConditionKey::CustomerMasterKeySpec
            | ConditionKey::CustomerMasterKeyUsage => Self { metadata: true, ..nothing },
            ConditionKey::ResourceTag(_) => Self { tags: true, ..nothing },
            ConditionKey::ResourceAliases => Self { aliases: true, ..nothing },
            // Of the request, or in the ARN.
            _ => nothing,
        }
    }
}

impl BitOr for KeyFacts {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self {
            metadata: self.metadata | other.metadata,
            tags: self.tags | other.tags,
            aliases: self.aliases | other.aliases,
        }
    }
}

/// What a document would ask and could decide, whatever the request.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reach {
    key_facts: KeyFacts,
    /// Actions that it might allow.
    allowable: ActionSet,
    /// Actions that it denies on every resource, without a condition.
    forbidden: ActionSet,
}

impl Reach {
    pub(super) fn of(statements: &[Statement]) -> Self {
        statements.iter().fold(Self::default(), |reach, statement| {
            let actions = statement.actions.known();
            let outright = matches!(statement.resources, Resources::All) && statement.conditions.is_empty();
            let key_facts = reach.key_facts | asked_by(statement);
            match statement.effect {
                Effect::Allow => Self { key_facts, allowable: reach.allowable.with(actions), ..reach },
                Effect::Deny if outright => Self { key_facts, forbidden: reach.forbidden.with(actions), ..reach },
                Effect::Deny => Self { key_facts, ..reach },
            }
        })
    }
}

/// What one statement asks about keys, in conditions and in variables.
fn asked_by(statement: &Statement) -> KeyFacts {
    let conditions = statement.conditions.iter();
    let tested = conditions.clone().map(Condition::key);
    let in_resources = statement.resources.patterns().iter().flat_map(ResourcePattern::variables);
    let variables = conditions.flat_map(Condition::variables).chain(in_resources).map(|Variable { key, .. }| key);
    tested.chain(variables).map(KeyFacts::behind).fold(KeyFacts::default(), BitOr::bitor)
}

impl Compiled {
    /// What its statements ask about keys.
    #[must_use]
    pub const fn key_facts(&self) -> KeyFacts {
        self.reach.key_facts
    }
}

/// Whether there can be a key on which these policies allow the action. False says that there is none; true says little:
/// the key is yet to be judged.
#[must_use]
pub fn could_allow(action: &str, policies: &Policies<'_>) -> bool {
    let Policies { guardrail, boundary, session, identity, .. } = policies;
    let Some(action) = action::number(action) else { return true };
    let limits = [guardrail, boundary, session].into_iter().flatten();
    let allows = |policies: &[Arc<Compiled>]| policies.iter().any(|policy| policy.reach.allowable.contains(action));
    let forbids = |policies: &[Arc<Compiled>]| policies.iter().any(|policy| policy.reach.forbidden.contains(action));
    limits.clone().all(|policies| allows(policies))
        && allows(identity)
        && !limits.chain([identity]).any(|policies| forbids(policies))
}

/// Whether there can be a key on which these policies neither deny the action nor have a guardrail that does not allow
/// it. As little is said by true.
#[must_use]
pub fn could_be_let_through(action: &str, policies: &Policies<'_>) -> bool {
    let Policies { guardrail, boundary, session, identity, .. } = policies;
    let Some(action) = action::number(action) else { return true };
    let all = [guardrail, boundary, session].into_iter().flatten().chain([identity]);
    let allowed = guardrail.is_none_or(|all| all.iter().any(|policy| policy.reach.allowable.contains(action)));
    allowed && !all.flat_map(|policies| policies.iter()).any(|policy| policy.reach.forbidden.contains(action))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::{Document, Kind};
    use super::*;

    fn compiled(statements: &Value) -> Arc<Compiled> {
        let json = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
        Arc::new(Document::parse("it", json.as_bytes(), Kind::Identity).unwrap().document.into())
    }

    #[test]
    fn only_what_conditions_and_variables_name_is_asked_about_a_key() {
        let asked = |condition: Value, resource: &str| {
            let statement = json!({"Effect": "Deny", "Action": "kms:*", "Resource": resource, "Condition": condition});
            let KeyFacts { metadata, tags, aliases } = compiled(&statement).key_facts();
            [metadata, tags, aliases]
        };
        let context = json!({"StringEquals": {"kms:EncryptionContext:a": "b", "aws:ResourceAccount": "111122223333"}});
        assert_eq!(asked(context, "*"), [false; 3]);
        assert_eq!(asked(json!({"StringEquals": {"kms:keyspec": "RSA_2048"}}), "*"), [true, false, false]);
        assert_eq!(asked(json!({"StringEquals": {"aws:ResourceTag/Team": "blue"}}), "*"), [false, true, false]);
        let aliases = json!({"ForAnyValue:StringLike": {"kms:ResourceAliases": "alias/a*"}});
        assert_eq!(asked(aliases, "*"), [false, false, true]);
        let variable = json!({"StringEquals": {"aws:PrincipalTag/Team": "${aws:ResourceTag/Team}"}});
        assert_eq!(asked(variable, "*"), [false, true, false]);
    }

    #[test]
    fn an_action_that_no_statement_allows_could_be_allowed_on_no_key() {
        let allow = |actions: &str| json!({"Effect": "Allow", "Action": actions, "Resource": "arn:aws:kms:*:*:key/x"});
        let could = |identity: Vec<Value>, boundary: Option<Value>| {
            let identity: Vec<_> = identity.iter().map(compiled).collect();
            let boundary: Option<Vec<_>> = boundary.map(|boundary| vec![compiled(&boundary)]);
            let policies = Policies { boundary: boundary.as_deref(), ..Policies::identity(&identity) };
            could_allow("kms:Decrypt", &policies)
        };
        assert!(could(vec![allow("kms:De*")], None));
        assert!(!could(vec![allow("kms:Encrypt")], None));
        assert!(!could(vec![], None));
        assert!(!could(vec![allow("kms:Decrypt")], Some(allow("kms:Encrypt"))));
        assert!(could(vec![allow("kms:Decrypt")], Some(allow("kms:*"))));
        let deny = |more: Value| {
            let mut deny = json!({"Effect": "Deny", "Action": "kms:*", "Resource": "*"});
            deny.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            deny
        };
        assert!(!could(vec![allow("kms:Decrypt"), deny(json!({}))], None));
        assert!(could(vec![allow("kms:Decrypt"), deny(json!({"Resource": "arn:aws:kms:*:*:key/x"}))], None));
        let condition = json!({"Condition": {"Bool": {"aws:SecureTransport": "false"}}});
        assert!(could(vec![allow("kms:Decrypt"), deny(condition)], None));
    }
}
