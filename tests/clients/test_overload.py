"""A gateway that holds as much as it may, and a client that does not send what it said: both end in KMS's errors."""

import pytest
from botocore.exceptions import ClientError
from gateway import Gateway
from wire import connect, finish, signed, start


@pytest.fixture
def tight(tmp_path):
    """A served gateway that holds two requests of a peer, and waits two seconds for a body."""
    bounds = "max_in_flight_per_peer = 2\nbody_read_timeout_ms = 2000"
    gateway = Gateway.serve(tmp_path, ["holder"], server=bounds)
    gateway.key = gateway.keys["holder"]
    yield gateway
    gateway.stop()


def test_a_third_request_of_a_peer_is_shed_and_bodies_that_never_come_time_out(tight):
    held = []
    for _ in range(2):
        connection = connect(tight)
        start(connection, signed(tight, "ListKeys", b'{"Limit":1}'), Expect="100-continue")
        # Asked to go on: the gateway has the head, and waits for the body.
        assert connection.sock.recv(64) == b"HTTP/1.1 100 Continue\r\n\r\n"
        held.append(connection)

    kms = tight.client()
    with pytest.raises(ClientError) as shed:
        kms.list_keys()
    assert shed.value.response["Error"]["Code"] == "ServiceUnavailableException"
    assert shed.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503

    for connection in held:
        answer = finish(connection)
        assert (answer.status, answer.error[0]) == (408, "RequestTimeoutException")
        assert tight.record(answer.request_id)["errorCode"] == "RequestTimeoutException"
    assert kms.list_keys()["Keys"] == []
    kms.close()
