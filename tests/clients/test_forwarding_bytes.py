"""What goes to the upstream and what comes back, to the byte, by an upstream that keeps and says what a test wants."""

import hashlib
import json
import threading

import pytest
from forwarding import USE, Forwarding, eventually
from gateway import PATIENCE, Principal, allow
from scripted import KEY, Reply, Scripted
from wire import connect, exchange, send, signed, start

ACCOUNT = "arn:aws:kms:us-east-1:111122223333"
OURS = f"{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
NOT_OURS = f"{ACCOUNT}:key/0987dcba-09fe-87dc-65ba-ab0987654321"
USER = "arn:aws:iam::111122223333:user/app"
PRINCIPALS = [Principal(USER, ("use",)), "admin", Principal("arn:aws:iam::111122223333:user/nobody", ())]
DATA_KEY = "GenerateDataKeyWithoutPlaintext"
ASKED = {"KeyId": OURS, "KeySpec": "AES_256"}
MADE = {"CiphertextBlob": "AAAA", "KeyId": OURS}
OPENED = {"KeyId": OURS, "Plaintext": "AAAA", "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}
# In the words of KMS, which do not tell whether there is such a key.
NO_KEY_TO_OPEN_IT = (
    "The ciphertext refers to a customer master key that does not exist, does not exist in this region,"
    " or you are not allowed to access."
)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    directory = tmp_path_factory.mktemp("scripted") / "gateway"
    gateway = Forwarding.to(Scripted(), directory, PRINCIPALS, {"use": allow(*USE, Resource=OURS)})
    gateway.key, gateway.admin_key, gateway.nobody = gateway.keys.values()
    yield gateway
    gateway.stop()


@pytest.fixture
def upstream(gateway):
    return gateway.upstream


@pytest.fixture(scope="module")
def kms(gateway):
    client = gateway.client()
    yield client
    client.close()


@pytest.fixture(scope="module")
def admin(gateway):
    client = gateway.client(gateway.admin_key)
    yield client
    client.close()


def call(kms, operation, **parameters):
    return exchange(kms, operation, json.dumps(parameters))


def test_the_body_is_sent_as_it_came_and_of_the_head_nothing_but_what_was_allowed(gateway, upstream):
    upstream.script(Reply(MADE))
    body = b'{ "KeySpec":"AES_256",\r\n\t"KeyId": "%s" , "NewMember":{"a":[1,2.50,1e3,null]},"\\u0054":"\xc3\xa4" }\n'
    body %= OURS.encode()
    of_the_client = {
        "User-Agent": "aws-sdk-of-the-client/1.0",
        "X-Amz-User-Agent": "aws-sdk-of-the-client/1.0",
        "Amz-Sdk-Invocation-Id": "f1d2d2f9-0000-4000-8000-000000000000",
        "Amz-Sdk-Request": "attempt=1; max=3",
        "X-Amzn-Trace-Id": "Root=1-5759e988-bd862e3fe1be46a994272793",
        "X-Amz-Content-Sha256": hashlib.sha256(body).hexdigest(),
        "X-Forwarded-For": "192.0.2.1",
        "X-Amz-Something-New": "of the client",
        "Accept": "*/*",
        "Accept-Encoding": "gzip",
        "Cookie": "a=b",
    }
    asked = signed(gateway, DATA_KEY, body, headers=of_the_client)
    answer = send(gateway, asked)
    assert answer.status == 200, answer.body

    [sent] = upstream.sent
    assert sent.line == "POST / HTTP/1.1"
    assert sent.body == body
    headers = dict(sent.headers)
    assert len(headers) == len(sent.headers), "a header twice"
    assert headers.keys() == {
        *("content-type", "host", "x-amz-date", "x-amz-target", "authorization", "content-length"),
    }
    assert headers["content-type"] == "application/x-amz-json-1.1"
    assert headers["host"] == upstream.endpoint.removeprefix("http://")
    assert headers["x-amz-target"] == f"TrentService.{DATA_KEY}"
    assert headers["content-length"] == str(len(body))
    date = headers["x-amz-date"][:8]
    scope = f"Credential={KEY.id}/{date}/us-east-1/kms/aws4_request, "
    assert headers["authorization"].startswith(
        f"AWS4-HMAC-SHA256 {scope}SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature="
    )
    # None of it is the client's, whatever its name.
    assert gateway.key.id not in str(sent.headers)
    assert asked.authorization not in headers.values()


def test_a_session_token_is_sent_that_is_the_gateways_own(tmp_path):
    token = "FwoGZXIvYXdzEXAMPLE-session-token-of-the-gateway"
    upstream = Scripted()
    upstream.script(Reply(MADE))
    gateway = Forwarding.to(upstream, tmp_path / "gateway", ["app"], environment={"AWS_SESSION_TOKEN": token})
    gateway.keep_secret(token)
    assert call(gateway.client(), DATA_KEY, **ASKED).status == 200
    [sent] = upstream.sent
    headers = dict(sent.headers)
    assert headers["x-amz-security-token"] == token
    assert "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target, " in headers["authorization"]
    # A client's own is not the gateway's to send on.
    stolen = signed(gateway, DATA_KEY, json.dumps(ASKED).encode(), headers={"X-Amz-Security-Token": token})
    assert send(gateway, stolen).error[0] == "UnrecognizedClientException"
    assert len(upstream.sent) == 1
    gateway.stop()


def test_an_answer_comes_back_as_it_is_with_members_that_nobody_knows(gateway, upstream, kms):
    body = b'{"NewMember": {"deep": [1.50, {"a": "\\u00e4"}]},\n "KeyId":"%s","CiphertextBlob" : "AAAA"}\n'
    body %= OURS.encode()
    headers = {"x-amzn-RequestId": "5d2a1a6e-0000-4000-8000-00000000beef", "Set-Cookie": "a=b", "Via": "upstream"}
    upstream.script(Reply(body, headers=headers))
    answer = call(kms, DATA_KEY, **ASKED)
    assert (answer.status, answer.body) == (200, body)
    assert answer.request_id == "5d2a1a6e-0000-4000-8000-00000000beef"
    assert answer.headers["Content-Type"] == "application/x-amz-json-1.1"
    assert {"Set-Cookie", "Via"}.isdisjoint(answer.headers)
    assert gateway.record(answer.request_id)["eventName"] == DATA_KEY


# What KMS says of a request about a key that the principal may use is the client's to know, in KMS's own bytes.
OWN_ERRORS = [
    ("ThrottlingException", "Rate exceeded", 400),
    ("DisabledException", f"{OURS} is disabled.", 400),
    ("NotFoundException", f"Key '{OURS}' does not exist", 400),
    ("KMSInvalidStateException", f"{OURS} is pending deletion.", 400),
    ("ValidationException", "1 validation error detected", 400),
    ("InvalidGrantTokenException", None, 400),
    ("KMSInternalException", None, 500),
    ("DependencyTimeoutException", "a dependency", 503),
    ("KeyUnavailableException", None, 500),
    ("ServiceUnavailableException", None, 503),
    ("DryRunOperationException", "would have succeeded", 412),
    ("AnErrorOfNextYearException", "not known here", 400),
]


@pytest.mark.parametrize(("name", "message", "status"), OWN_ERRORS, ids=[error[0] for error in OWN_ERRORS])
def test_an_error_of_kms_passes_as_it_is_and_is_not_tried_again(gateway, upstream, kms, name, message, status):
    body = json.dumps({"extra": [1], "__type": name} | ({"message": message} if message else {})).encode()
    upstream.script(Reply(body, status))
    answer = call(kms, DATA_KEY, **ASKED)
    assert (answer.status, answer.body, len(upstream.sent)) == (status, body, 1)
    record = gateway.record(answer.request_id)
    assert (record["errorCode"], record.get("errorMessage")) == (name, message)


@pytest.mark.parametrize(
    "name",
    [
        "InvalidSignatureException",
        "UnrecognizedClientException",
        "IncompleteSignatureException",
        "MissingAuthenticationTokenException",
        "ExpiredTokenException",
        "OptInRequired",
    ],
)
def test_what_is_wrong_with_the_gateways_own_credentials_is_no_fault_of_the_client_and_makes_it_unready(
    gateway, upstream, kms, name
):
    upstream.script(Reply.error(name, "of the gateway, and nobody else's to know"))
    answer = call(kms, DATA_KEY, **ASKED)
    assert (answer.status, answer.error[0]) == (500, "KMSInternalException")
    assert b"nobody else" not in answer.body
    assert name.encode() not in answer.body
    record = gateway.record(answer.request_id)
    assert (record["errorCode"], record["additionalEventData"]["gateway"]["detail"].count(name)) == (
        "KMSInternalException",
        1,
    )
    status, why = gateway.readiness()
    assert status == 503
    assert "111122223333/us-east-1" in why
    assert name in why
    # It is ready again with the first that is accepted.
    upstream.script(Reply(MADE))
    assert call(kms, DATA_KEY, **ASKED).status == 200
    assert gateway.readiness() == (200, "ok\n")


@pytest.mark.parametrize("name", ["AccessDeniedException", "AccessDenied"])
def test_a_refusal_of_the_gateway_is_worded_for_its_principal_and_the_original_is_recorded(
    gateway, upstream, kms, name
):
    original = (
        "User: arn:aws:sts::111122223333:assumed-role/gateway/kmsgate is not authorized to perform:"
        f" kms:{DATA_KEY} on resource: {OURS} because no resource-based policy allows the kms:{DATA_KEY} action"
    )
    upstream.script(Reply.error(name, original))
    answer = call(kms, DATA_KEY, **ASKED)
    text = f"User: {USER} is not authorized to perform: kms:{DATA_KEY} on resource: {OURS}"
    assert (answer.status, answer.error[0]) == (400, "AccessDeniedException")
    assert answer.error[1].startswith(text)
    assert b"assumed-role" not in answer.body
    record = gateway.record(answer.request_id)
    assert (record["errorCode"], record["errorMessage"]) == ("AccessDenied", answer.error[1])
    assert original in record["additionalEventData"]["gateway"]["detail"]


@pytest.mark.parametrize(
    "reply",
    [
        Reply(b"<html>captive portal</html>"),
        Reply(b'{"KeyId":"%s","CiphertextBlob":"AA' % OURS.encode()),
        Reply(b'{"CiphertextBlob":"AAAA"}'),
        Reply(b'{"KeyId":"%s","KeyId":"%s","CiphertextBlob":"AAAA"}' % (OURS.encode(), NOT_OURS.encode())),
        Reply(b'{"__type":"DisabledException","KeyId":"%s"}' % OURS.encode()),
        Reply(b"", 502),
        Reply(b"", 302, {"Location": "http://192.0.2.1/"}),
        Reply(b"[]"),
    ],
    ids=lambda reply: f"{reply.status} {reply.body[:40]}",
)
def test_what_is_no_answer_of_kms_is_let_out_to_nobody(gateway, upstream, kms, reply):
    upstream.script(reply)
    answer = call(kms, DATA_KEY, **ASKED)
    assert (answer.status, answer.error[0]) == (500, "KMSInternalException")
    assert reply.body not in answer.body or reply.body == b""
    assert gateway.record(answer.request_id)["errorCode"] == "KMSInternalException"
    # So that what follows finds no breaker open.
    upstream.script(Reply(MADE))
    assert call(kms, DATA_KEY, **ASKED).status == 200


def test_an_answer_about_another_key_is_let_out_if_the_principal_may_use_that_one(upstream, admin):
    upstream.script(Reply(MADE | {"KeyId": NOT_OURS}))
    assert json.loads(call(admin, DATA_KEY, **ASKED).body)["KeyId"] == NOT_OURS


def test_an_answer_about_a_key_that_the_principal_may_not_use_is_withheld_and_recorded(gateway, upstream, kms):
    upstream.script(Reply(MADE | {"KeyId": NOT_OURS, "CiphertextBlob": "c2VjcmV0"}))
    answer = call(kms, DATA_KEY, **ASKED)
    assert (answer.status, answer.error[0]) == (400, "AccessDeniedException")
    assert b"c2VjcmV0" not in answer.body
    record = gateway.record(answer.request_id)
    assert "withheld" in record["additionalEventData"]["gateway"]["detail"]
    assert {resource["ARN"] for resource in record["resources"]} == {OURS, NOT_OURS}


# What an answer to Decrypt without KeyId is turned into, where nothing says which key it is about.
UNJUDGEABLE = {
    "InvalidCiphertextException": ("InvalidCiphertextException", 400),
    "ThrottlingException": ("ThrottlingException", 400),
    "KMSInternalException": ("KMSInternalException", 500),
    "DependencyTimeoutException": ("DependencyTimeoutException", 503),
    "DisabledException": ("AccessDeniedException", 400),
    "KMSInvalidStateException": ("AccessDeniedException", 400),
    "KeyUnavailableException": ("AccessDeniedException", 500),
    "NotFoundException": ("AccessDeniedException", 400),
    "InvalidKeyUsageException": ("AccessDeniedException", 400),
    "IncorrectKeyException": ("AccessDeniedException", 400),
    "AccessDeniedException": ("AccessDeniedException", 400),
    "DryRunOperationException": ("AccessDeniedException", 412),
    "AnErrorOfNextYearException": ("AccessDeniedException", 400),
}


@pytest.mark.parametrize("name", UNJUDGEABLE)
@pytest.mark.parametrize("operation", ["Decrypt", "ReEncrypt"])
def test_of_a_key_that_only_a_ciphertext_names_nothing_is_told_by_errors(gateway, upstream, kms, operation, name):
    expected, status = UNJUDGEABLE[name]
    upstream.script(Reply.error(name, f"{NOT_OURS} is secret", status))
    more = {"DestinationKeyId": OURS} if operation == "ReEncrypt" else {}
    answer = call(kms, operation, CiphertextBlob="AAAA", **more)
    assert answer.error[0] == expected
    if expected == "AccessDeniedException":
        assert (answer.status, answer.error[1]) == (400, NO_KEY_TO_OPEN_IT)
        record = gateway.record(answer.request_id)
        assert f"{NOT_OURS} is secret" in record["additionalEventData"]["gateway"]["detail"]
    else:
        assert (answer.status, answer.body) == (status, upstream.answer(None).bytes)


def test_decrypt_without_a_key_is_let_out_if_its_answers_key_is_allowed(upstream, kms):
    upstream.script(Reply(OPENED))
    assert call(kms, "Decrypt", CiphertextBlob="AAAA").status == 200
    upstream.script(Reply(OPENED | {"KeyId": NOT_OURS}))
    answer = call(kms, "Decrypt", CiphertextBlob="AAAA")
    assert (answer.status, answer.error[0]) == (400, "AccessDeniedException")
    assert b"Plaintext" not in answer.body
    assert b"0987dcba" not in answer.body
    # A key of an account that is not configured is nobody's.
    upstream.script(Reply(OPENED | {"KeyId": NOT_OURS.replace("111122223333", "444455556666")}))
    answer = call(kms, "Decrypt", CiphertextBlob="AAAA")
    assert (answer.status, answer.error[0]) == (400, "AccessDeniedException")


def test_an_answer_about_another_source_key_is_withheld(upstream, kms):
    moved = {"CiphertextBlob": "AAAA", "SourceKeyId": OURS, "KeyId": OURS}
    asked = {"CiphertextBlob": "AAAA", "DestinationKeyId": OURS}
    upstream.script(Reply(moved))
    assert call(kms, "ReEncrypt", **asked).status == 200
    for change in [{"SourceKeyId": NOT_OURS}, {"KeyId": NOT_OURS}]:
        upstream.script(Reply(moved | change))
        for source in [{}, {"SourceKeyId": OURS}]:
            answer = call(kms, "ReEncrypt", **asked, **source)
            assert (answer.status, answer.error[0]) == (400, "AccessDeniedException"), (change, source)
            assert b"CiphertextBlob" not in answer.body


def test_a_principal_without_policies_costs_the_upstream_nothing(gateway, upstream):
    upstream.script(Reply(OPENED))
    nobody = gateway.client(gateway.nobody)
    for operation, parameters in {
        DATA_KEY: ASKED,
        "Decrypt": {"CiphertextBlob": "AAAA"},
        "ReEncrypt": {"CiphertextBlob": "AAAA", "DestinationKeyId": OURS},
        "ListKeys": {},
        "CreateKey": {},
    }.items():
        answer = call(nobody, operation, **parameters)
        assert (answer.status, answer.error[0]) == (400, "AccessDeniedException"), operation
    assert upstream.sent == []
    nobody.close()


def once_broken(then):
    """Closes the connection of the first request, and answers the others."""
    requests = iter([None])
    return lambda _: next(requests, then)


def test_a_call_whose_connection_breaks_is_made_again_once_if_that_does_no_harm(upstream, kms):
    upstream.script(once_broken(Reply(OPENED)))
    assert call(kms, "Decrypt", CiphertextBlob="AAAA", KeyId=OURS).status == 200
    first, second = upstream.sent
    assert first.body == second.body
    upstream.script(lambda _: None)
    answer = call(kms, "Decrypt", CiphertextBlob="AAAA", KeyId=OURS)
    assert (answer.status, answer.error[0], len(upstream.sent)) == (500, "KMSInternalException", 2)


def test_a_change_whose_connection_breaks_is_not_made_twice(gateway, upstream, admin):
    upstream.script(once_broken(Reply({"KeyMetadata": {"Arn": OURS, "KeyId": OURS[-36:]}})))
    answer = call(admin, "CreateKey")
    assert (answer.status, answer.error[0]) == (500, "KMSInternalException")
    assert [sent.operation for sent in upstream.sent] == ["CreateKey"]
    assert gateway.record(answer.request_id)["errorCode"] == "KMSInternalException"


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (Reply({"KeyMetadata": {"Arn": OURS, "KeyId": OURS[-36:]}}), None),
        (Reply.error("LimitExceededException"), "LimitExceededException"),
    ],
    ids=["made", "refused"],
)
def test_a_change_whose_client_hangs_up_is_carried_out_and_recorded_once_with_its_outcome(
    gateway, upstream, admin, reply, code
):
    arrived, gone = threading.Event(), threading.Event()

    def answer(_):
        arrived.set()
        assert gone.wait(PATIENCE)
        return reply

    upstream.script(answer)
    mark = f"made for nobody, {code and 'refused'}"
    request = signed(gateway, "CreateKey", json.dumps({"Description": mark}).encode(), key=gateway.admin_key)
    connection = connect(gateway)
    start(connection, request)
    connection.send(request.body)
    assert arrived.wait(PATIENCE)
    connection.close()
    gone.set()
    eventually(lambda: gateway.records_with(mark))
    assert [sent.operation for sent in upstream.sent] == ["CreateKey"]
    # Behind whatever else the gateway would have said of it.
    upstream.script(Reply({"Keys": [], "Truncated": False}))
    assert call(admin, "ListKeys").status == 200
    [record] = gateway.records_with(mark)
    assert record.get("errorCode") == (code and "LimitExceededException")
    if code is None:
        assert [resource["ARN"] for resource in record["resources"]] == [OURS]


def test_an_upstream_that_takes_too_long_is_not_waited_for_and_its_late_answer_goes_nowhere(tmp_path):
    upstream, late = Scripted(), threading.Event()
    gateway = Forwarding.to(upstream, tmp_path / "gateway", ["app"], backend="first_byte_timeout_ms = 200")
    kms = gateway.client()

    def answer(sent):
        if b"late" in sent.body:
            assert late.wait(PATIENCE)
            return Reply(MADE | {"CiphertextBlob": "bGF0ZQ=="})
        return Reply(MADE)

    upstream.script(answer)
    slow = call(kms, DATA_KEY, **ASKED, EncryptionContext={"is": "late"})
    assert (slow.status, slow.error[0]) == (500, "DependencyTimeoutException")
    assert gateway.record(slow.request_id)["errorCode"] == "DependencyTimeoutException"
    late.set()
    # It may be done, so it is not done again.
    assert len(upstream.sent) == 1
    for _ in range(3):
        assert json.loads(call(kms, DATA_KEY, **ASKED).body)["CiphertextBlob"] == "AAAA"
    kms.close()
    gateway.stop()
