//! KMS's own quotas of requests: the pool that a call draws from at AWS, for one account in one region.
//!
//! The figures are the defaults of the developer guide's page "Request quotas", of 2026. They are raised
//! and lowered for an account on request, and older accounts may have what older pages said (half or less of most of the
//! shared pools). A call that uses a custom key store draws from that store's pool too, which is not here.

use super::{Operation, Region};

/// Where the shared pool of symmetric operations is largest, and where it is larger than elsewhere.
const SYMMETRIC: [(u32, &[&str]); 2] = [
    (100_000, &["us-east-1", "us-west-2", "eu-west-1"]),
    (20_000, &["us-east-2", "ap-southeast-1", "ap-southeast-2", "ap-northeast-1", "eu-central-1", "eu-west-2"]),
];
/// Everywhere else.
const SYMMETRIC_ELSEWHERE: u32 = 10_000;
/// Of `GenerateDataKeyPair` for `RSA_2048` in China.
const RSA_2048_PAIRS_IN_CHINA: u32 = 1;

macro_rules! quotas {
    (
        pools { $($pool:ident $pool_name:literal $pool_rate:literal),+ $(,)? }
        operations { $($operation:ident $name:literal $rate:literal),+ $(,)? }
    ) => {
        /// A quota of requests for each second that KMS keeps.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum UpstreamQuota {
            /// The shared pool of operations with symmetric keys, and of random bytes.
            Symmetric,
            $(#[doc = concat!("The pool `", $pool_name, "`")] $pool,)+
            $(#[doc = concat!("Of `", stringify!($operation), "` alone")] $operation,)+
        }

        impl UpstreamQuota {
            /// Every quota.
            pub const ALL: &'static [Self] = &[Self::Symmetric, $(Self::$pool,)+ $(Self::$operation,)+];

            /// The name in configuration and metrics.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    Self::Symmetric => "symmetric",
                    $(Self::$pool => $pool_name,)+
                    $(Self::$operation => $name,)+
                }
            }

            /// How many requests a second AWS allows an account in `region`, unless it has agreed on another figure.
            #[must_use]
            pub fn default_per_second(self, region: &Region) -> u32 {
                match self {
                    Self::Symmetric => symmetric(region),
                    Self::PairRsa2048 if region.partition().as_str() == "aws-cn" => RSA_2048_PAIRS_IN_CHINA,
                    $(Self::$pool => $pool_rate,)+
                    $(Self::$operation => $rate,)+
                }
            }
        }

        impl Operation {
            /// The quota of KMS that a call draws from. `spec` is what is known of the key: its `KeySpec`, or the
            /// algorithm that is asked for; of a data key pair the `KeyPairSpec`.
            ///
            /// `ReEncrypt` between keys of two kinds may draw from both pools (not verified): ask once for each
            /// algorithm. `ReplicateKey` draws from `CreateKey` in the replica's region too, twice, and
            /// `UpdatePrimaryRegion` from its own in both regions.
            #[must_use]
            pub fn quota(self, spec: Option<&str>) -> UpstreamQuota {
                match self {
                    Self::GenerateDataKeyWithoutPlaintext
                    | Self::GenerateDataKey
                    | Self::GenerateRandom
                    | Self::GenerateMac
                    | Self::VerifyMac => UpstreamQuota::Symmetric,
                    Self::Encrypt | Self::Decrypt | Self::ReEncrypt => of_key(spec).unwrap_or(UpstreamQuota::Symmetric),
                    // The figures of the three pools are the same.
                    Self::Sign | Self::Verify => of_key(spec).unwrap_or(UpstreamQuota::Rsa),
                    Self::DeriveSharedSecret => UpstreamQuota::Ecc,
                    Self::Encapsulate | Self::Decapsulate => UpstreamQuota::MlKem,
                    Self::GenerateDataKeyPair | Self::GenerateDataKeyPairWithoutPlaintext => of_pair(spec),
                    $(Self::$operation => UpstreamQuota::$operation,)+
                }
            }
        }
    };
}

// Not verified, for the page does not name them: `MlKem` (the figure of ML-DSA) and `PairOther` (that of the curves).
// Where a page has a figure below one, the present one is whole.
quotas! {
    pools {
        Rsa "rsa" 1_000,
        // SM2 too.
        Ecc "ecc" 1_000,
        MlDsa "ml_dsa" 1_000,
        MlKem "ml_kem" 1_000,
        PairP256 "data_key_pair_ecc_nist_p256" 100,
        PairP384 "data_key_pair_ecc_nist_p384" 100,
        PairP521 "data_key_pair_ecc_nist_p521" 100,
        PairP256K1 "data_key_pair_ecc_secg_p256k1" 100,
        PairEdwards25519 "data_key_pair_ecc_nist_edwards25519" 100,
        PairRsa2048 "data_key_pair_rsa_2048" 20,
        PairRsa3072 "data_key_pair_rsa_3072" 4,
        PairRsa4096 "data_key_pair_rsa_4096" 1,
        PairSm2 "data_key_pair_sm2" 25,
        // ML-KEM's, and what is newer than this.
        PairOther "data_key_pair_other" 100,
    }
    operations {
        CancelKeyDeletion "cancel_key_deletion" 5,
        CreateAlias "create_alias" 5,
        CreateGrant "create_grant" 50,
        CreateKey "create_key" 5,
        DeleteAlias "delete_alias" 15,
        DeleteImportedKeyMaterial "delete_imported_key_material" 15,
        DescribeKey "describe_key" 2_000,
        DisableKey "disable_key" 5,
        DisableKeyRotation "disable_key_rotation" 5,
        EnableKey "enable_key" 5,
        EnableKeyRotation "enable_key_rotation" 15,
        GetKeyLastUsage "get_key_last_usage" 5,
        GetKeyPolicy "get_key_policy" 1_000,
        GetKeyRotationStatus "get_key_rotation_status" 1_000,
        GetParametersForImport "get_parameters_for_import" 1,
        GetPublicKey "get_public_key" 2_000,
        ImportKeyMaterial "import_key_material" 15,
        ListAliases "list_aliases" 500,
        ListGrants "list_grants" 100,
        ListKeyPolicies "list_key_policies" 100,
        ListKeys "list_keys" 500,
        ListKeyRotations "list_key_rotations" 100,
        ListResourceTags "list_resource_tags" 2_000,
        ListRetirableGrants "list_retirable_grants" 100,
        PutKeyPolicy "put_key_policy" 15,
        ReplicateKey "replicate_key" 5,
        RetireGrant "retire_grant" 50,
        RevokeGrant "revoke_grant" 50,
        RotateKeyOnDemand "rotate_key_on_demand" 5,
        ScheduleKeyDeletion "schedule_key_deletion" 15,
        TagResource "tag_resource" 10,
        UntagResource "untag_resource" 5,
        UpdateAlias "update_alias" 5,
        UpdateKeyDescription "update_key_description" 5,
        UpdatePrimaryRegion "update_primary_region" 5,
        ConnectCustomKeyStore "connect_custom_key_store" 5,
        CreateCustomKeyStore "create_custom_key_store" 5,
        DeleteCustomKeyStore "delete_custom_key_store" 5,
        DescribeCustomKeyStores "describe_custom_key_stores" 5,
        DisconnectCustomKeyStore "disconnect_custom_key_store" 5,
        UpdateCustomKeyStore "update_custom_key_store" 5,
    }
}

fn symmetric(region: &Region) -> u32 {
    let group = SYMMETRIC.iter().find(|(_, regions)| regions.contains(&region.as_str()));
    group.map_or(SYMMETRIC_ELSEWHERE, |(rate, _)| *rate)
}

/// The pool of an asymmetric key. `KeySpec`s and the algorithms of their keys begin alike.
fn of_key(spec: Option<&str>) -> Option<UpstreamQuota> {
    let begins = |with: &[&str]| spec.is_some_and(|spec| with.iter().any(|prefix| spec.starts_with(prefix)));
    if begins(&["RSA"]) {
        Some(UpstreamQuota::Rsa)
    } else if begins(&["ECC_", "ECDSA_", "ED25519_", "SM2"]) {
        Some(UpstreamQuota::Ecc)
    } else if begins(&["ML_DSA_"]) {
        Some(UpstreamQuota::MlDsa)
    } else {
        None
    }
}

fn of_pair(spec: Option<&str>) -> UpstreamQuota {
    match spec {
        Some("ECC_NIST_P256") => UpstreamQuota::PairP256,
        Some("ECC_NIST_P384") => UpstreamQuota::PairP384,
        Some("ECC_NIST_P521") => UpstreamQuota::PairP521,
        Some("ECC_SECG_P256K1") => UpstreamQuota::PairP256K1,
        Some("ECC_NIST_EDWARDS25519") => UpstreamQuota::PairEdwards25519,
        Some("RSA_2048") => UpstreamQuota::PairRsa2048,
        Some("RSA_3072") => UpstreamQuota::PairRsa3072,
        Some("RSA_4096") => UpstreamQuota::PairRsa4096,
        Some("SM2") => UpstreamQuota::PairSm2,
        _ => UpstreamQuota::PairOther,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use aws_sdk_kms::types::{DataKeyPairSpec, KeySpec, SigningAlgorithmSpec};

    use super::*;

    fn per_second(quota: UpstreamQuota, region: &str) -> u32 {
        quota.default_per_second(&region.parse().unwrap())
    }

    #[test]
    fn names_are_unique_and_every_figure_lets_something_through() {
        let names: HashSet<_> = UpstreamQuota::ALL.iter().map(|quota| quota.name()).collect();
        assert_eq!(names.len(), UpstreamQuota::ALL.len());
        for quota in UpstreamQuota::ALL {
            let name = quota.name();
            assert!(name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_')), "{name}");
            for region in ["us-east-1", "eu-north-1", "cn-north-1"] {
                assert!(per_second(*quota, region) > 0, "{name}");
            }
        }
    }

    #[test]
    fn a_quota_of_one_operation_is_drawn_from_by_that_operation_alone() {
        let bare = |text: &str| text.replace('_', "").to_lowercase();
        let mut drawn = HashSet::new();
        for operation in Operation::ALL {
            let own = UpstreamQuota::ALL.iter().find(|quota| bare(quota.name()) == bare(operation.name()));
            if let Some(own) = own {
                assert_eq!(operation.quota(Some("RSA_2048")), *own, "{operation:?}");
                drawn.insert(own);
            }
        }
        // All others use a key or make random bytes.
        assert_eq!((drawn.len(), Operation::ALL.len() - drawn.len()), (41, 15));
    }

    #[test]
    fn the_shared_pool_is_as_large_as_its_region_has_it() {
        for (region, rate) in [
            ("us-east-1", 100_000),
            ("eu-west-1", 100_000),
            ("eu-central-1", 20_000),
            ("ap-northeast-1", 20_000),
            ("eu-north-1", 10_000),
            ("us-gov-west-1", 10_000),
        ] {
            assert_eq!(per_second(UpstreamQuota::Symmetric, region), rate, "{region}");
        }
        assert_eq!(per_second(UpstreamQuota::PairRsa2048, "us-east-1"), 20);
        assert_eq!(per_second(UpstreamQuota::PairRsa2048, "cn-north-1"), 1);
    }

    #[test]
    fn a_key_of_each_spec_draws_from_its_pool() {
        for spec in KeySpec::values() {
            let pool = match *spec {
                "SM2" => UpstreamQuota::Ecc,
                spec if spec.starts_with("RSA") => UpstreamQuota::Rsa,
                spec if spec.starts_with("ECC") => UpstreamQuota::Ecc,
                spec if spec.starts_with("ML_DSA") => UpstreamQuota::MlDsa,
                _ => UpstreamQuota::Symmetric,
            };
            assert_eq!(Operation::Decrypt.quota(Some(spec)), pool, "{spec}");
        }
        for algorithm in [None, Some("SYMMETRIC_DEFAULT"), Some("NEWER")] {
            assert_eq!(Operation::Encrypt.quota(algorithm), UpstreamQuota::Symmetric, "{algorithm:?}");
        }
        assert_eq!(Operation::Encrypt.quota(Some("RSAES_OAEP_SHA_256")), UpstreamQuota::Rsa);
        assert_eq!(Operation::ReEncrypt.quota(Some("SM2PKE")), UpstreamQuota::Ecc);
    }

    #[test]
    fn an_algorithm_tells_the_pool_of_a_signature() {
        for algorithm in SigningAlgorithmSpec::values() {
            let pool = match algorithm.split('_').next().unwrap() {
                "RSASSA" => UpstreamQuota::Rsa,
                "ML" => UpstreamQuota::MlDsa,
                _ => UpstreamQuota::Ecc,
            };
            assert_eq!(Operation::Sign.quota(Some(algorithm)), pool, "{algorithm}");
        }
    }

    #[test]
    fn every_spec_of_a_data_key_pair_has_its_own_quota_but_the_newest() {
        let pools: Vec<_> =
            DataKeyPairSpec::values().iter().map(|spec| Operation::GenerateDataKeyPair.quota(Some(spec))).collect();
        let other = pools.iter().filter(|pool| **pool == UpstreamQuota::PairOther).count();
        assert_eq!((other, pools.iter().collect::<HashSet<_>>().len()), (3, 10), "ML-KEM's three share one");
        for (spec, pool) in DataKeyPairSpec::values().iter().zip(&pools) {
            let named = pool.name().to_uppercase();
            assert!(*pool == UpstreamQuota::PairOther || named == format!("DATA_KEY_PAIR_{spec}"), "{spec}");
        }
    }
}
