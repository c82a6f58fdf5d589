"""Golden vectors of OTLP logs, encoded by the official messages and not by ours: from the mapping in the manual alone.

    pip install opentelemetry-proto==1.45.2
    python3 tests/vectors/otlp_logs.py > tests/vectors/otlp_logs.json

The unit tests beside the code read the JSON. tests/run does not run this script: the lines stand in it, and what is
made of them never changes.
"""

import base64
import calendar
import json
import time

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import SeverityNumber

INSTANCE, VERSION = "gateway-7c9f é", "1.2.3"
NOW_MICROS = 1_795_458_161_000_084
KEY = "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
USUAL = {
    "eventVersion": "1.11",
    "userIdentity": {"type": "Unknown"},
    "eventTime": "2026-11-23T18:22:41Z",
    "eventSource": "kms.amazonaws.com",
    "eventName": "GenerateDataKeyWithoutPlaintext",
    "awsRegion": "us-west-2",
    "sourceIPAddress": "192.0.2.10",
    "userAgent": "aws-sdk-rust/1.3.10 os/linux lang/rust/1.91.0",
    "requestParameters": {"keyId": "alias/orders", "encryptionContext": {"Project": "Alpha \"é\"\n"}},
    "responseElements": None,
    "requestID": "52fb127b-0fe5-42bb-8e5e-f560febde6b0",
    "eventID": "9b6bd6d2-529d-4890-a949-593b13800ad7",
    "readOnly": True,
    "resources": [{"accountId": "111122223333", "type": "AWS::KMS::Key", "ARN": KEY}],
    "eventType": "AwsApiCall",
}
WITHOUT_REQUEST = {"requestID", "sourceIPAddress", "userAgent"}


def record(gateway, **members):
    record = {name: value for name, value in (USUAL | members).items() if value != "absent"}
    return record | {"additionalEventData": {"keyMaterialId": "0b7f", "gateway": gateway}}


def event(name, source, gateway, **members):
    return record(gateway, eventName=name, eventSource=source, eventType="AwsServiceEvent", **members)


def lines():
    chain = {"latencyMicros": 84, "sequence": 17, "previousHash": "ab" * 32}
    absent = dict.fromkeys(WITHOUT_REQUEST, "absent")
    records = [
        record(chain),
        record({}, errorCode="AccessDenied", errorMessage="no", eventName="Decrypt"),
        # Escapes in what becomes an attribute, a text that is long, and a number that is.
        record(chain | {"sequence": 2**53 + 1}, userAgent="a\"b\\c\té" + "x" * 1000),
        record({}, requestID="absent", userAgent="absent", awsRegion="absent"),
        record({}, eventTime="some time", eventName="Sign"),
        record({}, eventTime="1969-12-31T23:59:59Z"),
        event("DeleteKey", "kms.amazonaws.com", {}, requestID="absent", sourceIPAddress="AWS Internal"),
        event("AuditCheckpoint", "kmsgate", chain | {"checkpoint": {"reason": "interval"}}, **absent),
        event("AuditLineRepaired", "kmsgate", chain | {"repaired": {"bytes": 3, "text": "eyJh"}}, **absent),
        event("UnauthenticatedRefusals", "kmsgate", {"refusals": {"count": 9}}, **absent),
    ]
    for separators, ascii in [((",", ":"), False), ((", ", ": "), True)]:
        yield from (json.dumps(record, separators=separators, ensure_ascii=ascii).encode() for record in records)
    yield from [b"", b"no JSON", b"{}", b'{"eventTime":7}', b'{"torn":"\xff\xfe', "no JSON é".encode()]


def text(value):
    return AnyValue(string_value=value)


def add(attributes, name, value):
    attributes.append(KeyValue(key=name, value=value))


def request(lines):
    made = ExportLogsServiceRequest()
    logs = made.resource_logs.add()
    for name, value in [("name", "kmsgate"), ("instance.id", INSTANCE), ("version", VERSION)]:
        add(logs.resource.attributes, f"service.{name}", text(value))
    scope = logs.scope_logs.add()
    scope.scope.CopyFrom(InstrumentationScope(name="kmsgate", version=VERSION))
    for line in lines:
        fill(scope.log_records.add(), line)
    return made.SerializeToString(deterministic=True)


def fill(log, line):
    log.observed_time_unix_nano = NOW_MICROS * 1000
    try:
        log.body.string_value = line.decode()
    except UnicodeDecodeError:
        log.body.bytes_value = line
    try:
        read = json.loads(line)
        source, name = read["eventSource"], read["eventName"]
    except (ValueError, KeyError):
        return
    try:
        at = calendar.timegm(time.strptime(read["eventTime"], "%Y-%m-%dT%H:%M:%SZ"))
        log.time_unix_nano = max(at, 0) * 10**9
    except ValueError:
        pass
    warned = "errorCode" in read or name in ["AuditLineRepaired", "UnauthenticatedRefusals"]
    number = SeverityNumber.SEVERITY_NUMBER_WARN if warned else SeverityNumber.SEVERITY_NUMBER_INFO
    log.severity_number, log.severity_text = number, "WARN" if warned else "INFO"
    log.event_name = f"{source.split('.')[0]}.{name}"
    request = read["eventType"] == "AwsApiCall"
    attributes = {
        "rpc.system": request and "aws-api",
        "rpc.service": request and "KMS",
        "rpc.method": request and name,
        "cloud.region": read.get("awsRegion"),
        "aws.request_id": read.get("requestID"),
        "client.address": request and read.get("sourceIPAddress"),
        "user_agent.original": request and read.get("userAgent"),
        "error.type": read.get("errorCode"),
    }
    for attribute, value in attributes.items():
        if value:
            add(log.attributes, attribute, text(value))
    if sequence := read["additionalEventData"]["gateway"].get("sequence"):
        add(log.attributes, "kmsgate.sequence", AnyValue(int_value=sequence))


def response(rejected, message):
    partial = ExportLogsPartialSuccess(rejected_log_records=rejected, error_message=message)
    return ExportLogsServiceResponse(partial_success=partial).SerializeToString()


def base64_of(data):
    return base64.b64encode(data).decode()


ALL = list(lines())
ANSWERS = [(0, ""), (0, "a warning"), (1, ""), (300, "too old: é"), (2**63 - 1, "all"), (-1, "none of it")]
print(
    json.dumps(
        {
            "instance": INSTANCE,
            "version": VERSION,
            "nowMicros": NOW_MICROS,
            "lines": [base64_of(line) for line in ALL],
            # Of the first lines, so many.
            "requests": [
                {"lines": count, "request": base64_of(request(ALL[:count]))}
                # The last has a length of three bytes.
                for count in [1, len(ALL)]
            ],
            "answers": [
                {"rejected": rejected, "message": message, "body": base64_of(response(rejected, message))}
                for rejected, message in ANSWERS
            ],
        },
        indent=1,
    )
)
