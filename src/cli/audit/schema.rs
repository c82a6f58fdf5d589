//! `kmsgate audit schema`: what a line of an audit file may be.

use std::process::ExitCode;

use clap::Args;

use crate::audit::RECORD_SCHEMA;

/// Print the JSON Schema (draft 2020-12) of the lines of an audit file.
///
/// Every line that this version writes is valid by it, and each member has a description: for parsers, for rules that
/// raise alerts, and to see after an update what has changed.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  kmsgate audit schema > record.schema.json

Exit codes: 0.")]
pub(in crate::cli) struct Arguments {}

pub(in crate::cli) fn run(_: &Arguments) -> ExitCode {
    print!("{RECORD_SCHEMA}");
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::aws::Member;
    use crate::policy::Kind;

    /// What no record may have, by its name in records.
    const NEVER: [Member; 15] = [
        Member::AttestationDocument,
        Member::CiphertextBlob,
        Member::EncryptedKeyMaterial,
        Member::GrantToken,
        Member::GrantTokens,
        Member::ImportToken,
        Member::KeyStorePassword,
        Member::Mac,
        Member::Message,
        Member::Plaintext,
        Member::PublicKey,
        Member::SharedSecretCiphertextBlob,
        Member::Signature,
        Member::AccessKeyId,
        Member::RawSecretAccessKey,
    ];

    fn schema() -> Value {
        serde_json::from_str(RECORD_SCHEMA).unwrap()
    }

    /// Every name that an object in `schema` may have, however deep.
    fn names(schema: &Value, found: &mut BTreeSet<String>) {
        match schema {
            Value::Object(members) => {
                let named = members.get("properties").and_then(Value::as_object);
                found.extend(named.into_iter().flat_map(|named| named.keys().cloned()));
                members.values().for_each(|inner| names(inner, found));
            }
            Value::Array(items) => items.iter().for_each(|inner| names(inner, found)),
            _ => {}
        }
    }

    #[test]
    fn it_is_a_schema_of_its_draft() {
        assert!(jsonschema::draft202012::meta::is_valid(&schema()));
    }

    #[test]
    fn every_member_of_a_request_is_recorded_or_never() {
        let mut recorded = BTreeSet::new();
        names(&schema()["$defs"]["requestParameters"], &mut recorded);
        for member in Member::ALL.iter().filter(|member| **member != Member::XksProxyAuthenticationCredential) {
            assert_ne!(recorded.contains(member.camel()), NEVER.contains(member), "{member:?}");
        }
    }

    #[test]
    fn every_kind_of_policy_may_have_decided() {
        let schema = schema();
        let reason = &schema["$defs"]["gateway"]["properties"]["reasons"]["items"]["properties"];
        let layers: BTreeSet<_> =
            reason["layer"]["enum"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
        let kinds = [Kind::Guardrail, Kind::Key, Kind::Boundary, Kind::Session, Kind::Identity].map(Kind::label);
        assert_eq!(layers, kinds.into_iter().chain(["grant"]).collect());
    }

    /// Each member of an object that a record may have.
    fn undescribed(schema: &Value, path: &str, found: &mut Vec<String>) {
        match schema {
            Value::Object(members) => {
                // What only narrows a member that stands elsewhere need not say again what it is.
                let closed = members.get("additionalProperties") == Some(&Value::Bool(false));
                for (name, member) in members.get("properties").and_then(Value::as_object).into_iter().flatten() {
                    if closed && member.get("description").is_none() {
                        found.push(format!("{path}/{name}"));
                    }
                }
                members.iter().for_each(|(name, inner)| undescribed(inner, &format!("{path}/{name}"), found));
            }
            Value::Array(items) => items.iter().for_each(|inner| undescribed(inner, path, found)),
            _ => {}
        }
    }

    #[test]
    fn every_member_is_described() {
        let mut found = Vec::new();
        undescribed(&schema(), "", &mut found);
        assert_eq!(found, [""; 0]);
    }
}
