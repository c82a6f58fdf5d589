//! The operations that this backend serves, each with the function that does it: the one place to add one.

use super::changes::Planned;
use super::directory::Directory;
use super::key::KeyState;
use super::material::KeyMaterial;
use super::records::Records;
use super::requester::Requester;
use super::{
    Keys, LocalBackend, Site, aliases, create, data_keys, describe, grant_pages, grants, import, key_pairs, key_policy,
    manage, multi_region, rotation, tags,
};
use crate::aws::{Operation as Op, Region};
use crate::clock::Timestamp;
use crate::kms::{Answer, Exception, Input};

/// A request for an operation that changes nothing.
pub(super) struct Question<'q> {
    pub(super) backend: &'q LocalBackend,
    pub(super) region: &'q Region,
    pub(super) input: &'q Input,
    pub(super) keys: &'q Keys,
}

/// A request for a change, and what it is planned with.
pub(super) struct Change<'c> {
    pub(super) site: &'c Site,
    pub(super) records: &'c Records,
    pub(super) directory: &'c Directory,
    pub(super) region: &'c Region,
    pub(super) requester: &'c Requester,
    pub(super) input: &'c Input,
    pub(super) keys: &'c Keys,
    /// For `ImportKeyMaterial`: what was unwrapped before.
    pub(super) imported: Option<Result<KeyMaterial, Exception>>,
    pub(super) now: Timestamp,
}

/// How an operation is done.
#[derive(Clone, Copy)]
pub(super) enum Handler {
    /// Answered from what there is.
    Answer(fn(&Question<'_>) -> Result<Answer, Exception>),
    /// Planned, stored and then answered.
    Change(fn(Change<'_>) -> Planned),
}

/// How this backend does the operation; `None` if it does not serve it.
pub(super) const fn handler(operation: Op) -> Option<Handler> {
    use Handler::{Answer, Change};
    Some(match operation {
        Op::GenerateDataKeyWithoutPlaintext => Answer(|q| data_keys::generate_without_plaintext(q.input, q.keys)),
        Op::GenerateDataKey => Answer(|q| data_keys::generate(q.input, q.keys)),
        Op::GenerateDataKeyPair => Answer(|q| key_pairs::generate(q.input, q.keys)),
        Op::GenerateDataKeyPairWithoutPlaintext => Answer(|q| key_pairs::generate_without_plaintext(q.input, q.keys)),
        Op::Encrypt => Answer(|q| data_keys::encrypt(q.input, q.keys)),
        Op::Decrypt => Answer(|q| q.backend.decrypt(q.input, q.keys)),
        Op::ReEncrypt => Answer(|q| q.backend.re_encrypt(q.input, q.keys)),
        Op::GenerateRandom => Answer(|q| data_keys::generate_random(q.input)),

        Op::CreateKey => Change(|c| create::create(&c)),
        Op::DescribeKey => Answer(|q| describe::describe(q.keys)),
        Op::ListKeys => Answer(|q| describe::list(q.region, &q.backend.directory.load(), q.input)),
        Op::UpdateKeyDescription => Change(|c| describe::update(c.directory, c.input, c.keys)),
        Op::EnableKey => Change(|c| manage::switch(c.directory, c.input, c.keys, KeyState::Enabled)),
        Op::DisableKey => Change(|c| manage::switch(c.directory, c.input, c.keys, KeyState::Disabled)),
        Op::ScheduleKeyDeletion => Change(|c| manage::schedule_deletion(c.directory, c.input, c.keys, c.now)),
        Op::CancelKeyDeletion => Change(|c| manage::cancel_deletion(c.directory, c.input, c.keys)),

        Op::CreateAlias => Change(|c| aliases::create(c.directory, c.input, c.keys, c.now)),
        Op::UpdateAlias => Change(|c| aliases::update(c.directory, c.input, c.keys, c.now)),
        Op::DeleteAlias => Change(|c| aliases::delete(c.directory, c.input, c.keys)),
        Op::ListAliases => {
            Answer(|q| aliases::list(&q.backend.site, q.region, &q.backend.directory.load(), q.input, q.keys))
        }

        Op::TagResource => Change(|c| tags::tag(c.directory, c.input, c.keys)),
        Op::UntagResource => Change(|c| tags::untag(c.directory, c.input, c.keys)),
        Op::ListResourceTags => Answer(|q| tags::list(q.input, q.keys)),

        Op::GetKeyPolicy => Answer(|q| key_policy::get(q.input, q.keys)),
        Op::PutKeyPolicy => Change(|c| key_policy::put(&c)),
        Op::ListKeyPolicies => Answer(|q| key_policy::list(q.input, q.keys)),

        Op::EnableKeyRotation => Change(|c| rotation::enable(c.directory, c.input, c.keys, c.now)),
        Op::DisableKeyRotation => Change(|c| rotation::disable(c.directory, c.input, c.keys)),
        Op::GetKeyRotationStatus => Answer(|q| rotation::status(q.input, q.keys)),
        Op::RotateKeyOnDemand => Change(|c| rotation::on_demand(c.records, c.directory, c.input, c.keys, c.now)),
        Op::ListKeyRotations => Answer(|q| rotation::list(q.input, q.keys)),

        Op::GetParametersForImport => {
            Answer(|q| import::parameters(&q.backend.records, q.input, q.keys, q.backend.clock.now()))
        }
        Op::ImportKeyMaterial => Change(|c| import::import(c.records, c.directory, c.input, c.keys, c.imported, c.now)),
        Op::DeleteImportedKeyMaterial => Change(|c| import::delete(c.directory, c.input, c.keys)),

        Op::ReplicateKey => Change(|c| multi_region::replicate(&c)),
        Op::UpdatePrimaryRegion => Change(|c| multi_region::update_primary_region(c.directory, c.input, c.keys)),

        Op::CreateGrant => Change(|c| grants::create(&c)),
        Op::ListGrants => Answer(|q| grant_pages::list(q.input, q.keys)),
        Op::ListRetirableGrants => {
            Answer(|q| grant_pages::list_retirable(q.region, &q.backend.directory.load(), q.input))
        }
        Op::RetireGrant | Op::RevokeGrant => Change(|c| grants::remove(&c)),

        _ => return None,
    })
}

/// The refusal of all others.
pub(super) fn not_served(operation: Op) -> Exception {
    let name = operation.name();
    Exception::unsupported(format!("{name} is not served by this version of kmsgate's local backend."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_something_is_a_change_and_nothing_else_is() {
        for operation in Op::ALL {
            let Some(handler) = handler(*operation) else { continue };
            assert_eq!(matches!(handler, Handler::Change(_)), operation.mutating(), "{operation:?}");
        }
    }
}
