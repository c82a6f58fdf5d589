//! A report for people: rows, then the reasons for refusals.

use std::collections::BTreeMap;
use std::io::{self, Write};

use crate::audit::reading::{Reason, Row, Tally};
use crate::aws::Arn;
use crate::cli::output::{counted, grouped, plain};

/// So many rows are shown; CSV and JSON have all.
const SHOWN: usize = 100;
/// The widest that a column becomes, in characters.
const WIDEST: usize = 60;

pub(super) fn write(out: &mut impl Write, tally: &Tally, rows: &[Row]) -> io::Result<()> {
    if rows.is_empty() {
        writeln!(out, "no request")?;
    } else {
        columns(out, &body(rows))?;
        if let Some(more) = rows.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            writeln!(out, "and {}: --format csv or json has them all", counted(more as u64, "more row"))?;
        }
        let reasons = reasons(rows);
        if !reasons.is_empty() {
            writeln!(out)?;
            columns(out, &reasons)?;
        }
    }
    let Some(refusals) = &tally.unauthenticated else { return Ok(()) };
    let (count, from, to) = (grouped(refusals.count), plain(&refusals.from), plain(&refusals.to));
    writeln!(out, "\n{count} more refused without authentication, counted by the gateway from {from} to {to}:")?;
    let codes = refusals.by_error_code.iter().map(|(code, count)| vec![format!("  {}", plain(code)), grouped(*count)]);
    columns(out, &codes.collect::<Vec<_>>())
}

/// The rows with a head, of which numbers stand last but for the times.
fn body(rows: &[Row]) -> Vec<Vec<String>> {
    let first = rows.first().map(Row::names).unwrap_or_default();
    let names = ["principal", "key", "operation"].into_iter().zip(first).filter(|(_, name)| name.is_some());
    let head = names.map(|(name, _)| name).chain(["allowed", "refused", "first", "last"]).map(str::to_owned).collect();
    let row = |row: &Row| {
        let counts = &row.counts;
        let mut cells: Vec<String> = row.names().into_iter().flatten().map(short).collect();
        cells.extend([grouped(counts.allowed), grouped(counts.refused)]);
        cells.extend(
            counts.period.into_iter().flat_map(|(first, last)| [first, last].map(|at| at.iso8601().to_string())),
        );
        cells
    };
    std::iter::once(head).chain(rows.iter().take(SHOWN).map(row)).collect()
}

/// The reasons of all rows, the most frequent first, with a head; nothing if there are none.
fn reasons(rows: &[Row]) -> Vec<Vec<String>> {
    let mut sums: BTreeMap<&Reason, u64> = BTreeMap::new();
    for (reason, count) in rows.iter().flat_map(|row| &row.counts.reasons) {
        *sums.entry(reason).or_default() += count;
    }
    let mut sums: Vec<(&Reason, u64)> = sums.into_iter().collect();
    sums.sort_by_key(|(_, count)| u64::MAX - count);
    if sums.is_empty() {
        return Vec::new();
    }
    let head = ["refused with", "decided by", "which", "times"].map(str::to_owned).to_vec();
    let line = |(Reason { code, layer, policy }, count): (&Reason, u64)| {
        let part = |text: &str| if text.is_empty() { "-".to_owned() } else { short(text) };
        vec![part(code), part(layer), part(policy), grouped(count)]
    };
    std::iter::once(head).chain(sums.into_iter().take(SHOWN).map(line)).collect()
}

/// The last part of an ARN, which is what tells it from others here; any other text as it is.
fn short(text: &str) -> String {
    let text = plain(Arn::parse(text).map_or(text, |arn| arn.resource));
    if text.chars().count() <= WIDEST { text } else { text.chars().take(WIDEST - 1).chain(['…']).collect() }
}

/// Lines of cells, each column as wide as its widest cell.
fn columns(out: &mut impl Write, lines: &[Vec<String>]) -> io::Result<()> {
    let width = |cell: &String| cell.chars().count();
    let count = lines.iter().map(Vec::len).max().unwrap_or_default();
    let widths: Vec<usize> = (0..count)
        .map(|column| lines.iter().filter_map(|line| line.get(column)).map(width).max().unwrap_or(0))
        .collect();
    for line in lines {
        let cells: Vec<String> = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        writeln!(out, "{}", cells.join("  ").trim_end())?;
    }
    Ok(())
}
