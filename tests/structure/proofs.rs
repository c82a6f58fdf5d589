//! Stages and proofs come from the one place that earns them, and cannot be doubled.

use crate::compiler::errors;
use crate::source::{code, files, root};

/// A type with something to prove, where it is defined, and its path with type arguments.
struct Proof {
    file: &'static str,
    name: &'static str,
    path: &'static str,
}

const fn stage(file: &'static str, name: &'static str, path: &'static str) -> Proof {
    Proof { file, name, path }
}

/// All that a request can be between the server and the backend.
const STAGES: [Proof; 12] = [
    stage("layers/request_id.rs", "Identified", "layers::Identified<()>"),
    stage("layers/penalty.rs", "Forbearing", "layers::Forbearing<()>"),
    stage("layers/in_flight.rs", "Held", "layers::Held<()>"),
    stage("layers/audit.rs", "Audited", "layers::Audited<()>"),
    stage("layers/catch_panic.rs", "Guarded", "layers::Guarded<()>"),
    stage("layers/deadline.rs", "Timed", "layers::Timed<()>"),
    stage("layers/receive.rs", "Received", "layers::Received<()>"),
    stage("layers/authenticate.rs", "Authenticated", "layers::Authenticated"),
    stage("layers/parse.rs", "Parsed", "layers::Parsed"),
    stage("layers/resolve.rs", "Resolved", "layers::Resolved"),
    stage("layers/authorize.rs", "Authorized", "layers::Authorized"),
    stage("layers/rate_limit.rs", "Admitted", "layers::Admitted"),
];

/// That a signature was verified.
const VERIFIED: Proof = stage("sigv4/claim.rs", "Verified", "sigv4::Verified");

fn all() -> impl Iterator<Item = &'static Proof> {
    STAGES.iter().chain([&VERIFIED])
}

impl Proof {
    /// The lines of the type's definition.
    fn definition(&self) -> Vec<String> {
        let text = std::fs::read_to_string(root().join("src").join(self.file)).unwrap();
        let begins = |line: &&str| {
            let rest = line.strip_prefix("pub struct ").and_then(|line| line.strip_prefix(self.name));
            rest.is_some_and(|rest| rest.starts_with([' ', '<', '(']))
        };
        let lines = code(&text).skip_while(|line| !begins(line));
        let mut taken = Vec::new();
        for line in lines {
            taken.push(line.to_owned());
            if line == "}" || line.ends_with(';') {
                break;
            }
        }
        assert!(!taken.is_empty(), "{} is not in {}", self.name, self.file);
        taken
    }

    fn refused_for(&self, name: &str, source: &str, code: &str) {
        let found = errors(&format!("{name}_{}", self.name.to_lowercase()), source);
        assert!(!found.is_empty(), "{} compiles: {source}", self.name);
        assert!(found.iter().all(|error| error.code == code), "{}: {found:#?}", self.name);
    }
}

#[test]
fn what_proves_something_is_not_made_outside_of_its_layer() {
    for proof in all() {
        let Proof { path, .. } = proof;
        let ty = format!("kmsgate::{path}");
        let literal = ty.replace('<', "::<");
        // Whatever its fields are called: some of them are private.
        proof.refused_for("made", &format!("pub fn made(it: {ty}) -> {ty} {{ {literal} {{ ..it }} }}"), "E0451");
    }
}

#[test]
fn what_proves_something_has_a_field_that_its_own_file_alone_can_write() {
    for proof in all() {
        let definition = proof.definition();
        let private = |line: &String| line.contains(": ") && !line.starts_with("pub") || line.ends_with("(());");
        assert!(definition.iter().any(private), "{}: {definition:#?}", proof.name);
    }
}

#[test]
fn what_proves_something_is_not_cloned() {
    for proof in all() {
        let Proof { path, .. } = proof;
        let source = format!("fn clone<T: Clone>() {{}} pub fn cloned() {{ clone::<kmsgate::{path}>() }}");
        proof.refused_for("cloned", &source, "E0277");
    }
}

#[test]
fn every_stage_of_the_layers_is_known_here() {
    let layers = files(&root().join("src/layers"));
    let guards = layers.iter().flat_map(|(_, text)| code(text)).filter(|line| *line == "_made_here: (),");
    // `Authenticated` holds the verifier's own proof instead.
    assert_eq!(guards.count(), STAGES.len() - 1, "a stage was added or taken away");
}

#[test]
fn the_compiler_has_nothing_against_naming_them() {
    for proof in all() {
        let source = format!("pub fn kept(it: kmsgate::{path}) -> kmsgate::{path} {{ it }}", path = proof.path);
        let found = errors(&format!("kept_{}", proof.name.to_lowercase()), &source);
        assert!(found.is_empty(), "{}: {found:#?}", proof.name);
    }
}
