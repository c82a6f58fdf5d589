"""Bad upstreams: what the client is told, what is recorded and counted, and that the next call goes well."""

import datetime
import email.utils
import gc
import json
import re
import select
import signal
import socket
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from botocore.exceptions import ClientError
from direct import Direct, Refused
from in_front import EXAMPLE, InFront, wait_for
from gateway import PATIENCE, Gateway
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
from wire import connect, finish, send, signed
from wire import start as begin

TIMES = "connect_timeout_ms = 1000\nfirst_byte_timeout_ms = 1000\ncall_timeout_ms = 1500"
DATA_KEY = {"KeyId": KEY, "KeySpec": "AES_256"}
# What the client is told, who cannot do anything about it: the operator finds the rest in the record.
NO_ANSWER = "the gateway had no answer from KMS; try again later"
TOO_LATE = "KMS did not answer the gateway in time"
UNREACHABLE = "the key cannot be reached from the gateway; try again later"

# What boto3 has exceptions of their own for, as the service's model names them.
TYPED = ["DependencyTimeoutException", "KeyUnavailableException", "KMSInternalException"]


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
        started.append(InFront.to(url, directory, more, **settings).wait_until_ready())
        clients.append(started[-1].client())
        return started[-1], clients[-1]

    yield started_to
    for client in clients:
        client.close()
    # botocore closes a connection when its pool is collected.
    gc.collect()
    for gateway in started:
        if gateway.process.poll() is None:
            gateway.stop()


class Site:
    """One gateway in front of one upstream."""

    def __init__(self, directory):
        self.upstream = Upstream()
        self.gateway = InFront.to(self.upstream.url, directory, TIMES).wait_until_ready()
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
        gc.collect()
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
    said = raised.value.response
    if said["Error"]["Code"] in TYPED:
        assert type(raised.value).__name__ == said["Error"]["Code"]
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
    upstream.at_each_connection(until_the_peer_gives_up)
    url = upstream.url.replace("http://127.0.0.1", "https://localhost")
    gateway, kms = start(url, f'connect_timeout_ms = 300\nca_file = "{Authority(tmp_path).file}"')
    assert_unreachable(gateway, kms, "connect_timeout", 1, "no connection to localhost:[0-9]+ was made in time")
    assert upstream.connections == 2


def test_a_connection_that_is_never_accepted_ends_at_the_connect_timeout(start):
    listener = socket.create_server(("127.0.0.1", 0), backlog=0)
    waiting = []
    # Until its queue is full: the kernel answers no more.
    while not waiting or is_connected(waiting[-1]):
        waiting.append(socket.socket())
        waiting[-1].setblocking(False)
        waiting[-1].connect_ex(listener.getsockname())
    gateway, kms = start(f"http://127.0.0.1:{listener.getsockname()[1]}", "connect_timeout_ms = 300")
    assert_unreachable(gateway, kms, "connect_timeout", 1, "")
    for one in [*waiting, listener]:
        one.close()


def is_connected(stream):
    """Whether it is within half a second."""
    return bool(select.select([], [stream], [], 0.5)[1])


def until_the_peer_gives_up(connection):
    while connection.stream.recv(4096):
        pass
    connection.close()


# What KMS itself says, of the request and of the gateway.


@pytest.mark.parametrize(
    "name, status",
    [("DisabledException", 400), ("KMSInternalException", 500), ("ThrottlingException", 400)]
    + [("KeyUnavailableException", 500), ("ServiceUnavailableException", 503), ("SomethingNew", 400)],
)
def test_an_error_of_kms_passes_byte_for_byte_and_is_not_asked_for_again(site, name, status):
    body = json.dumps({"__type": f"com.amazonaws.kms#{name}", "Message": f"{KEY} is what it is.", "Extra": [1]})
    id = str(uuid.uuid4())
    headers = {"x-amzn-RequestId": id, "x-amzn-ErrorType": f"{name}:http://internal.amazon.com/", "Server": "x"}
    site.upstream.always(with_body(body, status, headers=headers))
    request = signed(site.gateway, "GenerateDataKey", json.dumps(DATA_KEY).encode())
    answer = send(site.gateway, request)
    assert (answer.status, answer.body, answer.request_id) == (status, body.encode(), id)
    assert answer.headers["x-amzn-ErrorType"] == headers["x-amzn-ErrorType"]
    assert "Server" not in answer.headers
    assert site.upstream.requests[0].body == request.body
    assert len(site.upstream.requests) == 1
    record = site.gateway.record_with(id)
    assert (record["errorCode"], record["errorMessage"]) == (name, f"{KEY} is what it is.")
    assert site.failures() == {}


def test_what_http_allows_around_an_answer_is_no_fault(site):
    whole = head(200, {"Content-Length": len(WHOLE)}) + WHOLE.encode()
    chunked = head(200, {"Transfer-Encoding": "chunked"}) + b"%x;a=b\r\n%b\r\n0\r\n\r\n" % (len(WHOLE), WHOLE.encode())
    for sent in [
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n" + whole,
        chunked,
        b"HTTP/1.1 200\r\nConnection: close\r\n\r\n" + WHOLE.encode(),
    ]:
        site.upstream.always(raw(sent))
        answered = site.kms.generate_data_key(**DATA_KEY)
        assert answered["KeyId"] == KEY
        # The upstream has said none, so it is the gateway's.
        assert "errorCode" not in site.gateway.record(answered["ResponseMetadata"]["RequestId"])
    assert site.failures() == {}


def test_a_second_answer_to_one_request_is_never_another_request_s(site):
    """Whoever could put one there would choose the keys of others."""
    forged = json.dumps(GRANTED | {"Plaintext": "Rk9SR0VE"}).encode()
    forged = head(200, {"Content-Type": JSON_1_1, "Content-Length": len(forged)}) + forged

    def twice(connection, request):
        whole = WHOLE.encode()
        connection.send(head(200, {"Content-Type": JSON_1_1, "Content-Length": len(whole)}) + whole + forged)

    def once_more_later(connection, request):
        as_kms(connection, request)
        connection.send(forged)

    for step in [twice, once_more_later] * 10:
        site.upstream.always(as_kms).then(step)
        asked = len(site.upstream.requests)
        told = [site.kms.generate_data_key(**DATA_KEY)["Plaintext"]]
        told += [granted["Plaintext"] for granted in [answered(site.kms)] if granted]
        assert b"FORGED" not in told
        assert len(site.upstream.requests) >= asked + len(told)


def test_an_error_that_could_be_read_in_two_ways_is_none_of_kms(site):
    """Some SDKs go by the header, and would correct their clock."""
    headers = {"x-amzn-ErrorType": "InvalidSignatureException"}
    site.upstream.always(error("DisabledException", f"{KEY} is disabled.", headers=headers))
    answer = send(site.gateway, signed(site.gateway, "GenerateDataKey", json.dumps(DATA_KEY).encode()))
    assert answer.headers["x-amzn-ErrorType"] != "InvalidSignatureException"


@pytest.mark.parametrize("id", ["", "x" * 40_000, "a b"], ids=["none", "long", "two words"])
def test_a_request_id_that_is_none_is_not_passed_on(site, id):
    site.upstream.always(answer(GRANTED, headers={"x-amzn-RequestId": id}))
    answered = send(site.gateway, signed(site.gateway, "GenerateDataKey", json.dumps(DATA_KEY).encode()))
    # Nobody could find the record by it.
    assert answered.request_id != id


def test_a_throttling_upstream_lowers_the_budget_and_its_answer_passes(start, upstream):
    quota = "quota.percent = 50\nquota.per_second.symmetric = 1000"
    gateway, kms = start(upstream.url, f"{TIMES}\n{quota}")

    def budget():
        return gateway.metric("kmsgate_share_budget_per_second", quota="symmetric")

    assert budget() == 500
    upstream.then(error("ThrottlingException", "You have exceeded the rate at which you may call KMS."))
    code, _, request_id = refused(kms.generate_data_key, **DATA_KEY)
    assert code == "ThrottlingException"
    assert gateway.forwarded_record(request_id)["errorCode"] == "ThrottlingException"
    lowered = budget()
    assert lowered < 500
    assert gateway.metric("kmsgate_share_upstream_throttled_total", quota="symmetric") == 1
    # It comes back bit by bit, and what is sent counts it.
    wait_for(lambda: kms.generate_data_key(**DATA_KEY) and lowered < budget() < 500)


@pytest.mark.parametrize(
    "name", ["UnrecognizedClientException", "InvalidSignatureException", "ExpiredTokenException", "OptInRequired"]
)
def test_credentials_that_kms_refuses_make_the_gateway_unready_until_they_are_accepted(start, upstream, name):
    gateway, kms = start(upstream.url)
    upstream.always(error(name, "The security token included in the request is invalid."))
    code, message, request_id = refused(kms.generate_data_key, **DATA_KEY)
    # A client that read the name would take it for its own: it would shift its clock, or look for other credentials.
    assert (code, message) == ("KMSInternalException", NO_ANSWER)
    assert_recorded(gateway, request_id, code, f"the upstream does not accept the gateway's credentials: {name}")
    assert len(upstream.requests) == 1
    assert f"AWS does not accept the credentials (default): {name}" in gateway.unready()
    # It is still alive, and asks: it is AWS that has to see it.
    assert refused(kms.generate_data_key, **DATA_KEY)[0] == "KMSInternalException"
    assert len(upstream.requests) == 2

    upstream.always(as_kms)
    kms.generate_data_key(**DATA_KEY)
    assert not gateway.unready()


# The upstream's clock.


@pytest.mark.parametrize("seconds", [600, -600])
def test_a_clock_that_is_ten_minutes_off_costs_the_client_nothing(start, upstream, seconds):
    gateway, kms = start(upstream.url)
    upstream.always(with_clock(seconds))
    answer = kms.generate_data_key(**DATA_KEY)
    first, second = upstream.requests
    assert abs(second.signed_at - time.time() - seconds) < PATIENCE < abs(first.signed_at - time.time() - seconds)
    assert second.is_signed_by(EXAMPLE["AWS_SECRET_ACCESS_KEY"])
    assert first.body == second.body
    # What an SDK goes by when it corrects its clock: the gateway's own time.
    date = email.utils.parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
    assert abs(date.timestamp() - time.time()) < PATIENCE
    assert abs(gateway.metric("kmsgate_clock_skew_seconds") - seconds) < PATIENCE
    record = gateway.forwarded_record(answer["ResponseMetadata"]["RequestId"])
    assert "errorCode" not in record
    # From now on it is known, and the records keep the gateway's time.
    kms.generate_data_key(**DATA_KEY)
    assert len(upstream.requests) == 3
    event_time = datetime.datetime.fromisoformat(record["eventTime"]).timestamp()
    assert abs(event_time - time.time()) < PATIENCE


def test_a_change_whose_signature_was_refused_for_its_date_is_made_once(start, upstream):
    gateway, kms = start(upstream.url)
    upstream.always(with_clock(600, as_kms))
    assert kms.create_key()["KeyMetadata"]["Arn"] == KEY
    first, second = upstream.requests
    assert second.signed_at - first.signed_at > 500


def test_a_date_that_is_three_days_off_is_not_believed(start, upstream):
    gateway, kms = start(upstream.url)
    upstream.always(with_clock(3 * 24 * 60 * 60))
    code, message, request_id = refused(kms.generate_data_key, **DATA_KEY)
    assert (code, message) == ("KMSInternalException", NO_ANSWER)
    assert_recorded(gateway, request_id, code, "the upstream does not accept the gateway's credentials: ")
    assert len(upstream.requests) == 1
    assert gateway.metric("kmsgate_clock_skew_seconds") == 0
    assert "InvalidSignatureException" in gateway.unready()


def test_a_clock_that_is_wrong_again_and_again_is_followed_once_a_call(start, upstream):
    gateway, kms = start(upstream.url)
    upstream.then(with_clock(600), with_clock(3600))
    code, _, request_id = refused(kms.generate_data_key, **DATA_KEY)
    assert code == "KMSInternalException"
    assert_recorded(gateway, request_id, code, "the upstream does not accept the gateway's credentials: ")
    assert len(upstream.requests) == 2


# What is asked for again, and what is not.


def test_a_data_key_whose_connection_died_is_asked_for_once_more_and_signed_anew(site):
    site.upstream.then(resets_in_another_second)
    assert site.kms.generate_data_key(**DATA_KEY)["KeyId"] == KEY
    first, second = site.upstream.requests
    assert first.signature != second.signature
    assert first.signed_at < second.signed_at
    assert first.body == second.body
    assert all(request.is_signed_by(EXAMPLE["AWS_SECRET_ACCESS_KEY"]) for request in [first, second])
    assert site.failures() == {"broken": 1}


def test_a_data_key_is_asked_for_twice_and_never_three_times(site):
    site.upstream.then(closes, closes)
    assert refused(site.kms.generate_data_key, **DATA_KEY)[0] == "KMSInternalException"
    assert len(site.upstream.requests) == 2


@pytest.mark.parametrize("operation, more", [("generate_data_key", DATA_KEY), ("create_key", {})])
def test_a_pooled_connection_that_has_died_costs_the_client_nothing(start, upstream, operation, more):
    gateway, kms = start(upstream.url)
    for _ in range(3):
        getattr(kms, operation)(**more)
        upstream.close_connections()
        # The gateway has heard of it.
        wait_for(lambda: gateway.metric("kmsgate_upstream_connections") == 0)
    assert len(upstream.requests) == upstream.connections == 3
    assert gateway.failures() == {}


@pytest.mark.parametrize("operation, more", [("generate_data_key", DATA_KEY), ("create_key", {})])
def test_a_pooled_connection_is_used_again(start, upstream, operation, more):
    _, kms = start(upstream.url)
    for _ in range(5):
        getattr(kms, operation)(**more)
    assert (len(upstream.requests), upstream.connections) == (5, 1)


def test_a_connection_that_is_reset_when_it_is_made_is_made_again(site):
    first = site.upstream.connections
    site.upstream.close_connections()
    wait_for(lambda: site.gateway.metric("kmsgate_upstream_connections") == 0)
    site.upstream.at_each_connection(
        lambda connection: connection.reset() if site.upstream.connections == first + 1 else None
    )
    assert site.kms.generate_data_key(**DATA_KEY)["KeyId"] == KEY
    assert site.upstream.connections == first + 2


def test_a_change_on_a_connection_that_is_reset_when_it_is_made_is_made_once_or_not_at_all(start, upstream):
    gateway, kms = start(upstream.url)
    upstream.at_each_connection(lambda connection: connection.reset() if upstream.connections % 2 else None)
    made = 0
    for _ in range(10):
        before = len(upstream.requests)
        try:
            kms.create_key()
            made += 1
        except kms.exceptions.KMSInternalException:
            assert len(upstream.requests) == before
    assert len(upstream.requests) == made


# The circuit breaker.


def test_an_upstream_that_fails_again_and_again_is_left_alone_and_found_again(start, tmp_path, upstream):
    url = upstream.url.replace("http://127.0.0.1", "https://localhost")
    authority = Authority(tmp_path)
    upstream.at_each_connection(lambda connection: connection.close())
    gateway, kms = start(url, f'connect_timeout_ms = 3000\nca_file = "{authority.file}"')
    assert gateway.metric("kmsgate_upstream_circuit_open") == 0
    wait_for(lambda: refused(kms.generate_data_key, **DATA_KEY) and gateway.metric("kmsgate_upstream_circuit_open"))

    # Now it hangs. One call finds that out, after a pause; it would be the same for all, if they were let through.
    probing = threading.Event()

    def hangs(connection):
        probing.set()
        until_the_peer_gives_up(connection)

    upstream.at_each_connection(hangs)
    before = upstream.connections
    caller = Background(lambda: call_until(kms, probing))
    assert probing.wait(PATIENCE)
    for _ in range(50):
        code, message, request_id = refused(kms.generate_data_key, **DATA_KEY)
        assert (code, message) == ("KMSInternalException", NO_ANSWER)
        assert_recorded(gateway, request_id, code, "nothing is sent to the upstream for now")
    assert upstream.connections == before + 1
    assert caller.result() == "KeyUnavailableException"
    assert gateway.metric("kmsgate_upstream_circuit_open") == 1
    assert not gateway.unready()

    upstream.use(authority.server())
    upstream.at_each_connection(lambda connection: None)
    wait_for(lambda: answered(kms))
    assert gateway.metric("kmsgate_upstream_circuit_open") == 0
    for _ in range(10):
        kms.generate_data_key(**DATA_KEY)


def call_until(kms, event):
    """What the call was told that went on while the event came."""
    while True:
        code, _, _ = refused(kms.generate_data_key, **DATA_KEY)
        if event.is_set():
            return code
        time.sleep(0.02)


class Background:
    """A function that runs in a thread of its own."""

    def __init__(self, function):
        self._pool = ThreadPoolExecutor(1)
        self._result = self._pool.submit(function)

    def result(self):
        self._pool.shutdown(wait=False)
        return self._result.result(PATIENCE)


def answered(kms):
    try:
        return kms.generate_data_key(**DATA_KEY)
    except ClientError:
        return None


def test_errors_of_kms_do_not_open_the_circuit(site):
    site.upstream.always(error("KMSInternalException", status=500))
    for asked in range(1, 21):
        assert refused(site.kms.generate_data_key, **DATA_KEY)[0] == "KMSInternalException"
        assert len(site.upstream.requests) == asked
    assert site.gateway.metric("kmsgate_upstream_circuit_open") == 0


# The whole of a call.


def test_a_look_up_and_what_follows_it_are_bounded_together(start, upstream):
    gateway, kms = start(upstream.url, "", server="body_read_timeout_ms = 1000\nrequest_timeout_ms = 1000")
    upstream.always(silent).then(as_kms)
    code, _, request_id = refused(kms.generate_data_key, KeyId="alias/orders", KeySpec="AES_256")
    assert code == "DependencyTimeoutException"
    assert_recorded(gateway, request_id, code, "the call took longer than the gateway allows")
    assert [request.operation for request in upstream.requests] == ["DescribeKey", "GenerateDataKey"]


def test_a_look_up_that_is_not_answered_is_told_as_the_call_would_be(site):
    for step, code in [(silent, "DependencyTimeoutException"), (closes, "KMSInternalException")]:
        site.upstream.always(step)
        told = refused(site.kms.generate_data_key, KeyId="alias/orders", KeySpec="AES_256")
        assert told[0] == code
        assert site.upstream.of("GenerateDataKey") == []
        site.mend()


@pytest.mark.parametrize(
    "step, code, detail",
    [
        (error("ThrottlingException"), "ThrottlingException", "the upstream throttles the gateway"),
        (error("KMSInternalException", status=500), "KMSInternalException", "KMSInternalException"),
        (error("UnrecognizedClientException"), "KMSInternalException", "the upstream does not accept the gateway's"),
        (error("NotFoundException", "Alias is not found."), "NotFoundException", ""),
        (with_body(HTML, 502, "text/html"), "KMSInternalException", "the upstream's answer is none of KMS's: "),
        (answer({"KeyMetadata": {"Arn": "arn:aws:s3:::x"}}), "KMSInternalException", "the upstream's answer is none"),
        (answer({"KeyMetadata": {}}), "KMSInternalException", "the upstream's answer is none of KMS's: "),
    ],
    ids=["throttled", "at fault", "unknown", "not found", "no KMS", "no key", "no metadata"],
)
def test_a_look_up_that_fails_is_told_in_kms_s_words_and_the_next_is_made(site, step, code, detail):
    site.upstream.then(step)
    name = f"alias/{uuid.uuid4()}"
    told, _, request_id = refused(site.kms.generate_data_key, KeyId=name, KeySpec="AES_256")
    assert told == code
    recorded = site.gateway.record(request_id)
    assert recorded["errorCode"] == code
    assert detail in recorded["additionalEventData"]["gateway"].get("detail", "")
    assert [request.operation for request in site.upstream.requests] == ["DescribeKey"]
    if code != "NotFoundException":
        # A fault is not kept, as an absence is.
        assert site.kms.generate_data_key(KeyId=name, KeySpec="AES_256")["KeyId"] == KEY


def test_too_few_connections_of_our_own_say_nothing_of_the_upstream(start, upstream):
    more = "max_connections = 1\nconnect_timeout_ms = 200"
    gateway, kms = start(upstream.url, more)
    asked, go_on = threading.Event(), threading.Event()

    def slow(connection, request):
        asked.set()
        after(go_on, as_kms)(connection, request)

    upstream.always(slow)
    first = Background(lambda: kms.generate_data_key(**DATA_KEY))
    assert asked.wait(PATIENCE)
    try:
        for _ in range(5):
            refused(kms.generate_data_key, **DATA_KEY)
        assert gateway.metric("kmsgate_upstream_circuit_open") == 0
    finally:
        go_on.set()
        assert first.result()["KeyId"] == KEY


def test_a_client_that_hangs_up_ends_its_call(site):
    connection = connect(site.gateway)
    asked = threading.Event()

    def hangs(of_upstream, _):
        asked.set()
        of_upstream.wait_for_end()

    site.upstream.always(hangs)
    request = signed(site.gateway, "GenerateDataKey", json.dumps(DATA_KEY).encode())
    begin(connection, request)
    connection.send(request.body)
    assert asked.wait(PATIENCE)
    connection.close()
    wait_for(lambda: site.gateway.metric("kmsgate_upstream_connections") == 0)
    assert len(site.upstream.requests) == 1


# The end of the program, and of the upstream.


@pytest.mark.parametrize("client_stays", [True, False])
def test_a_change_that_waits_for_a_slow_upstream_outlives_sigterm_and_is_recorded(start, upstream, client_stays):
    gateway, kms = start(upstream.url, "first_byte_timeout_ms = 20000\ncall_timeout_ms = 20000")
    asked, go_on = threading.Event(), threading.Event()
    id = str(uuid.uuid4())
    made = answer({"KeyMetadata": {"Arn": KEY}}, headers={"x-amzn-RequestId": id})

    def slow(connection, request):
        asked.set()
        after(go_on, made)(connection, request)

    upstream.always(slow)
    request = signed(gateway, "CreateKey", b"{}")
    connection = connect(gateway)
    begin(connection, request)
    connection.send(request.body)
    assert asked.wait(PATIENCE)
    if not client_stays:
        connection.close()
    gateway.process.send_signal(signal.SIGTERM)
    gateway.stderr.wait_for(lambda line: b'"draining"' in line)
    go_on.set()
    if client_stays:
        answered = finish(connection)
        assert (answered.status, answered.request_id) == (200, id)
    assert gateway.process.wait(PATIENCE) == 0
    record = gateway.forwarded_record(id)
    assert record["eventName"] == "CreateKey"
    assert "errorCode" not in record
    assert record["resources"][0]["ARN"] == KEY
    gateway.assert_no_secret_was_written()


def test_a_change_that_is_never_answered_is_recorded_as_that_before_the_program_ends(start, upstream):
    gateway, kms = start(upstream.url, "first_byte_timeout_ms = 1500")
    asked = threading.Event()

    def hangs(connection, _):
        asked.set()
        connection.wait_for_end()

    upstream.always(hangs)
    request = signed(gateway, "CreateKey", b"{}")
    connection = connect(gateway)
    begin(connection, request)
    connection.send(request.body)
    assert asked.wait(PATIENCE)
    gateway.process.send_signal(signal.SIGTERM)
    answered = finish(connection)
    assert (answered.status, answered.error) == (500, ("DependencyTimeoutException", TOO_LATE))
    assert gateway.process.wait(PATIENCE) == 0
    assert_recorded(gateway, answered.request_id, "DependencyTimeoutException", "the upstream took too long: ")
    gateway.assert_no_secret_was_written()


LOAD = 8


def test_an_upstream_that_is_killed_under_load_is_found_again_and_no_answer_is_without_its_record(start, tmp_path):
    upstream = Kms(tmp_path / "upstream")
    gateway, _ = start(upstream.url, environment=upstream.environment)
    callers = [Caller(gateway, upstream.key) for _ in range(LOAD)]
    wait_for(lambda: all(caller.granted for caller in callers))
    for _ in range(2):
        upstream.kill()
        errors = [caller.refused for caller in callers]
        wait_for(lambda: all(caller.refused > before for caller, before in zip(callers, errors)))
        upstream.start()
        granted = [caller.granted for caller in callers]
        wait_for(lambda: all(caller.granted > before for caller, before in zip(callers, granted)))
    for caller in callers:
        caller.end()

    # The gateway's id where it answered itself, and else the upstream's: one record each.
    recorded = {}
    for record in gateway.records():
        about = record["additionalEventData"]["gateway"]
        id = about.get("upstreamRequestId", record["requestID"])
        assert id not in recorded
        recorded[id] = record.get("errorCode")
    answered = {id: code for caller in callers for id, code in caller.answered.items()}
    assert {id: recorded.get(id, "no record") for id in answered} == answered
    # Nobody was told anything but that KMS could not be reached, and nobody was left without an answer.
    told = {code for code in answered.values()}
    assert told <= {None, "KMSInternalException", "KeyUnavailableException", "DependencyTimeoutException"}
    assert len(recorded) == len(answered)
    assert not gateway.unready()
    upstream.stop()


class Kms:
    """A real KMS that is killed and started again where it was: this program with its local backend."""

    def __init__(self, directory):
        self._directory, self._port = directory, free_port()
        self.start()

    def start(self):
        address = f"127.0.0.1:{self._port}"
        self._process = Gateway.quickstart(self._directory, listen=address)
        made = self._process
        self.url, self.key = made.endpoint, made.key_arn
        self.environment = {"AWS_ACCESS_KEY_ID": made.key.id, "AWS_SECRET_ACCESS_KEY": made.key.secret}

    def kill(self):
        self._process.kill()

    def stop(self):
        self._process.stop()


class Caller(threading.Thread):
    """Asks for one data key after another over one connection, and keeps what it was told."""

    def __init__(self, gateway, key):
        super().__init__(daemon=True)
        self._kms, self._key = Direct(gateway), key
        self.answered, self.granted, self.refused = {}, 0, 0
        self._ending, self._fault = threading.Event(), None
        self.start()

    def run(self):
        try:
            while not self._ending.is_set():
                self._call()
        except BaseException as fault:
            self._fault = fault

    def _call(self):
        try:
            self._kms.call("GenerateDataKeyWithoutPlaintext", KeyId=self._key, KeySpec="AES_256")
        except Refused as refused:
            self.answered[self._kms.request_id] = refused.code
            self.refused += 1
        else:
            self.answered[self._kms.request_id] = None
            self.granted += 1

    def end(self):
        self._ending.set()
        self.join(PATIENCE)
        self._kms.close()
        if self._fault:
            raise self._fault


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]
