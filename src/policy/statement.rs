//! One statement of a document, and whether it applies to a request.

use super::action::Actions;
use super::arn::{Components, ResourcePattern};
use super::condition::Condition;
use super::context::RequestContext;
use super::lint::comparable;
use super::principals::Principals;
use super::truth::Truth;

/// What a statement does when it applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// It allows, unless another denies.
    Allow,
    /// It denies, whatever allows.
    Deny,
}

/// A statement, read and checked.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    pub(super) sid: Option<Box<str>>,
    pub(super) effect: Effect,
    /// Whom it is about; in a policy that is attached to principals everyone who has it.
    pub(super) principals: Principals,
    pub(super) actions: Actions,
    pub(super) resources: Resources,
    pub(super) conditions: Box<[Condition]>,
}

/// The resources that a statement is about.
#[derive(Clone, Debug)]
pub(super) enum Resources {
    /// `"Resource": "*"`, alone or among others.
    All,
    /// `Resource`
    Only(Box<[ResourcePattern]>),
    /// `NotResource`: all but these.
    Except(Box<[ResourcePattern]>),
    /// `"NotResource": "*"`
    None,
}

impl Resources {
    /// Whether `resource` is meant; `arn` is the same cut into components, if it is an ARN.
    pub(super) fn contain(&self, resource: &str, arn: Option<&Components<'_>>, context: &dyn RequestContext) -> Truth {
        let any = |patterns: &[ResourcePattern]| {
            Truth::any(patterns.iter().map(|pattern| pattern.matches(resource, arn, context)))
        };
        match self {
            Self::All => Truth::Yes,
            Self::None => Truth::No,
            Self::Only(patterns) => any(patterns),
            Self::Except(patterns) => !any(patterns),
        }
    }

    /// Whether all that are meant are certainly among `others`.
    pub(super) fn within(&self, others: &Self) -> bool {
        match (self, others) {
            (_, Self::All) | (Self::None, _) => true,
            (Self::Only(these), Self::Only(others)) if comparable(these, others) => {
                these.iter().all(|this| others.iter().any(|other| this.within(other)))
            }
            _ => false,
        }
    }

    /// The patterns, if there are any.
    pub(super) fn patterns(&self) -> &[ResourcePattern] {
        match self {
            Self::All | Self::None => &[],
            Self::Only(patterns) | Self::Except(patterns) => patterns,
        }
    }
}

impl Statement {
    /// Whether the statement takes effect for a request about its actions, given whether the resource is meant.
    ///
    /// Architecture invariant: what is not known makes a Deny apply and an Allow not.
    pub(super) fn applies(&self, resource: Truth, context: &dyn RequestContext) -> bool {
        let conditions = self.conditions.iter().map(|condition| condition.holds(context));
        match Truth::all(std::iter::once(resource).chain(conditions)) {
            Truth::Yes => true,
            Truth::No => false,
            Truth::Unknown => self.effect == Effect::Deny,
        }
    }
}
