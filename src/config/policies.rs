//! `[policies]` and `[auth]` put together: documents compiled once, each attached to the principals that name it.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::aws::AccountId;
use crate::credentials::file::{self, PolicyName, PrincipalRow};
use crate::credentials::{AccessKey, Credentials, Principal, PrincipalType};
use crate::faults::{Collector, Fault, Section, nearest};
use crate::policy::{self, Compiled, Document, Kind};

/// A managed policy of IAM has at most 6,144 characters; what is a thousand times that is a wrong file.
const LARGEST: u64 = 8 * 1024 * 1024;

/// What `[policies]` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicySettings {
    /// Where policy documents are, if there are any.
    pub directory: Option<PathBuf>,
    /// The document that nobody may go beyond.
    pub guardrail_file: Option<PathBuf>,
    /// Whether key policies and grants may name principals that are not in the credentials file.
    pub accept_unknown_principals: bool,
}

/// The documents of the directory, by their names.
type Policies = BTreeMap<String, Policy>;

/// A document, compiled for each of the uses it is put to.
struct Policy {
    document: Document,
    identity: Arc<Compiled>,
    boundary: OnceCell<Arc<Compiled>>,
    session: OnceCell<Arc<Compiled>>,
}

impl Policy {
    fn new(document: Document) -> Self {
        let identity = Arc::new(Compiled::from(document.clone()));
        Self { document, identity, boundary: OnceCell::new(), session: OnceCell::new() }
    }

    fn compiled(&self, kind: Kind) -> Arc<Compiled> {
        let attached = || Arc::new(Compiled::from(self.document.clone().attached_as(kind)));
        Arc::clone(match kind {
            Kind::Boundary => self.boundary.get_or_init(attached),
            Kind::Session => self.session.get_or_init(attached),
            Kind::Identity | Kind::Guardrail | Kind::Key => &self.identity,
        })
    }
}

pub(super) fn settings(section: &Section<'_>) -> PolicySettings {
    let directory = section.get("directory");
    let guardrail = section.get("guardrail_file");
    let accept = section.get("accept_unknown_principals");
    section.end();
    let directory = directory.and_then(|value| {
        let directory = value.path()?;
        if !directory.is_dir() {
            value.fault(format!("`{}` is no directory", directory.display()), Some("make it or correct the path"));
        }
        Some(directory)
    });
    PolicySettings {
        directory,
        guardrail_file: guardrail.and_then(|value| value.path()),
        accept_unknown_principals: accept.is_some_and(|value| value.boolean().unwrap_or_default()),
    }
}

/// Reads the document that nobody may go beyond.
pub(super) fn guardrail(file: &Path, faults: &Collector, warnings: &mut Vec<Fault>) -> Option<Arc<Compiled>> {
    let name = file.file_stem().map_or_else(|| "guardrail".into(), |stem| stem.to_string_lossy());
    let document = read_one(&name, file, Kind::Guardrail, faults, warnings)?;
    if document.allows_nothing() {
        let hint = "add a statement that allows `*` on `*`, beside those that deny";
        warnings.push(Fault::of_file(file, "it allows nothing, so nobody may do anything", hint));
    }
    Some(Arc::new(Compiled::from(document)))
}

/// Reads the credentials file and every document of the directory; what is legal and probably not meant goes to
/// `warnings`. A document that is `given` takes the place of the directory's of its name.
pub(super) fn credentials(
    file: &Path,
    directory: Option<&Path>,
    given: Option<Document>,
    (account, faults, warnings): (Option<AccountId>, &Collector, &mut Vec<Fault>),
) -> Option<Credentials> {
    let mut policies = directory.map(|directory| read_all(directory, faults, warnings)).unwrap_or_default();
    policies.extend(given.map(|given| (given.name().to_owned(), Policy::new(given))));
    let rows = file::read(file, faults)?;
    warnings.extend(rows.iter().filter_map(|row| powerless(file, row)));
    warnings.extend(rows.iter().filter_map(|row| report_only(file, row)));
    warnings.extend(rows.iter().filter_map(|row| of_another_account(file, row, account)));
    let attach = Attach { file, directory, policies: &policies, faults };
    Some(rows.into_iter().flat_map(|row| attach.principal(row)).collect())
}

/// A principal that only key policies and grants can give anything, which may not be meant.
fn powerless(file: &Path, row: &PrincipalRow) -> Option<Fault> {
    let arn = row.arn.caller();
    let needs_none = row.arn.principal_type() == PrincipalType::Account;
    let message = || {
        let message = format!("`{arn}` has no policies and may do only what key policies and grants name it for");
        Fault::of_file(file, message, "name some in `policies`")
    };
    (row.policies.is_empty() && !needs_none).then(message)
}

/// A principal whose own account is elsewhere.
fn of_another_account(file: &Path, row: &PrincipalRow, account: Option<AccountId>) -> Option<Fault> {
    let arn = row.arn.caller();
    let other = account.is_some_and(|account| account != row.arn.account());
    let message = || format!("`{arn}` is of another account and may use only keys whose policies or grants let it in");
    other.then(|| Fault::of_file(file, message(), "see the manual, \"Policies and grants\""))
}

/// A principal that is let through where it should not be, on purpose.
fn report_only(file: &Path, row: &PrincipalRow) -> Option<Fault> {
    let until = row.danger_report_only_until?;
    let arn = row.arn.caller();
    let message = format!(
        "`{arn}` is only reported, and not refused, until {}, where no policy allows its use of keys",
        until.iso8601()
    );
    Some(Fault::of_file(file, message, "take `danger_report_only_until` out once its policies are complete"))
}

/// What principals are made with.
struct Attach<'a> {
    file: &'a Path,
    directory: Option<&'a Path>,
    policies: &'a Policies,
    faults: &'a Collector,
}

impl Attach<'_> {
    /// The access keys of one principal.
    fn principal(&self, row: PrincipalRow) -> Vec<(crate::aws::AccessKeyId, Arc<AccessKey>)> {
        let policies = row.policies.iter().filter_map(|policy| self.named(policy, Kind::Identity)).collect();
        let limit = |policy: &Option<PolicyName>, kind| policy.as_ref().and_then(|policy| self.named(policy, kind));
        let tags = row.tags.into_iter().collect();
        let principal = Arc::new(Principal {
            boundary: limit(&row.boundary, Kind::Boundary),
            session_policy: limit(&row.session_policy, Kind::Session),
            danger_report_only_until: row.danger_report_only_until,
            ..Principal::new(row.arn, &row.unique_id, tags, policies)
        });
        let key = |key: file::KeyRow| {
            let made = AccessKey::new(&principal, &row.unique_id, &key.id, key.secret);
            (key.id, Arc::new(made))
        };
        row.access_keys.into_iter().map(key).collect()
    }

    fn named(&self, policy: &PolicyName, kind: Kind) -> Option<Arc<Compiled>> {
        if let Some(found) = self.policies.get(policy.name.as_ref()) {
            return Some(found.compiled(kind));
        }
        let name = &policy.name;
        let hint = match (nearest(name, self.policies.keys().map(String::as_str)), self.directory) {
            (Some(meant), _) => format!("did you mean `{meant}`?"),
            (None, Some(directory)) => {
                format!("write the document {}", directory.join(format!("{name}.json")).display())
            }
            (None, None) => "name the directory of policy documents: policies.directory = \"policies\"".to_owned(),
        };
        let (path, line) = policy.place.clone();
        // A document that has faults is there and cannot be used: its own faults say so.
        let broken = self.directory.is_some_and(|directory| directory.join(format!("{name}.json")).exists());
        if !broken {
            let message = format!("there is no policy `{name}`");
            let file = self.file.to_path_buf();
            self.faults.push(Fault { file, line: Some(line), path, message, hint: Some(hint) });
        }
        None
    }
}

/// Every `NAME.json` of the directory, so that a document is checked before anybody is given it.
fn read_all(directory: &Path, faults: &Collector, warnings: &mut Vec<Fault>) -> Policies {
    let files = match json_files(directory) {
        Ok(files) => files,
        // That it is no directory was said where it is named.
        Err(_) if !directory.is_dir() => return Policies::new(),
        Err(error) => {
            faults.push(Fault::of_file(directory, format!("cannot be read: {error}"), "make it readable"));
            return Policies::new();
        }
    };
    let read = |(name, file): &(String, PathBuf)| {
        let document = read_one(name, file, Kind::Identity, faults, warnings)?;
        Some((name.clone(), Policy::new(document)))
    };
    files.iter().filter_map(read).collect()
}

fn json_files(directory: &Path) -> std::io::Result<Vec<(String, PathBuf)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".json"));
        // Kubernetes keeps what a ConfigMap was and is in names that begin with a dot.
        if let Some(name) = name.filter(|name| !name.starts_with('.') && !name.is_empty()) {
            files.push((name.to_owned(), path.clone()));
        }
    }
    files.sort();
    Ok(files)
}

fn read_one(name: &str, file: &Path, kind: Kind, faults: &Collector, warnings: &mut Vec<Fault>) -> Option<Document> {
    let json = match read_bounded(file) {
        Ok(json) => json,
        Err(message) => {
            faults.push(Fault::of_file(file, message, "it is to be a policy document"));
            return None;
        }
    };
    match Document::parse(name, &json, kind) {
        Ok(parsed) => {
            warnings.extend(parsed.warnings.into_iter().map(|warning| policy_fault(file, warning)));
            Some(parsed.document)
        }
        Err(found) => {
            for fault in found {
                faults.push(policy_fault(file, fault));
            }
            None
        }
    }
}

/// The bytes of a policy document's file, or what is wrong with the file.
pub(crate) fn read_bounded(file: &Path) -> Result<Vec<u8>, String> {
    let metadata = std::fs::metadata(file).map_err(|error| format!("cannot be read: {error}"))?;
    if !metadata.is_file() {
        return Err("is no file".into());
    }
    if metadata.len() > LARGEST {
        return Err(format!("has {} bytes, more than the {LARGEST} that a document may have", metadata.len()));
    }
    std::fs::read(file).map_err(|error| format!("cannot be read: {error}"))
}

/// The fault of a document, in its file.
pub(crate) fn policy_fault(file: &Path, fault: policy::Fault) -> Fault {
    let policy::Fault { path, message, hint } = fault;
    let hint = hint.or_else(|| Some("see the IAM user guide, \"IAM JSON policy elements reference\"".to_owned()));
    Fault { file: file.to_path_buf(), line: None, path, message, hint }
}
