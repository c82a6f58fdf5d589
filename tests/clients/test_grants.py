"""Grants, by boto3: their tokens, their names, who they are for, what is recorded of them, and what a kill leaves."""

import json

import pytest
from botocore.exceptions import ClientError
from gateway import PATIENCE, Gateway, allow_everything
from states import GRANTEE

QUICKSTART = "arn:aws:iam::111122223333:user/quickstart"
DECRYPT = {"GranteePrincipal": GRANTEE, "Operations": ["Decrypt"]}
WOULD = "DryRunOperationException"


def code(call, **parameters):
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    return caught.value.response["Error"]["Code"]


def ids(kms, key):
    pages = kms.get_paginator("list_grants").paginate(KeyId=key, PaginationConfig={"PageSize": 3})
    return [grant["GrantId"] for page in pages for grant in page["Grants"]]


def test_a_grant_has_one_id_and_another_token_each_time_it_is_asked_for_by_its_name(kms, key):
    one, two = (kms.create_grant(KeyId=key, Name="orders", **DECRYPT) for _ in range(2))
    assert one["GrantId"] == two["GrantId"]
    assert one["GrantToken"] != two["GrantToken"]
    assert ids(kms, key) == [one["GrantId"]]
    kms.retire_grant(GrantToken=one["GrantToken"])
    assert code(kms.retire_grant, GrantToken=two["GrantToken"]) == "InvalidGrantTokenException"
    assert kms.create_grant(KeyId=key, Name="orders", **DECRYPT)["GrantId"] != one["GrantId"]


def test_a_token_is_taken_by_every_call_that_has_grant_tokens(kms, key):
    token = kms.create_grant(KeyId=key, **DECRYPT)["GrantToken"]
    assert 0 < len(token) <= 8192
    sealed = kms.encrypt(KeyId=key, Plaintext=b"a", GrantTokens=10 * [token])
    assert kms.decrypt(CiphertextBlob=sealed["CiphertextBlob"], GrantTokens=[token])["Plaintext"] == b"a"
    kms.describe_key(KeyId=key, GrantTokens=[token])
    kms.create_grant(KeyId=key, GrantTokens=[token], **DECRYPT)
    assert code(kms.describe_key, KeyId=key, GrantTokens=11 * [token]) == "ValidationException"


def test_the_largest_grant_has_a_token_that_may_be_sent(kms, key):
    pairs = {f"{number}{'k' * 200}": "ü" * 192 for number in range(8)}
    names = {"Name": 256 * "n", "RetiringPrincipal": QUICKSTART}
    constraints = {"EncryptionContextEquals": pairs}
    token = kms.create_grant(KeyId=key, Constraints=constraints, **names, **DECRYPT)["GrantToken"]
    assert len(token) <= 8192
    kms.retire_grant(GrantToken=token)
    assert ids(kms, key) == []


def test_grants_are_recorded_without_their_tokens(allow_all, kms, key):
    def record(answer):
        return allow_all.record(answer["ResponseMetadata"]["RequestId"])

    constraints = {"EncryptionContextSubset": {"tenant": "blue"}}
    made = kms.create_grant(KeyId=key, Constraints=constraints, Name="orders", GrantTokens=[], **DECRYPT)
    recorded = record(made)
    assert recorded["requestParameters"] == {
        "keyId": key, "granteePrincipal": GRANTEE, "operations": ["Decrypt"], "name": "orders",
        "constraints": {"encryptionContextSubset": {"tenant": "blue"}},
    }  # fmt: skip
    assert recorded["responseElements"] == {"grantId": made["GrantId"], "keyId": key}
    assert recorded["readOnly"] is False
    retired = record(kms.retire_grant(GrantToken=made["GrantToken"]))
    assert (retired["requestParameters"], retired["responseElements"]) == (None, {"keyId": key})
    assert retired["additionalEventData"]["grantId"] == made["GrantId"]
    assert [resource["ARN"] for resource in retired["resources"]] == [key]
    again = kms.create_grant(KeyId=key, **DECRYPT)["GrantId"]
    revoked = record(kms.revoke_grant(KeyId=key, GrantId=again))
    assert revoked["requestParameters"] == {"keyId": key, "grantId": again}
    assert record(kms.list_grants(KeyId=key))["responseElements"] is None
    with pytest.raises(ClientError) as caught:
        kms.retire_grant(GrantToken=8193 * "t")
    refused = record(caught.value.response)
    assert refused["errorCode"] == "ValidationException"
    for told in (recorded, retired, refused):
        assert made["GrantToken"] not in json.dumps(told)
        assert 100 * "t" not in json.dumps(told)


def test_a_dry_run_of_each_fails_for_the_dry_run_alone_and_does_nothing(kms, key):
    made = kms.create_grant(KeyId=key, **DECRYPT)
    of_key = {"KeyId": key, "GrantId": made["GrantId"]}
    assert code(kms.create_grant, KeyId=key, DryRun=True, **DECRYPT) == WOULD
    assert code(kms.retire_grant, GrantToken=made["GrantToken"], DryRun=True) == WOULD
    assert code(kms.retire_grant, **of_key, DryRun=True) == WOULD
    assert code(kms.revoke_grant, **of_key, DryRun=True) == WOULD
    assert ids(kms, key) == [made["GrantId"]]
    # And as they would without it.
    absent = of_key | {"GrantId": 64 * "0"}
    assert code(kms.revoke_grant, **absent, DryRun=True) == "NotFoundException"
    assert code(kms.retire_grant, **absent, DryRun=True) == "InvalidGrantIdException"
    assert code(kms.retire_grant, GrantToken="t", DryRun=True) == "InvalidGrantTokenException"
    kms.disable_key(KeyId=key)
    assert code(kms.create_grant, KeyId=key, DryRun=True, **DECRYPT) == "DisabledException"


def test_grants_survive_kills_as_they_were_answered(tmp_path):
    policy = allow_everything(tmp_path)

    def start():
        gateway = Gateway.quickstart(tmp_path / "data", policy)
        return gateway, gateway.client()

    def kill(gateway, kms):
        gateway.process.kill()
        gateway.process.wait(PATIENCE)
        kms.close()

    gateway, kms = start()
    key = kms.create_key()["KeyMetadata"]["Arn"]
    retiring = {"RetiringPrincipal": QUICKSTART, "Constraints": {"EncryptionContextEquals": {"tenant": "blue"}}}
    made = [kms.create_grant(KeyId=key, Name=f"grant-{number}", **retiring, **DECRYPT) for number in range(7)]
    listed = kms.list_grants(KeyId=key)["Grants"]
    kill(gateway, kms)

    gateway, kms = start()
    assert kms.list_grants(KeyId=key)["Grants"] == listed
    assert kms.list_retirable_grants(RetiringPrincipal=QUICKSTART)["Grants"] == listed
    assert sorted(ids(kms, key)) == sorted(grant["GrantId"] for grant in made)
    again = kms.create_grant(KeyId=key, Name="grant-3", **retiring, **DECRYPT)
    assert again["GrantId"] == made[3]["GrantId"]
    kms.retire_grant(GrantToken=made[0]["GrantToken"])
    kms.retire_grant(KeyId=key, GrantId=made[1]["GrantId"])
    kms.revoke_grant(KeyId=key, GrantId=made[2]["GrantId"])
    kms.retire_grant(GrantToken=again["GrantToken"])
    kill(gateway, kms)

    gateway, kms = start()
    left = sorted(grant["GrantId"] for grant in made[4:])
    assert ids(kms, key) == left
    for grant in made[:4]:
        assert code(kms.retire_grant, GrantToken=grant["GrantToken"]) == "InvalidGrantTokenException"
        assert code(kms.revoke_grant, KeyId=key, GrantId=grant["GrantId"]) == "NotFoundException"
    assert [grant["GrantId"] for grant in kms.list_retirable_grants(RetiringPrincipal=QUICKSTART)["Grants"]] == left
    kms.close()
    gateway.stop()
