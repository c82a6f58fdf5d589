//! The `userIdentity` member of a record, written once for each access key and then shared.
//!
//! Its form follows the principal's ARN, as CloudTrail's does (CloudTrail user guide, "userIdentity element").
//! Who is not authenticated is `Unknown`: the access key that such a request names is a claim, not a fact.

use std::sync::Arc;

use super::json;
use crate::aws::Arn;
use crate::clock::Timestamp;

/// The longest claimed access key id that is recorded, in characters (IAM's own bound).
const CLAIM_CAP: usize = 128;

/// The identity of one whose access key is not known or not proven, where the request names none.
pub(super) const UNKNOWN: &str = r#"{"type":"Unknown"}"#;

/// The identity of an authenticated principal.
///
/// `arn` is the caller's own (for a role that of its session), `unique_id` that of the user or the role
/// (`AIDA…`, `AROA…`), `created` when the credentials were issued, for sessions. Costs some allocations: call
/// it once for an access key and keep what it returns.
#[must_use]
pub fn user_identity(arn: &str, unique_id: &str, access_key_id: &str, created: Option<Timestamp>) -> Arc<str> {
    let Ok(parts) = Arn::parse(arn) else { return unknown_identity(Some(access_key_id)) };
    let (kind, path) = parts.resource.split_once('/').unwrap_or((parts.resource, ""));
    let last = path.rsplit('/').next().unwrap_or_default();
    let mut object = Object::new();
    match (parts.service, kind) {
        ("iam", "root") => object.principal("Root", parts.account, arn, &parts, access_key_id),
        ("iam", "user") => {
            object.principal("IAMUser", unique_id, arn, &parts, access_key_id);
            object.text("userName", last);
        }
        ("sts", "assumed-role") => {
            let (role, session) = path.split_once('/').unwrap_or((path, ""));
            // The unique id may be the whole `aws:userid` already.
            let role_id = unique_id.split_once(':').map_or(unique_id, |(role_id, _)| role_id);
            object.principal("AssumedRole", &format!("{role_id}:{session}"), arn, &parts, access_key_id);
            object.session(&parts, role, role_id, created);
        }
        ("sts", "federated-user") => {
            object.principal("FederatedUser", &format!("{}:{last}", parts.account), arn, &parts, access_key_id);
        }
        ("iam", "role") => object.principal("Role", unique_id, arn, &parts, access_key_id),
        _ => object.principal("Unknown", unique_id, arn, &parts, access_key_id),
    }
    object.end()
}

/// The identity of a caller who is not authenticated; `claimed` is the access key id that the request names.
pub(super) fn unknown_identity(claimed: Option<&str>) -> Arc<str> {
    let Some(claimed) = claimed else { return UNKNOWN.into() };
    let mut object = Object::new();
    object.text("type", "Unknown");
    object.text("accessKeyId", claimed.get(..claimed.floor_char_boundary(CLAIM_CAP)).unwrap_or_default());
    object.end()
}

struct Object(Vec<u8>);

impl Object {
    fn new() -> Self {
        Self(vec![b'{'])
    }

    fn name(&mut self, name: &str) {
        if self.0.last() != Some(&b'{') {
            self.0.push(b',');
        }
        json::string(&mut self.0, name);
        self.0.push(b':');
    }

    fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        json::string(&mut self.0, value);
    }

    fn principal(&mut self, kind: &str, principal_id: &str, arn: &str, parts: &Arn<'_>, access_key_id: &str) {
        self.text("type", kind);
        self.text("principalId", principal_id);
        self.text("arn", arn);
        self.text("accountId", parts.account);
        self.text("accessKeyId", access_key_id);
    }

    fn session(&mut self, session: &Arn<'_>, role: &str, role_id: &str, created: Option<Timestamp>) {
        self.name("sessionContext");
        self.0.push(b'{');
        self.name("sessionIssuer");
        self.0.push(b'{');
        self.text("type", "Role");
        self.text("principalId", role_id);
        self.text("arn", &format!("arn:{}:iam::{}:role/{role}", session.partition, session.account));
        self.text("accountId", session.account);
        self.text("userName", role);
        self.0.push(b'}');
        self.name("attributes");
        self.0.push(b'{');
        if let Some(created) = created {
            self.text("creationDate", &created.iso8601().to_string());
        }
        self.text("mfaAuthenticated", "false");
        self.0.extend_from_slice(b"}}");
    }

    fn end(mut self) -> Arc<str> {
        self.0.push(b'}');
        // Made of texts alone, so it is text.
        std::str::from_utf8(&self.0).unwrap_or(UNKNOWN).into()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(identity: &str) -> Value {
        serde_json::from_str(identity).unwrap()
    }

    #[test]
    fn a_user_has_the_members_that_cloudtrail_gives_it() {
        let identity = user_identity(
            "arn:aws:iam::111122223333:user/dev/Alice",
            "AIDACKCEVSQ6C2EXAMPLE",
            "AKIAIOSFODNN7EXAMPLE",
            None,
        );
        let expected = json!({
            "type": "IAMUser",
            "principalId": "AIDACKCEVSQ6C2EXAMPLE",
            "arn": "arn:aws:iam::111122223333:user/dev/Alice",
            "accountId": "111122223333",
            "accessKeyId": "AKIAIOSFODNN7EXAMPLE",
            "userName": "Alice",
        });
        assert_eq!(read(&identity), expected);
    }

    #[test]
    fn a_session_of_a_role_names_the_role_that_issued_it() {
        let expected = json!({
            "type": "AssumedRole",
            "principalId": "AROAEXAMPLEID:orders-7c9f",
            "arn": "arn:aws:sts::111122223333:assumed-role/orders/orders-7c9f",
            "accountId": "111122223333",
            "accessKeyId": "ASIAEXAMPLEKEYID0001",
            "sessionContext": {
                "sessionIssuer": {
                    "type": "Role",
                    "principalId": "AROAEXAMPLEID",
                    "arn": "arn:aws:iam::111122223333:role/orders",
                    "accountId": "111122223333",
                    "userName": "orders",
                },
                "attributes": {"creationDate": "2026-11-23T17:00:01Z", "mfaAuthenticated": "false"},
            },
        });
        let created = Timestamp::parse_basic("20261123T170001Z");
        for unique_id in ["AROAEXAMPLEID", "AROAEXAMPLEID:orders-7c9f"] {
            let arn = "arn:aws:sts::111122223333:assumed-role/orders/orders-7c9f";
            assert_eq!(read(&user_identity(arn, unique_id, "ASIAEXAMPLEKEYID0001", created)), expected);
        }
    }

    #[test]
    fn root_is_its_account() {
        let root = read(&user_identity("arn:aws:iam::111122223333:root", "", "AKIAIOSFODNN7EXAMPLE", None));
        assert_eq!((&root["type"], &root["principalId"]), (&json!("Root"), &json!("111122223333")));
    }

    #[test]
    fn whom_nobody_knows_is_unknown_with_at_most_the_claim() {
        assert_eq!(read(&unknown_identity(None)), json!({"type": "Unknown"}));
        let hostile = format!("\"}},\"type\":\"Root\n{}", "é".repeat(200));
        let identity = read(&unknown_identity(Some(&hostile)));
        assert_eq!(identity["type"], "Unknown");
        assert!(identity["accessKeyId"].as_str().unwrap().len() <= CLAIM_CAP);
        assert_eq!(read(&user_identity("no ARN", "", "AKIAIOSFODNN7EXAMPLE", None))["type"], "Unknown");
    }
}
