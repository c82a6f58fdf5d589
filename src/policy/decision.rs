//! The outcome of a judgement with its reason, and the sentence AWS has for a refusal.

use std::fmt;
use std::sync::Arc;

use super::Kind;

/// What the policies say about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Decision {
    /// A statement allows, and none denies.
    Allow(Arc<Reason>),
    /// A statement denies.
    ExplicitDeny(Arc<Reason>),
    /// No statement allows.
    ImplicitDeny,
}

impl Decision {
    /// The statement that decided, if one did.
    #[must_use]
    pub fn reason(&self) -> Option<&Reason> {
        match self {
            Self::Allow(reason) | Self::ExplicitDeny(reason) => Some(reason),
            Self::ImplicitDeny => None,
        }
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
        Decision::Allow(_) | Decision::ImplicitDeny => {
            format!("{who} because no identity-based policy allows the {action} action")
        }
    }
}

/// The same for a principal of another account, which only a policy of the resource's own could allow.
#[must_use]
pub fn foreign_message(user_arn: &str, action: &str, subject: Subject<'_>) -> String {
    format!("{} because no resource-based policy allows the {action} action", who(user_arn, action, subject))
}

fn who(user_arn: &str, action: &str, subject: Subject<'_>) -> String {
    let (on, resource) = match subject {
        Subject::Resource(resource) => ("on resource: ", resource),
        Subject::Ciphertext => ("on the resource associated with this ciphertext", ""),
    };
    format!("User: {user_arn} is not authorized to perform: {action} {on}{resource}")
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
                Decision::ImplicitDeny,
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
                Decision::ImplicitDeny,
                "User: arn:aws:sts::111122223333:assumed-role/orders/orders-7c9f is not authorized to perform: \
                 kms:ListKeys on resource: * because no identity-based policy allows the kms:ListKeys action",
            ),
            (
                "kms:Decrypt",
                Subject::Ciphertext,
                Decision::ImplicitDeny,
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
