//! How key material comes from outside: wrapped by the client under a public key that was made for it, and unwrapped
//! here (API reference, `GetParametersForImport` and `ImportKeyMaterial`).
//!
//! ```text
//! RSAES_OAEP_SHA_n         RSAES-OAEP(material)
//! RSA_AES_KEY_WRAP_SHA_n   RSAES-OAEP(ephemeral AES-256 key) | AES-KWP(material)
//! ```
//!
//! RSAES-OAEP is RFC 8017's with the same digest in MGF1 and no label, AES-KWP is RFC 5649. Whatever is wrong with what
//! a client sends is one and the same error: more would help whoever has a wrapped key and not the private key.

use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrapPadded};
use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm, OaepPrivateDecryptingKey, PrivateDecryptingKey,
};

use super::key_pair::KeyPairSpec;
use super::material::SECRET_BYTES;
use crate::secret::Secret;

const AES_KEY_BYTES: usize = 32;
/// AES-KWP of the material: one block of eight bytes more.
const WRAPPED_MATERIAL_BYTES: usize = SECRET_BYTES + 8;

/// How a client wraps key material.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WrappingAlgorithm {
    /// `RSAES_OAEP_SHA_1`
    OaepSha1,
    /// `RSAES_OAEP_SHA_256`
    OaepSha256,
    /// `RSA_AES_KEY_WRAP_SHA_1`
    AesKeyWrapSha1,
    /// `RSA_AES_KEY_WRAP_SHA_256`
    AesKeyWrapSha256,
}

impl WrappingAlgorithm {
    pub(super) const ALL: [Self; 4] = [Self::OaepSha1, Self::OaepSha256, Self::AesKeyWrapSha1, Self::AesKeyWrapSha256];

    /// The algorithm of that name; `None` for `RSAES_PKCS1_V1_5`, which KMS takes no more since October 2023, and for
    /// `SM2PKE`, which aws-lc has not.
    #[must_use]
    pub(super) fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// As `WrappingAlgorithm` has it.
    #[must_use]
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::OaepSha1 => "RSAES_OAEP_SHA_1",
            Self::OaepSha256 => "RSAES_OAEP_SHA_256",
            Self::AesKeyWrapSha1 => "RSA_AES_KEY_WRAP_SHA_1",
            Self::AesKeyWrapSha256 => "RSA_AES_KEY_WRAP_SHA_256",
        }
    }

    const fn oaep(self) -> &'static OaepAlgorithm {
        match self {
            Self::OaepSha1 | Self::AesKeyWrapSha1 => &OAEP_SHA1_MGF1SHA1,
            Self::OaepSha256 | Self::AesKeyWrapSha256 => &OAEP_SHA256_MGF1SHA256,
        }
    }
}

/// What kind of key pair material is wrapped with, by the name in `WrappingKeySpec`; `None` for `SM2`. To make one is
/// slow.
#[must_use]
pub(super) fn wrapping_key_spec(name: &str) -> Option<KeyPairSpec> {
    KeyPairSpec::of(name).filter(|spec| matches!(spec, KeyPairSpec::Rsa(_)))
}

/// Unwraps the material of a symmetric key. `private_key` is PKCS#8 in DER, `wrapped` the request's
/// `EncryptedKeyMaterial`.
///
/// # Errors
///
/// [`NotUnwrapped`], also if what is in it is not as long as such material is.
pub(super) fn unwrap(
    algorithm: WrappingAlgorithm,
    private_key: &[u8],
    wrapped: &[u8],
) -> Result<Secret<[u8; SECRET_BYTES]>, NotUnwrapped> {
    let private_key = PrivateDecryptingKey::from_pkcs8(private_key).map_err(|_| NotUnwrapped)?;
    let private_key = OaepPrivateDecryptingKey::new(private_key).map_err(|_| NotUnwrapped)?;
    let decrypt = |ciphertext: &[u8]| oaep_decrypt::<SECRET_BYTES>(&private_key, algorithm.oaep(), ciphertext);
    match algorithm {
        WrappingAlgorithm::OaepSha1 | WrappingAlgorithm::OaepSha256 => decrypt(wrapped),
        WrappingAlgorithm::AesKeyWrapSha1 | WrappingAlgorithm::AesKeyWrapSha256 => {
            let (key, material) = wrapped.split_at_checked(private_key.key_size_bytes()).ok_or(NotUnwrapped)?;
            let key: Secret<[u8; AES_KEY_BYTES]> = decrypt(key)?;
            key_unwrap(key.expose(), material)
        }
    }
}

/// Decrypts `N` bytes.
fn oaep_decrypt<const N: usize>(
    key: &OaepPrivateDecryptingKey,
    algorithm: &'static OaepAlgorithm,
    ciphertext: &[u8],
) -> Result<Secret<[u8; N]>, NotUnwrapped> {
    let mut room = Secret::new(vec![0; key.min_output_size()]);
    let plaintext = key.decrypt(algorithm, ciphertext, room.expose_mut(), None).map_err(|_| NotUnwrapped)?;
    exactly(plaintext)
}

/// Unwraps by AES-KWP.
fn key_unwrap(key: &[u8; AES_KEY_BYTES], wrapped: &[u8]) -> Result<Secret<[u8; SECRET_BYTES]>, NotUnwrapped> {
    let wrapped: &[u8; WRAPPED_MATERIAL_BYTES] = wrapped.try_into().map_err(|_| NotUnwrapped)?;
    let kek = AesKek::new(&AES_256, key).map_err(|_| NotUnwrapped)?;
    let mut room = Secret::new([0; WRAPPED_MATERIAL_BYTES]);
    let material = kek.unwrap_with_padding(wrapped, room.expose_mut()).map_err(|_| NotUnwrapped)?;
    exactly(material)
}

/// Takes all of `bytes`, which must be `N`.
fn exactly<const N: usize>(bytes: &[u8]) -> Result<Secret<[u8; N]>, NotUnwrapped> {
    if bytes.len() != N {
        return Err(NotUnwrapped);
    }
    let mut taken = Secret::new([0; N]);
    taken.expose_mut().copy_from_slice(bytes);
    Ok(taken)
}

/// What a client sent does not unwrap to key material. KMS says `InvalidCiphertextException`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the encrypted key material does not unwrap to 256 bits")]
pub(super) struct NotUnwrapped;

#[cfg(test)]
mod tests;
