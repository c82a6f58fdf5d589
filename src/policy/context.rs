//! The facts of a request, as the judged conditions and variables ask for them.

use std::borrow::Cow;

use super::key::ConditionKey;

/// What a policy may ask about a request ("request context" in IAM's terms).
///
/// Nothing is computed for a key that no applicable statement names.
pub trait RequestContext {
    /// The request's values of `key`. A key that does not exist for this request, and every
    /// [`ConditionKey::Other`] that the implementor does not know, is [`Values::Absent`].
    fn values(&self, key: &ConditionKey) -> Values<'_>;
}

/// The values that one condition key has in one request.
///
/// Forms: booleans are `true` and `false`; dates ISO 8601 or epoch seconds; addresses without a prefix length;
/// binary values base64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Values<'a> {
    /// The request does not have the key.
    Absent,
    /// One value.
    One(Cow<'a, str>),
    /// Several values, in any order. None at all is as if the key were absent. For a key that can have one value
    /// only (two pairs of an encryption context whose names differ in case) it is the caller's way to say that
    /// there are two: a condition without set operator then counts as [`Values::Unknown`].
    Many(Vec<Cow<'a, str>>),
    /// The request may have the key, but it could not be found out. Whatever depends on it does not allow, and
    /// does deny.
    Unknown,
}

impl<'a> Values<'a> {
    /// One value.
    #[must_use]
    pub fn one(value: &'a str) -> Self {
        Self::One(Cow::Borrowed(value))
    }

    /// One value, or absent.
    #[must_use]
    pub fn optional(value: Option<&'a str>) -> Self {
        value.map_or(Self::Absent, Self::one)
    }

    /// `true` or `false`.
    #[must_use]
    pub fn boolean(value: bool) -> Self {
        Self::one(if value { "true" } else { "false" })
    }

    /// A value that has to be written out first.
    #[must_use]
    pub fn owned(value: String) -> Self {
        Self::One(Cow::Owned(value))
    }

    /// Several values.
    #[must_use]
    pub fn many(values: impl IntoIterator<Item = &'a str>) -> Self {
        Self::Many(values.into_iter().map(Cow::Borrowed).collect())
    }
}
