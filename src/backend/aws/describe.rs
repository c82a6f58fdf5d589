//! Asks an upstream about a key: `DescribeKey`, and `ListResourceTags` and `ListAliases` where policies ask for more.

use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use serde::Deserialize;
use serde_json::json;

use super::look_ups::{NotKnown, Outcome};
use super::{AwsBackend, Call, Fault, KeyView, Metadata};
use crate::aws::{AliasName, KeyArn, Operation, Tags};
use crate::kms::{ErrorClass, Exception, ExceptionKind, UpstreamAnswer};
use crate::limits::Subject;
use crate::policy::KeyFacts;

/// Of what an upstream says is kept up to so many characters; KMS's texts have some hundred.
const LONGEST_TEXT: usize = 1000;
/// A key has at most 50 tags and 50 aliases; a page has 50 by default.
const MOST_PAGES: usize = 10;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Described {
    key_metadata: KeyMetadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct KeyMetadata {
    arn: String,
    #[serde(default)]
    key_spec: Option<Box<str>>,
    #[serde(default)]
    customer_master_key_spec: Option<Box<str>>,
    #[serde(default)]
    key_usage: Option<Box<str>>,
    #[serde(default)]
    origin: Option<Box<str>>,
    #[serde(default)]
    multi_region_configuration: Option<MultiRegionConfiguration>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MultiRegionConfiguration {
    #[serde(default)]
    multi_region_key_type: Option<Box<str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TagPage {
    tags: Vec<Tag>,
    #[serde(default)]
    next_marker: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    tag_key: String,
    tag_value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AliasPage {
    aliases: Vec<Alias>,
    #[serde(default)]
    next_marker: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Alias {
    alias_name: String,
}

impl AwsBackend {
    /// The key that `name`, an id or an alias, leads to at an upstream.
    pub(super) async fn describe(&self, upstream: usize, name: &str, facts: KeyFacts, charged: Subject) -> Outcome {
        let asker = Asker { backend: self, upstream, charged };
        let Described { key_metadata } = asker.ask(Operation::DescribeKey, &json!({"KeyId": name})).await?;
        let arn: KeyArn = key_metadata.arn.parse().map_err(|_| not_kms("its Arn is no key ARN"))?;
        if self.upstream(arn.region(), arn.account()) != Some(upstream) {
            let told = "the upstream's keys are of another account or region than it is configured for";
            return Err(NotKnown::Denied(format!("{told}: {}", arn.as_str()).into()));
        }
        let mut key = KeyView::looked_up(arn, facts);
        if facts.metadata {
            key.metadata = Some(key_metadata.try_into()?);
        }
        if facts.tags {
            key.tags = asker.tags(&key.arn).await?;
        }
        if facts.aliases {
            key.aliases = asker.aliases(&key.arn).await?;
        }
        Ok(Arc::new(key))
    }
}

impl TryFrom<KeyMetadata> for Metadata {
    type Error = NotKnown;

    fn try_from(described: KeyMetadata) -> Result<Self, NotKnown> {
        let KeyMetadata { key_spec, customer_master_key_spec, key_usage, origin, multi_region_configuration, .. } =
            described;
        let absent = || not_kms("it does not describe the key");
        Ok(Self {
            spec: key_spec.or(customer_master_key_spec).ok_or_else(absent)?,
            usage: key_usage.ok_or_else(absent)?,
            origin: origin.ok_or_else(absent)?,
            multi_region_key_type: multi_region_configuration.and_then(|keys| keys.multi_region_key_type),
        })
    }
}

/// Whom to ask, and on whose account.
struct Asker<'b> {
    backend: &'b AwsBackend,
    upstream: usize,
    charged: Subject,
}

impl Asker<'_> {
    async fn tags(&self, key: &KeyArn) -> Result<Tags, NotKnown> {
        let mut all = Vec::new();
        let mut body = json!({"KeyId": key.as_str()});
        for _ in 0..MOST_PAGES {
            let page: TagPage = self.ask(Operation::ListResourceTags, &body).await?;
            all.extend(page.tags.into_iter().map(|tag| (tag.tag_key, tag.tag_value)));
            let Some(marker) = page.next_marker else { return Ok(all.into_iter().collect()) };
            body = json!({"KeyId": key.as_str(), "Marker": marker});
        }
        Err(not_kms("its list of tags does not end"))
    }

    async fn aliases(&self, key: &KeyArn) -> Result<Box<[AliasName]>, NotKnown> {
        let mut all: Vec<AliasName> = Vec::new();
        let mut body = json!({"KeyId": key.as_str()});
        for _ in 0..MOST_PAGES {
            let page: AliasPage = self.ask(Operation::ListAliases, &body).await?;
            for alias in page.aliases {
                all.push(alias.alias_name.parse().map_err(|_| not_kms("it lists an alias without a name"))?);
            }
            let Some(marker) = page.next_marker else { return Ok(all.into()) };
            body = json!({"KeyId": key.as_str(), "Marker": marker});
        }
        Err(not_kms("its list of aliases does not end"))
    }

    /// One question, whose answer is read as `T`.
    async fn ask<T: for<'a> Deserialize<'a>>(
        &self,
        operation: Operation,
        body: &serde_json::Value,
    ) -> Result<T, NotKnown> {
        let call = Call::own(operation, body.to_string().into(), self.charged);
        self.backend.call(self.upstream, &call, read).await?.read
    }
}

fn read<T: for<'a> Deserialize<'a>>(answer: &UpstreamAnswer<'_>, response: &Response<Bytes>) -> Result<T, NotKnown> {
    let UpstreamAnswer::Failure(failure) = answer else {
        return serde_json::from_slice(response.body()).map_err(|_| not_kms("it lacks members that it must have"));
    };
    let message: String = failure.message.as_deref().unwrap_or_default().chars().take(LONGEST_TEXT).collect();
    Err(match failure.class() {
        ErrorClass::AccessDenied => NotKnown::Denied(message.into()),
        ErrorClass::Throttling => NotKnown::Fault(Fault::Throttled),
        ErrorClass::ServerFault => NotKnown::Fault(Fault::Broken(failure.name.as_ref().into())),
        _ => match ExceptionKind::from_name(&failure.name) {
            Some(kind) => NotKnown::Refused(Exception::new(kind, message)),
            None => not_kms(format!("it refuses a look-up: {}", failure.name)),
        },
    })
}

fn not_kms(reason: impl Into<Arc<str>>) -> NotKnown {
    NotKnown::Fault(Fault::NotKms(reason.into()))
}
