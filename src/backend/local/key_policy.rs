//! Key policies. Until they are enforced every key has the default one, and no other is stored.

use serde_json::{Value, json};

use super::Site;
use crate::aws::{Member, Region};
use crate::kms::{Exception, Input};

/// Refuses a policy other than the default one: it would be stored and ignored.
///
/// # Errors
///
/// `UnsupportedOperationException`.
pub(super) fn only_default(site: &Site, region: &Region, input: &Input) -> Result<(), Exception> {
    let Some(asked) = input.string(Member::Policy) else { return Ok(()) };
    if serde_json::from_str::<Value>(asked).is_ok_and(|asked| asked == default(site, region)) {
        return Ok(());
    }
    Err(Exception::unsupported(
        "Key policies other than the default one are not served by this version of kmsgate's local backend.",
    ))
}

/// The policy of a key that was created without one (developer guide, "Default key policy"): it delegates to the
/// account, whose identity policies then decide alone.
pub(super) fn default(site: &Site, region: &Region) -> Value {
    let root = format!("arn:{}:iam::{}:root", region.partition().as_str(), site.account);
    json!({
        "Version": "2012-10-17",
        "Id": "key-default-1",
        "Statement": [{
            "Sid": "Enable IAM User Permissions",
            "Effect": "Allow",
            "Principal": {"AWS": root},
            "Action": "kms:*",
            "Resource": "*",
        }],
    })
}
