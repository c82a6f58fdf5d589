//! What is wrong with the files an operator wrote: every fault at once, each with its place and a hint.
//!
//! Config and credentials read their TOML through [`Section`], which notes a fault and goes on, so that one
//! run names all there is to mend. A `serde` derive would stop at the first fault, and its messages quote
//! the source, which in the credentials file is secret: hence a reader of our own over `toml`'s spans.

mod nearest;
mod section;

use std::cell::RefCell;
use std::fmt;
use std::path::{Path, PathBuf};

pub use nearest::{edits, nearest};
pub use section::{Section, Value, read_toml};

/// One thing to mend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file it stands in.
    pub file: PathBuf,
    /// The line, counted from 1; `None` where the fault is the file's, or something that is not there.
    pub line: Option<usize>,
    /// The dotted path of the value (`server.workers`, `principals[0].arn`); empty for the whole file.
    pub path: String,
    /// What is wrong. Never a secret.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Fault {
    /// A fault of the file as a whole.
    #[must_use]
    pub fn of_file(file: &Path, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            file: file.to_path_buf(),
            line: None,
            path: String::new(),
            message: message.into(),
            hint: Some(hint.into()),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.path.is_empty() {
            write!(f, ": {}", self.path)?;
        }
        write!(f, ": {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n    hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// All faults of a run, in the order they were found; at least one.
#[derive(Debug)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// The faults one by one.
    #[must_use]
    pub fn as_slice(&self) -> &[Fault] {
        &self.0
    }
}

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Self {
        Self(vec![fault])
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fault in &self.0 {
            writeln!(f, "{fault}")?;
        }
        let count = self.0.len();
        write!(f, "{count} {} found", if count == 1 { "fault" } else { "faults" })
    }
}

impl std::error::Error for Faults {}

/// Where readers put what they find. Shared by all of one run.
#[derive(Debug, Default)]
pub struct Collector(RefCell<Vec<Fault>>);

impl Collector {
    /// Notes a fault.
    pub fn push(&self, fault: Fault) {
        self.0.borrow_mut().push(fault);
    }

    /// How many there are so far.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.borrow().len()
    }

    /// `value` if nothing was found.
    ///
    /// # Errors
    ///
    /// All faults noted; also if there is no value although none was noted, which would be a reader's mistake.
    pub fn finish<T>(self, file: &Path, value: Option<T>) -> Result<T, Faults> {
        let found = self.0.into_inner();
        match value {
            Some(value) if found.is_empty() => Ok(value),
            None if found.is_empty() => {
                Err(Fault::of_file(file, "could not be read", "please report this as a defect of kmsgate").into())
            }
            _ => Err(Faults(found)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_prints_its_place_and_its_hint() {
        let mut fault = Fault::of_file(Path::new("a.toml"), "is missing", "make it");
        assert_eq!(fault.to_string(), "a.toml: is missing\n    hint: make it");
        fault.line = Some(3);
        fault.path = "server.workers".into();
        assert_eq!(fault.to_string(), "a.toml:3: server.workers: is missing\n    hint: make it");
    }

    #[test]
    fn a_missing_value_without_a_fault_is_still_refused() {
        assert!(Collector::default().finish::<()>(Path::new("a.toml"), None).is_err());
        assert_eq!(Collector::default().finish(Path::new("a.toml"), Some(1)).unwrap(), 1);
    }

    #[test]
    fn one_fault_withholds_the_value() {
        let collector = Collector::default();
        collector.push(Fault::of_file(Path::new("a.toml"), "x", "y"));
        let faults = collector.finish(Path::new("a.toml"), Some(1)).unwrap_err();
        assert!(faults.to_string().ends_with("1 fault found"), "{faults}");
    }
}
