"""Rotation by boto3: on demand, on its date, what is listed of it, and every error of its operations."""

import datetime
import json

import pytest
from botocore.exceptions import ClientError
from gateway import Gateway, allow
from stopped_store import StoppedStore

OPERATIONS = [
    "enable_key_rotation",
    "disable_key_rotation",
    "get_key_rotation_status",
    "rotate_key_on_demand",
    "list_key_rotations",
]
SWITCHES = OPERATIONS[:2]
DAY = datetime.timedelta(days=1)
MINUTE_MICROS = 60 * 10**6
DAY_MICROS = 24 * 60 * MINUTE_MICROS
NO_KEY = "1234abcd-12ab-34cd-56ef-1234567890ab"


@pytest.fixture
def policy(tmp_path):
    file = tmp_path / "policy.json"
    file.write_text(json.dumps(allow("kms:*")))
    return file


def refused(call, **parameters):
    """Code and text of the refusal, which is an exception of its own type where the model has one."""
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    error = caught.value.response["Error"]
    exceptions = call.__self__.exceptions
    assert type(caught.value) is getattr(exceptions, error["Code"], ClientError)
    return error["Code"], error["Message"]


def listed(kms, key, include="ALL_KEY_MATERIAL"):
    pages = kms.get_paginator("list_key_rotations").paginate(KeyId=key, IncludeKeyMaterial=include)
    return [rotation for page in pages for rotation in page["Rotations"]]


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def test_a_rotation_is_switched_on_read_and_switched_off(allow_all, kms, key):
    def status():
        answer = kms.get_key_rotation_status(KeyId=key)
        answer.pop("ResponseMetadata")
        return answer

    assert status() == {"KeyId": key, "KeyRotationEnabled": False}
    for days, parameters in [(365, {}), (90, {"RotationPeriodInDays": 90}), (2560, {"RotationPeriodInDays": 2560})]:
        before = now()
        answer = kms.enable_key_rotation(KeyId=key, **parameters)
        assert answer["ResponseMetadata"]["HTTPHeaders"]["content-length"] == "0"
        on = status()
        assert abs(on.pop("NextRotationDate") - before - days * DAY) < datetime.timedelta(minutes=1)
        assert on == {"KeyId": key, "KeyRotationEnabled": True, "RotationPeriodInDays": days}
        record = allow_all.record(answer["ResponseMetadata"]["RequestId"])
        sent = {"rotationPeriodInDays": days} if parameters else {}
        assert record["requestParameters"] == {"keyId": key} | sent
        assert record["responseElements"] == {"keyId": key}
    kms.disable_key_rotation(KeyId=key)
    assert status() == {"KeyId": key, "KeyRotationEnabled": False}


def test_every_ciphertext_opens_with_the_material_that_it_was_made_with(allow_all, kms, key):
    def encrypt():
        current = kms.describe_key(KeyId=key)["KeyMetadata"]["CurrentKeyMaterialId"]
        made = kms.generate_data_key(KeyId=key, KeySpec="AES_256", EncryptionContext={"tenant": "blue"})
        assert made["KeyMaterialId"] == current
        return current, made

    made = [encrypt()]
    for _ in range(3):
        answer = kms.rotate_key_on_demand(KeyId=key.rpartition("/")[2])
        assert answer["KeyId"] == key
        record = allow_all.record(answer["ResponseMetadata"]["RequestId"])
        assert (record["responseElements"], record["readOnly"]) == ({"keyId": key}, False)
        made.append(encrypt())
    ids = [current for current, _ in made]
    assert len(set(ids)) == 4
    for current, data_key in made:
        answer = kms.decrypt(CiphertextBlob=data_key["CiphertextBlob"], EncryptionContext={"tenant": "blue"})
        assert (answer["Plaintext"], answer["KeyMaterialId"]) == (data_key["Plaintext"], current)
    moved = kms.re_encrypt(
        CiphertextBlob=made[0][1]["CiphertextBlob"],
        SourceEncryptionContext={"tenant": "blue"},
        DestinationKeyId=key,
        DestinationEncryptionContext={"tenant": "blue"},
    )
    assert (moved["SourceKeyMaterialId"], moved["DestinationKeyMaterialId"]) == (ids[0], ids[-1])

    rotations = listed(kms, key)
    assert [rotation["KeyMaterialId"] for rotation in rotations] == ids
    assert [rotation["KeyMaterialState"] for rotation in rotations] == [*3 * ["NON_CURRENT"], "CURRENT"]
    assert rotations[0].keys() == {"KeyId", "KeyMaterialId", "KeyMaterialState"}
    assert all(rotation["RotationType"] == "ON_DEMAND" for rotation in rotations[1:])
    assert all(abs(now() - rotation["RotationDate"]) < datetime.timedelta(minutes=1) for rotation in rotations[1:])
    assert listed(kms, key, "ROTATIONS_ONLY") == rotations[1:]
    assert kms.list_key_rotations(KeyId=key)["Rotations"] == rotations[1:]


def test_rotations_come_in_pages(kms, key):
    for _ in range(4):
        kms.rotate_key_on_demand(KeyId=key)
    pages = list(
        kms.get_paginator("list_key_rotations").paginate(
            KeyId=key, IncludeKeyMaterial="ALL_KEY_MATERIAL", PaginationConfig={"PageSize": 2}
        )
    )
    assert [(len(page["Rotations"]), page["Truncated"]) for page in pages] == [(2, True), (2, True), (1, False)]
    assert [rotation for page in pages for rotation in page["Rotations"]] == listed(kms, key)
    assert refused(kms.list_key_rotations, KeyId=key, Marker="x") == ("InvalidMarkerException", "")


def test_a_key_is_rotated_on_its_date_by_the_program_itself(tmp_path, policy):
    gateway = Gateway.quickstart(tmp_path / "data", policy)
    kms = gateway.client()
    due, soon, disabled = (kms.create_key()["KeyMetadata"]["Arn"] for _ in range(3))
    before = {key: kms.describe_key(KeyId=key)["KeyMetadata"]["CurrentKeyMaterialId"] for key in (due, soon, disabled)}
    for key in before:
        kms.enable_key_rotation(KeyId=key, RotationPeriodInDays=90)
    blob = kms.encrypt(KeyId=due, Plaintext=b"from before the rotation")["CiphertextBlob"]
    kms.disable_key(KeyId=disabled)
    kms.close()
    gateway.stop()

    store = StoppedStore(tmp_path / "data")

    def earlier(micros):
        return lambda row: row["rotation"].update(next_micros=row["rotation"]["next_micros"] - micros)

    # One was due an hour ago, one is in a quarter of an hour, one has been due for ten days, which it was disabled for.
    store.edit(due, earlier(90 * DAY_MICROS + 60 * MINUTE_MICROS))
    store.edit(soon, earlier(90 * DAY_MICROS - 15 * MINUTE_MICROS))
    store.edit(disabled, earlier(100 * DAY_MICROS))

    gateway = Gateway.quickstart(tmp_path / "data", policy)
    kms = gateway.client()
    gateway.stderr.wait_for(lambda line: b"RotateKey" in line and due.encode() in line)
    assert [rotation["RotationType"] for rotation in listed(kms, due, "ROTATIONS_ONLY")] == ["AUTOMATIC"]
    made = kms.generate_data_key_without_plaintext(KeyId=due, KeySpec="AES_256")
    assert made["KeyMaterialId"] != before[due]
    answer = kms.decrypt(CiphertextBlob=blob)
    assert (answer["Plaintext"], answer["KeyMaterialId"]) == (b"from before the rotation", before[due])
    # What was hardly late keeps its dates.
    next_date = kms.get_key_rotation_status(KeyId=due)["NextRotationDate"]
    assert abs(next_date - now() - 90 * DAY + datetime.timedelta(hours=1)) < datetime.timedelta(minutes=1)

    assert refused(kms.rotate_key_on_demand, KeyId=soon) == ("ConflictException", "")
    assert listed(kms, soon, "ROTATIONS_ONLY") == listed(kms, disabled, "ROTATIONS_ONLY") == []
    kms.enable_key(KeyId=disabled)
    gateway.stderr.wait_for(lambda line: b"RotateKey" in line and disabled.encode() in line)
    [rotation] = listed(kms, disabled, "ROTATIONS_ONLY")
    assert rotation["RotationType"] == "AUTOMATIC"
    next_date = kms.get_key_rotation_status(KeyId=disabled)["NextRotationDate"]
    assert abs(next_date - now() - 90 * DAY) < datetime.timedelta(minutes=1)
    kms.close()
    gateway.stop()


def test_a_key_is_rotated_on_demand_25_times(kms, key):
    for _ in range(25):
        kms.rotate_key_on_demand(KeyId=key)
    assert refused(kms.rotate_key_on_demand, KeyId=key) == (
        "LimitExceededException",
        "The on-demand rotations limit has been reached for the given keyId. No more on-demand rotations can be"
        f" performed for this key: {key}",
    )


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_key_that_is_not_there_or_is_no_key_is_refused(allow_all, kms, operation):
    call = getattr(kms, operation)
    arn = f"arn:aws:kms:us-east-1:111122223333:key/{NO_KEY}"
    assert refused(call, KeyId=NO_KEY) == ("NotFoundException", f"Key '{arn}' does not exist")
    assert refused(call, KeyId=allow_all.alias) == (
        "InvalidArnException",
        "Key Aliases are not supported for this operation.",
    )


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    ("spec", "usage"),
    [("RSA_2048", "ENCRYPT_DECRYPT"), ("ECC_NIST_P256", "SIGN_VERIFY"), ("HMAC_256", "GENERATE_VERIFY_MAC")],
)
def test_keys_of_other_kinds_do_not_rotate(kms, operation, spec, usage):
    key = kms.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]["Arn"]
    assert refused(getattr(kms, operation), KeyId=key) == ("UnsupportedOperationException", "")


@pytest.mark.parametrize("operation", [*SWITCHES, "get_key_rotation_status"])
def test_imported_material_does_not_rotate_by_itself(kms, operation):
    key = kms.create_key(Origin="EXTERNAL")["KeyMetadata"]["Arn"]
    assert refused(getattr(kms, operation), KeyId=key) == (
        "UnsupportedOperationException",
        f"{key} origin is EXTERNAL which is not valid for this operation.",
    )


@pytest.mark.parametrize("operation", [*SWITCHES, "rotate_key_on_demand"])
def test_a_key_that_cannot_be_used_is_not_rotated(kms, key, operation):
    call = getattr(kms, operation)
    kms.disable_key(KeyId=key)
    assert refused(call, KeyId=key) == ("DisabledException", f"{key} is disabled.")
    kms.schedule_key_deletion(KeyId=key)
    assert refused(call, KeyId=key) == ("KMSInvalidStateException", f"{key} is pending deletion.")


def test_material_that_was_never_imported_is_not_rotated(kms):
    key = kms.create_key(Origin="EXTERNAL")["KeyMetadata"]["Arn"]
    assert refused(kms.rotate_key_on_demand, KeyId=key) == (
        "KMSInvalidStateException",
        f"{key} is pending import.",
    )
    assert listed(kms, key) == []


def test_a_key_to_be_deleted_says_that_it_does_not_rotate(kms, key):
    kms.enable_key_rotation(KeyId=key)
    kms.schedule_key_deletion(KeyId=key)
    assert not kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"]
    kms.cancel_key_deletion(KeyId=key)
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"]


@pytest.mark.parametrize(
    ("days", "bound"), [(89, "greater than or equal to 90"), (2561, "less than or equal to 2560")]
)
def test_a_period_has_bounds(kms, key, days, bound):
    assert refused(kms.enable_key_rotation, KeyId=key, RotationPeriodInDays=days) == (
        "ValidationException",
        f"1 validation error detected: Value '{days}' at 'rotationPeriodInDays' failed to satisfy constraint: Member"
        f" must have value {bound}",
    )


@pytest.mark.parametrize(("limit", "bound"), [(0, "greater than or equal to 1"), (1001, "less than or equal to 1000")])
def test_a_page_has_bounds(kms, key, limit, bound):
    assert refused(kms.list_key_rotations, KeyId=key, Limit=limit) == (
        "ValidationException",
        f"1 validation error detected: Value '{limit}' at 'limit' failed to satisfy constraint: Member must have value"
        f" {bound}",
    )
