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
    batches = [(tmp_path / f"{start}.jsonl", [f"{seed}/{start + n}" for n in range(BATCH)]) for start in range(0, CASES, BATCH)]
    with Pool(PROCESSES) as pool:
        compared = pool.starmap(compare, batches)
    results, disagreements = sum((results for results, _ in compared), Counter()), [one for _, many in compared for one in many]
    assert not disagreements, f"{len(disagreements)} of {CASES}:\n" + "\n".join(disagreements[:SHOWN])
    assert results.total() == CASES
    assert min(results[result] for result in ("Allowed", "ImplicitlyDenied", "ExplicitlyDenied")) > LEAST * CASES, results


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
    if answer.get("result") != verdict.result or answer["decision"] != ("allow" if verdict.result == "Allowed" else "deny"):
        return False
    reasons = verdict.reasons
    return reasons is None or (
        len(reasons) == len(answer["reasons"]) and all(naive.is_given_by(reason) for naive, reason in zip(reasons, answer["reasons"]))
    )


def test_every_operator_is_drawn_in_every_form():
    operators = {operator for number in range(DRAWN) for operator in operators_of(drawn(number))}
    forms = {f"{prefix}{operator}{suffix}" for operator in OPERATORS for prefix in PREFIXES for suffix in ("", "IfExists")}
    assert operators == {form for form in forms if not form.endswith("NullIfExists") and not form.endswith(":Null")}


PREFIXES = ("", "ForAllValues:", "ForAnyValue:")


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
    answers = [Judged.of([case | {"id": json.dumps(case)} for case in cases], directory / "cases.jsonl").answers for cases in (before, after)]
    return list(zip(*answers, strict=True))
