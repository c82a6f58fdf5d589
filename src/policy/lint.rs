//! What a statement comes to: that it never applies, or that it allows everything. Findings for its author.
//!
//! Only what is certain and simple to see is said. That a statement without a finding can apply is not.

use super::Kind;
use super::condition::Condition;
use super::document::Reader;
use super::fault::{Path, Refusal};
use super::principals::Principals;
use super::statement::{Effect, Resources, Statement};

/// Of so many statements that deny without conditions, and of so many conditions of a statement, each is held against
/// each other one: a document of tens of thousands is to load as fast as a short one.
const HELD_AGAINST: usize = 32;

impl Reader<'_> {
    /// Warns of a statement that never applies.
    pub(super) fn warn_of_idleness(&mut self, statement: &Statement, path: &Path<'_>) {
        let Statement { principals, actions, conditions, .. } = statement;
        let mut idle = |element: &str, what: &str| self.findings.warn(&path.member(element), never_applies(what));
        if actions.are_none() {
            idle("NotAction", "no action is left beside `*`");
        }
        if *principals == Principals::Nobody {
            idle("NotPrincipal", "nobody is left beside `*`");
        }
        if self.kind == Kind::Key && actions.are_foreign() {
            idle("Action", "a key policy is asked for actions of KMS alone");
        }
        if let Some(key) = contradiction(conditions) {
            idle("Condition", &format!("two tests of `{key}` never hold both"));
        }
    }

    /// Notes a statement of an identity policy that allows all of KMS on everything.
    pub(super) fn note_width(&mut self, statement: &Statement, path: &Path<'_>) {
        let Statement { effect, actions, resources, conditions, .. } = statement;
        let everything = actions.are_all() && matches!(resources, Resources::All) && conditions.is_empty();
        if everything && self.kind == Kind::Identity && *effect == Effect::Allow {
            let width = Refusal::new("it allows everything that KMS can do, on every key and to all keys that will be");
            let hint = "name the actions that are needed and the keys' ARNs, or add conditions";
            self.findings.wide.push(width.hint(hint).at(path));
        }
    }

    /// Warns of statements that allow what another of the same document denies whatever the request.
    pub(super) fn warn_of_idle_allows(&mut self, statements: &[Statement], path: &Path<'_>) {
        let denies = statements
            .iter()
            .enumerate()
            .filter(|(_, statement)| statement.effect == Effect::Deny && statement.conditions.is_empty());
        let denies: Vec<(usize, &Statement)> = denies.take(HELD_AGAINST).collect();
        for (index, allow) in statements.iter().enumerate().filter(|(_, statement)| statement.effect == Effect::Allow) {
            if let Some((other, _)) = denies.iter().find(|(_, deny)| allow.within(deny)) {
                let warning = Refusal::new(format!("Statement[{other}] denies all that this statement allows"));
                let hint = "take one of the two out, or narrow what is denied";
                self.findings.warn(&path.item(index), warning.hint(hint));
            }
        }
    }
}

/// Whether two lists are short enough for each of the one to be compared with each of the other.
pub(super) const fn comparable<A, B>(these: &[A], others: &[B]) -> bool {
    these.len().saturating_mul(others.len()) <= HELD_AGAINST * HELD_AGAINST
}

impl Statement {
    /// Whether all that this statement is about is certainly what `other` is about, whatever the conditions.
    fn within(&self, other: &Self) -> bool {
        self.actions.within(&other.actions)
            && self.resources.within(&other.resources)
            && self.principals.within(&other.principals)
    }
}

/// What to tell an author whose statement never applies.
pub(super) fn never_applies(why: &str) -> Refusal {
    Refusal::new(format!("{why}, so the statement never applies")).hint("correct it or take the statement out")
}

/// The key that two conditions of a statement want to be different things.
fn contradiction(conditions: &[Condition]) -> Option<&super::ConditionKey> {
    let clash = |one: &&Condition| conditions.iter().take(HELD_AGAINST).any(|other| one.contradicts(other));
    conditions.iter().take(HELD_AGAINST).find(clash).map(Condition::key)
}

#[cfg(test)]
mod tests {
    use crate::policy::{Document, Kind, Parsed};

    fn parse(kind: Kind, statements: &str) -> Parsed {
        let json = format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#);
        Document::parse("test", json.as_bytes(), kind).unwrap()
    }

    fn warnings(kind: Kind, statements: &str) -> Vec<String> {
        parse(kind, statements).warnings.iter().map(ToString::to_string).collect()
    }

    fn with_condition(condition: &str) -> Vec<String> {
        let statement = r#""Effect":"Allow","Action":"kms:Decrypt","Resource":"*""#;
        warnings(Kind::Identity, &format!(r#"{{{statement},"Condition":{condition}}}"#))
    }

    const CLASH: &str = "Statement[0].Condition: two tests of `aws:username` never hold both, so the statement never \
                         applies (correct it or take the statement out)";

    #[test]
    fn tests_that_never_hold_both_are_noticed() {
        for condition in [
            r#"{"Null":{"aws:username":"true"},"StringEquals":{"aws:username":"a"}}"#,
            r#"{"Null":{"aws:username":true},"StringLike":{"aws:username":"*"}}"#,
            r#"{"StringEquals":{"aws:username":"a"},"StringLike":{"aws:username":"b*"}}"#,
            r#"{"StringEquals":{"aws:username":["a","b"]},"StringNotEquals":{"aws:username":["b","a","c"]}}"#,
            r#"{"StringEquals":{"aws:username":"a"},"StringEqualsIfExists":{"aws:username":"b"}}"#,
            r#"{"StringEqualsIgnoreCase":{"aws:username":"a"},"StringEquals":{"aws:username":"b"}}"#,
        ] {
            assert_eq!(with_condition(condition), [CLASH], "{condition}");
        }
        for condition in [
            r#"{"Null":{"aws:username":"true"},"StringNotEquals":{"aws:username":"a"}}"#,
            r#"{"Null":{"aws:username":"true"},"StringEqualsIfExists":{"aws:username":"a"}}"#,
            r#"{"Null":{"aws:username":["true","false"]},"StringEquals":{"aws:username":"a"}}"#,
            r#"{"Null":{"aws:username":"true"},"StringEquals":{"aws:userid":"a"}}"#,
            r#"{"StringEquals":{"aws:username":["a","b"]},"StringNotEquals":{"aws:username":"a"}}"#,
            r#"{"StringEqualsIfExists":{"aws:username":"a"},"StringLikeIfExists":{"aws:username":"b"}}"#,
            r#"{"StringEqualsIgnoreCase":{"aws:username":"a"},"StringEquals":{"aws:username":"A"}}"#,
            r#"{"StringEquals":{"aws:username":"a"},"StringLike":{"aws:username":"${aws:userid}"}}"#,
            r#"{"ForAnyValue:StringEquals":{"aws:TagKeys":"a"},"ForAnyValue:StringLike":{"aws:TagKeys":"b"}}"#,
        ] {
            assert_eq!(with_condition(condition), Vec::<String>::new(), "{condition}");
        }
    }

    #[test]
    fn a_test_of_what_no_request_has_is_told_with_what_it_comes_to() {
        let absent = "`aws:SourceVpc` has no value at a gateway and counts as absent";
        let never = "this test of it never holds, so the statement never applies";
        let always = "this test of it holds for every request";
        for (operator, value, so) in [
            ("StringEquals", "vpc-1", never),
            ("ForAnyValue:StringEquals", "vpc-1", never),
            ("Null", "false", never),
            ("Null", "true", always),
            ("StringEqualsIfExists", "vpc-1", always),
            ("StringNotEquals", "vpc-1", always),
        ] {
            let found = with_condition(&format!(r#"{{"{operator}":{{"aws:SourceVpc":"{value}"}}}}"#));
            assert_eq!(found, [format!("Statement[0].Condition.{operator}.aws:SourceVpc: {absent} ({so})")]);
        }
    }

    #[test]
    fn a_statement_that_leaves_nothing_is_noticed() {
        for (kind, statement, path) in [
            (Kind::Identity, r#"{"Effect":"Allow","NotAction":"*","Resource":"*"}"#, "NotAction"),
            (Kind::Identity, r#"{"Effect":"Deny","Action":"*","NotResource":"*"}"#, "NotResource"),
            (
                Kind::Key,
                r#"{"Effect":"Allow","NotPrincipal":"*","Action":"kms:Decrypt","Resource":"*"}"#,
                "NotPrincipal",
            ),
            (Kind::Key, r#"{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"*"}"#, "Action"),
        ] {
            let found = parse(kind, statement).warnings;
            let paths: Vec<_> = found.iter().map(|warning| warning.path.as_str()).collect();
            assert_eq!(paths, [format!("Statement[0].{path}")], "{statement}");
        }
        let foreign = r#"{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}"#;
        assert_eq!(warnings(Kind::Identity, foreign), Vec::<String>::new());
    }

    #[test]
    fn an_allow_that_is_wholly_denied_is_noticed() {
        const KEYS: &str = "arn:aws:kms:us-east-1:111122223333:key/";
        for (allow, deny, covered) in [
            (("kms:Decrypt", "*"), ("kms:*", "*"), true),
            (("kms:Decrypt", "*"), ("*", "*"), true),
            (("s3:GetObject", "*"), ("*", "*"), true),
            (("kms:GenerateDataKey*", "arn:aws:kms:us-east-1:111122223333:key/a"), ("kms:Gen*", "*"), true),
            (("kms:Decrypt", "arn:aws:kms:us-east-1:111122223333:key/a"), ("kms:Decrypt", KEYS), true),
            (("kms:Decrypt", KEYS), ("kms:Decrypt", KEYS), true),
            (("kms:Decrypt", KEYS), ("kms:Decrypt", "arn:aws:kms:us-east-1:111122223333:key/a"), false),
            (("kms:*", "*"), ("kms:Decrypt", "*"), false),
            (("*", "*"), ("kms:*", "*"), false),
            (("s3:GetObject", "*"), ("kms:*", "*"), false),
        ] {
            let of = |effect, (action, resource): (&str, &str)| {
                let star = if resource == KEYS { "*" } else { "" };
                format!(r#"{{"Effect":"{effect}","Action":"{action}","Resource":"{resource}{star}"}}"#)
            };
            let found = warnings(Kind::Identity, &format!("{},{}", of("Allow", allow), of("Deny", deny)));
            let expected = "Statement[0]: Statement[1] denies all that this statement allows (take one of the two out, \
                            or narrow what is denied)";
            assert_eq!(found, if covered { vec![expected] } else { Vec::new() }, "{allow:?} {deny:?}");
        }
    }

    #[test]
    fn a_document_of_many_statements_and_conditions_is_read_soon() {
        let keys: Vec<String> = (0..3000).map(|i| format!(r#""aws:PrincipalTag/{i}":"x""#)).collect();
        let arns: Vec<String> =
            (0..3000).map(|i| format!(r#""arn:aws:kms:us-east-1:111122223333:key/{i}*""#)).collect();
        let of =
            |effect: &str| format!(r#"{{"Effect":"{effect}","Action":"kms:Decrypt","Resource":[{}]}}"#, arns.join(","));
        let conditions = format!(
            r#"{{"Effect":"Deny","Action":"*","Resource":"*","Condition":{{"StringEquals":{{{}}}}}}}"#,
            keys.join(",")
        );
        let pairs = vec![format!("{},{}", of("Allow"), of("Deny")); 20].join(",");
        assert_eq!(warnings(Kind::Identity, &format!("{conditions},{pairs}")), Vec::<String>::new());
    }

    #[test]
    fn a_deny_with_conditions_or_about_others_leaves_something() {
        let allow = r#"{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"kms:*","Resource":"*"}"#;
        let deny = |principal: &str, more: &str| {
            let deny = r#""Effect":"Deny","Action":"kms:*","Resource":"*""#;
            warnings(Kind::Key, &format!(r#"{allow},{{{deny},"Principal":{principal}{more}}}"#)).len()
        };
        assert_eq!(deny(r#""*""#, ""), 1);
        assert_eq!(deny(r#"{"AWS":"arn:aws:iam::111122223333:root"}"#, ""), 1);
        assert_eq!(deny(r#"{"AWS":"444455556666"}"#, ""), 0);
        assert_eq!(deny(r#""*""#, r#","Condition":{"Bool":{"aws:SecureTransport":false}}"#), 0);
    }

    #[test]
    fn an_allow_of_everything_is_noted_of_identity_policies() {
        for (kind, action, resource, noted) in [
            (Kind::Identity, "kms:*", "*", 1),
            (Kind::Identity, "*", "*", 1),
            (Kind::Identity, "kms:Decrypt", "*", 0),
            (Kind::Identity, "kms:*", "arn:aws:kms:us-east-1:111122223333:key/*", 0),
            (Kind::Boundary, "kms:*", "*", 0),
            (Kind::Guardrail, "*", "*", 0),
        ] {
            let statement = format!(r#"{{"Effect":"Allow","Action":"{action}","Resource":"{resource}"}}"#);
            let parsed = parse(kind, &statement);
            assert_eq!((parsed.wide.len(), parsed.warnings), (noted, Vec::new()), "{kind:?} {statement}");
        }
    }
}
