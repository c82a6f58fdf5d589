"""Bad upstreams: what the client is told, what is recorded and counted, and that the next call goes well."""

import hostile
import pytest
from forwarding import Forwarding
from hostile import KEY, Upstream

TIMES = "connect_timeout_ms = 1000\nfirst_byte_timeout_ms = 1000\ncall_timeout_ms = 1500"


@pytest.fixture
def upstream():
    upstream = Upstream()
    yield upstream
    upstream.stop()


@pytest.fixture
def gateway(upstream, tmp_path):
    gateway = Forwarding.to(upstream.url, tmp_path, TIMES).wait_until_ready()
    yield gateway
    gateway.stop()


def test_a_well_upstream_is_forwarded_to(gateway, upstream):
    kms = gateway.client()
    kms.generate_data_key(KeyId=KEY, KeySpec="AES_256")
    [request] = upstream.requests
    assert request.is_signed_by("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    assert gateway.failures() == {}
