"""Gateways in front of a hostile upstream, and what their clients are told."""

import gc
import json

import pytest
from botocore.exceptions import ClientError
from in_front import InFront, wait_for
from hostile import KEY, Upstream, as_kms
from wire import start as begin

TIMES = "connect_timeout_ms = 1000\nfirst_byte_timeout_ms = 1000\ncall_timeout_ms = 1500"
DATA_KEY = {"KeyId": KEY, "KeySpec": "AES_256"}
# What the client is told, who cannot do anything about it: the operator finds the rest in the record.
NO_ANSWER = "the gateway had no answer from KMS; try again later"
TOO_LATE = "KMS did not answer the gateway in time"
UNREACHABLE = "the key cannot be reached from the gateway; try again later"

# What boto3 has exceptions of their own for, as the service's model names them.
TYPED = ["DependencyTimeoutException", "KeyUnavailableException", "KMSInternalException"]
GRANTED = {"KeyId": KEY, "Plaintext": "AAAA", "CiphertextBlob": "AAAA"}
WHOLE = json.dumps(GRANTED)
HTML = "<html><body><h1>Bad Gateway</h1></body></html>"


@pytest.fixture
def upstream():
    upstream = Upstream()
    yield upstream
    upstream.stop()


@pytest.fixture
def start(tmp_path):
    """Starts gateways, which are stopped at the end, and whose clients are closed before, so that no drain waits."""
    started, clients = [], []

    def started_to(url, more=TIMES, **settings):
        directory = tmp_path / str(len(started))
        directory.mkdir()
        started.append(InFront.to(url, directory, more, **settings).wait_until_ready())
        clients.append(started[-1].client())
        return started[-1], clients[-1]

    yield started_to
    for client in clients:
        client.close()
    # botocore closes a connection when its pool is collected.
    gc.collect()
    for gateway in started:
        end(gateway)


def end(gateway):
    """Stops a gateway, if its test has not; one that has ended by itself must not have crashed."""
    if gateway.process.poll() is None:
        gateway.stop()
    assert gateway.process.returncode == 0, gateway.stderr.text()
    gateway.assert_no_secret_was_written()


class Site:
    """One gateway in front of one upstream."""

    def __init__(self, directory):
        self.upstream = Upstream()
        self.gateway = InFront.to(self.upstream.url, directory, TIMES).wait_until_ready()
        self.kms = self.gateway.client()
        self._counted = {}

    def mend(self):
        """All is well: nothing is left of the test before."""
        self.upstream.always(as_kms)
        wait_for(self._answers)
        self.upstream.requests.clear()
        self._counted = self.gateway.failures()

    def _answers(self):
        try:
            return self.kms.generate_data_key(**DATA_KEY)
        except ClientError:
            return None

    def failures(self):
        """What this test's upstream did not answer."""
        counted = self.gateway.failures()
        more = {kind: count - self._counted.get(kind, 0) for kind, count in counted.items()}
        return {kind: count for kind, count in more.items() if count}

    def stop(self):
        self.kms.close()
        gc.collect()
        self.gateway.stop()
        self.upstream.stop()


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    site = Site(tmp_path_factory.mktemp("shared"))
    yield site
    site.stop()


@pytest.fixture
def site(shared):
    """A gateway in front of an upstream, both as well as at their start."""
    shared.mend()
    return shared


def refused(call, **parameters):
    """What the client is told: boto3's exception, its text, and the request's id."""
    with pytest.raises(ClientError) as raised:
        call(**parameters)
    said = raised.value.response
    if said["Error"]["Code"] in TYPED:
        assert type(raised.value).__name__ == said["Error"]["Code"]
    return said["Error"]["Code"], said["Error"]["Message"], said["ResponseMetadata"]["RequestId"]


def assert_recorded(gateway, request_id, error, detail):
    record = gateway.record(request_id)
    # What CloudTrail calls it.
    assert record["errorCode"] == error
    assert record["additionalEventData"]["gateway"]["detail"].startswith(detail), record
    return record


def answered(kms):
    try:
        return kms.generate_data_key(**DATA_KEY)
    except ClientError:
        return None


def send_only(connection, request):
    begin(connection, request)
    connection.send(request.body)


def until_the_peer_gives_up(connection):
    while connection.stream.recv(4096):
        pass
    connection.close()
