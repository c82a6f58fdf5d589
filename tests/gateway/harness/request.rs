//! Requests signed by AWS's own signer, open to every change afterwards.

use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use kmsgate::clock::{Clock, Timestamp};
use kmsgate::random;
use serde_json::Value;

use super::REGION;

/// What KMS takes, and nothing else.
pub(crate) const CONTENT_TYPE: &str = "application/x-amz-json-1.1";

/// A principal's access key, made for one test.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The principal's ARN, as AWS's messages name it.
    pub(crate) arn: String,
    pub(crate) access_key_id: String,
    pub(crate) secret: String,
}

impl Caller {
    /// A new access key.
    pub(crate) fn generate(arn: &str) -> Self {
        let bytes = random::bytes::<28>().unwrap();
        let text = hex::encode_upper(bytes);
        let (id, secret) = text.split_at(16);
        Self { arn: arn.to_owned(), access_key_id: format!("AKIA{id}"), secret: secret.to_owned() }
    }

    /// Nobody; replaced before anything is signed.
    pub(super) const fn placeholder() -> Self {
        Self { arn: String::new(), access_key_id: String::new(), secret: String::new() }
    }

    /// A request for `operation`, signed now, as SDKs write it.
    pub(crate) fn request(&self, host: &str, operation: &str, body: &Value) -> Request {
        self.raw(host, operation, body.to_string().as_bytes())
    }

    /// As [`Self::request`], with a body that need not be JSON.
    pub(crate) fn raw(&self, host: &str, operation: &str, body: &[u8]) -> Request {
        let target = format!("TrentService.{operation}");
        self.sign(&[("host", host), ("content-type", CONTENT_TYPE), ("x-amz-target", &target)], body)
    }

    /// Signs these headers, `host` among them, and `body`.
    pub(crate) fn sign(&self, headers: &[(&str, &str)], body: &[u8]) -> Request {
        self.sign_at(Clock::System.now(), headers, body)
    }

    /// As [`Self::sign`], dated `at`.
    pub(crate) fn sign_at(&self, at: Timestamp, headers: &[(&str, &str)], body: &[u8]) -> Request {
        let identity = Credentials::new(&self.access_key_id, &self.secret, None, None, "test").into();
        let time = UNIX_EPOCH + Duration::from_micros(u64::try_from(at.unix_micros()).unwrap());
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(REGION)
            .name("kms")
            .time(time)
            .settings(SigningSettings::default())
            .build()
            .unwrap()
            .into();
        let (_, host) = headers.iter().find(|(name, _)| *name == "host").unwrap();
        let url = format!("http://{host}/");
        let signable = SignableRequest::new("POST", url, headers.iter().copied(), SignableBody::Bytes(body));
        let (instructions, _signature) = sign(signable.unwrap(), &parameters).unwrap().into_parts();
        let own = headers.iter().copied().chain(instructions.headers());
        let mut headers: Vec<_> = own.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        headers.push(("content-length".to_owned(), body.len().to_string()));
        Request { line: "POST / HTTP/1.1".to_owned(), headers, body: body.to_vec() }
    }
}

/// A request as it will be sent. What is changed here was not signed.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The request line.
    pub(crate) line: String,
    /// In the order sent.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// With another request line.
    pub(crate) fn line(mut self, line: &str) -> Self {
        line.clone_into(&mut self.line);
        self
    }

    /// With one more header.
    pub(crate) fn add(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Without a header that is there.
    pub(crate) fn remove(mut self, name: &str) -> Self {
        let before = self.headers.len();
        self.headers.retain(|(own, _)| own != name);
        assert!(self.headers.len() < before, "there is no {name}");
        self
    }

    /// With another value of a header that is there.
    pub(crate) fn replace(mut self, name: &str, change: impl FnOnce(&str) -> String) -> Self {
        let (_, value) = self.headers.iter_mut().find(|(own, _)| own == name).unwrap();
        *value = change(value);
        self
    }

    /// With the last digit of its signature changed.
    pub(crate) fn forged(self) -> Self {
        self.replace("authorization", |value| {
            let (rest, last) = value.split_at(value.len() - 1);
            format!("{rest}{}", if last == "0" { "1" } else { "0" })
        })
    }

    /// Its body in chunks of `size` bytes, in place of its length.
    pub(crate) fn chunked(self, size: usize) -> Self {
        let mut body = Vec::new();
        for chunk in self.body.chunks(size) {
            body.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            body.extend_from_slice(chunk);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"0\r\n\r\n");
        Self { body, ..self.remove("content-length").add("transfer-encoding", "chunked") }
    }

    /// The head, with the empty line at its end.
    pub(crate) fn head(&self) -> Vec<u8> {
        let mut head = format!("{}\r\n", self.line);
        for (name, value) in &self.headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        head.push_str("\r\n");
        head.into_bytes()
    }

    /// Head and body.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}
