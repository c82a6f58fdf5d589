//! `CreateKey` and the changes of a key's state, planned.

use std::time::Duration;

use super::changes::Edit;
use super::describe::metadata;
use super::directory::Directory;
use super::key::{ENCRYPTION_ALGORITHM, KEY_ORIGIN, KEY_SPEC, KEY_USAGE, KeyState, KeyView};
use super::material::KeyMaterial;
use super::records::Records;
use super::{Keys, Site};
use crate::aws::{KeyArn, KeyId, Member, Tags};
use crate::clock::Timestamp;
use crate::kms::{Answer, Exception, Input, JsonObject};
use crate::limits::Subject;
use crate::random::{self, Exhausted};

/// `PendingWindowInDays` when it is not sent.
pub const DEFAULT_PENDING_WINDOW_DAYS: i64 = 30;
/// What the service takes, narrower than its model (API reference, `ScheduleKeyDeletion`).
const SHORTEST_PENDING_WINDOW_DAYS: i64 = 7;
/// AWS's quotas.
const MOST_KEYS: usize = 100_000;
const MOST_TAGS: usize = 50;
const DAY: Duration = Duration::from_hours(24);

/// Plans the key that `CreateKey` asks for.
pub(super) fn create(
    site: &Site,
    records: &Records,
    directory: &Directory,
    input: &Input,
    now: Timestamp,
) -> Result<(Edit, Answer), Exception> {
    served(input, &default_policy(site))?;
    let tags = tags(input)?;
    if directory.keys.len() >= MOST_KEYS {
        // KMS's text is not recorded.
        return Err(Exception::limit_exceeded(format!("{MOST_KEYS} keys are there, which is the quota.")));
    }
    let description = input.string(Member::Description).unwrap_or_default();
    let key = new_key(site, records, description, tags, now)?;
    let answer = JsonObject::with_capacity(1024).object("KeyMetadata", metadata(&key)).finish();
    let elements = response_elements(&key);
    let answer = Answer { response_elements: Some(elements), created: Some((&key.arn).into()), ..Answer::new(answer) };
    Ok((Edit::Key(key), answer))
}

/// A new key with material of its own.
pub(super) fn new_key(
    site: &Site,
    records: &Records,
    description: &str,
    tags: Tags,
    now: Timestamp,
) -> Result<KeyView, Exhausted> {
    let id: KeyId = random::uuid()?.parse().map_err(|_| Exhausted)?;
    let arn = KeyArn::new(&site.region, site.account, id);
    let sealer = records.sealer(&arn, KeyMaterial::generate()?);
    let (state, quota) = (KeyState::Enabled, Subject::of(arn.as_str()));
    Ok(KeyView { arn, created: now, description: description.into(), state, tags, aliases: Vec::new(), quota, sealer })
}

/// Plans `EnableKey` and `DisableKey`.
pub(super) fn switch(directory: &Directory, keys: &Keys, state: KeyState) -> Result<(Edit, Answer), Exception> {
    let key = super::current(directory, keys)?;
    match key.state {
        KeyState::PendingDeletion(_) => Err(pending(key)),
        same if same == state => Ok((Edit::Nothing, Answer::empty())),
        _ => Ok((Edit::Key(KeyView { state, ..KeyView::clone(key) }), Answer::empty())),
    }
}

/// Plans `ScheduleKeyDeletion`.
pub(super) fn schedule_deletion(
    directory: &Directory,
    input: &Input,
    keys: &Keys,
    now: Timestamp,
) -> Result<(Edit, Answer), Exception> {
    let days = pending_window(input)?;
    let key = super::current(directory, keys)?;
    if let KeyState::PendingDeletion(_) = key.state {
        return Err(pending(key));
    }
    let date = now.plus(DAY * u32::try_from(days).unwrap_or_default());
    let state = KeyState::PendingDeletion(date);
    let body = || {
        JsonObject::with_capacity(256)
            .timestamp("DeletionDate", date)
            .text("KeyId", key.arn.as_str())
            .text("KeyState", state.name())
            .integer("PendingWindowInDays", days)
    };
    let recorded = JsonObject::with_capacity(256)
        .text("keyId", key.arn.as_str())
        .text("deletionDate", &date.iso8601().to_string())
        .text("keyState", state.name())
        .integer("pendingWindowInDays", days);
    let answer = Answer { response_elements: Some(recorded.finish_string()), ..Answer::new(body().finish()) };
    Ok((Edit::Key(KeyView { state, ..KeyView::clone(key) }), answer))
}

/// Plans `CancelKeyDeletion`.
pub(super) fn cancel_deletion(directory: &Directory, keys: &Keys) -> Result<(Edit, Answer), Exception> {
    let key = super::current(directory, keys)?;
    let arn = key.arn.as_str();
    if key.state.deletion_date().is_none() {
        return Err(Exception::invalid_state(arn, "not pending deletion"));
    }
    let recorded = JsonObject::with_capacity(128).text("keyId", arn).finish_string();
    let body = JsonObject::with_capacity(128).text("KeyId", arn).finish();
    let answer = Answer { response_elements: Some(recorded), ..Answer::new(body) };
    Ok((Edit::Key(KeyView { state: KeyState::Disabled, ..KeyView::clone(key) }), answer))
}

fn pending(key: &KeyView) -> Exception {
    Exception::invalid_state(key.arn.as_str(), "pending deletion")
}

/// The text for a window that the model allows and the service does not is not recorded from KMS.
fn pending_window(input: &Input) -> Result<i64, Exception> {
    let days = input.integer(Member::PendingWindowInDays).unwrap_or(DEFAULT_PENDING_WINDOW_DAYS);
    let bound = match days {
        _ if days < SHORTEST_PENDING_WINDOW_DAYS => format!("greater than or equal to {SHORTEST_PENDING_WINDOW_DAYS}"),
        _ if days > DEFAULT_PENDING_WINDOW_DAYS => format!("less than or equal to {DEFAULT_PENDING_WINDOW_DAYS}"),
        _ => return Ok(days),
    };
    Err(Exception::validation(format!(
        "1 validation error detected: Value '{days}' at 'pendingWindowInDays' failed to satisfy constraint: Member must \
         have value {bound}"
    )))
}

/// Refuses what contradicts itself in KMS's words, and what is not served in ours.
fn served(input: &Input, default_policy: &serde_json::Value) -> Result<(), Exception> {
    if input.string(Member::KeySpec).is_some() && input.string(Member::CustomerMasterKeySpec).is_some() {
        // KMS's text is not recorded.
        return Err(Exception::validation("KeySpec and CustomerMasterKeySpec may not be sent together."));
    }
    let spec =
        input.string(Member::KeySpec).or_else(|| input.string(Member::CustomerMasterKeySpec)).unwrap_or(KEY_SPEC);
    let usage = input.string(Member::KeyUsage);
    if spec != KEY_SPEC && usage.is_none() {
        return Err(Exception::usage_required());
    }
    let usage = usage.unwrap_or(KEY_USAGE);
    if !fits(spec, usage) {
        return Err(Exception::usage_and_spec(usage, spec));
    }
    let asked = |member| input.boolean(member).unwrap_or_default();
    let what = if spec != KEY_SPEC {
        "Keys of other specs than SYMMETRIC_DEFAULT are"
    } else if input.string(Member::Origin).is_some_and(|origin| origin != KEY_ORIGIN) {
        "Key material of other origins than AWS_KMS is"
    } else if input.string(Member::CustomKeyStoreId).is_some() || input.string(Member::XksKeyId).is_some() {
        "Custom key stores are"
    } else if asked(Member::MultiRegion) {
        "Multi-Region keys are"
    } else if input.string(Member::Policy).is_some_and(|policy| !is(policy, default_policy)) {
        "Key policies other than the default one are"
    } else {
        return Ok(());
    };
    Err(Exception::unsupported(format!("{what} not served by this version of kmsgate's local backend.")))
}

/// Whether a key of that spec can have that usage (developer guide, "Key spec reference").
fn fits(spec: &str, usage: &str) -> bool {
    match spec {
        KEY_SPEC => usage == KEY_USAGE,
        _ if spec.starts_with("RSA_") => [KEY_USAGE, "SIGN_VERIFY"].contains(&usage),
        "ECC_NIST_P256" | "ECC_NIST_P384" | "ECC_NIST_P521" => ["SIGN_VERIFY", "KEY_AGREEMENT"].contains(&usage),
        "SM2" => [KEY_USAGE, "SIGN_VERIFY", "KEY_AGREEMENT"].contains(&usage),
        _ if spec.starts_with("HMAC_") => usage == "GENERATE_VERIFY_MAC",
        _ => usage == "SIGN_VERIFY",
    }
}

fn is(policy: &str, default: &serde_json::Value) -> bool {
    serde_json::from_str::<serde_json::Value>(policy).is_ok_and(|policy| policy == *default)
}

/// The policy of a key that was created without one (developer guide, "Default key policy"): it delegates to the
/// account, whose identity policies then decide alone.
fn default_policy(site: &Site) -> serde_json::Value {
    let root = format!("arn:{}:iam::{}:root", site.region.partition().as_str(), site.account);
    serde_json::json!({
        "Version": "2012-10-17",
        "Id": "key-default-1",
        "Statement": [{
            "Sid": "Enable IAM User Permissions",
            "Effect": "Allow",
            "Principal": {"AWS": root},
            "Action": "kms:*",
            "Resource": "*",
        }],
    })
}

/// The key's tags, held to AWS's rules in AWS's words.
fn tags(input: &Input) -> Result<Tags, Exception> {
    let mut names: Vec<&str> = input.tags(Member::Tags).map(|tag| tag.key).collect();
    names.sort_unstable();
    if names.iter().any(|name| name.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case("aws:"))) {
        return Err(Exception::tag("Tags beginning with aws: are reserved"));
    }
    if names.windows(2).any(|two| matches!(two, [a, b] if a == b)) {
        return Err(Exception::tag("Duplicate tag keys"));
    }
    if names.len() > MOST_TAGS {
        return Err(Exception::tag("Too many tags"));
    }
    Ok(input.tags(Member::Tags).map(|tag| (tag.key, tag.value)).collect())
}

/// `keyMetadata` as CloudTrail records it: the members that say what was made.
fn response_elements(key: &KeyView) -> String {
    let metadata = JsonObject::with_capacity(640)
        .text("aWSAccountId", key.arn.account().as_str())
        .text("arn", key.arn.as_str())
        .text("creationDate", &key.created.iso8601().to_string())
        .text("currentKeyMaterialId", key.sealer.material().id().hex().as_str())
        .text("customerMasterKeySpec", KEY_SPEC)
        .text("description", &key.description)
        .boolean("enabled", true)
        .texts("encryptionAlgorithms", [ENCRYPTION_ALGORITHM])
        .text("keyId", key.id().as_str())
        .text("keyManager", "CUSTOMER")
        .text("keySpec", KEY_SPEC)
        .text("keyState", key.state.name())
        .text("keyUsage", KEY_USAGE)
        .boolean("multiRegion", false)
        .text("origin", KEY_ORIGIN);
    JsonObject::with_capacity(700).object("keyMetadata", metadata).finish_string()
}

#[cfg(test)]
mod tests;
