"""The real program: started on free ports, its records read back, and searched for secrets when it is stopped."""

import atexit
import base64
import functools
import json
import os
import queue
import re
import signal
import subprocess
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import boto3
import jsonschema_rs
from botocore.config import Config

PROGRAM = os.environ.get("KMSGATE") or Path(__file__).parents[2] / "target/debug/kmsgate"
REGION = "us-east-1"
# The longest that any step of a test may take, in seconds.
PATIENCE = 20
FREE_PORTS = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]


@dataclass(frozen=True)
class AccessKey:
    id: str
    secret: str
    principal: str


@dataclass(frozen=True)
class Principal:
    """An entry of the credentials file."""

    arn: str
    policies: tuple[str, ...] = ("allow-all",)
    # Further lines of it, in TOML.
    more: str = ""

    @classmethod
    def of(cls, name):
        """The user of that name, who may do everything."""
        return name if isinstance(name, cls) else cls(f"arn:aws:iam::111122223333:user/{name}")


class Ended(AssertionError):
    """The program has ended, and something was still waited for."""


class NotStarted(AssertionError):
    """The program has ended before it served: with which code, and what it said."""

    def __init__(self, code, said):
        super().__init__(f"ended with {code}: {said}")
        self.code, self.said = code, said


class Gateway:
    """One run of `kmsgate quickstart` or `kmsgate serve`."""

    # What clients check its certificate by, if it has one.
    ca_file = None

    def __init__(self, command, audit_file, under=(), environment=None, stdout=None):
        """`under` is a command that runs the program in its own place, with limits or rights of its own.

        `environment` is what its environment has beside this program's own. `stdout` is a pipe that its standard output
        goes to; without one, what it writes there is read and kept.
        """
        self.audit_file = audit_file
        self.endpoint = None
        self.secrets = set()
        self.process = subprocess.Popen(
            [*under, PROGRAM, *command],
            env=os.environ | (environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=stdout or subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        # What a failed test leaves behind.
        atexit.register(self.process.kill)
        self.stdout, self.stderr = stdout or Lines(self.process.stdout), Lines(self.process.stderr)

    @classmethod
    def quickstart(cls, data_dir, policy=None, under=(), more=(), listen="127.0.0.1:0"):
        ports = ["--listen", listen, "--admin", "127.0.0.1:0"]
        options = ["--json", *ports, "--data-dir", data_dir, *(["--policy", policy] if policy else []), *more]
        gateway = cls(["quickstart", *options], data_dir / "audit.jsonl", under)
        try:
            made = gateway.stdout.wait_for(json.loads)
        except Ended:
            raise NotStarted(gateway.process.wait(PATIENCE), gateway.stderr.text().decode()) from None
        gateway.endpoint, gateway.key_id, gateway.key_arn = made["endpoint"], made["keyId"], made["keyArn"]
        gateway.alias = made["alias"]
        gateway.key = AccessKey(made["accessKeyId"], made["secretAccessKey"], made["principal"])
        gateway.keep_secret(gateway.key.secret)
        return gateway

    @classmethod
    def serve(cls, directory, principals, documents=(), environment=None, log="info", run=(), **settings):
        """Serves with an access key for each of `principals`; those that are names alone are allowed everything.

        `documents` are policies by their names, `log` is what is logged, `run` is how the program is run beside that (see
        `__init__`), `settings` are lines for sections of the configuration.
        """
        files = ServeFiles(directory, **settings)
        for name, document in dict(documents).items():
            (directory / f"policies/{name}.json").write_text(json.dumps(document))
        keys = {name: files.access_key(name) for name in principals}
        command = ["--log", log, "serve", "--config", files.config]
        gateway = cls(command, directory / "audit.jsonl", environment=environment, **dict(run))
        gateway.keys = keys
        for key in keys.values():
            gateway.keep_secret(key.secret)
        return gateway.serving()

    def serving(self):
        """Itself, once it serves and has said where."""
        ready = self.stderr.wait_for(lambda line: line if b'"message":"ready"' in line else None)
        ready = json.loads(ready)
        self.endpoint, self.admin = "http://" + ready["gateway"], "http://" + ready["admin"]
        return self

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(PATIENCE) == 0, self.stderr.text()
        self.assert_no_secret_was_written()

    def kill(self):
        self.process.kill()
        self.process.wait(PATIENCE)
        self.assert_no_secret_was_written()

    def assert_no_secret_was_written(self):
        log, audit = self.stderr.text(), self.audit_file.read_bytes()
        for line in audit.splitlines():
            read_record(line)
        for place, text in {"standard error": log, "the audit file": audit}.items():
            assert b"Signature=" not in text, f"a signature in {place}"
            assert not any(secret in text for secret in self.secrets), f"a secret in {place}"

    def unready(self):
        """Why the gateway is not ready; nothing when it is."""
        try:
            urllib.request.urlopen(f"{self.admin}/readyz", timeout=PATIENCE).close()
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.read().decode()
        return ""

    def keep_secret(self, secret):
        """Looks for `secret`, in any encoding, in all that the program has written when it ends."""
        raw = secret.encode() if isinstance(secret, str) else secret
        assert len(raw) >= 16, "a text this short is found by chance"
        self.secrets |= {raw, raw.hex().encode(), base64.b64encode(raw)}

    def record(self, request_id):
        """The one audit record of a request; it is there before the answer is."""
        return self.record_with(request_id, lambda record: record["requestID"] == request_id)

    def record_with(self, text, wanted=lambda _: True):
        [found] = self.records_with(text, wanted)
        return found

    def records(self):
        """Those of requests, and of what keys do by themselves; not those of the trail itself."""
        return [record for record in self.lines() if record["eventSource"] != "kmsgate"]

    def lines(self):
        return [read_record(line) for line in self.audit_file.read_bytes().splitlines()]

    def records_with(self, text, wanted=lambda _: True):
        lines = [line for line in self.audit_file.read_bytes().splitlines() if text.encode() in line]
        records = map(read_record, lines)
        return [record for record in records if record["eventSource"] != "kmsgate" and wanted(record)]

    def client(self, key=None, region=REGION, **config):
        """A boto3 client that neither tries again nor checks parameters, so that the gateway has to."""
        key = key or self.key
        config = {
            "retries": {"total_max_attempts": 1},
            "parameter_validation": False,
            "read_timeout": PATIENCE,
        } | config
        client = boto3.session.Session().client(
            "kms",
            endpoint_url=self.endpoint,
            region_name=region,
            aws_access_key_id=key.id,
            aws_secret_access_key=key.secret,
            config=Config(**config),
            verify=self.ca_file and str(self.ca_file),
        )
        client.meta.events.register("before-send.kms", self._keep_signature)
        client.meta.events.register("after-call.kms", self._keep_plaintext)
        return client

    def _keep_signature(self, request, **_):
        if "Authorization" in request.headers:
            header = request.headers["Authorization"]
            self.keep_signature_of(header.decode() if isinstance(header, bytes) else header)

    def _keep_plaintext(self, parsed, **_):
        for member in ["Plaintext", "PrivateKeyPlaintext"]:
            if len(parsed.get(member, "")) >= 16:
                self.keep_secret(parsed[member])

    def keep_signature_of(self, authorization):
        for signature in re.findall("Signature=([0-9a-f]{64})", authorization):
            self.keep_secret(signature)


class ServeFiles:
    """A configuration for `kmsgate serve`, with its policies and credentials."""

    def __init__(self, directory, **settings):
        assert settings.keys() <= SETTINGS.keys()
        self.config = directory / "kmsgate.toml"
        self.config.write_text(CONFIG.format_map(SETTINGS | settings))
        self.credentials = directory / "credentials.toml"
        self.credentials.touch(mode=0o600)
        (directory / "policies").mkdir()
        (directory / "policies/allow-all.json").write_text(json.dumps(allow("kms:*")))

    def access_key(self, name):
        principal = Principal.of(name)
        made = subprocess.run(
            [PROGRAM, "credentials", "new", "--principal", principal.arn], capture_output=True, text=True, check=True
        ).stdout
        policies = f"policies = {json.dumps(principal.policies)}"
        with self.credentials.open("a") as file:
            file.write(f'[[principals]]\narn = "{principal.arn}"\n{policies}\n{principal.more}\n{made}\n')
        [(key_id, secret)] = re.findall('id = "(.*)"\nsecret = "(.*)"', made)
        return AccessKey(key_id, secret, principal.arn)


class Lines:
    """The lines of a pipe, read as they come, so that the program never waits for who reads them."""

    def __init__(self, pipe):
        self._all = []
        self._queue = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._read, args=[pipe], daemon=True)
        self._thread.start()

    def _read(self, pipe):
        with pipe:
            for line in pipe:
                self._all.append(line)
                self._queue.put(line)
        self._queue.put(None)

    def wait_for(self, find):
        """What `find` makes of the next line that it makes anything of."""
        while (line := self._queue.get(timeout=PATIENCE)) is not None:
            if found := find(line):
                return found
        raise Ended(f"the program has ended, and said: {self.text().decode()}")

    def text(self):
        """Everything, once the program has ended."""
        self._thread.join(PATIENCE)
        return b"".join(self._all)


@functools.cache
def schema():
    """What a record may be, as the program itself says it."""
    made = subprocess.run([PROGRAM, "audit", "schema"], capture_output=True, check=True).stdout
    return jsonschema_rs.Draft202012Validator(json.loads(made))


def read_record(line):
    """The record in a line of an audit file, which its schema must have."""
    record = json.loads(line)
    faults = [f"{fault.instance_path}: {fault.message}" for fault in schema().iter_errors(record)]
    assert not faults, f"{faults}: {line.decode()}"
    return record


def allow(*actions, **more):
    """A policy document of one statement."""
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"} | more
    return {"Version": "2012-10-17", "Statement": [statement]}


def allow_everything(directory):
    """A file of `directory` with a policy that allows everything."""
    file = directory / "policy.json"
    file.write_text(json.dumps(allow("kms:*")))
    return file


# What stands in the sections of a configuration unless it is told otherwise.
SETTINGS = {
    "regions": "",
    "listen": "",
    "backend": 'kind = "local"\ndata_dir = "store"',
    "policies": "",
    "grants": "",
    "audit": 'file = "audit.jsonl"',
    "limits": "",
    "server": "",
}
CONFIG = """
region = "us-east-1"
account = "111122223333"
{regions}

[listen]
address = "127.0.0.1:0"
{listen}

[admin]
address = "127.0.0.1:0"

[backend]
{backend}

[auth]
credentials_file = "credentials.toml"

[policies]
directory = "policies"
{policies}

[grants]
{grants}

[audit]
{audit}

[limits]
{limits}

[server]
drain_timeout_ms = 1000
{server}
"""
