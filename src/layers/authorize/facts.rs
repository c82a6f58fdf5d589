//! The facts of a request as policies ask for them: each condition key, answered from the request itself.
//!
//! Nothing is computed before a statement asks. A key that a gateway has no value for is absent, as AWS counts it.

use http::HeaderValue;
use http::header::{REFERER, USER_AGENT};

use crate::aws::{AliasName, Arn, EncryptionContext, Member, Operation};
use crate::backend::local::{
    DEFAULT_EXPIRATION_MODEL, DEFAULT_ROTATION_PERIOD_DAYS, ENCRYPTION_ALGORITHM, KeySpec, KeyUsage, Origin,
};
use crate::backend::{Found, Keys, NamedBy};
use crate::credentials::Principal;
use crate::grants::Constraint;
use crate::kms::Input;
use crate::policy::{CaselessName, ConditionKey, RequestContext, Values};
use crate::stage;

/// What is known of a request when one permission is judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts<'r> {
    /// Where and when it came.
    pub(super) context: &'r stage::RequestContext,
    /// Who asks.
    pub(super) principal: &'r Principal,
    /// What is asked.
    pub(super) input: &'r Input,
    /// All keys of the request.
    pub(super) keys: &'r Keys,
    /// The key of this permission, if it has one.
    pub(super) found: Option<&'r Found>,
    /// The permission: `kms:ReEncryptFrom` and `kms:ReEncryptTo` see contexts of their own.
    pub(super) action: &'static str,
    /// What the permission is needed on: an ARN, or `*`.
    pub(super) resource: &'r str,
}

impl RequestContext for Facts<'_> {
    fn values(&self, key: &ConditionKey) -> Values<'_> {
        use ConditionKey as Key;
        match key {
            Key::EncryptionContext(name) => self.encryption_context_value(name),
            Key::EncryptionContextKeys => Values::many(self.encryption_context().iter().map(|(key, _)| key)),
            Key::EncryptionAlgorithm => Values::optional(self.encryption_algorithm()),
            Key::DataKeyPairSpec => Values::optional(self.input.string(Member::KeyPairSpec)),
            Key::RotationPeriodInDays => self.rotation_period(),
            Key::WrappingAlgorithm => Values::optional(self.input.string(Member::WrappingAlgorithm)),
            Key::WrappingKeySpec => Values::optional(self.input.string(Member::WrappingKeySpec)),
            Key::ExpirationModel => Values::optional(self.expiration_model()),
            Key::ValidTo => self.valid_to(),
            Key::ReEncryptOnSameKey => self.re_encrypt_on_same_key(),
            Key::RequestAlias => Values::optional(self.request_alias()),
            Key::BypassPolicyLockoutSafetyCheck => self.bypass(),
            Key::ScheduleKeyDeletionPendingWindowInDays => self.pending_window(),
            Key::RequestTag(name) => self.request_tag(name),
            Key::TagKeys => self.tag_keys(),
            Key::GrantConstraintType => Values::optional(self.grant_constraint_type()),
            Key::GrantIsForAwsResource => self.grant_is_for_aws_resource(),
            Key::GrantOperations => self.grant_operations(),
            Key::GranteePrincipal => self.of_new_grant(Member::GranteePrincipal),
            Key::RetiringPrincipal => self.of_new_grant(Member::RetiringPrincipal),
            Key::SigningAlgorithm => Values::optional(self.input.string(Member::SigningAlgorithm)),
            Key::MessageType => Values::optional(self.message_type()),
            Key::MacAlgorithm => Values::optional(self.input.string(Member::MacAlgorithm)),
            Key::KeyAgreementAlgorithm => Values::optional(self.input.string(Member::KeyAgreementAlgorithm)),
            Key::RecipientAttestationImageSha384
            | Key::RecipientAttestationPcr(_)
            | Key::RecipientAttestationNitroTpmPcr(_) => self.recipient_attestation(),
            Key::GranteeServicePrincipal => self.of_new_grant(Member::GranteeServicePrincipal),
            Key::RetiringServicePrincipal => self.of_new_grant(Member::RetiringServicePrincipal),
            Key::GrantConstraintSourceArn => Values::optional(self.input.source_arn()),
            Key::PrimaryRegion => Values::optional(self.input.string(Member::PrimaryRegion)),
            Key::ReplicaRegion => Values::optional(self.input.string(Member::ReplicaRegion)),
            _ => self.about_key(key).or_else(|| self.about_principal(key)).unwrap_or_else(|| self.about_call(key)),
        }
    }
}

impl Facts<'_> {
    /// Which pairs count: `ReEncrypt` has a context for each side, and of a grant it is those that its constraint wants.
    pub(super) fn encryption_context(&self) -> &EncryptionContext {
        match self.action {
            "kms:CreateGrant" => {
                self.input.constraints().into_iter().flatten().next().unwrap_or(EncryptionContext::EMPTY)
            }
            "kms:RetireGrant" => self.constraint_to_retire().map_or(EncryptionContext::EMPTY, Constraint::pairs),
            "kms:ReEncryptFrom" => self.input.context(Member::SourceEncryptionContext),
            "kms:ReEncryptTo" => self.input.context(Member::DestinationEncryptionContext),
            _ => self.input.context(Member::EncryptionContext),
        }
    }

    /// The constraint of the grant that is to be retired.
    fn constraint_to_retire(&self) -> Option<&Constraint> {
        self.keys.grant.as_ref()?.constraint.as_ref()
    }

    fn grant_constraint_type(&self) -> Option<&'static str> {
        let [equals, subset] = self.input.constraints().map(|constraint| constraint.is_some());
        let retired = self.constraint_to_retire();
        let equals = equals || retired.is_some_and(Constraint::is_exact);
        let subset = subset || retired.is_some_and(|constraint| !constraint.is_exact());
        if equals { Some("EncryptionContextEquals") } else { subset.then_some("EncryptionContextSubset") }
    }

    /// What grants are made with, listed by and revoked by: no service of AWS's does so here.
    fn grant_is_for_aws_resource(&self) -> Values<'_> {
        let about_grants = [Operation::CreateGrant, Operation::ListGrants, Operation::RevokeGrant];
        if about_grants.contains(&self.input.operation()) { Values::boolean(false) } else { Values::Absent }
    }

    fn grant_operations(&self) -> Values<'_> {
        Values::many(self.input.strings(Member::Operations).iter().map(String::as_str))
    }

    /// A member of `CreateGrant` alone: the lists of grants are filtered by such names too.
    fn of_new_grant(&self, member: Member) -> Values<'_> {
        let creates = self.input.operation() == Operation::CreateGrant;
        Values::optional(self.input.string(member).filter(|_| creates))
    }

    fn encryption_context_value(&self, name: &CaselessName) -> Values<'_> {
        single(self.encryption_context().iter().filter(|(key, _)| name.is(key)).map(|(_, value)| value))
    }

    fn encryption_algorithm(&self) -> Option<&str> {
        let member = match self.input.operation() {
            Operation::Encrypt | Operation::Decrypt => Member::EncryptionAlgorithm,
            Operation::ReEncrypt if self.action == "kms:ReEncryptFrom" => Member::SourceEncryptionAlgorithm,
            Operation::ReEncrypt => Member::DestinationEncryptionAlgorithm,
            Operation::GenerateDataKey
            | Operation::GenerateDataKeyWithoutPlaintext
            | Operation::GenerateDataKeyPair
            | Operation::GenerateDataKeyPairWithoutPlaintext => return Some(ENCRYPTION_ALGORITHM),
            _ => return None,
        };
        Some(self.input.string(member).unwrap_or(ENCRYPTION_ALGORITHM))
    }

    fn message_type(&self) -> Option<&str> {
        let signs = matches!(self.input.operation(), Operation::Sign | Operation::Verify);
        // The default of the service's model.
        signs.then(|| self.input.string(Member::MessageType).unwrap_or("RAW"))
    }

    /// Attestation documents are KMS's to verify: what one says of its enclave is not known here.
    fn recipient_attestation(&self) -> Values<'_> {
        if self.input.recipient().is_some() { Values::Unknown } else { Values::Absent }
    }

    fn re_encrypt_on_same_key(&self) -> Values<'_> {
        match (&self.keys.source, &self.keys.main) {
            (Some(source), Some(destination)) => Values::boolean(source.key.arn() == destination.key.arn()),
            // The answer will tell.
            (None, _) if self.keys.told_by_answer && self.input.operation() == Operation::ReEncrypt => Values::Unknown,
            _ => Values::Absent,
        }
    }

    fn request_alias(&self) -> Option<&str> {
        match &self.found?.by {
            NamedBy::Alias(name) => Some(name),
            NamedBy::Key | NamedBy::Ciphertext | NamedBy::ForeignCiphertext => None,
        }
    }

    fn bypass(&self) -> Values<'_> {
        let sets_policy = [Operation::CreateKey, Operation::PutKeyPolicy, Operation::ReplicateKey];
        if !sets_policy.contains(&self.input.operation()) {
            return Values::Absent;
        }
        Values::boolean(self.input.boolean(Member::BypassPolicyLockoutSafetyCheck).unwrap_or_default())
    }

    fn rotation_period(&self) -> Values<'_> {
        if self.input.operation() != Operation::EnableKeyRotation {
            return Values::Absent;
        }
        let days = self.input.integer(Member::RotationPeriodInDays);
        Values::owned(days.unwrap_or(DEFAULT_ROTATION_PERIOD_DAYS.into()).to_string())
    }

    fn expiration_model(&self) -> Option<&str> {
        let imports = self.input.operation() == Operation::ImportKeyMaterial;
        let model = self.input.string(Member::ExpirationModel).unwrap_or(DEFAULT_EXPIRATION_MODEL);
        imports.then_some(model)
    }

    fn valid_to(&self) -> Values<'_> {
        let date = self.input.timestamp(Member::ValidTo);
        date.map_or(Values::Absent, |date| Values::owned(date.iso8601().to_string()))
    }

    fn pending_window(&self) -> Values<'_> {
        if self.input.operation() != Operation::ScheduleKeyDeletion {
            return Values::Absent;
        }
        let days = self.input.integer(Member::PendingWindowInDays);
        Values::owned(days.unwrap_or(crate::backend::local::DEFAULT_PENDING_WINDOW_DAYS).to_string())
    }

    fn request_tag(&self, name: &CaselessName) -> Values<'_> {
        single(self.input.tags(Member::Tags).filter(|tag| name.is(tag.key)).map(|tag| tag.value))
    }

    /// The tags that the request would set, or take away.
    fn tag_keys(&self) -> Values<'_> {
        let set = self.input.tags(Member::Tags).map(|tag| tag.key);
        Values::many(set.chain(self.input.strings(Member::TagKeys).iter().map(String::as_str)))
    }

    /// The primary key, when what is asked is to make or to tag its replica, which is done in the replica's region.
    fn replicated(&self) -> Option<&Found> {
        let replica = self.input.operation() == Operation::ReplicateKey && self.action != "kms:ReplicateKey";
        self.keys.main.as_ref().filter(|_| replica)
    }

    /// Of the key, or of the one to be.
    fn multi_region_key_type(&self) -> Option<&str> {
        let (primary, replica) = (Some("PRIMARY"), Some("REPLICA"));
        if self.replicated().is_some() {
            return replica;
        }
        if self.input.operation() == Operation::CreateKey {
            return primary.filter(|_| self.input.boolean(Member::MultiRegion).unwrap_or_default());
        }
        self.found?.key.multi_region_key_type()
    }

    /// Facts of the key, or for `CreateKey` and a replica of the key to be.
    fn about_key(&self, key: &ConditionKey) -> Option<Values<'_>> {
        use ConditionKey as Key;
        let creating = self.input.operation() == Operation::CreateKey;
        // A replica to be is the primary key's like.
        let found = self.found.or_else(|| self.replicated());
        let asked = |member, default| Values::one(self.input.string(member).unwrap_or(default));
        let values = match key {
            Key::KeySpec | Key::CustomerMasterKeySpec if creating => {
                let old = self.input.string(Member::CustomerMasterKeySpec).unwrap_or(KeySpec::SymmetricDefault.name());
                asked(Member::KeySpec, old)
            }
            Key::KeyUsage | Key::CustomerMasterKeyUsage if creating => {
                asked(Member::KeyUsage, KeyUsage::EncryptDecrypt.name())
            }
            Key::KeyOrigin if creating => asked(Member::Origin, Origin::AwsKms.name()),
            Key::MultiRegion if creating => {
                Values::boolean(self.input.boolean(Member::MultiRegion).unwrap_or_default())
            }
            Key::KeySpec | Key::CustomerMasterKeySpec => Values::optional(found.and_then(|found| found.key.spec())),
            Key::KeyUsage | Key::CustomerMasterKeyUsage => Values::optional(found.and_then(|found| found.key.usage())),
            Key::KeyOrigin => Values::optional(found.and_then(|found| found.key.origin())),
            Key::MultiRegion => {
                found.map_or(Values::Absent, |found| Values::boolean(found.key.arn().id().multi_region()))
            }
            Key::MultiRegionKeyType => Values::optional(self.multi_region_key_type()),
            Key::ResourceAliases => {
                Values::many(self.found.into_iter().flat_map(|found| found.key.aliases()).map(AliasName::as_str))
            }
            Key::ResourceTag(name) => {
                single(self.found.into_iter().flat_map(|found| found.key.tags().values(name.as_str())))
            }
            // Of a key, an alias or a retiring principal.
            Key::ResourceAccount => Values::optional(Arn::parse(self.resource).ok().map(|arn| arn.account)),
            _ => return None,
        };
        Some(values)
    }

    fn about_principal(&self, key: &ConditionKey) -> Option<Values<'_>> {
        use ConditionKey as Key;
        let Principal { arn, user_id, .. } = self.principal;
        let values = match key {
            Key::PrincipalArn => Values::one(arn.condition_value()),
            // AWS has it for what is done to keys alone, and so for a change of the policy of a key to be.
            Key::CallerAccount if self.found.is_none() && self.action != "kms:PutKeyPolicy" => Values::Absent,
            Key::PrincipalAccount | Key::CallerAccount => Values::owned(arn.account().to_string()),
            Key::PrincipalType => Values::one(arn.principal_type().as_str()),
            Key::UserId => Values::one(user_id),
            Key::Username => Values::optional(arn.username()),
            Key::PrincipalTag(name) => single(self.principal.tags.values(name.as_str())),
            // No service of AWS's calls here, for itself or for anybody.
            Key::PrincipalIsAwsService | Key::ViaAwsService => Values::boolean(false),
            _ => return None,
        };
        Some(values)
    }

    fn about_call(&self, key: &ConditionKey) -> Values<'_> {
        use ConditionKey as Key;
        let context = self.context;
        match key {
            Key::SourceIp => Values::owned(context.peer.ip().to_string()),
            Key::SecureTransport => Values::boolean(context.peer.tls.is_some()),
            Key::CurrentTime => Values::owned(context.received_at.iso8601().to_string()),
            Key::EpochTime => Values::owned(context.received_at.unix_seconds().to_string()),
            Key::RequestedRegion => {
                let elsewhere = self.replicated().and_then(|_| self.input.string(Member::ReplicaRegion));
                // What `UpdatePrimaryRegion` does to the replica it does where the replica is.
                let there = self.found.map_or(context.region(), |found| found.key.arn().region());
                Values::one(elsewhere.unwrap_or(there.as_str()))
            }
            Key::UserAgent => header(context.headers.get(USER_AGENT)),
            Key::Referer => header(context.headers.get(REFERER)),
            // Everything else belongs to sessions, organizations, VPCs and services of AWS's.
            _ => Values::Absent,
        }
    }
}

/// The values of a key that can have one. Two names that differ in case alone give it two, and what a condition
/// cannot decide then does not allow, and does deny.
fn single<'v>(mut values: impl Iterator<Item = &'v str>) -> Values<'v> {
    match (values.next(), values.next()) {
        (None, _) => Values::Absent,
        (Some(value), None) => Values::one(value),
        (Some(first), Some(second)) => Values::many([first, second].into_iter().chain(values)),
    }
}

/// The longest header that conditions look at, in bytes. A key's policy may compare it with thousands of patterns.
const LONGEST_HEADER: usize = 2048;

/// A header that is no text, or too long, was sent all the same: what depends on it does not allow, and does deny.
fn header(value: Option<&HeaderValue>) -> Values<'_> {
    let Some(value) = value else { return Values::Absent };
    let text = std::str::from_utf8(value.as_bytes()).ok().filter(|text| text.len() <= LONGEST_HEADER);
    text.map_or(Values::Unknown, Values::one)
}
