//! The audit trail as it is configured.

use std::io::{self, Write};
use std::path::Path;

use super::{RunError, Served};
use crate::audit::otlp::Exporter;
use crate::audit::{ChainSettings, MainSink, Origin, SecondSink, SigningKey, Trail, Writer, second_file};
use crate::backend::local::LocalBackend;
use crate::clock::Clock;
use crate::config::{Audit, Backend, ChainSetting, Config, Content, SinkName};

/// A sink that is not a file: what writes to it, what it gets, and its name.
type Stream = (Box<dyn Write + Send>, Content, String);

/// Opens it.
///
/// # Errors
///
/// [`RunError::Audit`] and [`RunError::SigningKey`].
pub(super) fn open(config: &Config, backend: &Served, clock: &Clock) -> Result<Writer, RunError> {
    let audit = &config.audit;
    let (mut main, mut seconds) = (None, Vec::new());
    if let Some(path) = &audit.file {
        let name = format!("`{}`", path.display());
        if audit.required == SinkName::File {
            main = Some((MainSink::File { path: path.clone(), rotation: audit.rotation }, name));
        } else {
            let writer = second_file(path, clock).map_err(at_fault(&name))?;
            seconds.push(SecondSink { writer, only_checkpoints: false });
        }
    }
    for (sink, (stream, content, name)) in streams(audit, clock)? {
        if audit.required == sink {
            main = Some((MainSink::Stream(stream), name));
        } else {
            let writer = Writer::threaded(stream).map_err(at_fault(&name))?;
            seconds.push(SecondSink { writer, only_checkpoints: content == Content::Checkpoints });
        }
    }
    // The configuration requires one that there is.
    let none = || at_fault("a sink")(io::ErrorKind::NotFound.into());
    let (main, name) = main.ok_or_else(none)?;
    let chain = audit.chain.as_ref().map(|chain| chain_settings(config, chain, backend, clock)).transpose()?;
    let trail = Trail { main, durability: audit.durability, chain, seconds, clock: clock.clone() };
    Writer::open(trail).map_err(at_fault(&name))
}

fn streams(audit: &Audit, clock: &Clock) -> Result<Vec<(SinkName, Stream)>, RunError> {
    let mut streams: Vec<(SinkName, Stream)> = Vec::new();
    if let Some(content) = audit.stdout {
        streams.push((SinkName::Stdout, (Box::new(io::stdout()), content, "standard output".to_owned())));
    }
    if let Some(otlp) = &audit.otlp {
        let name = format!("the collector at {}", otlp.settings.endpoint);
        let exporter = Exporter::new(otlp.settings.clone(), clock.clone());
        let exporter = exporter.map_err(|invalid| at_fault(&name)(io::Error::other(invalid)))?;
        streams.push((SinkName::Otlp, (Box::new(exporter), otlp.content, name)));
    }
    Ok(streams)
}

fn at_fault(sink: &str) -> impl FnOnce(io::Error) -> RunError {
    let sink = sink.to_owned();
    move |source| RunError::Audit { sink, source }
}

/// The key that signs checkpoints: of its own file, which is made if there is none, or derived from the root key.
/// `None`: each run of the program makes one for itself.
///
/// # Errors
///
/// If it cannot be read.
pub(crate) fn signing_key(file: Option<&Path>, backend: &Backend) -> Result<Option<SigningKey>, RunError> {
    match (file, backend) {
        (Some(file), _) => {
            SigningKey::read_or_create(file).map(Some).map_err(|fault| RunError::SigningKey(fault.to_string().into()))
        }
        (None, Backend::Local { root_key_file, .. }) => {
            let seed = LocalBackend::audit_seed(root_key_file).map_err(|error| RunError::SigningKey(error.into()))?;
            SigningKey::from_seed(&seed).map(Some).map_err(|error| RunError::SigningKey(error.into()))
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
    let key = if let Some(key) = signing_key(chain.signing_key_file.as_deref(), &config.backend)? {
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
