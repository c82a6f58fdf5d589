//! Condition operators: `ForAnyValue:StringNotLikeIfExists` taken apart.

use super::fault::Refusal;

/// A condition operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Operator {
    /// Its name without set operator and `IfExists`: `ArnLike` compares as `ArnEquals` does, and is another word.
    pub(super) name: &'static str,
    pub(super) set: Option<SetOperator>,
    pub(super) comparison: Comparison,
    /// `...Not...`: none of the policy's values may match.
    pub(super) negated: bool,
    /// `...IfExists`: holds if the key is absent.
    pub(super) if_exists: bool,
}

/// Which of the request's values have to match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SetOperator {
    ForAllValues,
    ForAnyValue,
}

impl SetOperator {
    /// As it stands before the operator's name.
    pub(super) const fn prefix(self) -> &'static str {
        match self {
            Self::ForAllValues => "ForAllValues:",
            Self::ForAnyValue => "ForAnyValue:",
        }
    }
}

/// How a value of the request is compared with one of the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Text,
    TextIgnoringCase,
    TextLike,
    Number(Relation),
    Date(Relation),
    Boolean,
    Binary,
    Address,
    Arn,
    Null,
}

/// The request's value stands in this relation to the policy's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Relation {
    /// Whether it holds between two values of this order.
    pub(super) fn holds(self, order: std::cmp::Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

/// Every operator without its prefix and suffix: its name, its comparison and whether it is negated.
const BASE: &[(&str, Comparison, bool)] = &[
    ("StringEquals", Comparison::Text, false),
    ("StringNotEquals", Comparison::Text, true),
    ("StringEqualsIgnoreCase", Comparison::TextIgnoringCase, false),
    ("StringNotEqualsIgnoreCase", Comparison::TextIgnoringCase, true),
    ("StringLike", Comparison::TextLike, false),
    ("StringNotLike", Comparison::TextLike, true),
    ("NumericEquals", Comparison::Number(Relation::Equal), false),
    ("NumericNotEquals", Comparison::Number(Relation::Equal), true),
    ("NumericLessThan", Comparison::Number(Relation::Less), false),
    ("NumericLessThanEquals", Comparison::Number(Relation::LessOrEqual), false),
    ("NumericGreaterThan", Comparison::Number(Relation::Greater), false),
    ("NumericGreaterThanEquals", Comparison::Number(Relation::GreaterOrEqual), false),
    ("DateEquals", Comparison::Date(Relation::Equal), false),
    ("DateNotEquals", Comparison::Date(Relation::Equal), true),
    ("DateLessThan", Comparison::Date(Relation::Less), false),
    ("DateLessThanEquals", Comparison::Date(Relation::LessOrEqual), false),
    ("DateGreaterThan", Comparison::Date(Relation::Greater), false),
    ("DateGreaterThanEquals", Comparison::Date(Relation::GreaterOrEqual), false),
    ("Bool", Comparison::Boolean, false),
    ("BinaryEquals", Comparison::Binary, false),
    ("IpAddress", Comparison::Address, false),
    ("NotIpAddress", Comparison::Address, true),
    ("ArnEquals", Comparison::Arn, false),
    ("ArnNotEquals", Comparison::Arn, true),
    ("ArnLike", Comparison::Arn, false),
    ("ArnNotLike", Comparison::Arn, true),
    ("Null", Comparison::Null, false),
];

impl Operator {
    /// Reads an operator's name, exactly as AWS spells it.
    pub(super) fn parse(written: &str) -> Result<Self, Refusal> {
        let (set, rest) = match written.split_once(':') {
            Some(("ForAllValues", rest)) => (Some(SetOperator::ForAllValues), rest),
            Some(("ForAnyValue", rest)) => (Some(SetOperator::ForAnyValue), rest),
            Some((other, _)) => {
                return Err(Refusal::new(format!("`{other}:` is no set operator"))
                    .hint("the set operators are `ForAllValues:` and `ForAnyValue:`"));
            }
            None => (None, written),
        };
        let (base, if_exists) = rest.strip_suffix("IfExists").map_or((rest, false), |base| (base, true));
        let Some((name, comparison, negated)) = BASE.iter().find(|(known, ..)| *known == base) else {
            let refusal = Refusal::new(format!("`{written}` is no condition operator"));
            return Err(refusal.did_you_mean(base, BASE.iter().map(|(known, ..)| *known)));
        };
        if *comparison == Comparison::Null && (set.is_some() || if_exists) {
            return Err(Refusal::new(format!("`{written}`: `Null` stands alone, without set operator and `IfExists`")));
        }
        Ok(Self { name, set, comparison: *comparison, negated: *negated, if_exists })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_apart() {
        let operator = Operator::parse("ForAnyValue:StringNotLikeIfExists").unwrap();
        let expected = Operator {
            name: "StringNotLike",
            set: Some(SetOperator::ForAnyValue),
            comparison: Comparison::TextLike,
            negated: true,
            if_exists: true,
        };
        assert_eq!(operator, expected);
        for (name, ..) in BASE {
            assert!(Operator::parse(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn what_is_spelt_otherwise_is_refused() {
        for name in [
            "",
            "stringEquals",
            "StringEqual",
            "ForAllValues",
            "ForAllValues:",
            "ForEachValue:StringEquals",
            "forAnyValue:StringEquals",
            "NullIfExists",
            "ForAnyValue:Null",
            "StringEqualsIfExistsIfExists",
            "IfExists",
            "BoolNot",
            "ForAnyValue:ForAllValues:StringEquals",
            " StringEquals",
        ] {
            assert!(Operator::parse(name).is_err(), "{name}");
        }
    }
}
