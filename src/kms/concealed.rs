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
    ///
    /// All are looked for in the text as it came: what stands in a secret's place is no part of another.
    #[must_use]
    pub fn without_secrets<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut secrets = Vec::new();
        collect(model::fields(self.operation()), self.members(), &mut secrets);
        let mut is_secret = vec![false; text.len()];
        for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
            for (at, found) in text.match_indices(&**secret) {
                is_secret.iter_mut().skip(at).take(found.len()).for_each(|byte| *byte = true);
            }
        }
        if is_secret.contains(&true) { Cow::Owned(without(text, &is_secret)) } else { Cow::Borrowed(text) }
    }
}

/// `text` with [`CONCEALED`] in place of each run of bytes that are secret.
fn without(text: &str, is_secret: &[bool]) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut concealing = false;
    for (at, character) in text.char_indices() {
        let is_secret = is_secret.get(at) == Some(&true);
        match (is_secret, concealing) {
            (false, _) => kept.push(character),
            (true, false) => kept.push_str(CONCEALED),
            (true, true) => {}
        }
        concealing = is_secret;
    }
    kept
}

fn collect<'m>(fields: &'static [Field], members: &'m Members, secrets: &mut Vec<Cow<'m, str>>) {
    for field in fields {
        match (members.get(field.member), &field.shape) {
            (Some(Node::Structure(inner)), Shape::Structure(fields)) => collect(fields, inner, secrets),
            (Some(node), _) if !recorded(field) => collect_of(node, secrets),
            _ => {}
        }
    }
}

fn collect_of<'m>(node: &'m Node, secrets: &mut Vec<Cow<'m, str>>) {
    match node {
        Node::Text(token) => secrets.push(token.into()),
        Node::Texts(tokens) => secrets.extend(tokens.iter().map(Cow::from)),
        Node::Secret(secret) => secrets.push(secret.expose().into()),
        Node::Blob(blob) => {
            secrets.push(STANDARD.encode(blob.expose()).into());
            if let Ok(plain) = std::str::from_utf8(blob.expose())
                && plain.len() >= FOUND_BY_CHANCE
            {
                secrets.push(plain.into());
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
            // One that is part of another, or of what stands for another.
            (Op::DescribeKey, json!({"KeyId": "k", "GrantTokens": ["é", "onée", "*"]}), "onée, two*é", "***, two***"),
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
