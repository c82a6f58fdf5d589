//! One grant: who may do what with a key, and under which condition.

use super::constraint::Constraint;
use super::operation::{GrantOperation, GrantOperations};
use crate::aws::{AccountId, EncryptionContext, GrantId, KeyArn, MeantAs, PrincipalNames, canonical_principal};
use crate::clock::Timestamp;

/// A grant. It never changes: it is made, and retired or revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// What names it among the key's grants.
    pub id: GrantId,
    /// The key that it is for.
    pub key: KeyArn,
    /// Its friendly name; may be empty.
    pub name: Box<str>,
    /// When it was made.
    pub created: Timestamp,
    /// Who may use it: an ARN, as it was given.
    pub grantee: Box<str>,
    /// Who may retire it beside those who always may: an ARN, as it was given.
    pub retiring: Option<Box<str>>,
    /// The account in which it was made.
    pub issuing_account: AccountId,
    /// What it allows.
    pub operations: GrantOperations,
    /// When it allows that.
    pub constraint: Option<Constraint>,
}

impl Grant {
    /// What the caller is meant as by the grantee principal, if it is meant.
    #[must_use]
    pub fn granted_to(&self, caller: &PrincipalNames) -> Option<MeantAs> {
        caller.meant_by(canonical_principal(&self.grantee))
    }

    /// What the caller is meant as by a principal that the grant itself lets retire it: the retiring principal, or the
    /// grantee of a grant of `RetireGrant`. Whoever is meant as [`MeantAs::Account`] alone needs an identity policy that
    /// allows it too, as do the principals of the issuing account, who are not asked for here.
    #[must_use]
    pub fn may_retire(&self, caller: &PrincipalNames) -> Option<MeantAs> {
        let retiring = self.retiring.as_deref().and_then(|retiring| caller.meant_by(canonical_principal(retiring)));
        let of_grantee = || self.granted_to(caller).filter(|_| self.operations.contains(GrantOperation::RetireGrant));
        match retiring {
            None | Some(MeantAs::Account) => of_grantee().or(retiring),
            Some(_) => retiring,
        }
    }

    /// Whether a caller whose leave to make grants comes from this grant may make one of these operations under this
    /// constraint (developer guide, "Grant constraints" and "Creating grants"): it can pass on what it was given, as
    /// strictly or more so.
    #[must_use]
    pub fn bounds(&self, operations: GrantOperations, constraint: Option<&Constraint>) -> bool {
        let as_strict = match (&self.constraint, constraint) {
            (None, _) => true,
            (Some(own), Some(other)) => other.at_least_as_strict_as(own),
            (Some(_), None) => false,
        };
        as_strict && operations.within(self.operations)
    }

    /// Whether it allows the operation, to whomever, in a request with this context.
    pub(super) fn allows(&self, operation: GrantOperation, context: &EncryptionContext) -> bool {
        let met = || self.constraint.as_ref().is_none_or(|constraint| constraint.met_by(context));
        self.operations.contains(operation) && (operation.unconstrained() || met())
    }

    /// Whether a request that asks for `other` under this grant's name asks for this grant: all but what is made anew
    /// each time is the same. That the issuing account counts too is not documented by AWS.
    pub(super) fn is_what_asks(&self, other: &Self) -> bool {
        let anew = |grant: &Self| Self { id: self.id, created: self.created, ..grant.clone() };
        *self == anew(other)
    }
}

#[cfg(test)]
mod tests {
    use super::super::set::testing::{caller, grant, of};
    use super::*;

    #[test]
    fn who_may_retire_is_named_or_was_given_the_right() {
        let (alice, bob) = (caller("user/alice"), caller("user/bob"));
        let plain = grant(1, "user/alice");
        assert_eq!(plain.may_retire(&alice), None);
        let own = Grant { operations: of(&[GrantOperation::RetireGrant]), ..plain.clone() };
        assert_eq!((own.may_retire(&alice), own.may_retire(&bob)), (Some(MeantAs::User), None));
        let named = Grant { retiring: Some("arn:aws:iam::111122223333:user/bob".into()), ..plain.clone() };
        assert_eq!((named.may_retire(&alice), named.may_retire(&bob)), (None, Some(MeantAs::User)));
        let account = Grant { retiring: Some("arn:aws:iam::111122223333:root".into()), ..own };
        assert_eq!(account.may_retire(&alice), Some(MeantAs::User), "its own right is the stronger one");
        assert_eq!(account.may_retire(&bob), Some(MeantAs::Account));
    }

    #[test]
    fn what_is_passed_on_is_no_more_than_what_was_given() {
        let context = |value: &str| {
            let pairs = vec![("tenant".to_owned(), value.to_owned())];
            Constraint::EncryptionContextSubset(EncryptionContext::from_pairs(pairs).unwrap())
        };
        let given = of(&[GrantOperation::Decrypt, GrantOperation::CreateGrant]);
        let parent = Grant { operations: given, ..grant(1, "user/alice") };
        assert!(parent.bounds(of(&[GrantOperation::Decrypt]), None));
        assert!(parent.bounds(given, Some(&context("blue"))));
        assert!(!parent.bounds(of(&[GrantOperation::Encrypt]), None));
        let parent = Grant { constraint: Some(context("blue")), ..parent };
        assert!(parent.bounds(given, Some(&context("blue"))));
        assert!(!parent.bounds(given, Some(&context("red"))));
        assert!(!parent.bounds(given, None));
    }
}
