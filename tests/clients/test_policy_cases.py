"""The cases of tests/policies, by the program and by a plain second reading.

What is expected there was found row by row in the documentation of AWS, and is no program's answer. Each line is a case
of `kmsgate policy test`, with what only this test knows: `expected` is the whole result: how the request is decided, and by which
statements or for want of whose Allow (left out where several might be named). A case with `"error": true` has a
document that has to be refused. A trap, like `trap-05`, is a mistake that is often made with policies.
"""

import json
from pathlib import Path

import pytest
from naive_policy import decide
from policy_program import Judged

FILES = sorted((Path(__file__).parents[1] / "policies").glob("*.jsonl"))
# How the line of a case ends whose document has to be refused.
ERROR = ', "error": true}'
# What the project promises.
LEAST = 300
# Those that a grant has to do with are not here.
TRAPS = {f"trap-{number:02}" for number in range(1, 26)} - {"trap-04", "trap-22", "trap-23"}


def lines_of(file):
    return file.read_text().splitlines()


def cases_of(file):
    return [json.loads(line) for line in lines_of(file)]


CASES = [case for file in FILES for case in cases_of(file)]
SOUND = [case for case in CASES if "error" not in case]


def test_there_are_as_many_as_promised_and_each_has_a_name_of_its_own():
    names = [case["id"] for case in CASES]
    assert len(names) >= LEAST
    assert len(names) == len(set(names))
    assert set(names) >= TRAPS
    assert all(line.endswith(ERROR) == ("error" in json.loads(line)) for file in FILES for line in lines_of(file))
    assert all((case["expect"] == "allow") == (case["expected"]["result"] == "Allowed") for case in SOUND)


@pytest.fixture(scope="module", params=FILES, ids=lambda file: file.stem)
def judged(request, tmp_path_factory):
    file = tmp_path_factory.mktemp("cases") / request.param.name
    file.write_text("".join(f"{asked(line)}\n" for line in lines_of(request.param)))
    return cases_of(request.param), Judged(file)


def asked(line):
    """The case without what only this test knows. A fault may be a member that is there twice, so it stays as text."""
    case = json.loads(line)
    if "error" in case:
        return line.removesuffix(ERROR) + "}"
    return json.dumps({name: member for name, member in case.items() if name != "expected"})


def test_the_program_decides_each_case_as_expected(judged):
    cases, program = judged
    wrong = [
        f"{case['id']}: {answer}" for case, answer in zip(cases, program.answers, strict=True) if not fits(answer, case)
    ]
    assert not wrong, "\n".join(wrong)


def test_the_program_fails_if_it_refuses_a_document_and_only_then(judged):
    cases, program = judged
    assert program.code == (1 if any("error" in case for case in cases) else 0), program.summary


def test_an_expectation_that_is_not_met_fails(tmp_path):
    case = next(case for case in SOUND if case["expect"] == "deny")
    case = json.loads(asked(json.dumps(case))) | {"expect": "allow"}
    program = Judged.of([case], tmp_path / "cases.jsonl")
    [answer] = program.answers
    assert (program.code, answer["decision"], answer["ok"]) == (1, "deny", False)


@pytest.mark.parametrize("case", SOUND, ids=lambda case: case["id"])
def test_a_plain_second_reading_comes_to_the_same(case):
    verdict, expected = decide(case), case["expected"]
    assert verdict.result == expected["result"]
    assert "reasons" not in expected or verdict.is_explained_by(expected["reasons"])


def fits(answer, case):
    """Whether the program says of this case what is expected."""
    if answer.get("id") != case["id"]:
        return False
    if "error" in case:
        return bool(answer.get("error")) and answer.get("ok") is False and "decision" not in answer
    expected = case["expected"]
    met = (answer.get("decision"), answer.get("result"), answer.get("ok")) == (case["expect"], expected["result"], True)
    return met and answer["reasons"] == expected.get("reasons", answer["reasons"])
