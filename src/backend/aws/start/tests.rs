//! What settings come to.

use std::cell::RefCell;
use std::num::NonZeroU32;
use std::time::Duration;

use aws_credential_types::Credentials;
use tokio::sync::oneshot;

use super::super::testing::{ACCOUNT, REGION, clock, running, settings};
use super::super::{AwsBackend, Replicas};
use super::*;

fn of_aws(region: &str, fips: bool, dual_stack: bool) -> UpstreamSettings {
    UpstreamSettings {
        region: region.parse().unwrap(),
        account: ACCOUNT.parse().unwrap(),
        endpoint: EndpointSettings::Aws { fips, dual_stack },
        role: None,
    }
}

fn role(name: &str) -> Role {
    let arn = format!("arn:aws:iam::{ACCOUNT}:role/{name}").into();
    Role { arn, session_name: "kmsgate".into(), external_id: None }
}

#[test]
fn an_upstream_of_awss_is_where_its_sdks_look_for_it() {
    // AWS General Reference, "AWS Key Management Service endpoints and quotas".
    for (region, fips, dual_stack, url) in [
        ("us-east-1", false, false, "https://kms.us-east-1.amazonaws.com/"),
        ("us-east-1", true, false, "https://kms-fips.us-east-1.amazonaws.com/"),
        ("eu-west-1", false, true, "https://kms.eu-west-1.api.aws/"),
        ("cn-north-1", false, false, "https://kms.cn-north-1.amazonaws.com.cn/"),
    ] {
        let found = endpoints(&settings([of_aws(region, fips, dual_stack)])).unwrap();
        assert_eq!(found, [(format!("{ACCOUNT}/{region}").into(), url.parse().unwrap())]);
    }
}

#[test]
fn an_upstream_that_cannot_be_called_is_named_with_the_reason() {
    let mut one = of_aws(REGION, false, false);
    one.endpoint = EndpointSettings::Url {
        url: "https://kms.example.com".parse().unwrap(),
        ca_file: Some("/nowhere/ca.pem".into()),
    };
    let error = endpoints(&settings([one])).unwrap_err().to_string();
    assert!(error.contains("111122223333/us-east-1") && error.contains("/nowhere/ca.pem"), "{error}");
}

#[tokio::test]
async fn upstreams_of_one_role_share_its_credentials() {
    let of = |region, role| UpstreamSettings { role, ..of_aws(region, false, false) };
    let settings = settings([
        of("us-east-1", None),
        of("eu-west-1", None),
        of("us-west-2", Some(role("one"))),
        of("eu-central-1", Some(role("two"))),
        of("eu-north-1", Some(role("one"))),
    ]);
    let loaded = RefCell::new(Vec::new());
    let clock = clock();
    let load = |handle: &Handle, _: &Region, role: Option<&Role>| {
        loaded.borrow_mut().push(role.map(|role| role.arn.clone()));
        let found = Credentials::new("AKIAIOSFODNN7EXAMPLE", "secret", None, None, "test");
        CredentialSource::start_with(handle, "test", found, clock.clone())
    };
    let running = Running::start_with(&settings, false, &clock, &ProxySettings::none(), load).unwrap();
    assert_eq!(loaded.take(), [None, Some(role("one").arn), Some(role("two").arn)]);
    let all = &running.upstreams().all;
    assert!(Arc::ptr_eq(&all[2].credentials, &all[4].credentials));
}

#[tokio::test]
async fn credentials_that_do_not_say_whose_they_are_are_of_the_first_account_that_they_are_used_for() {
    const OTHER: &str = "444455556666";
    let of = |account: &str, role| UpstreamSettings {
        account: account.parse().unwrap(),
        role,
        ..of_aws(REGION, false, false)
    };
    let settings = settings([of(ACCOUNT, None), of(OTHER, None), of("777788889999", Some(role("theirs")))]);
    for (said, another) in [(None, [false, true, false]), (Some(OTHER), [true, false, true])] {
        let clock = clock();
        let load = |handle: &Handle, _: &Region, _: Option<&Role>| {
            let mut found = Credentials::builder();
            found.set_account_id(said.map(Into::into));
            let found = found.access_key_id("AKIAIOSFODNN7EXAMPLE").secret_access_key("secret").provider_name("test");
            CredentialSource::start_with(handle, "test", found.build(), clock.clone())
        };
        let running = Running::start_with(&settings, false, &clock, &ProxySettings::none(), load).unwrap();
        let all = &running.upstreams().all;
        for upstream in all {
            upstream.credentials.attempted().await;
        }
        let told: Vec<_> = all.iter().map(Upstream::has_credentials_of_another).collect();
        assert_eq!(told, another, "{said:?}");
    }
}

#[tokio::test]
async fn the_end_waits_for_changes_under_way() {
    let running = running(&settings([of_aws(REGION, false, false)]), false, &clock()).await;
    let backend = AwsBackend::new(running.upstreams());
    let (go, told) = oneshot::channel::<()>();
    let (done, outcome) = std::sync::mpsc::channel();
    drop(backend.detached(async move {
        let _ = told.await;
        // The end has begun before the change has ended.
        tokio::time::sleep(Duration::from_millis(50)).await;
        done.send("done").unwrap();
    }));
    drop(backend);
    go.send(()).unwrap();
    drop(running);
    // It is there already: nothing goes on after this.
    assert_eq!(outcome.try_recv(), Ok("done"));
}

#[test]
fn the_budget_is_the_percentage_of_what_aws_allows_or_has_agreed_on() {
    let share = ShareSettings {
        percent: 80,
        per_second: vec![(UpstreamQuota::Rsa, 5_000)],
        replicas: Replicas::Fixed(NonZeroU32::MIN),
    };
    let budgets = budgets(&share, &REGION.parse().unwrap());
    let of = |quota: UpstreamQuota| budgets[quota as usize];
    // The developer guide, "Request quotas": 100,000 in us-east-1.
    assert_eq!(of(UpstreamQuota::Symmetric), ("symmetric", 80_000.0));
    assert_eq!(of(UpstreamQuota::Rsa), ("rsa", 4_000.0));
    assert_eq!(budgets.len(), UpstreamQuota::ALL.len());
}
