"""An operator, an application and those around them, by boto3: what grants and each layer of policies let them do.

The operator has the policy `grant-delegated` as it is shipped; the application has none, and may do what it is granted.
"""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from gateway import PATIENCE, REGION, Gateway, Principal, allow
from states import DEFAULT_POLICY

DATA_KEY = "kms:GenerateDataKeyWithoutPlaintext"
ACCOUNT, OTHER = "111122223333", "444455556666"
BLUE, RED = {"tenant": "blue"}, {"tenant": "red"}
ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "config/policies"
NEVER_ENDS = 'danger_report_only_until = "9999-12-31"'

ADMIN = Principal(f"arn:aws:iam::{ACCOUNT}:user/admin")
OPERATOR = Principal(f"arn:aws:iam::{ACCOUNT}:user/operator", ("grant-delegated",))
ORDERS = Principal(f"arn:aws:iam::{ACCOUNT}:role/orders", (), 'session_name = "orders-1"')
AUDITOR = Principal(f"arn:aws:iam::{ACCOUNT}:user/auditor", ())
BOUNDED = Principal(f"arn:aws:iam::{ACCOUNT}:user/bounded", more='boundary = "describe"')
SESSION = Principal(f"arn:aws:iam::{ACCOUNT}:role/session", more='session_policy = "describe"')
REPORTED = Principal(f"arn:aws:iam::{ACCOUNT}:user/reported", ("never-decrypt",), NEVER_ENDS)
PARTNER = Principal(f"arn:aws:iam::{OTHER}:user/partner", ("data-keys-anywhere",))
VISITOR = Principal(f"arn:aws:iam::{OTHER}:user/visitor", ())
SCOPED = Principal(f"arn:aws:iam::{ACCOUNT}:user/scoped", ("blue-alone",))
EVERYBODY = [ADMIN, OPERATOR, ORDERS, AUDITOR, BOUNDED, SESSION, REPORTED, PARTNER, VISITOR, SCOPED]
# How messages and records call the application.
CALLER = f"arn:aws:sts::{ACCOUNT}:assumed-role/orders/orders-1"

DOCUMENTS = {
    "grant-delegated": json.loads((SHIPPED / "grant-delegated.json").read_text()),
    "blue-alone": allow(DATA_KEY, Condition={"StringEquals": {"kms:EncryptionContext:tenant": "blue"}}),
    "describe": allow("kms:DescribeKey"),
    "never-decrypt": allow("kms:Decrypt", Effect="Deny"),
    "data-keys-anywhere": allow(DATA_KEY, Resource="arn:aws:kms:*:*:key/*"),
}
GUARDRAIL = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "NotAction": "kms:EnableKeyRotation", "Resource": "*"},
        {"Sid": "NoDeletion", "Effect": "Deny", "Action": "kms:ScheduleKeyDeletion", "Resource": "*"},
    ],
}


class Served:
    """A gateway and the clients of its principals."""

    def __init__(self, directory, principals, **settings):
        self.gateway = Gateway.serve(directory, principals, DOCUMENTS, **settings)
        self._clients = {principal: self.gateway.client(key) for principal, key in self.gateway.keys.items()}
        self.admin = self.of(ADMIN)

    def of(self, principal):
        return self._clients[principal]

    def stop(self):
        for client in self._clients.values():
            client.close()
        self.gateway.stop()

    def key(self, *statements):
        """The ARN of a new key, whose policy has these statements beside the usual one."""
        policy = json.loads(DEFAULT_POLICY)
        policy["Statement"] += statements
        return self.admin.create_key(Policy=json.dumps(policy))["KeyMetadata"]["Arn"]

    def grant(self, key, **more):
        """As the operator makes it: for the application, within one tenant."""
        asked = {
            "GranteePrincipal": ORDERS.arn,
            "RetiringPrincipal": AUDITOR.arn,
            "Operations": ["GenerateDataKeyWithoutPlaintext", "Decrypt"],
            "Constraints": {"EncryptionContextSubset": BLUE},
        }
        return self.of(OPERATOR).create_grant(KeyId=key, **asked | more)

    def data_key(self, principal, key, context=BLUE, **more):
        made = self.of(principal).generate_data_key_without_plaintext
        return made(KeyId=key, KeySpec="AES_256", EncryptionContext=context, **more)

    def reasons(self, answer):
        record = self.gateway.record(answer["ResponseMetadata"]["RequestId"])
        return record["additionalEventData"]["gateway"]["reasons"]

    def refused(self, text, layer, call, *arguments, **parameters):
        """Asks for what is refused: the client is told `text`, the record names `layer` and how it decided."""
        with pytest.raises(ClientError) as caught:
            call(*arguments, **parameters)
        response = caught.value.response
        assert response["Error"]["Code"] == "AccessDeniedException", response["Error"]
        assert text in response["Error"]["Message"]
        record = self.gateway.record(response["ResponseMetadata"]["RequestId"])
        assert (record["errorCode"], record["errorMessage"]) == ("AccessDenied", response["Error"]["Message"])
        [reason] = self.reasons(response)
        explicit = "with an explicit deny" in text
        assert (reason["decision"], reason["layer"]) == ("ExplicitDeny" if explicit else "ImplicitDeny", layer)
        assert "reportOnly" not in reason
        return reason


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    directory = tmp_path_factory.mktemp("story")
    (directory / "guardrail.json").write_text(json.dumps(GUARDRAIL))
    served = Served(directory, EVERYBODY, policies='guardrail_file = "guardrail.json"')
    yield served
    served.stop()


@pytest.fixture(scope="module")
def delayed(tmp_path_factory):
    """A gateway whose grants take five minutes to be known, as they may at AWS."""
    principals, delay = [ADMIN, OPERATOR, ORDERS, AUDITOR], "propagation_delay_ms = 300000"
    served = Served(tmp_path_factory.mktemp("delayed"), principals, grants=delay)
    yield served
    served.stop()


def code(call, *arguments, **parameters):
    with pytest.raises(ClientError) as caught:
        call(*arguments, **parameters)
    return caught.value.response["Error"]["Code"]


def missing(action):
    return f"because no identity-based policy allows the {action} action"


def test_an_application_without_policies_may_do_what_it_is_granted_and_nothing_else(served):
    key, data_key = served.key(), served.data_key
    nothing = missing(DATA_KEY)
    text = f"User: {CALLER} is not authorized to perform: {DATA_KEY} on resource: {key} {nothing}"
    served.refused(text, "identity", data_key, ORDERS, key)
    grant = served.grant(key)
    made = data_key(ORDERS, key)
    allowed = {"decision": "Allow", "action": DATA_KEY, "layer": "grant", "grantId": grant["GrantId"]}
    assert served.reasons(made) == [allowed]
    data_key(ORDERS, key, BLUE | {"purpose": "bills"})
    for context in [{}, RED, {"purpose": "bills"}]:
        served.refused(nothing, "identity", data_key, ORDERS, key, context)
    application = served.of(ORDERS)
    blob = {"CiphertextBlob": made["CiphertextBlob"]}
    assert len(application.decrypt(EncryptionContext=BLUE, **blob)["Plaintext"]) == 32
    # By the ciphertext alone the key's ARN is not told.
    hidden = "on the resource associated with this ciphertext because no identity-based policy allows"
    served.refused(hidden, "identity", application.decrypt, EncryptionContext=RED, **blob)
    asked = {"KeyId": key, "EncryptionContext": BLUE}
    served.refused(missing("kms:Encrypt"), "identity", application.encrypt, Plaintext=b"a", **asked)
    plain = {"KeySpec": "AES_256"} | asked
    served.refused(missing("kms:GenerateDataKey"), "identity", application.generate_data_key, **plain)
    # A grant is of one key.
    served.refused(nothing, "identity", data_key, ORDERS, served.key(), GrantTokens=[grant["GrantToken"]])


def test_pairs_whose_names_differ_by_case_alone_meet_neither_policy_nor_grant(served):
    key = served.key()
    served.grant(key)
    for principal in [ORDERS, SCOPED]:
        served.data_key(principal, key, {"Tenant": "blue"})
        for other in ["red", "blue"]:
            both = {"tenant": "blue", "Tenant": other}
            served.refused(missing(DATA_KEY), "identity", served.data_key, principal, key, both)


def test_an_operator_passes_on_what_its_policy_says_and_has_none_of_it(served):
    key = served.key()
    for asked in [
        {"GranteePrincipal": OPERATOR.arn},
        {"GranteePrincipal": CALLER},
        {"Operations": ["Decrypt", "Encrypt"]},
        {"Operations": ["Decrypt", "CreateGrant"]},
        {"Constraints": {"EncryptionContextEquals": BLUE}},
        {"Constraints": {"EncryptionContextSubset": {"purpose": "bills"}}},
        {"Constraints": {}},
    ]:
        served.refused(missing("kms:CreateGrant"), "identity", served.grant, key, **asked)
    served.grant(key)
    served.refused(missing(DATA_KEY), "identity", served.data_key, OPERATOR, key)


def test_a_grant_is_ended_by_whom_it_names_and_its_token_ends_with_it(served):
    key = served.key()
    grant = served.grant(key)
    token = grant["GrantToken"]
    served.data_key(ORDERS, key, GrantTokens=[token])
    retire = served.of(ORDERS).retire_grant
    served.refused(missing("kms:RetireGrant"), "identity", retire, GrantToken=token)
    # The auditor has no policies: the grant names it.
    retired = served.of(AUDITOR).retire_grant(GrantToken=token)
    [reason] = served.reasons(retired)
    assert (reason["layer"], reason["grantId"]) == ("grant", grant["GrantId"])
    for tokens in [{}, {"GrantTokens": [token]}]:
        served.refused(missing(DATA_KEY), "identity", served.data_key, ORDERS, key, **tokens)
    assert code(served.of(AUDITOR).retire_grant, GrantToken=token) == "InvalidGrantTokenException"
    again = served.grant(key)
    served.of(OPERATOR).revoke_grant(KeyId=key, GrantId=again["GrantId"])
    tokens = {"GrantTokens": [again["GrantToken"]]}
    served.refused(missing(DATA_KEY), "identity", served.data_key, ORDERS, key, **tokens)


def test_the_lines_of_the_manual(delayed, tmp_path):
    page = (ROOT / "src/manual/policies.md").read_text()
    [lines] = re.findall("^```bash\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    profiles = {"operator": OPERATOR, "orders": ORDERS}
    keys = {name: delayed.gateway.keys[principal] for name, principal in profiles.items()}
    credentials = tmp_path / "credentials"
    for name, key in keys.items():
        with credentials.open("a") as file:
            file.write(f"[{name}]\naws_access_key_id={key.id}\naws_secret_access_key={key.secret}\n")
    key = delayed.key()
    environment = {
        "AWS_SHARED_CREDENTIALS_FILE": str(credentials),
        "AWS_ENDPOINT_URL_KMS": delayed.gateway.endpoint,
        "AWS_DEFAULT_REGION": REGION,
        "KEY": key,
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", lines],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=os.environ | environment,
        timeout=3 * PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["KeyId"] == key
    events = [record["eventName"] for record in delayed.gateway.records_with(key)]
    assert events == ["CreateKey", "CreateGrant", "GenerateDataKeyWithoutPlaintext", "RetireGrant"]
    assert delayed.of(OPERATOR).list_grants(KeyId=key)["Grants"] == []


def test_a_token_that_nobody_made_is_refused_whoever_sends_it(served):
    key = served.key()
    token = served.grant(key)["GrantToken"]
    middle = len(token) // 2
    other = "A" if token[middle] != "A" else "B"
    for forged in [token[:middle] + other + token[middle + 1 :], token[:-4], "bm90IGEgdG9rZW4=", "not a token"]:
        for principal in [ADMIN, ORDERS]:
            tokens = {"GrantTokens": [token, forged]}
            assert code(served.data_key, principal, key, **tokens) == "InvalidGrantTokenException"


def test_a_new_grant_needs_its_token_until_it_is_known(delayed):
    key = delayed.key()
    grant = delayed.grant(key)
    token = {"GrantTokens": [grant["GrantToken"]]}
    delayed.refused(missing(DATA_KEY), "identity", delayed.data_key, ORDERS, key)
    made = delayed.data_key(ORDERS, key, **token)
    assert delayed.reasons(made)[0]["grantId"] == grant["GrantId"]
    # The token gives no more than the grant.
    delayed.refused(missing(DATA_KEY), "identity", delayed.data_key, ORDERS, key, RED, **token)
    # Its end is known at once.
    delayed.of(AUDITOR).retire_grant(GrantToken=grant["GrantToken"])
    delayed.refused(missing(DATA_KEY), "identity", delayed.data_key, ORDERS, key, **token)


def test_another_account_needs_the_key_policy_and_its_own_policies(served):
    both = {"AWS": [PARTNER.arn, VISITOR.arn]}
    key = served.key({"Sid": "Partners", "Effect": "Allow", "Principal": both, "Action": "kms:*", "Resource": "*"})
    [reason] = served.reasons(served.data_key(PARTNER, key))
    identity = {"layer": "identity", "policy": "data-keys-anywhere", "statement": "0", "keyStatement": "Partners"}
    assert reason == {"decision": "Allow", "action": DATA_KEY} | identity
    served.refused(missing(DATA_KEY), "identity", served.data_key, VISITOR, key)
    not_told = "on this resource because the resource does not exist in this Region, no resource-based policies allow"
    served.refused(not_told, "key", served.data_key, PARTNER, served.key())


def test_a_key_policy_that_denies_beats_the_grant(served):
    denies = {"Effect": "Deny", "Principal": {"AWS": ORDERS.arn}, "Action": DATA_KEY, "Resource": "*"}
    key = served.key(denies)
    served.grant(key)
    denied = "with an explicit deny in a resource-based policy"
    assert served.refused(denied, "key", served.data_key, ORDERS, key)["statement"] == "1"


def test_a_deny_for_all_but_a_role_spares_its_session_only_if_that_and_the_account_are_named_too(served):
    def key(*spared):
        statement = {"Effect": "Deny", "NotPrincipal": {"AWS": [*spared]}, "Action": DATA_KEY, "Resource": "*"}
        made = served.key(statement)
        served.grant(made)
        return made

    role = key(ORDERS.arn)
    for principal in [ORDERS, ADMIN]:
        served.refused("with an explicit deny in a resource-based policy", "key", served.data_key, principal, role)
    served.data_key(ORDERS, key(ORDERS.arn, CALLER, f"arn:aws:iam::{ACCOUNT}:root"))
    served.data_key(ADMIN, key(ADMIN.arn))


def test_the_guardrail_holds_for_who_may_do_everything(served):
    key = served.key()
    denied = "with an explicit deny in a service control policy"
    reason = served.refused(denied, "guardrail", served.admin.schedule_key_deletion, KeyId=key)
    assert (reason["policy"], reason["statement"]) == ("guardrail", "NoDeletion")
    missing = "because no service control policy allows the kms:EnableKeyRotation action"
    served.refused(missing, "guardrail", served.admin.enable_key_rotation, KeyId=key)


@pytest.mark.parametrize(
    ("principal", "layer", "kind"),
    [(BOUNDED, "boundary", "permissions boundary"), (SESSION, "session", "session policy")],
    ids=["boundary", "session policy"],
)
def test_a_limit_holds_for_what_identity_policies_allow(served, principal, layer, kind):
    key = served.key()
    served.of(principal).describe_key(KeyId=key)
    text = f"because no {kind} allows the {DATA_KEY} action"
    served.refused(text, layer, served.data_key, principal, key)


def test_what_is_only_reported_passes_and_is_marked(served):
    key = served.key()
    made = served.data_key(REPORTED, key)
    told = {"decision": "ImplicitDeny", "action": DATA_KEY, "layer": "identity", "reportOnly": True}
    assert served.reasons(made) == [told]
    reported = served.of(REPORTED)
    # What is denied stays denied, and so does whatever changes something.
    blob = {"CiphertextBlob": made["CiphertextBlob"], "EncryptionContext": BLUE}
    denied = "with an explicit deny in an identity-based policy"
    served.refused(denied, "identity", reported.decrypt, **blob)
    served.refused(missing("kms:DisableKey"), "identity", reported.disable_key, KeyId=key)
    grant = {"KeyId": key, "GranteePrincipal": REPORTED.arn, "Operations": ["Decrypt"]}
    served.refused(missing("kms:CreateGrant"), "identity", reported.create_grant, **grant)
