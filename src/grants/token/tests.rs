use std::collections::BTreeMap;

use serde::Deserialize;

use super::super::GrantOperation;
use super::super::set::testing::{NOW, arn, context, grant, of, subset};
use super::*;

#[derive(Deserialize)]
struct Golden {
    grant_token: Vector,
}

/// Made by `tests/vectors/local_backend.py`.
#[derive(Deserialize)]
struct Vector {
    key: String,
    nonce: String,
    issued_micros: i64,
    created_micros: i64,
    grant_id: String,
    key_arn: String,
    name: String,
    grantee: String,
    retiring: String,
    issuing_account: String,
    operations: Vec<String>,
    equals: BTreeMap<String, String>,
    token: String,
}

fn golden() -> Vector {
    serde_json::from_str::<Golden>(include_str!("../../../tests/vectors/local_backend.json")).unwrap().grant_token
}

fn bytes<const N: usize>(text: &str) -> [u8; N] {
    hex::decode(text).unwrap().try_into().unwrap()
}

impl Vector {
    fn token(&self) -> GrantToken {
        let pairs = EncryptionContext::from_pairs(self.equals.clone().into_iter().collect()).unwrap();
        let operations = self.operations.iter().map(|name| GrantOperation::from_name(name).unwrap());
        let grant = Grant {
            id: GrantId::from_bytes(bytes(&self.grant_id)),
            key: self.key_arn.parse().unwrap(),
            name: self.name.as_str().into(),
            created: Timestamp::from_unix_micros(self.created_micros),
            grantee: self.grantee.as_str().into(),
            retiring: Some(self.retiring.as_str().into()),
            issuing_account: self.issuing_account.parse().unwrap(),
            operations: operations.collect(),
            constraint: Some(Constraint::EncryptionContextEquals(pairs)),
        };
        GrantToken { grant: Arc::new(grant), issued: Timestamp::from_unix_micros(self.issued_micros) }
    }
}

fn key() -> TokenKey {
    TokenKey::new(&[7; 32])
}

fn token(grant: Grant) -> GrantToken {
    GrantToken { grant: Arc::new(grant), issued: NOW }
}

#[test]
fn a_token_is_that_of_an_independent_implementation() {
    let golden = golden();
    let key = TokenKey::new(&bytes(&golden.key));
    assert_eq!(golden.token().seal_with(&bytes(&golden.nonce), &key), golden.token);
    assert_eq!(GrantToken::open(&golden.token, &key), Ok(golden.token()));
}

#[test]
fn a_token_says_what_it_was_made_of_and_no_two_are_alike() {
    let retiring = Some(arn("user/bob").into());
    for grant in [
        grant(1, "user/alice"),
        Grant {
            name: "n".into(),
            retiring,
            constraint: Some(subset(&[("tenant", "blau"), ("ü", "")])),
            ..grant(2, "root")
        },
        Grant { constraint: Some(Constraint::EncryptionContextEquals(context(&[]))), ..grant(3, "role/orders") },
    ] {
        let token = token(grant);
        let (one, two) = (token.seal(&key()).unwrap(), token.seal(&key()).unwrap());
        assert_ne!(one, two);
        for sealed in [one, two] {
            assert_eq!(GrantToken::open(&sealed, &key()), Ok(token.clone()));
        }
    }
}

#[test]
fn the_largest_grant_has_a_token_that_clients_may_send() {
    let text = |length: usize| "x".repeat(length);
    let each = MOST_CONSTRAINT_BYTES / 16;
    let pairs: Vec<_> = (0..8).map(|n| (format!("{n}{}", text(each - 1)), text(each))).collect();
    let pairs = EncryptionContext::from_pairs(pairs).unwrap();
    assert_eq!(pairs.text_bytes(), MOST_CONSTRAINT_BYTES);
    let operations = GrantOperation::ALL.iter().copied().collect();
    let grant = Grant {
        key: format!("arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/mrk-{}", "1".repeat(32)).parse().unwrap(),
        name: text(256).into(),
        grantee: text(256).into(),
        retiring: Some(text(256).into()),
        operations,
        constraint: Some(Constraint::EncryptionContextSubset(pairs)),
        ..grant(1, "user/alice")
    };
    let sealed = token(grant).seal(&key()).unwrap();
    assert!(sealed.len() <= 8192 - 4 * (128 - 88) / 3, "{}", sealed.len());
}

#[test]
fn one_bit_another_makes_it_no_token() {
    let sealed =
        token(Grant { constraint: Some(subset(&[("a", "b")])), ..grant(1, "user/alice") }).seal(&key()).unwrap();
    let whole = STANDARD.decode(&sealed).unwrap();
    for place in 0..whole.len() {
        for bit in 0..8 {
            let mut altered = whole.clone();
            altered[place] ^= 1 << bit;
            assert_eq!(GrantToken::open(&STANDARD.encode(altered), &key()), Err(InvalidGrantToken));
        }
        assert_eq!(GrantToken::open(&STANDARD.encode(&whole[..place]), &key()), Err(InvalidGrantToken));
    }
    assert_eq!(GrantToken::open(&sealed, &TokenKey::new(&[8; 32])), Err(InvalidGrantToken));
}

#[test]
fn what_is_no_token_is_refused() {
    let sealed = token(grant(1, "user/alice")).seal(&key()).unwrap();
    for text in [
        "",
        "t",
        "no token!",
        "AAAA",
        "ä",
        &format!(" {sealed}"),
        &format!("{sealed}A"),
        sealed.trim_start_matches('A'),
    ] {
        assert_eq!(GrantToken::open(text, &key()), Err(InvalidGrantToken), "{text}");
    }
}

/// What becomes of the bytes before the MAC.
type Change<'a> = &'a dyn Fn(&mut Vec<u8>);

#[test]
fn what_another_version_would_say_is_not_guessed_at() {
    let sealed = token(Grant { operations: of(&[]), ..grant(1, "user/alice") }).seal(&key()).unwrap();
    let whole = STANDARD.decode(&sealed).unwrap();
    let resealed = |change: Change<'_>| {
        let mut said = whole[..whole.len() - MAC_BYTES].to_vec();
        change(&mut said);
        let mac = hmac::sign(&key().0, &said);
        said.extend_from_slice(mac.as_ref());
        GrantToken::open(&STANDARD.encode(said), &key())
    };
    assert!(resealed(&|_| ()).is_ok());
    let changes: [Change<'_>; 8] = [
        &|said| said[0] = 2,
        &|said| said[1] = 2,
        &|said| said[66] = 1,
        &|said| said[70] = 3,
        &|said| said[71] = 1,
        &|said| said[71] = 9,
        &|said| said[73] += 1,
        &|said| said.push(0),
    ];
    for change in changes {
        assert_eq!(resealed(change), Err(InvalidGrantToken));
    }
}

#[test]
fn a_token_stands_for_its_grant_only_where_and_while_the_store_cannot_know() {
    let of_token = token(grant(1, "user/alice"));
    let of_store = Arc::new(Grant { name: "the store's".into(), ..grant(1, "user/alice") });
    let (later, last) = (NOW.plus(WINDOW), NOW.plus(WINDOW).minus(Duration::from_micros(1)));
    let name = |knowledge, now| honoured(&of_token, knowledge, now).map(|grant| &*grant.name);
    for now in [NOW, later, later.plus(WINDOW)] {
        assert_eq!(name(StoreKnowledge::Has(&of_store), now), Some("the store's"));
        assert_eq!(name(StoreKnowledge::Gone, now), None);
    }
    assert_eq!(name(StoreKnowledge::Unknown, NOW), Some(""));
    assert_eq!(name(StoreKnowledge::Unknown, last), Some(""));
    assert_eq!(name(StoreKnowledge::Unknown, later), None);
    assert_eq!(name(StoreKnowledge::Unknown, NOW.minus(Duration::from_micros(1))), None);
}
