//! `GenerateDataKeyPair` and `GenerateDataKeyPairWithoutPlaintext`.
//!
//! The order of the checks is that of the data-key calls.

use super::data_keys::{makes_data_keys, no_recipient, not_dry};
use super::key_pair::{KeyPair, KeyPairSpec, NotMade};
use super::{KeyView, Keys};
use crate::aws::{Member, Operation};
use crate::kms::{Answer, Exception, Input, JsonObject};

/// What an answer has beside its three keys.
const USUAL_ANSWER: usize = 512;

/// Whether answering takes longer than a millisecond, because large primes have to be found.
pub(super) fn is_slow(input: &Input) -> bool {
    use Operation::{GenerateDataKeyPair, GenerateDataKeyPairWithoutPlaintext};
    matches!(input.operation(), GenerateDataKeyPair | GenerateDataKeyPairWithoutPlaintext)
        && !input.dry_run()
        && spec(input).is_ok_and(KeyPairSpec::is_slow)
}

/// Answers `GenerateDataKeyPair`.
pub(super) fn generate(input: &Input, keys: &Keys) -> Result<Answer, Exception> {
    let key = super::main_key(keys)?;
    let pair = made(input, key)?;
    let private = pair.private.expose();
    let blob = sealed(input, key, &pair)?;
    let body = JsonObject::with_capacity(USUAL_ANSWER + 2 * (blob.len() + private.len() + pair.public.len()))
        .blob("PrivateKeyCiphertextBlob", &blob)
        .blob("PrivateKeyPlaintext", private);
    let body = with_the_rest(body, input, key, &pair)?.finish_secret();
    Ok(Answer::new(body).with_key_material(key.sealer()?.material().id()))
}

/// Answers `GenerateDataKeyPairWithoutPlaintext`.
pub(super) fn generate_without_plaintext(input: &Input, keys: &Keys) -> Result<Answer, Exception> {
    let key = super::main_key(keys)?;
    let pair = made(input, key)?;
    let blob = sealed(input, key, &pair)?;
    let body = JsonObject::with_capacity(USUAL_ANSWER + 2 * (blob.len() + pair.public.len()))
        .blob("PrivateKeyCiphertextBlob", &blob);
    let body = with_the_rest(body, input, key, &pair)?.finish();
    Ok(Answer::new(body).with_key_material(key.sealer()?.material().id()))
}

/// The pair that is asked for, if everything allows it.
fn made(input: &Input, key: &KeyView) -> Result<KeyPair, Exception> {
    let spec = spec(input)?;
    no_recipient(input)?;
    makes_data_keys(key, input.operation())?;
    not_dry(input)?;
    Ok(spec.generate()?)
}

fn sealed(input: &Input, key: &KeyView, pair: &KeyPair) -> Result<Vec<u8>, Exception> {
    Ok(key.sealer()?.seal(input.context(Member::EncryptionContext), pair.private.expose())?)
}

/// Adds what both answers end with.
fn with_the_rest(body: JsonObject, input: &Input, key: &KeyView, pair: &KeyPair) -> Result<JsonObject, Exception> {
    let body = body
        .blob("PublicKey", &pair.public)
        .text("KeyId", key.arn.as_str())
        .optional_text("KeyPairSpec", input.string(Member::KeyPairSpec))
        .text("KeyMaterialId", key.sealer()?.material().id().hex().as_str());
    Ok(body)
}

/// What is to be made, if it is RSA or of a curve.
fn spec(input: &Input) -> Result<KeyPairSpec, Exception> {
    let name = input.string(Member::KeyPairSpec).unwrap_or_default();
    let refused = || Exception::unsupported(format!("KeyPairSpec {name} is not served by kmsgate's local backend."));
    KeyPairSpec::of(name).ok_or_else(refused)
}

impl From<NotMade> for Exception {
    fn from(error: NotMade) -> Self {
        Self::kms_internal().with_detail(error.to_string())
    }
}

#[cfg(test)]
mod tests;
