//! The key judged is the key used.

use super::*;

#[tokio::test]
async fn the_body_is_sent_as_it_came_and_the_answer_let_out_as_it_came() {
    let kms = TestKms::replying([Reply::ok(&json!({"KeyId": KEY, "CiphertextBlob": BLOB, "New": [1, null]}))]).await;
    let world = may_use_key_alone();
    let forwarding = world.forwarding(&kms).await;
    let body = format!(r#"{{ "KeyId":"{KEY}", "KeySpec" : "AES_256", "Unheard-of":{{"a":1}} }}"#);
    let request = world.signed(ORDERS, GENERATE, &body, &[]);
    let answer = world.forwarded_within(&forwarding, unlimited(), request).await.unwrap();
    assert_eq!(kms.asked(), [GENERATE]);
    assert_eq!(kms.sent()[0].body, body);
    let answer: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(answer, json!({"KeyId": KEY, "CiphertextBlob": BLOB, "New": [1, null]}));
}

#[tokio::test]
async fn the_record_has_the_ids_of_both_sides_and_the_key_once() {
    let kms = TestKms::replying([used(KEY)]).await;
    let world = may_use_key_alone();
    let forwarding = world.forwarding(&kms).await;
    world.forwarded(&forwarding, GENERATE, &named(KEY)).await.unwrap();
    let record = world.last_record();
    assert_eq!(resources(&record), [KEY]);
    let text = record.to_string();
    assert!(text.contains(REQUEST_ID), "{record:#}");
    assert!(!text.contains(BLOB), "{record:#}");
    assert_eq!(record["requestID"], REQUEST_ID, "the client was told this one");
    let own = &record["additionalEventData"]["gateway"]["requestId"];
    assert!(own.as_str().is_some_and(|own| own.len() == 36 && own != REQUEST_ID), "{record:#}");
}

#[tokio::test]
async fn an_answer_about_another_key_that_the_caller_may_use_is_let_out_and_both_are_recorded() {
    let kms = TestKms::start(|sent| leading_to_key(sent, || used(OTHER_KEY))).await;
    let world = World::new();
    let forwarding = world.forwarding(&kms).await;
    let answer = world.forwarded(&forwarding, GENERATE, &named(ALIAS)).await.unwrap();
    assert!(std::str::from_utf8(&answer.body).unwrap().contains(BLOB));
    let record = world.last_record();
    assert_eq!(resources(&record), [KEY, OTHER_KEY]);
    assert!(record.get("errorCode").is_none(), "{record:#}");
}

#[tokio::test]
async fn an_answer_about_another_key_is_withheld_from_who_may_not_use_it() {
    for name in [ALIAS, KEY] {
        let kms = TestKms::start(|sent| leading_to_key(sent, || used(OTHER_KEY))).await;
        let world = may_use_key_alone();
        let forwarding = world.forwarding(&kms).await;
        let (refusal, record) = world.refused(&forwarding, GENERATE, &named(name)).await;
        assert_eq!(refusal.kind(), ExceptionKind::AccessDenied);
        assert!(detail(&record).contains("withheld"), "{record:#}");
        assert_eq!((error_code(&record), resources(&record)), ("AccessDenied", vec![KEY, OTHER_KEY]));
        let decisions: Vec<_> = reasons(&record).map(|reason| reason["decision"].as_str().unwrap()).collect();
        assert_eq!(decisions, ["Allow", "ImplicitDeny"]);
        assert!(record.to_string().contains(REQUEST_ID), "KMS has done the work: {record:#}");
    }
}

fn reasons(record: &Value) -> impl Iterator<Item = &Value> {
    record["additionalEventData"]["gateway"]["reasons"].as_array().unwrap().iter()
}

#[tokio::test]
async fn an_answer_about_another_key_has_the_alias_looked_up_again() {
    let kms = TestKms::start(|sent| leading_to_key(sent, || used(OTHER_KEY))).await;
    let world = World::new();
    let forwarding = world.forwarding(&kms).await;
    for _ in 0..2 {
        world.forwarded(&forwarding, GENERATE, &named(ALIAS)).await.unwrap();
    }
    assert_eq!(kms.asked(), ["DescribeKey", GENERATE, "DescribeKey", GENERATE]);
}

#[tokio::test]
async fn another_key_is_judged_by_its_own_facts() {
    let by_spec = json!({"Effect": "Allow", "Action": "kms:*", "Resource": "*",
        "Condition": {"StringEquals": {"kms:KeySpec": "SYMMETRIC_DEFAULT"}}});
    for (spec, let_out) in [("SYMMETRIC_DEFAULT", true), ("SM4", false)] {
        let kms = TestKms::start(move |sent| {
            if sent.operation != "DescribeKey" {
                return used(OTHER_KEY);
            }
            if sent.json()["KeyId"] == ALIAS {
                return Reply::described(KEY);
            }
            assert!(OTHER_KEY.ends_with(sent.json()["KeyId"].as_str().unwrap()));
            Reply::ok(&json!({"KeyMetadata": {"Arn": OTHER_KEY, "KeySpec": spec, "KeyUsage": "ENCRYPT_DECRYPT",
                "Origin": "AWS_KMS"}}))
        })
        .await;
        let world = World::with_policy(by_spec.clone());
        let forwarding = world.forwarding(&kms).await;
        let answer = world.forwarded(&forwarding, GENERATE, &named(ALIAS)).await;
        assert_eq!(answer.is_ok(), let_out, "{spec}");
        assert_eq!(kms.asked(), ["DescribeKey", GENERATE, "DescribeKey"]);
    }
}

#[tokio::test]
async fn an_answer_may_name_the_judged_key_by_its_bare_id() {
    let id = KEY.rsplit('/').next().unwrap();
    let kms = TestKms::replying([Reply::ok(&json!({"KeyId": id}))]).await;
    let world = may_use_key_alone();
    let forwarding = world.forwarding(&kms).await;
    world.forwarded(&forwarding, "GetKeyLastUsage", &json!({"KeyId": KEY})).await.unwrap();
    assert_eq!(resources(&world.last_record()), [KEY]);
}

#[tokio::test]
async fn an_answer_about_no_key_or_one_of_nowhere_is_not_let_out() {
    let elsewhere = OTHER_KEY.replace("111122223333", "999988887777");
    for (told, kind) in [
        ("alias/orders", ExceptionKind::KmsInternal),
        ("arn:aws:kms:us-east-1:111122223333:alias/orders", ExceptionKind::KmsInternal),
        (&*elsewhere, ExceptionKind::AccessDenied),
        (&*OTHER_KEY.replace("us-east-1", "eu-west-1"), ExceptionKind::AccessDenied),
    ] {
        let kms = TestKms::replying([used(told)]).await;
        let world = World::new();
        let forwarding = world.forwarding(&kms).await;
        let (refusal, record) = world.refused(&forwarding, GENERATE, &named(KEY)).await;
        assert_eq!(refusal.kind(), kind, "{told}: {record:#}");
        assert_eq!(kms.asked(), [GENERATE]);
    }
}

#[tokio::test]
async fn a_success_that_does_not_name_its_key_is_none() {
    let kms = TestKms::replying([Reply::ok(&json!({"CiphertextBlob": BLOB}))]).await;
    let world = World::new();
    let forwarding = world.forwarding(&kms).await;
    let (refusal, record) = world.refused(&forwarding, GENERATE, &named(KEY)).await;
    assert_eq!(refusal.kind(), ExceptionKind::KmsInternal);
    assert!(detail(&record).contains("does not name its key"), "{record:#}");
}
