//! What names lead to at a KMS elsewhere: what it is asked, for whom, and what is refused without asking.

use std::num::NonZeroU32;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::super::testing::forwarding::{detail, resources};
use super::super::super::testing::{ALIAS, FOREIGN, ORDERS, World, statement, unlimited};
use super::*;
use crate::backend::aws::testing::{ACCOUNT, Forwarding, KEY, OTHER_KEY, REGION, Reply, Sent, TestKms, settings};
use crate::clock::Clock;
use crate::kms::ExceptionKind;
use crate::limits::{Quota, Quotas};

const USE: &str = "Encrypt";
const FOREIGN_KEY: &str = "arn:aws:kms:us-east-1:444455556666:key/1234abcd-12ab-34cd-56ef-1234567890ab";

fn of(key: &str) -> Value {
    json!({"KeyId": key, "Plaintext": "c2VjcmV0"})
}

/// Answers look-ups by `described`, and everything else as done with [`KEY`].
fn looked_up(sent: &Sent, described: impl FnOnce() -> Reply) -> Reply {
    if sent.operation == "DescribeKey" { described() } else { Reply::ok(&json!({"KeyId": KEY})) }
}

async fn describing_key() -> TestKms {
    TestKms::start(|sent| looked_up(sent, || Reply::described(KEY))).await
}

fn look_ups(kms: &TestKms) -> Vec<(String, Value)> {
    let all = kms.sent().into_iter().filter(|sent| sent.operation != USE);
    all.map(|sent| (sent.operation.clone(), sent.json())).collect()
}

#[tokio::test]
async fn a_key_that_is_named_by_its_arn_is_known_without_asking() {
    let kms = describing_key().await;
    let world = World::new();
    let forwarding = world.forwarding(&kms).await;
    world.forwarded(&forwarding, USE, &of(KEY)).await.unwrap();
    assert_eq!(kms.asked(), [USE]);
    assert_eq!(resources(&world.last_record()), [KEY]);
}

#[tokio::test]
async fn an_id_and_an_alias_are_looked_up_once() {
    let id = KEY.rsplit('/').next().unwrap();
    // As they were sent: an ARN says whose alias it is.
    for named in [id, ALIAS, "arn:aws:kms:us-east-1:111122223333:alias/orders"] {
        let kms = describing_key().await;
        let world = World::with_policy(statement("kms:*", KEY));
        let forwarding = world.forwarding(&kms).await;
        for _ in 0..3 {
            world.forwarded(&forwarding, USE, &of(named)).await.unwrap();
            assert_eq!(resources(&world.last_record()), [KEY]);
        }
        assert_eq!(look_ups(&kms), [("DescribeKey".to_owned(), json!({"KeyId": named}))]);
    }
}

#[tokio::test]
async fn that_there_is_no_such_key_is_told_in_the_words_of_kms_and_kept() {
    let missing = "Alias arn:aws:kms:us-east-1:111122223333:alias/orders is not found.";
    let kms = TestKms::replying([Reply::error(400, "NotFoundException", missing)]).await;
    let world = World::new();
    let forwarding = world.forwarding(&kms).await;
    for _ in 0..2 {
        let (refusal, _) = world.refused(&forwarding, USE, &of(ALIAS)).await;
        assert_eq!((refusal.kind(), refusal.message()), (ExceptionKind::NotFound, Some(missing)));
    }
    assert_eq!(kms.asked(), ["DescribeKey"]);
}

#[tokio::test]
async fn only_what_policies_ask_about_a_key_is_looked_up() {
    let by = |condition: Value| json!({"Effect": "Allow", "Action": "kms:*", "Resource": "*", "Condition": condition});
    for (policy, asked) in [
        (statement("kms:*", "*"), vec![]),
        (by(json!({"StringEquals": {"kms:KeySpec": "SYMMETRIC_DEFAULT"}})), vec!["DescribeKey"]),
        (by(json!({"StringEquals": {"aws:ResourceTag/team": "orders"}})), vec!["DescribeKey", "ListResourceTags"]),
        (by(json!({"ForAnyValue:StringEquals": {"kms:ResourceAliases": ALIAS}})), vec!["DescribeKey", "ListAliases"]),
        (by(json!({"StringEquals": {"kms:EncryptionContext:order": "7"}})), vec![]),
    ] {
        let kms = TestKms::start(|sent| match &*sent.operation {
            "ListResourceTags" => Reply::ok(&json!({"Tags": [{"TagKey": "team", "TagValue": "orders"}]})),
            "ListAliases" => Reply::ok(&json!({"Aliases": [{"AliasName": ALIAS}]})),
            _ => looked_up(sent, || Reply::described(KEY)),
        })
        .await;
        let world = World::with_policy(policy.clone());
        let forwarding = world.forwarding(&kms).await;
        let mut body = of(KEY);
        body["EncryptionContext"] = json!({"order": "7"});
        for _ in 0..2 {
            world.forwarded(&forwarding, USE, &body).await.unwrap();
        }
        let look_ups: Vec<_> = look_ups(&kms).into_iter().map(|(operation, _)| operation).collect();
        assert_eq!(look_ups, asked, "{policy}");
    }
}

#[tokio::test]
async fn tags_and_aliases_are_read_to_the_last_page_and_pages_without_end_are_a_fault() {
    let tagged = json!({"Effect": "Allow", "Action": "kms:*", "Resource": "*",
        "Condition": {"StringEquals": {"aws:ResourceTag/last": "yes"}}});
    for endless in [false, true] {
        let kms = TestKms::start(move |sent| match (&*sent.operation, sent.json()["Marker"].as_str()) {
            ("ListResourceTags", Some("next")) if !endless => {
                Reply::ok(&json!({"Tags": [{"TagKey": "last", "TagValue": "yes"}], "Truncated": false}))
            }
            ("ListResourceTags", _) => Reply::ok(&json!({"Tags": [], "Truncated": true, "NextMarker": "next"})),
            _ => looked_up(sent, || Reply::described(KEY)),
        })
        .await;
        let world = World::with_policy(tagged.clone());
        let forwarding = world.forwarding(&kms).await;
        let answer = world.forwarded(&forwarding, USE, &of(KEY)).await;
        assert_eq!(answer.is_ok(), !endless);
        let pages = look_ups(&kms).into_iter().filter(|(operation, _)| operation == "ListResourceTags").count();
        assert_eq!(pages, if endless { 10 } else { 2 });
    }
}

#[tokio::test]
async fn a_look_up_is_charged_to_who_caused_it() {
    let kms = TestKms::replying([Reply::error(400, "NotFoundException", "")]).await;
    let world = World::new();
    let both = settings([kms.of(ACCOUNT, REGION), kms.of("444455556666", REGION)]);
    let forwarding = Forwarding::by(&both, false, &Clock::Manual(world.clock.clone())).await;
    let one = NonZeroU32::MIN;
    let hour = Quota { per_second: one, burst: one, max_wait: Duration::ZERO };
    let quotas = Quotas { principal: Some(hour), ..Quotas::default() };
    let limits = Arc::new(ArcSwap::from_pointee(Limits::new(&quotas)));
    let asked = async |by, name: &str| {
        let request = world.signed(by, USE, &of(name).to_string(), &[]);
        let error = world.forwarded_within(&forwarding, Arc::clone(&limits), request).await.unwrap_err();
        error.exception().kind()
    };
    assert_eq!(asked(ORDERS, "alias/1").await, ExceptionKind::NotFound);
    let mut throttled = asked(ORDERS, "alias/2").await;
    let mut next = 3;
    // On a slow machine a second may have passed, and with it one more may be asked.
    while throttled == ExceptionKind::NotFound && next < 1_000 {
        throttled = asked(ORDERS, &format!("alias/{next}")).await;
        next += 1;
    }
    assert_eq!(throttled, ExceptionKind::Throttling);
    assert_eq!(world.last_record()["additionalEventData"]["gateway"]["limiter"], "principal");
    let before = kms.sent().len();
    // What is known costs nothing, and another has a quota of his own.
    assert_eq!(asked(ORDERS, "alias/1").await, ExceptionKind::NotFound);
    assert_eq!(kms.sent().len(), before);
    assert_eq!(asked(FOREIGN, "alias/1").await, ExceptionKind::NotFound);
}

#[tokio::test]
async fn keys_of_accounts_and_regions_without_an_upstream_are_refused_with_nothing_sent() {
    let kms = TestKms::silent().await;
    let world = World::new();
    let forwarding = world.forwarding(&kms).await;
    let replica = json!({"KeyId": KEY, "ReplicaRegion": "eu-west-1"});
    let primary = json!({"KeyId": KEY, "PrimaryRegion": "eu-west-1"});
    for request in [
        world.request(USE, &of(FOREIGN_KEY)),
        world.request(USE, &of("arn:aws:kms:us-east-1:444455556666:alias/orders")),
        world.request_in("eu-west-1", USE, &of(ALIAS)),
        world.request_in("eu-west-1", "ListKeys", &json!({})),
        world.request("ReplicateKey", &replica),
        world.request("UpdatePrimaryRegion", &primary),
    ] {
        let error = world.forwarded_within(&forwarding, unlimited(), request).await.unwrap_err();
        assert_eq!(error.exception().kind(), ExceptionKind::AccessDenied, "{}", world.last_record());
    }
    assert!(kms.sent().is_empty());
}

#[tokio::test]
async fn a_key_of_another_account_is_asked_for_at_its_own_kms() {
    let (ours, theirs) =
        (TestKms::silent().await, TestKms::replying([Reply::ok(&json!({"KeyId": FOREIGN_KEY}))]).await);
    let world = World::new();
    let both = settings([ours.of(ACCOUNT, REGION), theirs.of("444455556666", REGION)]);
    let forwarding = Forwarding::by(&both, false, &Clock::Manual(world.clock.clone())).await;
    world.forwarded(&forwarding, USE, &of(FOREIGN_KEY)).await.unwrap();
    assert_eq!((ours.asked().len(), theirs.asked().len()), (0, 1));
}

#[tokio::test]
async fn names_that_an_operation_does_not_take_are_refused_with_nothing_sent() {
    let kms = TestKms::silent().await;
    let world = World::new();
    let forwarding = world.forwarding(&kms).await;
    for (operation, body) in [
        ("ScheduleKeyDeletion", json!({"KeyId": ALIAS})),
        ("CreateAlias", json!({"AliasName": "alias/new", "TargetKeyId": ALIAS})),
        (USE, of("arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab")),
        (USE, of("arn:aws:s3:::bucket")),
    ] {
        let (refusal, _) = world.refused(&forwarding, operation, &body).await;
        assert!(refusal.kind().status().is_client_error(), "{operation}: {refusal:?}");
    }
    assert!(kms.sent().is_empty());
}

#[tokio::test]
async fn a_look_up_that_fails_is_told_as_a_call_that_does() {
    let elsewhere = OTHER_KEY.replace(ACCOUNT, "999988887777");
    for (reply, kind, told_operator) in [
        (Reply::error(400, "AccessDeniedException", "not for kmsgate"), ExceptionKind::AccessDenied, "not for kmsgate"),
        (Reply::error(400, "ThrottlingException", ""), ExceptionKind::Throttling, "throttles"),
        (Reply::error(500, "KMSInternalException", ""), ExceptionKind::KmsInternal, "KMSInternalException"),
        (Reply::error(400, "SomethingNewException", ""), ExceptionKind::KmsInternal, "SomethingNewException"),
        (Reply::HangUp, ExceptionKind::KmsInternal, "broke"),
        (Reply::ok(&json!({})), ExceptionKind::KmsInternal, "does not name its key"),
        (Reply::ok(&json!({"KeyMetadata": {"Arn": ALIAS}})), ExceptionKind::KmsInternal, "no key ARN"),
        (Reply::described(&elsewhere), ExceptionKind::AccessDenied, &*elsewhere),
    ] {
        let kms = TestKms::replying([reply]).await;
        let world = World::new();
        let forwarding = world.forwarding(&kms).await;
        let (refusal, record) = world.refused(&forwarding, USE, &of(ALIAS)).await;
        assert_eq!(refusal.kind(), kind, "{record:#}");
        assert!(detail(&record).contains(told_operator), "{told_operator}: {record:#}");
        assert!(!refusal.message().unwrap_or_default().contains("kmsgate"));
        assert!(kms.asked().iter().all(|operation| operation == "DescribeKey"));
    }
}

#[tokio::test]
async fn a_key_is_looked_up_again_for_a_policy_that_refused_it_for_what_it_is() {
    let tagged = json!({"Effect": "Allow", "Action": "kms:*", "Resource": "*",
        "Condition": {"StringEquals": {"aws:ResourceTag/team": "orders"}}});
    let kms = TestKms::start(|sent| match &*sent.operation {
        "ListResourceTags" => Reply::ok(&json!({"Tags": []})),
        _ => looked_up(sent, || Reply::described(KEY)),
    })
    .await;
    let world = World::with_policy(tagged);
    let forwarding = world.forwarding(&kms).await;
    let (refusal, _) = world.refused(&forwarding, USE, &of(KEY)).await;
    assert_eq!(refusal.kind(), ExceptionKind::AccessDenied);
    // Not at once: a refusal could else be made to ask KMS as often as one likes.
    world.refused(&forwarding, USE, &of(KEY)).await;
    assert_eq!(kms.asked(), ["DescribeKey", "ListResourceTags"]);
}
