//! JSON as it was written: every member in its order, also one that stands twice.
//!
//! `serde_json::Value` keeps the last of two members with one name. A policy read in that way may be another
//! than the one its author reads, so [`Node`] keeps both and [`Node::note_duplicates`] refuses them with their place.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::fault::{Findings, Path, Refusal};

/// One JSON value. Numbers are kept as the text that a condition compares.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
}

impl Node {
    /// Reads exactly one JSON value; nesting is bounded by `serde_json` (128).
    pub(super) fn parse(json: &[u8]) -> Result<Self, Refusal> {
        serde_json::from_slice(json).map_err(|error| Refusal::new(format!("not valid JSON: {error}")))
    }

    /// What this is, with its article, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }

    /// The text of a string, a number or a boolean.
    pub(super) fn scalar(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Text(text) | Self::Number(text) => Some(Cow::Borrowed(text)),
            Self::Bool(value) => Some(Cow::Borrowed(if *value { "true" } else { "false" })),
            Self::Null | Self::List(_) | Self::Object(_) => None,
        }
    }

    /// Notes, for every object in here, each member whose name has stood before.
    pub(super) fn note_duplicates(&self, path: &Path<'_>, findings: &mut Findings) {
        match self {
            Self::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    item.note_duplicates(&path.item(index), findings);
                }
            }
            Self::Object(members) => {
                let mut seen = Seen::default();
                for (place, (name, value)) in members.iter().enumerate() {
                    let path = path.member(name);
                    if seen.before(name, members.get(..place).unwrap_or_default()) {
                        let refusal = Refusal::new(format!("`{name}` stands twice in one object"));
                        findings.refuse::<()>(&path, refusal.hint("keep one of the two, or merge their values"));
                    }
                    value.note_duplicates(&path, findings);
                }
            }
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) => {}
        }
    }
}

/// The names of an object so far.
#[derive(Default)]
struct Seen<'n>(HashSet<&'n str>);

impl<'n> Seen<'n> {
    /// To look at so many takes less time than to hash them.
    const FEW: usize = 16;

    /// Whether `name` is one of the members `before`, which is asked for each member in turn.
    fn before(&mut self, name: &'n str, before: &'n [(String, Node)]) -> bool {
        if before.len() < Self::FEW {
            return before.iter().any(|(known, _)| known == name);
        }
        if self.0.is_empty() {
            self.0.extend(before.iter().map(|(known, _)| known.as_str()));
        }
        !self.0.insert(name)
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Number(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Number(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Number(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Node, E> {
        Ok(Node::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Node, A::Error> {
        let mut object = Vec::new();
        while let Some(member) = members.next_entry()? {
            object.push(member);
        }
        Ok(Node::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn duplicates(json: &str) -> Vec<String> {
        let mut findings = Findings::default();
        Node::parse(json.as_bytes()).unwrap().note_duplicates(&Path::default(), &mut findings);
        findings.faults.into_iter().map(|fault| fault.path).collect()
    }

    #[test]
    fn a_member_that_stands_twice_is_found_at_any_depth() {
        assert_eq!(duplicates(r#"{"a":1,"b":{"a":2}}"#), Vec::<String>::new());
        assert_eq!(duplicates(r#"{"a":1,"a":1,"b":[{"c":{"d":1,"\u0064":2}}]}"#), ["a", "b[0].c.d"]);
    }

    #[test]
    fn a_large_object_is_looked_at_as_a_small_one() {
        let names = |count: usize| (0..count).map(|i| format!("\"n{i}\":0")).collect::<Vec<_>>().join(",");
        for count in [1, 15, 16, 17, 40] {
            assert_eq!(duplicates(&format!("{{{}}}", names(count))), Vec::<String>::new());
            for at in [0, count - 1] {
                let json = format!(r#"{{{},"n{at}":1,"last":2}}"#, names(count));
                assert_eq!(duplicates(&json), [format!("n{at}")], "{count}");
            }
        }
    }

    #[test]
    fn scalars_keep_their_text() {
        let node = Node::parse(br#"[3600, -1, 1.5, true, false, "x", null, [], 18446744073709551615]"#).unwrap();
        let Node::List(items) = node else { panic!("a list") };
        let texts: Vec<Option<String>> = items.iter().map(|item| item.scalar().map(Cow::into_owned)).collect();
        let expected = ["3600", "-1", "1.5", "true", "false", "x"].map(|text| Some(text.to_owned()));
        assert_eq!(texts[..6], expected);
        assert_eq!(texts[6..], [None, None, Some("18446744073709551615".to_owned())]);
    }

    #[test]
    fn what_is_not_one_json_value_is_refused() {
        for json in ["", "{", "{} {}", "{a:1}", "// c\n{}", "{\"a\":1,}", "\"\\ud800\"", "\u{feff}{}", "01", "NaN"] {
            assert!(Node::parse(json.as_bytes()).is_err(), "{json}");
        }
        assert!(Node::parse("[".repeat(10_000).as_bytes()).is_err());
        assert!(Node::parse(b"\"\xff\"").is_err());
    }
}
