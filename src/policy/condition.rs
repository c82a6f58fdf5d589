//! One condition: an operator, a condition key and the policy's values, judged against a request.
//!
//! The rules for absent keys, several values and set operators are those of the IAM user guide, "Condition
//! operators" and "Multivalued context keys". Comparisons that cannot be made (a text that is no number) do not
//! match; what is not known stays unknown (see `truth`).

use std::borrow::Cow;
use std::slice;

use ipnet::IpNet;

use super::arn::{ArnPattern, components};
use super::context::{RequestContext, Values};
use super::fault::Refusal;
use super::key::ConditionKey;
use super::operator::{Comparison, Operator, Relation, SetOperator};
use super::template::{Syntax, Template, Variable, tokens};
use super::truth::Truth;
use super::value::{self, Number};

/// A condition of a statement. All of a statement's conditions have to hold.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    key: ConditionKey,
    /// The operator's name, for [`Self::operator`].
    name: &'static str,
    set: Option<SetOperator>,
    negated: bool,
    if_exists: bool,
    /// Whether a request may have several values for the key without being contradictory.
    multi_valued: bool,
    wanted: Wanted,
}

/// A request of which nothing is known: what is asked of it has to hold for all.
struct Unknowable;

impl RequestContext for Unknowable {
    fn values(&self, _: &ConditionKey) -> Values<'_> {
        Values::Unknown
    }
}

/// The policy's values, of the operator's type.
#[derive(Clone, Debug)]
enum Wanted {
    Text(Box<[Template]>),
    Number(Relation, Box<[Number]>),
    Date(Relation, Box<[i64]>),
    Boolean(Box<[bool]>),
    Binary(Box<[Vec<u8>]>),
    Address(Box<[IpNet]>),
    Arn(Box<[ArnPattern]>),
    /// Whether the key is to be absent.
    Null(Box<[bool]>),
}

impl Condition {
    /// Reads a condition. `values` are the policy's, as text; `variables` says whether they may hold variables.
    ///
    /// # Errors
    ///
    /// Each value that cannot be compared by this operator, with its place.
    pub(super) fn parse(
        operator: Operator,
        key: ConditionKey,
        values: &[Cow<'_, str>],
        variables: bool,
    ) -> Result<Self, Vec<(usize, Refusal)>> {
        let Operator { name, set, comparison, negated, if_exists } = operator;
        let wanted = Wanted::parse(comparison, values, variables)?;
        Ok(Self { multi_valued: key.is_multi_valued(), key, name, set, negated, if_exists, wanted })
    }

    /// The operator as it is written: `ForAnyValue:StringLikeIfExists`.
    pub(super) fn operator(&self) -> String {
        let (set, end) = (self.set.map_or("", SetOperator::prefix), if self.if_exists { "IfExists" } else { "" });
        format!("{set}{}{end}", self.name)
    }

    /// Whether a multi-valued key is tested without saying how many of its values have to match.
    pub(super) fn lacks_set_operator(&self) -> bool {
        self.multi_valued && self.set.is_none() && !matches!(self.wanted, Wanted::Null(_))
    }

    /// The variables in the policy's values.
    pub(super) fn variables(&self) -> Box<dyn Iterator<Item = &Variable> + '_> {
        match &self.wanted {
            Wanted::Text(templates) => Box::new(templates.iter().flat_map(Template::variables)),
            Wanted::Arn(arns) => Box::new(arns.iter().flat_map(ArnPattern::variables)),
            _ => Box::new(std::iter::empty()),
        }
    }

    /// Whether this asks that `key` be present.
    pub(super) fn demands(&self, key: &ConditionKey) -> bool {
        self.key == *key && matches!(&self.wanted, Wanted::Null(absent) if !absent.contains(&true))
    }

    /// The key, if an absent key makes a `ForAllValues` condition hold.
    pub(super) fn holds_for_nothing(&self) -> Option<&ConditionKey> {
        (self.set == Some(SetOperator::ForAllValues)).then_some(&self.key)
    }

    /// The key that is tested.
    pub(super) const fn key(&self) -> &ConditionKey {
        &self.key
    }

    /// Whether it holds for a request that does not have the key.
    pub(super) fn holds_when_absent(&self) -> bool {
        self.holds_for(&[], &Unknowable) == Truth::Yes
    }

    /// Whether it and another that stands beside it can never hold both, as far as that is simple to see.
    pub(super) fn contradicts(&self, other: &Self) -> bool {
        let plain = self.key == other.key && self.set.is_none() && other.set.is_none();
        let excluded = |value: &str| other.holds_for(&[Cow::Borrowed(value)], &Unknowable) == Truth::No;
        plain
            && !(self.holds_when_absent() && other.holds_when_absent())
            && self.only().is_some_and(|values| values.iter().all(|value| excluded(value)))
    }

    /// The values of the key for which it holds, where they can be listed.
    fn only(&self) -> Option<Vec<&str>> {
        match &self.wanted {
            Wanted::Null(absent) => (!absent.contains(&false)).then(Vec::new),
            _ if self.negated || self.multi_valued => None,
            Wanted::Text(templates) => templates.iter().map(Template::as_text).collect(),
            Wanted::Boolean(values) => Some(values.iter().map(|value| if *value { "true" } else { "false" }).collect()),
            _ => None,
        }
    }

    /// Whether the condition holds for the request.
    pub(super) fn holds(&self, context: &dyn RequestContext) -> Truth {
        match context.values(&self.key) {
            Values::Unknown => Truth::Unknown,
            Values::Absent => self.holds_for(&[], context),
            Values::One(value) => self.holds_for(slice::from_ref(&value), context),
            Values::Many(values) => self.holds_for(&values, context),
        }
    }

    fn holds_for(&self, values: &[Cow<'_, str>], context: &dyn RequestContext) -> Truth {
        if let Wanted::Null(absent) = &self.wanted {
            return absent.contains(&values.is_empty()).into();
        }
        // Variables are looked up once for all values, and not for each: a client chooses how many there are.
        let wanted = if values.len() > 1 { self.wanted.settled(context) } else { Cow::Borrowed(&self.wanted) };
        let each = || values.iter().map(|value| self.accepts(&wanted, value, context));
        match self.set {
            _ if values.is_empty() && self.if_exists => Truth::Yes,
            Some(SetOperator::ForAllValues) if values.iter().all(|value| value.is_empty()) => Truth::Yes,
            Some(SetOperator::ForAllValues) => Truth::all(each()),
            None if values.is_empty() => self.negated.into(),
            None if values.len() > 1 && !self.multi_valued => Truth::Unknown,
            Some(SetOperator::ForAnyValue) | None => Truth::any(each()),
        }
    }

    /// Whether one value of the request is as the policy wants it: it matches one of the policy's values, or, if
    /// the operator is negated, none.
    fn accepts(&self, wanted: &Wanted, value: &str, context: &dyn RequestContext) -> Truth {
        let matched = wanted.matches(value, context);
        if self.negated { !matched } else { matched }
    }
}

impl Wanted {
    fn parse(comparison: Comparison, values: &[Cow<'_, str>], variables: bool) -> Result<Self, Vec<(usize, Refusal)>> {
        let plain = Syntax { wildcards: false, variables };
        let like = Syntax { wildcards: true, variables };
        Ok(match comparison {
            Comparison::Text => Self::Text(each(values, |text| tokens(text, plain).map(Template::new))?),
            Comparison::TextLike => Self::Text(each(values, |text| tokens(text, like).map(Template::new))?),
            Comparison::TextIgnoringCase => {
                Self::Text(each(values, |text| tokens(text, plain).map(Template::caseless))?)
            }
            Comparison::Arn => Self::Arn(each(values, |text| ArnPattern::parse(text, variables))?),
            Comparison::Number(relation) => Self::Number(relation, each(values, number)?),
            Comparison::Date(relation) => Self::Date(relation, each(values, date)?),
            Comparison::Boolean => Self::Boolean(each(values, boolean)?),
            Comparison::Null => Self::Null(each(values, boolean)?),
            Comparison::Binary => Self::Binary(each(values, binary)?),
            Comparison::Address => Self::Address(each(values, network)?),
        })
    }

    /// The same with the variables' values in this request.
    fn settled(&self, context: &dyn RequestContext) -> Cow<'_, Self> {
        match self {
            Self::Text(templates) if templates.iter().any(Template::is_open) => {
                Cow::Owned(Self::Text(templates.iter().map(|template| template.settled(context)).collect()))
            }
            Self::Arn(patterns) if patterns.iter().any(ArnPattern::is_open) => {
                Cow::Owned(Self::Arn(patterns.iter().map(|pattern| pattern.settled(context)).collect()))
            }
            _ => Cow::Borrowed(self),
        }
    }

    /// Whether `value` matches one of these.
    fn matches(&self, value: &str, context: &dyn RequestContext) -> Truth {
        match self {
            Self::Text(templates) => Template::any_matches(templates, value, context),
            Self::Arn(patterns) => components(value)
                .map_or(Truth::No, |arn| Truth::any(patterns.iter().map(|pattern| pattern.matches(&arn, context)))),
            Self::Number(relation, numbers) => {
                let holds = |value: Number, n: &Number| value.compare(*n).is_some_and(|order| relation.holds(order));
                Number::parse(value).is_some_and(|value| numbers.iter().any(|n| holds(value, n))).into()
            }
            Self::Date(relation, dates) => {
                value::date(value).is_some_and(|value| dates.iter().any(|d| relation.holds(value.cmp(d)))).into()
            }
            Self::Boolean(booleans) => value::boolean(value).is_some_and(|value| booleans.contains(&value)).into(),
            // Values of requests are text, or bytes in base64.
            Self::Binary(list) => {
                let decoded = value::bytes(value);
                list.iter().any(|bytes| **bytes == *value.as_bytes() || Some(bytes) == decoded.as_ref()).into()
            }
            Self::Address(networks) => {
                value::address(value).is_some_and(|value| networks.iter().any(|net| net.contains(&value))).into()
            }
            // Judged by presence, before any value is looked at.
            Self::Null(_) => Truth::Unknown,
        }
    }
}

/// Reads every value, or says of each that cannot be read why not.
fn each<T>(
    values: &[Cow<'_, str>],
    read: impl Fn(&str) -> Result<T, Refusal>,
) -> Result<Box<[T]>, Vec<(usize, Refusal)>> {
    let mut refusals = Vec::new();
    let read = |(place, value): (usize, &Cow<'_, str>)| read(value).map_err(|r| refusals.push((place, r))).ok();
    let wanted: Vec<T> = values.iter().enumerate().filter_map(read).collect();
    if refusals.is_empty() { Ok(wanted.into()) } else { Err(refusals) }
}

fn number(text: &str) -> Result<Number, Refusal> {
    Number::parse(text).ok_or_else(|| Refusal::new(format!("`{text}` is no number")))
}

fn date(text: &str) -> Result<i64, Refusal> {
    // Four digits are a year to people, and seconds of 1970 to the rule for bare numbers.
    value::date(text).filter(|_| text.len() != 4).ok_or_else(|| {
        Refusal::new(format!("`{text}` is no date"))
            .hint("write `2026-04-01`, `2026-04-01T00:00:00Z` or seconds since 1970")
    })
}

fn boolean(text: &str) -> Result<bool, Refusal> {
    value::boolean(text).ok_or_else(|| Refusal::new(format!("`{text}` is neither `true` nor `false`")))
}

fn binary(text: &str) -> Result<Vec<u8>, Refusal> {
    value::bytes(text).ok_or_else(|| Refusal::new(format!("`{text}` is no base64")))
}

fn network(text: &str) -> Result<IpNet, Refusal> {
    let network = value::network(text).ok_or_else(|| {
        Refusal::new(format!("`{text}` is no range of addresses")).hint("write `203.0.113.0/24` or `2001:db8::/32`")
    })?;
    match network {
        IpNet::V6(v6) if v6.addr().to_ipv4_mapped().is_some() => {
            Err(Refusal::new(format!("`{text}` is an IPv4 address in IPv6 form")).hint("write the IPv4 address"))
        }
        network => Ok(network),
    }
}
