//! A gateway's layers in front of a KMS that answers by a script, on a real socket: what is let out, what the client is
//! told, and what is recorded.

mod answers;
mod changes;
mod ciphertexts;
mod errors;
mod grants;

use serde_json::{Value, json};

use super::super::testing::forwarding::{detail, resources};
use super::super::testing::{ALIAS, ORDERS, ORDERS_ARN, World, statement, unlimited};
use super::read::LONGEST_REQUEST_ID;
use super::*;
use crate::backend::aws::testing::{Forwarding, KEY, OTHER_KEY, REQUEST_ID, Reply, Sent, TestKms};
use crate::kms::ExceptionKind;

const GENERATE: &str = "GenerateDataKeyWithoutPlaintext";
const BLOB: &str = "Y2lwaGVydGV4dA==";

/// What uses a key is answered with a blob and the key's name.
fn used(arn: &str) -> Reply {
    Reply::ok(&json!({"CiphertextBlob": BLOB, "KeyId": arn}))
}

/// As [`used`], where names lead to [`KEY`].
fn leading_to_key(sent: &Sent, otherwise: impl FnOnce() -> Reply) -> Reply {
    if sent.operation == "DescribeKey" { Reply::described(KEY) } else { otherwise() }
}

/// Its principal may do everything with [`KEY`] and nothing with others.
fn may_use_key_alone() -> World {
    World::with_policy(statement("kms:*", KEY))
}

fn named(key: &str) -> Value {
    json!({"KeyId": key, "KeySpec": "AES_256"})
}

fn error_code(record: &Value) -> &str {
    record["errorCode"].as_str().unwrap_or_default()
}
