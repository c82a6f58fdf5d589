"""The AWS SDK for JavaScript: its data-key calls are served, and it reads each refusal as the class it has for it."""

import base64
import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from conformance import ONE_OF_EACH_CODE
from gateway import PATIENCE, REGION, Lines
from wire import MISMATCH
from world import BLOBS

CONTEXT = {"tenant": "blue", "team": "orders", "città": "Forlì £"}
OTHER_ORDER = dict(reversed(CONTEXT.items()))
CALLS = Path(__file__).parent / "javascript/calls.mjs"
SECRET = b"attack at noon, if it is dry"
# The SDK's own word for the text of an error that has none.
NO_TEXT = "Unknown"
# Errors that every service of AWS has, and that are none of KMS's own model.
NOT_IN_THE_MODEL = {"AccessDeniedException", "SerializationException", "ValidationException"}


class JavaScript:
    """A program on the SDK, which makes one call after the other."""

    def __init__(self, gateway, key=None, **environment):
        self.gateway, key = gateway, key or gateway.key
        environment = {
            "AWS_ENDPOINT_URL_KMS": gateway.endpoint,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": key.id,
            "AWS_SECRET_ACCESS_KEY": key.secret,
            "AWS_MAX_ATTEMPTS": "1",
        } | environment
        self.process = subprocess.Popen(
            ["node", CALLS],
            env=os.environ | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.stdout, self.stderr = Lines(self.process.stdout), Lines(self.process.stderr)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        assert self.process.wait(PATIENCE) == 0, self.stderr.text().decode()

    def call(self, operation, **parameters):
        """What came of a call: `answer` or `error`, with `requestId`, `status` and `attempts`."""
        call = {"operation": operation, "parameters": parameters}
        self.process.stdin.write(json.dumps(call, default=to_json).encode() + b"\n")
        self.process.stdin.flush()
        return self.stdout.wait_for(lambda line: json.loads(line, object_hook=from_json))

    def answer(self, operation, **parameters):
        outcome = self.call(operation, **parameters)
        assert (outcome.get("error"), outcome["status"]) == (None, 200)
        answer = outcome["answer"]
        if len(answer.get("Plaintext", "")) >= 16:
            self.gateway.keep_secret(answer["Plaintext"])
        return answer


def to_json(value):
    return {"base64": base64.b64encode(value).decode()}


def from_json(value):
    return base64.b64decode(value["base64"]) if value.keys() == {"base64"} else value


@pytest.fixture(scope="module")
def javascript(narrow):
    with JavaScript(narrow) as program:
        yield program


@pytest.fixture(scope="module")
def admin(allow_all):
    with JavaScript(allow_all) as program:
        yield program


def test_a_data_key_is_made_and_opened_with_its_context_in_another_order(narrow, javascript):
    outcome = javascript.call(
        "GenerateDataKeyWithoutPlaintext", KeyId=narrow.alias, KeySpec="AES_256", EncryptionContext=CONTEXT
    )
    made = outcome["answer"]
    assert made.keys() == {"CiphertextBlob", "KeyId", "KeyMaterialId"}
    assert made["KeyId"] == narrow.key_arn
    record = narrow.record(outcome["requestId"])
    assert record["requestParameters"]["encryptionContext"] == CONTEXT
    assert record["userAgent"].startswith("aws-sdk-js/3.")
    opened = javascript.answer("Decrypt", CiphertextBlob=made["CiphertextBlob"], EncryptionContext=OTHER_ORDER)
    assert opened.keys() == {"KeyId", "Plaintext", "EncryptionAlgorithm", "KeyMaterialId"}
    assert len(opened["Plaintext"]) == 32
    assert (opened["KeyId"], opened["KeyMaterialId"]) == (narrow.key_arn, made["KeyMaterialId"])


@pytest.mark.parametrize("context", [{}, {"tenant": "blue"}, CONTEXT | {"tenant": "pink"}], ids=str)
def test_another_context_opens_nothing_and_kms_says_no_more(narrow, javascript, context):
    sealed = javascript.answer("Encrypt", KeyId=narrow.key_id, Plaintext=SECRET, EncryptionContext=CONTEXT)
    outcome = javascript.call("Decrypt", CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext=context)
    assert outcome["error"] == {
        "type": "InvalidCiphertextException",
        "name": "InvalidCiphertextException",
        "message": NO_TEXT,
        "fault": "client",
    }
    assert narrow.record(outcome["requestId"])["errorCode"] == "InvalidCiphertextException"


@pytest.mark.parametrize(("size", "length"), [({"KeySpec": "AES_128"}, 16), ({"NumberOfBytes": 64}, 64)], ids=str)
def test_a_data_key_comes_with_its_plaintext_when_that_is_asked_for(narrow, javascript, size, length):
    made = javascript.answer("GenerateDataKey", KeyId=narrow.key_arn, EncryptionContext=CONTEXT, **size)
    assert made.keys() == {"CiphertextBlob", "KeyId", "KeyMaterialId", "Plaintext"}
    opened = javascript.answer("Decrypt", CiphertextBlob=made["CiphertextBlob"], EncryptionContext=CONTEXT)
    assert opened["Plaintext"] == made["Plaintext"]
    assert len(made["Plaintext"]) == length


def test_what_is_encrypted_moves_to_another_key_and_context(allow_all, world, admin):
    sealed = admin.answer("Encrypt", KeyId=allow_all.alias, Plaintext=SECRET, EncryptionContext=CONTEXT)
    assert sealed.keys() == {"CiphertextBlob", "EncryptionAlgorithm", "KeyId"}
    moved = admin.answer(
        "ReEncrypt",
        CiphertextBlob=sealed["CiphertextBlob"],
        SourceEncryptionContext=CONTEXT,
        DestinationKeyId=world.key("other").arn,
        DestinationEncryptionContext={"tenant": "pink"},
    )
    assert (moved["SourceKeyId"], moved["KeyId"]) == (allow_all.key_arn, world.key("other").arn)
    opened = admin.answer("Decrypt", CiphertextBlob=moved["CiphertextBlob"], EncryptionContext={"tenant": "pink"})
    assert (opened["Plaintext"], opened["KeyId"]) == (SECRET, world.key("other").arn)


def test_random_bytes_are_as_many_as_were_asked_for(admin):
    assert len(admin.answer("GenerateRandom", NumberOfBytes=1024)["Plaintext"]) == 1024


def test_what_no_policy_allows_is_refused_in_the_words_of_aws(narrow, javascript):
    outcome = javascript.call("DisableKey", KeyId=narrow.key_id)
    assert outcome["error"] == {
        # KMS's model does not name this one.
        "type": "KMSServiceException",
        "name": "AccessDeniedException",
        "message": f"User: {narrow.key.principal} is not authorized to perform: kms:DisableKey on resource:"
        f" {narrow.key_arn} because no identity-based policy allows the kms:DisableKey action",
        "fault": "client",
    }
    assert narrow.record(outcome["requestId"])["errorCode"] == "AccessDenied"


@pytest.mark.parametrize("case", ONE_OF_EACH_CODE, ids=lambda case: case.id)
def test_each_error_is_an_exception_of_its_own_class(allow_all, world, admin, case):
    own = case.prepared(world)
    parameters = json.loads(own.fill(case.request))
    parameters |= {name: base64.b64decode(parameters[name]) for name in parameters.keys() & BLOBS}
    outcome = admin.call(case.operation, **parameters)
    error = outcome["error"]
    modelled = case.code not in NOT_IN_THE_MODEL
    assert (error["name"], outcome["status"], outcome["attempts"]) == (case.code, case.status, 1)
    assert error["type"] == (case.code if modelled else "KMSServiceException")
    assert error["message"] == NO_TEXT if case.text == "" else case.says(error["message"], own), error
    assert allow_all.record(outcome["requestId"])["errorCode"] == case.recorded


@pytest.mark.parametrize(
    ("change", "name", "text"),
    [
        (
            {"id": "AKIAIOSFODNN7EXAMPLE"},
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
        ),
        ({"secret": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}, "InvalidSignatureException", MISMATCH),
    ],
)
def test_who_is_not_known_is_told_so(narrow, change, name, text):
    with JavaScript(narrow, replace(narrow.key, **change)) as stranger:
        error = stranger.call("DescribeKey", KeyId=narrow.key_id)["error"]
    assert (error["type"], error["name"], error["message"]) == ("KMSServiceException", name, text)


def test_a_call_beyond_the_quota_is_throttled_and_tried_again_as_often_as_the_sdk_is_told(throttled):
    key = throttled.keys["javascript"]
    with JavaScript(throttled, key) as once:
        outcome = until(lambda outcome: "error" in outcome, once)
    error = outcome["error"]
    assert (error["type"], error["name"], outcome["status"]) == ("KMSServiceException", "ThrottlingException", 400)
    assert error["message"] == (
        "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls."
    )
    assert throttled.record(outcome["requestId"])["errorCode"] == "ThrottlingException"
    with JavaScript(throttled, key, AWS_MAX_ATTEMPTS="10") as patient:
        outcome = until(lambda outcome: outcome["attempts"] > 1, patient)
    assert "answer" in outcome


def until(found, program):
    """The first outcome of many equal calls that is as is wanted."""
    outcomes = (program.call("ListKeys", Limit=1) for _ in range(100))
    return next(outcome for outcome in outcomes if found(outcome))
