"""Writes botocore_sigv4.json: requests to KMS as botocore signs them, with each intermediate.

The unit tests of src/sigv4 read the file; nothing runs this script but a person who wants other vectors:

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install botocore==1.44.5
    /tmp/venv/bin/python tests/vectors/botocore_sigv4.py

Two runs write the same bytes. The credentials are the examples of AWS's documentation; nothing is sent.
"""

import datetime
import json
import pathlib
import uuid
from unittest import mock

import botocore
import botocore.auth
import botocore.session
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.credentials import Credentials

VERSION = "1.44.5"
ID = "AKIAIOSFODNN7EXAMPLE"
TEMPORARY_ID = "ASIAIOSFODNN7EXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
TOKEN = (
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwt"
    "hAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVX"
    "AkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="
)
KEY_ARN = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
NOW = datetime.datetime(2026, 11, 23, 18, 22, 41, tzinfo=datetime.timezone.utc)
CONTENT_TYPE = "application/x-amz-json-1.1"

vectors = []


class Recorder(botocore.auth.SigV4Auth):
    """botocore's signer, which also keeps what it computed on the way."""

    last = None

    def string_to_sign(self, request, canonical_request):
        text = super().string_to_sign(request, canonical_request)
        Recorder.last = {"canonical_request": canonical_request, "string_to_sign": text}
        return text

    def signature(self, string_to_sign, request):
        signature = super().signature(string_to_sign, request)
        Recorder.last["signature"] = signature
        return signature


def keep(name, region, host, now, headers, body):
    headers = [[key, value.decode() if isinstance(value, bytes) else value] for key, value in headers]
    # botocore leaves the Host header to its HTTP client, and signs what that will send.
    if not any(key.lower() == "host" for key, _ in headers):
        headers.insert(0, ["Host", host])
    now = now.strftime("%Y%m%dT%H%M%SZ")
    body = body if isinstance(body, str) else body.decode()
    vectors.append({"name": name, "region": region, "now": now, "headers": headers, "body": body, **Recorder.last})


def at(now):
    return mock.patch.object(botocore.auth, "get_current_datetime", lambda *_: now.replace(tzinfo=None))


def signed(name, body, *, headers=(), region="us-east-1", host=None, port="", token=None, now=NOW,
           target="GenerateDataKeyWithoutPlaintext"):
    """A request of our own making, signed by botocore."""
    host = (host or f"kms.{region}.amazonaws.com") + port
    request = AWSRequest("POST", f"https://{host}/", data=body)
    for key, value in [("Content-Type", CONTENT_TYPE), ("X-Amz-Target", f"TrentService.{target}"), *headers]:
        request.headers.add_header(key, value)
    credentials = Credentials(TEMPORARY_ID if token else ID, SECRET, token)
    with at(now):
        Recorder(credentials, "kms", region).add_auth(request)
    keep(name, region, host, now, request.headers.items(), body)


def called(name, operation, parameters, *, region="us-east-1", token=None, endpoint=None):
    """A request that botocore's own KMS client makes."""
    session = botocore.session.Session()
    session.set_credentials(TEMPORARY_ID if token else ID, SECRET, token)
    client = session.create_client("kms", region_name=region, endpoint_url=endpoint)

    def before_send(request, **_):
        host = request.url.split("/")[2]
        keep(name, region, host, NOW, request.headers.items(), request.body)
        return AWSResponse(request.url, 200, {}, mock.Mock(content=b"{}", stream=lambda: [b"{}"]))

    client.meta.events.register("before-send.kms", before_send)
    ids = iter(f"00000000-0000-4000-8000-{len(vectors):04}{n:08}" for n in range(10))
    with (
        at(NOW),
        mock.patch.dict(botocore.auth.AUTH_TYPE_MAPS, {"v4": Recorder}),
        mock.patch.object(uuid, "uuid4", lambda: uuid.UUID(next(ids))),
        mock.patch("botocore.httpsession.URLLib3Session"),
        mock.patch.object(
            botocore.useragent.UserAgentString, "to_string", lambda _: f"Botocore/{VERSION} ua/2.1 os/linux lang/python"
        ),
    ):
        getattr(client, operation)(**parameters)


def main():
    assert botocore.__version__ == VERSION, botocore.__version__

    signed("an empty object", "{}", target="ListKeys")
    signed("no body", "")
    signed("a data key by alias", '{"KeyId":"alias/ExampleAlias","KeySpec":"AES_256"}')
    signed("a data key by ARN", json.dumps({"KeyId": KEY_ARN, "NumberOfBytes": 64}))
    signed("an encryption context in UTF-8", '{"KeyId":"alias/a","EncryptionContext":{"größe":"10 €","鍵":"🔑"}}')
    signed("escapes and line feeds in the body", '{\n  "KeyId": "alias\\/a",\r\n\t"Description": "\\u0000\\\\" }\n')
    signed("16 KiB", json.dumps({"KeyId": KEY_ARN, "Plaintext": "QUJD" * 4096}), target="Encrypt")
    signed("an object of one byte more than a block", "{" + " " * 62 + "}\n")
    signed("a session token", "{}", token=TOKEN)
    signed("runs of spaces inside a value", "{}", headers=[("My-Header1", 'a   b   "c  d"')])
    signed("blanks around a value", "{}", headers=[("My-Header1", "   a b   ")])
    signed("a tab inside a value", "{}", headers=[("My-Header1", "a \t b\tc")])
    signed("an empty value", "{}", headers=[("My-Header1", ""), ("My-Header2", "   ")])
    signed("a header twice", "{}", headers=[("My-Header1", "value2"), ("My-Header1", " value1  x ")])
    signed("names that sort by a hyphen", "{}", headers=[("My-Header", "1"), ("My", "2"), ("My1", "3"), ("My_", "4")])
    signed("headers that botocore does not sign", "{}", headers=[
        ("User-Agent", "aws-cli/2"), ("Connection", "keep-alive"), ("Expect", "100-continue"), ("X-Amzn-Trace-Id", "1")])
    signed("the body's hash in a header", "{}", headers=[
        ("X-Amz-Content-SHA256", "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a")])
    signed("a Date header", "{}", headers=[("Date", "now")])
    signed("a Date header in a month of one digit", "{}", headers=[("Date", "now")], now=NOW.replace(month=2, day=3))
    signed("China", "{}", region="cn-north-1", host="kms.cn-north-1.amazonaws.com.cn")
    signed("GovCloud", "{}", region="us-gov-west-1", token=TOKEN)
    signed("a FIPS endpoint", "{}", region="us-west-2", host="kms-fips.us-west-2.amazonaws.com")
    signed("a port", "{}", host="127.0.0.1", port=":8700")
    signed("an IPv6 address", "{}", host="[::1]", port=":8700")
    signed("the first second of a year", "{}", now=NOW.replace(2027, 1, 1, 0, 0, 0))
    signed("the last second of a leap day", "{}", now=NOW.replace(2028, 2, 29, 23, 59, 59))

    called("the client: GenerateDataKeyWithoutPlaintext", "generate_data_key_without_plaintext",
           {"KeyId": KEY_ARN, "KeySpec": "AES_256", "EncryptionContext": {"purpose": "invoices", "größe": "10 €"}})
    called("the client: Encrypt", "encrypt", {"KeyId": "alias/ExampleAlias", "Plaintext": bytes(range(256)) * 16})
    called("the client: Decrypt with a session token", "decrypt", {"CiphertextBlob": b"\x01\x02\x02\x00" * 46}, token=TOKEN)
    called("the client: ListKeys", "list_keys", {})
    called("the client: ReEncrypt in China", "re_encrypt",
           {"CiphertextBlob": b"\x01" * 184, "DestinationKeyId": "alias/b"}, region="cn-northwest-1")
    called("the client: CreateGrant in GovCloud", "create_grant",
           {"KeyId": KEY_ARN, "GranteePrincipal": "arn:aws-us-gov:iam::111122223333:role/r", "Operations": ["Decrypt"]},
           region="us-gov-east-1", token=TOKEN)
    called("the client: DescribeKey at an endpoint of ours", "describe_key", {"KeyId": "alias/a"},
           endpoint="http://127.0.0.1:8700")

    made = {
        "made_by": f"botocore {VERSION}, tests/vectors/botocore_sigv4.py",
        "secret_access_key": SECRET,
        "vectors": vectors,
    }
    path = pathlib.Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{len(vectors)} vectors in {path}")


if __name__ == "__main__":
    main()
