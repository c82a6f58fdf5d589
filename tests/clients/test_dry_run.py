"""DryRun, wherever the model has it: the call fails as it would without it, or for the dry run alone."""

import json

import pytest
from botocore import xform_name
from gateway import Gateway, allow
from test_states import call, least
from wire import ACCOUNT, exchange

WOULD = ("DryRunOperationException", "The request would have succeeded, but the DryRun option is set.")
NO_KEY = "1234abcd-12ab-34cd-56ef-1234567890ab"

# For each operation a request that has nothing against it, of one key: `KEY` stands for its id.
SOUND = {
    "GenerateDataKeyWithoutPlaintext": {"KeyId": "KEY", "KeySpec": "AES_256"},
    "GenerateDataKey": {"KeyId": "KEY", "NumberOfBytes": 64},
    "GenerateDataKeyPair": {"KeyId": "KEY", "KeyPairSpec": "RSA_4096"},
    "GenerateDataKeyPairWithoutPlaintext": {"KeyId": "KEY", "KeyPairSpec": "RSA_4096"},
    "Encrypt": {"KeyId": "KEY", "Plaintext": "AAAA"},
    "Decrypt": {"KeyId": "KEY", "DryRunModifiers": ["IGNORE_CIPHERTEXT"]},
    "ReEncrypt": {"SourceKeyId": "KEY", "DestinationKeyId": "KEY", "DryRunModifiers": ["IGNORE_CIPHERTEXT"]},
}
# What it says of grants is in tests/clients/test_grants.py.
OF_GRANTS = {"CreateGrant", "RetireGrant", "RevokeGrant"}
# The actions that a policy has to allow, where they are not of the operation's own name.
ACTIONS = {"ReEncrypt": ["kms:ReEncryptFrom", "kms:ReEncryptTo"]}


@pytest.fixture(scope="module")
def kms(world):
    return world.client()


def refusal(kms, operation, key, **more):
    """The answer to a dry run, with the code and text of its refusal."""
    request = {name: key if value == "KEY" else value for name, value in SOUND[operation].items()}
    answer = exchange(kms, operation, json.dumps(request | {"DryRun": True} | more))
    assert answer.status == 400, answer.body
    return answer, answer.error


def test_all_that_has_a_dry_run_and_is_served_is_tested_and_the_rest_is_not_served(kms):
    model = kms.meta.service_model
    for name in model.operation_names:
        shape = model.operation_model(name).input_shape
        if "DryRun" not in shape.members or name in SOUND or name in OF_GRANTS:
            continue
        code, text = call(kms, name, least("", shape) | {"DryRun": True})
        assert (code, text.startswith(f"{name} is not served")) == ("UnsupportedOperationException", True), name
    assert all("DryRun" in model.operation_model(name).input_shape.members for name in SOUND)


@pytest.mark.parametrize("operation", SOUND)
def test_what_would_succeed_fails_for_the_dry_run_alone_and_is_recorded_so(allow_all, world, kms, operation):
    key = world.key("key")
    answer, refused = refusal(kms, operation, key.id)
    assert refused == WOULD
    assert type(answer.exception) is kms.exceptions.DryRunOperationException
    assert json.loads(answer.body) == {"__type": WOULD[0], "message": WOULD[1]}
    record = allow_all.record(answer.request_id)
    assert (record["errorCode"], record["errorMessage"], record["responseElements"]) == (*WOULD, None)
    assert record["requestParameters"]["dryRun"] is True
    assert {resource["ARN"] for resource in record["resources"]} == {key.arn}


@pytest.mark.parametrize("operation", SOUND)
def test_what_would_fail_fails_as_it_would_without_the_dry_run(world, kms, operation):
    def refused(key, **more):
        return refusal(kms, operation, key, **more)[1]

    absent = ("NotFoundException", f"Key '{ACCOUNT}:key/{NO_KEY}' does not exist")
    assert refused(NO_KEY) == absent
    for kind, code, state in [
        ("disabled", "DisabledException", "disabled"),
        ("pending", "KMSInvalidStateException", "pending deletion"),
        ("external", "KMSInvalidStateException", "pending import"),
    ]:
        key = world.key(kind)
        assert refused(key.id) == (code, f"{key.arn} is {state}.")
    signing = world.key("signing")
    code, text = refused(signing.id)
    assert code == "InvalidKeyUsageException"
    # What is said of a key whose ciphertext is ignored nobody has recorded.
    if "DryRunModifiers" not in SOUND[operation]:
        assert text == f"{signing.arn} key usage is SIGN_VERIFY which is not valid for {operation}."
    assert refused(world.key("key").id, GrantTokens=["no token!"])[0] == "InvalidGrantTokenException"
    assert refused(world.key("key").id, GrantTokens=["t"] * 11)[0] == "ValidationException"


@pytest.mark.parametrize("operation", ["Decrypt", "ReEncrypt"])
def test_a_ciphertext_is_opened_in_a_dry_run(world, kms, operation):
    key, other = world.key("key"), world.key("other")
    named = "KeyId" if operation == "Decrypt" else "SourceKeyId"

    def refused(source, blob):
        return refusal(kms, operation, key.id, **{named: source, "CiphertextBlob": blob, "DryRunModifiers": []})[1]

    assert refused(key.id, key.blob) == WOULD
    assert refused(key.id, "AAAA") == ("InvalidCiphertextException", "")
    assert refused(other.id, key.blob)[0] == "IncorrectKeyException"


@pytest.fixture(scope="module")
def keys_alone(tmp_path_factory):
    """A gateway whose principal may make keys and not use them, but for dry runs of `Encrypt`."""
    directory = tmp_path_factory.mktemp("keys-alone")
    policy = directory / "policy.json"
    policy.write_text(json.dumps(allow("kms:CreateKey", "kms:Encrypt")))
    gateway = Gateway.quickstart(directory / "data", policy)
    yield gateway
    gateway.stop()


@pytest.mark.parametrize("operation", SOUND)
def test_a_dry_run_says_whether_it_is_allowed(keys_alone, operation):
    kms = keys_alone.client()
    arn = kms.create_key()["KeyMetadata"]["Arn"]
    _, (code, text) = refusal(kms, operation, arn)
    if operation == "Encrypt":
        assert (code, text) == WOULD
    else:
        action = ACTIONS.get(operation, [f"kms:{operation}"])[0]
        assert code == "AccessDeniedException"
        assert f"is not authorized to perform: {action} on resource: {arn}" in text
    kms.close()


def test_a_dry_run_that_is_none_is_carried_out(kms, world):
    for operation in ["GenerateDataKeyWithoutPlaintext", "GenerateDataKey", "Encrypt"]:
        request = {name: world.key("key").id if value == "KEY" else value for name, value in SOUND[operation].items()}
        answer = getattr(kms, xform_name(operation))(**request, DryRun=False)
        assert answer["CiphertextBlob"]
