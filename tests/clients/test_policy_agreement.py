"""Random policies and requests, decided by the program and by a plain second reading; and what is true of all policies.

A case that is not agreed on is shown with its number: `policy_draws.drawn(number)` draws it again.
"""

import json
from collections import Counter
from multiprocessing import Pool
from random import Random

from direct import random_of_this_run
from naive_policy import decide
from policy_draws import OPERATORS, Draws, drawn
from policy_program import Judged

CASES = 100_000
BATCH = 5_000
PROCESSES = 2
# How many are changed, to see what a change does.
SAMPLE = 5_000
# Among so many every form of an operator is found.
DRAWN = 30_000
# How many disagreements are shown.
SHOWN = 5
# Each result has at least this part of the cases, or it was not much of a test.
LEAST = 0.15


def test_the_program_and_a_plain_second_reading_agree(tmp_path):
    seed = random_of_this_run().getrandbits(32)
    numbers = [f"{seed}/{number}" for number in range(CASES)]
    batches = [(tmp_path / f"{start}.jsonl", numbers[start : start + BATCH]) for start in range(0, CASES, BATCH)]
    with Pool(PROCESSES) as pool:
        compared = pool.starmap(compare, batches)
    disagreements = [one for _, many in compared for one in many]
    assert not disagreements, f"{len(disagreements)} of {CASES}:\n" + "\n".join(disagreements[:SHOWN])
    results = sum((results for results, _ in compared), Counter())
    assert results.total() == CASES
    assert len(results) == 3 and min(results.values()) > LEAST * CASES, results


def compare(file, numbers):
    """How often each result came, and the cases that are not agreed on."""
    cases = [drawn(number) for number in numbers]
    results, disagreements = Counter(), []
    for number, case, answer in zip(numbers, cases, Judged.of(cases, file).answers):
        verdict = decide(case)
        results[verdict.result] += 1
        if not agrees(verdict, answer):
            disagreements.append(f"{number!r}: {json.dumps(case)}\n    {verdict}\n    {json.dumps(answer)}")
    file.unlink()
    return results, disagreements


def agrees(verdict, answer):
    decision = "allow" if verdict.result == "Allowed" else "deny"
    if (answer.get("decision"), answer.get("result")) != (decision, verdict.result):
        return False
    return verdict.is_explained_by(answer["reasons"])


def test_every_operator_is_drawn_in_every_form():
    operators = {operator for number in range(DRAWN) for operator in operators_of(drawn(number))}
    assert operators == {
        f"{prefix}{operator}{suffix}"
        for operator in OPERATORS
        for prefix in ("", "ForAllValues:", "ForAnyValue:")
        for suffix in ("", "IfExists")
    } | {"Null"}


def operators_of(case):
    for documents in case["policies"].values():
        for document in documents if isinstance(documents, list) else [documents]:
            statements = document["Statement"]
            for statement in statements if isinstance(statements, list) else [statements]:
                yield from statement.get("Condition", {})


def test_one_more_deny_never_allows(tmp_path):
    for before, after in changed(tmp_path, lambda draws, case: draws.with_a_statement(case, "Deny")):
        assert after["decision"] == "deny" or before["decision"] == "allow", (before, after)


def test_one_more_allow_never_denies(tmp_path):
    for before, after in changed(tmp_path, lambda draws, case: draws.with_a_statement(case, "Allow")):
        assert after["decision"] == "allow" or before["decision"] == "deny", (before, after)


def test_the_order_of_what_is_listed_does_not_matter(tmp_path):
    for before, after in changed(tmp_path, lambda draws, case: draws.shuffled(case)):
        assert before["result"] == after["result"], (before, after)


def changed(directory, change):
    """What the program says of cases as they are drawn, and after a change; each case is its own name."""
    seed = random_of_this_run().getrandbits(32)
    draws = Draws(Random(seed))
    before = [drawn(f"{seed}/{number}") for number in range(SAMPLE)]
    after = [change(draws, case) for case in before]
    return zip(judged(before, directory), judged(after, directory), strict=True)


def judged(cases, directory):
    return Judged.of([case | {"id": json.dumps(case)} for case in cases], directory / "cases.jsonl").answers
