//! Reads a body by its operation's model: strict JSON, each member of its type, each name once.
//!
//! Architecture invariant: no body can be read in two ways. A name that occurs twice in one object, known or not, at
//! any depth, is refused; so is what follows the object, and, where others will read the body too, a name that differs
//! from a known one in case alone. Texts are those of AWS's front end.

mod skip;

use std::collections::HashSet;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;

use self::skip::Skip;
use super::exception::{Exception, ExceptionKind};
use super::model::{Field, Shape};
use super::validation::Faults;
use crate::aws::{EncryptionContext, Member};
use crate::clock::Timestamp;
use crate::secret::Secret;

const LIST_NOT_EXPECTED: &str = "Start of list found where not expected";
const STRUCTURE_NOT_EXPECTED: &str = "Start of structure or map found where not expected.";

/// A value of the type that the model says.
pub(super) enum Node {
    Null,
    Text(String),
    /// One of an enum's values.
    Choice(&'static str),
    Secret(Secret<String>),
    Integer(i64),
    Boolean(bool),
    Timestamp(Timestamp),
    Blob(Secret<Vec<u8>>),
    Context(EncryptionContext),
    Texts(Vec<String>),
    Structure(Members),
    Structures(Vec<Members>),
}

/// A structure's members that were sent and are not `null`.
pub(super) struct Members(Vec<(Member, Node)>);

impl Members {
    /// The value of `member`.
    pub(super) fn get(&self, member: Member) -> Option<&Node> {
        self.0.iter().find(|(own, _)| *own == member).map(|(_, node)| node)
    }
}

/// Who reads the body.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Readers {
    /// This one alone.
    Here,
    /// An upstream too, which may take no heed of the case of names.
    Upstream,
}

/// Reads `body` as a structure of these fields; `null`s where none may be go to `faults`.
pub(super) fn read(
    fields: &'static [Field],
    body: &[u8],
    readers: Readers,
    faults: &mut Faults,
) -> Result<Members, Exception> {
    let text = std::str::from_utf8(body).map_err(|_| not_utf8())?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let mut reader = Reader { readers, faults, refusal: None };
    let read = deserializer.deserialize_any(Top { reader: &mut reader, fields });
    match read.and_then(|members| deserializer.end().map(|()| members)) {
        Ok(members) => Ok(members),
        Err(error) => Err(reader.refusal.unwrap_or_else(|| malformed(&error))),
    }
}

/// Not JSON: the client is told its name alone, the operator the place. `serde_json`'s own text quotes the body.
fn malformed(error: &serde_json::Error) -> Exception {
    let (line, column) = (error.line(), error.column());
    let what = match error.classify() {
        Category::Eof => "ends too early",
        Category::Syntax | Category::Io => "is no JSON",
        Category::Data => "is no JSON object",
    };
    Exception::bare(ExceptionKind::Serialization).with_detail(format!("the body {what} (line {line}, column {column})"))
}

fn not_utf8() -> Exception {
    Exception::bare(ExceptionKind::Serialization).with_detail("the body is no UTF-8")
}

struct Reader<'a> {
    readers: Readers,
    faults: &'a mut Faults,
    /// Why reading stopped, when it was not for malformed JSON.
    refusal: Option<Exception>,
}

impl Reader<'_> {
    /// Stops reading. The error returned only carries the stop through the deserializer.
    fn refuse<E: serde::de::Error>(&mut self, exception: Exception) -> E {
        self.refusal = Some(exception);
        E::custom("refused")
    }

    fn refuse_text<E: serde::de::Error>(&mut self, text: &'static str) -> E {
        self.refuse(Exception::fixed(ExceptionKind::Serialization, text))
    }

    /// AWS lets the last of two win, or the first; two readers must not differ, so neither does here.
    fn refuse_duplicate<E: serde::de::Error>(&mut self) -> E {
        self.refuse_text("Duplicate member found where not expected")
    }

    fn members<'de, A: MapAccess<'de>>(&mut self, fields: &'static [Field], mut map: A) -> Result<Members, A::Error> {
        let mut members = Vec::with_capacity(fields.len().min(4));
        // No structure has 32 members.
        let mut seen = 0_u32;
        let mut unknown = HashSet::new();
        while let Some(key) = map.next_key_seed(Key(fields))? {
            match key {
                Name::Known(index, field) => {
                    let before = seen;
                    seen |= 1 << (index % 32);
                    if seen == before {
                        return Err(self.refuse_duplicate());
                    }
                    let slot = Slot { reader: self, shape: &field.shape, member: field.member };
                    match map.next_value_seed(slot)? {
                        Node::Null => {}
                        node => members.push((field.member, node)),
                    }
                }
                Name::Unknown(name) => {
                    if self.readers == Readers::Upstream && fields.iter().any(|field| differs_in_case(&name, field)) {
                        return Err(self.refuse_text("Member found whose name differs from another's in case alone"));
                    }
                    if !unknown.insert(name) {
                        return Err(self.refuse_duplicate());
                    }
                    map.next_value_seed(Skip { reader: self })?;
                }
            }
        }
        Ok(Members(members))
    }
}

/// The whole body: an object and nothing else. Of other things the client is told the name of the error alone.
struct Top<'r, 'a> {
    reader: &'r mut Reader<'a>,
    fields: &'static [Field],
}

impl<'de> Visitor<'de> for Top<'_, '_> {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Members, A::Error> {
        self.reader.members(self.fields, map)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Members, A::Error> {
        Err(self.reader.refuse_text(LIST_NOT_EXPECTED))
    }
}

/// The name of a member, looked up without a copy.
struct Key(&'static [Field]);

enum Name {
    Known(usize, &'static Field),
    Unknown(String),
}

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Name;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Name, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key {
    type Value = Name;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Name, E> {
        let known = self.0.iter().enumerate().find(|(_, field)| field.member.name() == name);
        Ok(known.map_or_else(|| Name::Unknown(name.to_owned()), |(index, field)| Name::Known(index, field)))
    }
}

/// The place of one value, of a type that the model says.
struct Slot<'r, 'a> {
    reader: &'r mut Reader<'a>,
    shape: &'static Shape,
    member: Member,
}

impl Slot<'_, '_> {
    /// A scalar that the shape does not take, in AWS's words. What is said of a blob that is no string, and of a
    /// boolean, is by analogy and not verified; what is said of a timestamp was seen at another service (X-Ray).
    fn mismatch<E: serde::de::Error>(self, token: &'static str) -> E {
        let wanted = match self.shape {
            Shape::Text { .. } | Shape::Choice(_) | Shape::Secret { .. } => "a String",
            Shape::Integer { .. } => "an Integer",
            Shape::Boolean => "a Boolean",
            Shape::Timestamp => "milliseconds since epoch",
            Shape::Blob { .. } => "a Blob",
            Shape::Texts { .. } | Shape::Structures(_) => return self.reader.refuse_text("Expected list or null"),
            Shape::Context => return self.reader.refuse_text("Expected map or null"),
            Shape::Structure(_) => return self.reader.refuse_text("Expected null"),
        };
        self.reader.refuse(Exception::serialization(format!("{token} can not be converted to {wanted}")))
    }

    fn number<E: serde::de::Error>(self, value: i64) -> Result<Node, E> {
        match self.shape {
            Shape::Integer { .. } => Ok(Node::Integer(value)),
            Shape::Timestamp => Ok(Node::Timestamp(on_calendar(Timestamp::from_unix_seconds(value)))),
            _ => Err(self.mismatch("NUMBER_VALUE")),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Slot<'_, '_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Slot<'_, '_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Node, E> {
        match self.shape {
            Shape::Boolean => Ok(Node::Boolean(value)),
            _ => Err(self.mismatch(if value { "TRUE_VALUE" } else { "FALSE_VALUE" })),
        }
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Node, E> {
        self.number(i64::try_from(value).unwrap_or(i64::MAX))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Node, E> {
        self.number(value)
    }

    #[expect(clippy::cast_possible_truncation, reason = "AWS cuts 32.7 to 32; what is beyond an i64 becomes its bound")]
    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Node, E> {
        match self.shape {
            // AWS keeps milliseconds; beyond them a number of this size is not exact.
            Shape::Timestamp => {
                let micros = ((value * 1e3).round() as i64).saturating_mul(1000);
                Ok(Node::Timestamp(on_calendar(Timestamp::from_unix_micros(micros))))
            }
            _ => self.number(value as i64),
        }
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Node, E> {
        match self.shape {
            Shape::Text { .. } => Ok(Node::Text(text.to_owned())),
            Shape::Choice(values) => Ok(values
                .iter()
                .find(|value| **value == text)
                .map_or_else(|| Node::Text(text.to_owned()), |value| Node::Choice(value))),
            Shape::Secret { .. } => Ok(Node::Secret(Secret::new(text.to_owned()))),
            Shape::Blob { .. } => decode(text).map(Node::Blob).map_err(|fault| {
                let detail = format!("`{}` is not base64: {fault}", self.member.name());
                self.reader.refuse(Exception::bare(ExceptionKind::Serialization).with_detail(detail))
            }),
            _ => Err(self.mismatch("STRING_VALUE")),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Node, A::Error> {
        match self.shape {
            Shape::Texts { element, .. } => self.texts(element, seq),
            Shape::Structures(element) => self.structures(element, seq),
            _ => Err(self.reader.refuse_text(LIST_NOT_EXPECTED)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Node, A::Error> {
        match self.shape {
            Shape::Structure(fields) => self.reader.members(fields, map).map(Node::Structure),
            Shape::Context => self.context(map),
            _ => Err(self.reader.refuse_text(STRUCTURE_NOT_EXPECTED)),
        }
    }
}

impl Slot<'_, '_> {
    fn texts<'de, A: SeqAccess<'de>>(self, element: &'static Shape, mut seq: A) -> Result<Node, A::Error> {
        let mut texts = Vec::new();
        let Self { reader, member, .. } = self;
        while let Some(node) = seq.next_element_seed(Slot { reader: &mut *reader, shape: element, member })? {
            if texts.len() == LONGEST_LIST {
                return Err(reader.refuse_text(LIST_TOO_LONG));
            }
            texts.push(match node {
                Node::Text(text) => text,
                Node::Choice(text) => text.to_owned(),
                _ => {
                    reader.faults.null(format_args!("{}.{}.member", member.camel(), texts.len() + 1));
                    String::new()
                }
            });
        }
        Ok(Node::Texts(texts))
    }

    fn structures<'de, A: SeqAccess<'de>>(self, element: &'static Shape, mut seq: A) -> Result<Node, A::Error> {
        let mut structures = Vec::new();
        let Self { reader, member, .. } = self;
        while let Some(node) = seq.next_element_seed(Slot { reader: &mut *reader, shape: element, member })? {
            if structures.len() == LONGEST_LIST {
                return Err(reader.refuse_text(LIST_TOO_LONG));
            }
            if let Node::Structure(members) = node {
                structures.push(members);
            } else {
                reader.faults.null(format_args!("{}.{}.member", member.camel(), structures.len() + 1));
                structures.push(Members(Vec::new()));
            }
        }
        Ok(Node::Structures(structures))
    }

    fn context<'de, A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let Self { reader, member, .. } = self;
        let mut pairs = Vec::with_capacity(2);
        while let Some(key) = map.next_key::<String>()? {
            let slot = Slot { reader: &mut *reader, shape: CONTEXT_VALUE, member };
            let value = if let Node::Text(value) = map.next_value_seed(slot)? {
                value
            } else {
                reader.faults.null(format_args!("{}.{key}.member", member.camel()));
                String::new()
            };
            pairs.push((key, value));
        }
        EncryptionContext::from_pairs(pairs).map(Node::Context).map_err(|_| reader.refuse_duplicate())
    }
}

/// Readers that take no heed of case (Go's, for one) would take `name` for `known`, and read another request.
fn differs_in_case(name: &str, known: &Field) -> bool {
    let known = known.member.name();
    if name.is_ascii() {
        return name.eq_ignore_ascii_case(known);
    }
    // Both ways, for letters that have the other case in ASCII alone, such as the sign of the kelvin. It ends at the first
    // that differs: a body may have a hundred thousand such names.
    folded(name).eq(folded(known))
}

fn folded(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase)
}

/// A moment that has a date. What AWS makes of others is not known; here they become the nearest that has one.
fn on_calendar(moment: Timestamp) -> Timestamp {
    moment.clamp(Timestamp::EARLIEST, Timestamp::LATEST)
}

/// No list of KMS has more than fifty elements. What is longer is held in memory at forty times its bytes, while an upstream
/// is asked about its key.
const LONGEST_LIST: usize = 1000;
const LIST_TOO_LONG: &str = "List has more elements than expected";

/// Any text may be a context's value.
const CONTEXT_VALUE: &Shape = &Shape::Text { min: 0, max: usize::MAX, pattern: None };

/// Decodes standard base64: padding must be there and the spare bits zero.
fn decode(text: &str) -> Result<Secret<Vec<u8>>, base64::DecodeSliceError> {
    let mut bytes = Secret::new(vec![0; text.len().div_ceil(4) * 3]);
    let length = STANDARD.decode_slice(text, bytes.expose_mut())?;
    bytes.expose_mut().truncate(length);
    Ok(bytes)
}
