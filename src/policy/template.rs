//! Texts of a policy that may hold wildcards and policy variables: `arn:aws:kms:*:111122223333:key/${aws:username}`.
//!
//! What a variable stands for is put into the compiled pattern as literal characters: a `*` in a client's value
//! is a star, never a wildcard. A text without variables is compiled when it is loaded. Source: IAM user guide,
//! "Variables and tags".

use std::borrow::Cow;
use std::slice;

use super::context::{RequestContext, Values};
use super::fault::Refusal;
use super::key::ConditionKey;
use super::truth::Truth;
use super::wildcard::{Glyph, Pattern};

/// What is special in a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Syntax {
    /// `*` and `?` are wildcards.
    pub(super) wildcards: bool,
    /// `${...}` is a variable (policy version 2012-10-17).
    pub(super) variables: bool,
}

/// One element of a text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Glyph(Glyph),
    Variable(Variable),
}

/// `${key}` or `${key, 'default'}`
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Variable {
    pub(super) key: ConditionKey,
    /// The key as the author spelt it.
    pub(super) written: Box<str>,
    default: Option<Box<str>>,
}

/// Cuts `text` into its elements.
pub(super) fn tokens(text: &str, syntax: Syntax) -> Result<Vec<Token>, Refusal> {
    let mut tokens = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(inside) = rest.strip_prefix("${").filter(|_| syntax.variables) {
            let (token, after) = expression(inside)?;
            tokens.push(token);
            rest = after;
            continue;
        }
        tokens.push(Token::Glyph(match c {
            '*' if syntax.wildcards => Glyph::AnyRun,
            '?' if syntax.wildcards => Glyph::AnyOne,
            c => Glyph::Exactly(c),
        }));
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
    }
    Ok(tokens)
}

/// Reads what follows `${`, up to and with its `}`.
fn expression(inside: &str) -> Result<(Token, &str), Refusal> {
    for (escape, c) in [("*}", '*'), ("?}", '?'), ("$}", '$')] {
        if let Some(rest) = inside.strip_prefix(escape) {
            return Ok((Token::Glyph(Glyph::Exactly(c)), rest));
        }
    }
    let unclosed = || {
        Refusal::new(format!("`${{{inside}` is no complete variable"))
            .hint("write `${key}` or `${key, 'default'}`; a literal `${` is written `${$}{`")
    };
    let end = inside.find([',', '}']).ok_or_else(unclosed)?;
    let (written, rest) = inside.split_at_checked(end).ok_or_else(unclosed)?;
    let (default, rest) = match rest.strip_prefix(',') {
        None => (None, rest),
        Some(rest) => {
            let quoted = rest.trim_start_matches(' ').strip_prefix('\'').ok_or_else(unclosed)?;
            let (default, rest) = quoted.split_once('\'').ok_or_else(unclosed)?;
            (Some(default.into()), rest.trim_start_matches(' '))
        }
    };
    let rest = rest.strip_prefix('}').ok_or_else(unclosed)?;
    let key = ConditionKey::parse(written)?;
    if key.is_multi_valued() {
        return Err(Refusal::new(format!("`{written}` can have several values and is no policy variable")));
    }
    Ok((Token::Variable(Variable { key, written: written.into(), default }), rest))
}

impl Variable {
    /// The value in this request: `Ok(None)` if there is none and no default, `Err` if it is not known.
    fn resolve<'c>(&'c self, context: &'c dyn RequestContext) -> Result<Option<Cow<'c, str>>, Unknown> {
        let default = || self.default.as_deref().map(Cow::Borrowed);
        match context.values(&self.key) {
            Values::Absent => Ok(default()),
            Values::One(value) => Ok(Some(value)),
            Values::Many(values) if values.len() > 1 => Err(Unknown),
            Values::Many(values) => Ok(values.into_iter().next().or_else(default)),
            Values::Unknown => Err(Unknown),
        }
    }
}

/// A value could not be found out.
struct Unknown;

/// A text ready to be matched.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Template {
    form: Form,
    /// Case is ignored: the form's own characters are folded already.
    caseless: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Form {
    Fixed(Pattern),
    Open(Box<[Token]>),
    /// A variable had no value: nothing matches.
    Never,
    /// A variable's value is not known.
    Unsure,
}

impl Template {
    /// A case-sensitive template.
    pub(super) fn new(tokens: Vec<Token>) -> Self {
        Self { form: Form::new(tokens), caseless: false }
    }

    /// A template that ignores case.
    pub(super) fn caseless(tokens: Vec<Token>) -> Self {
        let folded = tokens.into_iter().flat_map(|token| match token {
            Token::Glyph(Glyph::Exactly(c)) => {
                c.to_lowercase().map(|c| Token::Glyph(Glyph::Exactly(c))).collect::<Vec<_>>()
            }
            other => vec![other],
        });
        Self { form: Form::new(folded.collect()), caseless: true }
    }

    /// The one text that matches, if there is neither a wildcard nor a variable in here and case matters.
    pub(super) fn as_text(&self) -> Option<&str> {
        match &self.form {
            Form::Fixed(pattern) if !self.caseless => pattern.as_text(),
            Form::Fixed(_) | Form::Open(_) | Form::Never | Form::Unsure => None,
        }
    }

    /// Plain text that whatever matches begins with; not always all of it.
    pub(super) fn beginning(&self) -> &str {
        match &self.form {
            Form::Fixed(pattern) => pattern.beginning(),
            Form::Open(_) | Form::Never | Form::Unsure => "",
        }
    }

    /// The variables in here.
    pub(super) fn variables(&self) -> impl Iterator<Item = &Variable> {
        let tokens = match &self.form {
            Form::Fixed(_) | Form::Never | Form::Unsure => &[],
            Form::Open(tokens) => &**tokens,
        };
        tokens.iter().filter_map(|token| match token {
            Token::Glyph(_) => None,
            Token::Variable(variable) => Some(variable),
        })
    }

    /// Whether the whole of `text` matches. A variable without value makes it match nothing.
    pub(super) fn matches(&self, text: &str, context: &dyn RequestContext) -> Truth {
        Self::any_matches(slice::from_ref(self), text, context)
    }

    /// Whether the whole of `text` matches one of these, which all heed case or all ignore it: it is folded once.
    pub(super) fn any_matches(these: &[Self], text: &str, context: &dyn RequestContext) -> Truth {
        let caseless = these.first().is_some_and(|template| template.caseless);
        let text = if caseless { Cow::Owned(fold(text)) } else { Cow::Borrowed(text) };
        Truth::any(these.iter().map(|template| template.matches_as_is(&text, context)))
    }

    /// Whether there is a variable in here.
    pub(super) const fn is_open(&self) -> bool {
        matches!(self.form, Form::Open(_))
    }

    /// The same with the variables' values in this request, for matching many texts.
    pub(super) fn settled(&self, context: &dyn RequestContext) -> Self {
        let Form::Open(tokens) = &self.form else { return self.clone() };
        let form = match self.resolve(tokens, context) {
            Ok(Some(pattern)) => Form::Fixed(pattern),
            Ok(None) => Form::Never,
            Err(Unknown) => Form::Unsure,
        };
        Self { form, caseless: self.caseless }
    }

    /// Whether the whole of `text` matches, whatever the request: there is no variable in here.
    pub(super) fn certainly_matches(&self, text: &str) -> bool {
        matches!(&self.form, Form::Fixed(pattern) if !self.caseless && pattern.matches(text))
    }

    fn matches_as_is(&self, text: &str, context: &dyn RequestContext) -> Truth {
        match &self.form {
            Form::Fixed(pattern) => pattern.matches(text).into(),
            Form::Open(_) => self.settled(context).matches_as_is(text, context),
            Form::Never => Truth::No,
            Form::Unsure => Truth::Unknown,
        }
    }

    fn resolve(&self, tokens: &[Token], context: &dyn RequestContext) -> Result<Option<Pattern>, Unknown> {
        let mut glyphs = Vec::with_capacity(tokens.len() + 32);
        for token in tokens {
            match token {
                Token::Glyph(glyph) => glyphs.push(*glyph),
                Token::Variable(variable) => {
                    let Some(value) = variable.resolve(context)? else { return Ok(None) };
                    let value = if self.caseless { fold(&value).into() } else { value };
                    glyphs.extend(value.chars().map(Glyph::Exactly));
                }
            }
        }
        Ok(Some(Pattern::new(glyphs)))
    }
}

impl Form {
    fn new(tokens: Vec<Token>) -> Self {
        let fixed: Option<Vec<Glyph>> = tokens
            .iter()
            .map(|token| match token {
                Token::Glyph(glyph) => Some(*glyph),
                Token::Variable(_) => None,
            })
            .collect();
        fixed.map_or_else(|| Self::Open(tokens.into()), |glyphs| Self::Fixed(Pattern::new(glyphs)))
    }
}

/// Each character in lower case, whatever stands around it.
fn fold(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::testing::Facts;

    const BOTH: Syntax = Syntax { wildcards: true, variables: true };

    fn matches(text: &str, value: &str, facts: &Facts) -> Truth {
        Template::new(tokens(text, BOTH).unwrap()).matches(value, facts)
    }

    #[test]
    fn a_variable_stands_for_its_value_and_nothing_more() {
        let facts = Facts::new().one("aws:username", "a*b").one("aws:PrincipalTag/Team", "");
        for (text, value, expected) in [
            ("${aws:username}", "a*b", Truth::Yes),
            ("${aws:username}", "axb", Truth::No),
            ("${AWS:UserName}", "a*b", Truth::Yes),
            ("key/${aws:username}/*", "key/a*b/c", Truth::Yes),
            ("${aws:userid, 'x}y*'}-?", "x}y*-z", Truth::Yes),
            ("${aws:userid,'x'}", "x", Truth::Yes),
            ("${aws:userid, ''}", "", Truth::Yes),
            ("${aws:userid, 'x*'}", "xy", Truth::No),
            ("${aws:userid}", "", Truth::No),
            ("*${aws:userid}*", "anything", Truth::No),
            ("${aws:PrincipalTag/team, 'd'}", "", Truth::Yes),
            ("${*}${?}${$}", "*?$", Truth::Yes),
            ("${*}", "x", Truth::No),
            ("$x{y}$", "$x{y}$", Truth::Yes),
        ] {
            assert_eq!(matches(text, value, &facts), expected, "{text} {value}");
        }
        assert_eq!(matches("${aws:username}", "x", &Facts::new().unknown("aws:username")), Truth::Unknown);
        assert_eq!(matches("${aws:username}", "x", &Facts::new().many("aws:username", &["x", "y"])), Truth::Unknown);
    }

    #[test]
    fn in_an_old_policy_a_variable_is_literal_text() {
        let old = Syntax { wildcards: true, variables: false };
        let template = Template::new(tokens("${aws:username}", old).unwrap());
        assert_eq!(template.as_text(), Some("${aws:username}"));
    }

    #[test]
    fn case_is_ignored_in_text_and_value() {
        let syntax = Syntax { wildcards: false, variables: true };
        let template = Template::caseless(tokens("Straße-${aws:username}*", syntax).unwrap());
        assert_eq!(template.matches("sTRAßE-BOB*", &Facts::new().one("aws:username", "Bob")), Truth::Yes);
        assert_eq!(template.matches("straße-bobx", &Facts::new().one("aws:username", "Bob")), Truth::No);
    }

    #[test]
    fn what_is_no_complete_variable_is_refused() {
        for text in [
            "${",
            "${}",
            "${aws:username",
            "${username}",
            "${aws:userid,}",
            "${aws:userid,'x}",
            "${aws:userid,x}",
            "${aws:userid 'x'}x${",
            "${aws:TagKeys}",
            "${aws:userid,'a'b}",
        ] {
            assert!(tokens(text, BOTH).is_err(), "{text}");
        }
    }
}
