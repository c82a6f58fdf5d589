"""Every operation that is served on a key in every state that a key can be in, by boto3: AWS's table, cell by cell."""

import datetime
import itertools
import json
import os
import time
from functools import cached_property

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError
from gateway import PATIENCE, Gateway, allow
from states import GRANTEE, ROWS, STATES, WITHOUT_KEY, WRAPPING
from wrapping import wrap

NAMES = itertools.count()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    """The KMS of three regions: a key has its replicas in the others."""
    directory = tmp_path_factory.mktemp("states")
    policy = directory / "policy.json"
    policy.write_text(json.dumps(allow("kms:*")))
    regions = ["--replica-region", "eu-west-1", "--replica-region", "ap-south-1"]
    gateway = Gateway.quickstart(directory / "data", policy, more=regions)
    yield gateway
    gateway.stop()


@pytest.fixture(scope="module")
def kms(gateway):
    client = gateway.client()
    yield client
    client.close()


@pytest.fixture(scope="module")
def other(kms):
    return Key(kms, "Enabled")


class Key:
    """A key in a state, with an alias, and with a ciphertext from before it came into that state."""

    def __init__(self, kms, state, other=None, origin="AWS_KMS", multi_region=False):
        self.kms, self.other = kms, other
        external = origin == "EXTERNAL" or state == "PendingImport"
        primary = multi_region or state == "PendingReplicaDeletion"
        made = kms.create_key(Origin="EXTERNAL" if external else "AWS_KMS", MultiRegion=primary)
        self.arn = made["KeyMetadata"]["Arn"]
        self.alias = self.new_alias()
        # What is imported again is the same; a key whose material is not imported is not asked what these are.
        self.wrapped = self.new_material() if external else {"ImportToken": b"a", "EncryptedKeyMaterial": b"a"}
        self.wrapped["ExpirationModel"] = "KEY_MATERIAL_DOES_NOT_EXPIRE"
        if external and state != "PendingImport":
            kms.import_key_material(KeyId=self.arn, **self.wrapped)
            if not primary:
                # For a rotation.
                more = self.wrapped | self.new_material() | {"ImportType": "NEW_KEY_MATERIAL"}
                kms.import_key_material(KeyId=self.arn, **more)
        if state == "PendingImport":
            # Nothing was ever encrypted under it. This asks whether it could decrypt.
            self.ciphertext = {"DryRun": True, "DryRunModifiers": ["IGNORE_CIPHERTEXT"]}
        else:
            sealed = kms.generate_data_key_without_plaintext(KeyId=self.arn, KeySpec="AES_256")
            self.ciphertext = {"CiphertextBlob": sealed["CiphertextBlob"]}
            self.grant = self.new_grant()
        if primary and state not in ("PendingDeletion", "PendingImport"):
            kms.replicate_key(KeyId=self.arn, ReplicaRegion="eu-west-1")
        match state:
            case "Disabled":
                kms.disable_key(KeyId=self.arn)
            case "PendingDeletion" | "PendingReplicaDeletion":
                kms.schedule_key_deletion(KeyId=self.arn)
        assert self.metadata()["KeyState"] == state

    def new_alias(self):
        name = f"alias/states-{next(NAMES)}"
        self.kms.create_alias(AliasName=name, TargetKeyId=self.arn)
        return name

    def new_grant(self):
        return self.kms.create_grant(KeyId=self.arn, GranteePrincipal=GRANTEE, Operations=["Decrypt"])

    @cached_property
    def grant(self):
        """Of a key that waits for its material, from when it had some."""
        self.kms.import_key_material(KeyId=self.arn, **self.wrapped)
        grant = self.new_grant()
        self.kms.delete_imported_key_material(KeyId=self.arn)
        return grant

    @cached_property
    def import_parameters(self):
        return self.kms.get_parameters_for_import(KeyId=self.arn, **WRAPPING)

    def new_material(self):
        wrapped = wrap(self.import_parameters["PublicKey"], os.urandom(32))
        return {"ImportToken": self.import_parameters["ImportToken"], "EncryptedKeyMaterial": wrapped}

    def metadata(self):
        return self.kms.describe_key(KeyId=self.arn)["KeyMetadata"]


def call(kms, operation, parameters):
    """The exception of a refusal and its text; `None` for an answer."""
    try:
        getattr(kms, xform_name(operation))(**parameters)
    except ClientError as error:
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 400, error
        return error.response["Error"]["Code"], error.response["Error"]["Message"]
    return None


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_key_is_done_to_what_its_state_lets_be_done(kms, other, row, state):
    key = Key(kms, state, other, row.origin, row.multi_region)
    parameters, before = row.parameters(key), key.metadata()
    refusal = row.refusal(state, key.arn)
    assert call(kms, row.operation, parameters) == refusal
    if refusal:
        assert key.metadata() == before


def least(name, shape):
    """The least that the model takes for a member."""
    match shape.type_name:
        case "structure":
            return {name: least(name, shape.members[name]) for name in shape.required_members}
        case "list":
            return [least(name, shape.member)]
        case "string" if name.endswith("Region"):
            return "eu-west-1"
        case "string":
            return shape.enum[0] if shape.enum else "a"
        case "blob":
            return b"a"
        case kind:
            raise NotImplementedError(f"{name}: {kind}")


def test_what_has_no_row_is_not_served(kms):
    model = kms.meta.service_model
    known = {row.operation for row in ROWS} | WITHOUT_KEY
    assert known < set(model.operation_names)
    for operation in set(model.operation_names) - known:
        code, text = call(kms, operation, least("", model.operation_model(operation).input_shape))
        assert code == "UnsupportedOperationException", (operation, code, text)
        assert text.startswith(f"{operation} is not served"), text


def test_material_that_expires_is_recorded_as_deleted_by_the_service(gateway, kms):
    key = Key(kms, "PendingImport")
    ends = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=2)
    expires = {"ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": ends}
    kms.import_key_material(KeyId=key.arn, **key.wrapped | expires)
    assert key.metadata()["KeyState"] == "Enabled"
    until = time.monotonic() + PATIENCE
    while key.metadata()["KeyState"] != "PendingImport":
        assert time.monotonic() < until, "it does not expire"
    # The key is without it at once; that it is removed comes, and is recorded, a little later.
    while not (records := gateway.records_with(key.arn, lambda record: record["eventType"] == "AwsServiceEvent")):
        assert time.monotonic() < until, "it is not removed"
        key.metadata()
    [record] = records
    assert record["eventName"] == "DeleteExpiredKeyMaterial"
    assert record["userIdentity"] == {"accountId": "111122223333", "invokedBy": "AWS Internal"}
    assert record["serviceEventDetails"] == {"keyId": key.metadata()["KeyId"]}
    assert record["resources"] == [{"accountId": "111122223333", "type": "AWS::KMS::Key", "ARN": key.arn}]
    assert ends.replace(microsecond=0) <= datetime.datetime.fromisoformat(record["eventTime"])
