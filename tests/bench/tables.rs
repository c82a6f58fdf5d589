//! The figures as text: tables, system calls, targets, and what the answers were.

use std::fmt::{self, Formatter};

use crate::load::Tally;
use crate::measure::approximate;
use crate::rounds::{Figures, Memory, Round};
use crate::server::IDLE_CONNECTIONS;

/// Outside of this an A/A comparison says that the machine was too noisy.
pub(crate) const QUIET: std::ops::RangeInclusive<f64> = 0.97..=1.03;
/// A server under closed loop that has less of its core than this does not show what it can do.
pub(crate) const SATURATED: f64 = 0.9;

/// A column's title, and its figure of a round.
pub(crate) type Column = (&'static str, fn(&Round) -> f64);

/// The closed loop's columns.
pub(crate) const CLOSED: [Column; 6] = [
    ("1000 requests/s", |round| round.rate / 1000.0),
    ("server us/request", |round| round.processor),
    ("p50 us", |round| round.closed[0]),
    ("p99 us", |round| round.closed[1]),
    ("core in use", |round| round.busy),
    ("client us/request", |round| round.client),
];

/// The open loop's columns.
pub(crate) const OPEN: [Column; 2] = [("p50 us", |round| round.open[0]), ("p99 us", |round| round.open[1])];

/// A row for each of `servers`, then one for the ratio of each to each of `bases` that stands before it.
pub(crate) fn table(
    f: &mut Formatter<'_>,
    columns: &[Column],
    servers: &[&Figures],
    bases: &[&Figures],
) -> fmt::Result {
    line(f, "", columns.iter().map(|(title, _)| (*title).to_owned()))?;
    for server in servers {
        line(f, server.name, columns.iter().map(|(_, figure)| server.spread(figure).to_string()))?;
    }
    for base in bases {
        for server in after(servers, base) {
            let name = format!("{} / {}", server.name, base.name);
            line(f, &name, columns.iter().map(|(_, figure)| server.ratio(base, figure).to_string()))?;
        }
    }
    Ok(())
}

/// System calls for each request of each of `servers`, and their ratio to each of `bases`.
pub(crate) fn system_calls(f: &mut Formatter<'_>, servers: &[&Figures], bases: &[&Figures]) -> fmt::Result {
    let names: Vec<String> = bases.iter().map(|base| format!("{}'s", base.name)).collect();
    writeln!(f, "\nSystem calls for each request, and their ratio to {}", names.join(" and to "))?;
    for Figures { name, calls, .. } in servers {
        let each = calls.each(calls.total);
        write!(f, "{name:34}{each:.3} ")?;
        for base in bases {
            write!(f, " {:.2} ", each / base.calls.each(base.calls.total))?;
        }
        for (name, count) in calls.named.iter().filter(|(_, count)| *count > 0) {
            write!(f, "  {name} {:.4}", calls.each(*count))?;
        }
        writeln!(f)?;
    }
    Ok(())
}

/// The resident memory of each of `servers`.
pub(crate) fn memory(f: &mut Formatter<'_>, servers: &[&Figures]) -> fmt::Result {
    writeln!(f, "\nResident memory, MiB (VmRSS)")?;
    let titles = ["idle".to_owned(), format!("{IDLE_CONNECTIONS} connections"), "after the load".to_owned()];
    line(f, "", titles.into_iter())?;
    for server in servers {
        let Memory { idle, connected, loaded } = server.memory;
        line(f, server.name, [idle, connected, loaded].into_iter().map(|kib| format!("{:.1}", mebi(kib))))?;
    }
    Ok(())
}

/// Those of `servers` that stand after `base`.
fn after<'s>(servers: &[&'s Figures], base: &Figures) -> impl Iterator<Item = &'s Figures> {
    servers.iter().copied().skip_while(|server| server.name != base.name).skip(1)
}

/// A target: its name, `at least` or `at most`, the limit, what was measured, and whether that meets it.
pub(crate) type Target = (&'static str, &'static str, f64, f64, bool);

/// A target that is met by `limit` or less.
pub(crate) fn most(name: &'static str, limit: f64, measured: f64) -> Target {
    (name, "at most", limit, measured, measured <= limit)
}

/// A target that is met by `limit` or more.
pub(crate) fn least(name: &'static str, limit: f64, measured: f64) -> Target {
    (name, "at least", limit, measured, measured >= limit)
}

/// The targets, a line each.
pub(crate) fn targets(f: &mut Formatter<'_>, rows: &[Target]) -> fmt::Result {
    writeln!(f, "\nTargets")?;
    for (name, bound, limit, measured, met) in rows {
        writeln!(f, "{name:34}{bound:>9} {limit:<6} {measured:>8.2}  {}", if *met { "met" } else { "NOT MET" })?;
    }
    Ok(())
}

/// What the answers of a run were.
pub(crate) fn answers(f: &mut Formatter<'_>, tally: &Tally) -> fmt::Result {
    let Tally { answers, forged, wrong, first_wrong } = tally;
    writeln!(f, "Answers checked: {answers}, of them {forged} to forged requests; wrong: {wrong}")?;
    first_wrong.iter().try_for_each(|first| writeln!(f, "First wrong answer: {first}"))
}

/// A row of a table.
pub(crate) fn line(f: &mut Formatter<'_>, name: &str, cells: impl Iterator<Item = String>) -> fmt::Result {
    write!(f, "{name:34}")?;
    for cell in cells {
        write!(f, "{cell:23}")?;
    }
    writeln!(f)
}

/// KiB as MiB.
pub(crate) fn mebi(kib: u64) -> f64 {
    approximate(kib) / 1024.0
}
