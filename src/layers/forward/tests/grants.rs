//! Grants and their tokens, of which the gateway has no store here.

use super::*;
use crate::backend::aws::testing::{ACCOUNT, REGION, settings};
use crate::clock::Clock;

const STRANGER: &str = "arn:aws:iam::444455556666:user/somebody";

async fn forwarding(world: &World, kms: &TestKms, foreign: bool) -> Forwarding {
    Forwarding::by(&settings([kms.of(ACCOUNT, REGION)]), foreign, &Clock::Manual(world.clock.clone())).await
}

fn grant_to(principal: &str) -> Value {
    json!({"KeyId": KEY, "GranteePrincipal": principal, "Operations": ["Decrypt"]})
}

#[tokio::test]
async fn no_grant_to_the_gateways_own_principals_is_sent() {
    let kms = TestKms::silent().await;
    let world = World::new();
    for foreign in [false, true] {
        let forwarding = forwarding(&world, &kms, foreign).await;
        let mut retiring = grant_to(STRANGER);
        retiring["RetiringPrincipal"] = json!(ORDERS_ARN);
        for body in [grant_to(ORDERS_ARN), retiring] {
            let (refusal, _) = world.refused(&forwarding, "CreateGrant", &body).await;
            assert_eq!(refusal.kind(), ExceptionKind::UnsupportedOperation);
        }
    }
    assert!(kms.sent().is_empty());
}

#[tokio::test]
async fn a_grant_to_a_stranger_is_sent_only_where_that_is_wanted_and_its_id_recorded() {
    let kms = TestKms::replying([Reply::ok(&json!({"GrantId": "0123abcd", "GrantToken": "dG9rZW4"}))]).await;
    let world = World::new();
    let refusing = forwarding(&world, &kms, false).await;
    let mut unheard_of = json!({"KeyId": KEY, "Operations": ["Decrypt"]});
    unheard_of["GranteeOfANewKind"] = json!(STRANGER);
    for body in [grant_to(STRANGER), unheard_of] {
        let (refusal, _) = world.refused(&refusing, "CreateGrant", &body).await;
        assert_eq!(refusal.kind(), ExceptionKind::UnsupportedOperation);
    }
    assert!(kms.sent().is_empty());
    let passing = forwarding(&world, &kms, true).await;
    world.forwarded(&passing, "CreateGrant", &grant_to(STRANGER)).await.unwrap();
    let record = world.last_record();
    assert_eq!(record["responseElements"], json!({"grantId": "0123abcd", "keyId": KEY}));
    assert!(!record.to_string().contains("dG9rZW4"), "{record:#}");
}

#[tokio::test]
async fn a_grant_that_is_taken_away_is_recorded_by_its_id() {
    let kms = TestKms::replying([Reply::done()]).await;
    let world = World::new();
    let forwarding = forwarding(&world, &kms, false).await;
    world.forwarded(&forwarding, "RevokeGrant", &json!({"KeyId": KEY, "GrantId": "0123abcd"})).await.unwrap();
    let record = world.last_record();
    assert_eq!(record["additionalEventData"]["grantId"], "0123abcd");
    assert_eq!(record["responseElements"], json!({"keyId": KEY}));
}

#[tokio::test]
async fn grant_tokens_are_refused_or_sent_on_and_give_nothing_here() {
    let kms = TestKms::replying([used(KEY)]).await;
    let mut body = named(KEY);
    body["GrantTokens"] = json!(["dG9rZW4"]);
    let world = World::new();
    let (refusal, _) = world.refused(&forwarding(&world, &kms, false).await, GENERATE, &body).await;
    assert_eq!(refusal.kind(), ExceptionKind::InvalidGrantToken);
    let nobody = World::with_policy(statement("kms:Encrypt", "*"));
    let (refusal, _) = nobody.refused(&forwarding(&nobody, &kms, true).await, GENERATE, &body).await;
    assert_eq!(refusal.kind(), ExceptionKind::AccessDenied);
    assert!(kms.sent().is_empty());
    world.forwarded(&forwarding(&world, &kms, true).await, GENERATE, &body).await.unwrap();
    assert_eq!(kms.sent()[0].json()["GrantTokens"], json!(["dG9rZW4"]));
}
