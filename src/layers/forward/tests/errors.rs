//! What a client is told of KMS's errors, where its request named the key.

use http::HeaderValue;

use super::*;
use crate::kms::Forwarded;

async fn answered(reply: Reply, key: &str) -> (Result<Answer, Error>, Value, Vec<String>) {
    let kms = TestKms::start(move |sent| leading_to_key(sent, || reply.clone())).await;
    let world = may_use_key_alone();
    let forwarding = world.forwarding(&kms).await;
    let answer = world.forwarded(&forwarding, GENERATE, &named(key)).await;
    // Shows whether the name has to be looked up again.
    let _ = world.forwarded(&forwarding, GENERATE, &named(key)).await;
    (answer, world.records().remove(0), kms.asked())
}

#[tokio::test]
async fn an_error_about_the_request_or_its_key_passes_as_it_is() {
    for (status, name, code) in [
        (400, "ThrottlingException", "ThrottlingException"),
        (500, "KMSInternalException", "KMSInternalException"),
        (400, "NotFoundException", "NotFoundException"),
        (400, "DisabledException", "DisabledException"),
        (400, "ValidationException", "ValidationException"),
        (400, "DryRunOperationException", "DryRunOperationException"),
        (400, "LimitExceededException", "LimitExceededException"),
        (418, "SomethingNewException", "SomethingNewException"),
    ] {
        let (answer, record, _) = answered(Reply::error(status, name, "in words of KMS"), KEY).await;
        let answer = answer.unwrap();
        assert_eq!(
            serde_json::from_slice::<Value>(&answer.body).unwrap(),
            json!({"__type": name, "message": "in words of KMS"})
        );
        let expected = Forwarded {
            status: status.try_into().unwrap(),
            request_id: Some(HeaderValue::from_static(REQUEST_ID)),
            error_type: Some(HeaderValue::from_static(name)),
            failure: Some((name.into(), Some("in words of KMS".into()))),
        };
        assert_eq!(answer.forwarded, Some(Box::new(expected)));
        assert_eq!((error_code(&record), &record["errorMessage"]), (code, &json!("in words of KMS")));
        assert_eq!(record["requestID"], REQUEST_ID);
    }
}

#[tokio::test]
async fn only_errors_about_keys_have_their_names_looked_up_again() {
    for (name, again) in [
        ("DisabledException", true),
        ("NotFoundException", true),
        ("AccessDeniedException", true),
        ("ThrottlingException", false),
        ("ValidationException", false),
    ] {
        let (_, _, asked) = answered(Reply::error(400, name, ""), ALIAS).await;
        let look_ups = asked.iter().filter(|operation| *operation == "DescribeKey").count();
        assert_eq!(look_ups, if again { 2 } else { 1 }, "{name}");
    }
}

#[tokio::test]
async fn that_the_gateway_may_not_is_worded_for_the_caller_and_kept_for_the_operator() {
    let theirs = "User: arn:aws:sts::111122223333:assumed-role/kmsgate/pod is not authorized";
    let (answer, record, _) = answered(Reply::error(400, "AccessDeniedException", theirs), KEY).await;
    let error = answer.unwrap_err();
    let told = error.exception();
    let message = told.message().unwrap();
    assert_eq!(told.kind(), ExceptionKind::AccessDenied);
    assert!(message.starts_with(&format!("User: {ORDERS_ARN} is not authorized to perform: kms:{GENERATE}")));
    assert!(message.contains(KEY) && !message.contains("kmsgate"), "{message}");
    assert_eq!(detail(&record), format!("AccessDeniedException: {theirs}"));
    // The answer is the gateway's own, and so is its id.
    assert_ne!(record["requestID"], REQUEST_ID);
    assert!(record.to_string().contains(REQUEST_ID), "{record:#}");
}

#[tokio::test]
async fn that_the_gateway_may_not_take_from_a_key_is_said_of_that_key() {
    let kms = TestKms::replying([Reply::error(400, "AccessDeniedException", "")]).await;
    let world = World::new();
    let forwarding = world.forwarding(&kms).await;
    let body = json!({"CiphertextBlob": BLOB, "SourceKeyId": KEY, "DestinationKeyId": OTHER_KEY});
    let (told, _) = world.refused(&forwarding, "ReEncrypt", &body).await;
    let message = told.message().unwrap();
    assert!(message.contains("kms:ReEncryptFrom on resource: ") && message.contains(KEY), "{message}");
    assert!(!message.contains(OTHER_KEY), "{message}");
}

#[tokio::test]
async fn what_is_said_of_the_gateways_own_credentials_is_an_internal_fault_and_not_ready() {
    for name in ["UnrecognizedClientException", "ExpiredTokenException", "InvalidSignatureException"] {
        let kms = TestKms::replying([Reply::error(400, name, "of the gateway's key")]).await;
        let world = may_use_key_alone();
        let forwarding = world.forwarding(&kms).await;
        assert_eq!(forwarding.unready(), [""; 0]);
        let (refusal, record) = world.refused(&forwarding, GENERATE, &named(KEY)).await;
        assert_eq!(refusal.kind(), ExceptionKind::KmsInternal);
        assert!(!refusal.message().unwrap().contains(name));
        assert!(detail(&record).contains(name), "{record:#}");
        let unready = forwarding.unready();
        assert!(unready.len() == 1 && unready[0].contains(name), "{unready:?}");
        assert_eq!(kms.asked(), [GENERATE]);
    }
}

#[tokio::test]
async fn an_error_that_names_another_key_than_the_alias_led_to_is_not_passed_on() {
    let of_other = Reply::error(400, "DisabledException", &format!("{OTHER_KEY} is disabled."));
    let (answer, record, _) = answered(of_other.clone(), ALIAS).await;
    assert_eq!(answer.unwrap_err().exception().kind(), ExceptionKind::KmsInternal);
    assert!(detail(&record).contains("another key") && detail(&record).contains(OTHER_KEY), "{record:#}");
    let of_judged = Reply::error(400, "DisabledException", &format!("{KEY} is disabled."));
    for (reply, key) in [(of_judged, ALIAS), (of_other, KEY)] {
        assert!(answered(reply, key).await.0.is_ok());
    }
}

#[tokio::test]
async fn the_header_names_the_error_that_was_judged() {
    for (sent, told) in [
        ("DisabledException", "DisabledException"),
        (
            "com.amazonaws.kms#DisabledException:http://internal.amazon.com/",
            "com.amazonaws.kms#DisabledException:http://internal.amazon.com/",
        ),
        ("AccessDeniedException", "DisabledException"),
        ("Disabled Exception", "DisabledException"),
    ] {
        let reply = Reply::error(400, "DisabledException", "").with("x-amzn-ErrorType", sent);
        let answer = answered(reply, KEY).await.0.unwrap();
        assert_eq!(answer.forwarded.unwrap().error_type.unwrap(), told);
    }
}

#[tokio::test]
async fn a_request_id_that_nobody_could_find_is_not_told() {
    let long = "a".repeat(LONGEST_REQUEST_ID + 1);
    for id in ["", "two words", "\"quoted\"", &*long] {
        let answer = answered(used(KEY).with("x-amzn-RequestId", id), KEY).await;
        assert_eq!(answer.0.unwrap().forwarded.unwrap().request_id, None, "{id}");
        let own = answer.1["requestID"].as_str().unwrap();
        assert!(own.len() == 36 && own != id, "{own}");
    }
    let just = "a".repeat(LONGEST_REQUEST_ID);
    let answer = answered(used(KEY).with("x-amzn-RequestId", &just), KEY).await.0.unwrap();
    assert_eq!(answer.forwarded.unwrap().request_id.unwrap(), just);
}
