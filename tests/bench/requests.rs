//! The requests: real ones, signed beforehand by AWS's own signer, each with another signature.
//!
//! A few are forged on purpose. A server that answers them like the others checks nothing, and a figure of
//! its speed says nothing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use kmsgate::clock::Clock;
use kmsgate::random;

use crate::Outcome;

/// How many are signed: enough that no cache of whole requests could help.
const DISTINCT: usize = 4096;
/// Every one of this many is forged: 1 %.
const FORGED_EVERY: usize = 100;
/// A signature is good for five minutes; none is used that may become older than this and a round.
const GOOD_FOR: Duration = Duration::from_secs(150);

/// Who signs, and for whom.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The host header: the gateway's address.
    pub(crate) host: String,
    /// The region of the credential scope.
    pub(crate) region: String,
    /// The access key's id.
    pub(crate) access_key_id: String,
    /// The access key's secret, made for this run alone.
    pub(crate) secret: String,
}

/// One request as its bytes on the wire.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Head and body.
    pub(crate) bytes: Vec<u8>,
    /// The signature was changed after signing.
    pub(crate) forged: bool,
}

impl Caller {
    /// Who calls the gateway at `address`, with a secret that is made now.
    pub(crate) fn make(address: SocketAddr, region: &str, access_key_id: &str) -> Outcome<Self> {
        Ok(Self {
            host: address.to_string(),
            region: region.to_owned(),
            access_key_id: access_key_id.to_owned(),
            secret: hex::encode(random::bytes::<20>().map_err(|error| error.to_string())?),
        })
    }

    /// `operation` with `body`, signed now, written as botocore writes it.
    pub(crate) fn sign(&self, operation: &str, body: &str) -> Outcome<Request> {
        let identity =
            Credentials::new(self.access_key_id.as_str(), self.secret.as_str(), None, None, "benchmark").into();
        let now = Clock::System.now().unix_micros();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("kms")
            .time(UNIX_EPOCH + Duration::from_micros(u64::try_from(now)?))
            .settings(SigningSettings::default())
            .build()?
            .into();
        let target = format!("TrentService.{operation}");
        let headers = [("host", self.host.as_str()), ("content-type", CONTENT_TYPE), ("x-amz-target", target.as_str())];
        let signable = SignableRequest::new(
            "POST",
            format!("http://{}/", self.host),
            headers.into_iter(),
            SignableBody::Bytes(body.as_bytes()),
        )?;
        let (instructions, _signature) = sign(signable, &parameters)?.into_parts();
        let mut head = format!(
            "POST / HTTP/1.1\r\nHost: {}\r\nAccept-Encoding: identity\r\nX-Amz-Target: {target}\r\n\
             Content-Type: {CONTENT_TYPE}\r\nUser-Agent: {USER_AGENT}\r\n",
            self.host
        );
        for (name, value) in instructions.headers() {
            head.extend([name, ": ", value, "\r\n"]);
        }
        head.push_str("amz-sdk-invocation-id: 7c6d1f0a-3b52-4c8e-9d0e-52d1b6a0f3c4\r\namz-sdk-request: attempt=1\r\n");
        head.extend(["Content-Length: ", &body.len().to_string(), "\r\n\r\n", body]);
        Ok(Request { bytes: head.into_bytes(), forged: false })
    }
}

const CONTENT_TYPE: &str = "application/x-amz-json-1.1";
const USER_AGENT: &str = "Boto3/1.40.0 md/Botocore#1.40.0 ua/2.1 os/linux#6.12 md/arch#x86_64 lang/python#3.13.5 \
                          md/pyimpl#CPython m/b,Z cfg/retry-mode#legacy Botocore/1.40.0";

/// The set that every server is driven with.
pub(crate) struct Requests {
    caller: Caller,
    key_id: String,
    signed: Arc<[Request]>,
    until: std::time::Instant,
}

impl Requests {
    /// Signs the set: `GenerateDataKeyWithoutPlaintext` on `key_id` with an encryption context.
    pub(crate) fn new(caller: Caller, key_id: String) -> Outcome<Self> {
        let signed = sign_all(&caller, &key_id)?;
        Ok(Self { caller, key_id, signed, until: crate::measure::now() + GOOD_FOR })
    }

    /// The set, signed anew if a signature could become too old within a round.
    pub(crate) fn fresh(&mut self) -> Outcome<Arc<[Request]>> {
        if crate::measure::now() > self.until {
            self.signed = sign_all(&self.caller, &self.key_id)?;
            self.until = crate::measure::now() + GOOD_FOR;
        }
        Ok(Arc::clone(&self.signed))
    }

    /// The first honest one.
    pub(crate) fn honest(&self) -> Outcome<&Request> {
        self.signed.iter().find(|request| !request.forged).ok_or_else(|| "no request was signed".into())
    }
}

fn sign_all(caller: &Caller, key_id: &str) -> Outcome<Arc<[Request]>> {
    sign_each(caller, std::iter::repeat_n(key_id, DISTINCT))
}

/// Signs a `GenerateDataKeyWithoutPlaintext` on each of `keys`, by their ids or aliases, with an encryption context of
/// its own. One of a hundred is forged.
pub(crate) fn sign_each<'k>(caller: &Caller, keys: impl Iterator<Item = &'k str>) -> Outcome<Arc<[Request]>> {
    keys.enumerate()
        .map(|(index, key)| {
            let body = format!(
                r#"{{"KeyId": "{key}", "KeySpec": "AES_256", "EncryptionContext": {{"record": "r{index:06}"}}}}"#
            );
            let request = caller.sign("GenerateDataKeyWithoutPlaintext", &body)?;
            if index % FORGED_EVERY == FORGED_EVERY / 2 { forge(request) } else { Ok(request) }
        })
        .collect()
}

/// Changes the last digit of the signature: everything before it is as good as in an honest request.
fn forge(mut request: Request) -> Outcome<Request> {
    let mark = b"Signature=";
    let start = request.bytes.windows(mark.len()).position(|part| part == mark).ok_or("no signature to forge")?;
    let last = request.bytes.get_mut(start + mark.len() + 63).ok_or("a signature of another length")?;
    *last = if *last == b'0' { b'1' } else { b'0' };
    request.forged = true;
    Ok(request)
}
