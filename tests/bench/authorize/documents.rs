//! Names and policies of the populations, as operators write them.

use std::sync::Arc;

use kmsgate::aws::{AccountId, PrincipalNames};
use kmsgate::policy::{Compiled, Document, Kind};

use crate::Outcome;
use crate::population::scrambled;
use crate::question::Attached;

/// Everybody's account, and every key's.
pub(crate) const ACCOUNT: &str = "111122223333";

/// The account, as it is compared.
pub(crate) fn account() -> Outcome<AccountId> {
    ACCOUNT.parse().map_err(|_| format!("`{ACCOUNT}` is no account").into())
}

/// The id of a key: as random as real ones, a UUID's shape.
pub(crate) fn key_id(member: usize) -> String {
    let (a, b) = (scrambled(member as u64), scrambled(!(member as u64)));
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        a >> 32,
        a >> 16 & 0xffff,
        a & 0xfff,
        b >> 52,
        b & 0xffff_ffff_ffff
    )
}

/// The ARN of the key that is a member's.
pub(crate) fn key_arn(member: usize) -> String {
    format!("arn:aws:kms:us-east-1:{ACCOUNT}:key/{}", key_id(member))
}

/// What a member calls itself in its encryption context.
pub(crate) fn tenant(member: usize) -> String {
    format!("tenant-{member:06}")
}

/// A member that is a user.
pub(crate) fn user(member: usize) -> Outcome<Arc<PrincipalNames>> {
    names(&format!("arn:aws:iam::{ACCOUNT}:user/services/{}", tenant(member)))
}

/// A member that is a role, by its ARN.
pub(crate) fn role(member: usize) -> String {
    format!("arn:aws:iam::{ACCOUNT}:role/{}", tenant(member))
}

/// A session of that role.
pub(crate) fn session(member: usize) -> Outcome<Arc<PrincipalNames>> {
    names(&format!("arn:aws:sts::{ACCOUNT}:assumed-role/{}/i-0123456789abcdef0", tenant(member)))
}

fn names(arn: &str) -> Outcome<Arc<PrincipalNames>> {
    Ok(Arc::new(PrincipalNames::of(arn).ok_or_else(|| format!("`{arn}` is nobody's"))?))
}

/// A document of these statements.
pub(crate) fn json<S: AsRef<str>>(statements: impl IntoIterator<Item = S>) -> String {
    let mut text = r#"{"Version": "2012-10-17", "Statement": ["#.to_owned();
    for (place, statement) in statements.into_iter().enumerate() {
        text.push_str(if place == 0 { "" } else { "," });
        text.push_str(statement.as_ref());
    }
    text + "]}"
}

/// A compiled policy of these statements.
///
/// # Errors
/// When it has a fault.
pub(crate) fn policy<S: AsRef<str>>(kind: Kind, statements: impl IntoIterator<Item = S>) -> Outcome<Arc<Compiled>> {
    let parsed = Document::parse("population", json(statements).as_bytes(), kind).map_err(first)?;
    Ok(Arc::new(Compiled::from(parsed.document)))
}

/// The same, alone of its kind.
///
/// # Errors
/// When it has a fault.
pub(crate) fn only<S: AsRef<str>>(kind: Kind, statements: impl IntoIterator<Item = S>) -> Outcome<Attached> {
    Ok([policy(kind, statements)?].into())
}

/// The first of the faults, for the operator.
pub(crate) fn first<F: ToString>(faults: Vec<F>) -> String {
    faults.into_iter().next().map_or_else(String::new, |fault| fault.to_string())
}

/// Allows the use of `resource` for those whose encryption context names the tenant `value`.
pub(crate) fn allow(sid: &str, action: &str, resource: &str, value: &str) -> String {
    format!(
        r#"{{"Sid": "{sid}", "Effect": "Allow", "Action": {action}, "Resource": "{resource}",
            "Condition": {{"StringEquals": {{"kms:EncryptionContext:tenant": "{value}"}}}}}}"#
    )
}

/// Denies everything without TLS, as many accounts do.
pub(crate) const NOT_WITHOUT_TLS: &str = r#"{"Sid": "NotWithoutTls", "Effect": "Deny", "Action": "kms:*", "Resource": "*",
    "Condition": {"Bool": {"aws:SecureTransport": "false"}}}"#;

/// What a data key's user needs.
pub(crate) const USE: &str = r#"["kms:Decrypt", "kms:GenerateDataKey*", "kms:DescribeKey"]"#;
