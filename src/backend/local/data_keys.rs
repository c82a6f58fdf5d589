//! `GenerateDataKeyWithoutPlaintext`, `GenerateDataKey`, `Encrypt` and `GenerateRandom`.
//!
//! The order of the checks is that of KMS: sizes, the key's usage, its state, its spec and the algorithm, and last the
//! dry run.

use super::key::{ENCRYPTION_ALGORITHM, KeyView};
use super::key_spec::KeyUsage;
use super::{Keys, create, states};
use crate::aws::{Member, Operation};
use crate::kms::{Answer, Exception, Input, JsonObject};
use crate::random;
use crate::secret::Secret;

/// An answer with one ciphertext of a data key.
const USUAL_ANSWER: usize = 640;

/// Answers `GenerateDataKeyWithoutPlaintext`: the data key exists only inside its ciphertext.
pub(super) fn generate_without_plaintext(input: &Input, keys: &Keys) -> Result<Answer, Exception> {
    let key = super::main_key(keys)?;
    let length = data_key_bytes(input)?;
    makes_data_keys(key, input.operation())?;
    not_dry(input)?;
    let context = input.context(Member::EncryptionContext);
    let sealer = key.sealer()?;
    let blob = sealer.seal_random(context, length)?;
    let id = sealer.material().id();
    let body = JsonObject::with_capacity(USUAL_ANSWER)
        .blob("CiphertextBlob", &blob)
        .text("KeyId", key.arn.as_str())
        .text("KeyMaterialId", id.hex().as_str())
        .finish();
    Ok(Answer::new(body).with_key_material(id))
}

/// Answers `GenerateDataKey`.
pub(super) fn generate(input: &Input, keys: &Keys) -> Result<Answer, Exception> {
    let key = super::main_key(keys)?;
    let length = data_key_bytes(input)?;
    no_recipient(input)?;
    makes_data_keys(key, input.operation())?;
    not_dry(input)?;
    let plaintext = random_bytes(length)?;
    let sealer = key.sealer()?;
    let blob = sealer.seal(input.context(Member::EncryptionContext), plaintext.expose())?;
    let id = sealer.material().id();
    let body = JsonObject::with_capacity(USUAL_ANSWER + 2 * length)
        .blob("CiphertextBlob", &blob)
        .blob("Plaintext", plaintext.expose())
        .text("KeyId", key.arn.as_str())
        .text("KeyMaterialId", id.hex().as_str())
        .finish_secret();
    Ok(Answer::new(body).with_key_material(id))
}

/// Answers `Encrypt`.
pub(super) fn encrypt(input: &Input, keys: &Keys) -> Result<Answer, Exception> {
    let key = super::main_key(keys)?;
    usable(key, input.operation())?;
    algorithm(input, Member::EncryptionAlgorithm, key)?;
    not_dry(input)?;
    let plaintext = input.blob(Member::Plaintext).unwrap_or_default();
    let sealer = key.sealer()?;
    let blob = sealer.seal(input.context(Member::EncryptionContext), plaintext)?;
    let body = JsonObject::with_capacity(USUAL_ANSWER + 2 * plaintext.len())
        .blob("CiphertextBlob", &blob)
        .text("KeyId", key.arn.as_str())
        .text("EncryptionAlgorithm", ENCRYPTION_ALGORITHM)
        .finish();
    Ok(Answer::new(body).with_key_material(sealer.material().id()))
}

/// Answers `GenerateRandom`.
pub(super) fn generate_random(input: &Input) -> Result<Answer, Exception> {
    let length = input.integer(Member::NumberOfBytes).ok_or_else(Exception::number_of_bytes_required)?;
    create::key_store(input)?;
    no_recipient(input)?;
    let bytes = random_bytes(usize::try_from(length).unwrap_or_default())?;
    let body = JsonObject::with_capacity(32 + 2 * bytes.expose().len()).blob("Plaintext", bytes.expose());
    Ok(Answer::new(body.finish_secret()))
}

/// How long the data key is: by its specification or in bytes, and not both.
fn data_key_bytes(input: &Input) -> Result<usize, Exception> {
    match (input.string(Member::KeySpec), input.integer(Member::NumberOfBytes)) {
        (Some("AES_256"), None) => Ok(32),
        (Some("AES_128"), None) => Ok(16),
        // The model has bounded it to 1,024.
        (None, Some(bytes)) => usize::try_from(bytes).map_err(|_| Exception::number_of_bytes_or_key_spec()),
        _ => Err(Exception::number_of_bytes_or_key_spec()),
    }
}

/// Refuses what the key's usage and state exclude.
pub(super) fn usable(key: &KeyView, operation: Operation) -> Result<(), Exception> {
    if key.usage != KeyUsage::EncryptDecrypt {
        return Err(Exception::key_usage(key.arn.as_str(), key.usage.name(), operation.name()));
    }
    states::permits(operation, key)
}

/// Refuses keys that no data key can be made with.
pub(super) fn makes_data_keys(key: &KeyView, operation: Operation) -> Result<(), Exception> {
    usable(key, operation)?;
    if key.spec.symmetric() { Ok(()) } else { Err(Exception::data_key_of_asymmetric_key()) }
}

/// Refuses the algorithms of other keys, and those of RSA keys, which have no material here.
pub(super) fn algorithm(input: &Input, member: Member, key: &KeyView) -> Result<(), Exception> {
    let asked = input.string(member).unwrap_or(ENCRYPTION_ALGORITHM);
    if !key.spec.algorithms(key.usage).is_some_and(|algorithms| algorithms.contains(&asked)) {
        return Err(Exception::algorithm(asked, key.spec.name()));
    }
    if key.spec.symmetric() {
        return Ok(());
    }
    Err(Exception::unsupported("Encryption under asymmetric keys is not served by kmsgate's local backend."))
}

/// Attestation documents of Nitro enclaves are not verified here, so nothing is encrypted for one.
pub(super) fn no_recipient(input: &Input) -> Result<(), Exception> {
    match input.recipient() {
        None => Ok(()),
        Some(_) => Err(Exception::unsupported("Recipient is not served by kmsgate's local backend.")),
    }
}

/// Ends a dry run: everything that could have failed was checked.
pub(super) fn not_dry(input: &Input) -> Result<(), Exception> {
    if input.dry_run() { Err(Exception::dry_run()) } else { Ok(()) }
}

fn random_bytes(length: usize) -> Result<Secret<Vec<u8>>, Exception> {
    let mut bytes = Secret::new(vec![0; length]);
    random::fill(bytes.expose_mut())?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
