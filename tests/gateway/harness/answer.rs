//! Answers, and what every refusal must have so that an SDK can read it.

use kmsgate::clock::Clock;
use serde_json::Value;
use time::PrimitiveDateTime;
use time::macros::format_description;

use super::CONTENT_TYPE;

/// How far the `Date` header may be from the time at which the answer is read: SDKs set their clocks by it.
const DATE_TOLERANCE_SECONDS: i64 = 5;

/// One answer, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// An answer that refuses, as SDKs read it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) message: Option<String>,
}

impl Answer {
    /// The answer that `bytes` begin with, and its length; `None` if it is not whole.
    pub(super) fn parse(bytes: &[u8], bodiless: bool) -> Option<(Self, usize)> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let header = |line: &str| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_ascii_lowercase(), value.trim().to_owned())
        };
        let mut answer = Self { status, headers: lines.map(header).collect(), body: Vec::new() };
        let length: usize = match answer.header("content-length") {
            Some(length) if !bodiless => length.parse().unwrap(),
            _ => 0,
        };
        answer.body = bytes.get(end..end + length)?.to_vec();
        Some((answer, end + length))
    }

    /// The value of a header that stands at most once.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(own, _)| own == name).map(|(_, value)| value.as_str());
        let value = values.next();
        assert_eq!(values.next(), None, "{name} stands twice");
        value
    }

    /// `x-amzn-RequestId`: a UUID.
    pub(crate) fn request_id(&self) -> &str {
        let id = self.header("x-amzn-requestid").unwrap_or_else(|| panic!("an answer without an id: {self:?}"));
        let groups: Vec<_> = id.split('-').map(str::len).collect();
        assert_eq!(groups, [8, 4, 4, 4, 12], "{id}");
        assert!(id.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)), "{id}");
        id
    }

    /// The body as JSON, of an answer that grants.
    pub(crate) fn granted(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body.escape_ascii());
        self.whole();
        assert_eq!(self.header("x-amzn-errortype"), None);
        if self.body.is_empty() { Value::Null } else { serde_json::from_slice(&self.body).unwrap() }
    }

    /// The answer as a refusal, which every SDK can read: by its body and by its header.
    pub(crate) fn refused(&self) -> Refusal {
        assert_ne!(self.status, 200, "{}", self.body.escape_ascii());
        self.whole();
        let body: Value = serde_json::from_slice(&self.body).unwrap();
        let members = body.as_object().unwrap();
        let code = members["__type"].as_str().unwrap();
        assert_eq!(self.header("x-amzn-errortype"), Some(code));
        // KMS writes AccessDeniedException's with a capital.
        let name = if code == "AccessDeniedException" { "Message" } else { "message" };
        let message = members.get(name).map(|message| message.as_str().unwrap().to_owned());
        assert_eq!(members.len(), 1 + usize::from(message.is_some()), "{body}");
        Refusal { status: self.status, code: code.to_owned(), message }
    }

    /// The headers of every answer of the gateway.
    fn whole(&self) {
        assert_eq!(self.header("content-type"), Some(CONTENT_TYPE));
        assert_eq!(self.header("content-length"), Some(self.body.len().to_string().as_str()));
        self.request_id();
        let format =
            format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
        let date = PrimitiveDateTime::parse(self.header("date").unwrap(), format).unwrap().assume_utc();
        let off = Clock::System.now().unix_seconds() - date.unix_timestamp();
        assert!(off.abs() <= DATE_TOLERANCE_SECONDS, "the Date header is {off} s off");
    }
}

impl Refusal {
    /// What is expected of a refusal with a text.
    pub(crate) fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: Some(message.into()) }
    }

    /// What is expected of one that KMS sends without a text.
    pub(crate) fn bare(status: u16, code: &str) -> Self {
        Self { status, code: code.to_owned(), message: None }
    }

    /// Status and code: all that can be asked for where nobody has recorded AWS's text.
    pub(crate) fn kind(&self) -> (u16, &str) {
        (self.status, &self.code)
    }

    /// The text.
    pub(crate) fn text(&self) -> &str {
        self.message.as_deref().unwrap_or_default()
    }
}
