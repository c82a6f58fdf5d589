"""Imported key material by boto3, wrapped by an independent library: it comes, ends, comes again and is rotated; and
every error of the three operations."""

import datetime
import json
import os

import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding
from cryptography.hazmat.primitives.serialization import load_der_public_key
from gateway import Gateway, allow
from stopped_store import StoppedStore, kbkdf

DIGESTS = {
    "RSAES_OAEP_SHA_1": SHA1,
    "RSAES_OAEP_SHA_256": SHA256,
    "RSA_AES_KEY_WRAP_SHA_1": SHA1,
    "RSA_AES_KEY_WRAP_SHA_256": SHA256,
}
SPECS = {"RSA_2048": 2048, "RSA_3072": 3072, "RSA_4096": 4096}
NO_KEY = "1234abcd-12ab-34cd-56ef-1234567890ab"
FOREVER = {"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}
NEW = {"ImportType": "NEW_KEY_MATERIAL"}
EXISTING = {"ImportType": "EXISTING_KEY_MATERIAL"}
DAY = datetime.timedelta(days=1)
MINUTE = datetime.timedelta(minutes=1)


@pytest.fixture
def policy(tmp_path):
    file = tmp_path / "policy.json"
    file.write_text(json.dumps(allow("kms:*")))
    return file


class External:
    """A key for imported material, and what its material is wrapped with."""

    def __init__(self, gateway, kms, algorithm="RSAES_OAEP_SHA_256", spec="RSA_2048", **more):
        self.gateway, self.kms = gateway, kms
        self.arn = kms.create_key(Origin="EXTERNAL", **more)["KeyMetadata"]["Arn"]
        self.fetch(algorithm, spec)

    def fetch(self, algorithm, spec):
        self.algorithm = algorithm
        self.parameters = self.kms.get_parameters_for_import(
            KeyId=self.arn, WrappingAlgorithm=algorithm, WrappingKeySpec=spec
        )
        self.token = self.parameters["ImportToken"]
        self.public_key = load_der_public_key(self.parameters["PublicKey"])

    def wrap(self, material):
        digest = DIGESTS[self.algorithm]
        oaep = padding.OAEP(mgf=padding.MGF1(algorithm=digest()), algorithm=digest(), label=None)
        if self.algorithm.startswith("RSAES"):
            return self.public_key.encrypt(material, oaep)
        ephemeral = os.urandom(32)
        return self.public_key.encrypt(ephemeral, oaep) + aes_key_wrap_with_padding(ephemeral, material)

    def request(self, material, **more):
        expires = {} if "ValidTo" in more or "ExpirationModel" in more else FOREVER
        return {
            "KeyId": self.arn,
            "ImportToken": self.token,
            "EncryptedKeyMaterial": self.wrap(material),
        } | expires | more

    def take(self, material, **more):
        """Imports `material`, which must not be found in any file of the program; the id it has."""
        self.gateway.keep_secret(material)
        answer = self.kms.import_key_material(**self.request(material, **more))
        assert answer["KeyId"] == self.arn
        return answer["KeyMaterialId"]

    def refuses(self, material, **more):
        return refused(self.kms.import_key_material, **self.request(material, **more))

    def described(self):
        return self.kms.describe_key(KeyId=self.arn)["KeyMetadata"]

    @property
    def state(self):
        return self.described()["KeyState"]

    def materials(self):
        answer = self.kms.list_key_rotations(KeyId=self.arn, IncludeKeyMaterial="ALL_KEY_MATERIAL")
        return answer["Rotations"]

    def encrypt(self):
        return self.kms.encrypt(KeyId=self.arn, Plaintext=b"attack at noon, if it is dry")["CiphertextBlob"]

    def opens(self, blob):
        """With which material, if it does."""
        answer = self.kms.decrypt(CiphertextBlob=blob)
        assert answer["Plaintext"] == b"attack at noon, if it is dry"
        return answer["KeyMaterialId"]


@pytest.fixture
def key(allow_all, kms):
    return External(allow_all, kms)


def refused(call, **parameters):
    """Code and text of the refusal, which is an exception of its own type where the model has one."""
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    error = caught.value.response["Error"]
    assert type(caught.value) is getattr(call.__self__.exceptions, error["Code"], ClientError)
    return error["Code"], error["Message"]


def now():
    return datetime.datetime.now(datetime.timezone.utc)


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("algorithm", DIGESTS)
def test_material_that_an_independent_library_wrapped_is_imported(allow_all, kms, algorithm, spec):
    key = External(allow_all, kms, algorithm, spec)
    assert key.parameters["KeyId"] == key.arn
    assert key.public_key.key_size == SPECS[spec]
    assert abs(key.parameters["ParametersValidTo"] - now() - DAY) < MINUTE
    assert key.state == "PendingImport"
    material = os.urandom(32)
    material_id = key.take(material)
    described = key.described()
    assert (described["KeyState"], described["Enabled"]) == ("Enabled", True)
    assert described["CurrentKeyMaterialId"] == material_id
    assert described["ExpirationModel"] == "KEY_MATERIAL_DOES_NOT_EXPIRE"
    # Whoever has the material can say its id.
    context = "111122223333" + key.arn.rpartition("/")[2]
    assert material_id == kbkdf(material, "kmsgate/v1/imported-material-id", context.encode()).hex()
    assert key.opens(key.encrypt()) == material_id


def test_an_import_is_recorded_without_material_and_token(allow_all, key):
    material = os.urandom(32)
    allow_all.keep_secret(material)
    request = key.request(material, KeyMaterialDescription="from the safe", ValidTo=now() + DAY)
    answer = key.kms.import_key_material(**request)
    record = allow_all.record(answer["ResponseMetadata"]["RequestId"])
    parameters = record["requestParameters"]
    assert parameters.keys() == {"keyId", "keyMaterialDescription", "validTo"}
    assert parameters["keyMaterialDescription"] == "from the safe"
    elements = {"keyId": key.arn, "keyMaterialId": answer["KeyMaterialId"]}
    assert (record["responseElements"], record["readOnly"]) == (elements, False)
    answer = key.kms.delete_imported_key_material(KeyId=key.arn)
    record = allow_all.record(answer["ResponseMetadata"]["RequestId"])
    assert record["responseElements"] == elements
    record = allow_all.record(key.parameters["ResponseMetadata"]["RequestId"])
    assert (record["eventName"], record["readOnly"]) == ("GetParametersForImport", True)
    assert record["responseElements"] is None


def test_deleted_material_is_imported_again(key):
    material = os.urandom(32)
    material_id = key.take(material, KeyMaterialDescription="from the safe")
    blob = key.encrypt()
    answer = key.kms.delete_imported_key_material(KeyId=key.arn)
    assert (answer["KeyId"], answer["KeyMaterialId"]) == (key.arn, material_id)
    described = key.described()
    assert (described["KeyState"], described["CurrentKeyMaterialId"]) == ("PendingImport", material_id)
    assert "ExpirationModel" not in described
    pending = ("KMSInvalidStateException", f"{key.arn} is pending import.")
    assert refused(key.kms.decrypt, CiphertextBlob=blob) == pending
    assert refused(key.kms.enable_key, KeyId=key.arn) == pending
    [entry] = key.materials()
    assert (entry["ImportState"], entry["KeyMaterialDescription"]) == ("PENDING_IMPORT", "from the safe")

    assert key.refuses(os.urandom(32)) == ("IncorrectKeyMaterialException", "")
    assert key.refuses(os.urandom(32), KeyMaterialId=material_id) == ("IncorrectKeyMaterialException", "")
    assert key.state == "PendingImport"
    # By another token and algorithm too.
    key.fetch("RSA_AES_KEY_WRAP_SHA_256", "RSA_2048")
    assert key.take(material, KeyMaterialId=material_id, **EXISTING) == material_id
    assert key.state == "Enabled"
    assert key.opens(blob) == material_id


def test_new_material_is_rotated_in_and_the_old_still_decrypts(key):
    first_material, second_material, third_material = (os.urandom(32) for _ in range(3))
    first = key.take(first_material)
    blob = key.encrypt()
    nothing = (
        "KMSInvalidStateException",
        f"No available key material pending rotation for the key: {key.arn}.",
    )
    assert refused(key.kms.rotate_key_on_demand, KeyId=key.arn) == nothing
    second = key.take(second_material, KeyMaterialDescription="the second", **NEW)
    assert key.described()["CurrentKeyMaterialId"] == first
    assert [entry["KeyMaterialState"] for entry in key.materials()] == ["CURRENT", "PENDING_ROTATION"]

    context = "111122223333" + key.arn.rpartition("/")[2]
    third = kbkdf(third_material, "kmsgate/v1/imported-material-id", context.encode()).hex()
    assert key.refuses(third_material, **NEW) == (
        "KMSInvalidStateException",
        f"New key material (id: {third}) cannot be imported into KMS key {key.arn.rpartition('/')[2]}, because another"
        f" key material (id: {second}) is pending rotation.",
    )
    assert key.refuses(first_material, **NEW) == ("IncorrectKeyMaterialException", "")

    assert key.kms.rotate_key_on_demand(KeyId=key.arn)["KeyId"] == key.arn
    entries = key.materials()
    assert [entry["KeyMaterialId"] for entry in entries] == [first, second]
    assert [entry["KeyMaterialState"] for entry in entries] == ["NON_CURRENT", "CURRENT"]
    assert entries[0].keys() == {"KeyId", "KeyMaterialId", "KeyMaterialState", "ImportState", "ExpirationModel"}
    assert (entries[1]["RotationType"], entries[1]["KeyMaterialDescription"]) == ("ON_DEMAND", "the second")
    assert (key.opens(blob), key.opens(key.encrypt())) == (first, second)
    assert refused(key.kms.rotate_key_on_demand, KeyId=key.arn) == nothing

    # The key waits for each material that it ever used.
    for material_id in (first, second):
        key.kms.delete_imported_key_material(KeyId=key.arn, KeyMaterialId=material_id)
    key.take(first_material)
    assert key.state == "PendingImport"
    key.take(second_material)
    assert key.state == "Enabled"
    assert (key.opens(blob), key.opens(key.encrypt())) == (first, second)


def test_material_that_waits_can_be_deleted_for_another(key):
    first, second = (os.urandom(32) for _ in range(2))
    key.take(first)
    waits = key.take(second, **NEW)
    key.kms.delete_imported_key_material(KeyId=key.arn, KeyMaterialId=waits)
    assert (key.state, len(key.materials())) == ("Enabled", 1)
    code, text = refused(key.kms.delete_imported_key_material, KeyId=key.arn, KeyMaterialId=waits)
    assert (code, waits in text) == ("NotFoundException", True)
    other = key.take(os.urandom(32), **NEW)
    key.kms.rotate_key_on_demand(KeyId=key.arn)
    assert key.described()["CurrentKeyMaterialId"] == other


def test_material_ends_on_its_date_by_the_program_itself(tmp_path, policy):
    gateway = Gateway.quickstart(tmp_path / "data", policy)
    kms = gateway.client()
    key, material = External(gateway, kms), os.urandom(32)
    date = now() + DAY
    material_id = key.take(material, ValidTo=date)
    described = key.described()
    assert described["ExpirationModel"] == "KEY_MATERIAL_EXPIRES"
    assert abs(described["ValidTo"] - date) < datetime.timedelta(milliseconds=2)
    blob = key.encrypt()
    kms.close()
    gateway.stop()

    def ended(row):
        [version] = row["materials"]
        version["imported"]["valid_to_micros"] -= 25 * 3600 * 10**6

    store = StoppedStore(tmp_path / "data")
    store.edit(key.arn, ended)
    gateway = Gateway.quickstart(tmp_path / "data", policy)
    kms = gateway.client()
    gateway.stderr.wait_for(lambda line: b"DeleteExpiredKeyMaterial" in line and key.arn.encode() in line)
    key.gateway, key.kms = gateway, kms
    assert key.state == "PendingImport"
    assert refused(kms.decrypt, CiphertextBlob=blob) == (
        "KMSInvalidStateException",
        f"{key.arn} is pending import.",
    )

    # A token is good for a day, behind a restart too.
    token = key.token
    key.token = store.older_token(token, key.arn, 24)
    assert key.refuses(material) == ("ExpiredImportTokenException", "")
    key.token = store.older_token(token, key.arn, 23)
    assert key.take(material) == material_id
    assert key.opens(blob) == material_id
    kms.close()
    gateway.stop()


def test_a_token_is_of_one_key_and_goes_with_its_public_key(allow_all, kms, key):
    other, material = External(allow_all, kms), os.urandom(32)
    own = key.token
    for token in [other.token, own[:-1], own[:-1] + bytes([own[-1] ^ 1]), b"\0"]:
        key.token = token
        assert key.refuses(material) == ("InvalidImportTokenException", "")
    key.fetch("RSAES_OAEP_SHA_256", "RSA_2048")
    key.token = own
    assert key.refuses(material) == ("InvalidCiphertextException", "")
    assert key.state == "PendingImport"


@pytest.mark.parametrize("algorithm", DIGESTS)
@pytest.mark.parametrize("length", [16, 31, 33])
def test_material_of_another_length_is_refused(allow_all, kms, key, algorithm, length):
    key.fetch(algorithm, "RSA_2048")
    assert key.refuses(os.urandom(length)) == ("InvalidCiphertextException", "")


def test_material_wrapped_in_another_way_is_refused(key):
    request = key.request(os.urandom(32))
    key.algorithm = "RSAES_OAEP_SHA_1"
    sha_1 = key.request(os.urandom(32))
    key.algorithm = "RSA_AES_KEY_WRAP_SHA_256"
    for wrapped in [
        sha_1["EncryptedKeyMaterial"],
        key.wrap(os.urandom(32)),
        request["EncryptedKeyMaterial"][:-1],
        b"\0",
    ]:
        assert refused(key.kms.import_key_material, **request | {"EncryptedKeyMaterial": wrapped}) == (
            "InvalidCiphertextException",
            "",
        )
    assert key.state == "PendingImport"


def test_the_end_of_material_is_in_the_next_year(key):
    material = os.urandom(32)
    required = (
        "ValidationException",
        "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES",
    )
    assert key.refuses(material, ExpirationModel="KEY_MATERIAL_EXPIRES") == required
    request = key.request(material)
    del request["ExpirationModel"]
    assert refused(key.kms.import_key_material, **request) == required
    assert key.refuses(material, ValidTo=now() + DAY, **FOREVER)[0] == "ValidationException"
    for date in [now() - MINUTE, now() + 365 * DAY + MINUTE]:
        assert key.refuses(material, ValidTo=date)[0] == "ValidationException"
    assert key.state == "PendingImport"
    for date in [now() + MINUTE, now() + 365 * DAY - MINUTE]:
        key.take(material, ValidTo=date)
        assert abs(key.described()["ValidTo"] - date) < datetime.timedelta(milliseconds=2)


def test_what_an_import_says_of_itself_must_be_true(key):
    material = os.urandom(32)
    incorrect = ("IncorrectKeyMaterialException", "")
    assert key.refuses(material, **EXISTING) == incorrect
    assert key.refuses(material, KeyMaterialId=64 * "0") == incorrect
    material_id = key.take(material)
    assert key.refuses(material, **NEW) == incorrect
    assert key.refuses(os.urandom(32)) == incorrect
    assert key.refuses(os.urandom(32), **EXISTING) == incorrect
    assert key.refuses(material, KeyMaterialId=material_id, **NEW)[0] == "ValidationException"
    for name, value, pattern in [
        ("KeyMaterialId", 64 * "A", "^[a-f0-9]+$"),
        ("KeyMaterialDescription", "a;b", r"^[a-zA-Z0-9:/_\s.-]+$"),
    ]:
        member = name[0].lower() + name[1:]
        assert key.refuses(material, **{name: value}) == (
            "ValidationException",
            f"1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: Member must"
            f" satisfy regular expression pattern: {pattern}",
        )


def operations(kms, key):
    """Each of the three, as a call that names `key`."""
    parameters = {"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"}
    material = {"ImportToken": b"\0", "EncryptedKeyMaterial": b"\0"} | FOREVER
    return [
        lambda: refused(kms.get_parameters_for_import, KeyId=key, **parameters),
        lambda: refused(kms.import_key_material, KeyId=key, **material),
        lambda: refused(kms.delete_imported_key_material, KeyId=key),
    ]


def test_keys_that_take_no_imports_are_refused(allow_all, kms):
    ours = kms.create_key()["KeyMetadata"]["Arn"]
    rsa = kms.create_key(Origin="EXTERNAL", KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
    arn = f"arn:aws:kms:us-east-1:111122223333:key/{NO_KEY}"
    for key, expected in {
        ours: ("UnsupportedOperationException", f"{ours} origin is AWS_KMS which is not valid for this operation."),
        rsa: (
            "UnsupportedOperationException",
            "Imports into asymmetric and HMAC keys are not served by kmsgate's local backend.",
        ),
        NO_KEY: ("NotFoundException", f"Key '{arn}' does not exist"),
        allow_all.alias: ("InvalidArnException", "Key Aliases are not supported for this operation."),
    }.items():
        assert [call() for call in operations(kms, key)] == 3 * [expected]


def test_a_key_to_be_deleted_takes_no_material_and_loses_it(key):
    key.take(os.urandom(32))
    key.kms.schedule_key_deletion(KeyId=key.arn)
    pending = ("KMSInvalidStateException", f"{key.arn} is pending deletion.")
    get, take, _ = operations(key.kms, key.arn)
    assert (get(), take()) == (pending, pending)
    key.kms.delete_imported_key_material(KeyId=key.arn)
    assert key.state == "PendingDeletion"
    key.kms.cancel_key_deletion(KeyId=key.arn)
    assert key.state == "PendingImport"


@pytest.mark.parametrize(
    ("algorithm", "spec"), [("RSAES_PKCS1_V1_5", "RSA_2048"), ("SM2PKE", "SM2"), ("RSAES_OAEP_SHA_256", "SM2")]
)
def test_what_is_not_wrapped_with_any_more_is_refused(key, algorithm, spec):
    code, _ = refused(
        key.kms.get_parameters_for_import, KeyId=key.arn, WrappingAlgorithm=algorithm, WrappingKeySpec=spec
    )
    assert code == "UnsupportedOperationException"
