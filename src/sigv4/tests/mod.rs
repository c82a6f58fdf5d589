//! The verifier against AWS's own vectors ([`suite`], [`vectors`]), against hostile changes of a valid request
//! ([`hostile`]), and against whatever a generator thinks of ([`properties`]); the signer against AWS's own
//! ([`signing`]); here what they share, and what has to be accepted.

mod hostile;
mod properties;
mod signing;
mod suite;
mod vectors;

use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{self, SignableBody, SignableRequest, SigningSettings};
use aws_sigv4::sign::v4;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::*;
use crate::aws::{Region, Regions};
use crate::clock::Timestamp;
use crate::kms::Exception;

const ID: &str = "AKIAIOSFODNN7EXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const HOST: &str = "kms.us-east-1.amazonaws.com";
const BODY: &[u8] = br#"{"KeyId":"alias/ExampleAlias","KeySpec":"AES_256"}"#;

fn now() -> Timestamp {
    basic("20261123T182241Z")
}

fn basic(text: &str) -> Timestamp {
    Timestamp::parse_basic(text).unwrap()
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
    let (instructions, _) = http_request::sign(request.unwrap(), &params).unwrap().into_parts();
    let mut headers = HeaderMap::new();
    for (name, value) in plain.into_iter().chain(instructions.headers()) {
        headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    }
    headers
}

/// Signs `headers` again, as its `Authorization` says: whatever is wrong with the list or the scope, the
/// signature is right. Canonicalised here a second time, and simply, so as not to share a fault with the product.
fn resign(headers: &mut HeaderMap, body: &[u8]) {
    let payload = String::from_utf8(canonical::hex_sha256(body).to_vec()).unwrap();
    resign_payload(headers, &payload);
}

fn resign_payload(headers: &mut HeaderMap, payload: &str) {
    let text = headers["authorization"].to_str().unwrap().to_owned();
    let (unsigned, _) = text.split_once("Signature=").unwrap();
    let part = |name: &str| unsigned.split_once(name).unwrap().1.split(',').next().unwrap();
    let (scope, list) = (part("Credential=").split_once('/').unwrap().1, part("SignedHeaders="));
    let mut request = b"POST\n/\n\n".to_vec();
    for name in list.split(';') {
        let values: Vec<_> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
        request.extend([name.as_bytes(), b":", &values.join(&b","[..]), b"\n"].concat());
    }
    request.extend(format!("\n{list}\n{payload}").bytes());
    let hash = String::from_utf8(canonical::hex_sha256(&request).to_vec()).unwrap();
    let string_to_sign = format!("AWS4-HMAC-SHA256\n20261123T182241Z\n{scope}\n{hash}");
    let day = UNIX_EPOCH + Duration::from_secs(now().unix_seconds().unsigned_abs());
    let key = v4::generate_signing_key(SECRET, day, "us-east-1", "kms");
    let signature = v4::calculate_signature(key, string_to_sign.as_bytes());
    set(headers, "authorization", &format!("{unsigned}Signature={signature}"));
}

fn verify(headers: &HeaderMap, body: &[u8]) -> Result<Verified, Error> {
    verify_at(headers, body, now())
}

fn verify_at(headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<Verified, Error> {
    let (region, hosts) = (region(), AcceptedHosts::new([HOST]).unwrap());
    let regions = Regions::new(region.clone());
    let claim = Claim::read(headers, &Expected { regions: &regions, service: "kms", hosts: &hosts }, now)?;
    // As the gateway does, which knows this one key, and no session tokens.
    if claim.access_key_id() != ID || claim.session_token().is_some() {
        return Err(Error::UnrecognizedClient);
    }
    let key = SigningKey::derive(SECRET, claim.scope_date(), &region, "kms");
    claim.verify(&key, body)
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
    headers.insert(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
}

fn append(headers: &mut HeaderMap, name: &'static str, value: &'static str) {
    headers.append(name, HeaderValue::from_static(value));
}

/// Replaces a part of the `Authorization` header's text, which has to be there.
fn replace(headers: &mut HeaderMap, from: &str, to: &str) {
    let text = headers["authorization"].to_str().unwrap().to_owned();
    assert!(text.contains(from), "{text}");
    set(headers, "authorization", &text.replacen(from, to, 1));
}

/// A request signed for `change`d headers.
fn resigned(change: impl FnOnce(&mut HeaderMap)) -> HeaderMap {
    with(|headers| {
        change(headers);
        resign(headers, BODY);
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
fn what_the_tests_sign_again_is_what_aws_signs() {
    assert_eq!(resigned(|_| ()), signed(now(), BODY, &[]));
}

#[test]
fn headers_that_middle_boxes_change_are_verified_as_received_when_signed() {
    let more = [("user-agent", "aws-cli/2"), ("x-amzn-trace-id", "Root=1"), ("te", "trailers"), ("expect", "x")];
    let headers = signed(now(), BODY, &more);
    assert!(headers["authorization"].to_str().unwrap().contains(";te;user-agent;"));
    verify(&headers, BODY).unwrap();
}

#[test]
fn headers_that_the_exemptions_name_may_be_unsigned() {
    let sha256 = String::from_utf8(canonical::hex_sha256(BODY).to_vec()).unwrap();
    verify(&with(|h| set(h, "x-amz-content-sha256", &sha256)), BODY).unwrap();
    verify(&with(|h| set(h, "x-amz-cf-id", "anything")), BODY).unwrap();
    // Not an `x-amz-` header, though it looks like one.
    verify(&with(|h| set(h, "x-amzn-trace-id", "Root=1")), BODY).unwrap();
    // And may be signed.
    verify(&signed(now(), BODY, &[("x-amz-content-sha256", &sha256), ("x-amz-cf-id", "x")]), BODY).unwrap();
}

#[test]
fn headers_that_are_not_awss_may_be_unsigned() {
    let unsigned = |h: &mut HeaderMap| {
        replace(h, "SignedHeaders=content-type;", "SignedHeaders=");
        append(h, "accept", "a");
        append(h, "accept", "b");
        append(h, "date", "yesterday");
    };
    verify(&resigned(unsigned), BODY).unwrap();
}

#[test]
fn bytes_that_are_no_text_are_signed_as_they_stand() {
    for value in [&b"caf\xe9"[..], b"\xa0a\x85b\xa0", "\u{a0}a\u{3000}b".as_bytes(), b"\xff\xfe"] {
        let not_text = |h: &mut HeaderMap| {
            h.insert("x-amz-user-agent", HeaderValue::from_bytes(value).unwrap());
            replace(h, ";x-amz-target", ";x-amz-target;x-amz-user-agent");
        };
        verify(&resigned(not_text), BODY).unwrap();
    }
}

#[test]
fn the_window_is_five_minutes_both_ways_inclusive() {
    let headers = signed(now(), BODY, &[]);
    let after = |seconds| now().plus(Duration::from_secs(seconds));
    let before = |seconds| now().minus(Duration::from_secs(seconds));
    let within_the_second = after(300).plus(Duration::from_micros(999_999));
    verify_at(&headers, BODY, after(300)).unwrap();
    verify_at(&headers, BODY, within_the_second).unwrap();
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
fn a_date_header_serves_where_there_is_no_x_amz_date() {
    for date in ["Mon, 23 Nov 2026 18:22:41 GMT", "Mon, 23 Nov 2026 18:22:41 -0000", "20261123T182241Z"] {
        let dated = |h: &mut HeaderMap| {
            h.remove("x-amz-date");
            set(h, "date", date);
            replace(h, ";host;x-amz-date;", ";date;host;");
        };
        verify(&resigned(dated), BODY).unwrap();
    }
}

#[test]
fn a_host_differs_by_its_port_and_not_by_case() {
    for (host, accepted) in [
        ("KMS.us-east-1.AMAZONAWS.com", true),
        ("kms.us-east-1.amazonaws.com:443", false),
        ("kms.us-east-1.amazonaws.com.", false),
        ("", false),
    ] {
        assert_eq!(verify(&resigned(|h| set(h, "host", host)), BODY).is_ok(), accepted, "{host}");
    }
}

#[test]
fn a_claim_prints_neither_signature_nor_token() {
    let headers = signed(now(), BODY, &[("x-amz-security-token", "TOKEN")]);
    let (region, hosts) = (region(), AcceptedHosts::new([HOST]).unwrap());
    let regions = Regions::new(region.clone());
    let claim = Claim::read(&headers, &Expected { regions: &regions, service: "kms", hosts: &hosts }, now()).unwrap();
    assert_eq!(
        format!("{claim:?}"),
        "Claim(AKIAIOSFODNN7EXAMPLE/20261123/us-east-1/kms/aws4_request at 20261123T182241Z)"
    );
}
