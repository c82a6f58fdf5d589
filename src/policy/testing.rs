//! For this module's tests: facts of a request, written down.

use std::borrow::Cow;

use super::context::{RequestContext, Values};
use super::key::ConditionKey;

/// Facts by condition key; every other key is absent.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts(Vec<(ConditionKey, Fact)>);

#[derive(Clone, Debug)]
enum Fact {
    Values(Vec<String>),
    Unknown,
}

impl Facts {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn one(self, key: &str, value: &str) -> Self {
        self.many(key, &[value])
    }

    pub(super) fn many(self, key: &str, values: &[&str]) -> Self {
        self.with(key, Fact::Values(values.iter().map(|value| (*value).to_owned()).collect()))
    }

    pub(super) fn unknown(self, key: &str) -> Self {
        self.with(key, Fact::Unknown)
    }

    fn with(mut self, key: &str, fact: Fact) -> Self {
        self.0.push((ConditionKey::parse(key).unwrap(), fact));
        self
    }
}

impl RequestContext for Facts {
    fn values(&self, key: &ConditionKey) -> Values<'_> {
        match self.0.iter().find(|(known, _)| known == key) {
            None => Values::Absent,
            Some((_, Fact::Unknown)) => Values::Unknown,
            Some((_, Fact::Values(values))) => match values.as_slice() {
                [one] => Values::one(one),
                many => Values::Many(many.iter().map(|value| Cow::Borrowed(value.as_str())).collect()),
            },
        }
    }
}
