//! Every operator: with matching and other values, with the key absent, with `IfExists`, with set operators.
//! The expected values are those of the IAM user guide's tables.

use super::*;

const KEYLESS: &str = "s3:absent";

/// `(operator, condition key, the policy's value, a matching value, one that does not match)`
const OPERATORS: &[(&str, &str, &str, &str, &str)] = &[
    ("StringEquals", "aws:username", r#""Bob""#, "Bob", "bob"),
    ("StringEquals", "aws:username", r#""B*""#, "B*", "Bob"),
    ("StringEquals", "aws:username", r#""${*}?""#, "*?", "**"),
    ("StringEqualsIgnoreCase", "aws:username", r#""Bob""#, "bOB", "rob"),
    ("StringEqualsIgnoreCase", "aws:username", r#""B*""#, "b*", "bob"),
    ("StringLike", "aws:username", r#""B*b""#, "Bob", "bob"),
    ("StringLike", "aws:username", r#""B?b""#, "Bob", "Boob"),
    ("StringLike", "aws:username", r#"["x", "*"]"#, "", "(none)"),
    ("NumericEquals", "kms:RotationPeriodInDays", "90", "90.0", "91"),
    ("NumericEquals", "kms:RotationPeriodInDays", r#"["90", 180]"#, "180", "ninety"),
    ("NumericLessThan", "kms:RotationPeriodInDays", "90", "89.5", "90"),
    ("NumericLessThanEquals", "kms:RotationPeriodInDays", "90", "90", "91"),
    ("NumericGreaterThan", "kms:RotationPeriodInDays", "9", "10", "9"),
    ("NumericGreaterThanEquals", "kms:RotationPeriodInDays", "90", "90", "-90"),
    ("DateEquals", "aws:CurrentTime", r#""2026-04-01""#, "2026-04-01T00:00:00Z", "2026-04-01T00:00:01Z"),
    ("DateLessThan", "aws:CurrentTime", r#""2026-04-01""#, "2026-03-31T23:59:59.999Z", "2026-04-01T00:00:00Z"),
    ("DateLessThanEquals", "aws:CurrentTime", r#""2026-04-01""#, "2026-04-01T00:00Z", "2026-04-02"),
    ("DateGreaterThan", "aws:CurrentTime", "1585699200", "2020-04-01T00:00:01Z", "2020-04-01T00:00:00Z"),
    ("DateGreaterThanEquals", "aws:EpochTime", r#""2020-04-01T02:00+02:00""#, "1585699200", "1585699199"),
    ("Bool", "aws:SecureTransport", "true", "true", "false"),
    ("Bool", "aws:SecureTransport", r#""False""#, "false", "no"),
    ("BinaryEquals", "s3:binary", r#""QUJD""#, "QUJD", "QUJE"),
    ("IpAddress", "aws:SourceIp", r#""203.0.113.0/24""#, "203.0.113.255", "203.0.114.0"),
    ("IpAddress", "aws:SourceIp", r#"["10.0.0.1", "2001:db8::/32"]"#, "2001:db8:0:1::5", "2001:db9::"),
    ("IpAddress", "aws:SourceIp", r#""10.0.0.1""#, "::ffff:10.0.0.1", "10.0.0.2"),
    ("IpAddress", "aws:SourceIp", r#""::/0""#, "::1", "127.0.0.1"),
    ("IpAddress", "aws:SourceIp", r#""0.0.0.0/0""#, "127.0.0.1", "unknown"),
    (
        "ArnEquals",
        "aws:PrincipalArn",
        r#""arn:aws:iam::111122223333:role/*""#,
        "arn:aws:iam::111122223333:role/a/b",
        "arn:aws:iam::111122223333:user/a",
    ),
    (
        "ArnLike",
        "aws:PrincipalArn",
        r#""arn:*:iam::1111????3333:role/R""#,
        "arn:aws-cn:iam::111122223333:role/R",
        "arn:aws:iam:x:111122223333:role/R",
    ),
    ("ArnLike", "aws:PrincipalArn", r#""arn:aws:iam::*:role/R""#, "arn:aws:iam::1:role/R", "arn:aws:iam::1:x:role/R"),
    ("ArnLike", "aws:PrincipalArn", r#""arn:aws:iam::*:*""#, "arn:aws:iam::1:a:b", "no ARN"),
];

/// The negated form of an operator, where there is one.
fn negated(operator: &str) -> Option<String> {
    let (front, back) = match operator {
        "IpAddress" => return Some("NotIpAddress".to_owned()),
        "NumericEquals" => ("Numeric", "Equals"),
        "DateEquals" => ("Date", "Equals"),
        _ => ["String", "Arn"].iter().find_map(|front| operator.strip_prefix(front).map(|back| (*front, back)))?,
    };
    Some(format!("{front}Not{back}"))
}

fn test(operator: &str, key: &str, wanted: &str) -> String {
    format!(r#""{operator}":{{"{key}":{wanted}}}"#)
}

#[test]
fn every_operator_tells_matching_values_from_others() {
    for (operator, key, wanted, yes, no) in OPERATORS {
        let (matching, other) = (Facts::new().one(key, yes), Facts::new().one(key, no));
        let any = *no == "(none)";
        for suffix in ["", "IfExists"] {
            let condition = test(&format!("{operator}{suffix}"), key, wanted);
            assert!(holds(&condition, &matching), "{condition} {yes}");
            assert_eq!(holds(&condition, &other), any, "{condition} {no}");
            if let Some(negated) = negated(operator) {
                let condition = test(&format!("{negated}{suffix}"), key, wanted);
                assert!(!holds(&condition, &matching), "{condition} {yes}");
                assert_eq!(holds(&condition, &other), !any, "{condition} {no}");
            }
        }
    }
}

#[test]
fn an_absent_key_fails_a_positive_operator_and_passes_a_negated_one_and_if_exists() {
    let nothing = Facts::new();
    for (operator, key, wanted, ..) in OPERATORS {
        assert!(!holds(&test(operator, key, wanted), &nothing), "{operator}");
        assert!(holds(&test(&format!("{operator}IfExists"), key, wanted), &nothing), "{operator}");
        assert!(holds(&test(&format!("ForAllValues:{operator}"), key, wanted), &nothing), "{operator}");
        assert!(!holds(&test(&format!("ForAnyValue:{operator}"), key, wanted), &nothing), "{operator}");
        assert!(holds(&test(&format!("ForAnyValue:{operator}IfExists"), key, wanted), &nothing), "{operator}");
        if let Some(negated) = negated(operator) {
            assert!(holds(&test(&negated, key, wanted), &nothing), "{negated}");
            assert!(holds(&test(&format!("{negated}IfExists"), key, wanted), &nothing), "{negated}");
            assert!(holds(&test(&format!("ForAllValues:{negated}"), key, wanted), &nothing), "{negated}");
            assert!(!holds(&test(&format!("ForAnyValue:{negated}"), key, wanted), &nothing), "{negated}");
        }
    }
}

#[test]
fn a_negated_operator_with_a_list_asks_that_none_matches() {
    let condition = r#""StringNotEquals":{"aws:username":["a","b"]}"#;
    for (value, expected) in [("a", false), ("b", false), ("c", true)] {
        assert_eq!(holds(condition, &Facts::new().one("aws:username", value)), expected, "{value}");
    }
}

#[test]
fn operators_and_keys_are_joined_by_and() {
    let condition = r#""StringEquals":{"aws:username":"a","aws:userid":"b"},"Bool":{"aws:SecureTransport":"true"}"#;
    let all = Facts::new().one("aws:username", "a").one("aws:userid", "b");
    assert!(holds(condition, &all.clone().one("aws:SecureTransport", "true")));
    assert!(!holds(condition, &all.one("aws:SecureTransport", "false")));
    assert!(!holds(condition, &Facts::new().one("aws:username", "a").one("aws:SecureTransport", "true")));
}

#[test]
fn set_operators_quantify_over_the_requests_values() {
    let key = "kms:EncryptionContextKeys";
    // ForAllValues, ForAnyValue, and their negated forms, with the policy's values a and b.
    for (values, [all, any, all_not, any_not]) in [
        (&[][..], [true, false, true, false]),
        (&["a"], [true, true, false, false]),
        (&["c"], [false, false, true, true]),
        (&["a", "b"], [true, true, false, false]),
        (&["a", "c"], [false, true, false, true]),
        (&["c", "d"], [false, false, true, true]),
        (&[""], [true, false, true, true]),
    ] {
        let facts = Facts::new().many(key, values);
        for (operator, expected) in [
            ("ForAllValues:StringEquals", all),
            ("ForAnyValue:StringEquals", any),
            ("ForAllValues:StringNotEquals", all_not),
            ("ForAnyValue:StringNotEquals", any_not),
        ] {
            assert_eq!(holds(&test(operator, key, r#"["a","b"]"#), &facts), expected, "{operator} {values:?}");
        }
    }
}

#[test]
fn a_multi_valued_key_without_set_operator_is_tested_for_any_value() {
    let facts = Facts::new().many("kms:ResourceAliases", &["alias/a", "alias/b"]);
    assert!(holds(r#""StringEquals":{"kms:ResourceAliases":"alias/b"}"#, &facts));
    assert!(!holds(r#""StringEquals":{"kms:ResourceAliases":"alias/c"}"#, &facts));
}

#[test]
fn null_asks_for_presence() {
    for (values, absent) in [(&[][..], true), (&["x"], false), (&["x", "y"], false), (&[""], false)] {
        let facts = Facts::new().many("aws:TagKeys", values);
        assert_eq!(holds(r#""Null":{"aws:TagKeys":"true"}"#, &facts), absent);
        assert_eq!(holds(r#""Null":{"aws:TagKeys":false}"#, &facts), !absent);
        assert!(holds(r#""Null":{"aws:TagKeys":[true,false]}"#, &facts));
    }
    assert!(holds(&format!(r#""Null":{{"{KEYLESS}":"true"}}"#), &Facts::new()));
}

#[test]
fn variables_stand_for_values_of_the_request() {
    let condition = r#""StringLike":{"aws:PrincipalTag/path":"${aws:username}/*"}"#;
    let facts = |name: &str, path: &str| Facts::new().one("aws:username", name).one("aws:PrincipalTag/Path", path);
    assert!(holds(condition, &facts("bob", "bob/x")));
    assert!(!holds(condition, &facts("bob", "eve/x")));
    assert!(!holds(condition, &facts("*", "eve/x")), "a star in a value is no wildcard");
    assert!(holds(condition, &facts("*", "*/x")));

    let absent = Facts::new().one("aws:userid", "x");
    for (operator, expected) in [
        ("StringEquals", false),
        ("StringLike", false),
        ("StringNotEquals", true),
        ("StringNotLike", true),
        ("StringEqualsIfExists", false),
    ] {
        assert_eq!(holds(&test(operator, "aws:userid", r#""${aws:username}""#), &absent), expected, "{operator}");
    }
    assert!(holds(r#""StringEquals":{"aws:userid":"${aws:username, 'x'}"}"#, &absent));
    assert!(holds(r#""StringEquals":{"aws:userid":["${aws:username}","x"]}"#, &absent));
    let arn = Facts::new()
        .one("aws:PrincipalArn", "arn:aws:iam::111122223333:role/R")
        .one("aws:PrincipalAccount", "111122223333");
    assert!(holds(r#""ArnLike":{"aws:PrincipalArn":"arn:aws:iam::${aws:PrincipalAccount}:role/*"}"#, &arn));
    let crossing =
        Facts::new().one("aws:PrincipalArn", "arn:aws:iam::1:role/R").one("aws:PrincipalAccount", "1:role/R");
    assert!(!holds(r#""ArnLike":{"aws:PrincipalArn":"arn:aws:iam::${aws:PrincipalAccount}:*"}"#, &crossing));
}

#[test]
fn what_is_not_known_allows_nothing_and_denies() {
    let allow =
        |condition: &str| format!(r#"{{"Effect":"Allow","Action":"*","Resource":"*","Condition":{{{condition}}}}}"#);
    let deny = |condition: &str| allow(condition).replace("Allow", "Deny");
    let facts =
        Facts::new().unknown("aws:ResourceTag/tier").many("aws:PrincipalTag/t", &["a", "b"]).one("aws:userid", "u");
    for condition in [
        r#""StringEquals":{"aws:ResourceTag/tier":"x"}"#,
        r#""StringNotEquals":{"aws:ResourceTag/tier":"x"}"#,
        r#""StringNotEqualsIfExists":{"aws:ResourceTag/tier":"x"}"#,
        r#""ForAllValues:StringEquals":{"aws:ResourceTag/tier":"x"}"#,
        r#""Null":{"aws:ResourceTag/tier":"true"}"#,
        r#""Null":{"aws:ResourceTag/tier":"false"}"#,
        r#""StringEquals":{"aws:userid":"${aws:ResourceTag/tier}"}"#,
        r#""StringNotEquals":{"aws:userid":"${aws:ResourceTag/tier}"}"#,
        // Two values for a key that can have one only contradict each other.
        r#""StringEquals":{"aws:PrincipalTag/t":"a"}"#,
        r#""StringEquals":{"aws:userid":"${aws:PrincipalTag/t}"}"#,
    ] {
        assert_eq!(outcome(&allow(condition), CREATE, KEY, &facts), "none", "{condition}");
        assert_eq!(outcome(&deny(condition), CREATE, KEY, &facts), "deny", "{condition}");
    }
    let settled = r#""StringEquals":{"aws:ResourceTag/tier":"x","aws:userid":"other"}"#;
    assert_eq!(outcome(&deny(settled), CREATE, KEY, &facts), "none", "a condition that fails settles it");
    let either = r#""StringEquals":{"aws:userid":["${aws:ResourceTag/tier}","u"]}"#;
    assert_eq!(outcome(&allow(either), CREATE, KEY, &facts), "allow", "a value that matches settles it");
    assert!(holds(r#""ForAnyValue:StringEquals":{"aws:PrincipalTag/t":"a"}"#, &facts));
}

#[test]
fn a_client_who_sends_many_values_does_not_make_variables_be_looked_up_for_each() {
    use std::cell::Cell;

    use crate::policy::{ConditionKey, KeyPolicy, RequestContext, Values, admits};

    struct Counting(Cell<usize>);
    impl RequestContext for Counting {
        fn values(&self, key: &ConditionKey) -> Values<'_> {
            if *key == ConditionKey::EncryptionContextKeys {
                return Values::many((0..1000).map(|_| "arn:aws:iam::111122223333:user/a"));
            }
            self.0.set(self.0.get() + 1);
            Values::one("b")
        }
    }
    for operator in ["StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnLike"] {
        let (context, value) = (Counting(Cell::new(0)), "arn:aws:iam::111122223333:user/${aws:UserAgent}");
        let document = serde_json::json!({"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Principal": "*",
            "Action": "*", "Resource": "*",
            "Condition": {format!("ForAnyValue:{operator}"): {"kms:EncryptionContextKeys": [value, value]}}}});
        let (policy, _) = KeyPolicy::parse("key policy", document.to_string().as_bytes()).unwrap();
        let caller = crate::aws::PrincipalNames::of("arn:aws:iam::111122223333:user/a").unwrap();
        let resource = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
        let _ =
            admits(&policy, &Request { action: "kms:Decrypt", resource, caller: &caller, context: &context }, false);
        assert_eq!(context.0.get(), 2, "{operator}");
    }
}
