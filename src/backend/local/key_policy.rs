//! Key policies: `GetKeyPolicy`, `PutKeyPolicy` and `ListKeyPolicies`. Until they are enforced every key has the default
//! one, and no other is stored.

use serde_json::Value;

use super::changes::Planned;
use super::directory::Directory;
use super::pages::{self, Page};
use super::{Keys, Site, states};
use crate::aws::{Member, Region};
use crate::kms::{Answer, Exception, ExceptionKind, Input, JsonObject};

/// The name of every key's one policy.
const NAME: &str = "default";
/// The longest policy that the service takes, in bytes; the model has another figure (API reference, `PutKeyPolicy`).
const LONGEST: usize = 32_768;
/// Entries of a page, and the most a caller may ask for (API reference, `ListKeyPolicies`).
const USUAL_PAGE: usize = 100;
const LARGEST_PAGE: usize = 1000;

/// Answers `GetKeyPolicy`.
pub(super) fn get(site: &Site, region: &Region, input: &Input, keys: &Keys) -> Result<Answer, Exception> {
    super::main_key(keys)?;
    named_default(input)?;
    let body = JsonObject::with_capacity(1024).text("Policy", &default(site, region)).text("PolicyName", NAME);
    Ok(Answer::new(body.finish()))
}

/// Plans `PutKeyPolicy`: the default one in the place of the default one.
pub(super) fn put(site: &Site, region: &Region, directory: &Directory, input: &Input, keys: &Keys) -> Planned {
    let key = super::current(directory, keys)?;
    states::permits(input.operation(), key)?;
    only_default(site, region, input)?;
    Ok((Vec::new(), Answer::empty()))
}

/// Answers `ListKeyPolicies`: one page, so there is no marker that names another.
pub(super) fn list(input: &Input, keys: &Keys) -> Result<Answer, Exception> {
    super::main_key(keys)?;
    let page = Page::of(input, USUAL_PAGE, LARGEST_PAGE)?;
    page.after(|_| None::<()>)?;
    let body = JsonObject::with_capacity(64).texts("PolicyNames", [NAME]);
    Ok(Answer::new(pages::finish(body, None)))
}

/// Refuses a policy other than the default one: it would be stored and ignored.
///
/// # Errors
///
/// `MalformedPolicyDocumentException` for what is no policy, `LimitExceededException` for what is longer than KMS
/// takes, `NotFoundException` for a policy of another name, `UnsupportedOperationException` for every other policy.
/// The first two texts are not recorded from KMS.
pub(super) fn only_default(site: &Site, region: &Region, input: &Input) -> Result<(), Exception> {
    let Some(asked) = input.string(Member::Policy) else { return Ok(()) };
    let policy = serde_json::from_str::<Value>(asked).ok().filter(|policy| policy.get("Statement").is_some());
    let Some(policy) = policy else {
        let text = "The key policy is not a JSON object with a Statement.";
        return Err(Exception::fixed(ExceptionKind::MalformedPolicyDocument, text));
    };
    if asked.len() > LONGEST {
        return Err(Exception::limit_exceeded(format!("A key policy has at most {LONGEST} bytes.")));
    }
    named_default(input)?;
    if is_default(site, region, &policy) {
        return Ok(());
    }
    Err(Exception::unsupported(
        "Key policies other than the default one are not served by this version of kmsgate's local backend.",
    ))
}

/// Whether it says what [`default`] says.
pub(super) fn is_default(site: &Site, region: &Region, policy: &Value) -> bool {
    serde_json::from_str(&default(site, region)).is_ok_and(|default: Value| default == *policy)
}

/// No policy has another name. The text is an emulator's; KMS's is not recorded.
fn named_default(input: &Input) -> Result<(), Exception> {
    match input.string(Member::PolicyName) {
        None | Some(NAME) => Ok(()),
        Some(_) => Err(Exception::new(ExceptionKind::NotFound, "No such policy exists")),
    }
}

/// The policy of a key that was created without one, as `GetKeyPolicy` has it (developer guide, "Default key policy";
/// the white space is that of the API reference's example): it delegates to the account, whose identity policies then
/// decide alone.
pub(super) fn default(site: &Site, region: &Region) -> String {
    let root = format!("arn:{}:iam::{}:root", region.partition().as_str(), site.account);
    format!(
        r#"{{
  "Version" : "2012-10-17",
  "Id" : "key-default-1",
  "Statement" : [ {{
    "Sid" : "Enable IAM User Permissions",
    "Effect" : "Allow",
    "Principal" : {{
      "AWS" : "{root}"
    }},
    "Action" : "kms:*",
    "Resource" : "*"
  }} ]
}}"#
    )
}

#[cfg(test)]
mod tests;
