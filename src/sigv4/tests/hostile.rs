//! From valid requests, each part changed. The numbers are the rows of the checklist that the changes are of; the
//! texts are AWS's own, each recorded from a service of AWS's.

use super::*;

/// Every mismatch has this one text.
const MISMATCH: &str = "InvalidSignatureException: The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.";
const HOST_NOT_SIGNED: &str =
    "InvalidSignatureException: 'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.";
const NO_TOKEN: &str = "MissingAuthenticationTokenException: Missing Authentication Token";
const UNKNOWN: &str = "UnrecognizedClientException: The security token included in the request is invalid.";
const NO_CREDENTIAL: &str = "Authorization header requires 'Credential' parameter. ";
const NO_SIGNATURE: &str = "Authorization header requires 'Signature' parameter. ";
const NO_LIST: &str = "Authorization header requires 'SignedHeaders' parameter. ";
const NO_DATE: &str = "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ";

type Change = fn(&mut HeaderMap);

fn remove(headers: &mut HeaderMap, name: &str) {
    headers.remove(name).unwrap();
}

fn signature(headers: &HeaderMap) -> String {
    headers["authorization"].to_str().unwrap().split_once("Signature=").unwrap().1.to_owned()
}

/// Base64 of the SHA-256 of the header, as AWS's newer texts have it in place of the header.
fn authorization_hash(headers: &HeaderMap) -> String {
    use base64::Engine;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, headers["authorization"].as_bytes());
    base64::prelude::BASE64_STANDARD.encode(digest)
}

fn incomplete(headers: &HeaderMap, sentences: &[&str]) -> String {
    let hash = authorization_hash(headers);
    let sentences = sentences.concat();
    format!(
        "IncompleteSignatureException: {sentences}(Hashed with SHA-256 and encoded with Base64) Authorization={hash}"
    )
}

fn not_key_value(headers: &HeaderMap) -> String {
    let hash = authorization_hash(headers);
    format!(
        "IncompleteSignatureException: Invalid key=value pair (missing equal-sign) in Authorization header (hashed with SHA-256 and encoded with Base64): '{hash}'."
    )
}

#[test]
fn a_request_without_an_aws_signature_is_told_that_it_has_none() {
    let cases: [(u8, &str, Change); 7] = [
        (12, "no header", |h| remove(h, "authorization")),
        (12, "empty", |h| set(h, "authorization", "")),
        (12, "a bearer token", |h| set(h, "authorization", "Bearer abc")),
        (12, "signature version 2", |h| set(h, "authorization", "AWS AKIAIOSFODNN7EXAMPLE:abc=")),
        (12, "another case", |h| replace(h, "AWS4-HMAC-SHA256", "aws4-hmac-sha256")),
        (34, "not text", |h| drop(h.insert("authorization", HeaderValue::from_bytes(b"\xff").unwrap()))),
        (11, "a query's signature alone", |h| {
            remove(h, "authorization");
            set(h, "x-amz-algorithm", "AWS4-HMAC-SHA256");
        }),
    ];
    for (row, what, change) in cases {
        assert_eq!(told(verify(&with(change), BODY)), NO_TOKEN, "{row}: {what}");
    }
}

#[test]
fn another_algorithm_is_named_to_the_client() {
    for (sent, named) in [
        ("AWS4-ECDSA-P256-SHA256", "AWS4-ECDSA-P256-SHA256"),
        ("AWS4-HMAC-SHA256-PAYLOAD", "AWS4-HMAC-SHA256-PAYLOAD"),
        ("AWS4-HMAC-SHA25", "AWS4-HMAC-SHA25"),
        ("AWS4-", "AWS4-"),
        ("AWS4-Signature=abc", "AWS4-Signature"),
    ] {
        let text = format!("IncompleteSignatureException: Unsupported AWS 'algorithm': '{named}'.");
        assert_eq!(told(verify(&with(|h| replace(h, "AWS4-HMAC-SHA256", sent)), BODY)), text);
    }
}

#[test]
fn an_authorization_that_is_no_list_of_the_three_parameters_is_refused() {
    let cases: [(u8, &str, Change); 9] = [
        (38, "no equal-sign", |h| replace(h, "SignedHeaders=", "SignedHeaders")),
        (38, "a word more", |h| replace(h, " Credential", " x Credential")),
        (38, "a parameter more", |h| replace(h, " Credential", " Expires=5 Credential")),
        (38, "a name in another case", |h| replace(h, "Credential=", "credential=")),
        (38, "the list twice", |h| replace(h, " Signature=", " SignedHeaders=host, Signature=")),
        (38, "the credential twice", |h| replace(h, " Credential", " Credential=a/20261123/b/c/d, Credential")),
        (38, "a tab", |h| replace(h, ", SignedHeaders", ",\tSignedHeaders")),
        (34, "not text", |h| {
            let value = [h["authorization"].as_bytes(), b"\xff"].concat();
            h.insert("authorization", HeaderValue::from_bytes(&value).unwrap());
        }),
        (8, "two headers", |h| append(h, "authorization", "AWS4-HMAC-SHA256 Credential=a, Signature=b")),
    ];
    for (row, what, change) in cases {
        let headers = with(change);
        assert_eq!(told(verify(&headers, BODY)), not_key_value(&headers), "{row}: {what}");
    }
    let two_equal = with(|h| assert!(h.append("authorization", h["authorization"].clone())));
    assert_eq!(told(verify(&two_equal, BODY)), not_key_value(&two_equal), "8: the same header twice");
}

#[test]
fn an_incomplete_authorization_is_told_all_that_it_lacks() {
    let scope = "Credential=AKIAIOSFODNN7EXAMPLE/20261123/us-east-1/kms/aws4_request, ";
    let list = "SignedHeaders=content-type;host;x-amz-date;x-amz-target, ";
    let all = [NO_CREDENTIAL, NO_SIGNATURE, NO_LIST, NO_DATE];
    let lacks = |sentences: &[&str], change: &dyn Fn(&mut HeaderMap)| {
        let headers = with(change);
        assert_eq!(told(verify(&headers, BODY)), incomplete(&headers, sentences));
    };
    lacks(&all[..1], &|h| replace(h, scope, ""));
    lacks(&all[1..2], &|h| replace(h, &format!(" Signature={}", signature(h)), ""));
    lacks(&all[2..3], &|h| replace(h, list, ""));
    lacks(&all[3..], &|h| remove(h, "x-amz-date"));
    lacks(&all[..3], &|h| set(h, "authorization", "AWS4-HMAC-SHA256"));
    lacks(&all, &|h| {
        set(h, "authorization", "AWS4-HMAC-SHA256");
        remove(h, "x-amz-date");
    });
    // Row 6: a parameter without a value is no parameter.
    lacks(&all[..1], &|h| replace(h, scope, "Credential=, "));
    lacks(&all[1..2], &|h| replace(h, &signature(h), ""));
    lacks(&all[2..3], &|h| replace(h, list, "SignedHeaders=, "));
}

#[test]
fn a_date_is_in_one_format_and_exists() {
    for sent in [
        "2026-11-23T18:22:41Z",
        "20261123T182241",
        "20261123T182241.0Z",
        "20261123t182241z",
        "20261123T182241+",
        "20260230T182241Z",
        "20261123T242241Z",
        "20261231T235960Z",
        "Mon, 23 Nov 2026 18:22:41 GMT",
        "1796062961",
        "",
    ] {
        let text = format!(
            "IncompleteSignatureException: Date must be in ISO-8601 'basic format'. Got '{sent}'. See http://en.wikipedia.org/wiki/ISO_8601"
        );
        assert_eq!(told(verify(&with(|h| set(h, "x-amz-date", sent)), BODY)), text);
    }
}

#[test]
fn a_date_header_has_no_other_format_than_http_has() {
    for sent in [
        "yesterday",
        "Tue, 23 Nov 2026 18:22:41 GMT",
        "Monday, 23-Nov-26 18:22:41 GMT",
        "Mon Nov 23 18:22:41 2026",
        "Mon, 23 Nov 2026 18:22:41 +0100",
        "Mon, 23 Nov 2026 18:22:41",
        "Mon, 23 Nov +2026 18:22:41 GMT",
        "mon, 23 nov 2026 18:22:41 GMT",
        "Mon, 23 Nov 2026 18:22:60 GMT",
        "Mon,  23 Nov 2026 18:22:41 GMT",
    ] {
        let dated = |h: &mut HeaderMap| {
            remove(h, "x-amz-date");
            set(h, "date", sent);
        };
        let text = format!(
            "IncompleteSignatureException: Date must be in ISO-8601 'basic format'. Got '{sent}'. See http://en.wikipedia.org/wiki/ISO_8601"
        );
        assert_eq!(told(verify(&with(dated), BODY)), text);
    }
}

#[test]
fn a_credential_has_five_elements() {
    for sent in ["a/b/c/d", "a", "/", "a/b/c/d/e/f", "AKIAIOSFODNN7EXAMPLE/20261123/us-east-1/kms/aws4_request/"] {
        let text = format!(
            "IncompleteSignatureException: Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '{sent}'"
        );
        let scope = "AKIAIOSFODNN7EXAMPLE/20261123/us-east-1/kms/aws4_request";
        assert_eq!(told(verify(&with(|h| replace(h, scope, sent)), BODY)), text);
    }
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
        told(verify(&with(|h| replace(h, "aws4_request", "aws4")), BODY)),
        "InvalidSignatureException: Credential should be scoped with a valid terminator: 'aws4_request', not 'aws4'. "
    );
    assert_eq!(
        told(verify(&with(|h| replace(h, "/20261123/", "/20261122/")), BODY)),
        "InvalidSignatureException: Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20261122' != '20261123', from '20261123T182241Z'."
    );
    // All at once, in AWS's order.
    assert_eq!(
        told(verify(&with(|h| replace(h, "/20261123/us-east-1/kms/aws4_request", "/b/c/d/e")), BODY)),
        "InvalidSignatureException: Credential should be scoped to a valid region, not 'c'. Credential should be scoped to correct service: 'kms'. Credential should be scoped with a valid terminator: 'aws4_request', not 'e'. Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: 'b' != '20261123', from '20261123T182241Z'."
    );
    // The element next to a right one, and case, and emptiness.
    for other in ["/20261123/US-EAST-1/", "/20261123//", "/20261123/us-east-1 /", "/20261123/us-east-/"] {
        let answer = verify(&with(|h| replace(h, "/20261123/us-east-1/", other)), BODY);
        assert!(matches!(answer, Err(Error::Scope(_) | Error::NotKeyValue(_))), "{other}");
    }
}

#[test]
fn a_signature_that_leaves_the_host_out_is_refused() {
    for list in ["content-type;x-amz-date;x-amz-target", "Host;x-amz-date;x-amz-target", ":authority", ";", "hosts"] {
        let headers = resigned(|h| replace(h, "content-type;host;x-amz-date;x-amz-target", list));
        assert_eq!(told(verify(&headers, BODY)), HOST_NOT_SIGNED, "{list}");
    }
}

#[test]
fn a_header_named_as_signed_must_have_been_sent() {
    for (list, name) in [
        ("accept;content-type;host;x-amz-date;x-amz-target", "accept"),
        ("content-type;host;x-amz-date;x-amz-meta;x-amz-target", "x-amz-meta"),
        ("content-type;host;x-amz-date;x-amz-target;é", "é"),
        ("content-type;host;not(a)name;x-amz-date;x-amz-target", "not(a)name"),
        (":authority;content-type;host;x-amz-date;x-amz-target", ":authority"),
    ] {
        let answer = verify(&with(|h| replace(h, "content-type;host;x-amz-date;x-amz-target", list)), BODY);
        let text = format!(
            "InvalidSignatureException: '{name}' is named as a SignedHeader, but it does not exist in the HTTP request."
        );
        assert_eq!(told(answer), text);
    }
    let without_host = resigned(|h| remove(h, "host"));
    assert_eq!(
        told(verify(&without_host, BODY)),
        "InvalidSignatureException: 'host' is named as a SignedHeader, but it does not exist in the HTTP request."
    );
}

/// The signature is right in each of these, so nothing but the one condition refuses it.
#[test]
fn a_right_signature_does_not_excuse_what_is_wrong_with_the_request() {
    let list = "content-type;host;x-amz-date;x-amz-target";
    let order = "SignedHeaders is not sorted, unique and in lower case";
    let body = "x-amz-content-sha256 is not the SHA-256 of the body";
    let twice = |name| format!("{name} was sent more than once");
    let unsigned = |name| format!("{name} was sent but not signed");
    let foreign = "the host is none that the gateway answers to; see accepted_hosts".to_owned();
    let hex = "the signature is not 64 lower-case hexadecimal digits";
    let relist = |to: &str| resigned(|h| replace(h, list, to));
    let cases: Vec<(u8, &str, HeaderMap, String)> = vec![
        (2, "unknown x-amz header", resigned(|h| set(h, "x-amz-meta", "x")), unsigned("x-amz-meta")),
        (2, "token", resigned(|h| set(h, "x-amz-security-token", "token")), unsigned("x-amz-security-token")),
        (2, "date", relist("content-type;host;x-amz-target"), unsigned("x-amz-date")),
        (3, "target", relist("content-type;host;x-amz-date"), unsigned("x-amz-target")),
        (6, "list unsorted", relist("host;content-type;x-amz-date;x-amz-target"), order.into()),
        (6, "name repeated", relist("content-type;host;host;x-amz-date;x-amz-target"), order.into()),
        (6, "upper case", relist("Content-Type;host;x-amz-date;x-amz-target"), order.into()),
        (6, "empty name first", relist(";content-type;host;x-amz-date;x-amz-target"), order.into()),
        (6, "empty name inside", relist("content-type;host;;x-amz-date;x-amz-target"), order.into()),
        (6, "empty name last", relist("content-type;host;x-amz-date;x-amz-target;"), order.into()),
        (7, "host", resigned(|h| append(h, "host", HOST)), twice("host")),
        (7, "content type", resigned(|h| append(h, "content-type", "application/json")), twice("content-type")),
        (7, "length", resigned(|h| (0..2).for_each(|_| append(h, "content-length", "1"))), twice("content-length")),
        (7, "x-amz-date", resigned(|h| append(h, "x-amz-date", "20261123T182241Z")), twice("x-amz-date")),
        (7, "target", resigned(|h| append(h, "x-amz-target", "TrentService.Decrypt")), twice("x-amz-target")),
        (7, "exempt one", resigned(|h| (0..2).for_each(|_| append(h, "x-amz-cf-id", "x"))), twice("x-amz-cf-id")),
        (13, "unsigned payload", payload("UNSIGNED-PAYLOAD"), body.into()),
        (13, "streaming", payload("STREAMING-AWS4-HMAC-SHA256-PAYLOAD"), body.into()),
        (13, "unsigned trailer", payload("STREAMING-UNSIGNED-PAYLOAD-TRAILER"), body.into()),
        (14, "hash of another body", payload(&"0".repeat(64)), body.into()),
        (14, "hash in upper case", payload(&hex_of(BODY).to_uppercase()), body.into()),
        (15, "hash of nothing", payload(&hex_of(b"")), body.into()),
        (27, "another host", resigned(|h| set(h, "host", "kms.eu-west-1.amazonaws.com")), foreign.clone()),
        (27, "no host", resigned(|h| set(h, "host", "")), foreign),
        (44, "upper-case hex", with(|h| replace(h, &signature(h), &signature(h).to_uppercase())), hex.into()),
        (22, "a digit short", with(|h| replace(h, &signature(h), &signature(h).split_off(1))), hex.into()),
        (22, "a digit more", with(|h| replace(h, "Signature=", "Signature=0")), hex.into()),
        (22, "not ASCII", with(|h| replace(h, &signature(h), &"é".repeat(32))), hex.into()),
    ];
    for (row, what, headers, reason) in cases {
        let error = verify(&headers, BODY).unwrap_err();
        assert_eq!(error.to_string(), format!("the signature does not match: {reason}"), "{row}: {what}");
        assert_eq!(told(Err(error)), MISMATCH, "{row}: {what}");
    }
}

fn hex_of(body: &[u8]) -> String {
    String::from_utf8(canonical::hex_sha256(body).to_vec()).unwrap()
}

/// A request that says `payload` of its body and is signed so.
fn payload(payload: &str) -> HeaderMap {
    with(|headers| {
        set(headers, "x-amz-content-sha256", payload);
        replace(headers, ";host;", ";host;x-amz-content-sha256;");
        resign_payload(headers, payload);
    })
}

#[test]
fn what_dates_a_request_is_signed_and_stands_once() {
    let dated = |h: &mut HeaderMap| {
        remove(h, "x-amz-date");
        set(h, "date", "20261123T182241Z");
        replace(h, ";host;x-amz-date;", ";host;");
    };
    let unsigned = resigned(dated);
    let twice = resigned(|h| {
        dated(h);
        replace(h, ";host;", ";date;host;");
        append(h, "date", "20261123T182240Z");
    });
    for (headers, reason) in [(unsigned, "date was sent but not signed"), (twice, "date was sent more than once")] {
        let error = verify(&headers, BODY).unwrap_err();
        assert_eq!(error.to_string(), format!("the signature does not match: {reason}"));
    }
}

#[test]
fn any_other_change_of_a_signed_request_is_a_mismatch() {
    let other_digit = |h: &mut HeaderMap| {
        let right = signature(h);
        let (last, rest) = (right.chars().last().unwrap(), &right.as_bytes()[..63]);
        let wrong = if last == '0' { '1' } else { '0' };
        replace(h, &right, &format!("{}{wrong}", std::str::from_utf8(rest).unwrap()));
    };
    let cases = [
        (2, "target changed", with(|h| set(h, "x-amz-target", "TrentService.Decrypt"))),
        (4, "content type changed", with(|h| set(h, "content-type", "application/x-amz-json-1.0"))),
        (30, "case of a value changed", with(|h| set(h, "content-type", "application/x-amz-JSON-1.1"))),
        (27, "case of the host changed", with(|h| set(h, "host", "KMS.us-east-1.amazonaws.com"))),
        (20, "date changed", with(|h| set(h, "x-amz-date", "20261123T182242Z"))),
        (22, "last digit of the signature", with(other_digit)),
        (22, "all digits", with(|h| replace(h, &signature(h), &"0".repeat(64)))),
        (6, "name removed from the list", with(|h| replace(h, "content-type;", ""))),
        (7, "signed header repeated", {
            let mut headers = signed(now(), BODY, &[("accept", "a")]);
            append(&mut headers, "accept", "b");
            headers
        }),
    ];
    for (row, what, headers) in cases {
        let error = verify(&headers, BODY).unwrap_err();
        let reason = "the signature does not match: another key, or another request, was signed";
        assert_eq!(error.to_string(), reason, "{row}: {what}");
        assert_eq!(told(Err(error)), MISMATCH, "{row}: {what}");
    }
    for body in [&b""[..], b"{}", &BODY[1..], &[BODY, b" "].concat(), &[BODY, BODY].concat()] {
        assert_eq!(told(verify(&signed(now(), BODY, &[]), body)), MISMATCH);
    }
}

#[test]
fn a_key_or_token_that_is_not_known_is_told_in_the_same_words() {
    let renamed = |to| with(|h| replace(h, "AKIAIOSFODNN7EXAMPLE", to));
    for id in ["AKIAIOSFODNN7EXAMPLF", "akiaiosfodnn7example", "", "é"] {
        assert_eq!(told(verify(&renamed(id), BODY)), UNKNOWN, "{id}");
    }
    // Row 24: a static key has no token, also if it is signed.
    let with_token = signed(now(), BODY, &[("x-amz-security-token", "token")]);
    assert_eq!(told(verify(&with_token, BODY)), UNKNOWN);
    assert_eq!(told(verify(&signed(now(), BODY, &[("x-amz-security-token", "")]), BODY)), UNKNOWN);
    assert_eq!(
        told(Err(Error::ExpiredToken)),
        "ExpiredTokenException: The security token included in the request is expired"
    );
}

#[test]
fn another_secret_day_region_or_service_does_not_verify() {
    let (right, headers) = (region(), signed(now(), BODY, &[]));
    let hosts = AcceptedHosts::new([HOST]).unwrap();
    let regions = Regions::new(right.clone());
    let expected = Expected { regions: &regions, service: "kms", hosts: &hosts };
    let claim = || Claim::read(&headers, &expected, now()).unwrap();
    let (day, other_day) = (claim().scope_date(), ScopeDate::of(basic("20261122T182241Z")));
    let other_region = "us-east-2".parse().unwrap();
    for key in [
        SigningKey::derive("another", day, &right, "kms"),
        SigningKey::derive("", day, &right, "kms"),
        SigningKey::derive(SECRET, other_day, &right, "kms"),
        SigningKey::derive(SECRET, day, &other_region, "kms"),
        SigningKey::derive(SECRET, day, &right, "sts"),
    ] {
        assert!(matches!(claim().verify(&key, BODY), Err(Error::Mismatch(_))));
    }
    claim().verify(&SigningKey::derive(SECRET, day, &right, "kms"), BODY).unwrap();
}

#[test]
fn each_region_that_is_served_is_accepted_with_its_own_signing_key_alone() {
    let hosts = AcceptedHosts::new([HOST]).unwrap();
    let (own, replica): (Region, Region) = (region(), "eu-west-1".parse().unwrap());
    let mut regions = Regions::new(own.clone());
    regions.add(replica.clone()).unwrap();
    let expected = Expected { regions: &regions, service: "kms", hosts: &hosts };
    for (signed_for_region, other) in [(&own, &replica), (&replica, &own)] {
        let headers = signed_for(now(), BODY, &[], signed_for_region.as_str(), "kms");
        let claim = || Claim::read(&headers, &expected, now()).unwrap();
        assert_eq!(regions.get(claim().region()), signed_for_region);
        let key = |region| SigningKey::derive(SECRET, claim().scope_date(), region, "kms");
        claim().verify(&key(signed_for_region), BODY).unwrap();
        assert!(matches!(claim().verify(&key(other), BODY), Err(Error::Mismatch(_))));
    }
    // Every other one is refused as if one were served, and in the same words.
    for region in ["us-east-2", "eu-west-11", "EU-WEST-1", ""] {
        let mut headers = signed_for(now(), BODY, &[], "eu-west-1", "kms");
        replace(&mut headers, "/eu-west-1/kms", &format!("/{region}/kms"));
        let error = Claim::read(&headers, &expected, now()).unwrap_err();
        let text = format!("Credential should be scoped to a valid region, not '{region}'. ");
        assert_eq!(error, Error::Scope(text), "{region}");
    }
}

/// Wherever it stands: a text for the client ends up in logs, and a signature is good for five minutes.
#[test]
fn no_text_for_the_client_repeats_a_signature() {
    let changes: [Change; 10] = [
        |h| replace(h, "Credential=", "Credential"),
        |h| replace(h, " Credential=", ",Credential"),
        |h| replace(h, "AWS4-HMAC-SHA256 ", "AWS4-"),
        |h| replace(h, "aws4_request, SignedHeaders", "aws4_request, SignedHeaders=host, x"),
        |h| replace(h, "/aws4_request, ", "/aws4_request;"),
        |h| set(h, "authorization", &format!("AWS4-Signature={}", signature(h))),
        |h| set(h, "authorization", &format!("AWS4-HMAC-SHA256 Credential=Signature={0}, {0}", signature(h))),
        |h| set(h, "x-amz-date", &format!("Signature={}", signature(h))),
        |h| {
            let misplaced = format!("Credential=a/b/c/d/Signature={}", signature(h));
            replace(h, "Credential=AKIAIOSFODNN7EXAMPLE/20261123/us-east-1/kms/aws4_request", &misplaced);
        },
        |h| {
            let misplaced = format!("host;Signature={}", signature(h));
            replace(h, "content-type;host;x-amz-date;x-amz-target", &misplaced);
        },
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let headers = with(change);
        let right = signature(&with(|_| ()));
        let error = verify(&headers, BODY).unwrap_err();
        let text = format!("{error} {error:?} {}", told(Err(error.clone())));
        let leaked = right.as_bytes().windows(16).any(|part| text.contains(std::str::from_utf8(part).unwrap()));
        assert!(!leaked, "{index}: {text}");
    }
}

/// What can be wrong, in the order in which AWS tells of it, with what the error says. From `order` on it is what
/// AWS has no text of its own for, but for `sent`.
const IN_ORDER: [(&str, Change, &str); 17] = [
    ("no signature", |h| remove(h, "authorization"), "no SigV4 Authorization header"),
    ("algorithm", |h| edit(h, "AWS4-HMAC-SHA256", "AWS4-X"), "unsupported signing algorithm"),
    ("key=value", |h| edit(h, " Credential=", " x, Credential="), "header is malformed"),
    ("missing parameter", |h| edit(h, &signature(h), ""), "header is incomplete"),
    ("host signed", |h| edit(h, "host;", ""), "host is not signed"),
    ("date", |h| set(h, "x-amz-date", "2026"), "date is malformed"),
    ("expired", |h| set(h, "x-amz-date", "20261122T182241Z"), "has expired"),
    ("not yet current", |h| set(h, "x-amz-date", "20261124T182241Z"), "is not yet current"),
    ("five elements", |h| edit(h, "/kms/", "/"), "has not five elements"),
    ("scope", |h| edit(h, "us-east-1", "us-east-2"), "is scoped to something else"),
    ("order", |h| edit(h, "x-amz-date;", ";x-amz-date;"), "not sorted"),
    ("sent", |h| edit(h, "x-amz-target,", "x-amz-target;x-none,"), "`x-none` is named as signed but was not sent"),
    ("signed", |h| set(h, "x-amz-meta", "x"), "x-amz-meta was sent but not signed"),
    ("once", |h| append(h, "x-amz-target", "x"), "x-amz-target was sent more than once"),
    ("host", |h| set(h, "host", "example.com"), "the host is none that the gateway answers to"),
    ("key", |h| edit(h, "AKIA", "ASIA"), "access key or session token is not known"),
    ("signature", |h| set(h, "content-type", "text/plain"), "another request, was signed"),
];

/// Replaces a part of the `Authorization` header's text if header and part are there.
fn edit(headers: &mut HeaderMap, from: &str, to: &str) {
    if headers.get("authorization").is_some_and(|value| value.to_str().unwrap().contains(from)) {
        replace(headers, from, to);
    }
}

#[test]
fn of_two_faults_the_first_in_awss_order_is_told() {
    let told = |headers: &HeaderMap| verify(headers, BODY).unwrap_err().to_string();
    for (index, (first, earlier, text)) in IN_ORDER.iter().enumerate() {
        let alone = told(&with(earlier));
        assert!(alone.contains(text), "{first}: {alone}");
        for (second, later, _) in IN_ORDER.iter().skip(index + 1) {
            let both = told(&with(|h| {
                later(h);
                earlier(h);
            }));
            assert!(both.contains(text), "{first} before {second}: {both}");
        }
    }
}

/// A token that is no text is refused where a token's validity is: after the scope, before the key.
#[test]
fn a_token_that_is_not_text_is_not_known() {
    let token = |h: &mut HeaderMap| {
        h.insert("x-amz-security-token", HeaderValue::from_bytes(b"\xff").unwrap());
        replace(h, ";x-amz-target", ";x-amz-security-token;x-amz-target");
    };
    assert_eq!(told(verify(&resigned(token), BODY)), UNKNOWN);
}
