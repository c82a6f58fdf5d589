"""The gateway in front of another that verifies requests and has keys: what that is asked, and what is let out of it."""

import base64
import contextlib
import json
import threading
import time
import uuid
from dataclasses import replace

import pytest
from direct import Direct, Refused
from forwarding import USE, Forwarding, eventually, keeper
from gateway import Gateway, Principal, allow
from wire import connect, exchange, signed, start

ACCOUNT = "arn:aws:kms:us-east-1:111122223333"
# The first two are the application's; the third is not.
BLUE, GREEN, RED = [f"{ACCOUNT}:key/{digit * 8}-1111-4111-8111-111111111111" for digit in "123"]
SEEDS = {BLUE[-36:]: ["alias/blue"], GREEN[-36:]: [], RED[-36:]: ["alias/red"]}
OURS = [BLUE, GREEN]
DATA_KEY = "GenerateDataKeyWithoutPlaintext"
# The rest is allowed to principals by name.
MAKE = ["kms:GenerateDataKeyWithoutPlaintext", "kms:Encrypt", "kms:ReEncryptTo"]
DOCUMENTS = {
    "ours": allow(*USE, Resource=OURS),
    "make-alone": allow(*MAKE),
    "by-alias-alone": allow(*USE, Condition={"StringEquals": {"kms:RequestAlias": "alias/blue"}}),
}
USER = "arn:aws:iam::111122223333:user"
PRINCIPALS = {
    "admin": "admin",
    "app": Principal(f"{USER}/app", ("ours",)),
    "maker": Principal(f"{USER}/maker", ("make-alone",)),
    "by alias": Principal(f"{USER}/by-alias", ("by-alias-alone",)),
}
NO_KEY_TO_OPEN_IT = (
    "The ciphertext refers to a customer master key that does not exist, does not exist in this region,"
    " or you are not allowed to access."
)


class Pair:
    """A gateway, its upstream, and a client of each of its principals."""

    def __init__(self, directory, principals=PRINCIPALS, documents=DOCUMENTS, upstream=None, **settings):
        self.upstream = upstream or keeper(directory / "upstream", SEEDS)
        names = list(principals)
        self.gateway = Forwarding.to(
            self.upstream, directory / "gateway", principals.values(), documents, **settings
        )
        self.keys = dict(zip(names, self.gateway.keys.values()))
        self.clients = {name: self.gateway.client(key) for name, key in self.keys.items()}
        # Past the gateway, as others are who share the account.
        self.past = self.upstream.client()

    def call(self, name, operation, **parameters):
        return exchange(self.clients[name], operation, json.dumps(parameters))

    def answer(self, name, operation, **parameters):
        answer = self.call(name, operation, **parameters)
        assert answer.status == 200, answer.body
        return json.loads(answer.body or "{}")

    def refusal(self, name, operation, **parameters):
        """The code and the text of the error."""
        answer = self.call(name, operation, **parameters)
        assert answer.status != 200, answer.body
        return answer.error

    @contextlib.contextmanager
    def sent(self):
        """The operations that the upstream records meanwhile, by name."""
        before, operations = len(self.upstream.records_with("")), []
        yield operations
        operations += [record["eventName"] for record in self.upstream.records_with("")[before:]]

    def sealed(self, key, **parameters):
        """A ciphertext of the upstream's own making."""
        made = self.past.encrypt(KeyId=key, Plaintext=b"attack at noon, if it is dry", **parameters)
        return base64.b64encode(made["CiphertextBlob"]).decode()

    def new_key(self):
        return self.answer("admin", "CreateKey")["KeyMetadata"]["Arn"]

    def stop(self):
        for client in [*self.clients.values(), self.past]:
            client.close()
        self.gateway.stop()


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    pair = Pair(tmp_path_factory.mktemp("pair"))
    yield pair
    pair.stop()


@pytest.fixture
def name():
    """The name of an alias that nobody has."""
    return f"alias/{uuid.uuid4()}"


def test_the_record_of_a_call_leads_to_that_of_the_upstream(pair):
    answer = pair.call("app", DATA_KEY, KeyId=BLUE, KeySpec="AES_256", EncryptionContext={"tenant": "blue"})
    ours, theirs = pair.gateway.record(answer.request_id), pair.upstream.record(answer.request_id)
    assert ours["userIdentity"]["arn"] == f"{USER}/app"
    assert theirs["userIdentity"]["arn"] == f"{USER}/gateway"
    assert "userAgent" not in theirs
    for member in ["eventName", "requestParameters", "resources", "readOnly"]:
        assert ours[member] == theirs[member], member


# A key that is named by its ARN is known; its id is one, and what an alias leads to is kept for a while.
@pytest.mark.parametrize(
    ("form", "looked_up"), [("key ARN", 0), ("key id", 1), ("alias name", 1), ("alias ARN", 1)]
)
def test_a_key_is_found_by_each_form_of_key_id_and_looked_up_once(pair, name, form, looked_up):
    arn = pair.new_key()
    pair.answer("admin", "CreateAlias", AliasName=name, TargetKeyId=arn)
    forms = {"key ARN": arn, "key id": arn[-36:], "alias name": name, "alias ARN": f"{ACCOUNT}:{name}"}
    for times in [looked_up, 0]:
        with pair.sent() as sent:
            assert pair.answer("admin", DATA_KEY, KeyId=forms[form], KeySpec="AES_256")["KeyId"] == arn
        assert sent == times * ["DescribeKey"] + [DATA_KEY]


def test_a_name_that_many_ask_for_at_once_is_looked_up_once(pair, name):
    arn = pair.new_key()
    pair.answer("admin", "CreateAlias", AliasName=name, TargetKeyId=arn)
    with pair.sent() as sent:
        answers = at_once(20, lambda: call(pair, "admin", DATA_KEY, KeyId=name, KeySpec="AES_256"))
    assert {answer["KeyId"] for answer in answers} == {arn}
    assert sorted(sent) == ["DescribeKey"] + 20 * [DATA_KEY]


def test_an_alias_is_what_a_policy_says_of_the_request(pair):
    by_alias = {"KeyId": "alias/blue", "KeySpec": "AES_256"}
    assert pair.answer("by alias", DATA_KEY, **by_alias)["KeyId"] == BLUE
    for other in [BLUE, BLUE[-36:], "alias/red"]:
        code, text = pair.refusal("by alias", DATA_KEY, **by_alias | {"KeyId": other})
        assert code == "AccessDeniedException", other
        assert f"on resource: {RED if other == 'alias/red' else BLUE} because no identity-based" in text


def test_an_alias_that_a_policy_names_stays_allowed_wherever_it_leads(pair):
    asked = {"KeyId": "alias/blue", "KeySpec": "AES_256"}
    assert pair.answer("by alias", DATA_KEY, **asked)["KeyId"] == BLUE
    pair.past.update_alias(AliasName="alias/blue", TargetKeyId=GREEN)
    # Known to lead to the one key, and used with the other.
    assert pair.answer("by alias", DATA_KEY, **asked)["KeyId"] == GREEN
    assert pair.answer("by alias", DATA_KEY, **asked)["KeyId"] == GREEN
    pair.past.update_alias(AliasName="alias/blue", TargetKeyId=BLUE)
    assert pair.answer("by alias", DATA_KEY, **asked)["KeyId"] == BLUE
    assert pair.refusal("by alias", DATA_KEY, **asked | {"KeyId": GREEN})[0] == "AccessDeniedException"


class Caller(threading.Thread):
    """Makes data keys by one alias, one after the other, until it is stopped."""

    def __init__(self, pair, alias):
        super().__init__(daemon=True)
        self.pair, self.alias = pair, alias
        self.stopped = threading.Event()
        # Of each call: what was the case when it began, and what came of it.
        self.outcomes = []
        self.start()

    def run(self):
        while not self.stopped.is_set():
            before = self.pair.now
            outcome = outcome_of(self.pair, "app", DATA_KEY, KeyId=self.alias, KeySpec="AES_256")
            self.outcomes.append((before, outcome if isinstance(outcome, str) else outcome["KeyId"]))

    def since(self, now):
        return [outcome for before, outcome in self.outcomes if before == now]


def point(pair, callers, alias, key):
    """Points the alias to another key past the gateway, and lets each of the callers call then."""
    pair.past.update_alias(AliasName=alias, TargetKeyId=key)
    pair.now += 1
    eventually(lambda: all(len(caller.since(pair.now)) >= 10 for caller in callers))


@pytest.fixture
def callers(pair, name):
    """Four, of an alias that points to a key of theirs."""
    pair.now = 0
    pair.past.create_alias(AliasName=name, TargetKeyId=BLUE)
    callers = [Caller(pair, name) for _ in range(4)]
    yield callers
    for caller in callers:
        caller.stopped.set()
    for caller in callers:
        caller.join()
    pair.past.delete_alias(AliasName=name)


def test_an_alias_that_moves_between_keys_of_the_principals_fails_no_call(pair, name, callers):
    for key in [GREEN, BLUE, GREEN, BLUE]:
        point(pair, callers, name, key)
        for caller in callers:
            assert set(caller.since(pair.now)) == {key}
    assert {outcome for caller in callers for _, outcome in caller.outcomes} == {BLUE, GREEN}


def test_no_answer_about_a_key_that_is_not_the_principals_is_let_out_once_an_alias_was_moved_to_it(
    pair, name, callers
):
    point(pair, callers, name, RED)
    for caller in callers:
        # What is known of the alias is believed for a minute.
        assert set(caller.since(pair.now)) == {"AccessDeniedException"}
        assert {outcome for _, outcome in caller.outcomes} <= {BLUE, "AccessDeniedException"}


def test_an_alias_that_comes_back_to_a_key_of_the_principals_serves_again_long_before_it_is_looked_up_in_any_case(
    pair, name, callers
):
    point(pair, callers, name, RED)
    point(pair, callers, name, BLUE)
    # What is known of an alias is believed for a minute, but where it makes a request be refused for five seconds.
    eventually(lambda: all(caller.since(pair.now)[-1] == BLUE for caller in callers))
    now = [len(caller.outcomes) for caller in callers]
    eventually(lambda: all(len(caller.outcomes) >= before + 10 for caller, before in zip(callers, now)))
    for caller, before in zip(callers, now):
        assert {outcome for _, outcome in caller.outcomes[before:]} == {BLUE}


def test_a_ciphertext_is_opened_whose_key_the_answer_alone_names(pair):
    context = {"EncryptionContext": {"tenant": "blue"}}
    with pair.sent() as sent:
        opened = pair.answer("app", "Decrypt", CiphertextBlob=pair.sealed(BLUE, **context), **context)
    assert opened["KeyId"] == BLUE
    # Nothing is looked up.
    assert sent == ["Encrypt", "Decrypt"]


def test_a_ciphertext_of_a_key_that_is_not_the_principals_is_withheld_and_recorded(pair):
    answer = pair.call("app", "Decrypt", CiphertextBlob=pair.sealed(RED))
    code, text = answer.error
    assert code == "AccessDeniedException"
    assert "ciphertext" in text
    assert RED[-36:] not in text
    record = pair.gateway.record_with("withheld", lambda record: record["eventName"] == "Decrypt")
    assert (record["errorCode"], record["resources"][0]["ARN"]) == ("AccessDenied", RED)


@pytest.fixture(scope="module")
def refused_blobs(pair):
    """Ciphertexts of keys that are not the principals', by the state of the key."""
    keys = {state: pair.past.create_key()["KeyMetadata"]["Arn"] for state in ["enabled", "disabled", "pending"]}
    blobs = {state: pair.sealed(arn) for state, arn in keys.items()}
    pair.past.disable_key(KeyId=keys["disabled"])
    pair.past.schedule_key_deletion(KeyId=keys["pending"])
    return blobs


def test_in_which_state_a_key_is_that_is_not_the_principals_is_not_told(pair, refused_blobs):
    told = {state: pair.refusal("app", "Decrypt", CiphertextBlob=blob) for state, blob in refused_blobs.items()}
    assert {code for code, _ in told.values()} == {"AccessDeniedException"}
    assert len(set(told.values())) == 1, told


def test_that_a_ciphertext_is_not_whole_or_of_another_context_is_told_whosever_key_it_is(pair):
    for key in [BLUE, RED]:
        blob = pair.sealed(key, EncryptionContext={"tenant": "blue"})
        assert pair.refusal("app", "Decrypt", CiphertextBlob=blob) == ("InvalidCiphertextException", "")
    assert pair.refusal("app", "Decrypt", CiphertextBlob="AAAA") == ("InvalidCiphertextException", "")


def test_a_key_that_is_named_beside_a_ciphertext_is_judged_before_it_is_used(pair):
    blob = pair.sealed(BLUE)
    assert pair.answer("app", "Decrypt", CiphertextBlob=blob, KeyId=BLUE)["KeyId"] == BLUE
    assert pair.refusal("app", "Decrypt", CiphertextBlob=blob, KeyId=GREEN)[0] == "IncorrectKeyException"
    with pair.sent() as sent:
        code, text = pair.refusal("app", "Decrypt", CiphertextBlob=blob, KeyId=RED)
    assert (code, sent) == ("AccessDeniedException", [])
    assert f"on resource: {RED}" in text


def test_a_principal_that_may_open_nothing_is_refused_without_a_call(pair):
    blob = pair.sealed(BLUE)
    with pair.sent() as sent:
        decrypt = pair.refusal("maker", "Decrypt", CiphertextBlob=blob)
        re_encrypt = pair.refusal("maker", "ReEncrypt", CiphertextBlob=blob, DestinationKeyId=BLUE)
    for (code, text), action in [(decrypt, "kms:Decrypt"), (re_encrypt, "kms:ReEncryptFrom")]:
        assert code == "AccessDeniedException"
        assert text == (
            f"User: {USER}/maker is not authorized to perform: {action} on the resource associated with this ciphertext"
            f" because no identity-based policy allows the {action} action"
        )
    assert sent == []


def test_a_ciphertext_moves_from_a_key_that_the_answer_alone_names(pair):
    moved = pair.answer("app", "ReEncrypt", CiphertextBlob=pair.sealed(BLUE), DestinationKeyId=GREEN)
    assert (moved["SourceKeyId"], moved["KeyId"]) == (BLUE, GREEN)
    assert pair.answer("app", "Decrypt", CiphertextBlob=moved["CiphertextBlob"])["KeyId"] == GREEN
    code, text = pair.refusal("app", "ReEncrypt", CiphertextBlob=pair.sealed(RED), DestinationKeyId=GREEN)
    assert code == "AccessDeniedException"
    assert RED[-36:] not in text
    with pair.sent() as sent:
        code, text = pair.refusal("app", "ReEncrypt", CiphertextBlob="AAAA", DestinationKeyId=RED)
    assert (code, sent) == ("AccessDeniedException", [])
    assert f"kms:ReEncryptTo on resource: {RED}" in text


FOREIGN = {
    "another account": (BLUE.replace("111122223333", "444455556666"), "AccessDeniedException"),
    "an alias of another account": (f"{ACCOUNT[:-12]}444455556666:alias/blue", "AccessDeniedException"),
    "another region": (BLUE.replace("us-east-1", "eu-west-1"), "NotFoundException"),
}


@pytest.mark.parametrize("case", FOREIGN)
@pytest.mark.parametrize("operation", [DATA_KEY, "DescribeKey", "DisableKey"])
def test_keys_of_accounts_and_regions_that_are_not_configured_are_refused_with_nothing_sent(pair, operation, case):
    key, expected = FOREIGN[case]
    more = {"KeySpec": "AES_256"} if operation == DATA_KEY else {}
    with pair.sent() as sent:
        code, _ = pair.refusal("admin", operation, KeyId=key, **more)
    if "alias" in case and operation == "DisableKey":
        # No alias is taken here.
        expected = "InvalidArnException"
    assert (code, sent) == (expected, [])


def test_grant_tokens_are_not_honoured_and_grants_to_the_gateways_own_principals_not_made(pair):
    # One that is as good as any, at the upstream.
    grant = pair.past.create_grant(KeyId=BLUE, GranteePrincipal=f"{USER}/gateway", Operations=["Decrypt"])
    token = grant["GrantToken"]
    with pair.sent() as sent:
        refusals = [
            pair.refusal("app", DATA_KEY, KeyId=BLUE, KeySpec="AES_256", GrantTokens=[token]),
            pair.refusal("app", "Decrypt", CiphertextBlob="AAAA", GrantTokens=[token]),
            pair.refusal("admin", "RetireGrant", GrantToken=token),
        ]
        assert [code for code, _ in refusals] == 3 * ["InvalidGrantTokenException"]
        for member in ["GranteePrincipal", "RetiringPrincipal"]:
            asked = {"KeyId": BLUE, "GranteePrincipal": f"{USER}/whoever", "Operations": ["Decrypt"]}
            code, text = pair.refusal("admin", "CreateGrant", **asked | {member: f"{USER}/app"})
            assert code == "UnsupportedOperationException"
            code, text = pair.refusal("admin", "CreateGrant", **asked)
            assert code == "UnsupportedOperationException"
            assert "grants.forward_foreign" in text
    assert sent == []


def test_grants_to_others_pass_where_that_is_allowed(tmp_path):
    pair = Pair(tmp_path, grants="forward_foreign = true")
    asked = {"KeyId": BLUE, "GranteePrincipal": f"{USER}/whoever", "Operations": ["Decrypt"]}
    grant = pair.answer("admin", "CreateGrant", **asked)
    assert pair.past.list_grants(KeyId=BLUE)["Grants"][0]["GrantId"] == grant["GrantId"]
    assert pair.answer("app", DATA_KEY, KeyId=BLUE, KeySpec="AES_256", GrantTokens=[grant["GrantToken"]])
    ours = asked | {"GranteePrincipal": f"{USER}/app"}
    assert pair.refusal("admin", "CreateGrant", **ours)[0] == "UnsupportedOperationException"
    pair.answer("admin", "RetireGrant", GrantToken=grant["GrantToken"])
    pair.stop()


def test_changes_are_carried_out_and_recorded_and_seen_at_once(pair, name):
    key = pair.new_key()

    def changed(operation, **parameters):
        answer = pair.call("admin", operation, **parameters)
        assert answer.status == 200, answer.body
        record, theirs = pair.gateway.record(answer.request_id), pair.upstream.record(answer.request_id)
        assert (record["eventName"], record["readOnly"]) == (operation, False)
        assert "errorCode" not in record
        assert record["requestParameters"] == theirs["requestParameters"]
        assert record["resources"] == theirs["resources"]
        return answer

    # That there was none is forgotten too.
    asked = {"KeyId": name, "KeySpec": "AES_256"}
    assert pair.refusal("admin", DATA_KEY, **asked)[0] == "NotFoundException"
    changed("CreateAlias", AliasName=name, TargetKeyId=key)
    assert pair.answer("admin", DATA_KEY, **asked)["KeyId"] == key
    changed("UpdateAlias", AliasName=name, TargetKeyId=BLUE)
    assert pair.answer("admin", DATA_KEY, **asked)["KeyId"] == BLUE
    changed("DeleteAlias", AliasName=name)
    assert pair.refusal("admin", DATA_KEY, **asked)[0] == "NotFoundException"
    changed("TagResource", KeyId=key, Tags=[{"TagKey": "Team", "TagValue": "blue"}])
    assert pair.past.list_resource_tags(KeyId=key)["Tags"] == [{"TagKey": "Team", "TagValue": "blue"}]
    changed("DisableKey", KeyId=key)
    assert pair.refusal("admin", DATA_KEY, **asked | {"KeyId": key})[0] == "DisabledException"
    changed("ScheduleKeyDeletion", KeyId=key, PendingWindowInDays=7)
    assert pair.past.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "PendingDeletion"
    # What KMS refuses is recorded as that.
    answer = pair.call("admin", "EnableKey", KeyId=key)
    assert answer.error[0] == "KMSInvalidStateException"
    assert pair.gateway.record(answer.request_id)["errorCode"] == "KMSInvalidStateException"


def test_a_change_goes_by_what_an_alias_is_now_and_not_by_what_it_was(pair, name):
    pair.past.create_alias(AliasName=name, TargetKeyId=BLUE)
    assert pair.answer("admin", DATA_KEY, KeyId=name, KeySpec="AES_256")["KeyId"] == BLUE
    pair.past.update_alias(AliasName=name, TargetKeyId=RED)
    answer = pair.call("admin", "DeleteAlias", AliasName=name)
    assert answer.status == 200, answer.body
    resources = {resource["ARN"] for resource in pair.gateway.record(answer.request_id)["resources"]}
    assert resources == {f"{ACCOUNT}:{name}", RED}


def test_what_became_of_a_change_is_recorded_once_whenever_its_client_hangs_up(pair):
    def records():
        return pair.gateway.records_with('"CreateKey"')

    before, times = len(records()), 20
    with pair.sent() as sent:
        for number in range(times):
            request = signed(pair.gateway, "CreateKey", b"{}", key=pair.keys["admin"])
            connection = connect(pair.gateway)
            start(connection, request)
            connection.send(request.body)
            # Somewhere on its way: before it is read, while the upstream makes the key, when all is done.
            time.sleep(number**2 / 1000)
            connection.close()
        eventually(lambda: len(records()) - before >= times)
    new = records()[before:]
    assert len(new) == times
    assert {record.get("errorCode") for record in new} <= {None, "ClientDisconnected"}
    made = [record["resources"][0]["ARN"] for record in new if "errorCode" not in record]
    assert made
    assert sent == len(made) * ["CreateKey"]
    assert len(set(made)) == len(made)
    for arn in made:
        assert pair.past.describe_key(KeyId=arn)["KeyMetadata"]["KeyState"] == "Enabled"


def test_that_a_name_leads_nowhere_is_kept_and_a_burst_of_it_makes_few_look_ups(pair, name):
    def ask():
        with pytest.raises(Refused) as refused:
            call(pair, "admin", DATA_KEY, KeyId=name, KeySpec="AES_256")
        return refused.value.code, refused.value.message

    with pair.sent() as sent:
        told = at_once(20, lambda: [ask() for _ in range(10)])
    expected = ("NotFoundException", f"Alias {ACCOUNT}:{name} is not found.")
    assert {one for ten in told for one in ten} == {expected}
    # An absence is believed for five seconds; a slow machine may take longer over all this.
    assert 1 <= len(sent) <= 20
    assert set(sent) == {"DescribeKey"}


def test_names_that_nobody_has_use_up_the_quota_of_who_asks_and_not_what_all_share(tmp_path):
    pair = Pair(tmp_path, limits="principal = { per_second = 1, burst = 5 }")
    with pair.sent() as sent:
        codes = [
            pair.refusal("app", DATA_KEY, KeyId=f"alias/{number}", KeySpec="AES_256")[0] for number in range(30)
        ]
    assert codes[:5] == 5 * ["NotFoundException"]
    assert set(codes) == {"NotFoundException", "ThrottlingException"}
    assert sent == codes.count("NotFoundException") * ["DescribeKey"]
    # Others have theirs.
    assert pair.answer("admin", DATA_KEY, KeyId="alias/blue", KeySpec="AES_256")["KeyId"] == BLUE
    pair.stop()


# What is allowed by what a key is, which only the upstream knows: each condition, what makes a key of that kind, and
# what is looked up for it.
CONDITIONS = {
    "tag": (
        {"StringEquals": {"aws:ResourceTag/Team": "blue"}},
        lambda kms, key: kms.tag_resource(KeyId=key, Tags=[{"TagKey": "Team", "TagValue": "blue"}]),
        ["DescribeKey", "ListResourceTags"],
    ),
    "alias": (
        {"ForAnyValue:StringLike": {"kms:ResourceAliases": "alias/for-the-team-*"}},
        lambda kms, key: kms.create_alias(AliasName=f"alias/for-the-team-{uuid.uuid4()}", TargetKeyId=key),
        ["DescribeKey", "ListAliases"],
    ),
    "spec": ({"StringEquals": {"kms:KeySpec": "SYMMETRIC_DEFAULT"}}, lambda kms, key: None, ["DescribeKey"]),
}


@pytest.mark.parametrize("kind", CONDITIONS)
def test_a_policy_that_asks_what_a_key_is_has_it_looked_up_once(tmp_path, kind):
    condition, make, looked_up = CONDITIONS[kind]
    app = Principal(f"{USER}/app", ("asks",))
    documents = {"asks": allow("kms:GenerateDataKeyWithoutPlaintext", "kms:Decrypt", Condition=condition)}
    pair = Pair(tmp_path, {"app": app}, documents)
    make(pair.past, BLUE)
    for times in [1, 0]:
        with pair.sent() as sent:
            blob = pair.answer("app", DATA_KEY, KeyId=BLUE, KeySpec="AES_256")["CiphertextBlob"]
        assert sent == times * looked_up + [DATA_KEY]
    # Of the answer's key it is known already.
    with pair.sent() as sent:
        assert pair.answer("app", "Decrypt", CiphertextBlob=blob)["KeyId"] == BLUE
    assert sent == ["Decrypt"]
    other = GREEN
    if kind == "spec":
        other = pair.past.create_key(KeySpec="RSA_2048", KeyUsage="ENCRYPT_DECRYPT")["KeyMetadata"]["Arn"]
    with pair.sent() as sent:
        assert pair.refusal("app", DATA_KEY, KeyId=other, KeySpec="AES_256")[0] == "AccessDeniedException"
    assert sent == looked_up
    if kind != "spec":
        with pair.sent() as sent:
            answer = pair.call("app", "Decrypt", CiphertextBlob=pair.sealed(RED))
        assert (answer.error[0], sent) == ("AccessDeniedException", ["Encrypt", "Decrypt", *looked_up])
    pair.stop()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"secret": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}, "InvalidSignatureException"),
        ({"id": "AKIAIOSFODNN7EXAMPLE"}, "UnrecognizedClientException"),
    ],
)
def test_an_upstream_that_does_not_take_the_gateways_signature_is_no_fault_of_the_client(tmp_path, change, said):
    upstream = keeper(tmp_path / "upstream", SEEDS)
    upstream.key = replace(upstream.key, **change)
    gateway = Forwarding.to(upstream, tmp_path / "gateway", ["app"])
    kms = gateway.client()
    for operation, parameters in {
        DATA_KEY: {"KeyId": BLUE, "KeySpec": "AES_256"},
        "DescribeKey": {"KeyId": "alias/blue"},
        "CreateKey": {},
    }.items():
        answer = exchange(kms, operation, json.dumps(parameters))
        assert (answer.status, answer.error[0]) == (500, "KMSInternalException"), operation
        assert said.encode() not in answer.body
        assert said in gateway.record(answer.request_id)["additionalEventData"]["gateway"]["detail"]
    status, why = gateway.readiness()
    assert (status, said in why, "111122223333/us-east-1" in why) == (503, True, True)
    kms.close()
    gateway.stop()


def test_nothing_is_sent_to_who_has_no_certificate_of_the_authority_that_is_named(tmp_path):
    upstream, other = keeper(tmp_path / "upstream", SEEDS), keeper(tmp_path / "other")
    trusted, upstream.ca_file = upstream.ca_file, other.ca_file
    gateway = Forwarding.to(upstream, tmp_path / "gateway", ["app"])
    kms = gateway.client()
    answer = exchange(kms, DATA_KEY, json.dumps({"KeyId": BLUE, "KeySpec": "AES_256"}))
    assert (answer.status, answer.error[0]) == (500, "KeyUnavailableException")
    assert "certificate" in gateway.record(answer.request_id)["additionalEventData"]["gateway"]["detail"].lower()
    assert upstream.records_with("") == []
    # It was the certificate, and nothing else.
    upstream.ca_file = trusted
    past = upstream.client()
    assert past.describe_key(KeyId=BLUE)
    for client in [kms, past]:
        client.close()
    gateway.stop()
    other.stop()


def test_what_a_principal_may_use_of_the_upstreams_quota_bounds_it_before_the_upstream_has_to(tmp_path):
    upstream = keeper(tmp_path / "upstream", SEEDS)
    pair = Pair(tmp_path, upstream=upstream, quota="describe_key = 2")
    began = time.monotonic()
    with pair.sent() as sent:
        answers = at_once(20, lambda: outcome_of(pair, "admin", "DescribeKey", KeyId=BLUE))
    passed = time.monotonic() - began
    told = [answer for answer in answers if answer != "ThrottlingException"]
    assert [answer["KeyMetadata"]["Arn"] for answer in told] == len(told) * [BLUE]
    assert sent == len(told) * ["DescribeKey"]
    # What may be sent at once, and then two in each second.
    assert 1 <= len(sent) <= 2 + 2 * passed
    assert len(sent) < len(answers)
    pair.stop()


def test_an_upstream_that_is_not_there_is_told_in_the_words_of_kms(tmp_path):
    upstream = keeper(tmp_path / "upstream", SEEDS)
    gateway = Forwarding.to(upstream, tmp_path / "gateway", ["app"])
    kms = gateway.client()
    made = json.dumps({"KeyId": BLUE, "KeySpec": "AES_256"})
    assert exchange(kms, DATA_KEY, made).status == 200
    upstream.kill()
    answer = exchange(kms, DATA_KEY, made)
    assert (answer.status, answer.error[0]) == (500, "KeyUnavailableException")
    assert gateway.record(answer.request_id)["errorCode"] == answer.error[0]
    kms.close()
    Gateway.stop(gateway)


def outcome_of(pair, name, operation, **parameters):
    """The answer, or the code of the refusal."""
    try:
        return call(pair, name, operation, **parameters)
    except Refused as refused:
        return refused.code


def call(pair, name, operation, **parameters):
    """By a connection of its own."""
    direct = Direct(pair.gateway, pair.keys[name])
    try:
        return direct.call(operation, **parameters)
    finally:
        direct.close()


def at_once(count, work):
    """What `work` returns, done by so many at once."""
    together, done = threading.Barrier(count), []

    def run():
        together.wait()
        done.append(work())

    threads = [threading.Thread(target=run, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == count
    return done
