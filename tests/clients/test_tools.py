"""Tools that people use on KMS, as processes: a few variables bring them to the gateway."""

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from gateway import PATIENCE, REGION

SECRET = "attack at noon, if it is dry"
# An environment of its own: it stands on another major version of the Encryption SDK.
ENCRYPTION_CLI = Path(sys.prefix) / "encryption-cli/bin/aws-encryption-cli"


@pytest.fixture
def run(allow_all, dynamodb, tmp_path):
    """Runs a command and returns its exit status, standard output and standard error."""
    environment = {
        "AWS_ENDPOINT_URL_KMS": allow_all.endpoint,
        "AWS_ENDPOINT_URL_DYNAMODB": dynamodb.endpoint,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": allow_all.key.id,
        "AWS_SECRET_ACCESS_KEY": allow_all.key.secret,
    }

    def run(*command, input=""):
        done = subprocess.run(
            command,
            env=os.environ | environment,
            # credstash writes a log to where it runs.
            cwd=tmp_path,
            input=input.encode(),
            capture_output=True,
            timeout=3 * PATIENCE,
        )
        return done.returncode, done.stdout, done.stderr.decode()

    return run


def calls(gateway, text):
    """The operation and the error of each request whose record holds `text`."""
    return [(record["eventName"], record.get("errorCode")) for record in gateway.records_with(text)]


def test_credstash_keeps_a_credential_and_gives_it_for_its_context_only(allow_all, run, dynamodb):
    table, role = f"credentials-{uuid.uuid4().hex}", uuid.uuid4().hex

    def credstash(*arguments):
        return run("credstash", "--table", table, *arguments)

    assert credstash("setup")[0] == 0
    stored = credstash("put", "--key", allow_all.alias, "db.password", SECRET, f"role={role}")
    assert stored == (0, b"db.password has been stored\n", "")
    [item] = dynamodb.client().scan(TableName=table)["Items"]
    assert SECRET not in str(item)
    assert credstash("get", "--noline", "db.password", f"role={role}") == (0, SECRET.encode(), "")
    status, answer, error = credstash("get", "db.password", f"role={role}", "site=other")
    assert (status, answer) == (1, b"")
    assert "Could not decrypt hmac key with KMS" in error
    assert calls(allow_all, role) == [
        ("GenerateDataKey", None),
        ("Decrypt", None),
        ("Decrypt", "InvalidCiphertextException"),
    ]


def test_sops_seals_a_file_and_opens_it_with_its_context_only(allow_all, run, tmp_path):
    order, plain, sealed = uuid.uuid4().hex, tmp_path / "plain.json", tmp_path / "sealed.json"
    plain.write_text(json.dumps({"password": SECRET}))
    key = ["--kms", allow_all.key_arn, "--encryption-context", f"order:{order},tenant:blue"]
    status, text, error = run("sops", "--encrypt", *key, plain)
    assert (status, SECRET.encode() in text) == (0, False), error
    sealed.write_bytes(text)
    status, text, error = run("sops", "--decrypt", sealed)
    assert (status, json.loads(text)) == (0, {"password": SECRET}), error
    sealed.write_text(sealed.read_text().replace("blue", "pink"))
    status, text, error = run("sops", "--decrypt", sealed)
    assert (status, SECRET.encode() in text) == (128, False)
    assert "An error occurred (InvalidCiphertextException) when calling the Decrypt operation" in error
    assert calls(allow_all, order) == [
        ("Encrypt", None),
        ("Decrypt", None),
        ("Decrypt", "InvalidCiphertextException"),
    ]


@pytest.fixture
def encryption_cli(run):
    def encryption_cli(action, keys, context, input):
        files = ("--input", "-", "--output", "-", "--encode" if action == "--encrypt" else "--decode")
        options = ("--wrapping-keys", *keys, "--encryption-context", *context, "--suppress-metadata")
        return run(ENCRYPTION_CLI, action, *files, *options, input=input)

    return encryption_cli


def test_the_encryption_cli_seals_by_a_key_and_opens_by_discovery(allow_all, encryption_cli):
    context = ["tenant=blue", f"order={uuid.uuid4().hex}"]
    key = [f"key={allow_all.key_arn}"]
    discovery = ["discovery=true", "discovery-account=111122223333", "discovery-partition=aws"]
    status, sealed, error = encryption_cli("--encrypt", key, context, SECRET)
    assert (status, error) == (0, "")
    for keys in (key, discovery):
        assert encryption_cli("--decrypt", keys, context, sealed.decode()) == (0, SECRET.encode(), "")
    elsewhere = ["discovery=true", "discovery-account=444455556666", "discovery-partition=aws"]
    status, opened, error = encryption_cli("--decrypt", elsewhere, context, sealed.decode())
    assert (status != 0, opened) == (True, b""), error
    # The account is compared by the tool itself.
    order = context[1].removeprefix("order=")
    assert calls(allow_all, order) == [("GenerateDataKey", None), ("Decrypt", None), ("Decrypt", None)]


def test_the_encryption_cli_seals_nothing_by_a_key_that_is_disabled(allow_all, world, encryption_cli):
    order, key = uuid.uuid4().hex, world.key("disabled").arn
    status, sealed, error = encryption_cli("--encrypt", [f"key={key}"], [f"order={order}"], SECRET)
    assert (status != 0, sealed) == (True, b"")
    assert f"Master Key {key} unable to generate data key" in error
    assert calls(allow_all, order) == [("GenerateDataKey", "DisabledException")]
