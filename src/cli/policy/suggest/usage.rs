//! What was used, from the records: by principal, resource and action, whatever the file's length.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead};

use crate::audit::reading::{Line, Lines};
use crate::aws::EncryptionContext;
use crate::cli::policy::question::{context, has_context, needed, operation};
use crate::cli::policy::records::Record;

/// More different keys of an encryption context, or values of one, are no set that a policy should list: a value that is
/// another in each call would make a document without end.
pub(super) const MOST: usize = 100;

/// All that an audit file says was done.
#[derive(Debug, Default)]
pub(super) struct Observed {
    pub(super) principals: BTreeMap<String, Calls>,
    /// Principals that were not asked about.
    pub(super) others: BTreeSet<String>,
    /// Lines that are no records.
    pub(super) faulty: u64,
    /// Calls that were allowed, and nobody knows on which resource.
    pub(super) unclear: u64,
}

/// What one principal did.
#[derive(Debug, Default)]
pub(super) struct Calls {
    pub(super) allowed: u64,
    pub(super) refused: u64,
    /// Of those that were allowed: by a grant, for one permission at least.
    pub(super) by_grants: u64,
    /// By resource, then by action.
    pub(super) used: BTreeMap<String, BTreeMap<&'static str, Usage>>,
}

/// How one action was used on one resource.
#[derive(Debug, Default)]
pub(super) struct Usage {
    pub(super) calls: u64,
    /// Those that sent an encryption context.
    pub(super) with_context: u64,
    /// The keys of the contexts; `None` if they are too many, or not all are known.
    pub(super) keys: Seen,
    /// The values, by their key without regard to case, if they are asked for.
    pub(super) pairs: BTreeMap<String, Pair>,
}

/// The values of one key of encryption contexts.
#[derive(Debug)]
pub(super) struct Pair {
    /// The key as it was first spelt.
    pub(super) written: String,
    /// The calls that sent it.
    pub(super) calls: u64,
    pub(super) values: Seen,
}

/// Up to [`MOST`] different texts.
#[derive(Debug)]
pub(super) struct Seen(Option<BTreeSet<String>>);

impl Default for Seen {
    fn default() -> Self {
        Self(Some(BTreeSet::new()))
    }
}

impl Seen {
    fn add(&mut self, text: &str) {
        let Some(texts) = &mut self.0 else { return };
        if !texts.contains(text) {
            texts.insert(text.to_owned());
        }
        if texts.len() > MOST {
            self.0 = None;
        }
    }

    /// The texts, in their order, unless there are too many.
    pub(super) const fn get(&self) -> Option<&BTreeSet<String>> {
        self.0.as_ref()
    }
}

impl Observed {
    /// Reads every record; with `principal` those of others are only counted by name.
    pub(super) fn read(lines: &mut Lines<impl BufRead>, principal: Option<&str>, values: bool) -> io::Result<Self> {
        let mut observed = Self::default();
        while let Some(line) = lines.next_line()? {
            match line {
                Line::TooLong => observed.faulty += 1,
                Line::Whole(text) if text.trim_ascii().is_empty() => {}
                Line::Whole(text) => match serde_json::from_slice(text) {
                    Ok(record) => observed.note(&record, principal, values),
                    Err(_) => observed.faulty += 1,
                },
                // It may be cut.
                Line::Last(text) => {
                    if let Ok(record) = serde_json::from_slice(text) {
                        observed.note(&record, principal, values);
                    }
                }
            }
        }
        Ok(observed)
    }

    fn note(&mut self, record: &Record, principal: Option<&str>, values: bool) {
        let asked = record.user_identity.arn.as_deref().filter(|_| record.event_type == "AwsApiCall");
        let Some(arn) = asked else { return };
        if let Some(wanted) = principal
            && !record.is_by(wanted)
        {
            if self.others.len() < MOST {
                self.others.insert(arn.to_owned());
            }
            return;
        }
        let calls = self.principals.entry(principal.unwrap_or(arn).to_owned()).or_default();
        if record.was_refused() {
            calls.refused += 1;
        } else if record.was_let_through() {
            calls.allowed += 1;
            calls.by_grants += u64::from(record.was_granted());
            match operation(record).and_then(|operation| needed(record, operation)) {
                Some(needed) => needed.iter().for_each(|one| calls.note(one.resource, one.action, record, values)),
                None => self.unclear += 1,
            }
        }
    }
}

impl Calls {
    fn note(&mut self, resource: &str, action: &'static str, record: &Record, values: bool) {
        if !self.used.contains_key(resource) {
            self.used.insert(resource.to_owned(), BTreeMap::new());
        }
        let Some(actions) = self.used.get_mut(resource) else { return };
        let usage = actions.entry(action).or_default();
        usage.calls += 1;
        if has_context(action) {
            match context(record, action) {
                Some(context) => usage.note(&context, values),
                None => usage.keys.0 = None,
            }
        }
    }
}

impl Usage {
    fn note(&mut self, context: &EncryptionContext, values: bool) {
        let mut names: BTreeSet<String> = BTreeSet::new();
        for (name, value) in context.iter() {
            self.keys.add(name);
            let lower = name.to_ascii_lowercase();
            let twice = !names.insert(lower.clone());
            if !values || (self.pairs.len() >= MOST && !self.pairs.contains_key(&lower)) {
                continue;
            }
            let new = || Pair { written: name.to_owned(), calls: 0, values: Seen::default() };
            let pair = self.pairs.entry(lower).or_insert_with(new);
            if twice {
                // Two values of one condition key, of which no condition can say anything.
                pair.values.0 = None;
            } else {
                pair.calls += 1;
                pair.values.add(value);
            }
        }
        self.with_context += u64::from(!names.is_empty());
    }
}
