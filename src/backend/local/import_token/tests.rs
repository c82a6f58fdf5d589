//! Tokens against an independent implementation's, and all that must not open.

use proptest::prelude::*;

use super::super::golden::{Golden, golden};
use super::super::import_wrapping::wrapping_key_spec;
use super::super::root_key::RootKey;
use super::*;

/// KMS's bound of an `ImportToken`.
const MAX_TOKEN: usize = 6144;

struct World {
    golden: Golden,
    root_key: RootKey,
    store: StoreId,
    key_arn: KeyArn,
}

impl World {
    fn new() -> Self {
        let golden = golden();
        let (root_key, store, key_arn) = (golden.root_key(), golden.store_id(), golden.key_arn());
        Self { golden, root_key, store, key_arn }
    }

    fn key(&self) -> ImportTokenKey {
        self.root_key.import_token_key(&self.store)
    }

    fn binding(&self) -> Binding<'_> {
        Binding { store: &self.store, key_arn: &self.key_arn }
    }

    fn issued(&self) -> Timestamp {
        Timestamp::from_unix_micros(self.golden.import_token.issued_micros)
    }

    /// The golden token's content.
    fn token(&self) -> ImportToken {
        let vector = &self.golden.import_token;
        let private_key = Secret::new(hex::decode(&vector.private_key).unwrap());
        let wrapping_algorithm = WrappingAlgorithm::of(&vector.wrapping_algorithm).unwrap();
        ImportToken { wrapping_algorithm, issued: self.issued(), private_key }
    }

    fn bytes(&self) -> Vec<u8> {
        hex::decode(&self.golden.import_token.token).unwrap()
    }

    fn open(&self, token: &[u8]) -> Result<ImportToken, InvalidToken> {
        ImportToken::open(token, &self.key(), &self.binding(), self.issued())
    }
}

#[test]
fn tokens_are_those_of_an_independent_implementation() {
    let world = World::new();
    let sealed = world.token().seal_with(&world.golden.iv(), &world.key(), &world.binding());
    assert_eq!(hex::encode(sealed), world.golden.import_token.token);
    let opened = world.open(&world.bytes()).unwrap();
    assert_eq!(opened.wrapping_algorithm.name(), world.golden.import_token.wrapping_algorithm);
    assert_eq!(opened.issued, world.issued());
    assert_eq!(hex::encode(opened.private_key.expose()), world.golden.import_token.private_key);
}

#[test]
fn a_token_is_good_for_24_hours() {
    let world = World::new();
    let token = world.bytes();
    let open = |now| ImportToken::open(&token, &world.key(), &world.binding(), now);
    let day = Duration::from_hours(24);
    let end = world.issued().plus(day);
    assert_eq!(open(world.issued()).unwrap().expires(), end);
    assert!(open(end.minus(Duration::from_micros(1))).is_ok());
    assert_eq!(open(end).unwrap_err(), InvalidToken::Expired);
    assert_eq!(open(end.plus(day)).unwrap_err(), InvalidToken::Expired);
    // A clock that was set back is no reason to refuse.
    assert!(open(world.issued().minus(day)).is_ok());
}

#[test]
fn a_token_does_not_open_for_another_key_store_or_root_key() {
    let world = World::new();
    let token = world.bytes();
    let refused = |key: &ImportTokenKey, binding: &Binding<'_>| {
        ImportToken::open(&token, key, binding, world.issued()).unwrap_err()
    };
    let (other_key, other_store) =
        (world.golden.key_arn.replace("1234abcd", "1234abce").parse().unwrap(), StoreId::from_bytes([7; 16]));
    let right = world.binding();
    assert_eq!(refused(&world.key(), &Binding { key_arn: &other_key, ..right }), InvalidToken::NotOurs);
    assert_eq!(refused(&world.key(), &Binding { store: &other_store, ..right }), InvalidToken::NotOurs);
    assert_eq!(refused(&world.root_key.import_token_key(&other_store), &right), InvalidToken::NotOurs);
    let line = world.golden.root_key_line.replace("AAEC", "AAED");
    let other_root_key = RootKey::from_text(&line).unwrap();
    assert_eq!(refused(&other_root_key.import_token_key(&world.store), &right), InvalidToken::NotOurs);
}

#[test]
fn a_token_with_any_bit_flipped_does_not_open_and_is_not_said_to_have_expired() {
    let world = World::new();
    let token = world.bytes();
    let later = world.issued().plus(2 * VALIDITY);
    for bit in 0..token.len() * 8 {
        let mut flipped = token.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        for now in [world.issued(), later] {
            let error = ImportToken::open(&flipped, &world.key(), &world.binding(), now).unwrap_err();
            assert_eq!(error, InvalidToken::NotOurs, "bit {bit}");
        }
    }
}

#[test]
fn a_token_cut_short_or_made_longer_does_not_open() {
    let world = World::new();
    let token = world.bytes();
    for length in 0..token.len() {
        assert_eq!(world.open(&token[..length]).unwrap_err(), InvalidToken::NotOurs, "{length} bytes");
    }
    assert_eq!(world.open(&[&token[..], &[0]].concat()).unwrap_err(), InvalidToken::NotOurs);
}

#[test]
fn an_authentic_token_of_another_version_or_algorithm_does_not_open() {
    let world = World::new();
    for facts in [[2, 1, 4], [1, 2, 4], [1, 1, 0], [1, 1, 5]] {
        let mut token = world.bytes();
        token[..3].copy_from_slice(&facts);
        let (head, room) = token.split_at_mut(PREFIX_BYTES);
        let length = room.len() - TAG_BYTES;
        room[..length].copy_from_slice(world.token().private_key.expose());
        let aad = world.binding().additional_data(head.first_chunk().unwrap());
        gcm::seal(world.key().expose(), &world.golden.iv(), &aad, room);
        assert_eq!(world.open(&token).unwrap_err(), InvalidToken::NotOurs, "{facts:?}");
    }
}

#[test]
fn every_algorithm_comes_back_as_it_went_in_and_no_two_tokens_are_the_same() {
    let world = World::new();
    for wrapping_algorithm in WrappingAlgorithm::ALL {
        let token = ImportToken { wrapping_algorithm, ..world.token() };
        let [one, other] = [(); 2].map(|()| token.seal(&world.key(), &world.binding()).unwrap());
        assert_ne!(one, other);
        assert_eq!(world.open(&one).unwrap().wrapping_algorithm, wrapping_algorithm);
    }
}

#[test]
fn the_largest_private_key_fits() {
    let world = World::new();
    let pair = wrapping_key_spec("RSA_4096").unwrap().generate().unwrap();
    let token = ImportToken { private_key: pair.private, ..world.token() };
    let sealed = token.seal(&world.key(), &world.binding()).unwrap();
    assert!(sealed.len() <= MAX_TOKEN, "{} bytes", sealed.len());
    assert_eq!(sealed.len(), sealed.capacity(), "a larger buffer would have left a copy of the private key behind");
    assert_eq!(world.open(&sealed).unwrap().private_key.expose(), token.private_key.expose());
}

#[test]
fn a_token_does_not_print_its_private_key() {
    let printed = format!("{:?}", World::new().token());
    assert!(printed.contains("private_key: [secret]"), "{printed}");
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_no_token(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert_eq!(World::new().open(&bytes).unwrap_err(), InvalidToken::NotOurs);
    }
}
