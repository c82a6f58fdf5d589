//! From the record of a request to what the policies were asked: each permission on its resource, and the facts.
//!
//! What a record does not hold of a request stays unknown.

use serde_json::{Map, Value};

use super::judge::Question;
use super::records::Record;
use super::request::{Facts, Said, boolean, one, optional};
use crate::aws::{EncryptionContext, Member, Operation, Region, Resource};
use crate::backend::local::{
    DEFAULT_EXPIRATION_MODEL, DEFAULT_PENDING_WINDOW_DAYS, DEFAULT_ROTATION_PERIOD_DAYS, KeySpec, KeyUsage, Origin,
};
use crate::credentials::Principal;
use crate::policy::{CaselessName, ConditionKey};

/// One permission that a recorded request needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Needed<'r> {
    /// `kms:ReEncryptFrom`
    pub(super) action: &'static str,
    /// An ARN, or `*`.
    pub(super) resource: &'r str,
    /// The parameter that names the key, if there is one.
    named_by: Option<Member>,
}

/// The operation of a record.
pub(super) fn operation(record: &Record) -> Option<Operation> {
    Operation::ALL.iter().copied().find(|operation| operation.name() == record.event_name)
}

/// What a recorded request needed, in the order in which it is judged; `None` if the record does not say on which
/// resources.
pub(super) fn needed(record: &Record, operation: Operation) -> Option<Vec<Needed<'_>>> {
    let (aliases, keys): (Vec<&str>, Vec<&str>) =
        record.resources.iter().map(|resource| resource.arn.as_str()).partition(|arn| arn.contains(":alias/"));
    let (source, main) = match (keys.as_slice(), operation.source()) {
        ([source, main, ..], Some(_)) => (Some(*source), Some(*main)),
        ([main, ..], _) => (None, Some(*main)),
        ([], _) => (None, None),
    };
    let mut all = Vec::new();
    for permission in operation.permissions() {
        let (resource, named_by) = match permission.resource {
            // What is listed is a principal's, and `*` in policies.
            Resource::Any if operation == Operation::ListRetirableGrants => {
                (record.parameter(Member::RetiringPrincipal.camel()).as_str().unwrap_or("*"), None)
            }
            Resource::Any => ("*", None),
            Resource::Alias => (*aliases.first()?, None),
            // Without such a replica there was nothing to judge.
            Resource::Key(Member::PrimaryRegion) if source.is_none() => continue,
            Resource::Key(member) if operation.source() == Some(member) => (source?, Some(member)),
            Resource::Key(member) => (main?, Some(member)),
        };
        all.push(Needed { action: permission.action, resource, named_by });
    }
    if operation.makes_key() && record.parameter("tags").as_array().is_some_and(|tags| !tags.is_empty()) {
        // The key had no ARN yet.
        all.push(Needed { action: "kms:TagResource", resource: "*", named_by: None });
    }
    Some(all)
}

/// Whether an action sees an encryption context.
pub(super) fn has_context(action: &str) -> bool {
    context_member(action).is_some()
}

/// Whether an action sees one, be it that of a grant's constraints.
pub(super) fn takes_context(action: &str) -> bool {
    has_context(action) || ["kms:CreateGrant", "kms:RetireGrant"].contains(&action)
}

const fn context_names() -> [(&'static str, &'static str); 8] {
    let own = "encryptionContext";
    [
        ("kms:Encrypt", own),
        ("kms:Decrypt", own),
        ("kms:GenerateDataKey", own),
        ("kms:GenerateDataKeyWithoutPlaintext", own),
        ("kms:GenerateDataKeyPair", own),
        ("kms:GenerateDataKeyPairWithoutPlaintext", own),
        ("kms:ReEncryptFrom", "sourceEncryptionContext"),
        ("kms:ReEncryptTo", "destinationEncryptionContext"),
    ]
}

fn context_member(action: &str) -> Option<&'static str> {
    context_names().into_iter().find(|(name, _)| *name == action).map(|(_, member)| member)
}

/// The encryption context that an action saw; `None` if the record does not hold it.
pub(super) fn context(record: &Record, action: &str) -> Option<EncryptionContext> {
    if record.parameters_are_omitted() {
        return None;
    }
    let pairs = context_member(action).and_then(|member| record.parameter(member).as_object());
    context_of(pairs)
}

fn context_of(pairs: Option<&Map<String, Value>>) -> Option<EncryptionContext> {
    let pair = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
    let pairs: Option<Vec<_>> = pairs.into_iter().flatten().map(pair).collect();
    EncryptionContext::from_pairs(pairs?).ok()
}

impl Needed<'_> {
    /// The question that this was, with the facts that the record holds.
    pub(super) fn question(&self, record: &Record, operation: Operation, principal: &Principal) -> Question {
        let region: Option<Region> = record.aws_region.parse().ok();
        let facts = Facts::new(principal, self.resource, region.as_ref(), &record.event_time);
        let mut told = Told { record, operation, needed: self, facts };
        told.of_the_call();
        if record.parameters_are_omitted() {
            told.facts.set_vague();
        } else {
            told.of_the_context();
            told.of_the_parameters();
            told.of_tags();
            told.of_the_key_to_be();
            told.of_a_grant();
        }
        Question { action: self.action.to_owned(), resource: self.resource.to_owned(), facts: told.facts }
    }
}

/// Puts together the facts of one question.
struct Told<'r> {
    record: &'r Record,
    operation: Operation,
    needed: &'r Needed<'r>,
    facts: Facts,
}

impl Told<'_> {
    fn text(&self, name: &str) -> Option<&str> {
        self.record.parameter(name).as_str()
    }

    /// A parameter of whatever type, or its default.
    fn scalar(&self, name: &str, default: &impl ToString) -> Said {
        match self.record.parameter(name) {
            Value::Null => one(default.to_string()),
            Value::String(text) => one(text.as_str()),
            other => one(other.to_string()),
        }
    }

    fn of_the_call(&mut self) {
        let Record { source_ip_address, user_agent, tls_details, .. } = self.record;
        self.facts.set(ConditionKey::SourceIp, one(source_ip_address));
        self.facts.set(ConditionKey::SecureTransport, boolean(tls_details.is_some()));
        self.facts.set(ConditionKey::UserAgent, optional(user_agent.as_deref()));
        // A replica is made where it will be.
        if self.operation == Operation::ReplicateKey && self.needed.resource == "*" {
            let region = self.text("replicaRegion").map_or(Said::Unknown, one);
            self.facts.set(ConditionKey::RequestedRegion, region);
        }
    }

    fn of_the_context(&mut self) {
        if let Some(context) = context(self.record, self.needed.action) {
            self.facts.encryption_context(&context);
        }
        let member = match self.needed.action {
            "kms:ReEncryptFrom" => "sourceEncryptionAlgorithm",
            "kms:ReEncryptTo" => "destinationEncryptionAlgorithm",
            _ => "encryptionAlgorithm",
        };
        if has_context(self.needed.action) {
            self.facts.set(ConditionKey::EncryptionAlgorithm, self.scalar(member, &"SYMMETRIC_DEFAULT"));
        }
    }

    fn of_the_parameters(&mut self) {
        use ConditionKey as Key;
        for (key, member) in [
            (Key::DataKeyPairSpec, Member::KeyPairSpec),
            (Key::WrappingAlgorithm, Member::WrappingAlgorithm),
            (Key::WrappingKeySpec, Member::WrappingKeySpec),
            (Key::PrimaryRegion, Member::PrimaryRegion),
            (Key::ReplicaRegion, Member::ReplicaRegion),
        ] {
            self.facts.set(key, optional(self.text(member.camel())));
        }
        if self.operation.accepts_alias() {
            let named = self.needed.named_by.and_then(|member| self.text(member.camel()));
            let alias = named.and_then(|named| named.find("alias/").and_then(|at| named.get(at..)));
            self.facts.set(Key::RequestAlias, optional(alias));
        }
        match self.operation {
            Operation::ReEncrypt => {
                let same = matches!(self.record.resources.as_slice(), [from, to, ..] if from.arn == to.arn);
                self.facts.set(Key::ReEncryptOnSameKey, boolean(same));
            }
            Operation::EnableKeyRotation => {
                let days = self.scalar(Member::RotationPeriodInDays.camel(), &DEFAULT_ROTATION_PERIOD_DAYS);
                self.facts.set(Key::RotationPeriodInDays, days);
            }
            Operation::ScheduleKeyDeletion => {
                let days = self.scalar(Member::PendingWindowInDays.camel(), &DEFAULT_PENDING_WINDOW_DAYS);
                self.facts.set(Key::ScheduleKeyDeletionPendingWindowInDays, days);
            }
            Operation::ImportKeyMaterial => {
                let model = self.scalar(Member::ExpirationModel.camel(), &DEFAULT_EXPIRATION_MODEL);
                self.facts.set(Key::ExpirationModel, model);
                // CloudTrail spells a date in a way that no policy compares with.
                let valid_to = self.text(Member::ValidTo.camel()).map_or(optional(None), |_| Said::Unknown);
                self.facts.set(Key::ValidTo, valid_to);
            }
            Operation::CreateKey | Operation::PutKeyPolicy | Operation::ReplicateKey => {
                let bypass = self.scalar(Member::BypassPolicyLockoutSafetyCheck.camel(), &false);
                self.facts.set(Key::BypassPolicyLockoutSafetyCheck, bypass);
            }
            _ => {}
        }
    }

    fn of_tags(&mut self) {
        for tag in self.record.parameter("tags").as_array().into_iter().flatten() {
            let part = |name: &str| tag.get(name).and_then(Value::as_str);
            if let (Some(name), Some(value)) = (part("tagKey"), part("tagValue")) {
                let key = ConditionKey::RequestTag(CaselessName::new(name));
                self.facts.add(&key, &format!("aws:RequestTag/{name}"), value);
                self.facts.add(&ConditionKey::TagKeys, "aws:TagKeys", name);
            }
        }
        for name in self.record.parameter("tagKeys").as_array().into_iter().flatten().filter_map(Value::as_str) {
            self.facts.add(&ConditionKey::TagKeys, "aws:TagKeys", name);
        }
    }

    /// What `CreateKey` asks for; a replica is its primary's like, of which nothing is known here.
    fn of_the_key_to_be(&mut self) {
        use ConditionKey as Key;
        match self.operation {
            Operation::CreateKey => {
                let spec = self.scalar("customerMasterKeySpec", &KeySpec::SymmetricDefault.name());
                let spec = self.text("keySpec").map_or(spec, one);
                let usage = self.scalar("keyUsage", &KeyUsage::EncryptDecrypt.name());
                let multi_region = self.record.parameter("multiRegion").as_bool().unwrap_or_default();
                self.facts.set(Key::CustomerMasterKeySpec, spec.clone());
                self.facts.set(Key::KeySpec, spec);
                self.facts.set(Key::CustomerMasterKeyUsage, usage.clone());
                self.facts.set(Key::KeyUsage, usage);
                self.facts.set(Key::KeyOrigin, self.scalar("origin", &Origin::AwsKms.name()));
                self.facts.set(Key::MultiRegion, boolean(multi_region));
                self.facts.set(Key::MultiRegionKeyType, optional(multi_region.then_some("PRIMARY")));
            }
            Operation::ReplicateKey if self.needed.resource == "*" => {
                for key in [Key::KeySpec, Key::CustomerMasterKeySpec, Key::KeyUsage, Key::CustomerMasterKeyUsage] {
                    self.facts.set(key, Said::Unknown);
                }
                self.facts.set(Key::KeyOrigin, Said::Unknown);
                self.facts.set(Key::MultiRegion, boolean(true));
                self.facts.set(Key::MultiRegionKeyType, one("REPLICA"));
            }
            _ => {}
        }
    }

    fn of_a_grant(&mut self) {
        use ConditionKey as Key;
        match self.operation {
            Operation::CreateGrant => {}
            Operation::ListGrants | Operation::RevokeGrant => {
                return self.facts.set(Key::GrantIsForAwsResource, boolean(false));
            }
            // What the grant's constraint wants is in the store.
            Operation::RetireGrant => return self.facts.set_vague(),
            _ => return,
        }
        let operations = self.record.parameter("operations").as_array().into_iter().flatten().filter_map(Value::as_str);
        let operations = operations.map(str::to_owned).collect();
        self.facts.set(Key::GrantOperations, Said::Values(operations));
        self.facts.set(Key::GranteePrincipal, optional(self.text("granteePrincipal")));
        self.facts.set(Key::RetiringPrincipal, optional(self.text("retiringPrincipal")));
        self.facts.set(Key::GrantIsForAwsResource, boolean(false));
        for (member, name) in [
            ("encryptionContextEquals", "EncryptionContextEquals"),
            ("encryptionContextSubset", "EncryptionContextSubset"),
        ] {
            let pairs = self.record.parameter("constraints").get(member).and_then(Value::as_object);
            if let Some(context) = pairs.and_then(|pairs| context_of(Some(pairs))) {
                self.facts.add(&Key::GrantConstraintType, "kms:GrantConstraintType", name);
                self.facts.encryption_context(&context);
            }
        }
    }
}

#[cfg(test)]
mod tests;
