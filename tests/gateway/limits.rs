//! Quotas and penalties over the wire: who is over one is refused in KMS's words, and nobody else is.

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{ALLOW_ALL, Answer, Caller, Connection, Gateway, Refusal, Request, Site, now};

fn throttled() -> Refusal {
    let text = "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.";
    Refusal::new(400, "ThrottlingException", text)
}

fn random(gateway: &Gateway, caller: &Caller) -> Request {
    caller.request(&gateway.host(), "GenerateRandom", &json!({"NumberOfBytes": 8}))
}

/// Asks until it is refused; returns how often it was granted and the refusal.
fn until_refused(gateway: &Gateway, mut ask: impl FnMut() -> Answer) -> (u64, Answer) {
    let began = now();
    for granted in 0..1000 {
        let answer = ask();
        if answer.status == 200 {
            continue;
        }
        assert_eq!(answer.refused(), throttled());
        let record = gateway.record(&answer);
        assert_eq!(record["errorCode"], "ThrottlingException");
        // What the time since has given back does not count.
        let given_back = began.elapsed().as_secs() + 1;
        assert!(granted >= 3, "the burst was not granted");
        assert!(granted <= 3 + given_back, "{granted} were granted in {given_back} s");
        return (granted, answer);
    }
    panic!("it is never refused");
}

#[test]
fn a_principal_over_its_quota_is_refused_and_another_is_not() {
    let mut site = Site::new().set("limits.principal", "{ per_second = 1, burst = 3 }");
    let other = site.user("other", ALLOW_ALL);
    let gateway = site.start();
    let admin = &gateway.site.admin;
    let (_, refused) = until_refused(&gateway, || gateway.connect().exchange(&random(&gateway, admin)));
    assert_eq!(gateway.record(&refused)["additionalEventData"]["gateway"]["limiter"], "principal");
    gateway.connect().exchange(&random(&gateway, &other)).granted();
    // Time gives the quota back.
    crate::harness::eventually("a granted request", || {
        (gateway.connect().exchange(&random(&gateway, admin)).status == 200).then_some(())
    });
}

#[test]
fn a_principal_has_one_quota_with_both_of_its_access_keys() {
    let mut site = Site::new().set("limits.principal", "{ per_second = 1, burst = 3 }");
    let second = Caller::generate("arn:aws:iam::111122223333:user/both");
    let more = format!("[[principals.access_keys]]\nid = '{}'\nsecret = '{}'\n", second.access_key_id, second.secret);
    let first = site.principal("arn:aws:iam::111122223333:user/both", ALLOW_ALL, &more);
    let gateway = site.start();
    until_refused(&gateway, || gateway.connect().exchange(&random(&gateway, &first)));
    assert_eq!(gateway.connect().exchange(&random(&gateway, &second)).refused(), throttled());
}

#[test]
fn a_key_over_its_quota_is_refused_by_whatever_name_and_another_is_not() {
    let gateway = Site::new().set("limits.key", "{ per_second = 1, burst = 3 }").start();
    let admin = &gateway.site.admin;
    let (key, other) = (gateway.create_key(), gateway.create_key());
    gateway.call(admin, "CreateAlias", &json!({"AliasName": "alias/other", "TargetKeyId": other})).granted();
    let seal = |key: &str| {
        gateway.call(admin, "GenerateDataKeyWithoutPlaintext", &json!({"KeyId": key, "KeySpec": "AES_256"}))
    };
    let (_, refused) = until_refused(&gateway, || seal(&key));
    assert_eq!(gateway.record(&refused)["additionalEventData"]["gateway"]["limiter"], "key");
    assert_eq!(seal(key.rsplit('/').next().unwrap()).refused(), throttled());
    seal("alias/other").granted();
    gateway.connect().exchange(&random(&gateway, admin)).granted();
}

#[test]
fn a_class_of_operations_over_its_quota_is_refused_to_all_and_another_is_not() {
    let mut site = Site::new().set("limits.classes.symmetric", "{ per_second = 1, burst = 3 }");
    let other = site.user("other", ALLOW_ALL);
    let gateway = site.start();
    let admin = &gateway.site.admin;
    let key = gateway.create_key();
    until_refused(&gateway, || gateway.connect().exchange(&random(&gateway, admin)));
    let answer = gateway.call(&other, "Encrypt", &json!({"KeyId": key, "Plaintext": "AAAA"}));
    assert_eq!(answer.refused(), throttled());
    gateway.call(admin, "DescribeKey", &json!({"KeyId": key})).granted();
    gateway.create_key();
}

#[test]
fn the_gateways_own_quota_is_that_of_all() {
    let mut site = Site::new().set("limits.gateway", "{ per_second = 1, burst = 3 }");
    let other = site.user("other", ALLOW_ALL);
    let gateway = site.start();
    let (_, refused) = until_refused(&gateway, || gateway.connect().exchange(&random(&gateway, &gateway.site.admin)));
    assert_eq!(gateway.record(&refused)["additionalEventData"]["gateway"]["limiter"], "gateway");
    assert_eq!(gateway.call(&other, "ListKeys", &json!({})).refused(), throttled());
}

#[test]
fn what_is_refused_for_another_reason_uses_up_no_quota() {
    let mut site = Site::new().set("limits.gateway", "{ per_second = 1, burst = 3 }");
    let stranger = site.user("stranger", &ALLOW_ALL.replace("Allow", "Deny"));
    let gateway = site.start();
    for _ in 0..10 {
        let denied = gateway.connect().exchange(&random(&gateway, &stranger));
        assert_eq!(denied.refused().code, "AccessDeniedException");
        let forged =
            Connection::from_peer(2, gateway.address).exchange(&random(&gateway, &stranger).line("POST /x HTTP/1.1"));
        assert_eq!(forged.refused().code, "UnknownOperationException");
    }
    until_refused(&gateway, || gateway.connect().exchange(&random(&gateway, &gateway.site.admin)));
}

#[test]
fn a_burst_that_may_wait_is_smoothed_and_not_refused() {
    const BURST: usize = 6;
    let site = || Site::new().set("server.workers", 2);
    let waiting = site().set("limits.principal", "{ per_second = 10, burst = 1, max_wait_ms = 1000 }").start();
    let began = now();
    let at_once = |gateway: &Gateway| -> Vec<Answer> {
        thread::scope(|scope| {
            let ask = || gateway.connect().exchange(&random(gateway, &gateway.site.admin));
            let asked: Vec<_> = (0..BURST).map(|_| scope.spawn(ask)).collect();
            asked.into_iter().map(|answer| answer.join().unwrap()).collect()
        })
    };
    for answer in at_once(&waiting) {
        answer.granted();
    }
    // Five of six had to wait for a tenth of a second each.
    assert!(began.elapsed() > Duration::from_millis(400), "{:?}", began.elapsed());
    let hasty = site().set("limits.principal", "{ per_second = 1, burst = 1 }").start();
    let refused = at_once(&hasty).into_iter().filter(|answer| answer.status != 200).map(|answer| answer.refused());
    assert!(refused.inspect(|refusal| assert_eq!(*refusal, throttled())).count() >= BURST - 3);
}

#[test]
fn who_keeps_failing_to_authenticate_waits_for_its_answers_and_holds_up_nobody() {
    const FAILURES: usize = 14;
    let gateway = Site::new().set("server.max_in_flight", 2).start();
    let forged = random(&gateway, &gateway.site.admin).forged();
    let honest = || {
        let began = now();
        gateway.connect().exchange(&random(&gateway, &gateway.site.admin)).granted();
        began.elapsed()
    };
    let mut failing = gateway.connect();
    for _ in 0..5 {
        assert_eq!(failing.exchange(&forged).refused().code, "InvalidSignatureException");
    }
    let (slowest_honest, slowest_forged) = thread::scope(|scope| {
        let fail = || {
            let began = now();
            let mut connection = gateway.connect();
            // Two may be in flight; being made to wait is not being in flight.
            while connection.exchange(&forged).refused().status == 503 {}
            began.elapsed()
        };
        let failing: Vec<_> = (0..FAILURES).map(|_| scope.spawn(fail)).collect();
        let records = |code: &str| gateway.records().iter().filter(|record| record["errorCode"] == code).count();
        // All have been judged, and most are held back.
        crate::harness::eventually("the failures", || {
            (records("InvalidSignatureException") == 5 + FAILURES).then_some(())
        });
        let honest = (0..5).map(|_| honest()).max().unwrap();
        (honest, failing.into_iter().map(|failed| failed.join().unwrap()).max().unwrap())
    });
    assert!(slowest_forged > Duration::from_millis(1500), "{slowest_forged:?}");
    assert!(slowest_forged < Duration::from_secs(10), "{slowest_forged:?}");
    assert!(slowest_honest * 5 < slowest_forged, "{slowest_honest:?} {slowest_forged:?}");
    // Another peer is not held back for it.
    let began = now();
    let refusal = Connection::from_peer(2, gateway.address).exchange(&forged).refused();
    assert_eq!(refusal.code, "InvalidSignatureException");
    assert!(began.elapsed() * 5 < slowest_forged);
}

#[test]
fn with_uniform_errors_an_unknown_access_key_is_answered_like_a_wrong_signature() {
    let uniform = Site::new().set("auth.uniform_errors", true).start();
    let telling = Site::new().start();
    let asked = |gateway: &Gateway, request: &Request| {
        let answer = gateway.connect().exchange(request);
        let record = gateway.record(&answer);
        (answer.refused(), record["userIdentity"]["arn"].clone())
    };
    let stranger = Caller::generate("nobody");
    let wrong = asked(&uniform, &random(&uniform, &uniform.site.admin).forged());
    assert_eq!(wrong.0.kind(), (400, "InvalidSignatureException"));
    assert_eq!(asked(&uniform, &random(&uniform, &stranger)), wrong);
    assert_eq!(wrong.1, Value::Null, "a claim is no identity");
    let text = "The security token included in the request is invalid.";
    let unknown = asked(&telling, &random(&telling, &stranger)).0;
    assert_eq!(unknown, Refusal::new(400, "UnrecognizedClientException", text));
}
