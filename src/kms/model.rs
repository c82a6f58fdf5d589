//! The request model: for each operation its members, their types and their bounds, as the service's model has them.
//!
//! Every operation has its rows, whether or not a backend serves it: what is forwarded is judged and recorded by them.

mod custom_key_stores;
mod grants;

use aws_sdk_kms::types::{
    AlgorithmSpec, DataKeyPairSpec, DataKeySpec, DryRunModifierType, EncapsulationAlgorithmSpec,
    EncryptionAlgorithmSpec, ExpirationModelType, ImportType, IncludeKeyMaterial, KeyAgreementAlgorithmSpec,
    KeyEncryptionMechanism, KeySpec, KeyUsageType, MacAlgorithmSpec, MessageType, OriginType, SigningAlgorithmSpec,
    WrappingKeySpec,
};

use super::pattern::{self, Pattern};
use crate::aws::{Member, Operation};

/// The most bytes that all keys and values of one encryption context may have together. AWS documents no figure;
/// this one is often quoted and not verified.
pub const ENCRYPTION_CONTEXT_BYTES: usize = 8192;

/// The default of every encryption algorithm; CloudTrail records it when it was not sent.
const DEFAULT_ALGORITHM: &str = "SYMMETRIC_DEFAULT";

/// One member of a request or of a structure in it.
pub(super) struct Field {
    pub(super) member: Member,
    pub(super) need: Need,
    pub(super) shape: Shape,
    /// What CloudTrail records when the member was not sent.
    pub(super) default: Option<&'static str>,
}

/// Whether a member must be sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    Optional,
    Required,
    /// Required but in a dry run that ignores the ciphertext.
    WithCiphertext,
    /// Required only in a dry run that ignores the ciphertext.
    WithoutCiphertext,
}

/// A member's type and bounds. Lengths are in characters, for blobs in bytes, for lists in elements.
pub(super) enum Shape {
    Text {
        min: usize,
        max: usize,
        pattern: Option<&'static Pattern>,
    },
    Choice(&'static [&'static str]),
    /// A text that is wiped, never quoted and never recorded.
    Secret {
        min: usize,
        max: usize,
        pattern: Option<&'static Pattern>,
    },
    Integer {
        min: i64,
        max: i64,
    },
    Boolean,
    /// Seconds since the epoch, perhaps with a fraction.
    Timestamp,
    Blob {
        min: usize,
        max: usize,
    },
    Context,
    Texts {
        least: usize,
        most: usize,
        element: &'static Shape,
    },
    Structure(&'static [Field]),
    /// A list of structures.
    Structures(&'static Shape),
}

impl Field {
    const fn optional(member: Member, shape: Shape) -> Self {
        Self { member, need: Need::Optional, shape, default: None }
    }

    const fn required(member: Member, shape: Shape) -> Self {
        Self { member, need: Need::Required, shape, default: None }
    }

    const fn needed(mut self, need: Need) -> Self {
        self.need = need;
        self
    }

    const fn algorithm(member: Member) -> Self {
        let shape = Shape::Choice(EncryptionAlgorithmSpec::values());
        Self { member, need: Need::Optional, shape, default: Some(DEFAULT_ALGORITHM) }
    }
}

const fn text(min: usize, max: usize) -> Shape {
    Shape::Text { min, max, pattern: None }
}

const fn patterned(min: usize, max: usize, pattern: &'static Pattern) -> Shape {
    Shape::Text { min, max, pattern: Some(pattern) }
}

#[expect(deprecated, reason = "clients may still send the member that `KeySpec` replaced")]
const CUSTOMER_MASTER_KEY_SPECS: &[&str] = aws_sdk_kms::types::CustomerMasterKeySpec::values();

/// The pattern is not in the published model; it is known from answers of KMS, at second hand.
const KEY: Shape = patterned(1, 2048, &pattern::ASCII);
/// Of a ciphertext, a signature, a MAC and an import token.
const CIPHERTEXT: Shape = Shape::Blob { min: 1, max: 6144 };
const REGION: Shape = patterned(1, 32, &pattern::REGION);
const DATA_KEY_BYTES: Shape = Shape::Integer { min: 1, max: 1024 };

const TAG_KEY: Shape = text(1, 128);

const KEY_ID: Field = Field::required(Member::KeyId, KEY);
const CONTEXT: Field = Field::optional(Member::EncryptionContext, Shape::Context);
const GRANT_TOKENS: Field =
    Field::optional(Member::GrantTokens, Shape::Texts { least: 0, most: 10, element: &text(1, 8192) });
const DRY_RUN: Field = Field::optional(Member::DryRun, Shape::Boolean);
const DRY_RUN_MODIFIERS: Field = Field::optional(
    Member::DryRunModifiers,
    Shape::Texts { least: 0, most: usize::MAX, element: &Shape::Choice(DryRunModifierType::values()) },
);
const CIPHERTEXT_BLOB: Field = Field::optional(Member::CiphertextBlob, CIPHERTEXT).needed(Need::WithCiphertext);
const DATA_KEY_SPEC: Field = Field::optional(Member::KeySpec, Shape::Choice(DataKeySpec::values()));
const NUMBER_OF_BYTES: Field = Field::optional(Member::NumberOfBytes, DATA_KEY_BYTES);
const LIMIT: Field = Field::optional(Member::Limit, Shape::Integer { min: 1, max: 1000 });
const MARKER: Field = Field::optional(Member::Marker, patterned(1, 1024, &pattern::MARKER));
const ALIAS_NAME: Field = Field::required(Member::AliasName, patterned(1, 256, &pattern::ALIAS));
const POLICY: Field = Field::optional(Member::Policy, patterned(1, 131_072, &pattern::POLICY));
const POLICY_NAME: Field = Field::optional(Member::PolicyName, patterned(1, 128, &pattern::WORD));
const BYPASS_POLICY_LOCKOUT_SAFETY_CHECK: Field =
    Field::optional(Member::BypassPolicyLockoutSafetyCheck, Shape::Boolean);
const DESCRIPTION: Field = Field::optional(Member::Description, text(0, 8192));
const KEY_MATERIAL_ID: Field = Field::optional(Member::KeyMaterialId, patterned(64, 64, &pattern::SMALL_HEXADECIMAL));
const MESSAGE: Field = Field::required(Member::Message, Shape::Blob { min: 1, max: 4096 });
const MESSAGE_TYPE: Field = Field::optional(Member::MessageType, Shape::Choice(MessageType::values()));
const SIGNING_ALGORITHM: Field =
    Field::required(Member::SigningAlgorithm, Shape::Choice(SigningAlgorithmSpec::values()));
const MAC_ALGORITHM: Field = Field::required(Member::MacAlgorithm, Shape::Choice(MacAlgorithmSpec::values()));
const CUSTOM_KEY_STORE_ID: Field = Field::optional(Member::CustomKeyStoreId, text(1, 64));
const RECIPIENT: Field = Field::optional(
    Member::Recipient,
    Shape::Structure(&[
        Field::optional(Member::KeyEncryptionAlgorithm, Shape::Choice(KeyEncryptionMechanism::values())),
        Field::optional(Member::AttestationDocument, Shape::Blob { min: 1, max: 262_144 }),
    ]),
);
const TAGS: Field = Field::optional(
    Member::Tags,
    Shape::Structures(&Shape::Structure(&[
        Field::required(Member::TagKey, TAG_KEY),
        Field::required(Member::TagValue, text(0, 256)),
    ])),
);

static GENERATE_DATA_KEY_WITHOUT_PLAINTEXT: &[Field] =
    &[KEY_ID, CONTEXT, DATA_KEY_SPEC, NUMBER_OF_BYTES, GRANT_TOKENS, DRY_RUN];

static GENERATE_DATA_KEY: &[Field] =
    &[KEY_ID, CONTEXT, NUMBER_OF_BYTES, DATA_KEY_SPEC, GRANT_TOKENS, RECIPIENT, DRY_RUN];

static ENCRYPT: &[Field] = &[
    KEY_ID,
    Field::required(Member::Plaintext, Shape::Blob { min: 1, max: 4096 }),
    CONTEXT,
    GRANT_TOKENS,
    Field::algorithm(Member::EncryptionAlgorithm),
    DRY_RUN,
];

static DECRYPT: &[Field] = &[
    CIPHERTEXT_BLOB,
    CONTEXT,
    GRANT_TOKENS,
    Field::optional(Member::KeyId, KEY).needed(Need::WithoutCiphertext),
    Field::algorithm(Member::EncryptionAlgorithm),
    RECIPIENT,
    DRY_RUN,
    DRY_RUN_MODIFIERS,
];

static RE_ENCRYPT: &[Field] = &[
    CIPHERTEXT_BLOB,
    Field::optional(Member::SourceEncryptionContext, Shape::Context),
    Field::optional(Member::SourceKeyId, KEY).needed(Need::WithoutCiphertext),
    Field::required(Member::DestinationKeyId, KEY),
    Field::optional(Member::DestinationEncryptionContext, Shape::Context),
    Field::algorithm(Member::SourceEncryptionAlgorithm),
    Field::algorithm(Member::DestinationEncryptionAlgorithm),
    GRANT_TOKENS,
    DRY_RUN,
    DRY_RUN_MODIFIERS,
];

static GENERATE_RANDOM: &[Field] = &[NUMBER_OF_BYTES, CUSTOM_KEY_STORE_ID, RECIPIENT];

static CREATE_KEY: &[Field] = &[
    POLICY,
    DESCRIPTION,
    Field::optional(Member::KeyUsage, Shape::Choice(KeyUsageType::values())),
    Field::optional(Member::CustomerMasterKeySpec, Shape::Choice(CUSTOMER_MASTER_KEY_SPECS)),
    Field::optional(Member::KeySpec, Shape::Choice(KeySpec::values())),
    Field::optional(Member::Origin, Shape::Choice(OriginType::values())),
    CUSTOM_KEY_STORE_ID,
    BYPASS_POLICY_LOCKOUT_SAFETY_CHECK,
    TAGS,
    Field::optional(Member::MultiRegion, Shape::Boolean),
    Field::optional(Member::XksKeyId, patterned(1, 128, &pattern::XKS_KEY)),
];

static KEY_AND_GRANT_TOKENS: &[Field] = &[KEY_ID, GRANT_TOKENS];

/// `ResourceOwners` is newer than the SDK that this is built with, which has no type for its values.
static LIST_KEYS: &[Field] = &[
    LIMIT,
    MARKER,
    Field::optional(
        Member::ResourceOwners,
        Shape::Texts { least: 1, most: 2, element: &Shape::Choice(&["SELF", "OTHER_ACCOUNTS_VIA_RAM"]) },
    ),
];

static KEY_ALONE: &[Field] = &[KEY_ID];

static KEY_AND_PAGE: &[Field] = &[KEY_ID, LIMIT, MARKER];

static UPDATE_KEY_DESCRIPTION: &[Field] = &[KEY_ID, DESCRIPTION.needed(Need::Required)];

static GET_KEY_POLICY: &[Field] = &[KEY_ID, POLICY_NAME];

static PUT_KEY_POLICY: &[Field] =
    &[KEY_ID, POLICY_NAME, POLICY.needed(Need::Required), BYPASS_POLICY_LOCKOUT_SAFETY_CHECK];

static TAG_RESOURCE: &[Field] = &[KEY_ID, TAGS.needed(Need::Required)];

static UNTAG_RESOURCE: &[Field] =
    &[KEY_ID, Field::required(Member::TagKeys, Shape::Texts { least: 0, most: usize::MAX, element: &TAG_KEY })];

static ENABLE_KEY_ROTATION: &[Field] =
    &[KEY_ID, Field::optional(Member::RotationPeriodInDays, Shape::Integer { min: 90, max: 2560 })];

static LIST_KEY_ROTATIONS: &[Field] =
    &[KEY_ID, Field::optional(Member::IncludeKeyMaterial, Shape::Choice(IncludeKeyMaterial::values())), LIMIT, MARKER];

static REPLICATE_KEY: &[Field] = &[
    KEY_ID,
    Field::required(Member::ReplicaRegion, REGION),
    POLICY,
    BYPASS_POLICY_LOCKOUT_SAFETY_CHECK,
    DESCRIPTION,
    TAGS,
];

static UPDATE_PRIMARY_REGION: &[Field] = &[KEY_ID, Field::required(Member::PrimaryRegion, REGION)];

static GET_PARAMETERS_FOR_IMPORT: &[Field] = &[
    KEY_ID,
    Field::required(Member::WrappingAlgorithm, Shape::Choice(AlgorithmSpec::values())),
    Field::required(Member::WrappingKeySpec, Shape::Choice(WrappingKeySpec::values())),
];

static IMPORT_KEY_MATERIAL: &[Field] = &[
    KEY_ID,
    Field::required(Member::ImportToken, CIPHERTEXT),
    Field::required(Member::EncryptedKeyMaterial, CIPHERTEXT),
    Field::optional(Member::ValidTo, Shape::Timestamp),
    Field::optional(Member::ExpirationModel, Shape::Choice(ExpirationModelType::values())),
    Field::optional(Member::ImportType, Shape::Choice(ImportType::values())),
    Field::optional(Member::KeyMaterialDescription, patterned(0, 256, &pattern::DESCRIPTION)),
    KEY_MATERIAL_ID,
];

static DELETE_IMPORTED_KEY_MATERIAL: &[Field] = &[KEY_ID, KEY_MATERIAL_ID];

static SIGN: &[Field] = &[KEY_ID, MESSAGE, MESSAGE_TYPE, GRANT_TOKENS, SIGNING_ALGORITHM, DRY_RUN];

static VERIFY: &[Field] = &[
    KEY_ID,
    MESSAGE,
    MESSAGE_TYPE,
    Field::required(Member::Signature, CIPHERTEXT),
    SIGNING_ALGORITHM,
    GRANT_TOKENS,
    DRY_RUN,
];

static GENERATE_MAC: &[Field] = &[MESSAGE, KEY_ID, MAC_ALGORITHM, GRANT_TOKENS, DRY_RUN];

static VERIFY_MAC: &[Field] =
    &[MESSAGE, KEY_ID, MAC_ALGORITHM, Field::required(Member::Mac, CIPHERTEXT), GRANT_TOKENS, DRY_RUN];

static DERIVE_SHARED_SECRET: &[Field] = &[
    KEY_ID,
    Field::required(Member::KeyAgreementAlgorithm, Shape::Choice(KeyAgreementAlgorithmSpec::values())),
    Field::required(Member::PublicKey, Shape::Blob { min: 1, max: 8192 }),
    GRANT_TOKENS,
    DRY_RUN,
    RECIPIENT,
];

const ENCAPSULATION_ALGORITHM: Field =
    Field::required(Member::EncapsulationAlgorithm, Shape::Choice(EncapsulationAlgorithmSpec::values()));

static ENCAPSULATE: &[Field] = &[KEY_ID, ENCAPSULATION_ALGORITHM, GRANT_TOKENS, DRY_RUN];

static DECAPSULATE: &[Field] = &[
    KEY_ID,
    Field::required(Member::SharedSecretCiphertextBlob, CIPHERTEXT),
    ENCAPSULATION_ALGORITHM,
    GRANT_TOKENS,
    DRY_RUN,
];

static SCHEDULE_KEY_DELETION: &[Field] =
    &[KEY_ID, Field::optional(Member::PendingWindowInDays, Shape::Integer { min: 1, max: 365 })];

static ALIAS_AND_TARGET: &[Field] = &[ALIAS_NAME, Field::required(Member::TargetKeyId, KEY)];

static DELETE_ALIAS: &[Field] = &[ALIAS_NAME];

static LIST_ALIASES: &[Field] = &[Field::optional(Member::KeyId, KEY), LIMIT, MARKER];

const KEY_PAIR_SPEC: Field = Field::required(Member::KeyPairSpec, Shape::Choice(DataKeyPairSpec::values()));

static GENERATE_DATA_KEY_PAIR: &[Field] = &[CONTEXT, KEY_ID, KEY_PAIR_SPEC, GRANT_TOKENS, RECIPIENT, DRY_RUN];

static GENERATE_DATA_KEY_PAIR_WITHOUT_PLAINTEXT: &[Field] = &[CONTEXT, KEY_ID, KEY_PAIR_SPEC, GRANT_TOKENS, DRY_RUN];

/// The members of an operation's request.
pub(super) fn fields(operation: Operation) -> &'static [Field] {
    match operation {
        Operation::GenerateDataKeyWithoutPlaintext => GENERATE_DATA_KEY_WITHOUT_PLAINTEXT,
        Operation::GenerateDataKey => GENERATE_DATA_KEY,
        Operation::Encrypt => ENCRYPT,
        Operation::Decrypt => DECRYPT,
        Operation::ReEncrypt => RE_ENCRYPT,
        Operation::GenerateRandom => GENERATE_RANDOM,
        Operation::CreateKey => CREATE_KEY,
        Operation::DescribeKey | Operation::GetPublicKey => KEY_AND_GRANT_TOKENS,
        Operation::ListKeys => LIST_KEYS,
        Operation::EnableKey
        | Operation::DisableKey
        | Operation::CancelKeyDeletion
        | Operation::DisableKeyRotation
        | Operation::GetKeyRotationStatus
        | Operation::RotateKeyOnDemand
        | Operation::GetKeyLastUsage => KEY_ALONE,
        Operation::ScheduleKeyDeletion => SCHEDULE_KEY_DELETION,
        Operation::CreateAlias | Operation::UpdateAlias => ALIAS_AND_TARGET,
        Operation::DeleteAlias => DELETE_ALIAS,
        Operation::ListAliases => LIST_ALIASES,
        Operation::UpdateKeyDescription => UPDATE_KEY_DESCRIPTION,
        Operation::GetKeyPolicy => GET_KEY_POLICY,
        Operation::PutKeyPolicy => PUT_KEY_POLICY,
        Operation::ListKeyPolicies | Operation::ListResourceTags => KEY_AND_PAGE,
        Operation::TagResource => TAG_RESOURCE,
        Operation::UntagResource => UNTAG_RESOURCE,
        Operation::EnableKeyRotation => ENABLE_KEY_ROTATION,
        Operation::ListKeyRotations => LIST_KEY_ROTATIONS,
        Operation::ReplicateKey => REPLICATE_KEY,
        Operation::UpdatePrimaryRegion => UPDATE_PRIMARY_REGION,
        Operation::GetParametersForImport => GET_PARAMETERS_FOR_IMPORT,
        Operation::ImportKeyMaterial => IMPORT_KEY_MATERIAL,
        Operation::DeleteImportedKeyMaterial => DELETE_IMPORTED_KEY_MATERIAL,
        Operation::Sign => SIGN,
        Operation::Verify => VERIFY,
        Operation::GenerateMac => GENERATE_MAC,
        Operation::VerifyMac => VERIFY_MAC,
        Operation::DeriveSharedSecret => DERIVE_SHARED_SECRET,
        Operation::GenerateDataKeyPair => GENERATE_DATA_KEY_PAIR,
        Operation::GenerateDataKeyPairWithoutPlaintext => GENERATE_DATA_KEY_PAIR_WITHOUT_PLAINTEXT,
        Operation::CreateGrant => grants::CREATE_GRANT,
        Operation::ListGrants => grants::LIST_GRANTS,
        Operation::ListRetirableGrants => grants::LIST_RETIRABLE_GRANTS,
        Operation::RetireGrant => grants::RETIRE_GRANT,
        Operation::RevokeGrant => grants::REVOKE_GRANT,
        Operation::Encapsulate => ENCAPSULATE,
        Operation::Decapsulate => DECAPSULATE,
        Operation::CreateCustomKeyStore => custom_key_stores::CREATE,
        Operation::UpdateCustomKeyStore => custom_key_stores::UPDATE,
        Operation::DescribeCustomKeyStores => custom_key_stores::DESCRIBE,
        Operation::ConnectCustomKeyStore | Operation::DisconnectCustomKeyStore | Operation::DeleteCustomKeyStore => {
            custom_key_stores::STORE_ALONE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(fields: &[Field]) {
        let mut names: Vec<_> = fields.iter().map(|field| field.member.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), fields.len());
        assert!(fields.len() < 32, "the reader keeps one bit a member");
        for field in fields {
            if let Shape::Structure(inner) | Shape::Structures(Shape::Structure(inner)) = &field.shape {
                check(inner);
            }
        }
    }

    #[test]
    fn no_structure_has_a_member_twice_or_too_many() {
        for operation in Operation::ALL {
            check(fields(*operation));
        }
    }

    #[test]
    fn every_member_that_names_a_key_is_in_its_operations_model() {
        for operation in Operation::ALL {
            for member in [operation.key(), operation.source()].into_iter().flatten() {
                assert!(fields(*operation).iter().any(|field| field.member == member), "{operation:?} {member:?}");
            }
        }
    }
}
