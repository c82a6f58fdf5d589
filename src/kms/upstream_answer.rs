//! Reads the answer of a real KMS: what it must be judged by and what the record tells of it, and nothing else.
//!
//! One pass over the body, whose bytes go on to the client as they are: all that is kept borrows from them. What is no
//! answer of KMS (a proxy's page, half a body, an answer that could be read in two ways) is told from what is one.

use std::borrow::Cow;
use std::fmt;

use http::StatusCode;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::error::Category;

use super::error_class::ErrorClass;
use crate::aws::{Operation, Output};

/// The longest name of an error. KMS's longest has 52 characters.
const LONGEST_NAME: usize = 128;

/// What KMS answered.
#[derive(Debug)]
pub enum UpstreamAnswer<'b> {
    /// The call was granted.
    Success(UpstreamSuccess<'b>),
    /// It was refused, or failed.
    Failure(UpstreamFailure<'b>),
}

/// What an answer says of the keys it is about. The names stand as KMS wrote them.
#[derive(Debug, Default)]
pub struct UpstreamSuccess<'b> {
    /// The key that was used or made; for `ReEncrypt` that of the destination. There for each operation of which
    /// [`Output::names_key`] holds; which of them may name it by a bare key id is said at [`Output`].
    pub key: Option<Cow<'b, str>>,
    /// The key that `ReEncrypt` took the plaintext from, always there for it.
    pub source_key: Option<Cow<'b, str>>,
    /// The key material that was used.
    pub key_material_id: Option<Cow<'b, str>>,
    /// The key material that `ReEncrypt` decrypted with.
    pub source_key_material_id: Option<Cow<'b, str>>,
    /// The key material that `ReEncrypt` encrypted with.
    pub destination_key_material_id: Option<Cow<'b, str>>,
}

/// An error of KMS.
pub struct UpstreamFailure<'b> {
    /// The bare name: 1 to 128 letters, digits, dots, dashes and underscores.
    pub name: Cow<'b, str>,
    /// KMS's text. It may quote what was sent.
    pub message: Option<Cow<'b, str>>,
    /// 400 to 599.
    pub status: StatusCode,
}

/// The answer is none of KMS. The reason quotes nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no answer of KMS: {0}")]
pub struct NotKms(&'static str);

impl<'b> UpstreamAnswer<'b> {
    /// Reads the answer to a request for `operation`. `error_type` is the value of `x-amzn-ErrorType`, for an error
    /// whose body does not name it.
    ///
    /// # Errors
    ///
    /// [`NotKms`] for a status that KMS does not use; for a body that is no JSON object, unless it is empty and may be;
    /// for a member that is judged and stands twice, is no text, or is missing; for an error without a name, and for a
    /// success with one. What is not judged may be anything, nested however deep: it is passed over without recursion.
    pub fn read(
        operation: Operation,
        status: StatusCode,
        error_type: Option<&'b str>,
        body: &'b [u8],
    ) -> Result<Self, NotKms> {
        match status.as_u16() {
            200 => UpstreamSuccess::read(operation.output(), body).map(Self::Success),
            400..600 => UpstreamFailure::read(status, error_type, body).map(Self::Failure),
            _ => Err(NotKms("its status is neither 200 nor that of an error")),
        }
    }
}

impl<'b> UpstreamSuccess<'b> {
    fn read(output: Output, body: &'b [u8]) -> Result<Self, NotKms> {
        let members = match (output, body) {
            // What has no members is nothing, or (at an emulator) none of what could have them.
            (Output::Nothing, [] | b"null") => return Ok(Self::default()),
            (Output::Metadata(name), _) => Members::read(body, Some(name))?,
            _ => Members::read(body, None)?,
        };
        if members.error_type.seen {
            return Err(NotKms("it names an error and has the status of a success"));
        }
        let key = if let Output::Metadata(_) = output { members.metadata.arn.text } else { members.key.text };
        if output.names_key() && key.is_none() {
            return Err(NotKms("it does not name its key"));
        }
        if output == Output::KeyAndSource && members.source_key.text.is_none() {
            return Err(NotKms("it does not name the key of its source"));
        }
        Ok(Self {
            key,
            source_key: members.source_key.text,
            key_material_id: members.key_material_id.text,
            source_key_material_id: members.source_key_material_id.text,
            destination_key_material_id: members.destination_key_material_id.text,
        })
    }
}

impl<'b> UpstreamFailure<'b> {
    fn read(status: StatusCode, error_type: Option<&'b str>, body: &'b [u8]) -> Result<Self, NotKms> {
        let members = if body.is_empty() { Members::default() } else { Members::read(body, None)? };
        let name = members.error_type.text.or(error_type.map(Cow::Borrowed)).ok_or(NotKms("it is an unnamed error"))?;
        let name = match name {
            Cow::Borrowed(name) => Cow::Borrowed(bare(name)),
            Cow::Owned(name) => Cow::Owned(bare(&name).to_owned()),
        };
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(letter) {
            return Err(NotKms("the name of its error is none"));
        }
        Ok(Self { name, message: members.message.text.or(members.capital_message.text), status })
    }

    /// What the error is about.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        ErrorClass::of(&self.name, self.status)
    }
}

/// Says the name alone: the text may quote what was sent.
impl fmt::Debug for UpstreamFailure<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamFailure").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The name of an error without its namespace, and without the address that some front ends append.
fn bare(name: &str) -> &str {
    let name = name.split_once(':').map_or(name, |(name, _)| name);
    name.rsplit_once('#').map_or(name, |(_, name)| name)
}

/// The members of a body that are judged or recorded.
#[derive(Default)]
struct Members<'b> {
    key: Slot<'b>,
    source_key: Slot<'b>,
    key_material_id: Slot<'b>,
    source_key_material_id: Slot<'b>,
    destination_key_material_id: Slot<'b>,
    error_type: Slot<'b>,
    message: Slot<'b>,
    capital_message: Slot<'b>,
    metadata: Metadata<'b>,
}

/// A member that is a text or `null`.
#[derive(Default)]
struct Slot<'b> {
    seen: bool,
    text: Option<Cow<'b, str>>,
}

/// The structure that describes a key.
#[derive(Default)]
struct Metadata<'b> {
    /// What it is called; `None` where it is not asked for.
    name: Option<&'static str>,
    seen: bool,
    arn: Slot<'b>,
}

impl<'b> Members<'b> {
    fn read(body: &'b [u8], metadata: Option<&'static str>) -> Result<Self, NotKms> {
        let text = std::str::from_utf8(body).map_err(|_| NotKms("its body is no UTF-8"))?;
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let mut members = Self { metadata: Metadata { name: metadata, ..Metadata::default() }, ..Self::default() };
        deserializer.deserialize_map(&mut members).and_then(|()| deserializer.end()).map_err(|error| {
            NotKms(match error.classify() {
                Category::Eof => "its body ends too early",
                Category::Syntax | Category::Io => "its body is no JSON",
                Category::Data => {
                    "its body is no object, or a member that is judged is of another type or stands twice"
                }
            })
        })?;
        Ok(members)
    }

    fn slot(&mut self, name: &str) -> Option<&mut Slot<'b>> {
        match name {
            "KeyId" => Some(&mut self.key),
            "SourceKeyId" => Some(&mut self.source_key),
            "KeyMaterialId" => Some(&mut self.key_material_id),
            "SourceKeyMaterialId" => Some(&mut self.source_key_material_id),
            "DestinationKeyMaterialId" => Some(&mut self.destination_key_material_id),
            "__type" => Some(&mut self.error_type),
            "message" => Some(&mut self.message),
            "Message" => Some(&mut self.capital_message),
            _ => None,
        }
    }
}

/// The whole body. (A derived reader would take an array for an object.)
impl<'b> Visitor<'b> for &mut Members<'b> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'b>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Text(name)) = map.next_key()? {
            if let Some(slot) = self.slot(&name) {
                slot.fill(&mut map)?;
            } else if self.metadata.name == Some(&*name) {
                once(&mut self.metadata.seen)?;
                map.next_value_seed(&mut self.metadata)?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

impl<'b> DeserializeSeed<'b> for &mut Metadata<'b> {
    type Value = ();

    fn deserialize<D: Deserializer<'b>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'b> Visitor<'b> for &mut Metadata<'b> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'b>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Text(name)) = map.next_key()? {
            if name == "Arn" {
                self.arn.fill(&mut map)?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

impl<'b> Slot<'b> {
    fn fill<A: MapAccess<'b>>(&mut self, map: &mut A) -> Result<(), A::Error> {
        once(&mut self.seen)?;
        self.text = map.next_value::<Option<Text<'b>>>()?.map(|Text(text)| text);
        Ok(())
    }
}

/// Of two members of one name a client may read either.
fn once<E: Error>(seen: &mut bool) -> Result<(), E> {
    if std::mem::replace(seen, true) { Err(E::custom("twice")) } else { Ok(()) }
}

/// A text that is copied only if something in it is escaped.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'b>(#[serde(borrow)] Cow<'b, str>);

#[cfg(test)]
mod tests;
