"""Bad answers: what the client is told, what is recorded and counted, and that the next call goes well."""

import datetime
import email.utils
import json
import time
import uuid
from dataclasses import dataclass

import pytest
from in_front import EXAMPLE, wait_for
from gateway import PATIENCE
from hostile import (
    JSON_1_1,
    KEY,
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
    silent,
    with_body,
    with_clock,
)
# The fixtures too: pytest finds them where they are imported.
from upstream_site import (
    DATA_KEY,
    GRANTED,
    HTML,
    NO_ANSWER,
    TIMES,
    TOO_LATE,
    WHOLE,
    assert_recorded,
    refused,
    shared,
    site,
    start,
    upstream,
)
from wire import send, signed

OVERSIZE = 4 * 1024 * 1024 + 1


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


@pytest.mark.parametrize("name", FAULTS)
def test_an_upstream_that_is_at_fault_is_told_recorded_and_counted(site, name):
    fault, kms = FAULTS[name], site.kms
    site.upstream.always(fault.step)
    code, message, request_id = refused(kms.generate_data_key, **DATA_KEY)
    assert (code, message) == (fault.error, fault.message)
    assert_recorded(site.gateway, request_id, fault.error, fault.detail)
    assert len(site.upstream.requests) == fault.asked
    assert site.failures() == fault.counted
    if fault.counted:
        # What is left of the answer may come yet: nobody is to take it for another's.
        wait_for(lambda: not any(request.connection.open for request in site.upstream.requests))
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
        assert site.kms.generate_data_key(**DATA_KEY)["KeyId"] == KEY
        if step is once_more_later:
            # What comes while the next request is on its way cannot be told from its answer.
            used = site.upstream.requests[-1].connection
            wait_for(lambda: not used.open)
        assert site.kms.generate_data_key(**DATA_KEY)["Plaintext"] != b"FORGED"
        assert len(site.upstream.requests) == asked + 2


def test_an_error_is_named_by_its_body_and_in_one_way(site):
    """Some SDKs go by the header, and would correct their clock."""
    headers = {"x-amzn-ErrorType": "InvalidSignatureException"}
    site.upstream.always(error("DisabledException", f"{KEY} is disabled.", headers=headers))
    answer = send(site.gateway, signed(site.gateway, "GenerateDataKey", json.dumps(DATA_KEY).encode()))
    told = (answer.status, answer.error[0], answer.headers["x-amzn-ErrorType"])
    assert told == (400, "DisabledException", "DisabledException")


@pytest.mark.parametrize("id", ["", "x" * 40_000, "a b"], ids=["none", "long", "two words"])
def test_a_request_id_that_is_none_is_not_passed_on(site, id):
    site.upstream.always(answer(GRANTED, headers={"x-amzn-RequestId": id}))
    answered = send(site.gateway, signed(site.gateway, "GenerateDataKey", json.dumps(DATA_KEY).encode()))
    assert answered.status == 200
    # Nobody could find the record by it.
    assert answered.request_id != id
    assert site.gateway.record(answered.request_id)["eventName"] == "GenerateDataKey"


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
