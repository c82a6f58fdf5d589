"""Requests that are sent as they are, signed by botocore: nothing checks, mends or repeats them on the way."""

import datetime
import http.client
import re
from dataclasses import dataclass, field
from unittest import mock
from urllib.parse import urlsplit

from botocore import parsers, xform_name
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from gateway import PATIENCE, REGION

JSON_1_1 = "application/x-amz-json-1.1"
ACCOUNT = "arn:aws:kms:us-east-1:111122223333"
# What the verifier says of every mismatch, whatever its reason.
MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key"
    " and signing method. Consult the service documentation for details."
)


@dataclass
class Request:
    body: bytes
    headers: dict = field(default_factory=dict)

    @property
    def authorization(self):
        return self.headers["Authorization"]

    @property
    def signed_headers(self):
        names = re.search("SignedHeaders=([^,]+)", self.authorization)[1].split(";")
        return [name for name in self.headers if name.lower() in names]

    def replace(self, header, old, new):
        """Changes a header behind the signer's back."""
        assert old in self.headers[header]
        self.headers[header] = self.headers[header].replace(old, new)


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes
    # What boto3 raises, where it was boto3 that asked.
    exception: ClientError | None = None

    @property
    def request_id(self):
        return self.headers["x-amzn-RequestId"]

    @property
    def error(self):
        """Code and message, as every client that stands on botocore reads them."""
        answer = {"status_code": self.status, "headers": self.headers, "body": self.body}
        error = parsers.create_parser("json").parse(answer, None)["Error"]
        return error["Code"], error["Message"]


def signed(gateway, operation, body, key=None, headers=None, region=REGION, service="kms", seconds_ahead=0):
    """A request signed by a clock that is some seconds ahead of ours."""
    key = key or gateway.key
    host = urlsplit(gateway.endpoint).netloc
    unsigned = {"Host": host, "Content-Type": JSON_1_1, "X-Amz-Target": f"TrentService.{operation}", **(headers or {})}
    request = AWSRequest("POST", gateway.endpoint + "/", data=body, headers=unsigned)
    now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None) + datetime.timedelta(seconds=seconds_ahead)
    with mock.patch("botocore.auth.get_current_datetime", return_value=now):
        SigV4Auth(Credentials(key.id, key.secret), service, region).add_auth(request)
    gateway.keep_signature_of(request.headers["Authorization"])
    return Request(body, dict(request.headers.items()))


def exchange(kms, operation, body, headers=None):
    """Has a boto3 client send `body` as it is. An operation that it does not know it sends by another's method."""
    answered, exception = {}, None

    def on_its_way(params, **_):
        params["body"] = body.encode()
        params["headers"] |= {"X-Amz-Target": f"TrentService.{operation}"} | (headers or {})

    def on_its_way_back(response_dict, **_):
        answered.update(response_dict)

    events = kms.meta.events
    events.register("before-call.kms", on_its_way)
    events.register("before-parse.kms", on_its_way_back)
    try:
        getattr(kms, xform_name(operation), kms.list_keys)()
    except ClientError as error:
        exception = error
    finally:
        events.unregister("before-call.kms", on_its_way)
        events.unregister("before-parse.kms", on_its_way_back)
    return Answer(answered["status_code"], answered["headers"], answered["body"], exception)


def connect(gateway, source="127.0.0.1"):
    address = urlsplit(gateway.endpoint)
    return http.client.HTTPConnection(address.hostname, address.port, PATIENCE, source_address=(source, 0))


def send(gateway, request, source="127.0.0.1"):
    connection = connect(gateway, source)
    start(connection, request)
    connection.send(request.body)
    return finish(connection)


def start(connection, request, **more):
    """Sends the head alone."""
    connection.putrequest("POST", "/", skip_host=True, skip_accept_encoding=True)
    for name, value in {**request.headers, "Content-Length": len(request.body), **more}.items():
        for one in value if isinstance(value, list) else [value]:
            connection.putheader(name, one)
    connection.endheaders()


def finish(connection):
    response = connection.getresponse()
    answer = Answer(response.status, response.headers, response.read())
    connection.close()
    return answer
