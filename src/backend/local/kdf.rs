//! Key derivation of the local backend: SP 800-108r1 section 4.1, counter mode with HMAC-SHA-256.
//!
//! ```text
//! K(i) = HMAC-SHA-256(secret, [i] | Label | 0x00 | Context | [L])     [i], [L]: 4 bytes, most significant first
//! ```
//!
//! Architecture invariant: every use of a secret has a label of its own, and they all stand in [`Label`].

use aws_lc_rs::kdf::{KbkdfCtrHmacAlgorithm, KbkdfCtrHmacAlgorithmId, get_kbkdf_ctr_hmac_algorithm, kbkdf_ctr_hmac};

/// What a derived key is for. The text is part of every derivation: a change orphans what was sealed before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Label {
    /// The keys of one message, from key material.
    Message,
    /// The id of imported key material, from that material.
    ImportedMaterialId,
    /// The key that wraps key material, from the root key.
    Wrapping,
    /// The key that authenticates a store's header, from the root key.
    StoreHeader,
    /// The key that authenticates a store's set of rows, from the root key.
    StoreSet,
    /// The value by which a store knows its root key, from the root key.
    RootKeyCheck,
    /// The key of a store's key tags, from the root key.
    KeyTag,
    /// The key that seals a store's import tokens, from the root key.
    ImportToken,
    /// The key that authenticates a store's grant tokens, from the root key.
    GrantToken,
    /// The key that wraps the key material of one file of keys, from a transport key.
    TransportWrapping,
    /// The key that authenticates such a file, from a transport key.
    TransportFile,
    /// The id of key material that a file of seeds gives, from that material.
    SeededMaterialId,
    /// The seed of the key that signs audit checkpoints, from the root key.
    AuditSigning,
}

/// Room for a label, a context and what stands around them; the longest context has 48 bytes.
const INFO_BYTES: usize = 96;

impl Label {
    const fn text(self) -> &'static str {
        match self {
            Self::Message => "kmsgate/v1/message",
            Self::ImportedMaterialId => "kmsgate/v1/imported-material-id",
            Self::Wrapping => "kmsgate/v1/wrapping",
            Self::StoreHeader => "kmsgate/v1/store-header",
            Self::StoreSet => "kmsgate/v1/store-set",
            Self::RootKeyCheck => "kmsgate/v1/root-key-check",
            Self::KeyTag => "kmsgate/v1/key-tag",
            Self::ImportToken => "kmsgate/v1/import-token-key",
            Self::GrantToken => "kmsgate/v1/grant-token-key",
            Self::TransportWrapping => "kmsgate/v1/transport-wrapping",
            Self::TransportFile => "kmsgate/v1/transport-file",
            Self::SeededMaterialId => "kmsgate/v1/seeded-material-id",
            Self::AuditSigning => "kmsgate/v1/audit-signing",
        }
    }
}

/// Fills `out` with key bytes derived from `secret`. A label's contexts all have one length, or are told apart
/// by their own encoding: they are not length-prefixed here.
#[expect(clippy::expect_used, reason = "fails only if the secret or `out` is empty or longer than 2^32 blocks")]
pub(super) fn derive(secret: &[u8; 32], label: Label, context: &[u8], out: &mut [u8]) {
    let bits = u32::try_from(out.len() * 8).unwrap_or(u32::MAX);
    // On the stack: a key is derived for every message.
    let (mut info, mut length) = ([0; INFO_BYTES], 0);
    for part in [label.text().as_bytes(), &[0], context, &bits.to_be_bytes()] {
        info.iter_mut().skip(length).zip(part).for_each(|(to, from)| *to = *from);
        length += part.len();
    }
    let info = info.get(..length).expect("no label and context are that long");
    kbkdf_ctr_hmac(hmac_sha256(), secret, info, out).expect("neither is empty nor that long");
}

const fn hmac_sha256() -> &'static KbkdfCtrHmacAlgorithm {
    const ALGORITHM: &KbkdfCtrHmacAlgorithm = match get_kbkdf_ctr_hmac_algorithm(KbkdfCtrHmacAlgorithmId::Sha256) {
        Some(algorithm) => algorithm,
        None => panic!("aws-lc has HMAC-SHA-256"),
    };
    ALGORITHM
}

#[cfg(test)]
mod tests {
    use super::super::golden::golden;
    use super::*;

    #[test]
    fn derived_keys_are_those_of_an_independent_implementation() {
        let golden = golden();
        for vector in &golden.kdf {
            let label = [Label::Wrapping, Label::Message].into_iter().find(|label| label.text() == vector.label);
            let mut out = vec![0; vector.output.len() / 2];
            derive(&golden.secret(), label.unwrap(), &hex::decode(&vector.context).unwrap(), &mut out);
            assert_eq!(hex::encode(out), vector.output, "{}", vector.label);
        }
    }

    #[test]
    fn label_context_and_length_each_change_the_key() {
        let key = |label, context: &[u8], length: usize| {
            let mut out = vec![0; length];
            derive(&[7; 32], label, context, &mut out);
            out.truncate(32);
            out
        };
        let base = key(Label::StoreSet, b"a", 32);
        assert_ne!(base, key(Label::StoreHeader, b"a", 32));
        assert_ne!(base, key(Label::StoreSet, b"b", 32));
        assert_ne!(base, key(Label::StoreSet, b"a", 64));
    }
}
