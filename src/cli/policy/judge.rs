//! One question judged as a gateway would judge it, with the path to the answer: what each layer of policies said.
//!
//! The decision is the policy engine's own; the path is worked out beside it, by asking each layer alone.

use std::path::Path;
use std::slice;
use std::sync::Arc;

use super::fault::Failure;
use super::request::Facts;
use crate::aws::{AccountId, Arn, KeyArn, MeantAs};
use crate::backend::local::AttachedPolicy;
use crate::config::{policy_fault, read_bounded};
use crate::credentials::Principal;
use crate::faults::Fault;
use crate::grants::GrantOperation;
use crate::policy::{
    self, Compiled, Decision, Document, Effect, Explained, KeyPolicy, Kind, Matched, OfResource, Policies, Reason,
    Request, Subject,
};

const RETIRE_GRANT: &str = "kms:RetireGrant";
const LIST_RETIRABLE_GRANTS: &str = "kms:ListRetirableGrants";

/// What is judged by: whose policies, and the guardrail.
#[derive(Debug)]
pub(super) struct Bench<'b> {
    pub(super) guardrail: Option<&'b Arc<Compiled>>,
    /// The account that a gateway's keys belong to, where there is a configuration.
    pub(super) account: Option<AccountId>,
    pub(super) principal: &'b Principal,
    pub(super) key_policy: &'b OfKey,
}

/// The policy of the key that is asked about.
#[derive(Debug)]
pub(super) enum OfKey {
    /// Nobody said which: the one that KMS gives to keys made without.
    Default,
    /// This file's.
    Given(Box<Given>),
}

/// A key policy, to judge by and to take apart.
#[derive(Debug)]
pub(super) struct Given {
    policy: KeyPolicy,
    statements: Arc<Compiled>,
}

impl OfKey {
    /// The policy of `file`, or the default one if there is none.
    ///
    /// # Errors
    ///
    /// That it cannot be read, or every fault of the document.
    pub(super) fn read(file: Option<&Path>) -> Result<Self, Failure> {
        let Some(file) = file else { return Ok(Self::Default) };
        let json = read(file)?;
        let name = file.display().to_string();
        Ok(Self::Given(Box::new(
            Given::parse(&name, &json)
                .map_err(|faults| Failure::all(faults.into_iter().map(|fault| policy_fault(file, fault))))?,
        )))
    }
}

impl Given {
    fn parse(name: &str, json: &[u8]) -> Result<Self, Vec<policy::Fault>> {
        let (policy, _) = KeyPolicy::parse(name, json)?;
        let statements = Document::parse(name, json, Kind::Key)?;
        Ok(Self { policy, statements: Arc::new(Compiled::from(statements.document)) })
    }
}

/// A question to the policies.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) action: String,
    /// An ARN, or `*`.
    pub(super) resource: String,
    pub(super) facts: Facts,
}

/// The answer.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) question: Question,
    pub(super) caller: String,
    pub(super) decision: Decision,
    /// The layers, in the order in which they are asked.
    pub(super) path: Vec<Layer>,
    /// In AWS's words, if it is denied.
    pub(super) message: Option<String>,
    /// What was taken for granted.
    pub(super) notes: Vec<String>,
}

/// One layer of policies.
#[derive(Debug)]
pub(super) struct Layer {
    /// The kind of its policies; `None` for grants.
    pub(super) kind: Option<Kind>,
    pub(super) said: Said,
    /// The policies in it, by name.
    pub(super) policies: Vec<String>,
    /// The statement that it said so with.
    pub(super) reason: Option<Arc<Reason>>,
    /// Its statements about the action, if this layer decided or lacks one that allows.
    pub(super) statements: Vec<Explained>,
}

/// What a layer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Allow,
    /// It allows if the caller's account does.
    AllowForAccount,
    Deny,
    /// There are policies, and no statement of them applies.
    Nothing,
    /// There is no policy.
    NotThere,
    /// There may be some, which were not looked at.
    NotLookedAt,
}

/// Reads a file of the operator's.
pub(super) fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    read_bounded(file).map_err(|message| Fault::of_file(file, message, "it is to be a policy document").into())
}

impl Bench<'_> {
    /// Judges `question`.
    pub(super) fn judge(&self, question: Question) -> Result<Verdict, Failure> {
        let key: Option<KeyArn> = question.resource.parse().ok();
        // The key's policy has no say in who retires its grants.
        let asked = key.as_ref().filter(|_| question.action != RETIRE_GRANT);
        let of_key = asked.map(|key| self.of_key(key)).transpose()?;
        let of_key = of_key.as_ref().map(|of_key| match of_key {
            Known::Default(given) => given,
            Known::Given(given) => *given,
        });
        let principal = self.principal;
        let account = || Arn::parse(&question.resource).ok().and_then(|arn| arn.account.parse().ok());
        // Principals, whose retirable grants are listed, are their own account's.
        let of_caller = (question.action == LIST_RETIRABLE_GRANTS).then(|| principal.arn.account());
        let account = key.as_ref().map(KeyArn::account).or(of_caller).or(self.account).or_else(account);
        let resource = match (&key, of_key, account) {
            (Some(key), Some(given), _) => OfResource::KeyPolicy { policy: &given.policy, account: key.account() },
            (_, _, Some(account)) => OfResource::Account(account),
            (_, _, None) => OfResource::Nothing,
        };
        let policies = Policies {
            guardrail: self.guardrail.map(slice::from_ref),
            resource,
            boundary: principal.boundary.as_ref().map(slice::from_ref),
            session: principal.session_policy.as_ref().map(slice::from_ref),
            identity: &principal.policies,
            grant: &|| None,
        };
        let Question { action, resource, facts } = &question;
        let request = Request { action, resource, caller: &principal.names, context: facts };
        let decision = policy::evaluate(&request, &policies);
        let of_key = of_key.map(|given| slice::from_ref(&given.statements));
        // Of the management of keys no grant can say anything.
        let grantable = key.is_some() && GrantOperation::from_action(action).is_some();
        let path = path(&request, &policies, of_key, grantable, &decision);
        let message = self.message(&request, &policies, account, &decision);
        let notes = self.notes(grantable, asked.is_some());
        Ok(Verdict { caller: principal.arn.caller().to_owned(), decision, path, message, notes, question })
    }

    fn of_key(&self, key: &KeyArn) -> Result<Known<'_>, Failure> {
        match self.key_policy {
            OfKey::Given(given) => Ok(Known::Given(given)),
            OfKey::Default => {
                let default = AttachedPolicy::default_of(key.account(), key.region().partition().as_str());
                let faults = |faults| Failure::Asked(format!("the default key policy has faults: {faults:?}"));
                Ok(Known::Default(Given::parse("default", default.text().as_bytes()).map_err(faults)?))
            }
        }
    }

    fn message(
        &self,
        request: &Request<'_>,
        policies: &Policies<'_>,
        account: Option<AccountId>,
        decision: &Decision,
    ) -> Option<String> {
        let Request { action, resource, .. } = *request;
        let (arn, subject) = (&self.principal.arn, Subject::Resource(resource));
        let kind = match decision {
            Decision::Allow(_) => return None,
            Decision::ExplicitDeny(reason) => reason.kind,
            Decision::ImplicitDeny(kind) => *kind,
        };
        let foreign = account.is_some_and(|account| account != arn.account());
        // As when a request is judged.
        let let_in = match policies.resource {
            OfResource::KeyPolicy { policy, .. } => policy::admits(policy, request, policies.boundary.is_some()),
            OfResource::Account(_) | OfResource::Nothing => resource.parse::<KeyArn>().is_err() && kind != Kind::Key,
        };
        Some(if foreign && !let_in {
            policy::foreign_message(arn.caller(), action, subject)
        } else {
            policy::denied_message(arn.caller(), action, subject, decision)
        })
    }

    fn notes(&self, grantable: bool, key_policy_asked: bool) -> Vec<String> {
        let mut notes = Vec::new();
        if key_policy_asked && matches!(self.key_policy, OfKey::Default) {
            notes.push(
                "the key is taken to have the default key policy, which hands the question to the account; --key-policy \
                 says otherwise"
                    .to_owned(),
            );
        }
        if grantable {
            notes.push("grants are not looked at: one may allow what no policy does".to_owned());
        }
        if let Some(until) = self.principal.danger_report_only_until {
            notes.push(format!(
                "until {} data-key calls of this principal that no policy allows are let through and only reported",
                until.iso8601()
            ));
        }
        notes
    }
}

/// A key's policy, made here or elsewhere.
enum Known<'k> {
    Default(Given),
    Given(&'k Given),
}

/// What each layer says, in the order in which they are asked for what they allow.
fn path(
    request: &Request<'_>,
    policies: &Policies<'_>,
    of_key: Option<&[Arc<Compiled>]>,
    grantable: bool,
    decision: &Decision,
) -> Vec<Layer> {
    let layers = [
        (Kind::Guardrail, policies.guardrail),
        (Kind::Key, of_key),
        (Kind::Boundary, policies.boundary),
        (Kind::Session, policies.session),
        (Kind::Identity, Some(policies.identity).filter(|identity| !identity.is_empty())),
    ];
    let bounded = policies.boundary.is_some();
    let mut path: Vec<Layer> =
        layers.map(|(kind, policies)| layer(kind, policies, (request, bounded), decision)).into();
    let grants = if grantable { Said::NotLookedAt } else { Said::NotThere };
    path.push(Layer { kind: None, said: grants, policies: Vec::new(), reason: None, statements: Vec::new() });
    path
}

fn layer(
    kind: Kind,
    policies: Option<&[Arc<Compiled>]>,
    (request, bounded): (&Request<'_>, bool),
    decision: &Decision,
) -> Layer {
    let Some(policies) = policies else {
        return Layer {
            kind: Some(kind),
            said: Said::NotThere,
            policies: Vec::new(),
            reason: None,
            statements: Vec::new(),
        };
    };
    let mut statements: Vec<Explained> =
        policies.iter().flat_map(|policy| policy::explain(policy, request, bounded)).collect();
    statements.retain(|statement| statement.action == Matched::Yes);
    let (said, reason) = said(&statements, kind, decision);
    if !decides(kind, decision) {
        statements.clear();
    }
    let policies = policies.iter().map(|policy| policy.name().to_owned()).collect();
    Layer { kind: Some(kind), said, policies, reason, statements }
}

/// What the statements say together. Of several that say the same the one is named that the decision names.
fn said(statements: &[Explained], kind: Kind, decision: &Decision) -> (Said, Option<Arc<Reason>>) {
    let applying = |effect| {
        let of = statements.iter().filter(move |statement| statement.applies && statement.effect == effect);
        let decided = |statement: &&Explained| decision.reasons().any(|reason| *reason == *statement.reason);
        of.clone().find(decided).or_else(|| of.clone().min_by_key(|statement| weight(statement)))
    };
    let (said, statement) = match (applying(Effect::Deny), applying(Effect::Allow)) {
        (Some(statement), _) => (Said::Deny, statement),
        (None, Some(statement)) if kind == Kind::Key && statement.meant_as == Some(MeantAs::Account) => {
            (Said::AllowForAccount, statement)
        }
        (None, Some(statement)) => (Said::Allow, statement),
        (None, None) => return (Said::Nothing, None),
    };
    (said, Some(Arc::clone(&statement.reason)))
}

/// What means the caller itself comes before what means everybody of its account.
fn weight(statement: &Explained) -> u8 {
    u8::from(statement.meant_as == Some(MeantAs::Account))
}

/// Whether policies of that kind made the decision, or one of them would have had to allow.
fn decides(kind: Kind, decision: &Decision) -> bool {
    match decision {
        Decision::ImplicitDeny(lacking) => *lacking == kind,
        decided => decided.reasons().last().is_some_and(|reason| reason.kind == kind),
    }
}

#[cfg(test)]
mod tests;
