//! `DescribeKey`, `ListKeys`, and the `KeyMetadata` that `CreateKey` answers with too.

use super::Keys;
use super::directory::Directory;
use super::key::{ENCRYPTION_ALGORITHM, KEY_ORIGIN, KEY_SPEC, KEY_USAGE, KeyState, KeyView};
use super::pages::{self, Page};
use crate::aws::KeyId;
use crate::kms::{Answer, Exception, Input, JsonObject};

/// Entries of a page, and the most a caller may ask for (API reference, `ListKeys`).
const USUAL_PAGE: usize = 100;
const LARGEST_PAGE: usize = 1000;

/// Answers `DescribeKey`.
pub(super) fn describe(keys: &Keys) -> Result<Answer, Exception> {
    let key = &super::main_key(keys)?;
    Ok(Answer::new(JsonObject::with_capacity(1024).object("KeyMetadata", metadata(key)).finish()))
}

/// `KeyMetadata`, with the members that KMS was recorded to have for such a key.
pub(super) fn metadata(key: &KeyView) -> JsonObject {
    let object = JsonObject::with_capacity(1024)
        .text("AWSAccountId", key.arn.account().as_str())
        .text("Arn", key.arn.as_str())
        .timestamp("CreationDate", key.created)
        .text("CurrentKeyMaterialId", key.sealer.material().id().hex().as_str())
        .text("CustomerMasterKeySpec", KEY_SPEC);
    let object = match key.state.deletion_date() {
        Some(date) => object.timestamp("DeletionDate", date),
        None => object,
    };
    object
        .text("Description", &key.description)
        .boolean("Enabled", key.state == KeyState::Enabled)
        .texts("EncryptionAlgorithms", [ENCRYPTION_ALGORITHM])
        .text("KeyId", key.id().as_str())
        .text("KeyManager", "CUSTOMER")
        .text("KeySpec", KEY_SPEC)
        .text("KeyState", key.state.name())
        .text("KeyUsage", KEY_USAGE)
        .boolean("MultiRegion", false)
        .text("Origin", KEY_ORIGIN)
}

/// Answers `ListKeys`.
pub(super) fn list(directory: &Directory, input: &Input) -> Result<Answer, Exception> {
    let page = Page::of(input, USUAL_PAGE, LARGEST_PAGE)?;
    let after = page.after(|text| text.parse::<KeyId>().ok())?;
    let (entries, more) = page.cut(pages::following(&directory.keys, after.as_ref()));
    let next = more.then(|| entries.last().map(|(id, _)| id.as_str())).flatten();
    let objects = entries
        .iter()
        .map(|(id, key)| JsonObject::with_capacity(160).text("KeyArn", key.arn.as_str()).text("KeyId", id.as_str()));
    let body = JsonObject::with_capacity(64 + 160 * entries.len()).objects("Keys", objects);
    Ok(Answer::new(pages::finish(body, next)))
}
