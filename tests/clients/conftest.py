"""The gateways that the clients call, and the house rules for tests: none is skipped without a reason."""

import json
import os
import sys
from pathlib import Path

import pytest
from dynamodb import DynamoDb
from gateway import Gateway, allow
from world import World

# Nothing of the machine's own reaches the clients: no profile, credentials, endpoint, region or proxy.
for name in [name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy")]:
    del os.environ[name]
os.environ |= {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    # Where the AWS CLI is that belongs to this Python.
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
}


@pytest.fixture(scope="session")
def narrow(tmp_path_factory):
    """A quickstart as it comes: its principal may use the one key, and nothing else."""
    gateway = Gateway.quickstart(tmp_path_factory.mktemp("narrow") / "data")
    yield gateway
    gateway.stop()


@pytest.fixture(scope="session")
def allow_all(tmp_path_factory):
    """A quickstart of two regions, whose principal may do everything."""
    directory = tmp_path_factory.mktemp("allow-all")
    policy = directory / "policy.json"
    policy.write_text(json.dumps(allow("kms:*")))
    gateway = Gateway.quickstart(directory / "data", policy, more=["--replica-region", "eu-west-1"])
    yield gateway
    gateway.stop()


@pytest.fixture(scope="module")
def kms(allow_all):
    """A client of boto3 that may do everything."""
    client = allow_all.client()
    yield client
    client.close()


@pytest.fixture
def key(kms):
    """The ARN of a new key."""
    return kms.create_key()["KeyMetadata"]["Arn"]


@pytest.fixture(scope="session")
def world(allow_all):
    """Keys in every state, in the gateway that allows everything."""
    world = World(allow_all)
    yield world
    world.close()


@pytest.fixture(scope="session")
def throttled(tmp_path_factory):
    """A served gateway that lets each principal call twice a second."""
    names, limits = ["boto3", "aws-cli", "curl", "javascript"], "principal = { per_second = 2, burst = 2 }"
    gateway = Gateway.serve(tmp_path_factory.mktemp("throttled"), names, limits=limits)
    yield gateway
    gateway.stop()


@pytest.fixture(scope="session")
def dynamodb():
    """A store for the programs that keep sealed data keys in one."""
    server = DynamoDb()
    yield server
    server.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    report = yield
    if report.skipped and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped").strip(": ")
        if reason in ("", "unconditional skip"):
            report.outcome, report.longrepr = "failed", "a test is skipped and does not say why"
    return report
