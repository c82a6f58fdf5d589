//! A key's policy ready to be judged by: its statements found by the principal that they name.
//!
//! A key policy has at most 32,768 bytes, and in each of its statements the resource is the key itself; what tells its
//! statements apart is whom they are about. A request looks at those alone that can be about its caller.

use std::sync::Arc;

use super::Kind;
use super::compiled::Entry;
use super::decision::Reason;
use super::document::Document;
use super::fault::Fault;
use super::index::Subject;
use super::prefixes::ByHash;
use super::principals::Principals;
use super::statement::Effect;
use crate::aws::{MeantAs, PrincipalNames, principal_hash};

/// A key policy compiled for judging requests. It does not change; share it as an [`Arc`].
/// Without statements it lets nobody in.
#[derive(Debug, Default)]
pub struct KeyPolicy {
    deny: Statements,
    allow: Statements,
}

/// The statements of one effect.
#[derive(Debug, Default)]
struct Statements {
    /// By the principal that each is for.
    named: ByHash<Vec<Arc<Entry>>>,
    /// About everyone, or all but some.
    others: Box<[Arc<Entry>]>,
}

/// The statements that allow a request, by what its caller has to bring besides.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Allowances<'p> {
    /// They mean the very caller: nothing.
    pub(super) itself: Option<&'p Arc<Reason>>,
    /// They mean its role, or everyone and it is a session of a role: its boundary and its session policy limit it.
    pub(super) role: Option<&'p Arc<Reason>>,
    /// They mean its account: its identity policies have to allow too.
    pub(super) account: Option<&'p Arc<Reason>>,
}

impl KeyPolicy {
    /// Reads and compiles a key policy. `name` is what decisions call it by. The faults beside it are what is legal and
    /// probably not meant.
    ///
    /// # Errors
    ///
    /// Every fault there is, each with its place.
    pub fn parse(name: &str, json: &[u8]) -> Result<(Self, Vec<Fault>), Vec<Fault>> {
        let parsed = Document::parse(name, json, Kind::Key)?;
        Ok((Self::new(parsed.document), parsed.warnings))
    }

    fn new(document: Document) -> Self {
        let (deny, allow): (Vec<_>, Vec<_>) =
            document.into_entries().partition(|entry| entry.statement.effect == Effect::Deny);
        Self { deny: Statements::new(deny), allow: Statements::new(allow) }
    }

    /// The principals that the policy names in `Principal` or `NotPrincipal`, in the form of
    /// [`canonical_principal`](crate::aws::canonical_principal); some more than once.
    pub fn principals(&self) -> impl Iterator<Item = &str> {
        [&self.deny, &self.allow].into_iter().flat_map(|statements| {
            let excepted = statements.others.iter().flat_map(|entry| entry.statement.principals.excepted());
            statements.named.values().flatten().map(|(name, _)| &**name).chain(excepted.map(|name| &**name))
        })
    }

    /// A statement that denies the request; `bounded` says whether its caller has a permissions boundary.
    pub(super) fn denies(&self, subject: &Subject<'_>, bounded: bool) -> Option<&Arc<Reason>> {
        let caller = subject.request.caller;
        let named = caller.iter_hashed().flat_map(|(name, _, hash)| self.deny.of(name, hash));
        let others = self.deny.others.iter().filter(|entry| entry.statement.principals.deny(caller, bounded));
        named.chain(others).find(|entry| entry.applies(subject)).map(|entry| entry.reason())
    }

    /// The statements that allow the request.
    pub(super) fn allows(&self, subject: &Subject<'_>) -> Allowances<'_> {
        let caller = subject.request.caller;
        let mut allowances = Allowances::default();
        for (name, meant, hash) in caller.iter_hashed() {
            allowances.note(meant, self.allow.of(name, hash).iter().find(|entry| entry.applies(subject)));
        }
        let mut others = self.allow.others.iter().filter(|entry| entry.statement.principals.allow(caller));
        allowances.note(as_everyone(caller), others.find(|entry| entry.applies(subject)));
        allowances
    }
}

impl<'p> Allowances<'p> {
    fn note(&mut self, meant: MeantAs, entry: Option<&'p Arc<Entry>>) {
        let place = match meant {
            MeantAs::User | MeantAs::Session | MeantAs::Root => &mut self.itself,
            MeantAs::Role => &mut self.role,
            MeantAs::Account => &mut self.account,
        };
        *place = place.or(entry.map(|entry| entry.reason()));
    }
}

/// What a statement about everyone means the caller as. AWS says so of users; that of a session is not documented, and
/// is the narrower of the two.
pub(super) fn as_everyone(caller: &PrincipalNames) -> MeantAs {
    let role = caller.iter().any(|(_, meant)| meant == MeantAs::Role);
    if role { MeantAs::Role } else { MeantAs::Session }
}

impl Statements {
    fn new(entries: Vec<Arc<Entry>>) -> Self {
        let mut named = ByHash::<Vec<Arc<Entry>>>::default();
        for entry in &entries {
            for name in entry.statement.principals.listed() {
                let bucket = named.entry(principal_hash(name)).or_default();
                match bucket.iter_mut().find(|(known, _)| **known == **name) {
                    Some((_, statements)) => statements.push(Arc::clone(entry)),
                    None => bucket.push((Arc::from(&**name), vec![Arc::clone(entry)])),
                }
            }
        }
        let others = entries
            .into_iter()
            .filter(|entry| matches!(entry.statement.principals, Principals::Everyone(_) | Principals::Except(_)));
        Self { named, others: others.collect() }
    }

    /// Those for that very principal.
    fn of(&self, name: &str, hash: u64) -> &[Arc<Entry>] {
        let mut bucket = self.named.get(&hash).into_iter().flatten();
        bucket.find(|(listed, _)| **listed == *name).map_or(&[], |(_, entries)| entries)
    }
}
