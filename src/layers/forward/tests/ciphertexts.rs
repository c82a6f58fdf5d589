//! Where a ciphertext says which key is used.

use super::*;

const DECRYPT: &str = "Decrypt";
const PLAINTEXT: &str = "c2VjcmV0";

fn blob() -> Value {
    json!({"CiphertextBlob": BLOB})
}

fn opened(arn: &str) -> Reply {
    Reply::ok(&json!({"KeyId": arn, "Plaintext": PLAINTEXT, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}))
}

fn moved(from: &str, to: &str) -> Reply {
    Reply::ok(&json!({"CiphertextBlob": "bmV3", "SourceKeyId": from, "KeyId": to}))
}

/// The words of KMS, recorded: they do not say which key it is, or whether there is one.
const HIDDEN: &str = "The ciphertext refers to a customer master key that does not exist, does not exist in this region, \
                      or you are not allowed to access.";

#[tokio::test]
async fn what_a_ciphertext_opens_to_is_let_out_to_who_may_use_its_key() {
    let kms = TestKms::replying([opened(KEY)]).await;
    let world = may_use_key_alone();
    let forwarding = world.forwarding(&kms).await;
    let answer = world.forwarded(&forwarding, DECRYPT, &blob()).await.unwrap();
    assert!(std::str::from_utf8(&answer.body).unwrap().contains(PLAINTEXT));
    let record = world.last_record();
    assert_eq!(resources(&record), [KEY]);
    assert!(!record.to_string().contains(PLAINTEXT), "{record:#}");
}

#[tokio::test]
async fn what_a_ciphertext_opens_to_is_withheld_from_who_may_not_use_its_key() {
    let denied = json!([statement("kms:*", "*"),
        {"Effect": "Deny", "Action": "kms:Decrypt", "Resource": OTHER_KEY}]);
    for policy in [statement("kms:*", KEY), denied] {
        let kms = TestKms::replying([opened(OTHER_KEY)]).await;
        let world = World::with_policy(policy);
        let forwarding = world.forwarding(&kms).await;
        let (refusal, record) = world.refused(&forwarding, DECRYPT, &blob()).await;
        assert_eq!((refusal.kind(), refusal.message()), (ExceptionKind::AccessDenied, Some(HIDDEN)));
        assert_eq!(resources(&record), [OTHER_KEY]);
        assert!(detail(&record).contains("withheld"), "{record:#}");
        assert!(!record.to_string().contains(PLAINTEXT), "{record:#}");
    }
}

#[tokio::test]
async fn a_key_of_which_nothing_can_be_learnt_is_recorded_and_told_as_one_that_the_caller_may_not_use() {
    let by_spec = json!({"Effect": "Allow", "Action": "kms:*", "Resource": "*",
        "Condition": {"StringEquals": {"kms:KeySpec": "SYMMETRIC_DEFAULT"}}});
    let elsewhere = OTHER_KEY.replace("111122223333", "999988887777");
    for key in [OTHER_KEY, &elsewhere] {
        let (named, deleted) = (key.to_owned(), Reply::error(400, "NotFoundException", "no such key"));
        let kms = TestKms::start(move |sent| match &*sent.operation {
            DECRYPT => opened(&named),
            _ => deleted.clone(),
        })
        .await;
        let world = World::with_policy(by_spec.clone());
        let forwarding = world.forwarding(&kms).await;
        let (refusal, record) = world.refused(&forwarding, DECRYPT, &blob()).await;
        assert_eq!((refusal.kind(), refusal.message()), (ExceptionKind::AccessDenied, Some(HIDDEN)));
        assert_eq!(resources(&record), [key], "{record:#}");
        assert!(detail(&record).contains("withheld"), "{record:#}");
    }
}

#[tokio::test]
async fn a_destination_is_not_looked_up_again_because_the_source_was_not_named() {
    let kms = TestKms::start(|sent| leading_to_key(sent, || moved(OTHER_KEY, KEY))).await;
    let world = World::new();
    let forwarding = world.forwarding(&kms).await;
    for _ in 0..2 {
        let body = json!({"CiphertextBlob": BLOB, "DestinationKeyId": ALIAS});
        world.forwarded(&forwarding, "ReEncrypt", &body).await.unwrap();
    }
    assert_eq!(kms.asked(), ["DescribeKey", "ReEncrypt", "ReEncrypt"]);
}

#[tokio::test]
async fn who_could_use_no_key_is_refused_before_anything_is_sent() {
    let kms = TestKms::silent().await;
    for policy in [
        statement("kms:Encrypt", "*"),
        json!([statement("kms:*", "*"), {"Effect": "Deny", "Action": "kms:Decrypt", "Resource": "*"}]),
    ] {
        let world = World::with_policy(policy);
        let forwarding = world.forwarding(&kms).await;
        let (refusal, _) = world.refused(&forwarding, DECRYPT, &blob()).await;
        assert_eq!(refusal.kind(), ExceptionKind::AccessDenied);
    }
    assert!(kms.sent().is_empty());
}

#[tokio::test]
async fn errors_tell_of_a_ciphertext_no_more_than_whether_it_is_one() {
    for (status, name, passed) in [
        (400, "InvalidCiphertextException", true),
        (400, "ThrottlingException", true),
        (500, "KMSInternalException", true),
        (503, "ServiceUnavailableException", true),
        (400, "NotFoundException", false),
        (400, "DisabledException", false),
        (500, "KeyUnavailableException", false),
        (400, "IncorrectKeyException", false),
        (400, "AccessDeniedException", false),
        (400, "DryRunOperationException", false),
        (400, "ValidationException", false),
        (400, "SomethingNewException", false),
    ] {
        let kms = TestKms::replying([Reply::error(status, name, &format!("of {OTHER_KEY}"))]).await;
        let world = World::new();
        let forwarding = world.forwarding(&kms).await;
        let answer = world.forwarded(&forwarding, DECRYPT, &blob()).await;
        let record = world.last_record();
        match answer {
            Ok(answer) => {
                assert!(passed, "{name}");
                assert_eq!(answer.forwarded.unwrap().status, status);
            }
            Err(error) => {
                assert!(!passed, "{name}");
                let told = error.exception();
                assert_eq!((told.kind(), told.message()), (ExceptionKind::AccessDenied, Some(HIDDEN)), "{name}");
                assert_eq!(detail(&record), format!("{name}: of {OTHER_KEY}"));
            }
        }
        assert!(resources(&record).is_empty(), "{record:#}");
    }
}

#[tokio::test]
async fn a_named_key_is_judged_before_its_ciphertext_is_sent() {
    let kms = TestKms::silent().await;
    let world = may_use_key_alone();
    let forwarding = world.forwarding(&kms).await;
    let body = json!({"CiphertextBlob": BLOB, "KeyId": OTHER_KEY});
    let (refusal, _) = world.refused(&forwarding, DECRYPT, &body).await;
    assert_eq!(refusal.kind(), ExceptionKind::AccessDenied);
    assert!(kms.sent().is_empty());
}

#[tokio::test]
async fn a_ciphertext_is_moved_for_who_may_use_both_keys_and_both_are_recorded() {
    let kms = TestKms::replying([moved(KEY, OTHER_KEY)]).await;
    for body in [
        json!({"CiphertextBlob": BLOB, "DestinationKeyId": OTHER_KEY}),
        json!({"CiphertextBlob": BLOB, "DestinationKeyId": OTHER_KEY, "SourceKeyId": KEY}),
    ] {
        let world = World::new();
        let forwarding = world.forwarding(&kms).await;
        world.forwarded(&forwarding, "ReEncrypt", &body).await.unwrap();
        let mut recorded = resources(&world.last_record()).into_iter().map(str::to_owned).collect::<Vec<_>>();
        recorded.sort_unstable();
        assert_eq!(recorded, [OTHER_KEY, KEY]);
    }
}

#[tokio::test]
async fn a_ciphertext_is_moved_neither_from_nor_to_a_key_that_the_caller_may_not_use() {
    // Both are allowed on the one key alone, so each body has one side too many.
    for (from, to) in [(OTHER_KEY, KEY), (KEY, OTHER_KEY)] {
        let kms = TestKms::replying([moved(from, to)]).await;
        for told_by_answer in [true, false] {
            let world = may_use_key_alone();
            let forwarding = world.forwarding(&kms).await;
            let mut body = json!({"CiphertextBlob": BLOB, "DestinationKeyId": to});
            if !told_by_answer {
                body["SourceKeyId"] = json!(from);
            }
            let before = kms.sent().len();
            let (refusal, record) = world.refused(&forwarding, "ReEncrypt", &body).await;
            assert_eq!(refusal.kind(), ExceptionKind::AccessDenied);
            let asked = kms.sent().len() - before;
            assert_eq!(asked, usize::from(told_by_answer && to == KEY), "{record:#}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_takes_from_another_key_than_was_named_is_judged_by_it() {
    for (policy, let_out) in [(statement("kms:*", "*"), true), (statement("kms:*", KEY), false)] {
        let kms = TestKms::replying([moved(OTHER_KEY, KEY)]).await;
        let world = World::with_policy(policy);
        let forwarding = world.forwarding(&kms).await;
        let body = json!({"CiphertextBlob": BLOB, "DestinationKeyId": KEY, "SourceKeyId": KEY});
        assert_eq!(world.forwarded(&forwarding, "ReEncrypt", &body).await.is_ok(), let_out);
        assert!(resources(&world.last_record()).contains(&OTHER_KEY));
    }
}

#[tokio::test]
async fn of_two_aliases_that_were_both_moved_all_four_keys_are_recorded_and_what_decided() {
    const SOURCE: &str = "arn:aws:kms:us-east-1:111122223333:key/11111111-12ab-34cd-56ef-1234567890ab";
    const NEW_SOURCE: &str = "arn:aws:kms:us-east-1:111122223333:key/22222222-12ab-34cd-56ef-1234567890ab";
    let kms = TestKms::start(|sent| match (&*sent.operation, sent.json()["KeyId"].as_str()) {
        ("DescribeKey", Some("alias/source")) => Reply::described(SOURCE),
        ("DescribeKey", _) => Reply::described(KEY),
        _ => moved(NEW_SOURCE, OTHER_KEY),
    })
    .await;
    let denied = json!([statement("kms:*", "*"), {"Sid": "NotThis", "Effect": "Deny", "Action": "kms:ReEncryptTo",
        "Resource": OTHER_KEY}]);
    let world = World::with_policy(denied);
    let forwarding = world.forwarding(&kms).await;
    let body = json!({"CiphertextBlob": BLOB, "SourceKeyId": "alias/source", "DestinationKeyId": ALIAS});
    let (refusal, record) = world.refused(&forwarding, "ReEncrypt", &body).await;
    assert_eq!(refusal.kind(), ExceptionKind::AccessDenied);
    assert_eq!(resources(&record), [SOURCE, KEY, NEW_SOURCE, OTHER_KEY]);
    let reasons = record["additionalEventData"]["gateway"]["reasons"].as_array().unwrap();
    assert_eq!(reasons.last().unwrap()["statement"], "NotThis", "{record:#}");
}
