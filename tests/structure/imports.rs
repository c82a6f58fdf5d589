//! Which module may import which (DESIGN.md, "Modules").

use std::collections::BTreeSet;

use crate::source::{code, files, root};

/// The modules of the library, from the innermost outwards. A module imports from the rows above its own only, and
/// those of one row know nothing of each other.
const ROWS: &[&[&str]] = &[
    // What everything may use.
    &["error_chain", "hexadecimal", "network", "prehashed"],
    &["clock", "secret", "random", "faults", "client_tls", "aws"],
    &["private_file"],
    // The parts that decide, each by itself.
    &["kms", "policy", "grants", "limits", "audit"],
    // The verifier words its refusals as KMS does.
    &["sigv4"],
    &["credentials"],
    // What is set up when the program starts.
    &["backend"],
    // It reads the seeds of the local backend.
    &["config"],
    // What a request is judged by, and why it may fail.
    &["state", "error"],
    &["stage"],
    &["layers"],
    &["gateway", "server", "admin"],
    &["app"],
    &["cli"],
    // Text.
    &["manual"],
];

/// Bytes and values in, values out.
const PURE: [&str; 5] = ["aws", "kms", "sigv4", "policy", "grants"];
/// What a pure module has no use for.
const IMPURE: [&str; 7] = ["tokio", "Clock", "std::fs", "TcpStream", "std::env", "std::thread", "SystemTime"];

fn row(module: &str) -> usize {
    ROWS.iter()
        .position(|row| row.contains(&module))
        .unwrap_or_else(|| panic!("the module `{module}` is in no row of this test"))
}

/// Every file with the top-level module that it belongs to.
fn sources() -> Vec<(String, String, String)> {
    let own = |path: &std::path::Path| {
        let first = path.iter().next().unwrap().to_str().unwrap();
        first.strip_suffix(".rs").unwrap_or(first).to_owned()
    };
    let all = files(&root().join("src")).into_iter().map(|(path, text)| (own(&path), path.display().to_string(), text));
    all.filter(|(module, ..)| !["lib", "main"].contains(&module.as_str())).collect()
}

/// The top-level modules that `text` names by paths from the crate's root.
fn imported(text: &str) -> BTreeSet<&str> {
    let name = |path: &'_ str| path.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(path.len());
    code(text).flat_map(|line| line.split("crate::").skip(1)).map(|path| &path[..name(path)]).collect()
}

#[test]
fn a_module_imports_only_from_those_further_in() {
    let mut wrong = Vec::new();
    for (module, file, text) in sources() {
        for other in imported(&text) {
            assert!(!other.is_empty(), "{file}: one `use` for each module, so that this test can read it");
            if other != module && row(other) >= row(&module) {
                wrong.push(format!("{file}: {module} may not import {other}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_module_has_its_row_and_every_row_its_modules() {
    let library = std::fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let declared = code(&library).filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    let (declared, known): (BTreeSet<_>, BTreeSet<_>) =
        (declared.collect(), ROWS.iter().copied().flatten().copied().collect());
    assert_eq!(declared, known);
    assert_eq!(sources().into_iter().map(|(module, ..)| module).collect::<BTreeSet<_>>().len(), known.len());
}

#[test]
fn the_parts_that_decide_know_neither_files_nor_sockets_nor_the_time() {
    // Their tests read vectors from files.
    let is_test = |file: &str| file.ends_with("tests.rs") || file.contains("/tests/");
    let pure = |(module, file, _): &(String, String, String)| PURE.contains(&module.as_str()) && !is_test(file);
    for (module, file, text) in sources().into_iter().filter(pure) {
        for word in IMPURE {
            assert!(code(&text).all(|line| !line.contains(word)), "{module} is pure, and {file} names `{word}`");
        }
    }
}

#[test]
fn a_path_from_the_root_is_read_wherever_it_stands() {
    let text = "use crate::aws::Region;\n// crate::comment\nlet x = crate::random::uuid(crate::clock::NOW);\n";
    assert_eq!(imported(text), BTreeSet::from(["aws", "clock", "random"]));
    assert_eq!(imported("use crate::{aws, kms};"), BTreeSet::from([""]));
}
