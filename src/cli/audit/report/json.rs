//! A report as one object of JSON, written row by row: there may be many.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::audit::reading::{Row, Tally};

pub(super) fn write(out: &mut impl Write, tally: &Tally, rows: &[Row]) -> io::Result<()> {
    write!(out, "{{\"requests\":{},\"faultyLines\":{},\"rows\":[", tally.requests, tally.faulty)?;
    for (index, row) in rows.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        write!(out, "{comma}\n{}", object(row))?;
    }
    let unauthenticated = tally.unauthenticated.as_ref().map(|refusals| {
        let (from, to, count) = (&refusals.from, &refusals.to, refusals.count);
        json!({"from": from, "to": to, "count": count, "byErrorCode": refusals.by_error_code})
    });
    writeln!(out, "],\n\"unauthenticatedRefusals\":{}}}", Value::from(unauthenticated))
}

/// A row; it has only the members that requests were told apart by.
fn object(row: &Row) -> Value {
    let counts = &row.counts;
    let period = counts.period.map(|(first, last)| (first.iso8601().to_string(), last.iso8601().to_string()));
    let (first, last) = period.unzip();
    let reasons = counts.reasons.iter().map(|(reason, count)| {
        json!({"errorCode": &*reason.code, "layer": &*reason.layer, "policy": &*reason.policy, "count": count})
    });
    let mut object = json!({
        "allowed": counts.allowed,
        "refused": counts.refused,
        "first": first,
        "last": last,
        "reasons": reasons.collect::<Vec<_>>(),
    });
    for (member, name) in ["principal", "key", "operation"].into_iter().zip(row.names()) {
        if let (Some(name), Some(object)) = (name, object.as_object_mut()) {
            object.insert(member.to_owned(), name.into());
        }
    }
    object
}
