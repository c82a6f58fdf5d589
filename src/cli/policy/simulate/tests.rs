//! What can be asked, and what is refused with a hint.

use super::*;
use crate::policy::{RequestContext, Values};

const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const ALIAS: &str = "arn:aws:kms:us-east-1:111122223333:alias/orders";

fn message(failure: Failure) -> String {
    let Failure::Asked(message) = failure else { panic!("{failure:?}") };
    message
}

#[test]
fn an_action_is_found_whatever_its_case_and_a_misspelt_one_is_helped() {
    assert_eq!(action("KMS:generatedatakeywithoutplaintext").unwrap(), "kms:GenerateDataKeyWithoutPlaintext");
    for (asked, hint) in [
        ("kms:Decript", "did you mean `kms:Decrypt`?"),
        ("Decrypt", "Decrypt asks for kms:Decrypt"),
        ("kms:ReEncrypt", "ReEncrypt asks for kms:ReEncryptFrom and kms:ReEncryptTo"),
        ("s3:GetObject", "`kmsgate operations` lists the permissions"),
    ] {
        let message = message(action(asked).unwrap_err());
        assert!(message.ends_with(hint), "{message}");
    }
}

#[test]
fn an_action_is_asked_for_on_what_it_is_judged_on() {
    for (action, key, expected) in [
        ("kms:Decrypt", Some(KEY), Some(KEY)),
        ("kms:ListKeys", None, Some("*")),
        ("kms:TagResource", None, Some("*")),
        ("kms:TagResource", Some(KEY), Some(KEY)),
        ("kms:CreateAlias", Some(ALIAS), Some(ALIAS)),
        ("kms:CreateAlias", Some(KEY), Some(KEY)),
        ("kms:SynchronizeMultiRegionKey", Some(KEY), Some(KEY)),
        ("kms:Decrypt", None, None),
        ("kms:CreateAlias", None, None),
        ("kms:ListKeys", Some(KEY), None),
        ("kms:Decrypt", Some(ALIAS), None),
        ("kms:Decrypt", Some("1234abcd-12ab-34cd-56ef-1234567890ab"), None),
        ("kms:CreateAlias", Some("arn:aws:s3:us-east-1:111122223333:alias/orders"), None),
    ] {
        assert_eq!(resource(action, key).ok().as_deref(), expected, "{action} {key:?}");
    }
}

#[test]
fn a_context_needs_an_action_that_has_one_and_each_key_once() {
    let pairs = |pairs: &[&str]| pairs.iter().map(ToString::to_string).collect::<Vec<_>>();
    let read = context("kms:Decrypt", &pairs(&["a=b=c", "d="])).unwrap();
    assert_eq!(read.iter().collect::<Vec<_>>(), [("a", "b=c"), ("d", "")]);
    assert!(context("kms:EnableKey", &[]).is_ok());
    for (action, wrong) in
        [("kms:EnableKey", pairs(&["a=b"])), ("kms:Decrypt", pairs(&["a"])), ("kms:Decrypt", pairs(&["a=b", "a=c"]))]
    {
        assert!(context(action, &wrong).is_err(), "{action} {wrong:?}");
    }
}

#[test]
fn a_fact_that_is_told_takes_the_place_of_what_follows() {
    let principal = with_policies("arn:aws:iam::111122223333:user/alice", &[]).unwrap();
    let mut facts = Facts::new(&principal, KEY, None, "2026-11-23T18:22:41Z");
    let told = ["aws:username=bob", "kms:ResourceAliases=alias/a", "kms:ResourceAliases=alias/b", "AWS:CurrentTime"];
    tell(&mut facts, &told.map(str::to_owned)).unwrap();
    assert_eq!(facts.values(&ConditionKey::Username), Values::one("bob"));
    assert_eq!(facts.values(&ConditionKey::ResourceAliases), Values::many(["alias/a", "alias/b"]));
    assert_eq!(facts.values(&ConditionKey::CurrentTime), Values::Absent);
    let message = message(tell(&mut facts, &["aws:SourceIP6=::1".to_owned()]).unwrap_err());
    assert!(message.contains("did you mean `aws:SourceIp`?"), "{message}");
}
