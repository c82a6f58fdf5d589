//! The AWS SDK for Rust, as programs use it: it finds what it knows of KMS, and reads each refusal as its own type.

mod errors;
mod tls;

use std::time::Duration;

use aws_sdk_kms::config::retry::RetryConfig;
use aws_sdk_kms::config::{BehaviorVersion, Builder, Credentials, Region};
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{DataKeySpec, KeyState};
use aws_sdk_kms::{Client, Config};
use serde_json::Value;

use crate::harness::{Caller, Gateway, REGION, Site, now};

/// The SDK as `caller` sets it up, but that it tries once.
fn config(caller: &Caller, endpoint: &str) -> Builder {
    let (id, secret) = (&caller.access_key_id, &caller.secret);
    Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .endpoint_url(endpoint)
        .credentials_provider(Credentials::new(id, secret, None, None, "test"))
        .retry_config(RetryConfig::disabled())
}

fn client(gateway: &Gateway, caller: &Caller) -> Client {
    Client::from_conf(config(caller, &format!("http://{}", gateway.address)).build())
}

fn admin(gateway: &Gateway) -> Client {
    client(gateway, &gateway.site.admin)
}

/// Why KMS refused, as the SDK has it.
fn refusal<T: std::fmt::Debug, E, R>(result: Result<T, SdkError<E, R>>) -> E
where
    E: std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug,
{
    match result.unwrap_err() {
        SdkError::ServiceError(refused) => refused.into_err(),
        other => panic!("not refused by KMS but {other:?}"),
    }
}

fn code_and_text(error: &impl ProvideErrorMetadata) -> (Option<&str>, Option<&str>) {
    (error.code(), error.message())
}

#[tokio::test]
async fn a_data_key_is_made_and_opened() {
    let gateway = Site::new().start();
    let kms = admin(&gateway);
    let key = kms.create_key().description("for orders").send().await.unwrap().key_metadata.unwrap();
    assert_eq!((key.description(), key.key_state()), (Some("for orders"), Some(&KeyState::Enabled)));
    let arn = key.arn().unwrap();
    kms.create_alias().alias_name("alias/orders").target_key_id(key.key_id()).send().await.unwrap();
    let made = kms
        .generate_data_key_without_plaintext()
        .key_id("alias/orders")
        .key_spec(DataKeySpec::Aes256)
        .encryption_context("tenant", "blue")
        .encryption_context("currency", "\u{a3}")
        .send()
        .await
        .unwrap();
    assert_eq!(made.key_id(), Some(arn));
    assert_eq!(made.key_material_id().unwrap().len(), 64);
    let blob = made.ciphertext_blob().unwrap();
    let open = |context: &[(&str, &str)]| {
        context
            .iter()
            .fold(kms.decrypt().ciphertext_blob(blob.clone()), |call, (name, value)| {
                call.encryption_context(*name, *value)
            })
            .send()
    };
    let opened = open(&[("currency", "\u{a3}"), ("tenant", "blue")]).await.unwrap();
    assert_eq!(opened.plaintext().unwrap().as_ref().len(), 32);
    assert_eq!((opened.key_id(), opened.key_material_id()), (Some(arn), made.key_material_id()));
    for context in [&[][..], &[("tenant", "blue")], &[("tenant", "blue"), ("currency", "$")]] {
        let refused = refusal(open(context).await);
        assert!(refused.is_invalid_ciphertext_exception(), "{refused:?}");
        assert_eq!(refused.message(), None, "KMS says nothing more");
    }
    let record = gateway.records_when(1, |record| record["eventName"] == "GenerateDataKeyWithoutPlaintext");
    assert!(record[0]["userAgent"].as_str().unwrap().starts_with("aws-sdk-rust/"), "{record:?}");
    assert_eq!(record[0]["requestParameters"]["encryptionContext"]["tenant"], "blue");
    assert_eq!(record[0]["additionalEventData"]["keyMaterialId"].as_str(), made.key_material_id());
}

#[tokio::test]
async fn the_other_data_key_calls_go_together() {
    let gateway = Site::new().start();
    let kms = admin(&gateway);
    let (first, second) = (gateway.create_key(), gateway.create_key());
    let made = kms.generate_data_key().key_id(&first).number_of_bytes(64).send().await.unwrap();
    let plaintext = made.plaintext().unwrap().clone();
    assert_eq!(plaintext.as_ref().len(), 64);
    let moved = kms
        .re_encrypt()
        .ciphertext_blob(made.ciphertext_blob().unwrap().clone())
        .destination_key_id(&second)
        .destination_encryption_context("tenant", "blue")
        .send()
        .await
        .unwrap();
    assert_eq!((moved.source_key_id(), moved.key_id()), (Some(first.as_str()), Some(second.as_str())));
    let opened = kms
        .decrypt()
        .ciphertext_blob(moved.ciphertext_blob().unwrap().clone())
        .encryption_context("tenant", "blue")
        .send()
        .await
        .unwrap();
    assert_eq!((opened.plaintext(), opened.key_id()), (Some(&plaintext), Some(second.as_str())));
    let sealed = kms.encrypt().key_id(&first).plaintext(Blob::new("secret")).send().await.unwrap();
    let opened = kms.decrypt().ciphertext_blob(sealed.ciphertext_blob().unwrap().clone()).send().await.unwrap();
    assert_eq!(opened.plaintext().unwrap().as_ref(), b"secret");
    let random = kms.generate_random().number_of_bytes(1024).send().await.unwrap();
    assert_eq!(random.plaintext().unwrap().as_ref().len(), 1024);
    // What is secret stands nowhere in the records.
    let audit = std::fs::read_to_string(gateway.site.path("audit.jsonl")).unwrap();
    for secret in [plaintext.as_ref(), b"secret", random.plaintext().unwrap().as_ref()] {
        let text = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, secret);
        assert!(!audit.contains(&text));
    }
    assert!(!audit.contains(&gateway.site.admin.secret) && !audit.contains("Signature="));
}

#[tokio::test]
async fn keys_and_aliases_are_made_found_and_changed() {
    let gateway = Site::new().start();
    let kms = admin(&gateway);
    let mut made = Vec::new();
    for index in 0..5 {
        let key = kms.create_key().send().await.unwrap().key_metadata.unwrap();
        kms.create_alias().alias_name(format!("alias/{index}")).target_key_id(key.key_id()).send().await.unwrap();
        made.push(key.key_id().to_owned());
    }
    let listed: Result<Vec<_>, _> = kms.list_keys().into_paginator().page_size(2).items().send().collect().await;
    let mut listed: Vec<_> = listed.unwrap().into_iter().map(|key| key.key_id.unwrap()).collect();
    listed.sort_unstable();
    made.sort_unstable();
    assert_eq!(listed, made);
    let aliases: Result<Vec<_>, _> = kms.list_aliases().into_paginator().page_size(2).items().send().collect().await;
    assert_eq!(aliases.unwrap().len(), 5);
    let of_key = kms.list_aliases().key_id(&made[0]).send().await.unwrap();
    assert_eq!(of_key.aliases()[0].target_key_id(), Some(made[0].as_str()));
    let state =
        || async { kms.describe_key().key_id(&made[0]).send().await.unwrap().key_metadata.unwrap().key_state.unwrap() };
    kms.disable_key().key_id(&made[0]).send().await.unwrap();
    assert_eq!(state().await, KeyState::Disabled);
    kms.enable_key().key_id(&made[0]).send().await.unwrap();
    assert_eq!(state().await, KeyState::Enabled);
    let scheduled = kms.schedule_key_deletion().key_id(&made[0]).send().await.unwrap();
    assert_eq!(scheduled.pending_window_in_days(), Some(30));
    let in_30_days = kmsgate::clock::Clock::System.now().unix_seconds() + 30 * 24 * 60 * 60;
    assert!((scheduled.deletion_date().unwrap().secs() - in_30_days).abs() < 60);
    assert_eq!(state().await, KeyState::PendingDeletion);
    kms.cancel_key_deletion().key_id(&made[0]).send().await.unwrap();
    assert_eq!(state().await, KeyState::Disabled);
}

#[tokio::test]
async fn a_refused_call_is_not_tried_again() {
    let mut site = Site::new();
    let nobody = site.nobody("nobody");
    let gateway = site.start();
    let key = gateway.create_key();
    let config = config(&nobody, &format!("http://{}", gateway.address)).retry_config(RetryConfig::standard());
    let kms = Client::from_conf(config.build());
    let call = kms.generate_data_key_without_plaintext().key_id(&key).key_spec(DataKeySpec::Aes256);
    let refused = refusal(call.send().await);
    let text = format!(
        "User: {} is not authorized to perform: kms:GenerateDataKeyWithoutPlaintext on resource: {key} because no \
         identity-based policy allows the kms:GenerateDataKeyWithoutPlaintext action",
        nobody.arn
    );
    assert_eq!(code_and_text(&refused), (Some("AccessDeniedException"), Some(text.as_str())));
    assert_eq!(gateway.records().iter().filter(|record| record["errorCode"] == "AccessDenied").count(), 1);
}

#[tokio::test]
async fn a_throttled_call_is_tried_as_often_as_configured() {
    const ATTEMPTS: u32 = 3;
    let text = "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.";
    // Within a second the quota gives nothing back; a machine that is slower than that proves nothing.
    for _ in 0..5 {
        let gateway = Site::new().set("limits.principal", "{ per_second = 1, burst = 1 }").start();
        let retries =
            RetryConfig::standard().with_max_attempts(ATTEMPTS).with_initial_backoff(Duration::from_millis(5));
        let config = config(&gateway.site.admin, &format!("http://{}", gateway.address)).retry_config(retries);
        let kms = Client::from_conf(config.build());
        let began = now();
        kms.list_keys().send().await.unwrap();
        let result = kms.list_keys().send().await;
        if began.elapsed() > Duration::from_millis(900) {
            continue;
        }
        assert_eq!(code_and_text(&refusal(result)), (Some("ThrottlingException"), Some(text)));
        let codes: Vec<_> = gateway.records().iter().map(|record| record["errorCode"].clone()).collect();
        assert_eq!(codes[0], Value::Null);
        assert_eq!(codes.len(), 1 + ATTEMPTS as usize);
        assert!(codes[1..].iter().all(|code| code == "ThrottlingException"), "{codes:?}");
        // With time to wait it succeeds.
        let patient = RetryConfig::standard().with_max_attempts(10).with_initial_backoff(Duration::from_millis(300));
        let patient = Client::from_conf(kms.config().to_builder().retry_config(patient).build());
        patient.list_keys().send().await.unwrap();
        return;
    }
    panic!("the machine is too slow");
}
