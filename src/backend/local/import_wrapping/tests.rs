//! Material that another library wrapped (`tests/vectors/import_wrapping.py`), and all that must not unwrap.

use aws_lc_rs::rsa::{OaepPublicEncryptingKey, PublicEncryptingKey};
use aws_sdk_kms::types::AlgorithmSpec;
use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Vectors {
    material: String,
    keys: Vec<Key>,
}

#[derive(Deserialize)]
struct Key {
    wrapping_key_spec: String,
    #[serde(rename = "private_key")]
    private: String,
    wrapped: Vec<Wrapped>,
    refused: Vec<Wrapped>,
}

#[derive(Deserialize)]
struct Wrapped {
    #[serde(default)]
    why: String,
    algorithm: String,
    bytes: String,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../../../../tests/vectors/import_wrapping.json")).unwrap()
}

impl Key {
    fn unwrap(&self, wrapped: &Wrapped) -> Result<Vec<u8>, NotUnwrapped> {
        self.unwrap_bytes(&wrapped.algorithm, &hex::decode(&wrapped.bytes).unwrap())
    }

    fn unwrap_bytes(&self, algorithm: &str, bytes: &[u8]) -> Result<Vec<u8>, NotUnwrapped> {
        let algorithm = WrappingAlgorithm::of(algorithm).unwrap();
        unwrap(algorithm, &hex::decode(&self.private).unwrap(), bytes).map(|material| material.expose().to_vec())
    }
}

#[test]
fn what_another_library_wraps_is_unwrapped_with_every_key_and_algorithm() {
    let Vectors { material, keys } = vectors();
    let specs: Vec<_> = keys.iter().map(|key| key.wrapping_key_spec.as_str()).collect();
    assert_eq!(specs, ["RSA_2048", "RSA_3072", "RSA_4096"]);
    for key in keys {
        assert_eq!(key.wrapped.len(), WrappingAlgorithm::ALL.len());
        for wrapped in &key.wrapped {
            let unwrapped = key.unwrap(wrapped).map(hex::encode);
            assert_eq!(unwrapped.as_ref(), Ok(&material), "{} {}", key.wrapping_key_spec, wrapped.algorithm);
        }
    }
}

#[test]
fn whatever_is_wrong_is_refused_in_one_way() {
    let keys = vectors().keys;
    let refused: Vec<_> = keys.iter().flat_map(|key| key.refused.iter().map(move |wrapped| (key, wrapped))).collect();
    assert_eq!(refused.len(), 44);
    for (key, wrapped) in refused {
        assert_eq!(key.unwrap(wrapped), Err(NotUnwrapped), "{} with {}", wrapped.algorithm, wrapped.why);
    }
}

#[test]
fn material_wrapped_by_one_algorithm_does_not_unwrap_by_another() {
    let key = &vectors().keys[0];
    for one in &key.wrapped {
        for other in key.wrapped.iter().filter(|other| other.algorithm != one.algorithm) {
            let bytes = hex::decode(&one.bytes).unwrap();
            let unwrapped = key.unwrap_bytes(&other.algorithm, &bytes);
            assert_eq!(unwrapped, Err(NotUnwrapped), "{} as {}", one.algorithm, other.algorithm);
        }
    }
}

#[test]
fn wrapped_material_that_is_changed_cut_short_or_made_longer_does_not_unwrap() {
    let key = &vectors().keys[0];
    for Wrapped { algorithm, bytes, .. } in &key.wrapped {
        let bytes = hex::decode(bytes).unwrap();
        // A bit of every byte.
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            assert_eq!(key.unwrap_bytes(algorithm, &changed), Err(NotUnwrapped), "{algorithm} byte {at}");
        }
        for length in [0, 1, 39, 40, 255, 256, 257, bytes.len() - 8, bytes.len() - 1] {
            if length < bytes.len() {
                assert_eq!(key.unwrap_bytes(algorithm, &bytes[..length]), Err(NotUnwrapped), "{algorithm} {length}");
            }
        }
        for more in [&[0][..], &[0; 8], &[0; 5000]] {
            assert_eq!(key.unwrap_bytes(algorithm, &[&bytes[..], more].concat()), Err(NotUnwrapped), "{algorithm}");
        }
    }
}

#[test]
fn what_is_no_private_key_unwraps_nothing() {
    let key = &vectors().keys[0];
    let bytes = hex::decode(&key.wrapped[0].bytes).unwrap();
    let algorithm = WrappingAlgorithm::of(&key.wrapped[0].algorithm).unwrap();
    let curve = KeyPairSpec::of("ECC_NIST_P256").unwrap().generate().unwrap();
    for private_key in [&[][..], &[0x30, 0x00], curve.private.expose()] {
        assert_eq!(unwrap(algorithm, private_key, &bytes).unwrap_err(), NotUnwrapped);
    }
}

#[test]
fn what_is_wrapped_under_the_public_key_of_a_pair_that_was_made_unwraps() {
    let pair = wrapping_key_spec("RSA_2048").unwrap().generate().unwrap();
    let public = OaepPublicEncryptingKey::new(PublicEncryptingKey::from_der(&pair.public).unwrap()).unwrap();
    let mut ciphertext = vec![0; public.ciphertext_size()];
    let wrapped = public.encrypt(&OAEP_SHA256_MGF1SHA256, &[7; 32], &mut ciphertext, None).unwrap();
    let unwrapped = unwrap(WrappingAlgorithm::OaepSha256, pair.private.expose(), wrapped).unwrap();
    assert_eq!(unwrapped.expose(), &[7; 32]);
}

#[test]
fn of_the_models_algorithms_the_deprecated_one_and_that_of_sm2_are_not_served() {
    let unserved: Vec<_> =
        AlgorithmSpec::values().iter().filter(|name| WrappingAlgorithm::of(name).is_none()).copied().collect();
    assert_eq!(unserved, ["RSAES_PKCS1_V1_5", "SM2PKE"]);
    for name in ["", "rsaes_oaep_sha_1", "RSAES_OAEP_SHA_512"] {
        assert_eq!(WrappingAlgorithm::of(name), None);
    }
}

#[test]
fn of_the_models_wrapping_keys_those_of_rsa_are_served() {
    for name in aws_sdk_kms::types::WrappingKeySpec::values() {
        assert_eq!(wrapping_key_spec(name).is_some(), name.starts_with("RSA_"), "{name}");
    }
    for name in ["", "RSA_1024", "ECC_NIST_P256"] {
        assert!(wrapping_key_spec(name).is_none());
    }
}
