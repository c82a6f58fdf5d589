"""Floods of requests that nobody has signed: the audit file grows no faster than it should, every request is recorded or
counted, and whoever has signed theirs is served and recorded as ever."""

import json
import resource
import socket
import threading
import time
from collections import Counter
from itertools import count

import pytest
from direct import Direct
from gateway import PATIENCE, AccessKey, Gateway
from in_front import wait_for
from wire import connect, signed, start

# What `audit.unauthenticated_per_second` is by default, and how many seconds' worth may come at once.
PER_SECOND, BURST = 10, 100
# No record of an unauthenticated request is longer, nor a sum: what a sum lists is bounded too.
LONGEST_RECORD, LONGEST_SUM = 16 * 1024, 4 * 1024
# Heads that no operation is read from cost a client nothing: they come as fast as they can be sent.
HEADS, BATCH = 24_000, 200
# Signatures that do not match: an address may send five before it is made to wait.
FORGED, EACH = 4_000, 5
SLOW_SENDERS, NETWORKS = 4_200, 8


@pytest.fixture
def gateway(tmp_path):
    # What holds a request's place is held throughout a test.
    gateway = Gateway.serve(tmp_path, ["app"], server="body_read_timeout_ms = 60000\nrequest_timeout_ms = 60000")
    gateway.key = gateway.keys["app"]
    return gateway


def test_a_flood_is_counted_exactly_and_fills_no_disk_while_signed_requests_are_each_recorded(gateway):
    began = time.monotonic()
    client, sent = SignedClient(gateway), Counter()
    client.start()
    for code, more in [flood_of_heads(gateway, HEADS), flood_of_forgeries(gateway, FORGED)]:
        sent[code] += more
    client.end()
    # What is counted is written by itself, within a second or so.
    wait_for(lambda: counted(whole(gateway)) == sent)

    code, more = flood_of_heads(gateway, 2_000)
    sent[code] += more
    gateway.stop()
    seconds = time.monotonic() - began
    assert counted(gateway.lines()) == sent
    assert_grown_no_more_than(gateway, seconds)
    assert_each_recorded(gateway, client.answered)
    print(f"{sent} in {seconds:.1f} s beside {len(client.answered)} signed requests")


def assert_grown_no_more_than(gateway, seconds):
    lines = [(line, record) for line, record in zip(gateway.audit_file.read_bytes().splitlines(), gateway.lines())]
    alone = [len(line) for line, record in lines if is_alone(record)]
    sums = [len(line) for line, record in lines if is_sum(record)]
    # A second is counted for each that has begun.
    assert BURST <= len(alone) <= BURST + PER_SECOND * (seconds + 1)
    assert 2 <= len(sums) <= seconds + 2
    assert max(alone) <= LONGEST_RECORD and max(sums) <= LONGEST_SUM
    # If each were recorded, as those are that were, it would be ten times as much.
    assert sum(alone) + sum(sums) < (HEADS + FORGED) * min(alone) / 10


def test_a_sum_says_from_where_most_came(gateway):
    flood_of_heads(gateway, 2_000, source="127.0.7.1")
    flood_of_heads(gateway, 1_000, source="127.0.7.2")
    gateway.stop()
    told = Counter()
    for record in gateway.lines():
        if is_sum(record):
            refusals = record["additionalEventData"]["gateway"]["refusals"]
            assert refusals["from"] <= refusals["to"]
            told.update({source["address"]: source["count"] for source in refusals["topSources"]})
        elif record["eventSource"] != "kmsgate":
            told[record["sourceIPAddress"]] += 1
    assert told == {"127.0.7.1": 2_000, "127.0.7.2": 1_000}


def test_thousands_who_send_no_body_neither_keep_signed_requests_out_nor_fill_the_audit_file(gateway):
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    forged = signed(gateway, "GenerateRandom", b'{"NumberOfBytes":8}', key=wrong(gateway.key))
    held = []
    for number in range(SLOW_SENDERS):
        held.append(connect(gateway, f"127.0.8.{number % NETWORKS + 1}"))
        start(held[-1], forged)
    answered = []
    for _ in range(100):
        with one_send(gateway, "GenerateRandom", b'{"NumberOfBytes":8}') as (status, request_id):
            assert status == 200
            answered.append(request_id)
    for connection in held:
        connection.close()
    wait_for(lambda: counted(whole(gateway)).total() == SLOW_SENDERS)
    gateway.stop()
    codes = counted(gateway.lines())
    assert codes.total() == SLOW_SENDERS
    # Half of what may be in flight, of all and of each peer, may be without its body.
    assert codes["ServiceUnavailableException"] == SLOW_SENDERS - 2_048, codes
    assert_each_recorded(gateway, answered)


class SignedClient(threading.Thread):
    """Makes signed requests until it is told to end; each has to be granted."""

    def __init__(self, gateway):
        super().__init__(daemon=True)
        self._kms, self._done, self._fault, self.answered = Direct(gateway), threading.Event(), None, []

    def run(self):
        try:
            while not self._done.is_set():
                self._kms.call("GenerateRandom", NumberOfBytes=8)
                self.answered.append(self._kms.request_id)
        except BaseException as fault:
            self._fault = fault

    def end(self):
        self._done.set()
        self.join(PATIENCE)
        self._kms.close()
        if self._fault:
            raise self._fault


def flood_of_heads(gateway, requests, source="127.0.0.1"):
    """Requests that name no operation of KMS, over one connection; the code they are refused with, and how many."""
    request = b"GET / HTTP/1.1\r\nHost: " + gateway.endpoint.removeprefix("http://").encode() + b"\r\n\r\n"
    connection = connect(gateway, source)
    connection.connect()
    for _ in range(requests // BATCH):
        pipeline(connection.sock, request, BATCH)
    connection.close()
    return "UnknownOperationException", requests


def flood_of_forgeries(gateway, requests):
    forged = signed(gateway, "GenerateRandom", b'{"NumberOfBytes":8}', key=wrong(gateway.key))
    request = as_bytes(forged)
    numbers = count()

    def some():
        while (number := next(numbers)) < requests // EACH:
            connection = connect(gateway, f"127.2.{number // 250}.{number % 250 + 1}")
            connection.connect()
            pipeline(connection.sock, request, EACH)
            connection.close()

    threads = [threading.Thread(target=some) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE * 3)
    return "InvalidSignatureException", requests


def pipeline(stream, request, times):
    """Sends a request so often, and waits for as many answers."""
    stream.sendall(request * times)
    answers = b""
    while (found := answers.lower().count(b"x-amzn-requestid:")) < times or not answers.endswith(b"}"):
        more = stream.recv(1 << 20)
        assert more, f"the connection ended after {found} of {times} answers"
        answers += more


class one_send:
    """A signed request whose head and body are sent at once, so that it needs no place among those that wait for theirs;
    gives status and request id."""

    def __init__(self, gateway, operation, body):
        self._bytes = as_bytes(signed(gateway, operation, body))
        self._connection = connect(gateway)

    def __enter__(self):
        self._connection.connect()
        self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection.sock.sendall(self._bytes)
        answer = b""
        while not answer.endswith(b"}"):
            more = self._connection.sock.recv(1 << 16)
            assert more, answer
            answer += more
        head = answer.decode().split("\r\n\r\n")[0].split("\r\n")
        [request_id] = [line.split(": ")[1] for line in head if line.lower().startswith("x-amzn-requestid:")]
        return int(head[0].split()[1]), request_id

    def __exit__(self, *_):
        self._connection.close()


def as_bytes(request):
    headers = {**request.headers, "Content-Length": len(request.body)}
    lines = ["POST / HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode() + request.body


def wrong(key):
    return AccessKey(key.id, "a secret that is not the key's own", key.principal)


def is_alone(record):
    return record["eventType"] == "AwsApiCall" and record["userIdentity"]["type"] == "Unknown"


def is_sum(record):
    return record["eventName"] == "UnauthenticatedRefusals"


def counted(records):
    """How many unauthenticated requests were refused with each code, those recorded and those summed up."""
    codes = Counter(record["errorCode"] for record in records if is_alone(record))
    for record in records:
        if is_sum(record):
            refusals = record["additionalEventData"]["gateway"]["refusals"]
            assert sum(refusals["byErrorCode"].values()) == refusals["count"] > 0
            codes.update(refusals["byErrorCode"])
    return codes


def whole(gateway):
    """The records of a file that is being written."""
    lines = gateway.audit_file.read_bytes().splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith(b"\n")]


def assert_each_recorded(gateway, request_ids):
    recorded = Counter(record.get("requestID") for record in gateway.records())
    assert request_ids and {recorded[request_id] for request_id in request_ids} == {1}

