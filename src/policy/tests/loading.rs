//! What is refused when a document is loaded, and what is warned of.

use super::*;
use crate::policy::Fault;

/// A statement with one member put in, or in place of the one of that name.
fn statement_with(name: &str, value: &str) -> String {
    let members = [("Effect", r#""Allow""#), ("Action", r#""kms:Decrypt""#), ("Resource", r#""*""#)];
    let mut text: Vec<String> = members
        .iter()
        .filter(|(known, _)| *known != name)
        .map(|(known, value)| format!(r#""{known}":{value}"#))
        .collect();
    text.push(format!(r#""{name}":{value}"#));
    format!(r#"{{"Version":"2012-10-17","Statement":[{{{}}}]}}"#, text.join(","))
}

fn faults(json: &str) -> Vec<Fault> {
    Document::parse("test", json.as_bytes(), Kind::Identity).err().unwrap_or_default()
}

fn fault_paths(json: &str) -> Vec<String> {
    faults(json).into_iter().map(|fault| fault.path).collect()
}

fn warnings(json: &str) -> Vec<String> {
    let parsed = Document::parse("test", json.as_bytes(), Kind::Identity).unwrap();
    parsed.warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn what_the_grammar_allows_is_read() {
    for (name, value) in [
        ("Action", r#"["kms:Decrypt","s3:*"]"#),
        ("Resource", r#"["*"]"#),
        ("Resource", r#""arn:aws:kms:us-east-1:111122223333:key/${aws:username}""#),
        ("Sid", r#""UseTheKey1""#),
        ("Sid", r#""""#),
        ("Condition", "{}"),
        ("Condition", r#"{"StringEquals":{"aws:username":["a","b"]},"Bool":{"aws:SecureTransport":true}}"#),
        ("Condition", r#"{"NumericLessThan":{"kms:RotationPeriodInDays":[365, "90", 1.5]}}"#),
        ("Condition", r#"{"StringEquals":{"s3:prefix":"x"}}"#),
    ] {
        assert_eq!(faults(&statement_with(name, value)), [], "{name}: {value}");
    }
    for json in [
        r#"{"Statement":{"Effect":"Deny","NotAction":"kms:Decrypt","NotResource":"*"}}"#,
        r#"{"Version":"2008-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}"#,
    ] {
        assert_eq!(faults(json), [], "{json}");
    }
}

#[test]
fn what_the_grammar_forbids_is_refused_at_its_place() {
    for (name, value, path) in [
        ("Effect", r#""allow""#, "Statement[0].Effect"),
        ("Effect", "true", "Statement[0].Effect"),
        ("Action", "[]", "Statement[0].Action"),
        ("Action", r#"["kms:Decrypt", 1]"#, "Statement[0].Action[1]"),
        ("Action", r#""Decrypt""#, "Statement[0].Action"),
        ("Action", "{}", "Statement[0].Action"),
        ("NotAction", r#""kms:Encrypt""#, "Statement[0]"),
        ("NotResource", r#""*""#, "Statement[0]"),
        ("Resource", r#""alias/orders""#, "Statement[0].Resource"),
        ("Resource", r#"["*", "arn:aws:kms:*"]"#, "Statement[0].Resource[1]"),
        ("Resource", r#""arn:aws:kms:us-east-1:111122223333:key/${aws:username""#, "Statement[0].Resource"),
        ("Sid", r#""use the key""#, "Statement[0].Sid"),
        ("Sid", "1", "Statement[0].Sid"),
        ("Principal", r#""*""#, "Statement[0].Principal"),
        ("NotPrincipal", r#""*""#, "Statement[0].NotPrincipal"),
        ("action", r#""kms:Decrypt""#, "Statement[0].action"),
        ("Conditions", "{}", "Statement[0].Conditions"),
        ("Condition", "[]", "Statement[0].Condition"),
        ("Condition", "null", "Statement[0].Condition"),
        ("Condition", r#"{"StringEquals":{}}"#, "Statement[0].Condition.StringEquals"),
        ("Condition", r#"{"StringEquals":[]}"#, "Statement[0].Condition.StringEquals"),
        ("Condition", r#"{"stringEquals":{"aws:username":"a"}}"#, "Statement[0].Condition.stringEquals"),
        ("Condition", r#"{"StringEquals":{"username":"a"}}"#, "Statement[0].Condition.StringEquals.username"),
        ("Condition", r#"{"StringEquals":{"aws:username":[]}}"#, "Statement[0].Condition.StringEquals.aws:username"),
        ("Condition", r#"{"StringEquals":{"aws:username":null}}"#, "Statement[0].Condition.StringEquals.aws:username"),
        (
            "Condition",
            r#"{"StringEquals":{"aws:username":["a",{}]}}"#,
            "Statement[0].Condition.StringEquals.aws:username[1]",
        ),
        (
            "Condition",
            r#"{"NumericEquals":{"aws:EpochTime":["1","x"]}}"#,
            "Statement[0].Condition.NumericEquals.aws:EpochTime[1]",
        ),
        (
            "Condition",
            r#"{"NumericEquals":{"aws:EpochTime":"${aws:EpochTime}"}}"#,
            "Statement[0].Condition.NumericEquals.aws:EpochTime",
        ),
        (
            "Condition",
            r#"{"DateLessThan":{"aws:CurrentTime":"tomorrow"}}"#,
            "Statement[0].Condition.DateLessThan.aws:CurrentTime",
        ),
        (
            "Condition",
            r#"{"DateLessThan":{"aws:CurrentTime":2026}}"#,
            "Statement[0].Condition.DateLessThan.aws:CurrentTime",
        ),
        ("Condition", r#"{"Bool":{"aws:SecureTransport":"yes"}}"#, "Statement[0].Condition.Bool.aws:SecureTransport"),
        ("Condition", r#"{"Null":{"aws:username":"maybe"}}"#, "Statement[0].Condition.Null.aws:username"),
        ("Condition", r#"{"BinaryEquals":{"kms:x":"?"}}"#, "Statement[0].Condition.BinaryEquals.kms:x"),
        (
            "Condition",
            r#"{"IpAddress":{"aws:SourceIp":"10.0.0.0/40"}}"#,
            "Statement[0].Condition.IpAddress.aws:SourceIp",
        ),
        (
            "Condition",
            r#"{"IpAddress":{"aws:SourceIp":"::ffff:10.0.0.1"}}"#,
            "Statement[0].Condition.IpAddress.aws:SourceIp",
        ),
        ("Condition", r#"{"ArnLike":{"aws:PrincipalArn":"*"}}"#, "Statement[0].Condition.ArnLike.aws:PrincipalArn"),
        (
            "Condition",
            r#"{"StringLike":{"aws:username":"${aws:TagKeys}"}}"#,
            "Statement[0].Condition.StringLike.aws:username",
        ),
    ] {
        assert_eq!(fault_paths(&statement_with(name, value)), [path], "{name}: {value}");
    }
}

#[test]
fn a_document_that_is_none_is_refused() {
    let statement = r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#;
    for (json, path) in [
        (String::new(), ""),
        ("[]".to_owned(), ""),
        ("{}".to_owned(), "Statement"),
        (r#"{"Statement":[]}"#.to_owned(), "Statement"),
        (r#"{"Statement":"*"}"#.to_owned(), "Statement"),
        (r#"{"Statement":[null]}"#.to_owned(), "Statement[0]"),
        (format!(r#"{{"Version":"2012-10-18","Statement":{statement}}}"#), "Version"),
        (format!(r#"{{"Version":20121017,"Statement":{statement}}}"#), "Version"),
        (format!(r#"{{"Id":"x","Statement":{statement}}}"#), "Id"),
        (format!(r#"{{"statement":{statement},"Statement":{statement}}}"#), "statement"),
        (format!(r#"{{"Statement":{statement}}} x"#), ""),
    ] {
        assert_eq!(fault_paths(&json), [path], "{json}");
    }
}

#[test]
fn a_member_that_stands_twice_is_refused_wherever_it_stands() {
    for (json, path) in [
        (r#"{"Statement":{"Effect":"Allow","Effect":"Deny","Action":"*","Resource":"*"}}"#, "Statement.Effect"),
        (
            r#"{"Version":"2012-10-17","Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}"#,
            "Version",
        ),
        (
            r#"{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":
               {"Bool":{"aws:SecureTransport":true},"Bool":{"aws:ViaAWSService":true}}}]}"#,
            "Statement[0].Condition.Bool",
        ),
        (
            r#"{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":
               {"StringEquals":{"aws:username":"a","aws:username":"b"}}}]}"#,
            "Statement[0].Condition.StringEquals.aws:username",
        ),
    ] {
        assert_eq!(fault_paths(json), [path], "{json}");
    }
}

#[test]
fn statement_ids_are_unique() {
    let statement = r#"{"Sid":"A","Effect":"Deny","Action":"*","Resource":"*"}"#;
    let anonymous = r#"{"Sid":"","Effect":"Deny","Action":"*","Resource":"*"}"#;
    let json = format!(r#"{{"Statement":[{statement},{anonymous},{anonymous},{statement}]}}"#);
    assert_eq!(fault_paths(&json), ["Statement[3].Sid"]);
}

#[test]
fn every_fault_of_a_document_is_found_at_once() {
    let json = r#"{"Version":"2013","Statement":[
        {"Effect":"Alow","Action":["Decrypt","kms:*"],"Resource":["x","*"],"Principle":"*",
         "Condition":{"StringEqual":{"user":"a"},"Bool":{"aws:SecureTransport":["yes","no"]}}},
        {"Action":"kms:*"}]}"#;
    assert_eq!(
        fault_paths(json),
        [
            "Version",
            "Statement[0].Principle",
            "Statement[0].Effect",
            "Statement[0].Action[0]",
            "Statement[0].Resource[0]",
            "Statement[0].Condition.StringEqual",
            "Statement[0].Condition.StringEqual.user",
            "Statement[0].Condition.Bool.aws:SecureTransport[0]",
            "Statement[0].Condition.Bool.aws:SecureTransport[1]",
            "Statement[1].Effect",
            "Statement[1]",
        ]
    );
}

#[test]
fn hints_name_what_was_probably_meant() {
    for (name, value, hint) in [
        ("Effect", r#""allow""#, "did you mean `Allow`?"),
        ("Actions", r#""*""#, "did you mean `Action`?"),
        ("Action", r#""decrypt""#, "did you mean `kms:Decrypt`?"),
        ("Condition", r#"{"StringEqual":{"aws:username":"a"}}"#, "did you mean `StringEquals`?"),
        ("Principal", r#""*""#, "the policy applies to the principal it is attached to"),
    ] {
        let found = faults(&statement_with(name, value));
        assert!(found.iter().any(|fault| fault.hint.as_deref() == Some(hint)), "{name}: {value}: {found:?}");
    }
}

#[test]
fn what_is_surely_not_meant_is_a_warning() {
    for (name, value, warning) in [
        (
            "Action",
            r#"["kms:*", "kms:Decript"]"#,
            "Statement[0].Action[1]: `kms:Decript` matches no action of KMS (did you mean `kms:Decrypt`?)",
        ),
        (
            "Condition",
            r#"{"StringEquals":{"kms:KeySpecs":"x"}}"#,
            "Statement[0].Condition.StringEquals.kms:KeySpecs: no request has the condition key `kms:KeySpecs` (did you mean `kms:KeySpec`?)",
        ),
        (
            "Condition",
            r#"{"StringEquals":{"aws:userid":"${aws:usernam}"}}"#,
            "Statement[0].Condition.StringEquals.aws:userid: no request has the condition key `aws:usernam` (did you mean `aws:username`?)",
        ),
        (
            "Condition",
            r#"{"StringEquals":{"kms:ResourceAliases":"alias/a"}}"#,
            "Statement[0].Condition.StringEquals.kms:ResourceAliases: `kms:ResourceAliases` can have several values (put `ForAllValues:` or `ForAnyValue:` before the operator)",
        ),
        (
            "Condition",
            r#"{"ForAllValues:StringEquals":{"kms:EncryptionContextKeys":"a"}}"#,
            "Statement[0].Condition: `ForAllValues` holds for requests without `kms:EncryptionContextKeys` (add `\"Null\": {\"kms:EncryptionContextKeys\": \"false\"}` if the request must have it)",
        ),
        (
            "Resource",
            r#""arn:aws:kms:us-east-1:111122223333:alias/orders""#,
            "Statement[0]: an alias as resource governs only `kms:CreateAlias`, `kms:UpdateAlias` and `kms:DeleteAlias` (name the key's ARN, or use the condition key `kms:RequestAlias` or `kms:ResourceAliases`)",
        ),
    ] {
        assert_eq!(warnings(&statement_with(name, value)), [warning], "{name}: {value}");
    }
    let old = r#"{"Statement":{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:userid":"${aws:username}"}}}}"#;
    assert_eq!(
        warnings(old),
        [
            "Statement.Condition.StringEquals.aws:userid: `${` is literal text in this version of the policy language (write `\"Version\": \"2012-10-17\"` to have variables)"
        ]
    );
    let complete = r#"{"ForAllValues:StringEquals":{"aws:TagKeys":"a"},"Null":{"aws:TagKeys":"false"}}"#;
    assert_eq!(warnings(&statement_with("Condition", complete)), Vec::<String>::new());
}
