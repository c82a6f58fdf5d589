use serde_json::{Value, json};

use super::super::testing::Local;
use crate::aws::{KeyArn, Operation};

const CLERK: &str = "arn:aws:iam::111122223333:user/clerk";
const BILLS: &str = "arn:aws:iam::111122223333:role/team/bills";

/// Makes a grant, and says its id.
fn create(local: &Local, key: &KeyArn, grantee: &str) -> String {
    let body = json!({"KeyId": key.as_str(), "GranteePrincipal": grantee, "RetiringPrincipal": BILLS,
        "Operations": ["Decrypt"]});
    local.ok(Operation::CreateGrant, &body)["GrantId"].as_str().unwrap().to_owned()
}

/// The ids of all pages of a list.
fn pages(local: &Local, operation: Operation, body: &Value) -> Vec<Vec<String>> {
    let (mut pages, mut body) = (Vec::new(), body.clone());
    loop {
        let answer = local.ok(operation, &body);
        let ids =
            answer["Grants"].as_array().unwrap().iter().map(|grant| grant["GrantId"].as_str().unwrap().to_owned());
        pages.push(ids.collect());
        assert!(answer["Grants"].as_array().unwrap().iter().all(|grant| grant.get("GrantToken").is_none()));
        if answer["Truncated"] == false {
            assert!(answer.get("NextMarker").is_none());
            return pages;
        }
        body["Marker"] = answer["NextMarker"].clone();
    }
}

fn sorted(ids: &[&String]) -> Vec<String> {
    let mut ids: Vec<String> = ids.iter().map(|id| (*id).clone()).collect();
    ids.sort();
    ids
}

#[test]
fn grants_are_listed_by_their_keys_filters_and_retiring_principals() {
    let local = Local::new();
    let (one, two) = (local.create_key(), local.create_key());
    let [a, b, c] = [CLERK, BILLS, CLERK].map(|grantee| create(&local, &one, grantee));
    let d = create(&local, &two, CLERK);
    let of_one = |more: Value| {
        let mut body = json!({"KeyId": one.as_str()});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        pages(&local, Operation::ListGrants, &body)
    };
    assert_eq!(of_one(json!({})).concat(), sorted(&[&a, &b, &c]));
    let single: Vec<_> = of_one(json!({"Limit": 1}));
    assert_eq!((single.len(), single.concat()), (3, sorted(&[&a, &b, &c])));
    assert_eq!(of_one(json!({"Limit": 2})).iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(of_one(json!({"GranteePrincipal": CLERK, "Limit": 1})).concat(), sorted(&[&a, &c]));
    assert_eq!(of_one(json!({"GranteePrincipal": "arn:aws:iam::111122223333:root"})).concat(), [""; 0]);
    assert_eq!(of_one(json!({"GrantId": a})).concat(), sorted(&[&a]));
    assert_eq!(of_one(json!({"GrantId": a, "GranteePrincipal": BILLS})).concat(), [""; 0]);
    assert_eq!(of_one(json!({"GrantId": d})).concat(), [""; 0]);
    let retirable = |body| pages(&local, Operation::ListRetirableGrants, &body).concat();
    assert_eq!(retirable(json!({"RetiringPrincipal": BILLS, "Limit": 2})), sorted(&[&a, &b, &c, &d]));
    assert_eq!(retirable(json!({"RetiringPrincipal": CLERK})), [""; 0]);
    local.ok(Operation::RevokeGrant, &json!({"KeyId": one.as_str(), "GrantId": a}));
    assert_eq!(retirable(json!({"RetiringPrincipal": BILLS})), sorted(&[&b, &c, &d]));
    assert_eq!(retirable(json!({"RetiringPrincipal": BILLS})), sorted(&[&b, &c, &d]));
}

#[test]
fn a_marker_stays_good_when_its_grant_is_gone() {
    let local = Local::new();
    let key = local.create_key();
    let ids = [0; 5].map(|_| create(&local, &key, CLERK));
    let ids = sorted(&ids.each_ref());
    let first = local.ok(Operation::ListGrants, &json!({"KeyId": key.as_str(), "Limit": 2}));
    local.ok(Operation::RevokeGrant, &json!({"KeyId": key.as_str(), "GrantId": ids[1]}));
    let rest = json!({"KeyId": key.as_str(), "Marker": first["NextMarker"]});
    assert_eq!(pages(&local, Operation::ListGrants, &rest).concat(), ids[2..]);
}

#[test]
fn what_cannot_be_listed_is_refused() {
    let local = Local::new();
    let key = local.create_key();
    for (more, code) in [
        (json!({"GrantId": "grant"}), "InvalidGrantIdException"),
        (json!({"GranteePrincipal": "clerk"}), "InvalidArnException"),
        (json!({"Marker": "no marker"}), "InvalidMarkerException"),
        (json!({"Limit": 101}), "ValidationException"),
        (json!({"Limit": 0}), "ValidationException"),
        (json!({"KeyId": "invalid"}), "NotFoundException"),
    ] {
        let mut body = json!({"KeyId": key.as_str()});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert_eq!(local.code(Operation::ListGrants, &body), code, "{more}");
    }
    for (body, code) in [
        (json!({}), "ValidationException"),
        (json!({"RetiringPrincipal": "clerk"}), "InvalidArnException"),
        (json!({"RetiringPrincipal": "arn:aws:iam::444455556666:user/stranger"}), "AccessDeniedException"),
        (json!({"RetiringPrincipal": CLERK, "Marker": "no marker"}), "InvalidMarkerException"),
        (json!({"RetiringPrincipal": CLERK, "Limit": 101}), "ValidationException"),
    ] {
        assert_eq!(local.code(Operation::ListRetirableGrants, &body), code, "{body}");
    }
}
