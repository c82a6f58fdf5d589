//! `src/gateway.rs` compiles as it is, and not with one layer left out or two exchanged.

use std::thread;

use crate::compiler::{Diagnostic, errors};
use crate::source::code;

const GATEWAY: &str = include_str!("../../src/gateway.rs");

/// Every layer by how its line begins, and the stage that reaches it: what the next layer would be handed if it
/// were not there. A row for each layer, in order; the cases themselves come from the source.
const REACHED_BY: [(&str, &str); 13] = [
    ("RequestIdLayer", "Arrival"),
    ("RenderLayer", "Identified"),
    ("PenaltyLayer", "Identified"),
    ("InFlightLayer", "Forbearing"),
    ("AuditLayer", "Held"),
    ("CatchPanicLayer", "Audited"),
    ("DeadlineLayer", "Guarded"),
    ("StepLayer(Receive", "Timed"),
    ("AuthenticateLayer", "Received"),
    ("StepLayer(Parse", "Authenticated"),
    ("ResolveLayer", "Parsed"),
    ("StepLayer(Authorize", "Resolved"),
    ("RateLimitLayer", "Authorized"),
];

/// The stack's source, and which of its lines are layers.
struct Stack {
    lines: Vec<String>,
    layers: Vec<usize>,
}

/// The stack without a layer, or with two exchanged, and what its compiler errors must speak of.
struct Variant {
    name: String,
    source: String,
    stage: &'static str,
}

fn stack() -> Stack {
    let lines: Vec<String> = GATEWAY.replace("crate::", "kmsgate::").lines().map(str::to_owned).collect();
    let is_layer = |line: &&String| line.trim_start().starts_with(".layer(") && line.ends_with(')');
    let layers: Vec<usize> = (0..lines.len()).filter(|at| lines.get(*at).as_ref().is_some_and(is_layer)).collect();
    let written = code(GATEWAY).map(|line| line.matches(".layer(").count()).sum::<usize>();
    assert_eq!(layers.len(), written, "a layer of the stack does not stand on a line of its own");
    assert_eq!(layers.len(), REACHED_BY.len(), "give the new layer its row in this test");
    for (at, (name, _)) in layers.iter().zip(REACHED_BY) {
        let line = lines[*at].trim();
        assert!(line.starts_with(&format!(".layer({name}")), "`{line}` stands where {name} is expected");
    }
    Stack { lines, layers }
}

impl Stack {
    fn without(&self, layer: usize) -> Variant {
        let mut lines = self.lines.clone();
        lines.remove(self.layers[layer]);
        self.variant(format!("without_{layer}"), &lines, layer)
    }

    fn exchanged(&self, layer: usize) -> Variant {
        let mut lines = self.lines.clone();
        lines.swap(self.layers[layer], self.layers[layer + 1]);
        self.variant(format!("exchanged_{layer}"), &lines, layer)
    }

    fn variant(&self, name: String, lines: &[String], layer: usize) -> Variant {
        assert_eq!(self.layers.len(), REACHED_BY.len());
        Variant { name, source: lines.join("\n"), stage: REACHED_BY[layer].1 }
    }
}

impl Variant {
    /// Compiles it; it must be refused because of the stage, and because of nothing else.
    fn is_refused(&self) {
        let Self { name, stage, .. } = self;
        let found = errors(name, &self.source);
        assert!(!found.is_empty(), "{name} compiles");
        // "the trait bound is not satisfied", "type mismatch resolving an associated type"
        let of_types = |error: &Diagnostic| ["E0277", "E0271"].contains(&error.code.as_str());
        assert!(found.iter().all(of_types), "{name} has other faults: {found:#?}");
        assert!(found.iter().any(|error| takes(&error.text, stage)), "{name} says nothing of {stage}: {found:#?}");
    }
}

/// Whether `text` speaks of a `Service` or a `Step` that would take `stage`.
fn takes(text: &str, stage: &str) -> bool {
    let mut arguments = ["Service<", "Step<"].into_iter().flat_map(|bound| text.split(bound).skip(1));
    arguments.any(|argument| {
        let path = argument.split(['<', '>', ',']).next().unwrap_or_default();
        path.rsplit("::").next() == Some(stage)
    })
}

fn all_are_refused(variants: &[Variant]) {
    let halves = variants.chunks(variants.len().div_ceil(2));
    thread::scope(|scope| {
        for half in halves {
            scope.spawn(move || half.iter().for_each(Variant::is_refused));
        }
    });
}

#[test]
fn the_stack_as_it_is_compiles() {
    let found = errors("whole", &stack().lines.join("\n"));
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_stack_without_one_of_its_layers_does_not_compile() {
    let stack = stack();
    let variants: Vec<_> = (0..stack.layers.len()).map(|layer| stack.without(layer)).collect();
    assert!(variants.len() >= 12, "only {} layers were found", variants.len());
    all_are_refused(&variants);
}

#[test]
fn a_stack_with_two_neighbours_exchanged_does_not_compile() {
    let stack = stack();
    let variants: Vec<_> = (1..stack.layers.len()).map(|layer| stack.exchanged(layer - 1)).collect();
    all_are_refused(&variants);
}

#[test]
fn an_error_is_understood_by_the_stage_it_names() {
    let text = "the trait bound `BackendService: Service<kmsgate::layers::Authorized>` is not satisfied";
    assert!(takes(text, "Authorized") && !takes(text, "Admitted"));
    assert!(takes("`Receive: kmsgate::layers::Step<Guarded<B>>`", "Guarded"));
    assert!(!takes("cannot find type `Authorized` in this scope", "Authorized"));
}
