"""Bad upstreams: what the client is told, what is recorded and counted, and that the next call goes well."""

import json
import re
import signal
import threading
import time
from dataclasses import dataclass

import pytest
from botocore.exceptions import ClientError
from forwarding import EXAMPLE, Forwarding, wait_for
from gateway import PATIENCE
from hostile import (
    ACCOUNT,
    JSON_1_1,
    KEY,
    Authority,
    Upstream,
    after,
    answer,
    as_kms,
    closes,
    drips,
    endless_chunks,
    endless_head,
    error,
    half_closes,
    head,
    raw,
    resets,
    resets_in_another_second,
    silent,
    with_body,
    with_clock,
)

TIMES = "connect_timeout_ms = 1000\nfirst_byte_timeout_ms = 1000\ncall_timeout_ms = 1500"
DATA_KEY = {"KeyId": KEY, "KeySpec": "AES_256"}
# What the client is told, who cannot do anything about it: the operator finds the rest in the record.
NO_ANSWER = "the gateway had no answer from KMS; try again later"
TOO_LATE = "KMS did not answer the gateway in time"
UNREACHABLE = "the key cannot be reached from the gateway; try again later"


@dataclass(frozen=True)
class Fault:
    step: object
    # What the client is told of a data key that it asked for, and what the record says beside that.
    error: str
    message: str
    detail: str
    # How often the upstream is asked, and how many failures of which kind are counted.
    asked: int
    counted: dict


def broken(step, detail=""):
    """Nobody knows whether it was carried out: the operation may be asked for once more."""
    detail = f"the connection to the upstream broke: {detail}"
    return Fault(step, "KMSInternalException", NO_ANSWER, detail, asked=2, counted={"broken": 2})


def late(step, kind):
    return Fault(step, "DependencyTimeoutException", TOO_LATE, "the upstream took too long: ", 1, {kind: 1})


def unreadable(step):
    """No HTTP, or too much of it: it would come again."""
    detail = "the upstream's answer is none of KMS's: "
    return Fault(step, "KMSInternalException", NO_ANSWER, detail, asked=1, counted={"unreadable": 1})


def not_kms(step, detail):
    """HTTP, and no KMS."""
    detail = f"the upstream's answer is none of KMS's: no answer of KMS: {detail}"
    return Fault(step, "KMSInternalException", NO_ANSWER, detail, asked=1, counted={})


GRANTED = {"KeyId": KEY, "Plaintext": "AAAA", "CiphertextBlob": "AAAA"}
WHOLE = json.dumps(GRANTED)
HTML = "<html><body><h1>Bad Gateway</h1></body></html>"
OVERSIZE = 4 * 1024 * 1024 + 1

FAULTS = {
    "nothing is said": late(silent, "first_byte_timeout"),
    "the body drips": late(drips, "call_timeout"),
    "half of the body, and silence": late(
        raw(head(200, {"Content-Length": 100}) + b"{", lambda connection: connection.wait_for_end()), "call_timeout"
    ),
    "half of the head, and silence": late(
        raw(b"HTTP/1.1 200 O", lambda connection: connection.wait_for_end()), "first_byte_timeout"
    ),
    "closed after the request": broken(closes),
    "reset after the request": broken(resets),
    "half-closed after the request": broken(half_closes),
    "closed in the middle of the head": broken(raw(b"HTTP/1.1 200 OK\r\nContent-Le")),
    "closed in the middle of the body": broken(raw(head(200, {"Content-Length": 500}) + b'{"KeyId"')),
    "reset in the middle of the body": broken(
        raw(head(200, {"Content-Length": 500}) + b'{"KeyId"', lambda connection: connection.reset())
    ),
    "closed in the middle of a chunk": broken(raw(head(200, {"Transfer-Encoding": "chunked"}) + b"ff\r\n{")),
    "garbage": unreadable(raw(b"\x00\xff\xfe garbage\r\n\r\n")),
    "HTTP/2": unreadable(raw(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")),
    "a frame of HTTP/2": unreadable(raw(bytes.fromhex("000000040000000000"))),
    "another protocol": unreadable(raw(b"SSH-2.0-OpenSSH_9.9\r\n")),
    "a status without meaning": unreadable(raw(b"HTTP/1.1 2OO OK\r\n\r\n")),
    "two lengths": unreadable(
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{} ")
    ),
    "a chunk without a size": unreadable(raw(head(200, {"Transfer-Encoding": "chunked"}) + b"zz\r\n{}\r\n")),
    "a switch of protocols": unreadable(raw(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n")),
    "a head without end": unreadable(endless_head),
    "too large a body, announced": unreadable(raw(head(200, {"Content-Length": OVERSIZE}))),
    "a body without end, in chunks": unreadable(endless_chunks),
    "too large a body, until the end of the connection": unreadable(raw(head(200, {}) + b" " * OVERSIZE)),
    "a proxy's 502": not_kms(with_body(HTML, 502, "text/html"), "its body is no JSON"),
    "a balancer's 503": not_kms(with_body("Service Unavailable", 503, "text/plain"), "its body is no JSON"),
    "an error without a name": not_kms(answer({"message": "no"}, 500), "it is an unnamed error"),
    "a page": not_kms(with_body(HTML, 200, "text/html"), "its body is no JSON"),
    "half of the JSON": not_kms(with_body(WHOLE[:-2]), "its body ends too early"),
    "two answers": not_kms(with_body(WHOLE + WHOLE), "its body is no JSON"),
    "a list": not_kms(with_body(f"[{WHOLE}]"), "its body is no object"),
    "no body": not_kms(with_body(""), "its body ends too early"),
    "no UTF-8": not_kms(with_body(b'{"KeyId": "\xff"}'), "its body is no UTF-8"),
    "no key": not_kms(answer({"Plaintext": "AAAA", "CiphertextBlob": "AAAA"}), "it does not name its key"),
    "a null for a key": not_kms(answer(GRANTED | {"KeyId": None}), "it does not name its key"),
    "two keys": not_kms(with_body(f'{{"KeyId": "{KEY}", {WHOLE[1:]}'), "its body is no object, or a member"),
    "an error with the status of success": not_kms(
        answer({"__type": "DisabledException"} | GRANTED), "it names an error and has the status of a success"
    ),
    "a redirection": not_kms(
        with_body("", 301, headers={"Location": "http://127.0.0.1:1/"}), "its status is neither 200 nor"
    ),
    "another success": not_kms(answer(GRANTED, 201), "its status is neither 200 nor"),
    "no content": not_kms(raw(b"HTTP/1.1 204 No Content\r\n\r\n"), "its status is neither 200 nor"),
}


@pytest.fixture
def upstream():
    upstream = Upstream()
    yield upstream
    upstream.stop()


@pytest.fixture
def start(tmp_path):
    """Starts gateways, which are stopped at the end, and whose clients are closed before, so that no drain waits."""
    started, clients = [], []

    def started_to(url, more=TIMES, **settings):
        directory = tmp_path / str(len(started))
        directory.mkdir()
        started.append(Forwarding.to(url, directory, more, **settings).wait_until_ready())
        clients.append(started[-1].client())
        return started[-1], clients[-1]

    yield started_to
    for client in clients:
        client.close()
    for gateway in started:
        if gateway.process.poll() is None:
            gateway.stop()


class Site:
    """One gateway in front of one upstream."""

    def __init__(self, directory):
        self.upstream = Upstream()
        self.gateway = Forwarding.to(self.upstream.url, directory, TIMES).wait_until_ready()
        self.kms = self.gateway.client()
        self._counted = {}

    def mend(self):
        """All is well: nothing is left of the test before."""
        self.upstream.always(as_kms)
        wait_for(self._answers)
        self.upstream.requests.clear()
        self._counted = self.gateway.failures()

    def _answers(self):
        try:
            return self.kms.generate_data_key(**DATA_KEY)
        except ClientError:
            return None

    def failures(self):
        """What this test's upstream did not answer."""
        counted = self.gateway.failures()
        more = {kind: count - self._counted.get(kind, 0) for kind, count in counted.items()}
        return {kind: count for kind, count in more.items() if count}

    def stop(self):
        self.kms.close()
        self.gateway.stop()
        self.upstream.stop()


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    site = Site(tmp_path_factory.mktemp("shared"))
    yield site
    site.stop()


@pytest.fixture
def site(shared):
    """A gateway in front of an upstream, both as well as at their start."""
    shared.mend()
    return shared


def refused(call, **parameters):
    """What the client is told: boto3's exception, its text, and the request's id."""
    with pytest.raises(ClientError) as raised:
        call(**parameters)
    assert type(raised.value).__name__ == raised.value.response["Error"]["Code"], "an exception that is not typed"
    said = raised.value.response
    return said["Error"]["Code"], said["Error"]["Message"], said["ResponseMetadata"]["RequestId"]


def assert_recorded(gateway, request_id, error, detail):
    record = gateway.record(request_id)
    # What CloudTrail calls it.
    assert record["errorCode"] == error
    assert record["additionalEventData"]["gateway"]["detail"].startswith(detail), record
    return record


@pytest.mark.parametrize("name", FAULTS)
def test_an_upstream_that_is_at_fault_is_told_recorded_and_counted(site, name):
    fault, kms = FAULTS[name], site.kms
    site.upstream.always(fault.step)
    code, message, request_id = refused(kms.generate_data_key, **DATA_KEY)
    assert (code, message) == (fault.error, fault.message)
    assert_recorded(site.gateway, request_id, fault.error, fault.detail)
    assert len(site.upstream.requests) == fault.asked
    assert site.failures() == fault.counted
    # It is no reason not to be ready: what is at fault is not the gateway.
    assert not site.gateway.unready()

    site.upstream.always(as_kms)
    assert kms.generate_data_key(**DATA_KEY)["KeyId"] == KEY
    assert site.failures() == fault.counted
    assert site.gateway.metric("kmsgate_upstream_circuit_open") == 0


@pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if fault.asked == 2])
def test_what_must_not_be_done_twice_is_asked_for_once(site, name):
    site.upstream.always(FAULTS[name].step)
    code, message, request_id = refused(site.kms.create_key)
    assert (code, message) == ("KMSInternalException", NO_ANSWER)
    assert_recorded(site.gateway, request_id, "KMSInternalException", "the connection to the upstream broke: ")
    assert len(site.upstream.of("CreateKey")) == 1
    assert site.failures() == {"broken": 1}

    site.upstream.always(as_kms)
    assert site.kms.create_key()["KeyMetadata"]["Arn"] == KEY


# No connection: not a byte of the request was sent, and it is tried once more, whatever the operation.

TLS_FAULTS = {
    "another name": (lambda ours, other: ours.server("other.test"), "certificate not valid for name"),
    "another authority": (lambda ours, other: other.server(), "UnknownIssuer"),
    "a certificate that has ended": (lambda ours, other: ours.server(days=-1), "certificate expired"),
}
ALERT_OF_TLS_1_1 = bytes.fromhex("15 0302 0002 02 46")
SERVER_HELLO_OF_TLS_1_1 = bytes.fromhex("16 0302 002a 02 000026 0302") + bytes(32) + bytes.fromhex("00 002f 00")


def assert_unreachable(gateway, kms, kind, attempts, detail):
    """For a data key its key is what is unavailable; where there is no key the service is."""
    for call, error, message in [
        (lambda: refused(kms.generate_data_key, **DATA_KEY), "KeyUnavailableException", UNREACHABLE),
        (lambda: refused(kms.create_key), "KMSInternalException", NO_ANSWER),
    ]:
        before = gateway.failures().get(kind, 0)
        code, text, request_id = call()
        assert (code, text) == (error, message)
        record = assert_recorded(gateway, request_id, error, "the upstream cannot be reached: ")
        assert re.search(detail, record["additionalEventData"]["gateway"]["detail"]), record
        assert gateway.failures() == {kind: before + attempts}


def test_an_upstream_that_is_down_makes_the_key_unavailable(start, upstream):
    gateway, kms = start(upstream.url)
    upstream.go_down()
    assert_unreachable(gateway, kms, "not_sent", 2, "Connection refused")
    upstream.start()
    assert kms.create_key()["KeyMetadata"]["Arn"] == KEY


@pytest.mark.parametrize("name", TLS_FAULTS)
def test_a_server_that_does_not_prove_who_it_is_is_not_asked(start, tmp_path, name):
    authority, other = Authority(tmp_path), Authority(tmp_path, "Another authority")
    certificate, detail = TLS_FAULTS[name]
    upstream = Upstream((certificate(authority, other), "localhost"))
    gateway, kms = start(upstream.url, f'{TIMES}\nca_file = "{authority.file}"')
    assert_unreachable(gateway, kms, "not_sent", 2, detail)
    assert upstream.requests == []
    upstream.stop()


def test_a_server_that_proves_who_it_is_is_asked(start, tmp_path):
    authority = Authority(tmp_path)
    upstream = Upstream((authority.server(), "localhost"))
    gateway, kms = start(upstream.url, f'{TIMES}\nca_file = "{authority.file}"')
    kms.generate_data_key(**DATA_KEY)
    [request] = upstream.requests
    assert request.connection.stream.version() == "TLSv1.3"
    assert request.is_signed_by(EXAMPLE["AWS_SECRET_ACCESS_KEY"])
    upstream.stop()


@pytest.mark.parametrize(
    "answer, detail",
    [
        (ALERT_OF_TLS_1_1, "ProtocolVersion"),
        (SERVER_HELLO_OF_TLS_1_1, "peer is incompatible"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "corrupt message"),
        (b"", "handshake eof"),
    ],
    ids=["an alert of TLS 1.1", "TLS 1.1", "HTTP", "nothing"],
)
def test_a_server_that_does_not_speak_our_tls_is_not_asked(start, tmp_path, upstream, answer, detail):
    def in_place_of_tls(connection):
        assert connection.stream.recv(5)[:2] == b"\x16\x03", "no handshake"
        connection.send(answer)
        connection.close()

    upstream.at_each_connection(in_place_of_tls)
    url = upstream.url.replace("http://127.0.0.1", "https://localhost")
    gateway, kms = start(url, f'{TIMES}\nca_file = "{Authority(tmp_path).file}"')
    assert_unreachable(gateway, kms, "not_sent", 2, detail)
    assert upstream.connections == 4


def test_a_handshake_that_hangs_ends_at_the_connect_timeout_and_is_not_tried_again(start, tmp_path, upstream):
    upstream.at_each_connection(lambda connection: until_the_peer_gives_up(connection))
    url = upstream.url.replace("http://127.0.0.1", "https://localhost")
    gateway, kms = start(url, f'{TIMES}\nca_file = "{Authority(tmp_path).file}"')
    assert_unreachable(gateway, kms, "connect_timeout", 1, "no connection to localhost:[0-9]+ was made in time")
    assert upstream.connections == 2


def until_the_peer_gives_up(connection):
    while connection.stream.recv(4096):
        pass
    connection.close()
