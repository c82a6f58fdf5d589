//! `kmsgate keys`: keys of the local backend, carried from one store to another.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{BAD_CONFIG, FAILED};
use crate::aws::{AccountId, Region, Regions};
use crate::backend::local::{Exported, ImportFile, LocalBackend, TransportError, TransportKey, not_written};
use crate::clock::Clock;
use crate::config::{Backend, Config};
use crate::faults::{Fault, Faults};
use crate::private_file;

/// A store of 100,000 keys has some 100 MB; more is a wrong file.
const LARGEST: u64 = 1024 * 1024 * 1024;

/// Carry keys of the local backend from one store to another.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    TransportKey(NewTransportKey),
    Export(Export),
    Import(Import),
}

/// Make a transport key, under which keys are exported and imported.
///
/// The file has mode 0600 and is never overwritten. Whoever has it and a file that was exported with it has the keys in
/// that file: carry the two by different ways, and delete this one once the keys are imported.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  kmsgate keys transport-key --out transport.key

Exit codes: 0 made, 64 the file is at fault.")]
pub(super) struct NewTransportKey {
    /// The file to make
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Export keys of a store, sealed under a transport key.
///
/// Every version of the key material comes along, and with it each key's state, dates, description, tags and aliases.
/// Without --key all keys are exported. Of a multi-Region key all relatives are. What is left out is said on standard
/// error. The store must not be open: stop the gateway first. Key material is encrypted in the file; names,
/// descriptions and tags are not.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  kmsgate keys export --config kmsgate.toml --transport-key transport.key --out keys
  kmsgate keys export --data-dir kmsgate-data --transport-key transport.key --key alias/a > keys

Exit codes: 0 exported, 1 the store cannot be opened, 64 a file or an argument is at fault.")]
pub(super) struct Export {
    #[command(flatten)]
    store: StoreArguments,
    /// The file of the transport key; see `kmsgate keys transport-key`
    #[arg(long, value_name = "FILE")]
    transport_key: PathBuf,
    /// A key to export, by its id, ARN or alias; may be given more than once [default: all keys]
    #[arg(long, value_name = "ID|ALIAS")]
    key: Vec<String>,
    /// The file to write, with mode 0600; it must not exist [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Import keys that were exported from another store.
///
/// All keys of the file are imported in one commit, or none. A key that is there already, with the same key material,
/// is left as it is, so that a file may be imported twice; one that contradicts the file is refused by name. Region and
/// account stay what they were, for both stand in each key's ARN and in its ciphertexts, which decrypt afterwards as
/// before. The store must not be open: stop the gateway first. Where there is no store one is made, with a root key of
/// its own.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  kmsgate keys import --config kmsgate.toml --transport-key transport.key --file keys
  kmsgate keys import --data-dir kmsgate-data --transport-key transport.key < keys

Exit codes: 0 imported, 1 the store cannot be opened or written, 64 a file or an argument is at fault.")]
pub(super) struct Import {
    #[command(flatten)]
    store: StoreArguments,
    /// The file of the transport key that the keys were exported with
    #[arg(long, value_name = "FILE")]
    transport_key: PathBuf,
    /// The file that was exported [default: standard input]
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Which store.
#[derive(Debug, Args)]
struct StoreArguments {
    /// The gateway's configuration, which names store, root key, region and account
    #[arg(long, value_name = "FILE", conflicts_with = "data_dir", required_unless_present = "data_dir")]
    config: Option<PathBuf>,
    /// The directory of the store, where no configuration is at hand
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The file of the store's root key [default: root.key in the data directory]
    #[arg(long, value_name = "FILE", requires = "data_dir")]
    root_key_file: Option<PathBuf>,
}

/// A store, and whose keys it may have if that is known.
struct Place {
    data_dir: PathBuf,
    root_key_file: PathBuf,
    served: Option<(Regions, AccountId)>,
}

impl StoreArguments {
    fn place(&self) -> Result<Place, Faults> {
        if let Some(file) = &self.config {
            let config = Config::load(file)?;
            let Backend::Local { data_dir, root_key_file } = config.backend else {
                let (message, hint) = ("has a backend without a store", "name the configuration of a local backend");
                return Err(Faults::from(Fault::of_file(file, message, hint)));
            };
            return Ok(Place { data_dir, root_key_file, served: Some((config.regions, config.account)) });
        }
        let data_dir = self.data_dir.clone().unwrap_or_default();
        let root_key_file = self.root_key_file.clone().unwrap_or_else(|| data_dir.join("root.key"));
        Ok(Place { data_dir, root_key_file, served: None })
    }
}

pub(super) fn run(command: &Command) -> ExitCode {
    let done = match command {
        Command::TransportKey(arguments) => new_transport_key(arguments),
        Command::Export(arguments) => export(arguments),
        Command::Import(arguments) => import(arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(TransportError::Faults(faults)) => {
            eprintln!("{faults}");
            ExitCode::from(BAD_CONFIG)
        }
        Err(error) => {
            eprintln!("kmsgate: {error}");
            ExitCode::from(FAILED)
        }
    }
}

fn new_transport_key(arguments: &NewTransportKey) -> Result<(), TransportError> {
    TransportKey::create(&arguments.out).map_err(Faults::from)?;
    eprintln!("{} is made. Carry it apart from the keys, and delete it afterwards.", arguments.out.display());
    Ok(())
}

fn export(arguments: &Export) -> Result<(), TransportError> {
    let Place { data_dir, root_key_file, .. } = arguments.store.place()?;
    let transport = TransportKey::read(&arguments.transport_key).map_err(Faults::from)?;
    let exported = LocalBackend::export(&data_dir, &root_key_file, &transport, &arguments.key)?;
    let (name, written) = if let Some(file) = &arguments.out {
        (file.as_path(), private_file::write_new(file, &exported.file))
    } else {
        let mut out = io::stdout().lock();
        (Path::new("standard output"), out.write_all(&exported.file).and_then(|()| out.flush()))
    };
    written.map_err(|error| Faults::from(not_written(name, &error)))?;
    tell(&exported);
    Ok(())
}

/// What is in the file, and what is not.
fn tell(exported: &Exported) {
    let Exported { account, regions, keys, aliases, left_out, without_material, .. } = exported;
    eprintln!("exported: {keys} keys, {aliases} aliases (account {account}, {})", listed(regions));
    eprintln!(
        "not exported: {left_out} keys that --key does not name; the root key, grants, access keys, identity policies, \
         audit records"
    );
    if *without_material > 0 {
        eprintln!("exported without key material, because the store has none of theirs: {without_material} keys");
    }
}

fn import(arguments: &Import) -> Result<(), TransportError> {
    let Place { data_dir, root_key_file, served } = arguments.store.place()?;
    let transport = &TransportKey::read(&arguments.transport_key).map_err(Faults::from)?;
    let name = arguments.file.as_deref().unwrap_or(Path::new("standard input"));
    let unreadable = |error: io::Error| {
        let hint = "name the file that `kmsgate keys export` made";
        Faults::from(Fault::of_file(name, format!("cannot be read: {error}"), hint))
    };
    let contents = &read(arguments.file.as_deref()).map_err(unreadable)?;
    let served = served.as_ref().map(|(regions, account)| (regions.all(), *account));
    let file = ImportFile { name, contents, transport };
    let imported = LocalBackend::import(&data_dir, &root_key_file, served, &file, &Clock::System)?;
    let (added, account) = (imported.added, imported.account);
    let regions = listed(&imported.regions);
    eprintln!("imported: {} keys, {} aliases (account {account}, {regions})", added.keys, added.aliases);
    eprintln!("left as they were, because they are there already: {} keys", added.left_alone);
    Ok(())
}

fn listed(regions: &[Region]) -> String {
    regions.iter().map(Region::to_string).collect::<Vec<_>>().join(", ")
}

fn read(file: Option<&Path>) -> io::Result<Vec<u8>> {
    let mut contents = Vec::new();
    let more = LARGEST + 1;
    match file {
        Some(file) => File::open(file)?.take(more).read_to_end(&mut contents)?,
        None => io::stdin().lock().take(more).read_to_end(&mut contents)?,
    };
    if contents.len() as u64 > LARGEST {
        return Err(io::Error::other("it is larger than 1 GiB"));
    }
    Ok(contents)
}
