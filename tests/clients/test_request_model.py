"""Every member of every request that botocore's model has is read, with its type and its bounds."""

import json
import re

import pytest
from direct import Direct, Refused

# A value of another type, and what is said of it.
WRONG = {
    "string": (1, "NUMBER_VALUE can not be converted to a String"),
    "blob": (1, "NUMBER_VALUE can not be converted to a Blob"),
    "integer": ("a", "STRING_VALUE can not be converted to an Integer"),
    "boolean": ("a", "STRING_VALUE can not be converted to a Boolean"),
    "timestamp": ("a", "STRING_VALUE can not be converted to milliseconds since epoch"),
    "list": ("a", "Expected list or null"),
    "map": ("a", "Expected map or null"),
    "structure": ("a", "Expected null"),
}
# What is required beyond the model: a principal that is no service, and outside a dry run a ciphertext.
ALSO_REQUIRED = {
    "CreateGrant": {"GranteePrincipal"},
    "ListRetirableGrants": {"RetiringPrincipal"},
    "Decrypt": {"CiphertextBlob"},
    "ReEncrypt": {"CiphertextBlob"},
}
# Longer than a body may be here.
TOO_LONG = 262_144


@pytest.fixture(scope="module")
def model(kms):
    return kms.meta.service_model


@pytest.fixture(scope="module")
def direct(allow_all):
    connection = Direct(allow_all)
    yield connection
    connection.close()


def refusal(direct, operation, body):
    try:
        direct.call(operation, **body)
    except Refused as refused:
        return refused
    return None


def members(shape):
    """Each member of a request, with its path in a body as a function from its value, its path in texts, its shape."""
    for name, member in shape.members.items() if shape else ():
        yield (lambda value, name=name: {name: value}), camel(name), member
        inner, wrap, more = member, (lambda value: value), ""
        if inner.type_name == "list":
            inner, wrap, more = inner.member, (lambda value: [value]), ".1.member"
        if inner.type_name == "structure":
            for put, path, part in members(inner):
                yield (
                    (lambda value, name=name, put=put, wrap=wrap: {name: wrap(put(value))}),
                    f"{camel(name)}{more}.{path}",
                    part,
                )


def camel(name):
    return name[0].lower() + name[1:]


def requests(model):
    for name in model.operation_names:
        for put, path, shape in members(model.operation_model(name).input_shape):
            yield name, put, path, shape


def test_every_member_is_known_by_its_type(direct, model):
    for operation, put, path, shape in requests(model):
        value, text = WRONG[shape.type_name]
        told = refusal(direct, operation, put(value))
        assert told and (told.code, told.message) == ("SerializationException", text), (operation, path, told)


def test_what_is_required_is_missed_and_nothing_else(direct, model):
    for name in model.operation_names:
        shape = model.operation_model(name).input_shape
        required = set(shape.required_members if shape else ()) | ALSO_REQUIRED.get(name, set())
        told = refusal(direct, name, {})
        missed = re.findall("Value null at '(.*?)'", told.message) if told else []
        assert sorted(missed) == sorted(map(camel, required)), (name, told)


def beyond(shape):
    """Values just outside the model's bounds, each with what is said of it."""
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    match shape.type_name:
        case "integer":
            if low is not None:
                yield low - 1, f"have value greater than or equal to {low}"
            if high is not None:
                yield high + 1, f"have value less than or equal to {high}"
        case "string":
            if low:
                yield "a" * (low - 1), f"have length greater than or equal to {low}"
            if high is not None:
                yield "a" * (high + 1), f"have length less than or equal to {high}"
            if pattern := shape.metadata.get("pattern"):
                yield "\u0100" * (low or 1), f"satisfy regular expression pattern: {pattern}"
        case "list":
            # Of what is within its own bounds.
            one = "a" * shape.member.metadata.get("min", 1) if shape.member.type_name == "string" else {}
            if low:
                yield [one] * (low - 1), f"have length greater than or equal to {low}"
            if high is not None:
                yield [one] * (high + 1), f"have length less than or equal to {high}"
        case "blob":
            if low:
                yield "", f"have length greater than or equal to {low}"
            if high is not None and high < TOO_LONG:
                yield "AAAA" * (high // 3 + 1), f"have length less than or equal to {high}"


def test_every_bound_is_the_models(direct, model):
    for operation, put, path, shape in requests(model):
        for value, text in beyond(shape):
            told = refusal(direct, operation, put(value))
            assert told and told.code == "ValidationException", (operation, path, told)
            faults = re.split("; | detected: ", told.message)
            assert any(
                f"at '{path}' failed" in fault and fault.endswith(f"constraint: Member must {text}") for fault in faults
            ), (operation, path, text, told.message[:500])


def test_every_choice_has_the_models_values(direct, model):
    for operation, put, path, shape in requests(model):
        listed = shape.type_name == "list"
        choice = shape.member if listed else shape
        if not getattr(choice, "enum", None):
            continue
        told = refusal(direct, operation, put(["?"] if listed else "?"))
        known = re.search(rf"at '{re.escape(path)}' failed .*?enum value set: \[(.*?)\]", told.message)
        assert set(known[1].split(", ")) == set(choice.enum), (operation, path, json.dumps(told.message))
