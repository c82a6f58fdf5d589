//! The model's bounds, all of them at once, in the words of AWS's validation.
//!
//! The value of a blob is never repeated: it may be plaintext. Neither is that of a secret.

use std::fmt::{self, Display, Write as _};
use std::ops::RangeInclusive;

use super::exception::Exception;
use super::model::{ENCRYPTION_CONTEXT_BYTES, Field, Need, Shape};
use super::parse::{Members, Node};
use super::pattern::Pattern;
use crate::aws::Member;

/// AWS's front end stops collecting there (not verified for KMS).
const MOST_FAULTS: usize = 10;

/// The modifier with which a dry run needs no ciphertext.
const IGNORE_CIPHERTEXT: &str = "IGNORE_CIPHERTEXT";

/// What is wrong with a request, item by item.
#[derive(Default)]
pub(super) struct Faults {
    text: String,
    /// The same without values that may not be recorded, once there is one.
    recorded: Option<String>,
    count: usize,
}

impl Faults {
    /// Something that must be there is not, or is `null`.
    pub(super) fn null(&mut self, path: fmt::Arguments<'_>) {
        self.add(format_args!("Value null at '{path}' failed to satisfy constraint: Member must not be null"));
    }

    /// A `ValidationException` of all faults, if there are any.
    pub(super) fn into_result(self) -> Result<(), Exception> {
        let all = |text: &str| match self.count {
            1 => format!("1 validation error detected: {text}"),
            more => format!("{more} validation errors detected: {text}"),
        };
        if self.count == 0 {
            return Ok(());
        }
        let exception = Exception::validation(all(&self.text));
        Err(match &self.recorded {
            Some(recorded) => exception.recorded_as(all(recorded)),
            None => exception,
        })
    }

    /// As [`Self::broken`], of a value that the client is told and the record is not.
    fn broken_unrecorded(&mut self, value: &dyn Display, path: &dyn Display, constraint: fmt::Arguments<'_>) {
        if self.count == MOST_FAULTS {
            return;
        }
        let mut recorded = self.recorded.take().unwrap_or_else(|| self.text.clone());
        let separator = if self.count > 0 { "; " } else { "" };
        let _ = write!(recorded, "{separator}Value at '{path}' failed to satisfy constraint: Member must {constraint}");
        self.broken(Some(value), path, constraint);
        self.recorded = Some(recorded);
    }

    fn broken(&mut self, value: Option<&dyn Display>, path: &dyn Display, constraint: fmt::Arguments<'_>) {
        match value {
            Some(value) => self.add(format_args!(
                "Value '{value}' at '{path}' failed to satisfy constraint: Member must {constraint}"
            )),
            None => self.add(format_args!("Value at '{path}' failed to satisfy constraint: Member must {constraint}")),
        }
    }

    fn add(&mut self, item: fmt::Arguments<'_>) {
        if self.count == MOST_FAULTS {
            return;
        }
        if self.count > 0 {
            self.text.push_str("; ");
        }
        self.count += 1;
        // A String takes whatever is written.
        let _ = self.text.write_fmt(item);
        if let Some(recorded) = &mut self.recorded {
            let separator = if self.count > 1 { "; " } else { "" };
            let _ = write!(recorded, "{separator}{item}");
        }
    }
}

/// Checks the members of a request or structure, whose own path is `prefix`, against the model.
pub(super) fn check(fields: &'static [Field], members: &Members, prefix: &str, faults: &mut Faults) {
    for field in fields {
        check_field(field, members, prefix, faults);
    }
}

/// As [`check`], if one of the members that are `judged` breaks a bound: then KMS would refuse the request whatever else
/// stands in it.
pub(super) fn check_if(
    judged: impl Fn(Member) -> bool,
    fields: &'static [Field],
    members: &Members,
    faults: &mut Faults,
) {
    let mut of_judged = Faults::default();
    for field in fields.iter().filter(|field| judged(field.member)) {
        check_field(field, members, "", &mut of_judged);
    }
    if of_judged.into_result().is_err() {
        check(fields, members, "", faults);
    }
}

fn check_field(field: &'static Field, members: &Members, prefix: &str, faults: &mut Faults) {
    match members.get(field.member) {
        Some(node) => check_value(field, node, prefix, faults),
        None if needed(field.need, members) => faults.null(format_args!("{prefix}{}", field.member.camel())),
        None => {}
    }
}

fn needed(need: Need, members: &Members) -> bool {
    match need {
        Need::Optional => false,
        Need::Required => true,
        Need::WithCiphertext => !ignores_ciphertext(members),
        Need::WithoutCiphertext => ignores_ciphertext(members),
    }
}

/// Whether this is a dry run that asks about the key alone. Outside a dry run the modifier means nothing.
pub(super) fn ignores_ciphertext(members: &Members) -> bool {
    let dry = matches!(members.get(Member::DryRun), Some(Node::Boolean(true)));
    let modifiers = members.get(Member::DryRunModifiers);
    dry && matches!(modifiers, Some(Node::Texts(values)) if values.iter().any(|value| value == IGNORE_CIPHERTEXT))
}

fn check_value(field: &'static Field, node: &Node, prefix: &str, faults: &mut Faults) {
    let path = Path { prefix, member: field.member };
    match (&field.shape, node) {
        (Shape::Text { .. } | Shape::Choice(_), Node::Text(text)) => {
            for constraint in broken_by(&field.shape, text) {
                match field.member {
                    // What is too long for an id may be a token that was sent in its place.
                    Member::GrantToken | Member::GrantId => {
                        faults.broken_unrecorded(text, &path, format_args!("{constraint}"));
                    }
                    _ => faults.broken(Some(text), &path, format_args!("{constraint}")),
                }
            }
        }
        (Shape::Secret { min, max, pattern }, Node::Secret(text)) => {
            for constraint in text_faults(text.expose(), *min, *max, *pattern) {
                faults.broken(None, &path, format_args!("{constraint}"));
            }
        }
        (Shape::Integer { min, max }, Node::Integer(value)) => {
            if value < min {
                faults.broken(Some(value), &path, format_args!("have value greater than or equal to {min}"));
            }
            if value > max {
                faults.broken(Some(value), &path, format_args!("have value less than or equal to {max}"));
            }
        }
        (Shape::Blob { min, max }, Node::Blob(bytes)) => {
            for constraint in length(bytes.expose().len(), *min, *max) {
                faults.broken(None, &path, format_args!("{constraint}"));
            }
        }
        (Shape::Context, Node::Context(context)) => {
            for constraint in length(context.text_bytes(), 0, ENCRYPTION_CONTEXT_BYTES) {
                faults.broken(None, &path, format_args!("{constraint}"));
            }
        }
        (Shape::Texts { least, most, element }, Node::Texts(texts)) => {
            check_texts(&path, *least..=*most, element, texts, faults);
        }
        (Shape::Structure(fields), Node::Structure(members)) => {
            check(fields, members, &format!("{path}."), faults);
        }
        (Shape::Structures(Shape::Structure(fields)), Node::Structures(elements)) => {
            for (index, members) in elements.iter().enumerate() {
                check(fields, members, &format!("{path}.{}.member.", index + 1), faults);
            }
        }
        // The reader makes no other pairs; a chosen value, a boolean and a timestamp have no bounds.
        _ => {}
    }
}

/// The list's own length, then all that its elements break, as one item with the whole list.
fn check_texts(
    path: &Path<'_>,
    lengths: RangeInclusive<usize>,
    element: &'static Shape,
    texts: &[String],
    faults: &mut Faults,
) {
    let list = List(texts);
    let mut broken = |constraint: fmt::Arguments<'_>| match path.member {
        Member::GrantTokens => faults.broken_unrecorded(&list, path, constraint),
        _ => faults.broken(Some(&list), path, constraint),
    };
    for constraint in length(texts.len(), *lengths.start(), *lengths.end()) {
        broken(format_args!("{constraint}"));
    }
    if let Some(constraint) = texts.iter().find_map(|text| broken_by(element, text).into_iter().next()) {
        // AWS names all the element's bounds, not the one that is broken.
        let all = match element {
            Shape::Text { min, max, .. } => format!(
                "Member must have length less than or equal to {max}, \
                 Member must have length greater than or equal to {min}"
            ),
            _ => format!("Member must {constraint}"),
        };
        broken(format_args!("satisfy constraint: [{all}]"));
    }
}

/// The constraints of a shape for texts that `text` breaks.
fn broken_by(shape: &'static Shape, text: &str) -> Vec<String> {
    match shape {
        Shape::Text { min, max, pattern } => text_faults(text, *min, *max, *pattern),
        Shape::Choice(values) if !values.contains(&text) => {
            vec![format!("satisfy enum value set: [{}]", values.join(", "))]
        }
        _ => Vec::new(),
    }
}

fn text_faults(text: &str, min: usize, max: usize, pattern: Option<&'static Pattern>) -> Vec<String> {
    let mut broken = length(text.chars().count(), min, max);
    if let Some(pattern) = pattern.filter(|pattern| !(pattern.matches)(text)) {
        broken.push(format!("satisfy regular expression pattern: {}", pattern.text));
    }
    broken
}

fn length(length: usize, min: usize, max: usize) -> Vec<String> {
    let mut broken = Vec::new();
    if length < min {
        broken.push(format!("have length greater than or equal to {min}"));
    }
    if length > max {
        broken.push(format!("have length less than or equal to {max}"));
    }
    broken
}

/// Where a member stands: `tags.1.member.tagKey`.
struct Path<'a> {
    prefix: &'a str,
    member: Member,
}

impl Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.prefix, self.member.camel())
    }
}

/// A list as AWS prints it: `[a, b]`.
struct List<'a>(&'a [String]);

impl Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('[')?;
        for (index, text) in self.0.iter().enumerate() {
            let separator = if index > 0 { ", " } else { "" };
            write!(f, "{separator}{text}")?;
        }
        f.write_char(']')
    }
}
