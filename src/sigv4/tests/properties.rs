//! Whatever AWS's own signer signs is accepted, with any one bit changed it is not, and nothing makes it panic.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Names that nothing else here gives a meaning to, so that no header comes twice.
fn other_headers() -> impl Strategy<Value = Vec<(String, String)>> {
    let name = prop_oneof!["[a-z][a-z0-9_-]{0,12}", "x-amz-[a-z]{1,8}", "x-amzn-[a-z]{1,8}"];
    let taken = ["host", "date", "content-type", "content-length", "authorization"];
    let untaken = move |(name, _): &(String, String)| {
        !taken.contains(&name.as_str()) && !["x-amz-date", "x-amz-target"].contains(&name.as_str())
    };
    // Blanks inside and around, and what is not ASCII: aws-sigv4 signs text as its UTF-8.
    let header = (name, "[ -~é鍵]{0,40}").prop_filter("has a meaning", untaken);
    vec(header, 0..6).prop_map(|mut headers| {
        headers.sort();
        headers.dedup_by(|a, b| a.0 == b.0);
        headers
    })
}

/// Any time between 1970 and 2242 to the second.
fn any_time() -> impl Strategy<Value = Timestamp> {
    (0_i64..8_600_000_000).prop_map(Timestamp::from_unix_seconds)
}

fn signed_with(at: Timestamp, body: &[u8], more: &[(String, String)]) -> HeaderMap {
    let more: Vec<_> = more.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    signed(at, body, &more)
}

/// `text` with one bit changed.
fn flip(text: &[u8], bit: prop::sample::Index) -> Vec<u8> {
    let mut flipped = text.to_vec();
    let bit = bit.index(flipped.len() * 8);
    flipped[bit / 8] ^= 1 << (bit % 8);
    flipped
}

/// The value as the signature covers it: what differs only in blanks is not another.
fn words(value: &HeaderValue) -> Vec<&[u8]> {
    value.as_bytes().split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).collect()
}

proptest! {
    #[test]
    fn what_is_signed_is_accepted_five_minutes_long(
        body in vec(any::<u8>(), 0..2000),
        more in other_headers(),
        at in any_time(),
        skew in -300_i64..=300,
    ) {
        let headers = signed_with(at, &body, &more);
        let now = Timestamp::from_unix_seconds(at.unix_seconds() + skew);
        prop_assert!(verify_at(&headers, &body, now).is_ok());
    }

    #[test]
    fn what_is_signed_is_not_accepted_later_or_earlier(at in any_time(), skew in 301_i64..1_000_000, past: bool) {
        let now = Timestamp::from_unix_seconds(at.unix_seconds() + if past { -skew } else { skew });
        let answer = verify_at(&signed(at, BODY, &[]), BODY, now);
        let error = answer.unwrap_err();
        let told = if past { matches!(error, Error::NotYetCurrent { .. }) } else { matches!(error, Error::Expired { .. }) };
        prop_assert!(told, "{error}");
    }

    #[test]
    fn a_bit_of_the_body_changed_is_refused(body in vec(any::<u8>(), 1..500), bit: prop::sample::Index) {
        let headers = signed(now(), &body, &[]);
        prop_assert!(verify(&headers, &flip(&body, bit)).is_err());
    }

    #[test]
    fn a_bit_of_a_signed_value_changed_is_refused(
        more in other_headers(),
        which: prop::sample::Index,
        bit: prop::sample::Index,
    ) {
        let headers = signed_with(now(), BODY, &more);
        let names: Vec<_> = headers.keys().filter(|name| *name != "authorization").collect();
        let name = names[which.index(names.len())];
        let value = &headers[name];
        prop_assume!(!value.is_empty());
        // What no HTTP server lets through needs no verifier.
        let Ok(changed) = HeaderValue::from_bytes(&flip(value.as_bytes(), bit)) else { return Ok(()) };
        prop_assume!(words(&changed) != words(value));
        let mut other = headers.clone();
        other.insert(name, changed);
        prop_assert!(verify(&other, BODY).is_err(), "{name}");
    }

    #[test]
    fn a_bit_of_the_authorization_changed_is_refused(bit: prop::sample::Index) {
        let headers = signed(now(), BODY, &[("user-agent", "a")]);
        let value = &headers["authorization"];
        let Ok(changed) = HeaderValue::from_bytes(&flip(value.as_bytes(), bit)) else { return Ok(()) };
        let mut other = headers.clone();
        other.insert("authorization", changed);
        // A comma for a space, or the reverse, is no other list.
        let same = |a: &u8, b: &u8| a == b || (b" ,".contains(a) && b" ,".contains(b));
        let parts = |value: &HeaderValue| value.as_bytes().to_vec();
        let separator = parts(value).iter().zip(&parts(&other["authorization"])).all(|(a, b)| same(a, b));
        prop_assert!(separator || verify(&other, BODY).is_err(), "{other:?}");
    }

    #[test]
    fn a_header_taken_away_or_renamed_is_refused(more in other_headers(), which: prop::sample::Index) {
        let headers = signed_with(now(), BODY, &more);
        let names: Vec<_> = headers.keys().collect();
        let name = names[which.index(names.len())];
        let mut other = headers.clone();
        let value = other.remove(name).unwrap();
        prop_assert!(verify(&other, BODY).is_err(), "{name}");
        other.insert(HeaderName::from_bytes(format!("z-{name}").as_bytes()).unwrap(), value);
        prop_assert!(verify(&other, BODY).is_err(), "{name}");
    }

    #[test]
    fn two_signed_values_exchanged_are_refused(more in other_headers(), a: prop::sample::Index, b: prop::sample::Index) {
        let headers = signed_with(now(), BODY, &more);
        let names: Vec<_> = headers.keys().filter(|name| *name != "authorization").collect();
        let a = a.index(names.len());
        let b = (a + 1 + b.index(names.len() - 1)) % names.len();
        let (a, b) = (names[a], names[b]);
        prop_assume!(words(&headers[a]) != words(&headers[b]));
        let mut other = headers.clone();
        other.insert(a, headers[b].clone());
        other.insert(b, headers[a].clone());
        prop_assert!(verify(&other, BODY).is_err(), "{a} {b}");
    }

    #[test]
    fn no_value_of_a_header_makes_it_panic(
        value in vec(any::<u8>(), 0..300),
        name in prop::sample::select(vec![
            "authorization", "x-amz-date", "host", "date", "x-amz-security-token", "x-amz-content-sha256", "content-type",
        ]),
        prefix in prop::sample::select(vec!["", "AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256 Credential=a/b/c/d/e, "]),
        dated: bool,
    ) {
        if let Ok(value) = HeaderValue::from_bytes(&[prefix.as_bytes(), &value].concat()) {
            let _ = verify(&with(|headers| {
                if !dated {
                    headers.remove("x-amz-date");
                }
                headers.insert(name, value);
            }), BODY);
        }
    }

    #[test]
    fn no_list_and_no_credential_make_it_panic(list in "[ -~é]{0,80}", credential in "[ -~é]{0,80}") {
        let list = list.replace([',', ' '], ";");
        let scoped = format!("{ID}/20261123/us-east-1/kms/aws4_request");
        for credential in [credential.as_str(), &scoped] {
            let text = format!(
                "AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host;{list}, Signature={}",
                "0".repeat(64)
            );
            prop_assert!(verify(&with(|headers| set(headers, "authorization", &text)), BODY).is_err());
        }
    }
}
