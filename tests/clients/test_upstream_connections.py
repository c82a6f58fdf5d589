"""Connections that cannot be made or that die: what is tried again, and what is not."""

import re
import select
import socket

import pytest
from authority import Authority
from in_front import EXAMPLE, wait_for
from hostile import KEY, Upstream, closes, head, raw, resets_in_another_second
# The fixtures too: pytest finds them where they are imported.
from upstream_site import (
    DATA_KEY,
    NO_ANSWER,
    TIMES,
    UNREACHABLE,
    assert_recorded,
    refused,
    shared,
    site,
    start,
    until_the_peer_gives_up,
    upstream,
)

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


def test_an_answer_that_was_cut_is_not_taken_for_one_that_has_ended(start, tmp_path):
    """Where a head does not say how long the body is, whoever can cut a connection could shorten the body."""
    authority = Authority(tmp_path)
    upstream = Upstream((authority.server(), "localhost"))
    gateway, kms = start(upstream.url, f'{TIMES}\nca_file = "{authority.file}"')
    # The operation's answers have no body: this would be a whole one.
    upstream.always(raw(head(200, {})))
    code, message, request_id = refused(kms.enable_key, KeyId=KEY)
    assert (code, message) == ("KMSInternalException", NO_ANSWER)
    assert_recorded(gateway, request_id, code, "the connection to the upstream broke: ")
    upstream.always(raw(head(200, {}), lambda connection: connection.stream.unwrap()))
    kms.enable_key(KeyId=KEY)
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
    hanging = []

    def hangs(connection):
        hanging.append(connection)
        until_the_peer_gives_up(connection)

    upstream.at_each_connection(hangs)
    url = upstream.url.replace("http://127.0.0.1", "https://localhost")
    gateway, kms = start(url, f'connect_timeout_ms = 300\nca_file = "{Authority(tmp_path).file}"')
    assert_unreachable(gateway, kms, "connect_timeout", 1, "no connection to localhost:[0-9]+ was made in time")
    assert upstream.connections == 2
    wait_for(lambda: not any(connection.open for connection in hanging))


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
        # So that each call needs a connection of its own.
        upstream.close_connections()
        wait_for(lambda: gateway.metric("kmsgate_upstream_connections") == 0)
        before = len(upstream.requests)
        try:
            kms.create_key()
            made += 1
        except kms.exceptions.KMSInternalException:
            assert len(upstream.requests) == before
    assert made
    assert upstream.connections >= 10
    assert len(upstream.requests) == made
