"""A gateway that holds as much as it may, and a client that does not send what it said: both end in KMS's errors."""

import pytest
from botocore.exceptions import ClientError
from gateway import Gateway
from wire import connect, finish, signed, start


@pytest.fixture
def tight(tmp_path):
    """A served gateway that holds one request of a peer, and waits two seconds for a body."""
    bounds = "max_in_flight_per_peer = 1\nbody_read_timeout_ms = 2000"
    gateway = Gateway.serve(tmp_path, ["holder"], server=bounds)
    gateway.key = gateway.keys["holder"]
    yield gateway
    gateway.stop()


def test_a_second_request_of_a_peer_is_shed_and_a_body_that_never_comes_times_out(tight):
    held = connect(tight)
    start(held, signed(tight, "ListKeys", b'{"Limit":1}'), Expect="100-continue")
    # Asked to go on: the gateway has the head, and waits for the body.
    assert held.sock.recv(64) == b"HTTP/1.1 100 Continue\r\n\r\n"

    kms = tight.client()
    with pytest.raises(ClientError) as shed:
        kms.list_keys()
    assert shed.value.response["Error"]["Code"] == "ServiceUnavailableException"
    assert shed.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503

    answer = finish(held)
    assert (answer.status, answer.error[0]) == (408, "RequestTimeoutException")
    assert tight.record(answer.request_id)["errorCode"] == "RequestTimeoutException"
    assert kms.list_keys()["Keys"] == []
    kms.close()
