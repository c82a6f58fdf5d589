"""Upstreams that stay away or are slow: bounded calls, the circuit breaker, and the end of the program."""

import json
import select
import signal
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from authority import Authority
from direct import Direct, Refused
from in_front import wait_for
from gateway import PATIENCE, Gateway
from hostile import KEY, after, answer, as_kms, closes, error, silent, with_body
# The fixtures too: pytest finds them where they are imported.
from upstream_site import (
    DATA_KEY,
    HTML,
    NO_ANSWER,
    TOO_LATE,
    answered,
    assert_recorded,
    refused,
    send_only,
    shared,
    site,
    start,
    until_the_peer_gives_up,
    upstream,
)
from wire import connect, finish, signed

# The circuit breaker.


def test_an_upstream_that_fails_again_and_again_is_left_alone_and_found_again(start, tmp_path, upstream):
    url = upstream.url.replace("http://127.0.0.1", "https://localhost")
    authority = Authority(tmp_path)
    upstream.at_each_connection(lambda connection: connection.close())
    gateway, kms = start(url, f'connect_timeout_ms = 2000\nca_file = "{authority.file}"')
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

    def told():
        code, _, _ = refused(kms.generate_data_key, **DATA_KEY)
        return code if event.is_set() else None

    return wait_for(told)


class Background:
    """A function that runs in a thread of its own."""

    def __init__(self, function):
        self._pool = ThreadPoolExecutor(1)
        self._result = self._pool.submit(function)

    def result(self):
        self._pool.shutdown(wait=False)
        return self._result.result(PATIENCE)


def test_a_client_that_hangs_up_while_its_call_finds_out_how_the_upstream_is_leaves_that_to_the_next(start, upstream):
    gateway, kms = start(upstream.url)
    upstream.always(closes)
    wait_for(lambda: refused(kms.generate_data_key, **DATA_KEY) and gateway.metric("kmsgate_upstream_circuit_open"))
    asked = threading.Event()

    def hangs(connection, _):
        asked.set()
        connection.wait_for_end()

    def hung_up():
        connection = connect(gateway)
        send_only(connection, signed(gateway, "GenerateDataKey", json.dumps(DATA_KEY).encode()))
        # Refused at once, or the one call that is let through.
        wait_for(lambda: asked.is_set() or select.select([connection.sock], [], [], 0.02)[0])
        connection.close()
        return asked.is_set()

    upstream.always(hangs)
    wait_for(hung_up)
    upstream.always(as_kms)
    wait_for(lambda: answered(kms))
    assert gateway.metric("kmsgate_upstream_circuit_open") == 0


def test_errors_of_kms_do_not_open_the_circuit(site):
    site.upstream.always(error("KMSInternalException", status=500))
    for asked in range(1, 21):
        assert refused(site.kms.generate_data_key, **DATA_KEY)[0] == "KMSInternalException"
        assert len(site.upstream.requests) == asked
    assert site.gateway.metric("kmsgate_upstream_circuit_open") == 0


# The whole of a call.


def test_a_look_up_and_what_follows_it_are_bounded_together(start, upstream):
    gateway, kms = start(upstream.url, "", server="body_read_timeout_ms = 1000\nrequest_timeout_ms = 2000")

    def slow(connection, request):
        # Each of them ends in time.
        time.sleep(1.2)
        as_kms(connection, request)

    upstream.always(slow)
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


def test_a_look_up_that_its_client_has_left_is_made_for_those_who_wait_for_it_too(site):
    name, asked = f"alias/{uuid.uuid4()}", threading.Event()

    def hangs(connection, _):
        asked.set()
        connection.wait_for_end()

    site.upstream.then(hangs)
    body = json.dumps({"KeyId": name, "KeySpec": "AES_256"}).encode()
    first, second = connect(site.gateway), connect(site.gateway)
    send_only(first, signed(site.gateway, "GenerateDataKey", body))
    assert asked.wait(PATIENCE)
    send_only(second, signed(site.gateway, "GenerateDataKey", body))
    first.close()
    assert finish(second).status == 200
    assert len(site.upstream.of("DescribeKey")) == 2


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
            code, _, request_id = refused(kms.generate_data_key, **DATA_KEY)
            assert code == "KeyUnavailableException"
            assert_recorded(gateway, request_id, code, "the upstream cannot be reached: all 1 connections to ")
        assert gateway.failures() == {"all_in_use": 5}
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
    send_only(connection, signed(site.gateway, "GenerateDataKey", json.dumps(DATA_KEY).encode()))
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
    connection = connect(gateway)
    send_only(connection, signed(gateway, "CreateKey", b"{}"))
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
    connection = connect(gateway)
    send_only(connection, signed(gateway, "CreateKey", b"{}"))
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
        self._directory, self._address = directory, "127.0.0.1:0"
        self.start()

    def start(self):
        self._process = made = Gateway.quickstart(self._directory, listen=self._address)
        self._address = made.endpoint.removeprefix("http://")
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
        assert not self.is_alive(), "it is not answered"
        self._kms.close()
        if self._fault:
            raise self._fault
