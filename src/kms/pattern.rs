//! The regular expressions of the model. Each is a function, with the text that a refusal quotes; AWS matches whole
//! values, also where a pattern has no anchors.

/// A regular expression of the model, as a function.
pub(super) struct Pattern {
    /// The expression as the model has it.
    pub(super) text: &'static str,
    pub(super) matches: fn(&str) -> bool,
}

pub(super) const ALIAS: Pattern =
    Pattern { text: "^[a-zA-Z0-9:/_-]+$", matches: |text| some(text, |char| is_alphanumeric_or(char, ":/_-")) };

/// `\w` is a letter, digit or underscore of ASCII.
pub(super) const PRINCIPAL: Pattern =
    Pattern { text: r"^[\w+=,.@:/-]+$", matches: |text| some(text, |char| is_alphanumeric_or(char, "_+=,.@:/-")) };

pub(super) const ASCII: Pattern = Pattern { text: r"^\p{ASCII}+$", matches: |text| some(text, |char| char.is_ascii()) };

pub(super) const MARKER: Pattern =
    Pattern { text: r"[\u0020-\u00FF]*", matches: |text| text.chars().all(|char| matches!(char, '\u{20}'..='\u{ff}')) };

pub(super) const POLICY: Pattern = Pattern {
    text: r"[\u0009\u000A\u000D\u0020-\u00FF]+",
    matches: |text| some(text, |char| matches!(char, '\t' | '\n' | '\r' | '\u{20}'..='\u{ff}')),
};

pub(super) const WORD: Pattern =
    Pattern { text: r"[\w]+", matches: |text| some(text, |char| is_alphanumeric_or(char, "_")) };

pub(super) const XKS_KEY: Pattern =
    Pattern { text: "^[a-zA-Z0-9-_.]+$", matches: |text| some(text, |char| is_alphanumeric_or(char, "-_.")) };

pub(super) const REGION: Pattern = Pattern { text: r"^([a-z]+-){2,3}\d+$", matches: is_region };

pub(super) const SMALL_HEXADECIMAL: Pattern =
    Pattern { text: "^[a-f0-9]+$", matches: |text| some(text, |char| matches!(char, 'a'..='f' | '0'..='9')) };

/// Not even an empty description matches it, though the model's length begins at 0.
pub(super) const DESCRIPTION: Pattern = Pattern {
    text: r"^[a-zA-Z0-9:/_\s.-]+$",
    // The white space of Java's expressions: ASCII's six.
    matches: |text| some(text, |char| is_alphanumeric_or(char, ":/_.- \t\n\u{b}\u{c}\r")),
};

fn some(text: &str, matches: impl Fn(char) -> bool) -> bool {
    !text.is_empty() && text.chars().all(matches)
}

fn is_alphanumeric_or(char: char, others: &str) -> bool {
    char.is_ascii_alphanumeric() || others.contains(char)
}

fn is_region(text: &str) -> bool {
    let Some((words, number)) = text.rsplit_once('-') else { return false };
    let is_word = |word: &str| some(word, |char| char.is_ascii_lowercase());
    matches!(words.split('-').count(), 2 | 3)
        && words.split('-').all(is_word)
        && some(number, |char| char.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pattern_takes_what_its_expression_takes_and_nothing_else() {
        let cases: [(Pattern, &[&str], &[&str]); 10] = [
            (ALIAS, &["alias/a", "alias/aws/s3", "a:b_-9"], &["", "a b", "é", "a.b", "a\n"]),
            (PRINCIPAL, &["arn:aws:iam::1:user/a_b+=,.@-"], &["", "*", "a b", "é", "a\n"]),
            (ASCII, &["a", " \u{7f}\0"], &["", "é", "a\u{80}"]),
            (MARKER, &["", " ", "\u{ff}"], &["\u{1f}", "\n", "\u{100}"]),
            (POLICY, &["{}", "\t\n\r ", "\u{ff}"], &["", "\u{b}", "\u{100}", "\0"]),
            (WORD, &["default", "a_9"], &["", "invalid-name", "a b", "é"]),
            (XKS_KEY, &["a-b_c.9"], &["", "a/b", "a:b"]),
            (
                REGION,
                &["us-east-1", "us-gov-west-1", "us-isob-east-12"],
                &[
                    "",
                    "us-1",
                    "us-east",
                    "us-east-",
                    "-east-1",
                    "us--1",
                    "a-b-c-d-1",
                    "US-east-1",
                    "us-east-1 ",
                    "us-e1-1",
                ],
            ),
            (SMALL_HEXADECIMAL, &["0", "0123456789abcdef"], &["", "A", "g", "a-b"]),
            (DESCRIPTION, &["a b", "A:/_.-9", "\t\n\u{b}\u{c}\r"], &["", "a,b", "a\u{a0}b", "é", "'"]),
        ];
        for (pattern, taken, refused) in cases {
            for text in taken {
                assert!((pattern.matches)(text), "{} {text:?}", pattern.text);
            }
            for text in refused {
                assert!(!(pattern.matches)(text), "{} {text:?}", pattern.text);
            }
        }
    }
}
