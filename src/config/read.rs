//! The root of the configuration file, and the sections too small for a file of their own.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::{AuditTarget, Auth, Backend, Config, Grants, limits, listen, policies, server};
use crate::aws::{Region, Regions};
use crate::backend::local::Seeds;
use crate::faults::{Collector, Section, Value};
use crate::policy::Document;

/// At AWS a grant has spread within five minutes (developer guide, "Grants in AWS KMS").
const LONGEST_PROPAGATION_DELAY_MS: u64 = 300_000;

/// Reads the whole file. `None` means that at least one fault was noted.
pub(super) fn config(file: &Path, root: &Section<'_>, given: Option<Document>, faults: &Collector) -> Option<Config> {
    let regions = regions(root);
    let account = root
        .require("account", "name the account the keys belong to: account = \"111122223333\"")
        .and_then(|value| value.parse("write its 12 digits in quotes"));
    let listen = listen::listen(&root.section("listen"));
    let admin = listen::admin(&root.section("admin"), listen.as_ref());
    let backend = backend(&root.section("backend"));
    let seeds = backend
        .as_ref()
        .and_then(|(_, file)| file.as_deref())
        .and_then(|file| Seeds::read(file, regions.as_ref()?.all(), account?, faults).map(Arc::new));
    let auth = auth(&root.section("auth"));
    let policies = policies::settings(&root.section("policies"));
    let mut warnings = Vec::new();
    let guardrail = policies.guardrail_file.as_ref();
    let guardrail = guardrail.map(|file| policies::guardrail(file, faults, &mut warnings));
    let credentials = auth.as_ref().and_then(|auth| {
        let found = (account, faults, &mut warnings);
        policies::credentials(&auth.credentials_file, policies.directory.as_deref(), given, found)
    });
    let grants = grants(&root.section("grants"));
    let audit = audit(&root.section("audit"));
    let limits = limits::limits(&root.section("limits"));
    let server = server::server(&root.section("server"));
    root.end();
    Some(Config {
        file: file.to_path_buf(),
        regions: regions?,
        account: account?,
        listen: listen?,
        admin: admin?,
        backend: backend?.0,
        seeds,
        auth: auth?,
        policies,
        guardrail: guardrail.map_or(Some(None), |read| read.map(Some))?,
        grants: grants?,
        credentials: Arc::new(credentials?),
        warnings,
        audit: audit?,
        limits,
        server,
    })
}

/// `region` and `replica_regions`, each region of which is judged by itself.
pub(crate) fn regions(root: &Section<'_>) -> Option<Regions> {
    let own = root
        .require("region", "name the region whose KMS this is: region = \"us-east-1\"")
        .and_then(|value| value.parse("write it like us-east-1"));
    let replicas = root.get("replica_regions");
    let replicas: Vec<_> = replicas.iter().flat_map(Value::texts).map(|(value, _)| value).collect();
    let replicas: Vec<(&Value<'_>, Option<Region>)> =
        replicas.iter().map(|value| (value, value.parse("write it like eu-west-1"))).collect();
    let mut regions = Regions::new(own?);
    for (value, region) in replicas {
        let Some(region) = region else { continue };
        let name = region.to_string();
        if let Err(error) = regions.add(region) {
            value.fault(
                format!("`{name}` is refused: {error}"),
                Some("name other regions, of one partition, each once"),
            );
        }
    }
    Some(regions)
}

/// The backend, and the file of its seeds.
fn backend(section: &Section<'_>) -> Option<(Backend, Option<PathBuf>)> {
    let data_dir = section.get("data_dir");
    let seeds_file = section.get("seeds_file");
    let root_key_file = section.get("root_key_file");
    let kind = section.require("kind", "write kind = \"local\"");
    section.end();
    let kind = kind?;
    match kind.text()? {
        "local" => {}
        "aws" => {
            kind.fault("`aws` is not served yet", Some("kind = \"local\" keeps keys in an embedded store"));
            return None;
        }
        other => {
            kind.fault(format!("`{other}` is no backend"), Some("write kind = \"local\""));
            return None;
        }
    }
    let data_dir_value = data_dir.or_else(|| section.require("data_dir", "name the directory of the key store"))?;
    let data_dir = data_dir_value.path()?;
    if data_dir.exists() && !data_dir.is_dir() {
        data_dir_value.fault(format!("`{}` is no directory", data_dir.display()), Some("name a directory"));
    }
    let root_key_file = match root_key_file {
        Some(value) => value.path()?,
        None => default_root_key_file(&data_dir),
    };
    let seeds_file = match seeds_file {
        Some(value) => Some(value.path()?),
        None => None,
    };
    Some((Backend::Local { data_dir, root_key_file }, seeds_file))
}

/// Beside the store unless it is told otherwise; who keeps both on one disk protects the keys by that disk.
fn default_root_key_file(data_dir: &Path) -> PathBuf {
    data_dir.join("root.key")
}

fn auth(section: &Section<'_>) -> Option<Auth> {
    let uniform_errors = section.get("uniform_errors").is_some_and(|value| value.boolean().unwrap_or_default());
    let credentials_file = section.require("credentials_file", "name the file of principals and their access keys");
    section.end();
    Some(Auth { credentials_file: credentials_file?.path()?, uniform_errors })
}

fn grants(section: &Section<'_>) -> Option<Grants> {
    let delay = section.get("propagation_delay_ms").map(|value| value.number(0..=LONGEST_PROPAGATION_DELAY_MS));
    section.end();
    let milliseconds = delay.unwrap_or(Some(0))?;
    Some(Grants { propagation_delay: Duration::from_millis(milliseconds) })
}

fn audit(section: &Section<'_>) -> Option<AuditTarget> {
    let value = section.get("file");
    section.end();
    // Standard output is what a container's log collector reads; the program's own log is on standard error.
    let Some(value) = value else { return Some(AuditTarget::Stdout) };
    if value.text()? == "stdout" {
        return Some(AuditTarget::Stdout);
    }
    let file = value.path()?;
    let parent = file.parent().filter(|parent| *parent != Path::new(""));
    if file.is_dir() {
        value.fault(format!("`{}` is a directory", file.display()), Some("name a file in it"));
    } else if parent.is_some_and(|parent| !parent.is_dir()) {
        value.fault(format!("the directory of `{}` does not exist", file.display()), Some("make the directory"));
    }
    Some(AuditTarget::File(file))
}
