//! A checkpoint: read from its line, and believed once its signature is right.

use serde::Deserialize;

use super::public_keys::PublicKeys;
use crate::audit::line_end::{LineHash, Signature};

/// What a checkpoint says (manual, "The chain").
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Checkpoint {
    pub(super) reason: String,
    pub(super) chain: String,
    pub(super) previous: Option<Previous>,
    pub(super) store: Option<Store>,
    public_key: String,
}

/// The checkpoint before.
#[derive(Debug, Deserialize)]
pub(super) struct Previous {
    pub(super) sequence: u64,
    hash: String,
}

/// The embedded store as it was then.
#[derive(Debug, Deserialize)]
pub(super) struct Store {
    pub(super) id: String,
    pub(super) revision: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    additional_event_data: Additional,
}

#[derive(Deserialize)]
struct Additional {
    gateway: Gateway,
}

#[derive(Deserialize)]
struct Gateway {
    checkpoint: Checkpoint,
}

impl Checkpoint {
    /// The checkpoint that `line` is, signed with one of `keys`, or what is wrong with it.
    pub(super) fn read(line: &[u8], signature: &Signature<'_>, keys: &PublicKeys) -> Result<Self, String> {
        let line: Line = serde_json::from_slice(line)
            .map_err(|error| format!("a checkpoint that cannot be read, so it or its line was changed: {error}"))?;
        let checkpoint = line.additional_event_data.gateway.checkpoint;
        let Some(key) = keys.named(&checkpoint.public_key) else {
            return Err(format!("a checkpoint signed with a key that was not given: {}", checkpoint.public_key));
        };
        key.verify_sig(&signature.text(), &signature.bytes).map_err(|_| {
            "the signature is wrong: the checkpoint was changed, or the chain since the one before it was made anew"
                .to_owned()
        })?;
        Ok(checkpoint)
    }

    /// Whether its line follows a pause, in which there was nothing to sign.
    pub(super) fn is_start(&self) -> bool {
        self.reason == "start"
    }
}

impl Previous {
    pub(super) fn is(&self, hash: LineHash) -> bool {
        LineHash::parse(self.hash.as_bytes()) == Some(hash)
    }
}
