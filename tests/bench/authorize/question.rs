//! One question to the policies, with all that bears on it, and the decision it must get.

use std::sync::Arc;

use kmsgate::aws::{AccountId, PrincipalNames};
use kmsgate::policy::{
    Compiled, ConditionKey, Decision, Granted, KeyPolicy, Kind, OfResource, Policies, Request, RequestContext, Values,
    evaluate,
};

/// Policies of one kind.
pub(crate) type Attached = Arc<[Arc<Compiled>]>;

/// What a decision is, and by which statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Allowed by statements of the key policy and of an identity policy, by their places.
    Allow {
        /// The key policy's.
        key: Option<usize>,
        /// The identity policy's.
        identity: Option<usize>,
        /// A grant's help was needed.
        grant: bool,
    },
    /// Denied by that statement.
    ExplicitDeny(usize),
    /// Nothing of this kind allows.
    ImplicitDeny(Kind),
}

impl Verdict {
    /// Allowed by that statement of an identity policy.
    pub(crate) const fn identity(place: usize) -> Self {
        Self::Allow { key: None, identity: Some(place), grant: false }
    }

    fn of(decision: &Decision) -> Self {
        match decision {
            Decision::Allow(allowed) => Self::Allow {
                key: allowed.key.as_ref().map(|reason| reason.index),
                identity: allowed.identity.as_ref().map(|reason| reason.index),
                grant: allowed.grant.is_some(),
            },
            Decision::ExplicitDeny(reason) => Self::ExplicitDeny(reason.index),
            Decision::ImplicitDeny(kind) => Self::ImplicitDeny(*kind),
        }
    }
}

/// Finds a grant, as the layers do.
pub(crate) type FindGrant = Arc<dyn Fn(&Request<'_>) -> Option<Granted>>;

/// A question, made before the clock runs.
#[derive(Clone)]
pub(crate) struct Question {
    /// The permission.
    pub(crate) action: &'static str,
    /// The key's ARN.
    pub(crate) resource: String,
    /// Who asks.
    pub(crate) caller: Arc<PrincipalNames>,
    /// The other facts.
    pub(crate) facts: Facts,
    /// The gateway's own policies.
    pub(crate) guardrail: Option<Attached>,
    /// The key's policy.
    pub(crate) key: Option<(Arc<KeyPolicy>, AccountId)>,
    /// The caller's boundary.
    pub(crate) boundary: Option<Attached>,
    /// The caller's own policies.
    pub(crate) identity: Attached,
    /// Where grants are looked for.
    pub(crate) grant: Option<FindGrant>,
    /// The decision.
    pub(crate) expected: Verdict,
}

impl Question {
    /// Asks; whether the decision is the right one.
    pub(crate) fn is_answered_rightly(&self) -> bool {
        self.ask() == self.expected
    }

    /// What is wrong with the decision, if anything is.
    pub(crate) fn fault(&self) -> Option<String> {
        let (decided, Self { action, resource, expected, .. }) = (self.ask(), self);
        let fault = || format!("{action} on {resource}: {decided:?} instead of {expected:?}");
        (decided != *expected).then(fault)
    }

    fn ask(&self) -> Verdict {
        let Self { action, resource, caller, facts, .. } = self;
        let request = Request { action, resource, caller, context: facts };
        let grant = || self.grant.as_ref().and_then(|find| find(&request));
        let policies = Policies {
            guardrail: self.guardrail.as_deref(),
            resource: self
                .key
                .as_ref()
                .map_or(OfResource::Nothing, |(policy, account)| OfResource::KeyPolicy { policy, account: *account }),
            boundary: self.boundary.as_deref(),
            session: None,
            identity: &self.identity,
            grant: &grant,
        };
        Verdict::of(&evaluate(&request, &policies))
    }
}

/// The facts of a data key request over TLS, found as the gateway finds them: pairs and tags by walking a short list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// The encryption context.
    pub(crate) pairs: Vec<(&'static str, String)>,
    /// The caller's tags.
    pub(crate) tags: Vec<(&'static str, String)>,
}

impl RequestContext for Facts {
    fn values(&self, key: &ConditionKey) -> Values<'_> {
        match key {
            ConditionKey::EncryptionContext(name) => first(&self.pairs, |known| name.is(known)),
            ConditionKey::EncryptionContextKeys => Values::many(self.pairs.iter().map(|(name, _)| *name)),
            ConditionKey::PrincipalTag(name) => first(&self.tags, |known| name.is(known)),
            ConditionKey::SecureTransport => Values::boolean(true),
            _ => Values::Absent,
        }
    }
}

/// The value of the one that `is` meant: names here do not differ in case alone.
fn first<'v>(pairs: &'v [(&'static str, String)], is: impl Fn(&str) -> bool) -> Values<'v> {
    Values::optional(pairs.iter().find(|(name, _)| is(name)).map(|(_, value)| value.as_str()))
}
