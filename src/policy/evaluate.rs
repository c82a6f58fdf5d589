//! The decision: all policies that bear on a request, in the order and with the weight that AWS gives them.
//!
//! Source: IAM user guide, "Policy evaluation logic", and the KMS developer guide, "Determining access to AWS KMS
//! keys".
//!
//! Architecture invariant: a statement that denies ends it, in whichever policy it stands; then something of the key's
//! own, its policy or a grant, has to let the caller in, or hand the question to the caller's account.

use std::sync::Arc;

use super::compiled::Compiled;
use super::decision::{Allowed, Decision, Granted, Reason};
use super::index::Subject;
use super::key_policy::{Allowances, KeyPolicy};
use super::statement::Effect;
use super::{Kind, Request};
use crate::aws::{AccountId, MeantAs};

/// The policies that bear on one request.
#[derive(Clone, Copy)]
pub struct Policies<'p> {
    /// Those of the gateway itself, if it has any; one of them has to allow.
    pub guardrail: Option<&'p [Arc<Compiled>]>,
    /// What the resource has to say.
    pub resource: OfResource<'p>,
    /// The caller's permissions boundary, if it has one.
    pub boundary: Option<&'p [Arc<Compiled>]>,
    /// The policy of the caller's session, if it has one.
    pub session: Option<&'p [Arc<Compiled>]>,
    /// The caller's own policies and those of its groups.
    pub identity: &'p [Arc<Compiled>],
    /// Finds a grant that allows what is asked; not asked where policies allow.
    pub grant: &'p dyn Fn() -> Option<Granted>,
}

/// What a resource has to say about who may use it.
#[derive(Clone, Copy, Debug)]
pub enum OfResource<'p> {
    /// It has no policy, or one that is not known here: the caller's identity policies decide.
    Nothing,
    /// It is that account's, whose identity policies decide; nobody else is let in but by a grant.
    Account(AccountId),
    /// The key's policy, which has to let the caller in.
    KeyPolicy {
        /// The policy.
        policy: &'p KeyPolicy,
        /// The key's account. To a caller of another one its own account has to give leave too.
        account: AccountId,
    },
}

impl<'p> Policies<'p> {
    /// Identity policies and nothing else.
    #[must_use]
    pub fn identity(identity: &'p [Arc<Compiled>]) -> Self {
        let (guardrail, boundary, session) = (None, None, None);
        Self { guardrail, resource: OfResource::Nothing, boundary, session, identity, grant: &|| None }
    }
}

/// The one action on a key in which the key's policy has no say (API reference, `RetireGrant`).
const NOT_BY_KEY_POLICY: &str = "kms:RetireGrant";

/// Judges a request. When several statements of one kind of policy decide alike, the one named is any of them, the same
/// one each time.
pub fn evaluate(request: &Request<'_>, policies: &Policies<'_>) -> Decision {
    let mut policies = *policies;
    if request.action.eq_ignore_ascii_case(NOT_BY_KEY_POLICY)
        && let OfResource::KeyPolicy { .. } = policies.resource
    {
        policies.resource = OfResource::Nothing;
    }
    let judge = Judge { subject: Subject::new(request), policies: &policies };
    if let Some(reason) = judge.denied() {
        return Decision::ExplicitDeny(Arc::clone(reason));
    }
    if let Some(guardrail) = policies.guardrail
        && judge.first(Effect::Allow, guardrail).is_none()
    {
        return Decision::ImplicitDeny(Kind::Guardrail);
    }
    let by_policies = judge.by_policies();
    match by_policies {
        Ok(allowed) => Decision::Allow(allowed),
        Err(missing) => judge.by_grant().map_or(Decision::ImplicitDeny(missing), Decision::Allow),
    }
}

/// Whether a key policy lets the caller of `request` in, or hands the question to its account, and does not deny: what
/// KMS asks of a new key policy for `kms:PutKeyPolicy` unless it is told not to. `bounded` says whether the caller has a
/// permissions boundary.
#[must_use]
pub fn admits(policy: &KeyPolicy, request: &Request<'_>, bounded: bool) -> bool {
    let subject = Subject::new(request);
    let Allowances { itself, role, account } = policy.allows(&subject);
    policy.denies(&subject, bounded).is_none() && itself.or(role).or(account).is_some()
}

struct Judge<'r> {
    subject: Subject<'r>,
    policies: &'r Policies<'r>,
}

impl<'r> Judge<'r> {
    /// A statement of that effect in one of these policies.
    fn first(&self, effect: Effect, policies: &'r [Arc<Compiled>]) -> Option<&'r Arc<Reason>> {
        policies.iter().find_map(|policy| policy.find(effect, &self.subject))
    }

    /// A statement that denies.
    fn denied(&self) -> Option<&'r Arc<Reason>> {
        let Policies { guardrail, resource, boundary, session, identity, .. } = self.policies;
        let deny = |policies: Option<&'r [Arc<Compiled>]>| self.first(Effect::Deny, policies.unwrap_or_default());
        deny(*guardrail)
            .or_else(|| match resource {
                OfResource::Nothing | OfResource::Account(_) => None,
                OfResource::KeyPolicy { policy, .. } => policy.denies(&self.subject, boundary.is_some()),
            })
            .or_else(|| deny(*boundary))
            .or_else(|| deny(*session))
            .or_else(|| deny(Some(identity)))
    }

    /// What of the policies allows; else the kind of policy that would have to.
    fn by_policies(&self) -> Result<Allowed, Kind> {
        let (policy, account) = match self.policies.resource {
            OfResource::Nothing => return self.by_identity(None),
            OfResource::Account(account) if account == self.subject.request.caller.account() => {
                return self.by_identity(None);
            }
            OfResource::Account(_) => return Err(Kind::Key),
            OfResource::KeyPolicy { policy, account } => (policy, account),
        };
        let Allowances { itself, role, account: delegated } = policy.allows(&self.subject);
        if account != self.subject.request.caller.account() {
            // The key's account lets it in, and its own account lets it out.
            return self.by_identity(Some(itself.or(role).or(delegated).ok_or(Kind::Key)?));
        }
        if let Some(reason) = itself {
            return Ok(Allowed { key: Some(Arc::clone(reason)), ..Allowed::default() });
        }
        let unlimited =
            role.map(|reason| self.limits().map(|()| Allowed { key: Some(Arc::clone(reason)), ..Allowed::default() }));
        match (unlimited, delegated) {
            (Some(Ok(allowed)), _) => Ok(allowed),
            (_, Some(reason)) => self.by_identity(Some(reason)),
            (Some(Err(missing)), None) => Err(missing),
            (None, None) => Err(Kind::Key),
        }
    }

    /// What of the caller's own account allows, beside the key policy's statement that lets it.
    fn by_identity(&self, key: Option<&Arc<Reason>>) -> Result<Allowed, Kind> {
        let key = key.map(Arc::clone);
        if self.subject.request.caller.is_root() {
            return Ok(Allowed { key, ..Allowed::default() });
        }
        self.limits()?;
        let identity = self.first(Effect::Allow, self.policies.identity).ok_or(Kind::Identity)?;
        Ok(Allowed { key, identity: Some(Arc::clone(identity)), grant: None })
    }

    /// Whether boundary and session policy allow, where there are any.
    fn limits(&self) -> Result<(), Kind> {
        for (policies, kind) in [(self.policies.boundary, Kind::Boundary), (self.policies.session, Kind::Session)] {
            if policies.is_some_and(|policies| self.first(Effect::Allow, policies).is_none()) {
                return Err(kind);
            }
        }
        Ok(())
    }

    /// What a grant allows. One to the caller or its role is enough; one to its account hands the question to the
    /// account, as a key policy's statement does. That neither boundary nor session policy limits the first is not
    /// documented, and follows from grants being the key's own.
    fn by_grant(&self) -> Option<Allowed> {
        let Granted { id, to } = (self.policies.grant)()?;
        let identity = match to {
            MeantAs::Account => self.by_identity(None).ok()?.identity,
            MeantAs::User | MeantAs::Role | MeantAs::Session | MeantAs::Root => None,
        };
        Some(Allowed { key: None, identity, grant: Some(id) })
    }
}
