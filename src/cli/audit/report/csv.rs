//! A report for spreadsheets (RFC 4180), in which no cell is taken for a formula.

use std::borrow::Cow;
use std::io::{self, Write};

use crate::audit::reading::{Reason, Row};

/// What makes a spreadsheet read a cell as something to compute (OWASP, "CSV Injection").
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];
const COLUMNS: [&str; 3] = ["principal", "key", "operation"];

/// Writes a line with the names of columns and one for each of `rows`.
pub(super) fn write(out: &mut impl Write, rows: &[Row]) -> io::Result<()> {
    if let Some(row) = rows.first() {
        for (column, _) in COLUMNS.into_iter().zip(row.names()).filter(|(_, name)| name.is_some()) {
            write!(out, "{column},")?;
        }
    }
    writeln!(out, "allowed,refused,first,last,reasons")?;
    for row in rows {
        for name in row.names().into_iter().flatten() {
            write!(out, "{},", cell(name))?;
        }
        let counts = &row.counts;
        let (first, last) = counts
            .period
            .map(|(first, last)| (first.iso8601().to_string(), last.iso8601().to_string()))
            .unwrap_or_default();
        let reasons: Vec<String> = counts.reasons.iter().map(|(reason, count)| told(reason, *count)).collect();
        writeln!(out, "{},{},{first},{last},{}", counts.allowed, counts.refused, cell(&reasons.join("; ")))?;
    }
    Ok(())
}

/// `AccessDenied (identity orders): 3`
fn told(Reason { code, layer, policy }: &Reason, count: u64) -> String {
    let by: Vec<&str> = [&**layer, &**policy].into_iter().filter(|part| !part.is_empty()).collect();
    if by.is_empty() { format!("{code}: {count}") } else { format!("{code} ({}): {count}", by.join(" ")) }
}

/// A cell, quoted where it has to be; some spreadsheets part cells by semicolons. Before what would be a formula stands an apostrophe: it is a text.
fn cell(text: &str) -> String {
    let text = if text.starts_with(FORMULA) { Cow::Owned(format!("'{text}")) } else { Cow::Borrowed(text) };
    if text.contains(['"', ',', ';', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula_and_none_ends_before_its_end() {
        for (text, written) in [
            ("arn:aws:iam::111122223333:user/app", "arn:aws:iam::111122223333:user/app"),
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("\r=1", "\"'\r=1\""),
            ("=1,\"2\"", "\"'=1,\"\"2\"\"\""),
            ("a\nb", "\"a\nb\""),
            ("a;=1", "\"a;=1\""),
            ("", ""),
        ] {
            assert_eq!(cell(text), written);
        }
    }
}
