"""An upstream that does with each connection and each request what a test tells it to, on sockets of its own.

What is told is a step: a function of the connection (and of the request), which may do to it whatever a peer can do.
Without a step it answers as KMS does.
"""

import base64
import datetime
import email.utils
import json
import os
import queue
import re
import socket
import struct
import threading
import time
import uuid
from dataclasses import dataclass

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from gateway import PATIENCE, REGION

ACCOUNT = "111122223333"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
JSON_1_1 = "application/x-amz-json-1.1"
# What a request is read in at most: far more than any that the tests send.
LONGEST_HEAD = 64 * 1024


class Gone(Exception):
    """The peer has ended the connection."""


@dataclass(frozen=True)
class Request:
    """A request as it came."""

    headers: dict
    body: bytes
    connection: object

    @property
    def operation(self):
        return self.headers["x-amz-target"].removeprefix("TrentService.")

    @property
    def access_key_id(self):
        return re.search("Credential=([^/]+)/", self.headers["authorization"])[1]

    @property
    def session_token(self):
        return self.headers.get("x-amz-security-token")

    @property
    def signature(self):
        return self.headers["authorization"].rsplit("Signature=", 1)[1]

    @property
    def signed_at(self):
        """In seconds since 1970."""
        date = datetime.datetime.strptime(self.headers["x-amz-date"], "%Y%m%dT%H%M%SZ")
        return date.replace(tzinfo=datetime.timezone.utc).timestamp()

    def is_signed_by(self, secret):
        """Whether botocore makes the same signature of what was signed."""
        named = re.search("SignedHeaders=([^,]+)", self.headers["authorization"])[1].split(";")
        url = f"http://{self.headers['host']}/"
        request = AWSRequest("POST", url, data=self.body, headers={name: self.headers[name] for name in named})
        request.context["timestamp"] = self.headers["x-amz-date"]
        signer = SigV4Auth(Credentials(self.access_key_id, secret, self.session_token), "kms", REGION)
        to_sign = signer.string_to_sign(request, signer.canonical_request(request))
        return signer.signature(to_sign, request) == self.signature


class Connection:
    """One accepted connection."""

    def __init__(self, upstream, stream):
        self.upstream, self.stream = upstream, stream
        # Longer than a test waits for the peer to end it.
        stream.settimeout(2 * PATIENCE)
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data):
        self.stream.sendall(data)

    def request(self):
        head = b""
        while b"\r\n\r\n" not in head:
            head += self._receive(LONGEST_HEAD)
            assert len(head) <= LONGEST_HEAD, "a head without end"
        head, body = head.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        assert lines[0] == "POST / HTTP/1.1", lines[0]
        fields = [line.split(": ", 1) for line in lines[1:]]
        headers = {name.lower(): value for name, value in fields}
        assert len(headers) == len(fields), "a header stands twice"
        while len(body) < int(headers["content-length"]):
            body += self._receive(LONGEST_HEAD)
        return Request(headers, body, self)

    @property
    def open(self):
        """Whether neither side has ended it."""
        with self.upstream.lock:
            return self in self.upstream.connected

    def wait_for_end(self):
        """Until the peer ends the connection. It may not send anything more."""
        assert self.stream.recv(1) == b"", "the peer sent more"
        raise Gone

    def close(self):
        # Another thread may be reading from it, and is told.
        try:
            self.stream.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.stream.close()

    def reset(self):
        """Ends it by RST."""
        self.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.stream.close()

    def _receive(self, most):
        data = self.stream.recv(most)
        if not data:
            raise Gone
        return data


class Upstream:
    """Listens until it is stopped; several times, on the same port, if it is started again."""

    def __init__(self, tls=None):
        """`tls` is the context of a server, and the name by which it is to be called."""
        self._tls, host = tls or (None, "127.0.0.1")
        self.requests, self.faults = [], []
        # How many connections were accepted.
        self.connections = 0
        self.always(as_kms)
        self.at_each_connection(lambda connection: None)
        self.connected, self.lock = set(), threading.Lock()
        self._listener = None
        self.start()
        self.url = f"{'https' if tls else 'http'}://{host}:{self._port}"

    _port = 0

    def start(self):
        self._listener = socket.create_server(("127.0.0.1", self._port), backlog=128)
        self._port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=[self._listener], daemon=True).start()

    def always(self, step):
        """What is done with each request that nothing else was told of."""
        self._always, self._then = step, queue.SimpleQueue()
        return self

    def then(self, *steps):
        """What is done with the next requests, one after another."""
        for step in steps:
            self._then.put(step)
        return self

    def at_each_connection(self, step):
        """What is done before TLS, and before anything is read."""
        self._first = step
        return self

    def of(self, operation):
        """The requests for that operation."""
        return [request for request in self.requests if request.operation == operation]

    def use(self, tls):
        """Has new connections speak TLS by this context."""
        self._tls = tls

    def close_connections(self):
        with self.lock:
            for connection in list(self.connected):
                connection.close()

    def go_down(self):
        """Nothing listens any more, and what was open is closed."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.close_connections()

    def stop(self):
        if self._listener.fileno() >= 0:
            self.go_down()
        assert not self.faults, self.faults

    def _accept(self, listener):
        while True:
            try:
                stream, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=[Connection(self, stream)], daemon=True).start()

    def _serve(self, connection):
        with self.lock:
            self.connected.add(connection)
        try:
            self._first(connection)
            if self._tls:
                connection.stream = self._tls.wrap_socket(connection.stream, server_side=True)
            while True:
                request = connection.request()
                self.requests.append(request)
                self._step()(connection, request)
        except (Gone, OSError):
            # The peer has ended it, or a step has.
            pass
        except Exception as fault:
            self.faults.append(repr(fault))
        finally:
            with self.lock:
                self.connected.discard(connection)
            connection.close()

    def _step(self):
        try:
            return self._then.get_nowait()
        except queue.Empty:
            return self._always


# Steps for a request.


def as_kms(connection, request):
    """Answers it as a KMS would that has one key, to which every alias leads."""
    secret = base64.b64encode(os.urandom(32)).decode()
    answers = {
        "GenerateDataKey": {"KeyId": KEY, "Plaintext": secret, "CiphertextBlob": "AAECAw=="},
        "GenerateDataKeyWithoutPlaintext": {"KeyId": KEY, "CiphertextBlob": "AAECAw=="},
        "CreateKey": {"KeyMetadata": {"Arn": KEY, "KeyId": KEY.rsplit("/")[-1]}},
        "DescribeKey": {"KeyMetadata": {"Arn": KEY, "KeyId": KEY.rsplit("/")[-1]}},
    }
    answer(answers[request.operation])(connection, request)


def answer(members, status=200, headers=()):
    """A step that answers with these members, as KMS does."""
    return with_body(json.dumps(members), status, JSON_1_1, headers)


def with_body(body, status=200, content_type=JSON_1_1, headers=()):
    body = body.encode() if isinstance(body, str) else body

    def step(connection, _):
        all_headers = {
            "x-amzn-RequestId": str(uuid.uuid4()),
            "Content-Type": content_type,
            "Date": http_date(0),
            "Content-Length": len(body),
            **dict(headers),
        }
        connection.send(head(status, all_headers) + body)

    return step


def error(name, message="", status=400, headers=()):
    """A step that answers with an error, as KMS does."""
    return answer({"__type": name, "message": message}, status, headers)


def raw(data, then=Connection.close):
    """A step that sends these bytes and does this."""

    def step(connection, _):
        connection.send(data)
        then(connection)

    return step


def silent(connection, _):
    connection.wait_for_end()


def closes(connection, _):
    connection.close()


def resets(connection, _):
    connection.reset()


def half_closes(connection, _):
    connection.stream.shutdown(socket.SHUT_WR)
    connection.wait_for_end()


def resets_in_another_second(connection, request):
    """So that what is signed anew is dated anew."""
    while time.time() < request.signed_at + 1.001:
        time.sleep(0.05)
    connection.reset()


def drips(connection, _):
    """A body that is announced, and of which a byte comes now and then."""
    connection.send(head(200, {"Content-Type": JSON_1_1, "Content-Length": 100_000}))
    until_gone(connection, b" ", pause=0.05)


def endless_chunks(connection, _):
    connection.send(head(200, {"Content-Type": JSON_1_1, "Transfer-Encoding": "chunked"}))
    until_gone(connection, b"10000\r\n" + b" " * 0x10000 + b"\r\n")


def endless_head(connection, _):
    connection.send(b"HTTP/1.1 200 OK\r\n")
    until_gone(connection, b"X-Filler: " + b"x" * 1000 + b"\r\n")


def until_gone(connection, data, pause=0):
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        connection.send(data)
        time.sleep(pause)
    raise AssertionError("the peer has read on and on")


def accepts_all_but(access_key_id, name):
    """A KMS that has forgotten an access key."""

    def step(connection, request):
        return (error(name) if request.access_key_id == access_key_id else as_kms)(connection, request)

    return step


def after(event, step):
    """A step that waits for an event first."""

    def waiting(connection, request):
        assert event.wait(PATIENCE), "nobody said when to go on"
        step(connection, request)

    return waiting


def with_clock(seconds_ahead, step=None):
    """A KMS whose clock is as many seconds ahead, and that takes a signature for five minutes around its own time."""

    def judged(connection, request):
        headers = {"Date": http_date(seconds_ahead)}
        if abs(request.signed_at - (time.time() + seconds_ahead)) > 300:
            text = f"Signature expired: {request.headers['x-amz-date']} is not within 5 minutes"
            return error("InvalidSignatureException", text, headers=headers)(connection, request)
        granted = {"KeyId": KEY, "Plaintext": "AAAA", "CiphertextBlob": "AAAA"}
        return (step or answer(granted, headers=headers))(connection, request)

    return judged


def head(status, headers):
    lines = [f"HTTP/1.1 {status} Some Reason", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def http_date(seconds_ahead):
    return email.utils.formatdate(time.time() + seconds_ahead, usegmt=True)
