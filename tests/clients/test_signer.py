"""botocore as the signer: what it signs is accepted, and with any bit changed on the way it is refused."""

import datetime
import json
import os
import random
import re

import pytest
from wire import ACCOUNT, MISMATCH, connect, finish, send, signed, start

SEED = int(os.environ.get("KMSGATE_TEST_SEED", random.randrange(2**32)))
SIGNED, FLIPPED = 60, 240
INVALID, INCOMPLETE = "InvalidSignatureException", "IncompleteSignatureException"
UNRECOGNIZED = "UnrecognizedClientException"


def sources():
    """Loopback addresses, each for four requests: who fails more often is made to wait."""
    for number in range(1, 2**16):
        yield from 4 * [f"127.1.{number // 250}.{number % 250 + 1}"]


@pytest.fixture(scope="module")
def source():
    addresses = sources()
    return lambda: next(addresses)


@pytest.fixture
def rng(request):
    print(f"KMSGATE_TEST_SEED={SEED}")
    return random.Random(f"{SEED} {request.node.name}")


def some_text(rng, most):
    alphabet = "abcXYZ019 -_.:/=+@'\"\\{}[],é£€\U0001f511\n\t\u0000"
    return "".join(rng.choices(alphabet, k=rng.randrange(most + 1)))


def some_request(gateway, rng):
    """Any call with any encryption context, with or without headers of the caller's own."""
    key = rng.choice([gateway.key_id, gateway.key_arn, gateway.alias, f"{ACCOUNT}:{gateway.alias}"])
    context = {some_text(rng, 12): some_text(rng, 40) for _ in range(rng.randrange(5))}
    operation, parameters = rng.choice(
        [
            ("GenerateDataKeyWithoutPlaintext", {"KeyId": key, "KeySpec": "AES_256", "EncryptionContext": context}),
            (
                "GenerateDataKeyWithoutPlaintext",
                {"KeyId": key, "NumberOfBytes": rng.randint(1, 1024), "EncryptionContext": context},
            ),
            ("DescribeKey", {"KeyId": key}),
            ("ListKeys", {}),
            ("ListAliases", {"Limit": rng.randint(1, 100)}),
        ]
    )
    headers = {"Content-Type": rng.choice(["application/x-amz-json-1.1", "application/x-amz-json-1.1; charset=utf-8"])}
    if rng.random() < 0.5:
        headers[rng.choice(["X-Amz-Meta-Note", "X-Note", "Accept"])] = rng.choice(["a", "a  b", "a, b;c", '"a   b"'])
    body = json.dumps(parameters, ensure_ascii=rng.random() < 0.5).encode()
    return signed(gateway, operation, body, headers=headers)


def test_what_botocore_signs_is_accepted(allow_all, rng, source):
    for _ in range(SIGNED):
        request = some_request(allow_all, rng)
        answer = send(allow_all, request, source())
        assert answer.status == 200, (request, answer.body)


def flip(rng, data, allowed=lambda byte: True):
    """`data` with one of its bits flipped, such that the byte is still an allowed one."""
    choices = [(at, bit) for at in range(len(data)) for bit in range(8) if allowed(data[at] ^ 1 << bit)]
    at, bit = rng.choice(choices)
    return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


def in_a_header(byte):
    """What HTTP lets stand in a header's value."""
    return 0x20 <= byte != 0x7F


def flip_in_header(rng, request, header, part=".+"):
    value = request.headers[header].encode()
    start, end = re.search(part.encode(), value).span()
    request.headers[header] = value[:start] + flip(rng, value[start:end], in_a_header) + value[end:]


def flip_in_body(rng, request):
    request.body = flip(rng, request.body)
    return {INVALID}


def flip_in_signature(rng, request):
    flip_in_header(rng, request, "Authorization", "(?<=Signature=)[0-9a-f]{64}")
    return {INVALID, INCOMPLETE}


def flip_in_scope(rng, request):
    flip_in_header(rng, request, "Authorization", "(?<=Credential=)[^,]+")
    return {INVALID, INCOMPLETE, UNRECOGNIZED}


def flip_in_signed_header(rng, request):
    header = rng.choice(request.signed_headers)
    flip_in_header(rng, request, header)
    return {
        # Not a request to KMS, or not to one of its operations.
        "Content-Type": {INVALID, "UnknownOperationException"},
        "X-Amz-Target": {INVALID, "UnknownOperationException"},
        "X-Amz-Date": {INVALID, INCOMPLETE},
    }.get(header, {INVALID})


@pytest.mark.parametrize("change", [flip_in_body, flip_in_signature, flip_in_scope, flip_in_signed_header])
def test_what_has_a_bit_flipped_is_refused(allow_all, rng, source, change):
    for _ in range(FLIPPED // 4):
        request = some_request(allow_all, rng)
        codes = change(rng, request)
        answer = send(allow_all, request, source())
        assert (answer.status, answer.error[0] in codes) == (400, True), (request, answer.body)
        record = allow_all.record(answer.request_id)
        assert (record["errorCode"], record["userIdentity"]["type"]) == (answer.error[0], "Unknown")


def test_a_header_that_http_does_not_allow_is_refused_at_once(allow_all, source):
    request = signed(allow_all, "ListKeys", b"{}")
    # Python's client lets no such byte through either, so the head is written by hand.
    head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    connection = connect(allow_all, source())
    connection.connect()
    connection.sock.sendall(f"POST / HTTP/1.1\r\n{head}X-Note: \0\r\nContent-Length: 2\r\n\r\n{{}}".encode())
    assert connection.sock.recv(4096).startswith(b"HTTP/1.1 400 ")
    connection.close()


def unsign(request, header):
    """Takes a header out of those that were signed, and leaves it in the request."""
    names = re.search("SignedHeaders=([^,]+)", request.authorization)[1]
    left = ";".join(name for name in names.split(";") if name != header)
    request.replace("Authorization", f"SignedHeaders={names}", f"SignedHeaders={left}")


def change_scope(part, new):
    def change(request):
        scope = re.search("Credential=([^,]+)", request.authorization)[1].split("/")
        changed = [*scope[:part], new, *scope[part + 1 :]]
        request.replace("Authorization", "/".join(scope), "/".join(changed))

    return change


def drop_parameter(name):
    def change(request):
        parts = request.authorization.removeprefix("AWS4-HMAC-SHA256 ").split(", ")
        request.headers["Authorization"] = "AWS4-HMAC-SHA256 " + ", ".join(p for p in parts if not p.startswith(name))

    return change


def set_header(name, value):
    def change(request):
        request.headers[name] = value

    return change


def twice(request):
    request.headers["Authorization"] = 2 * [request.authorization]


# Each condition of a signature, broken alone: sections 1 and 2 of what is known of AWS's verifier. `None` stands for a
# text that is not recorded.
CONDITIONS = {
    "no Authorization header": (
        lambda request: request.headers.pop("Authorization"),
        "MissingAuthenticationTokenException",
        "Missing Authentication Token",
    ),
    "two Authorization headers": (twice, INCOMPLETE, None),
    "another algorithm": (
        lambda request: request.replace("Authorization", "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA512"),
        INCOMPLETE,
        "Unsupported AWS 'algorithm': 'AWS4-HMAC-SHA512'.",
    ),
    "no credential": (
        drop_parameter("Credential"),
        INCOMPLETE,
        re.compile("Authorization header requires 'Credential' parameter. .*"),
    ),
    "no signature": (
        drop_parameter("Signature"),
        INCOMPLETE,
        re.compile("Authorization header requires 'Signature' parameter. .*"),
    ),
    "no signed headers": (
        drop_parameter("SignedHeaders"),
        INCOMPLETE,
        re.compile("Authorization header requires 'SignedHeaders' parameter. .*"),
    ),
    "no date": (
        lambda request: request.headers.pop("X-Amz-Date"),
        INCOMPLETE,
        re.compile("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. .*"),
    ),
    "a date with a fraction": (
        set_header("X-Amz-Date", "20261124T070000.5Z"),
        INCOMPLETE,
        "Date must be in ISO-8601 'basic format'. Got '20261124T070000.5Z'. See http://en.wikipedia.org/wiki/ISO_8601",
    ),
    "a day that there is not": (
        set_header("X-Amz-Date", "20260230T070000Z"),
        INCOMPLETE,
        "Date must be in ISO-8601 'basic format'. Got '20260230T070000Z'. See http://en.wikipedia.org/wiki/ISO_8601",
    ),
    "the host not signed": (
        lambda request: unsign(request, "host"),
        INVALID,
        "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.",
    ),
    "a signed header not sent": (
        lambda request: request.headers.pop("X-Amz-Meta-Note"),
        INVALID,
        "'x-amz-meta-note' is named as a SignedHeader, but it does not exist in the HTTP request.",
    ),
    "an x-amz header not signed": (lambda request: unsign(request, "x-amz-meta-note"), INVALID, MISMATCH),
    "the target not signed": (lambda request: unsign(request, "x-amz-target"), INVALID, MISMATCH),
    "the date not signed": (lambda request: unsign(request, "x-amz-date"), INVALID, MISMATCH),
    "an x-amz header more": (set_header("X-Amz-Meta-More", "a"), INVALID, MISMATCH),
    "a hash of another body": (set_header("X-Amz-Content-SHA256", 64 * "0"), INVALID, MISMATCH),
    "a body that is not to be hashed": (set_header("X-Amz-Content-SHA256", "UNSIGNED-PAYLOAD"), INVALID, MISMATCH),
    "a host that is not the gateway's": (set_header("Host", "kms.example.com"), INVALID, MISMATCH),
    "four elements": (
        lambda request: request.replace("Authorization", "/aws4_request", ""),
        INCOMPLETE,
        re.compile(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got .*"
        ),
    ),
    "another region": (
        change_scope(2, "us-west-2"),
        INVALID,
        "Credential should be scoped to a valid region, not 'us-west-2'. ",
    ),
    "another service": (
        change_scope(3, "s3"),
        INVALID,
        "Credential should be scoped to correct service: 'kms'. ",
    ),
    "another terminator": (
        change_scope(4, "aws5_request"),
        INVALID,
        re.compile("Credential should be scoped with a valid terminator: 'aws4_request', not 'aws5_request'. ?"),
    ),
    "a scope of another day": (
        change_scope(1, "20151124"),
        INVALID,
        re.compile(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20151124' != "
            r"'(\d{8})', from '\1T\d{6}Z'\."
        ),
    ),
    "an unknown access key": (
        change_scope(0, "AKIAIOSFODNN7EXAMPLE"),
        UNRECOGNIZED,
        "The security token included in the request is invalid.",
    ),
    "a signature in upper case": (
        lambda request: request.replace("Authorization", request.authorization[-64:], 64 * "A"),
        INVALID,
        MISMATCH,
    ),
}


@pytest.mark.parametrize("name", CONDITIONS)
def test_each_condition_of_a_signature_is_refused_in_the_words_of_aws(narrow, source, name):
    change, code, text = CONDITIONS[name]
    request = signed(narrow, "DescribeKey", b'{"KeyId":"alias/quickstart"}', headers={"X-Amz-Meta-Note": "a"})
    change(request)
    answer = send(narrow, request, source())
    got_code, got_text = answer.error
    assert (answer.status, got_code) == (400, code)
    assert text is None or re.fullmatch(re.escape(text) if isinstance(text, str) else text, got_text), got_text
    assert narrow.record(answer.request_id)["errorCode"] == code


def test_a_signature_is_good_for_five_minutes_both_ways(narrow, source):
    # Half a minute of grace is for a machine that stalls.
    for seconds in (-270, 270):
        answer = send(narrow, signed(narrow, "DescribeKey", b'{"KeyId":"alias/quickstart"}', seconds_ahead=seconds))
        assert answer.status == 200, answer.body


@pytest.mark.parametrize(
    ("seconds", "text", "sign"),
    [
        (-330, r"Signature expired: (\w+) is now earlier than (\w+) \((\w+) - 5 min\.\)", -1),
        (330, r"Signature not yet current: (\w+) is still later than (\w+) \((\w+) \+ 5 min\.\)", 1),
    ],
)
def test_a_signature_outside_its_window_is_refused_with_the_three_times(narrow, source, seconds, text, sign):
    request = signed(narrow, "DescribeKey", b'{"KeyId":"alias/quickstart"}', seconds_ahead=seconds)
    answer = send(narrow, request, source())
    code, message = answer.error
    assert (answer.status, code) == (400, INVALID)
    times = re.fullmatch(text, message).groups()
    signed_at, bound, now = (datetime.datetime.strptime(time, "%Y%m%dT%H%M%SZ") for time in times)
    assert times[0] == request.headers["X-Amz-Date"]
    assert bound - now == sign * datetime.timedelta(minutes=5)
    assert (signed_at - bound) * sign > datetime.timedelta(0)


def test_a_peer_whose_signatures_fail_is_not_locked_out(narrow):
    source = "127.2.0.1"
    for _ in range(8):
        request = signed(narrow, "DescribeKey", b'{"KeyId":"alias/quickstart"}')
        request.body += b" "
        assert send(narrow, request, source).error == (INVALID, MISMATCH)
    assert send(narrow, signed(narrow, "DescribeKey", b'{"KeyId":"alias/quickstart"}'), source).status == 200


def test_bad_news_of_the_head_does_not_wait_for_the_body(narrow, source):
    request = signed(narrow, "DescribeKey", 1000 * b" ", region="eu-west-1")
    connection = connect(narrow, source())
    start(connection, request, Expect="100-continue")
    answer = finish(connection)
    assert (answer.status, answer.error[0]) == (400, INVALID)
