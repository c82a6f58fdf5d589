//! Finds the statements that may be about a resource without looking at those that are not.
//!
//! Plain ARNs are found by hash, patterns by the plain text they begin with; only statements about every resource
//! (or all but some) are always looked at. The cost does not grow with the statements about other resources.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::Request;
use super::action;
use super::arn::{ArnPattern, Components, ResourcePattern, components};
use super::compiled::Entry;
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

/// A plain ARN and a statement that names it.
type Exact = (Arc<str>, Arc<Entry>);

/// The statements of one effect about one set of actions.
#[derive(Debug, Default)]
pub(super) struct ResourceIndex {
    /// About these very ARNs, by their hash.
    exact: HashMap<u64, Vec<Exact>, BuildHasherDefault<Precomputed>>,
    patterns: PrefixForest,
    /// About every resource.
    all: Vec<Arc<Entry>>,
    /// About every resource but some.
    except: Vec<Arc<Entry>>,
}

impl ResourceIndex {
    /// An index of `entries`, in their order.
    pub(super) fn new(entries: impl IntoIterator<Item = Arc<Entry>>) -> Self {
        let mut index = Self::default();
        let mut patterns = Vec::new();
        for entry in entries {
            match &entry.statement.resources {
                Resources::All => index.all.push(entry),
                Resources::Except(_) => index.except.push(entry),
                Resources::None => {}
                Resources::Only(list) => {
                    for pattern in list {
                        match pattern {
                            ResourcePattern::Exact(arn) => {
                                let bucket = index.exact.entry(hash(arn)).or_default();
                                bucket.push((Arc::clone(arn), Arc::clone(&entry)));
                            }
                            ResourcePattern::Pattern { prefix, arn } => {
                                patterns.push((Arc::clone(prefix), Arc::clone(arn), Arc::clone(&entry)));
                            }
                        }
                    }
                }
            }
        }
        index.patterns = PrefixForest::new(patterns);
        index
    }

    /// A statement that applies, the most specific kind of resource first.
    pub(super) fn find(&self, subject: &Subject<'_>) -> Option<&Arc<Entry>> {
        let context = subject.request.context;
        let applies = |entry: &Entry, resource| entry.statement.applies(resource, context);
        self.exact_for(subject)
            .filter(|(arn, _)| **arn == *subject.request.resource)
            .find_map(|(_, entry)| applies(entry, Truth::Yes).then_some(entry))
            .or_else(|| {
                self.patterns.find(subject.request.resource, |pattern, entry| {
                    let matched = subject.arn().map_or(Truth::No, |arn| pattern.matches_behind_prefix(arn, context));
                    matched != Truth::No && applies(entry, matched)
                })
            })
            .or_else(|| self.all.iter().find(|entry| applies(entry, Truth::Yes)))
            .or_else(|| {
                self.except.iter().find(|entry| {
                    let resources = &entry.statement.resources;
                    applies(entry, resources.contain(subject.request.resource, subject.arn(), context))
                })
            })
    }

    fn exact_for(&self, subject: &Subject<'_>) -> impl Iterator<Item = &Exact> {
        let bucket = if self.exact.is_empty() { None } else { self.exact.get(&subject.hash()) };
        bucket.into_iter().flatten()
    }
}

/// The fixed keys are no weakness: what is stored comes from the operator's own policies.
fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// Passes a hash through: the request's resource is hashed once, for all indexes.
#[derive(Debug, Default)]
struct Precomputed(u64);

impl Hasher for Precomputed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |sum, byte| sum.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// Patterns by the plain text they begin with, sorted. A text's own place in that order is right behind all of
/// its prefixes, and each prefix points at the longest one that it begins with itself.
#[derive(Debug, Default)]
struct PrefixForest {
    nodes: Box<[Node]>,
}

#[derive(Debug)]
struct Node {
    prefix: Arc<str>,
    /// The place of the longest other prefix that this one begins with.
    parent: Option<usize>,
    patterns: Vec<(Arc<ArnPattern>, Arc<Entry>)>,
}

impl PrefixForest {
    fn new(mut patterns: Vec<(Arc<str>, Arc<ArnPattern>, Arc<Entry>)>) -> Self {
        patterns.sort_by(|(a, ..), (b, ..)| a.cmp(b));
        let mut nodes: Vec<Node> = Vec::new();
        for (prefix, pattern, entry) in patterns {
            match nodes.last_mut() {
                Some(last) if last.prefix == prefix => last.patterns.push((pattern, entry)),
                _ => {
                    let begins = |at: &usize| nodes.get(*at).is_some_and(|node| prefix.starts_with(&*node.prefix));
                    let parent = ancestors(&nodes, nodes.len().checked_sub(1)).find(begins);
                    nodes.push(Node { prefix, parent, patterns: vec![(pattern, entry)] });
                }
            }
        }
        Self { nodes: nodes.into() }
    }

    /// The first entry accepted, among the patterns whose plain beginning is one of `text`'s, the longest first.
    fn find(&self, text: &str, accept: impl Fn(&ArnPattern, &Entry) -> bool) -> Option<&Arc<Entry>> {
        let behind = self.nodes.partition_point(|node| *node.prefix <= *text);
        ancestors(&self.nodes, behind.checked_sub(1))
            .filter_map(|at| self.nodes.get(at))
            .filter(|node| text.starts_with(&*node.prefix))
            .flat_map(|node| &node.patterns)
            .find_map(|(pattern, entry)| accept(pattern, entry).then_some(entry))
    }
}

/// The place `at` and the places of all prefixes that it begins with, the longest first.
fn ancestors(nodes: &[Node], at: Option<usize>) -> impl Iterator<Item = usize> {
    std::iter::successors(at, |at| nodes.get(*at).and_then(|node| node.parent))
}
