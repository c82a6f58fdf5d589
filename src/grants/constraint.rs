//! What a grant's constraint asks of a request's encryption context (API reference, `GrantConstraints`).
//!
//! The key of a pair is compared without regard to case, its value with. A request whose keys differ only by case from
//! each other could mean either pair, so such a pair meets no constraint.

use std::borrow::Cow;

use crate::aws::EncryptionContext;

/// The condition under which a grant holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Constraint {
    /// The context has exactly these pairs.
    EncryptionContextEquals(EncryptionContext),
    /// The context has all of these pairs.
    EncryptionContextSubset(EncryptionContext),
}

impl Constraint {
    /// The pairs.
    #[must_use]
    pub const fn pairs(&self) -> &EncryptionContext {
        match self {
            Self::EncryptionContextEquals(pairs) | Self::EncryptionContextSubset(pairs) => pairs,
        }
    }

    /// Whether it is one of exactly these pairs.
    #[must_use]
    pub const fn is_exact(&self) -> bool {
        matches!(self, Self::EncryptionContextEquals(_))
    }

    /// Whether a request with this context meets it.
    #[must_use]
    pub fn met_by(&self, context: &EncryptionContext) -> bool {
        let pairs = self.pairs();
        let enough = if self.is_exact() { context.len() == pairs.len() } else { context.len() >= pairs.len() };
        // Each pair has a partner of its own: two that shared one would differ by case alone, and so would be refused.
        enough && !collides(pairs) && pairs.iter().all(|(key, value)| the_one(context, key) == Some(value))
    }

    /// Whether whatever meets this meets `other` too, as KMS asks of grants that are made through a grant (developer
    /// guide, "Grant constraints"): exactly its pairs where it is one of exact pairs, else at least its pairs.
    #[must_use]
    pub fn at_least_as_strict_as(&self, other: &Self) -> bool {
        (self.is_exact() || !other.is_exact()) && other.met_by(self.pairs())
    }
}

/// A key by which those that differ by case alone are found. Not what is shown or sealed.
pub(super) fn folded(key: &str) -> Cow<'_, str> {
    let as_it_is = key.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase());
    if as_it_is { key.into() } else { key.to_lowercase().into() }
}

/// Whether two keys are one without regard to case: whether [`folded`] makes one of them.
fn same_key(a: &str, b: &str) -> bool {
    if a.is_ascii() && b.is_ascii() { a.eq_ignore_ascii_case(b) } else { folded(a) == folded(b) }
}

/// The value of the one key that is `key` without regard to case; `None` if there is none, or more than one.
fn the_one<'c>(context: &'c EncryptionContext, key: &str) -> Option<&'c str> {
    let mut found = context.iter().filter(|(own, _)| same_key(own, key)).map(|(_, value)| value);
    found.next().filter(|_| found.next().is_none())
}

/// Whether two of the keys differ by case alone.
fn collides(pairs: &EncryptionContext) -> bool {
    pairs.iter().any(|(key, _)| the_one(pairs, key).is_none())
}

#[cfg(test)]
mod tests {
    use Constraint::{EncryptionContextEquals as Equals, EncryptionContextSubset as Subset};

    use super::*;

    fn context(pairs: &[(&str, &str)]) -> EncryptionContext {
        EncryptionContext::from_pairs(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()).unwrap()
    }

    const BLUE: (&str, &str) = ("tenant", "blue");
    const BILLS: (&str, &str) = ("purpose", "bills");

    #[test]
    fn one_constraint_wants_exactly_its_pairs_and_the_other_at_least_them() {
        let (blue, both) = (context(&[BLUE]), context(&[BLUE, BILLS]));
        for (constraint, expected) in [
            (Equals(blue.clone()), [false, true, false]),
            (Subset(blue.clone()), [false, true, true]),
            (Equals(both.clone()), [false, false, true]),
            (Subset(both.clone()), [false, false, true]),
            (Equals(context(&[])), [true, false, false]),
            (Subset(context(&[])), [true, true, true]),
        ] {
            let contexts = [context(&[]), blue.clone(), both.clone()];
            assert_eq!(contexts.map(|context| constraint.met_by(&context)), expected, "{constraint:?}");
        }
    }

    #[test]
    fn keys_are_compared_without_regard_to_case_and_values_with() {
        for constraint in [Equals(context(&[BLUE])), Subset(context(&[BLUE]))] {
            assert!(constraint.met_by(&context(&[("Tenant", "blue")])));
            assert!(constraint.met_by(&context(&[("TENANT", "blue")])));
            assert!(!constraint.met_by(&context(&[("tenant", "Blue")])));
            assert!(!constraint.met_by(&context(&[("tenant ", "blue")])));
        }
        assert!(Subset(context(&[("ÄRA", "1")])).met_by(&context(&[("ära", "1")])));
    }

    #[test]
    fn keys_that_differ_by_case_alone_meet_nothing_that_names_them() {
        let twice = context(&[("tenant", "blue"), ("Tenant", "blue"), ("purpose", "bills")]);
        assert!(!Subset(context(&[BLUE])).met_by(&twice));
        assert!(!Equals(context(&[BLUE, BILLS])).met_by(&twice));
        assert!(!Equals(twice.clone()).met_by(&twice));
        assert!(!Subset(context(&[("a", "1"), ("A", "1")])).met_by(&context(&[("a", "1"), ("b", "1")])));
        // It names another key.
        assert!(Subset(context(&[BILLS])).met_by(&twice));
    }

    #[test]
    fn a_child_is_as_strict_as_its_parent_or_stricter() {
        let (blue, both) = (context(&[BLUE]), context(&[BLUE, BILLS]));
        for (child, parent, expected) in [
            (Equals(blue.clone()), Equals(blue.clone()), true),
            (Equals(both.clone()), Equals(blue.clone()), false),
            (Equals(blue.clone()), Equals(both.clone()), false),
            (Subset(blue.clone()), Equals(blue.clone()), false),
            (Subset(both.clone()), Equals(blue.clone()), false),
            (Equals(blue.clone()), Subset(blue.clone()), true),
            (Equals(both.clone()), Subset(blue.clone()), true),
            (Subset(blue.clone()), Subset(blue.clone()), true),
            (Subset(both.clone()), Subset(blue.clone()), true),
            (Subset(blue.clone()), Subset(both.clone()), false),
            (Subset(context(&[("tenant", "red")])), Subset(blue.clone()), false),
            (Subset(context(&[("TENANT", "blue")])), Subset(blue.clone()), true),
        ] {
            assert_eq!(child.at_least_as_strict_as(&parent), expected, "{child:?} under {parent:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn keys_are_the_same_when_they_fold_to_the_same(a in "[aAkK\u{212a}ÄäẞßΣσς]{0,2}", b in "[aAkK\u{212a}ÄäẞßΣσς]{0,2}") {
            proptest::prop_assert_eq!(same_key(&a, &b), a.to_lowercase() == b.to_lowercase());
            proptest::prop_assert_eq!(folded(&a), a.to_lowercase());
        }

        #[test]
        fn what_meets_a_stricter_constraint_meets_the_other(
            child in proptest::collection::btree_map("[abA]", "[12]", 0..3),
            parent in proptest::collection::btree_map("[abA]", "[12]", 0..3),
            request in proptest::collection::btree_map("[abAc]", "[12]", 0..4),
            exact in proptest::bool::ANY,
            exact_parent in proptest::bool::ANY,
        ) {
            let of = |pairs: std::collections::BTreeMap<String, String>| {
                EncryptionContext::from_pairs(pairs.into_iter().collect()).unwrap()
            };
            let made = |pairs, exact| if exact { Equals(pairs) } else { Subset(pairs) };
            let (child, parent) = (made(of(child), exact), made(of(parent), exact_parent));
            let request = of(request);
            if child.at_least_as_strict_as(&parent) && child.met_by(&request) {
                proptest::prop_assert!(parent.met_by(&request), "{child:?} {parent:?} {request:?}");
            }
        }
    }
}
