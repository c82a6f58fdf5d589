//! `[backend]`: what answers the requests that are allowed. An upstream's settings are read in `upstreams`.

use std::path::{Path, PathBuf};

use crate::backend::aws;
use crate::faults::Section;

/// What answers the requests that are allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backend {
    /// The gateway is the KMS, with its keys in an embedded store.
    Local {
        /// The directory of the store.
        data_dir: PathBuf,
        /// The file of the key that wraps all others.
        root_key_file: PathBuf,
    },
    /// Requests are forwarded to AWS KMS.
    Aws(Box<aws::Settings>),
}

/// Which backend it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Local,
    Aws,
}

impl Kind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Aws => "aws",
        }
    }
}

const KINDS: &str = "write kind = \"local\" for keys in an embedded store, kind = \"aws\" for keys in AWS KMS";

pub(super) fn kind(section: &Section<'_>) -> Option<Kind> {
    let value = section.require("kind", KINDS)?;
    match value.text()? {
        "local" => Some(Kind::Local),
        "aws" => Some(Kind::Aws),
        other => {
            value.fault(format!("`{other}` is no backend"), Some(KINDS));
            None
        }
    }
}

/// The embedded store, and the file of its seeds.
pub(super) fn local(section: &Section<'_>) -> Option<(Backend, Option<PathBuf>)> {
    let data_dir = section.require("data_dir", "name the directory of the key store");
    let seeds_file = section.get("seeds_file");
    let root_key_file = section.get("root_key_file");
    section.end();
    let data_dir_value = data_dir?;
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
