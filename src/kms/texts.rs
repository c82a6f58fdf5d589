//! AWS's own words for each refusal, as recorded from KMS; one maker for each.
//!
//! A text that nobody has recorded from KMS says so in its maker's documentation.

use std::borrow::Cow;

use super::exception::{Exception, ExceptionKind as Kind};
use crate::aws::InvalidKeyRef;

/// Keys, aliases and their state.
impl Exception {
    /// `Key '<arn>' does not exist`; `arn` is the full ARN even when only an id was sent.
    #[must_use]
    pub fn not_found_key(arn: &str) -> Self {
        Self::new(Kind::NotFound, format!("Key '{arn}' does not exist"))
    }

    /// `Alias <alias arn> is not found.`
    #[must_use]
    pub fn not_found_alias(arn: &str) -> Self {
        Self::new(Kind::NotFound, format!("Alias {arn} is not found."))
    }

    /// A custom key store that is not there. KMS's text is not recorded.
    #[must_use]
    pub fn not_found_key_store(id: &str) -> Self {
        Self::new(Kind::CustomKeyStoreNotFound, format!("Custom key store {id} does not exist."))
    }

    /// `An alias with the name <alias arn> already exists`
    #[must_use]
    pub fn alias_exists(arn: &str) -> Self {
        Self::new(Kind::AlreadyExists, format!("An alias with the name {arn} already exists"))
    }

    /// An alias's name without its prefix: a validation error of KMS's own.
    #[must_use]
    pub const fn alias_without_prefix() -> Self {
        Self::fixed(
            Kind::Validation,
            "Alias must start with the prefix \"alias/\". Please see \
             https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html",
        )
    }

    /// An alias where only a key id or key ARN will do.
    #[must_use]
    pub const fn alias_not_accepted() -> Self {
        Self::fixed(Kind::InvalidArn, "Key Aliases are not supported for this operation.")
    }

    /// `<key arn> is disabled.`
    #[must_use]
    pub fn disabled(arn: &str) -> Self {
        Self::new(Kind::Disabled, format!("{arn} is disabled."))
    }

    /// `<key arn> is <state>.`, with a state like `pending deletion` or `not pending deletion`.
    #[must_use]
    pub fn invalid_state(arn: &str, state: &str) -> Self {
        Self::new(Kind::KmsInvalidState, format!("{arn} is {state}."))
    }

    /// `<key arn> origin is <origin> which is not valid for this operation.`
    #[must_use]
    pub fn key_origin(arn: &str, origin: &str) -> Self {
        Self::unsupported(format!("{arn} origin is {origin} which is not valid for this operation."))
    }

    /// An operation on a key of a spec that does not have it, like the rotation of an RSA key: KMS says no more.
    #[must_use]
    pub const fn unsuitable_key() -> Self {
        Self::bare(Kind::UnsupportedOperation)
    }

    /// `<key arn> is not a multi-region primary key.`
    #[must_use]
    pub fn not_multi_region_primary(arn: &str) -> Self {
        Self::unsupported(format!("{arn} is not a multi-region primary key."))
    }

    /// `<key arn> key usage is <usage> which is not valid for <operation>.`
    #[must_use]
    pub fn key_usage(arn: &str, usage: &str, operation: &str) -> Self {
        let text = format!("{arn} key usage is {usage} which is not valid for {operation}.");
        Self::new(Kind::InvalidKeyUsage, text)
    }

    /// `Algorithm <algorithm> is incompatible with key spec <spec>.`
    #[must_use]
    pub fn algorithm(algorithm: &str, key_spec: &str) -> Self {
        let text = format!("Algorithm {algorithm} is incompatible with key spec {key_spec}.");
        Self::new(Kind::InvalidKeyUsage, text)
    }

    /// A data key asked of an RSA or SM2 encryption key.
    #[must_use]
    pub const fn data_key_of_asymmetric_key() -> Self {
        Self::fixed(Kind::InvalidKeyUsage, "You cannot generate a data key with an asymmetric CMK")
    }

    /// The key named is not the one the ciphertext is under.
    #[must_use]
    pub const fn incorrect_key() -> Self {
        Self::fixed(
            Kind::IncorrectKey,
            "The key ID in the request does not identify a CMK that can perform this operation.",
        )
    }

    /// A ciphertext that does not open, for whatever reason: KMS gives none.
    #[must_use]
    pub const fn invalid_ciphertext() -> Self {
        Self::bare(Kind::InvalidCiphertext)
    }

    /// `UpdateAlias` from a key of one usage to a key of another; `name` is the alias's, with its prefix.
    #[must_use]
    pub fn alias_usage(name: &str, old: &str, new: &str) -> Self {
        Self::validation(format!(
            "Alias {name} cannot be changed from a CMK with key usage {old} to a CMK with key usage {new}. The key \
             usage of the current CMK and the new CMK must be the same."
        ))
    }

    /// `UpdateAlias` from a symmetric key to an asymmetric one of the same usage, or back. KMS's text is not recorded.
    #[must_use]
    pub fn alias_type(name: &str, old: &str, new: &str) -> Self {
        Self::validation(format!(
            "Alias {name} cannot be changed from a CMK with key spec {old} to a CMK with key spec {new}. The current CMK \
             and the new CMK must be of the same type, symmetric or asymmetric."
        ))
    }

    /// A grant token that is malformed, forged or foreign. KMS's text is not recorded.
    #[must_use]
    pub const fn invalid_grant_token() -> Self {
        Self::bare(Kind::InvalidGrantToken)
    }

    /// A grant id that is no id, or that of no grant of this key. KMS's text is not recorded.
    #[must_use]
    pub fn invalid_grant_id(id: &str) -> Self {
        Self::new(Kind::InvalidGrantId, format!("Grant ID {id} is not valid."))
    }

    /// A grant that is not there, to be revoked. Neither this answer nor its text is recorded from KMS.
    #[must_use]
    pub fn not_found_grant(id: &str, arn: &str) -> Self {
        Self::new(Kind::NotFound, format!("Grant '{id}' of {arn} does not exist"))
    }

    /// A principal of a grant that cannot be one, or is not there. KMS's text is not recorded.
    #[must_use]
    pub fn invalid_principal(arn: &str) -> Self {
        Self::new(Kind::InvalidArn, format!("{arn} is not a valid principal."))
    }

    /// `CreateGrant` of `CreateGrant` alone.
    #[must_use]
    pub const fn only_create_grant() -> Self {
        Self::fixed(Kind::Validation, "Grants must not contain only the CreateGrant operation.")
    }

    /// All would have gone well, but `DryRun` was set.
    #[must_use]
    pub const fn dry_run() -> Self {
        Self::fixed(Kind::DryRunOperation, "The request would have succeeded, but the DryRun option is set.")
    }
}

/// Rotation, and imported key material.
impl Exception {
    /// A key that was rotated on demand as often as a key may be.
    #[must_use]
    pub fn on_demand_rotations_limit(arn: &str) -> Self {
        Self::limit_exceeded(format!(
            "The on-demand rotations limit has been reached for the given keyId. No more on-demand rotations can be \
             performed for this key: {arn}"
        ))
    }

    /// `RotateKeyOnDemand` of a key with imported material, when no other material was imported.
    #[must_use]
    pub fn no_material_pending_rotation(arn: &str) -> Self {
        let text = format!("No available key material pending rotation for the key: {arn}.");
        Self::new(Kind::KmsInvalidState, text)
    }

    /// An import of new material `new` while another, `pending`, waits for its rotation; `key_id` is the key's id.
    #[must_use]
    pub fn material_already_pending_rotation(new: &str, key_id: &str, pending: &str) -> Self {
        let text = format!(
            "New key material (id: {new}) cannot be imported into KMS key {key_id}, because another key material (id: \
             {pending}) is pending rotation."
        );
        Self::new(Kind::KmsInvalidState, text)
    }

    /// `ImportKeyMaterial` of material that expires, without the date.
    #[must_use]
    pub const fn valid_to_required() -> Self {
        Self::fixed(Kind::Validation, "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES")
    }

    /// An import token that is malformed, forged or another key's. KMS's text is not recorded.
    #[must_use]
    pub const fn invalid_import_token() -> Self {
        Self::bare(Kind::InvalidImportToken)
    }

    /// An import token whose time is over. KMS's text is not recorded.
    #[must_use]
    pub const fn expired_import_token() -> Self {
        Self::bare(Kind::ExpiredImportToken)
    }

    /// Other material than the key had before. KMS's text is not recorded.
    #[must_use]
    pub const fn incorrect_key_material() -> Self {
        Self::bare(Kind::IncorrectKeyMaterial)
    }
}

/// Refusals of the caller and of the request.
impl Exception {
    /// `AccessDeniedException` with the reason in AWS's words.
    #[must_use]
    pub fn access_denied(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::AccessDenied, text)
    }

    /// A ciphertext whose key may not be named to the caller, or is not there.
    #[must_use]
    pub const fn ciphertext_key_denied() -> Self {
        Self::fixed(
            Kind::AccessDenied,
            "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you \
             are not allowed to access.",
        )
    }

    /// Too many calls; 400, as KMS has it.
    #[must_use]
    pub const fn throttling() -> Self {
        Self::fixed(
            Kind::Throttling,
            "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.",
        )
    }

    /// A validation error of the service itself, in free text.
    #[must_use]
    pub fn validation(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Validation, text)
    }

    /// `GenerateDataKey...` with both or neither of `KeySpec` and `NumberOfBytes`.
    #[must_use]
    pub const fn number_of_bytes_or_key_spec() -> Self {
        Self::fixed(Kind::Validation, "Please specify either number of bytes or key spec.")
    }

    /// `GenerateRandom` without `NumberOfBytes`.
    #[must_use]
    pub const fn number_of_bytes_required() -> Self {
        Self::fixed(Kind::Validation, "NumberOfBytes is required.")
    }

    /// `CreateKey` with a usage that the key spec does not have.
    #[must_use]
    pub fn usage_and_spec(usage: &str, key_spec: &str) -> Self {
        Self::validation(format!("KeyUsage {usage} is not compatible with KeySpec {key_spec}"))
    }

    /// `CreateKey` of an asymmetric or HMAC key without a usage.
    #[must_use]
    pub const fn usage_required() -> Self {
        Self::fixed(
            Kind::Validation,
            "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.",
        )
    }

    /// A request that is not what the model says, in the words of AWS's front end.
    #[must_use]
    pub fn serialization(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Serialization, text)
    }

    /// An operation or option that is not served, with a text that says so.
    #[must_use]
    pub fn unsupported(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::UnsupportedOperation, text)
    }

    /// A quota of resources is used up.
    #[must_use]
    pub fn limit_exceeded(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::LimitExceeded, text)
    }

    /// A key policy that would lock everyone out. Known from older answers, not verified.
    #[must_use]
    pub const fn policy_locks_out() -> Self {
        Self::fixed(
            Kind::MalformedPolicyDocument,
            "The new key policy will not allow you to update the key policy in the future.",
        )
    }

    /// Faulty tags: `Duplicate tag keys`, `Too many tags`, `Tags beginning with aws: are reserved`.
    #[must_use]
    pub fn tag(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Tagging, text)
    }
}

/// Faults that are not the caller's, and what the front end says.
impl Exception {
    /// `KMSInternalException`; say why in the detail.
    #[must_use]
    pub const fn kms_internal() -> Self {
        Self::bare(Kind::KmsInternal)
    }

    /// `UnknownOperationException`: no such target.
    #[must_use]
    pub const fn unknown_operation() -> Self {
        Self::bare(Kind::UnknownOperation)
    }
}

impl From<InvalidKeyRef> for Exception {
    fn from(error: InvalidKeyRef) -> Self {
        Self::new(Kind::NotFound, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::KeyRef;

    const ARN: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

    #[test]
    fn texts_are_those_recorded_from_kms() {
        let text = |exception: Exception| exception.message().map(str::to_owned).unwrap();
        assert_eq!(text(Exception::not_found_key(ARN)), format!("Key '{ARN}' does not exist"));
        assert_eq!(text(Exception::disabled(ARN)), format!("{ARN} is disabled."));
        assert_eq!(text(Exception::invalid_state(ARN, "pending import")), format!("{ARN} is pending import."));
        assert_eq!(
            text(Exception::key_usage(ARN, "SIGN_VERIFY", "GenerateDataKey")),
            format!("{ARN} key usage is SIGN_VERIFY which is not valid for GenerateDataKey.")
        );
        assert_eq!(
            text(Exception::algorithm("HMAC_SHA_256", "HMAC_224")),
            "Algorithm HMAC_SHA_256 is incompatible with key spec HMAC_224."
        );
        assert_eq!(
            text(Exception::key_origin(ARN, "EXTERNAL")),
            format!("{ARN} origin is EXTERNAL which is not valid for this operation.")
        );
        assert_eq!(text(Exception::not_multi_region_primary(ARN)), format!("{ARN} is not a multi-region primary key."));
        assert_eq!(
            text(Exception::alias_usage("alias/x", "SIGN_VERIFY", "ENCRYPT_DECRYPT")),
            "Alias alias/x cannot be changed from a CMK with key usage SIGN_VERIFY to a CMK with key usage ENCRYPT_DECRYPT. The key usage of the current CMK and the new CMK must be the same."
        );
        assert_eq!(
            text(Exception::on_demand_rotations_limit(ARN)),
            format!(
                "The on-demand rotations limit has been reached for the given keyId. No more on-demand rotations can be performed for this key: {ARN}"
            )
        );
        assert_eq!(
            text(Exception::no_material_pending_rotation(ARN)),
            format!("No available key material pending rotation for the key: {ARN}.")
        );
        assert_eq!(
            text(Exception::material_already_pending_rotation("aa", "1234", "bb")),
            "New key material (id: aa) cannot be imported into KMS key 1234, because another key material (id: bb) is pending rotation."
        );
        assert_eq!(
            text(Exception::valid_to_required()),
            "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES"
        );
        assert_eq!(
            text(Exception::ciphertext_key_denied()),
            "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access."
        );
    }

    #[test]
    fn a_reference_that_names_no_key_is_not_found() {
        let error = KeyRef::parse("foo", &"us-east-1".parse().unwrap()).unwrap_err();
        let exception = Exception::from(error);
        assert_eq!((exception.kind(), exception.message()), (Kind::NotFound, Some("Invalid keyId 'foo'")));
    }
}
