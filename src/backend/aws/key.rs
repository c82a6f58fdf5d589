//! A key of an upstream, as much of it as the policies in force ask for.

use crate::aws::{AliasName, KeyArn, Tags};
use crate::limits::Subject;
use crate::policy::KeyFacts;

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
}

impl KeyView {
    /// A key of which its ARN is known and nothing else.
    #[must_use]
    pub fn named(arn: KeyArn) -> Self {
        let quota = Subject::of(arn.as_str());
        let facts = KeyFacts::default();
        Self { arn, quota, facts, metadata: None, tags: Tags::default(), aliases: Box::default() }
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
