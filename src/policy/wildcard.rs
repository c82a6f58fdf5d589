//! Patterns with `*` (any run of characters, also none) and `?` (exactly one character).
//!
//! A pattern is cut at its stars into segments when it is made. A match strips the first and the last segment
//! from the text's ends and looks for those between leftmost-first, each once, never going back: the leftmost
//! place leaves the most text for the rest. Searching is linear in the text (two-way search for plain text,
//! bit-parallel for up to 128 characters with `?`), so a text that a client chose cannot make a match slow.

/// One element of a pattern or of a template, before it is put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Glyph {
    /// This character.
    Exactly(char),
    /// `?`
    AnyOne,
    /// `*`
    AnyRun,
}

/// A compiled pattern. Case-sensitive: who wants otherwise folds both sides first.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern {
    head: Segment,
    middle: Box<[Segment]>,
    /// What follows the last `*`; `None` if there is no `*` at all.
    tail: Option<Segment>,
}

impl Pattern {
    pub(super) fn new(glyphs: impl IntoIterator<Item = Glyph>) -> Self {
        let mut segments = vec![Vec::new()];
        for glyph in glyphs {
            let glyph = match glyph {
                Glyph::AnyRun => {
                    segments.push(Vec::new());
                    continue;
                }
                Glyph::AnyOne => None,
                Glyph::Exactly(c) => Some(c),
            };
            if let Some(segment) = segments.last_mut() {
                segment.push(glyph);
            }
        }
        let mut segments = segments.into_iter().map(Segment::new);
        let head = segments.next().unwrap_or_else(|| Segment::new(Vec::new()));
        let tail = segments.next_back();
        Self { head, middle: segments.filter(|segment| !segment.is_empty()).collect(), tail }
    }

    /// A pattern written with plain `*` and `?`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self::new(text.chars().map(|c| match c {
            '*' => Glyph::AnyRun,
            '?' => Glyph::AnyOne,
            c => Glyph::Exactly(c),
        }))
    }

    /// Whether the whole of `text` matches.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let Some(rest) = self.head.strip_prefix(text) else { return false };
        let Some(tail) = &self.tail else { return rest.is_empty() };
        let Some(rest) = tail.strip_suffix(rest) else { return false };
        self.middle.iter().try_fold(rest, |rest, segment| segment.after_first(rest)).is_some()
    }

    /// The one text that matches, if there is no wildcard in here.
    pub(super) fn as_text(&self) -> Option<&str> {
        match (&self.head, &self.tail) {
            (Segment::Text(text), None) => Some(text),
            _ => None,
        }
    }

    /// Plain text that whatever matches begins with: nothing where a `?` stands before the first `*`.
    pub(super) fn beginning(&self) -> &str {
        match &self.head {
            Segment::Text(text) => text,
            Segment::Mixed(_) => "",
        }
    }
}

/// What stands between two stars.
#[derive(Clone, Debug, PartialEq)]
enum Segment {
    Text(Box<str>),
    /// With at least one `?`, written `None`.
    Mixed(Mixed),
}

#[derive(Clone, Debug, PartialEq)]
struct Mixed {
    glyphs: Box<[Option<char>]>,
    /// For each character in here, sorted: the set of its positions, `?` not counted.
    places: Box<[(char, u128)]>,
    /// The positions of `?`.
    any: u128,
}

impl Segment {
    fn new(glyphs: Vec<Option<char>>) -> Self {
        match glyphs.iter().copied().collect::<Option<String>>() {
            Some(text) => Self::Text(text.into()),
            None => Self::Mixed(Mixed::new(glyphs)),
        }
    }

    fn is_empty(&self) -> bool {
        matches!(self, Self::Text(text) if text.is_empty())
    }

    /// Nothing is compared with an empty segment, as in the pattern `key/*`: glibc's comparison of no bytes at all costs
    /// 60 ns where an empty text has no memory of its own.
    fn strip_prefix<'t>(&self, text: &'t str) -> Option<&'t str> {
        match self {
            _ if self.is_empty() => Some(text),
            Self::Text(prefix) => text.strip_prefix(&**prefix),
            Self::Mixed(mixed) => {
                let mut rest = text.chars();
                mixed.glyphs.iter().all(|glyph| accepts(*glyph, rest.next())).then_some(rest.as_str())
            }
        }
    }

    fn strip_suffix<'t>(&self, text: &'t str) -> Option<&'t str> {
        match self {
            _ if self.is_empty() => Some(text),
            Self::Text(suffix) => text.strip_suffix(&**suffix),
            Self::Mixed(mixed) => {
                let mut rest = text.chars();
                mixed.glyphs.iter().rev().all(|glyph| accepts(*glyph, rest.next_back())).then_some(rest.as_str())
            }
        }
    }

    /// What follows the leftmost place where this stands in `text`.
    fn after_first<'t>(&self, text: &'t str) -> Option<&'t str> {
        match self {
            Self::Text(part) => text.split_once(&**part).map(|(_, rest)| rest),
            Self::Mixed(mixed) if mixed.glyphs.len() <= 128 => mixed.after_first(text),
            // So long a segment with `?` is hardly ever written; it is tried at each place.
            Self::Mixed(_) => {
                let mut rest = text.chars();
                loop {
                    if let Some(found) = self.strip_prefix(rest.as_str()) {
                        return Some(found);
                    }
                    rest.next()?;
                }
            }
        }
    }
}

impl Mixed {
    fn new(glyphs: Vec<Option<char>>) -> Self {
        let at = |place: usize| u32::try_from(place).ok().and_then(|place| 1_u128.checked_shl(place)).unwrap_or(0);
        let mut places: Vec<(char, u128)> = Vec::new();
        let mut any = 0;
        for (place, glyph) in glyphs.iter().enumerate() {
            match glyph {
                None => any |= at(place),
                Some(c) => match places.binary_search_by_key(c, |(c, _)| *c) {
                    Ok(known) => places.iter_mut().skip(known).take(1).for_each(|(_, set)| *set |= at(place)),
                    Err(gap) => places.insert(gap, (*c, at(place))),
                },
            }
        }
        Self { glyphs: glyphs.into(), places: places.into(), any }
    }

    /// Shift-and: bit `i` of `state` says that the first `i + 1` glyphs match what was just read.
    fn after_first<'t>(&self, text: &'t str) -> Option<&'t str> {
        let complete = 1_u128 << (self.glyphs.len() - 1).min(127);
        let mut rest = text.chars();
        let mut state = 0_u128;
        loop {
            let c = rest.next()?;
            let found = self.places.binary_search_by_key(&c, |(c, _)| *c).ok().and_then(|at| self.places.get(at));
            state = ((state << 1) | 1) & (self.any | found.map_or(0, |(_, set)| *set));
            if state & complete != 0 {
                return Some(rest.as_str());
            }
        }
    }
}

fn accepts(glyph: Option<char>, c: Option<char>) -> bool {
    c.is_some() && (glyph.is_none() || glyph == c)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        Pattern::parse(pattern).matches(text)
    }

    #[test]
    fn wildcards_match_as_documented() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "a/b:c\nd", true),
            ("**", "", true),
            ("?", "", false),
            ("?", "a", true),
            ("?", "ab", false),
            ("?", "é", true),
            ("??", "é", false),
            ("?*", "", false),
            ("*?", "a", true),
            ("a*", "a", true),
            ("a*", "ba", false),
            ("*a", "ba", true),
            ("*a", "ab", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a*b*c", "a-b-c", true),
            ("a*b*c", "acb", false),
            ("*ab*ab*", "ab", false),
            ("*ab*ab*", "abab", true),
            ("*aab*", "aaab", true),
            ("*a?b*", "aaxb", true),
            ("*a?c*", "abac-abc", true),
            ("*a?c*a?c", "abcc", false),
            ("*?b", "ab", true),
            ("a?*b", "ab", false),
            ("key/*", "key/", true),
            ("KEY/*", "key/1", false),
            ("x*y", "x*y", true),
            ("\\*", "a", false),
            ("*key*data*", "generatedatakeywithout", false),
            ("*data*key*", "generatedatakeywithout", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_hostile_text_costs_linear_time() {
        let text = "a".repeat(200_000);
        let stars = "*a".repeat(500) + "*b";
        assert!(!matches(&stars, &text));
        assert!(!matches(&("*".to_owned() + &"a".repeat(100) + "b*"), &text));
        assert!(!matches(&("*".to_owned() + &"a?".repeat(60) + "b*"), &text));
    }

    #[test]
    fn a_long_segment_with_a_question_mark_is_found() {
        let part = "ab".repeat(100);
        assert!(matches(&format!("*?{part}*"), &format!("xx{part}yy")));
        assert!(!matches(&format!("*?{part}*"), &format!("{part}yy")));
    }

    /// The definition, by recursion.
    fn naive(pattern: &[char], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some(('*', rest)), None) => naive(rest, text),
            (Some(('*', rest)), Some((_, behind))) => naive(rest, text) || naive(pattern, behind),
            (Some((p, rest)), Some((t, behind))) => (*p == '?' || p == t) && naive(rest, behind),
            _ => false,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn the_matcher_agrees_with_the_definition(pattern in "[ab*?é]{0,8}", text in "[abé]{0,10}") {
            let (p, t): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
            prop_assert_eq!(matches(&pattern, &text), naive(&p, &t));
        }
    }
}
