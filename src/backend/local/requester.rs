//! Who asks for a change, and who else there is: what changes of permissions are checked against.

use std::fmt;
use std::sync::Arc;

use super::Keys;
use crate::aws::{GrantId, KeyArn};
use crate::credentials::{Credentials, Principal};
use crate::kms::Input;
use crate::policy::KeyPolicy;

/// Who asks for a change.
pub struct Requester {
    /// The caller.
    pub principal: Arc<Principal>,
    /// All principals there are.
    pub credentials: Arc<Credentials>,
    /// Whether key policies and grants may name others, of which nobody can say whether they are there.
    pub accept_unknown_principals: bool,
    /// The grant whose leave the call rests on, if no policy gives it: `CreateGrant` then passes on no more than that.
    pub through: Option<GrantId>,
    /// Whether that policy of that key would let the caller change it again.
    pub keeps_control: KeepsControl,
}

/// Judges a policy that a key is to have, by the request that brings it and the keys it is about.
pub type KeepsControl = Box<dyn Fn(&KeyPolicy, &KeyArn, &Input, &Keys) -> bool + Send>;

impl Requester {
    /// Whether there is such a principal, in the form of [`canonical_principal`](crate::aws::canonical_principal), or it
    /// does not matter.
    pub(super) fn knows(&self, principal: &str) -> bool {
        self.accept_unknown_principals || self.credentials.knows(principal)
    }
}

impl fmt::Debug for Requester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (caller, through) = (self.principal.arn.caller(), &self.through);
        f.debug_struct("Requester").field("caller", &caller).field("through", through).finish_non_exhaustive()
    }
}

#[cfg(test)]
impl Requester {
    /// The principal of that ARN, without policies, of whose requests nothing is known; beside it there are those of
    /// `others`.
    pub(crate) fn of_test(arn: &str, others: &[&str]) -> Self {
        use crate::aws::Tags;
        use crate::credentials::AccessKey;
        use crate::policy::{self, ConditionKey, Request, RequestContext, Values};
        use crate::secret::Secret;

        struct Nothing;
        impl RequestContext for Nothing {
            fn values(&self, _: &ConditionKey) -> Values<'_> {
                Values::Absent
            }
        }
        let id = "AIDACKCEVSQ6C2EXAMPLE";
        let principal = |arn: &str| Arc::new(Principal::new(arn.parse().unwrap(), id, Tags::default(), Vec::new()));
        let key = |(number, arn): (usize, &&str)| {
            let key_id = format!("AKIAEXAMPLE{number:09}").parse().unwrap();
            let key = AccessKey::new(&principal(arn), id, &key_id, Secret::new(String::new()));
            (key_id, Arc::new(key))
        };
        let credentials = others.iter().chain([&arn]).enumerate().map(key).collect();
        let (principal, caller) = (principal(arn), principal(arn).names.clone());
        Self {
            principal,
            credentials: Arc::new(credentials),
            accept_unknown_principals: false,
            through: None,
            keeps_control: Box::new(move |policy, key, _, _| {
                let (action, resource, context) = ("kms:PutKeyPolicy", key.as_str(), &Nothing);
                policy::admits(policy, &Request { action, resource, caller: &caller, context }, false)
            }),
        }
    }
}
