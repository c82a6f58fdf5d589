//! What the gateway signs is what AWS's own signers sign (aws-sigv4 for whatever a generator thinks of, botocore by its
//! committed vectors), and what our own verifier accepts.

use proptest::collection::vec;
use proptest::prelude::*;

use super::vectors::{self, Vector};
use super::*;

fn target(name: &str) -> HeaderValue {
    HeaderValue::from_str(name).unwrap()
}

/// A head for [`BODY`], as the gateway makes it.
fn made(session_token: Option<&HeaderValue>) -> HeaderMap {
    let key = SigningKey::derive(SECRET, ScopeDate::of(now()), &region(), "kms");
    let to = Target {
        host: &HeaderValue::from_static(HOST),
        region: &region(),
        x_amz_target: &HeaderValue::from_static("TrentService.GenerateDataKeyWithoutPlaintext"),
    };
    sign(&to, SigningCredentials { access_key_id: ID, key: &key, session_token }, &PayloadHash::of(BODY), now())
}

/// The same by aws-sigv4, of the same headers.
fn by_aws(headers: &HeaderMap, id: &str, secret: &str, region: &str, body: &[u8], at: Timestamp) -> HeaderMap {
    let text = |name: &str| headers.get(name).map(|value| std::str::from_utf8(value.as_bytes()).unwrap());
    let identity = Credentials::new(id, secret, text("x-amz-security-token").map(str::to_owned), None, "test").into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("kms")
        .time(UNIX_EPOCH + Duration::from_secs(at.unix_seconds().unsigned_abs()))
        .settings(SigningSettings::default())
        .build()
        .unwrap()
        .into();
    let plain: Vec<_> = ["content-type", "host", "x-amz-target"].map(|name| (name, text(name).unwrap())).into();
    let url = format!("https://{}/", text("host").unwrap());
    let request = SignableRequest::new("POST", url, plain.iter().copied(), SignableBody::Bytes(body)).unwrap();
    let (instructions, _) = http_request::sign(request, &params).unwrap().into_parts();
    let mut signed = HeaderMap::new();
    for (name, value) in plain.into_iter().chain(instructions.headers()) {
        signed.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    }
    signed
}

proptest! {
    #[test]
    fn whatever_is_signed_is_what_aws_signs(
        id in "[A-Z0-9]{4,32}",
        secret in "[!-~]{1,60}",
        host in "[a-z][a-z0-9.-]{0,40}(:[1-9][0-9]{0,3})?",
        region in "[a-z]{2}-[a-z]{3,9}-[1-9]",
        operation in "[A-Za-z.]{1,60}",
        // No blanks: aws-sigv4 signs those of a token as they stand, against AWS's own rule. No token has any.
        token in proptest::option::of("[!-~]{1,1500}"),
        body in vec(any::<u8>(), 0..2000),
        at in 0_i64..8_600_000_000,
    ) {
        let at = Timestamp::from_unix_seconds(at);
        let served: Region = region.parse().unwrap();
        let key = SigningKey::derive(&secret, ScopeDate::of(at), &served, "kms");
        let (host, operation) = (target(&host), target(&operation));
        let token = token.as_deref().map(target);
        let to = Target { host: &host, region: &served, x_amz_target: &operation };
        let by = SigningCredentials { access_key_id: &id, key: &key, session_token: token.as_ref() };
        let headers = sign(&to, by, &PayloadHash::of(&body), at);
        prop_assert_eq!(&headers, &by_aws(&headers, &id, &secret, &region, &body, at));
    }

    #[test]
    fn what_is_signed_is_accepted(body in vec(any::<u8>(), 0..2000), at in 0_i64..8_600_000_000) {
        let at = Timestamp::from_unix_seconds(at);
        let key = SigningKey::derive(SECRET, ScopeDate::of(at), &region(), "kms");
        let host = HeaderValue::from_static(HOST);
        let to = Target { host: &host, region: &region(), x_amz_target: &target("TrentService.Encrypt") };
        let by = SigningCredentials { access_key_id: ID, key: &key, session_token: None };
        let headers = sign(&to, by, &PayloadHash::of(&body), at);
        let verified = verify_at(&headers, &body, at);
        prop_assert!(verified.is_ok());
        // A gateway before another: what the one verified is signed again by the other without the body.
        prop_assert_eq!(sign(&to, by, verified.unwrap().payload(), at), headers);
    }
}

#[test]
fn what_botocore_signs_is_signed_alike() {
    let file = vectors::file();
    let fitting: Vec<_> = file.vectors.iter().filter(|vector| fits(vector)).collect();
    for vector in &fitting {
        let headers = vectors::headers(vector);
        let (at, region) = (basic(&vector.now), vector.region.parse().unwrap());
        let token = headers.get("x-amz-security-token");
        let by = SigningCredentials {
            access_key_id: if token.is_some() { "ASIAIOSFODNN7EXAMPLE" } else { ID },
            key: &SigningKey::derive(&file.secret_access_key, ScopeDate::of(at), &region, "kms"),
            session_token: token,
        };
        let to = Target { host: &headers["host"], region: &region, x_amz_target: &headers["x-amz-target"] };
        let made = sign(&to, by, &PayloadHash::of(vector.body.as_bytes()), at);
        assert_eq!(made["authorization"], headers["authorization"], "{}", vector.name);
    }
    let with_token = fitting.iter().filter(|vector| vector.canonical_request.contains("x-amz-security-token"));
    assert!(with_token.count() > 0 && fitting.len() > 10, "{} of {} fit", fitting.len(), file.vectors.len());
}

/// Whether the vector signs what the gateway signs, no more and no less, with the content type it sends.
fn fits(vector: &Vector) -> bool {
    let lists =
        ["content-type;host;x-amz-date;x-amz-target", "content-type;host;x-amz-date;x-amz-security-token;x-amz-target"];
    lists.contains(&vector.canonical_request.lines().rev().nth(1).unwrap())
        && vector.canonical_request.starts_with("POST\n/\n\ncontent-type:application/x-amz-json-1.1\n")
}

#[test]
fn nothing_but_the_allow_list_is_sent() {
    let token = HeaderValue::from_static("TOKEN");
    let mut names: Vec<_> = made(Some(&token)).keys().map(ToString::to_string).collect();
    names.sort();
    let with_token = ["authorization", "content-type", "host", "x-amz-date", "x-amz-security-token", "x-amz-target"];
    assert_eq!(names, with_token);
    let without: Vec<_> = made(None).keys().map(ToString::to_string).collect();
    assert_eq!((without.len(), without.contains(&"x-amz-security-token".to_owned())), (5, false));
}

#[test]
fn a_head_prints_neither_signature_nor_token() {
    let token = HeaderValue::from_static("TOKEN-THAT-NOBODY-SEES");
    let headers = made(Some(&token));
    let printed = format!("{headers:?}");
    let signature = headers["authorization"].to_str().unwrap().split_once("Signature=").unwrap().1.to_owned();
    assert!(!printed.contains(&signature) && !printed.contains("NOBODY"), "{printed}");

    let key = SigningKey::derive(SECRET, ScopeDate::of(now()), &region(), "kms");
    let by = SigningCredentials { access_key_id: ID, key: &key, session_token: Some(&token) };
    assert_eq!(format!("{by:?}"), r#"SigningCredentials { access_key_id: "AKIAIOSFODNN7EXAMPLE", .. }"#);
}

#[test]
fn a_body_s_hash_is_not_printed() {
    let verified = verify(&signed(now(), BODY, &[]), BODY).unwrap();
    assert_eq!(format!("{verified:?}"), "Verified { payload: PayloadHash, _verified: () }");
}

#[test]
fn an_access_key_id_that_no_header_can_hold_makes_a_request_that_is_refused() {
    let key = SigningKey::derive(SECRET, ScopeDate::of(now()), &region(), "kms");
    let host = HeaderValue::from_static(HOST);
    let to = Target { host: &host, region: &region(), x_amz_target: &host };
    let by = SigningCredentials { access_key_id: "AKIA\r\nx-amz-target: a", key: &key, session_token: None };
    let headers = sign(&to, by, &PayloadHash::of(BODY), now());
    assert_eq!(headers["authorization"], "");
    assert_eq!(verify(&headers, BODY).unwrap_err(), Error::MissingAuthenticationToken);
}
