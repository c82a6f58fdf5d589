"""What a principal, or an upstream, could try with a gateway that forwards; each try with the reason for which it fails."""

import json
import threading

import pytest
from forwarding import Forwarding
from gateway import PATIENCE, Principal, allow
from scripted import Reply, Scripted
from wire import connect, exchange, signed, start

HERE, THERE = "us-east-1", "eu-west-1"
OWN, OTHER = "111122223333", "444455556666"
ID = "mrk-1234abcd12ab34cd56ef1234567890ab"
USER = f"arn:aws:iam::{OWN}:user/app"


def key(region=HERE, account=OWN, id=ID):
    return f"arn:aws:kms:{region}:{account}:key/{id}"


def call(kms, operation, **parameters):
    return exchange(kms, operation, json.dumps(parameters))


@pytest.fixture
def served(tmp_path):
    """Starts a gateway in front of an upstream that is told what to answer; its one principal may do what `policy` says."""
    gateways = []

    def serve(policy, principal=None, others="", **settings):
        upstream = Scripted()
        if others:
            settings["backend"] = f'[[backend.upstreams]]\naccount = "{OTHER}"\nendpoint_url = "{upstream.endpoint}"\n{others}'
        principals = [principal or Principal(USER, ("its",))]
        gateway = Forwarding.to(upstream, tmp_path / "gateway", principals, {"its": policy}, **settings)
        gateways.append(gateway)
        return gateway, upstream, gateway.client()

    yield serve
    for gateway in gateways:
        gateway.stop()


def test_a_replica_that_was_made_is_told_of_to_whoever_may_replicate_its_primary_key(served):
    policy = allow("kms:ReplicateKey", Resource=key())
    policy["Statement"].append({"Effect": "Allow", "Action": "kms:CreateKey", "Resource": "*"})
    gateway, upstream, kms = served(policy, regions=[THERE])
    replica = {"ReplicaKeyMetadata": {"Arn": key(THERE), "KeyId": ID}, "ReplicaPolicy": "{}"}
    upstream.script(Reply(replica))
    answer = call(kms, "ReplicateKey", KeyId=key(), ReplicaRegion=THERE)
    assert answer.status == 200, answer.body
    record = gateway.records()[-1]
    assert "errorCode" not in record
    # As the gateway that keeps keys records it.
    assert [resource["ARN"] for resource in record["resources"]] == [key()]


@pytest.mark.parametrize(
    ("operation", "members"),
    [
        ("ScheduleKeyDeletion", {"KeyId": key(account=OTHER)}),
        ("PutKeyPolicy", {"KeyId": key(account=OTHER), "Policy": "{}"}),
        ("GetKeyPolicy", {"KeyId": key(account=OTHER)}),
        ("ListAliases", {"KeyId": key(account=OTHER)}),
        ("CreateAlias", {"AliasName": "alias/x", "TargetKeyId": key(account=OTHER)}),
        ("UpdateAlias", {"AliasName": "alias/x", "TargetKeyId": key(account=OTHER)}),
    ],
)
def test_keys_of_another_account_are_used_by_who_may_and_managed_by_nobody_else(served, operation, members):
    _, upstream, kms = served(allow("kms:*"), others="\n")
    upstream.script(Reply({"KeyId": key(account=OTHER), "CiphertextBlob": "AAAA"}))
    assert call(kms, "GenerateDataKeyWithoutPlaintext", KeyId=key(account=OTHER)).status == 200
    upstream.sent.clear()
    answer = call(kms, operation, **members)
    assert (answer.error[0], upstream.sent) == ("AccessDeniedException", [])


def test_what_names_no_key_is_not_asked_of_an_account_that_is_not_the_principals(served):
    partner = Principal(f"arn:aws:iam::{OTHER}:user/partner", ("its",))
    gateway, upstream, kms = served(allow("kms:*"), partner, others="\n", environment={"AWS_ACCOUNT_ID": OWN})
    upstream.script(Reply({"KeyId": key(account=OTHER), "CiphertextBlob": "AAAA", "Keys": []}))
    for operation in ["ListKeys", "ListAliases", "CreateKey", "DescribeCustomKeyStores", "ListRetirableGrants"]:
        answer = call(kms, operation)
        assert (answer.error[0], upstream.sent) == ("AccessDeniedException", []), operation
        assert "another account" in gateway.records()[-1]["additionalEventData"]["gateway"]["detail"]
    assert call(kms, "GenerateDataKeyWithoutPlaintext", KeyId=key(account=OTHER)).status == 200


def test_whether_another_account_has_a_key_is_not_told(served):
    condition = {"StringEquals": {"kms:KeySpec": "RSA_2048"}}
    policy = allow("kms:DescribeKey")
    policy["Statement"][0]["Condition"] = condition
    _, upstream, kms = served(policy, others="\n")
    metadata = {"Arn": key(account=OTHER), "KeyId": ID, "KeySpec": "HMAC_256", "KeyUsage": "x", "Origin": "x"}
    told = []
    for id, reply in [
        (ID, Reply({"KeyMetadata": metadata})),
        (ID[:-1] + "c", Reply.error("NotFoundException", "Key 'arn' does not exist")),
    ]:
        upstream.script(reply)
        answer = call(kms, "DescribeKey", KeyId=key(account=OTHER, id=id))
        assert len(upstream.sent) == 1
        told.append((answer.status, *answer.error))
    assert told[0] == told[1]
    assert told[0][:2] == (400, "AccessDeniedException")


def test_what_a_request_keeps_secret_is_not_recorded_where_the_upstream_quotes_it(served):
    gateway, upstream, kms = served(allow("kms:*"), grants="forward_foreign = true", quota="update_custom_key_store = 1000")
    password, token, plaintext = "correct-horse-battery", "AQpAM2RhZ-token-of-a-grant", "c2VjcmV0IHBsYWludGV4dA=="
    for operation, members, secret in [
        ("UpdateCustomKeyStore", {"CustomKeyStoreId": "cks-1", "KeyStorePassword": password}, password),
        ("GenerateDataKey", {"KeyId": key(), "GrantTokens": [token]}, token),
        ("RetireGrant", {"GrantToken": token}, token),
        ("Encrypt", {"KeyId": key(), "Plaintext": plaintext}, plaintext),
    ]:
        for name in ["ValidationException", "AccessDeniedException"]:
            message = f"Value '{secret}' is not to my liking"
            upstream.script(Reply.error(name, message))
            answer = call(kms, operation, **members)
            assert answer.status == 400
            lines = gateway.audit_file.read_text().splitlines()
            [record] = [line for line in lines if answer.request_id in line]
            assert json.loads(record)["errorCode"] == name.removesuffix("Exception" if "Access" in name else "-")
            assert secret not in record and "***" in record, record


def test_a_member_that_some_would_read_as_another_is_refused(served):
    gateway, upstream, kms = served(allow("kms:*", Resource=key()))
    upstream.script(Reply({"KeyId": key(id=ID)}))
    for name in ["keyId", "KEYID", "\u212aeyId", "keyid"]:
        for body in [{"KeyId": key(), name: key(id=ID[:-1] + "c")}, {"KeyId": key(), "a": {"b": 1}, name: None}]:
            answer = exchange(kms, "ScheduleKeyDeletion", json.dumps(body))
            assert (answer.status, upstream.sent) == (400, []), name
            assert answer.error[0] == "SerializationException"


def test_a_grant_is_retired_by_its_token_or_by_its_key_and_not_by_both(served):
    gateway, upstream, kms = served(allow("kms:RetireGrant", Resource=key()), grants="forward_foreign = true")
    upstream.script(Reply(b""))
    answer = call(kms, "RetireGrant", GrantToken="of-another-key", KeyId=key(), GrantId="a" * 64)
    assert (answer.status, upstream.sent) == (400, []), answer.body


def test_an_alias_that_no_alias_can_be_called_is_not_looked_up(served):
    gateway, upstream, kms = served(allow("kms:*"))
    upstream.script(Reply.error("NotFoundException", "no"))
    answer = call(kms, "DescribeKey", KeyId="alias/" + "a" * 100_000)
    assert (answer.status, upstream.sent) == (400, [])


@pytest.mark.parametrize("operation", ["CreateAlias", "UpdateAlias", "DeleteAlias"])
@pytest.mark.parametrize(
    "name", [f"arn:aws:kms:{HERE}:{OWN}:alias/kept", ID, key(), " alias/kept", "Alias/kept", "alias/" + "\u00e4" * 2000]
)
def test_an_alias_is_changed_by_its_name_and_by_nothing_that_leads_past_what_policies_say_of_it(served, operation, name):
    policy = allow("kms:*")
    kept = f"arn:aws:kms:{HERE}:{OWN}:alias/kept"
    policy["Statement"].append({"Effect": "Deny", "Action": "kms:*", "Resource": kept})
    _, upstream, kms = served(policy)
    upstream.script(Reply({"KeyMetadata": {"Arn": key(), "KeyId": ID}}))
    members = {"AliasName": name} | ({} if operation == "DeleteAlias" else {"TargetKeyId": key()})
    answer = call(kms, operation, **members)
    assert (answer.error[0], upstream.sent) == ("ValidationException", [])


def test_what_was_looked_up_is_forgotten_also_when_nobody_knows_whether_a_change_was_made(served):
    condition = {"StringEquals": {"aws:ResourceTag/open": "yes"}}
    policy = allow("kms:*")
    policy["Statement"] = [
        {"Effect": "Allow", "Action": "kms:DescribeKey", "Resource": "*", "Condition": condition},
        {"Effect": "Allow", "Action": "kms:CreateKey", "Resource": "*"},
    ]
    gateway, upstream, kms = served(policy)
    tags = [{"TagKey": "open", "TagValue": "yes"}]

    def answer(sent):
        if sent.operation == "DescribeKey":
            return Reply({"KeyMetadata": {"Arn": key(), "KeyId": ID}})
        if b"refused" in sent.body:
            return Reply.error("LimitExceededException")
        return Reply({"Tags": tags, "Truncated": False}) if sent.operation == "ListResourceTags" else None

    upstream.script(answer)
    assert call(kms, "DescribeKey", KeyId=key()).status == 200
    upstream.sent.clear()
    # What is refused makes nobody look anything up again.
    assert call(kms, "CreateKey", Description="refused").status == 400
    assert call(kms, "DescribeKey", KeyId=key()).status == 200
    assert [sent.operation for sent in upstream.sent] == ["CreateKey", "DescribeKey"]
    tags.clear()
    assert call(kms, "CreateKey").status == 500
    assert call(kms, "DescribeKey", KeyId=key()).status == 400


REPORTED = 'danger_report_only_until = "9999-12-31"'


def test_of_whom_refusals_are_only_reported_may_open_what_the_answer_alone_names_unless_that_is_denied(served):
    nobody = Principal(USER, ("its",), more=REPORTED)
    denied = {"Effect": "Deny", "Action": "kms:*", "Resource": key(id=ID[:-1] + "c")}
    policy = {"Version": "2012-10-17", "Statement": [denied]}
    gateway, upstream, kms = served(policy, nobody)
    for id, status in [(ID, 200), (ID[:-1] + "c", 400)]:
        upstream.script(Reply({"KeyId": key(id=id), "Plaintext": "AAAA", "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}))
        answer = call(kms, "Decrypt", CiphertextBlob="AAAA")
        assert answer.status == status, answer.body
        reasons = gateway.records()[-1]["additionalEventData"]["gateway"]["reasons"]
        assert [reason.get("reportOnly", False) for reason in reasons] == [status == 200]


def test_of_a_re_encryption_that_went_to_other_keys_the_record_has_all_keys_and_reasons(served):
    policy = allow("kms:DescribeKey", "kms:ReEncrypt*")
    policy["Statement"].append({"Effect": "Deny", "Action": "kms:ReEncryptTo", "Resource": key(id=ID[:-1] + "4")})
    gateway, upstream, kms = served(policy)
    ids = [ID[:-1] + last for last in "1234"]

    def answer(sent):
        if sent.operation == "DescribeKey":
            id = ids[int(json.loads(sent.body)["KeyId"][-1]) - 1]
            return Reply({"KeyMetadata": {"Arn": key(id=id), "KeyId": id}})
        return Reply({"SourceKeyId": key(id=ids[2]), "KeyId": key(id=ids[3]), "CiphertextBlob": "AAAA"})

    upstream.script(answer)
    names = {"SourceKeyId": "alias/1", "DestinationKeyId": "alias/2"}
    assert call(kms, "ReEncrypt", CiphertextBlob="AAAA", **names).error[0] == "AccessDeniedException"
    record = gateway.records()[-1]
    assert [resource["ARN"] for resource in record["resources"]] == [key(id=id) for id in ids]
    decisions = [reason["decision"] for reason in record["additionalEventData"]["gateway"]["reasons"]]
    assert decisions == ["Allow", "Allow", "Allow", "ExplicitDeny"]


def test_a_change_that_outlasts_the_gateway_is_recorded(tmp_path):
    upstream = Scripted()
    more = "call_timeout_ms = 60000\nfirst_byte_timeout_ms = 60000"
    gateway = Forwarding.to(upstream, tmp_path / "gateway", ["app"], backend=more)
    began, end = threading.Event(), threading.Event()

    def answer(_):
        began.set()
        end.wait(PATIENCE)

    upstream.script(answer)
    connection, request = connect(gateway), signed(gateway, "CreateKey", b"{}")
    start(connection, request)
    connection.send(request.body)
    assert began.wait(PATIENCE)
    try:
        gateway.stop()
    finally:
        end.set()
        connection.close()
    [record] = gateway.records()
    assert (record["eventName"], record["errorCode"]) == ("CreateKey", "ClientDisconnected")


def test_a_key_id_in_capitals_is_judged_by_the_key_that_it_leads_to(served):
    small = "1234abcd-12ab-34cd-56ef-1234567890ab"
    policy = allow("kms:*")
    policy["Statement"].append({"Effect": "Deny", "Action": "kms:*", "Resource": key(id=small)})
    _, upstream, kms = served(policy)
    upstream.script(Reply({"KeyMetadata": {"Arn": key(id=small), "KeyId": small}, "KeyId": key(id=small)}))
    for name in [small.upper(), key(id=small.upper())]:
        answer = call(kms, "ScheduleKeyDeletion", KeyId=name)
        assert answer.error[0] == "AccessDeniedException"
        assert {sent.operation for sent in upstream.sent} <= {"DescribeKey"}


def test_the_quota_of_a_key_holds_also_for_ciphertexts_that_do_not_name_it(served):
    quota = "key = { per_second = 1, burst = 1 }"
    gateway, upstream, kms = served(allow("kms:*"), limits=quota)
    opened = {"Plaintext": "AAAA", "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}
    # One key each time, and another each time.
    for ids, throttled in [([ID] * 20, True), ([ID[:-2] + f"{number:02}" for number in range(20)], False)]:
        answers = []
        for id in ids:
            upstream.script(Reply({"KeyId": key(id=id)} | opened))
            answers.append(call(kms, "Decrypt", CiphertextBlob="AAAA"))
        assert {answer.status for answer in answers} == ({200, 400} if throttled else {200})
        for answer in answers:
            if answer.status == 400:
                assert answer.error[0] == "ThrottlingException"
                gateway_says = gateway.record(answer.request_id)["additionalEventData"]["gateway"]
                assert (gateway_says["limiter"], "withheld" in gateway_says["detail"]) == ("key", True)
