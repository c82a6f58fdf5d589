//! Who asks for a change, and who else there is: what changes of permissions are checked against.

use std::fmt;
use std::sync::Arc;

use super::Keys;
use crate::aws::KeyArn;
use crate::credentials::{Credentials, Principal};
use crate::kms::Input;
use crate::policy::KeyPolicy;

/// Who asks for a change.
pub struct Requester {
    /// The caller.
    pub principal: Arc<Principal>,
    /// All principals there are.
    pub credentials: Arc<Credentials>,
    /// Whether key policies and grants may name others.
    pub accept_unknown_principals: bool,
    /// The grant without which it would not be allowed, if there is one.
    pub through: Option<Arc<str>>,
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
        f.debug_struct("Requester").field("principal", &self.principal.arn.caller()).finish_non_exhaustive()
    }
}

#[cfg(test)]
impl Requester {
    /// For tests: the only principal there is, without policies, of whose requests nothing else is known.
    pub(crate) fn alone(arn: &crate::credentials::PrincipalArn) -> Self {
        use crate::credentials::AccessKey;
        use crate::policy::{self, ConditionKey, Request, RequestContext, Values};
        use crate::secret::Secret;

        struct Nothing;
        impl RequestContext for Nothing {
            fn values(&self, _: &ConditionKey) -> Values<'_> {
                Values::Absent
            }
        }
        let principal =
            Arc::new(Principal::new(arn.clone(), "AIDACKCEVSQ6C2EXAMPLE", crate::aws::Tags::default(), Vec::new()));
        let id = "AKIAIOSFODNN7EXAMPLE".parse().unwrap();
        let key = AccessKey::new(&principal, "AIDACKCEVSQ6C2EXAMPLE", &id, Secret::new("nobody's".to_owned()));
        let caller = principal.names.clone();
        Self {
            principal,
            credentials: Arc::new([(id, Arc::new(key))].into_iter().collect()),
            accept_unknown_principals: false,
            through: None,
            keeps_control: Box::new(move |policy, key, _, _| {
                let (action, resource, context) = ("kms:PutKeyPolicy", key.as_str(), &Nothing);
                policy::admits(policy, &Request { action, resource, caller: &caller, context })
            }),
        }
    }
}
