"""The AWS CLI, as a process: one variable brings it to the gateway, and it names every error."""

import base64
import json
import os
import re
import subprocess
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import pytest
from botocore import xform_name
from conformance import ONE_OF_EACH_CODE
from gateway import FREE_PORTS, PATIENCE, Gateway
from world import BLOBS

ALLOWED = "arn:aws:iam::111122223333:user/quickstart"


@dataclass
class Outcome:
    status: int
    answer: dict
    error: str
    # Tells the call from all others in the audit records.
    app_id: str

    def refused(self, code, operation):
        """The text of the error that the CLI shows."""
        call = rf"{operation} operation(?: \(reached max retries: 0\))?"
        shown = re.search(rf"An error occurred \({code}\) when calling the {call}: (.*)", self.error)
        assert (self.status, bool(shown)) == (255, True), self.error
        return shown[1].strip()


@pytest.fixture(scope="module")
def aws(tmp_path_factory):
    """Runs one command of the CLI, which neither tries again nor checks parameters; the gateway has to."""
    config = tmp_path_factory.mktemp("aws") / "config"
    config.write_text("[default]\nparameter_validation = false\n")

    def run(gateway, *arguments, key=None, **environment):
        key, app_id = key or gateway.key, uuid.uuid4().hex
        environment = {
            "AWS_ENDPOINT_URL_KMS": gateway.endpoint,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": key.id,
            "AWS_SECRET_ACCESS_KEY": key.secret,
            "AWS_CONFIG_FILE": str(config),
            "AWS_MAX_ATTEMPTS": "1",
            "AWS_SDK_UA_APP_ID": app_id,
        } | environment
        done = subprocess.run(
            ["aws", "kms", *arguments],
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=3 * PATIENCE,
        )
        return Outcome(done.returncode, json.loads(done.stdout or "{}"), done.stderr, app_id)

    return run


def test_a_data_key_is_made_and_opened_with_its_context_in_another_order(narrow, aws, tmp_path):
    made = aws(
        narrow,
        "generate-data-key-without-plaintext",
        *("--key-id", narrow.alias, "--key-spec", "AES_256", "--encryption-context", "tenant=blue,team=orders"),
    )
    assert made.answer.keys() == {"CiphertextBlob", "KeyId", "KeyMaterialId"}, made.error
    assert made.answer["KeyId"] == narrow.key_arn
    record = narrow.record_with(made.app_id)
    assert record["requestParameters"]["encryptionContext"] == {"tenant": "blue", "team": "orders"}
    assert record["userAgent"].startswith("aws-cli/")
    assert "errorCode" not in record

    blob = tmp_path / "blob"
    blob.write_bytes(base64.b64decode(made.answer["CiphertextBlob"]))
    opened = aws(
        narrow,
        "decrypt",
        *("--ciphertext-blob", f"fileb://{blob}", "--encryption-context", "team=orders,tenant=blue"),
    )
    assert opened.answer.keys() == {"KeyId", "Plaintext", "EncryptionAlgorithm", "KeyMaterialId"}, opened.error
    assert len(base64.b64decode(opened.answer["Plaintext"])) == 32
    narrow.keep_secret(base64.b64decode(opened.answer["Plaintext"]))


def test_a_call_that_no_policy_allows_is_refused_in_the_words_of_aws(narrow, aws):
    outcome = aws(narrow, "disable-key", "--key-id", narrow.key_id)
    assert outcome.refused("AccessDeniedException", "DisableKey") == (
        f"User: {ALLOWED} is not authorized to perform: kms:DisableKey on resource: {narrow.key_arn}"
        " because no identity-based policy allows the kms:DisableKey action"
    )
    assert narrow.record_with(outcome.app_id)["errorCode"] == "AccessDenied"


# Three calls in one command, so that it is quicker than the quota: there are three keys, and a page holds one.
LIST_KEYS_ONE_BY_ONE = ["list-keys", "--page-size", "1"]


@pytest.fixture(scope="module")
def three_keys(throttled):
    names = ["boto3", "aws-cli", "curl"]
    for kms in [throttled.client(throttled.keys[name], retries={"total_max_attempts": 10}) for name in names]:
        kms.create_key()
        kms.close()


def test_a_call_beyond_the_quota_is_throttled(throttled, three_keys, aws):
    outcome = aws(throttled, *LIST_KEYS_ONE_BY_ONE, key=throttled.keys["aws-cli"])
    assert outcome.refused("ThrottlingException", "ListKeys") == (
        "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls."
    )
    assert throttled.records_with(outcome.app_id)[-1]["errorCode"] == "ThrottlingException"


def test_a_throttled_call_is_tried_again_as_often_as_the_cli_is_told(throttled, three_keys, aws):
    retries = {"AWS_MAX_ATTEMPTS": "10", "AWS_RETRY_MODE": "standard"}
    outcome = aws(throttled, *LIST_KEYS_ONE_BY_ONE, key=throttled.keys["aws-cli"], **retries)
    codes = [record.get("errorCode") for record in throttled.records_with(outcome.app_id)]
    assert len(outcome.answer["Keys"]) == 3, outcome.error
    assert codes.count(None) == 3
    assert codes[-1] is None
    assert set(codes) == {None, "ThrottlingException"}


@pytest.fixture(scope="module")
def outcomes(allow_all, world, aws, tmp_path_factory):
    """What the CLI makes of one refusal of each code, by their ids. It takes its time to start: some at once."""
    directory = tmp_path_factory.mktemp("blobs")
    worlds = [case.prepared(world) for case in ONE_OF_EACH_CODE]
    requests = [own.fill(case.request) for own, case in zip(worlds, ONE_OF_EACH_CODE)]

    def run(number, case, own, request):
        parameters, options = json.loads(request), []
        # The CLI takes bytes from files.
        for name in parameters.keys() & BLOBS:
            file = directory / f"{number}-{name}"
            file.write_bytes(base64.b64decode(parameters.pop(name)))
            options += ["--" + xform_name(name, "-"), f"fileb://{file}"]
        options += ["--cli-input-json", json.dumps(parameters)]
        return case.id, (own, aws(allow_all, xform_name(case.operation, "-"), *options))

    with ThreadPoolExecutor(4) as pool:
        return dict(pool.map(run, range(len(ONE_OF_EACH_CODE)), ONE_OF_EACH_CODE, worlds, requests))


@pytest.mark.parametrize("case", ONE_OF_EACH_CODE, ids=lambda case: case.id)
def test_each_error_is_shown_by_its_name(allow_all, outcomes, case):
    own, outcome = outcomes[case.id]
    text = outcome.refused(case.code, case.operation)
    # The CLI has words of its own for an error without any.
    assert case.text == "" or case.says(text, own), text
    assert allow_all.record_with(outcome.app_id)["errorCode"] == case.recorded


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"id": "AKIAIOSFODNN7EXAMPLE"}, "UnrecognizedClientException"),
        ({"secret": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}, "InvalidSignatureException"),
    ],
)
def test_who_is_not_known_is_told_so(allow_all, aws, change, code):
    outcome = aws(allow_all, "describe-key", "--key-id", allow_all.key_id, key=replace(allow_all.key, **change))
    outcome.refused(code, "DescribeKey")


def test_a_request_that_is_not_signed_lacks_its_token(narrow, aws):
    outcome = aws(narrow, "list-keys", "--no-sign-request")
    assert outcome.refused("MissingAuthenticationTokenException", "ListKeys") == "Missing Authentication Token"


def test_the_lines_that_quickstart_prints_run_as_they_are(tmp_path):
    gateway = Gateway(["quickstart", *FREE_PORTS, "--data-dir", tmp_path / "data"], tmp_path / "data/audit.jsonl")
    page = []
    gateway.stdout.wait_for(lambda line: page.append(line.decode()) or line.startswith(b"Ctrl-C"))
    page = "".join(page)
    gateway.keep_secret(re.search(r"secret access key +(\S+)", page)[1])
    cli, curl = re.search("With the AWS CLI.*?:\n\n(.*)\nWith curl:\n\n(.*)\nCtrl-C", page, re.DOTALL).groups()
    for lines in (cli, curl):
        done = subprocess.run(["bash", "-euc", lines], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        answer = json.loads(done.stdout or "{}")
        assert answer.keys() == {"CiphertextBlob", "KeyId", "KeyMaterialId"}, done.stderr
        shown = gateway.stdout.wait_for(lambda line: line.decode().split() if b"DataKey" in line else None)
        assert shown[1:5] == ["GenerateDataKeyWithoutPlaintext", "alias/quickstart", "user/quickstart", "allowed"]
    gateway.stop()
