//! The audit trail as it is configured.

use std::io;
use std::path::Path;

use super::{RunError, Served};
use crate::audit::{ChainSettings, MainSink, Origin, SecondSink, SigningKey, Trail, Writer, second_file};
use crate::backend::local::LocalBackend;
use crate::clock::Clock;
use crate::config::{Audit, Backend, ChainSetting, Config, Content, SinkName};

/// Opens it.
///
/// # Errors
///
/// [`RunError::Audit`] and [`RunError::SigningKey`].
pub(super) fn open(config: &Config, backend: &Served, clock: &Clock) -> Result<Writer, RunError> {
    let Audit { file, stdout, required, durability, chain, rotation, .. } = &config.audit;
    let standard_output = "standard output";
    let failed = |sink: &str| {
        let sink = sink.to_owned();
        move |source| RunError::Audit { sink, source }
    };
    let mut seconds = Vec::new();
    let (main, name) = if let (SinkName::File, Some(path)) = (required, file) {
        if let Some(content) = stdout {
            let writer = Writer::threaded(io::stdout()).map_err(failed(standard_output))?;
            seconds.push(SecondSink { writer, only_checkpoints: *content == Content::Checkpoints });
        }
        (MainSink::File { path: path.clone(), rotation: *rotation }, quoted(path))
    } else {
        if let Some(path) = file {
            let writer = second_file(path, clock).map_err(failed(&quoted(path)))?;
            seconds.push(SecondSink { writer, only_checkpoints: false });
        }
        (MainSink::Stream(Box::new(io::stdout())), standard_output.to_owned())
    };
    let chain = chain.as_ref().map(|chain| chain_settings(config, chain, backend, clock)).transpose()?;
    let trail = Trail { main, durability: *durability, chain, seconds, clock: clock.clone() };
    Writer::open(trail).map_err(failed(&name))
}

fn quoted(path: &Path) -> String {
    format!("`{}`", path.display())
}

/// The key that signs checkpoints: of its own file, or derived from the root key.
///
/// # Errors
///
/// If it cannot be read. `None`: there is none before the program starts, and it makes one for itself.
pub(crate) fn signing_key(audit: &Audit, backend: &Backend) -> Result<Option<SigningKey>, RunError> {
    let at_fault = |error: Box<dyn std::error::Error + Send + Sync>| RunError::SigningKey(error);
    let file = audit.chain.as_ref().and_then(|chain| chain.signing_key_file.as_ref());
    match (file, backend) {
        (Some(file), _) => {
            SigningKey::read_or_create(file).map(Some).map_err(|fault| at_fault(fault.to_string().into()))
        }
        (None, Backend::Local { root_key_file, .. }) => {
            let seed = LocalBackend::audit_seed(root_key_file).map_err(|error| at_fault(error.into()))?;
            SigningKey::from_seed(&seed).map(Some).map_err(|error| at_fault(error.into()))
        }
        (None, Backend::Aws(_)) => Ok(None),
    }
}

fn chain_settings(
    config: &Config,
    chain: &ChainSetting,
    backend: &Served,
    clock: &Clock,
) -> Result<ChainSettings, RunError> {
    let key = if let Some(key) = signing_key(&config.audit, &config.backend)? {
        key
    } else {
        let key = SigningKey::generate().map_err(|error| RunError::SigningKey(error.into()))?;
        tracing::warn!(
            public_key = key.public_key(),
            "audit checkpoints are signed by a key of this run alone: set audit.signing_key_file to keep one"
        );
        key
    };
    let store = match backend {
        Served::Local(local) => Some(Box::new(local.store_revision()) as Box<_>),
        Served::Aws(_) => None,
    };
    let origin = Origin { account: config.account, region: config.regions.own().clone() };
    Ok(ChainSettings { key, interval: chain.interval, origin, clock: clock.clone(), store })
}
