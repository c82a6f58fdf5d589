//! The `kmsgate` program; what it does is in `cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    kmsgate::cli::run()
}
