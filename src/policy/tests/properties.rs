//! Two properties, over generated policies: a Deny added never makes an allowed request of a refused one, and the
//! index decides as a plain walk over all statements does. The walk is written here a second time, from the
//! grammar's definitions, and shares no code with the module.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::*;

/// A statement as it was made up.
#[derive(Clone, Debug)]
struct Draft {
    deny: bool,
    not_action: bool,
    actions: Vec<&'static str>,
    not_resource: bool,
    resources: Vec<&'static str>,
    condition: Option<&'static str>,
}

const POLICY_ACTIONS: &[&str] = &[
    "*",
    "kms:*",
    "kms:Decrypt",
    "KMS:decrypt",
    "kms:Generate*",
    "kms:*crypt",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ListKeys",
    "s3:Get*",
    "kms:??crypt",
];
const POLICY_RESOURCES: &[&str] = &[
    "*",
    "arn:aws:kms:us-east-1:111122223333:key/a",
    "arn:aws:kms:us-east-1:111122223333:key/ab",
    "arn:aws:kms:us-east-1:111122223333:key/a*",
    "arn:aws:kms:us-east-1:111122223333:key/*b",
    "arn:aws:kms:us-east-1:111122223333:key/?",
    "arn:aws:kms:us-east-1:111122223333:*",
    "arn:aws:kms:*:111122223333:key/a",
    "arn:aws:kms:us-*:*:*/a*",
    "arn:aws:kms:eu-west-1:*:key/ab",
    "arn:aws:kms:us-east-1:111122223333:alias/a",
];
const CONDITIONS: &[&str] = &["StringEquals", "StringNotEquals", "StringEqualsIfExists"];
const REQUEST_ACTIONS: &[&str] = &[
    "kms:Decrypt",
    "kms:Encrypt",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ListKeys",
    "s3:GetObject",
    "kms:decrypt",
];
const REQUEST_RESOURCES: &[&str] = &[
    "*",
    "arn:aws:kms:us-east-1:111122223333:key/a",
    "arn:aws:kms:us-east-1:111122223333:key/ab",
    "arn:aws:kms:us-east-1:111122223333:key/abc",
    "arn:aws:kms:us-east-1:111122223333:key/",
    "arn:aws:kms:eu-west-1:111122223333:key/ab",
    "arn:aws:kms:us-east-1:111122223333:alias/a",
    "arn:aws:s3:::bucket",
];

fn draft() -> impl Strategy<Value = Draft> {
    (
        prop::bool::weighted(0.3),
        prop::bool::weighted(0.2),
        subsequence(POLICY_ACTIONS, 1..4),
        prop::bool::weighted(0.2),
        subsequence(POLICY_RESOURCES, 1..8),
        prop::option::of(select(CONDITIONS)),
    )
        .prop_map(|(deny, not_action, actions, not_resource, resources, condition)| Draft {
            deny,
            not_action,
            actions,
            not_resource,
            resources,
            condition,
        })
}

fn json(draft: &Draft) -> String {
    let condition =
        draft.condition.map(|operator| format!(r#","Condition":{{"{operator}":{{"aws:username":"bob"}}}}"#));
    format!(
        r#"{{"Effect":"{}","{}Action":{:?},"{}Resource":{:?}{}}}"#,
        if draft.deny { "Deny" } else { "Allow" },
        if draft.not_action { "Not" } else { "" },
        draft.actions,
        if draft.not_resource { "Not" } else { "" },
        draft.resources,
        condition.unwrap_or_default(),
    )
}

fn compile_all(drafts: &[Draft]) -> Arc<Compiled> {
    policy(&drafts.iter().map(json).collect::<Vec<_>>().join(","))
}

fn like(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => like(rest, text) || matches!(text, [_, behind @ ..] if like(pattern, behind)),
        ([b'?', rest @ ..], [_, behind @ ..]) => like(rest, behind),
        ([p, rest @ ..], [t, behind @ ..]) => p == t && like(rest, behind),
        _ => false,
    }
}

fn resource_like(pattern: &str, resource: &str) -> bool {
    let cut = |text: &'static str| text.splitn(6, ':').collect::<Vec<_>>();
    let (pattern_parts, parts) = (cut(leak(pattern)), cut(leak(resource)));
    pattern == "*"
        || (pattern_parts.len() == parts.len()
            && pattern_parts.iter().zip(&parts).all(|(p, t)| like(p.as_bytes(), t.as_bytes())))
}

/// All texts here are constants; this only says so to the compiler.
fn leak(text: &str) -> &'static str {
    POLICY_RESOURCES.iter().chain(REQUEST_RESOURCES).find(|known| **known == text).unwrap()
}

fn applies(draft: &Draft, action: &str, resource: &str, username: Option<&str>) -> bool {
    let action = action.to_lowercase();
    let action = draft.actions.iter().any(|pattern| like(pattern.to_lowercase().as_bytes(), action.as_bytes()));
    let resource = draft.resources.iter().any(|pattern| resource_like(pattern, resource));
    let condition = match draft.condition {
        None => true,
        Some("StringEquals") => username == Some("bob"),
        Some("StringNotEquals") => username != Some("bob"),
        Some(_) => username.is_none_or(|name| name == "bob"),
    };
    action != draft.not_action && resource != draft.not_resource && condition
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_index_decides_as_a_walk_over_all_statements(
        first in prop::collection::vec(draft(), 1..6),
        second in prop::collection::vec(draft(), 1..6),
        action in select(REQUEST_ACTIONS),
        resource in select(REQUEST_RESOURCES),
        username in select(&[None, Some("bob"), Some("eve")][..]),
    ) {
        let drafts = [first, second];
        let policies = [compile_all(&drafts[0]), compile_all(&drafts[1])];
        let facts = username.map_or(Facts::new(), |name| Facts::new().one("aws:username", name));
        let decision = judge(&policies, action, resource, &facts);
        let applying = || drafts.iter().flatten().filter(|draft| applies(draft, action, resource, username));
        let expected = if applying().any(|draft| draft.deny) { "deny" } else if applying().count() > 0 { "allow" } else { "none" };
        let (decided, reason) = match &decision {
            Decision::Allow(allowed) => ("allow", allowed.identity.as_ref()),
            Decision::ExplicitDeny(reason) => ("deny", Some(reason)),
            Decision::ImplicitDeny(_) => ("none", None),
        };
        prop_assert_eq!(decided, expected);
        if let Some(reason) = reason {
            let named = drafts.iter().filter_map(|list| list.get(reason.index));
            prop_assert!(named.into_iter().any(|d| d.deny == (decided == "deny") && applies(d, action, resource, username)));
        }
    }

    #[test]
    fn a_deny_added_never_allows_what_was_refused(
        drafts in prop::collection::vec(draft(), 1..8),
        mut added in draft(),
        place in any::<prop::sample::Index>(),
        action in select(REQUEST_ACTIONS),
        resource in select(REQUEST_RESOURCES),
        username in select(&[None, Some("bob"), Some("eve")][..]),
    ) {
        added.deny = true;
        let facts = username.map_or(Facts::new(), |name| Facts::new().one("aws:username", name));
        let before = judge(&[compile_all(&drafts)], action, resource, &facts);
        let mut more = drafts.clone();
        more.insert(place.index(drafts.len() + 1), added.clone());
        let inside = judge(&[compile_all(&more)], action, resource, &facts);
        let beside = judge(&[compile_all(&drafts), compile_all(&[added])], action, resource, &facts);
        for after in [inside, beside] {
            prop_assert!(!matches!(after, Decision::Allow(_)) || matches!(before, Decision::Allow(_)));
            prop_assert!(!matches!(before, Decision::ExplicitDeny(_)) || matches!(after, Decision::ExplicitDeny(_)));
        }
    }
}
