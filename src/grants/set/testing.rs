//! For the tests of grants: callers and grants to them.

use super::super::{Constraint, Grant, GrantOperation, GrantOperations};
use crate::aws::{EncryptionContext, GrantId, PrincipalNames};
use crate::clock::Timestamp;

pub(in crate::grants) const NOW: Timestamp = Timestamp::from_unix_seconds(1_440_938_160);

pub(in crate::grants) fn id(number: u32) -> GrantId {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    GrantId::from_bytes(bytes)
}

pub(in crate::grants) fn of(operations: &[GrantOperation]) -> GrantOperations {
    operations.iter().copied().collect()
}

/// `user/alice`, `role/orders`, or `root`; a session is a caller by `assumed-role/orders/one`.
pub(in crate::grants) fn arn(resource: &str) -> String {
    let service = if resource.starts_with("assumed-role/") { "sts" } else { "iam" };
    format!("arn:aws:{service}::111122223333:{resource}")
}

pub(in crate::grants) fn caller(resource: &str) -> PrincipalNames {
    PrincipalNames::of(&arn(resource)).unwrap()
}

pub(in crate::grants) fn context(pairs: &[(&str, &str)]) -> EncryptionContext {
    EncryptionContext::from_pairs(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()).unwrap()
}

pub(in crate::grants) fn subset(pairs: &[(&str, &str)]) -> Constraint {
    Constraint::EncryptionContextSubset(context(pairs))
}

/// A grant of `Decrypt` without a constraint.
pub(in crate::grants) fn grant(number: u32, grantee: &str) -> Grant {
    Grant {
        id: id(number),
        key: "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab".parse().unwrap(),
        name: "".into(),
        created: NOW,
        grantee: arn(grantee).into(),
        retiring: None,
        issuing_account: "111122223333".parse().unwrap(),
        operations: of(&[GrantOperation::Decrypt]),
        constraint: None,
    }
}
