//! What a key's state lets be done to it (developer guide, "Key states of AWS KMS keys": the table of operations).
//!
//! One row an operation, one column a state. Which key an operation can be done to at all, by its usage and origin, is
//! for the operation to say.

use super::key::{KeyState, KeyView};
use crate::aws::Operation as Op;
use crate::kms::Exception;

/// One cell of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The state does not stand in the way.
    Ok,
    /// The state is the reason why not.
    No,
    /// Only what is pending deletion can be saved from it.
    NotPending,
}

use Verdict::{No, NotPending, Ok as Yes};

/// Columns: `Enabled`, `Disabled`, `PendingDeletion` and `PendingReplicaDeletion`, `PendingImport`.
type Row = [Verdict; 4];

/// Uses of the key, and what only a usable key can be given.
const USE: Row = [Yes, No, No, No];
/// Reads and what is done beside the key.
const ALWAYS: Row = [Yes, Yes, Yes, Yes];
/// Changes that would be lost with a key that is going.
const UNLESS_PENDING_DELETION: Row = [Yes, Yes, No, Yes];

/// The table. Operations that name no key are not in it.
pub(super) const fn row(operation: Op) -> Option<&'static Row> {
    Some(match operation {
        Op::GenerateDataKeyWithoutPlaintext
        | Op::GenerateDataKey
        | Op::GenerateDataKeyPair
        | Op::GenerateDataKeyPairWithoutPlaintext
        | Op::Encrypt
        | Op::Decrypt
        | Op::ReEncrypt
        | Op::GenerateMac
        | Op::VerifyMac
        | Op::Sign
        | Op::Verify
        | Op::DeriveSharedSecret
        | Op::Encapsulate
        | Op::Decapsulate
        | Op::GetPublicKey
        | Op::CreateGrant
        | Op::RotateKeyOnDemand
        | Op::ReplicateKey
        | Op::UpdatePrimaryRegion
        | Op::EnableKeyRotation
        | Op::DisableKeyRotation => &USE,
        Op::EnableKey | Op::DisableKey => &[Yes, Yes, No, No],
        Op::CreateAlias
        | Op::UpdateAlias
        | Op::ScheduleKeyDeletion
        | Op::TagResource
        | Op::UntagResource
        | Op::UpdateKeyDescription
        | Op::GetParametersForImport
        | Op::ImportKeyMaterial => &UNLESS_PENDING_DELETION,
        Op::CancelKeyDeletion => &[NotPending, NotPending, Yes, NotPending],
        Op::DescribeKey
        | Op::GetKeyLastUsage
        | Op::GetKeyPolicy
        | Op::PutKeyPolicy
        | Op::ListKeyPolicies
        | Op::ListAliases
        | Op::ListResourceTags
        | Op::ListGrants
        | Op::RetireGrant
        | Op::RevokeGrant
        | Op::DeleteAlias
        | Op::DeleteImportedKeyMaterial
        | Op::GetKeyRotationStatus
        | Op::ListKeyRotations => &ALWAYS,
        Op::GenerateRandom
        | Op::CreateKey
        | Op::ListKeys
        | Op::ListRetirableGrants
        | Op::DescribeCustomKeyStores
        | Op::ConnectCustomKeyStore
        | Op::CreateCustomKeyStore
        | Op::DeleteCustomKeyStore
        | Op::DisconnectCustomKeyStore
        | Op::UpdateCustomKeyStore => return None,
    })
}

/// Refuses what the key's state excludes.
///
/// # Errors
///
/// `DisabledException` and `KMSInvalidStateException`, as KMS has them. Where the guide lets KMS answer either for a
/// key that is pending deletion, it is the latter, as recorded.
pub(super) fn permits(operation: Op, key: &KeyView) -> Result<(), Exception> {
    let Some([enabled, disabled, pending_deletion, pending_import]) = row(operation) else { return Ok(()) };
    let verdict = match key.state {
        KeyState::Enabled => enabled,
        KeyState::Disabled => disabled,
        KeyState::PendingDeletion(_) | KeyState::PendingReplicaDeletion { .. } => pending_deletion,
        KeyState::PendingImport => pending_import,
    };
    let arn = key.arn.as_str();
    match (verdict, key.state) {
        (Verdict::Ok, _) => Ok(()),
        (NotPending, _) => Err(Exception::invalid_state(arn, "not pending deletion")),
        (No, KeyState::Disabled) => Err(Exception::disabled(arn)),
        (No, KeyState::PendingImport) => Err(Exception::invalid_state(arn, "pending import")),
        (No, KeyState::PendingDeletion(_)) => Err(Exception::invalid_state(arn, "pending deletion")),
        (No, KeyState::PendingReplicaDeletion { .. }) => Err(Exception::invalid_state(arn, "pending replica deletion")),
        // No row says so.
        (No, KeyState::Enabled) => Err(Exception::kms_internal()),
    }
}

#[cfg(test)]
mod tests;
