use std::cell::Cell;
use std::time::Duration;

use proptest::prelude::*;

use super::testing::{NOW, arn, caller, context, grant, id, of, subset};
use super::*;
use crate::aws::principal_hash;
use GrantOperation::{CreateGrant, Decrypt, DescribeKey, Encrypt, RetireGrant};

fn all(grants: impl IntoIterator<Item = Grant>) -> Grants {
    let mut all = Grants::default();
    for grant in grants {
        all.insert(Arc::new(grant), None);
    }
    all
}

fn allowed(grants: &Grants, who: &str, operation: GrantOperation, pairs: &[(&str, &str)]) -> Option<(u32, MeantAs)> {
    let (grant, meant_as) = grants.allowing(&caller(who), operation, &context(pairs), NOW, &[])?;
    let number = u32::from_be_bytes(*grant.id.as_bytes().first_chunk().unwrap());
    Some((number, meant_as))
}

#[test]
fn a_key_without_grants_has_a_word_for_them() {
    assert_eq!(size_of::<Grants>(), size_of::<usize>());
    let mut grants = all([grant(1, "user/alice")]);
    assert!(grants.remove(id(1)) && !grants.remove(id(1)));
    assert!(grants.is_empty() && grants.following(None).next().is_none());
}

#[test]
fn a_grant_is_for_its_grantee_alone() {
    let grants = all([grant(1, "user/alice")]);
    assert_eq!(allowed(&grants, "user/alice", Decrypt, &[]), Some((1, MeantAs::User)));
    assert_eq!(allowed(&grants, "user/alice", Encrypt, &[]), None);
    assert_eq!(allowed(&grants, "user/bob", Decrypt, &[]), None);
    assert_eq!(allowed(&grants, "root", Decrypt, &[]), None);
}

#[test]
fn a_role_is_all_its_sessions_and_a_session_is_itself() {
    let grants = all([grant(1, "role/orders"), grant(2, "assumed-role/bills/one")]);
    assert_eq!(allowed(&grants, "assumed-role/orders/any", Decrypt, &[]), Some((1, MeantAs::Role)));
    assert_eq!(allowed(&grants, "assumed-role/bills/one", Decrypt, &[]), Some((2, MeantAs::Session)));
    assert_eq!(allowed(&grants, "assumed-role/bills/two", Decrypt, &[]), None);
}

#[test]
fn a_grant_to_the_caller_itself_comes_before_one_to_its_account() {
    let grants = all([grant(1, "root"), grant(2, "user/alice")]);
    assert_eq!(allowed(&grants, "user/alice", Decrypt, &[]), Some((2, MeantAs::User)));
    assert_eq!(allowed(&grants, "user/bob", Decrypt, &[]), Some((1, MeantAs::Account)));
    assert_eq!(allowed(&grants, "root", Decrypt, &[]), Some((1, MeantAs::Root)));
}

#[test]
fn a_constraint_has_no_say_in_what_has_no_context() {
    let operations = of(&[Decrypt, DescribeKey, RetireGrant]);
    for constraint in [subset(&[("tenant", "blue")]), subset(&[])] {
        let constraint = Some(constraint);
        let grants = all([Grant { operations, constraint, ..grant(1, "user/alice") }]);
        assert!(allowed(&grants, "user/alice", DescribeKey, &[]).is_some());
        assert!(allowed(&grants, "user/alice", RetireGrant, &[]).is_some());
        assert!(allowed(&grants, "user/alice", Decrypt, &[("Tenant", "blue"), ("a", "b")]).is_some());
    }
    let constraint = Some(subset(&[("tenant", "blue")]));
    let grants = all([Grant { operations, constraint, ..grant(1, "user/alice") }]);
    assert_eq!(allowed(&grants, "user/alice", Decrypt, &[]), None);
    assert_eq!(allowed(&grants, "user/alice", Decrypt, &[("tenant", "red")]), None);
}

#[test]
fn a_grant_that_is_not_seen_yet_needs_its_token() {
    let mut grants = Grants::default();
    let later = NOW.plus(Duration::from_secs(1));
    grants.insert(Arc::new(grant(1, "user/alice")), Some(later));
    let asked =
        |now, tokens: &[GrantId]| grants.allowing(&caller("user/alice"), Decrypt, &context(&[]), now, tokens).is_some();
    assert!(!asked(NOW, &[]) && !asked(NOW, &[id(2)]));
    assert!(asked(NOW, &[id(2), id(1)]) && asked(later, &[]));
    let bob = grants.allowing(&caller("user/bob"), Decrypt, &context(&[]), NOW, &[id(1)]);
    assert!(bob.is_none(), "a token is no wider than its grant");
}

#[test]
fn a_grant_is_passed_on_by_one_that_bounds_it() {
    let of_parent = of(&[CreateGrant, Decrypt]);
    let parent =
        |number, pairs| Grant { operations: of_parent, constraint: Some(subset(pairs)), ..grant(number, "user/alice") };
    let grants = all([parent(1, &[("tenant", "blue")]), parent(2, &[("tenant", "red")])]);
    let asked = |operations: &[GrantOperation], constraint: Option<Constraint>| {
        let found = grants.allowing_grant(&caller("user/alice"), of(operations), constraint.as_ref(), NOW, &[]);
        found.map(|(grant, _)| grant.id)
    };
    assert_eq!(asked(&[Decrypt], Some(subset(&[("tenant", "red")]))), Some(id(2)));
    assert_eq!(asked(&[Decrypt], Some(subset(&[("TENANT", "blue"), ("a", "b")]))), Some(id(1)));
    assert_eq!(asked(&[Decrypt], None), None);
    assert_eq!(asked(&[Decrypt], Some(subset(&[("a", "b")]))), None);
    assert_eq!(asked(&[Encrypt], Some(subset(&[("tenant", "red")]))), None);
}

#[test]
fn a_name_finds_the_grant_that_was_asked_for_before() {
    let named = Grant { name: "orders".into(), constraint: Some(subset(&[("a", "b")])), ..grant(1, "user/alice") };
    let grants = all([named.clone(), grant(2, "user/alice")]);
    let asked = |grant: Grant| grants.same_as(&Grant { id: id(9), created: NOW.plus(Duration::from_secs(9)), ..grant });
    assert_eq!(asked(named.clone()).unwrap().id, id(1));
    assert!(asked(grant(2, "user/alice")).is_none(), "without a name each is a new one");
    for other in [
        Grant { name: "Orders".into(), ..named.clone() },
        Grant { grantee: arn("user/bob").into(), ..named.clone() },
        Grant { retiring: Some(arn("user/bob").into()), ..named.clone() },
        Grant { operations: of(&[Encrypt]), ..named.clone() },
        Grant { constraint: None, ..named.clone() },
    ] {
        assert!(asked(other.clone()).is_none(), "{other:?}");
    }
}

#[test]
fn grants_come_by_their_ids_from_a_marker_on() {
    let grants = all([grant(3, "user/bob"), grant(1, "user/alice"), grant(2, "user/alice")]);
    let ids = |grants: &mut dyn Iterator<Item = &Arc<Grant>>| grants.map(|grant| grant.id).collect::<Vec<_>>();
    assert_eq!(ids(&mut grants.following(None)), [id(1), id(2), id(3)]);
    assert_eq!(ids(&mut grants.following(Some(id(1)))), [id(2), id(3)]);
    assert_eq!(ids(&mut grants.following(Some(id(3)))), []);
    assert_eq!(ids(&mut grants.of_grantee(&arn("user/alice"), None)), [id(1), id(2)]);
    assert_eq!(ids(&mut grants.of_grantee(&arn("user/alice"), Some(id(1)))), [id(2)]);
    assert_eq!(ids(&mut grants.of_grantee(&arn("user/carol"), None)), []);
}

/// How many grants are looked at before it is known that a request of alice's has none.
fn looked_at(grants: &Grants, operation: GrantOperation, pairs: &[(&str, &str)]) -> usize {
    let (looked_at, alice) = (Cell::new(0), arn("user/alice"));
    let context = context(pairs);
    let asked = Asked { operation, context: &context, passed_on: None };
    let seen = |_: &Entry| {
        looked_at.set(looked_at.get() + 1);
        false
    };
    let buckets = &grants.0.as_ref().unwrap().buckets;
    assert!(buckets.allowing((&alice, principal_hash(&alice)), &asked, seen).is_none());
    looked_at.get()
}

#[test]
fn fifty_thousand_grants_of_one_grantee_cost_what_a_few_do() {
    let number = |number: u32| number.to_string();
    let constraint = |number: &str| subset(&[("app", "orders"), ("order", number), ("tenant", "blue")]);
    let orders = (0..50_000).map(|n| Grant { constraint: Some(constraint(&number(n))), ..grant(n, "user/alice") });
    let other_operations = (50_000..100_000).map(|n| Grant { operations: of(&[Encrypt]), ..grant(n, "user/alice") });
    let grants = all(orders.chain(other_operations));
    let request = [("app", "orders"), ("order", "7"), ("tenant", "blue")];
    assert_eq!(allowed(&grants, "user/alice", Decrypt, &request), Some((7, MeantAs::User)));
    assert!(looked_at(&grants, Decrypt, &request) <= 3);
    assert!(looked_at(&grants, Decrypt, &[("app", "orders"), ("tenant", "blue")]) <= 2);
}

#[test]
fn a_pair_that_all_grants_want_leads_to_few_of_them() {
    let tenant = |number: u32| format!("tenant-{}", number % 100);
    let constraint = |tenant: &str| subset(&[("app", "orders"), ("tenant", tenant)]);
    let made = |n| Grant { constraint: Some(constraint(&tenant(n))), ..grant(n, "user/alice") };
    let mut grants = all((0..20_000).map(made));
    // 200 of each tenant, and as many at most where all would fit.
    assert!(looked_at(&grants, Decrypt, &[("app", "orders"), ("tenant", "none")]) <= 200);
    assert_eq!(looked_at(&grants, Encrypt, &[("app", "orders"), ("tenant", "tenant-7")]), 0);
    for number in 0..20_000 {
        grants.remove(id(number));
    }
    assert!(grants.is_empty());
}

fn some_pairs() -> impl Strategy<Value = Vec<(String, String)>> {
    proptest::collection::btree_map("[abA]", "[12]", 0..3).prop_map(|pairs| pairs.into_iter().collect())
}

prop_compose! {
    fn some_grant()(
        grantee in prop::sample::select(vec!["user/alice", "user/bob", "role/orders", "root"]),
        bits in 1_u32..1 << 17,
        pairs in some_pairs(),
        kind in 0..3,
    ) -> Grant {
        let pairs = EncryptionContext::from_pairs(pairs).unwrap();
        let constraint = match kind {
            0 => None,
            1 => Some(Constraint::EncryptionContextEquals(pairs)),
            _ => Some(Constraint::EncryptionContextSubset(pairs)),
        };
        Grant { operations: GrantOperations::from_bits(bits).unwrap(), constraint, ..grant(0, grantee) }
    }
}

proptest! {
    /// What the index finds is what looking through all of them finds.
    #[test]
    fn the_index_misses_no_grant_and_invents_none(
        made in prop::collection::vec(some_grant(), 0..24),
        removed in prop::collection::vec(0_u32..24, 0..12),
        operation in prop::sample::select(GrantOperation::ALL),
        pairs in some_pairs(),
        who in prop::sample::select(vec!["user/alice", "user/bob", "assumed-role/orders/one", "root"]),
    ) {
        let made = made.into_iter().zip(0..).map(|(grant, number)| Grant { id: id(number), ..grant });
        let mut grants = all(made);
        for number in removed {
            grants.remove(id(number));
        }
        let (context, caller) = (EncryptionContext::from_pairs(pairs).unwrap(), caller(who));
        let fits = |grant: &Arc<Grant>| grant.allows(operation, &context).then(|| grant.granted_to(&caller)).flatten();
        let expected: Vec<_> = grants.following(None).filter_map(fits).collect();
        let found = grants.allowing(&caller, operation, &context, NOW, &[]);
        prop_assert_eq!(found.is_some(), !expected.is_empty());
        if let Some((grant, meant_as)) = found {
            prop_assert_eq!(fits(grant), Some(meant_as));
            let itself = expected.iter().any(|meant| *meant != MeantAs::Account);
            prop_assert_eq!(meant_as != MeantAs::Account, itself);
        }
        let places: usize = grants.0.iter().map(|inner| inner.lists.len() + inner.buckets.places()).sum();
        prop_assert!(places <= 4 * grants.len(), "nothing is left behind");
    }
}
