//! `Decrypt` and `ReEncrypt`.
//!
//! Whatever is wrong with a ciphertext is `InvalidCiphertextException` and no more; that its key is another than the
//! one named is told only of ciphertexts that this backend made.

use super::blob::Blob;
use super::data_keys::{algorithm, no_recipient, not_dry, usable};
use super::key::{ENCRYPTION_ALGORITHM, KeyView};
use super::{Keys, LocalBackend, message};
use crate::aws::{EncryptionContext, KeyMaterialId, Member};
use crate::kms::{Answer, Exception, Input, JsonObject};
use crate::secret::Secret;

impl LocalBackend {
    /// Answers `Decrypt`.
    pub(super) fn decrypt(&self, input: &Input, keys: &Keys) -> Result<Answer, Exception> {
        let key = super::main_key(keys)?;
        no_recipient(input)?;
        let blob = self.blob_of(input, key)?;
        usable(key, input.operation())?;
        algorithm(input, Member::EncryptionAlgorithm, key)?;
        let (plaintext, id) = open(&blob?, key, input.context(Member::EncryptionContext))?;
        not_dry(input)?;
        let plaintext = plaintext.expose();
        let body = JsonObject::with_capacity(320 + 2 * plaintext.len())
            .text("KeyId", key.arn.as_str())
            .blob("Plaintext", plaintext)
            .text("EncryptionAlgorithm", ENCRYPTION_ALGORITHM)
            .text("KeyMaterialId", id.hex().as_str())
            .finish_secret();
        Ok(Answer::new(body).with_key_material(id))
    }

    /// Answers `ReEncrypt`: the plaintext never leaves this function.
    pub(super) fn re_encrypt(&self, input: &Input, keys: &Keys) -> Result<Answer, Exception> {
        let destination = super::main_key(keys)?;
        let source = keys.source.as_ref().and_then(|found| found.key.local()).ok_or_else(super::unresolved)?;
        let blob = self.blob_of(input, source)?;
        usable(source, input.operation())?;
        usable(destination, input.operation())?;
        algorithm(input, Member::SourceEncryptionAlgorithm, source)?;
        algorithm(input, Member::DestinationEncryptionAlgorithm, destination)?;
        let (plaintext, source_id) = open(&blob?, source, input.context(Member::SourceEncryptionContext))?;
        not_dry(input)?;
        let context = input.context(Member::DestinationEncryptionContext);
        let under = destination.sealer()?;
        let (sealed, id) = (under.seal(context, plaintext.expose())?, under.material().id());
        let body = JsonObject::with_capacity(768 + 2 * sealed.len())
            .blob("CiphertextBlob", &sealed)
            .text("SourceKeyId", source.arn.as_str())
            .text("KeyId", destination.arn.as_str())
            .text("SourceEncryptionAlgorithm", ENCRYPTION_ALGORITHM)
            .text("DestinationEncryptionAlgorithm", ENCRYPTION_ALGORITHM)
            .text("SourceKeyMaterialId", source_id.hex().as_str())
            .text("DestinationKeyMaterialId", id.hex().as_str())
            .finish();
        let mut answer = Answer::new(body).with_key_material(id);
        answer.source_key_material_id = Some(source_id);
        Ok(answer)
    }

    /// The request's ciphertext, if it was made under `key`. What is in the inner error waits for the checks that come
    /// before a ciphertext is looked at.
    fn blob_of<'r>(&self, input: &'r Input, key: &KeyView) -> Result<Result<Blob<'r>, Exception>, Exception> {
        if input.ignores_ciphertext() {
            return Ok(Err(Exception::dry_run()));
        }
        match Blob::parse(input.blob(Member::CiphertextBlob).unwrap_or_default()) {
            Ok(blob) if key.same_material_as(blob.key_arn()) => Ok(Ok(blob)),
            Ok(blob) if self.records.tagger().made(&blob) => Err(Exception::incorrect_key()),
            _ => Ok(Err(Exception::invalid_ciphertext())),
        }
    }
}

fn open(
    blob: &Blob<'_>,
    key: &KeyView,
    context: &EncryptionContext,
) -> Result<(Secret<Vec<u8>>, KeyMaterialId), Exception> {
    let id = blob.material_id();
    let material = key.material(id).ok_or_else(Exception::invalid_ciphertext)?;
    let plaintext = message::open(blob, material, context).map_err(|_| Exception::invalid_ciphertext())?;
    Ok((plaintext, id))
}

#[cfg(test)]
mod tests;
