//! A verdict for people, as a table and sentences, and for programs, as JSON.

use std::fmt::{Display, Write as _};

use serde_json::{Value, json};

use super::judge::{Layer, Said, Verdict};
use super::request::Facts;
use super::verdict::layer;
use crate::cli::output::plain;
use crate::policy::{Asked, Decision, Effect, Explained, Kind, Matched, Reason, Tested};

/// So many statements of one layer are explained to a person; a program gets all.
const SHOWN: usize = 50;

impl Verdict {
    pub(super) const fn is_allowed(&self) -> bool {
        matches!(self.decision, Decision::Allow(_))
    }

    /// One object; `decision`, `result` and `reasons` are those of `kmsgate policy test`.
    pub(super) fn json(&self) -> Value {
        let reason = |reason: &Reason, effect| json!({"layer": layer(reason.kind), "effect": effect, "policy": *reason.policy, "statement": statement_json(reason)});
        let reasons = |effect| self.decision.reasons().map(|given| reason(given, effect)).collect::<Vec<_>>();
        let (decision, result, reasons) = match &self.decision {
            Decision::Allow(_) => ("allow", "Allowed", reasons("Allow")),
            Decision::ExplicitDeny(_) => ("deny", "ExplicitlyDenied", reasons("Deny")),
            Decision::ImplicitDeny(kind) => {
                ("deny", "ImplicitlyDenied", vec![json!({"layer": layer(*kind), "effect": "None"})])
            }
        };
        json!({
            "decision": decision,
            "result": result,
            "principal": self.caller,
            "action": self.question.action,
            "resource": self.question.resource,
            "message": self.message,
            "reasons": reasons,
            "path": self.path.iter().map(|layer| layer.json(&self.question.facts)).collect::<Vec<_>>(),
            "notes": self.notes,
        })
    }

    /// A page of text, without the notes.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        let (action, resource) = (plain(&self.question.action), plain(&self.question.resource));
        // A `String` takes all that is written to it.
        let result = if self.is_allowed() { "allowed" } else { "denied" };
        let _ = writeln!(out, "{result}: {} asks for {action} on {resource}", plain(&self.caller));
        if let Some(message) = &self.message {
            let _ = writeln!(out, "\n{}", plain(message));
        }
        let _ = write!(out, "\n{}", table(&self.path));
        for layer in &self.path {
            if !layer.statements.is_empty() || self.lacks(layer) {
                self.explain(layer, &mut out);
            }
        }
        out
    }

    fn lacks(&self, layer: &Layer) -> bool {
        matches!(self.decision, Decision::ImplicitDeny(kind) if layer.kind == Some(kind))
    }

    fn explain(&self, layer: &Layer, out: &mut String) {
        let (name, action) = (layer.name(), plain(&self.question.action));
        let _ = match (self.lacks(layer), layer.statements.as_slice()) {
            (true, []) if layer.policies.is_empty() => {
                writeln!(out, "\n{name}: there are none, and one would have to allow")
            }
            (true, []) => writeln!(out, "\n{name}: no statement is about {action}, and one would have to allow it"),
            (true, _) => writeln!(out, "\n{name}: one statement would have to allow; those about {action}:"),
            (false, _) => writeln!(out, "\n{name}: decided; the statements about {action}:"),
        };
        for explained in layer.statements.iter().take(SHOWN) {
            let effect = effect_name(explained.effect);
            let _ = writeln!(out, "  {} ({effect})", plain(&explained.reason.to_string()));
            for line in why(explained, &self.question.facts) {
                let _ = writeln!(out, "    {}", plain(&line));
            }
        }
        if let Some(more) = layer.statements.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            let _ = writeln!(out, "  and {more} more: --json has them all");
        }
    }
}

/// What was taken for granted in these, each once.
pub(super) fn notes(verdicts: &[Verdict]) -> String {
    let mut out = String::new();
    let mut told: Vec<&str> = Vec::new();
    for note in verdicts.iter().flat_map(|verdict| &verdict.notes) {
        if !told.contains(&note.as_str()) {
            told.push(note);
            let _ = write!(out, "\nnote: {note}");
        }
    }
    if out.is_empty() { out } else { out + "\n" }
}

impl Layer {
    const fn name(&self) -> &'static str {
        match self.kind {
            Some(Kind::Guardrail) => "guardrail",
            Some(Kind::Key) => "key policy",
            Some(Kind::Boundary) => "permissions boundary",
            Some(Kind::Session) => "session policy",
            Some(Kind::Identity) => "identity policies",
            None => "grants",
        }
    }

    fn json(&self, facts: &Facts) -> Value {
        let explained = |explained: &Explained| {
            json!({
                "policy": *explained.reason.policy,
                "statement": statement_json(&explained.reason),
                "effect": effect_name(explained.effect),
                "applies": explained.applies,
                "why": why(explained, facts),
            })
        };
        json!({
            "layer": self.kind.map_or("grants", layer),
            "said": self.said.name(),
            "policies": self.policies,
            "policy": self.reason.as_ref().map(|reason| reason.policy.to_string()),
            "statement": self.reason.as_deref().map(statement_json),
            "statements": self.statements.iter().map(explained).collect::<Vec<_>>(),
        })
    }
}

impl Said {
    const fn name(self) -> &'static str {
        match self {
            Self::Allow => "Allow",
            Self::AllowForAccount => "Allow, if the account does",
            Self::Deny => "Deny",
            Self::Nothing => "nothing",
            Self::NotThere => "not there",
            Self::NotLookedAt => "not looked at",
        }
    }
}

const fn effect_name(effect: Effect) -> &'static str {
    match effect {
        Effect::Allow => "Allow",
        Effect::Deny => "Deny",
    }
}

/// A statement's id, or its place from 0.
fn statement_json(reason: &Reason) -> Value {
    reason.sid.as_deref().map_or_else(|| reason.index.into(), Value::from)
}

/// The same as audit records have it.
fn statement(reason: &Reason) -> String {
    reason.sid.as_deref().map_or_else(|| reason.index.to_string(), str::to_owned)
}

fn table(path: &[Layer]) -> String {
    let row = |layer: &Layer| {
        let policy =
            layer.reason.as_ref().map_or_else(|| layer.policies.join(", "), |reason| reason.policy.to_string());
        let statement = layer.reason.as_deref().map(statement).unwrap_or_default();
        [layer.name().to_owned(), layer.said.name().to_owned(), plain(&policy), plain(&statement)]
    };
    let head = ["layer", "said", "policy", "statement"].map(str::to_owned);
    let rows: Vec<[String; 4]> = std::iter::once(head).chain(path.iter().map(row)).collect();
    let widest =
        |column: fn(&[String; 4]) -> &String| rows.iter().map(|row| column(row).chars().count()).max().unwrap_or(0);
    let (a, b, c) = (widest(|[a, ..]| a), widest(|[_, b, ..]| b), widest(|[_, _, c, _]| c));
    let line = |[layer, said, policy, statement]: &[String; 4]| {
        format!("{layer:a$}  {said:b$}  {policy:c$}  {statement}").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

/// Why a statement about the action applies or does not, one line each.
fn why(explained: &Explained, facts: &Facts) -> Vec<String> {
    let mut lines = Vec::new();
    match explained.principal {
        Matched::Yes => {}
        _ => lines.push("Action matches, Principal does not".to_owned()),
    }
    match explained.resource {
        Matched::Yes => {}
        Matched::No => lines.push("Action matches, Resource does not".to_owned()),
        Matched::Unknown => lines.push("Resource: what a variable in it stands for is not known".to_owned()),
    }
    let telling = explained.conditions.iter().filter(|tested| explained.applies || tested.matched != Matched::Yes);
    let conditions: Vec<String> = telling.map(|tested| condition(tested, facts)).collect();
    if explained.applies {
        lines.insert(0, "applies".to_owned());
    }
    lines.extend(conditions);
    lines
}

fn condition(tested: &Tested, facts: &Facts) -> String {
    let key = facts.written(&tested.key);
    let found = match &tested.request {
        Asked::Absent => "is absent".to_owned(),
        Asked::Unknown => format!("is not known (--fact {key}=VALUE tells it)"),
        Asked::Values(values) => format!("request has {}", quoted(values)),
    };
    let undecided = match (&tested.request, tested.matched) {
        (Asked::Values(values), Matched::Unknown) if values.len() > 1 => ", and the key can have one value",
        _ => "",
    };
    format!("Condition {} {key}: {found}{undecided}", tested.operator)
}

fn quoted(values: &[impl Display]) -> String {
    let quoted: Vec<String> = values.iter().map(|value| format!("{:?}", value.to_string())).collect();
    quoted.join(", ")
}
