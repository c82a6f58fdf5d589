//! `[policies]`: the directory of policy documents.

use std::path::PathBuf;

use crate::faults::Section;

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
