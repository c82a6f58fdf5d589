//! What the answer of each operation consists of, as far as it is judged: whether there is one, and where it names the
//! key that was used.
//!
//! From the service's model, read at botocore 1.44.5.

use super::Operation;

/// The answer to a call that was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// No members: KMS answers with an empty body.
    Nothing,
    /// Members, and none that names the key of the call.
    Unnamed,
    /// `KeyId` names the key: by its ARN, wherever an answer was recorded or the model says. For `GetKeyLastUsage`,
    /// `DeriveSharedSecret`, `Encapsulate` and `Decapsulate` it does not say, and a bare key id may stand there.
    Key,
    /// `KeyId` names the key, but is newer than the operation itself: there may be endpoints that leave it out. For
    /// `GetKeyRotationStatus` the model does not say whether it is an ARN.
    NewlyKey,
    /// `KeyId` names the key of the destination, `SourceKeyId` that of the source.
    KeyAndSource,
    /// The `Arn` in the structure of this name is the key's.
    Metadata(&'static str),
}

impl Output {
    /// Whether every answer names the key that it is about.
    #[must_use]
    pub const fn names_key(self) -> bool {
        matches!(self, Self::Key | Self::KeyAndSource | Self::Metadata(_))
    }
}

impl Operation {
    /// What its answer consists of.
    #[must_use]
    pub const fn output(self) -> Output {
        match self {
            Self::GenerateDataKeyWithoutPlaintext
            | Self::GenerateDataKey
            | Self::GenerateDataKeyPair
            | Self::GenerateDataKeyPairWithoutPlaintext
            | Self::Encrypt
            | Self::Decrypt
            | Self::GenerateMac
            | Self::VerifyMac
            | Self::Sign
            | Self::Verify
            | Self::DeriveSharedSecret
            | Self::Encapsulate
            | Self::Decapsulate
            | Self::GetPublicKey
            | Self::GetKeyLastUsage
            | Self::GetParametersForImport
            | Self::RotateKeyOnDemand
            | Self::ScheduleKeyDeletion
            | Self::CancelKeyDeletion => Output::Key,
            Self::ReEncrypt => Output::KeyAndSource,
            Self::DescribeKey | Self::CreateKey => Output::Metadata("KeyMetadata"),
            Self::ReplicateKey => Output::Metadata("ReplicaKeyMetadata"),
            Self::GetKeyRotationStatus | Self::ImportKeyMaterial | Self::DeleteImportedKeyMaterial => Output::NewlyKey,
            Self::GenerateRandom
            | Self::GetKeyPolicy
            | Self::ListGrants
            | Self::ListKeyPolicies
            | Self::ListKeyRotations
            | Self::ListResourceTags
            | Self::ListAliases
            | Self::ListKeys
            | Self::ListRetirableGrants
            | Self::CreateGrant
            | Self::DescribeCustomKeyStores
            | Self::CreateCustomKeyStore => Output::Unnamed,
            Self::PutKeyPolicy
            | Self::EnableKey
            | Self::DisableKey
            | Self::EnableKeyRotation
            | Self::DisableKeyRotation
            | Self::UpdateKeyDescription
            | Self::UpdatePrimaryRegion
            | Self::TagResource
            | Self::UntagResource
            | Self::CreateAlias
            | Self::UpdateAlias
            | Self::DeleteAlias
            | Self::RetireGrant
            | Self::RevokeGrant
            | Self::ConnectCustomKeyStore
            | Self::DeleteCustomKeyStore
            | Self::DisconnectCustomKeyStore
            | Self::UpdateCustomKeyStore => Output::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_uses_a_key_names_the_key_that_it_used() {
        // These use a key's material; of what is done to keys the request has named each.
        let uses = |operation: &&Operation| {
            let class = operation.class().name();
            ["symmetric", "asymmetric", "data_key_pair"].contains(&class) && **operation != Operation::GenerateRandom
        };
        let using: Vec<_> = Operation::ALL.iter().filter(uses).collect();
        assert_eq!(using.len(), 14);
        for operation in using {
            assert!(operation.output().names_key(), "{operation:?}");
        }
    }

    #[test]
    fn what_takes_something_from_a_second_ciphertext_names_its_key_too() {
        for operation in Operation::ALL {
            let two = operation.source() == Some(crate::aws::Member::SourceKeyId);
            assert_eq!(operation.output() == Output::KeyAndSource, two, "{operation:?}");
        }
    }

    #[test]
    fn what_only_reads_has_something_to_answer() {
        for operation in Operation::ALL.iter().filter(|operation| !operation.mutating()) {
            assert_ne!(operation.output(), Output::Nothing, "{operation:?}");
        }
    }
}
