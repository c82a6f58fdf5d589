"""Conformance cases that a gateway which forwards may answer otherwise than KMS, each with the reason why."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

# What is said of a request before anything is asked of it.
OF_THE_FRONT = {"SerializationException", "UnknownOperationException", "InvalidSignatureException"}


@dataclass(frozen=True)
class Difference:
    reason: str
    holds_for: Callable
    # What may be told in place of the case's own error.
    codes: frozenset


def names_no_source(case):
    """Whether only the answer will say which key is used."""
    member = {"Decrypt": "KeyId", "ReEncrypt": "SourceKeyId"}.get(case.operation)
    return member is not None and member not in request(case)


KEYS = ["KeyId", "TargetKeyId", "SourceKeyId", "DestinationKeyId", "AliasName"]
# A key of the world, or one of its aliases, whole.
OF_THE_WORLD = re.compile(r"\$\{(new-)?[a-z-]+(\.(arn|alias))?\}")


def names_what_may_not_be_there(case):
    """Whether there are tokens, or what is no name of a key of the world."""
    members = request(case)
    names = [members[name] for name in KEYS if name in members]
    # Looked for in the text: it is no JSON before a list is filled in.
    return '"GrantTokens"' in case.request or not all(OF_THE_WORLD.fullmatch(str(name)) for name in names)


def request(case):
    """The members of a request that has any."""
    try:
        members = json.loads(case.request)
    except ValueError:
        return {}
    return members if isinstance(members, dict) else {}


DIFFERENCES = [
    Difference(
        "which key it is about is not told, so neither is what is wrong with it",
        lambda case: names_no_source(case) and case.code not in {None, "InvalidCiphertextException", *OF_THE_FRONT},
        frozenset({"AccessDeniedException"}),
    ),
    Difference(
        "the upstream keeps the bounds, and is asked last: what is wrong with keys and tokens is told before",
        lambda case: case.code == "ValidationException" and names_what_may_not_be_there(case),
        frozenset({"NotFoundException", "InvalidGrantTokenException"}),
    ),
    Difference(
        "an upstream might take a name for another that differs from it in case alone",
        lambda case: case.name == "a name that is told apart by case",
        frozenset({"SerializationException"}),
    ),
    Difference(
        "a region that is not served is refused, whatever the upstream would say",
        lambda case: request(case).get("ReplicaRegion") == "us-west-2",
        frozenset({"AccessDeniedException"}),
    ),
]


def may_be_told(case):
    """The errors that may be told in place of that of `case`."""
    return {code for difference in DIFFERENCES if difference.holds_for(case) for code in difference.codes}
