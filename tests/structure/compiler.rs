//! Compiles pieces of source against the library as this test was built with it.
//!
//! Cargo says which files it made; it has just built them, so it makes nothing again. What is compiled here is
//! only checked, and all of it is written below the target directory.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use serde_json::Value;

use crate::source::root;

static LIBRARIES: LazyLock<BTreeMap<String, Vec<PathBuf>>> = LazyLock::new(libraries);

/// One error of the compiler.
#[derive(Debug)]
pub(crate) struct Diagnostic {
    /// `E0277`; empty where it has none.
    pub(crate) code: String,
    /// What it says, with its notes; paths and types in full.
    pub(crate) text: String,
}

/// What the compiler has against `source`, a library that may use the crates that kmsgate may use; `name` is for
/// the file.
pub(crate) fn errors(name: &str, source: &str) -> Vec<Diagnostic> {
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join("structure");
    fs::create_dir_all(&scratch).unwrap();
    let file = scratch.join(name).with_extension("rs");
    fs::write(&file, source).unwrap();
    let mut rustc = Command::new(program("RUSTC", "rustc"));
    rustc.args(["--edition=2024", "--crate-type=lib", "--emit=metadata", "--error-format=json", "--verbose"]);
    // Lints are not what is tested.
    rustc.arg("--cap-lints=allow").arg("--out-dir").arg(&scratch);
    for (index, (name, library)) in used(source).into_iter().enumerate() {
        if index == 0 {
            rustc.arg("-L").arg(option("dependency", library.parent().unwrap()));
        }
        rustc.arg("--extern").arg(option(name, library));
    }
    let output = rustc.arg(&file).current_dir(root()).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    let found: Vec<_> = told.lines().filter_map(|line| diagnostic(&serde_json::from_str(line).unwrap())).collect();
    assert_eq!(output.status.success(), found.is_empty(), "{told}");
    found
}

/// The crates whose names `source` begins a path with, and their files.
fn used(source: &str) -> Vec<(&'static str, &'static Path)> {
    let named = |name: &str| source.contains(&format!("{name}::"));
    let of = |(name, files): (&'static String, &'static Vec<PathBuf>)| match files.as_slice() {
        [file] => (name.as_str(), file.as_path()),
        several => panic!("which of these is `{name}`? {several:?}"),
    };
    LIBRARIES.iter().filter(|(name, _)| named(name)).map(of).collect()
}

/// The libraries that this test was built with, by their crates' names.
fn libraries() -> BTreeMap<String, Vec<PathBuf>> {
    let mut cargo = Command::new(program("CARGO", env!("CARGO")));
    cargo.args(["test", "--no-run", "--test=structure", "--message-format=json", "--locked", "--offline"]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let output = cargo.current_dir(root()).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "cargo: {}", output.status);
    let mut libraries: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let message: Value = serde_json::from_str(line).unwrap();
        if message["reason"] != "compiler-artifact" {
            continue;
        }
        let files = message["filenames"].as_array().unwrap().iter().filter_map(Value::as_str).map(PathBuf::from);
        for file in files.filter(|file| file.extension().is_some_and(|extension| extension == "rlib")) {
            let name = message["target"]["name"].as_str().unwrap().replace('-', "_");
            libraries.entry(name).or_default().push(file);
        }
    }
    assert!(libraries.contains_key("kmsgate"), "{libraries:?}");
    libraries
}

/// `name=path`; a path need not be UTF-8.
fn option(name: &str, path: &Path) -> OsString {
    let mut option = OsString::from(name);
    option.push("=");
    option.push(path);
    option
}

/// The program that cargo was told to use, or the usual one.
fn program(variable: &str, usual: &str) -> OsString {
    std::env::var_os(variable).unwrap_or_else(|| usual.into())
}

fn diagnostic(message: &Value) -> Option<Diagnostic> {
    // "aborting due to 2 previous errors" has no place in the source.
    let placed = message["spans"].as_array().is_some_and(|spans| !spans.is_empty());
    if message["level"] != "error" || !placed {
        return None;
    }
    let code = message["code"]["code"].as_str().unwrap_or_default().to_owned();
    let notes = message["children"].as_array().unwrap().iter();
    let texts = std::iter::once(message).chain(notes).filter_map(|part| part["message"].as_str());
    Some(Diagnostic { code, text: texts.collect::<Vec<_>>().join("\n") })
}
