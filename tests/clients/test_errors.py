"""Every error that the service's model has for an operation that is served is reached: by a conformance case, with
its code, status and text, or by the test that its excuse names."""

import json
import re
from pathlib import Path

import pytest
import strace
from conformance import CASES
from errors import CHANGES, EXCUSES
from gateway import Gateway, allow_everything
from test_states import call, least
from wire import exchange
from world import World

PROJECT = Path(__file__).parents[2]
REACHED = {(case.operation, case.code) for case in CASES}


@pytest.fixture(scope="module")
def pairs(world):
    """Every operation that is served with every error that its model has."""
    kms = world.client()
    model = kms.meta.service_model

    def is_served(operation):
        refusal = call(kms, operation.name, least("", operation.input_shape))
        return refusal is None or "is not served" not in refusal[1]

    served = [operation for operation in map(model.operation_model, model.operation_names) if is_served(operation)]
    pairs = {(operation.name, error.name) for operation in served for error in operation.error_shapes}
    assert {operation for operation, _ in pairs} >= {"GenerateDataKeyWithoutPlaintext", *CHANGES}
    return pairs


def test_every_error_of_every_served_operation_is_reached_or_excused(pairs):
    missing = pairs - REACHED
    unexcused = {pair for pair in missing if not any(excuse.holds_for(*pair) for excuse in EXCUSES)}
    assert not unexcused


@pytest.mark.parametrize("excuse", EXCUSES, ids=lambda excuse: excuse.error)
def test_an_excuse_is_needed_for_all_that_it_names_and_its_test_is_there(pairs, excuse):
    missing = pairs - REACHED
    excused = {operation for operation, error in missing if excuse.holds_for(operation, error)}
    assert excused == (excuse.operations or excused) != set()
    assert excuse.reason
    if excuse.shown_by:
        file, name = excuse.shown_by
        assert re.search(rf"(def|fn) {name}\(", (PROJECT / file).read_text()), excuse.shown_by


def test_a_change_that_cannot_be_stored_is_a_fault_of_kms_and_leaves_no_trace(tmp_path):
    policy, data_dir = allow_everything(tmp_path), tmp_path / "data"
    gateway = Gateway.quickstart(data_dir, policy, more=["--replica-region", "eu-west-1"])
    world = World(gateway)
    kms, requests = world.client(), []
    for operation, (given, request) in CHANGES.items():
        own = world.case()
        for before in given:
            world.call(before[0], **json.loads(own.fill(before[1])))
        requests.append((operation, own.fill(request)))
    with strace.failing(gateway.process.pid, "pwrite64", "EIO", data_dir / "keys.sqlite-wal"):
        for operation, request in requests:
            answer = exchange(kms, operation, request)
            assert (answer.status, answer.body) == (500, b'{"__type":"KMSInternalException"}'), operation
            assert answer.headers["x-amzn-ErrorType"] == "KMSInternalException"
            assert type(answer.exception) is kms.exceptions.KMSInternalException, operation
            record = gateway.record(answer.request_id)
            assert (record["errorCode"], record["responseElements"]) == ("KMSInternalException", None), operation
    # None has changed anything, so each can be done now.
    for operation, request in requests:
        answer = exchange(kms, operation, request)
        assert answer.status == 200, (operation, answer.body)
    world.close()
    gateway.stop()
