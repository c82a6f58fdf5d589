"""curl --aws-sigv4: the plainest client there is reads status, code and text of every answer."""

import base64
import json
import subprocess
from dataclasses import dataclass, replace

import pytest
from conformance import ONE_OF_EACH_CODE
from gateway import PATIENCE

JSON_1_1 = "application/x-amz-json-1.1"


@dataclass
class Outcome:
    status: int
    headers: dict
    body: dict

    @property
    def request_id(self):
        return self.headers["x-amzn-requestid"]


@pytest.fixture
def curl(tmp_path):
    """Sends one call, signed as curl signs."""

    def run(gateway, operation, parameters, *options, key=None):
        key, body, head = key or gateway.key, tmp_path / "body", tmp_path / "head"
        body.write_bytes(parameters if isinstance(parameters, bytes) else json.dumps(parameters).encode())
        done = subprocess.run(
            [
                *("curl", "--silent", "--show-error", "--verbose", "--max-time", str(PATIENCE)),
                *("--aws-sigv4", "aws:amz:us-east-1:kms", "--user", f"{key.id}:{key.secret}"),
                *("--header", f"Content-Type: {JSON_1_1}", "--header", f"X-Amz-Target: TrentService.{operation}"),
                *("--data-binary", f"@{body}", "--dump-header", head, *options, f"{gateway.endpoint}/"),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
        )
        assert done.returncode == 0, done.stderr
        gateway.keep_signature_of(done.stderr.decode())
        lines = head.read_text().split("\n\n")[0].splitlines()
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:] if line)}
        return Outcome(int(lines[0].split()[1]), headers, json.loads(done.stdout or "{}"))

    return run


def test_a_data_key_is_made_and_opened_with_its_context_in_another_order(narrow, curl):
    context = {"tenant": "blue", "team": "orders"}
    asked = {"KeyId": narrow.alias, "KeySpec": "AES_256", "EncryptionContext": context}
    made = curl(narrow, "GenerateDataKeyWithoutPlaintext", asked)
    assert (made.status, made.headers["content-type"]) == (200, JSON_1_1)
    assert made.body.keys() == {"CiphertextBlob", "KeyId", "KeyMaterialId"}
    assert made.body["KeyId"] == narrow.key_arn
    record = narrow.record(made.request_id)
    assert record["eventName"] == "GenerateDataKeyWithoutPlaintext"
    assert record["userAgent"].startswith("curl/")
    assert "errorCode" not in record

    context = {"team": "orders", "tenant": "blue"}
    opened = curl(narrow, "Decrypt", {"CiphertextBlob": made.body["CiphertextBlob"], "EncryptionContext": context})
    assert opened.body.keys() == {"KeyId", "Plaintext", "EncryptionAlgorithm", "KeyMaterialId"}
    assert len(base64.b64decode(opened.body["Plaintext"])) == 32
    narrow.keep_secret(base64.b64decode(opened.body["Plaintext"]))


def test_a_call_that_no_policy_allows_is_refused_in_the_words_of_aws(narrow, curl):
    outcome = curl(narrow, "ListKeys", {})
    text = (
        "User: arn:aws:iam::111122223333:user/quickstart is not authorized to perform: kms:ListKeys on resource: *"
        " because no identity-based policy allows the kms:ListKeys action"
    )
    assert (outcome.status, outcome.body) == (400, {"__type": "AccessDeniedException", "Message": text})
    assert narrow.record(outcome.request_id)["errorCode"] == "AccessDenied"


def test_a_call_beyond_the_quota_is_throttled_and_not_tried_again(throttled, curl):
    key = throttled.keys["curl"]
    outcomes = (curl(throttled, "ListKeys", {}, "--retry", "3", key=key) for _ in range(50))
    outcome = next(outcome for outcome in outcomes if outcome.status != 200)
    text = "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls."
    assert (outcome.status, outcome.body) == (400, {"__type": "ThrottlingException", "message": text})
    # curl tries again after statuses like 429 and 503, and KMS's throttling is a 400: this was the last request.
    last = throttled.records_with("curl/")[-1]
    assert (last["requestID"], last["errorCode"]) == (outcome.request_id, "ThrottlingException")


@pytest.mark.parametrize("case", ONE_OF_EACH_CODE, ids=lambda case: case.id)
def test_each_error_has_its_status_its_name_and_its_text(allow_all, world, curl, case):
    own = case.prepared(world)
    outcome = curl(allow_all, case.operation, own.fill(case.request).encode())
    # KMS writes this one member of this one error with a capital.
    text = outcome.body.pop("Message" if case.code == "AccessDeniedException" else "message", None)
    assert (outcome.status, outcome.body) == (case.status, {"__type": case.code})
    assert case.says(text, own), text
    assert outcome.headers["x-amzn-errortype"] == case.code
    assert outcome.headers["content-type"] == JSON_1_1
    assert allow_all.record(outcome.request_id)["errorCode"] == case.recorded


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"id": "AKIAIOSFODNN7EXAMPLE"}, "UnrecognizedClientException"),
        ({"secret": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}, "InvalidSignatureException"),
    ],
)
def test_who_is_not_known_is_told_so(allow_all, curl, change, code):
    outcome = curl(allow_all, "DescribeKey", {"KeyId": allow_all.key_id}, key=replace(allow_all.key, **change))
    assert (outcome.status, outcome.body["__type"]) == (400, code)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--request", "GET"], "UnknownOperationException"),
        (["--request", "PUT"], "UnknownOperationException"),
        (["--request-target", "/keys"], "UnknownOperationException"),
        (["--request-target", "/?Action=ListKeys"], "UnknownOperationException"),
        (["--header", "X-Amz-Target: TrentService.ListKeys"], "ValidationException"),
    ],
)
def test_what_is_no_request_to_kms_is_refused_in_json(narrow, curl, options, code):
    outcome = curl(narrow, "ListKeys", {}, *options)
    assert (outcome.status, outcome.body["__type"]) == (400, code)
    assert narrow.record(outcome.request_id)["errorCode"] == code
