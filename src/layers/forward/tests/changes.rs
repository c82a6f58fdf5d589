//! What changes something.

use futures_util::FutureExt;
use tower::Service;

use super::super::super::BackendService;
use super::*;
use crate::backend::Backend;
use crate::backend::aws::testing::{ACCOUNT, REGION, settings};
use crate::clock::Clock;

fn service(forwarding: &Forwarding) -> BackendService {
    BackendService::new(Backend::Aws((**forwarding).clone()), unlimited())
}

#[tokio::test]
async fn a_change_goes_on_when_its_client_has_gone_and_is_recorded_with_its_outcome() {
    for (reply, code) in [
        (Reply::ok(&json!({"KeyId": KEY})), ""),
        (Reply::error(400, "KMSInvalidStateException", "pending deletion"), "KMSInvalidStateException"),
        (Reply::HangUp, "KMSInternalException"),
    ] {
        let held = Arc::new(tokio::sync::Semaphore::new(0));
        let kms = TestKms::replying([reply.once(&held)]).await;
        let world = may_use_key_alone();
        let forwarding = world.forwarding(&kms).await;
        // Of no repeatable operation, so that what is broken off is broken off once.
        let body = json!({"KeyId": KEY, "PendingWindowInDays": 7});
        let admitted = world.admitted_by(&forwarding, "ScheduleKeyDeletion", &body).await;
        let mut answer = service(&forwarding).call(admitted);
        assert!((&mut answer).now_or_never().is_none());
        drop(answer);
        assert!(world.records().is_empty(), "it is not known yet how it ends");
        held.add_permits(1);
        let record = world.record();
        assert_eq!((&record["eventName"], error_code(&record)), (&json!("ScheduleKeyDeletion"), code), "{record:#}");
        assert_eq!(kms.asked(), ["ScheduleKeyDeletion"]);
    }
}

#[tokio::test]
async fn what_changes_nothing_is_given_up_with_its_client() {
    let held = Arc::new(tokio::sync::Semaphore::new(0));
    let kms = TestKms::replying([used(KEY).once(&held)]).await;
    let world = may_use_key_alone();
    let forwarding = world.forwarding(&kms).await;
    let mut answer = service(&forwarding).call(world.admitted_by(&forwarding, GENERATE, &named(KEY)).await);
    assert!((&mut answer).now_or_never().is_none());
    drop(answer);
    assert_eq!(world.record()["errorCode"], "ClientDisconnected");
}

#[tokio::test]
async fn everything_is_looked_up_again_unless_a_change_was_refused() {
    let refused = Reply::error(400, "ValidationException", "");
    for (replies, look_ups) in [
        (vec![Reply::done()], 2),
        // It may have been made.
        (vec![Reply::HangUp, Reply::HangUp], 2),
        (vec![Reply::HangUp, refused.clone()], 2),
        (vec![refused], 1),
    ] {
        let replies = std::sync::Mutex::new(replies.into_iter());
        let kms = TestKms::start(move |sent| match &*sent.operation {
            "DescribeKey" => Reply::described(KEY),
            "EnableKey" => replies.lock().unwrap().next().unwrap(),
            _ => used(KEY),
        })
        .await;
        let world = may_use_key_alone();
        let forwarding = world.forwarding(&kms).await;
        world.forwarded(&forwarding, GENERATE, &named(ALIAS)).await.unwrap();
        let _ = world.forwarded(&forwarding, "EnableKey", &json!({"KeyId": KEY})).await;
        world.forwarded(&forwarding, GENERATE, &named(ALIAS)).await.unwrap();
        assert_eq!(kms.asked().iter().filter(|operation| *operation == "DescribeKey").count(), look_ups);
    }
}

#[tokio::test]
async fn a_refusal_that_follows_a_broken_attempt_is_recorded_as_a_change_that_may_have_been_made() {
    let refused = Reply::error(400, "KMSInvalidStateException", "pending deletion");
    for (replies, may_be_made) in [(vec![Reply::HangUp, refused.clone()], true), (vec![refused], false)] {
        let kms = TestKms::replying(replies).await;
        let world = World::new();
        let forwarding = world.forwarding(&kms).await;
        world.forwarded(&forwarding, "EnableKey", &json!({"KeyId": KEY})).await.unwrap();
        let record = world.last_record();
        assert_eq!(error_code(&record), "KMSInvalidStateException");
        assert_eq!(detail(&record).contains("may have been carried out"), may_be_made, "{record:#}");
    }
}

#[tokio::test]
async fn a_key_that_was_made_is_recorded() {
    let kms = TestKms::replying([Reply::described(OTHER_KEY)]).await;
    let world = World::new();
    let forwarding = world.forwarding(&kms).await;
    world.forwarded(&forwarding, "CreateKey", &json!({})).await.unwrap();
    let record = world.last_record();
    assert_eq!((resources(&record), &record["readOnly"]), (vec![OTHER_KEY], &json!(false)));
    assert_eq!(record["responseElements"]["keyMetadata"]["arn"], OTHER_KEY);
}

#[tokio::test]
async fn a_change_is_recorded_with_what_it_came_to_unless_it_was_refused() {
    let deletion = json!({"KeyId": KEY, "KeyState": "PendingDeletion", "DeletionDate": 1_605_662_958.25});
    let elements = json!({"keyId": KEY, "keyState": "PendingDeletion", "deletionDate": "Nov 18, 2020, 1:29:18 AM"});
    let refused = || Reply::error(400, "ValidationException", "no");
    for (operation, reply, expected) in [
        ("ScheduleKeyDeletion", Reply::ok(&deletion), elements),
        ("ScheduleKeyDeletion", refused(), Value::Null),
        // Nothing is answered, and CloudTrail has the key.
        ("DisableKey", Reply::done(), json!({"keyId": KEY})),
        ("DisableKey", refused(), Value::Null),
    ] {
        let kms = TestKms::replying([reply]).await;
        let world = may_use_key_alone();
        let forwarding = world.forwarding(&kms).await;
        world.forwarded(&forwarding, operation, &json!({"KeyId": KEY})).await.unwrap();
        assert_eq!(world.last_record()["responseElements"], expected, "{operation}");
    }
}

#[tokio::test]
async fn the_alias_of_a_change_is_looked_up_just_before_it() {
    let kms = TestKms::start(|sent| match &*sent.operation {
        "DescribeKey" => Reply::described(KEY),
        "DeleteAlias" => Reply::error(400, "ValidationException", ""),
        _ => used(KEY),
    })
    .await;
    let world = World::new();
    let forwarding = world.forwarding(&kms).await;
    for _ in 0..2 {
        world.forwarded(&forwarding, "DeleteAlias", &json!({"AliasName": ALIAS})).await.unwrap();
    }
    assert_eq!(kms.asked(), ["DescribeKey", "DeleteAlias", "DescribeKey", "DeleteAlias"]);
    let record = world.last_record();
    assert_eq!(resources(&record), ["arn:aws:kms:us-east-1:111122223333:alias/orders", KEY]);
}

#[tokio::test]
async fn a_replica_that_was_made_is_told_to_who_may_replicate_its_key_and_recorded_as_one_of_that() {
    const PRIMARY: &str = "arn:aws:kms:us-east-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab";
    let replica = PRIMARY.replace("us-east-1", "eu-west-1");
    let made = Reply::ok(&json!({"ReplicaKeyMetadata": {"Arn": replica}, "ReplicaPolicy": "{}"}));
    let kms = TestKms::replying([made]).await;
    let makes_keys = json!({"Effect": "Allow", "Action": "kms:CreateKey", "Resource": "*"});
    let world = World::with_policy(json!([statement("kms:ReplicateKey", PRIMARY), makes_keys]));
    let both = settings([kms.of(ACCOUNT, REGION), kms.of(ACCOUNT, "eu-west-1")]);
    let forwarding = Forwarding::by(&both, false, &Clock::Manual(world.clock.clone())).await;
    let body = json!({"KeyId": PRIMARY, "ReplicaRegion": "eu-west-1"});
    let answer = world.forwarded(&forwarding, "ReplicateKey", &body).await;
    let record = world.last_record();
    assert!(answer.is_ok(), "{record:#}");
    assert_eq!((kms.asked().len(), resources(&record)), (1, vec![PRIMARY]));
}
