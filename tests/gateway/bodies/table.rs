//! One request at a time, each with one member changed, and what must become of it.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::harness::{Connection, Gateway, Refusal, Site};

/// What becomes of a request.
pub(super) enum Then {
    Granted,
    Refused(Refusal),
    /// AWS's text is not recorded, or not to the letter: code, and what it must say.
    Says(&'static str, String),
}

use Then::{Granted, Refused, Says};

/// A gateway with a key, and one connection to it.
pub(super) struct Table {
    pub(super) gateway: Gateway,
    pub(super) connection: Connection,
    pub(super) key: String,
    ciphertext: String,
}

impl Table {
    pub(super) fn new() -> Self {
        let gateway = Site::new().start();
        let key = gateway.create_key();
        let sealed =
            gateway.call(&gateway.site.admin, "Encrypt", &json!({"KeyId": key, "Plaintext": "AAAA"})).granted();
        let ciphertext = sealed["CiphertextBlob"].as_str().unwrap().to_owned();
        Self { connection: gateway.connect(), gateway, key, ciphertext }
    }

    /// A request that is granted.
    pub(super) fn valid(&self, operation: &str) -> Value {
        let (key, ciphertext) = (&self.key, &self.ciphertext);
        match operation {
            "GenerateDataKeyWithoutPlaintext" | "GenerateDataKey" => json!({"KeyId": key, "KeySpec": "AES_256"}),
            "GenerateDataKeyPair" | "GenerateDataKeyPairWithoutPlaintext" => {
                json!({"KeyId": key, "KeyPairSpec": "ECC_NIST_P256"})
            }
            "Encrypt" => json!({"KeyId": key, "Plaintext": "AAAA"}),
            "Decrypt" => json!({"CiphertextBlob": ciphertext}),
            "ReEncrypt" => json!({"CiphertextBlob": ciphertext, "DestinationKeyId": key}),
            "GenerateRandom" => json!({"NumberOfBytes": 8}),
            "CreateKey" | "ListKeys" | "ListAliases" => json!({}),
            "CreateAlias" => json!({"AliasName": "alias/first", "TargetKeyId": key}),
            _ => json!({"KeyId": key}),
        }
    }

    pub(super) fn body(&mut self, operation: &str, body: &Value, then: Then) -> Value {
        let request = self.gateway.site.admin.request(&self.gateway.host(), operation, body);
        let answer = self.connection.exchange(&request);
        let shown: String = format!("{operation} {body}").chars().take(300).collect();
        if let Granted = then {
            assert_eq!(answer.status, 200, "{shown} {}", answer.body.escape_ascii());
            return answer.granted();
        }
        assert_ne!(answer.status, 200, "{shown}");
        match (answer.refused(), then) {
            (refusal, Refused(expected)) => assert_eq!(refusal, expected, "{shown}"),
            (refusal, Says(code, text)) => {
                assert_eq!(refusal.kind(), (400, code), "{shown} {refusal:?}");
                assert!(refusal.text().contains(&text), "{shown} {refusal:?}");
            }
            (_, Granted) => {}
        }
        Value::Null
    }

    /// The valid request with `member` set to `value`.
    pub(super) fn with(&mut self, operation: &str, member: &str, value: Value, then: Then) {
        let mut body = self.valid(operation);
        body[member] = value;
        self.body(operation, &body, then);
    }

    /// The valid request without `member`.
    pub(super) fn without(&mut self, operation: &str, member: &str, then: Then) {
        let mut body = self.valid(operation);
        body.as_object_mut().unwrap().remove(member);
        self.body(operation, &body, then);
    }
}

pub(super) fn refused(item: &str) -> Then {
    Refused(Refusal::new(400, "ValidationException", format!("1 validation error detected: {item}")))
}

pub(super) fn null(path: &str) -> Then {
    refused(&format!("Value null at '{path}' failed to satisfy constraint: Member must not be null"))
}

pub(super) fn broken(value: &str, path: &str, constraint: &str) -> Then {
    refused(&format!("Value '{value}' at '{path}' failed to satisfy constraint: Member must {constraint}"))
}

pub(super) fn blob(path: &str, constraint: &str) -> Then {
    refused(&format!("Value at '{path}' failed to satisfy constraint: Member must {constraint}"))
}

/// Of an enum's values AWS prints a set in an order that changes.
pub(super) fn not_in_enum(value: &str, path: &str) -> Then {
    let text =
        format!("Value '{value}' at '{path}' failed to satisfy constraint: Member must satisfy enum value set: [");
    Says("ValidationException", format!("1 validation error detected: {text}"))
}

pub(super) fn invalid(code: &'static str) -> Then {
    Says(code, String::new())
}

pub(super) fn dry_run() -> Then {
    let text = "The request would have succeeded, but the DryRun option is set.";
    Refused(Refusal::new(400, "DryRunOperationException", text))
}

pub(super) fn not_a_key(text: &str) -> Then {
    Refused(Refusal::new(400, "NotFoundException", format!("Invalid keyId '{text}'")))
}

pub(super) const AT_LEAST_1: &str = "have length greater than or equal to 1";

pub(super) fn at_most(length: usize) -> String {
    format!("have length less than or equal to {length}")
}

pub(super) fn base64_of(length: usize) -> Value {
    BASE64_STANDARD.encode(vec![7; length]).into()
}
