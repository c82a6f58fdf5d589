//! Counts up who used which key how often, in memory that has a bound however many there are.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::lines::Line;
use super::record::{Record, Refusals};
use crate::clock::Timestamp;

/// So many rows are kept, of 1 KiB each if there is every reason for refusals; what belongs to further ones is counted in
/// one row together.
const ROWS: usize = 20_000;
/// So many bytes of names are kept; further ones are counted under one name.
const TEXTS: usize = 16 * 1024 * 1024;
/// What a name costs beside its bytes.
const TEXT_OVERHEAD: usize = 100;
/// So many different reasons for refusals are kept of a row.
const REASONS: usize = 8;
/// So many error codes are kept of the refusals that were counted up before.
const CODES: usize = 64;
/// The name of all that there was no room for.
pub const OTHERS: &str = "(others)";

/// What requests are told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct By {
    /// Who asked.
    pub principal: bool,
    /// About which key. A request about two keys counts for each.
    pub key: bool,
    /// What was asked.
    pub operation: bool,
}

/// Requests of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Who asked, if requests are told apart by that; as are the next two.
    pub principal: Option<Arc<str>>,
    /// About which key.
    pub key: Option<Arc<str>>,
    /// What was asked.
    pub operation: Option<Arc<str>>,
    /// How many were carried out, and how many were refused or failed.
    pub counts: Counts,
}

/// Numbers of requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Carried out.
    pub allowed: u64,
    /// Refused or failed.
    pub refused: u64,
    /// When the first came, and the last.
    pub period: Option<(Timestamp, Timestamp)>,
    /// Why they were refused, and how often.
    pub reasons: Vec<(Reason, u64)>,
}

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reason {
    /// The error code.
    pub code: Arc<str>,
    /// The kind of policy that decided, or `limiter`; empty if it was none of these.
    pub layer: Arc<str>,
    /// The policy or the limiter.
    pub policy: Arc<str>,
}

/// The count so far.
#[derive(Debug)]
pub struct Tally {
    by: By,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    texts: Texts,
    rows: HashMap<[u32; 3], Counts>,
    /// How many lines are records of requests, in the period that was asked for.
    pub requests: u64,
    /// How many lines are no records.
    pub faulty: u64,
    /// Refusals that were counted up before they were recorded.
    pub unauthenticated: Option<Refusals>,
    /// Most lines have the time of the one before.
    last: Option<(String, Timestamp)>,
}

impl Tally {
    /// Counts requests that came at `since` or later, and before `until`.
    #[must_use]
    pub fn new(by: By, since: Option<Timestamp>, until: Option<Timestamp>) -> Self {
        let (texts, rows) = (Texts::default(), HashMap::new());
        Self { by, since, until, texts, rows, requests: 0, faulty: 0, unauthenticated: None, last: None }
    }

    /// Counts a line.
    pub fn line(&mut self, line: &Line<'_>) {
        let record = match line {
            Line::Whole(text) | Line::Last(text) => Record::parse(text),
            Line::TooLong => None,
        };
        let time = record.as_ref().and_then(|record| self.time(record.event_time.as_str()));
        let (Some(record), Some(time)) = (record, time) else {
            // The last line may still be written.
            self.faulty += u64::from(!matches!(line, Line::Last(_)));
            return;
        };
        if self.since.is_some_and(|since| time < since) || self.until.is_some_and(|until| time >= until) {
            return;
        }
        if let Some(refusals) = record.refusals() {
            add_up(&mut self.unauthenticated, refusals);
        } else if !record.is_of_gateway() {
            self.requests += 1;
            self.request(&record, time);
        }
    }

    /// Takes out the rows, those with the most requests first, and what there was no room for last.
    pub fn take_rows(&mut self) -> Vec<Row> {
        let by = [self.by.principal, self.by.key, self.by.operation];
        let kept = std::mem::take(&mut self.rows);
        let row = |(ids, counts): ([u32; 3], Counts)| {
            let mut names = ids.into_iter().zip(by).map(|(id, asked)| asked.then(|| self.texts.name(id)));
            let mut next = || names.next().flatten();
            Row { principal: next(), key: next(), operation: next(), counts }
        };
        let mut rows: Vec<Row> = kept.into_iter().map(row).collect();
        rows.sort_unstable_by(|a, b| {
            let key = |row: &Row| (row.is_others(), u64::MAX - row.counts.allowed - row.counts.refused);
            key(a).cmp(&key(b)).then_with(|| a.names().cmp(&b.names()))
        });
        rows
    }

    fn request(&mut self, record: &Record<'_>, time: Timestamp) {
        let principal = if self.by.principal { self.texts.id(record.principal()) } else { Texts::OTHERS };
        let operation = if self.by.operation { self.texts.id(record.event_name.as_str()) } else { Texts::OTHERS };
        if !self.by.key {
            return self.count([principal, Texts::OTHERS, operation], record, time);
        }
        let mut keys: Vec<u32> = record.keys().iter().map(|key| self.texts.id(key)).collect();
        if keys.is_empty() {
            keys.push(self.texts.id("-"));
        }
        keys.dedup();
        for key in keys {
            self.count([principal, key, operation], record, time);
        }
    }

    fn count(&mut self, ids: [u32; 3], record: &Record<'_>, time: Timestamp) {
        let room = self.rows.len() < ROWS || self.rows.contains_key(&ids);
        let counts = self.rows.entry(if room { ids } else { [Texts::OTHERS; 3] }).or_default();
        let (first, last) = counts.period.unwrap_or((time, time));
        counts.period = Some((first.min(time), last.max(time)));
        let Some(refused) = record.refused() else {
            counts.allowed += 1;
            return;
        };
        counts.refused += 1;
        let is = |reason: &Reason| {
            (&*reason.code, &*reason.layer, &*reason.policy) == (refused.code, refused.layer, refused.policy)
        };
        if let Some((_, count)) = counts.reasons.iter_mut().find(|(reason, _)| is(reason)) {
            *count += 1;
            return;
        }
        let mut text = |text| {
            let id = self.texts.id(text);
            self.texts.name(id)
        };
        let reason = match counts.reasons.len() {
            ..REASONS => Reason { code: text(refused.code), layer: text(refused.layer), policy: text(refused.policy) },
            _ => Reason { code: text(OTHERS), layer: text(""), policy: text("") },
        };
        match counts.reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count += 1,
            None => counts.reasons.push((reason, 1)),
        }
    }

    fn time(&mut self, text: &str) -> Option<Timestamp> {
        if let Some((last, time)) = &self.last
            && last == text
        {
            return Some(*time);
        }
        let time = Timestamp::parse_iso8601(text)?;
        self.last = Some((text.to_owned(), time));
        Some(time)
    }
}

impl Row {
    /// What requests were told apart by, in the order of the row's members.
    #[must_use]
    pub fn names(&self) -> [Option<&str>; 3] {
        [self.principal.as_deref(), self.key.as_deref(), self.operation.as_deref()]
    }

    fn is_others(&self) -> bool {
        self.names().into_iter().flatten().all(|name| name == OTHERS)
    }
}

/// Names, each once.
#[derive(Debug)]
struct Texts {
    ids: HashMap<Arc<str>, u32>,
    names: Vec<Arc<str>>,
    bytes: usize,
}

impl Texts {
    /// The name of all that there is no room for.
    const OTHERS: u32 = 0;

    fn id(&mut self, text: &str) -> u32 {
        if let Some(id) = self.ids.get(text) {
            return *id;
        }
        let bytes = self.bytes + text.len() + TEXT_OVERHEAD;
        let (true, Ok(id)) = (bytes <= TEXTS, u32::try_from(self.names.len())) else { return Self::OTHERS };
        self.bytes = bytes;
        let name: Arc<str> = text.into();
        self.names.push(Arc::clone(&name));
        self.ids.insert(name, id);
        id
    }

    fn name(&self, id: u32) -> Arc<str> {
        let name = usize::try_from(id).ok().and_then(|id| self.names.get(id));
        name.map_or_else(|| OTHERS.into(), Arc::clone)
    }
}

impl Default for Texts {
    fn default() -> Self {
        let others: Arc<str> = OTHERS.into();
        Self { ids: HashMap::from([(Arc::clone(&others), Self::OTHERS)]), names: vec![others], bytes: 0 }
    }
}

/// Adds refusals that a line counts up to those of the lines before.
fn add_up(sum: &mut Option<Refusals>, more: &Refusals) {
    let Some(sum) = sum else {
        let mut first = Refusals { by_error_code: BTreeMap::new(), ..more.clone() };
        add_codes(&mut first.by_error_code, &more.by_error_code);
        *sum = Some(first);
        return;
    };
    sum.count = sum.count.saturating_add(more.count);
    // Times of one form compare as their texts do.
    if more.from < sum.from {
        sum.from.clone_from(&more.from);
    }
    if more.to > sum.to {
        sum.to.clone_from(&more.to);
    }
    add_codes(&mut sum.by_error_code, &more.by_error_code);
}

fn add_codes(sum: &mut BTreeMap<String, u64>, more: &BTreeMap<String, u64>) {
    for (code, count) in more {
        let room = sum.len() < CODES || sum.contains_key(code);
        let total = sum.entry(if room { code.clone() } else { OTHERS.to_owned() }).or_default();
        *total = total.saturating_add(*count);
    }
}

#[cfg(test)]
mod tests;
