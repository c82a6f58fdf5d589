//! Looks at the head alone: is it a request to KMS, and to which of its operations?
//!
//! Nothing here depends on who calls, and nothing of the body has been read. What could be read in two ways,
//! by this gateway and by a service behind it, is refused (DESIGN.md, "One request").

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, Method, Version};

use super::{Audited, RequestLine, Step, Timed};
use crate::aws::Operation;
use crate::error::{Error, HeadFault};
use crate::stage::RequestContext;

const AMZ_TARGET: HeaderName = HeaderName::from_static("x-amz-target");

/// Headers that decide who is asking for what: each may stand once.
const ONCE: [HeaderName; 6] = [HOST, AUTHORIZATION, CONTENT_TYPE, CONTENT_LENGTH, TRANSFER_ENCODING, AMZ_TARGET];

/// A request to one operation of KMS; its caller is not known yet.
#[derive(Debug)]
pub struct Received<B> {
    pub(super) context: RequestContext,
    pub(super) operation: Operation,
    pub(super) body: B,
    _made_here: (),
}

/// The step that makes [`Received`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Receive;

impl<B> Step<Timed<B>> for Receive {
    type Out = Received<B>;

    fn step(&self, timed: Timed<B>) -> Result<Received<B>, Error> {
        let Audited { context, line, body, .. } = timed.guarded.audited;
        let operation = operation(&line, &context.headers)?;
        context.draft.operation(operation.name(), !operation.mutating());
        Ok(Received { context, operation, body, _made_here: () })
    }
}

fn operation(line: &RequestLine, headers: &HeaderMap) -> Result<Operation, HeadFault> {
    if line.method != Method::POST {
        return Err(HeadFault::Method);
    }
    let http_1_1 = line.version == Version::HTTP_11;
    if !http_1_1 || line.uri.authority().is_some() || headers.contains_key(UPGRADE) {
        return Err(HeadFault::Form);
    }
    if line.uri.path() != "/" {
        return Err(HeadFault::Path);
    }
    if line.uri.query().is_some() {
        return Err(HeadFault::Query);
    }
    // Two Authorization headers are the verifier's to refuse, in AWS's words.
    let repeated = |name: &&HeaderName| **name != AUTHORIZATION && headers.get_all(*name).iter().nth(1).is_some();
    // Where no header stands twice, none of these does.
    if headers.keys_len() < headers.len()
        && let Some(name) = ONCE.iter().find(repeated)
    {
        return Err(HeadFault::Repeated(display(name)));
    }
    if !is_aws_json_1_1(headers) {
        return Err(HeadFault::ContentType);
    }
    if headers.get(TRANSFER_ENCODING).is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked")) {
        return Err(HeadFault::TransferEncoding);
    }
    hop_by_hop(headers)?;
    let target = headers.get(AMZ_TARGET).ok_or(HeadFault::Target)?;
    Operation::from_target(target.as_bytes()).ok_or(HeadFault::Target)
}

fn is_aws_json_1_1(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE).map(http::HeaderValue::as_bytes) else { return false };
    let mut parts = value.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    let essence = parts.next().unwrap_or_default();
    // JSON has one encoding (RFC 8259 section 8.1); who says another means another body.
    let utf8 = |part: &[u8]| part.eq_ignore_ascii_case(b"charset=utf-8");
    essence.eq_ignore_ascii_case(b"application/x-amz-json-1.1") && parts.all(utf8)
}

/// A `Connection` header makes each header it names hop-by-hop: whoever forwards the request may take it out. One that
/// was signed must not be, so only what belongs to the connection itself may be named.
fn hop_by_hop(headers: &HeaderMap) -> Result<(), HeadFault> {
    let own =
        |token: &[u8]| [&b"close"[..], b"keep-alive", b"te", b""].iter().any(|own| token.eq_ignore_ascii_case(own));
    let tokens = headers.get_all(CONNECTION).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    if tokens.map(<[u8]>::trim_ascii).all(own) { Ok(()) } else { Err(HeadFault::HopByHop) }
}

/// The name as a constant text, for an error that holds no copy of it.
fn display(name: &HeaderName) -> &'static str {
    match name.as_str() {
        "host" => "Host",
        "authorization" => "Authorization",
        "content-type" => "Content-Type",
        "content-length" => "Content-Length",
        "transfer-encoding" => "Transfer-Encoding",
        _ => "X-Amz-Target",
    }
}

#[cfg(test)]
mod tests {
    use http::request::Parts;

    use super::*;

    fn operation(head: &Parts) -> Result<Operation, HeadFault> {
        let (method, uri) = (head.method.clone(), head.uri.clone());
        super::operation(&RequestLine { method, uri, version: head.version }, &head.headers)
    }

    fn head(change: impl FnOnce(http::request::Builder) -> http::request::Builder) -> Parts {
        let builder = http::Request::post("/").header(HOST, "localhost");
        change(builder).body(()).unwrap().into_parts().0
    }

    fn valid(builder: http::request::Builder) -> http::request::Builder {
        builder.header("content-type", "application/x-amz-json-1.1").header("x-amz-target", "TrentService.Decrypt")
    }

    #[test]
    fn a_request_as_sdks_send_it_names_its_operation() {
        assert_eq!(operation(&head(valid)), Ok(Operation::Decrypt));
    }

    #[test]
    fn a_charset_after_the_content_type_changes_nothing() {
        let with_charset = head(|b| {
            b.header("content-type", "application/x-amz-json-1.1; charset=utf-8")
                .header("x-amz-target", "TrentService.Decrypt")
        });
        assert_eq!(operation(&with_charset), Ok(Operation::Decrypt));
    }

    #[test]
    fn what_is_no_request_to_kms_is_refused_by_its_first_fault() {
        let cases = [
            (head(|b| valid(b).method("GET")), HeadFault::Method),
            (head(|b| valid(b).method("OPTIONS")), HeadFault::Method),
            (head(|b| valid(b).uri("/x")), HeadFault::Path),
            (head(|b| valid(b).uri("//")), HeadFault::Path),
            (head(|b| valid(b).uri("/?X-Amz-Algorithm=AWS4-HMAC-SHA256")), HeadFault::Query),
            (head(|b| valid(b).uri("/?")), HeadFault::Query),
            (head(|b| valid(b).uri("http://localhost/")), HeadFault::Form),
            (head(|b| valid(b).version(Version::HTTP_10)), HeadFault::Form),
            (head(|b| valid(b).header("upgrade", "h2c")), HeadFault::Form),
            (head(|b| b.header("x-amz-target", "TrentService.Decrypt")), HeadFault::ContentType),
            (
                head(|b| b.header("content-type", "application/json").header("x-amz-target", "TrentService.Decrypt")),
                HeadFault::ContentType,
            ),
            (
                head(|b| {
                    b.header("content-type", "application/x-amz-json-1.0")
                        .header("x-amz-target", "TrentService.Decrypt")
                }),
                HeadFault::ContentType,
            ),
            (head(|b| valid(b).header("x-amz-target", "TrentService.Decrypt")), HeadFault::Repeated("X-Amz-Target")),
            (head(|b| valid(b).header("host", "other")), HeadFault::Repeated("Host")),
            (head(|b| valid(b).header("transfer-encoding", "gzip, chunked")), HeadFault::TransferEncoding),
            (head(|b| valid(b).header("transfer-encoding", "identity")), HeadFault::TransferEncoding),
            (head(|b| valid(b).header("connection", "close, X-Amz-Date")), HeadFault::HopByHop),
            (head(|b| valid(b).header("connection", "authorization")), HeadFault::HopByHop),
            (head(|b| valid(b).header("connection", "keep-alive, user-agent")), HeadFault::HopByHop),
            (
                head(|b| {
                    b.header("content-type", "application/x-amz-json-1.1; charset=utf-16")
                        .header("x-amz-target", "TrentService.Decrypt")
                }),
                HeadFault::ContentType,
            ),
            (head(|b| b.header("content-type", "application/x-amz-json-1.1")), HeadFault::Target),
            (
                head(|b| {
                    b.header("content-type", "application/x-amz-json-1.1")
                        .header("x-amz-target", "trentservice.Decrypt")
                }),
                HeadFault::Target,
            ),
            (
                head(|b| b.header("content-type", "application/x-amz-json-1.1").header("x-amz-target", "Decrypt")),
                HeadFault::Target,
            ),
        ];
        for (head, fault) in cases {
            assert_eq!(operation(&head), Err(fault), "{head:?}");
        }
    }
}
