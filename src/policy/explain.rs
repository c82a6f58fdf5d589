//! Why the statements of a document do or do not apply to a request, part by part: for people who ask afterwards.
//!
//! Nothing that judges a request comes here: this looks at every statement, finished or not, where
//! [`evaluate`](super::evaluate) looks at as few as it can.

use std::sync::Arc;

use super::compiled::{Compiled, Entry};
use super::context::Values;
use super::decision::Reason;
use super::fault::{Fault, Path};
use super::index::Subject;
use super::key::ConditionKey;
use super::key_policy::as_everyone;
use super::principals::Principals;
use super::statement::{Effect, Statement};
use super::truth::Truth;
use super::{Kind, Request};
use crate::aws::{MeantAs, PrincipalNames};

/// Whether a part of a statement matches a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matched {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// It could not be found out: a statement that allows then does not apply, and one that denies does.
    Unknown,
}

impl From<Truth> for Matched {
    fn from(truth: Truth) -> Self {
        match truth {
            Truth::Yes => Self::Yes,
            Truth::No => Self::No,
            Truth::Unknown => Self::Unknown,
        }
    }
}

/// A statement, taken apart for one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// The statement.
    pub reason: Arc<Reason>,
    /// What it does when it applies.
    pub effect: Effect,
    /// Whether it is about the caller; only a key policy can say no.
    pub principal: Matched,
    /// What its `Principal` means the caller as, if it does. `None` in other policies than those of keys.
    pub meant_as: Option<MeantAs>,
    /// Whether it is about the action.
    pub action: Matched,
    /// Whether it is about the resource.
    pub resource: Matched,
    /// Its conditions, each for itself.
    pub conditions: Vec<Tested>,
    /// Whether it applies, all in all.
    pub applies: bool,
}

/// A condition, and what it found in the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tested {
    /// The operator as it is written: `ForAnyValue:StringLikeIfExists`.
    pub operator: String,
    /// The key.
    pub key: ConditionKey,
    /// What the request has for it.
    pub request: Asked,
    /// Whether the condition holds.
    pub matched: Matched,
}

/// What a request has for a condition key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Nothing.
    Absent,
    /// One value, or several.
    Values(Vec<String>),
    /// It is not known.
    Unknown,
}

impl From<Values<'_>> for Asked {
    fn from(values: Values<'_>) -> Self {
        match values {
            Values::Absent => Self::Absent,
            Values::Unknown => Self::Unknown,
            Values::One(value) => Self::Values(vec![value.into_owned()]),
            Values::Many(values) if values.is_empty() => Self::Absent,
            Values::Many(values) => Self::Values(values.into_iter().map(std::borrow::Cow::into_owned).collect()),
        }
    }
}

/// Takes every statement of `policy` apart for `request`, in the document's order. The policy of a key, too: compiled
/// from its document, it says more here than a [`KeyPolicy`](super::KeyPolicy) keeps. `bounded` says whether the caller
/// has a permissions boundary.
#[must_use]
pub fn explain(policy: &Compiled, request: &Request<'_>, bounded: bool) -> Vec<Explained> {
    let subject = Subject::new(request);
    let mut statements: Vec<Explained> = policy.entries().map(|entry| statement(entry, &subject, bounded)).collect();
    statements.sort_by_key(|statement| statement.reason.index);
    statements
}

fn statement(entry: &Entry, subject: &Subject<'_>, bounded: bool) -> Explained {
    let Statement { effect, principals, actions, resources, conditions, .. } = &entry.statement;
    let request = subject.request;
    let principal = match effect {
        Effect::Allow => principals.allow(request.caller),
        Effect::Deny => principals.deny(request.caller, bounded),
    };
    let of_key = entry.reason().kind == Kind::Key;
    Explained {
        reason: Arc::clone(entry.reason()),
        effect: *effect,
        principal: Truth::from(principal).into(),
        meant_as: (of_key && principal).then(|| meant_as(principals, request.caller)),
        action: Truth::from(actions.contain(request.action)).into(),
        resource: resources.contain(request.resource, subject.arn(), request.context).into(),
        conditions: conditions
            .iter()
            .map(|condition| Tested {
                operator: condition.operator(),
                key: condition.key().clone(),
                request: request.context.values(condition.key()).into(),
                matched: condition.holds(request.context).into(),
            })
            .collect(),
        applies: principal && entry.applies(subject),
    }
}

/// The strongest of what the listed principals mean a caller as, as a key policy's statements are weighed.
fn meant_as(principals: &Principals, caller: &PrincipalNames) -> MeantAs {
    let listed = |name: &str| principals.listed().iter().any(|listed| **listed == *name);
    let meant = |role| caller.iter().any(|(name, as_)| as_ == role && listed(name));
    let named = [MeantAs::User, MeantAs::Session, MeantAs::Root, MeantAs::Role, MeantAs::Account];
    named.into_iter().find(|role| meant(*role)).unwrap_or_else(|| as_everyone(caller))
}

/// Reads the name of a condition key, for who has its values from elsewhere than a request.
///
/// # Errors
///
/// If it is no name of one, or one of AWS's that is misspelt.
pub fn condition_key(name: &str) -> Result<ConditionKey, Fault> {
    let at = |refusal: super::fault::Refusal| refusal.at(&Path::default());
    let key = ConditionKey::parse(name).map_err(at)?;
    key.misspelt(name).map_or(Ok(key), |refusal| Err(at(refusal)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::testing::Facts;
    use crate::policy::{Document, Policies, evaluate};

    const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    const ALICE: &str = "arn:aws:iam::111122223333:user/alice";

    fn compiled(statements: &str, kind: Kind) -> Compiled {
        let json = format!(r#"{{"Version": "2012-10-17", "Statement": [{statements}]}}"#);
        Compiled::from(Document::parse("orders", json.as_bytes(), kind).unwrap().document)
    }

    fn explained(statements: &str, kind: Kind, caller: &str, facts: &Facts) -> Vec<Explained> {
        let caller = PrincipalNames::of(caller).unwrap();
        let request = Request { action: "kms:Decrypt", resource: KEY, caller: &caller, context: facts };
        explain(&compiled(statements, kind), &request, false)
    }

    fn parts(statement: &Explained) -> (Matched, Matched, Matched, bool) {
        (statement.principal, statement.action, statement.resource, statement.applies)
    }

    const YES: Matched = Matched::Yes;
    const NO: Matched = Matched::No;

    #[test]
    fn each_part_of_a_statement_is_told_apart() {
        let statements = r#"
            {"Effect": "Allow", "Action": "kms:Encrypt", "Resource": "*"},
            {"Effect": "Allow", "Action": "kms:*", "Resource": "arn:aws:kms:us-east-1:111122223333:key/other"},
            {"Sid": "Both", "Effect": "Deny", "NotAction": "kms:Encrypt", "Resource": "arn:aws:kms:*:*:key/*"},
            {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "arn:aws:kms:us-east-1:111122223333:key/${aws:username}"}"#;
        let found = explained(statements, Kind::Identity, ALICE, &Facts::new().unknown("aws:username"));
        let expected =
            [(YES, NO, YES, false), (YES, YES, NO, false), (YES, YES, YES, true), (YES, YES, Matched::Unknown, false)];
        assert_eq!(found.iter().map(parts).collect::<Vec<_>>(), expected);
        let names: Vec<String> = found.iter().map(|statement| statement.reason.to_string()).collect();
        assert_eq!(names, ["orders: Statement[0]", "orders: Statement[1]", "orders: Both", "orders: Statement[3]"]);
    }

    #[test]
    fn a_condition_says_what_the_request_has() {
        let statements = r#"{"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*", "Condition": {
            "StringEquals": {"kms:EncryptionContext:Department": "Finance"},
            "ForAnyValue:StringLikeIfExists": {"kms:EncryptionContextKeys": ["Dep*"]},
            "ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:user/alice"},
            "NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"},
            "Null": {"aws:username": "true"}}}"#;
        let facts = Facts::new()
            .one("kms:EncryptionContext:department", "HR")
            .many("kms:EncryptionContextKeys", &["tenant", "Department"])
            .one("aws:PrincipalArn", ALICE)
            .unknown("aws:SourceIp");
        let [statement] = explained(statements, Kind::Identity, ALICE, &facts).try_into().unwrap();
        let values = |values: &[&str]| Asked::Values(values.iter().map(ToString::to_string).collect());
        let expected = [
            ("StringEquals", "kms:EncryptionContext:department", values(&["HR"]), NO),
            ("ForAnyValue:StringLikeIfExists", "kms:EncryptionContextKeys", values(&["tenant", "Department"]), YES),
            ("ArnLike", "aws:PrincipalArn", values(&[ALICE]), YES),
            ("NotIpAddress", "aws:SourceIp", Asked::Unknown, Matched::Unknown),
            ("Null", "aws:username", Asked::Absent, YES),
        ];
        let found =
            statement.conditions.iter().map(|c| (c.operator.as_str(), c.key.to_string(), &c.request, c.matched));
        let expected =
            expected.each_ref().map(|(operator, key, asked, matched)| (*operator, (*key).to_owned(), asked, *matched));
        assert_eq!(found.collect::<Vec<_>>(), expected);
        assert!(!statement.applies);
    }

    #[test]
    fn a_key_policys_statement_says_whom_it_means() {
        let session = "arn:aws:sts::111122223333:assumed-role/orders/pod-1";
        for (principal, caller, meant) in [
            (r#"{"AWS": "111122223333"}"#, ALICE, Some(MeantAs::Account)),
            (r#"{"AWS": "arn:aws:iam::111122223333:root"}"#, "arn:aws:iam::111122223333:root", Some(MeantAs::Root)),
            (r#"{"AWS": ["111122223333", "arn:aws:iam::111122223333:user/alice"]}"#, ALICE, Some(MeantAs::User)),
            (r#"{"AWS": "arn:aws:iam::111122223333:user/bob"}"#, ALICE, None),
            (r#"{"AWS": "arn:aws:iam::111122223333:role/orders"}"#, session, Some(MeantAs::Role)),
            (r#""*""#, session, Some(MeantAs::Role)),
            (r#""*""#, ALICE, Some(MeantAs::Session)),
        ] {
            let statement =
                format!(r#"{{"Effect": "Allow", "Principal": {principal}, "Action": "kms:*", "Resource": "*"}}"#);
            let [statement] = explained(&statement, Kind::Key, caller, &Facts::new()).try_into().unwrap();
            assert_eq!(statement.meant_as, meant, "{principal} {caller}");
            assert_eq!((statement.principal == YES, statement.applies), (meant.is_some(), meant.is_some()));
        }
    }

    #[test]
    fn what_is_explained_is_what_is_decided() {
        let allow = r#"{"Effect": "Allow", "Action": "kms:*", "Resource": "*"}"#;
        for condition in [
            r#""StringEquals": {"kms:EncryptionContext:a": "1"}"#,
            r#""StringNotEquals": {"kms:EncryptionContext:a": "1"}"#,
            r#""StringEqualsIfExists": {"kms:EncryptionContext:a": "1"}"#,
        ] {
            let statement = format!(
                r#"{{"Effect": "Deny", "Action": "kms:Decrypt", "Resource": "*", "Condition": {{{condition}}}}}, {allow}"#
            );
            let context = "kms:EncryptionContext:a";
            let twice = Facts::new().many(context, &["1", "2"]);
            for facts in [Facts::new(), Facts::new().one(context, "1"), Facts::new().one(context, "2"), twice] {
                let caller = PrincipalNames::of(ALICE).unwrap();
                let request = Request { action: "kms:Decrypt", resource: KEY, caller: &caller, context: &facts };
                let policies = [Arc::new(compiled(&statement, Kind::Identity))];
                let decision = evaluate(&request, &Policies::identity(&policies));
                let explained = explain(&policies[0], &request, false);
                let decided = decision.reasons().next().unwrap();
                let denies = explained[0].applies;
                assert_eq!(*decided, *explained[usize::from(!denies)].reason, "{condition} {facts:?}");
                assert!(explained[1].applies);
            }
        }
    }

    #[test]
    fn a_misspelt_key_is_no_fact() {
        assert_eq!(condition_key("AWS:sourceip"), Ok(ConditionKey::SourceIp));
        assert!(condition_key("s3:prefix").is_ok());
        assert!(condition_key("username").is_err());
        let fault = condition_key("aws:SourceIP6").unwrap_err();
        assert_eq!(fault.hint.as_deref(), Some("did you mean `aws:SourceIp`?"));
    }
}
