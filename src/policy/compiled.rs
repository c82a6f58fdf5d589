//! Documents ready to be judged by: statements found by action, then by resource.
//!
//! A request costs the same with ten statements or a hundred thousand about other actions and resources.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::action::{ACTIONS, ActionSet};
use super::asked::Reach;
use super::decision::Reason;
use super::document::Document;
use super::index::{Listed, ResourceIndex, Subject};
use super::statement::{Effect, Resources, Statement};
use super::truth::Truth;

/// A statement with the reason it gives.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) statement: Statement,
    /// What `NotResource` lists, if that is much.
    excepted: Option<Listed<()>>,
    reason: Arc<Reason>,
}

/// A document compiled for judging requests. It does not change; share it as an [`Arc`].
#[derive(Debug)]
pub struct Compiled {
    name: Box<str>,
    deny: ActionIndex,
    allow: ActionIndex,
    pub(super) reach: Reach,
}

impl Compiled {
    /// The document's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl From<Document> for Compiled {
    fn from(document: Document) -> Self {
        let (name, reach) = (document.name.clone(), Reach::of(&document.statements));
        let (deny, allow) = document.into_entries().partition(|entry| entry.statement.effect == Effect::Deny);
        Self { deny: ActionIndex::new(deny), allow: ActionIndex::new(allow), name, reach }
    }
}

impl Compiled {
    /// Every statement, those that deny first.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.deny.entries.iter().chain(&self.allow.entries)
    }

    /// A statement of that effect that applies to the request.
    pub(super) fn find(&self, effect: Effect, subject: &Subject<'_>) -> Option<&Arc<Reason>> {
        let index = match effect {
            Effect::Allow => &self.allow,
            Effect::Deny => &self.deny,
        };
        index.find(subject).map(|entry| &entry.reason)
    }
}

impl Document {
    /// The statements, each with the reason it gives.
    pub(super) fn into_entries(self) -> impl Iterator<Item = Arc<Entry>> {
        let Self { name, kind, statements } = self;
        let policy = Arc::<str>::from(name);
        statements.into_iter().enumerate().map(move |(index, statement)| {
            let sid = statement.sid.as_deref().map(Arc::from);
            let reason = Reason { policy: Arc::clone(&policy), kind, index, sid };
            Arc::new(Entry::new(statement, reason))
        })
    }
}

impl Entry {
    fn new(statement: Statement, reason: Reason) -> Self {
        let excepted = match &statement.resources {
            Resources::Except(list) if list.len() > FEW => Some(Listed::new(list.iter().map(|pattern| (pattern, ())))),
            _ => None,
        };
        Self { statement, excepted, reason: Arc::new(reason) }
    }

    /// The reason it gives.
    pub(super) const fn reason(&self) -> &Arc<Reason> {
        &self.reason
    }

    /// Whether it applies to the request: by its action, its resource and its conditions.
    pub(super) fn applies(&self, subject: &Subject<'_>) -> bool {
        let Statement { actions, .. } = &self.statement;
        let request = subject.request;
        let about = match subject.action {
            Some(number) => actions.known().contains(number),
            None => actions.contain(request.action),
        };
        about && {
            let resource = self.is_about(subject);
            resource != Truth::No && self.statement.applies(resource, request.context)
        }
    }

    /// Whether the request's resource is meant.
    pub(super) fn is_about(&self, subject: &Subject<'_>) -> Truth {
        let request = subject.request;
        match (&self.excepted, &self.statement.resources) {
            (Some(excepted), _) => !Truth::any(excepted.of(subject).map(|(matched, ())| matched)),
            (None, Resources::All) => Truth::Yes,
            (None, resources) => resources.contain(request.resource, subject.arn(), request.context),
        }
    }
}

/// Of so few statements, or resources, each is asked: that takes less time, and less room, than to find those it could be.
const FEW: usize = 4;

/// A statement about at most this many actions is entered for each of them; one about more shares a group with
/// those about the very same actions. So neither many narrow statements nor wide ones on many keys cost much.
const SPREAD: u32 = 8;

/// The statements of one effect.
#[derive(Debug)]
struct ActionIndex {
    /// In the document's order.
    entries: Box<[Arc<Entry>]>,
    /// For each of [`ACTIONS`], the statements about it. Empty if there are few.
    by_action: Box<[Vec<Arc<ResourceIndex>>]>,
}

impl ActionIndex {
    fn new(entries: Vec<Arc<Entry>>) -> Self {
        let resources = entries.iter().map(|entry| entry.statement.resources.patterns().len());
        if entries.len() <= FEW && resources.max().unwrap_or_default() <= FEW {
            return Self { entries: entries.into(), by_action: Box::default() };
        }
        let mut groups: BTreeMap<ActionSet, Vec<Arc<Entry>>> = BTreeMap::new();
        for entry in &entries {
            let known = entry.statement.actions.known();
            if known.len() > SPREAD {
                groups.entry(known).or_default().push(Arc::clone(entry));
            } else {
                for number in known.numbers() {
                    groups.entry(ActionSet::one(number)).or_default().push(Arc::clone(entry));
                }
            }
        }
        let groups: Vec<(ActionSet, Arc<ResourceIndex>)> =
            groups.into_iter().map(|(actions, entries)| (actions, Arc::new(ResourceIndex::new(&entries)))).collect();
        let about = |number: usize| {
            let about = groups.iter().filter(move |(actions, _)| actions.contains(number));
            about.map(|(_, index)| Arc::clone(index)).collect()
        };
        let by_action = (0..ACTIONS.len()).map(about).collect();
        Self { entries: entries.into(), by_action }
    }

    /// A statement that applies to the request.
    fn find(&self, subject: &Subject<'_>) -> Option<&Arc<Entry>> {
        match subject.action.and_then(|number| self.by_action.get(number)) {
            Some(indexes) => indexes.iter().find_map(|index| index.find(subject)),
            // Few statements, or an action that is in no table.
            None => self.entries.iter().find(|entry| entry.applies(subject)),
        }
    }
}
