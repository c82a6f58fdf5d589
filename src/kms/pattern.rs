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

pub(super) const SERVICE_PRINCIPAL: Pattern = Pattern {
    text: r"^([A-Za-z0-9\-]+)\.([A-Za-z0-9\-]+)(\.[A-Za-z0-9\-]+)+$",
    matches: |text| text.split('.').count() >= 3 && text.split('.').all(|part| all_alphanumeric_or(part, "-")),
};

pub(super) const SOURCE_ARN: Pattern =
    Pattern { text: "^arn:aws[a-z0-9-]*:[a-z0-9-]+:[a-z0-9-]*:[0-9]{12}:.+$", matches: is_source_arn };

pub(super) const ACCOUNT: Pattern = Pattern { text: "[0-9]{12}", matches: |text| text.len() == 12 && is_number(text) };

pub(super) const CLUSTER: Pattern = Pattern {
    text: "cluster-[2-7a-zA-Z]{11,16}",
    matches: |text| {
        text.strip_prefix("cluster-").is_some_and(|id| {
            (11..=16).contains(&id.len()) && some(id, |char| matches!(char, '2'..='7' | 'a'..='z' | 'A'..='Z'))
        })
    },
};

pub(super) const XKS_ENDPOINT: Pattern = Pattern {
    text: "^https://[a-zA-Z0-9.-]+$",
    matches: |text| text.strip_prefix("https://").is_some_and(|host| all_alphanumeric_or(host, ".-")),
};

pub(super) const XKS_PATH: Pattern =
    Pattern { text: r"^(/[a-zA-Z0-9\/_-]+/kms/xks/v\d{1,2})$|^(/kms/xks/v\d{1,2})$", matches: is_xks_path };

pub(super) const VPC_ENDPOINT_SERVICE: Pattern = Pattern {
    text: r"^(com|eu)\.amazonaws\.vpce\.([a-z]+-){2,3}\d+\.vpce-svc-[0-9a-z]+$",
    matches: is_vpc_endpoint_service,
};

pub(super) const XKS_ACCESS_KEY: Pattern =
    Pattern { text: "^[A-Z2-7]+$", matches: |text| some(text, |char| matches!(char, 'A'..='Z' | '2'..='7')) };

pub(super) const XKS_SECRET_ACCESS_KEY: Pattern =
    Pattern { text: r"^[a-zA-Z0-9\/+=]+$", matches: |text| all_alphanumeric_or(text, "/+=") };

fn all_alphanumeric_or(text: &str, others: &str) -> bool {
    some(text, |char| is_alphanumeric_or(char, others))
}

fn is_number(text: &str) -> bool {
    some(text, |char| char.is_ascii_digit())
}

fn some(text: &str, matches: impl Fn(char) -> bool) -> bool {
    !text.is_empty() && text.chars().all(matches)
}

fn is_alphanumeric_or(char: char, others: &str) -> bool {
    char.is_ascii_alphanumeric() || others.contains(char)
}

fn is_region(text: &str) -> bool {
    let Some((words, number)) = text.rsplit_once('-') else { return false };
    let is_word = |word: &str| some(word, |char| char.is_ascii_lowercase());
    matches!(words.split('-').count(), 2 | 3) && words.split('-').all(is_word) && is_number(number)
}

fn is_source_arn(text: &str) -> bool {
    let small = |char: char| matches!(char, 'a'..='z' | '0'..='9' | '-');
    let mut parts = text.splitn(6, ':');
    let mut next = || parts.next().unwrap_or_default();
    next() == "arn"
        && next().strip_prefix("aws").is_some_and(|partition| partition.chars().all(small))
        && some(next(), small)
        && next().chars().all(small)
        && (ACCOUNT.matches)(next())
        // What a dot does not match in Java's expressions.
        && some(next(), |char| !matches!(char, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}'))
}

fn is_xks_path(text: &str) -> bool {
    let Some((head, version)) = text.rsplit_once("/kms/xks/v") else { return false };
    let is_head = head.strip_prefix('/').is_some_and(|path| all_alphanumeric_or(path, "/_-"));
    (head.is_empty() || is_head) && version.len() <= 2 && is_number(version)
}

fn is_vpc_endpoint_service(text: &str) -> bool {
    let mut parts = text.split('.');
    let mut next = || parts.next().unwrap_or_default();
    matches!(next(), "com" | "eu")
        && next() == "amazonaws"
        && next() == "vpce"
        && is_region(next())
        && next().strip_prefix("vpce-svc-").is_some_and(|id| some(id, |char| matches!(char, '0'..='9' | 'a'..='z')))
        && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pattern_takes_what_its_expression_takes_and_nothing_else() {
        let cases: [(Pattern, &[&str], &[&str]); 19] = [
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
            (
                SERVICE_PRINCIPAL,
                &["a.b.c", "s3.amazonaws.com", "a-1.b.c.d"],
                &["", "a", "a.b", "a..c", "a.b.", "a.b.c_"],
            ),
            (
                SOURCE_ARN,
                &["arn:aws:s3::111122223333:b", "arn:aws-cn:sns:cn-north-1:111122223333:a:b"],
                &[
                    "",
                    "arn:aws:s3:::bucket",
                    "arn:aws:s3::11112222333:b",
                    "arn:aws:s3::111122223333:",
                    "arn:aws::x:111122223333:b",
                    "ARN:aws:s3::111122223333:b",
                    "arn:aws:s3::111122223333:b\n",
                ],
            ),
            (ACCOUNT, &["111122223333"], &["", "11112222333", "1111222233334", "11112222333a"]),
            (
                CLUSTER,
                &["cluster-2a23b4cdefg", "cluster-abcdefghijkMNOP7"],
                &[
                    "",
                    "cluster-",
                    "cluster-abcdefghij",
                    "cluster-abcdefghijklmnopq",
                    "cluster-1bcdefghijk",
                    "Cluster-abcdefghijk",
                ],
            ),
            (
                XKS_ENDPOINT,
                &["https://a", "https://xks.example.com"],
                &["", "https://", "http://a", "https://a:1", "https://a/b"],
            ),
            (
                XKS_PATH,
                &["/kms/xks/v1", "/kms/xks/v12", "/a/B_9-/kms/xks/v1", "//kms/xks/v1/kms/xks/v1"],
                &["", "/kms/xks/v", "/kms/xks/v123", "//kms/xks/v1", "a/kms/xks/v1", "/a b/kms/xks/v1", "/kms/xks/v1/"],
            ),
            (
                VPC_ENDPOINT_SERVICE,
                &["com.amazonaws.vpce.us-east-1.vpce-svc-0a", "eu.amazonaws.vpce.us-gov-west-1.vpce-svc-9z"],
                &[
                    "",
                    "org.amazonaws.vpce.us-east-1.vpce-svc-0a",
                    "com.amazonaws.vpce.us-east-1.vpce-svc-",
                    "com.amazonaws.vpce.us-east-1.vpce-svc-A",
                    "com.amazonaws.vpce.useast1.vpce-svc-0a",
                    "com.amazonaws.vpce.us-east-1.vpce-svc-0a.b",
                ],
            ),
            (XKS_ACCESS_KEY, &["ABC234567XYZ"], &["", "a", "1", "8", "A B"]),
            (XKS_SECRET_ACCESS_KEY, &["aZ09/+="], &["", "a-b", "a b", "é"]),
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
