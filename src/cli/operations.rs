//! `kmsgate operations`: what the local backend serves, as a table.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;

use crate::aws::{Operation, Resource};
use crate::backend::local::LocalBackend;

/// Print the operations of AWS KMS and which of them the local backend serves, as a table in Markdown.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  kmsgate operations | grep Rotation

Exit codes: 0.")]
pub(super) struct Arguments {}

pub(super) fn run(_: &Arguments) -> ExitCode {
    print!("{}", table());
    ExitCode::SUCCESS
}

/// The table, from what the program itself goes by.
fn table() -> String {
    let mut table = String::from(
        "| operation | served | permissions | by alias | changes | quota class |\n\
         |---|---|---|---|---|---|\n",
    );
    for operation in Operation::ALL {
        let served = if LocalBackend::serves(*operation) { "yes" } else { "no" };
        let yes = |yes| if yes { "yes" } else { "" };
        let alias = yes(operation.accepts_alias() && operation.key().is_some());
        let (changes, class) = (yes(operation.mutating()), operation.class().name());
        // A `String` takes all that is written to it.
        let _ = writeln!(
            table,
            "| {} | {served} | {} | {alias} | {changes} | {class} |",
            operation.name(),
            permissions(*operation)
        );
    }
    table
}

fn permissions(operation: Operation) -> String {
    let permissions = operation.permissions().iter().map(|permission| {
        let of = match permission.resource {
            Resource::Key(_) => "key",
            Resource::Alias => "alias",
            Resource::Any => "`*`",
        };
        format!("`{}` on {of}", permission.action)
    });
    permissions.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manuals_table_is_the_programs() {
        let page = include_str!("../manual/operations.md");
        let (_, table_there) = page.split_at(page.find("| operation").unwrap());
        assert_eq!(table_there, table(), "make it anew: its page says how");
    }

    #[test]
    fn readme_names_every_operation_that_is_served() {
        let readme = include_str!("../../README.md");
        for operation in Operation::ALL {
            let named = readme.split(|char: char| !char.is_ascii_alphanumeric()).any(|word| word == operation.name());
            if LocalBackend::serves(*operation) {
                assert!(named, "README does not name {}", operation.name());
            }
        }
    }
}
