//! Requests to KMS that botocore signed, each intermediate asserted and then verified as a whole. They are committed
//! (`tests/vectors/`, with the script that made them), so that there are always vectors.

use serde::Deserialize;

use super::canonical::RequestLine;
use super::signed_headers::SignedHeaders;
use super::*;

const FILE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/botocore_sigv4.json"));

#[derive(Deserialize)]
pub(super) struct File {
    pub(super) secret_access_key: String,
    pub(super) vectors: Vec<Vector>,
}

#[derive(Deserialize)]
pub(super) struct Vector {
    pub(super) name: String,
    pub(super) region: String,
    pub(super) now: String,
    headers: Vec<(String, String)>,
    pub(super) body: String,
    pub(super) canonical_request: String,
    string_to_sign: String,
    signature: String,
}

pub(super) fn file() -> File {
    serde_json::from_str(FILE).unwrap()
}

#[test]
fn what_botocore_signs_is_computed_alike_and_accepted() {
    let file = file();
    for vector in &file.vectors {
        check(vector, &file.secret_access_key);
    }
    assert_eq!(file.vectors.len(), 33);
}

fn check(vector: &Vector, secret: &str) {
    let Vector { name, canonical_request, signature, .. } = vector;
    let (headers, body, now) = (headers(vector), vector.body.as_bytes(), basic(&vector.now));
    let region = vector.region.parse().unwrap();
    let key = SigningKey::derive(secret, ScopeDate::of(now), &region, "kms");

    let list = canonical_request.lines().rev().nth(1).unwrap();
    let mut request = canonical::head(RequestLine::KMS, SignedHeaders::read(list).unwrap(), &headers).unwrap();
    request.extend(canonical::hex_sha256(body));
    assert_eq!(std::str::from_utf8(&request).unwrap(), canonical_request, "{name}");
    let scope = format!("{}/{region}/kms/aws4_request", vector.now.split_once('T').unwrap().0);
    let string_to_sign = canonical::string_to_sign(&vector.now, &scope, &request);
    assert_eq!(std::str::from_utf8(&string_to_sign).unwrap(), vector.string_to_sign, "{name}");
    assert!(key.signed(&string_to_sign, signature), "{name}");

    let hosts = AcceptedHosts::new([headers["host"].to_str().unwrap()]).unwrap();
    let regions = Regions::new(region.clone());
    let expected = Expected { regions: &regions, service: "kms", hosts: &hosts };
    let claim = Claim::read(&headers, &expected, now).unwrap_or_else(|error| panic!("{name}: {error}"));
    let token = headers.get("x-amz-security-token").map(|value| value.to_str().unwrap());
    assert_eq!(claim.session_token(), token, "{name}");
    assert_eq!(claim.access_key_id(), if token.is_some() { "ASIAIOSFODNN7EXAMPLE" } else { ID }, "{name}");
    claim.verify(&key, body).unwrap_or_else(|error| panic!("{name}: {error}"));
}

/// The headers as they arrive: without the blanks around their values, which hyper takes away.
pub(super) fn headers(vector: &Vector) -> HeaderMap {
    let header = |(name, value): &(String, String)| {
        (name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value.trim().as_bytes()).unwrap())
    };
    let mut headers = HeaderMap::new();
    for (name, value) in vector.headers.iter().map(header) {
        headers.append(name, value);
    }
    headers
}
