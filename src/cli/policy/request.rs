//! The facts of a request that is not here: those that follow from principal and resource, and those that were told.
//!
//! Architecture invariant: what a real request has a value for, and nobody told, is unknown and not absent, so that
//! nothing is said to be allowed that a gateway may refuse.

use std::borrow::Cow;

use crate::aws::{AccountId, Arn, EncryptionContext, KeyArn, Region};
use crate::clock::Timestamp;
use crate::credentials::Principal;
use crate::policy::{CaselessName, ConditionKey, RequestContext, Values};

/// What is known of a request.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    known: Vec<Fact>,
    /// It is about a key, whose store is not open.
    about_key: bool,
    /// What was sent is not known, beyond what is told.
    vague: bool,
}

#[derive(Clone, Debug)]
struct Fact {
    key: ConditionKey,
    /// The key's name as the request spells it.
    written: String,
    said: Said,
}

/// What is said of a condition key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// The request has these values; none at all is absent.
    Values(Vec<String>),
    /// It is not known.
    Unknown,
}

/// `true` or `false`.
pub(super) fn boolean(value: bool) -> Said {
    one(if value { "true" } else { "false" })
}

/// One value.
pub(super) fn one(value: impl Into<String>) -> Said {
    Said::Values(vec![value.into()])
}

/// One value, or absent.
pub(super) fn optional(value: Option<&str>) -> Said {
    Said::Values(value.into_iter().map(str::to_owned).collect())
}

impl Facts {
    /// What follows from who asks, for what, and when; `region` is the one asked where there is no resource.
    pub(super) fn new(principal: &Principal, resource: &str, region: Option<&Region>, at: &str) -> Self {
        use ConditionKey as Key;
        let key: Option<KeyArn> = resource.parse().ok();
        let mut facts = Self { known: Vec::new(), about_key: key.is_some(), vague: false };
        let account = principal.arn.account();
        facts.set(Key::PrincipalArn, one(principal.arn.condition_value()));
        facts.set(Key::PrincipalAccount, one(account.as_str()));
        facts.set(Key::PrincipalType, one(principal.arn.principal_type().as_str()));
        facts.set(Key::UserId, one(&*principal.user_id));
        facts.set(Key::Username, optional(principal.arn.username()));
        for (name, value) in principal.tags.iter() {
            facts.set_written(
                Key::PrincipalTag(CaselessName::new(name)),
                &format!("aws:PrincipalTag/{name}"),
                one(value),
            );
        }
        // No service of AWS's calls a gateway, for itself or for anybody.
        facts.set(Key::PrincipalIsAwsService, boolean(false));
        facts.set(Key::ViaAwsService, boolean(false));
        facts.at(at);
        let arn = Arn::parse(resource).ok();
        let region = arn.map(|arn| arn.region).or(region.map(Region::as_str));
        facts.set(Key::RequestedRegion, region.map_or(Said::Unknown, one));
        facts.set(Key::ResourceAccount, optional(arn.map(|arn| arn.account)));
        if let Some(key) = key {
            facts.about(&key, account);
        }
        facts
    }

    /// What a key's ARN says of it.
    fn about(&mut self, key: &KeyArn, caller: AccountId) {
        self.set(ConditionKey::CallerAccount, one(caller.as_str()));
        let multi_region = key.id().multi_region();
        self.set(ConditionKey::MultiRegion, boolean(multi_region));
        if !multi_region {
            self.set(ConditionKey::MultiRegionKeyType, optional(None));
        }
    }

    /// When it was asked, as `2026-11-23T18:22:41Z`.
    fn at(&mut self, time: &str) {
        self.set(ConditionKey::CurrentTime, one(time));
        let basic: String = time.chars().filter(|c| !"-:".contains(*c)).collect();
        let epoch = Timestamp::parse_basic(&basic).map(|time| time.unix_seconds().to_string());
        self.set(ConditionKey::EpochTime, epoch.map_or(Said::Unknown, one));
    }

    /// The pairs that are sent.
    pub(super) fn encryption_context(&mut self, context: &EncryptionContext) {
        for (name, value) in context.iter() {
            let written = format!("kms:EncryptionContext:{name}");
            self.add(&ConditionKey::EncryptionContext(CaselessName::new(name)), &written, value);
            self.add(&ConditionKey::EncryptionContextKeys, "kms:EncryptionContextKeys", name);
        }
    }

    /// What was sent is not known: what nobody tells may have been there.
    pub(super) const fn set_vague(&mut self) {
        self.vague = true;
    }

    /// Says what the request has for `key`, in the place of what was said before.
    pub(super) fn set(&mut self, key: ConditionKey, said: Said) {
        let written = key.to_string();
        self.set_written(key, &written, said);
    }

    /// As [`Self::set`], with the name as the request spells it.
    pub(super) fn set_written(&mut self, key: ConditionKey, written: &str, said: Said) {
        self.known.retain(|fact| fact.key != key);
        self.known.push(Fact { key, written: written.to_owned(), said });
    }

    /// Adds a value: two tags whose names differ in case are two values of one key.
    pub(super) fn add(&mut self, key: &ConditionKey, written: &str, value: &str) {
        if let Some(Fact { said: Said::Values(values), .. }) = self.known.iter_mut().find(|fact| fact.key == *key) {
            values.push(value.to_owned());
        } else {
            self.set_written(key.clone(), written, one(value));
        }
    }

    /// The key's name as the request spells it, or as policies have it.
    pub(super) fn written(&self, key: &ConditionKey) -> String {
        self.known.iter().find(|fact| fact.key == *key).map_or_else(|| key.to_string(), |fact| fact.written.clone())
    }
}

impl RequestContext for Facts {
    fn values(&self, key: &ConditionKey) -> Values<'_> {
        match self.known.iter().find(|fact| fact.key == *key).map(|fact| &fact.said) {
            Some(Said::Unknown) => Values::Unknown,
            Some(Said::Values(values)) => match values.as_slice() {
                [] => Values::Absent,
                [one] => Values::one(one),
                many => Values::Many(many.iter().map(|value| Cow::Borrowed(value.as_str())).collect()),
            },
            None if self.vague || of_every_call(key) || (self.about_key && of_every_key(key)) => Values::Unknown,
            None => Values::Absent,
        }
    }
}

/// What a gateway sees of every call.
const fn of_every_call(key: &ConditionKey) -> bool {
    matches!(
        key,
        ConditionKey::SourceIp | ConditionKey::SecureTransport | ConditionKey::UserAgent | ConditionKey::Referer
    )
}

/// What a store knows of its keys.
const fn of_every_key(key: &ConditionKey) -> bool {
    use ConditionKey as Key;
    matches!(
        key,
        Key::KeySpec
            | Key::KeyUsage
            | Key::KeyOrigin
            | Key::CustomerMasterKeySpec
            | Key::CustomerMasterKeyUsage
            | Key::MultiRegionKeyType
            | Key::ResourceAliases
            | Key::ResourceTag(_)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::Tags;
    use crate::policy::condition_key;

    const KEY: &str = "arn:aws:kms:eu-west-1:444455556666:key/1234abcd-12ab-34cd-56ef-1234567890ab";

    fn facts(resource: &str) -> Facts {
        let arn = "arn:aws:sts::111122223333:assumed-role/orders/pod-1".parse().unwrap();
        let tags: Tags = [("Team", "blue")].into_iter().collect();
        let principal = Principal::new(arn, "AROAEXAMPLE12345", tags, Vec::new());
        Facts::new(&principal, resource, None, "2026-11-23T18:22:41Z")
    }

    #[track_caller]
    fn assert_has(facts: &Facts, name: &str, expected: Option<&str>) {
        let expected = expected.map_or(Values::Absent, Values::one);
        assert_eq!(facts.values(&condition_key(name).unwrap()), expected, "{name}");
    }

    #[test]
    fn what_follows_from_principal_and_key_is_known() {
        let facts = facts(KEY);
        for (name, expected) in [
            ("aws:PrincipalArn", Some("arn:aws:iam::111122223333:role/orders")),
            ("aws:PrincipalAccount", Some("111122223333")),
            ("aws:PrincipalType", Some("AssumedRole")),
            ("aws:userid", Some("AROAEXAMPLE12345:pod-1")),
            ("aws:username", None),
            ("aws:PrincipalTag/TEAM", Some("blue")),
            ("aws:PrincipalTag/other", None),
            ("aws:ViaAWSService", Some("false")),
            ("kms:CallerAccount", Some("111122223333")),
            ("kms:MultiRegion", Some("false")),
            ("kms:MultiRegionKeyType", None),
            ("aws:ResourceAccount", Some("444455556666")),
            ("aws:RequestedRegion", Some("eu-west-1")),
            ("aws:CurrentTime", Some("2026-11-23T18:22:41Z")),
            ("aws:EpochTime", Some("1795458161")),
            ("kms:EncryptionContextKeys", None),
        ] {
            assert_has(&facts, name, expected);
        }
        assert_eq!(facts.written(&condition_key("aws:principaltag/team").unwrap()), "aws:PrincipalTag/Team");
    }

    #[test]
    fn what_only_a_real_request_or_the_store_says_is_not_known_until_it_is_told() {
        let mut facts = facts(KEY);
        for name in ["aws:SourceIp", "kms:KeySpec", "aws:ResourceTag/Tier", "kms:ResourceAliases"] {
            let key = condition_key(name).unwrap();
            assert_eq!(facts.values(&key), Values::Unknown, "{name}");
            facts.add(&key, name, "x");
            assert_has(&facts, name, Some("x"));
        }
        facts.set(ConditionKey::KeySpec, optional(None));
        assert_has(&facts, "kms:KeySpec", None);
    }

    #[test]
    fn what_is_about_no_key_has_no_facts_of_one() {
        let facts = facts("*");
        for name in ["kms:KeySpec", "aws:ResourceTag/Tier", "kms:CallerAccount", "aws:ResourceAccount"] {
            assert_has(&facts, name, None);
        }
        assert_eq!(facts.values(&ConditionKey::RequestedRegion), Values::Unknown);
    }

    #[test]
    fn pairs_whose_keys_differ_in_case_are_two_values() {
        let mut facts = facts(KEY);
        let pairs = [("Team", "a"), ("team", "b")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        facts.encryption_context(&EncryptionContext::from_pairs(pairs.into()).unwrap());
        let key = condition_key("kms:EncryptionContext:TEAM").unwrap();
        assert_eq!(facts.values(&key), Values::many(["a", "b"]));
        assert_eq!(facts.values(&ConditionKey::EncryptionContextKeys), Values::many(["Team", "team"]));
        assert_eq!(facts.written(&key), "kms:EncryptionContext:Team");
    }
}
