"""AWS's quotas of resources, through boto3, at both sides of each. That of 100,000 keys is tested beside the code, and
those of one request, like 10 grant tokens, by conformance cases."""

import itertools
import json

import pytest
from botocore.exceptions import ClientError
from states import DEFAULT_POLICY

ALIASES = 50
TAGS = 50
ROTATIONS = 25
POLICY_BYTES = 32_768
NUMBERS = itertools.count()


@pytest.fixture
def key(kms):
    return new_key(kms)


def new_key(kms, **parameters):
    return kms.create_key(**parameters)["KeyMetadata"]["Arn"]


def new_alias(kms, key):
    name = f"alias/quotas-{next(NUMBERS)}"
    kms.create_alias(AliasName=name, TargetKeyId=key)
    return name


def aliases(kms, key):
    return {alias["AliasName"] for alias in kms.list_aliases(KeyId=key, Limit=100)["Aliases"]}


def refusal(call, **parameters):
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    error = caught.value
    assert type(error) is getattr(call.__self__.exceptions, error.response["Error"]["Code"], ClientError)
    return error.response["Error"]["Code"], error.response["Error"]["Message"]


def test_a_key_has_50_aliases_however_it_came_by_them(kms, key):
    other = new_key(kms)
    created = {new_alias(kms, key) for _ in range(ALIASES - 1)}
    moved, left = new_alias(kms, other), new_alias(kms, other)
    kms.update_alias(AliasName=moved, TargetKeyId=key)
    full = created | {moved}
    assert aliases(kms, key) == full and len(full) == ALIASES
    name = f"alias/quotas-{next(NUMBERS)}"
    # The texts are not recorded from KMS.
    assert refusal(kms.create_alias, AliasName=name, TargetKeyId=key)[0] == "LimitExceededException"
    assert refusal(kms.update_alias, AliasName=left, TargetKeyId=key)[0] == "LimitExceededException"
    # It needs no place more to stay where it is.
    kms.update_alias(AliasName=moved, TargetKeyId=key)
    assert (aliases(kms, key), aliases(kms, other)) == (full, {left})
    kms.delete_alias(AliasName=moved)
    kms.update_alias(AliasName=left, TargetKeyId=key)
    assert refusal(kms.create_alias, AliasName=name, TargetKeyId=key)[0] == "LimitExceededException"
    kms.update_alias(AliasName=left, TargetKeyId=other)
    kms.create_alias(AliasName=name, TargetKeyId=key)


def test_a_key_has_50_tags_when_new_ones_have_joined_the_old(kms, key):
    def tag(keys, value=""):
        return kms.tag_resource(KeyId=key, Tags=[{"TagKey": key, "TagValue": value} for key in keys])

    def tagged():
        return {tag["TagKey"]: tag["TagValue"] for tag in kms.list_resource_tags(KeyId=key)["Tags"]}

    def refused(keys):
        tags = [{"TagKey": key, "TagValue": "new"} for key in keys]
        assert refusal(kms.tag_resource, KeyId=key, Tags=tags) == ("TagException", "Too many tags")

    names = [f"tag-{number}" for number in range(TAGS)]
    tag(names[:30])
    # More than half of them are there: 51 in all, of which none is stored.
    refused([*names[20:], "one-more"])
    assert tagged() == dict.fromkeys(names[:30], "")
    tag(names[20:], "new")
    full = dict.fromkeys(names[:20], "") | dict.fromkeys(names[20:], "new")
    assert tagged() == full
    refused(["one-more"])
    assert tagged() == full
    kms.untag_resource(KeyId=key, TagKeys=names[:1])
    tag(["one-more"])
    assert len(tagged()) == TAGS


def test_a_key_is_rotated_25_times_and_every_rotation_is_listed(kms, key):
    for _ in range(ROTATIONS):
        kms.rotate_key_on_demand(KeyId=key)
    assert refusal(kms.rotate_key_on_demand, KeyId=key) == (
        "LimitExceededException",
        "The on-demand rotations limit has been reached for the given keyId. No more on-demand rotations can be"
        f" performed for this key: {key}",
    )
    assert len(kms.list_key_rotations(KeyId=key)["Rotations"]) == ROTATIONS
    # The quota is of rotations on demand: others go on.
    kms.enable_key_rotation(KeyId=key)
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is True


def test_a_policy_has_32_768_bytes_wherever_it_is_sent(kms, key):
    default = json.loads(DEFAULT_POLICY)
    longest = json.dumps(default).ljust(POLICY_BYTES)
    too_long = longest + " "
    primary = new_key(kms, MultiRegion=True)
    kms.put_key_policy(KeyId=key, Policy=longest)
    kms.create_key(Policy=longest)
    for call, parameters in [
        (kms.put_key_policy, {"KeyId": key}),
        (kms.create_key, {}),
        (kms.replicate_key, {"KeyId": primary, "ReplicaRegion": "eu-west-1"}),
    ]:
        assert refusal(call, **parameters, Policy=too_long)[0] == "LimitExceededException"
    kms.replicate_key(KeyId=primary, ReplicaRegion="eu-west-1", Policy=longest)


def test_a_policy_is_measured_in_bytes_and_not_in_characters(kms, key):
    # Each "é" is two bytes.
    long = '{"Id": "' + "é" * (POLICY_BYTES // 2) + '", "Statement": []}'
    assert len(long) < POLICY_BYTES < len(long.encode())
    assert refusal(kms.put_key_policy, KeyId=key, Policy=long)[0] == "LimitExceededException"
