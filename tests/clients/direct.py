"""One connection that stays open: requests signed by botocore, sent once, and told apart by how they ended."""

import copy
import json
import os
import random
import socket
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from gateway import PATIENCE, REGION


class Unanswered(Exception):
    """The connection ended before the whole answer was there: whether the request was carried out is not known."""


class Refused(Exception):
    """An answer that is an error."""

    def __init__(self, operation, status, body):
        self.status, self.code = status, body["__type"].rsplit("#")[-1]
        self.message = body.get("message", body.get("Message", ""))
        super().__init__(f"{operation}: {status} {body}")


class Direct:
    def __init__(self, gateway, key=None):
        key = key or gateway.key
        self._endpoint = gateway.endpoint
        self._credentials = Credentials(key.id, key.secret)
        self._signer = SigV4Auth(self._credentials, "kms", REGION)
        self._connection = HTTPConnection(urlsplit(gateway.endpoint).netloc, timeout=PATIENCE)
        self._connection.connect()
        self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # So that it is never opened a second time behind the caller's back.
        self._connection.auto_open = False
        self.request_id = None

    def of_region(self, region):
        """The same connection, for requests to the KMS of another region."""
        other = copy.copy(self)
        other._signer = SigV4Auth(self._credentials, "kms", region)
        return other

    def call(self, operation, **parameters):
        """The members of a granted request's answer."""
        body = json.dumps(parameters).encode()
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"TrentService.{operation}"}
        request = AWSRequest("POST", self._endpoint + "/", data=body, headers=headers)
        self._signer.add_auth(request)
        try:
            self._connection.request("POST", "/", body, dict(request.headers.items()))
            answer = self._connection.getresponse()
            text = answer.read()
        except TimeoutError:
            raise AssertionError(f"{operation}: no answer in {PATIENCE} s") from None
        except (OSError, HTTPException) as ended:
            raise Unanswered(operation) from ended
        self.request_id = answer.headers["x-amzn-RequestId"]
        members = json.loads(text or b"{}")
        if answer.status != 200:
            raise Refused(operation, answer.status, members)
        return members

    def listed(self, operation, members, **parameters):
        """All entries of a list, page by page."""
        page = self.call(operation, **parameters)
        entries = page[members]
        while page["Truncated"]:
            page = self.call(operation, **parameters, Marker=page["NextMarker"])
            entries += page[members]
        return entries

    def close(self):
        self._connection.close()


def random_of_this_run():
    """Another in each run, and the same for the same `KMSGATE_SEED`; a test that fails shows which it was."""
    seed = int(os.environ.get("KMSGATE_SEED") or int.from_bytes(os.urandom(4)))
    print(f"KMSGATE_SEED={seed}")
    return random.Random(seed)
