//! Makes the key pairs that clients are given.
//!
//! The private key is PKCS#8 in DER, of version 1: RFC 5958 allows the public key in it, which some readers refuse. The
//! public key is `SubjectPublicKeyInfo` in DER (RFC 5280), a curve by its name and its point uncompressed.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rsa::{self, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256K1_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING,
    ECDSA_P521_SHA512_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _,
};
use aws_sdk_kms::types::DataKeyPairSpec as Name;

use crate::secret::Secret;

/// A private key and the public key that belongs to it.
#[derive(Debug)]
pub(super) struct KeyPair {
    /// PKCS#8 in DER; of RSA with 4,096 bits just under 2,400 bytes.
    pub(super) private: Secret<Vec<u8>>,
    /// `SubjectPublicKeyInfo` in DER.
    pub(super) public: Vec<u8>,
}

/// What kind of key pair is made.
#[derive(Clone, Copy, Debug)]
pub(super) enum KeyPairSpec {
    /// RSA with the public exponent 65,537.
    Rsa(KeySize),
    /// A point of a curve. The digest in the algorithm is that of signatures and says nothing of the key.
    Ecc(&'static EcdsaSigningAlgorithm),
    /// Edwards25519.
    Ed25519,
}

impl KeyPairSpec {
    /// The specification of that name; `None` for SM2, which aws-lc has not, for ML-KEM, which is not served yet, and
    /// for names that KMS has not.
    #[must_use]
    pub(super) fn of(name: &str) -> Option<Self> {
        let spec = match Name::from(name) {
            Name::Rsa2048 => Self::Rsa(KeySize::Rsa2048),
            Name::Rsa3072 => Self::Rsa(KeySize::Rsa3072),
            Name::Rsa4096 => Self::Rsa(KeySize::Rsa4096),
            Name::EccNistP256 => Self::Ecc(&ECDSA_P256_SHA256_ASN1_SIGNING),
            Name::EccNistP384 => Self::Ecc(&ECDSA_P384_SHA384_ASN1_SIGNING),
            Name::EccNistP521 => Self::Ecc(&ECDSA_P521_SHA512_ASN1_SIGNING),
            Name::EccSecgP256K1 => Self::Ecc(&ECDSA_P256K1_SHA256_ASN1_SIGNING),
            Name::EccNistEdwards25519 => Self::Ed25519,
            _ => return None,
        };
        Some(spec)
    }

    /// Whether making one takes longer than a millisecond: two large primes take up to seconds.
    #[must_use]
    pub(super) const fn is_slow(self) -> bool {
        matches!(self, Self::Rsa(_))
    }

    /// Makes a pair.
    ///
    /// # Errors
    ///
    /// [`NotMade`], which is never seen but without memory or random bytes.
    pub(super) fn generate(self) -> Result<KeyPair, NotMade> {
        match self {
            Self::Rsa(size) => {
                let pair = rsa::KeyPair::generate(size)?;
                let private: Pkcs8V1Der<'_> = pair.as_der()?;
                KeyPair::new(private.as_ref(), pair.public_key())
            }
            Self::Ecc(algorithm) => {
                let pair = EcdsaKeyPair::generate(algorithm)?;
                KeyPair::new(pair.to_pkcs8v1()?.as_ref(), pair.public_key())
            }
            Self::Ed25519 => {
                let pair = Ed25519KeyPair::generate()?;
                KeyPair::new(pair.to_pkcs8v1()?.as_ref(), pair.public_key())
            }
        }
    }
}

impl KeyPair {
    /// The private key is copied: the buffers of aws-lc wipe themselves.
    fn new(private: &[u8], public: &impl AsDer<PublicKeyX509Der<'static>>) -> Result<Self, NotMade> {
        Ok(Self { private: Secret::new(private.to_vec()), public: public.as_der()?.as_ref().to_vec() })
    }
}

/// No key pair was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("aws-lc made no key pair")]
pub(super) struct NotMade;

impl From<Unspecified> for NotMade {
    fn from(_: Unspecified) -> Self {
        Self
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::digest::{self, SHA256};
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_ASN1, ECDSA_P256K1_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P521_SHA512_ASN1, ED25519,
        ParsedPublicKey, RSA_PSS_2048_8192_SHA256, RSA_PSS_SHA256, VerificationAlgorithm,
    };

    use super::*;

    /// Every name that is served, with what verifies its signatures and a mark that its public key alone has: the
    /// object identifier of its curve or algorithm in DER (RFC 5480, RFC 8410, SEC 2), or the modulus' length.
    fn specs() -> [(&'static str, &'static dyn VerificationAlgorithm, &'static [u8]); 8] {
        [
            ("RSA_2048", &RSA_PSS_2048_8192_SHA256, &[0x02, 0x82, 0x01, 0x01, 0x00]),
            ("RSA_3072", &RSA_PSS_2048_8192_SHA256, &[0x02, 0x82, 0x01, 0x81, 0x00]),
            ("RSA_4096", &RSA_PSS_2048_8192_SHA256, &[0x02, 0x82, 0x02, 0x01, 0x00]),
            ("ECC_NIST_P256", &ECDSA_P256_SHA256_ASN1, &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7]),
            ("ECC_NIST_P384", &ECDSA_P384_SHA384_ASN1, &[6, 5, 0x2b, 0x81, 4, 0, 0x22]),
            ("ECC_NIST_P521", &ECDSA_P521_SHA512_ASN1, &[6, 5, 0x2b, 0x81, 4, 0, 0x23]),
            ("ECC_SECG_P256K1", &ECDSA_P256K1_SHA256_ASN1, &[6, 5, 0x2b, 0x81, 4, 0, 0x0a]),
            ("ECC_NIST_EDWARDS25519", &ED25519, &[6, 3, 0x2b, 0x65, 0x70]),
        ]
    }

    fn made(name: &str) -> (KeyPairSpec, KeyPair) {
        let spec = KeyPairSpec::of(name).unwrap();
        (spec, spec.generate().unwrap())
    }

    fn signature(spec: KeyPairSpec, private: &[u8], message: &[u8]) -> Vec<u8> {
        match spec {
            KeyPairSpec::Rsa(_) => {
                let pair = rsa::KeyPair::from_pkcs8(private).unwrap();
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PSS_SHA256, &SystemRandom::new(), message, &mut signature).unwrap();
                signature
            }
            KeyPairSpec::Ecc(algorithm) => {
                let pair = EcdsaKeyPair::from_pkcs8(algorithm, private).unwrap();
                pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
            }
            KeyPairSpec::Ed25519 => {
                Ed25519KeyPair::from_pkcs8_maybe_unchecked(private).unwrap().sign(message).as_ref().to_vec()
            }
        }
    }

    #[test]
    fn the_public_key_verifies_what_the_private_key_signs() {
        for (name, algorithm, mark) in specs() {
            let (spec, pair) = made(name);
            let message = digest::digest(&SHA256, name.as_bytes());
            let signature = signature(spec, pair.private.expose(), message.as_ref());
            let public = ParsedPublicKey::new(algorithm, &pair.public).unwrap();
            public.verify_sig(message.as_ref(), &signature).unwrap();
            assert!(public.verify_sig(b"another message", &signature).is_err(), "{name}");
            assert!(
                pair.public.windows(mark.len()).any(|bytes| bytes == mark),
                "{name}: {}",
                hex::encode(&pair.public)
            );
        }
    }

    #[test]
    fn private_keys_are_pkcs8_and_fit_a_plaintext() {
        for (name, ..) in specs() {
            let (_, pair) = made(name);
            let private = pair.private.expose();
            // A sequence of a length in one or two bytes, whose first element is the version: the integer 0.
            let version = private.windows(3).position(|bytes| bytes == [2, 1, 0]);
            assert!(private[0] == 0x30 && matches!(version, Some(2..=4)), "{name}");
            // KMS's bound of what Encrypt takes.
            assert!(private.len() <= 4096, "{name}: {} bytes", private.len());
        }
    }

    #[test]
    fn no_two_pairs_are_the_same() {
        for name in ["RSA_2048", "ECC_NIST_P256", "ECC_NIST_EDWARDS25519"] {
            let ((_, one), (_, other)) = (made(name), made(name));
            assert_ne!(one.public, other.public, "{name}");
            assert_ne!(one.private.expose(), other.private.expose(), "{name}");
        }
    }

    #[test]
    fn every_name_of_rsa_and_of_a_curve_has_its_specification_and_no_other_has() {
        for name in Name::values() {
            let served = specs().iter().any(|(served, ..)| served == name);
            assert_eq!(KeyPairSpec::of(name).is_some(), served, "{name}");
            assert_eq!(served, name.starts_with("RSA_") || name.starts_with("ECC_"), "{name}");
        }
        for name in ["", "rsa_2048", "RSA_1024", "ECC_NIST_P224", "SYMMETRIC_DEFAULT"] {
            assert!(KeyPairSpec::of(name).is_none(), "{name}");
        }
    }

    #[test]
    fn a_pair_does_not_print_its_private_key() {
        let (_, pair) = made("ECC_NIST_P256");
        assert!(format!("{pair:?}").starts_with("KeyPair { private: [secret], public: "), "{pair:?}");
    }
}
