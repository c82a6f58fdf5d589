//! `kmsgate quickstart`: a working KMS on this machine, with a key, a principal and an access key.
//!
//! What the first start makes in the data directory is a configuration like any other, so `kmsgate serve` can go on
//! with it. Each start brings the directory to its full state, so one that was interrupted is mended by the next.

use std::error::Error;
use std::fs;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;

use clap::Args;

use super::log::{self, Log};
use super::serve::failed;
use super::{BAD_CONFIG, page};
use crate::app::{self, Served};
use crate::audit::Writer;
use crate::aws::{AccountId, AliasName, KeyArn, Region, Regions};
use crate::backend::local::{LocalBackend, SeedError, Seeds};
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::credentials;
use crate::credentials::new_key::{NewAccessKey, principal_toml};
use crate::faults::{Collector, Fault, Faults, read_toml};
use crate::policy::{Document, Kind};
use crate::private_file;
use crate::secret::Secret;

const CONFIG_FILE: &str = "kmsgate.toml";
const CREDENTIALS_FILE: &str = "credentials.toml";
const POLICY_NAME: &str = "quickstart";
const ALIAS: &str = "alias/quickstart";
const DEFAULT_REGION: &str = "us-east-1";
/// The account of AWS's documentation.
const DEFAULT_ACCOUNT: &str = "111122223333";

/// Run a working KMS on this machine: with a key, a principal that may use it, and an access key.
#[derive(Debug, Args)]
#[command(long_about = "Run a working KMS on this machine: with a key, a principal that may use it, and an access key.

The first start makes everything in the data directory; the next ones find it again. The principal may call \
GenerateDataKeyWithoutPlaintext, GenerateDataKey, Encrypt, Decrypt, ReEncrypt and DescribeKey on that key and nothing \
else; --policy gives it another policy for this start.")]
#[command(after_help = "Examples:
  kmsgate quickstart
  kmsgate quickstart --json --listen 127.0.0.1:0 --admin 127.0.0.1:0 --data-dir /tmp/kms   for scripts
  kmsgate quickstart --policy allow-all.json                       for the test suites of other projects
  kmsgate quickstart --policy allow-all.json --seeds seeds.toml    with keys of their own, the same in each run

Exit codes: 0 stopped after draining, 1 could not start or failed, 64 a file or an argument is at fault.")]
pub(super) struct Arguments {
    /// Where clients come in; a loopback address, port 0 for a free port [default: 127.0.0.1:8700]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Where /livez and /readyz are answered; port 0 for a free port [default: 127.0.0.1:8701]
    #[arg(long, value_name = "ADDR")]
    admin: Option<SocketAddr>,
    /// Where keys, credentials and the audit file are kept
    #[arg(long, value_name = "DIR", default_value = "kmsgate-data")]
    data_dir: PathBuf,
    /// The region whose KMS this is [default: us-east-1, or that of the data directory]
    #[arg(long, value_name = "REGION")]
    region: Option<Region>,
    /// Another region whose KMS this is too, for replicas of multi-Region keys; once for each [default: none, or those
    /// of the data directory]
    #[arg(long = "replica-region", value_name = "REGION")]
    replica_regions: Vec<Region>,
    /// The account that the keys belong to [default: 111122223333, or that of the data directory]
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<AccountId>,
    /// The principal's policy for this start: an IAM identity policy
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Keys that are to be there, in a file of [[keys]] tables; made at the start where they are not
    #[arg(long, value_name = "FILE")]
    seeds: Option<PathBuf>,
    /// Print one line of JSON on standard output when ready, and everything else on standard error
    #[arg(long)]
    json: bool,
}

/// What a quickstart has made or found.
pub(super) struct Quickstart {
    pub(super) regions: Regions,
    pub(super) account: AccountId,
    pub(super) principal: String,
    pub(super) access_key_id: String,
    pub(super) secret: Secret<String>,
    pub(super) key: KeyArn,
    pub(super) alias: &'static str,
    pub(super) data_dir: PathBuf,
}

pub(super) fn run(arguments: &Arguments, log: &Log) -> ExitCode {
    let (config, backend, made) = match prepare(arguments) {
        Ok(prepared) => prepared,
        Err(Failure::Faults(faults)) => {
            eprintln!("{faults}");
            return ExitCode::from(BAD_CONFIG);
        }
        Err(Failure::Other(error)) => return failed(log, error.as_ref()),
    };
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    // With --json standard output is for one line alone.
    let console = if arguments.json { Ok(log.stream()) } else { log::standard_output() };
    let console = match console {
        Ok(console) => console,
        Err(error) => return failed(log, &error),
    };
    let ready = |listening: app::Listening| {
        let text = if arguments.json { page::json(&made, listening) } else { page::page(&made, listening) };
        // Who reads it waits for it; that nobody may read it is no reason to stop.
        let mut out = io::stdout().lock();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    };
    // Neither does anything wait for the console, so it needs no thread of the writer's.
    let ended = app::run(&config, Served::Local(backend), Some(Writer::of_texts(console.clone())), ready);
    console.finish(log::LAST_LINES);
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(log, &error),
    }
}

/// Why a quickstart was not prepared.
enum Failure {
    /// A file or an argument of the operator's.
    Faults(Faults),
    /// Anything else.
    Other(Box<dyn Error>),
}

impl From<Faults> for Failure {
    fn from(faults: Faults) -> Self {
        Self::Faults(faults)
    }
}

fn other(error: impl Error + 'static) -> Failure {
    Failure::Other(Box::new(error))
}

/// Brings the data directory to its full state.
fn prepare(arguments: &Arguments) -> Result<(Config, Arc<LocalBackend>, Quickstart), Failure> {
    let directory = &arguments.data_dir;
    let policy = arguments.policy.as_deref().map(read_policy).transpose()?;
    // Before anything is made, and below once more: the configuration may name another address.
    arguments.listen.map_or(Ok(()), loopback)?;
    let file = directory.join(CONFIG_FILE);
    let (regions, account) = site(arguments, &file)?;
    let seeds = arguments.seeds.as_deref().map(|file| read_seeds(file, regions.all(), account)).transpose()?;
    private_file::create_directory(directory).map_err(|error| in_directory(directory, &error))?;
    // First of all files: whatever is made next belongs to this region and account.
    if !file.exists() {
        private_file::write_new(&file, config_text(&regions, account).as_bytes()).map_err(other)?;
    }
    let root_key_file = directory.join("root.key");
    let backend =
        LocalBackend::open(directory, &root_key_file, regions.all(), account, &Clock::System).map_err(other)?;
    // The first, so that they may have the quickstart's own alias.
    seeds.as_ref().map_or(Ok(()), |seeds| seed(&backend, seeds))?;
    let alias: AliasName = ALIAS.parse().map_err(other)?;
    let key = backend.ensure_key(regions.own(), &alias, "Made by kmsgate quickstart").map_err(other)?;
    let principal = format!("arn:{}:iam::{account}:user/quickstart", regions.own().partition().as_str());
    let (access_key_id, secret) = access_key(&directory.join(CREDENTIALS_FILE), &principal)?;
    let policies = directory.join("policies");
    private_file::create_directory(&policies).map_err(other)?;
    let narrow = policies.join(format!("{POLICY_NAME}.json"));
    if !narrow.exists() {
        private_file::write_new(&narrow, narrow_policy(&key).as_bytes()).map_err(other)?;
    }
    let mut config = Config::load_with(&file, policy)?;
    config.seeds.as_ref().map_or(Ok(()), |seeds| seed(&backend, seeds))?;
    config.listen.address = arguments.listen.unwrap_or(config.listen.address);
    config.admin = arguments.admin.unwrap_or(config.admin);
    loopback(config.listen.address)?;
    let data_dir = directory.clone();
    let made = Quickstart { regions, account, principal, access_key_id, secret, key, alias: ALIAS, data_dir };
    let backend = backend.with_grant_propagation_delay(config.grants.propagation_delay);
    Ok((config, Arc::new(backend), made))
}

fn in_directory(directory: &Path, error: &io::Error) -> Failure {
    Failure::Other(format!("{}: cannot be made: {error}", directory.display()).into())
}

/// Without TLS nobody else may reach it.
fn loopback(address: SocketAddr) -> Result<(), Failure> {
    if address.ip().is_loopback() {
        return Ok(());
    }
    let message = format!("{address} can be reached from other machines, and quickstart has no TLS");
    Err(Faults::from(Fault::of_file(Path::new("kmsgate"), message, "use `kmsgate serve` with a [listen.tls] table"))
        .into())
}

/// The regions and account of the data directory, if it has one, else those asked for.
fn site(arguments: &Arguments, file: &Path) -> Result<(Regions, AccountId), Failure> {
    let (stored, account) = file.exists().then(|| stored_site(file)).transpose()?.unzip();
    let region = stored.as_ref().map(|stored| stored.own().as_str());
    let region = agreed(file, "region", arguments.region.as_ref(), region, DEFAULT_REGION)?;
    let account = account.flatten();
    let account = agreed(file, "account", arguments.account.as_ref(), account.as_deref(), DEFAULT_ACCOUNT)?;
    Ok((agreed_regions(file, region, &arguments.replica_regions, stored)?, account))
}

/// What the configuration says of both; the rest of it is read when there is something to start.
fn stored_site(file: &Path) -> Result<(Regions, Option<String>), Faults> {
    let unreadable = |error: io::Error| Fault::of_file(file, format!("cannot be read: {error}"), "make it readable");
    let text = fs::read_to_string(file).map_err(unreadable)?;
    let faults = Collector::default();
    let stored = read_toml(file, &text, &faults, |root| {
        let account = root.get("account").and_then(|value| value.text()).map(str::to_owned);
        config::regions(root).map(|regions| (regions, account))
    });
    faults.finish(file, stored)
}

fn agreed_regions(file: &Path, own: Region, asked: &[Region], stored: Option<Regions>) -> Result<Regions, Failure> {
    let fault = |file, message, hint| Err(Faults::from(Fault::of_file(file, message, hint)).into());
    let mut regions = Regions::new(own);
    for region in asked {
        if let Err(error) = regions.add(region.clone()) {
            let message = format!("--replica-region `{region}` is refused: {error}");
            return fault(Path::new("kmsgate"), message, "name other regions, of one partition, each once");
        }
    }
    let Some(stored) = stored else { return Ok(regions) };
    let same = stored.all().len() == regions.all().len() && stored.all().iter().all(|r| regions.all().contains(r));
    if !asked.is_empty() && !same {
        let message = "replica_regions has other regions than --replica-region names".to_owned();
        return fault(file, message, "add those that are missing there; what has keys must stay");
    }
    Ok(stored)
}

fn agreed<T>(file: &Path, name: &str, asked: Option<&T>, stored: Option<&str>, default: &str) -> Result<T, Failure>
where
    T: FromStr<Err: Error + 'static> + ToString,
{
    let asked = asked.map(T::to_string);
    match (asked, stored) {
        (Some(asked), Some(stored)) if asked != stored => {
            let message = format!("{name} is `{stored}`, and --{name} says `{asked}`");
            let hint = "a data directory belongs to one region and account: name another with --data-dir";
            Err(Faults::from(Fault::of_file(file, message, hint)).into())
        }
        (asked, stored) => asked.as_deref().or(stored).unwrap_or(default).parse().map_err(other),
    }
}

/// The operator's policy; its faults name the operator's own file.
fn read_policy(file: &Path) -> Result<Document, Failure> {
    let fault = |error: io::Error| {
        Faults::from(Fault::of_file(file, format!("cannot be read: {error}"), "name it with --policy"))
    };
    let text = fs::read_to_string(file).map_err(fault)?;
    let faults = Collector::default();
    let parsed = Document::parse(POLICY_NAME, text.as_bytes(), Kind::Identity).map_err(|found| {
        for fault in found {
            faults.push(config::policy_fault(file, fault));
        }
    });
    let parsed = faults.finish(file, parsed.ok())?;
    for warning in parsed.warnings {
        tracing::warn!("{}", config::policy_fault(file, warning));
    }
    Ok(parsed.document)
}

/// The operator's seeds.
fn read_seeds(file: &Path, regions: &[Region], account: AccountId) -> Result<Arc<Seeds>, Failure> {
    let faults = Collector::default();
    let seeds = Seeds::read(file, regions, account, &faults);
    Ok(Arc::new(faults.finish(file, seeds)?))
}

fn seed(backend: &LocalBackend, seeds: &Arc<Seeds>) -> Result<(), Failure> {
    match backend.seed(seeds) {
        Ok(_) => Ok(()),
        Err(SeedError::Faults(faults)) => Err(faults.into()),
        Err(error @ SeedError::Store(_)) => Err(other(error)),
    }
}

/// The principal's access key, made if the credentials file is not there.
fn access_key(file: &Path, principal: &str) -> Result<(String, Secret<String>), Failure> {
    if !file.exists() {
        let key = NewAccessKey::generate().map_err(other)?;
        private_file::write_new(file, principal_toml(principal, &[POLICY_NAME], &key).as_bytes()).map_err(other)?;
    }
    let faults = Collector::default();
    let rows = credentials::file::read(file, &faults).unwrap_or_default();
    let row = rows.into_iter().find(|row| row.arn.caller() == principal);
    let key = row.and_then(|row| row.access_keys.into_iter().next());
    if key.is_none() && faults.count() == 0 {
        let hint = "take the file away, and the next start makes a new one";
        faults.push(Fault::of_file(file, format!("has no access key of {principal}"), hint));
    }
    let key = faults.finish(file, key)?;
    Ok((key.id.as_str().to_owned(), key.secret))
}

/// Use of the one key, and nothing else.
fn narrow_policy(key: &KeyArn) -> String {
    format!(
        r#"{{
  "Version": "2012-10-17",
  "Statement": [
    {{
      "Sid": "UseTheKey",
      "Effect": "Allow",
      "Action": [
        "kms:GenerateDataKeyWithoutPlaintext",
        "kms:GenerateDataKey",
        "kms:Encrypt",
        "kms:Decrypt",
        "kms:ReEncryptFrom",
        "kms:ReEncryptTo",
        "kms:DescribeKey"
      ],
      "Resource": "{}"
    }}
  ]
}}
"#,
        key.as_str()
    )
}

fn config_text(regions: &Regions, account: AccountId) -> String {
    let region = regions.own();
    let replicas: Vec<String> = regions.replicas().map(|region| format!("\"{region}\"")).collect();
    let replicas =
        if replicas.is_empty() { String::new() } else { format!("replica_regions = [{}]\n", replicas.join(", ")) };
    format!(
        r#"# Made by `kmsgate quickstart`, which reads it again at each start. `kmsgate serve --config` runs it too.
region = "{region}"
{replicas}account = "{account}"

[backend]
kind = "local"
data_dir = "."

[auth]
credentials_file = "{CREDENTIALS_FILE}"

[policies]
directory = "policies"
# Key policies and grants are brought along with programs, and name principals that are not here.
accept_unknown_principals = true

[audit]
file = "audit.jsonl"
# Only this machine reaches it: whoever looks for a fault of theirs finds each refusal, signed or not.
unauthenticated_per_second = 1000

[server]
# A program on a laptop should end when it is told to.
drain_timeout_ms = 1000
"#
    )
}
