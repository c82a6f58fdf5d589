//! ARNs in policies: six components, cut at the first five colons, each a template of its own.
//!
//! A wildcard stays within its component, so `arn:aws:kms:*` does not reach into the account; in the last
//! component `*` crosses `/` and `:`.

use std::sync::Arc;

use super::context::RequestContext;
use super::fault::Refusal;
use super::template::{Syntax, Template, Token, Variable, tokens};
use super::truth::Truth;
use super::wildcard::Glyph;
use crate::aws::Arn;

/// How many components an ARN has.
const COMPONENTS: usize = 6;

/// An ARN of a request, cut into its components.
pub(super) type Components<'a> = [&'a str; COMPONENTS];

/// Cuts an ARN of a request; `None` if it is none.
pub(super) fn components(text: &str) -> Option<Components<'_>> {
    Arn::split(text)
}

/// An ARN with wildcards and variables.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ArnPattern {
    components: [Template; COMPONENTS],
    /// How many components it begins with that are plain text.
    plain: usize,
}

impl ArnPattern {
    /// Reads the value of an `Arn...` condition.
    pub(super) fn parse(text: &str, variables: bool) -> Result<Self, Refusal> {
        Self::from_tokens(text, tokens(text, Syntax { wildcards: true, variables })?)
    }

    fn from_tokens(text: &str, tokens: Vec<Token>) -> Result<Self, Refusal> {
        let mut parts = vec![Vec::new()];
        for token in tokens {
            if matches!(token, Token::Glyph(Glyph::Exactly(':'))) && parts.len() < COMPONENTS {
                parts.push(Vec::new());
            } else if let Some(part) = parts.last_mut() {
                part.push(token);
            }
        }
        let parts: Vec<Template> = parts.into_iter().map(Template::new).collect();
        let arn: [Template; COMPONENTS] = parts.try_into().map_err(|_| {
            Refusal::new(format!("`{text}` is no ARN"))
                .hint("an ARN has six parts, arn:partition:service:region:account:resource; `*` may stand for a part")
        })?;
        let plain = arn.iter().take_while(|component| component.as_text().is_some()).count();
        match arn.first().and_then(Template::as_text) {
            Some("arn") => Ok(Self { components: arn, plain }),
            _ => Err(Refusal::new(format!("`{text}` is no ARN")).hint("an ARN begins with `arn:`")),
        }
    }

    /// Whether every component of `arn` matches its template.
    pub(super) fn matches(&self, arn: &Components<'_>, context: &dyn RequestContext) -> Truth {
        Truth::all(self.components.iter().zip(arn).map(|(template, part)| template.matches(part, context)))
    }

    /// Whether there is a variable in here.
    pub(super) fn is_open(&self) -> bool {
        self.components.iter().any(Template::is_open)
    }

    /// The same with the variables' values in this request, for matching many ARNs.
    pub(super) fn settled(&self, context: &dyn RequestContext) -> Self {
        Self { components: self.components.each_ref().map(|part| part.settled(context)), plain: self.plain }
    }

    /// Whether `arn` matches whatever the request.
    fn certainly_matches(&self, arn: &Components<'_>) -> bool {
        self.components.iter().zip(arn).all(|(template, part)| template.certainly_matches(part))
    }

    /// As [`Self::matches`], for an ARN that is known to begin with the plain text that this begins with: components
    /// that are wholly in there are the same.
    pub(super) fn matches_behind_prefix(&self, arn: &Components<'_>, context: &dyn RequestContext) -> Truth {
        let rest = self.components.iter().zip(arn).skip(self.plain);
        Truth::all(rest.map(|(template, part)| template.matches(part, context)))
    }

    /// The plain text that the resource's name begins with, where a wildcard stands in a part before it.
    pub(super) fn name_behind_wildcard(&self) -> Option<&str> {
        let [.., name] = &self.components;
        Some(name.beginning()).filter(|name| self.plain < COMPONENTS - 1 && !name.is_empty())
    }

    /// The variables in here.
    pub(super) fn variables(&self) -> impl Iterator<Item = &Variable> {
        self.components.iter().flat_map(Template::variables)
    }

    /// The partition, service, region, account and resource, where they are plain text.
    pub(super) fn texts(&self) -> [Option<&str>; COMPONENTS] {
        self.components.each_ref().map(Template::as_text)
    }
}

/// One element of `Resource` or `NotResource` that is not the lone `*`.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum ResourcePattern {
    /// An ARN without wildcard and variable.
    Exact(Arc<str>),
    /// Any other; `prefix` is the plain text it begins with.
    Pattern { prefix: Arc<str>, arn: Arc<ArnPattern> },
}

impl ResourcePattern {
    /// Reads an element of `Resource`.
    pub(super) fn parse(text: &str, variables: bool) -> Result<Self, Refusal> {
        let tokens = tokens(text, Syntax { wildcards: true, variables })?;
        let prefix: String = tokens
            .iter()
            .map_while(|token| match token {
                Token::Glyph(Glyph::Exactly(c)) => Some(*c),
                _ => None,
            })
            .collect();
        let exact = tokens.iter().all(|token| matches!(token, Token::Glyph(Glyph::Exactly(_))));
        let arn = ArnPattern::from_tokens(text, tokens)?;
        let [_, partition, service, _, _, resource] = arn.texts();
        if partition.is_none_or(str::is_empty) || service.is_none_or(str::is_empty) {
            let refusal = Refusal::new(format!("`{text}` leaves the partition or the service open"));
            return Err(refusal.hint("write both out, as `arn:aws:kms:`; a wildcard may stand in the later parts"));
        }
        if arn.components.iter().take(COMPONENTS - 1).any(|part| part.variables().next().is_some()) {
            let refusal = Refusal::new(format!("`{text}` has a variable before the fifth colon"));
            return Err(refusal.hint("a variable may stand only in the last part, the resource's name"));
        }
        if resource == Some("") {
            return Err(Refusal::new(format!("`{text}` names no resource")));
        }
        Ok(if exact { Self::Exact(prefix.into()) } else { Self::Pattern { prefix: prefix.into(), arn: arn.into() } })
    }

    /// Whether `resource` matches; `arn` is the same cut into components, if it is an ARN.
    pub(super) fn matches(&self, resource: &str, arn: Option<&Components<'_>>, context: &dyn RequestContext) -> Truth {
        match self {
            Self::Exact(exact) => (**exact == *resource).into(),
            Self::Pattern { arn: pattern, .. } => arn.map_or(Truth::No, |arn| pattern.matches(arn, context)),
        }
    }

    /// Whether all that this matches is matched by `other`, as far as that is simple to see.
    pub(super) fn within(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(arn), Self::Pattern { arn: pattern, .. }) => {
                components(arn).is_some_and(|arn| pattern.certainly_matches(&arn))
            }
            (this, other) => this == other,
        }
    }

    /// The variables in here.
    pub(super) fn variables(&self) -> impl Iterator<Item = &Variable> {
        let pattern = match self {
            Self::Exact(_) => None,
            Self::Pattern { arn, .. } => Some(arn),
        };
        pattern.into_iter().flat_map(|arn| arn.variables())
    }

    /// Whether this can only be an alias of KMS.
    pub(super) fn is_alias(&self) -> bool {
        let (Self::Exact(text) | Self::Pattern { prefix: text, .. }) = self;
        components(text)
            .is_some_and(|[_, _, service, _, _, resource]| service == "kms" && resource.starts_with("alias/"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::testing::Facts;

    const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

    #[test]
    fn a_resource_matches_component_by_component() {
        for (pattern, expected) in [
            (KEY, true),
            ("arn:aws:kms:us-east-1:111122223333:key/*", true),
            ("arn:aws:kms:*:111122223333:key/*", true),
            ("arn:aws:kms:*:*:*", true),
            ("arn:aws:kms:us-*-?:1111*:key/1234abcd-????-*", true),
            ("arn:aws:kms:us-east-1:111122223333:*", true),
            ("arn:aws:kms:us-east-1:111122223333:KEY/1234abcd-12ab-34cd-56ef-1234567890ab", false),
            ("arn:aws:kms:us-east-1:111122223333:alias/*", false),
            ("arn:aws:kms:us-east-1:*key/*:x", false),
            ("arn:aws:kms:us-east-1::key/*", false),
            ("arn:aws:kms:us-west-2:111122223333:key/*", false),
            ("arn:aws-cn:kms:*:*:*", false),
            ("arn:aws:kms:*:key/*:*", false),
        ] {
            let parsed = ResourcePattern::parse(pattern, true).unwrap();
            let matched = parsed.matches(KEY, components(KEY).as_ref(), &Facts::new());
            assert_eq!(matched, expected.into(), "{pattern}");
        }
    }

    #[test]
    fn the_last_component_keeps_its_colons() {
        let (pattern, text) =
            ("arn:aws:kms:us-east-1:111122223333:alias/*z", "arn:aws:kms:us-east-1:111122223333:alias/a:b/z");
        let parsed = ResourcePattern::parse(pattern, true).unwrap();
        assert_eq!(parsed.matches(text, components(text).as_ref(), &Facts::new()), Truth::Yes);
    }

    #[test]
    fn no_pattern_but_the_lone_star_matches_no_resource_at_all() {
        let parsed = ResourcePattern::parse("arn:aws:kms:*:*:*", true).unwrap();
        assert_eq!(parsed.matches("*", components("*").as_ref(), &Facts::new()), Truth::No);
    }

    #[test]
    fn what_is_no_arn_is_refused() {
        for text in [
            "",
            "**",
            "key/*",
            "1234abcd-12ab-34cd-56ef-1234567890ab",
            "arn:aws:kms:*",
            "arn:aws:kms:us-east-1:111122223333",
            "arn:aws:kms:us-east-1:111122223333:",
            "arn:*:kms:us-east-1:111122223333:key/*",
            "arn:aws:*:us-east-1:111122223333:key/*",
            "arn:aws::us-east-1:111122223333:key/*",
            "ARN:aws:kms:us-east-1:111122223333:key/*",
            "arn:aws:kms:${aws:RequestedRegion}:111122223333:key/*",
            "arn:aws:kms:us-east-1:${aws:PrincipalAccount}:key/*",
        ] {
            assert!(ResourcePattern::parse(text, true).is_err(), "{text}");
        }
    }
}
