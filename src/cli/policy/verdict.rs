//! What a case comes to: its line of JSON, and how many cases came to what.

use std::fmt;
use std::ops::AddAssign;

use serde::Serialize;
use serde_json::value::RawValue;

use super::case::{self, Case};
use crate::policy::{Decision, Kind, Reason};

/// How many cases came to what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Decided as expected, or nothing was expected.
    pub(super) ok: usize,
    /// Decided otherwise.
    pub(super) unexpected: usize,
    /// Not decided.
    pub(super) faulty: usize,
}

impl Tally {
    const OK: Self = Self { ok: 1, unexpected: 0, faulty: 0 };
    const UNEXPECTED: Self = Self { ok: 0, unexpected: 1, faulty: 0 };
    const FAULTY: Self = Self { ok: 0, unexpected: 0, faulty: 1 };

    /// Whether every case was decided as expected.
    pub(super) const fn is_good(self) -> bool {
        self.unexpected == 0 && self.faulty == 0
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.ok += other.ok;
        self.unexpected += other.unexpected;
        self.faulty += other.faulty;
    }
}

impl fmt::Display for Tally {
    /// `12 cases: 11 ok, 1 not as expected`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ok, unexpected, faulty } = self;
        let count = ok + unexpected + faulty;
        let cases = if count == 1 { "case" } else { "cases" };
        write!(f, "{count} {cases}: {ok} ok, {unexpected} not as expected")?;
        if *faulty > 0 { write!(f, ", {faulty} with faults") } else { Ok(()) }
    }
}

/// What a case is called: by its own id, or by its line.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(untagged)]
enum Id<'l> {
    Given(&'l RawValue),
    Line(usize),
}

/// The line of a case that was decided.
#[derive(Debug, Serialize)]
struct Decided<'a> {
    id: Id<'a>,
    decision: &'static str,
    result: &'static str,
    reasons: Vec<Because<'a>>,
    ok: bool,
}

/// The line of a case with faults.
#[derive(Debug, Serialize)]
struct Faulty<'a> {
    id: Id<'a>,
    error: Vec<String>,
    ok: bool,
}

/// A statement that a decision rests on, or the layer that has none.
#[derive(Debug, Serialize)]
struct Because<'a> {
    layer: &'static str,
    effect: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    statement: Option<Statement<'a>>,
}

/// A statement by its id, or its place from 0.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Statement<'a> {
    Sid(&'a str),
    Index(usize),
}

impl<'a> Because<'a> {
    /// Documents are named by their places.
    fn of(reason: &'a Reason, effect: &'static str) -> Self {
        let statement = reason.sid.as_deref().map_or(Statement::Index(reason.index), Statement::Sid);
        Self { layer: layer(reason.kind), effect, policy: reason.policy.parse().ok(), statement: Some(statement) }
    }

    const fn missing(kind: Kind) -> Self {
        Self { layer: layer(kind), effect: "None", policy: None, statement: None }
    }
}

/// The member of `policies` that policies of a kind stand in.
pub(super) const fn layer(kind: Kind) -> &'static str {
    match kind {
        Kind::Guardrail => "guardrail",
        Kind::Key => "key",
        Kind::Boundary => "boundary",
        Kind::Session => "session",
        Kind::Identity => "identity",
    }
}

/// Judges the case on line number `number` and writes its answer to `answers`.
pub(super) fn judge(number: usize, line: &[u8], answers: &mut Vec<u8>) -> Tally {
    let (id, case) = case::read(line);
    let id = id.map_or(Id::Line(number), Id::Given);
    match case {
        Ok(case) => decided(id, &case, answers),
        Err(faults) => {
            let error = faults.iter().map(ToString::to_string).collect();
            write_line(&Faulty { id, error, ok: false }, answers);
            Tally::FAULTY
        }
    }
}

fn decided(id: Id<'_>, case: &Case<'_>, answers: &mut Vec<u8>) -> Tally {
    let decided = case.decision();
    let reasons = |effect| decided.reasons().map(move |reason| Because::of(reason, effect)).collect();
    let (decision, result, reasons) = match &decided {
        Decision::Allow(_) => ("allow", "Allowed", reasons("Allow")),
        Decision::ExplicitDeny(_) => ("deny", "ExplicitlyDenied", reasons("Deny")),
        Decision::ImplicitDeny(kind) => ("deny", "ImplicitlyDenied", vec![Because::missing(*kind)]),
    };
    let ok = case.expected.is_none_or(|allowed| allowed == (decision == "allow"));
    write_line(&Decided { id, decision, result, reasons, ok }, answers);
    if ok { Tally::OK } else { Tally::UNEXPECTED }
}

fn write_line(answer: &impl Serialize, answers: &mut Vec<u8>) {
    // A vector takes all that is written to it, and texts and numbers can always be written.
    let _ = serde_json::to_writer(&mut *answers, answer);
    answers.push(b'\n');
}
