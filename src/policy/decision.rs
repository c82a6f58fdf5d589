//! The outcome of a judgement with its reason, and the sentence AWS has for a refusal.

use std::fmt;
use std::sync::Arc;

use super::Kind;
use crate::aws::{GrantId, MeantAs};

/// What the policies say about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Decision {
    /// It is allowed, and no statement denies.
    Allow(Allowed),
    /// A statement denies.
    ExplicitDeny(Arc<Reason>),
    /// No policy of this kind allows, and one would have to.
    ImplicitDeny(Kind),
}

/// What allows a request, all that it takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// The key policy's statement, if the key policy was asked and no grant was needed.
    pub key: Option<Arc<Reason>>,
    /// The identity policy's statement, if one was needed.
    pub identity: Option<Arc<Reason>>,
    /// The grant, where no policy allows.
    pub grant: Option<GrantId>,
}

/// A grant that allows what is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Granted {
    /// The grant's id.
    pub id: GrantId,
    /// What its grantee principal means the caller as.
    pub to: MeantAs,
}

impl Decision {
    /// The statements that decided, the key policy's first.
    pub fn reasons(&self) -> impl Iterator<Item = &Reason> {
        let (first, second) = match self {
            Self::Allow(Allowed { key, identity, .. }) => (key.as_deref(), identity.as_deref()),
            Self::ExplicitDeny(reason) => (Some(&**reason), None),
            Self::ImplicitDeny(_) => (None, None),
        };
        first.into_iter().chain(second)
    }
}

/// The statement that decided. For the operator's eyes: the audit record and `kmsgate policy explain`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The document's name, as it was given to [`Document::parse`](super::Document::parse).
    pub policy: Arc<str>,
    /// What kind of policy it is.
    pub kind: Kind,
    /// The statement's place in its document, from 0.
    pub index: usize,
    /// The statement's id, if it has one.
    pub sid: Option<Arc<str>>,
}

impl Reason {
    /// The statement: its id, or its place from 0.
    #[must_use]
    pub fn statement(&self) -> Arc<str> {
        self.sid.clone().unwrap_or_else(|| self.index.to_string().into())
    }
}

impl fmt::Display for Reason {
    /// `orders: Statement[2]`, or `orders: UseTheKey` if the statement has an id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.sid {
            Some(sid) => write!(f, "{}: {sid}", self.policy),
            None => write!(f, "{}: Statement[{}]", self.policy, self.index),
        }
    }
}

/// What a refused request was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject<'a> {
    /// A resource by its ARN, or `*` for an action that has none.
    Resource(&'a str),
    /// A key that is known from the ciphertext alone: its ARN is not told.
    Ciphertext,
}

/// The message of the `AccessDeniedException`, in AWS's words, for a decision that does not allow.
///
/// `action` is the permission (`kms:ReEncryptFrom`), not the operation. The message says which type of policy
/// refused, never which policy. Source: IAM user guide, "Access denied error messages".
#[must_use]
pub fn denied_message(user_arn: &str, action: &str, subject: Subject<'_>, decision: &Decision) -> String {
    let who = who(user_arn, action, subject);
    match decision {
        Decision::ExplicitDeny(reason) => format!("{who} with an explicit deny in {}", reason.kind),
        Decision::ImplicitDeny(kind) => {
            format!("{who} because no {} allows the {action} action", kind.name())
        }
        // Nobody asks for the refusal of what is allowed.
        Decision::Allow(_) => who,
    }
}

/// The same where a resource in another account, or its policy, refuses: whether there is such a resource is not told.
#[must_use]
pub fn foreign_message(user_arn: &str, action: &str, subject: Subject<'_>) -> String {
    let what = match subject {
        Subject::Resource(_) => "this resource",
        Subject::Ciphertext => CIPHERTEXTS_KEY,
    };
    format!(
        "User: {user_arn} is not authorized to perform: {action} on {what} because the resource does not exist in this \
         Region, no resource-based policies allow access, or a resource-based policy explicitly denies access"
    )
}

/// What messages call a key that only a ciphertext names.
const CIPHERTEXTS_KEY: &str = "the resource associated with this ciphertext";

fn who(user_arn: &str, action: &str, subject: Subject<'_>) -> String {
    let (on, resource) = match subject {
        Subject::Resource(resource) => ("resource: ", resource),
        Subject::Ciphertext => (CIPHERTEXTS_KEY, ""),
    };
    format!("User: {user_arn} is not authorized to perform: {action} on {on}{resource}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: &str = "arn:aws:sts::111122223333:assumed-role/orders/orders-7c9f";
    const KEY: &str = "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

    fn denied() -> Decision {
        let reason = Reason { policy: "p".into(), kind: Kind::Identity, index: 0, sid: None };
        Decision::ExplicitDeny(Arc::new(reason))
    }

    #[test]
    fn refusals_are_worded_as_aws_words_them() {
        let create = "kms:GenerateDataKeyWithoutPlaintext";
        for (action, subject, decision, expected) in [
            (
                create,
                Subject::Resource(KEY),
                Decision::ImplicitDeny(Kind::Identity),
                "User: arn:aws:sts::111122223333:assumed-role/orders/orders-7c9f is not authorized to perform: \
                 kms:GenerateDataKeyWithoutPlaintext on resource: \
                 arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab because no \
                 identity-based policy allows the kms:GenerateDataKeyWithoutPlaintext action",
            ),
            (
                create,
                Subject::Resource(KEY),
                denied(),
                "User: arn:aws:sts::111122223333:assumed-role/orders/orders-7c9f is not authorized to perform: \
                 kms:GenerateDataKeyWithoutPlaintext on resource: \
                 arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab with an explicit deny \
                 in an identity-based policy",
            ),
            (
                "kms:ListKeys",
                Subject::Resource("*"),
                Decision::ImplicitDeny(Kind::Identity),
                "User: arn:aws:sts::111122223333:assumed-role/orders/orders-7c9f is not authorized to perform: \
                 kms:ListKeys on resource: * because no identity-based policy allows the kms:ListKeys action",
            ),
            (
                "kms:Decrypt",
                Subject::Ciphertext,
                Decision::ImplicitDeny(Kind::Identity),
                "User: arn:aws:sts::111122223333:assumed-role/orders/orders-7c9f is not authorized to perform: \
                 kms:Decrypt on the resource associated with this ciphertext because no identity-based policy \
                 allows the kms:Decrypt action",
            ),
            (
                "kms:ReEncryptFrom",
                Subject::Ciphertext,
                denied(),
                "User: arn:aws:sts::111122223333:assumed-role/orders/orders-7c9f is not authorized to perform: \
                 kms:ReEncryptFrom on the resource associated with this ciphertext with an explicit deny in an \
                 identity-based policy",
            ),
        ] {
            assert_eq!(denied_message(USER, action, subject, &decision), expected);
        }
    }

    #[test]
    fn a_reason_names_its_statement_by_id_or_place() {
        let reason = Reason { policy: "orders".into(), kind: Kind::Identity, index: 2, sid: None };
        assert_eq!(reason.to_string(), "orders: Statement[2]");
        assert_eq!(Reason { sid: Some("UseTheKey".into()), ..reason }.to_string(), "orders: UseTheKey");
    }
}
