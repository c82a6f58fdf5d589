"""The collector that stands in for real ones, itself: it takes what OTLP allows, and finds what it does not."""

import base64
import json
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from collector import HANG, JSON, PROTOBUF, Collector, Reply
from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)

VECTORS = json.loads((Path(__file__).parents[1] / "vectors/otlp_logs.json").read_text())


@pytest.fixture
def collector():
    collector = Collector()
    yield collector
    collector.stop()


def a_request():
    return ExportLogsServiceRequest.FromString(base64.b64decode(VECTORS["requests"][0]["request"]))


def post(collector, body, content_type=PROTOBUF, path="/v1/logs", timeout=20):
    request = urllib.request.Request(collector.endpoint + path, body, {"Content-Type": content_type})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def test_both_encodings_of_a_request_are_the_same_records(collector):
    encodings = {PROTOBUF: a_request().SerializeToString(), JSON: json_format.MessageToJson(a_request()).encode()}
    for content_type, body in encodings.items():
        status, headers, answer = post(collector, body, content_type)
        assert (status, headers["Content-Type"]) == (200, content_type)
        assert answer == {PROTOBUF: b"", JSON: b"{}"}[content_type]
    first, second = collector.records
    assert first == second
    assert first.line == base64.b64decode(VECTORS["lines"][0]).decode()
    assert (first.event_name, first.severity) == ("kms.GenerateDataKeyWithoutPlaintext", "INFO")
    assert first.attributes["kmsgate.sequence"] == 17
    assert first.resource["service.instance.id"] == VECTORS["instance"]
    collector.check()


def change(part):
    request = a_request()
    part(request.resource_logs[0])
    return request.SerializeToString()


def twice(logs):
    log = logs.scope_logs[0].log_records[0]
    log.attributes.append(log.attributes[0])


WRONG = {
    "no protobuf": lambda: b"{}",
    "a field of tomorrow": lambda: a_request().SerializeToString() + b"\x50\x01",
    "no records": lambda: change(lambda logs: logs.scope_logs[0].ClearField("log_records")),
    "no instance": lambda: change(lambda logs: logs.resource.ClearField("attributes")),
    "no body": lambda: change(lambda logs: logs.scope_logs[0].log_records[0].ClearField("body")),
    "no time": lambda: change(lambda logs: logs.scope_logs[0].log_records[0].ClearField("observed_time_unix_nano")),
    "an attribute twice": lambda: change(twice),
    "nothing": lambda: b"",
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_with_a_request_is_found(collector, wrong):
    status, _, _ = post(collector, WRONG[wrong]())
    assert status == 400 and not collector.received
    with pytest.raises(AssertionError):
        collector.check()


def test_another_path_and_another_content_type_are_found(collector):
    assert post(collector, a_request().SerializeToString(), path="/v1/traces")[0] == 400
    assert post(collector, a_request().SerializeToString(), "text/plain")[0] == 400
    unknown = json.dumps({"resourceLogs": [], "tomorrow": 1}).encode()
    assert post(collector, unknown, JSON)[0] == 400
    assert len(collector.faults) == 3


def test_it_fails_rejects_and_hangs_as_it_is_told(collector):
    body = a_request().SerializeToString()
    collector.script(Reply(503, text="overloaded", headers={"Retry-After": "7"}))
    status, headers, answer = post(collector, body)
    assert (status, headers["Retry-After"], answer) == (503, "7", b"overloaded")

    collector.script(lambda records: Reply(rejected=len(records), text="too old"))
    status, _, answer = post(collector, body)
    partial = ExportLogsServiceResponse.FromString(answer).partial_success
    assert (status, partial.rejected_log_records, partial.error_message) == (200, 1, "too old")

    collector.script(HANG)
    with pytest.raises(TimeoutError):
        post(collector, body, timeout=0.2)
    assert len(collector.received) == 3 and not collector.records
    collector.check()
