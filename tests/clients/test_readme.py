"""The blocks of README.md that are to be copied into other programs run as they stand there."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError
from gateway import PATIENCE, PROGRAM, REGION, AccessKey, Gateway, allow
from hostile import KEY, Upstream
from in_front import EXAMPLE, InFront

README = Path(__file__).parents[2] / "README.md"
JAVASCRIPT = Path(__file__).parent / "javascript"


def block(section, language):
    """The one block of that language in that section."""
    [text] = re.findall(f"^## {section}$(.*?)^## ", README.read_text(), re.DOTALL | re.MULTILINE)
    [found] = re.findall(f"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return found


@pytest.fixture
def suite(tmp_path):
    """Runs a test suite of another project, with `kmsgate` on its path; returns what it printed."""
    path = f"{Path(PROGRAM).absolute().parent}{os.pathsep}{os.environ['PATH']}"

    def run(*command, input="", cwd=tmp_path):
        # Its pipes are those of the gateway that it starts, too: they end when both have ended.
        done = subprocess.run(
            command,
            env=os.environ | {"PATH": path, "TMPDIR": str(tmp_path)},
            cwd=cwd,
            input=input,
            capture_output=True,
            text=True,
            timeout=3 * PATIENCE,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def operations(directory):
    """What the one gateway of a suite was asked for, by its records."""
    [records] = directory.rglob("audit.jsonl")
    lines = map(json.loads, records.read_text().splitlines())
    return [record["eventName"] for record in lines if record["eventSource"] != "kmsgate"]


IN_PYTHON = """
def test_keys(kms):
    context = {"tenant": "blue"}
    made = kms.generate_data_key_without_plaintext(
        KeyId="alias/quickstart", KeySpec="AES_256", EncryptionContext=context
    )
    opened = kms.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext=context)
    assert len(opened["Plaintext"]) == 32
"""


def test_the_fixture_for_pytest(suite, tmp_path):
    imports = "import json, subprocess\nimport boto3, pytest\n"
    (tmp_path / "test_keys.py").write_text(imports + block("Local KMS", "python") + IN_PYTHON)
    # Not captured by pytest: so that the pipes are the gateway's too.
    options = ["-p", "no:cacheprovider", "-q", "-s", "--basetemp", tmp_path / "run"]
    assert "1 passed" in suite(sys.executable, "-m", "pytest", *options, "test_keys.py")
    assert operations(tmp_path) == ["GenerateDataKeyWithoutPlaintext", "Decrypt"]


IMPORTS_OF_JAVASCRIPT = """
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, test } from "node:test";
import { DecryptCommand, GenerateDataKeyWithoutPlaintextCommand, KMSClient } from "@aws-sdk/client-kms";
"""
IN_JAVASCRIPT = """
test("keys", async () => {
  const EncryptionContext = { tenant: "blue" };
  const size = { KeyId: "alias/quickstart", KeySpec: "AES_256" };
  const made = await kms.send(new GenerateDataKeyWithoutPlaintextCommand({ ...size, EncryptionContext }));
  const opened = await kms.send(new DecryptCommand({ CiphertextBlob: made.CiphertextBlob, EncryptionContext }));
  assert.equal(opened.Plaintext.length, 32);
});
"""


def test_the_block_for_the_test_runner_of_node(suite, tmp_path):
    program = IMPORTS_OF_JAVASCRIPT + block("Local KMS", "javascript") + IN_JAVASCRIPT
    # A program of standard input finds its packages from the directory in which it runs.
    printed = suite("node", "--input-type=module", input=program, cwd=JAVASCRIPT)
    assert re.search(r"^\S+ pass 1$", printed, re.MULTILINE), printed
    assert operations(tmp_path) == ["GenerateDataKeyWithoutPlaintext", "Decrypt"]


def test_the_lines_for_boto3(narrow, monkeypatch):
    for name, value in {
        "AWS_ENDPOINT_URL_KMS": narrow.endpoint,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": narrow.key.id,
        "AWS_SECRET_ACCESS_KEY": narrow.key.secret,
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    names = {}
    exec(block("Use it", "python"), names)
    assert len(names["key"]) == 32
    narrow.keep_secret(names["key"])
    names["kms"].close()


def test_the_lines_for_a_gateway_in_front_of_aws_kms(suite, tmp_path):
    files, serve = re.split("^(?=kmsgate serve)", block("In front of AWS KMS", "sh"), flags=re.MULTILINE)
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies/orders.json").write_text(block("In front of AWS KMS", "json"))
    suite("sh", "-eu", input=files)
    credentials = tmp_path / "credentials.toml"
    assert credentials.stat().st_mode & 0o777 == 0o600
    [(key_id, secret)] = re.findall('id = "(.*)"\nsecret = "(.*)"', credentials.read_text())
    [config] = re.findall(r"^kmsgate serve --config (\S+) &$", serve, re.MULTILINE)
    upstream = Upstream()
    # In place of AWS, and on ports that are free.
    with (tmp_path / config).open("a") as file:
        file.write(f'backend.endpoint_url = "{upstream.url}"\naudit.file = "audit.jsonl"\n')
        file.write('listen.address = "127.0.0.1:0"\nadmin.address = "127.0.0.1:0"\n')
    command = ["--log", "info", "serve", "--config", tmp_path / config]
    gateway = InFront(command, tmp_path / "audit.jsonl", environment=EXAMPLE).serving().wait_until_ready()
    gateway.keep_secret(secret)
    kms = gateway.client(AccessKey(key_id, secret, "arn:aws:iam::111122223333:role/orders"))
    kms.generate_data_key_without_plaintext(KeyId=KEY, KeySpec="AES_256")
    with pytest.raises(ClientError, match="AccessDeniedException"):
        kms.generate_data_key(KeyId=KEY, KeySpec="AES_256")
    assert [request.operation for request in upstream.requests] == ["GenerateDataKeyWithoutPlaintext"]
    kms.close()
    gateway.stop()
    upstream.stop()


def test_a_refusal_is_told_and_explained_in_these_words(tmp_path):
    text, lines = block("Who may do what", "console").split("\n...\n")
    data = tmp_path / "data"
    Gateway.quickstart(data).stop()
    own_tenant = {"StringEquals": {"kms:EncryptionContext:tenant": "blue"}}
    policy = allow("kms:GenerateDataKeyWithoutPlaintext", Sid="OwnTenant", Condition=own_tenant)
    (data / "policies/quickstart.json").write_text(json.dumps(policy))
    gateway = Gateway.quickstart(data)
    kms = gateway.client()
    with pytest.raises(ClientError) as caught:
        asked = {"KeyId": "alias/quickstart", "KeySpec": "AES_256", "EncryptionContext": {"tenant": "red"}}
        kms.generate_data_key_without_plaintext(**asked)
    message = caught.value.response["Error"]["Message"].replace(gateway.key_id, "1234abcd-12ab-34cd-56ef-1234567890ab")
    [told] = re.findall("operation: (.*)", text)
    assert told == message
    request_id = caught.value.response["ResponseMetadata"]["RequestId"]
    command = [PROGRAM, "policy", "explain", request_id, "--config", data / "kmsgate.toml"]
    explained = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE)
    assert lines in explained.stdout, explained.stdout
    kms.close()
    gateway.stop()
