"""The life of a key, by boto3: made, described, listed, named, switched, scheduled for deletion; across restarts."""

import datetime
import json

import pytest
from botocore.exceptions import ClientError
from gateway import Gateway, allow

CONTEXT = {"tenant": "blue"}


@pytest.fixture
def policy(tmp_path):
    file = tmp_path / "policy.json"
    file.write_text(json.dumps(allow("kms:*")))
    return file


def test_a_new_key_has_the_members_that_kms_was_recorded_to_give_it(allow_all, kms):
    before = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    tags = [{"TagKey": "team", "TagValue": "orders"}, {"TagKey": "empty", "TagValue": ""}]
    answer = kms.create_key(Description="The orders' key", Tags=tags)
    made = dict(answer["KeyMetadata"])
    after = datetime.datetime.now(datetime.timezone.utc)

    assert before <= made.pop("CreationDate") <= after
    key_id = made.pop("KeyId")
    assert len(key_id) == 36
    assert made.pop("Arn") == f"arn:aws:kms:us-east-1:111122223333:key/{key_id}"
    assert len(bytes.fromhex(made.pop("CurrentKeyMaterialId"))) == 32
    assert made == {
        "AWSAccountId": "111122223333",
        "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
        "Description": "The orders' key",
        "Enabled": True,
        "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
        "KeyManager": "CUSTOMER",
        "KeySpec": "SYMMETRIC_DEFAULT",
        "KeyState": "Enabled",
        "KeyUsage": "ENCRYPT_DECRYPT",
        "MultiRegion": False,
        "Origin": "AWS_KMS",
    }
    assert kms.describe_key(KeyId=key_id)["KeyMetadata"] == answer["KeyMetadata"]

    record = allow_all.record(answer["ResponseMetadata"]["RequestId"])
    assert (record["eventName"], record["readOnly"]) == ("CreateKey", False)
    assert record["responseElements"] == {"keyMetadata": in_records(answer["KeyMetadata"])}


def in_records(value):
    """A member of an answer as CloudTrail records it: other names, and dates as `Nov 18, 2020, 1:29:18 AM`."""
    if isinstance(value, dict):
        return {name[0].lower() + name[1:]: in_records(member) for name, member in value.items()}
    if isinstance(value, datetime.datetime):
        date = value.astimezone(datetime.timezone.utc)
        return f"{date:%b} {date.day}, {date.year}, {int(f'{date:%I}')}:{date:%M:%S %p}"
    return value


def test_a_key_material_id_names_the_material_that_ciphertexts_are_under(kms, key):
    current = kms.describe_key(KeyId=key)["KeyMetadata"]["CurrentKeyMaterialId"]
    assert kms.generate_data_key_without_plaintext(KeyId=key, KeySpec="AES_256")["KeyMaterialId"] == current


def test_a_disabled_key_is_used_again_when_it_is_enabled(allow_all, kms, key):
    blob = kms.encrypt(KeyId=key, Plaintext=b"sixteen bytes or")["CiphertextBlob"]
    answer = kms.disable_key(KeyId=key)
    record = allow_all.record(answer["ResponseMetadata"]["RequestId"])
    assert (record["eventName"], record["responseElements"]) == ("DisableKey", {"keyId": key})
    state = kms.describe_key(KeyId=key)["KeyMetadata"]
    assert (state["Enabled"], state["KeyState"]) == (False, "Disabled")
    with pytest.raises(kms.exceptions.DisabledException):
        kms.decrypt(CiphertextBlob=blob)
    kms.enable_key(KeyId=key)
    state = kms.describe_key(KeyId=key)["KeyMetadata"]
    assert (state["Enabled"], state["KeyState"]) == (True, "Enabled")
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"sixteen bytes or"


def test_a_deletion_is_scheduled_and_cancelled(allow_all, kms, key):
    before = datetime.datetime.now(datetime.timezone.utc)
    scheduled = kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    date = scheduled["DeletionDate"]
    recorded = allow_all.record(scheduled["ResponseMetadata"]["RequestId"])["responseElements"]
    assert recorded == in_records({name: scheduled[name] for name in set(scheduled) - {"ResponseMetadata"}})
    assert datetime.timedelta(days=7, seconds=-1) <= date - before <= datetime.timedelta(days=7, minutes=1)
    assert {name: scheduled[name] for name in ["KeyId", "KeyState", "PendingWindowInDays"]} == {
        "KeyId": key,
        "KeyState": "PendingDeletion",
        "PendingWindowInDays": 7,
    }
    state = kms.describe_key(KeyId=key)["KeyMetadata"]
    assert (state["Enabled"], state["KeyState"], state["DeletionDate"]) == (False, "PendingDeletion", date)
    for refused in (kms.enable_key, kms.disable_key):
        with pytest.raises(kms.exceptions.KMSInvalidStateException):
            refused(KeyId=key)

    assert kms.cancel_key_deletion(KeyId=key)["KeyId"] == key
    state = kms.describe_key(KeyId=key)["KeyMetadata"]
    assert (state["Enabled"], state["KeyState"]) == (False, "Disabled")
    assert "DeletionDate" not in state


def test_the_window_of_a_deletion_is_thirty_days_unless_it_is_told(kms, key):
    assert kms.schedule_key_deletion(KeyId=key)["PendingWindowInDays"] == 30


def test_calls_without_an_answer_have_an_empty_body(kms, key):
    for call in (kms.disable_key, kms.enable_key):
        assert call(KeyId=key)["ResponseMetadata"]["HTTPHeaders"]["content-length"] == "0"


def test_every_key_is_listed_once_page_by_page(kms):
    made = {kms.create_key()["KeyMetadata"]["KeyId"] for _ in range(5)}
    pages = list(kms.get_paginator("list_keys").paginate(PaginationConfig={"PageSize": 2}))
    assert all(len(page["Keys"]) == 2 and page["Truncated"] and page["NextMarker"] for page in pages[:-1])
    assert not pages[-1]["Truncated"]
    assert "NextMarker" not in pages[-1]
    listed = [key for page in pages for key in page["Keys"]]
    assert all(key.keys() == {"KeyId", "KeyArn"} for key in listed)
    ids = [key["KeyId"] for key in listed]
    assert len(ids) == len(set(ids))
    assert made <= set(ids)
    assert [key["KeyId"] for key in kms.list_keys(Limit=1000)["Keys"]] == ids


def test_every_alias_is_listed_once_page_by_page_and_by_its_key(kms, key):
    names = [f"alias/listed/{number}" for number in range(5)]
    for name in names:
        kms.create_alias(AliasName=name, TargetKeyId=key)
    paginator = kms.get_paginator("list_aliases")

    def listed(**parameters):
        pages = paginator.paginate(PaginationConfig={"PageSize": 2}, **parameters)
        return [alias for page in pages for alias in page["Aliases"]]

    everything = [alias["AliasName"] for alias in listed()]
    assert len(everything) == len(set(everything))
    assert {*names, "alias/quickstart"} <= set(everything)
    of_key = listed(KeyId=key)
    assert [alias["AliasName"] for alias in of_key] == names
    assert all(alias["CreationDate"] == alias["LastUpdatedDate"] for alias in of_key)
    assert of_key[0]["AliasArn"] == "arn:aws:kms:us-east-1:111122223333:alias/listed/0"
    assert of_key[0]["TargetKeyId"] == key.rsplit("/")[-1]
    with pytest.raises(kms.exceptions.InvalidArnException):
        kms.list_aliases(KeyId=names[0])


def test_an_alias_names_its_key_from_the_answer_on(kms, key):
    with pytest.raises(kms.exceptions.NotFoundException):
        kms.describe_key(KeyId="alias/from-now-on")
    kms.create_alias(AliasName="alias/from-now-on", TargetKeyId=key)
    assert kms.describe_key(KeyId="alias/from-now-on")["KeyMetadata"]["Arn"] == key


def test_a_restart_finds_everything_again_but_the_policy_of_the_start_before(tmp_path, policy):
    first = Gateway.quickstart(tmp_path / "data", policy)
    kms = first.client()
    disabled, pending, second = (kms.create_key(Description=name)["KeyMetadata"]["Arn"] for name in "abc")
    kms.disable_key(KeyId=disabled)
    kms.schedule_key_deletion(KeyId=pending, PendingWindowInDays=10)
    kms.create_alias(AliasName="alias/second", TargetKeyId=second)
    blobs = [
        kms.encrypt(KeyId=name, Plaintext=b"from before the restart", EncryptionContext=CONTEXT)["CiphertextBlob"]
        for name in ("alias/quickstart", "alias/second")
    ]
    keys, aliases = kms.list_keys()["Keys"], kms.list_aliases()["Aliases"]
    described = [kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"] for key in keys]
    kms.close()
    first.stop()

    again = Gateway.quickstart(tmp_path / "data", policy)
    assert (again.key, again.key_arn) == (first.key, first.key_arn)
    kms = again.client()
    assert (kms.list_keys()["Keys"], kms.list_aliases()["Aliases"]) == (keys, aliases)
    assert [kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"] for key in keys] == described
    for blob in blobs:
        assert kms.decrypt(CiphertextBlob=blob, EncryptionContext=CONTEXT)["Plaintext"] == b"from before the restart"
    with pytest.raises(kms.exceptions.DisabledException):
        kms.generate_data_key_without_plaintext(KeyId=disabled, KeySpec="AES_256")
    kms.close()
    again.stop()

    # Without --policy the principal may use the one key again, and is not told which key another ciphertext is under.
    narrow = Gateway.quickstart(tmp_path / "data")
    kms = narrow.client()
    assert kms.decrypt(CiphertextBlob=blobs[0], EncryptionContext=CONTEXT)["KeyId"] == narrow.key_arn
    with pytest.raises(ClientError) as refused:
        kms.decrypt(CiphertextBlob=blobs[1], EncryptionContext=CONTEXT)
    assert refused.value.response["Error"] == {
        "Code": "AccessDeniedException",
        "Message": "User: arn:aws:iam::111122223333:user/quickstart is not authorized to perform: kms:Decrypt on the"
        " resource associated with this ciphertext because no identity-based policy allows the kms:Decrypt action",
    }
    kms.close()
    narrow.stop()


def test_what_was_answered_before_the_program_was_killed_is_there_after_it(tmp_path, policy):
    made, blobs, answered = [], [], []

    def restart():
        gateway = Gateway.quickstart(tmp_path / "data", policy)
        kms = gateway.client()
        aliases = {alias["AliasName"]: alias["TargetKeyId"] for alias in kms.list_aliases()["Aliases"]}
        for number, key in enumerate(made):
            described = kms.describe_key(KeyId=key)["KeyMetadata"]
            assert (described["Description"], described["Enabled"]) == (f"of round {number}", number % 2 == 0)
            assert aliases[f"alias/of-round-{number}"] == key
        for number, blob in enumerate(blobs):
            if number % 2 == 0:
                assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"from before the kill"
        assert all(gateway.record(request_id) for request_id in answered)
        return gateway, kms

    for number in range(10):
        gateway, kms = restart()
        key = kms.create_key(Description=f"of round {number}")["KeyMetadata"]["KeyId"]
        blobs.append(kms.encrypt(KeyId=key, Plaintext=b"from before the kill")["CiphertextBlob"])
        last = kms.create_alias(AliasName=f"alias/of-round-{number}", TargetKeyId=key)
        if number % 2:
            last = kms.disable_key(KeyId=key)
        gateway.kill()
        made.append(key)
        answered.append(last["ResponseMetadata"]["RequestId"])
        kms.close()
    gateway, kms = restart()
    kms.close()
    gateway.stop()
