//! What is read of a record for showing and counting: borrowed from its line, and nothing that is not asked for.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde_json::value::RawValue;

use crate::audit::own_event::CHECKPOINT;

/// `eventSource` of what the gateway says of itself.
const GATEWAY: &str = "kmsgate";
/// `type` of a resource that is a key.
const KEY: &str = "AWS::KMS::Key";
/// What stands for the kind of policy where it was none that decided, but a limit.
const LIMITER: &str = "limiter";

/// A record.
#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record<'l> {
    #[serde(borrow)]
    user_identity: Identity<'l>,
    /// When the request came.
    #[serde(borrow)]
    pub event_time: Text<'l>,
    #[serde(borrow)]
    event_source: Text<'l>,
    /// The operation, or what happened.
    #[serde(borrow)]
    pub event_name: Text<'l>,
    /// Why it was refused or failed.
    #[serde(borrow)]
    pub error_code: Option<Text<'l>>,
    #[serde(borrow)]
    request_parameters: Option<&'l RawValue>,
    #[serde(borrow, default)]
    resources: Vec<Resource<'l>>,
    #[serde(borrow, default)]
    additional_event_data: Additional<'l>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Identity<'l> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'l>>,
    #[serde(borrow)]
    arn: Option<Text<'l>>,
    #[serde(borrow)]
    invoked_by: Option<Text<'l>>,
}

#[derive(Debug, serde::Deserialize)]
struct Resource<'l> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'l>>,
    #[serde(borrow, rename = "ARN")]
    arn: Text<'l>,
}

#[derive(Debug, Default, serde::Deserialize)]
struct Additional<'l> {
    #[serde(borrow, default)]
    gateway: Gateway<'l>,
}

#[derive(Debug, Default, serde::Deserialize)]
struct Gateway<'l> {
    #[serde(borrow, default)]
    reasons: Vec<Reason<'l>>,
    #[serde(borrow)]
    limiter: Option<Text<'l>>,
    refusals: Option<Refusals>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reason<'l> {
    #[serde(borrow)]
    decision: Text<'l>,
    #[serde(borrow)]
    layer: Option<Text<'l>>,
    #[serde(borrow)]
    policy: Option<Text<'l>>,
    #[serde(default)]
    report_only: bool,
}

/// Refusals of requests that nobody was authenticated for, counted up where there were too many to record each.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refusals {
    /// When the first of them was.
    pub from: String,
    /// When the last was.
    pub to: String,
    /// How many.
    pub count: u64,
    /// How many with each error code.
    #[serde(default)]
    pub by_error_code: BTreeMap<String, u64>,
}

/// The parameters that name keys and contexts.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parameters {
    key_id: Option<String>,
    destination_key_id: Option<String>,
    alias_name: Option<String>,
    #[serde(default)]
    encryption_context: BTreeMap<String, String>,
    #[serde(default)]
    source_encryption_context: BTreeMap<String, String>,
    #[serde(default)]
    destination_encryption_context: BTreeMap<String, String>,
}

/// A string, which is a part of the line unless something in it is escaped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text<'l>(pub Cow<'l, str>);

/// Why a request was refused, as far as the gateway decided it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused<'r> {
    /// The error code.
    pub code: &'r str,
    /// The kind of policy that decided, or `limiter`; empty if it was none of these.
    pub layer: &'r str,
    /// The policy or the limiter.
    pub policy: &'r str,
}

impl<'l> Record<'l> {
    /// The record that `line` is; `None` if it is none.
    #[must_use]
    pub fn parse(line: &'l [u8]) -> Option<Self> {
        serde_json::from_slice(line).ok()
    }

    /// Who asked: the ARN, or what is known where nobody was authenticated.
    #[must_use]
    pub fn principal(&self) -> &str {
        let Identity { kind, arn, invoked_by } = &self.user_identity;
        arn.as_ref().or(kind.as_ref()).or(invoked_by.as_ref()).map_or("-", Text::as_str)
    }

    /// The keys that it is about, each once: by their ARNs, or, where they were not found, as the caller named them.
    #[must_use]
    pub fn keys(&self) -> Vec<Cow<'_, str>> {
        let is_key = |resource: &&Resource<'_>| resource.kind.as_ref().is_none_or(|kind| kind.as_str() == KEY);
        let mut keys: Vec<Cow<'_, str>> = Vec::new();
        for resource in self.resources.iter().filter(is_key) {
            if keys.iter().all(|key| *key != resource.arn.as_str()) {
                keys.push(Cow::Borrowed(resource.arn.as_str()));
            }
        }
        if keys.is_empty() {
            keys.extend(self.named().into_iter().map(Cow::Owned).take(1));
        }
        keys
    }

    /// Every name of a key or an alias in it: what was resolved and what the caller wrote.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let resolved = self.resources.iter().map(|resource| resource.arn.as_str().to_owned());
        resolved.chain(self.named()).collect()
    }

    /// Whether an encryption context in it has `name` with `value`.
    #[must_use]
    pub fn has_context(&self, name: &str, value: &str) -> bool {
        let parameters = self.parameters();
        let contexts = [
            &parameters.encryption_context,
            &parameters.source_encryption_context,
            &parameters.destination_encryption_context,
        ];
        contexts.into_iter().any(|context| context.get(name).is_some_and(|found| found == value))
    }

    /// Why it was refused or failed, if it was.
    #[must_use]
    pub fn refused(&self) -> Option<Refused<'_>> {
        let code = self.error_code.as_ref()?.as_str();
        let Gateway { reasons, limiter, .. } = &self.additional_event_data.gateway;
        if let Some(limiter) = limiter {
            return Some(Refused { code, layer: LIMITER, policy: limiter.as_str() });
        }
        let decided = reasons.iter().find(|reason| reason.decision.as_str() != "Allow" && !reason.report_only);
        let layer = decided.and_then(|reason| reason.layer.as_ref()).map_or("", Text::as_str);
        let policy = decided.and_then(|reason| reason.policy.as_ref()).map_or("", Text::as_str);
        Some(Refused { code, layer, policy })
    }

    /// Whether the gateway tells something of itself, such as a checkpoint.
    #[must_use]
    pub fn is_of_gateway(&self) -> bool {
        self.event_source.as_str() == GATEWAY
    }

    /// Whether it is a checkpoint.
    #[must_use]
    pub fn is_checkpoint(&self) -> bool {
        self.is_of_gateway() && self.event_name.as_str() == CHECKPOINT
    }

    /// The refusals that it counts up, if it does.
    #[must_use]
    pub fn refusals(&self) -> Option<&Refusals> {
        self.additional_event_data.gateway.refusals.as_ref().filter(|_| self.is_of_gateway())
    }

    fn parameters(&self) -> Parameters {
        // Those of an unknown shape name nothing.
        self.request_parameters.and_then(|text| serde_json::from_str(text.get()).ok()).unwrap_or_default()
    }

    fn named(&self) -> Vec<String> {
        let Parameters { key_id, destination_key_id, alias_name, .. } = self.parameters();
        [key_id, destination_key_id, alias_name].into_iter().flatten().collect()
    }
}

impl Text<'_> {
    /// The string.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de: 'l, 'l> Deserialize<'de> for Text<'l> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Read)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_refusal_is_told_with_who_asked_about_what_and_what_decided() {
        let line = br#"{"userIdentity":{"type":"IAMUser","arn":"arn:aws:iam::111122223333:user/\u00e9"},
            "eventTime":"2026-11-23T18:22:41Z","eventSource":"kms.amazonaws.com","eventName":"ReEncrypt",
            "errorCode":"AccessDenied","requestParameters":{"keyId":"alias/a","destinationKeyId":"alias/b",
            "sourceEncryptionContext":{"tenant":"blue"},"policy":[1,{}]},
            "resources":[{"type":"AWS::KMS::Key","ARN":"k1"},{"type":"AWS::KMS::Key","ARN":"k2"},
                {"type":"AWS::KMS::Key","ARN":"k1"},{"type":"AWS::KMS::Alias","ARN":"a1"}],
            "additionalEventData":{"gateway":{"reasons":[{"decision":"Allow","layer":"key"},
                {"decision":"ImplicitDeny","layer":"key","reportOnly":true},
                {"decision":"ExplicitDeny","layer":"guardrail","policy":"no"}]}}}"#;
        let record = Record::parse(line).unwrap();
        assert_eq!(record.principal(), "arn:aws:iam::111122223333:user/é");
        assert_eq!(record.keys(), ["k1", "k2"]);
        assert_eq!(record.names(), ["k1", "k2", "k1", "a1", "alias/a", "alias/b"]);
        assert_eq!(record.refused(), Some(Refused { code: "AccessDenied", layer: "guardrail", policy: "no" }));
        assert!(record.has_context("tenant", "blue") && !record.has_context("tenant", "red"));
        assert!(!record.is_of_gateway());
    }

    #[test]
    fn what_is_not_known_has_a_name_too() {
        let line = br#"{"userIdentity":{"type":"Unknown"},"eventTime":"t","eventSource":"kms.amazonaws.com",
            "eventName":"Encrypt","errorCode":"ThrottlingException","requestParameters":{"keyId":"alias/a"},
            "additionalEventData":{"gateway":{"limiter":"principal"}}}"#;
        let record = Record::parse(line).unwrap();
        assert_eq!((record.principal(), record.keys()), ("Unknown", vec!["alias/a".into()]));
        let refused = Refused { code: "ThrottlingException", layer: "limiter", policy: "principal" };
        assert_eq!(record.refused(), Some(refused));
    }

    #[test]
    fn refusals_that_were_counted_up_are_the_gateways_own() {
        let line = |source: &str| {
            format!(
                r#"{{"userIdentity":{{}},"eventTime":"t","eventSource":"{source}","eventName":"UnauthenticatedRefusals",
                "additionalEventData":{{"gateway":{{"refusals":{{"from":"a","to":"b","count":3,"byErrorCode":{{"X":3}}}}}}}}}}"#
            )
        };
        let own = line("kmsgate");
        assert_eq!(Record::parse(own.as_bytes()).unwrap().refusals().unwrap().count, 3);
        assert_eq!(Record::parse(line("kms.amazonaws.com").as_bytes()).unwrap().refusals(), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_record_or_none(bytes in any::<Vec<u8>>()) {
            prop_assert!(Record::parse(&bytes).is_none());
        }
    }
}
