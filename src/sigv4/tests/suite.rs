//! AWS's official vectors, each intermediate asserted: canonical request, string to sign, signature.
//!
//! They lie beside the repository and are not part of it; where they are not, the vectors of [`super::vectors`]
//! still run. The product takes `POST /` alone and refuses all else before it canonicalises anything, so it has no
//! canonicalisation of paths and queries: the suites' own canonical ones are handed in.

use std::fs;
use std::path::{Path, PathBuf};

use super::canonical::RequestLine;
use super::signed_headers::SignedHeaders;
use super::*;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/sigv4-suite");
const SUITE_ID: &str = "AKIDEXAMPLE";
const SUITE_SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// One case of any of the suites.
struct Case {
    name: String,
    /// The signed request, as bytes of HTTP/1.1 with bare line feeds.
    request: String,
    canonical_request: String,
    string_to_sign: String,
    signature: String,
    service: &'static str,
    region: &'static str,
}

#[test]
fn aws_c_auth_v4() {
    let Some(folders) = folders("aws-c-auth/v4") else { return };
    println!("query-*.txt of all cases: not run, KMS takes no signature in the query and neither does the gateway");
    let run = folders.iter().map(|folder| {
        let read = |file: &str| text(&folder.join(file));
        check(&Case {
            name: folder.display().to_string(),
            request: read("header-signed-request.txt"),
            canonical_request: read("header-canonical-request.txt"),
            string_to_sign: read("header-string-to-sign.txt"),
            signature: read("header-signature.txt"),
            service: "service",
            region: "us-east-1",
        })
    });
    assert_eq!(tally(run), Tally { intermediates: 38, read: 37, verified: 7, unsigned_token: 1 });
}

#[test]
fn botocore() {
    let Some(mut folders) = folders("botocore") else { return };
    let (groups, mut cases): (Vec<_>, Vec<_>) =
        folders.drain(..).partition(|folder| folder.ends_with("normalize-path") || folder.ends_with("post-sts-token"));
    cases.extend(groups.iter().flat_map(|group| subfolders(group)));
    let run = cases.iter().map(|folder| {
        let name = folder.file_name().unwrap().to_str().unwrap();
        let read = |extension: &str| text(&folder.join(format!("{name}.{extension}")));
        check(&Case {
            name: folder.display().to_string(),
            request: read("sreq"),
            canonical_request: read("creq"),
            string_to_sign: read("sts"),
            signature: read("authz").split_once("Signature=").unwrap().1.to_owned(),
            service: "service",
            region: "us-east-1",
        })
    });
    assert_eq!(tally(run), Tally { intermediates: 34, read: 33, verified: 7, unsigned_token: 1 });
}

#[test]
fn smithy_rs_extra() {
    let Some(folders) = folders("smithy-rs-extra") else { return };
    println!("double-encode-path: its canonical request alone, the suite has no string to sign or signature of it");
    for folder in &folders {
        let canonical_request = text(&folder.join("header-canonical-request.txt"));
        let mut headers = parse(&text(&folder.join("request.txt"))).0;
        // Here the signer dates the request.
        let (_, dated) = canonical_request.split_once("x-amz-date:").unwrap();
        set(&mut headers, "x-amz-date", dated.lines().next().unwrap());
        assert_eq!(canonical_of(&canonical_request, &headers, b""), canonical_request);
    }
    let folder = Path::new(FOLDER).join("smithy-rs-extra/double-url-encode");
    let request = text(&folder.join("header-signed-request.txt"));
    let (_, signature) = request.trim_end().split_once("Signature=").unwrap();
    let outcome = check(&Case {
        name: "double-url-encode".into(),
        canonical_request: text(&folder.join("header-canonical-request.txt")),
        string_to_sign: text(&folder.join("header-string-to-sign.txt")),
        signature: signature.to_owned(),
        service: "lambda",
        region: "us-east-2",
        request: request.clone(),
    });
    assert_eq!(folders.len(), 2);
    assert!(matches!(outcome, Outcome::Read));
}

#[test]
fn aws_c_auth_v4a_is_refused_by_its_algorithm() {
    let Some(folders) = folders("aws-c-auth/v4a") else { return };
    let (signed, unsigned): (Vec<_>, Vec<_>) =
        folders.into_iter().map(|folder| folder.join("header-signed-request.txt")).partition(|file| file.is_file());
    for file in &unsigned {
        println!("{}: not run, the suite has no such file", file.display());
    }
    let hosts = AcceptedHosts::new(["example.amazonaws.com"]).unwrap();
    let expected = Expected { regions: &Regions::new(region()), service: "service", hosts: &hosts };
    for file in &signed {
        let error = Claim::read(&parse(&text(file)).0, &expected, basic("20150830T123600Z")).unwrap_err();
        assert_eq!(error, Error::UnsupportedAlgorithm("AWS4-ECDSA-P256-SHA256".into()), "{}", file.display());
    }
    assert_eq!((signed.len(), unsigned.len()), (38, 2));
}

/// The subfolders of a suite; `None`, and a line that says so, where there are no suites.
fn folders(suite: &str) -> Option<Vec<PathBuf>> {
    let folder = Path::new(FOLDER).join(suite);
    if !folder.is_dir() {
        println!("{suite}: not run, there is no {FOLDER}; the committed vectors of botocore run all the same");
        return None;
    }
    Some(subfolders(&folder))
}

fn subfolders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_dir()).collect()
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).trim_end().to_owned()
}

/// How far a case goes with the product.
enum Outcome {
    /// Not `POST /`: the head is read, and the signature over the suite's own path verified.
    Read,
    /// The whole way.
    Verified,
    /// Its session token was added after signing, which is refused here.
    UnsignedToken,
}

#[derive(Debug, Default, PartialEq)]
struct Tally {
    intermediates: usize,
    read: usize,
    verified: usize,
    unsigned_token: usize,
}

fn tally(outcomes: impl Iterator<Item = Outcome>) -> Tally {
    outcomes.fold(Tally::default(), |mut tally, outcome| {
        tally.intermediates += 1;
        tally.read += usize::from(!matches!(outcome, Outcome::UnsignedToken));
        tally.verified += usize::from(matches!(outcome, Outcome::Verified));
        tally.unsigned_token += usize::from(matches!(outcome, Outcome::UnsignedToken));
        tally
    })
}

fn check(case: &Case) -> Outcome {
    let (headers, body) = parse(&case.request);
    let amz_date = headers["x-amz-date"].to_str().unwrap();
    let scope = format!("{}/{}/{}/aws4_request", &amz_date.split_once('T').unwrap().0, case.region, case.service);
    let region = case.region.parse().unwrap();
    let key = SigningKey::derive(SUITE_SECRET, ScopeDate::of(basic(amz_date)), &region, case.service);

    let canonical_request = canonical_of(&case.canonical_request, &headers, body.as_bytes());
    assert_eq!(canonical_request, case.canonical_request, "{}", case.name);
    let string_to_sign = canonical::string_to_sign(amz_date, &scope, canonical_request.as_bytes());
    assert_eq!(std::str::from_utf8(&string_to_sign).unwrap(), case.string_to_sign, "{}", case.name);
    assert!(key.signed(&string_to_sign, &case.signature), "{}", case.name);

    let hosts = AcceptedHosts::new([headers["host"].to_str().unwrap()]).unwrap();
    let regions = Regions::new(region.clone());
    let expected = Expected { regions: &regions, service: case.service, hosts: &hosts };
    match Claim::read(&headers, &expected, basic(amz_date)) {
        Ok(claim) => {
            assert_eq!(claim.access_key_id(), SUITE_ID);
            let verified = claim.verify(&key, body.as_bytes()).is_ok();
            assert_eq!(verified, case.canonical_request.starts_with("POST\n/\n\n"), "{}", case.name);
            if verified { Outcome::Verified } else { Outcome::Read }
        }
        Err(error) => {
            assert_eq!(error, Error::Mismatch("x-amz-security-token was sent but not signed".into()), "{}", case.name);
            Outcome::UnsignedToken
        }
    }
}

/// Our canonical request, for the method, path, query and header names of the expected one.
fn canonical_of(expected: &str, headers: &HeaderMap, body: &[u8]) -> String {
    let mut lines = expected.lines();
    let mut next = || lines.next().unwrap();
    let line = RequestLine { method: next(), path: next(), query: next() };
    let list = expected.lines().rev().nth(1).unwrap();
    let head = canonical::head(line, SignedHeaders::read(list).unwrap(), headers).unwrap();
    String::from_utf8([&head[..], &canonical::hex_sha256(body)].concat()).unwrap()
}

/// Headers and body of a request in the suites' form; a folded line becomes what a server makes of it, one value.
fn parse(request: &str) -> (HeaderMap, String) {
    let (head, body) = request.split_once("\n\n").unwrap_or((request, ""));
    let mut headers = HeaderMap::new();
    for line in head.replace("\n ", " ").lines().skip(1) {
        let (name, value) = line.split_once(':').unwrap();
        headers.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value.trim().as_bytes()).unwrap());
    }
    (headers, body.to_owned())
}
