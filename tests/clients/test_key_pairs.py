"""Data key pairs by boto3, read by an independent library: of the right kind, whole, sealed and recorded."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)

CONTEXT = {"tenant": "blue", "£": "€"}
CURVES = {
    "ECC_NIST_P256": ec.SECP256R1,
    "ECC_NIST_P384": ec.SECP384R1,
    "ECC_NIST_P521": ec.SECP521R1,
    "ECC_SECG_P256K1": ec.SECP256K1,
}
RSA_BITS = {"RSA_2048": 2048, "RSA_3072": 3072, "RSA_4096": 4096}
SPECS = [*RSA_BITS, *CURVES, "ECC_NIST_EDWARDS25519"]
OPERATIONS = ["generate_data_key_pair", "generate_data_key_pair_without_plaintext"]
NOT_SERVED = ["SM2", "ML_KEM_768"]


def kind(key):
    """The specification that a key is of, as the library sees it."""
    match key:
        case rsa.RSAPrivateKey() | rsa.RSAPublicKey():
            return f"RSA_{key.key_size}"
        case ec.EllipticCurvePrivateKey() | ec.EllipticCurvePublicKey():
            return next(spec for spec, curve in CURVES.items() if isinstance(key.curve, curve))
        case ed25519.Ed25519PrivateKey() | ed25519.Ed25519PublicKey():
            return "ECC_NIST_EDWARDS25519"


def spki(public):
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def assert_is_pair(private_der, public_der, spec):
    """That both are DER of their standard, whole, of `spec`, and belong together."""
    private, public = load_der_private_key(private_der, None), load_der_public_key(public_der)
    assert (kind(private), kind(public)) == (spec, spec)
    assert spki(private.public_key()) == public_der == spki(public)
    # The same again as the library writes it: PKCS#8, with nothing before, between or behind.
    assert private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()) == private_der
    if spec in RSA_BITS:
        assert public.public_numbers().e == 65537


def code_of(call, **parameters):
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    error = caught.value.response["Error"]
    return error["Code"], error.get("Message", "")


@pytest.mark.parametrize("spec", SPECS)
def test_a_pair_is_of_its_specification_and_its_ciphertext_is_its_private_key(allow_all, kms, spec):
    arn = allow_all.key_arn
    made = kms.generate_data_key_pair(KeyId=allow_all.alias, KeyPairSpec=spec, EncryptionContext=CONTEXT)
    assert made.keys() == {
        "PrivateKeyCiphertextBlob",
        "PrivateKeyPlaintext",
        "PublicKey",
        "KeyId",
        "KeyPairSpec",
        "KeyMaterialId",
        "ResponseMetadata",
    }
    assert (made["KeyId"], made["KeyPairSpec"]) == (arn, spec)
    assert_is_pair(made["PrivateKeyPlaintext"], made["PublicKey"], spec)

    opened = kms.decrypt(CiphertextBlob=made["PrivateKeyCiphertextBlob"], EncryptionContext=CONTEXT)
    assert opened["Plaintext"] == made["PrivateKeyPlaintext"]
    assert (opened["KeyId"], opened["KeyMaterialId"]) == (arn, made["KeyMaterialId"])

    record = allow_all.record(made["ResponseMetadata"]["RequestId"])
    assert (record["eventName"], record["readOnly"]) == ("GenerateDataKeyPair", True)
    assert record["requestParameters"] == {
        "keyId": allow_all.alias,
        "keyPairSpec": spec,
        "encryptionContext": CONTEXT,
    }
    assert record["responseElements"] is None
    assert record["additionalEventData"]["keyMaterialId"] == made["KeyMaterialId"]
    assert record["resources"] == [{"accountId": "111122223333", "type": "AWS::KMS::Key", "ARN": arn}]
    assert "errorCode" not in record


@pytest.mark.parametrize("spec", SPECS)
def test_a_private_key_that_was_not_told_opens_later(allow_all, kms, spec):
    made = kms.generate_data_key_pair_without_plaintext(
        KeyId=allow_all.key_id, KeyPairSpec=spec, EncryptionContext=CONTEXT
    )
    assert made.keys() == {
        "PrivateKeyCiphertextBlob",
        "PublicKey",
        "KeyId",
        "KeyPairSpec",
        "KeyMaterialId",
        "ResponseMetadata",
    }
    opened = kms.decrypt(CiphertextBlob=made["PrivateKeyCiphertextBlob"], EncryptionContext=CONTEXT)
    assert_is_pair(opened["Plaintext"], made["PublicKey"], spec)
    record = allow_all.record(made["ResponseMetadata"]["RequestId"])
    assert record["eventName"] == "GenerateDataKeyPairWithoutPlaintext"


def test_no_two_pairs_are_the_same(allow_all, kms):
    made = [
        kms.generate_data_key_pair(KeyId=allow_all.key_id, KeyPairSpec=spec)
        for spec in ["RSA_2048", "ECC_NIST_P256"]
        for _ in range(2)
    ]
    for member in ["PrivateKeyPlaintext", "PrivateKeyCiphertextBlob", "PublicKey"]:
        assert len({pair[member] for pair in made}) == 4


@pytest.mark.parametrize("context", [{}, {"tenant": "blue"}, CONTEXT | {"tenant": "red"}, CONTEXT | {"more": ""}])
def test_a_private_key_does_not_open_under_another_context(allow_all, kms, context):
    made = kms.generate_data_key_pair(KeyId=allow_all.key_id, KeyPairSpec="RSA_2048", EncryptionContext=CONTEXT)
    assert code_of(kms.decrypt, CiphertextBlob=made["PrivateKeyCiphertextBlob"], EncryptionContext=context) == (
        "InvalidCiphertextException",
        "",
    )


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("spec", ["RSA_4096", "ECC_NIST_P256"])
def test_what_kms_refuses_is_refused_in_its_words(world, kms, operation, spec):
    call = getattr(kms, operation)
    dry_run = ("DryRunOperationException", "The request would have succeeded, but the DryRun option is set.")
    assert code_of(call, KeyId=world.key("key").arn, KeyPairSpec=spec, DryRun=True) == dry_run
    for dry in [{}, {"DryRun": True}]:
        disabled = world.key("disabled").arn
        assert code_of(call, KeyId=disabled, KeyPairSpec=spec, **dry) == (
            "DisabledException",
            f"{disabled} is disabled.",
        )
        pending = world.key("pending").arn
        assert code_of(call, KeyId=pending, KeyPairSpec=spec, **dry) == (
            "KMSInvalidStateException",
            f"{pending} is pending deletion.",
        )
    nowhere = "1234abcd-12ab-34cd-56ef-1234567890ab"
    code, text = code_of(call, KeyId=nowhere, KeyPairSpec=spec)
    assert (code, text) == (
        "NotFoundException",
        f"Key 'arn:aws:kms:us-east-1:111122223333:key/{nowhere}' does not exist",
    )


@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_is_not_in_the_model_is_refused_before_the_key_is_looked_for(kms, operation):
    call, prefix = getattr(kms, operation), "1 validation error detected: Value "
    code, text = code_of(call, KeyId="no key", KeyPairSpec="RSA_1024")
    assert code == "ValidationException"
    assert text.startswith(
        f"{prefix}'RSA_1024' at 'keyPairSpec' failed to satisfy constraint: Member must satisfy enum value set: ["
    )
    for spec in SPECS + NOT_SERVED:
        assert spec in text
    null = "failed to satisfy constraint: Member must not be null"
    assert code_of(call, KeyId="no key") == ("ValidationException", f"{prefix}null at 'keyPairSpec' {null}")
    assert code_of(call, KeyPairSpec="RSA_2048") == ("ValidationException", f"{prefix}null at 'keyId' {null}")
    code, text = code_of(call)
    assert (code, text.split(": ")[0]) == ("ValidationException", "2 validation errors detected")


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("spec", NOT_SERVED)
def test_a_specification_that_is_not_served_says_so(allow_all, kms, operation, spec):
    assert code_of(getattr(kms, operation), KeyId=allow_all.key_id, KeyPairSpec=spec) == (
        "UnsupportedOperationException",
        f"KeyPairSpec {spec} is not served by kmsgate's local backend.",
    )


def test_nothing_is_encrypted_for_an_enclave_that_nobody_verified(allow_all, kms):
    recipient = {"KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256", "AttestationDocument": b"no document"}
    code, _ = code_of(
        kms.generate_data_key_pair, KeyId=allow_all.key_id, KeyPairSpec="ECC_NIST_P256", Recipient=recipient
    )
    assert code == "UnsupportedOperationException"


def test_a_key_pair_needs_a_permission_of_its_own(narrow):
    kms = narrow.client()
    code, text = code_of(kms.generate_data_key_pair, KeyId=narrow.key_id, KeyPairSpec="ECC_NIST_P256")
    assert code == "AccessDeniedException"
    assert "kms:GenerateDataKeyPair" in text
    kms.close()


def test_more_rsa_keys_than_the_machine_can_make_are_throttled_and_other_calls_are_not(allow_all):
    # More at once than any number of cores lets wait.
    crowd = 8 * os.cpu_count() + 16
    kms = allow_all.client(max_pool_connections=crowd + 1)

    def ask(_):
        try:
            return kms.generate_data_key_pair_without_plaintext(KeyId=allow_all.key_id, KeyPairSpec="RSA_2048")
        except ClientError as error:
            return error.response

    with ThreadPoolExecutor(crowd) as pool:
        asked = [pool.submit(ask, number) for number in range(crowd)]
        answered_meanwhile = 0
        while not all(answer.done() for answer in asked):
            kms.generate_data_key_without_plaintext(KeyId=allow_all.key_id, KeySpec="AES_256")
            answered_meanwhile += 1
        answers = [answer.result() for answer in asked]
    assert answered_meanwhile > 0
    throttled = [answer for answer in answers if "Error" in answer]
    assert 0 < len(throttled) < crowd
    for answer in throttled:
        assert answer["Error"]["Code"] == "ThrottlingException"
        record = allow_all.record(answer["ResponseMetadata"]["RequestId"])
        assert record["errorCode"] == "ThrottlingException"
        assert record["additionalEventData"]["gateway"]["limiter"] == "slow_work"
    kms.close()
