//! What is easily got wrong, one test a trap. The numbers in comments are those of the list of traps that this
//! project keeps; the traps of key policies and grants are tested where those are judged.

use std::cell::Cell;

use super::*;
use crate::policy::{ConditionKey, RequestContext, Values};

fn allow(action: &str, resource: &str) -> String {
    format!(r#"{{"Effect":"Allow","Action":"{action}","Resource":"{resource}"}}"#)
}

fn deny_if(condition: &str) -> String {
    format!(
        r#"{{"Effect":"Allow","Action":"*","Resource":"*"}},{{"Effect":"Deny","Action":"kms:*","Resource":"*","Condition":{{{condition}}}}}"#
    )
}

#[test]
fn without_a_policy_nothing_is_allowed() {
    assert_eq!(judge(&[], CREATE, KEY, &Facts::new()), Decision::ImplicitDeny(Kind::Identity));
}

#[test]
fn an_explicit_deny_beats_every_allow_in_whichever_policy() {
    let allowing = policy(&allow("*", "*"));
    let denying = policy(&format!(r#"{{"Sid":"Never","Effect":"Deny","Action":"{CREATE}","Resource":"{KEY}"}}"#));
    for policies in [[Arc::clone(&allowing), Arc::clone(&denying)], [denying, allowing]] {
        let Decision::ExplicitDeny(reason) = judge(&policies, CREATE, KEY, &Facts::new()) else { panic!("denied") };
        assert_eq!(reason.to_string(), "test: Never");
        assert!(matches!(judge(&policies, "kms:Encrypt", KEY, &Facts::new()), Decision::Allow(_)));
    }
}

#[test]
fn the_reason_is_the_statement_that_decided() {
    let policies =
        [policy(&allow("kms:Encrypt", "*")), policy(&[allow("kms:Sign", "*"), allow(CREATE, KEY)].join(","))];
    let decision = judge(&policies, CREATE, KEY, &Facts::new());
    let reason = decision.reasons().next().unwrap();
    assert_eq!((&*reason.policy, reason.index, reason.sid.as_deref()), ("test", 1, None));
}

#[test]
fn a_negated_operator_on_an_absent_key_denies() {
    // 5
    let statements = deny_if(r#""StringNotEquals":{"kms:ViaService":"s3.us-east-1.amazonaws.com"}"#);
    assert_eq!(outcome(&statements, CREATE, KEY, &Facts::new()), "deny");
    let positive = deny_if(r#""StringEquals":{"kms:ViaService":"s3.us-east-1.amazonaws.com"}"#);
    assert_eq!(outcome(&positive, CREATE, KEY, &Facts::new()), "allow");
}

#[test]
fn set_operators_differ_when_no_context_is_sent() {
    // 6, 7
    assert!(holds(r#""ForAllValues:StringEquals":{"kms:EncryptionContextKeys":"app"}"#, &Facts::new()));
    assert!(!holds(r#""ForAnyValue:StringEquals":{"kms:EncryptionContextKeys":"app"}"#, &Facts::new()));
}

#[test]
fn the_name_of_a_context_pair_is_read_without_regard_to_case_and_its_value_with() {
    // 8
    let sent = Facts::new().one("kms:EncryptionContext:AppName", "Payroll");
    assert!(holds(r#""StringEquals":{"kms:EncryptionContext:appname":"Payroll"}"#, &sent));
    assert!(!holds(r#""StringEquals":{"kms:EncryptionContext:appname":"payroll"}"#, &sent));
}

#[test]
fn a_request_by_key_arn_has_no_request_alias() {
    // 9
    assert!(!holds(r#""StringLike":{"kms:RequestAlias":"*"}"#, &Facts::new()));
}

#[test]
fn resources_match_by_case_and_an_alias_is_not_its_key() {
    for (resource, expected) in [
        (KEY, "allow"),
        ("*", "allow"),
        ("arn:aws:kms:*:111122223333:key/*", "allow"),
        ("arn:aws:kms:us-east-1:111122223333:key/1234abcd-????-34cd-56ef-*", "allow"),
        ("arn:aws:kms:us-east-1:111122223333:alias/orders", "none"), // 10
        ("arn:aws:kms:us-east-1:111122223333:KEY/1234abcd-12ab-34cd-56ef-1234567890ab", "none"), // 13
        ("arn:aws:kms:us-east-1:111122223333:key/1234ABCD-12ab-34cd-56ef-1234567890ab", "none"),
        ("arn:aws:kms:us-east-1:111122223333:key/1234abcd", "none"),
        ("arn:aws:kms:us-west-2:111122223333:key/*", "none"),
        ("arn:aws:kms:us-east-1:999999999999:key/*", "none"),
    ] {
        assert_eq!(outcome(&allow("kms:*", resource), CREATE, KEY, &Facts::new()), expected, "{resource}");
    }
}

#[test]
fn actions_match_without_regard_to_case_and_whole() {
    for (action, expected) in [
        ("KMS:generatedatakeywithoutplaintext", "allow"), // 11
        ("kms:GenerateDataKey", "none"),                  // 12
        ("kms:GenerateDataKey*", "allow"),                // 12
        ("kms:*WithoutPlaintext", "allow"),
        ("kms:Generate?ataKeyWithoutPlaintext", "allow"),
        ("kms:GenerateDataKeyPair*", "none"),
        ("s3:*", "none"),
        ("*", "allow"),
    ] {
        assert_eq!(outcome(&allow(action, "*"), CREATE, KEY, &Facts::new()), expected, "{action}");
    }
}

#[test]
fn an_action_without_resource_needs_the_lone_star() {
    for (resource, expected) in [("*", "allow"), ("arn:aws:kms:*:*:*", "none"), (KEY, "none")] {
        assert_eq!(outcome(&allow("kms:*", resource), "kms:ListKeys", "*", &Facts::new()), expected, "{resource}");
    }
}

#[test]
fn a_star_in_string_equals_is_a_star() {
    // 14
    let facts = Facts::new().one("kms:RequestAlias", "alias/orders");
    assert!(!holds(r#""StringEquals":{"kms:RequestAlias":"alias/*"}"#, &facts));
    assert!(holds(r#""StringLike":{"kms:RequestAlias":"alias/*"}"#, &facts));
}

#[test]
fn the_principal_arn_of_a_session_is_its_roles() {
    // 15
    let facts = Facts::new().one("aws:PrincipalArn", "arn:aws:iam::111122223333:role/R");
    assert!(!holds(r#""ArnEquals":{"aws:PrincipalArn":"arn:aws:sts::111122223333:assumed-role/R/S"}"#, &facts));
    assert!(holds(r#""ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::111122223333:role/R"}"#, &facts));
}

#[test]
fn a_resource_with_a_variable_that_has_no_value_matches_nothing() {
    // 16
    let resource = "arn:aws:kms:us-east-1:111122223333:*${aws:username}*";
    assert_eq!(outcome(&allow("*", resource), CREATE, KEY, &Facts::new()), "none");
    assert_eq!(outcome(&allow("*", resource), CREATE, KEY, &Facts::new().one("aws:username", "1234abcd")), "allow");
    assert_eq!(outcome(&allow("*", resource), CREATE, KEY, &Facts::new().one("aws:username", "*")), "none");
    let but = format!(r#"{{"Effect":"Allow","Action":"*","NotResource":"{resource}"}}"#);
    assert_eq!(outcome(&but, CREATE, KEY, &Facts::new()), "allow");
    assert_eq!(outcome(&but, CREATE, KEY, &Facts::new().one("aws:username", "1234abcd")), "none");
}

#[test]
fn a_policy_of_2008_and_one_without_version_have_no_variables() {
    // 17
    let facts = Facts::new().one("aws:username", "bob").one("aws:userid", "${aws:username}");
    for (version, expected) in [("", true), (r#""Version":"2008-10-17","#, true), (r#""Version":"2012-10-17","#, false)]
    {
        let json = format!(
            r#"{{{version}"Statement":{{"Effect":"Allow","Action":"*","Resource":"*",
            "Condition":{{"StringEquals":{{"aws:userid":"${{aws:username}}"}}}}}}}}"#
        );
        let decision = judge(&[compile(&json)], CREATE, KEY, &facts);
        assert_eq!(matches!(decision, Decision::Allow(_)), expected, "{version}");
    }
}

#[test]
fn long_term_keys_say_nothing_about_mfa() {
    // 18
    assert!(!holds(r#""Bool":{"aws:MultiFactorAuthPresent":"false"}"#, &Facts::new()));
    assert!(holds(r#""BoolIfExists":{"aws:MultiFactorAuthPresent":"false"}"#, &Facts::new()));
}

#[test]
fn a_request_through_an_endpoint_has_no_source_address() {
    // 19
    assert!(!holds(r#""IpAddress":{"aws:SourceIp":"0.0.0.0/0"}"#, &Facts::new()));
    assert!(holds(r#""NotIpAddress":{"aws:SourceIp":"0.0.0.0/0"}"#, &Facts::new()));
}

#[test]
fn not_action_means_every_other_action_of_every_service() {
    // 20
    let statement = r#"{"Effect":"Allow","NotAction":"kms:Decrypt","Resource":"*"}"#;
    for (action, expected) in
        [("kms:Decrypt", "none"), (CREATE, "allow"), ("s3:GetObject", "allow"), ("kms:NotKnownYet", "allow")]
    {
        assert_eq!(outcome(statement, action, KEY, &Facts::new()), expected, "{action}");
    }
}

#[test]
fn not_resource_means_every_other_resource() {
    let other = "arn:aws:kms:us-east-1:111122223333:key/0987dcba-09fe-87dc-65ba-ab0987654321";
    let statement = format!(r#"{{"Effect":"Deny","Action":"*","NotResource":["{KEY}","arn:aws:kms:us-*:9:key/*"]}}"#);
    for (resource, expected) in [(KEY, "none"), (other, "deny"), ("*", "deny"), ("arn:aws:kms:us-x:9:key/a", "none")] {
        assert_eq!(outcome(&statement, CREATE, resource, &Facts::new()), expected, "{resource}");
    }
    let none = r#"{"Effect":"Deny","Action":"*","NotResource":"*"}"#;
    assert_eq!(outcome(none, CREATE, KEY, &Facts::new()), "none");
}

#[test]
fn numbers_and_booleans_may_stand_without_quotes() {
    // 25
    let facts = Facts::new().one("aws:MultiFactorAuthAge", "3600").one("aws:SecureTransport", "true");
    assert!(holds(r#""NumericLessThanEquals":{"aws:MultiFactorAuthAge":3600}"#, &facts));
    assert!(holds(r#""Bool":{"aws:SecureTransport":[true]}"#, &facts));
    assert!(holds(r#""StringEquals":{"aws:MultiFactorAuthAge":3600,"aws:SecureTransport":true}"#, &facts));
}

/// Counts how often it is asked.
struct Asked(Cell<usize>);

impl RequestContext for Asked {
    fn values(&self, _: &ConditionKey) -> Values<'_> {
        self.0.set(self.0.get() + 1);
        Values::Absent
    }
}

#[test]
fn statements_about_other_actions_and_resources_are_not_looked_at() {
    let condition = r#""Condition":{"StringEquals":{"aws:username":"nobody"}}"#;
    let statement = |action: &str, resource: &str| {
        ["Allow", "Deny"]
            .map(|effect| format!(r#"{{"Effect":"{effect}","Action":{action},"Resource":"{resource}",{condition}}}"#))
    };
    let key = |number: usize| format!("arn:aws:kms:us-east-1:111122223333:key/{number:08}-12ab-34cd-56ef-1234567890ab");
    let mut statements = Vec::new();
    for number in 0..300 {
        statements.extend(statement(r#""kms:*""#, &key(number)));
        statements.extend(statement(r#"["kms:Encrypt","kms:Decrypt"]"#, &key(number)));
        statements.extend(statement(r#""kms:*""#, &format!("{}*", key(number))));
        statements.extend(statement(r#""kms:Sign""#, "*"));
    }
    let policies = [policy(&statements.join(","))];
    // By plain ARN and by pattern, each to allow and to deny; for Decrypt two more.
    for (action, resource, looked_at) in [
        ("kms:Encrypt", key(7), 6),
        ("kms:Verify", key(7), 4),
        ("kms:Verify", key(300), 0),
        ("kms:Verify", format!("{}x", key(7)), 2),
        ("kms:CreateKey", "*".to_owned(), 0),
    ] {
        let context = Asked(Cell::new(0));
        let caller = PrincipalNames::of("arn:aws:iam::111122223333:user/alice").unwrap();
        let request = Request { action, resource: &resource, caller: &caller, context: &context };
        let decision = evaluate(&request, &Policies::identity(&policies));
        assert_eq!(
            (decision, context.0.get()),
            (Decision::ImplicitDeny(Kind::Identity), looked_at),
            "{action} {resource}"
        );
    }
}
