//! What is wrong with a policy document: the place, what is wrong there, and what to write instead.
//!
//! The reader of a document adds to [`Findings`] and goes on, so that one load shows every fault. Texts are for
//! the operator who wrote the document; no client sees them.

use std::fmt;

use crate::faults::nearest;

/// One thing wrong, or suspicious, in a policy document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where: `Statement[2].Condition.StringEquals.aws:username`; empty for the document as a whole.
    pub path: String,
    /// What is wrong there.
    pub message: String,
    /// What to do about it, where that can be said.
    pub hint: Option<String>,
}

impl Fault {
    /// A fault of the whole of something.
    #[must_use]
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { path: String::new(), message: message.into(), hint: Some(hint.into()) }
    }

    /// The same in something larger, where it stands at `place`.
    #[must_use]
    pub fn within(self, place: &str) -> Self {
        let path = match (place, self.path.as_str()) {
            (place, "") => place.to_owned(),
            ("", _) => self.path,
            (place, path) => format!("{place}.{path}"),
        };
        Self { path, ..self }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        self.hint.iter().try_for_each(|hint| write!(f, " ({hint})"))
    }
}

/// A fault that does not know its place yet: what the parsers of single values answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    message: String,
    hint: Option<String>,
}

impl Refusal {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Adds `did you mean ...` if one of `names` is near enough to `name`.
    pub(super) fn did_you_mean<'n>(self, name: &str, names: impl IntoIterator<Item = &'n str>) -> Self {
        match nearest(name, names) {
            Some(near) => self.hint(format!("did you mean `{near}`?")),
            None => self,
        }
    }

    /// A hint for when there is no better one.
    pub(super) fn hint_if_none(self, hint: &str) -> Self {
        if self.hint.is_some() { self } else { self.hint(hint) }
    }

    pub(super) fn at(self, path: &Path<'_>) -> Fault {
        Fault { path: path.to_string(), message: self.message, hint: self.hint }
    }
}

/// All that the reader of one document has found.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) faults: Vec<Fault>,
    pub(super) warnings: Vec<Fault>,
    pub(super) wide: Vec<Fault>,
}

impl Findings {
    /// Notes a fault: the document will be refused. Answers `None`, for the reader to pass on.
    pub(super) fn refuse<T>(&mut self, path: &Path<'_>, refusal: Refusal) -> Option<T> {
        self.faults.push(refusal.at(path));
        None
    }

    /// Notes what is legal and surely not meant.
    pub(super) fn warn(&mut self, path: &Path<'_>, refusal: Refusal) {
        self.warnings.push(refusal.at(path));
    }

    /// The value of `result`, its refusal noted.
    pub(super) fn take<T>(&mut self, path: &Path<'_>, result: Result<T, Refusal>) -> Option<T> {
        result.map_err(|refusal| self.faults.push(refusal.at(path))).ok()
    }
}

/// A place in a document. A list on the stack: nothing is allocated unless a fault is found there.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy, Debug, Default)]
enum Step<'a> {
    #[default]
    Root,
    Member(&'a str),
    Item(usize),
}

impl<'a> Path<'a> {
    pub(super) fn member(&'a self, name: &'a str) -> Self {
        Self { parent: Some(self), step: Step::Member(name) }
    }

    pub(super) fn item(&'a self, index: usize) -> Self {
        Self { parent: Some(self), step: Step::Item(index) }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match (self.step, self.parent.map(|parent| parent.step)) {
            (Step::Root, _) => Ok(()),
            (Step::Item(index), _) => write!(f, "[{index}]"),
            (Step::Member(name), None | Some(Step::Root)) => f.write_str(name),
            (Step::Member(name), Some(_)) => write!(f, ".{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_as_one_would_write_it() {
        let root = Path::default();
        let list = root.member("Statement");
        let item = list.item(2);
        let condition = item.member("Condition");
        assert_eq!(condition.to_string(), "Statement[2].Condition");
        assert_eq!(root.to_string(), "");
    }

    #[test]
    fn a_fault_of_a_part_becomes_one_of_the_whole() {
        let fault = Fault::new("it is wrong", "right it");
        let path = |fault: Fault| fault.path;
        assert_eq!(path(fault.clone().within("key")), "key");
        assert_eq!(path(fault.clone().within("Effect").within("key")), "key.Effect");
        assert_eq!(path(fault.within("Effect").within("")), "Effect");
    }
}
