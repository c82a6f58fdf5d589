//! The one policy that each key has: its text as it was put, and what requests are judged by.

use std::fmt;

use crate::aws::AccountId;
use crate::policy::{Fault, KeyPolicy};

/// What decisions call the policy of a key by.
const NAME: &str = "key policy";

/// A key's policy. It does not change; keys with the same one share it.
pub struct AttachedPolicy {
    text: Box<str>,
    compiled: KeyPolicy,
    /// It is that of a key which was created without one: the store need not hold it.
    usual: bool,
}

impl AttachedPolicy {
    /// Reads a policy.
    ///
    /// # Errors
    ///
    /// Every fault of it.
    pub(super) fn parse(text: &str) -> Result<Self, Vec<Fault>> {
        let (compiled, _) = KeyPolicy::parse(NAME, text.as_bytes())?;
        Ok(Self { text: text.into(), compiled, usual: false })
    }

    /// The policy of a key that was created without one, as `GetKeyPolicy` has it (developer guide, "Default key policy";
    /// the white space is that of the API reference's example): it delegates to the account, whose identity policies then
    /// decide alone.
    #[must_use]
    pub fn default_of(account: AccountId, partition: &str) -> Self {
        let root = format!("arn:{partition}:iam::{account}:root");
        let text = format!(
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
        );
        // It has no fault. If it had one, nobody could use the keys.
        let compiled = KeyPolicy::parse(NAME, text.as_bytes()).map(|(compiled, _)| compiled).unwrap_or_default();
        Self { text: text.into(), compiled, usual: true }
    }

    /// As it was put.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// As requests are judged by it.
    #[must_use]
    pub const fn compiled(&self) -> &KeyPolicy {
        &self.compiled
    }

    /// The text, unless it is that of a key which was created without a policy.
    pub(super) fn unusual(&self) -> Option<&str> {
        (!self.usual).then_some(&self.text)
    }
}

impl fmt::Debug for AttachedPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
