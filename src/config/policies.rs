//! `[policies]` and `[auth]` put together: documents compiled once, each attached to the principals that name it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::aws::AccountId;
use crate::credentials::file::{self, PolicyName, PrincipalRow};
use crate::credentials::{AccessKey, Credentials, Principal};
use crate::faults::{Collector, Fault, Section, nearest};
use crate::policy::{self, Compiled, Document, Kind};

/// A managed policy of IAM has at most 6,144 characters; what is a thousand times that is a wrong file.
const LARGEST: u64 = 8 * 1024 * 1024;

/// Policies by their names.
type Policies = BTreeMap<String, Arc<Compiled>>;

pub(super) fn directory(section: &Section<'_>) -> Option<PathBuf> {
    let value = section.get("directory");
    section.end();
    let value = value?;
    let directory = value.path()?;
    if !directory.is_dir() {
        value.fault(format!("`{}` is no directory", directory.display()), Some("make it or correct the path"));
    }
    Some(directory)
}

/// Reads the credentials file and every document of the directory; what is legal and probably not meant goes to
/// `warnings`. A document that is `given` takes the place of the directory's of its name.
pub(super) fn credentials(
    file: &Path,
    directory: Option<&Path>,
    given: Option<Arc<Compiled>>,
    (account, faults, warnings): (Option<AccountId>, &Collector, &mut Vec<Fault>),
) -> Option<Credentials> {
    let mut policies = directory.map(|directory| read_all(directory, faults, warnings)).unwrap_or_default();
    policies.extend(given.map(|given| (given.name().to_owned(), given)));
    let rows = file::read(file, faults)?;
    warnings.extend(rows.iter().filter_map(|row| powerless(file, row, account)));
    let attach = Attach { file, directory, policies: &policies, faults };
    Some(rows.into_iter().flat_map(|row| attach.principal(row)).collect())
}

/// A principal that may do nothing, which is probably not meant.
fn powerless(file: &Path, row: &PrincipalRow, account: Option<AccountId>) -> Option<Fault> {
    let arn = row.arn.caller();
    if account.is_some_and(|account| account != row.arn.account()) {
        let message = format!("`{arn}` is of another account and may do nothing");
        return Some(Fault::of_file(
            file,
            message,
            "only key policies open keys to other accounts, and there are none yet",
        ));
    }
    let message =
        || Fault::of_file(file, format!("`{arn}` has no policies and may do nothing"), "name some in `policies`");
    row.policies.is_empty().then(message)
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
        let policies = row.policies.iter().filter_map(|policy| self.named(policy)).collect();
        let principal = Arc::new(Principal::new(row.arn, &row.unique_id, row.tags.into_iter().collect(), policies));
        let key = |key: file::KeyRow| {
            let made = AccessKey::new(&principal, &row.unique_id, &key.id, key.secret);
            (key.id, Arc::new(made))
        };
        row.access_keys.into_iter().map(key).collect()
    }

    fn named(&self, policy: &PolicyName) -> Option<Arc<Compiled>> {
        if let Some(compiled) = self.policies.get(policy.name.as_ref()) {
            return Some(Arc::clone(compiled));
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
    files.iter().filter_map(|(name, file)| Some((name.clone(), read_one(name, file, faults, warnings)?))).collect()
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

fn read_one(name: &str, file: &Path, faults: &Collector, warnings: &mut Vec<Fault>) -> Option<Arc<Compiled>> {
    let json = match read_bounded(file) {
        Ok(json) => json,
        Err(message) => {
            faults.push(Fault::of_file(file, message, "each NAME.json there is a policy document"));
            return None;
        }
    };
    match Document::parse(name, &json, Kind::Identity) {
        Ok(parsed) => {
            warnings.extend(parsed.warnings.into_iter().map(|warning| policy_fault(file, warning)));
            Some(Arc::new(Compiled::from(parsed.document)))
        }
        Err(found) => {
            for fault in found {
                faults.push(policy_fault(file, fault));
            }
            None
        }
    }
}

fn read_bounded(file: &Path) -> Result<Vec<u8>, String> {
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
