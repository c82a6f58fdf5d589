"""boto3: what it asks for is done, and whatever is refused arrives as the exception of its own type."""

import json

import boto3
import pytest
from botocore import UNSIGNED, xform_name
from botocore.config import Config
from botocore.exceptions import ClientError
from gateway import AccessKey
from wire import MISMATCH

CONTEXT = {"tenant": "blue", "team": "orders", "città": "Forlì £"}
OTHER_ORDER = dict(reversed(CONTEXT.items()))
ALLOWED = "arn:aws:iam::111122223333:user/quickstart"


@pytest.fixture(scope="module")
def kms(narrow):
    client = narrow.client()
    yield client
    client.close()


@pytest.fixture(scope="module")
def admin(allow_all):
    client = allow_all.client()
    yield client
    client.close()


def refused(call, *arguments, **parameters):
    """The exception of a call that must fail, its error and its HTTP status."""
    with pytest.raises(ClientError) as caught:
        call(*arguments, **parameters)
    error = caught.value
    assert error.response["ResponseMetadata"]["HTTPHeaders"]["x-amzn-errortype"] == error.response["Error"]["Code"]
    return error, error.response["Error"], error.response["ResponseMetadata"]["HTTPStatusCode"]


def request_id(answer):
    return answer["ResponseMetadata"]["RequestId"]


@pytest.mark.parametrize("form", ["key id", "key ARN", "alias name", "alias ARN"])
def test_a_data_key_is_made_by_each_form_of_key_id_and_opened_with_its_context_in_another_order(narrow, kms, form):
    arn = narrow.key_arn
    forms = {"key id": narrow.key_id, "key ARN": arn, "alias name": narrow.alias}
    forms["alias ARN"] = "arn:aws:kms:us-east-1:111122223333:alias/quickstart"

    made = kms.generate_data_key_without_plaintext(KeyId=forms[form], KeySpec="AES_256", EncryptionContext=CONTEXT)
    assert made.keys() == {"CiphertextBlob", "KeyId", "KeyMaterialId", "ResponseMetadata"}
    assert made["KeyId"] == arn

    opened = kms.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext=OTHER_ORDER)
    assert opened.keys() == {"KeyId", "Plaintext", "EncryptionAlgorithm", "KeyMaterialId", "ResponseMetadata"}
    assert len(opened["Plaintext"]) == 32
    assert (opened["KeyId"], opened["EncryptionAlgorithm"]) == (arn, "SYMMETRIC_DEFAULT")
    assert opened["KeyMaterialId"] == made["KeyMaterialId"]
    by_name = kms.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext=CONTEXT, KeyId=forms[form])
    assert by_name["Plaintext"] == opened["Plaintext"]

    record = narrow.record(request_id(made))
    assert record["eventName"] == "GenerateDataKeyWithoutPlaintext"
    assert record["userIdentity"]["arn"] == ALLOWED
    assert record["requestParameters"] == {
        "keyId": forms[form],
        "keySpec": "AES_256",
        "encryptionContext": CONTEXT,
    }
    assert (record["responseElements"], record["readOnly"]) == (None, True)
    assert record["additionalEventData"]["keyMaterialId"] == made["KeyMaterialId"]
    assert record["resources"] == [{"accountId": "111122223333", "type": "AWS::KMS::Key", "ARN": arn}]
    assert "errorCode" not in record
    assert "Boto3" in record["userAgent"]
    assert record["sourceIPAddress"] == "127.0.0.1"


def test_the_environment_alone_brings_boto3_to_the_gateway(narrow, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", narrow.endpoint)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", narrow.key.id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", narrow.key.secret)
    kms = boto3.session.Session().client("kms")
    made = kms.generate_data_key_without_plaintext(KeyId="alias/quickstart", KeySpec="AES_128")
    assert made["KeyId"] == narrow.key_arn
    kms.close()


@pytest.mark.parametrize(("size", "length"), [({"KeySpec": "AES_128"}, 16), ({"NumberOfBytes": 1}, 1)])
def test_a_data_key_is_as_long_as_was_asked_for(narrow, kms, size, length):
    blob = kms.generate_data_key_without_plaintext(KeyId=narrow.key_id, **size)["CiphertextBlob"]
    assert len(kms.decrypt(CiphertextBlob=blob)["Plaintext"]) == length


def test_a_data_key_comes_with_its_plaintext_when_that_is_asked_for(narrow, kms):
    made = kms.generate_data_key(KeyId=narrow.alias, NumberOfBytes=1024, EncryptionContext=CONTEXT)
    assert made.keys() == {"CiphertextBlob", "Plaintext", "KeyId", "KeyMaterialId", "ResponseMetadata"}
    opened = kms.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext=OTHER_ORDER)
    assert (len(made["Plaintext"]), opened["Plaintext"]) == (1024, made["Plaintext"])


@pytest.mark.parametrize("length", [16, 4096])
def test_what_is_encrypted_is_decrypted_and_moves_to_another_context(narrow, kms, length):
    plaintext = bytes(range(16)) * (length // 16)
    narrow.keep_secret(plaintext)
    sealed = kms.encrypt(KeyId=narrow.key_id, Plaintext=plaintext, EncryptionContext=CONTEXT)
    assert sealed.keys() == {"CiphertextBlob", "KeyId", "EncryptionAlgorithm", "ResponseMetadata"}
    moved = kms.re_encrypt(
        CiphertextBlob=sealed["CiphertextBlob"],
        SourceEncryptionContext=OTHER_ORDER,
        DestinationKeyId=narrow.alias,
        DestinationEncryptionContext={"tenant": "green"},
    )
    assert moved.keys() == {
        "CiphertextBlob",
        "SourceKeyId",
        "KeyId",
        "SourceEncryptionAlgorithm",
        "DestinationEncryptionAlgorithm",
        "SourceKeyMaterialId",
        "DestinationKeyMaterialId",
        "ResponseMetadata",
    }
    assert (moved["SourceKeyId"], moved["KeyId"]) == (narrow.key_arn, narrow.key_arn)
    opened = kms.decrypt(CiphertextBlob=moved["CiphertextBlob"], EncryptionContext={"tenant": "green"})
    assert opened["Plaintext"] == plaintext
    refused(kms.decrypt, CiphertextBlob=moved["CiphertextBlob"], EncryptionContext=CONTEXT)


def test_random_bytes_are_as_many_as_were_asked_for(admin):
    assert len(admin.generate_random(NumberOfBytes=1024)["Plaintext"]) == 1024


@pytest.mark.parametrize(
    ("operation", "parameters", "action", "resource"),
    [
        ("generate_random", {"NumberOfBytes": 16}, "kms:GenerateRandom", "*"),
        ("list_keys", {}, "kms:ListKeys", "*"),
        ("create_key", {}, "kms:CreateKey", "*"),
        ("disable_key", {"KeyId": "<key>"}, "kms:DisableKey", "<key>"),
        (
            "create_alias",
            {"AliasName": "alias/mine", "TargetKeyId": "<key>"},
            "kms:CreateAlias",
            "arn:aws:kms:us-east-1:111122223333:alias/mine",
        ),
    ],
)
def test_what_no_policy_allows_is_refused_in_the_words_of_aws(narrow, kms, operation, parameters, action, resource):
    parameters = {name: narrow.key_arn if value == "<key>" else value for name, value in parameters.items()}
    exception, error, status = refused(getattr(kms, operation), **parameters)
    resource = resource.replace("<key>", narrow.key_arn)
    text = f"User: {ALLOWED} is not authorized to perform: {action} on resource: {resource}"
    text += f" because no identity-based policy allows the {action} action"
    assert (error["Code"], error["Message"], status) == ("AccessDeniedException", text, 400)
    assert type(exception) is ClientError
    record = narrow.record(request_id(exception.response))
    assert (record["errorCode"], record["errorMessage"]) == ("AccessDenied", text)
    assert (record["userIdentity"]["arn"], record["responseElements"]) == (ALLOWED, None)


def test_a_call_beyond_the_quota_is_throttled_and_tried_again_as_often_as_boto3_is_told(throttled):
    key = throttled.keys["boto3"]
    once = throttled.client(key, user_agent_appid="once")
    again = throttled.client(key, user_agent_appid="again", retries={"total_max_attempts": 3, "mode": "standard"})

    exception, error, status = refused(until_throttled, once.list_keys)
    assert (error["Code"], status) == ("ThrottlingException", 400)
    text = "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls."
    assert (error["Message"], type(exception)) == (text, ClientError)
    record = throttled.record(request_id(exception.response))
    assert (record["errorCode"], record["userIdentity"]["arn"]) == ("ThrottlingException", key.principal)

    retries = next(attempts for _ in range(50) if (attempts := retried(again.list_keys)))
    sent = [record.get("errorCode") for record in throttled.records_with("app/again")]
    assert 1 <= retries <= 2
    assert sent[-1 - retries : -1] == retries * ["ThrottlingException"]
    once.close()
    again.close()


def until_throttled(call):
    for _ in range(50):
        call()


def retried(call):
    """How often boto3 tried again until it was answered or gave up."""
    try:
        answer = call()
    except ClientError as error:
        answer = error.response
    return answer["ResponseMetadata"]["RetryAttempts"]


# What no well-formed call of boto3's can bring about, and no text can say, is made by a change on its way: before it is
# signed ...
UNSIGNED_CHANGES = {
    "a member twice": ({"body": b'{"Limit":1,"Limit":1}'}, "SerializationException", None, 400),
    "10,000 lists in one another": (
        {"body": b'{"x":' + 10_000 * b"[" + 10_000 * b"]" + b"}"},
        "SerializationException",
        "",
        400,
    ),
    "no UTF-8": ({"body": b'{"Marker":"\xff"}'}, "SerializationException", "", 400),
    "a body over its cap": (
        {"body": b'{"x":"' + 128 * 1024 * b"x" + b'"}'},
        "RequestEntityTooLargeException",
        None,
        413,
    ),
    "another JSON": ({"Content-Type": "application/x-amz-json-1.0"}, "UnknownOperationException", None, 400),
}

@pytest.mark.parametrize("name", UNSIGNED_CHANGES)
def test_what_is_no_request_of_the_model_is_refused_in_a_way_boto3_can_read(allow_all, name):
    change, code, text, status = UNSIGNED_CHANGES[name]

    def on_its_way(params, **_):
        params["body"] = change.get("body", params["body"])
        params["headers"] |= {header: value for header, value in change.items() if header != "body"}

    kms = allow_all.client()
    kms.meta.events.register("before-call.kms", on_its_way)
    exception, error, got = refused(kms.list_keys)
    assert (type(exception), error["Code"], got) == (ClientError, code, status)
    assert text is None or error["Message"] == text
    assert allow_all.record(request_id(exception.response))["errorCode"] == code
    kms.close()


# ... or to who signs it.
STRANGERS = {
    "a wrong secret": ({"secret": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}, "InvalidSignatureException", MISMATCH),
    "an unknown access key": (
        {"id": "AKIAIOSFODNN7EXAMPLE"},
        "UnrecognizedClientException",
        "The security token included in the request is invalid.",
    ),
    "another region": (
        {"region": "eu-west-1"},
        "InvalidSignatureException",
        "Credential should be scoped to a valid region, not 'eu-west-1'. ",
    ),
    "nobody": ({"signature_version": UNSIGNED}, "MissingAuthenticationTokenException", "Missing Authentication Token"),
}


@pytest.mark.parametrize("name", STRANGERS)
def test_who_is_not_known_is_refused_in_the_words_of_aws(narrow, name):
    change, code, text = STRANGERS[name]
    change = dict(change)
    key = AccessKey(change.pop("id", narrow.key.id), change.pop("secret", narrow.key.secret), ALLOWED)
    kms = narrow.client(key, **change)
    exception, error, status = refused(kms.describe_key, KeyId=narrow.key_id)
    assert (type(exception), error["Code"], error["Message"], status) == (ClientError, code, text, 400)
    record = narrow.record(request_id(exception.response))
    assert (record["errorCode"], record["userIdentity"]["type"]) == (code, "Unknown")
    kms.close()


def test_a_session_token_that_was_never_issued_is_refused(narrow):
    kms = boto3.session.Session().client(
        "kms",
        endpoint_url=narrow.endpoint,
        region_name="us-east-1",
        aws_access_key_id=narrow.key.id,
        aws_secret_access_key=narrow.key.secret,
        aws_session_token="a session that was never opened",
        config=Config(retries={"total_max_attempts": 1}),
    )
    _, error, status = refused(kms.describe_key, KeyId=narrow.key_id)
    assert (error["Code"], status) == ("UnrecognizedClientException", 400)
    assert error["Message"] == "The security token included in the request is invalid."
    kms.close()


def test_an_authorization_header_without_its_parts_is_refused_by_naming_them(narrow):
    def on_its_way(request, **_):
        request.headers["Authorization"] = b"AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE"

    kms = narrow.client()
    kms.meta.events.register_last("before-send.kms", on_its_way)
    _, error, status = refused(kms.describe_key, KeyId=narrow.key_id)
    assert (error["Code"], status) == ("IncompleteSignatureException", 400)
    assert error["Message"].startswith(
        "Authorization header requires 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter. "
    )
    kms.close()


def test_every_answer_has_the_headers_that_clients_rely_on(narrow, kms):
    headers = kms.describe_key(KeyId=narrow.key_id)["ResponseMetadata"]["HTTPHeaders"]
    assert headers["content-type"] == "application/x-amz-json-1.1"
    assert "date" in headers
    assert len(headers["x-amzn-requestid"]) == 36
