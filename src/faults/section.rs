//! One TOML table being read: each key is taken by name and type, what is wrong is noted with its place.
//!
//! A key that nothing asked for is unknown, so the list of keys is written once, where they are read.
//! Values are quoted in faults only by [`Value`]'s own readers for what is not secret.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Collector, Fault, nearest};

/// Reads `text` as TOML and hands the table at its root to `read`; syntax errors are faults.
///
/// After a syntax error what could be read is read all the same, so that both kinds are named at once.
pub fn read_toml<T>(file: &Path, text: &str, faults: &Collector, read: impl FnOnce(&Section<'_>) -> T) -> T {
    let (root, errors) = DeTable::parse_recoverable(text);
    let source = Source { file, text, faults, broken: !errors.is_empty() };
    for error in &errors {
        faults.push(Fault {
            file: file.to_path_buf(),
            line: error.span().map(|span| source.line(span.start)),
            path: String::new(),
            // The message alone: the error's `Display` quotes the line, and the line may hold a secret.
            message: error.message().to_owned(),
            hint: Some("write it as TOML has it, see https://toml.io".to_owned()),
        });
    }
    read(&Section::new(&source, String::new(), Some(root.get_ref()), None))
}

struct Source<'a> {
    file: &'a Path,
    text: &'a str,
    faults: &'a Collector,
    /// The text has syntax errors, so what seems to be missing may just not have been understood.
    broken: bool,
}

impl Source<'_> {
    fn line(&self, offset: usize) -> usize {
        self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
    }
}

/// A table, or the absence of one: an absent table reads as an empty one.
#[must_use = "unknown keys are found by `end`"]
pub struct Section<'a> {
    source: &'a Source<'a>,
    path: String,
    table: Option<&'a DeTable<'a>>,
    offset: Option<usize>,
    asked: RefCell<BTreeSet<&'static str>>,
}

impl<'a> Section<'a> {
    fn new(source: &'a Source<'a>, path: String, table: Option<&'a DeTable<'a>>, offset: Option<usize>) -> Self {
        Self { source, path, table, offset, asked: RefCell::default() }
    }

    /// Whether the file has this table.
    #[must_use]
    pub fn is_present(&self) -> bool {
        self.table.is_some()
    }

    /// The value of `key`, or `None`.
    pub fn get(&self, key: &'static str) -> Option<Value<'a>> {
        self.asked.borrow_mut().insert(key);
        let (_, value) = self.table?.iter().find(|(name, _)| name.get_ref() == key)?;
        Some(Value { source: self.source, path: self.path_of(key), spanned: value })
    }

    /// The value of `key`; its absence is a fault with `hint`.
    pub fn require(&self, key: &'static str, hint: &str) -> Option<Value<'a>> {
        let value = self.get(key);
        if value.is_none() && !self.source.broken {
            self.fault(key, "is missing", Some(hint));
        }
        value
    }

    /// The table named `key`, as an empty one if it is not there.
    pub fn section(&self, key: &'static str) -> Section<'a> {
        let Some(value) = self.get(key) else {
            return Self::new(self.source, self.path_of(key), None, None);
        };
        value.section()
    }

    /// The tables of the array of tables named `key`.
    pub fn sections(&self, key: &'static str) -> Vec<Section<'a>> {
        let Some(value) = self.get(key) else { return Vec::new() };
        value.items(&format!("write [[{}]] tables", value.path)).iter().map(Value::section).collect()
    }

    /// Every key with its value, for tables whose keys are names of the operator's own.
    pub fn entries(&self) -> Vec<(String, Value<'a>)> {
        let Some(table) = self.table else { return Vec::new() };
        let entry = |(name, value): (&Spanned<_>, &'a Spanned<DeValue<'a>>)| {
            let name: &std::borrow::Cow<'_, str> = name.get_ref();
            (name.to_string(), Value { source: self.source, path: self.path_of(name), spanned: value })
        };
        table.iter().map(entry).collect()
    }

    /// Ends the table: each key that nothing asked for is a fault.
    pub fn end(&self) {
        let Some(table) = self.table else { return };
        let asked = self.asked.borrow();
        for name in table.keys().filter(|name| !asked.contains(name.get_ref().as_ref())) {
            let known = || asked.iter().copied();
            let hint = match nearest(name.get_ref(), known()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("known here: {}", known().collect::<Vec<_>>().join(", ")),
            };
            self.source.faults.push(Fault {
                file: self.source.file.to_path_buf(),
                line: Some(self.source.line(name.span().start)),
                path: self.path_of(&shown(name.get_ref())),
                message: "unknown key".into(),
                hint: Some(hint),
            });
        }
    }

    /// Notes a fault of `key`, or of the table itself if `key` is empty.
    pub fn fault(&self, key: &str, message: impl Into<String>, hint: Option<&str>) {
        let at = self.table.and_then(|table| table.iter().find(|(name, _)| name.get_ref() == key));
        let offset = at.map(|(_, value)| value.span().start).or(self.offset);
        self.source.faults.push(Fault {
            file: self.source.file.to_path_buf(),
            line: offset.map(|offset| self.source.line(offset)),
            path: if key.is_empty() { self.path.clone() } else { self.path_of(key) },
            message: message.into(),
            hint: hint.map(str::to_owned),
        });
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

/// A key that nothing knows, cut where it could be a secret in the wrong place: no key of ours is as long as that.
fn shown(name: &str) -> String {
    const SHORTEST_SECRET: usize = 32;
    match name.char_indices().nth(8) {
        Some((end, _)) if name.len() >= SHORTEST_SECRET => format!("{}...", name.split_at(end).0),
        _ => name.to_owned(),
    }
}

/// One value and its place.
pub struct Value<'a> {
    source: &'a Source<'a>,
    path: String,
    spanned: &'a Spanned<DeValue<'a>>,
}

impl<'a> Value<'a> {
    /// As text. A value of another type is a fault that does not quote it.
    #[must_use]
    pub fn text(&self) -> Option<&'a str> {
        let text = self.spanned.get_ref().as_str();
        if text.is_none() {
            self.wrong_type("text in quotes");
        }
        text
    }

    /// As a `T` by its own parser, whose message becomes the fault. Quotes the value: not for secrets.
    #[must_use]
    pub fn parse<T: FromStr<Err: Display>>(&self, hint: &str) -> Option<T> {
        let text = self.text()?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.fault(format!("`{text}` is refused: {error}"), Some(hint));
                None
            }
        }
    }

    /// As `true` or `false`.
    #[must_use]
    pub fn boolean(&self) -> Option<bool> {
        let value = self.spanned.get_ref().as_bool();
        if value.is_none() {
            self.wrong_type("true or false");
        }
        value
    }

    /// As a whole number in `range`.
    #[must_use]
    pub fn number(&self, range: RangeInclusive<u64>) -> Option<u64> {
        let Some(integer) = self.spanned.get_ref().as_integer() else {
            self.wrong_type("a whole number");
            return None;
        };
        match u64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) if range.contains(&number) => Some(number),
            _ => {
                let allowed = format!("from {} to {} is allowed", range.start(), range.end());
                self.fault(format!("{integer} is out of bounds"), Some(&allowed));
                None
            }
        }
    }

    /// As a path, taken from the directory of the file it stands in.
    #[must_use]
    pub fn path(&self) -> Option<PathBuf> {
        let text = self.text()?;
        if text.is_empty() {
            self.fault("is empty", Some("name a file or directory"));
            return None;
        }
        Some(self.source.file.parent().map_or_else(|| PathBuf::from(text), |directory| directory.join(text)))
    }

    /// As a list of texts; what is no text in it is a fault of its own.
    #[must_use]
    pub fn texts(&self) -> Vec<(Value<'a>, &'a str)> {
        let items = self.items("write a list of texts: [\"a\", \"b\"]");
        items.into_iter().filter_map(|item| item.text().map(|text| (item, text))).collect()
    }

    /// As a table.
    pub fn section(&self) -> Section<'a> {
        let table = self.spanned.get_ref().as_table();
        if table.is_none() {
            self.wrong_type("a table");
        }
        Section::new(self.source, self.path.clone(), table, Some(self.spanned.span().start))
    }

    /// Its dotted path and its line, for faults that are found later.
    #[must_use]
    pub fn place(&self) -> (String, usize) {
        (self.path.clone(), self.source.line(self.spanned.span().start))
    }

    /// Notes a fault of this value. `message` and `hint` must not quote a secret.
    pub fn fault(&self, message: impl Into<String>, hint: Option<&str>) {
        self.source.faults.push(Fault {
            file: self.source.file.to_path_buf(),
            line: Some(self.source.line(self.spanned.span().start)),
            path: self.path.clone(),
            message: message.into(),
            hint: hint.map(str::to_owned),
        });
    }

    fn items(&self, hint: &str) -> Vec<Value<'a>> {
        let Some(array) = self.spanned.get_ref().as_array() else {
            self.fault(format!("is {}", self.kind()), Some(hint));
            return Vec::new();
        };
        let item =
            |(index, value)| Value { source: self.source, path: format!("{}[{index}]", self.path), spanned: value };
        array.iter().enumerate().map(item).collect()
    }

    fn wrong_type(&self, wanted: &str) {
        self.fault(format!("is {}", self.kind()), Some(&format!("write {wanted}")));
    }

    fn kind(&self) -> &'static str {
        match self.spanned.get_ref() {
            DeValue::String(_) => "text",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number with a fraction",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Faults;
    use super::*;

    fn faults_of(text: &str, read: impl FnOnce(&Section<'_>)) -> Faults {
        let file = Path::new("/etc/kmsgate/a.toml");
        let collector = Collector::default();
        read_toml(file, text, &collector, |root| {
            read(root);
            root.end();
        });
        collector.finish::<()>(file, None).unwrap_err()
    }

    #[test]
    fn every_fault_is_found_with_its_line_and_path() {
        let text = "port = 'x'\n[a]\nflag = 1\nname = true\n\n[[a.list]]\nn = 70000\nm = 0.5\n";
        let faults = faults_of(text, |root| {
            assert!(root.get("port").unwrap().number(1..=9).is_none());
            let a = root.section("a");
            assert!(a.get("flag").unwrap().boolean().is_none());
            assert!(a.get("name").unwrap().text().is_none());
            for item in a.sections("list") {
                assert!(item.get("n").unwrap().number(1..=65535).is_none());
                assert!(item.get("m").unwrap().number(1..=2).is_none());
                item.end();
            }
            a.end();
        });
        let hints: Vec<_> = faults.as_slice().iter().filter_map(|fault| fault.hint.as_deref()).collect();
        assert_eq!(
            hints,
            [
                "write a whole number",
                "write true or false",
                "write text in quotes",
                "from 1 to 65535 is allowed",
                "write a whole number",
            ]
        );
        let found: Vec<_> = faults.as_slice().iter().map(|f| (f.line, f.path.as_str(), f.message.as_str())).collect();
        assert_eq!(
            found,
            [
                (Some(1), "port", "is text"),
                (Some(3), "a.flag", "is a whole number"),
                (Some(4), "a.name", "is true or false"),
                (Some(7), "a.list[0].n", "70000 is out of bounds"),
                (Some(8), "a.list[0].m", "is a number with a fraction"),
            ]
        );
    }

    #[test]
    fn an_unknown_key_is_a_fault_that_names_its_neighbour() {
        let faults = faults_of("adress = 1\ncolour = 2\n", |root| {
            root.get("address");
        });
        let found: Vec<_> =
            faults.as_slice().iter().map(|f| (f.line, f.path.as_str(), f.hint.as_deref().unwrap())).collect();
        assert_eq!(found, [(Some(1), "adress", "did you mean `address`?"), (Some(2), "colour", "known here: address")]);
    }

    #[test]
    fn a_secret_in_the_place_of_a_key_is_not_quoted() {
        let faults = faults_of("'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY' = 'secret'\n", |_| ()).to_string();
        assert!(faults.contains("wJalrXUt...: unknown key") && !faults.contains("nFEMI"), "{faults}");
    }

    #[test]
    fn a_missing_key_is_a_fault_only_if_the_syntax_was_understood() {
        let faults = faults_of("", |root| {
            root.require("region", "write region = \"us-east-1\"");
        });
        assert_eq!(faults.as_slice()[0].message, "is missing");
        let faults = faults_of("region = \n", |root| {
            root.require("region", "");
        });
        assert!(faults.as_slice().iter().all(|fault| fault.message != "is missing"), "{faults}");
    }

    #[test]
    fn a_syntax_error_does_not_quote_the_line() {
        let faults = faults_of("a = 1\nsecret = wJalrXUtnFEMI/K7MDENG\n", |root| {
            root.get("a");
            root.get("secret");
        });
        assert_eq!(faults.as_slice()[0].line, Some(2));
        assert!(!format!("{faults} {faults:?}").contains("wJalr"), "{faults}");
    }

    #[test]
    fn paths_begin_at_the_directory_of_their_file() {
        let file = Path::new("/etc/kmsgate/a.toml");
        let collector = Collector::default();
        read_toml(file, "a = 'x/y'\nb = '/z'", &collector, |root| {
            assert_eq!(root.get("a").unwrap().path().unwrap(), Path::new("/etc/kmsgate/x/y"));
            assert_eq!(root.get("b").unwrap().path().unwrap(), Path::new("/z"));
        });
    }
}
