"""`kmsgate policy simulate`, `explain` and `suggest` on what a real gateway recorded."""

import json
import subprocess

import pytest
from botocore.exceptions import ClientError
from gateway import PATIENCE, PROGRAM, Gateway, allow

DATA_KEY = "kms:GenerateDataKeyWithoutPlaintext"
PRINCIPAL = "arn:aws:iam::111122223333:user/quickstart"
FINANCE = {"StringEquals": {"kms:EncryptionContext:Department": "Finance"}}


def policy(*arguments):
    """Runs `kmsgate policy`."""
    command = [PROGRAM, "policy", *map(str, arguments)]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE)


def statements(*statements):
    return {"Version": "2012-10-17", "Statement": list(statements)}


def refused(call, **parameters):
    """The request id of a call that is refused."""
    with pytest.raises(ClientError) as error:
        call(**parameters)
    assert error.value.response["Error"]["Code"] == "AccessDeniedException"
    return error.value.response["ResponseMetadata"]["RequestId"]


@pytest.fixture(scope="module")
def departments(tmp_path_factory):
    """A gateway whose principal may make data keys for one department and from one network."""
    data = tmp_path_factory.mktemp("departments") / "data"
    Gateway.quickstart(data).stop()
    elsewhere = {"NotIpAddress": {"aws:SourceIp": "127.0.0.0/8"}}
    document = statements(
        {"Sid": "Finance", "Effect": "Allow", "Action": DATA_KEY, "Resource": "*", "Condition": FINANCE},
        {"Effect": "Allow", "Action": "kms:*", "Resource": "arn:aws:kms:us-east-1:111122223333:key/other"},
        {"Sid": "NotFromElsewhere", "Effect": "Deny", "Action": "kms:*", "Resource": "*", "Condition": elsewhere},
        {"Sid": "NeverDelete", "Effect": "Deny", "Action": "kms:ScheduleKeyDeletion", "Resource": "*"},
    )
    (data / "policies/quickstart.json").write_text(json.dumps(document))
    gateway = Gateway.quickstart(data)
    gateway.config = data / "kmsgate.toml"
    yield gateway
    gateway.stop()


def test_a_refused_request_is_explained_from_its_id_alone(departments):
    call = departments.client().generate_data_key_without_plaintext
    asked = {"KeyId": departments.alias, "KeySpec": "AES_256"}
    request_id = refused(call, **asked, EncryptionContext={"Department": "HR"})
    explained = policy("explain", request_id, "--config", departments.config)
    assert (explained.returncode, explained.stderr) == (1, "")
    on = f"{DATA_KEY} on {departments.key_arn}"
    text = f"User: {PRINCIPAL} is not authorized to perform: {DATA_KEY} on resource: {departments.key_arn} because"
    for line in [
        f"request     {request_id}",
        f"principal   {PRINCIPAL}",
        f"decided     ImplicitDeny in layer identity: {on}",
        f"answer      AccessDenied: {text} no identity-based policy allows the {DATA_KEY} action",
        f"Today denied: {PRINCIPAL} asks for {on}",
        '    Condition StringEquals kms:EncryptionContext:Department: request has "HR"',
        "    Action matches, Resource does not",
        '    Condition NotIpAddress aws:SourceIp: request has "127.0.0.1"',
    ]:
        assert line in explained.stdout.splitlines(), explained.stdout

    request_id = refused(call, **asked)
    explained = policy("explain", request_id, "--config", departments.config)
    line = "    Condition StringEquals kms:EncryptionContext:department: is absent"
    assert line in explained.stdout.splitlines(), explained.stdout


def test_what_was_decided_and_what_is_decided_today_are_one_object(departments):
    client = departments.client()
    request_id = refused(client.schedule_key_deletion, KeyId=departments.key_id)
    explained = policy("explain", request_id, "--config", departments.config, "--json")
    assert explained.returncode == 1
    found = json.loads(explained.stdout)
    reason = {"layer": "identity", "effect": "Deny", "policy": "quickstart", "statement": "NeverDelete"}
    [then], [today] = found["recorded"]["decisions"], found["today"]
    assert (then["decision"], then["policy"], then["statement"]) == ("ExplicitDeny", "quickstart", "NeverDelete")
    assert (today["decision"], today["result"], today["reasons"]) == ("deny", "ExplicitlyDenied", [reason])
    assert today["message"] == found["recorded"]["errorMessage"]
    assert [layer["layer"] for layer in today["path"]] == [
        *("guardrail", "key", "boundary", "session", "identity", "grants")
    ]

    made = client.generate_data_key_without_plaintext(
        KeyId=departments.key_id, KeySpec="AES_256", EncryptionContext={"Department": "Finance"}
    )
    request_id = made["ResponseMetadata"]["RequestId"]
    explained = policy("explain", request_id, "--config", departments.config, "--json")
    assert explained.returncode == 0
    assert json.loads(explained.stdout)["today"][0]["reasons"][-1]["statement"] == "Finance"


def test_what_cannot_be_explained_is_said(departments, tmp_path):
    with pytest.raises(ClientError) as error:
        departments.client().describe_key(KeyId="alias/absent")
    request_id = error.value.response["ResponseMetadata"]["RequestId"]
    explained = policy("explain", request_id, "--config", departments.config)
    assert explained.returncode == 64
    assert "answer      NotFoundException: " in explained.stdout
    assert "the request ended before any policy was asked" in explained.stderr
    for arguments, said in [
        (["00000000-0000-0000-0000-000000000000"], "has no record of the request"),
        ([request_id[:8]], "an id has 36 characters"),
        ([request_id, "--audit", tmp_path / "absent"], "cannot be read"),
        ([request_id, "--audit", tmp_path], "cannot be read"),
        ([request_id, "--key-policy", tmp_path / "absent"], "today's policies were not asked"),
    ]:
        explained = policy("explain", *arguments, "--config", departments.config)
        assert explained.returncode == 64
        assert said in explained.stderr, explained.stderr


def test_a_simulation_says_what_the_gateway_then_says(departments):
    asked = ["--config", departments.config, "--principal", PRINCIPAL, "--action", DATA_KEY]
    asked += ["--key", departments.key_arn, "--fact", "aws:SourceIp=127.0.0.1"]
    client = departments.client()
    for department, code in {"Finance": 0, "HR": 1}.items():
        simulated = policy("simulate", *asked, "--context", f"Department={department}", "tenant=a", "--json")
        assert simulated.returncode == code, simulated.stderr
        assert json.loads(simulated.stdout)["decision"] == ("allow" if code == 0 else "deny")
        context = {"Department": department, "tenant": "a"}
        parameters = {"KeyId": departments.key_id, "KeySpec": "AES_256", "EncryptionContext": context}
        if code == 0:
            client.generate_data_key_without_plaintext(**parameters)
        else:
            with pytest.raises(ClientError) as error:
                client.generate_data_key_without_plaintext(**parameters)
            text = error.value.response["Error"]["Message"]
            assert json.loads(simulated.stdout)["message"] == text
    # The address was not told: a statement may deny it.
    unknown = policy("simulate", *asked[:-2], "--context", "Department=Finance")
    assert unknown.returncode == 1
    assert "aws:SourceIp: is not known (--fact aws:SourceIp=VALUE tells it)" in unknown.stdout


def test_a_simulation_without_a_configuration_takes_policies(tmp_path):
    document = tmp_path / "orders.json"
    document.write_text(json.dumps(allow("kms:ListKeys")))
    asked = ["--policy", document, "--principal", "arn:aws:iam::111122223333:role/orders", "--action"]
    assert policy("simulate", *asked, "kms:ListKeys").returncode == 0
    denied = policy("simulate", *asked, "kms:GenerateRandom")
    assert (denied.returncode, "no statement is about kms:GenerateRandom" in denied.stdout) == (1, True)
    document.write_text(json.dumps(allow("kms:ListKeys") | {"Statment": []}))
    faulty = policy("simulate", *asked, "kms:ListKeys")
    assert (faulty.returncode, "did you mean `Statement`?" in faulty.stderr) == (64, True)


def test_a_principal_that_is_not_there_is_helped(departments):
    asked = ["--config", departments.config, "--action", "kms:ListKeys"]
    simulated = policy("simulate", *asked, "--principal", PRINCIPAL.replace("quick", "quik"))
    assert (simulated.returncode, f"did you mean `{PRINCIPAL}`?" in simulated.stderr) == (64, True)


def work(client, keys):
    """The calls that the policy is to cover: each is a name and what makes it."""
    key, other = keys
    sealed = client.encrypt(KeyId=key, Plaintext=b"x" * 20, EncryptionContext={"tenant": "blue"})["CiphertextBlob"]
    before, after = {"SourceEncryptionContext": {"tenant": "blue"}}, {"DestinationEncryptionContext": {"tenant": "red"}}
    moved = client.re_encrypt(CiphertextBlob=sealed, DestinationKeyId=other, **before, **after)["CiphertextBlob"]
    client.decrypt(CiphertextBlob=sealed, EncryptionContext={"tenant": "blue"})
    client.decrypt(CiphertextBlob=moved, EncryptionContext={"tenant": "red"})
    client.generate_data_key_without_plaintext(KeyId=key, KeySpec="AES_256")
    for context in [{"pod": "1", "Team": "${aws:username}"}, {"Team": "*"}]:
        client.generate_data_key_without_plaintext(KeyId=other, KeySpec="AES_256", EncryptionContext=context)
    client.create_alias(AliasName="alias/orders", TargetKeyId=key)
    client.update_alias(AliasName="alias/orders", TargetKeyId=other)
    client.describe_key(KeyId="alias/orders")
    client.delete_alias(AliasName="alias/orders")
    client.list_keys()
    client.list_aliases(KeyId=key)


def unlike(client, keys):
    """Calls that are each unlike those above in one thing."""
    key, other = keys
    data_key, spec = client.generate_data_key_without_plaintext, {"KeySpec": "AES_256"}
    return [
        (client.create_key, {}),
        (client.enable_key, {"KeyId": key}),
        (client.describe_key, {"KeyId": key}),
        (client.create_alias, {"AliasName": "alias/other", "TargetKeyId": key}),
        (client.encrypt, {"KeyId": key, "Plaintext": b"x" * 20}),
        (client.encrypt, {"KeyId": other, "Plaintext": b"x" * 20, "EncryptionContext": {"tenant": "blue"}}),
        (client.encrypt, {"KeyId": key, "Plaintext": b"x" * 20, "EncryptionContext": {"Tenant": "blue"}}),
        (data_key, {"KeyId": key, "EncryptionContext": {"tenant": "blue"}} | spec),
        (data_key, {"KeyId": other} | spec),
        (data_key, {"KeyId": other, "EncryptionContext": {"Team": "*", "x": "1"}} | spec),
    ]


@pytest.mark.parametrize("values", [False, True])
def test_the_suggested_policy_allows_what_was_recorded_and_nothing_else(tmp_path, values):
    everything, suggested = tmp_path / "everything.json", tmp_path / "suggested.json"
    everything.write_text(json.dumps(allow("kms:*")))
    gateway = Gateway.quickstart(tmp_path / "data", everything)
    client = gateway.client()
    keys = gateway.key_arn, client.create_key()["KeyMetadata"]["Arn"]
    # What made the key is no part of the work.
    gateway.audit_file.write_bytes(b"")
    work(client, keys)
    gateway.stop()

    with gateway.audit_file.open("a") as file:
        file.write('no record\n{"cut')
    options = ["--values"] if values else []
    made = policy("suggest", "--audit", gateway.audit_file, "--principal", PRINCIPAL, *options)
    assert made.returncode == 0, made.stderr
    assert made.stderr == "note: 1 line was skipped, which are no audit records\n"
    assert made.stdout == policy("suggest", "--audit", gateway.audit_file, "--principal", PRINCIPAL, *options).stdout
    suggested.write_text(made.stdout)
    gateway.audit_file.write_bytes(b"")

    gateway = Gateway.quickstart(tmp_path / "data", suggested)
    client = gateway.client()
    work(client, keys)
    for call, parameters in unlike(client, keys):
        refused(call, **parameters)
    sealed = {"KeyId": keys[0], "Plaintext": b"x" * 20, "EncryptionContext": {"tenant": "green"}}
    if values:
        refused(client.encrypt, **sealed)
    else:
        client.encrypt(**sealed)
    gateway.stop()

    again = policy("suggest", "--audit", gateway.audit_file, "--json")
    found = json.loads(again.stdout)
    [principal] = found["principals"]
    count = len(unlike(client, keys)) + values
    assert (principal["principal"], principal["refused"], found["faultyLines"]) == (PRINCIPAL, count, 0)
    if values:
        assert principal["policy"] != json.loads(made.stdout)
    assert f"note: {PRINCIPAL}: {count} refused calls were not covered\n" in again.stderr


def test_nothing_to_suggest_is_said(departments, tmp_path):
    (tmp_path / "empty").touch()
    nothing = policy("suggest", "--audit", tmp_path / "empty")
    assert (nothing.returncode, "has no call that was allowed" in nothing.stderr) == (64, True)
    asked = ["--audit", departments.audit_file, "--principal", f"{PRINCIPAL}s"]
    other = policy("suggest", *asked)
    assert (other.returncode, f"did you mean `{PRINCIPAL}`?" in other.stderr) == (64, True)
