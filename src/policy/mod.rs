//! The language of IAM policies: JSON document → compiled → decision with its reason.
//!
//! ```
//! use std::sync::Arc;
//!
//! use kmsgate::policy::{Compiled, ConditionKey, Decision, Document, Kind, Request, RequestContext, Values, evaluate};
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
//! let request = Request { action: "kms:GenerateDataKeyWithoutPlaintext", resource: "*", context: &Nothing };
//! let Decision::Allow(reason) = evaluate(&request, &policies) else { panic!("is allowed") };
//! assert_eq!(reason.to_string(), "orders: UseTheKey");
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
mod compiled;
mod condition;
mod context;
mod decision;
mod document;
mod fault;
mod index;
mod json;
mod key;
mod operator;
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

pub use action::ACTIONS;
pub use compiled::{Compiled, evaluate};
pub use context::{RequestContext, Values};
pub use decision::{Decision, Reason, Subject, denied_message, foreign_message};
pub use document::{Document, Parsed};
pub use fault::Fault;
pub use key::{CaselessName, ConditionKey};
pub use statement::Effect;

/// What a policy is attached to, which decides what may stand in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Attached to a principal, or to a group it is in: no `Principal`, no `Id`, every statement with resources.
    Identity,
}

impl fmt::Display for Kind {
    /// As AWS's messages name it, with its article.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Identity => "an identity-based policy",
        })
    }
}

/// A question to the policies. An operation that needs several permissions asks several.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The permission, spelt as in [`ACTIONS`]: `kms:Decrypt`. Others are judged too, more slowly.
    pub action: &'a str,
    /// The ARN that it is needed on, or `*` if the action has no resource.
    pub resource: &'a str,
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
