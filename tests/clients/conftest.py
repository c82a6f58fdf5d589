"""The gateways that the clients call, and the house rules for tests: none is skipped without a reason."""

import os
import sys
from pathlib import Path

import pytest
from forwarding import Forwarding, keeper
from gateway import Gateway, allow, allow_everything
from moto_server import MotoServer
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


# The suites of whole clients, which a gateway that forwards has to pass too, and those of their tests that hold for a
# local KMS alone, each with its reason. How conformance cases differ there stands in `forwarded.py`.
OF_CLIENTS = {"test_boto3", "test_cli", "test_curl", "test_javascript", "test_conformance"}
assert all(Path(__file__).with_name(f"{name}.py").exists() for name in OF_CLIENTS), "a suite has another name now"
LOCAL_ALONE = {
    "test_the_lines_that_quickstart_prints_run_as_they_are": "quickstart is a local KMS",
    "test_no_case_expects_what_the_services_model_does_not_have": "it looks at the cases and at the model",
}


def pytest_generate_tests(metafunc):
    if metafunc.module.__name__ in OF_CLIENTS and "backend" in metafunc.fixturenames:
        backends = ["local"] if metafunc.function.__name__ in LOCAL_ALONE else ["local", "forwarding"]
        metafunc.parametrize("backend", backends, indirect=True, scope="session")


@pytest.fixture(scope="session")
def backend(request):
    """What the gateways of a test have behind them: keys of their own, or another gateway that has them."""
    return getattr(request, "param", "local")


@pytest.fixture(scope="session")
def narrow(backend, tmp_path_factory):
    """A quickstart as it comes: its principal may use the one key, and nothing else."""
    directory = tmp_path_factory.mktemp("narrow")
    if backend == "forwarding":
        gateway = Forwarding.quickstart(directory)
    else:
        gateway = Gateway.quickstart(directory / "data")
    yield gateway
    gateway.stop()


@pytest.fixture(scope="session")
def allow_all(backend, tmp_path_factory):
    """A quickstart of two regions, whose principal may do everything."""
    directory = tmp_path_factory.mktemp("allow-all")
    if backend == "forwarding":
        gateway = Forwarding.quickstart(directory, allow("kms:*"), regions=["eu-west-1"])
    else:
        policy = allow_everything(directory)
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
def throttled(backend, tmp_path_factory):
    """A served gateway that lets each principal call twice a second."""
    names, limits = ["boto3", "aws-cli", "curl", "javascript"], "principal = { per_second = 2, burst = 2 }"
    directory = tmp_path_factory.mktemp("throttled")
    if backend == "forwarding":
        gateway = Forwarding.to(keeper(directory / "upstream"), directory / "gateway", names, limits=limits)
    else:
        gateway = Gateway.serve(directory, names, limits=limits)
    yield gateway
    gateway.stop()


@pytest.fixture(scope="session")
def dynamodb():
    """A store for the programs that keep sealed data keys in one."""
    server = MotoServer()
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
