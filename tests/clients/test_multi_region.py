"""One gateway as the KMS of two regions, by a boto3 client of each: multi-Region keys, and what stays in its region."""

import json
from contextlib import closing

import pytest
from botocore.exceptions import ClientError
from gateway import Gateway, allow

OWN, OTHER = "us-east-1", "eu-west-1"
ACCOUNT = "111122223333"
CONTEXT = {"tenant": "blue"}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("multi-region") / "data"


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    file = tmp_path_factory.mktemp("policy") / "policy.json"
    file.write_text(json.dumps(allow("kms:*")))
    return file


@pytest.fixture(scope="module")
def gateway(data_dir, policy):
    gateway = Gateway.quickstart(data_dir, policy, more=["--replica-region", OTHER])
    yield gateway
    gateway.stop()


@pytest.fixture(scope="module")
def own(gateway):
    with closing(gateway.client()) as client:
        yield client


@pytest.fixture(scope="module")
def other(gateway):
    with closing(gateway.client(region=OTHER)) as client:
        yield client


@pytest.fixture
def primary(own):
    return own.create_key(MultiRegion=True)["KeyMetadata"]["KeyId"]


@pytest.fixture
def key(own, primary):
    """The id of a primary key with a replica."""
    own.replicate_key(KeyId=primary, ReplicaRegion=OTHER)
    return primary


def arn(region, key):
    return f"arn:aws:kms:{region}:{ACCOUNT}:key/{key}"


def described(kms, key):
    return kms.describe_key(KeyId=key)["KeyMetadata"]


def refusal(call, **parameters):
    with pytest.raises(ClientError) as refused:
        call(**parameters)
    error = refused.value.response["Error"]
    return error["Code"], error.get("Message", "")


def test_a_replica_is_made_as_kms_was_recorded_to_and_both_keys_say_so(gateway, own, other, primary):
    tags = [{"TagKey": "team", "TagValue": "orders"}]
    answer = own.replicate_key(KeyId=primary, ReplicaRegion=OTHER, Description="there", Tags=tags)
    made = answer["ReplicaKeyMetadata"]
    configuration = {
        "MultiRegionKeyType": "REPLICA",
        "PrimaryKey": {"Arn": arn(OWN, primary), "Region": OWN},
        "ReplicaKeys": [{"Arn": arn(OTHER, primary), "Region": OTHER}],
    }
    assert made.pop("CreationDate")
    assert made == {
        "AWSAccountId": ACCOUNT,
        "Arn": arn(OTHER, primary),
        "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
        "Description": "there",
        "Enabled": False,
        "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
        "KeyId": primary,
        "KeyManager": "CUSTOMER",
        "KeySpec": "SYMMETRIC_DEFAULT",
        "KeyState": "Creating",
        "KeyUsage": "ENCRYPT_DECRYPT",
        "MultiRegion": True,
        "MultiRegionConfiguration": configuration,
        "Origin": "AWS_KMS",
    }
    assert answer["ReplicaTags"] == tags
    assert json.loads(answer["ReplicaPolicy"])["Id"] == "key-default-1"

    replica, first = described(other, primary), described(own, primary)
    assert (replica["KeyState"], replica["MultiRegionConfiguration"]) == ("Enabled", configuration)
    assert replica["CurrentKeyMaterialId"] == first["CurrentKeyMaterialId"]
    assert first["MultiRegionConfiguration"] == configuration | {"MultiRegionKeyType": "PRIMARY"}

    record = gateway.record(answer["ResponseMetadata"]["RequestId"])
    assert (record["eventName"], record["awsRegion"], record["readOnly"]) == ("ReplicateKey", OWN, False)
    assert record["requestParameters"]["replicaRegion"] == OTHER
    assert [resource["ARN"] for resource in record["resources"]] == [arn(OWN, primary)]
    elements = record["responseElements"]
    assert elements["replicaKeyMetadata"]["arn"] == arn(OTHER, primary)
    assert elements["replicaTags"] == [{"tagKey": "team", "tagValue": "orders"}]


def test_what_is_sealed_in_one_region_is_opened_in_the_other(gateway, own, other, key):
    for here, there, region in [(own, other, OTHER), (other, own, OWN)]:
        sealed = here.generate_data_key(KeyId=key, KeySpec="AES_256", EncryptionContext=CONTEXT)
        opened = there.decrypt(CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext=CONTEXT)
        assert opened["Plaintext"] == sealed["Plaintext"]
        assert opened["KeyId"] == arn(region, key)
        assert opened["KeyMaterialId"] == sealed["KeyMaterialId"]
        record = gateway.record(opened["ResponseMetadata"]["RequestId"])
        assert record["awsRegion"] == region
        assert [resource["ARN"] for resource in record["resources"]] == [arn(region, key)]
        re_encrypted = there.re_encrypt(
            CiphertextBlob=sealed["CiphertextBlob"], SourceEncryptionContext=CONTEXT, DestinationKeyId=key
        )
        assert here.decrypt(CiphertextBlob=re_encrypted["CiphertextBlob"])["Plaintext"] == sealed["Plaintext"]


def test_a_key_of_one_region_is_not_there_in_the_other(own, other, primary):
    assert refusal(other.describe_key, KeyId=primary) == (
        "NotFoundException",
        f"Key '{arn(OTHER, primary)}' does not exist",
    )
    assert refusal(other.describe_key, KeyId=arn(OWN, primary)) == ("NotFoundException", f"Invalid arn {OWN}")
    blob = own.encrypt(KeyId=primary, Plaintext=b"sixteen bytes or")["CiphertextBlob"]
    assert refusal(other.decrypt, CiphertextBlob=blob)[0] == "AccessDeniedException"


def test_aliases_and_lists_are_of_their_region(own, other, key):
    name = f"alias/there-{key}"
    other.create_alias(AliasName=name, TargetKeyId=key)
    assert described(other, name)["Arn"] == arn(OTHER, key)
    assert refusal(own.describe_key, KeyId=name)[0] == "NotFoundException"
    [alias] = other.list_aliases(KeyId=key)["Aliases"]
    assert alias["AliasArn"] == f"arn:aws:kms:{OTHER}:{ACCOUNT}:{name}"
    assert own.list_aliases(KeyId=key)["Aliases"] == []
    assert {entry["KeyArn"].split(":")[3] for entry in other.list_keys()["Keys"]} == {OTHER}
    made = other.create_key()["KeyMetadata"]
    assert made["Arn"] == arn(OTHER, made["KeyId"])


def test_only_a_primary_key_is_replicated_and_once_in_a_region(own, other, key):
    single = own.create_key()["KeyMetadata"]["KeyId"]
    not_primary = "is not a multi-region primary key."
    for kms, region, id in [(own, OWN, single), (other, OTHER, key)]:
        refused = ("UnsupportedOperationException", f"{arn(region, id)} {not_primary}")
        assert refusal(kms.replicate_key, KeyId=id, ReplicaRegion=OTHER) == refused
        assert refusal(kms.update_primary_region, KeyId=id, PrimaryRegion=OWN) == refused
    with pytest.raises(own.exceptions.AlreadyExistsException):
        own.replicate_key(KeyId=key, ReplicaRegion=OTHER)
    code, text = refusal(own.replicate_key, KeyId=key, ReplicaRegion="us-west-2")
    assert code == "UnsupportedOperationException"
    assert f"serves {OWN}, {OTHER};" in text


def test_a_rotation_of_the_primary_key_is_one_of_its_replica(own, other, key):
    old = other.encrypt(KeyId=key, Plaintext=b"sixteen bytes or")
    own.rotate_key_on_demand(KeyId=key)
    new = other.encrypt(KeyId=key, Plaintext=b"sixteen bytes or")
    assert new["CiphertextBlob"] != old["CiphertextBlob"]
    current = described(own, key)["CurrentKeyMaterialId"]
    assert described(other, key)["CurrentKeyMaterialId"] == current
    assert own.decrypt(CiphertextBlob=new["CiphertextBlob"])["KeyMaterialId"] == current
    assert own.decrypt(CiphertextBlob=old["CiphertextBlob"])["KeyMaterialId"] != current
    assert refusal(other.rotate_key_on_demand, KeyId=key) == (
        "UnsupportedOperationException",
        f"{arn(OTHER, key)} is not a multi-region primary key.",
    )


def test_the_keys_exchange_their_roles(gateway, own, other, key):
    answer = own.update_primary_region(KeyId=key, PrimaryRegion=OTHER)
    assert set(answer) == {"ResponseMetadata"}
    record = gateway.record(answer["ResponseMetadata"]["RequestId"])
    assert (record["eventName"], record["responseElements"]) == ("UpdatePrimaryRegion", {"keyId": arn(OWN, key)})
    kinds = [described(kms, key)["MultiRegionConfiguration"] for kms in (own, other)]
    assert [kind["MultiRegionKeyType"] for kind in kinds] == ["REPLICA", "PRIMARY"]
    assert all(kind["PrimaryKey"]["Region"] == OTHER for kind in kinds)
    assert all([replica["Region"] for replica in kind["ReplicaKeys"]] == [OWN] for kind in kinds)
    other.update_primary_region(KeyId=key, PrimaryRegion=OWN)
    assert described(own, key)["MultiRegionConfiguration"]["MultiRegionKeyType"] == "PRIMARY"


def test_a_primary_key_with_a_replica_waits_for_it_to_go(own, other, key):
    answer = own.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert (answer["KeyState"], answer["PendingWindowInDays"]) == ("PendingReplicaDeletion", 7)
    assert "DeletionDate" not in answer
    metadata = described(own, key)
    assert metadata["PendingDeletionWindowInDays"] == 7 and "DeletionDate" not in metadata
    code, text = refusal(own.encrypt, KeyId=key, Plaintext=b"x")
    assert (code, text) == ("KMSInvalidStateException", f"{arn(OWN, key)} is pending replica deletion.")
    # Its replica goes on.
    other.encrypt(KeyId=key, Plaintext=b"x")
    assert other.schedule_key_deletion(KeyId=key)["KeyState"] == "PendingDeletion"
    own.cancel_key_deletion(KeyId=key)
    assert described(own, key)["KeyState"] == "Disabled"


def test_a_region_that_is_not_served_is_refused_and_recorded_as_the_gateways_own(gateway):
    with closing(gateway.client(region="eu-west-2")) as elsewhere:
        with pytest.raises(ClientError) as refused:
            elsewhere.list_keys()
    response = refused.value.response
    assert response["Error"]["Code"] == "InvalidSignatureException"
    assert "Credential should be scoped to a valid region, not 'eu-west-2'." in response["Error"]["Message"]
    assert gateway.record(response["ResponseMetadata"]["RequestId"])["awsRegion"] == OWN


def test_both_keys_are_there_after_a_kill(tmp_path, policy):
    """In a directory of its own: nothing may be lost with the program."""
    first = Gateway.quickstart(tmp_path / "data", policy, more=["--replica-region", OTHER])
    with closing(first.client()) as own:
        key = own.create_key(MultiRegion=True)["KeyMetadata"]["KeyId"]
        own.replicate_key(KeyId=key, ReplicaRegion=OTHER)
        blob = own.encrypt(KeyId=key, Plaintext=b"sixteen bytes or")["CiphertextBlob"]
    first.kill()
    second = Gateway.quickstart(tmp_path / "data", policy)
    with closing(second.client(region=OTHER)) as other:
        assert other.decrypt(CiphertextBlob=blob)["Plaintext"] == b"sixteen bytes or"
        assert described(other, key)["MultiRegionConfiguration"]["PrimaryKey"]["Region"] == OWN
    second.stop()
