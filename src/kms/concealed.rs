//! Texts of an upstream that may quote a request: what the request keeps secret is taken out before they are recorded.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::input::{Input, recorded};
use super::model::{self, Field, Shape};
use super::parse::{Members, Node};

/// Stands where a secret stood.
const CONCEALED: &str = "***";
/// A blob this short, in bytes, is found in any text by chance: it is looked for in base64 alone.
const FOUND_BY_CHANCE: usize = 8;

impl Input {
    /// `text` without what no record may have: the blobs, passwords and grant tokens of this request.
    #[must_use]
    pub fn without_secrets<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut text = Cow::Borrowed(text);
        conceal(model::fields(self.operation()), self.members(), &mut text);
        text
    }
}

fn conceal(fields: &'static [Field], members: &Members, text: &mut Cow<'_, str>) {
    for field in fields {
        match (members.get(field.member), &field.shape) {
            (Some(Node::Structure(inner)), Shape::Structure(fields)) => conceal(fields, inner, text),
            (Some(node), _) if !recorded(field) => take_out(node, text),
            _ => {}
        }
    }
}

fn take_out(node: &Node, text: &mut Cow<'_, str>) {
    let mut replace = |secret: &str| {
        if !secret.is_empty() && text.contains(secret) {
            *text = Cow::Owned(text.replace(secret, CONCEALED));
        }
    };
    match node {
        Node::Text(token) => replace(token),
        Node::Texts(tokens) => tokens.iter().for_each(|token| replace(token)),
        Node::Secret(secret) => replace(secret.expose()),
        Node::Blob(blob) => {
            replace(&STANDARD.encode(blob.expose()));
            if let Ok(plain) = std::str::from_utf8(blob.expose())
                && plain.len() >= FOUND_BY_CHANCE
            {
                replace(plain);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::aws::Operation;

    fn recorded(operation: Operation, body: &Value, text: &str) -> String {
        let input = Input::parse_to_forward(operation, body.to_string().as_bytes()).unwrap();
        input.without_secrets(text).into_owned()
    }

    #[test]
    fn blobs_tokens_and_passwords_are_taken_out_and_all_else_stays() {
        use Operation as Op;
        let credential = json!({"AccessKeyId": "ABCDEFGHIJKLMNOPQRST", "RawSecretAccessKey": "drowssap"});
        for (operation, body, text, expected) in [
            (
                Op::Encrypt,
                json!({"KeyId": "k", "Plaintext": "c2VjcmV0LXRleHQ="}),
                "'c2VjcmV0LXRleHQ=' or 'secret-text'",
                "'***' or '***'",
            ),
            (Op::Encrypt, json!({"KeyId": "k", "Plaintext": "YQ=="}), "a 'YQ=='", "a '***'"),
            (Op::Encrypt, json!({"Plaintext": "", "KeyId": "key"}), "the key", "the key"),
            (
                Op::DescribeKey,
                json!({"KeyId": "k", "GrantTokens": ["one", "two"]}),
                "[one, two, three]",
                "[***, ***, three]",
            ),
            (Op::RetireGrant, json!({"GrantToken": "one"}), "one", "***"),
            (Op::UpdateCustomKeyStore, json!({"KeyStorePassword": "drowssap"}), "drowssap!", "***!"),
            (
                Op::UpdateCustomKeyStore,
                json!({"XksProxyAuthenticationCredential": credential}),
                "ABCDEFGHIJKLMNOPQRST:drowssap",
                "***:***",
            ),
        ] {
            assert_eq!(recorded(operation, &body, text), expected);
        }
    }
}
