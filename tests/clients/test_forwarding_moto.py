"""Moto's KMS behind the gateway, as it stands behind many a test: what programs do with data keys works.

Moto differs from KMS where it tells:

- it verifies no signature and knows no caller, so that what is refused here the gateway has refused;
- its answers lack `KeyMaterialId` everywhere, and `EncryptionAlgorithm` in those to `Encrypt` and `Decrypt`;
- it uses keys that are disabled, and of another `KeyId` than the ciphertext's it says AccessDeniedException;
- its answers to calls about aliases are `null`, where KMS's have no body;
- it takes the account from its environment, and the region from the signature's scope.
"""

import base64

import pytest
from botocore.exceptions import ClientError
from forwarding import USE, Forwarding
from gateway import Principal, allow
from moto_server import MotoServer

CONTEXT = {"tenant": "blue", "team": "orders"}
OTHER_ORDER = dict(reversed(CONTEXT.items()))
SECRET = b"attack at noon, if it is dry"
APP = Principal("arn:aws:iam::111122223333:user/app", ("blue-alone",))
BLUE_ALONE = allow(*USE, Condition={"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/blue"}})


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    directory = tmp_path_factory.mktemp("moto") / "gateway"
    gateway = Forwarding.to(MotoServer(), directory, ["admin", APP], {"blue-alone": BLUE_ALONE})
    yield gateway
    gateway.stop()


@pytest.fixture(scope="module")
def admin(gateway):
    client = gateway.client()
    yield client
    client.close()


@pytest.fixture(scope="module")
def app(gateway, blue):
    _, key = gateway.keys.values()
    client = gateway.client(key)
    yield client
    client.close()


@pytest.fixture(scope="module")
def blue(gateway, admin):
    """The ARN of the application's key, made through the gateway."""
    arn = admin.create_key()["KeyMetadata"]["Arn"]
    past = gateway.upstream.client("kms")
    past.create_alias(AliasName="alias/blue", TargetKeyId=arn)
    past.close()
    return arn


@pytest.fixture(scope="module")
def red(admin):
    """That of another's key."""
    return admin.create_key()["KeyMetadata"]["Arn"]


def code(call, **parameters):
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    return caught.value.response["Error"]["Code"]


@pytest.mark.parametrize("form", ["key id", "key ARN", "alias name", "alias ARN"])
def test_a_data_key_is_made_by_each_form_of_key_id_and_opened(gateway, app, blue, form):
    forms = {"key id": blue[-36:], "key ARN": blue, "alias name": "alias/blue"}
    forms["alias ARN"] = "arn:aws:kms:us-east-1:111122223333:alias/blue"
    made = app.generate_data_key_without_plaintext(KeyId=forms[form], KeySpec="AES_256", EncryptionContext=CONTEXT)
    assert made.keys() == {"CiphertextBlob", "KeyId", "ResponseMetadata"}
    assert made["KeyId"] == blue
    opened = app.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext=OTHER_ORDER)
    assert (opened["KeyId"], len(opened["Plaintext"])) == (blue, 32)
    record = gateway.record(made["ResponseMetadata"]["RequestId"])
    assert record["requestParameters"]["encryptionContext"] == CONTEXT
    assert record["resources"] == [{"accountId": "111122223333", "type": "AWS::KMS::Key", "ARN": blue}]


def test_a_data_key_comes_with_its_plaintext_when_that_is_asked_for(app, blue):
    made = app.generate_data_key(KeyId="alias/blue", NumberOfBytes=64, EncryptionContext=CONTEXT)
    opened = app.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext=CONTEXT, KeyId=blue)
    assert (len(made["Plaintext"]), made["Plaintext"]) == (64, opened["Plaintext"])


def test_what_is_encrypted_is_decrypted_and_moves_to_another_context(gateway, app, blue):
    gateway.keep_secret(SECRET)
    sealed = app.encrypt(KeyId=blue, Plaintext=SECRET, EncryptionContext=CONTEXT)
    moved = app.re_encrypt(
        CiphertextBlob=sealed["CiphertextBlob"],
        SourceEncryptionContext=OTHER_ORDER,
        DestinationKeyId="alias/blue",
        DestinationEncryptionContext={"tenant": "green"},
    )
    assert (moved["SourceKeyId"], moved["KeyId"]) == (blue, blue)
    opened = app.decrypt(CiphertextBlob=moved["CiphertextBlob"], EncryptionContext={"tenant": "green"})
    assert opened["Plaintext"] == SECRET
    wrong = {"CiphertextBlob": moved["CiphertextBlob"], "EncryptionContext": CONTEXT}
    assert code(app.decrypt, **wrong) == "InvalidCiphertextException"


def test_a_key_of_another_is_refused_whatever_moto_would_do(admin, app, red):
    assert code(app.generate_data_key_without_plaintext, KeyId=red, KeySpec="AES_256") == "AccessDeniedException"
    blob = admin.encrypt(KeyId=red, Plaintext=SECRET)["CiphertextBlob"]
    assert code(app.decrypt, CiphertextBlob=blob) == "AccessDeniedException"
    assert code(app.decrypt, CiphertextBlob=blob, KeyId=red) == "AccessDeniedException"
    assert code(app.re_encrypt, CiphertextBlob=blob, DestinationKeyId="alias/blue") == "AccessDeniedException"
    assert code(app.decrypt, CiphertextBlob=blob, KeyId="alias/blue") == "AccessDeniedException"


def test_an_alias_is_moved_and_taken_away(admin, app, blue, red):
    made = {"KeyId": "alias/moves", "KeySpec": "AES_256"}
    assert code(admin.generate_data_key_without_plaintext, **made) == "NotFoundException"
    admin.create_alias(AliasName="alias/moves", TargetKeyId=blue)
    assert admin.generate_data_key_without_plaintext(**made)["KeyId"] == blue
    admin.update_alias(AliasName="alias/moves", TargetKeyId=red)
    assert admin.generate_data_key_without_plaintext(**made)["KeyId"] == red
    assert code(app.generate_data_key_without_plaintext, **made) == "AccessDeniedException"
    admin.delete_alias(AliasName="alias/moves")
    assert code(admin.generate_data_key_without_plaintext, **made) == "NotFoundException"


def test_a_key_that_is_not_there_is_not_found(admin):
    key = "1234abcd-12ab-34cd-56ef-1234567890ab"
    assert code(admin.generate_data_key_without_plaintext, KeyId=key, KeySpec="AES_256") == "NotFoundException"
