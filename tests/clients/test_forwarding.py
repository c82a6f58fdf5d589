"""The gateway in front of another KMS: what is allowed reaches it as it came, and its answers come back as they are."""

import pytest
from forwarding import Forwarding


@pytest.fixture(scope="module")
def narrow(tmp_path_factory):
    gateway = Forwarding.quickstart(tmp_path_factory.mktemp("forwarding"))
    yield gateway
    gateway.stop()


def test_a_data_key_is_made(narrow):
    kms = narrow.client()
    made = kms.generate_data_key_without_plaintext(KeyId=narrow.alias, KeySpec="AES_256")
    assert made["KeyId"] == narrow.key_arn
