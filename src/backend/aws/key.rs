//! A key of an upstream, as much of it as the policies in force ask for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::aws::{AliasName, KeyArn, Tags};
use crate::limits::Subject;
use crate::policy::KeyFacts;

/// For how long a key that makes requests be refused is not looked up again: as long, by default, as that there is none.
/// Whoever may not use it can have it looked up so often, and others have to wait for that.
const BELIEVED: Duration = Duration::from_secs(5);

/// A key as its upstream described it.
#[derive(Debug)]
pub struct KeyView {
    /// Its ARN, which the upstream named or the request did.
    pub arn: KeyArn,
    /// Whose quota requests for it use up.
    pub quota: Subject,
    /// What was asked about it.
    pub facts: KeyFacts,
    /// What kind of key it is; `None` if that was not asked.
    pub metadata: Option<Metadata>,
    /// Its tags; none if they were not asked for.
    pub tags: Tags,
    /// The aliases that point to it; none if they were not asked for.
    pub aliases: Box<[AliasName]>,
    /// When it was looked up, if it was.
    since: Option<Instant>,
    doubted: AtomicBool,
}

impl KeyView {
    /// A key of which its ARN is known and nothing else.
    #[must_use]
    pub fn named(arn: KeyArn) -> Self {
        let quota = Subject::of(arn.as_str());
        let facts = KeyFacts::default();
        let (tags, doubted) = (Tags::default(), AtomicBool::new(false));
        Self { arn, quota, facts, metadata: None, tags, aliases: Box::default(), since: None, doubted }
    }

    /// The same, as it was looked up now: of which these facts are asked.
    pub(super) fn looked_up(arn: KeyArn, facts: KeyFacts) -> Self {
        Self { facts, since: Some(Instant::now()), ..Self::named(arn) }
    }

    /// A request was refused for what this key is. Whoever comes next has it looked up again, in case that it was changed
    /// since, or that the alias that led to it leads elsewhere; but not more often than once in five seconds.
    pub(in crate::backend) fn doubt(&self) {
        if self.since.is_some_and(|since| since.elapsed() >= BELIEVED) {
            self.doubted.store(true, Ordering::Relaxed);
        }
    }

    /// Whether it is to be looked up again.
    pub(super) fn is_doubted(&self) -> bool {
        self.doubted.load(Ordering::Relaxed)
    }
}

/// Members of `KeyMetadata`, as the upstream has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// `KeySpec`
    pub spec: Box<str>,
    /// `KeyUsage`
    pub usage: Box<str>,
    /// `Origin`
    pub origin: Box<str>,
    /// `MultiRegionKeyType`, of a multi-Region key.
    pub multi_region_key_type: Option<Box<str>>,
}
