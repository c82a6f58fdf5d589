"""The commands that look into policies without a gateway, as a CI runs them."""

import json
import subprocess
from pathlib import Path

import pytest
from gateway import PATIENCE, PROGRAM, ServeFiles, allow

ALICE = "arn:aws:iam::111122223333:user/alice"
KEY = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
SHIPPED = Path(__file__).parents[2] / "config/policies"


def run(*arguments, stdin=b""):
    arguments = [PROGRAM, "policy", *map(str, arguments)]
    done = subprocess.run(arguments, input=stdin, capture_output=True, timeout=10 * PATIENCE)
    return done.returncode, done.stdout.decode(), done.stderr.decode().strip()


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def case(action="kms:Decrypt", expect="allow", **more):
    request = {"principal": ALICE, "action": action, "resource": KEY}
    return {"policies": {"identity": [allow("kms:Decrypt")]}, "request": request, "expect": expect} | more


def judged(*cases):
    """The exit code, the answers and the summary for cases, each of them bytes or something to write as JSON."""
    text = b"\n".join(one if isinstance(one, bytes) else json.dumps(one).encode() for one in cases)
    code, out, summary = run("test", "-", stdin=text)
    return code, lines(out), summary


def test_a_case_is_answered_with_what_decided_it():
    code, answers, summary = judged(case(id="a"), case("kms:Sign", "deny"))
    assert (code, summary) == (0, "2 cases: 2 ok, 0 not as expected")
    reason = {"layer": "identity", "effect": "Allow", "policy": 0, "statement": 0}
    allowed = {"id": "a", "decision": "allow", "result": "Allowed", "reasons": [reason], "ok": True}
    reason = {"layer": "identity", "effect": "None"}
    refused = {"id": 2, "decision": "deny", "result": "ImplicitlyDenied", "reasons": [reason], "ok": True}
    assert answers == [allowed, refused]


def test_what_is_not_as_expected_or_has_faults_ends_with_1(tmp_path):
    code, answers, summary = judged(case(expect="deny"))
    assert (code, answers[0]["ok"], summary) == (1, False, "1 case: 0 ok, 1 not as expected")
    file = tmp_path / "cases.jsonl"
    file.write_text("\n".join(["{", "", json.dumps(case())]))
    code, out, summary = run("test", file)
    answers = lines(out)
    assert (code, summary) == (1, "2 cases: 1 ok, 0 not as expected, 1 with faults")
    assert [answer["id"] for answer in answers] == [1, 3]
    assert answers[0].keys() == {"id", "error", "ok"}


def test_what_cannot_be_read_ends_with_64(tmp_path):
    for file in [tmp_path / "missing", tmp_path]:
        code, out, error = run("test", file)
        assert (code, out) == (64, "") and str(file) in error


def test_bad_input_is_a_fault_of_its_case_and_ends_nothing():
    deep = b'{"policies":{"key":' + b"[" * 200_000 + b"]" * 200_000 + b"}}"
    large = case(id="large") | {"request": {"context": {"aws:userid": "x" * 10_000_000}, **case()["request"]}}
    huge = b'{"id":"huge","policies":{"identity":["' + b"\\u0041" * 1_700_000 + b'"]}}'
    keys = case() | {"request": case()["request"] | {"context": {f"aws:PrincipalTag/{i}": "x" for i in range(200_000)}}}
    bad = [keys, b"\xff\xfe", b"null", b"{}", b'{"id":"\\ud800"}', b'{"a":1e999}', deep, huge, b"{" * 1000]
    code, answers, summary = judged(case(id="first"), *bad, b"", b" \t\r", large, case(id="last"))
    assert (code, summary) == (1, "12 cases: 3 ok, 0 not as expected, 9 with faults")
    assert [answer["id"] for answer in answers if answer["ok"]] == ["first", "large", "last"]
    assert all(answer["error"] for answer in answers if not answer["ok"])


def test_no_case_is_no_failure():
    for nothing in [b"", b"\n\n", b"\r\n  \n"]:
        assert judged(nothing) == (0, [], "0 cases: 0 ok, 0 not as expected")


def test_the_policies_that_are_to_be_copied_do_what_their_cases_say_and_have_no_faults():
    file = SHIPPED / "cases.jsonl"
    code, out, summary = run("test", file)
    assert code == 0, [answer for answer in lines(out) if not answer["ok"]]
    assert summary.endswith(": 41 ok, 0 not as expected")
    expected = set()
    for one in lines(file.read_text()):
        name, _ = one["id"].split(": ")
        assert one["policies"]["identity"] == [json.loads((SHIPPED / f"{name}.json").read_text())], one["id"]
        expected.add((name, one["expect"]))
    names = ["only-wrap", "context-scoped", "grant-delegated"]
    assert expected == {(name, expect) for name in names for expect in ("allow", "deny")}
    code, out, error = run("check", *[SHIPPED / f"{name}.json" for name in names])
    assert (code, out, error) == (0, "ok: 3 documents, 0 faults, 0 warnings\n", "")


@pytest.fixture
def checked(tmp_path):
    """The exit code and the findings for a document, as JSON."""

    def check(document, *arguments):
        file = tmp_path / "policy.json"
        file.write_bytes(document if isinstance(document, bytes) else json.dumps(document).encode())
        code, out, error = run("check", file, "--json", *arguments)
        findings = lines(out)
        assert error == "" and all(finding.pop("file") == str(file) for finding in findings)
        return code, findings

    return check


def test_faults_end_with_64_and_warnings_do_not(checked):
    assert checked(allow("kms:Decrypt")) == (0, [])
    code, [warning] = checked(allow("kms:*"))
    assert (code, warning["severity"], warning["path"]) == (0, "warning", "Statement[0]")
    assert warning.keys() == {"path", "severity", "message", "hint"}
    code, [fault] = checked(allow("Decrypt"))
    assert (code, fault["severity"], fault["path"]) == (64, "fault", "Statement[0].Action[0]")
    assert fault["hint"] == "did you mean `kms:Decrypt`?"


def test_what_is_no_document_is_a_fault(checked):
    for text in [b"", b"\xff", b"[" * 200_000, b"[]", b'{"Statement":' + b" " * 9_000_000 + b"[]}"]:
        code, [fault] = checked(text)
        assert (code, fault["severity"]) == (64, "fault")


def test_a_document_with_principals_is_a_key_policy(checked):
    policy = allow("kms:*", Principal={"AWS": "111122223333"})
    assert checked(policy) == (0, [])
    code, [fault] = checked(policy, "--kind", "identity")
    assert (code, fault["path"]) == (64, "Statement[0].Principal")
    assert checked(allow("kms:*"), "--kind", "boundary") == (0, [])


def test_a_principal_that_the_configuration_does_not_have_is_told_with_its_place(checked, tmp_path):
    files = ServeFiles(tmp_path)
    files.access_key("alice")
    policy = allow("kms:*", Principal={"AWS": ["111122223333", ALICE, ALICE + "s"]})
    assert checked(policy) == (0, [])
    code, [warning] = checked(policy, "--config", files.config)
    assert (code, warning["severity"], warning["path"]) == (0, "warning", "Statement[0].Principal")
    assert warning["message"] == f"`{ALICE}s` is no principal of {files.credentials}"
    files.config.write_text("")
    code, out, error = run("check", tmp_path / "policy.json", "--config", files.config)
    assert (code, out) == (64, "") and error.endswith("faults found")


def test_findings_are_for_people_too(tmp_path):
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(json.dumps(allow("kms:*")))
    bad.write_text(json.dumps(allow([])))
    code, out, error = run("check", good)
    assert (code, out) == (0, "ok: 1 document, 0 faults, 1 warning\n")
    assert error.startswith(f"warning: {good}: Statement[0]: ") and "\n    hint: " in error
    code, out, error = run("check", good, bad, tmp_path / "missing.json")
    assert (code, out) == (64, "") and error.endswith("3 documents, 2 faults, 1 warning")
    assert f"{tmp_path / 'missing.json'}: cannot be read: " in error
