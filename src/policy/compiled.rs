//! Documents ready to be judged by: statements found by action, then by resource.
//!
//! A request costs the same with ten statements or a hundred thousand about other actions and resources.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Request;
use super::action::{self, ACTIONS, ActionSet};
use super::decision::{Decision, Reason};
use super::document::Document;
use super::index::{ResourceIndex, Subject};
use super::statement::{Effect, Statement};

/// A statement with the reason it gives.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) statement: Statement,
    reason: Arc<Reason>,
}

/// A document compiled for judging requests. It does not change; share it as an [`Arc`].
#[derive(Debug)]
pub struct Compiled {
    name: Box<str>,
    deny: ActionIndex,
    allow: ActionIndex,
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
        let Document { name, kind, statements } = document;
        let policy = Arc::<str>::from(&*name);
        let entries = statements.into_iter().enumerate().map(|(index, statement)| {
            let sid = statement.sid.as_deref().map(Arc::from);
            let reason = Reason { policy: Arc::clone(&policy), kind, index, sid };
            Arc::new(Entry { statement, reason: Arc::new(reason) })
        });
        let (deny, allow) = entries.partition(|entry| entry.statement.effect == Effect::Deny);
        Self { deny: ActionIndex::new(deny), allow: ActionIndex::new(allow), name }
    }
}

/// Judges a request by a principal's identity policies.
///
/// A statement that denies decides, in whichever policy it stands; else one that allows; else nothing does. When
/// several statements decide alike, the one named is any of them, the same one each time.
pub fn evaluate(request: &Request<'_>, identity: &[Arc<Compiled>]) -> Decision {
    let subject = Subject::new(request);
    let number = action::number(request.action);
    let first = |index: fn(&Compiled) -> &ActionIndex| {
        identity.iter().find_map(|policy| index(policy).find(number, &subject)).map(|entry| Arc::clone(&entry.reason))
    };
    if let Some(reason) = first(|policy| &policy.deny) {
        return Decision::ExplicitDeny(reason);
    }
    first(|policy| &policy.allow).map_or(Decision::ImplicitDeny, Decision::Allow)
}

/// A statement about at most this many actions is entered for each of them; one about more shares a group with
/// those about the very same actions. So neither many narrow statements nor wide ones on many keys cost much.
const SPREAD: u32 = 8;

/// The statements of one effect.
#[derive(Debug)]
struct ActionIndex {
    /// In the document's order.
    entries: Box<[Arc<Entry>]>,
    /// For each of [`ACTIONS`], the statements about it. Empty if there are no statements at all.
    by_action: Box<[Vec<Arc<ResourceIndex>>]>,
}

impl ActionIndex {
    fn new(entries: Vec<Arc<Entry>>) -> Self {
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
            groups.into_iter().map(|(actions, entries)| (actions, Arc::new(ResourceIndex::new(entries)))).collect();
        let about = |number: usize| {
            let about = groups.iter().filter(move |(actions, _)| actions.contains(number));
            about.map(|(_, index)| Arc::clone(index)).collect()
        };
        let by_action = if entries.is_empty() { Box::default() } else { (0..ACTIONS.len()).map(about).collect() };
        Self { entries: entries.into(), by_action }
    }

    /// A statement that applies to the request; `number` is the action's place in [`ACTIONS`].
    fn find(&self, number: Option<usize>, subject: &Subject<'_>) -> Option<&Arc<Entry>> {
        match number.and_then(|number| self.by_action.get(number)) {
            Some(indexes) => indexes.iter().find_map(|index| index.find(subject)),
            // An action that is in no table, or no statements: each is asked.
            None => self.entries.iter().find(|entry| {
                let Statement { actions, resources, .. } = &entry.statement;
                let request = subject.request;
                actions.contain(request.action)
                    && entry
                        .statement
                        .applies(resources.contain(request.resource, subject.arn(), request.context), request.context)
            }),
        }
    }
}
