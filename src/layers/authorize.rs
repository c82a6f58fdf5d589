//! Asks the policies: every (action, resource) pair of the operation must be allowed.
//!
//! Architecture invariant: [`Authorized`] is made only when each of them was.

mod facts;

use std::slice;
use std::sync::Arc;

use facts::Facts;

use super::{Resolved, Step};
use crate::audit::{self, Draft};
use crate::aws::{AliasArn, Member, Operation, Permission, Resource};
use crate::backend::local::{Found, Keys, NamedBy};
use crate::credentials::AccessKey;
use crate::error::Error;
use crate::kms::{Exception, Input};
use crate::limits::BodyReservation;
use crate::policy::{self, Decision, Kind, OfResource, Policies, Request, Subject};
use crate::stage::RequestContext;

/// A request that the policies allow.
#[derive(Debug)]
pub struct Authorized {
    pub(super) context: RequestContext,
    pub(super) access_key: Arc<AccessKey>,
    pub(super) input: Input,
    pub(super) keys: Keys,
    pub(super) held: BodyReservation,
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
        let Resolved { context, access_key, input, keys, held, .. } = resolved;
        let operation = input.operation();
        let makes_key = matches!(operation, Operation::CreateKey | Operation::ReplicateKey);
        let tagging = (makes_key && input.tags(Member::Tags).next().is_some()).then_some(&TAG_NEW_KEY);
        let questions = || {
            let permissions = operation.permissions().iter().chain(tagging);
            permissions.map(|permission| Question {
                context: &context,
                access_key: &access_key,
                input: &input,
                keys: &keys,
                permission,
            })
        };
        let hides = keys.iter().any(Found::hidden);
        if hides {
            // Before anything else is told of the request: were the key not here, it would have been refused by now.
            for question in questions().filter(Question::hidden) {
                question.ask().map_err(|_| Exception::invalid_ciphertext())?;
            }
        }
        grant_tokens(&input)?;
        for question in questions().filter(|question| !(hides && question.hidden())) {
            question.ask()?;
        }
        Ok(Authorized { context, access_key, input, keys, held, _made_here: () })
    }
}

/// Whether one permission is there.
struct Question<'r> {
    context: &'r RequestContext,
    access_key: &'r AccessKey,
    input: &'r Input,
    keys: &'r Keys,
    permission: &'r Permission,
}

impl Question<'_> {
    /// Whether it is about a key that only those who may use it are told of.
    fn hidden(&self) -> bool {
        match self.permission.resource {
            Resource::Key(member) => self.keys.of(self.input.operation(), member).is_some_and(Found::hidden),
            Resource::Alias | Resource::Any => false,
        }
    }

    fn ask(&self) -> Result<(), Error> {
        let (operation, action) = (self.input.operation(), self.permission.action);
        match self.permission.resource {
            Resource::Any => self.judge("*", None, Subject::Resource("*")),
            Resource::Alias => {
                let name = self.input.string(Member::AliasName).unwrap_or_default();
                let arn = AliasArn::new(self.context.region(), self.context.snapshot.account, name);
                self.judge(arn.as_str(), None, Subject::Resource(arn.as_str()))
            }
            // Without such a replica there is nothing to judge: the backend refuses the call.
            Resource::Key(Member::PrimaryRegion) if self.keys.source.is_none() => Ok(()),
            Resource::Key(member) => {
                let Some(found) = self.keys.of(operation, member) else {
                    // Nothing was resolved, so there is nothing to allow.
                    return Err(Exception::access_denied(format!("{action} names no key")).into());
                };
                let arn = found.key.arn.as_str();
                let subject = match found.by {
                    NamedBy::Ciphertext | NamedBy::ForeignCiphertext => Subject::Ciphertext,
                    NamedBy::Key | NamedBy::Alias(_) => Subject::Resource(arn),
                };
                self.judge(arn, Some(found), subject)
            }
        }
    }

    fn judge(&self, resource: &str, found: Option<&Found>, subject: Subject<'_>) -> Result<(), Error> {
        let Self { context, access_key, input, keys, permission } = *self;
        let (principal, action) = (&*access_key.principal, permission.action);
        let caller = principal.arn.caller();
        if principal.arn.account() != context.snapshot.account {
            // Only a key policy opens a key to another account, and there are none yet.
            record(&context.draft, &Decision::ImplicitDeny(Kind::Key));
            return Err(Exception::access_denied(policy::foreign_message(caller, action, subject)).into());
        }
        let facts = Facts { context, principal, input, keys, found, action, resource };
        let policies = Policies {
            guardrail: context.snapshot.guardrail.as_ref().map(slice::from_ref),
            resource: OfResource::Nothing,
            boundary: principal.boundary.as_ref().map(slice::from_ref),
            session: principal.session_policy.as_ref().map(slice::from_ref),
            identity: &principal.policies,
            grant: &|| None,
        };
        let request = Request { action, resource, caller: &principal.names, context: &facts };
        let decision = policy::evaluate(&request, &policies);
        record(&context.draft, &decision);
        match decision {
            Decision::Allow(_) => Ok(()),
            Decision::ExplicitDeny(_) | Decision::ImplicitDeny(_) => {
                let text = policy::denied_message(caller, action, subject, &decision);
                Err(Exception::access_denied(text).into())
            }
        }
    }
}

/// Refuses what cannot be a grant token. Well-formed ones add nothing: there are no grants yet.
fn grant_tokens(input: &Input) -> Result<(), Exception> {
    let base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/-_=".contains(&byte);
    if input.strings(Member::GrantTokens).iter().all(|token| token.bytes().all(base64)) {
        Ok(())
    } else {
        Err(Exception::invalid_grant_token())
    }
}

/// Writes into the record which statement decided.
fn record(draft: &Draft, decision: &Decision) {
    let name = match decision {
        Decision::Allow(_) => "Allow",
        Decision::ExplicitDeny(_) => "ExplicitDeny",
        Decision::ImplicitDeny(_) => "ImplicitDeny",
    };
    let Some(reason) = decision.reasons().next() else {
        return draft.reason(audit::Reason { decision: name, policy: None, statement: None });
    };
    let statement = reason.sid.clone().unwrap_or_else(|| reason.index.to_string().into());
    draft.reason(audit::Reason {
        decision: name,
        policy: Some(Arc::clone(&reason.policy)),
        statement: Some(statement),
    });
}

#[cfg(test)]
mod tests;
