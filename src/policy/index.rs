//! Finds the statements that may be about a resource without looking at those that are not.
//!
//! Plain ARNs are found by hash, patterns by the plain text that they or their resource's name begin with; only
//! statements about every resource (or all but some) are always looked at. The cost does not grow with the statements
//! about other resources.

use std::cell::OnceCell;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::Request;
use super::action;
use super::arn::{ArnPattern, Components, ResourcePattern, components};
use super::compiled::Entry;
use super::prefixes::{ByHash, Prefixes};
use super::statement::Resources;
use super::truth::Truth;

/// A request, with what is computed from its resource at most once and only if a policy needs it.
pub(super) struct Subject<'r> {
    pub(super) request: &'r Request<'r>,
    /// The action's place in [`ACTIONS`](super::ACTIONS), if it stands there.
    pub(super) action: Option<usize>,
    hash: OnceCell<u64>,
    arn: OnceCell<Option<Components<'r>>>,
}

impl<'r> Subject<'r> {
    pub(super) fn new(request: &'r Request<'r>) -> Self {
        Self { request, action: action::number(request.action), hash: OnceCell::new(), arn: OnceCell::new() }
    }

    /// The resource's components, if it is an ARN.
    pub(super) fn arn(&self) -> Option<&Components<'r>> {
        self.arn.get_or_init(|| components(self.request.resource)).as_ref()
    }

    fn hash(&self) -> u64 {
        *self.hash.get_or_init(|| hash(self.request.resource))
    }
}

/// Resource patterns with what each stands for.
#[derive(Debug)]
pub(super) struct Listed<T> {
    /// Plain ARNs.
    exact: ByHash<T>,
    /// Patterns, by the plain text they begin with.
    patterns: Prefixes<(Arc<ArnPattern>, T)>,
    /// Patterns that leave the region or the account open, by what the resource's name begins with.
    names: Prefixes<(Arc<ArnPattern>, T)>,
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self { exact: ByHash::default(), patterns: Prefixes::default(), names: Prefixes::default() }
    }
}

impl<T> Listed<T> {
    pub(super) fn new<'p>(list: impl IntoIterator<Item = (&'p ResourcePattern, T)>) -> Self {
        let mut exact = ByHash::default();
        let (mut patterns, mut names) = (Vec::new(), Vec::new());
        for (pattern, value) in list {
            match pattern {
                ResourcePattern::Exact(arn) => {
                    let bucket: &mut Vec<_> = exact.entry(hash(arn)).or_default();
                    bucket.push((Arc::clone(arn), value));
                }
                ResourcePattern::Pattern { prefix, arn } => match arn.name_behind_wildcard() {
                    Some(name) => names.push((Arc::from(name), (Arc::clone(arn), value))),
                    None => patterns.push((Arc::clone(prefix), (Arc::clone(arn), value))),
                },
            }
        }
        Self { exact, patterns: Prefixes::new(patterns), names: Prefixes::new(names) }
    }

    /// What stands for the patterns that match, or may match, the request's resource: plain ARNs first.
    pub(super) fn of(&self, subject: &Subject<'_>) -> impl Iterator<Item = (Truth, &T)> {
        let resource = subject.request.resource;
        let bucket = if self.exact.is_empty() { None } else { self.exact.get(&subject.hash()) };
        let exact = bucket.into_iter().flatten().filter(move |(arn, _)| **arn == *resource);
        exact.map(|(_, value)| (Truth::Yes, value)).chain(self.of_patterns(subject))
    }

    fn of_patterns(&self, subject: &Subject<'_>) -> impl Iterator<Item = (Truth, &T)> {
        let context = subject.request.context;
        let open = !(self.patterns.is_empty() && self.names.is_empty());
        let arn = if open { subject.arn() } else { None };
        arn.into_iter().flat_map(move |arn| {
            let [.., name] = arn;
            let patterns = self.patterns.of(subject.request.resource);
            let patterns = patterns.map(|(pattern, value)| (pattern.matches_behind_prefix(arn, context), value));
            let names = self.names.of(name).map(|(pattern, value)| (pattern.matches(arn, context), value));
            patterns.chain(names).filter(|(matched, _)| *matched != Truth::No)
        })
    }
}

/// The statements of one effect about one set of actions.
#[derive(Debug, Default)]
pub(super) struct ResourceIndex {
    /// About these resources.
    listed: Listed<Arc<Entry>>,
    /// About every resource.
    all: Vec<Arc<Entry>>,
    /// About every resource but some.
    except: Vec<Arc<Entry>>,
}

impl ResourceIndex {
    /// An index of `entries`, in their order.
    pub(super) fn new(entries: &[Arc<Entry>]) -> Self {
        let listed = entries.iter().filter(|entry| matches!(entry.statement.resources, Resources::Only(_)));
        let listed = listed
            .flat_map(|entry| entry.statement.resources.patterns().iter().map(|pattern| (pattern, Arc::clone(entry))));
        let about = |wanted: fn(&Resources) -> bool| {
            entries.iter().filter(|entry| wanted(&entry.statement.resources)).map(Arc::clone).collect()
        };
        Self {
            listed: Listed::new(listed),
            all: about(|resources| matches!(resources, Resources::All)),
            except: about(|resources| matches!(resources, Resources::Except(_))),
        }
    }

    /// A statement that applies, the most specific kind of resource first.
    pub(super) fn find(&self, subject: &Subject<'_>) -> Option<&Arc<Entry>> {
        let context = subject.request.context;
        let applies = |entry: &Entry, resource| entry.statement.applies(resource, context);
        self.listed
            .of(subject)
            .find_map(|(matched, entry)| applies(entry, matched).then_some(entry))
            .or_else(|| self.all.iter().find(|entry| applies(entry, Truth::Yes)))
            .or_else(|| self.except.iter().find(|entry| applies(entry, entry.is_about(subject))))
    }
}

/// The fixed keys are no weakness: what is stored comes from the operator's own policies.
fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
