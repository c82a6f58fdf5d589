"""Every conformance case, by boto3: what it is told is what KMS tells, to the letter where the letter is known."""

import json
import re

import pytest
from botocore.exceptions import ClientError
from conformance import CASES, SOURCES, recorded
from forwarded import may_be_told
from wire import exchange

# What the project promises.
LEAST = 250


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_kms_answers(backend, allow_all, world, case):
    if backend == "forwarding" and case.topic == "grants":
        pytest.skip("the gateway is the authority on grants, and has no store of them: see test_forwarding.py")
    own, kms = case.prepared(world), world.client(case.region)
    answer = exchange(kms, case.operation, own.fill(case.request), dict(case.headers))
    record = allow_all.record(answer.request_id)
    if backend == "forwarding" and answer.status != 200 and answer.error[0] in may_be_told(case):
        # Each of these is told in one way, whoever tells it.
        assert (answer.status, answer.headers["x-amzn-ErrorType"]) == (400, answer.error[0])
        assert record["errorCode"] == recorded(answer.error[0])
        return
    assert answer.status == case.status, answer.body
    if case.code is None:
        assert "errorCode" not in record
        granted(case, own, answer)
    else:
        text = refused(case, own, answer)
        # What the model does not name is a ClientError with a code.
        assert type(answer.exception) is getattr(kms.exceptions, case.code, ClientError)
        assert (record["errorCode"], record["responseElements"]) == (case.recorded, None)
        # CloudTrail cuts a text of more than 1,024 characters.
        assert record.get("errorMessage", "") == without_grant_tokens(text)[:1024]


def granted(case, own, answer):
    if case.members == ():
        assert answer.body == b""
        return
    body = json.loads(answer.body)
    if case.members is not None:
        assert sorted(body) == sorted(case.members)
    expected = json.loads(own.fill(case.answer or "{}"))
    assert has(body, expected), (body, expected)


def has(value, expected):
    """Whether `value` is `expected`; an object may have more members."""
    if isinstance(expected, dict):
        return isinstance(value, dict) and all(name in value and has(value[name], expected[name]) for name in expected)
    if isinstance(expected, list):
        return len(value) == len(expected) and all(map(has, value, expected))
    return value == expected


def refused(case, own, answer):
    """The text of the refusal."""
    body = json.loads(answer.body)
    assert body.pop("__type") == case.code, answer.body
    assert answer.headers["x-amzn-ErrorType"] == case.code
    # KMS writes this one member of this one error with a capital, and no other member.
    text = body.pop("Message" if case.code == "AccessDeniedException" else "message", None)
    assert body == {}
    assert case.says(text, own), text
    return text or ""


def without_grant_tokens(text):
    """The client is told the tokens it sent; the record never holds one."""
    return re.sub(r"Value '\[.*?\]' at 'grantTokens'", "Value at 'grantTokens'", text)


def test_there_are_as_many_cases_as_promised_and_each_says_where_it_is_from():
    assert len(CASES) >= LEAST
    assert len({case.id for case in CASES}) == len(CASES)
    for case in CASES:
        assert case.source in SOURCES, case.id
        assert case.reference, case.id
        assert (case.code is None) == (case.status == 200), case.id
        # A text that is unknown is left out; a refusal has no members, an answer no text.
        assert case.text is None or case.code, case.id
        assert (case.answer is None and case.members is None) or case.code is None, case.id


# What the front end answers, to whatever operation.
COMMON = {"AccessDeniedException", "SerializationException", "UnknownOperationException", "ValidationException"}


def test_no_case_expects_what_the_services_model_does_not_have(world):
    for case in CASES:
        operation = world.client().meta.service_model.operation_model(case.operation)
        assert case.code in {None, *COMMON, *(error.name for error in operation.error_shapes)}, case.id
        answer = operation.output_shape.members if operation.output_shape else ()
        assert set(case.members or ()) <= set(answer), case.id
        assert case.members is None or bool(case.members) == bool(answer), case.id
