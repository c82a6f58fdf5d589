//! `kmsgate policy check`: what is wrong with policy documents, and what is legal and probably not meant.

use std::collections::HashSet;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::cli::{BAD_CONFIG, load};
use crate::config::{Config, policy_fault, read_bounded};
use crate::credentials::file;
use crate::faults::{self, Collector};
use crate::policy::{Document, Fault, Kind};

/// Report every fault of policy documents, and what is legal and probably not meant.
///
/// A fault is what a gateway refuses to load. A warning is for what it loads: misspelt actions and condition keys,
/// statements that never apply, conditions that contradict each other, what one statement allows and another denies, and
/// identity policies that allow everything.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  kmsgate policy check policies/*.json
  kmsgate policy check key-policy.json --kind key --config /etc/kmsgate/kmsgate.toml

Exit codes: 0 no faults, 64 there are faults.")]
pub(in crate::cli) struct Arguments {
    /// The documents, one a file
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// What the documents are attached to; by itself a document with `Principal` is a key policy, any other an identity
    /// policy
    #[arg(long, value_name = "KIND")]
    kind: Option<Attached>,
    /// A configuration: warn of principals in key policies that its credentials file does not have
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print one line of JSON for each finding: file, path, severity, message, hint
    #[arg(long)]
    json: bool,
}

/// What a document is attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Attached {
    /// A user, role or group
    Identity,
    /// A KMS key
    Key,
    /// The gateway
    Guardrail,
    /// A principal, as the bound of its identity policies
    Boundary,
    /// A session of a role
    Session,
}

impl From<Attached> for Kind {
    fn from(attached: Attached) -> Self {
        match attached {
            Attached::Identity => Self::Identity,
            Attached::Key => Self::Key,
            Attached::Guardrail => Self::Guardrail,
            Attached::Boundary => Self::Boundary,
            Attached::Session => Self::Session,
        }
    }
}

pub(in crate::cli) fn run(arguments: &Arguments) -> ExitCode {
    let Arguments { files, kind, config, json } = arguments;
    let principals = match config.as_deref().map(Principals::of) {
        Some(Err(code)) => return code,
        Some(Ok(principals)) => Some(principals),
        None => None,
    };
    let mut tally = [0, 0];
    for file in files {
        let (severity, findings) = findings(file, kind.map(Kind::from), principals.as_ref());
        for finding in findings {
            if *json {
                // Who reads no further needs no more lines.
                let _ = writeln!(io::stdout(), "{}", line(severity, file, &finding));
            } else {
                eprintln!("{}{}", severity.prefix(), policy_fault(file, finding));
            }
            let [faults, warnings] = &mut tally;
            *(if severity == Severity::Fault { faults } else { warnings }) += 1;
        }
    }
    let [faults, warnings] = tally;
    if !json {
        let summary =
            [counted(files.len(), "document"), counted(faults, "fault"), counted(warnings, "warning")].join(", ");
        if faults > 0 { eprintln!("{summary}") } else { println!("ok: {summary}") }
    }
    if faults > 0 { ExitCode::from(BAD_CONFIG) } else { ExitCode::SUCCESS }
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Severity {
    Fault,
    Warning,
}

impl Severity {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Fault => "",
            Self::Warning => "warning: ",
        }
    }
}

/// A finding, as `--json` prints it.
#[derive(Serialize)]
struct Line<'a> {
    file: String,
    path: &'a str,
    severity: Severity,
    message: &'a str,
    hint: Option<&'a str>,
}

fn line(severity: Severity, file: &Path, finding: &Fault) -> String {
    let Fault { path, message, hint } = finding;
    let line = Line { file: file.display().to_string(), path, severity, message, hint: hint.as_deref() };
    // Texts can always be written.
    serde_json::to_string(&line).unwrap_or_default()
}

/// What there is to say about a document: its faults or, if it has none, its warnings.
fn findings(file: &Path, kind: Option<Kind>, principals: Option<&Principals>) -> (Severity, Vec<Fault>) {
    let json = match read_bounded(file) {
        Ok(json) => json,
        Err(message) => return (Severity::Fault, vec![Fault::new(message, "it is to be a policy document")]),
    };
    match Document::parse(&file.display().to_string(), &json, kind.unwrap_or_else(|| kind_of(&json))) {
        Err(faults) => (Severity::Fault, faults),
        Ok(parsed) => {
            let unknown = principals.into_iter().flat_map(|principals| principals.unknown(&parsed.document));
            let found = unknown.chain(parsed.warnings).chain(parsed.wide).collect();
            (Severity::Warning, found)
        }
    }
}

/// A key policy says whom it is about.
fn kind_of(json: &[u8]) -> Kind {
    let document: serde_json::Value = serde_json::from_slice(json).unwrap_or_default();
    let names =
        |statement: &serde_json::Value| ["Principal", "NotPrincipal"].iter().any(|name| statement.get(name).is_some());
    let of_key = match document.get("Statement") {
        Some(serde_json::Value::Array(statements)) => statements.iter().any(names),
        Some(statement) => names(statement),
        None => false,
    };
    if of_key { Kind::Key } else { Kind::Identity }
}

/// The principals that a credentials file has, by every name that a key policy can have for them.
struct Principals {
    file: PathBuf,
    names: HashSet<String>,
}

impl Principals {
    /// Those of a configuration; the exit code, once its faults are told, if it has any.
    fn of(config: &Path) -> Result<Self, ExitCode> {
        let Config { auth, account, .. } = load(config)?;
        let faults = Collector::default();
        // It was read a moment ago, without a fault.
        let rows = file::read(&auth.credentials_file, &faults);
        let rows = faults.finish(&auth.credentials_file, rows).map_err(|faults: faults::Faults| {
            eprintln!("{faults}");
            ExitCode::from(BAD_CONFIG)
        })?;
        let names = rows.iter().map(|row| row.arn.names(&row.unique_id));
        let names: HashSet<String> =
            names.flat_map(|names| names.iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>()).collect();
        let own = std::iter::once(account.to_string());
        Ok(Self { file: auth.credentials_file, names: names.into_iter().chain(own).collect() })
    }

    /// A warning for each principal of a key policy that is none of these.
    fn unknown(&self, document: &Document) -> Vec<Fault> {
        let unknown = document.principals().filter(|(_, name)| !self.names.contains(*name));
        let warning = |(path, name): (String, &str)| {
            let message = format!("`{name}` is no principal of {}", self.file.display());
            Fault::new(message, "correct it, or add the principal").within(&path)
        };
        unknown.map(warning).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_that_names_principals_is_a_key_policy() {
        for (json, kind) in [
            (r#"{"Statement":{"Principal":"*"}}"#, Kind::Key),
            (r#"{"Statement":[{},{"NotPrincipal":{}}]}"#, Kind::Key),
            (r#"{"Statement":[{"Effect":"Allow"}]}"#, Kind::Identity),
            (r#"{"Principal":"*"}"#, Kind::Identity),
            ("[", Kind::Identity),
            ("", Kind::Identity),
        ] {
            assert_eq!(kind_of(json.as_bytes()), kind, "{json}");
        }
    }

    #[test]
    fn a_finding_is_a_line_of_json() {
        let fault = Fault { path: "Statement[0]".into(), message: "a \"b\"".into(), hint: None };
        assert_eq!(
            line(Severity::Warning, Path::new("p.json"), &fault),
            r#"{"file":"p.json","path":"Statement[0]","severity":"warning","message":"a \"b\"","hint":null}"#
        );
    }

    #[test]
    fn principals_of_a_key_policy_are_looked_for_by_each_of_their_names() {
        let known = ["111122223333", "arn:aws:iam::111122223333:role/orders", "AROAEXAMPLEEXAMPLE"];
        let principals = Principals { file: "c.toml".into(), names: known.map(str::to_owned).into() };
        let json = br#"{"Statement":[
            {"Effect":"Allow","Principal":{"AWS":["arn:aws:iam::111122223333:root","AROAEXAMPLEEXAMPLE",
             "arn:aws:iam::111122223333:role/ordres"]},"Action":"kms:Decrypt","Resource":"*"},
            {"Effect":"Deny","NotPrincipal":{"AWS":["444455556666","arn:aws:iam::111122223333:role/orders"]},
             "Action":"kms:Decrypt","Resource":"*"},
            {"Effect":"Allow","Principal":"*","Action":"kms:Decrypt","Resource":"*"}]}"#;
        let document = Document::parse("key", json, Kind::Key).unwrap().document;
        let found: Vec<String> = principals.unknown(&document).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "Statement[0].Principal: `arn:aws:iam::111122223333:role/ordres` is no principal of c.toml (correct it, \
                 or add the principal)",
                "Statement[1].NotPrincipal: `444455556666` is no principal of c.toml (correct it, or add the principal)",
            ]
        );
    }
}
