//! Asks the policies: every (action, resource) pair of the operation must be allowed.
//!
//! Architecture invariant: [`Authorized`] is made only when each of them was.

mod facts;
mod leave;

use std::slice;
use std::sync::Arc;

use facts::Facts;
pub(super) use leave::Leave;

use super::parse::Payload;
use super::{Resolved, Step};
use crate::audit::{self, Draft};
use crate::aws::{AliasArn, Member, Operation, Permission, Resource};
use crate::backend::local::{KeepsControl, Tokens};
use crate::backend::{Found, Keys, NamedBy};
use crate::credentials::AccessKey;
use crate::error::Error;
use crate::grants::{Constraint, GrantOperation};
use crate::kms::{Exception, Input};
use crate::limits::BodyReservation;
use crate::policy::{self, Allowed, Decision, Granted, Kind, OfResource, Policies, Request, Subject};
use crate::stage::RequestContext;

/// A request that the policies allow.
#[derive(Debug)]
pub struct Authorized {
    pub(super) context: RequestContext,
    pub(super) access_key: Arc<AccessKey>,
    pub(super) input: Input,
    pub(super) payload: Payload,
    pub(super) keys: Keys,
    pub(super) held: BodyReservation,
    pub(super) leave: Leave,
    _made_here: (),
}

/// What `CreateKey` and `ReplicateKey` need too when they tag the key (API reference, `CreateKey`, `Tags`); the key has
/// no ARN yet.
const TAG_NEW_KEY: Permission = Permission { action: "kms:TagResource", resource: Resource::Any };

/// The step that makes [`Authorized`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Authorize;

impl Step<Resolved> for Authorize {
    type Out = Authorized;

    fn step(&self, resolved: Resolved) -> Result<Authorized, Error> {
        let Resolved { context, access_key, input, payload, keys, tokens, held, .. } = resolved;
        let asked = Asked { context: &context, access_key: &access_key, input: &input, keys: &keys };
        let leave = leave(&asked, tokens).inspect_err(|_| keys.iter().for_each(|found| found.key.doubt()))?;
        Ok(Authorized { context, access_key, input, payload, keys, held, leave, _made_here: () })
    }
}

/// A request, as far as policies see it.
#[derive(Clone, Copy)]
pub(super) struct Asked<'r> {
    pub(super) context: &'r RequestContext,
    pub(super) access_key: &'r AccessKey,
    pub(super) input: &'r Input,
    pub(super) keys: &'r Keys,
}

/// The leave to do all that is asked. Of a key that the answer alone will name it is given provisionally:
/// [`on_answer`] decides.
fn leave(asked: &Asked<'_>, tokens: Result<Tokens, Exception>) -> Result<Leave, Error> {
    let Asked { input, keys, .. } = *asked;
    let operation = input.operation();
    let tagging = (operation.makes_key() && input.tags(Member::Tags).next().is_some()).then_some(&TAG_NEW_KEY);
    // What cannot be a token adds nothing, and is refused below.
    let (tokens, unusable) = tokens.map_or_else(|error| (Tokens::default(), Some(error)), |tokens| (tokens, None));
    let questions = || {
        let permissions = operation.permissions().iter().chain(tagging);
        permissions.map(|permission| Question { asked, tokens: &tokens, permission })
    };
    let hides = keys.iter().any(Found::hidden);
    let mut leave = Leave::begin();
    if hides {
        // Before anything else is told of the request: were the key not here, it would have been refused by now.
        for question in questions().filter(Question::hidden) {
            leave.and(question.ask().map_err(|_| Exception::invalid_ciphertext())?);
        }
    }
    if let Some(error) = unusable {
        return Err(error.into());
    }
    for question in questions().filter(|question| !(hides && question.hidden())) {
        leave.and(question.ask()?);
    }
    Ok(leave)
}

/// The leave to have an answer, by the keys that it names.
///
/// # Errors
///
/// As for a request: the answer is not to be let out.
pub(super) fn on_answer(asked: &Asked<'_>) -> Result<(), Error> {
    let tokens = Tokens::default();
    let permissions = asked.input.operation().permissions().iter();
    let mut about_keys = permissions.filter(|permission| matches!(permission.resource, Resource::Key(_)));
    about_keys.try_for_each(|permission| Question { asked, tokens: &tokens, permission }.ask().map(drop))
}

/// Whether one permission is there.
struct Question<'r> {
    asked: &'r Asked<'r>,
    tokens: &'r Tokens,
    permission: &'r Permission,
}

impl Question<'_> {
    /// Whether it is about a key that only those who may use it are told of.
    fn hidden(&self) -> bool {
        let Asked { input, keys, .. } = self.asked;
        match self.permission.resource {
            Resource::Key(member) => keys.of(input.operation(), member).is_some_and(Found::hidden),
            Resource::Alias | Resource::Any => false,
        }
    }

    fn ask(&self) -> Result<Leave, Error> {
        let Asked { context, input, keys, .. } = *self.asked;
        let (operation, action) = (input.operation(), self.permission.action);
        match self.permission.resource {
            Resource::Any => {
                // What is listed is a principal's, and `*` in policies.
                let resource = input.string(Member::RetiringPrincipal).filter(|_| lists_retirable(operation));
                let resource = resource.unwrap_or("*");
                self.judge(resource, None, Subject::Resource(resource))
            }
            Resource::Alias => {
                let name = input.string(Member::AliasName).unwrap_or_default();
                let arn = AliasArn::new(context.region(), keys.account, name);
                self.judge(arn.as_str(), None, Subject::Resource(arn.as_str()))
            }
            // Without such a replica there is nothing to judge: the backend refuses the call.
            Resource::Key(Member::PrimaryRegion) if keys.source.is_none() => Ok(Leave::begin()),
            Resource::Key(member) => {
                let Some(found) = keys.of(operation, member) else {
                    if keys.told_by_answer {
                        return self.provisionally();
                    }
                    if operation == Operation::RetireGrant {
                        // By a token of AWS's, which alone knows what it stands for.
                        return self.judge("*", None, Subject::Resource("*"));
                    }
                    // Nothing was resolved, so there is nothing to allow.
                    return Err(Exception::access_denied(format!("{action} names no key")).into());
                };
                let arn = found.key.arn().as_str();
                let subject = match found.by {
                    NamedBy::Ciphertext | NamedBy::ForeignCiphertext => Subject::Ciphertext,
                    NamedBy::Key | NamedBy::Alias(_) => Subject::Resource(arn),
                };
                self.judge(arn, Some(found), subject)
            }
        }
    }

    /// Whether there can be a key on which it would be allowed.
    fn provisionally(&self) -> Result<Leave, Error> {
        let Asked { context, access_key, .. } = *self.asked;
        let (principal, action) = (&*access_key.principal, self.permission.action);
        let policies = Policies {
            guardrail: context.snapshot.guardrail.as_ref().map(slice::from_ref),
            boundary: principal.boundary.as_ref().map(slice::from_ref),
            session: principal.session_policy.as_ref().map(slice::from_ref),
            ..Policies::identity(&principal.policies)
        };
        let root = principal.names.is_root();
        if root || policy::could_allow(action, &policies) {
            return Ok(Leave::begin());
        }
        let decision = Decision::ImplicitDeny(Kind::Identity);
        if policy::could_be_let_through(action, &policies)
            && let Some(leave) = Leave::report_only(self, &decision, false)
        {
            // The answer decides, and is what the record tells of.
            return Ok(leave);
        }
        record(&context.draft, action, &decision, false);
        let text = policy::denied_message(principal.arn.caller(), action, Subject::Ciphertext, &decision);
        Err(Exception::access_denied(text).into())
    }

    fn judge(&self, resource: &str, found: Option<&Found>, subject: Subject<'_>) -> Result<Leave, Error> {
        let Asked { context, access_key, input, keys } = *self.asked;
        let (principal, action) = (&*access_key.principal, self.permission.action);
        let caller = principal.arn.caller();
        let account = found.map_or(keys.account, |found| found.key.arn().account());
        let foreign = principal.arn.account() != account;
        let of_resource = match (&keys.grant, found) {
            // The key's policy has no say in who retires its grants.
            (Some(grant), _) => OfResource::Account(grant.issuing_account),
            (None, Some(Found { key, .. })) => match key.policy() {
                Some(policy) => OfResource::KeyPolicy { policy, account },
                // Its upstream judges the gateway by it; whom of the gateway's own is for the gateway to say.
                None => OfResource::Nothing,
            },
            // Principals are their own account's, whoever has the keys.
            (None, None) if lists_retirable(input.operation()) => OfResource::Account(principal.arn.account()),
            (None, None) => OfResource::Account(account),
        };
        let facts = Facts { context, principal, input, keys, found, action, resource };
        let policies = Policies {
            guardrail: context.snapshot.guardrail.as_ref().map(slice::from_ref),
            resource: of_resource,
            boundary: principal.boundary.as_ref().map(slice::from_ref),
            session: principal.session_policy.as_ref().map(slice::from_ref),
            identity: &principal.policies,
            grant: &|| self.granted(&facts),
        };
        let request = Request { action, resource, caller: &principal.names, context: &facts };
        let decision = policy::evaluate(&request, &policies);
        let only_reported = Leave::report_only(self, &decision, foreign);
        record(&context.draft, action, &decision, only_reported.is_some());
        let kind = match &decision {
            Decision::Allow(allowed) => return Ok(Leave::allowed(allowed)),
            Decision::ExplicitDeny(reason) => reason.kind,
            Decision::ImplicitDeny(kind) => *kind,
        };
        if let Some(leave) = only_reported {
            return Ok(leave);
        }
        // What the caller's own policies ask may be of a key that is there: it is told that they refuse, as by KMS, only
        // if the key's policy lets it in.
        let let_in = match of_resource {
            OfResource::KeyPolicy { policy, .. } => policy::admits(policy, &request, principal.boundary.is_some()),
            OfResource::Account(_) | OfResource::Nothing => found.is_none() && kind != Kind::Key,
        };
        let text = if foreign && !let_in {
            policy::foreign_message(caller, action, subject)
        } else {
            policy::denied_message(caller, action, subject, &decision)
        };
        Err(Exception::access_denied(text).into())
    }

    /// A grant that allows what is asked: of the key's, or the one that is to be retired.
    fn granted(&self, facts: &Facts<'_>) -> Option<Granted> {
        let Asked { context, access_key, input, keys } = *self.asked;
        let caller = &access_key.principal.names;
        if let Some(grant) = &keys.grant {
            return grant.may_retire(caller).map(|to| Granted { id: grant.id, to });
        }
        let operation = GrantOperation::from_action(self.permission.action)?;
        let (grants, now, tokens) = (facts.found?.key.grants()?, context.received_at, self.tokens.ids());
        let (grant, to) = match operation {
            GrantOperation::CreateGrant => {
                let names = input.strings(Member::Operations).iter();
                let asked = names.filter_map(|name| GrantOperation::from_name(name)).collect();
                grants.allowing_grant(caller, asked, constraint(input).as_ref(), now, tokens)
            }
            operation => grants.allowing(caller, operation, facts.encryption_context(), now, tokens),
        }?;
        Some(Granted { id: grant.id, to })
    }
}

fn lists_retirable(operation: Operation) -> bool {
    operation == Operation::ListRetirableGrants
}

/// The constraint of the grant that is to be made.
fn constraint(input: &Input) -> Option<Constraint> {
    let [equals, subset] = input.constraints();
    let equals = equals.map(|pairs| Constraint::EncryptionContextEquals(pairs.clone()));
    equals.or_else(|| subset.map(|pairs| Constraint::EncryptionContextSubset(pairs.clone())))
}

/// Judges, for a change of a key's policy, whether the caller could change it again: by the same facts as the request
/// that brings the policy.
pub(super) fn keeps_control(context: RequestContext, access_key: Arc<AccessKey>) -> KeepsControl {
    Box::new(move |policy, key, input, keys| {
        let (principal, action, resource) = (&*access_key.principal, "kms:PutKeyPolicy", key.as_str());
        let found = keys.main.as_ref().filter(|found| found.key.arn() == key);
        let facts = Facts { context: &context, principal, input, keys, found, action, resource };
        let request = Request { action, resource, caller: &principal.names, context: &facts };
        policy::admits(policy, &request, principal.boundary.is_some())
    })
}

/// Writes into the record what decided.
fn record(draft: &Draft, action: &'static str, decision: &Decision, danger_report_only: bool) {
    let blank = audit::Reason { action, danger_report_only, ..audit::Reason::default() };
    let of = |reason: &policy::Reason| audit::Reason {
        layer: reason.kind.label(),
        policy: (reason.kind != Kind::Key).then(|| Arc::clone(&reason.policy)),
        statement: Some(reason.statement()),
        ..blank.clone()
    };
    draft.reason(match decision {
        Decision::ExplicitDeny(reason) => audit::Reason { decision: "ExplicitDeny", ..of(reason) },
        Decision::ImplicitDeny(kind) => audit::Reason { decision: "ImplicitDeny", layer: kind.label(), ..blank },
        Decision::Allow(Allowed { key, identity, grant }) => {
            let found = match (identity, key) {
                (Some(identity), key) => {
                    audit::Reason { key_statement: key.as_deref().map(policy::Reason::statement), ..of(identity) }
                }
                (None, Some(key)) => of(key),
                // A grant, or the root user of the account.
                (None, None) => audit::Reason { layer: Kind::Identity.label(), ..blank.clone() },
            };
            let layer = if grant.is_some() { "grant" } else { found.layer };
            audit::Reason { decision: "Allow", layer, grant: *grant, ..found }
        }
    });
}

#[cfg(test)]
mod tests;
