//! The root of the configuration file, and the sections too small for a file of their own.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::backend::Kind;
use super::upstreams::Noted;
use super::{Auth, Backend, Config, Grants, audit, backend, limits, listen, policies, server, upstreams};
use crate::aws::{AccountId, Region, Regions};
use crate::backend::aws::Role;
use crate::backend::local::Seeds;
use crate::credentials::Credentials;
use crate::faults::{Collector, Section, Value};
use crate::policy::Document;

/// At AWS a grant has spread within five minutes (developer guide, "Grants in AWS KMS").
const LONGEST_PROPAGATION_DELAY_MS: u64 = 300_000;

/// Reads the whole file. `None` means that at least one fault was noted.
pub(super) fn config(file: &Path, root: &Section<'_>, given: Option<Document>, faults: &Collector) -> Option<Config> {
    let regions = regions(root);
    let section = root.section("backend");
    let kind = backend::kind(&section);
    let role = if kind == Some(Kind::Aws) { upstreams::role(&section) } else { Ok(None) };
    let named = account(root, kind, role.as_ref());
    let listen = listen::listen(&root.section("listen"));
    let admin = listen::admin(&root.section("admin"), listen.as_ref());
    let auth = auth(&root.section("auth"));
    let policies = policies::settings(&root.section("policies"));
    let mut warnings = Vec::new();
    let guardrail = policies.guardrail_file.as_ref();
    let guardrail = guardrail.map(|file| policies::guardrail(file, faults, &mut warnings));
    let credentials = auth.as_ref().and_then(|auth| {
        let found = (named.ok().flatten(), faults, &mut warnings);
        policies::credentials(&auth.credentials_file, policies.directory.as_deref(), given, found)
    });
    let account = named.ok().and_then(|named| named.or_else(|| common_account(root, credentials.as_ref()?)));
    let backend = kind.and_then(|kind| match kind {
        Kind::Local => backend::local(&section),
        Kind::Aws => {
            let settings = upstreams::settings(&section, role, regions.as_ref(), account)?;
            Some((Backend::Aws(Box::new(settings)), None))
        }
    });
    let seeds = backend
        .as_ref()
        .and_then(|(_, file)| file.as_deref())
        .and_then(|file| Seeds::read(file, regions.as_ref()?.all(), account?, faults).map(Arc::new));
    let grants = grants(&root.section("grants"), kind);
    let audit = audit::audit(&root.section("audit"));
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

const NAME_ACCOUNT: &str = "name the account the keys belong to: account = \"111122223333\"";

/// The account as the file says it: of itself, or by the role that is assumed. `None` where it does not say, and need not.
fn account(
    root: &Section<'_>,
    kind: Option<Kind>,
    role: Result<&Option<Role>, &Noted>,
) -> Result<Option<AccountId>, Noted> {
    if let Some(value) = root.get("account") {
        return value.parse("write its 12 digits in quotes").map(Some).ok_or(Noted);
    }
    if kind != Some(Kind::Aws) {
        // That it is missing is the fault.
        let _ = root.require("account", NAME_ACCOUNT);
        return Err(Noted);
    }
    let role = role.map_err(|noted| *noted)?;
    Ok(role.as_ref().and_then(|role| upstreams::account_of_role(&role.arn)))
}

/// The account that all principals are of.
fn common_account(root: &Section<'_>, credentials: &Credentials) -> Option<AccountId> {
    let mut accounts = credentials.principals().map(|principal| principal.arn.account());
    let first = accounts.next();
    let common = first.filter(|first| accounts.all(|other| other == *first));
    if common.is_none() {
        let because =
            if first.is_some() { "the principals are not of one" } else { "there is no principal to take it from" };
        root.fault("account", format!("is missing, and {because}"), Some(NAME_ACCOUNT));
    }
    common
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

fn auth(section: &Section<'_>) -> Option<Auth> {
    let uniform_errors = section.get("uniform_errors").is_some_and(|value| value.boolean().unwrap_or_default());
    let credentials_file = section.require("credentials_file", "name the file of principals and their access keys");
    section.end();
    Some(Auth { credentials_file: credentials_file?.path()?, uniform_errors })
}

fn grants(section: &Section<'_>, kind: Option<Kind>) -> Option<Grants> {
    let delay = section.get("propagation_delay_ms");
    let forward_foreign = section.get("forward_foreign");
    for (value, of) in [(&delay, Kind::Local), (&forward_foreign, Kind::Aws)] {
        if let (Some(value), Some(kind)) = (value, kind.filter(|kind| *kind != of)) {
            value.fault(format!("means nothing to the {} backend", kind.name()), Some("take it out"));
        }
    }
    let delay = delay.map(|value| value.number(0..=LONGEST_PROPAGATION_DELAY_MS));
    let forward_foreign = forward_foreign.is_some_and(|value| value.boolean().unwrap_or_default());
    section.end();
    let milliseconds = delay.unwrap_or(Some(0))?;
    Some(Grants { propagation_delay: Duration::from_millis(milliseconds), forward_foreign })
}
