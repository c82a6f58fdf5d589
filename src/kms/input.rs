//! A request's facts, read once from the body: policy, audit and backend all take them from here.

use std::fmt;

use super::exception::Exception;
use super::model::{self, Field, Shape};
use super::parse::{self, Members, Node, Readers};
use super::validation::{self, Faults};
use super::writer::push_json_text;
use crate::aws::{EncryptionContext, Member, Operation};
use crate::clock::Timestamp;

/// The members of one request, each of its type and within its bounds.
///
/// Blobs and secrets are wiped when this is dropped; nobody asks for a secret.
pub struct Input {
    operation: Operation,
    members: Members,
}

impl Input {
    /// Reads `body` as a request for `operation`.
    ///
    /// # Errors
    ///
    /// `SerializationException` for what is not JSON, names a member twice or has a member of another type, whatever
    /// stands first in the body; else `ValidationException` with all broken bounds.
    pub fn parse(operation: Operation, body: &[u8]) -> Result<Self, Exception> {
        let check = |fields, members: &_, faults: &mut _| validation::check(fields, members, "", faults);
        Self::read(operation, body, Readers::Here, check)
    }

    /// Reads `body` as a request for `operation` that KMS itself will answer: it keeps its own bounds, which may be
    /// wider than those known here. A text may be of any length and no value of its enum, and what is required may be
    /// missing: whoever judges by a member must be ready for all that. What names a key, an alias or a region is held to its
    /// bounds here too, for it has to be looked up; and so are grant tokens, each of which is looked for in every error.
    ///
    /// # Errors
    ///
    /// `SerializationException` as [`Self::parse`], and for a name that differs from a known one in case alone, which
    /// KMS ignores and another might not: no request is read in two ways. `ValidationException` for a `null` in a list
    /// or map, for which no value stands here, and, of all that is broken, where a key's name or a grant token is.
    pub fn parse_to_forward(operation: Operation, body: &[u8]) -> Result<Self, Exception> {
        let others = [Member::AliasName, Member::ReplicaRegion, Member::GrantTokens].map(Some);
        let judged = |member| [operation.key(), operation.source()].iter().chain(&others).any(|of| *of == Some(member));
        Self::read(operation, body, Readers::Upstream, |fields, members, faults| {
            validation::check_if(judged, fields, members, faults);
        })
    }

    fn read(
        operation: Operation,
        body: &[u8],
        readers: Readers,
        check: impl FnOnce(&'static [Field], &Members, &mut Faults),
    ) -> Result<Self, Exception> {
        let fields = model::fields(operation);
        let mut faults = Faults::default();
        let members = parse::read(fields, body, readers, &mut faults)?;
        check(fields, &members, &mut faults);
        faults.into_result()?;
        Ok(Self { operation, members })
    }

    /// What is asked for.
    #[must_use]
    pub const fn operation(&self) -> Operation {
        self.operation
    }

    pub(super) const fn members(&self) -> &Members {
        &self.members
    }

    /// A string or enum value. An enum's value that is not known here is there as it was sent.
    #[must_use]
    pub fn string(&self, member: Member) -> Option<&str> {
        self.members.string(member)
    }

    /// An integer, within its bounds where these were checked.
    #[must_use]
    pub fn integer(&self, member: Member) -> Option<i64> {
        match self.members.get(member) {
            Some(Node::Integer(value)) => Some(*value),
            _ => None,
        }
    }

    /// A boolean.
    #[must_use]
    pub fn boolean(&self, member: Member) -> Option<bool> {
        match self.members.get(member) {
            Some(Node::Boolean(value)) => Some(*value),
            _ => None,
        }
    }

    /// A moment, to the millisecond.
    #[must_use]
    pub fn timestamp(&self, member: Member) -> Option<Timestamp> {
        match self.members.get(member) {
            Some(Node::Timestamp(moment)) => Some(*moment),
            _ => None,
        }
    }

    /// Whether `DryRun` was asked for.
    #[must_use]
    pub fn dry_run(&self) -> bool {
        self.boolean(Member::DryRun) == Some(true)
    }

    /// Whether this is a dry run that asks about the key alone, whatever ciphertext is sent with it.
    #[must_use]
    pub fn ignores_ciphertext(&self) -> bool {
        validation::ignores_ciphertext(&self.members)
    }

    /// A blob's bytes.
    #[must_use]
    pub fn blob(&self, member: Member) -> Option<&[u8]> {
        self.members.blob(member)
    }

    /// An encryption context; without pairs if it was not sent.
    #[must_use]
    pub fn context(&self, member: Member) -> &EncryptionContext {
        match self.members.get(member) {
            Some(Node::Context(context)) => context,
            _ => EncryptionContext::EMPTY,
        }
    }

    /// A list of strings; empty if it was not sent.
    #[must_use]
    pub fn strings(&self, member: Member) -> &[String] {
        match self.members.get(member) {
            Some(Node::Texts(texts)) => texts,
            _ => &[],
        }
    }

    /// The tags of `member`, in the order sent.
    pub fn tags(&self, member: Member) -> impl Iterator<Item = Tag<'_>> {
        let elements = match self.members.get(member) {
            Some(Node::Structures(elements)) => elements.as_slice(),
            _ => &[],
        };
        elements
            .iter()
            .filter_map(|tag| Some(Tag { key: tag.string(Member::TagKey)?, value: tag.string(Member::TagValue)? }))
    }

    /// The contexts that `CreateGrant`'s `Constraints` want, if they were sent: exactly this one, and at least this one.
    #[must_use]
    pub fn constraints(&self) -> [Option<&EncryptionContext>; 2] {
        let context = |member| match self.members.structure(Member::Constraints)?.get(member) {
            Some(Node::Context(context)) => Some(context),
            _ => None,
        };
        [Member::EncryptionContextEquals, Member::EncryptionContextSubset].map(context)
    }

    /// The resource for which a service may use the grant that `CreateGrant` asks for, by its `Constraints`.
    #[must_use]
    pub fn source_arn(&self) -> Option<&str> {
        self.members.structure(Member::Constraints)?.string(Member::SourceArn)
    }

    /// The enclave that the answer is for.
    #[must_use]
    pub fn recipient(&self) -> Option<Recipient<'_>> {
        self.members.structure(Member::Recipient).map(|members| Recipient {
            key_encryption_algorithm: members.string(Member::KeyEncryptionAlgorithm),
            attestation_document: members.blob(Member::AttestationDocument),
        })
    }

    /// Appends CloudTrail's `requestParameters` of this request: names in lowerCamelCase, values as sent, never a
    /// blob, a password or a grant token; `null` if nothing is left.
    pub fn request_parameters(&self, out: &mut String) {
        let start = out.len();
        write_members(model::fields(self.operation), &self.members, out);
        if out.len() == start + "{}".len() {
            out.truncate(start);
            out.push_str("null");
        }
    }
}

/// Says the operation alone: the members may be secret.
impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input").field("operation", &self.operation).finish_non_exhaustive()
    }
}

/// One tag of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag<'a> {
    /// 1 to 128 characters.
    pub key: &'a str,
    /// At most 256 characters.
    pub value: &'a str,
}

/// A Nitro enclave that an answer is encrypted for.
#[derive(Clone, Copy)]
pub struct Recipient<'a> {
    /// How to encrypt.
    pub key_encryption_algorithm: Option<&'a str>,
    /// The signed attestation document.
    pub attestation_document: Option<&'a [u8]>,
}

impl Members {
    fn structure(&self, member: Member) -> Option<&Self> {
        match self.get(member) {
            Some(Node::Structure(members)) => Some(members),
            _ => None,
        }
    }

    fn string(&self, member: Member) -> Option<&str> {
        match self.get(member) {
            Some(Node::Text(text)) => Some(text),
            Some(Node::Choice(text)) => Some(text),
            _ => None,
        }
    }

    fn blob(&self, member: Member) -> Option<&[u8]> {
        match self.get(member) {
            Some(Node::Blob(bytes)) => Some(bytes.expose()),
            _ => None,
        }
    }
}

fn write_members(fields: &'static [Field], members: &Members, out: &mut String) {
    out.push('{');
    let mut separator = "";
    for field in fields.iter().filter(|field| recorded(field)) {
        let node = members.get(field.member);
        if node.is_none() && field.default.is_none() {
            continue;
        }
        out.push_str(separator);
        separator = ",";
        // A name is a constant in which nothing has to be escaped.
        out.push('"');
        out.push_str(field.member.camel());
        out.push_str("\":");
        match (node, field.default) {
            (Some(node), _) => write_value(&field.shape, node, out),
            (None, default) => push_json_text(out, default.unwrap_or_default()),
        }
    }
    out.push('}');
}

/// Whether the audit record may show the member.
pub(super) const fn recorded(field: &Field) -> bool {
    !matches!(field.shape, Shape::Blob { .. } | Shape::Secret { .. })
        && !matches!(field.member, Member::GrantTokens | Member::GrantToken)
}

fn write_value(shape: &'static Shape, node: &Node, out: &mut String) {
    match (node, shape) {
        (Node::Text(text), _) => push_json_text(out, text),
        (Node::Choice(text), _) => push_json_text(out, text),
        (Node::Integer(value), _) => out.push_str(&value.to_string()),
        (Node::Boolean(value), _) => out.push_str(if *value { "true" } else { "false" }),
        (Node::Timestamp(moment), _) => push_json_text(out, &moment.spelled().to_string()),
        (Node::Context(context), _) => {
            write_all(out, ['{', '}'], context.iter(), |out, (key, value)| {
                push_json_text(out, key);
                out.push(':');
                push_json_text(out, value);
            });
        }
        (Node::Texts(texts), _) => write_all(out, ['[', ']'], texts, |out, text| push_json_text(out, text)),
        (Node::Structure(members), Shape::Structure(fields)) => write_members(fields, members, out),
        (Node::Structures(elements), Shape::Structures(Shape::Structure(fields))) => {
            write_all(out, ['[', ']'], elements, |out, members| write_members(fields, members, out));
        }
        (Node::Null | Node::Blob(_) | Node::Secret(_) | Node::Structure(_) | Node::Structures(_), _) => {
            out.push_str("null");
        }
    }
}

fn write_all<T>(
    out: &mut String,
    [open, close]: [char; 2],
    items: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut String, T),
) {
    out.push(open);
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(out, item);
    }
    out.push(close);
}

#[cfg(test)]
mod tests;
