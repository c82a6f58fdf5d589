//! A gateway in front of another that has the keys: whose key an answer must be about, and who is told what is wrong with
//! the gateway itself.

use serde_json::{Value, json};

use crate::harness::{ALLOW_ALL, Answer, Caller, Gateway, Refusal, Site, eventually};

const ALIAS: &str = "alias/orders";

/// Leave to do `actions` with that key.
fn allow(actions: &[&str], key: &str) -> String {
    let statement = json!({"Effect": "Allow", "Action": actions, "Resource": key});
    json!({"Version": "2012-10-17", "Statement": statement}).to_string()
}

/// A gateway in front of `upstream`, which it calls by this access key; whether AWS takes that is not waited for.
fn in_front_of(upstream: &Gateway, site: Site, by: &Caller) -> Gateway {
    let site = site
        .unset("backend.data_dir")
        .set("backend.kind", "'aws'")
        .set("backend.endpoint_url", format!("'http://{}'", upstream.host()));
    let Caller { access_key_id, secret, .. } = by;
    let key = format!("export AWS_ACCESS_KEY_ID='{access_key_id}' AWS_SECRET_ACCESS_KEY='{secret}'");
    let front = Gateway::serve_limited(site, &key);
    eventually("credentials", || (front.probe("/readyz").0 == 200).then_some(()));
    front
}

fn encrypt(front: &Gateway, caller: &Caller, key: &str) -> Answer {
    front.call(caller, "Encrypt", &json!({"KeyId": key, "Plaintext": "c2VjcmV0"}))
}

fn gateways_part(record: &Value) -> &Value {
    &record["additionalEventData"]["gateway"]
}

const WITHHELD: &str = "the upstream used a key that the caller may not use: its answer was withheld";

#[test]
fn an_alias_that_was_pointed_elsewhere_is_judged_by_the_key_that_was_used() {
    let upstream = Site::new().start();
    let (first, second) = (upstream.create_key(), upstream.create_key());
    let keeper = &upstream.site.admin;
    upstream.call(keeper, "CreateAlias", &json!({"AliasName": ALIAS, "TargetKeyId": first}));
    let mut site = Site::new();
    let orders = site.user("orders", &allow(&["kms:Encrypt"], &first));
    let front = in_front_of(&upstream, site, keeper);
    for caller in [&orders, &front.site.admin] {
        assert_eq!(encrypt(&front, caller, ALIAS).granted()["KeyId"], first);
    }

    // Past the gateway, which believes for a minute what it has looked up.
    upstream.call(keeper, "UpdateAlias", &json!({"AliasName": ALIAS, "TargetKeyId": second}));
    let answer = encrypt(&front, &orders, ALIAS);
    assert_eq!(answer.refused().kind(), (400, "AccessDeniedException"));
    assert!(answer.refused().text().contains(&second));
    let record = front.record(&answer);
    assert_eq!(gateways_part(&record)["detail"], WITHHELD);
    assert!(record["resources"].to_string().contains(&second), "{record}");

    // Who may use that one too has the answer; and the key that is asked for by name is none but itself.
    assert_eq!(encrypt(&front, &front.site.admin, ALIAS).granted()["KeyId"], second);
    assert_eq!(encrypt(&front, &orders, &first).granted()["KeyId"], first);
}

#[test]
fn an_answer_about_a_key_that_the_caller_may_not_use_is_withheld() {
    let upstream = Site::new().start();
    let (own, other) = (upstream.create_key(), upstream.create_key());
    let mut site = Site::new();
    let orders = site.user("orders", &allow(&["kms:Decrypt"], &own));
    let writer = site.user("writer", &allow(&["kms:Encrypt"], "*"));
    let front = in_front_of(&upstream, site, &upstream.site.admin);
    let [of_own, of_other] = [&own, &other].map(|key| {
        let made = encrypt(&front, &writer, key).granted();
        json!({"CiphertextBlob": made["CiphertextBlob"]})
    });
    assert_eq!(front.call(&orders, "Decrypt", &of_own).granted()["KeyId"], own);
    let withheld = front.call(&orders, "Decrypt", &of_other);
    assert_eq!(withheld.refused().kind(), (400, "AccessDeniedException"));
    assert!(!withheld.refused().text().contains(&other), "which key it is is not told");
    assert_eq!(gateways_part(&front.record(&withheld))["detail"], WITHHELD);

    // Whom no policy could allow it on any key is refused before anything is asked.
    assert_eq!(front.call(&writer, "Decrypt", &of_own).refused().kind(), (400, "AccessDeniedException"));
    let asked = upstream.records().into_iter().filter(|record| record["eventName"] == "Decrypt").count();
    assert_eq!(asked, 2);
}

#[test]
fn what_is_wrong_with_the_gateways_own_signature_is_not_told_to_its_clients() {
    let mut site = Site::new();
    let gateway = site.user("gateway", ALLOW_ALL);
    let upstream = site.start();
    let key = upstream.create_key();
    let another = Caller { secret: Caller::generate(&gateway.arn).secret, ..gateway };
    let front = in_front_of(&upstream, Site::new(), &another);
    let answer = encrypt(&front, &front.site.admin, &key);
    let told = "the gateway had no answer from KMS; try again later";
    assert_eq!(answer.refused(), Refusal::new(500, "KMSInternalException", told));
    let record = front.record(&answer);
    let detail = "the upstream does not accept the gateway's credentials: InvalidSignatureException";
    assert_eq!(gateways_part(&record)["detail"], detail);
    let (status, says) = front.probe("/readyz");
    assert_eq!(status, 503);
    assert!(says.contains("InvalidSignatureException"), "{says}");
}
