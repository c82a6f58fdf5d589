"""`kmsgate audit report` against counts made by Python."""

import csv
import gzip
import io
import json
import subprocess
from collections import Counter

import pytest
from audit_chain import ACCOUNT, KEY, Trail, joined
from gateway import PATIENCE, PROGRAM

OTHER = KEY.replace("1234abcd", "4321abcd")


def report(*arguments, stdin=b""):
    command = [PROGRAM, "audit", "report", *map(str, arguments)]
    done = subprocess.run(command, input=stdin, capture_output=True, timeout=10 * PATIENCE)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.fixture
def trail():
    """Some hundred requests of some users on two keys, some refused, one every minute."""
    trail = Trail()
    trail.checkpoint("start")
    for index in range(300):
        trail.pass_time(60)
        refused = {"errorCode": "AccessDenied"} if index % 4 == 0 else {}
        decided = {"decision": "ImplicitDeny", "action": "kms:Decrypt", "layer": "identity", "policy": f"p{index % 2}"}
        gateway = {"reasons": [decided]} if refused else {}
        if index % 10 == 3:
            refused, gateway = {"errorCode": "ThrottlingException"}, {"limiter": "principal"}
        operation = ["Decrypt", "Encrypt", "DescribeKey"][index % 3]
        trail.request(operation, f"app-{index % 5}", [KEY, OTHER][index % 2], gateway, **refused)
    trail.checkpoint("stop")
    return trail


def requests(trail):
    records = map(json.loads, trail.lines)
    return [record for record in records if record["eventSource"] == "kms.amazonaws.com"]


def parts(record):
    return record["userIdentity"]["arn"], record["resources"][0]["ARN"], record["eventName"]


def test_requests_are_counted_as_they_are_told_apart(trail, tmp_path):
    file = tmp_path / "audit.jsonl"
    file.write_bytes(joined(trail.lines))
    names = ["principal", "key", "operation"]
    for by in [names, ["principal"], ["key"], ["operation", "principal"]]:
        code, out, said = report(file, "--format", "json", "--by", ",".join(by))
        assert (code, said) == (0, "")
        told = json.loads(out)
        assert (told["requests"], told["faultyLines"], told["unauthenticatedRefusals"]) == (300, 0, None)
        chosen = [index for index, name in enumerate(names) if name in by]
        allowed, refused, times = Counter(), Counter(), {}
        for record in requests(trail):
            row = tuple(parts(record)[index] for index in chosen)
            (refused if "errorCode" in record else allowed)[row] += 1
            times.setdefault(row, []).append(record["eventTime"])
        rows = {tuple(row[names[index]] for index in chosen): row for row in told["rows"]}
        assert rows.keys() == times.keys()
        for row, shown in rows.items():
            assert (shown["allowed"], shown["refused"]) == (allowed[row], refused[row])
            assert (shown["first"], shown["last"]) == (min(times[row]), max(times[row]))
            assert shown.keys() == {*by, "allowed", "refused", "first", "last", "reasons"}
        totals = [row["allowed"] + row["refused"] for row in told["rows"]]
        assert totals == sorted(totals, reverse=True)


def test_refusals_are_counted_by_what_decided(trail):
    code, out, _ = report("-", "--format", "json", "--by", "operation", stdin=joined(trail.lines))
    expected = Counter()
    for record in requests(trail):
        if "errorCode" in record:
            gateway = record["additionalEventData"]["gateway"]
            by = ("limiter", gateway["limiter"]) if "limiter" in gateway else ("identity", gateway["reasons"][0]["policy"])
            expected[(record["eventName"], record["errorCode"], *by)] += 1
    told = Counter()
    for row in json.loads(out)["rows"]:
        for reason in row["reasons"]:
            told[(row["operation"], reason["errorCode"], reason["layer"], reason["policy"])] += reason["count"]
    assert told == expected and len(expected) > 5


def test_a_period_has_a_beginning_and_an_end(trail, tmp_path):
    file = tmp_path / "audit.jsonl.gz"
    file.write_bytes(gzip.compress(joined(trail.lines)))
    since, until = "2026-11-23T20:00:41Z", "2026-11-23T21:00:41Z"
    code, out, _ = report(file, "--since", since, "--until", until, "--format", "json")
    expected = sum(since <= record["eventTime"] < until for record in requests(trail))
    assert (code, json.loads(out)["requests"], expected) == (0, expected, 60)
    assert json.loads(report(file, "--since", "2026-11-24", "--format", "json")[1])["requests"] == 0
    assert report(file, "--since", "yesterday")[0] == 64


def test_a_spreadsheet_gets_rows_and_no_formulas(trail, tmp_path):
    trail.request(user="x", key=None, requestParameters={"keyId": "=cmd|' /C calc'!A0"})
    trail.request(user="x", key=None, requestParameters={"keyId": '-1,"2"\n;@SUM(A1)'})
    code, out, _ = report("-", "--format", "csv", stdin=joined(trail.lines))
    rows = list(csv.DictReader(io.StringIO(out)))
    assert code == 0
    told = {(row["principal"], row["key"], row["operation"]): row for row in rows}
    allowed = Counter(parts(record) for record in requests(trail)[:300] if "errorCode" not in record)
    refused = Counter(parts(record) for record in requests(trail)[:300] if "errorCode" in record)
    x = f"arn:aws:iam::{ACCOUNT}:user/x"
    for row in allowed.keys() | refused.keys():
        assert (int(told[row]["allowed"]), int(told[row]["refused"])) == (allowed[row], refused[row])
    assert (x, "'=cmd|' /C calc'!A0", "Decrypt") in told
    assert (x, "'-1,\"2\"\n;@SUM(A1)", "Decrypt") in told
    assert all(cell[:1] not in "=+-@" or cell == "" for row in rows for cell in row.values())


def test_people_get_a_table(trail, tmp_path):
    hostile = "\x1b[2J\u202e"
    trail.request(user="x", key=None, requestParameters={"keyId": hostile}, errorCode=hostile)
    code, out, _ = report("-", "--by", "principal", stdin=joined(trail.lines))
    lines = out.splitlines()
    assert code == 0
    assert lines[0].split() == ["principal", "allowed", "refused", "first", "last"]
    allowed = Counter(parts(record)[0] for record in requests(trail)[:300] if "errorCode" not in record)
    user, count = allowed.most_common(1)[0]
    row = next(line.split() for line in lines if line.startswith(user.rpartition(":")[2]))
    assert row[1] == str(count)
    assert "refused with" in out and "limiter" in out
    assert all(letter == "\n" or letter.isprintable() for letter in out)


def test_refusals_that_the_gateway_counted_up_are_added(trail):
    for hour, count in [("10", 1200), ("09", 34)]:
        codes = {"UnrecognizedClientException": count - 4, "MissingAuthenticationTokenException": 4}
        refusals = {"from": f"2026-11-24T{hour}:00:00Z", "to": f"2026-11-24T{hour}:00:01Z", "count": count}
        trail.event("UnauthenticatedRefusals", {"refusals": refusals | {"byErrorCode": codes}})
    code, out, _ = report("-", "--format", "json", stdin=joined(trail.lines))
    assert json.loads(out)["unauthenticatedRefusals"] == {
        "from": "2026-11-24T09:00:00Z",
        "to": "2026-11-24T10:00:01Z",
        "count": 1234,
        "byErrorCode": {"UnrecognizedClientException": 1226, "MissingAuthenticationTokenException": 8},
    }
    assert json.loads(out)["requests"] == 300
    assert "1,234 more refused without authentication" in report("-", stdin=joined(trail.lines))[1]


def test_a_request_about_two_keys_counts_for_each(tmp_path):
    trail = Trail()
    resources = [{"type": "AWS::KMS::Key", "ARN": arn} for arn in [KEY, OTHER]]
    trail.request("ReEncrypt", resources=resources)
    told = json.loads(report("-", "--format", "json", stdin=joined(trail.lines))[1])
    assert (told["requests"], {row["key"] for row in told["rows"]}) == (1, {KEY, OTHER})
    assert len(json.loads(report("-", "--format", "json", "--by", "principal", stdin=joined(trail.lines))[1])["rows"]) == 1


def test_what_is_no_record_is_counted_and_a_missing_file_is_not(tmp_path, trail):
    content = joined(trail.lines) + b"garbage\n\xff\0\n" + b"x" * 5_000_000 + b"\n" + b'{"begun'
    code, out, said = report("-", "--format", "json", stdin=content)
    told = json.loads(out)
    assert (code, told["requests"], told["faultyLines"]) == (0, 300, 3)
    assert "3 lines not counted" in said
    for files in [[tmp_path / "none"], [tmp_path], []]:
        assert report(*files)[0] == 64
