//! Why a command about policies cannot answer, and how it ends then.

use std::fmt;
use std::process::ExitCode;

use crate::cli::BAD_CONFIG;
use crate::faults::{Fault, Faults};

/// What is at fault: files, or what was asked.
#[derive(Debug)]
pub(super) enum Failure {
    /// Files of the operator's.
    Files(Faults),
    /// A file, with its faults written out.
    Faulty(String),
    /// An argument, or what it names.
    Asked(String),
}

impl Failure {
    /// A fault of what was asked, with what to do about it.
    pub(super) fn asked(message: impl fmt::Display, hint: impl fmt::Display) -> Self {
        Self::Asked(format!("{message}\n    hint: {hint}"))
    }

    /// The faults of one file; at least one.
    pub(super) fn all(faults: impl IntoIterator<Item = Fault>) -> Self {
        let mut lines: Vec<String> = faults.into_iter().map(|fault| fault.to_string()).collect();
        let count = lines.len();
        lines.push(format!("{count} {} found", if count == 1 { "fault" } else { "faults" }));
        Self::Faulty(lines.join("\n"))
    }

    /// Says it on standard error.
    pub(super) fn tell(&self) -> ExitCode {
        match self {
            Self::Files(faults) => eprintln!("{faults}"),
            Self::Faulty(text) => eprintln!("{text}"),
            Self::Asked(message) => eprintln!("kmsgate: {message}"),
        }
        ExitCode::from(BAD_CONFIG)
    }
}

impl From<Faults> for Failure {
    fn from(faults: Faults) -> Self {
        Self::Files(faults)
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Files(fault.into())
    }
}
