//! The language of IAM policies: JSON document → compiled → decision with its reason.
//!
//! ```
//! use std::sync::Arc;
//!
//! use kmsgate::aws::PrincipalNames;
//! use kmsgate::policy::{
//!     Compiled, ConditionKey, Decision, Document, Kind, Policies, Request, RequestContext, Values, evaluate,
//! };
//!
//! struct Nothing;
//! impl RequestContext for Nothing {
//!     fn values(&self, _: &ConditionKey) -> Values<'_> {
//!         Values::Absent
//!     }
//! }
//!
//! let json = br#"{"Version": "2012-10-17", "Statement": {
//!     "Sid": "UseTheKey", "Effect": "Allow", "Action": "kms:GenerateDataKey*", "Resource": "*"}}"#;
//! let parsed = Document::parse("orders", json, Kind::Identity).unwrap();
//! let policies = [Arc::new(Compiled::from(parsed.document))];
//! let caller = PrincipalNames::of("arn:aws:iam::111122223333:user/alice").unwrap();
//! let action = "kms:GenerateDataKeyWithoutPlaintext";
//! let request = Request { action, resource: "*", caller: &caller, context: &Nothing };
//! let Decision::Allow(allowed) = evaluate(&request, &Policies::identity(&policies)) else { panic!("is allowed") };
//! assert_eq!(allowed.identity.unwrap().to_string(), "orders: UseTheKey");
//! ```
//!
//! Pure: no clock, no configuration, no input or output. Configuration loads documents; the authorization layer
//! implements [`RequestContext`] and calls [`evaluate`]. What a document says that this module does not carry out is
//! refused when it is loaded, with a [`Fault`], never passed over.
//!
//! Architecture invariant: an explicit deny beats every allow; without a statement that allows nothing is allowed;
//! what cannot be found out about a request allows nothing and denies what it might deny.

mod action;
mod arn;
mod asked;
mod compiled;
mod condition;
mod context;
mod decision;
mod document;
mod elements;
mod evaluate;
mod explain;
mod fault;
mod index;
mod json;
mod key;
mod key_policy;
mod lint;
mod operator;
mod pitfalls;
mod prefixes;
mod principals;
mod statement;
mod template;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod truth;
mod value;
mod wildcard;

use std::fmt;

use crate::aws::PrincipalNames;

pub use action::ACTIONS;
pub use asked::{KeyFacts, could_allow, could_be_let_through};
pub use compiled::Compiled;
pub use context::{RequestContext, Values};
pub use decision::{Allowed, Decision, Granted, Reason, Subject, denied_message, foreign_message};
pub use document::{Document, Parsed};
pub use evaluate::{OfResource, Policies, admits, evaluate};
pub use explain::{Asked, Explained, Matched, Tested, condition_key, explain};
pub use fault::Fault;
pub use key::{CaselessName, ConditionKey};
pub use key_policy::KeyPolicy;
pub use statement::Effect;
pub use wildcard::Pattern;

/// What a policy is attached to, which decides what may stand in it and what it can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// To the gateway: it allows nothing by itself, and what it does not allow nobody may do. AWS's service control
    /// policies do that to accounts, and messages call it by their name.
    Guardrail,
    /// To a KMS key: it says whom it is about.
    Key,
    /// To a principal, whose identity policies can then give it no more than this: a permissions boundary.
    Boundary,
    /// To a session of a role, likewise.
    Session,
    /// To a principal, or to a group it is in.
    Identity,
}

impl Kind {
    /// As the gateway's own records and tools call it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Guardrail => "guardrail",
            Self::Key => "key",
            Self::Boundary => "boundary",
            Self::Session => "session",
            Self::Identity => "identity",
        }
    }

    /// As AWS's messages name it, without its article.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Guardrail => "service control policy",
            Self::Key => "resource-based policy",
            Self::Boundary => "permissions boundary",
            Self::Session => "session policy",
            Self::Identity => "identity-based policy",
        }
    }
}

impl fmt::Display for Kind {
    /// As AWS's messages name it, with its article.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let article = if matches!(self, Self::Identity) { "an" } else { "a" };
        write!(f, "{article} {}", self.name())
    }
}

/// A question to the policies. An operation that needs several permissions asks several.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The permission, spelt as in [`ACTIONS`]: `kms:Decrypt`. Others are judged too, more slowly.
    pub action: &'a str,
    /// The ARN that it is needed on, or `*` if the action has no resource.
    pub resource: &'a str,
    /// Who asks.
    pub caller: &'a PrincipalNames,
    /// The other facts.
    pub context: &'a dyn RequestContext,
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("action", &self.action)
            .field("resource", &self.resource)
            .finish_non_exhaustive()
    }
}
