//! The verifier against AWS's own signer, against hostile changes of a valid request, and against noise.

use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

use super::*;
use crate::aws::Region;
use crate::clock::Timestamp;
use crate::kms::Exception;

const ID: &str = "AKIAIOSFODNN7EXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const HOST: &str = "kms.us-east-1.amazonaws.com";
const BODY: &[u8] = br#"{"KeyId":"alias/ExampleAlias","KeySpec":"AES_256"}"#;
const MISMATCH: &str = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.";

fn now() -> Timestamp {
    Timestamp::parse_basic("20261123T182241Z").unwrap()
}

fn region() -> Region {
    "us-east-1".parse().unwrap()
}

/// Headers that AWS's own signer made for `body` at `at`, with `more` signed too.
fn signed(at: Timestamp, body: &[u8], more: &[(&str, &str)]) -> HeaderMap {
    signed_for(at, body, more, "us-east-1", "kms")
}

fn signed_for(at: Timestamp, body: &[u8], more: &[(&str, &str)], region: &str, service: &str) -> HeaderMap {
    let identity = Credentials::new(ID, SECRET, None, None, "test").into();
    let mut settings = SigningSettings::default();
    settings.excluded_headers = None;
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(service)
        .time(UNIX_EPOCH + Duration::from_secs(at.unix_seconds().unsigned_abs()))
        .settings(settings)
        .build()
        .unwrap()
        .into();
    let mut plain = vec![
        ("host", HOST),
        ("content-type", "application/x-amz-json-1.1"),
        ("x-amz-target", "TrentService.GenerateDataKeyWithoutPlaintext"),
    ];
    plain.extend_from_slice(more);
    let request =
        SignableRequest::new("POST", format!("https://{HOST}/"), plain.iter().copied(), SignableBody::Bytes(body));
    let (instructions, _) = sign(request.unwrap(), &params).unwrap().into_parts();
    let added: Vec<(String, String)> =
        instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let mut headers = HeaderMap::new();
    for (name, value) in plain.iter().map(|(n, v)| (*n, *v)).chain(added.iter().map(|(n, v)| (n.as_str(), v.as_str())))
    {
        headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    }
    headers
}

fn verify(headers: &HeaderMap, body: &[u8]) -> Result<Verified, Error> {
    verify_at(headers, body, now())
}

fn verify_at(headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<Verified, Error> {
    let (region, hosts) = (region(), AcceptedHosts::new([HOST]).unwrap());
    let claim = Claim::read(headers, &Expected { region: &region, service: "kms", hosts: &hosts }, now)?;
    // As the gateway does, which knows this one key.
    if claim.access_key_id() != ID {
        return Err(Error::UnrecognizedClient);
    }
    let key = SigningKey::derive(SECRET, claim.scope_date(), &region, "kms");
    claim.verify(&key, headers, body)
}

/// `Code: message`, as the client reads it.
fn told(result: Result<Verified, Error>) -> String {
    let exception = Exception::from(&result.unwrap_err());
    format!("{}: {}", exception.kind().name(), exception.message().unwrap_or_default())
}

fn with(change: impl FnOnce(&mut HeaderMap)) -> HeaderMap {
    let mut headers = signed(now(), BODY, &[]);
    change(&mut headers);
    headers
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    headers.insert(name, HeaderValue::from_str(value).unwrap());
}

fn append(headers: &mut HeaderMap, name: &'static str, value: &'static str) {
    headers.append(name, HeaderValue::from_static(value));
}

/// Changes the `Authorization` header's text.
fn authorization(change: impl FnOnce(String) -> String) -> HeaderMap {
    with(|headers| {
        let text = headers["authorization"].to_str().unwrap().to_owned();
        set(headers, "authorization", &change(text));
    })
}

#[test]
fn what_aws_signs_is_accepted() {
    verify(&signed(now(), BODY, &[]), BODY).unwrap();
    verify(&signed(now(), b"", &[]), b"").unwrap();
    let more = [("user-agent", "a  b"), ("x-amz-user-agent", " aws-sdk "), ("accept-encoding", "identity")];
    verify(&signed(now(), BODY, &more), BODY).unwrap();
}

#[test]
fn headers_that_the_exemptions_name_may_be_unsigned() {
    let sha256 = String::from_utf8(canonical::hex_sha256(BODY).to_vec()).unwrap();
    verify(&with(|h| set(h, "x-amz-content-sha256", &sha256)), BODY).unwrap();
    verify(&with(|h| set(h, "x-amz-cf-id", "anything")), BODY).unwrap();
    // Not an `x-amz-` header, though it looks like one.
    verify(&with(|h| set(h, "x-amzn-trace-id", "Root=1")), BODY).unwrap();
}

#[test]
fn the_window_is_five_minutes_both_ways_inclusive() {
    let headers = signed(now(), BODY, &[]);
    let after = |seconds| now().plus(Duration::from_secs(seconds));
    let before = |seconds| now().minus(Duration::from_secs(seconds));
    verify_at(&headers, BODY, after(300)).unwrap();
    verify_at(&headers, BODY, before(300)).unwrap();
    assert_eq!(
        told(verify_at(&headers, BODY, after(301))),
        "InvalidSignatureException: Signature expired: 20261123T182241Z is now earlier than 20261123T182242Z (20261123T182742Z - 5 min.)"
    );
    assert_eq!(
        told(verify_at(&headers, BODY, before(301))),
        "InvalidSignatureException: Signature not yet current: 20261123T182241Z is still later than 20261123T182240Z (20261123T181740Z + 5 min.)"
    );
}

#[test]
fn a_scope_for_another_purpose_is_refused_in_awss_words() {
    let scoped = |region, service| verify(&signed_for(now(), BODY, &[], region, service), BODY);
    assert_eq!(
        told(scoped("eu-west-1", "kms")),
        "InvalidSignatureException: Credential should be scoped to a valid region, not 'eu-west-1'. "
    );
    assert_eq!(
        told(scoped("us-east-1", "sts")),
        "InvalidSignatureException: Credential should be scoped to correct service: 'kms'. "
    );
    assert_eq!(
        told(verify(&authorization(|text| text.replace("aws4_request", "aws4")), BODY)),
        "InvalidSignatureException: Credential should be scoped with a valid terminator: 'aws4_request', not 'aws4'. "
    );
    assert_eq!(
        told(verify(&authorization(|text| text.replace("/20261123/", "/20261122/")), BODY)),
        "InvalidSignatureException: Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20261122' != '20261123', from '20261123T182241Z'."
    );
}

#[test]
fn an_incomplete_authorization_is_told_what_it_lacks() {
    let lacks = |headers: HeaderMap| told(verify(&headers, BODY));
    let starts = |text: String, start: &str| assert!(text.starts_with(start), "{text}");
    assert_eq!(
        lacks(with(|h| {
            h.remove("authorization");
        })),
        "MissingAuthenticationTokenException: Missing Authentication Token"
    );
    assert_eq!(
        lacks(with(|h| set(h, "authorization", "Bearer abc"))),
        "MissingAuthenticationTokenException: Missing Authentication Token"
    );
    assert_eq!(
        lacks(authorization(|text| text.replace("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"))),
        "IncompleteSignatureException: Unsupported AWS 'algorithm': 'AWS4-ECDSA-P256-SHA256'."
    );
    starts(
        lacks(with(|h| set(h, "authorization", "AWS4-HMAC-SHA256"))),
        "IncompleteSignatureException: Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter. (",
    );
    starts(
        lacks(with(|h| {
            h.remove("x-amz-date");
        })),
        "IncompleteSignatureException: Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. (",
    );
    starts(
        lacks(authorization(|text| text.replace("SignedHeaders=", "SignedHeaders"))),
        "IncompleteSignatureException: Invalid key=value pair (missing equal-sign) in Authorization header",
    );
    starts(
        lacks(with(|h| append(h, "authorization", "AWS4-HMAC-SHA256 x=y"))),
        "IncompleteSignatureException: Invalid key=value pair (missing equal-sign) in Authorization header",
    );
    assert_eq!(
        lacks(authorization(|text| text.replace("/kms/", "/"))),
        "IncompleteSignatureException: Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got 'AKIAIOSFODNN7EXAMPLE/20261123/us-east-1/aws4_request'"
    );
    assert_eq!(
        lacks(with(|h| set(h, "x-amz-date", "2026-11-23T18:22:41Z"))),
        "IncompleteSignatureException: Date must be in ISO-8601 'basic format'. Got '2026-11-23T18:22:41Z'. See http://en.wikipedia.org/wiki/ISO_8601"
    );
}

#[test]
fn a_signature_that_leaves_the_host_out_is_refused() {
    assert_eq!(
        told(verify(&authorization(|text| text.replace("host;", "")), BODY)),
        "InvalidSignatureException: 'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."
    );
}

#[test]
fn a_header_named_as_signed_must_have_been_sent() {
    assert_eq!(
        told(verify(&authorization(|text| text.replace("SignedHeaders=", "SignedHeaders=accept;")), BODY)),
        "InvalidSignatureException: 'accept' is named as a SignedHeader, but it does not exist in the HTTP request."
    );
}

#[test]
fn any_other_change_of_a_signed_request_is_a_mismatch() {
    let upper_hex = |text: String| {
        let (head, signature) = text.split_once("Signature=").unwrap();
        format!("{head}Signature={}", signature.to_uppercase())
    };
    let changes = [
        ("target changed", with(|h| set(h, "x-amz-target", "TrentService.Decrypt"))),
        ("content type changed", with(|h| set(h, "content-type", "application/x-amz-json-1.0"))),
        ("host changed", with(|h| set(h, "host", "kms.eu-west-1.amazonaws.com"))),
        ("date changed", with(|h| set(h, "x-amz-date", "20261123T182242Z"))),
        ("unsigned x-amz header", with(|h| set(h, "x-amz-security-token", "token"))),
        ("unknown x-amz header", with(|h| set(h, "x-amz-meta", "x"))),
        ("repeated x-amz header", with(|h| append(h, "x-amz-date", "20261123T182241Z"))),
        ("repeated host", with(|h| append(h, "host", HOST))),
        ("lying body hash", with(|h| set(h, "x-amz-content-sha256", &"0".repeat(64)))),
        ("unsigned payload", with(|h| set(h, "x-amz-content-sha256", "UNSIGNED-PAYLOAD"))),
        ("streaming payload", with(|h| set(h, "x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"))),
        ("upper-case hex", authorization(upper_hex)),
        ("short signature", authorization(|text| text.strip_suffix(|_: char| true).unwrap().to_owned())),
        ("list unsorted", authorization(|text| text.replace("content-type;host", "host;content-type"))),
        ("list repeats", authorization(|text| text.replace("content-type;", "content-type;content-type;"))),
        ("list in upper case", authorization(|text| text.replace("content-type;", "Content-Type;"))),
        ("target not signed", authorization(|text| text.replace(";x-amz-target", ""))),
        ("date not signed", authorization(|text| text.replace(";x-amz-date", ""))),
    ];
    for (what, headers) in changes {
        assert_eq!(told(verify(&headers, BODY)), format!("InvalidSignatureException: {MISMATCH}"), "{what}");
    }
    let body = [BODY, b" "].concat();
    assert_eq!(told(verify(&signed(now(), BODY, &[]), &body)), format!("InvalidSignatureException: {MISMATCH}"));
}

#[test]
fn a_repeated_parameter_is_refused_where_aws_takes_the_last() {
    let repeated = authorization(|text| format!("{text}, Credential={ID}/20261123/us-east-1/kms/aws4_request"));
    assert!(matches!(verify(&repeated, BODY), Err(Error::NotKeyValue(_))));
}

#[test]
fn no_text_for_the_client_repeats_a_signature() {
    let headers = authorization(|text| text.replace("Credential=", "Credential"));
    let signature = headers["authorization"].to_str().unwrap().split("Signature=").nth(1).unwrap().to_owned();
    assert!(!told(verify(&headers, BODY)).contains(&signature));
}

#[test]
fn another_secret_does_not_verify() {
    let (region, hosts, headers) = (region(), AcceptedHosts::new([HOST]).unwrap(), signed(now(), BODY, &[]));
    let expected = Expected { region: &region, service: "kms", hosts: &hosts };
    let claim = Claim::read(&headers, &expected, now()).unwrap();
    let key = SigningKey::derive("another", claim.scope_date(), &region, "kms");
    assert!(matches!(claim.verify(&key, &headers, BODY), Err(Error::Mismatch(_))));
}

#[test]
fn a_date_header_serves_where_there_is_no_x_amz_date() {
    for (text, read) in [
        ("Mon, 23 Nov 2026 18:22:41 GMT", Some("20261123T182241Z")),
        ("20261123T182241Z", Some("20261123T182241Z")),
        ("yesterday", None),
    ] {
        let headers = HeaderMap::from_iter([(http::header::DATE, HeaderValue::from_str(text).unwrap())]);
        let name = date::header(&headers).unwrap();
        let expected = read.map(|text| Timestamp::parse_basic(text).unwrap());
        assert_eq!(date::read(&name, &headers).ok(), expected, "{text}");
    }
}

proptest! {
    #[test]
    fn what_is_signed_is_accepted_and_one_bit_flipped_is_not(
        body in proptest::collection::vec(any::<u8>(), 0..200),
        agent in "[ -~]{0,40}",
        bit in 0_usize..4096,
    ) {
        let headers = signed(now(), &body, &[("user-agent", &agent)]);
        prop_assert!(verify(&headers, &body).is_ok());

        if !body.is_empty() {
            let mut flipped = body.clone();
            let index = (bit / 8) % flipped.len();
            flipped[index] ^= 1 << (bit % 8);
            prop_assert!(verify(&headers, &flipped).is_err());
        }
        for name in ["authorization", "x-amz-date", "x-amz-target", "host", "content-type"] {
            let mut value = headers[name].as_bytes().to_vec();
            let index = (bit / 8) % value.len();
            value[index] ^= 1 << (bit % 8);
            // A change of case in a host is none (and changes the signature), white space may vanish.
            let Ok(changed) = HeaderValue::from_bytes(&value) else { continue };
            let mut other = headers.clone();
            other.insert(name, changed);
            let blank_only = name == "authorization" && value[index].is_ascii_whitespace();
            prop_assert!(blank_only || verify(&other, &body).is_err(), "{name}: {:?}", String::from_utf8(value));
        }
    }

    #[test]
    fn no_header_makes_it_panic(
        value in proptest::collection::vec(any::<u8>(), 0..300),
        name in prop::sample::select(vec!["authorization", "x-amz-date", "host", "date", "x-amz-security-token", "x-amz-content-sha256"]),
        prefixed: bool,
    ) {
        let value = if prefixed { [b"AWS4-HMAC-SHA256 ", value.as_slice()].concat() } else { value };
        if let Ok(value) = HeaderValue::from_bytes(&value) {
            let _ = verify(&with(|headers| { headers.insert(name, value); }), BODY);
        }
    }
}
