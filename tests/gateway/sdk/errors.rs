//! Every error that the gateway serves, as the variant that the SDK has for it, with KMS's text.
//!
//! An operation that does not list an error has no variant for it: the SDK then knows it by its code.

use aws_sdk_kms::Client;
use aws_sdk_kms::config::Credentials;
use aws_sdk_kms::error::ProvideErrorMetadata;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{DataKeySpec, EncryptionAlgorithmSpec, OriginType, SigningAlgorithmSpec, Tag};
use serde_json::json;

use super::{admin, client, code_and_text, config, refusal};
use crate::harness::{ACCOUNT, Caller, Gateway, REGION, Site};

/// Asserts the variant and the text of a refusal.
macro_rules! refused {
    ($call:expr, $is:ident, $text:expr) => {{
        let refused = refusal($call.send().await);
        assert!(refused.$is(), "{refused:?}");
        let text: Option<&str> = $text;
        assert_eq!(refused.message(), text);
    }};
    // A text that nobody has recorded from KMS.
    ($call:expr, $is:ident) => {{
        let refused = refusal($call.send().await);
        assert!(refused.$is(), "{refused:?}");
    }};
}

fn encrypt(kms: &Client, key: &str) -> aws_sdk_kms::operation::encrypt::builders::EncryptFluentBuilder {
    kms.encrypt().key_id(key).plaintext(Blob::new("secret"))
}

#[tokio::test]
async fn errors_of_keys_and_their_state() {
    let gateway = Site::new().start();
    let (kms, key) = (admin(&gateway), gateway.create_key());
    let id = "1234abcd-12ab-34cd-56ef-1234567890ab";
    let absent = format!("Key 'arn:aws:kms:{REGION}:{ACCOUNT}:key/{id}' does not exist");
    refused!(encrypt(&kms, id), is_not_found_exception, Some(&absent));
    refused!(kms.describe_key().key_id(id), is_not_found_exception, Some(&absent));
    refused!(kms.enable_key().key_id(id), is_not_found_exception, Some(&absent));
    let data_key = |key: &str| kms.generate_data_key_without_plaintext().key_id(key).key_spec(DataKeySpec::Aes256);
    refused!(data_key("fake-key-id"), is_not_found_exception, Some("Invalid keyId 'fake-key-id'"));
    let text = "Key Aliases are not supported for this operation.";
    refused!(kms.disable_key().key_id("alias/x"), is_invalid_arn_exception, Some(text));

    kms.disable_key().key_id(&key).send().await.unwrap();
    let disabled = format!("{key} is disabled.");
    refused!(data_key(&key), is_disabled_exception, Some(&disabled));
    refused!(encrypt(&kms, &key), is_disabled_exception, Some(&disabled));
    kms.schedule_key_deletion().key_id(&key).send().await.unwrap();
    let pending = format!("{key} is pending deletion.");
    refused!(data_key(&key), is_kms_invalid_state_exception, Some(&pending));
    refused!(kms.enable_key().key_id(&key), is_kms_invalid_state_exception, Some(&pending));
    let alias = kms.create_alias().alias_name("alias/late").target_key_id(&key);
    refused!(alias, is_kms_invalid_state_exception, Some(&pending));
    kms.cancel_key_deletion().key_id(&key).send().await.unwrap();
    let not_pending = format!("{key} is not pending deletion.");
    refused!(kms.cancel_key_deletion().key_id(&key), is_kms_invalid_state_exception, Some(&not_pending));
}

#[tokio::test]
async fn errors_of_ciphertexts_and_what_is_asked_with_them() {
    let gateway = Site::new().start();
    let (kms, key, other) = (admin(&gateway), gateway.create_key(), gateway.create_key());
    let blob = encrypt(&kms, &key).send().await.unwrap().ciphertext_blob.unwrap();
    let open = |blob: &Blob| kms.decrypt().ciphertext_blob(blob.clone());
    let incorrect = "The key ID in the request does not identify a CMK that can perform this operation.";
    refused!(open(&blob).key_id(&other), is_incorrect_key_exception, Some(incorrect));
    let moved = |blob: &Blob| kms.re_encrypt().ciphertext_blob(blob.clone()).destination_key_id(&other);
    refused!(moved(&blob).source_key_id(&other), is_incorrect_key_exception, Some(incorrect));
    // Whatever is wrong with a ciphertext, KMS says no more than that.
    let bytes = blob.as_ref();
    let flipped = |index: usize| {
        let mut bytes = bytes.to_vec();
        bytes[index] ^= 1;
        Blob::new(bytes)
    };
    let mut broken: Vec<_> = (0..bytes.len()).step_by(7).map(flipped).collect();
    broken.extend([flipped(bytes.len() - 1), Blob::new(&bytes[1..]), Blob::new(&bytes[..bytes.len() - 1])]);
    broken.extend([Blob::new([bytes, b"\0"].concat()), Blob::new("garbage"), Blob::new([0])]);
    for blob in broken {
        refused!(open(&blob), is_invalid_ciphertext_exception, None);
        refused!(open(&blob).key_id(&key), is_invalid_ciphertext_exception, None);
        refused!(moved(&blob), is_invalid_ciphertext_exception, None);
    }
    let rsa = EncryptionAlgorithmSpec::RsaesOaepSha256;
    let text = "Algorithm RSAES_OAEP_SHA_256 is incompatible with key spec SYMMETRIC_DEFAULT.";
    refused!(encrypt(&kms, &key).encryption_algorithm(rsa), is_invalid_key_usage_exception, Some(text));
    refused!(encrypt(&kms, &key).grant_tokens("not a token"), is_invalid_grant_token_exception);
    let dry = "The request would have succeeded, but the DryRun option is set.";
    refused!(encrypt(&kms, &key).dry_run(true), is_dry_run_operation_exception, Some(dry));
    refused!(open(&blob).dry_run(true), is_dry_run_operation_exception, Some(dry));
    refused!(moved(&blob).dry_run(true), is_dry_run_operation_exception, Some(dry));
    let data_key = kms.generate_data_key().key_id(&key).number_of_bytes(32).dry_run(true);
    refused!(data_key, is_dry_run_operation_exception, Some(dry));
    let data_key = kms.generate_data_key_without_plaintext().key_id(&key).number_of_bytes(32).dry_run(true);
    refused!(data_key, is_dry_run_operation_exception, Some(dry));
}

/// Every call that seals binds its context, and every call that opens asks for it.
#[tokio::test]
async fn errors_of_another_encryption_context() {
    let gateway = Site::new().start();
    let (kms, key) = (admin(&gateway), gateway.create_key());
    let sealed = encrypt(&kms, &key).encryption_context("tenant", "blue").send().await.unwrap().ciphertext_blob;
    let made = kms.generate_data_key().key_id(&key).key_spec(DataKeySpec::Aes128).encryption_context("tenant", "blue");
    let made = made.send().await.unwrap().ciphertext_blob;
    let kept = kms.generate_data_key_without_plaintext().key_id(&key).key_spec(DataKeySpec::Aes256);
    let kept = kept.encryption_context("tenant", "blue").send().await.unwrap().ciphertext_blob;
    for blob in [sealed, made, kept].map(Option::unwrap) {
        let open = || kms.decrypt().ciphertext_blob(blob.clone());
        refused!(open(), is_invalid_ciphertext_exception, None);
        refused!(open().encryption_context("tenant", "Blue"), is_invalid_ciphertext_exception, None);
        refused!(open().encryption_context("Tenant", "blue"), is_invalid_ciphertext_exception, None);
        let moved = || kms.re_encrypt().ciphertext_blob(blob.clone()).destination_key_id(&key);
        refused!(moved(), is_invalid_ciphertext_exception, None);
        refused!(moved().destination_encryption_context("tenant", "blue"), is_invalid_ciphertext_exception, None);
        let moved = moved().source_encryption_context("tenant", "blue").send().await.unwrap().ciphertext_blob.unwrap();
        let opened = open().encryption_context("tenant", "blue").send().await.unwrap();
        // Moved without a context, it needs none.
        let opened_again = kms.decrypt().ciphertext_blob(moved).key_id(&key).send().await.unwrap();
        assert_eq!(opened.plaintext(), opened_again.plaintext());
    }
}

#[tokio::test]
async fn errors_of_what_is_made_and_listed() {
    let gateway = Site::new().start();
    let (kms, key) = (admin(&gateway), gateway.create_key());
    let alias = |name: &str| kms.create_alias().alias_name(name).target_key_id(&key);
    alias("alias/orders").send().await.unwrap();
    let text = format!("An alias with the name arn:aws:kms:{REGION}:{ACCOUNT}:alias/orders already exists");
    refused!(alias("alias/orders"), is_already_exists_exception, Some(&text));
    refused!(alias("alias/aws/orders"), is_invalid_alias_name_exception);
    for index in 1..50 {
        alias(&format!("alias/{index}")).send().await.unwrap();
    }
    refused!(alias("alias/50"), is_limit_exceeded_exception);
    let tag = |key: &str| Tag::builder().tag_key(key).tag_value("v").build().unwrap();
    refused!(kms.create_key().tags(tag("k")).tags(tag("k")), is_tag_exception, Some("Duplicate tag keys"));
    refused!(kms.create_key().origin(OriginType::AwsCloudhsm), is_unsupported_operation_exception);
    refused!(kms.list_keys().marker("x"), is_invalid_marker_exception);
    refused!(kms.list_aliases().marker("x"), is_invalid_marker_exception);
}

#[tokio::test]
async fn errors_that_no_operation_lists_are_known_by_their_code() {
    let gateway = Site::new().start();
    let (kms, key) = (admin(&gateway), gateway.create_key());
    let refused = refusal(kms.generate_random().number_of_bytes(0).send().await);
    let text = "1 validation error detected: Value '0' at 'numberOfBytes' failed to satisfy constraint: Member must have \
                value greater than or equal to 1";
    assert_eq!(code_and_text(&refused), (Some("ValidationException"), Some(text)));
    let sign = kms.sign().key_id(&key).message(Blob::new("m")).signing_algorithm(SigningAlgorithmSpec::EcdsaSha256);
    assert_eq!(refusal(sign.send().await).code(), Some("UnsupportedOperationException"));
    // All of it is sent before the answer is read.
    let large = encrypt(&kms, &key).encryption_context("k", "v".repeat(150_000));
    assert_eq!(refusal(large.send().await).code(), Some("RequestEntityTooLargeException"));
    let larger = kms.create_key().policy("p".repeat(4_000_000));
    assert_eq!(refusal(larger.send().await).code(), Some("RequestEntityTooLargeException"));

    let stranger = client(&gateway, &Caller::generate("nobody"));
    let text = "The security token included in the request is invalid.";
    let refused = refusal(stranger.list_keys().send().await);
    assert_eq!(code_and_text(&refused), (Some("UnrecognizedClientException"), Some(text)));
    let mistaken = Caller { secret: "x".repeat(40), ..gateway.site.admin.clone() };
    let text = "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
                Access Key and signing method. Consult the service documentation for details.";
    let refused = refusal(client(&gateway, &mistaken).list_keys().send().await);
    assert_eq!(code_and_text(&refused), (Some("InvalidSignatureException"), Some(text)));
    // Nobody was given a session token.
    let Caller { access_key_id, secret, .. } = &gateway.site.admin;
    let with_token = Credentials::new(access_key_id, secret, Some("token".into()), None, "test");
    let with_token =
        config(&gateway.site.admin, &format!("http://{}", gateway.address)).credentials_provider(with_token);
    let refused = refusal(Client::from_conf(with_token.build()).list_keys().send().await);
    assert_eq!(refused.code(), Some("UnrecognizedClientException"));
}

#[tokio::test]
async fn faults_of_the_gateway_are_read_too() {
    // Nothing more can be stored.
    let gateway = Gateway::serve_limited(Site::new().set("audit.file", "'/dev/null'"), "trap '' XFSZ; ulimit -f 100");
    let kms = admin(&gateway);
    let failed = loop {
        if let Err(error) = kms.create_key().description("d".repeat(8000)).send().await {
            break refusal::<(), _, _>(Err(error));
        }
    };
    assert!(failed.is_kms_internal_exception(), "{failed:?}");

    let gateway = Site::new()
        .set("server.request_timeout_ms", 300)
        .set("server.body_read_timeout_ms", 300)
        .set("limits.principal", "{ per_second = 1, burst = 1, max_wait_ms = 1000 }")
        .start();
    let kms = admin(&gateway);
    kms.generate_random().number_of_bytes(8).send().await.unwrap();
    refused!(kms.generate_random().number_of_bytes(8), is_dependency_timeout_exception);

    let gateway = Site::new().set("server.max_in_flight", 1).start();
    let request = gateway.site.admin.request(&gateway.host(), "GenerateRandom", &json!({"NumberOfBytes": 8}));
    let mut holder = gateway.connect();
    holder.begin(&request);
    let refused = refusal(admin(&gateway).generate_random().number_of_bytes(8).send().await);
    assert_eq!(refused.code(), Some("ServiceUnavailableException"));
    // An SDK tries again; by then there is room.
    let retries = aws_sdk_kms::config::retry::RetryConfig::standard().with_max_attempts(50);
    let retries = retries.with_initial_backoff(std::time::Duration::from_millis(10));
    let patient = config(&gateway.site.admin, &format!("http://{}", gateway.address)).retry_config(retries).build();
    let patient = tokio::spawn(Client::from_conf(patient).generate_random().number_of_bytes(8).send());
    holder.send(&request.body);
    holder.answer().granted();
    patient.await.unwrap().unwrap();
}
