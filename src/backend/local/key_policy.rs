//! Key policies: `GetKeyPolicy`, `PutKeyPolicy` and `ListKeyPolicies`, and the policies of new keys.

use std::borrow::Cow;
use std::sync::Arc;

use serde::de::IgnoredAny;

use super::attached_policy::AttachedPolicy;
use super::changes::{Edit, Planned};
use super::key::KeyView;
use super::operations::Change;
use super::pages::{self, Page};
use super::{Keys, states};
use crate::aws::{KeyArn, Member};
use crate::kms::{Answer, Exception, ExceptionKind, Input, JsonObject};
use crate::policy::Fault;

/// The name of every key's one policy.
const NAME: &str = "default";
/// The longest policy that the service takes, in bytes; the model has another figure (API reference, `PutKeyPolicy`).
const LONGEST: usize = 32_768;
/// Entries of a page, and the most a caller may ask for (API reference, `ListKeyPolicies`).
const USUAL_PAGE: usize = 100;
const LARGEST_PAGE: usize = 1000;

/// Answers `GetKeyPolicy`.
pub(super) fn get(input: &Input, keys: &Keys) -> Result<Answer, Exception> {
    let key = super::main_key(keys)?;
    named_default(input)?;
    let body = JsonObject::with_capacity(1024).text("Policy", key.policy.text()).text("PolicyName", NAME);
    Ok(Answer::new(body.finish()))
}

/// Plans `PutKeyPolicy`.
pub(super) fn put(change: &Change<'_>) -> Planned {
    let key = super::current(change.directory, change.keys)?;
    states::permits(change.input.operation(), key)?;
    named_default(change.input)?;
    let text = change.input.string(Member::Policy).unwrap_or_default();
    let policy = Arc::new(checked(change, text, &key.arn)?);
    Ok((vec![Edit::key(KeyView { policy, ..KeyView::clone(key) })], Answer::empty()))
}

/// The policy of a new key: what the request asks for, or the usual one.
///
/// # Errors
///
/// As of [`put`].
pub(super) fn of_new_key(change: &Change<'_>, key: &KeyArn) -> Result<Arc<AttachedPolicy>, Exception> {
    match change.input.string(Member::Policy) {
        None => Ok(Arc::clone(&change.site.default_policy)),
        Some(text) => checked(change, text, key).map(Arc::new),
    }
}

/// Answers `ListKeyPolicies`: one page, so there is no marker that names another.
pub(super) fn list(input: &Input, keys: &Keys) -> Result<Answer, Exception> {
    super::main_key(keys)?;
    let page = Page::of(input, USUAL_PAGE, LARGEST_PAGE)?;
    page.after(|_| None::<()>)?;
    let body = JsonObject::with_capacity(64).texts("PolicyNames", [NAME]);
    Ok(Answer::new(pages::finish(body, None)))
}

/// Reads a policy that is to be a key's.
///
/// # Errors
///
/// `LimitExceededException` for JSON that is longer than KMS takes; `MalformedPolicyDocumentException` for what is no key
/// policy, names principals that do not exist, or would lock out the one who puts it. Which comes first, and the texts of
/// the first two, are not recorded from KMS.
fn checked(change: &Change<'_>, text: &str, key: &KeyArn) -> Result<AttachedPolicy, Exception> {
    let Change { requester, input, keys, .. } = change;
    if text.len() > LONGEST && serde_json::from_str::<IgnoredAny>(text).is_ok() {
        return Err(Exception::limit_exceeded(format!("A key policy has at most {LONGEST} bytes.")));
    }
    let policy = AttachedPolicy::parse(text).map_err(|faults| {
        let first = faults.into_iter().next();
        // KMS's own words have no place before them.
        let own = |fault: &Fault| fault.message.starts_with(OVERLY_PERMISSIVE);
        malformed(first.map_or_else(String::new, |fault| if own(&fault) { fault.message } else { fault.to_string() }))
    })?;
    if !policy.compiled().principals().all(|principal| requester.knows(principal)) {
        return Err(malformed("Policy contains a statement with one or more invalid principals."));
    }
    let bypass = input.boolean(Member::BypassPolicyLockoutSafetyCheck).unwrap_or_default();
    if !bypass && !(requester.keeps_control)(policy.compiled(), key, input, keys) {
        return Err(malformed("The new key policy will not allow you to update the key policy in the future."));
    }
    Ok(policy)
}

/// How the text of a fault begins that KMS has words of its own for.
const OVERLY_PERMISSIVE: &str = "OverlyPermissiveCondition:";

fn malformed(text: impl Into<Cow<'static, str>>) -> Exception {
    Exception::new(ExceptionKind::MalformedPolicyDocument, text)
}

/// No policy has another name. The text is an emulator's; KMS's is not recorded.
fn named_default(input: &Input) -> Result<(), Exception> {
    match input.string(Member::PolicyName) {
        None | Some(NAME) => Ok(()),
        Some(_) => Err(Exception::new(ExceptionKind::NotFound, "No such policy exists")),
    }
}

#[cfg(test)]
mod tests;
