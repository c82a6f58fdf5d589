//! The gateway without its audit trail, which no command of the program gives: a child process of the benchmark, which
//! starts itself again with [`ARGUMENT`]. Facts are gathered for the record as ever; no record is made of them.

use std::path::Path;
use std::sync::Arc;

use kmsgate::app::{Served, run_unrecorded};
use kmsgate::backend::local::LocalBackend;
use kmsgate::clock::Clock;
use kmsgate::config::{Backend, Config};

use crate::Outcome;

/// The hidden argument; a configuration file follows it.
pub(crate) const ARGUMENT: &str = "--serve-unrecorded";
/// As [`ARGUMENT`], and answers leave together, as they do for their records.
pub(crate) const ARGUMENT_TOGETHER: &str = "--serve-unrecorded-together";

/// Serves until the process is told to end.
pub(crate) fn run(file: &str, together: bool) -> Outcome<()> {
    let config = Config::load(Path::new(file))?;
    let Backend::Local { data_dir, root_key_file } = &config.backend else { return Err("another backend".into()) };
    let backend = LocalBackend::open(data_dir, root_key_file, config.regions.all(), config.account, &Clock::System)?;
    Ok(run_unrecorded(&config, Served::Local(Arc::new(backend)), together)?)
}
