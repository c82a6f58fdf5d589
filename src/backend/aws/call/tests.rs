//! One call and what follows, against a KMS that answers by a script: what is sent, and when it is sent again.

use std::net::TcpListener;
use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::sync::Semaphore;

use super::super::testing::{
    ACCESS_KEY_ID, ACCOUNT, Forwarding, KEY, REGION, REQUEST_ID, Reply, TestKms, clock, running, settings,
};
use super::super::{EndpointSettings, Role, Settings, UpstreamSettings};
use super::*;
use crate::clock::{Clock, ManualClock, Timestamp};

const BODY: &str = r#"{"KeyId":"alias/orders"}"#;

fn call(operation: Operation) -> Call {
    Call::own(operation, Bytes::from_static(BODY.as_bytes()), Subject::of("somebody"))
}

/// The status of the answer, or the fault in its place.
async fn status(backend: &AwsBackend, operation: Operation) -> Result<u16, Fault> {
    answered(backend, operation).await.map(|answered| answered.read)
}

async fn answered(backend: &AwsBackend, operation: Operation) -> Result<Answered<u16>, Fault> {
    backend.call(0, &call(operation), |_, response| response.status().as_u16()).await
}

fn used() -> Reply {
    Reply::ok(&serde_json::json!({"KeyId": KEY}))
}

/// Of each kind: reads, uses a key, changes something to what it would be the second time too, and adds something.
const KINDS: [(Operation, bool); 4] = [
    (Operation::ListKeys, true),
    (Operation::GenerateDataKeyWithoutPlaintext, true),
    (Operation::EnableKey, true),
    (Operation::ScheduleKeyDeletion, false),
];

#[tokio::test]
async fn the_request_has_these_headers_and_no_others() {
    let kms = TestKms::replying([used()]).await;
    let forwarding = Forwarding::to(&kms, &clock()).await;
    assert_eq!(status(&forwarding, Operation::GenerateDataKeyWithoutPlaintext).await, Ok(200));
    let sent = kms.sent().remove(0);
    assert_eq!((&*sent.start_line, &*sent.body), ("POST / HTTP/1.1", BODY));
    let mut headers = sent.headers;
    let authorization = headers.remove("authorization").unwrap();
    let (named, signature) = authorization.split_once(", Signature=").unwrap();
    assert_eq!(
        named,
        format!(
            "AWS4-HMAC-SHA256 Credential={ACCESS_KEY_ID}/20261123/us-east-1/kms/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date;x-amz-target"
        )
    );
    assert!(signature.len() == 64 && signature.bytes().all(|byte| byte.is_ascii_hexdigit()), "{signature}");
    let expected = [
        ("content-length", BODY.len().to_string()),
        ("content-type", "application/x-amz-json-1.1".into()),
        ("host", kms.address()),
        ("x-amz-date", "20261123T182241Z".into()),
        ("x-amz-target", "TrentService.GenerateDataKeyWithoutPlaintext".into()),
    ];
    assert_eq!(headers, expected.map(|(name, value)| (name.to_owned(), value)).into());
}

#[tokio::test]
async fn what_a_broken_connection_left_unanswered_is_repeated_once_if_it_may_be_done_twice() {
    for (operation, repeatable) in KINDS {
        let kms = TestKms::replying([Reply::HangUp, used()]).await;
        let forwarding = Forwarding::to(&kms, &clock()).await;
        let answer = status(&forwarding, operation).await;
        assert_eq!(kms.asked().len(), if repeatable { 2 } else { 1 }, "{operation:?}");
        assert!(if repeatable { answer.is_ok() } else { matches!(answer, Err(Fault::Broken(_))) }, "{answer:?}");
    }
}

#[tokio::test]
async fn a_first_attempt_that_may_have_been_carried_out_is_told_of_whatever_becomes_of_the_second() {
    let throttled = Reply::error(400, "ThrottlingException", "");
    for (replies, is_open) in [
        (vec![Reply::HangUp, used()], true),
        (vec![Reply::HangUp, throttled.clone()], true),
        (vec![throttled], false),
        (vec![used()], false),
    ] {
        let kms = TestKms::replying(replies).await;
        let forwarding = Forwarding::to(&kms, &clock()).await;
        let open = answered(&forwarding, Operation::EnableKey).await.unwrap().left_open;
        assert_eq!(matches!(open, Some(Fault::Broken(_))), is_open, "{open:?}");
    }

    let kms = TestKms::replying([Reply::HangUp, Reply::error(400, "UnrecognizedClientException", "")]).await;
    let forwarding = Forwarding::to(&kms, &clock()).await;
    let fault = status(&forwarding, Operation::EnableKey).await.unwrap_err();
    assert!(fault.leaves_open() && fault.to_string().contains("UnrecognizedClientException"), "{fault}");

    // The fifth failure in a row opens the circuit, so that there is no second attempt.
    let kms = TestKms::replying([Reply::HangUp]).await;
    let forwarding = Forwarding::to(&kms, &clock()).await;
    for _ in 0..4 {
        let _ = status(&forwarding, Operation::ScheduleKeyDeletion).await;
    }
    let fault = status(&forwarding, Operation::EnableKey).await.unwrap_err();
    assert!(fault.leaves_open() && fault.to_string().contains("nothing is sent"), "{fault}");
}

#[tokio::test]
async fn nothing_is_repeated_twice() {
    let kms = TestKms::replying([Reply::HangUp, Reply::HangUp, used()]).await;
    let forwarding = Forwarding::to(&kms, &clock()).await;
    assert!(matches!(status(&forwarding, Operation::ListKeys).await, Err(Fault::Broken(_))));
    assert_eq!(kms.asked().len(), 2);
}

#[tokio::test]
async fn what_was_never_written_is_tried_again_whatever_it_is() {
    let nowhere = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{nowhere}").parse().unwrap();
    let of = UpstreamSettings {
        region: REGION.parse().unwrap(),
        account: ACCOUNT.parse().unwrap(),
        endpoint: EndpointSettings::Url { url, ca_file: None },
        role: None,
    };
    for (operation, _) in KINDS {
        // Each with a breaker of its own, which five failures would open.
        let running = running(&settings([of.clone()]), false, &clock()).await;
        let recorder = PrometheusBuilder::new().build_recorder();
        let backend = metrics::with_local_recorder(&recorder, || AwsBackend::new(running.upstreams()));
        let answer = status(&backend, operation).await;
        assert!(matches!(answer, Err(Fault::Unreachable(_))), "{answer:?}");
        let failures = recorder.handle().render();
        assert!(failures.contains("kind=\"not_sent\"} 2\n"), "{operation:?}: {failures}");
    }
}

#[tokio::test]
async fn an_answer_of_kms_is_an_answer_and_never_repeated() {
    for reply in [
        Reply::error(400, "ThrottlingException", ""),
        Reply::error(500, "KMSInternalException", ""),
        Reply::error(400, "ValidationException", ""),
    ] {
        let kms = TestKms::replying([reply, used()]).await;
        let forwarding = Forwarding::to(&kms, &clock()).await;
        assert!(status(&forwarding, Operation::ListKeys).await.is_ok_and(|status| status >= 400));
        assert_eq!(kms.asked().len(), 1);
    }
}

#[tokio::test]
async fn what_is_no_answer_of_kms_is_a_fault_and_never_repeated() {
    let page = |status| Reply::Answer { status, headers: Vec::new(), body: "<html>".into() };
    for reply in [page(200), page(502), page(302), Reply::done().with("content-type", "text/html")] {
        let kms = TestKms::replying([reply, used()]).await;
        let forwarding = Forwarding::to(&kms, &clock()).await;
        let answer = status(&forwarding, Operation::GenerateDataKeyWithoutPlaintext).await;
        assert!(matches!(answer, Err(Fault::NotKms(_))), "{answer:?}");
        assert_eq!(kms.asked().len(), 1);
    }
}

#[tokio::test]
async fn an_answer_may_be_as_long_as_its_operation_s_are() {
    let long = Reply::ok(&serde_json::json!({"KeyId": KEY, "Filler": "x".repeat(200 * 1024)}));
    let kms = TestKms::replying([long]).await;
    let forwarding = Forwarding::to(&kms, &clock()).await;
    assert_eq!(status(&forwarding, Operation::ListKeys).await, Ok(200));
    let fault = status(&forwarding, Operation::GenerateDataKeyWithoutPlaintext).await.unwrap_err();
    assert!(matches!(&fault, Fault::NotKms(why) if why.contains("131072 bytes")), "{fault:?}");
}

/// A refusal of the signature, at that time of KMS's.
fn refused_at(date: &str) -> Reply {
    Reply::error(400, "InvalidSignatureException", "").with("Date", date)
}

#[tokio::test]
async fn what_was_dated_by_a_wrong_clock_is_signed_again_by_the_right_one_even_if_it_adds_something() {
    let kms = TestKms::replying([refused_at("Mon, 23 Nov 2026 18:32:41 GMT"), used()]).await;
    let forwarding = Forwarding::to(&kms, &clock()).await;
    assert_eq!(status(&forwarding, Operation::ScheduleKeyDeletion).await, Ok(200));
    let dates: Vec<_> = kms.sent().into_iter().map(|sent| sent.headers["x-amz-date"].clone()).collect();
    assert_eq!(dates, ["20261123T182241Z", "20261123T183241Z"]);
    assert_eq!(forwarding.unready(), [""; 0]);
}

#[tokio::test]
async fn a_clock_that_is_corrected_twice_in_one_call_is_believed_once() {
    let dates = ["Mon, 23 Nov 2026 18:32:41 GMT", "Mon, 23 Nov 2026 18:42:41 GMT"];
    let kms = TestKms::replying(dates.map(refused_at)).await;
    let forwarding = Forwarding::to(&kms, &clock()).await;
    assert!(matches!(status(&forwarding, Operation::ListKeys).await, Err(Fault::Rejected(_))));
    assert_eq!(kms.asked().len(), 2);
}

#[tokio::test]
async fn a_clock_that_is_set_right_is_learnt_anew_though_credentials_would_have_ended_by_the_old_difference() {
    const RIGHT: &str = "Mon, 23 Nov 2026 23:22:41 GMT";
    let kms = TestKms::replying([refused_at(RIGHT), used(), refused_at(RIGHT), used()]).await;
    let time = |text| Timestamp::parse_basic(text).unwrap();
    let ours = ManualClock::new(time("20261123T182241Z"));
    let end = time("20261124T002241Z");
    let forwarding = Forwarding::until(&kms, &Clock::Manual(ours.clone()), end).await;
    assert_eq!(status(&forwarding, Operation::ListKeys).await, Ok(200));
    ours.set(time("20261123T232241Z"));
    assert_eq!(status(&forwarding, Operation::ListKeys).await, Ok(200));
    let dates: Vec<_> = kms.sent().into_iter().map(|sent| sent.headers["x-amz-date"].clone()).collect();
    assert_eq!(dates, ["20261123T182241Z", "20261123T232241Z", "20261124T042241Z", "20261123T232241Z"]);
}

#[tokio::test]
async fn refused_credentials_are_not_tried_again() {
    let kms = TestKms::replying([Reply::error(400, "UnrecognizedClientException", "")]).await;
    let forwarding = Forwarding::to(&kms, &clock()).await;
    let rejected = Err(Fault::Rejected("UnrecognizedClientException".into()));
    assert_eq!(status(&forwarding, Operation::ListKeys).await, rejected);
    assert_eq!((kms.asked().len(), forwarding.unready().len()), (1, 1));
}

#[tokio::test]
async fn credentials_that_another_account_refuses_leave_the_gateway_ready() {
    const OTHER: &str = "444455556666";
    let role = |name: &str| {
        let arn = format!("arn:aws:iam::{OTHER}:role/{name}").into();
        Some(Role { arn, session_name: "kmsgate".into(), external_id: None })
    };
    let refusing = TestKms::replying([Reply::error(400, "UnrecognizedClientException", "")]).await;
    let good = TestKms::replying([used()]).await;
    for (own, others, unready) in [(&good, &refusing, 0), (&refusing, &good, 1), (&refusing, &refusing, 2)] {
        let others = UpstreamSettings { role: role("theirs"), ..others.of(OTHER, REGION) };
        let forwarding = Forwarding::by(&settings([own.of(ACCOUNT, REGION), others]), false, &clock()).await;
        for account in [ACCOUNT, OTHER] {
            let (region, account) = (REGION.parse().unwrap(), account.parse().unwrap());
            let _ = forwarding.call_for(&region, account, &call(Operation::ListKeys), |_, _| ()).await;
        }
        assert_eq!(forwarding.unready().len(), unready, "{:?}", forwarding.unready());
    }
}

#[tokio::test]
async fn an_upstream_that_failed_five_times_in_a_row_is_sent_nothing() {
    let kms = TestKms::replying([Reply::HangUp]).await;
    let forwarding = Forwarding::to(&kms, &clock()).await;
    for _ in 0..5 {
        assert!(matches!(status(&forwarding, Operation::ScheduleKeyDeletion).await, Err(Fault::Broken(_))));
    }
    assert_eq!(status(&forwarding, Operation::ScheduleKeyDeletion).await, Err(Fault::CircuitOpen));
    assert_eq!(kms.asked().len(), 5);
}

#[tokio::test]
async fn a_page_for_what_an_emulator_does_not_serve_keeps_nobody_from_the_rest() {
    for (status_of_page, opens) in [(404, false), (501, false), (502, true)] {
        let page = Reply::Answer { status: status_of_page, headers: Vec::new(), body: "<html>".into() };
        let kms = TestKms::start(move |sent| if sent.operation == "ListKeys" { used() } else { page.clone() }).await;
        let forwarding = Forwarding::to(&kms, &clock()).await;
        for _ in 0..5 {
            let answer = status(&forwarding, Operation::GenerateDataKeyWithoutPlaintext).await;
            assert!(matches!(answer, Err(Fault::NotKms(_))), "{answer:?}");
        }
        let answer = status(&forwarding, Operation::ListKeys).await;
        assert_eq!(answer, if opens { Err(Fault::CircuitOpen) } else { Ok(200) });
    }
}

#[tokio::test]
async fn a_call_that_is_given_up_is_counted() {
    let kms = TestKms::replying([used().once(&Arc::new(Semaphore::new(0)))]).await;
    let recorder = PrometheusBuilder::new().build_recorder();
    let _here = metrics::set_default_local_recorder(&recorder);
    let forwarding = Forwarding::to(&kms, &clock()).await;
    tokio::select! {
        answer = status(&forwarding, Operation::ListKeys) => panic!("{answer:?}"),
        () = async { while kms.asked().is_empty() { tokio::task::yield_now().await } } => {}
    }
    let failures = recorder.handle().render();
    assert!(failures.contains("kind=\"abandoned\"} 1\n"), "{failures}");
}

#[tokio::test]
async fn who_has_no_part_of_the_quota_left_is_refused_before_anything_is_sent() {
    let kms = TestKms::replying([used()]).await;
    let mut settings: Settings = settings([kms.of(ACCOUNT, REGION)]);
    // The least there is: one in 1,000 s.
    settings.share.percent = 0;
    let forwarding = Forwarding::by(&settings, false, &clock()).await;
    assert_eq!(status(&forwarding, Operation::ListKeys).await, Ok(200));
    assert_eq!(status(&forwarding, Operation::ListKeys).await, Err(Fault::ShareUsedUp));
    // Another of KMS's quotas.
    assert_eq!(status(&forwarding, Operation::EnableKey).await, Ok(200));
    assert_eq!(kms.asked(), ["ListKeys", "EnableKey"]);
}

#[tokio::test]
async fn a_call_goes_to_the_upstream_of_its_account_and_region_or_to_none() {
    let (here, there) = (TestKms::replying([used()]).await, TestKms::replying([used()]).await);
    let both = settings([here.of(ACCOUNT, REGION), there.of(ACCOUNT, "eu-west-1")]);
    let forwarding = Forwarding::by(&both, false, &clock()).await;
    let request_id =
        |_: &UpstreamAnswer<'_>, response: &Response<Bytes>| response.headers()["x-amzn-requestid"].clone();
    let list = call(Operation::ListKeys);
    let account: AccountId = ACCOUNT.parse().unwrap();
    let answer = forwarding.call_for(&"eu-west-1".parse().unwrap(), account, &list, request_id).await;
    assert_eq!(answer.unwrap().read, REQUEST_ID);
    let nowhere = [("eu-west-2", ACCOUNT), (REGION, "444455556666")];
    for (region, account) in nowhere {
        let (region, account) = (region.parse().unwrap(), account.parse().unwrap());
        let answer = forwarding.call_for(&region, account, &list, request_id).await;
        assert!(matches!(answer, Err(Fault::Unreachable(_))));
    }
    assert_eq!((here.asked().len(), there.asked().len()), (0, 1));
    let scope = format!("{ACCESS_KEY_ID}/20261123/eu-west-1/kms");
    assert!(there.sent()[0].headers["authorization"].contains(&scope));
}
