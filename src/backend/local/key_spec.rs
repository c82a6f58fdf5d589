//! What keys there are: each specification with the usages it can have and the algorithms that come with each
//! (developer guide, "Key spec reference").

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyUsage {
    /// Encrypts and decrypts; the only usage of symmetric keys.
    EncryptDecrypt,
    /// Signs and verifies.
    SignVerify,
    /// Makes and verifies MACs.
    GenerateVerifyMac,
    /// Agrees on a shared secret.
    KeyAgreement,
}

impl KeyUsage {
    const ALL: [Self; 4] = [Self::EncryptDecrypt, Self::SignVerify, Self::GenerateVerifyMac, Self::KeyAgreement];

    /// As `KeyMetadata` has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EncryptDecrypt => "ENCRYPT_DECRYPT",
            Self::SignVerify => "SIGN_VERIFY",
            Self::GenerateVerifyMac => "GENERATE_VERIFY_MAC",
            Self::KeyAgreement => "KEY_AGREEMENT",
        }
    }

    /// The usage of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|usage| usage.name() == name)
    }

    /// The member of `KeyMetadata` that lists the algorithms of a key of this usage.
    #[must_use]
    pub const fn algorithms_member(self) -> &'static str {
        match self {
            Self::EncryptDecrypt => "EncryptionAlgorithms",
            Self::SignVerify => "SigningAlgorithms",
            Self::GenerateVerifyMac => "MacAlgorithms",
            Self::KeyAgreement => "KeyAgreementAlgorithms",
        }
    }
}

type Usages = &'static [(KeyUsage, &'static [&'static str])];

macro_rules! key_specs {
    ($($name:ident $wire:literal $usages:expr;)+) => {
        /// A key's specification.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum KeySpec {
            $(#[doc = concat!("`", $wire, "`")] $name,)+
        }

        impl KeySpec {
            /// Every specification.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// As `KeyMetadata` has it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $wire,)+
                }
            }

            const fn usages(self) -> Usages {
                match self {
                    $(Self::$name => &$usages,)+
                }
            }
        }
    };
}

const RSA_ENCRYPTION: &[&str] = &["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"];
const RSA_SIGNING: &[&str] = &[
    "RSASSA_PKCS1_V1_5_SHA_256",
    "RSASSA_PKCS1_V1_5_SHA_384",
    "RSASSA_PKCS1_V1_5_SHA_512",
    "RSASSA_PSS_SHA_256",
    "RSASSA_PSS_SHA_384",
    "RSASSA_PSS_SHA_512",
];

// Each specification: its name, and its usages with their algorithms. Not here: SM2, which KMS has in China alone, and
// ML_KEM, whose keys encapsulate.
key_specs! {
    SymmetricDefault "SYMMETRIC_DEFAULT" [(KeyUsage::EncryptDecrypt, &["SYMMETRIC_DEFAULT"])];
    Rsa2048 "RSA_2048" [(KeyUsage::EncryptDecrypt, RSA_ENCRYPTION), (KeyUsage::SignVerify, RSA_SIGNING)];
    Rsa3072 "RSA_3072" [(KeyUsage::EncryptDecrypt, RSA_ENCRYPTION), (KeyUsage::SignVerify, RSA_SIGNING)];
    Rsa4096 "RSA_4096" [(KeyUsage::EncryptDecrypt, RSA_ENCRYPTION), (KeyUsage::SignVerify, RSA_SIGNING)];
    EccNistP256 "ECC_NIST_P256" [(KeyUsage::SignVerify, &["ECDSA_SHA_256"]), (KeyUsage::KeyAgreement, &["ECDH"])];
    EccNistP384 "ECC_NIST_P384" [(KeyUsage::SignVerify, &["ECDSA_SHA_384"]), (KeyUsage::KeyAgreement, &["ECDH"])];
    EccNistP521 "ECC_NIST_P521" [(KeyUsage::SignVerify, &["ECDSA_SHA_512"]), (KeyUsage::KeyAgreement, &["ECDH"])];
    EccSecgP256k1 "ECC_SECG_P256K1" [(KeyUsage::SignVerify, &["ECDSA_SHA_256"])];
    EccNistEdwards25519 "ECC_NIST_EDWARDS25519"
        [(KeyUsage::SignVerify, &["ED25519_SHA_512", "ED25519_PH_SHA_512"])];
    Hmac224 "HMAC_224" [(KeyUsage::GenerateVerifyMac, &["HMAC_SHA_224"])];
    Hmac256 "HMAC_256" [(KeyUsage::GenerateVerifyMac, &["HMAC_SHA_256"])];
    Hmac384 "HMAC_384" [(KeyUsage::GenerateVerifyMac, &["HMAC_SHA_384"])];
    Hmac512 "HMAC_512" [(KeyUsage::GenerateVerifyMac, &["HMAC_SHA_512"])];
    MlDsa44 "ML_DSA_44" [(KeyUsage::SignVerify, &["ML_DSA_SHAKE_256"])];
    MlDsa65 "ML_DSA_65" [(KeyUsage::SignVerify, &["ML_DSA_SHAKE_256"])];
    MlDsa87 "ML_DSA_87" [(KeyUsage::SignVerify, &["ML_DSA_SHAKE_256"])];
}

impl KeySpec {
    /// The specification of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|spec| spec.name() == name)
    }

    /// Whether keys of this specification are those that data keys are made with.
    #[must_use]
    pub const fn symmetric(self) -> bool {
        matches!(self, Self::SymmetricDefault)
    }

    /// What a key of this specification and usage can do; `None` if no key has both.
    #[must_use]
    pub fn algorithms(self, usage: KeyUsage) -> Option<&'static [&'static str]> {
        self.usages().iter().find(|(own, _)| *own == usage).map(|(_, algorithms)| *algorithms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found_again() {
        for spec in KeySpec::ALL {
            assert_eq!(KeySpec::from_name(spec.name()), Some(*spec));
        }
        for usage in KeyUsage::ALL {
            assert_eq!(KeyUsage::from_name(usage.name()), Some(usage));
        }
        assert_eq!((KeySpec::from_name("SM2"), KeyUsage::from_name("")), (None, None));
    }

    #[test]
    fn the_specs_are_those_of_kms_but_two() {
        let known = aws_sdk_kms::types::KeySpec::values();
        let missing: Vec<_> = known.iter().filter(|name| KeySpec::from_name(name).is_none()).collect();
        assert_eq!(missing, [&"ML_KEM_1024", &"ML_KEM_512", &"ML_KEM_768", &"SM2"]);
        assert!(KeySpec::ALL.iter().all(|spec| known.contains(&spec.name())));
    }
}
